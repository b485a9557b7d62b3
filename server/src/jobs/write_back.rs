//! Sends accepted corrections into their sources.

use chrono::TimeDelta;
use domain::Viewer;
use erp_adapters::{ErpAdapter, Guard};
use store::{
    Error, Store,
    correction::{Again, Due, Trouble},
};

/// Writes back. Cheap to clone.
#[derive(Clone)]
pub struct WriteBack {
    store: Store,
    guard: Guard,
}

fn viewer() -> Viewer {
    Viewer::system("write_back")
}

impl WriteBack {
    /// A worker that reaches only what `guard` lets through.
    #[must_use]
    pub const fn new(store: Store, guard: Guard) -> Self {
        Self { store, guard }
    }

    /// Sends what is due, one value after the other; answers how many there were.
    /// One source that cannot be reached does not keep the others from theirs.
    ///
    /// # Errors
    /// Those of the store: what was taken and not noted is due again later.
    pub async fn pass(&self) -> Result<usize, Error> {
        let due = self.store.take_due_corrections(&viewer()).await?;
        for one in &due {
            match self.open(one).await? {
                Ok(adapter) => send(&self.store, one, adapter.as_ref()).await?,
                Err(error) => failed(&self.store, one, &error).await?,
            }
        }
        Ok(due.len())
    }

    async fn open(
        &self,
        due: &Due,
    ) -> Result<Result<Box<dyn ErpAdapter>, erp_adapters::Error>, Error> {
        app::portal::open_source(&self.store, &self.guard, &viewer(), due.source).await
    }
}

/// Sends one value that was taken, and notes what came of it. Sent twice, a value is the same as sent once.
///
/// # Errors
/// Those of the store.
pub async fn send(store: &Store, due: &Due, adapter: &dyn ErpAdapter) -> Result<(), Error> {
    if !adapter.writable().contains(&due.attribute) {
        return store.correction_by_hand(&viewer(), due.id).await;
    }
    let written = adapter
        .write(&due.external_id, due.attribute, Some(&due.value))
        .await;
    match written {
        Ok(()) => store.correction_written(&viewer(), due.id).await,
        Err(error) => failed(store, due, &error).await,
    }
}

async fn failed(store: &Store, due: &Due, error: &erp_adapters::Error) -> Result<(), Error> {
    use erp_adapters::Error as E;
    let again = match error {
        E::Unreachable { .. } | E::TimedOut { .. } => Again::After(TimeDelta::zero()),
        E::RateLimited { retry_after } => Again::After(
            retry_after
                .and_then(|wait| TimeDelta::from_std(wait).ok())
                .unwrap_or_default(),
        ),
        // A right, a key, a setting or the value: it would be refused the next time too.
        _ => Again::Never,
    };
    let trouble = Trouble {
        code: error.code().to_owned(),
        text: match error {
            E::Forbidden { .. } => format!("the key may not write {}", due.attribute.name()),
            other => other.to_string(),
        },
    };
    tracing::warn!(correction = %due.id, %error, ?again, "a correction was not written");
    store
        .correction_not_written(&viewer(), due.id, trouble, again)
        .await
}
