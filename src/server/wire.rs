//! A connection as the HTTP library sees it: what was read of it already comes first, what a client
//! sends passes the gate, who stops moving is cut off, and whoever drives the library learns
//! whether all that was written has gone out.

use super::Settings;
use super::gate::{Bounds, Gate};
use super::interim::Interims;
use super::refuse::Refusal;
use super::transport::Transport;
use crate::silence::Silence;
use bytes::{Buf as _, Bytes};
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bits of a refusal's number beside the number of its request.
const REFUSAL_BITS: u32 = 8;

/// What the wire tells whoever drives the connection. Clones share it: the HTTP library owns the
/// wire meanwhile. Touched by one task, but for the answers' own.
#[derive(Clone, Debug, Default)]
pub(super) struct Signs(Arc<State>);

/// See [`Signs`].
#[derive(Debug, Default)]
struct State {
    /// False from each write to the next flush.
    flushed: AtomicBool,
    /// Bytes written, for good.
    written: AtomicU64,
    /// Which request is refused (from 1), and why, in one word; 0 is none. There is one at most.
    refused: AtomicU64,
    /// What the answers' futures say before their answers.
    interims: Interims,
}

impl Signs {
    /// Interim responses on their way to the client.
    pub(super) fn interims(&self) -> &Interims {
        &self.0.interims
    }

    /// True if there was a flush to the end since the last write, tried or done: taking the
    /// connection away loses no byte then.
    pub(super) fn flushed(&self) -> bool {
        self.0.flushed.load(Ordering::Relaxed)
    }

    /// Bytes written so far.
    pub(super) fn written(&self) -> u64 {
        self.0.written.load(Ordering::Relaxed)
    }

    /// Why a request is refused, counted from 1, if it is.
    pub(super) fn refused(&self, request: u64) -> Option<Refusal> {
        let word = self.0.refused.load(Ordering::Relaxed);
        let number = u8::try_from(word & ((1 << REFUSAL_BITS) - 1)).ok()?;
        (word >> REFUSAL_BITS == request).then(|| Refusal::numbered(number))?
    }

    fn refuse(&self, request: u64, refusal: Refusal) {
        let word = request << REFUSAL_BITS | u64::from(refusal as u8);
        self.0.refused.store(word, Ordering::Relaxed);
    }

    fn set_flushed(&self, flushed: bool) {
        self.0.flushed.store(flushed, Ordering::Relaxed);
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Wire {
    /// What carries the connection.
    transport: Transport,
    /// Comes before what the transport still has.
    replay: Bytes,
    /// Has passed the gate, and comes before everything.
    ending: &'static [u8],
    /// An interim response that is being written: goes before what the HTTP library writes.
    interim: Bytes,
    /// Looks at what a client of HTTP/1.1 sends; boxed, since HTTP/2 has none.
    gate: Option<Box<Gate>>,
    /// Runs while a request's body doesn't come.
    body: Silence,
    /// Runs while the client takes nothing.
    write: Silence,
    /// For the driver.
    signs: Signs,
}

impl Wire {
    /// Over a connection of which `replay` was read; `gated` if it is HTTP/1.1.
    pub(super) fn new(
        transport: Transport,
        replay: Bytes,
        settings: &Settings,
        gated: bool,
        signs: Signs,
    ) -> Self {
        let bounds = Bounds { target: settings.target, head: settings.head };
        Self {
            transport,
            replay,
            ending: b"",
            interim: Bytes::new(),
            gate: gated.then(|| Box::new(Gate::new(bounds))),
            body: Silence::new(settings.client_body),
            write: Silence::new(settings.client_write),
            signs,
        }
    }

    /// What carries it, and what nobody has read yet.
    pub(super) fn into_parts(self) -> (Transport, Bytes) {
        (self.transport, self.replay)
    }

    fn poll_source(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.replay.is_empty() {
            return Pin::new(&mut self.transport).poll_read(cx, buf);
        }
        let n = self.replay.len().min(buf.remaining());
        buf.put_slice(&self.replay[..n]);
        self.replay.advance(n);
        if self.replay.is_empty() {
            // Lets the memory go, not only the view of it.
            self.replay = Bytes::new();
            // A head is best seen whole. An end or an error comes again at the next read.
            let _ = Pin::new(&mut self.transport).poll_read(cx, buf);
        }
        Poll::Ready(Ok(()))
    }

    /// What was read from `start` on passes the gate.
    fn pass(&mut self, buf: &mut ReadBuf<'_>, start: usize) -> io::Result<()> {
        let Some(gate) = &mut self.gate else { return Ok(()) };
        self.body.broken();
        let Some(cut) = gate.see(&buf.filled()[start..]) else { return Ok(()) };
        self.signs.refuse(gate.heads(), cut.refusal);
        buf.set_filled(start + cut.keep);
        self.ending = cut.then;
        give(&mut self.ending, buf);
        // Nothing at all would say that the client has left.
        if buf.filled().len() > start { Ok(()) } else { Err(ErrorKind::InvalidData.into()) }
    }

    /// Nothing came. In mid-body that may last only so long.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(gate) = self.gate.as_ref().filter(|gate| gate.in_body()) {
            let request = gate.heads();
            if self.body.poll_over(cx).is_ready() {
                self.signs.refuse(request, Refusal::Stalled);
                return Poll::Ready(Err(ErrorKind::TimedOut.into()));
            }
        }
        Poll::Pending
    }

    /// Interim responses go out before anything else does.
    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(more) = self.signs.interims().take() {
            let mut all = self.interim.to_vec();
            all.extend_from_slice(&more);
            self.interim = all.into();
        }
        while !self.interim.is_empty() {
            self.signs.set_flushed(false);
            let written = Pin::new(&mut self.transport).poll_write(cx, &self.interim);
            match std::task::ready!(self.judge(cx, written))? {
                0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                n => self.interim.advance(n),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// The client took something, or nothing, which may last only so long.
    fn judge<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.write.broken();
            return written;
        }
        let over = self.write.poll_over(cx);
        over.map(|()| Err(ErrorKind::TimedOut.into()))
    }

    fn count(&self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(n)) = written {
            self.signs.0.written.fetch_add(*n as u64, Ordering::Relaxed);
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.ending.is_empty() {
            give(&mut this.ending, buf);
            return Poll::Ready(Ok(()));
        }
        let shut = this.gate.as_ref().is_some_and(|gate| gate.is_shut());
        if shut && this.gate.as_ref().is_some_and(|gate| gate.is_broken()) {
            return Poll::Ready(Err(ErrorKind::InvalidData.into()));
        }
        let start = buf.filled().len();
        match this.poll_source(cx, buf) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return this.poll_body(cx),
        }
        if buf.filled().len() == start {
            return Poll::Ready(Ok(()));
        }
        if shut {
            // Thrown away; only that the client leaves is still of interest.
            buf.set_filled(start);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(this.pass(buf, start))
    }
}

/// Moves as much as there is room for.
fn give(from: &mut &'static [u8], buf: &mut ReadBuf<'_>) {
    let (now, later) = from.split_at(from.len().min(buf.remaining()));
    buf.put_slice(now);
    *from = later;
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        std::task::ready!(self.poll_interim(cx))?;
        self.signs.set_flushed(false);
        let written = Pin::new(&mut self.transport).poll_write(cx, buf);
        self.count(&written);
        self.judge(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        std::task::ready!(self.poll_interim(cx))?;
        self.signs.set_flushed(false);
        let written = Pin::new(&mut self.transport).poll_write_vectored(cx, bufs);
        self.count(&written);
        self.judge(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.poll_interim(cx))?;
        let flush = Pin::new(&mut self.transport).poll_flush(cx);
        if matches!(flush, Poll::Ready(Ok(()))) {
            self.signs.set_flushed(true);
        }
        self.judge(cx, flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shutdown = Pin::new(&mut self.transport).poll_shutdown(cx);
        self.judge(cx, shutdown)
    }
}
