//! The body of a page on its way through.
//!
//! The rule: until the place is known, every byte is kept as it came, so that giving up costs
//! nothing; from then on, every frame of the origin leaves as soon as it is here. What is held is
//! bounded by [`UNDECIDED_BYTES`].

use super::coding::{Coding, Decoder, Encoder};
use super::place::{Finder, Verdict};
use super::{Plan, Teller, Why};
use crate::http::{Body, BoxError};
use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A page whose head isn't found within this goes on unchanged.
const UNDECIDED_BYTES: usize = 128 << 10;
/// What is encoded at most before it is passed on.
const FRAME_BYTES: usize = 32 << 10;

/// A body that puts the tag in its place.
pub(super) struct Page {
    /// The origin's body.
    inner: Body,
    /// What leaves next, in order.
    out: VecDeque<Bytes>,
    /// What ended the origin's body, if it said more than "end": trailers, or an error. Leaves
    /// after everything else.
    last: Option<Result<Frame<Bytes>, BoxError>>,
    /// How far it got.
    stage: Stage,
    /// Nothing more comes from the origin.
    ended: bool,
    /// The server had its chance to send what came before an error.
    paused: bool,
    /// Whom to tell what became of the page.
    teller: Teller,
}

/// How far a page got.
enum Stage {
    /// The place isn't known. Boxed: the two working stages are large, and most of a page's life is
    /// neither.
    Seeking(Box<Seeking>),
    /// Frames pass as they are.
    Passing,
    /// The tag is in; the rest is decoded and encoded again.
    Recoding(Box<Recoding>),
}

/// A page before its place is known.
struct Seeking {
    /// What to put there.
    tag: Bytes,
    /// The content coding.
    coding: Coding,
    /// Frames as they came.
    raw: Vec<Bytes>,
    /// Their length.
    raw_bytes: usize,
    /// `None` for identity.
    decoder: Option<Decoder>,
    /// What came, not yet decoded.
    input: Bytes,
    /// What was decoded.
    page: Vec<u8>,
    /// Looks for the place.
    finder: Finder,
}

/// An encoded page after its place.
struct Recoding {
    /// From the origin's coding.
    decoder: Decoder,
    /// To the same coding.
    encoder: Encoder,
    /// What came, not yet decoded.
    input: Bytes,
    /// Encoded, not yet sent.
    out: BytesMut,
}

impl Page {
    /// The body, on the way to get the tag.
    pub(super) fn new(inner: Body, plan: Plan, teller: Teller) -> Self {
        let hiding = (!plan.labelled).then_some(plan.tag.len());
        let seeking = Seeking {
            decoder: plan.coding.decoder(),
            finder: Finder::new(plan.sure, hiding),
            tag: plan.tag,
            coding: plan.coding,
            raw: Vec::new(),
            raw_bytes: 0,
            input: Bytes::new(),
            page: Vec::new(),
        };
        let stage = Stage::Seeking(Box::new(seeking));
        Self { inner, out: VecDeque::new(), last: None, stage, ended: false, paused: false, teller }
    }

    /// One frame of the origin, or its end.
    fn take(&mut self, frame: Option<Result<Frame<Bytes>, BoxError>>) {
        let mut data = Bytes::new();
        match frame.map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(bytes))) => data = bytes,
            Some(Ok(Err(trailers))) => self.last = Some(Ok(trailers)),
            Some(Err(error)) => self.last = Some(Err(error)),
            None => self.ended = true,
        }
        self.ended |= self.last.is_some();
        match &mut self.stage {
            Stage::Passing => self.give(data),
            Stage::Seeking(seeking) => {
                // What broke off before its head was here is no page.
                let cut = matches!(self.last, Some(Err(_)));
                let verdict = if cut { Verdict::Failed } else { seeking.take(data, self.ended) };
                self.decide(verdict);
            }
            Stage::Recoding(recoding) => recoding.input = data,
        }
        self.recode();
    }

    fn give(&mut self, data: Bytes) {
        if !data.is_empty() {
            self.out.push_back(data);
        }
    }

    fn give_all(&mut self, frames: Vec<Bytes>) {
        for frame in frames {
            self.give(frame);
        }
    }

    /// Leaves [`Stage::Seeking`] once the place is known, or known not to be there.
    fn decide(&mut self, verdict: Verdict) {
        let why = match verdict {
            Verdict::Undecided => return,
            Verdict::At(_) | Verdict::Failed => Why::Broken,
            Verdict::Fragment => Why::Fragment,
            Verdict::Encoding => Why::Characters,
            Verdict::Charset => Why::Charset,
        };
        let Stage::Seeking(seeking) = std::mem::replace(&mut self.stage, Stage::Passing) else {
            return;
        };
        let Verdict::At(at) = verdict else {
            self.teller.left_alone(why);
            self.give_all(seeking.raw);
            return;
        };
        match seeking.insert(at) {
            Ok(Inserted::Plain(parts)) => self.give_all(parts),
            Ok(Inserted::Coded(recoding)) => self.stage = Stage::Recoding(recoding),
            Err(raw) => {
                self.teller.left_alone(why);
                self.give_all(raw);
                return;
            }
        }
        self.teller.injected();
    }

    /// One bounded piece of [`Stage::Recoding`]; nothing to do in the others.
    fn recode(&mut self) {
        let Stage::Recoding(recoding) = &mut self.stage else { return };
        let result = recoding.run(self.ended);
        let out = recoding.out.split().freeze();
        self.give(out);
        if let Err(error) = result {
            // The reader has our coding's bytes already, so the origin's can't follow: break off,
            // as the origin's own bytes would have broken off in the browser's decoder.
            self.last = Some(Err(error.into()));
            self.stage = Stage::Passing;
            self.inner = Body::Empty;
            self.ended = true;
        }
    }

    fn busy(&self) -> bool {
        matches!(&self.stage, Stage::Recoding(recoding) if recoding.ready())
    }
}

impl HttpBody for Page {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            if let Some(next) = self.out.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(next))));
            }
            if self.busy() {
                self.recode();
            } else if self.ended && matches!(self.last, Some(Err(_))) && !self.paused {
                // An error makes the server drop what it hasn't sent yet, and what was held of this
                // page came all at once. While it waits, it sends.
                self.paused = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            } else if self.ended {
                return Poll::Ready(self.last.take());
            } else {
                let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
                self.take(frame);
            }
        }
    }
}

/// A page with the tag in it.
enum Inserted {
    /// Ready to leave.
    Plain(Vec<Bytes>),
    /// To be encoded; the tag is in already.
    Coded(Box<Recoding>),
}

impl Seeking {
    fn take(&mut self, data: Bytes, ended: bool) -> Verdict {
        if !data.is_empty() {
            self.raw_bytes += data.len();
            self.raw.push(data.clone());
        }
        let verdict = match &self.decoder {
            None => {
                // No copy of what is beyond the limit: one frame may be a whole page.
                let room = (UNDECIDED_BYTES + 1).saturating_sub(self.page.len());
                self.page.extend_from_slice(&data[..room.min(data.len())]);
                self.finder.look(&self.page, ended)
            }
            Some(_) => self.decode(data, ended),
        };
        let held = self.page.len().max(self.raw_bytes);
        match verdict {
            Verdict::Undecided if ended || held > UNDECIDED_BYTES => Verdict::Failed,
            verdict => verdict,
        }
    }

    fn decode(&mut self, data: Bytes, ended: bool) -> Verdict {
        let Some(decoder) = &mut self.decoder else { return Verdict::Failed };
        self.input = data;
        while decoder.ready(&self.input) {
            let step = decoder.step(&mut self.input);
            if step.error.is_some() {
                return Verdict::Failed;
            }
            self.page.extend_from_slice(&step.plain);
            match self.finder.look(&self.page, false) {
                Verdict::Undecided if self.page.len() <= UNDECIDED_BYTES => {}
                verdict => return verdict,
            }
        }
        match (ended, self.raw_bytes) {
            (false, _) => Verdict::Undecided,
            (true, 0) => Verdict::Fragment,
            (true, _) if decoder.complete() => self.finder.look(&self.page, true),
            (true, _) => Verdict::Failed,
        }
    }

    /// The page with the tag at `at`; the frames as they came if that fails.
    fn insert(self, at: usize) -> Result<Inserted, Vec<Bytes>> {
        let Some(decoder) = self.decoder else {
            return Ok(Inserted::Plain(split_at(self.raw, at, self.tag)));
        };
        let Some(mut encoder) = self.coding.encoder() else { return Err(self.raw) };
        let mut out = BytesMut::new();
        let (before, after) = self.page.split_at(at.min(self.page.len()));
        for part in [before, &self.tag, after] {
            if encoder.write(part, &mut out).is_err() {
                return Err(self.raw);
            }
        }
        let input = self.input;
        Ok(Inserted::Coded(Box::new(Recoding { decoder, encoder, input, out })))
    }
}

impl Recoding {
    fn ready(&self) -> bool {
        self.decoder.ready(&self.input)
    }

    /// Goes on until the input is used up or a frame is full. `ended`: no more input comes.
    fn run(&mut self, ended: bool) -> io::Result<()> {
        let fed = self.ready() || !self.out.is_empty();
        while self.ready() {
            let step = self.decoder.step(&mut self.input);
            self.encoder.write(&step.plain, &mut self.out)?;
            if let Some(error) = step.error {
                self.encoder.flush(&mut self.out)?;
                return Err(error);
            }
            if self.out.len() >= FRAME_BYTES && self.ready() {
                return Ok(());
            }
        }
        // A stream that the origin didn't complete isn't completed by us: who checks must see it.
        if ended && self.decoder.complete() {
            self.encoder.finish(&mut self.out)
        } else if fed {
            self.encoder.flush(&mut self.out)
        } else {
            Ok(())
        }
    }
}

/// The frames with the tag at `at`.
fn split_at(frames: Vec<Bytes>, at: usize, tag: Bytes) -> Vec<Bytes> {
    let mut parts = Vec::with_capacity(frames.len() + 2);
    let mut left = at;
    let mut tag = Some(tag);
    for mut frame in frames {
        if tag.is_some() && left <= frame.len() {
            parts.push(frame.split_to(left));
            parts.extend(tag.take());
        }
        left = left.saturating_sub(frame.len());
        parts.push(frame);
    }
    parts.extend(tag);
    parts
}
