//! The folder `photos` beside the tables of a source: which photos there are, and one of them.
//!
//! A photo is a file of that very folder: nothing below it, nothing elsewhere, and no link. It is
//! known by its name, so that whoever may write tables may not read the server's files with them.

use std::{collections::BTreeMap, io, path::Path, time::UNIX_EPOCH};

use domain::erp::Photo;
use tokio::fs;

use crate::{
    Error, PHOTO_BYTES,
    csv::{read, unreadable},
};

/// The folder's name.
pub(crate) const PHOTOS: &str = "photos";
/// Endings of photos; cameras write them large.
const ENDINGS: [&str; 10] = [
    "jpg", "jpeg", "png", "webp", "gif", "JPG", "JPEG", "PNG", "WEBP", "GIF",
];

/// The photos that were there when it was looked, by the names of their files.
#[derive(Debug, Default)]
pub(crate) struct Photos(BTreeMap<String, File>);

#[derive(Debug)]
struct File {
    bytes: u64,
    mark: String,
}

impl Photos {
    /// Looks into `folder`'s photos; none where it has no such folder.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::Unreachable`].
    pub(crate) async fn of(folder: &Path) -> Result<Self, Error> {
        let mut photos = Self::default();
        let unreachable = |error: io::Error| unreadable(PHOTOS, &error);
        let mut entries = match fs::read_dir(folder.join(PHOTOS)).await {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(photos),
            Err(error) => return Err(unreachable(error)),
        };
        while let Some(entry) = entries.next_entry().await.map_err(unreachable)? {
            // `metadata` of an entry does not follow links.
            let meta = entry.metadata().await.map_err(unreachable)?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let ending = name.rsplit_once('.').map(|(_, ending)| ending);
            if !meta.is_file() || !ending.is_some_and(|ending| ENDINGS.contains(&ending)) {
                continue;
            }
            let changed = meta
                .modified()
                .ok()
                .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            let mark = format!("{}-{}", meta.len(), changed.unwrap_or_default().as_millis());
            let file = File {
                bytes: meta.len(),
                mark,
            };
            photos.0.insert(name, file);
        }
        Ok(photos)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The file of whoever has this id: `{id}.jpg` or with another ending.
    pub(crate) fn by_id(&self, id: &str) -> Option<String> {
        let mut names = ENDINGS.iter().map(|ending| format!("{id}.{ending}"));
        names.find(|name| self.0.contains_key(name))
    }

    /// The file of this name, with or without the folder before it.
    pub(crate) fn by_name(&self, text: &str) -> Option<String> {
        let name = text.trim();
        let name = name.strip_prefix("photos/").unwrap_or(name);
        self.0.contains_key(name).then(|| name.to_owned())
    }

    /// What changes when the photo does, for a file that is there.
    ///
    /// # Errors
    /// Why it is not taken, in words.
    pub(crate) fn mark(&self, name: &str) -> Result<Option<String>, String> {
        match self.0.get(name) {
            Some(file) if file.bytes > PHOTO_BYTES => Err(too_large(file.bytes)),
            file => Ok(file.map(|file| file.mark.clone())),
        }
    }
}

/// A photo of `folder` by the name of its file; none where there is no such file, or it is a link.
///
/// # Errors
/// [`Error::TooLarge`] over [`PHOTO_BYTES`]; [`Error::Forbidden`], [`Error::Unreachable`].
pub(crate) async fn photo(folder: &Path, name: &str) -> Result<Option<Photo>, Error> {
    // A name names a file here and nowhere else.
    if name.starts_with('.') || name.contains(['/', '\\', '\0']) {
        return Ok(None);
    }
    let path = folder.join(PHOTOS).join(name);
    let there = fs::symlink_metadata(&path).await;
    if !there.is_ok_and(|meta| meta.is_file()) {
        return Ok(None);
    }
    let limit = usize::try_from(PHOTO_BYTES).unwrap_or(usize::MAX);
    let bytes = read(&path, name, limit).await?;
    Ok(bytes.map(|bytes| Photo { bytes }))
}

/// The photo of whoever has this id.
///
/// # Errors
/// See [`photo`].
pub(crate) async fn photo_of(folder: &Path, id: &str) -> Result<Option<Photo>, Error> {
    for ending in ENDINGS {
        if let Some(photo) = photo(folder, &format!("{id}.{ending}")).await? {
            return Ok(Some(photo));
        }
    }
    Ok(None)
}

/// Why a photo of so many bytes is not taken.
pub(crate) fn too_large(bytes: u64) -> String {
    let tenths = bytes * 10 / (1 << 20);
    format!(
        "the photo has {}.{} MiB, at most {} MiB is taken; left out",
        tenths / 10,
        tenths % 10,
        PHOTO_BYTES >> 20
    )
}
