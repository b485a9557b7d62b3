//! What a run puts aside on disk, so that a plan for a hundred thousand people does not stand in memory.

use std::{
    fs::File,
    io::{self, Write as _},
    os::unix::fs::FileExt as _,
    path::PathBuf,
};

use serde::{Serialize, de::DeserializeOwned};

use crate::Result;

/// What is collected before it is written: a small run never makes a file.
const TAIL_MAX: usize = 1 << 20;

/// Things put aside, in a file without a name that is gone when the run is
/// forgotten or its process dies. Only its owner could read it.
#[derive(Debug, Default)]
pub(super) struct Spool {
    folder: PathBuf,
    file: Option<File>,
    /// Bytes in the file.
    written: u64,
    /// What comes after them.
    tail: Vec<u8>,
}

/// Where something was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    at: u64,
    len: u32,
}

impl Spool {
    /// A spool whose file, if it comes to one, is in `folder`.
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            ..Self::default()
        }
    }

    /// Puts something aside.
    pub fn put(&mut self, thing: &impl Serialize) -> Result<Slot> {
        let from = self.tail.len();
        serde_json::to_writer(&mut self.tail, thing)?;
        let slot = Slot {
            at: self.written + from as u64,
            len: u32::try_from(self.tail.len() - from).map_err(io::Error::other)?,
        };
        if self.tail.len() >= TAIL_MAX {
            self.flush()?;
        }
        Ok(slot)
    }

    fn flush(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile_in(&self.folder)?),
        };
        file.write_all(&self.tail)?;
        self.written += self.tail.len() as u64;
        self.tail.clear();
        Ok(())
    }

    /// What was put there, as it was.
    pub fn get<T: DeserializeOwned>(&self, slot: Slot) -> Result<T> {
        let len = slot.len as usize;
        match (slot.at.checked_sub(self.written), &self.file) {
            (Some(from), _) => {
                let from = usize::try_from(from).map_err(io::Error::other)?;
                Ok(serde_json::from_slice(&self.tail[from..from + len])?)
            }
            (None, Some(file)) => {
                let mut bytes = vec![0; len];
                file.read_exact_at(&mut bytes, slot.at)?;
                Ok(serde_json::from_slice(&bytes)?)
            }
            (None, None) => Err(io::Error::from(io::ErrorKind::NotFound).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_comes_back_from_memory_and_from_the_file() {
        let mut spool = Spool::new(std::env::temp_dir());
        let thing = |n: usize| (n, "é".repeat(n % 700));
        let slots: Vec<_> = (0..5_000).map(|n| spool.put(&thing(n)).unwrap()).collect();
        assert!(spool.file.is_some() && !spool.tail.is_empty());
        for (n, slot) in slots.iter().enumerate().rev() {
            assert_eq!(spool.get::<(usize, String)>(*slot).unwrap(), thing(n));
        }
    }

    #[test]
    fn a_little_makes_no_file() {
        let mut spool = Spool::new("/nowhere".into());
        let slot = spool.put(&"a").unwrap();
        assert_eq!(spool.get::<String>(slot).unwrap(), "a");
        assert!(spool.file.is_none());
    }
}
