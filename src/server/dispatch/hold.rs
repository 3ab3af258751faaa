//! Bodies of watched answers: held until complete, or copied while they stream.
//!
//! Rule: nothing that an app reads while it arrives may be held. A body that pauses, or is longer
//! than the limit, goes on as it came, with what was held of it in front.

use crate::http::{Body, BoxError};
use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// A body that takes longer than this to follow its head is one that is read as it arrives.
const PATIENCE: Duration = Duration::from_millis(500);

/// What became of holding.
pub enum Held {
    /// All of it.
    Whole(Bytes),
    /// It isn't to be held: here it is, from its first byte.
    Passing(Body),
}

/// Bytes of all answers that are held or copied, until their clients have taken them. A cap: else
/// whoever asks for much and reads nothing would fill the memory, at one body a request.
#[derive(Debug, Default)]
pub struct Purse(AtomicUsize);

/// One answer's share. Given back when it drops.
#[derive(Debug)]
struct Claim {
    purse: Arc<Purse>,
    bytes: usize,
    /// Of all shares together.
    cap: usize,
}

impl Claim {
    fn new(purse: &Arc<Purse>, cap: usize) -> Self {
        Self { purse: Arc::clone(purse), bytes: 0, cap }
    }

    /// False, and nothing changes, where that would exceed the cap.
    fn grow(&mut self, by: usize) -> bool {
        let next = |used: usize| used.checked_add(by).filter(|next| *next <= self.cap);
        let grown = self.purse.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok();
        self.bytes += if grown { by } else { 0 };
        grown
    }

    /// The bytes, which keep the share for as long as anybody has them.
    fn keep(self, bytes: BytesMut) -> Bytes {
        Bytes::from_owner(Claimed { bytes: bytes.freeze(), _claim: self })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.purse.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

struct Claimed {
    bytes: Bytes,
    _claim: Claim,
}

impl AsRef<[u8]> for Claimed {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// How much may be held.
#[derive(Clone, Copy, Debug)]
pub struct Caps<'a> {
    /// Bytes of this body.
    pub body: usize,
    /// Bytes of all together.
    pub all: usize,
    /// Counts them.
    pub purse: &'a Arc<Purse>,
}

/// Holds a body within the caps. Dropping the future drops the body, as a client's leaving does.
pub async fn hold(mut body: Body, caps: Caps<'_>) -> Held {
    let limit = caps.body;
    let mut claim = Claim::new(caps.purse, caps.all);
    if body.size_hint().lower() > limit as u64 {
        return Held::Passing(body);
    }
    let until = Instant::now() + PATIENCE;
    let mut whole = BytesMut::new();
    loop {
        let frame = match tokio::time::timeout_at(until, body.frame()).await {
            Ok(None) => return Held::Whole(claim.keep(whole)),
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => return passing(claim.keep(whole), Some(Err(error)), None),
            Err(_) => return passing(claim.keep(whole), None, Some(body)),
        };
        match frame.into_data() {
            Ok(data) if whole.len() + data.len() <= limit && claim.grow(data.len()) => {
                whole.extend_from_slice(&data);
            }
            Ok(data) => {
                return passing(claim.keep(whole), Some(Ok(Frame::data(data))), Some(body));
            }
            // Trailers end a body and belong to one message: a copy has none.
            Err(trailers) => {
                return passing(claim.keep(whole), Some(Ok(trailers)), Some(body));
            }
        }
    }
}

fn passing(held: Bytes, next: Option<Result<Frame<Bytes>, BoxError>>, rest: Option<Body>) -> Held {
    let mut front = VecDeque::new();
    if !held.is_empty() {
        front.push_back(Ok(Frame::data(held)));
    }
    front.extend(next);
    let rest = rest.unwrap_or_default();
    Held::Passing(Body::boxed(Resumed { front, rest, paused: false }))
}

/// A body with what was held of it in front.
struct Resumed {
    front: VecDeque<Result<Frame<Bytes>, BoxError>>,
    rest: Body,
    /// The pause before an error has been taken.
    paused: bool,
}

impl HttpBody for Resumed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if matches!(self.front.front(), Some(Err(_))) && !self.paused {
            // Whoever writes flushes only when there is nothing to write, and drops what it has
            // buffered at an error: without a pause the client would not even see the head.
            self.paused = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.front.pop_front() {
            Some(frame) => Poll::Ready(Some(frame)),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn size_hint(&self) -> SizeHint {
        if self.front.iter().any(Result::is_err) {
            // It never comes to the length that its head promises.
            return SizeHint::default();
        }
        let held: usize =
            self.front.iter().flatten().filter_map(|f| f.data_ref()).map(Bytes::len).sum();
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + held as u64);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + held as u64);
        }
        hint
    }
}

/// A body that passes unchanged and hands over a copy once it is complete.
pub struct Tee<F> {
    body: Body,
    copy: BytesMut,
    limit: usize,
    /// Of the copy; taken with it.
    claim: Option<Claim>,
    /// Taken when the copy is complete, or can't be.
    done: Option<F>,
}

impl<F: FnOnce(Bytes)> Tee<F> {
    /// `done` is called once, with the whole body, if that ends well within the caps.
    pub fn new(body: Body, caps: Caps<'_>, done: F) -> Self {
        let claim = Some(Claim::new(caps.purse, caps.all));
        Self { body, copy: BytesMut::new(), limit: caps.body, claim, done: Some(done) }
    }

    fn finish(&mut self) {
        if let (Some(done), Some(claim)) = (self.done.take(), self.claim.take()) {
            done(claim.keep(std::mem::take(&mut self.copy)));
        }
    }

    fn give_up(&mut self) {
        self.done = None;
        self.claim = None;
        self.copy = BytesMut::new();
    }
}

impl<F: FnOnce(Bytes) + Unpin> HttpBody for Tee<F> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            None => self.finish(),
            Some(Err(_)) => self.give_up(),
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref().filter(|_| self.done.is_some()) {
                    let fits = self.copy.len() + data.len() <= self.limit;
                    let claim = self.claim.as_mut().filter(|_| fits);
                    if claim.is_some_and(|claim| claim.grow(data.len())) {
                        self.copy.extend_from_slice(data);
                    } else {
                        self.give_up();
                    }
                }
                // With a known length nobody may ask again after the last byte.
                if self.body.is_end_stream() {
                    self.finish();
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
