//! Streams that their client says it has left.
//!
//! A page that goes into the back/forward cache takes the worker that holds its stream along: both
//! stand still, and their connection stays open for minutes, though nobody looks. The last thing
//! such a page does is to name its stream here.

use crate::http::{Frame, Frames};
use futures_util::task::AtomicWaker;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

/// Streams by the names that their clients gave them: as many as are open.
#[derive(Debug, Default)]
pub struct Named(Mutex<HashMap<String, Arc<Left>>>);

/// Whether a stream was left, and whom to wake then.
#[derive(Debug, Default)]
struct Left {
    left: AtomicBool,
    waker: AtomicWaker,
}

impl Named {
    /// `frames`, until `name` is left. Of two streams with one name the newer one has it.
    pub fn name(
        self: &Arc<Self>,
        name: Option<String>,
        frames: Box<dyn Frames>,
    ) -> Box<dyn Frames> {
        let Some(name) = name else { return frames };
        let left = Arc::new(Left::default());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(name.clone(), Arc::clone(&left));
        Box::new(Leavable { frames, name, left, all: Arc::clone(self) })
    }

    /// Ends the stream of that name, if there is one.
    pub fn leave(&self, name: &str) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(left) = all.get(name) {
            left.left.store(true, Ordering::Release);
            left.waker.wake();
        }
    }
}

/// A stream with a name.
struct Leavable {
    frames: Box<dyn Frames>,
    name: String,
    left: Arc<Left>,
    all: Arc<Named>,
}

impl Frames for Leavable {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame>> {
        // Registered before the look: who leaves between the two wakes it.
        self.left.waker.register(cx.waker());
        if self.left.left.load(Ordering::Acquire) {
            return Poll::Ready(None);
        }
        self.frames.poll_frame(cx)
    }
}

impl Drop for Leavable {
    fn drop(&mut self) {
        let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.get(&self.name).is_some_and(|left| Arc::ptr_eq(left, &self.left)) {
            all.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    struct Silent;

    impl Frames for Silent {
        fn poll_frame(&mut self, _: &mut Context<'_>) -> Poll<Option<Frame>> {
            Poll::Pending
        }
    }

    #[test]
    fn only_the_stream_of_that_name_ends() {
        let named = Arc::new(Named::default());
        let mut cx = Context::from_waker(Waker::noop());
        let [mut one, mut other, mut none] = [Some("a"), Some("b"), None]
            .map(|name| named.name(name.map(str::to_owned), Box::new(Silent)));
        named.leave("a");
        named.leave("c");
        assert!(matches!(one.poll_frame(&mut cx), Poll::Ready(None)));
        assert!(other.poll_frame(&mut cx).is_pending());
        assert!(none.poll_frame(&mut cx).is_pending());
    }

    #[test]
    fn a_name_goes_with_its_stream_and_not_with_an_older_one() {
        let named = Arc::new(Named::default());
        let older = named.name(Some("a".to_owned()), Box::new(Silent));
        let mut newer = named.name(Some("a".to_owned()), Box::new(Silent));
        drop(older);
        named.leave("a");
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(newer.poll_frame(&mut cx), Poll::Ready(None)));
        drop(newer);
        assert!(named.0.lock().unwrap().is_empty());
    }
}
