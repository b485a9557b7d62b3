//! A search's answer, page by page (RFC 2696).

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use domain::erp::Fault;
use tokio::time::timeout;

use super::{
    Ldap,
    entry::place,
    wire::{Entry, Found, Search, Wire},
};
use crate::Error;

/// Entries a page. Active Directory gives no more than 1,000.
const PAGE_ENTRIES: u32 = 500;
/// Bytes after which a page is handed on, whatever its entries.
const PAGE_BYTES: usize = 8 << 20;
/// Pages without an entry that are taken in a row.
const EMPTY_PAGES: u32 = 8;

/// A search that goes from page to page.
pub(super) struct Cursor {
    pub(super) search: Search,
    cookie: Vec<u8>,
    /// Whether an answer is under way.
    open: bool,
    pub(super) over: bool,
    empty: u32,
    /// Hashes of the names that came: a server that begins anew would never end.
    seen: HashSet<u64>,
}

/// A part of a search's answer.
#[derive(Default)]
pub(super) struct Chunk {
    pub(super) entries: Vec<Entry>,
    pub(super) faults: Vec<Fault>,
}
impl Ldap {
    pub(super) fn cursor(&self, base: &str, filter: String, attributes: &[String]) -> Cursor {
        Cursor {
            search: Search {
                base: base.to_owned(),
                deep: true,
                filter,
                attributes: attributes.to_vec(),
                page: Some(PAGE_ENTRIES),
            },
            cookie: Vec::new(),
            open: false,
            over: false,
            empty: 0,
            seen: HashSet::new(),
        }
    }

    /// The next entries; empty at the end alone.
    pub(super) async fn chunk(&self, wire: &mut Wire, cursor: &mut Cursor) -> Result<Chunk, Error> {
        let after = self.guard.limits().total;
        timeout(after, self.read_chunk(wire, cursor))
            .await
            .unwrap_or(Err(Error::TimedOut { after }))
    }

    async fn read_chunk(&self, wire: &mut Wire, cursor: &mut Cursor) -> Result<Chunk, Error> {
        let mut chunk = Chunk::default();
        let mut bytes = 0;
        let mut fresh = false;
        while !cursor.over {
            if !cursor.open {
                wire.search(&cursor.search, &cursor.cookie).await?;
                cursor.open = true;
            }
            match wire.next().await? {
                Found::Entry(entry) => {
                    fresh |= cursor.seen.insert(hash(&entry.dn));
                    bytes += size(&entry);
                    chunk.entries.push(entry);
                    if bytes < PAGE_BYTES && chunk.entries.len() < 2 * PAGE_ENTRIES as usize {
                        continue;
                    }
                }
                Found::Reference(addresses) => {
                    chunk.faults.push(reference(&addresses));
                    continue;
                }
                Found::Done { cookie } => {
                    cursor.open = false;
                    cursor.over = cookie.is_empty();
                    cursor.cookie = cookie;
                    if chunk.entries.is_empty() && !cursor.over {
                        cursor.empty += 1;
                        if cursor.empty < EMPTY_PAGES {
                            continue;
                        }
                        return Err(endless());
                    }
                    cursor.empty = 0;
                }
            }
            if !fresh && !chunk.entries.is_empty() {
                return Err(endless());
            }
            break;
        }
        Ok(chunk)
    }
}

fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

fn size(entry: &Entry) -> usize {
    let values = entry.attributes.iter().flat_map(|(_, values)| values);
    values.map(Vec::len).sum::<usize>() + entry.dn.len()
}

fn reference(addresses: &[String]) -> Fault {
    Fault {
        place: "the directory".into(),
        field: None,
        what: format!(
            "refers for a part of itself to {}, which was not followed; connect it as a source of its own",
            place(&addresses.join(" "))
        ),
        external_id: None,
        left_out: false,
    }
}

fn endless() -> Error {
    Error::Malformed {
        record: "the directory".into(),
        field: "its pages".into(),
        what: "come again and again and never end".into(),
    }
}
