//! An event stream on a bare socket: what is left of a connection once hyper is out of it.
//!
//! The rule: a frame is asked for only when the socket has taken the one before. What waits, waits
//! at the source, which conflates it; here is never more than one frame, whose larger part is
//! shared by all streams.

use super::connection::Admission;
use super::transport::Transport;
use crate::http::{Frame, Frames};
use crate::telemetry::Metrics;
use bytes::{Buf as _, Bytes};
use http::Response;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::time::Sleep;

/// A client has nothing to say on a stream. A stray line end or a pipelined request is thrown away
/// (RFC 9112 §9.6: after `Connection: close` the server "MUST NOT process any further requests");
/// who sends more than this is cut off.
const IGNORED_BYTES: usize = 64 << 10;

/// What a stream begins with.
pub(super) struct Start {
    /// Status and fields.
    pub(super) head: Response<()>,
    /// The events.
    pub(super) frames: Box<dyn Frames>,
    /// Number of bytes the client has sent beyond its request.
    pub(super) unread: usize,
}

/// The whole state of a stream; a task of its own. Every byte here is paid ten thousand times.
pub(super) struct EventStream {
    /// Ours alone.
    transport: Transport,
    /// The events.
    frames: Box<dyn Frames>,
    /// What the socket hasn't taken yet of the last frame.
    frame: Frame,
    /// True once the source has ended: the socket closes when the last frame is out.
    ended: bool,
    /// Bytes that may still come in unread.
    ignore: usize,
    /// How long a reader may take nothing.
    patience: Duration,
    /// Runs while the reader takes nothing; boxed and made on demand, since most streams never
    /// need one.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Counts the slow.
    metrics: Metrics,
    /// The place under the cap.
    _admission: Admission,
}

impl EventStream {
    pub(super) fn new(
        transport: Transport,
        start: Start,
        patience: Duration,
        metrics: Metrics,
        admission: Admission,
    ) -> Self {
        Self {
            transport,
            frames: start.frames,
            frame: Frame { head: head(&start.head), shared: Bytes::new() },
            ended: false,
            ignore: IGNORED_BYTES.saturating_sub(start.unread),
            patience,
            stalled: None,
            metrics,
            _admission: admission,
        }
    }

    /// Ready when the client has left.
    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 512];
        while self.ignore > 0 {
            let mut buf = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.transport).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => {
                    self.ignore = self.ignore.saturating_sub(buf.filled().len());
                }
                _ => break,
            }
        }
        Poll::Ready(())
    }

    /// Writes what there is of the frame.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.frame.is_empty() {
            let Frame { head, shared } = &mut self.frame;
            let parts = [IoSlice::new(head), IoSlice::new(shared)];
            let n = ready!(Pin::new(&mut self.transport).poll_write_vectored(cx, &parts))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.stalled = None;
            let own = n.min(head.len());
            head.advance(own);
            shared.advance(n - own);
        }
        // Lets shared bytes go as soon as they are out: the topic may have moved on.
        self.frame = Frame::default();
        // TLS has taken the frame, which doesn't mean that the socket has.
        ready!(Pin::new(&mut self.transport).poll_flush(cx))?;
        self.stalled = None;
        Poll::Ready(Ok(()))
    }

    /// Ready when the reader has taken nothing for too long.
    fn poll_impatient(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let patience = self.patience;
        let sleep = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        sleep.as_mut().poll(cx)
    }
}

impl Future for EventStream {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.poll_left(cx).is_ready() {
            return Poll::Ready(());
        }
        loop {
            match this.poll_write(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => {
                    ready!(this.poll_impatient(cx));
                    this.metrics.bye("slow");
                    return Poll::Ready(());
                }
            }
            if this.ended {
                // The socket closes with the task; this only says so in order. An error is the
                // client's leave.
                return Pin::new(&mut this.transport).poll_shutdown(cx).map(drop);
            }
            match ready!(this.frames.poll_frame(cx)) {
                Some(frame) => this.frame = frame,
                None => this.ended = true,
            }
        }
    }
}

/// The response head. No chunks: the stream ends with the connection (RFC 9112 §6.3), which
/// HTTP/1.0 understands too.
fn head(head: &Response<()>) -> Bytes {
    let mut out = format!("HTTP/1.1 {}\r\n", Status(head.status())).into_bytes();
    for (name, value) in head.headers() {
        if [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING].contains(name) {
            continue;
        }
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"connection: close\r\n\r\n");
    out.into()
}

/// Number and reason.
struct Status(http::StatusCode);

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.0.as_str(), self.0.canonical_reason().unwrap_or(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_closed_by_the_connection_and_by_nothing_else() {
        let response = Response::builder()
            .header("content-type", "text/event-stream")
            .header("content-length", "5")
            .header("connection", "keep-alive")
            .body(())
            .unwrap();
        let want =
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        assert_eq!(head(&response), want);
    }
}
