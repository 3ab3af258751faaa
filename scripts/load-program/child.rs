//! A process to measure: Pollcast or the broadcaster, alone on the first processor.

use anyhow::Context as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Clock ticks per second in `/proc/PID/stat`.
const TICKS_PER_SECOND: f64 = 100.0;

/// A child that listens. Dropping it ends it.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub addr: SocketAddr,
    /// Its configuration, if it has one.
    _file: Option<tempfile::NamedTempFile>,
}

impl Server {
    /// Starts Pollcast with this configuration.
    pub fn pollcast(program: &Path, config: &str) -> anyhow::Result<Self> {
        let mut file = tempfile::Builder::new().suffix(".toml").tempfile()?;
        file.write_all(config.as_bytes())?;
        let mut command = on_first_processor(program);
        command.args(["run", "--config"]).arg(file.path());
        let (child, addr) = start(command, |line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            line.get("addr")?.as_str()?.parse().ok()
        })?;
        Ok(Self { child, addr, _file: Some(file) })
    }

    /// Starts the broadcaster.
    pub fn broadcaster() -> anyhow::Result<Self> {
        let mut command = on_first_processor(&std::env::current_exe()?);
        command.arg("broadcaster");
        let (child, addr) = start(command, |line| line.parse().ok())?;
        Ok(Self { child, addr, _file: None })
    }

    /// Processor time used so far, user and system, in seconds.
    pub fn cpu(&self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, rest) = stat.rsplit_once(')').context("stat")?;
        let mut fields = rest.split_ascii_whitespace().skip(11);
        let mut ticks = || -> anyhow::Result<f64> { Ok(fields.next().context("stat")?.parse()?) };
        Ok((ticks()? + ticks()?) / TICKS_PER_SECOND)
    }

    /// Resident bytes.
    pub fn resident(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that runs on one processor only, so that what it does in a second is what one core
/// does. `taskset` becomes the program: the process that we measure and end is the program itself.
fn on_first_processor(program: &Path) -> Command {
    let pinned = Command::new("taskset").arg("-V").stdout(Stdio::null()).status().is_ok();
    if !pinned {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program);
    command
}

/// Starts a child and reads its lines until one says where it listens; later ones are thrown away.
fn start(
    mut command: Command,
    address: impl Fn(&str) -> Option<SocketAddr>,
) -> anyhow::Result<(Child, SocketAddr)> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut lines = BufReader::new(child.stderr.take().context("stderr")?).lines();
    let mut said = String::new();
    let addr = loop {
        match lines.next() {
            Some(Ok(line)) => match address(&line) {
                Some(addr) => break addr,
                None => said.push_str(&line),
            },
            _ => {
                let _ = child.wait();
                anyhow::bail!("it ended before it listened: {said}");
            }
        }
    };
    std::thread::spawn(move || lines.for_each(drop));
    Ok((child, addr))
}
