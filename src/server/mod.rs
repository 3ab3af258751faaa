//! Accept loop, connections, limits. A connection speaks HTTP/1.1 or HTTP/2 (by its first bytes);
//! an event stream over HTTP/1.1 gets the bare socket.

mod accept;
mod connection;
pub mod dispatch;
mod event_stream;
mod gate;
mod h1;
mod h2;
mod head;
mod interim;
mod multiplex;
mod refuse;
mod tls;
mod transport;
mod tunnel;
mod upload;
mod websocket;
mod wire;

pub use accept::serve;
pub use tls::{Fault as TlsFault, Tls};

use crate::config::Config;
pub use crate::http::Client;
use crate::http::{Body, Frames};
use http::{Request, Response};
use hyper::upgrade::Upgraded;
use std::future::Future;
use std::time::Duration;

/// Answers requests. Cloned per request: a reference count at most.
pub trait Handler: Clone + Send + Sync + 'static {
    /// Answers one request. Dropped in mid-work if the client leaves.
    fn handle(&self, req: Request<Body>, client: Client) -> impl Future<Output = Reply> + Send;
}

/// What a request becomes.
pub enum Reply {
    /// An ordinary answer.
    Response(Response<Body>),
    /// An event stream. Its request's body must have been read to the end.
    Stream {
        /// Status and fields; framing and connection fields are the server's affair.
        head: Response<()>,
        /// The events; the stream ends when they do.
        frames: Box<dyn Frames>,
    },
    /// A WebSocket (HTTP/1.1 only).
    Tunnel {
        /// The origin's 101.
        head: Response<()>,
        /// What follows it.
        origin: Upgraded,
    },
}

/// What the server takes from the config.
#[derive(Clone, Debug)]
pub struct Settings {
    /// TLS; `None` is clear text. Not from the config alone, since it takes reading files.
    pub tls: Option<Tls>,
    /// Client connections at once; over it, accepting waits.
    pub connections: usize,
    /// Bytes of a request target.
    pub target: usize,
    /// Bytes of a request head.
    pub head: usize,
    /// From accept (or the last response) to a complete request head.
    pub client_head: Duration,
    /// A request body that doesn't move for this long is given up.
    pub client_body: Duration,
    /// A client that takes nothing of an answer for this long is cut off.
    pub client_write: Duration,
    /// A tunnel in which nothing moves for this long is cut.
    pub upgrade: Duration,
    /// A reader of a stream that takes nothing for this long is cut off.
    pub write_timeout: Duration,
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        Self {
            tls: None,
            connections: config.limits.connections,
            target: config.limits.target,
            head: config.limits.head,
            client_head: config.timeouts.client_head,
            client_body: config.timeouts.client_body,
            client_write: config.timeouts.client_write,
            upgrade: config.timeouts.upgrade,
            write_timeout: config.stream.write_timeout,
        }
    }
}
