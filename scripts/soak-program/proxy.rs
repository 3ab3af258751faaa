//! The process under test: Pollcast, what it holds, what it says.

use anyhow::Context as _;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What the process holds at an instant.
#[derive(Clone, Copy, Debug)]
pub struct Holds {
    /// Resident KiB.
    pub resident_kib: u64,
    /// Open file descriptors.
    pub files: u64,
    /// Threads.
    pub threads: u64,
}

/// How often each message was logged, from `warn` upwards.
type Said = Arc<Mutex<BTreeMap<String, u64>>>;

/// A running Pollcast. Dropping it ends it.
pub struct Proxy {
    child: Child,
    /// Where it listens.
    pub addr: SocketAddr,
    said: Said,
    _file: tempfile::NamedTempFile,
}

impl Proxy {
    /// Starts it before this origin.
    pub fn start(program: &Path, origin: SocketAddr) -> anyhow::Result<Self> {
        let mut file = tempfile::Builder::new().suffix(".toml").tempfile()?;
        // Idle connections go soon, so that the end of the run finds none.
        write!(
            file,
            "listen = \"127.0.0.1:0\"\norigin = \"http://{origin}\"\n\
             [[watch]]\nname = \"topics\"\npath = \"/topic/**\"\n\
             [timeouts]\nidle = \"3s\"\n[poll]\nlinger = \"5s\"\n\
             [admin]\nlisten = \"off\"\n[log]\nformat = \"json\"\n"
        )?;
        let mut command = Command::new(program);
        command.args(["run", "--config"]).arg(file.path()).env_remove("RUST_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().context("pollcast doesn't start")?;
        let mut lines = BufReader::new(child.stderr.take().context("stderr")?).lines();
        let mut before = String::new();
        let addr = loop {
            match lines.next() {
                Some(Ok(line)) => match address(&line) {
                    Some(addr) => break addr,
                    None => before.push_str(&line),
                },
                _ => {
                    let _ = child.wait();
                    anyhow::bail!("pollcast ended before it listened: {before}");
                }
            }
        };
        let said = Said::default();
        let listener = Arc::clone(&said);
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| hear(&listener, &line));
        });
        Ok(Self { child, addr, said, _file: file })
    }

    /// What it holds now.
    pub fn holds(&self) -> anyhow::Result<Holds> {
        let proc = format!("/proc/{}", self.child.id());
        let status = std::fs::read_to_string(format!("{proc}/status"))?;
        let line = |name: &str| -> anyhow::Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).context("gone")?;
            Ok(line.trim().trim_end_matches(" kB").parse()?)
        };
        let files = std::fs::read_dir(format!("{proc}/fd"))?.count() as u64;
        Ok(Holds { resident_kib: line("VmRSS:")?, files, threads: line("Threads:")? })
    }

    /// What it logged, from `warn` upwards, and how often.
    pub fn said(&self) -> BTreeMap<String, u64> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks it to leave; true if it does so within the time, in order.
    pub async fn leave(&mut self, within: Duration) -> anyhow::Result<bool> {
        Command::new("kill").arg(self.child.id().to_string()).status()?;
        let left = async {
            loop {
                if let Some(status) = self.child.try_wait()? {
                    return anyhow::Ok(status.success());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(within, left).await.unwrap_or(Ok(false))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in the line that says that it listens.
fn address(line: &str) -> Option<SocketAddr> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    line.get("addr")?.as_str()?.parse().ok()
}

fn hear(said: &Said, line: &str) {
    let message = match serde_json::from_str::<serde_json::Value>(line) {
        Ok(line) if matches!(line["level"].as_str(), Some("WARN" | "ERROR")) => {
            format!("{}: {}", line["level"], line["message"]).replace('"', "")
        }
        Ok(_) => return,
        // Not a log line: a panic's.
        Err(_) => line.to_owned(),
    };
    let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
    // Bounded: a message with something of its own in each line would fill the memory.
    if said.len() < 100 || said.contains_key(&message) {
        *said.entry(message).or_default() += 1;
    }
}
