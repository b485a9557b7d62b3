//! The data folder: its keys, its lock, and what is kept beside the database.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use domain::audit::Checkpoint;
use ed25519_dalek::SigningKey;
use store::{Env, Keys};

/// The folder where a portal keeps everything of its own.
#[derive(Debug, Clone)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// Opens the folder and makes it if it is not there, for its owner alone.
    ///
    /// # Errors
    /// When it cannot be made or is no folder.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("the data folder {} cannot be made", path.display()))?;
        // A folder that was there before may be open to others, and it holds keys.
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).with_context(|| {
            format!(
                "the data folder {} cannot be closed to others",
                path.display()
            )
        })?;
        Ok(Self(path.to_owned()))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Keeps a second server away from the same folder until the answer is dropped or the process ends,
    /// however it ends.
    ///
    /// # Errors
    /// When another one has it.
    pub fn lock(&self) -> anyhow::Result<File> {
        let path = self.0.join("serve.lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("{} cannot be opened", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                bail!(
                    "another optimus serves the data folder {}",
                    self.0.display()
                )
            }
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("{} cannot be locked", path.display()))
            }
        }
    }

    /// The keys, made where they are missing: the audit log's and the seal of sources' secrets; and the
    /// one that signs tokens.
    ///
    /// # Errors
    /// When a file cannot be read or is no key.
    pub fn keys(&self, env: &Env) -> anyhow::Result<(Keys, [u8; 32])> {
        let keys = Keys {
            audit: SigningKey::from_bytes(&self.key("audit.key", env)?),
            seal: self.key("seal.key", env)?,
        };
        Ok((keys, self.key("token.key", env)?))
    }

    /// The public half of the key that signs this portal's audit log, if there is one in `path` already.
    #[must_use]
    pub fn audit_public_key(path: &Path) -> Option<String> {
        let mut key = [0; 32];
        hex::decode_to_slice(
            fs::read_to_string(path.join("audit.key")).ok()?.trim(),
            &mut key,
        )
        .ok()?;
        Some(hex::encode(SigningKey::from_bytes(&key).verifying_key()))
    }

    fn key(&self, name: &str, env: &Env) -> anyhow::Result<[u8; 32]> {
        let path = self.0.join(name);
        if !path.exists() {
            // Written aside and linked: whoever comes at the same time sees all of it or nothing.
            let aside = self
                .0
                .join(format!("{name}.{}", hex::encode(env.random::<8>())));
            write_new(&aside, hex::encode(env.random::<32>()).as_bytes())
                .with_context(|| format!("{} cannot be written", aside.display()))?;
            let linked = fs::hard_link(&aside, &path);
            fs::remove_file(&aside).ok();
            match linked {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(error)
                        .with_context(|| format!("{} cannot be made", path.display()));
                }
                _ => {}
            }
        }
        let text = fs::read_to_string(&path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        let mut key = [0; 32];
        hex::decode_to_slice(text.trim(), &mut key)
            .ok()
            .with_context(|| {
                format!(
                    "{} holds no key: 64 hex digits are expected",
                    path.display()
                )
            })?;
        Ok(key)
    }

    /// The file that signed checkpoints of the audit log are added to.
    #[must_use]
    pub fn checkpoints(&self) -> PathBuf {
        self.0.join("audit-checkpoints.jsonl")
    }

    /// Adds a checkpoint to the file beside the database, and waits until it is on disk.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn keep_checkpoint(&self, checkpoint: &Checkpoint) -> io::Result<()> {
        let mut line = serde_json::to_vec(checkpoint)?;
        line.push(b'\n');
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(self.checkpoints())?;
        file.write_all(&line)?;
        file.sync_data()
    }

    /// The checkpoints that are kept beside the database. A last line that was cut off by a crash does
    /// not count; any other line that is none is an error.
    ///
    /// # Errors
    /// When the file cannot be read or holds something else.
    pub fn kept_checkpoints(&self) -> anyhow::Result<Vec<Checkpoint>> {
        let path = self.checkpoints();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                return Err(error).with_context(|| format!("{} cannot be read", path.display()));
            }
        };
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .enumerate()
            .map(|(at, line)| {
                serde_json::from_str(line)
                    .with_context(|| format!("{}, line {}: no checkpoint", path.display(), at + 1))
            })
            .collect()
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
