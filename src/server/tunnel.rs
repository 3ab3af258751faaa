//! A WebSocket, once both sides have agreed on it: bytes, until nothing has moved for too long.

use crate::drain::Drain;
use crate::upstream;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Copies until both ends are done, or nothing has moved for `idle` to twice that, or the process
/// leaves and this one's turn has come: a WebSocket has no end of its own to wait for.
pub(super) async fn run<C>(client: C, origin: Upgraded, idle: Duration, drain: &Drain)
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    let moves = Arc::new(AtomicU64::new(0));
    let client = Metered { inner: client, moves: Arc::clone(&moves) };
    let silence = async {
        let mut seen = None;
        loop {
            let now = moves.load(Ordering::Relaxed);
            if seen == Some(now) {
                return;
            }
            seen = Some(now);
            tokio::time::sleep(idle).await;
        }
    };
    tokio::select! {
        () = upstream::join(client, TokioIo::new(origin)) => {}
        () = silence => tracing::debug!("tunnel idle for timeouts.upgrade"),
        () = drain.parting() => {}
    }
}

/// Counts the moves of the client's side, both ways.
struct Metered<C> {
    /// The client's side.
    inner: C,
    /// Reads and writes that moved something.
    moves: Arc<AtomicU64>,
}

impl<C> Metered<C> {
    fn note<T>(&self, moved: &Poll<io::Result<T>>) {
        if moved.is_ready() {
            self.moves.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Metered<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.note(&read);
        read
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Metered<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.note(&written);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
