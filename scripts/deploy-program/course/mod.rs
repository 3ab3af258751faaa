//! The course of a deploy: one generation hands over to the next while clients go on.

mod board;
mod client;
mod generation;
mod traffic;
mod viewer;

use anyhow::Context as _;
use board::Board;
use generation::Generation;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use traffic::Traffic;
use viewer::Viewer;

/// How long a change may take to reach every stream. Where a write passed through another
/// generation, it is the next poll that finds it.
const REACH: Duration = Duration::from_secs(10);

/// Served in peace before and between replacements.
const PEACE: Duration = Duration::from_millis(500);

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How often the process is replaced.
    pub replacements: u32,
    /// Event streams.
    pub streams: usize,
    /// Requests that begin each second, half of them on fresh connections.
    pub requests_per_second: u32,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// How often the process was replaced.
    pub replacements: u32,
    /// Requests that were answered as they should be.
    pub answered: u64,
    /// Requests that weren't.
    pub failed: u64,
    /// Streams that were open at the same time.
    pub streams: usize,
    /// How often a stream was opened again.
    pub moved: u64,
    /// Streams that ended without `bye`, or were refused.
    pub cut: u64,
    /// Last states that a stream didn't reach, and steps backwards.
    pub lost: u64,
    /// The longest that a request took.
    pub slowest: Duration,
    /// The first faults, in words.
    pub faults: Vec<String>,
}

impl Tally {
    /// True if nobody noticed.
    pub fn is_clean(&self) -> bool {
        self.failed == 0 && self.lost == 0 && self.cut == 0 && self.faults.is_empty()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requests = self.answered + self.failed;
        write!(
            f,
            "{} replacements: {requests} requests, {} failed; {} streams, {} lost updates, {} cut, \
             opened again {} times; slowest request {} ms",
            self.replacements,
            self.failed,
            self.streams,
            self.lost,
            self.cut,
            self.moved,
            self.slowest.as_millis(),
        )
    }
}

/// Everybody adds to it, under a lock for a few instructions.
#[derive(Clone, Debug, Default)]
struct Book(Arc<Mutex<Tally>>);

impl Book {
    fn write<T>(&self, change: impl FnOnce(&mut Tally) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn fault(&self, text: String) {
        self.write(|tally| {
            if tally.faults.len() < 20 {
                tally.faults.push(text);
            }
        });
    }
}

/// A deploy that is under way.
pub struct Course {
    program: PathBuf,
    /// The socket that outlives every generation.
    socket: std::net::TcpListener,
    board: Board,
    book: Book,
    viewers: Vec<Viewer>,
}

impl Course {
    /// Runs it all, and says a line after each replacement.
    ///
    /// # Errors
    /// Something that isn't under test failed: no port, no process.
    pub async fn run(
        program: PathBuf,
        plan: Plan,
        mut say: impl FnMut(&str),
    ) -> anyhow::Result<Tally> {
        let socket = std::net::TcpListener::bind("127.0.0.1:0")?;
        let front = socket.local_addr()?;
        let mut tasks = JoinSet::new();
        let board = Board::start(&mut tasks).await?;
        let book = Book::default();
        book.write(|tally| tally.streams = plan.streams);
        let mut course = Self { program, socket, board, book, viewers: Vec::new() };
        let mut present = course.generation(0).await?;
        course.open(front, plan.streams, &mut tasks);
        course.reached("at the start").await;
        let traffic = Traffic::start(front, plan.requests_per_second, course.book.clone());
        for number in 1..=plan.replacements {
            tokio::time::sleep(PEACE).await;
            present = course.replace(present, number).await?;
            say(&course.line(number));
        }
        traffic.stop().await;
        // The last word of all: nothing changes any more.
        course.board.change();
        course.reached("at the end").await;
        tasks.abort_all();
        drop(present);
        Ok(course.book.write(|tally| tally.clone()))
    }

    async fn generation(&self, number: u32) -> anyhow::Result<Generation> {
        let generation = Generation::start(&self.program, &self.socket, self.board.addr);
        generation.await.with_context(|| format!("generation {number}"))
    }

    fn open(&mut self, front: SocketAddr, streams: usize, tasks: &mut JoinSet<()>) {
        for _ in 0..streams {
            let viewer = Viewer::default();
            tasks.spawn(viewer.clone().watch(front, self.book.clone()));
            self.viewers.push(viewer);
        }
    }

    /// The next generation arrives, the present one leaves, and every stream gets what changed.
    async fn replace(&self, present: Generation, number: u32) -> anyhow::Result<Generation> {
        let next = self.generation(number).await?;
        let code = present.leave().await?;
        if code != Some(0) {
            self.book.fault(format!("replacement {number}: the old process ended with {code:?}"));
        }
        self.board.change();
        self.reached(&format!("after replacement {number}")).await;
        self.book.write(|tally| tally.replacements += 1);
        Ok(next)
    }

    /// Waits until every stream has shown the state of this moment.
    async fn reached(&self, when: &str) {
        let (wanted, until) = (self.board.state(), Instant::now() + REACH);
        for viewer in &self.viewers {
            while viewer.state() < wanted {
                if Instant::now() >= until {
                    let behind = self.viewers.iter().filter(|viewer| viewer.state() < wanted);
                    let behind = behind.count();
                    self.book.write(|tally| tally.lost += behind as u64);
                    self.book.fault(format!("{when}: {behind} streams never saw state {wanted}"));
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    fn line(&self, number: u32) -> String {
        self.book.write(|tally| {
            format!(
                "replacement {number}: {} requests answered, {} failed; {} lost updates",
                tally.answered, tally.failed, tally.lost
            )
        })
    }
}
