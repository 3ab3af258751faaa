//! Who visits the proxy, and what came of it.

use crate::client::{Mismatch, Unexpected};
use crate::origin::Versions;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A visit that takes longer hangs.
const HANG: Duration = Duration::from_secs(120);

/// Failures that are told in full.
const TOLD: usize = 20;

/// What a visit needs.
pub struct Visit {
    /// Where to go.
    pub proxy: SocketAddr,
    /// Chance of its own.
    pub rng: fastrand::Rng,
    /// What the topics are at.
    pub versions: Versions,
    /// True once nobody writes any more.
    pub quiet: watch::Receiver<bool>,
}

impl Visit {
    /// A size up to this; small ones are likelier.
    pub fn size(&mut self, most: u64) -> u64 {
        let share = self.rng.u64(0..1000).pow(3);
        most * (share / 1_000_000) / 1000 + self.rng.u64(0..1000)
    }
}

/// Visits of one kind.
#[derive(Clone, Copy, Default)]
struct Count {
    visits: u64,
    failed: u64,
    /// Bytes, or events of a stream.
    crossed: u64,
}

/// What came of all visits.
#[derive(Default)]
pub struct Tally {
    kinds: BTreeMap<&'static str, Count>,
    /// Bodies with other bytes than were sent.
    pub mismatches: u64,
    /// Statuses that weren't the origin's.
    pub unexpected: u64,
    /// Anything else that failed.
    pub broken: u64,
    /// What failed, the first ones.
    pub told: Vec<String>,
}

/// Everybody who visits.
pub struct World {
    proxy: SocketAddr,
    versions: Versions,
    tally: Arc<Mutex<Tally>>,
    /// True once no new visit begins.
    over: (watch::Sender<bool>, watch::Receiver<bool>),
    quiet: (watch::Sender<bool>, watch::Receiver<bool>),
    visitors: JoinSet<()>,
    keepers: JoinSet<()>,
}

impl World {
    /// Nobody yet.
    pub fn new(proxy: SocketAddr, versions: Versions) -> Self {
        Self {
            proxy,
            versions,
            tally: Arc::default(),
            over: watch::channel(false),
            quiet: watch::channel(false),
            visitors: JoinSet::new(),
            keepers: JoinSet::new(),
        }
    }

    /// So many at once, who come again after a pause of up to `pause_ms`, until it is over.
    pub fn visitors<F, V>(&mut self, kind: &'static str, many: usize, pause_ms: u64, visit: F)
    where
        F: Fn(Visit) -> V + Send + Clone + 'static,
        V: Future<Output = anyhow::Result<u64>> + Send,
    {
        for _ in 0..many {
            let (make, tally, mut over) =
                (self.maker(), Arc::clone(&self.tally), self.over.1.clone());
            let visit = visit.clone();
            self.visitors.spawn(async move {
                let mut rng = fastrand::Rng::new();
                while !*over.borrow() {
                    note(&tally, kind, visit(make())).await;
                    let pause = Duration::from_millis(rng.u64(0..=pause_ms));
                    let _ = tokio::time::timeout(pause, over.wait_for(|over| *over)).await;
                }
            });
        }
    }

    /// So many who come once and stay until all others have gone.
    pub fn keepers<F, V>(&mut self, kind: &'static str, many: usize, visit: F)
    where
        F: Fn(Visit) -> V + Send + Clone + 'static,
        V: Future<Output = anyhow::Result<u64>> + Send,
    {
        for _ in 0..many {
            let (make, tally, visit) = (self.maker(), Arc::clone(&self.tally), visit.clone());
            self.keepers.spawn(async move {
                let outcome = visit(make()).await;
                lock(&tally).add(kind, outcome);
            });
        }
    }

    fn maker(&self) -> impl Fn() -> Visit + Send + 'static {
        let (proxy, versions, quiet) =
            (self.proxy, Arc::clone(&self.versions), self.quiet.1.clone());
        move || Visit {
            proxy,
            rng: fastrand::Rng::new(),
            versions: Arc::clone(&versions),
            quiet: quiet.clone(),
        }
    }

    /// Lets everybody finish. Returns what came of it.
    pub async fn end(mut self) -> Tally {
        self.over.0.send_replace(true);
        while self.visitors.join_next().await.is_some() {}
        self.quiet.0.send_replace(true);
        while self.keepers.join_next().await.is_some() {}
        std::mem::take(&mut lock(&self.tally))
    }
}

fn lock(tally: &Mutex<Tally>) -> std::sync::MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn note(
    tally: &Mutex<Tally>,
    kind: &'static str,
    visit: impl Future<Output = anyhow::Result<u64>>,
) {
    let outcome = tokio::time::timeout(HANG, visit).await;
    let outcome = outcome.unwrap_or_else(|_| Err(anyhow::anyhow!("it hangs")));
    lock(tally).add(kind, outcome);
}

impl Tally {
    fn add(&mut self, kind: &'static str, outcome: anyhow::Result<u64>) {
        let count = self.kinds.entry(kind).or_default();
        count.visits += 1;
        let error = match outcome {
            Ok(crossed) => return count.crossed += crossed,
            Err(error) => error,
        };
        count.failed += 1;
        if error.is::<Mismatch>() {
            self.mismatches += 1;
        } else if error.is::<Unexpected>() {
            self.unexpected += 1;
        } else {
            self.broken += 1;
        }
        if self.told.len() < TOLD {
            self.told.push(format!("{kind}: {error:#}"));
        }
    }

    /// A table of all kinds.
    pub fn table(&self) -> String {
        let mut table =
            String::from("| visits | done | failed | bytes or events |\n|---|--:|--:|--:|\n");
        for (kind, count) in &self.kinds {
            let Count { visits, failed, crossed } = count;
            let _ = writeln!(table, "| {kind} | {visits} | {failed} | {crossed} |");
        }
        table
    }
}
