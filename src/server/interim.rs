//! Interim responses (1xx) over HTTP/1.1, which hyper's server can't send.
//!
//! The rule: they are written only where a message may begin: all that went before is with the
//! kernel, and the answer that they announce isn't begun. hyper tells neither, so the driver says
//! when it has seen it pending with everything flushed ([`Interims::settle`]); one that comes
//! before that is dropped, which costs a hint and no more.

use http::{HeaderMap, StatusCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of interim responses that wait to be written; more are dropped.
const MOST: usize = 64 << 10;

/// Interim responses of one connection that wait to be written. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Interims(Arc<State>);

/// See [`Interims`].
#[derive(Debug, Default)]
struct State {
    /// False from a request to the first moment at which everything before it is written.
    settled: AtomicBool,
    /// True while there are bytes: looked at with every write, which a lock would be too dear for.
    any: AtomicBool,
    /// As they go out. Held to append or to take only.
    bytes: Mutex<Vec<u8>>,
}

impl Interims {
    /// A request begins.
    pub(super) fn begin(&self) {
        self.0.settled.store(false, Ordering::Relaxed);
    }

    /// Everything before the present request is written.
    pub(super) fn settle(&self) {
        self.0.settled.store(true, Ordering::Relaxed);
    }

    /// Appends one.
    pub(super) fn say(&self, status: StatusCode, fields: &HeaderMap) {
        if !self.0.settled.load(Ordering::Relaxed) {
            tracing::debug!(%status, "an interim response came too early");
            return;
        }
        let mut bytes = self.0.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let reason = status.canonical_reason().unwrap_or_default();
        let mut head = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
        for (name, value) in fields {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        if bytes.len() + head.len() <= MOST {
            bytes.extend_from_slice(&head);
            self.0.any.store(true, Ordering::Relaxed);
        }
    }

    /// What waits, for good.
    pub(super) fn take(&self) -> Option<Vec<u8>> {
        if !self.0.any.load(Ordering::Relaxed) {
            return None;
        }
        self.0.any.store(false, Ordering::Relaxed);
        let mut bytes = self.0.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        Some(std::mem::take(&mut *bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_comes_at_its_time_is_written() {
        let interims = Interims::default();
        interims.begin();
        interims.say(StatusCode::EARLY_HINTS, &HeaderMap::new());
        assert_eq!(interims.take(), None);
        interims.settle();
        let mut fields = HeaderMap::new();
        fields.insert("link", "</a>".parse().unwrap());
        interims.say(StatusCode::EARLY_HINTS, &fields);
        let want = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".to_vec();
        assert_eq!(interims.take(), Some(want));
        assert_eq!(interims.take(), None);
    }
}
