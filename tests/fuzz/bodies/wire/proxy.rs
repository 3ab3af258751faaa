//! The whole proxy on a socket, between a client that sends given pieces and a recording origin.

use super::origin::{self, Asked};
use super::strict::{Message, Read, answer};
use arc_swap::ArcSwap;
use pollcast::config::{Config, Mode};
use pollcast::drain::Drain;
use pollcast::hub::Hub;
use pollcast::server::dispatch::live::Live;
use pollcast::server::dispatch::{Admitted, Complaints, Dispatch, Habits, Preflights, Shared};
use pollcast::server::{self, Settings};
use pollcast::telemetry::Metrics;
use pollcast::upstream::{HttpOrigin, Upstream};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Turns a hang into a failure; nothing waits for it otherwise.
const HANG: Duration = Duration::from_secs(10);

/// A server that waits for more than was promised says nothing for ever. Only how long such an
/// input takes depends on this, not what is found out.
const SILENCE: Duration = Duration::from_millis(20);

/// What all runs of a process share: it is costly to build, and keeps nothing of a request.
pub struct World {
    runtime: tokio::runtime::Runtime,
    live: Arc<ArcSwap<Live>>,
    hub: Hub,
    metrics: Metrics,
}

/// What one run showed.
pub struct Seen {
    /// What reached the origin.
    pub asked: Asked,
    /// Final answers that the client could read.
    pub answers: Vec<Message>,
    /// What it couldn't read as answers.
    pub rest: Vec<u8>,
}

impl World {
    /// Everything but the sockets.
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let inside = runtime.enter();
        let config = config(SocketAddr::from(([127, 0, 0, 1], 9)));
        let (drain, metrics) = (Drain::new(), Metrics::new());
        let upstream = Upstream::new(&config, &drain).unwrap();
        let origin = HttpOrigin::new(upstream, &config);
        let live = Live::new(config, ([7; 32], &Arc::default()), &metrics);
        let keyer = Arc::clone(&live.keyer);
        let hub = Hub::new(&live.config, Arc::new(origin), keyer, (drain, metrics.clone()), 7);
        drop(inside);
        Self { runtime, live: Arc::new(ArcSwap::from_pointee(live)), hub, metrics }
    }

    /// Sends the pieces over one connection, each on its own, and waits for the end. `answers` is
    /// how many a correct proxy gives before it has nothing more to say, if that is known.
    pub fn run(&self, pieces: &[&[u8]], answers: Option<usize>) -> Seen {
        let run = async { tokio::time::timeout(HANG, self.pass(pieces, answers)).await };
        self.runtime.block_on(run).expect("the connection hangs")
    }

    async fn pass(&self, pieces: &[&[u8]], expected: Option<usize>) -> Seen {
        let (behind, front) = (listener().await, listener().await);
        let config = config(behind.local_addr().unwrap());
        let addr = front.local_addr().unwrap();
        let asked: Arc<Mutex<Asked>> = Arc::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(origin::serve(behind, Arc::clone(&asked)));
        let drain = Drain::new();
        let dispatch = Dispatch::new(Shared {
            live: Arc::clone(&self.live),
            hub: self.hub.clone(),
            upstream: Upstream::new(&config, &drain).unwrap(),
            purse: Arc::default(),
            admitted: Admitted::default(),
            preflights: Preflights::default(),
            seats: Arc::default(),
            named: Arc::default(),
            habits: Habits::default(),
            complaints: Complaints::default(),
            metrics: self.metrics.clone(),
            drain: drain.clone(),
        });
        let (settings, metrics) = (Settings::from(&config), self.metrics.clone());
        drain.spawn(server::serve(front, dispatch, settings, drain.clone(), metrics));
        let mut client = Client::connect(addr).await;
        client.send(pieces).await;
        client.receive(expected).await;
        let Client { socket, answers, bytes, .. } = client;
        drop(socket);
        drain.leave();
        drain.left().await;
        drop(tasks);
        let asked = std::mem::take(&mut *asked.lock().unwrap());
        Seen { asked, answers, rest: bytes }
    }
}

fn config(origin: SocketAddr) -> Config {
    let mut config = Config::new(format!("http://{origin}").parse().unwrap());
    config.mode = Mode::Off;
    config
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

struct Client {
    socket: TcpStream,
    /// What came and isn't an answer yet.
    bytes: Vec<u8>,
    answers: Vec<Message>,
    broken: bool,
}

impl Client {
    async fn connect(addr: SocketAddr) -> Self {
        let socket = TcpStream::connect(addr).await.unwrap();
        socket.set_nodelay(true).unwrap();
        Self { socket, bytes: Vec::new(), answers: Vec::new(), broken: false }
    }

    async fn send(&mut self, pieces: &[&[u8]]) {
        for piece in pieces {
            if self.socket.write_all(piece).await.is_err() {
                return;
            }
            // Lets the proxy read this piece before the next is there.
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Reads to the end. Says that it has nothing more to say once it has all answers, or nobody
    /// says anything.
    async fn receive(&mut self, expected: Option<usize>) {
        let mut silent = 0;
        while silent < 2 && expected != Some(self.answers.len()) {
            match tokio::time::timeout(SILENCE, self.more()).await {
                Ok(true) => silent = 0,
                Ok(false) => return,
                Err(_) => silent += 1,
            }
        }
        if self.socket.shutdown().await.is_ok() {
            while self.more().await {}
        }
    }

    /// False at the end.
    async fn more(&mut self) -> bool {
        if !matches!(self.socket.read_buf(&mut self.bytes).await, Ok(1..)) {
            return false;
        }
        while !self.broken {
            match answer(&self.bytes, is_to_head) {
                Read::Complete(message, len) => {
                    self.bytes.drain(..len);
                    if !message.words()[1].starts_with(b"1") {
                        self.answers.push(message);
                    }
                }
                Read::Partial => break,
                Read::Bad(_) => self.broken = true,
            }
        }
        true
    }
}

/// The origin's answers name the method; behind one of ours, another answer begins at once.
fn is_to_head(message: &Message, after: &[u8]) -> bool {
    message.values("x-method") == [b"HEAD"] || after.starts_with(b"HTTP/1.")
}
