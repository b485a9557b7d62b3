//! Starting the portal and its floors, and what they cost.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    process::{Child, Command},
    time::{sleep, timeout},
};

use crate::http::Client;

const READY_WITHIN: Duration = Duration::from_secs(60);
const STOPPED_WITHIN: Duration = Duration::from_secs(20);

/// A folder that is gone when its owner is.
pub struct Folder(pub PathBuf);

impl Folder {
    /// An empty folder.
    pub fn new(dir: &Path, name: &str) -> Result<Self> {
        let path = dir.join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What could not be removed is in the target folder: no harm but space.
        fs::remove_dir_all(&self.0).ok();
    }
}

/// A portal's program and its data.
pub struct Optimus<'a> {
    program: &'a Path,
    data: &'a Path,
}

impl<'a> Optimus<'a> {
    /// Over a data folder of its own.
    pub fn new(program: &'a Path, data: &'a Path) -> Self {
        Self { program, data }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        // What configures a developer's own portal must not reach this one.
        for (name, _) in std::env::vars_os() {
            if name
                .to_str()
                .is_some_and(|name| name.starts_with("OPTIMUS_"))
            {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .current_dir(self.data)
            .env("OPTIMUS_DATA_DIR", self.data)
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end and answers with its output and cost.
    pub async fn run(&self, arguments: &[&str], input: &str) -> Result<(String, Cost)> {
        let began = Instant::now();
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", self.program.display()))?;
        let id = child.id().unwrap_or_default();
        if let Some(mut stdin) = child.stdin.take() {
            // A command that ended without reading says why in what it printed.
            stdin.write_all(input.as_bytes()).await.ok();
        }
        let mut last = Usage::default();
        let output = child.wait_with_output();
        tokio::pin!(output);
        let output = loop {
            tokio::select! {
                output = &mut output => break output?,
                () = sleep(Duration::from_millis(20)) => {
                    // What has ended and was not waited for yet has no memory any more.
                    last = usage(id).ok().filter(|now| now.peak > 0).unwrap_or(last);
                }
            }
        };
        let took = began.elapsed();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success(),
            "optimus {} ended with {}:\n{text}{}",
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok((
            text,
            Cost {
                took,
                peak: last.peak,
                cpu: last.cpu,
            },
        ))
    }

    /// Serves on a free port until it is stopped.
    pub async fn serve(&self, arguments: &[&str]) -> Result<Server> {
        let listen = TcpListener::bind("127.0.0.1:0")
            .await?
            .local_addr()?
            .to_string();
        let log = self.data.join("serve.log");
        let output = fs::File::create(&log)?;
        let child = self
            .command(&[&["serve"], arguments].concat())
            .env("OPTIMUS_LISTEN", &listen)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("starting {}", self.program.display()))?;
        let mut server = Server {
            child,
            address: listen,
        };
        let began = Instant::now();
        while began.elapsed() < READY_WITHIN {
            if let Some(status) = server.child.try_wait()? {
                bail!(
                    "the portal ended with {status}:\n{}",
                    fs::read_to_string(&log)?
                );
            }
            if let Ok(mut client) = Client::open(&server.address).await
                && client
                    .get("/readyz", &[])
                    .await
                    .is_ok_and(|answer| answer.status == 200)
            {
                return Ok(server);
            }
            sleep(Duration::from_millis(50)).await;
        }
        bail!(
            "the portal was not ready in time:\n{}",
            fs::read_to_string(&log)?
        )
    }
}

/// What a command took.
pub struct Cost {
    /// From its start to its end.
    pub took: Duration,
    /// Most memory at once, in bytes; seen 20 ms before the end or later.
    pub peak: u64,
    /// Of all its threads; as of 20 ms before the end or later.
    pub cpu: Duration,
}

/// A server that was started and ends with this.
pub struct Server {
    child: Child,
    /// `127.0.0.1:port`.
    pub address: String,
}

impl Server {
    /// Starts a floor: this program again. It prints its address.
    pub async fn floor(arguments: &[&OsStr]) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().context("the floor's output")?;
        let mut address = String::new();
        timeout(READY_WITHIN, BufReader::new(stdout).read_line(&mut address)).await??;
        Ok(Self {
            child,
            address: address.trim().to_owned(),
        })
    }

    /// What it has cost so far.
    pub fn usage(&self) -> Result<Usage> {
        usage(self.child.id().context("the server has ended")?)
    }

    /// Ends it as an administrator would, and waits.
    pub async fn stop(mut self) -> Result<()> {
        let id = self.child.id().context("the server ended by itself")?;
        Command::new("kill").arg(id.to_string()).status().await?;
        timeout(STOPPED_WITHIN, self.child.wait())
            .await
            .context("the server did not stop in time")??;
        Ok(())
    }
}

/// What a process has cost so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Processor time of all threads, to a hundredth of a second.
    pub cpu: Duration,
    /// Memory now, in bytes.
    pub memory: u64,
    /// Most memory at once, in bytes.
    pub peak: u64,
}

fn usage(id: u32) -> Result<Usage> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let bytes = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.unwrap_or(0u64) * 1024
    };
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The program's name may hold anything; what follows is counted from its closing bracket.
    let fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    let ticks: u64 = fields
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Ok(Usage {
        cpu: Duration::from_millis(ticks * 10),
        memory: bytes("VmRSS:"),
        peak: bytes("VmHWM:"),
    })
}
