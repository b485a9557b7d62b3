//! The files of a folder: which there are, which of them match, and where they go when they have been read.

use std::{io, path::Path, time::UNIX_EPOCH};

use chrono::{DateTime, Utc};
use tokio::fs;

use crate::{Error, csv::unreadable};

/// A file as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) bytes: u64,
    /// Nanoseconds since 1970.
    pub(super) changed: u128,
}

impl Seen {
    pub(super) fn mark(&self) -> String {
        format!("{}|{}|{}", self.bytes, self.changed, self.name)
    }

    pub(super) fn parse(mark: &str) -> Option<Self> {
        let mut parts = mark.splitn(3, '|');
        Some(Self {
            bytes: parts.next()?.parse().ok()?,
            changed: parts.next()?.parse().ok()?,
            name: parts.next()?.to_owned(),
        })
    }
}
/// The files of a folder that match a pattern. Links are not followed.
pub(super) async fn matching(folder: &Path, pattern: &str) -> Result<Vec<Seen>, Error> {
    let shown = folder.display().to_string();
    let failed = |error: io::Error| unreadable(&shown, &error);
    let mut entries = fs::read_dir(folder).await.map_err(failed)?;
    let mut files = Vec::new();
    while let Some(entry) = entries.next_entry().await.map_err(failed)? {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        // Hidden ones, and those by which a spreadsheet says that it has a file open.
        if name.starts_with(['.', '~'])
            || name.chars().any(char::is_control)
            || !matches(pattern, &name)
        {
            continue;
        }
        // One may be moved away while the folder is read.
        let Ok(meta) = entry.metadata().await else {
            continue;
        };
        if !meta.is_file() {
            continue;
        }
        let changed = meta
            .modified()
            .ok()
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        files.push(Seen {
            name,
            bytes: meta.len(),
            changed: changed.unwrap_or_default().as_nanos(),
        });
    }
    Ok(files)
}

/// Whether a name matches a pattern of `*` and `?`, in any case.
fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.to_lowercase().chars().collect();
    let name: Vec<char> = name.to_lowercase().chars().collect();
    let (mut at, mut in_name) = (0, 0);
    // Where the last star stood, and how much of the name it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while in_name < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, in_name));
                at += 1;
            }
            Some(c) if *c == '?' || *c == name[in_name] => {
                at += 1;
                in_name += 1;
            }
            _ => match star {
                Some((back, taken)) => {
                    star = Some((back, taken + 1));
                    at = back + 1;
                    in_name = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

/// Moves a file into the archive, under a name that says when it was written.
pub(super) async fn keep(folder: &Path, archive: &Path, file: &Seen) -> Result<(), Error> {
    let shown = archive.display().to_string();
    let failed = |error: io::Error| unreadable(&shown, &error);
    fs::create_dir_all(archive).await.map_err(failed)?;
    let path = Path::new(&file.name);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let ending = path.extension().map_or(String::new(), |ending| {
        format!(".{}", ending.to_string_lossy())
    });
    let seconds = i64::try_from(file.changed / 1_000_000_000).unwrap_or_default();
    let written = DateTime::<Utc>::from_timestamp(seconds, 0).unwrap_or_default();
    let written = written.format("%Y-%m-%dT%H%M%SZ");
    let from = folder.join(&file.name);
    for again in 1..1_000 {
        let more = if again == 1 {
            String::new()
        } else {
            format!("-{again}")
        };
        let to = archive.join(format!("{stem}.{written}{more}{ending}"));
        if fs::try_exists(&to).await.map_err(failed)? {
            continue;
        }
        if fs::rename(&from, &to).await.is_ok() {
            return Ok(());
        }
        // Another file system takes a copy; under another name until it is whole.
        let part = archive.join(format!(".{stem}.{written}{more}{ending}.part"));
        fs::copy(&from, &part).await.map_err(failed)?;
        fs::rename(&part, &to).await.map_err(failed)?;
        return fs::remove_file(&from).await.map_err(failed);
    }
    Err(Error::Unreachable {
        what: format!("{shown} holds {} a thousand times", file.name),
    })
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_name_with_stars() {
        for (pattern, name) in [
            ("*", "people.csv"),
            ("people*.xlsx", "People-2026-11.XLSX"),
            ("people?.csv", "people1.csv"),
            ("*a*b*", "xxaxxbxx"),
            ("*.csv", "a.csv.csv"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("people*.xlsx", "people.xlsx.part"),
            ("people?.csv", "people.csv"),
            ("*a*b*", "xxbxxaxx"),
            ("", "x"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_file_is_known_again_by_its_mark() {
        let file = Seen {
            name: "a|b.csv".into(),
            bytes: 7,
            changed: 12,
        };
        assert_eq!(Seen::parse(&file.mark()), Some(file));
        assert_eq!(Seen::parse("2026-11-19T09:00:00Z"), None);
    }
}
