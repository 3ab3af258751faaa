//! The server and the way to the origin, with nothing between them but a stream for tests.

use bytes::Bytes;
use http::{Request, Response};
use pollcast::config::Config;
use pollcast::drain::Drain;
use pollcast::error::Error;
use pollcast::http::{Body, Frame, Frames, fields};
use pollcast::server::{self, Client, Handler, Reply, Settings, Tls};
use pollcast::telemetry::Metrics;
use pollcast::upstream::{Passed, Upstream};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use tokio::net::TcpListener;

/// A running proxy.
pub struct Proxy {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Ends it.
    pub drain: Drain,
    /// What `/stream` sends.
    pub feed: Feed,
    /// Its numbers.
    pub metrics: Metrics,
}

impl Proxy {
    /// Starts one with all defaults.
    pub async fn to(origin: SocketAddr) -> Self {
        Self::with(origin, |_| {}).await
    }

    /// Starts one with some settings changed.
    pub async fn with(origin: SocketAddr, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(format!("http://{origin}").parse().unwrap());
        // Its name differs from process to process; the table of conformance holds it.
        config.forwarding.via = false;
        change(&mut config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (drain, feed, metrics) = (Drain::new(), Feed::default(), Metrics::new());
        let handler =
            Pass { upstream: Upstream::new(&config, &drain).unwrap(), feed: feed.clone() };
        let mut settings = Settings::from(&config);
        settings.tls = Tls::load(&config.tls).unwrap();
        if let Some(tls) = settings.tls.clone() {
            drain.spawn(tls.follow(drain.clone()));
        }
        let serve = server::serve(listener, handler, settings, drain.clone(), metrics.clone());
        drain.spawn(serve);
        Self { addr, drain, feed, metrics }
    }

    /// Value of a plain metric.
    pub fn metric(&self, name: &str) -> String {
        let text = self.metrics.encode();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap().to_owned()
    }
}

/// Passes everything but `/stream`.
#[derive(Clone)]
struct Pass {
    upstream: Upstream,
    feed: Feed,
}

impl Handler for Pass {
    async fn handle(&self, req: Request<Body>, client: Client) -> Reply {
        if req.uri().path() == "/stream" {
            let head = Response::builder().header("content-type", "text/event-stream");
            return Reply::Stream { head: head.body(()).unwrap(), frames: self.feed.open() };
        }
        let answer = self.pass(req, client).await;
        answer.unwrap_or_else(|error| Reply::Response(error.response()))
    }
}

impl Pass {
    async fn pass(&self, req: Request<Body>, client: Client) -> Result<Reply, Error> {
        if !fields::is_websocket(req.headers()) {
            return Ok(Reply::Response(self.upstream.forward(req, client).await?));
        }
        Ok(match self.upstream.tunnel(req, client).await? {
            Passed::Response(response) => Reply::Response(response),
            Passed::Tunnel { head, origin } => Reply::Tunnel { head, origin },
        })
    }
}

/// The source of all test streams. It conflates: a stream gets the newest frame only.
#[derive(Clone, Default)]
pub struct Feed(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    frame: Frame,
    version: u64,
    ended: bool,
    open: usize,
    wakers: Vec<Waker>,
}

impl Feed {
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.0.lock().unwrap();
        change(&mut state);
        state.wakers.drain(..).for_each(Waker::wake);
    }

    /// Replaces the frame.
    pub fn send(&self, head: &'static str, shared: impl Into<Bytes>) {
        let frame = Frame { head: Bytes::from_static(head.as_bytes()), shared: shared.into() };
        self.change(|state| {
            state.frame = frame;
            state.version += 1;
        });
    }

    /// Ends all streams, once they have the last frame.
    pub fn end(&self) {
        self.change(|state| state.ended = true);
    }

    /// Waits until so many streams are open.
    pub async fn opened(&self, count: usize) {
        while self.0.lock().unwrap().open != count {
            tokio::task::yield_now().await;
        }
    }

    fn open(&self) -> Box<dyn Frames> {
        self.0.lock().unwrap().open += 1;
        Box::new(Reader { feed: self.clone(), seen: 0 })
    }
}

struct Reader {
    feed: Feed,
    seen: u64,
}

impl Frames for Reader {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame>> {
        let mut state = self.feed.0.lock().unwrap();
        if state.version > self.seen {
            self.seen = state.version;
            return Poll::Ready(Some(state.frame.clone()));
        }
        if state.ended {
            return Poll::Ready(None);
        }
        state.wakers.push(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.feed.0.lock().unwrap().open -= 1;
    }
}
