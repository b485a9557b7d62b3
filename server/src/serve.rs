//! A portal that runs: opened, listening, working, and stopped in good order.

use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use app::portal::{Portal, Site};
use axum::serve::ListenerExt as _;
use domain::Viewer;
use migrations::{Migrator, MigratorTrait as _};
use store::{Env, Store, account::Cost};
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    bus::Bus,
    clock::{self, Story},
    config::Config,
    data_dir::DataDir,
    demo,
    http::{self, Server},
    jobs::{self, Apart},
    socket::{self, Hub},
    tokens::Tokens,
};

/// How long requests and sockets have to end when the portal stops.
const GRACE: Duration = Duration::from_secs(8);

/// A portal's data, opened.
pub struct Opened {
    /// The folder.
    pub data_dir: DataDir,
    /// The database, migrated, and what is in memory beside it.
    pub store: Store,
    token_key: [u8; 32],
}

/// Opens the data folder, its keys and the database, and brings the database's shape up to date.
///
/// # Errors
/// When any of them cannot be had; the text says which and why.
pub async fn open(config: &Config, env: Env, cost: Cost) -> anyhow::Result<Opened> {
    let data_dir = DataDir::open(&config.data_dir)?;
    let (keys, token_key) = data_dir.keys(&env)?;
    let db = store::db::connect(&config.database_url)
        .await
        .context("the database cannot be opened")?;
    Migrator::up(&db, None)
        .await
        .context("the database's shape cannot be brought up to date")?;
    let store = Store::open_with(db, env, keys, cost)
        .await
        .context("the database cannot be read")?;
    store.keep_days_of(config.timezone);
    Ok(Opened {
        data_dir,
        store,
        token_key,
    })
}

/// A portal that listens.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// What its handlers have.
    pub server: Server,
    data_dir: DataDir,
    stop: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
    listening: JoinHandle<()>,
    waking: Option<JoinHandle<()>>,
    working: JoinHandle<()>,
    apart: Apart,
    _lock: File,
}

/// How a portal is started.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    /// On the demo company, which is made if it is not there yet.
    pub demo: bool,
    /// How much work a password's hash is; tests take the least.
    pub cost: Cost,
}

/// Starts a portal.
///
/// # Errors
/// When it cannot be opened or cannot listen.
pub async fn start(config: &Config, Start { demo, cost }: Start) -> anyhow::Result<Running> {
    // Before anything is opened: a second server on the same folder would end the first one's runs.
    let lock = DataDir::open(&config.data_dir)?.lock()?;
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("OPTIMUS_LISTEN: nobody can listen at {}", config.listen))?;
    let address = listener.local_addr()?;

    let story = Story::default();
    let folder = &config.data_dir;
    let env = match demo {
        true => story.env(folder),
        false => clock::env(folder),
    };
    let opened = open(config, env, cost).await?;
    let Opened {
        data_dir,
        store,
        token_key,
    } = opened;
    let interrupted = store
        .clear_interrupted_runs(&Viewer::system("start"))
        .await?;
    if interrupted > 0 {
        tracing::warn!(interrupted, "runs were cut off when the portal last ended");
    }
    if demo {
        demo::prepare(&store, &data_dir, &config.guard, &story)
            .await
            .context("the demo company cannot be made")?;
    }

    let bus = match &config.nats_url {
        Some(url) => Some(Bus::connect(url, &token_key, store.random()).await?),
        None => None,
    };
    let (hand_in, queue) = mpsc::channel(jobs::QUEUE);
    let site = Site {
        organization: config.organization.clone().unwrap_or_else(|| {
            if demo {
                demo::ORGANIZATION.into()
            } else {
                "OPTIMUS".into()
            }
        }),
        public_url: config
            .public_url
            .clone()
            .unwrap_or_else(|| format!("http://{}", reachable(address))),
        version: http::version(),
        demo,
        guard: config.guard.clone(),
        data_dir: data_dir.path().to_owned(),
    };
    let portal = Portal {
        store: store.clone(),
        site: Arc::new(site),
        jobs: hand_in,
    };
    let server = Server {
        portal: portal.clone(),
        tokens: Arc::new(Tokens::new(&token_key)),
        hub: Hub::default(),
        metrics: http::recorder()?,
        trusted_proxies: config.trusted_proxies.clone().into(),
    };

    let stop = CancellationToken::new();
    let listening = tokio::spawn(socket::listen(server.hub.clone(), store, stop.clone()));
    let waking = bus.map(|bus| tokio::spawn(bus.run(portal.store.clone(), stop.clone())));
    let apart = Apart::new().context("the threads of runs cannot be started")?;
    let working = jobs::work(
        portal,
        data_dir.clone(),
        queue,
        apart.handle(),
        stop.clone(),
    );
    let working = tokio::spawn(working);
    let service = http::router(server.clone()).into_make_service_with_connect_info::<SocketAddr>();
    // A frame is small and wanted now.
    let listener = listener.tap_io(|stream| {
        stream.set_nodelay(true).ok();
    });
    let serving =
        axum::serve(listener, service).with_graceful_shutdown(stop.clone().cancelled_owned());
    let serving = tokio::spawn(async move { serving.await });
    Ok(Running {
        address,
        server,
        data_dir,
        stop,
        serving,
        listening,
        waking,
        working,
        apart,
        _lock: lock,
    })
}

/// An address that a browser on this machine can open.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        (Ipv4Addr::LOCALHOST, address.port()).into()
    } else {
        address
    }
}

impl Running {
    /// Where a browser on this machine finds it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", reachable(self.address))
    }

    /// Returns when the portal does not listen any more without having been stopped.
    ///
    /// # Errors
    /// Those of the listener.
    pub async fn broke_off(&mut self) -> anyhow::Result<()> {
        Ok((&mut self.serving).await??)
    }

    /// Stops: nobody new comes in, requests end, sockets are told to come back, the log's head is signed.
    ///
    /// # Errors
    /// When something did not end in time, or broke off.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.listening.await?;
        timeout(GRACE, self.server.hub.emptied()).await.ok();
        if let Ok(served) = timeout(GRACE, self.serving).await {
            served??;
        } else {
            tracing::warn!("some requests did not end in time");
        }
        self.working.await?;
        if let Some(waking) = self.waking {
            waking.await?;
        }
        jobs::checkpoint(&self.server.portal, &self.data_dir).await;
        // Not before: a connection to the database that a run opened is read on these threads.
        drop(self.apart);
        Ok(())
    }
}
