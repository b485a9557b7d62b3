//! A source that sends its people by itself (SCIM): there is nothing to read.

use async_trait::async_trait;
use domain::erp::{Photo, Watermark};
use futures::stream::{self, BoxStream, StreamExt as _};

use crate::{ErpAdapter, Error, Kind, Page, Probe, Structure, WorkerIds};

pub(crate) const KIND: Kind = Kind {
    name: "scim",
    label: "SCIM 2.0",
    help: "An identity provider or HR system sends its people by itself, such as Entra ID or Okta. It needs this portal's \
           address with /scim/v2 behind it and a token, which is shown once the source is connected.",
    settings: &[],
    mapped: false,
};

impl Kind {
    /// Whether sources of this kind send their people by themselves: there are no runs to start.
    #[must_use]
    pub fn is_pushed(&self) -> bool {
        self.name == KIND.name
    }
}

/// Says that there is nothing to read.
#[derive(Debug)]
pub struct Pushed;

fn nothing<T>() -> Result<T, Error> {
    Err(Error::Rejected {
        what: "sends its people by itself: there is nothing to read".into(),
    })
}

#[async_trait]
impl ErpAdapter for Pushed {
    async fn probe(&self) -> Result<Probe, Error> {
        nothing()
    }

    async fn units(&self) -> Result<Structure, Error> {
        nothing()
    }

    fn workers(&self, _since: Option<Watermark>) -> BoxStream<'_, Result<Page, Error>> {
        stream::iter([nothing()]).boxed()
    }

    async fn worker_ids(&self) -> Result<WorkerIds, Error> {
        nothing()
    }

    async fn photo(&self, _external_id: &str) -> Result<Option<Photo>, Error> {
        nothing()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::{Error, Guard, KINDS, open};

    #[tokio::test]
    async fn a_source_that_is_pushed_is_never_read() {
        let adapter = open("scim", &BTreeMap::new(), None, &Guard::default()).expect("an adapter");
        let units = adapter.units().await;
        assert!(matches!(units, Err(Error::Rejected { .. })), "{units:?}");
        let pushed: Vec<_> = KINDS.iter().filter(|kind| kind.is_pushed()).collect();
        assert_eq!(pushed.len(), 1);
    }
}
