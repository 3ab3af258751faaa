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

/// Holds a body of at most `limit` bytes. Dropping the future drops the body, as a client's leaving
/// does.
pub async fn hold(mut body: Body, limit: usize) -> Held {
    if body.size_hint().lower() > limit as u64 {
        return Held::Passing(body);
    }
    let until = Instant::now() + PATIENCE;
    let mut whole = BytesMut::new();
    loop {
        let frame = match tokio::time::timeout_at(until, body.frame()).await {
            Ok(None) => return Held::Whole(whole.freeze()),
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => return passing(whole, Some(Err(error)), None),
            Err(_) => return passing(whole, None, Some(body)),
        };
        match frame.into_data() {
            Ok(data) if whole.len() + data.len() <= limit => whole.extend_from_slice(&data),
            Ok(data) => return passing(whole, Some(Ok(Frame::data(data))), Some(body)),
            // Trailers end a body and belong to one message: a copy has none.
            Err(trailers) => return passing(whole, Some(Ok(trailers)), Some(body)),
        }
    }
}

fn passing(
    held: BytesMut,
    next: Option<Result<Frame<Bytes>, BoxError>>,
    rest: Option<Body>,
) -> Held {
    let mut front = VecDeque::new();
    if !held.is_empty() {
        front.push_back(Ok(Frame::data(held.freeze())));
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
    /// Taken when the copy is complete, or can't be.
    done: Option<F>,
}

impl<F: FnOnce(Bytes)> Tee<F> {
    /// `done` is called once, with the whole body, if that ends well within `limit` bytes.
    pub fn new(body: Body, limit: usize, done: F) -> Self {
        Self { body, copy: BytesMut::new(), limit, done: Some(done) }
    }

    fn finish(&mut self) {
        if let Some(done) = self.done.take() {
            done(std::mem::take(&mut self.copy).freeze());
        }
    }

    fn give_up(&mut self) {
        self.done = None;
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
                    if self.copy.len() + data.len() > self.limit {
                        self.give_up();
                    } else {
                        let data = data.clone();
                        self.copy.extend_from_slice(&data);
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
mod tests {
    use super::*;
    use futures_util::stream;
    use http_body_util::StreamBody;

    fn chunks(chunks: Vec<Result<&'static str, &'static str>>) -> Body {
        let frames = chunks.into_iter().map(|chunk| match chunk {
            Ok(text) => Ok(Frame::data(Bytes::from(text))),
            Err(text) => Err(BoxError::from(text)),
        });
        Body::boxed(StreamBody::new(stream::iter(frames)))
    }

    async fn rest(body: Body) -> (String, bool) {
        let (mut text, mut body) = (String::new(), body);
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap()),
                Err(_) => return (text, false),
            }
        }
        (text, true)
    }

    #[tokio::test(start_paused = true)]
    async fn holds_what_is_whole_and_passes_the_rest_from_its_first_byte() {
        let Held::Whole(whole) = hold(chunks(vec![Ok("ab"), Ok("cd")]), 4).await else { panic!() };
        assert_eq!(whole, "abcd");
        let Held::Passing(body) = hold(chunks(vec![Ok("ab"), Ok("cd")]), 3).await else { panic!() };
        assert_eq!(rest(body).await, ("abcd".to_owned(), true));
        let broken = hold(chunks(vec![Ok("ab"), Err("reset")]), 9).await;
        let Held::Passing(body) = broken else { panic!() };
        assert_eq!(rest(body).await, ("ab".to_owned(), false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_pauses_is_not_held() {
        use futures_util::StreamExt as _;
        let first = stream::iter([Ok::<_, BoxError>(Frame::data(Bytes::from("a")))]);
        let last = stream::once(async {
            tokio::time::sleep(Duration::from_secs(20)).await;
            Ok(Frame::data(Bytes::from("b")))
        });
        let body = Body::boxed(StreamBody::new(first.chain(Box::pin(last))));
        let start = Instant::now();
        let Held::Passing(body) = hold(body, 100).await else { panic!() };
        assert_eq!(start.elapsed(), PATIENCE);
        assert_eq!(rest(body).await, ("ab".to_owned(), true));
    }

    #[tokio::test]
    async fn a_copy_is_handed_over_only_if_it_is_whole() {
        for (body, limit, want) in [
            (chunks(vec![Ok("ab"), Ok("cd")]), 4, Some("abcd")),
            (chunks(vec![Ok("ab"), Ok("cd")]), 3, None),
            (chunks(vec![Ok("ab"), Err("reset")]), 9, None),
            (Body::from("abc"), 3, Some("abc")),
        ] {
            let (send, mut receive) = tokio::sync::mpsc::channel(1);
            let tee = Tee::new(body, limit, move |copy| send.try_send(copy).unwrap());
            rest(Body::boxed(tee)).await;
            assert_eq!(receive.recv().await, want.map(Bytes::from));
        }
    }
}
