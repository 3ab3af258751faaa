//! One case: open streams, let them idle, change what they watch now and then, then as fast as it
//! goes, look what every stream ended with, and close them.

use crate::child::Server;
use crate::http::{Client, field};
use crate::origin::{Change, Origin, PATH};
use crate::reader;
use crate::tally::Tally;
use anyhow::Context as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often the apps poll.
pub const EVERY: Duration = Duration::from_secs(2);
/// For what happens after the last stream opened or closed to be over.
const SETTLE: Duration = Duration::from_secs(3);
/// How long the streams idle.
const IDLE: Duration = Duration::from_secs(4);
/// Writes that are waited for, one after another.
const ROUNDS: u64 = 20;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(30);
/// How long writes come as fast as they are answered.
const FLOOD: Duration = Duration::from_secs(4);
/// Between two of those: Pollcast polls once for all hints within 20 ms.
const GAP: Duration = Duration::from_millis(5);

/// In a second.
const MICROS: f64 = 1e6;

/// Who serves, and whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Pollcast; all streams share a topic.
    Shared,
    /// Pollcast; every stream has credentials, and so a topic, of its own.
    Identities,
    /// The bare broadcaster.
    Broadcaster,
}

impl Kind {
    /// For the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shared => "one topic",
            Self::Identities => "a topic each",
            Self::Broadcaster => "bare hyper",
        }
    }
}

/// What to measure.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub streams: usize,
    pub bytes: usize,
    pub change: Change,
    pub kind: Kind,
}

/// What came out.
pub struct Row {
    pub case: Case,
    /// Resident bytes before the first stream.
    pub start: f64,
    /// Resident bytes per idle stream.
    pub per_stream: f64,
    /// Resident bytes beyond those of the start, after all streams left.
    pub left: f64,
    /// Share of a core while nothing changes.
    pub idle_share: f64,
    /// Beats in that time, per second.
    pub idle_beats: f64,
    /// Requests to the origin in that time, per second.
    pub idle_polls: f64,
    /// Processor time per delivery while writes are waited for, in µs.
    pub calm_cost: f64,
    /// The same while they aren't.
    pub flood_cost: f64,
    /// Deliveries per second while they aren't.
    pub flood_rate: f64,
    /// Share of a core meanwhile.
    pub flood_share: f64,
    /// From a write to its deliveries: median, 99 %, longest.
    pub latency: [Duration; 3],
    /// Streams that didn't end with the last state, broke off, or were told what shouldn't be.
    pub lost: u64,
}

/// One case under way.
struct Run<'a> {
    case: Case,
    server: Server,
    origin: &'a Origin,
    tally: Arc<Tally>,
    writer: Client,
    /// Writes so far.
    writes: u64,
}

impl Case {
    /// Runs it.
    pub async fn run(self, pollcast: &Path, origin: &Origin) -> anyhow::Result<Row> {
        origin.form(self.bytes, self.change);
        let server = match self.kind {
            Kind::Broadcaster => Server::broadcaster()?,
            Kind::Shared | Kind::Identities => Server::pollcast(pollcast, &config(origin, "push"))?,
        };
        let writer = Client::connect(server.addr).await?;
        let tally = Arc::new(Tally::new(self.streams));
        let mut run = Run { case: self, server, origin, tally, writer, writes: 0 };
        run.warm_up().await?;
        run.measure().await
    }

    /// What a stream's client sends.
    fn request(self, stream: usize) -> String {
        if self.kind == Kind::Broadcaster {
            return "GET / HTTP/1.1\r\nHost: app\r\n\r\n".to_owned();
        }
        let headers = match self.kind {
            Kind::Identities => format!("[[\"authorization\",\"Bearer {stream}\"]]"),
            _ => "[]".to_owned(),
        };
        let every = EVERY.as_millis();
        let body = format!(
            "{{\"client\":\"load\",\"topics\":[{{\"url\":\"{PATH}\",\"headers\":{headers},\
             \"every_ms\":{every}}}]}}"
        );
        let len = body.len();
        format!(
            "POST /__pollcast/stream HTTP/1.1\r\nHost: app\r\nContent-Type: application/json\r\n\
             Content-Length: {len}\r\n\r\n{body}"
        )
    }
}

/// Pollcast's configuration: what limits it are the machine and the program, not the caps.
pub fn config(origin: &Origin, mode: &str) -> String {
    let addr = origin.addr;
    format!(
        "listen = \"127.0.0.1:0\"\norigin = \"http://{addr}\"\nmode = \"{mode}\"\n\
         [admin]\nlisten = \"off\"\n[log]\nformat = \"json\"\n\
         [poll]\nrate = 100000\nconcurrency = 64\nlinger = \"1s\"\n\
         [[watch]]\nname = \"topic\"\npath = \"{PATH}\"\n"
    )
}

impl Run<'_> {
    /// One stream comes and goes, so that what is made once isn't counted per stream.
    async fn warm_up(&mut self) -> anyhow::Result<()> {
        let tally = Arc::new(Tally::new(1));
        let requests = std::iter::once(self.case.request(0));
        let _reader = reader::open(self.server.addr, requests, false, &tally).await?;
        for goal in 1..=20 {
            self.write().await?;
            if self.case.kind != Kind::Broadcaster {
                anyhow::ensure!(tally.until(goal).await, "no event came to the first stream");
            }
        }
        Ok(())
    }

    async fn measure(&mut self) -> anyhow::Result<Row> {
        sleep(SETTLE).await;
        let before = self.server.resident()?;
        let requests = (0..self.case.streams).map(|stream| self.case.request(stream));
        let rebuilt = self.case.kind != Kind::Broadcaster;
        let readers = reader::open(self.server.addr, requests, rebuilt, &self.tally).await?;
        if rebuilt {
            anyhow::ensure!(self.tally.until(self.count()).await, "not all streams were served");
        }
        sleep(SETTLE).await;
        let opened = self.server.resident()?;
        let [idle_share, idle_beats, idle_polls] = self.idle().await?;
        let calm_cost = self.calm().await?;
        let (flood_cost, flood_rate, flood_share) = self.flood().await?;
        let lost = self.lost().await?;
        let latency = percentiles(&self.tally.latencies());
        drop(readers);
        sleep(2 * SETTLE).await;
        let per = |bytes: u64| bytes.saturating_sub(before) as f64 / self.case.streams as f64;
        Ok(Row {
            case: self.case,
            start: before as f64,
            per_stream: per(opened),
            left: self.server.resident()?.saturating_sub(before) as f64,
            idle_share,
            idle_beats,
            idle_polls,
            calm_cost,
            flood_cost,
            flood_rate,
            flood_share,
            latency,
            lost,
        })
    }

    fn count(&self) -> u64 {
        self.case.streams as u64
    }

    /// Nothing changes: share of a core, beats and requests to the origin per second.
    async fn idle(&self) -> anyhow::Result<[f64; 3]> {
        let (cpu, beats, polls) = (self.server.cpu()?, self.tally.beats(), self.origin.reads());
        let start = Instant::now();
        sleep(IDLE).await;
        let took = start.elapsed().as_secs_f64();
        let cpu = self.server.cpu()? - cpu;
        let (beats, polls) = (self.tally.beats() - beats, self.origin.reads() - polls);
        Ok([cpu / took, beats as f64 / took, polls as f64 / took])
    }

    /// Each write is waited for until every stream has it.
    async fn calm(&mut self) -> anyhow::Result<f64> {
        let (cpu, delivered) = (self.server.cpu()?, self.tally.delivered());
        for round in 1..=ROUNDS {
            self.tally.write(true);
            self.write().await?;
            if !self.tally.until(delivered + round * self.count()).await {
                // Counted as lost at the end, if they never come.
                break;
            }
            sleep(PAUSE).await;
        }
        let delivered = self.tally.delivered() - delivered;
        Ok((self.server.cpu()? - cpu) * MICROS / delivered as f64)
    }

    /// Writes wait for nothing but their own answers.
    async fn flood(&mut self) -> anyhow::Result<(f64, f64, f64)> {
        let (cpu, delivered, start) = (self.server.cpu()?, self.tally.delivered(), Instant::now());
        while start.elapsed() < FLOOD {
            self.tally.write(false);
            self.write().await?;
            sleep(GAP).await;
        }
        let took = start.elapsed().as_secs_f64();
        let delivered = (self.tally.delivered() - delivered) as f64;
        let cpu = self.server.cpu()? - cpu;
        Ok((cpu * MICROS / delivered, delivered / took, cpu / took))
    }

    /// Streams that never get the last state.
    async fn lost(&mut self) -> anyhow::Result<u64> {
        const TRIES: usize = 100;
        let (hash, body) = self.last().await?;
        for _ in 0..TRIES {
            if self.tally.behind(hash, &body) == 0 {
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(self.tally.behind(hash, &body) as u64 + self.tally.faults())
    }

    /// The last state: its name, as an answer to a page's own request says it, and the body, as the
    /// origin has it.
    async fn last(&mut self) -> anyhow::Result<(u128, String)> {
        if self.case.kind == Kind::Broadcaster {
            return Ok((u128::from(self.writes), String::new()));
        }
        let request = format!(
            "GET {PATH} HTTP/1.1\r\nHost: app\r\nPollcast-Client: load;renew\r\n\
             Authorization: Bearer 0\r\n\r\n"
        );
        let (head, body) = self.writer.ask(&request).await?;
        let state = field(&head, "pollcast-state").context("the answer names no state")?;
        let hash = u128::from_str_radix(state.split(';').next().unwrap_or_default(), 16)?;
        let now = self.origin.body();
        anyhow::ensure!(now.as_bytes() == body, "the answer isn't what the origin has");
        Ok((hash, now))
    }

    async fn write(&mut self) -> anyhow::Result<()> {
        self.writes += 1;
        let body = match self.case.kind {
            Kind::Broadcaster => event(self.writes, self.case),
            Kind::Shared | Kind::Identities => "{}".to_owned(),
        };
        let len = body.len();
        let request =
            format!("POST {PATH} HTTP/1.1\r\nHost: app\r\nContent-Length: {len}\r\n\r\n{body}");
        self.writer.ask(&request).await?;
        Ok(())
    }
}

/// What the broadcaster sends: as long as Pollcast's event for the same change.
fn event(write: u64, case: Case) -> String {
    let data = match case.change {
        Change::Field => format!("\"ops\":[[0,90],\"{write}\",[92,90]]"),
        Change::All => format!("\"body\":\"{}\"", "x".repeat(case.bytes)),
    };
    format!(
        "event: delta\ndata: 0\ndata: {{\"from\":\"{:032x}\",\"hash\":\"{write:032x}\",\
         \"seq\":{write},\"length\":182,\"check\":3735928559,{data}}}\n\n",
        write - 1
    )
}

fn percentiles(sorted: &[Duration]) -> [Duration; 3] {
    let at = |percent: usize| sorted.get(sorted.len() * percent / 100).copied();
    let longest = sorted.last().copied();
    [at(50), at(99), longest].map(Option::unwrap_or_default)
}
