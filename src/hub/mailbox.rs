//! What a stream still has to be told: at most one mark per topic, however fast the topic changes.

use super::locked;
use crate::stream::Bye;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

/// Marks of one stream. Topics mark, the stream takes.
#[derive(Debug)]
pub struct Mailbox(Mutex<Marks>);

#[derive(Debug)]
struct Marks {
    /// Slots to tell about, each at most once, oldest mark first.
    queue: VecDeque<usize>,
    /// Whether a slot stands in `queue`.
    marked: Vec<bool>,
    /// Slots that have ended, and why.
    ended: Vec<(usize, &'static str)>,
    /// The stream ends.
    bye: Option<Bye>,
    /// The stream's task, while it waits.
    waker: Option<Waker>,
}

/// What a stream finds.
#[derive(Debug, PartialEq, Eq)]
pub enum Mark {
    /// Something about this slot may be new.
    Slot(usize),
    /// The stream ends.
    Bye(Bye),
}

impl Mailbox {
    /// For a stream of `slots` topics, all marked: a new stream knows nothing.
    pub fn new(slots: usize) -> Self {
        Self(Mutex::new(Marks {
            queue: (0..slots).collect(),
            marked: vec![true; slots],
            ended: Vec::new(),
            bye: None,
            waker: None,
        }))
    }

    /// Marks a slot and wakes the stream.
    pub fn mark(&self, slot: usize) {
        let mut marks = locked(&self.0);
        match marks.marked.get_mut(slot) {
            Some(marked) if !*marked => *marked = true,
            _ => return,
        }
        marks.queue.push_back(slot);
        let waker = marks.waker.take();
        drop(marks);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// A slot's subscription has ended; the first reason counts.
    pub fn end(&self, slot: usize, reason: &'static str) {
        let mut marks = locked(&self.0);
        if !marks.ended.iter().any(|(ended, _)| *ended == slot) {
            marks.ended.push((slot, reason));
        }
        drop(marks);
        self.mark(slot);
    }

    /// Why a slot's subscription has ended, if it has.
    pub fn ended(&self, slot: usize) -> Option<&'static str> {
        let marks = locked(&self.0);
        marks.ended.iter().find(|(ended, _)| *ended == slot).map(|(_, reason)| *reason)
    }

    /// Ends the stream; the first reason counts.
    pub fn bye(&self, bye: Bye) {
        let mut marks = locked(&self.0);
        marks.bye.get_or_insert(bye);
        let waker = marks.waker.take();
        drop(marks);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Number of marks.
    pub fn pending(&self) -> usize {
        locked(&self.0).queue.len()
    }

    /// Takes the oldest mark; a `bye` goes before all marks. Cancel safe.
    pub fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Mark> {
        let mut marks = locked(&self.0);
        if let Some(bye) = marks.bye {
            return Poll::Ready(Mark::Bye(bye));
        }
        if let Some(slot) = marks.queue.pop_front() {
            if let Some(marked) = marks.marked.get_mut(slot) {
                *marked = false;
            }
            return Poll::Ready(Mark::Slot(slot));
        }
        marks.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
