//! Several nodes on one database: each tells the others over NATS that it has committed something.
//!
//! The broker only wakes. What happened stands in the database, in the table of events, and is read
//! from there: a message that NATS loses is heard a second later, for each node also looks by itself.

use std::time::Duration;

use anyhow::Context as _;
use async_nats::Client;
use domain::Viewer;
use futures::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use store::{Store, event::Hear};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How often a node looks by itself, woken or not.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// For how long after a wake-up further ones count as the same: a burst is read in one go.
const GATHER: Duration = Duration::from_millis(5);
/// How long the last calls have to get out when the portal stops.
const FLUSH: Duration = Duration::from_secs(1);

/// A connection to the other nodes.
pub struct Bus {
    client: Client,
    subject: String,
    /// What this node's own calls carry, so that it does not wake itself.
    node: [u8; 16],
}

impl Bus {
    /// Connects to the broker at `url`. Only nodes with the same `key` wake each other, so that two
    /// portals can share a broker. Once connected, a broker that goes away is looked for again for ever.
    ///
    /// # Errors
    /// When nobody answers at `url`, or the broker refuses; the text holds no password.
    pub async fn connect(url: &str, key: &[u8; 32], node: [u8; 16]) -> anyhow::Result<Self> {
        let client = async_nats::connect(url)
            .await
            .map_err(|error| anyhow::anyhow!("{}", error.kind()))
            .context("OPTIMUS_NATS_URL: the broker cannot be reached")?;
        let portal = hex::encode(&Sha256::digest(key)[..8]);
        Ok(Self {
            client,
            subject: format!("optimus.{portal}.wake"),
            node,
        })
    }

    /// Wakes the others after each commit here and hears what they did, until `stop`.
    pub async fn run(self, store: Store, stop: CancellationToken) {
        tokio::join!(self.wake(&store, &stop), self.hear(&store, &stop));
        // Without the broker a flush would wait for it for ever.
        timeout(FLUSH, self.client.flush()).await.ok();
    }

    async fn wake(&self, store: &Store, stop: &CancellationToken) {
        let mut commits = store.commits();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                changed = commits.changed() => if changed.is_err() { return },
            }
            let call = self
                .client
                .publish(self.subject.clone(), self.node.to_vec().into());
            // Without the broker, calls wait in a bounded queue that may be full.
            if !matches!(timeout(LOOK_EVERY, call).await, Ok(Ok(()))) {
                tracing::warn!("other nodes were not woken; they look by themselves");
            }
            sleep(GATHER).await;
        }
    }

    async fn hear(&self, store: &Store, stop: &CancellationToken) {
        let calls = self.client.subscribe(self.subject.clone()).await;
        let mut calls = calls.map_or_else(
            |error| {
                tracing::error!(%error, "the broker cannot be listened to; this node looks by itself");
                stream::empty().boxed()
            },
            |calls| calls.boxed(),
        );
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(call) = calls.next() => if call.payload[..] == self.node { continue },
                _ = look.tick() => {}
            }
            if let Err(error) = store
                .hear_others(&Viewer::system("wake"), Hear::Everything)
                .await
            {
                tracing::error!(%error, "what other nodes did was not heard");
            }
        }
    }
}
