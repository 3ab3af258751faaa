//! Proxy, origin and clients, driven by one task: frames reach readers, answers reach apps.

use crate::client::{Client, Held, Next, Standing, Stream, Topic};
use crate::events::Reader;
use crate::origin::{About, Asker, PATHS, Script};
use crate::proxy::{self, Proxy};
use crate::sessions::Ghost;
use crate::trace::Trace;
use http::StatusCode;
use pollcast::config::{Audience, Config, Mode};
use pollcast::hint::Write;
use pollcast::upstream::{Answer, PollError};
use serde_json::json;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

type Coming<T> = Pin<Box<dyn Future<Output = T>>>;

/// A request of an app on its way through.
struct Passing {
    client: usize,
    about: About,
    begun: Instant,
    /// The client's last write before it.
    wrote: Option<u64>,
    answer: Coming<Result<Answer, PollError>>,
}

/// A write on its way through.
struct Writing {
    client: usize,
    sid: String,
    path: usize,
    guard: Write,
    /// The state that it made, and how it was answered.
    done: Coming<(usize, StatusCode)>,
}

pub struct World {
    pub rng: fastrand::Rng,
    pub trace: Trace,
    pub origin: Script,
    pub proxy: Proxy,
    pub clients: Vec<Client>,
    passing: Vec<Passing>,
    writing: Vec<Writing>,
    /// Cleared at the end, when the streams alone must bring the last state.
    pub apps_poll: bool,
    /// Logins so far: each gives a session of its own.
    pub logins: usize,
    /// When a session was last refused, or became another one.
    pub ended: BTreeMap<String, Instant>,
    /// Streams of pages that have gone on as somebody else.
    pub ghosts: Vec<Ghost>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let config = proxy::config(&mut rng);
        let most = if config.watches[0].audience == Audience::Credential { 6 } else { 10 };
        let clients = rng.usize(2..most);
        Self::with(rng, config, clients)
    }

    /// So many clients before a proxy that is configured like this.
    pub fn with(mut rng: fastrand::Rng, config: Config, clients: usize) -> Self {
        let trace = Trace::new();
        let origin = Script::new(rng.u64(..), config.poll.concurrency, trace.clone());
        origin.state().shares = config.watches[0].audience != Audience::Credential;
        let proxy = Proxy::start(config, &origin, rng.u64(..));
        let clients = (0..clients).map(|_| Client::default()).collect();
        let (passing, writing) = (Vec::new(), Vec::new());
        let (apps_poll, logins, ended, ghosts) = (true, 0, BTreeMap::new(), Vec::new());
        let mut world = Self {
            rng,
            trace,
            origin,
            proxy,
            clients,
            passing,
            writing,
            apps_poll,
            logins,
            ended,
            ghosts,
        };
        (0..world.clients.len()).for_each(|at| world.log_in(at));
        world
    }

    /// Requests at the origin so far: all, and those of the pages.
    pub fn requests(&self) -> (usize, usize) {
        let state = self.origin.state();
        (state.polls + state.asks, state.asks)
    }

    /// Opens a stream for what the client wants; the one before stays until this one says hello.
    pub fn open(&mut self, at: usize, without: Option<usize>) -> Result<(), String> {
        let client = &mut self.clients[at];
        client.back = None;
        if client.wants.is_empty() || self.proxy.config.mode < Mode::Push {
            return Ok(());
        }
        let topic = |(path, every): &(usize, Duration)| {
            let have = client.held.get(path).filter(|_| without != Some(*path));
            let mut topic =
                json!({"url": PATHS[*path], "headers": [["accept", "application/json"]]});
            topic["every_ms"] = json!(every.as_millis());
            topic["have"] = json!(have.map(|held| &held.hash));
            topic
        };
        let topics: Vec<_> = client.wants.iter().map(topic).collect();
        let body = json!({"client": format!("c{at}"), "topics": topics}).to_string();
        let (wants, sid) = (client.wants.clone(), client.sid.clone());
        // At the same instant the request counts as one from before.
        let over = self.ended.get(&sid).is_some_and(|ended| *ended >= Instant::now());
        // Before: the first poll begins as soon as there is a subscriber.
        for (path, _) in wants.iter().filter(|_| !over) {
            self.want(&sid, *path, true);
        }
        let open = self.open_streams();
        let result = self.proxy.open(&sid, &body);
        let room = open < self.proxy.config.limits.streams;
        self.trace.say(format!("client {at} opens a stream: {wants:?}, room: {room}"));
        match result {
            Ok(_) if !room => return Err("invariant 9: a stream beyond the cap".to_owned()),
            Err(_) if room => return Err("invariant 9: refused below the cap".to_owned()),
            Err(_) => {
                for (path, _) in wants.iter().filter(|_| !over) {
                    self.want(&sid, *path, false);
                }
            }
            Ok(frames) => {
                let topic = |(path, every)| Topic { path, every, standing: Standing::Unknown };
                self.clients[at].streams.push(Stream {
                    frames,
                    reader: Reader::default(),
                    topics: wants.into_iter().map(topic).collect(),
                    hello: None,
                    alive: Instant::now(),
                    sid,
                    over,
                });
            }
        }
        Ok(())
    }

    /// An app asks the network.
    pub fn ask(&mut self, at: usize, path: usize) -> Result<(), String> {
        let about = (self.clients[at].sid.clone(), path);
        let now = Instant::now();
        if self.proxy.config.mode == Mode::Push
            && let Some((snapshot, position)) = self.proxy.fresh(&about)
        {
            self.trace.say(format!("client {at} gets {} from a snapshot", PATHS[path]));
            let state = self.held(position, &snapshot.body);
            let wrote = self.clients[at].writes;
            self.is_shown_since(&self.origin.state(), &about)?;
            self.was_read(at, &about, &snapshot.body, wrote)?;
            self.clients[at].learnt(path, now, Some(state));
            return Ok(());
        }
        self.trace.say(format!("client {at} asks for {}", PATHS[path]));
        self.origin.state().asks += 1;
        let fields = proxy::fields(&about.0);
        let answer = Box::pin(self.origin.clone().answer(about.clone(), fields, Asker::Page));
        let wrote = self.clients[at].writes;
        self.passing.push(Passing { client: at, about, begun: now, wrote, answer });
        Ok(())
    }

    fn held(&self, position: pollcast::hub::Position, body: &str) -> Held {
        Held {
            hash: position.hash.as_str().to_owned(),
            seq: position.seq,
            epoch: self.proxy.hub.epoch().to_owned(),
            body: body.to_owned(),
        }
    }

    /// A page writes: the state changes at some instant before the answer.
    pub fn write(&mut self, at: usize, path: usize, status: StatusCode) {
        let sid = self.clients[at].sid.clone();
        self.trace.say(format!("client {at} writes to {}, to be answered {status}", PATHS[path]));
        let written = format!("{}/9", PATHS[path]);
        let guard = self.proxy.write(&sid, &written);
        let (origin, trace) = (self.origin.clone(), self.trace.clone());
        let millis = |rng: &mut fastrand::Rng| Duration::from_millis(rng.u64(0..60));
        let (before, after) = (millis(&mut self.rng), millis(&mut self.rng));
        let done = Box::pin(async move {
            sleep(before).await;
            let made = match status.is_client_error() {
                true => 0,
                false => origin.state().change(path),
            };
            trace.say(format!("a write of {} is state {made}", PATHS[path]));
            sleep(after).await;
            (made, status)
        });
        self.writing.push(Writing { client: at, sid, path, guard, done });
    }

    /// The process ends and another one takes its place: requests under way break.
    pub fn restart(&mut self) {
        self.trace.say("the proxy starts anew");
        self.passing.clear();
        self.writing.clear();
        self.ghosts.clear();
        for at in 0..self.clients.len() {
            self.leave(at);
            self.clients[at].back = Some(Instant::now() + Duration::from_millis(500));
        }
        self.origin.state().rotated.clear();
        let config = self.proxy.config.clone();
        self.proxy = Proxy::start(config, &self.origin, self.rng.u64(..));
    }

    /// Lets virtual time pass.
    pub async fn run(&mut self, time: Duration) -> Result<(), String> {
        let mut end = pin!(sleep_until(Instant::now() + time));
        poll_fn(|cx| {
            loop {
                match self.turn(cx) {
                    Err(fault) => return Poll::Ready(Err(fault)),
                    Ok(true) => {}
                    Ok(false) => return end.as_mut().poll(cx).map(Ok),
                }
            }
        })
        .await
    }

    /// Takes whatever is there. True if there was something.
    fn turn(&mut self, cx: &mut Context<'_>) -> Result<bool, String> {
        let mut moved = self.haunt(cx)?;
        for at in 0..self.clients.len() {
            let mut which = 0;
            while which < self.clients[at].streams.len() && self.clients[at].appetite != Some(0) {
                match self.clients[at].streams[which].frames.poll_frame(cx) {
                    Poll::Pending => which += 1,
                    Poll::Ready(None) => {
                        self.close(at, which);
                        moved = true;
                    }
                    Poll::Ready(Some(frame)) => {
                        moved = true;
                        self.frame(at, which, &frame)?;
                        break;
                    }
                }
            }
        }
        for at in (0..self.passing.len()).rev() {
            if let Poll::Ready(answer) = self.passing[at].answer.as_mut().poll(cx) {
                let passing = self.passing.remove(at);
                self.answered(&passing, answer)?;
                moved = true;
            }
        }
        for at in (0..self.writing.len()).rev() {
            if let Poll::Ready((made, status)) = self.writing[at].done.as_mut().poll(cx) {
                let writing = self.writing.remove(at);
                self.written(writing, made, status);
                moved = true;
            }
        }
        Ok(moved)
    }

    fn frame(
        &mut self,
        at: usize,
        which: usize,
        frame: &pollcast::http::Frame,
    ) -> Result<(), String> {
        let now = Instant::now();
        let client = &mut self.clients[at];
        if let Some(appetite) = &mut client.appetite {
            *appetite = appetite.saturating_sub(1);
        }
        let standing = |client: &Client| -> Vec<bool> {
            let topics = client.streams[which].topics.iter();
            topics.map(|topic| matches!(topic.standing, Standing::Gone(_))).collect()
        };
        let before = standing(client);
        let next = client.take(which, frame, now)?;
        let after = standing(client);
        let head = String::from_utf8_lossy(&frame.head).replace('\n', " ");
        let shared: String = String::from_utf8_lossy(&frame.shared).chars().take(90).collect();
        self.trace.say(format!("client {at} reads {head}{}", shared.replace('\n', " ")));
        for (index, topic) in before.iter().zip(after).enumerate() {
            let stream = &self.clients[at].streams[which];
            if !topic.0 && topic.1 && !stream.over {
                self.want(&stream.sid, stream.topics[index].path, false);
            }
        }
        // Make before break: the old one goes when the new one is up.
        if which > 0 && self.clients[at].streams[which].hello.is_some() {
            (0..which).for_each(|_| self.close(at, 0));
        }
        match next {
            Next::GoOn => {}
            Next::Anew(path) => {
                // First leave: at the cap there may be no room for another.
                self.leave(at);
                self.open(at, Some(path))?;
            }
            Next::Afresh => self.start_afresh(at),
            Next::Back(retry) => self.clients[at].back = Some(now + retry),
        }
        self.check_client(at)
    }

    fn answered(
        &mut self,
        passing: &Passing,
        answer: Result<Answer, PollError>,
    ) -> Result<(), String> {
        let Passing { client: at, about, begun, wrote, .. } = passing;
        let Ok(answer) = answer else { return Ok(()) };
        let mut position = None;
        if self.proxy.config.mode == Mode::Push {
            let known = self.proxy.hub.knows(self.proxy.key(about));
            position = self.proxy.passed(about, *begun, &answer);
            if known && answer.headers.contains_key(http::header::SET_COOKIE) {
                self.origin.state().rotated.insert(about.clone());
            }
            self.pass(&about.0, answer.status, &answer.headers)?;
        }
        self.trace.say(format!("client {at} is answered {}: {position:?}", answer.status));
        if self.clients[*at].sid != about.0 {
            return Ok(());
        }
        if answer.status == StatusCode::UNAUTHORIZED {
            self.log_in(*at);
            return Ok(());
        }
        if answer.status == StatusCode::OK {
            let body = String::from_utf8(answer.body.to_vec()).unwrap();
            self.was_read(*at, about, &body, *wrote)?;
            let state = position.map(|position| self.held(position, &body));
            self.clients[*at].learnt(about.1, *begun, state);
        }
        self.check_client(*at)
    }

    fn written(&mut self, writing: Writing, made: usize, status: StatusCode) {
        let Writing { client: at, sid, path, guard, .. } = writing;
        guard.answered(status);
        self.trace.say(format!("client {at}'s write is answered {status}"));
        let client = &mut self.clients[at];
        if client.sid == sid && !status.is_client_error() {
            client.wrote = Some(Instant::now());
            client.writes = Some(client.writes.unwrap_or_default() + 1);
            let must = client.must.entry(path).or_default();
            *must = made.max(*must);
            // As apps do after a write.
            client.due.insert(path, Instant::now());
        }
    }
}
