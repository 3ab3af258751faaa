//! The frames of an endless body: what an event stream hands to whoever writes to the socket.

use bytes::Bytes;
use std::task::{Context, Poll};

/// One event, ready for the wire: a short part of its own and a part shared by all streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// This stream's own bytes (event name, topic index). May be empty.
    pub head: Bytes,
    /// Reference-counted bytes shared by every stream that sends this event. May be empty.
    pub shared: Bytes,
}

impl Frame {
    /// Length on the wire, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.head.len() + self.shared.len()
    }

    /// True if there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A source of frames. It is asked only when the previous frame has been taken by the socket, so
/// that whoever implements it conflates behind a slow reader instead of queueing.
pub trait Frames: Send {
    /// The next frame; `None` ends the stream. Must not be polled again after `None`. Dropping it
    /// unsubscribes.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame>>;
}
