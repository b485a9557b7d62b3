//! Where tower-sessions keeps what belongs to a browser before and beside a
//! sign-in (a flash, the way back): our own table, because the ready-made
//! stores sit on another sqlx with an older SQLite.

use crate::Store;

/// [`tower_sessions::SessionStore`] over the portal's database. Ids are kept as
/// their SHA-256: who reads the table cannot take over a browser.
#[derive(Clone)]
pub struct Sessions(Store);

impl Sessions {
    /// Sessions in `store`.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(store)
    }
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sessions")
    }
}
