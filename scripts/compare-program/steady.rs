//! A load at a fixed rate: requests are due at set instants, whatever became of those before.
//!
//! A load that waits for each answer before it asks again asks less while the proxy is slow, and so
//! never sees the wait that a user would. Here a request that couldn't be sent when it was due,
//! since its connection still waited for an answer, counts from when it was due.

use anyhow::Context as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// Enough for a thread that holds one buffer.
const STACK: usize = 256 << 10;

/// What to ask, and how often.
#[derive(Clone)]
pub struct Plan {
    /// The proxy.
    pub addr: SocketAddr,
    /// What to ask for.
    pub path: String,
    /// Connections, each with a thread of its own.
    pub connections: u32,
    /// Requests per second, of all connections together.
    pub per_second: f64,
    /// How long.
    pub seconds: f64,
}

/// What came of it.
pub struct Outcome {
    /// Times to the last byte, ascending, in microseconds.
    micros: Vec<u128>,
    /// From the first request to the last answer.
    took: Duration,
}

impl Plan {
    /// Runs it. Any answer but a 200, and any failure, ends it.
    pub fn run(&self) -> anyhow::Result<Outcome> {
        // Time to connect them all before the first is due.
        let start = Instant::now() + Duration::from_millis(200);
        let threads: Result<Vec<_>, _> = (0..self.connections)
            .map(|index| {
                let plan = self.clone();
                let work = move || plan.connection(index, start);
                thread::Builder::new().stack_size(STACK).spawn(work)
            })
            .collect();
        let mut micros = Vec::new();
        for thread in threads? {
            let one = thread.join().map_err(|_| anyhow::anyhow!("a thread died"))?;
            micros.extend(one?);
        }
        micros.sort_unstable();
        Ok(Outcome { micros, took: start.elapsed() })
    }

    fn connection(&self, index: u32, start: Instant) -> anyhow::Result<Vec<u128>> {
        let mut socket = TcpStream::connect(self.addr)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut answers = BufReader::with_capacity(64 << 10, socket.try_clone()?);
        let request = format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", self.path, self.addr);
        let gap = f64::from(self.connections) / self.per_second;
        let mut due =
            start + Duration::from_secs_f64(gap * f64::from(index) / f64::from(self.connections));
        let end = start + Duration::from_secs_f64(self.seconds);
        let mut micros = Vec::new();
        while due < end {
            let early = due.saturating_duration_since(Instant::now());
            thread::sleep(early);
            // The timer's own lateness isn't the proxy's.
            let from = if early.is_zero() { due } else { Instant::now() };
            socket.write_all(request.as_bytes())?;
            answer(&mut answers)?;
            micros.push(from.elapsed().as_micros());
            due += Duration::from_secs_f64(gap);
        }
        Ok(micros)
    }
}

/// Reads one answer to its end.
fn answer(from: &mut BufReader<TcpStream>) -> anyhow::Result<()> {
    let (mut line, mut status, mut length) = (String::new(), String::new(), 0);
    loop {
        line.clear();
        from.read_line(&mut line)?;
        if status.is_empty() {
            anyhow::ensure!(line.starts_with("HTTP/1.1 200 "), "not a 200: {line}");
            status.clone_from(&line);
        }
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().context("content-length")?;
        }
    }
    let read = std::io::copy(&mut from.take(length), &mut std::io::sink())?;
    anyhow::ensure!(read == length, "the body broke off");
    Ok(())
}

impl std::fmt::Display for Outcome {
    /// Requests, requests per second, p50, p99 and p99.9 in microseconds.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = self.micros.len();
        let at = |per_mille: usize| {
            let index = (count * per_mille / 1000).min(count.saturating_sub(1));
            self.micros.get(index).copied().unwrap_or_default()
        };
        let millis = self.took.as_millis().max(1);
        let rate = count as u128 * 1000 / millis;
        write!(f, "{count} {rate} {} {} {}", at(500), at(990), at(999))
    }
}
