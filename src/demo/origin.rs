//! The origin: a plain HTTP/1.1 server on a loopback port of the system's choice, with its state in
//! memory.

use super::board::{Author, Board};
use super::colleague::{self, Act};
use super::router;
use super::session::Sessions;
use crate::drain::Drain;
use anyhow::Context as _;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// At most so many connections at once; a further one waits in the system's backlog.
const CONNECTIONS_MAX: usize = 256;
/// A connection that sends no complete request head for so long is closed. Above the time for which
/// a proxy keeps idle connections, or a request could meet the close.
const HEAD_TIMEOUT: Duration = Duration::from_secs(120);
/// An API answer takes at least and at most so many milliseconds.
pub(super) const LATENCY_MS: std::ops::RangeInclusive<u64> = 40..=120;
/// Without a request to the API for so long, nobody is looking.
pub(super) const LOOKING: Duration = Duration::from_secs(30);

/// What the server's connections share.
#[derive(Debug)]
pub(super) struct Shared {
    /// The board. Held for the length of one change or one serialisation, never across an await.
    board: Mutex<Board>,
    /// Who is who. Never held together with `board`.
    sessions: Mutex<Sessions>,
    /// Where latencies and session numbers come from: a seed replays them.
    random: Mutex<fastrand::Rng>,
    /// When somebody last asked the API for something; none before the first.
    asked: Mutex<Option<Instant>>,
}

impl Shared {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            board: Mutex::new(Board::new(now_ms())),
            sessions: Mutex::default(),
            random: Mutex::new(fastrand::Rng::with_seed(seed)),
            asked: Mutex::default(),
        }
    }

    pub(super) fn board(&self) -> MutexGuard<'_, Board> {
        lock(&self.board)
    }

    /// Opens a session and returns its cookie value.
    pub(super) fn login(&self, name: Option<&str>) -> String {
        let secret = lock(&self.random).u128(..);
        lock(&self.sessions).open(name, secret)
    }

    /// The name behind a cookie value.
    pub(super) fn name(&self, sid: &str) -> Option<String> {
        lock(&self.sessions).name(sid).map(str::to_owned)
    }

    /// Who sent a request with these fields, acting now.
    pub(super) fn author(&self, sid: Option<&str>, mark: Option<String>) -> Author {
        let who = sid.and_then(|sid| self.name(sid)).unwrap_or_else(|| "Guest".into());
        Author { who, mark, at_ms: now_ms() }
    }

    /// How long the next API answer takes.
    pub(super) fn latency(&self) -> Duration {
        Duration::from_millis(lock(&self.random).u64(LATENCY_MS))
    }

    /// Notes that somebody asked the API for something.
    pub(super) fn asked(&self) {
        *lock(&self.asked) = Some(Instant::now());
    }

    pub(super) fn is_looked_at(&self) -> bool {
        lock(&self.asked).is_some_and(|at| at.elapsed() < LOOKING)
    }
}

/// The running origin.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Its state, for [`Origin::plan`] and [`Origin::login`].
    shared: Arc<Shared>,
}

impl Origin {
    /// Opens a session under this name and returns the value of its `sid` cookie.
    pub fn login(&self, name: &str) -> String {
        self.shared.login(Some(name))
    }

    /// What a colleague could do to the board now; none if nobody has looked at it for 30 s, so
    /// that an abandoned demo rests.
    pub fn plan(&self, random: &mut fastrand::Rng) -> Option<Act> {
        self.shared.is_looked_at().then(|| colleague::plan(&self.shared.board(), random))
    }
}

/// Starts the origin on a free loopback port. Its tasks end when `drain` leaves.
pub async fn spawn(drain: &Drain, seed: u64) -> anyhow::Result<Origin> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .context("the demo's origin found no free port on 127.0.0.1")?;
    let addr = listener.local_addr().context("the demo's origin has no address")?;
    let shared = Arc::new(Shared::new(seed));
    drain.spawn(accept(drain.clone(), listener, shared.clone()));
    Ok(Origin { addr, shared })
}

async fn accept(drain: Drain, listener: TcpListener, shared: Arc<Shared>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = drain.leaving() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, _)) => {
                let (on, shared) = (drain.clone(), shared.clone());
                drain.spawn(async move {
                    serve(&on, socket, shared).await;
                    drop(slot);
                });
            }
            Err(error) => {
                // Out of file descriptors: at full speed this loop would eat the processor until
                // one is free.
                tracing::warn!(%error, "the demo's origin can't accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(drain: &Drain, socket: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { Ok::<_, std::convert::Infallible>(router::answer(&shared, request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(socket), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = drain.leaving() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the demo's origin ended early");
    }
}

/// The server's clock as events show it: a page subtracts it from its own to tell how long a change
/// took.
#[allow(clippy::disallowed_methods, reason = "the one place of the demo that reads the wall clock")]
fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A thread that panicked while it held the lock left at worst one half-made change: on a demo's
/// board, no harm.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
