//! What all readers saw together.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Shared by the readers, who write, and the case, which waits and reads.
pub struct Tally {
    /// States delivered.
    delivered: AtomicU64,
    /// Beats delivered.
    beats: AtomicU64,
    /// Streams that broke off or were told what shouldn't be.
    faults: AtomicU64,
    /// Rings `reached` once so many states are delivered.
    goal: AtomicU64,
    /// See `goal`.
    reached: Notify,
    /// Whether latencies are of interest now.
    timed: AtomicBool,
    /// Held for a few instructions.
    seen: Mutex<Seen>,
}

/// What needs a lock.
struct Seen {
    /// When the last write began.
    wrote: Instant,
    /// From a write to each delivery.
    latencies: Vec<Duration>,
    /// Last state of each stream.
    last: Vec<u128>,
    /// Bodies as the witnesses have them.
    bodies: BTreeMap<usize, String>,
}

impl Tally {
    /// For so many streams.
    pub fn new(streams: usize) -> Self {
        let seen = Seen {
            wrote: Instant::now(),
            latencies: Vec::new(),
            last: vec![0; streams],
            bodies: BTreeMap::new(),
        };
        Self {
            delivered: AtomicU64::new(0),
            beats: AtomicU64::new(0),
            faults: AtomicU64::new(0),
            goal: AtomicU64::new(u64::MAX),
            reached: Notify::new(),
            timed: AtomicBool::new(false),
            seen: Mutex::new(seen),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stream was told a state.
    pub fn state(&self, stream: usize, hash: u128) {
        let mut seen = self.seen();
        if let Some(last) = seen.last.get_mut(stream) {
            *last = hash;
        }
        if self.timed.load(Ordering::Relaxed) {
            let latency = seen.wrote.elapsed();
            seen.latencies.push(latency);
        }
        drop(seen);
        let delivered = self.delivered.fetch_add(1, Ordering::AcqRel) + 1;
        if delivered == self.goal.load(Ordering::Acquire) {
            self.reached.notify_one();
        }
    }

    /// A witness rebuilt the body.
    pub fn body(&self, stream: usize, body: &str) {
        body.clone_into(self.seen().bodies.entry(stream).or_default());
    }

    /// A stream was told a beat.
    pub fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// A stream ended, or was told what shouldn't be.
    pub fn fault(&self) {
        self.faults.fetch_add(1, Ordering::Relaxed);
    }

    /// A write begins now; `timed` says whether the latencies of what follows count.
    pub fn write(&self, timed: bool) {
        self.timed.store(timed, Ordering::Relaxed);
        self.seen().wrote = Instant::now();
    }

    /// States delivered so far.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Acquire)
    }

    /// Beats delivered so far.
    pub fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }

    /// Streams that broke off, and surprises.
    pub fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }

    /// Waits until so many states are delivered in all; false if that takes too long.
    pub async fn until(&self, goal: u64) -> bool {
        const TOO_LONG: Duration = Duration::from_secs(20);
        self.goal.store(goal, Ordering::Release);
        let wait = async {
            while self.delivered() < goal {
                self.reached.notified().await;
            }
        };
        tokio::time::timeout(TOO_LONG, wait).await.is_ok()
    }

    /// Streams whose last state isn't this one, and witnesses whose body isn't this one.
    pub fn behind(&self, hash: u128, body: &str) -> usize {
        let seen = self.seen();
        let states = seen.last.iter().filter(|last| **last != hash).count();
        states + seen.bodies.values().filter(|rebuilt| *rebuilt != body).count()
    }

    /// All latencies, shortest first.
    pub fn latencies(&self) -> Vec<Duration> {
        let mut all = std::mem::take(&mut self.seen().latencies);
        all.sort_unstable();
        all
    }
}
