//! One connection, from its first byte: which protocol it speaks, and who drives it.

use super::{Client, Handler, Settings, h1, h2};
use crate::drain::Drain;
use crate::telemetry::Metrics;
use bytes::Bytes;
use hyper::server::conn::{http1, http2};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

/// RFC 9113 §3.4: what a client that knows we speak HTTP/2 begins with.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What all connections share.
pub(super) struct Shared<H> {
    /// Answers requests.
    pub(super) handler: H,
    /// Limits and times.
    pub(super) settings: Settings,
    /// Tracks every task, and says when to leave.
    pub(super) drain: Drain,
    /// Counts.
    pub(super) metrics: Metrics,
    /// How HTTP/1.1 is spoken; built once, since its timer is an allocation.
    pub(super) http1: http1::Builder,
    /// How HTTP/2 is spoken.
    pub(super) http2: http2::Builder<h2::Spawner>,
}

impl<H> Shared<H> {
    pub(super) fn new(handler: H, settings: Settings, drain: Drain, metrics: Metrics) -> Self {
        let http1 = h1::builder(&settings);
        let http2 = h2::builder(&settings, drain.clone());
        Self { handler, settings, drain, metrics, http1, http2 }
    }
}

/// A client's place under the cap. Goes with the connection, into whichever task has it, and is
/// given back when it drops.
pub(super) struct Admission {
    /// The place itself.
    _permit: OwnedSemaphorePermit,
    /// Where the connection is counted.
    metrics: Metrics,
}

impl Admission {
    pub(super) fn new(permit: OwnedSemaphorePermit, metrics: Metrics) -> Self {
        metrics.connection_opened();
        Self { _permit: permit, metrics }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.metrics.connection_closed();
    }
}

/// A connection whose protocol is known.
pub(super) struct Accepted {
    /// The socket.
    pub(super) socket: TcpStream,
    /// What was read of it to learn the protocol.
    pub(super) read: Bytes,
    /// The other end.
    pub(super) client: Client,
    /// The place under the cap.
    pub(super) admission: Admission,
}

/// Serves one connection to its end, or until it has become a stream or a tunnel with a task of its
/// own.
pub(super) async fn serve<H: Handler>(
    shared: Arc<Shared<H>>,
    mut socket: TcpStream,
    peer: SocketAddr,
    admission: Admission,
) {
    let first = tokio::select! {
        first = tokio::time::timeout(shared.settings.client_head, sniff(&mut socket)) => first,
        // Nothing was asked yet, so there is nothing to finish.
        () = shared.drain.leaving() => return,
    };
    let Ok(Some((protocol, read))) = first else { return };
    let client = Client { peer, tls: false };
    let accepted = Accepted { socket, read, client, admission };
    // Boxed, so that this task is as small as the smaller of the two.
    match protocol {
        Protocol::Http1 => Box::pin(h1::serve(shared, accepted)).await,
        Protocol::Http2 => Box::pin(h2::serve(shared, accepted)).await,
    }
}

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    /// HTTP/1.1 and older.
    Http1,
    /// HTTP/2 without TLS, by prior knowledge.
    Http2,
}

/// Reads as little as tells the protocols apart; `None` if the client left first. What was read
/// comes with it.
async fn sniff(socket: &mut TcpStream) -> Option<(Protocol, Bytes)> {
    let mut seen = [0; PREFACE.len()];
    let mut len = 0;
    loop {
        let n = socket.read(&mut seen[len..]).await.ok().filter(|n| *n > 0)?;
        len += n;
        if seen[..len] != PREFACE[..len] {
            return Some((Protocol::Http1, Bytes::copy_from_slice(&seen[..len])));
        }
        if len == PREFACE.len() {
            return Some((Protocol::Http2, Bytes::from_static(PREFACE)));
        }
    }
}
