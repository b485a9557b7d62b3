//! The output folder: written only where something changed, and holding nothing that was not asked for.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// The folder under construction and the files put there so far.
pub struct Site {
    dir: PathBuf,
    put: BTreeSet<PathBuf>,
}

impl Site {
    /// Starts a build into `dir`, which need not exist.
    pub fn open(dir: PathBuf) -> Self {
        Self {
            dir,
            put: BTreeSet::new(),
        }
    }

    /// Makes the file `name` (relative to the folder) hold `bytes`; an equal file keeps its time stamp.
    pub fn put(&mut self, name: &Path, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.dir.join(name);
        if fs::read(&path).ok().as_deref() != Some(bytes) {
            let folder = path.parent().unwrap_or(&self.dir);
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
            fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        }
        self.put.insert(path);
        Ok(())
    }

    /// Removes what earlier builds left behind.
    pub fn finish(self) -> anyhow::Result<()> {
        for stale in files_under(&self.dir)?
            .into_iter()
            .filter(|file| !self.put.contains(file))
        {
            fs::remove_file(&stale)
                .with_context(|| format!("cannot remove {}", stale.display()))?;
        }
        Ok(())
    }
}

/// Reads a whole file; the error names it.
pub fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Every file below `dir`, sorted; none if there is no such folder.
pub fn files_under(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        if !folder.exists() {
            continue;
        }
        let entries =
            fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_equal_files_and_sweeps_stale_ones() -> anyhow::Result<()> {
        let dir = std::env::temp_dir().join(format!("bundle-site-{}", std::process::id()));
        fs::create_dir_all(dir.join("pkg"))?;
        fs::write(dir.join("same"), "same")?;
        fs::write(dir.join("pkg/stale"), "")?;
        let before = fs::metadata(dir.join("same"))?.modified()?;

        let mut site = Site::open(dir.clone());
        site.put(Path::new("same"), b"same")?;
        site.put(Path::new("deep/new"), b"new")?;
        site.finish()?;

        assert_eq!(files_under(&dir)?, [dir.join("deep/new"), dir.join("same")]);
        assert_eq!(fs::metadata(dir.join("same"))?.modified()?, before);
        fs::remove_dir_all(dir)?;
        Ok(())
    }
}
