//! A socket with what was read of it already, and the knowledge whether all that was written has
//! gone out.

use super::transport::Transport;
use bytes::{Buf as _, Bytes};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Whether everything that was written has gone to the kernel. Clones share the answer: the HTTP
/// library owns the socket while its driver asks.
#[derive(Clone, Debug, Default)]
pub(super) struct Flushed(Arc<AtomicBool>);

impl Flushed {
    /// True if there was a flush to the end since the last write, tried or done: taking the socket
    /// away loses no byte then.
    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, flushed: bool) {
        self.0.store(flushed, Ordering::Relaxed);
    }
}

/// The socket as the HTTP library sees it.
#[derive(Debug)]
pub(super) struct Wire {
    /// What carries the connection.
    transport: Transport,
    /// Comes before what the socket still has.
    replay: Bytes,
    /// False from each write to the next flush.
    flushed: Flushed,
}

impl Wire {
    pub(super) fn new(transport: Transport, replay: Bytes, flushed: Flushed) -> Self {
        Self { transport, replay, flushed }
    }

    /// What carries it, and what nobody has read yet.
    pub(super) fn into_parts(self) -> (Transport, Bytes) {
        (self.transport, self.replay)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.replay.is_empty() {
            return Pin::new(&mut self.transport).poll_read(cx, buf);
        }
        let n = self.replay.len().min(buf.remaining());
        buf.put_slice(&self.replay[..n]);
        self.replay.advance(n);
        if self.replay.is_empty() {
            // Lets the memory go, not only the view of it.
            self.replay = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.flushed.set(false);
        Pin::new(&mut self.transport).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.flushed.set(false);
        Pin::new(&mut self.transport).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flush = Pin::new(&mut self.transport).poll_flush(cx);
        if matches!(flush, Poll::Ready(Ok(()))) {
            self.flushed.set(true);
        }
        flush
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}
