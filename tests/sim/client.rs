//! A model client, written from `docs/PROTOCOL.md` alone.

use crate::events::{Event, Reader};
use pollcast::delta;
use pollcast::http::{Frame, Frames};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// A state that the client has.
#[derive(Clone, Debug)]
pub struct Held {
    pub hash: String,
    pub seq: u64,
    pub epoch: String,
    pub body: String,
}

/// What a stream has said of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    Unknown,
    Vouched,
    Stale(String),
    Gone(String),
}

/// One topic of one stream.
pub struct Topic {
    pub path: usize,
    pub every: Duration,
    pub standing: Standing,
}

/// `hello`, as far as it matters later.
pub struct Hello {
    pub epoch: String,
    pub silence: Duration,
}

pub struct Stream {
    pub frames: Box<dyn Frames>,
    pub reader: Reader,
    pub topics: Vec<Topic>,
    pub hello: Option<Hello>,
    /// The last hello or beat.
    pub alive: Instant,
    /// Whose it is.
    pub sid: String,
    /// That session has ended since its request: nothing but farewells may come.
    pub over: bool,
}

/// What a frame asks of whoever drives the client.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    GoOn,
    /// Open a new stream without `have` for this path: its delta didn't fit.
    Anew(usize),
    /// Nothing that was learnt counts: leave, and come back at once.
    Afresh,
    /// The stream ends; come back then.
    Back(Duration),
}

#[derive(Default)]
pub struct Client {
    /// Session cookie.
    pub sid: String,
    /// What its browser sends by now, of which the page hasn't heard.
    pub next: Option<String>,
    /// The newest is the last; the ones before go when it has said hello.
    pub streams: Vec<Stream>,
    pub held: BTreeMap<usize, Held>,
    /// What it held before, for resuming with an old state.
    pub old: BTreeMap<usize, Held>,
    /// When the request began by which the network last showed a path.
    pub seen: BTreeMap<usize, Instant>,
    /// When its last write settled, and how many have.
    pub wrote: Option<Instant>,
    pub writes: Option<u64>,
    /// Per path, the first state in the history that includes its own writes.
    pub must: BTreeMap<usize, usize>,
    /// Per path, the latest begin that what it was shown proves.
    pub cursor: BTreeMap<usize, Instant>,
    /// When the app polls next, per path.
    pub due: BTreeMap<usize, Instant>,
    /// Frames that it will take now; `None` is any number.
    pub appetite: Option<usize>,
    /// When to come back after a bye.
    pub back: Option<Instant>,
    /// What it wants, to be asked for again.
    pub wants: Vec<(usize, Duration)>,
}

impl Client {
    /// Another user, or the same one anew: nothing of before may be used.
    pub fn forget_all(&mut self) {
        let (sid, appetite, writes) = (self.sid.clone(), self.appetite, self.writes);
        *self = Self { sid, writes, appetite, ..Self::default() };
    }

    /// The stream that counts: the newest that has said hello.
    pub fn stream(&self) -> Option<&Stream> {
        self.streams.iter().rev().find(|stream| stream.hello.is_some())
    }

    /// The state by which a poll of this path may be answered now without the network, and how old
    /// it may be.
    pub fn local(&self, path: usize, now: Instant) -> Option<(&Held, Duration)> {
        let stream = self.stream()?;
        let hello = stream.hello.as_ref()?;
        let topic = stream.topics.iter().find(|topic| topic.path == path)?;
        let vouched = topic.standing == Standing::Vouched && now - stream.alive < hello.silence;
        let seen = match (self.wrote, self.seen.get(&path)) {
            (None, _) => true,
            // At the same instant the one may have come before the other.
            (Some(wrote), Some(seen)) => *seen > wrote,
            (Some(_), None) => false,
        };
        let age = topic.every + (topic.every / 2).max(Duration::from_secs(1)) + hello.silence;
        self.held.get(&path).filter(|_| vouched && seen).map(|held| (held, age))
    }

    /// The network answered a poll whose request began at `begun`, and says where its state stands
    /// (`None`: it can't be pushed).
    pub fn learnt(&mut self, path: usize, begun: Instant, state: Option<Held>) {
        let seen = self.seen.entry(path).or_insert(begun);
        *seen = begun.max(*seen);
        let Some(new) = state else {
            self.held.remove(&path);
            return;
        };
        let newer = self.held.get(&path).is_none_or(|held| {
            // Equal states may have unequal bodies, where fields are ignored: deltas start from
            // the stream's.
            held.epoch != new.epoch || (new.seq >= held.seq && held.hash != new.hash)
        });
        if newer {
            self.hold(path, new);
        }
    }

    fn hold(&mut self, path: usize, new: Held) {
        if let Some(old) = self.held.insert(path, new) {
            self.old.insert(path, old);
        }
    }

    /// Takes one frame of a stream.
    pub fn take(&mut self, at: usize, frame: &Frame, now: Instant) -> Result<Next, String> {
        let reader = &mut self.streams[at].reader;
        let mut events = reader.feed(&frame.head)?;
        events.extend(reader.feed(&frame.shared)?);
        let mut next = Next::GoOn;
        for event in events {
            match self.event(at, &event, now).map_err(|fault| format!("{fault}: {event:?}"))? {
                Next::GoOn => {}
                other => next = other,
            }
        }
        Ok(next)
    }

    fn event(&mut self, at: usize, event: &Event, now: Instant) -> Result<Next, String> {
        let stream = &mut self.streams[at];
        match (event.name.as_str(), event.index) {
            ("hello", None) if stream.hello.is_none() => {
                let silence = Duration::from_millis(number(&event.data, "silence_ms")?);
                stream.hello = Some(Hello { epoch: text(&event.data, "epoch")?, silence });
                stream.alive = now;
            }
            (_, _) if stream.hello.is_none() && event.name != "bye" => {
                return Err("an event before hello".to_owned());
            }
            ("beat", None) => stream.alive = now,
            ("bye", None) => {
                return Ok(Next::Back(Duration::from_millis(number(&event.data, "retry_ms")?)));
            }
            (name, Some(index)) => {
                let topic = stream.topics.get_mut(index).ok_or("an index that isn't ours")?;
                if matches!(topic.standing, Standing::Gone(_)) {
                    return Err("an event about a topic that is gone".to_owned());
                }
                if stream.over && name != "gone" {
                    return Err(format!("invariant 2: {} is over", stream.sid));
                }
                match name {
                    "stale" => topic.standing = Standing::Stale(text(&event.data, "reason")?),
                    "gone" => {
                        let reason = text(&event.data, "reason")?;
                        topic.standing = Standing::Gone(reason.clone());
                        if reason == "anew" {
                            // Nothing that was learnt counts, and the network is asked first.
                            self.held.clear();
                            self.wrote = Some(now);
                            return Ok(Next::Afresh);
                        }
                    }
                    _ => return self.state(at, index, event),
                }
            }
            _ => return Err("an event that the protocol doesn't know".to_owned()),
        }
        Ok(Next::GoOn)
    }

    fn state(&mut self, at: usize, index: usize, event: &Event) -> Result<Next, String> {
        let stream = &mut self.streams[at];
        let topic = &mut stream.topics[index];
        let epoch = stream.hello.as_ref().map(|hello| hello.epoch.clone()).unwrap_or_default();
        let (hash, seq) = (text(&event.data, "hash")?, number(&event.data, "seq")?);
        let path = topic.path;
        let held = self.held.get_mut(&path);
        if held.as_ref().is_some_and(|held| held.epoch == epoch && seq < held.seq) {
            return Ok(Next::GoOn);
        }
        if let Some(held) = held
            && held.hash == hash
            && event.name != "snapshot"
        {
            (held.seq, held.epoch) = (seq, epoch);
            topic.standing = Standing::Vouched;
            return Ok(Next::GoOn);
        }
        let body = match event.name.as_str() {
            "snapshot" => {
                let kind = &event.data["headers"][0][1];
                if event.data["status"] != 200 || kind != "application/json" {
                    return Err("invariant 6: status or headers".to_owned());
                }
                Some(text(&event.data, "body")?)
            }
            "delta" => {
                let from = text(&event.data, "from")?;
                let held = self.held.get(&path).filter(|held| held.hash == from);
                held.and_then(|held| delta::apply(&held.body, &operations(&event.data)).ok())
            }
            "current" => None,
            _ => return Err("an event that the protocol doesn't know".to_owned()),
        };
        let (length, check) = (event.data["length"].as_u64(), event.data["check"].as_u64());
        let fits = |body: &String| {
            length == Some(delta::utf16_len(body) as u64)
                && check == Some(u64::from(delta::check(body)))
        };
        let Some(body) = body.filter(fits) else {
            topic.standing = Standing::Unknown;
            self.held.remove(&path);
            return Ok(Next::Anew(path));
        };
        topic.standing = Standing::Vouched;
        self.hold(path, Held { hash, seq, epoch, body });
        Ok(Next::GoOn)
    }
}

fn operations(data: &Value) -> Vec<delta::Op> {
    serde_json::from_value(data["ops"].clone()).unwrap_or_default()
}

fn text(data: &Value, member: &str) -> Result<String, String> {
    data[member].as_str().map(str::to_owned).ok_or_else(|| format!("no {member}"))
}

fn number(data: &Value, member: &str) -> Result<u64, String> {
    data[member].as_u64().ok_or_else(|| format!("no {member}"))
}
