//! One connection, from its first byte: which protocol it speaks, and who drives it.

use super::multiplex::Spawner;
use super::transport::Transport;
use super::{Client, Handler, Settings, Tls, h1, h2};
use crate::drain::Drain;
use crate::telemetry::Metrics;
use bytes::Bytes;
use hyper::server::conn::{http1, http2};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::TlsAcceptor;

/// RFC 9113 §3.4: what a client that knows we speak HTTP/2 begins with.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The answer to clear text where TLS is spoken.
const PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
Content-Length: 54\r\nConnection: close\r\n\r\n\
Pollcast: this port speaks TLS, ask by https:// (400)\n";

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
    pub(super) http2: http2::Builder<Spawner>,
    /// How TLS is spoken; `None` is clear text.
    tls: Option<TlsAcceptor>,
}

impl<H> Shared<H> {
    pub(super) fn new(handler: H, settings: Settings, drain: Drain, metrics: Metrics) -> Self {
        let http1 = h1::builder(&settings);
        let http2 = h2::builder(&settings, drain.clone());
        let tls = settings.tls.as_ref().map(Tls::acceptor);
        Self { handler, settings, drain, metrics, http1, http2, tls }
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
    /// What carries it.
    pub(super) transport: Transport,
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
    socket: TcpStream,
    peer: SocketAddr,
    admission: Admission,
) {
    let client = Client { peer, tls: shared.tls.is_some() };
    let begin = async {
        match &shared.tls {
            None => sniff(socket).await,
            // Boxed: a handshake is over soon, and its state would stay in this task for ever.
            Some(tls) => Box::pin(handshake(tls, socket)).await,
        }
    };
    let begun = tokio::select! {
        biased;
        begun = tokio::time::timeout(shared.settings.client_head, begin) => begun,
        // Nothing was asked yet, so there is nothing to finish.
        () = shared.drain.closing() => return,
    };
    let Ok(Some((protocol, transport, read))) = begun else { return };
    let accepted = Accepted { transport, read, client, admission };
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
async fn sniff(mut socket: TcpStream) -> Option<(Protocol, Transport, Bytes)> {
    let mut seen = [0; PREFACE.len()];
    let mut len = 0;
    loop {
        let n = socket.read(&mut seen[len..]).await.ok().filter(|n| *n > 0)?;
        len += n;
        if seen[..len] != PREFACE[..len] {
            let read = Bytes::copy_from_slice(&seen[..len]);
            return Some((Protocol::Http1, Transport::Tcp(socket), read));
        }
        if len == PREFACE.len() {
            let read = Bytes::from_static(PREFACE);
            return Some((Protocol::Http2, Transport::Tcp(socket), read));
        }
    }
}

/// Agrees on TLS and, by ALPN, on the protocol; `None` if the client doesn't speak it.
async fn handshake(
    tls: &TlsAcceptor,
    mut socket: TcpStream,
) -> Option<(Protocol, Transport, Bytes)> {
    let mut first = [0];
    if socket.peek(&mut first).await.ok()? == 1 && first[0].is_ascii_uppercase() {
        // A method and no handshake: somebody wrote `http` for `https`, and is told so. Whether it
        // gets through is the client's affair.
        let _ = socket.write_all(PLAIN).await;
        let _ = socket.shutdown().await;
        return None;
    }
    let stream = match tls.accept(socket).await {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%error, "no TLS handshake");
            return None;
        }
    };
    let protocol = match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => Protocol::Http2,
        _ => Protocol::Http1,
    };
    Some((protocol, Transport::Tls(Box::new(stream)), Bytes::new()))
}
