//! Plays a case between the two ends, and returns what each of them got.

use crate::case::{Action, Case, Protocol, Side, Step};
use crate::text;
use crate::wire::{Came, Origin, Record, Wire};
use std::net::SocketAddr;

/// The request that shows that a connection is still in step.
const LAST: &[u8] = b"GET /last HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n";
/// How it begins at the origin.
const LAST_LINE: &[u8] = b"GET /last HTTP/1.1\r\n";
/// The same by HTTP/2.
const LAST_OF_2: &[u8] =
    b":method: GET\r\n:scheme: http\r\n:path: /last\r\n:authority: app\r\n\r\n";
/// Its answer.
const LAST_ANSWER: &[u8] = b"HTTP/1.1 204 Last\r\n\r\n";
/// How that begins at the client.
const LAST_STATUS: &[u8] = b"HTTP/1.1 204 Last\r\n";
/// How it begins by HTTP/2.
const LAST_STATUS_OF_2: &[u8] = b"HTTP/2 204\r\n";
/// How a message head ends.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// What both ends got.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The client.
    pub client: Vec<u8>,
    /// The origin, all connections of it in the order of the script.
    pub origin: Vec<u8>,
}

impl Outcome {
    fn of(&mut self, side: Side) -> &mut Vec<u8> {
        match side {
            Side::Client => &mut self.client,
            Side::Origin => &mut self.origin,
        }
    }
}

/// One case under way.
struct Play {
    wire: Wire,
    got: Outcome,
    /// The connection that each end's steps are about: client, origin.
    at: [usize; 2],
    dribble: bool,
    /// Whether the client gets kinds of frames, each of them whole.
    frames: bool,
    /// Whether the script wants something of the origin later on.
    origin_is_due: bool,
}

/// Plays `case` through the proxy that listens at `proxy` before this origin.
pub async fn play(case: &Case, origin: Origin, proxy: SocketAddr) -> Outcome {
    let wire = Wire::new(origin, proxy, case.protocol);
    let got = Outcome::default();
    let frames = case.protocol == Protocol::Frames;
    let mut play = Play { wire, got, at: [0, 0], dribble: false, frames, origin_is_due: false };
    play.wire.connect().await;
    let mut went = true;
    for (n, step) in case.steps.iter().enumerate() {
        let mut later = case.steps[n + 1..].iter();
        play.origin_is_due = later.any(|step| matches!(step, Step::Expect(Side::Origin, _)));
        if !play.step(step).await {
            went = false;
            break;
        }
    }
    if went && case.goes_on() {
        play.last(case.protocol == Protocol::Http1).await;
    }
    play.leftovers();
    play.got
}

impl Play {
    fn current(&self, side: Side) -> usize {
        self.at[usize::from(side == Side::Origin)]
    }

    /// Does one step; false if what must come didn't.
    async fn step(&mut self, step: &Step) -> bool {
        match step {
            Step::Send(side, bytes) => {
                let bytes = &text::with_name(bytes, &self.got.origin);
                let pieces = if std::mem::take(&mut self.dribble) { 1 } else { bytes.len() };
                for piece in bytes.chunks(pieces.max(1)) {
                    self.wire.send(*side, self.current(*side), piece).await;
                    tokio::task::yield_now().await;
                }
                true
            }
            Step::Expect(side, bytes) if text::is_own(bytes) => self.own(*side).await,
            Step::Expect(side, bytes) => {
                for needle in needles(bytes) {
                    if !self.get(*side, &needle).await {
                        return false;
                    }
                }
                true
            }
            Step::Act(side, action) => self.act(*side, *action).await,
        }
    }

    async fn act(&mut self, side: Side, action: Action) -> bool {
        let at = self.current(side);
        match action {
            Action::Ends => {
                let ended = move |record: &Record| record.of(side).get(at)?.ended.then_some(());
                let went = self.wire.until(ended).await.is_some();
                self.rest(side, at);
                self.got.of(side).extend(if went { "[closed]" } else { "[still open]" }.bytes());
                return went;
            }
            Action::Close => self.wire.close(side, at, false).await,
            Action::Reset => self.wire.close(side, at, true).await,
            Action::HalfClose => self.wire.half_close(side, at),
            Action::Leave => self.wire.leave().await,
            Action::Dribble => self.dribble = true,
            Action::New => {
                self.wire.connect().await;
                self.at[0] += 1;
            }
        }
        true
    }

    /// Waits until `needle` has come, and takes all up to it.
    async fn get(&mut self, side: Side, needle: &[u8]) -> bool {
        let (client, current) = (self.at[0], self.current(side));
        let (due, frames) = (self.origin_is_due, self.frames);
        let wanted = |record: &Record| match side {
            Side::Client => {
                let came = record.client.get(client)?;
                let other = frames && !came.unread().is_empty();
                let over = || (other || came.ended || (!due && crossed(record))).then_some(None);
                came.after(needle).map_or_else(over, |len| Some(Some((client, len))))
            }
            // Which of its connections the proxy takes is its own affair.
            Side::Origin => {
                let order = (current..record.origin.len()).chain(0..current);
                let found = |index: usize| Some((index, record.origin.get(index)?.after(needle)?));
                let found = order.into_iter().find_map(found);
                found.map_or_else(|| refused(record, client).then_some(None), |at| Some(Some(at)))
            }
        };
        match self.wire.until(wanted).await {
            Some(Some((index, len))) => {
                let bytes = self.wire.take(side, index, len);
                self.got.of(side).extend(bytes);
                self.at[usize::from(side == Side::Origin)] = index;
                true
            }
            Some(None) => false,
            None => {
                self.got.of(side).extend(b"[nothing came]");
                false
            }
        }
    }

    /// Waits for an answer of the proxy's own, whatever it says.
    async fn own(&mut self, side: Side) -> bool {
        let before = self.got.of(side).len();
        if !self.get(side, HEAD_END).await {
            return false;
        }
        let length = text::content_length(&self.got.of(side)[before..]);
        let at = self.current(side);
        let body = |record: &Record| {
            let came = record.of(side).get(at)?;
            (came.unread().len() >= length || came.ended).then(|| came.unread().len().min(length))
        };
        let body = self.wire.until(body).await.unwrap_or(0);
        let bytes = self.wire.take(side, at, body);
        self.got.of(side).extend(bytes);
        true
    }

    /// One more request on the client's connection, then its end.
    async fn last(&mut self, http1: bool) {
        let client = self.at[0];
        let (last, status) =
            if http1 { (LAST, LAST_STATUS) } else { (LAST_OF_2, LAST_STATUS_OF_2) };
        self.wire.send(Side::Client, client, last).await;
        let asked = |record: &Record| {
            let mut all = record.origin.iter().enumerate();
            let found = all.find_map(|(index, came)| Some((index, begins(came, LAST_LINE)?)));
            found.map_or_else(|| refused(record, client).then_some(None), |at| Some(Some(at)))
        };
        let Some(Some((origin, before))) = self.wire.until(asked).await else {
            self.got.client.extend(b"[of no use any more]");
            return;
        };
        let bytes = self.wire.take(Side::Origin, origin, before);
        self.got.origin.extend(bytes);
        let complete = |record: &Record| record.origin.get(origin)?.after(HEAD_END);
        if let Some(len) = self.wire.until(complete).await {
            self.wire.take(Side::Origin, origin, len);
        }
        self.wire.send(Side::Origin, origin, LAST_ANSWER).await;
        let answered = |record: &Record| {
            let came = record.client.get(client)?;
            // HTTP/1.1 was asked to close, and closes behind the answer.
            let all = if http1 { came.ended } else { came.ended || begins(came, status).is_some() };
            all.then(|| begins(came, status))
        };
        match self.wire.until(answered).await.flatten() {
            Some(before) => {
                let bytes = self.wire.take(Side::Client, client, before);
                self.got.client.extend(bytes);
                let answer = self.wire.look(|record| match http1 {
                    true => record.client[client].after(HEAD_END),
                    false => Some(record.client[client].unread().len()),
                });
                self.wire.take(Side::Client, client, answer.unwrap_or(0));
            }
            _ => self.got.client.extend(b"[of no use any more]"),
        }
    }

    /// Whatever came that the script didn't ask for.
    fn leftovers(&mut self) {
        for side in [Side::Client, Side::Origin] {
            for index in 0..self.wire.look(|record| record.of(side).len()) {
                self.rest(side, index);
            }
        }
    }

    fn rest(&mut self, side: Side, index: usize) {
        let unread = |record: &Record| Some(record.of(side).get(index)?.unread().len());
        let len = self.wire.look(unread).unwrap_or(0);
        let bytes = self.wire.take(side, index, len);
        self.got.of(side).extend(bytes);
    }
}

fn begins(came: &Came, line: &[u8]) -> Option<usize> {
    came.after(line).map(|end| end - line.len())
}

/// True if the client has an answer that the script doesn't wait for, or has been cut off: then the
/// origin will get nothing.
fn refused(record: &Record, client: usize) -> bool {
    record.client.get(client).is_none_or(|came| came.ended || came.after(HEAD_END).is_some())
}

/// True if the origin has a request that the script knows nothing of: then the client won't get an
/// answer.
fn crossed(record: &Record) -> bool {
    record.origin.iter().any(|came| came.after(HEAD_END).is_some())
}

/// What to wait for, one after the other, so that all of `bytes` must have come.
fn needles(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut needles = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(4).position(|window| window == HEAD_END) {
        needles.push(HEAD_END.to_vec());
        rest = &rest[at + 4..];
    }
    if !rest.is_empty() {
        let line = rest.strip_suffix(b"\r\n").unwrap_or(rest);
        let begin = line.windows(2).rposition(|window| window == b"\r\n").map_or(0, |at| at + 2);
        needles.push(rest[begin..].to_vec());
    }
    needles
}
