//! What Pollcast takes the place of: the same clients polling through the same proxy, which does
//! nothing but forward.

use crate::case::{EVERY, config};
use crate::child::Server;
use crate::http::Client;
use crate::origin::{Change, Origin, PATH};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at, sleep};

/// For every client to have polled once.
const SETTLE: Duration = Duration::from_secs(3);
/// How long it is measured.
const WINDOW: Duration = Duration::from_secs(8);

/// What came out.
pub struct Polled {
    /// Clients.
    pub clients: usize,
    /// Requests per second that the origin saw.
    pub requests: f64,
    /// Share of a core that the proxy took.
    pub share: f64,
    /// Resident bytes of the proxy per client.
    pub per_client: f64,
}

/// Polls for a while.
pub async fn run(pollcast: &Path, origin: &Origin, clients: usize) -> anyhow::Result<Polled> {
    origin.form(200, Change::Field);
    let server = Server::pollcast(pollcast, &config(origin, "off"))?;
    let before = server.resident()?;
    let mut polls = JoinSet::new();
    for index in 0..clients {
        // Spread over the interval, as browsers that opened at different times are.
        let first = EVERY.mul_f64(index as f64 / clients as f64);
        polls.spawn(poll(server.addr, first));
    }
    sleep(SETTLE).await;
    let (cpu, reads, start) = (server.cpu()?, origin.reads(), Instant::now());
    sleep(WINDOW).await;
    let took = start.elapsed().as_secs_f64();
    anyhow::ensure!(polls.try_join_next().is_none(), "a client was turned away");
    Ok(Polled {
        clients,
        requests: (origin.reads() - reads) as f64 / took,
        share: (server.cpu()? - cpu) / took,
        per_client: server.resident()?.saturating_sub(before) as f64 / clients as f64,
    })
}

async fn poll(addr: SocketAddr, first: Duration) -> anyhow::Result<()> {
    let mut client = Client::connect(addr).await?;
    let request = format!("GET {PATH} HTTP/1.1\r\nHost: app\r\n\r\n");
    let mut timer = interval_at(Instant::now() + first, EVERY);
    loop {
        timer.tick().await;
        client.ask(&request).await?;
    }
}
