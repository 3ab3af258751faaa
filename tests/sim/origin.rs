//! The origin, and the shadow model: everything it ever said, and when.
//!
//! One state per path. A world of audience `credential` shows it to each session with its own name
//! in it; one that shares shows all the same, but for accidents. An answer is the state at some
//! instant between the request's begin and its end.

use crate::rights::{Form, is_open};
use crate::trace::Trace;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use pollcast::upstream::{Answer, Ask, Origin, PollError, Polling};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The paths. The last one's body says when it was made, which its watch ignores.
pub const PATHS: [&str; 5] =
    ["/api/todos", "/api/todos/1", "/api/users", "/api/rooms/7/state", "/clock/now"];
/// The path with a member that changes from answer to answer.
pub const CLOCK: usize = 4;

/// What goes wrong at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    Status(u16),
    Broken,
    TooLong,
    Hang,
    Slow,
    /// Gives the session another cookie, and goes on accepting the old one.
    Cookie,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    Poller,
    Page,
}

/// A 200 (or 304) that somebody got.
pub struct Shown {
    pub begun: Instant,
    pub items: Arc<str>,
}

/// Session and path: what one topic is about.
pub type About = (String, usize);

pub struct State {
    rng: fastrand::Rng,
    pub trace: Trace,
    /// Per path, every state and when it began.
    pub history: Vec<Vec<(Instant, Arc<str>)>>,
    /// True in a world that shares.
    pub shares: bool,
    /// Per path, every form and when it began.
    pub forms: Vec<Vec<(Instant, Form)>>,
    /// Per session, and per session and path, when it was let in and when not.
    pub doors: BTreeMap<String, Vec<(Instant, bool)>>,
    pub rooms: BTreeMap<About, Vec<(Instant, bool)>>,
    pub etags: bool,
    pub faults: [Fault; PATHS.len()],
    /// Complete answers, in order of completion.
    pub shown: BTreeMap<About, Vec<Shown>>,
    /// When the newest central poll began that was answered with anything but a state.
    pub failed: BTreeMap<About, Instant>,
    /// Central polls under way.
    pub running: BTreeMap<About, usize>,
    /// How often each session has ended: what was asked in its name then may still be on its way.
    pub ends: BTreeMap<String, usize>,
    /// Streams that want the topic now.
    pub wanted: BTreeMap<About, usize>,
    /// Topics that must not be polled any more.
    pub rotated: BTreeSet<About>,
    /// Central polls that began, and requests of apps.
    pub polls: usize,
    pub asks: usize,
    /// Cap of central polls at once.
    pub concurrency: usize,
    /// First rule that the pollers broke.
    pub broken: Option<String>,
    next_item: u64,
}

#[derive(Clone)]
pub struct Script(Arc<Mutex<State>>);

/// What the origin will do with one request.
struct Plan {
    fault: Fault,
    before: Duration,
    after: Duration,
}

impl Script {
    pub fn new(seed: u64, concurrency: usize, trace: Trace) -> Self {
        let now = Instant::now();
        let history = PATHS.iter().map(|_| vec![(now, Arc::from("[]"))]).collect();
        Self(Arc::new(Mutex::new(State {
            rng: fastrand::Rng::with_seed(seed),
            trace,
            history,
            shares: false,
            forms: PATHS.iter().map(|_| vec![(now, Form::Common)]).collect(),
            doors: BTreeMap::new(),
            rooms: BTreeMap::new(),
            etags: true,
            faults: [Fault::None; PATHS.len()],
            shown: BTreeMap::new(),
            failed: BTreeMap::new(),
            running: BTreeMap::new(),
            ends: BTreeMap::new(),
            wanted: BTreeMap::new(),
            rotated: BTreeSet::new(),
            polls: 0,
            asks: 0,
            concurrency,
            broken: None,
            next_item: 0,
        })))
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Answers a request that begins now.
    pub async fn answer(
        self,
        about: About,
        fields: HeaderMap,
        asker: Asker,
    ) -> Result<Answer, PollError> {
        let begun = Instant::now();
        let plan = self.state().plan(about.1);
        sleep(plan.before).await;
        let outcome = self.state().read(&about, &fields, plan.fault);
        sleep(plan.after).await;
        let mut state = self.state();
        let shown = outcome.as_ref().ok().and_then(|(_, items)| items.clone());
        match shown {
            Some(items) => {
                state.shown.entry(about.clone()).or_default().push(Shown { begun, items });
            }
            None if asker == Asker::Poller => {
                let failed = state.failed.entry(about.clone()).or_insert(begun);
                *failed = begun.max(*failed);
            }
            None => {}
        }
        let (answer, _) = outcome?;
        if asker == Asker::Poller && answer.headers.contains_key(header::SET_COOKIE) {
            state.rotated.insert(about);
        }
        Ok(answer)
    }
}

impl Origin for Script {
    fn poll(&self, ask: Ask) -> Polling {
        let path = PATHS.iter().position(|path| *path == ask.target).unwrap();
        let about = (session(&ask.headers), path);
        self.state().poll_begins(&about);
        let running = Running(self.clone(), about.clone());
        let answer = self.clone().answer(about, ask.headers, Asker::Poller);
        Box::pin(async move {
            let _running = running;
            answer.await
        })
    }
}

/// The session of a request's cookie.
pub fn session(fields: &HeaderMap) -> String {
    let cookie = fields.get(header::COOKIE).and_then(|value| value.to_str().ok());
    cookie.and_then(|cookie| cookie.strip_prefix("sid=")).unwrap_or_default().to_owned()
}

/// A central poll under way; ends when it is answered or abandoned.
struct Running(Script, About);

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if let Some(count) = state.running.get_mut(&self.1) {
            *count -= 1;
        }
    }
}

impl State {
    fn plan(&mut self, path: usize) -> Plan {
        let fault = self.faults[path];
        let millis = |rng: &mut fastrand::Rng, most: u64| Duration::from_millis(rng.u64(0..=most));
        let most = if fault == Fault::Slow { 3000 } else { 40 };
        let (before, after) = (millis(&mut self.rng, most), millis(&mut self.rng, most));
        match fault {
            Fault::Hang => Plan { fault, before: Duration::from_secs(40), after },
            _ => Plan { fault, before, after },
        }
    }

    fn poll_begins(&mut self, about: &About) {
        self.polls += 1;
        self.trace.say(format!("  origin is polled for {} of {}", PATHS[about.1], about.0));
        *self.running.entry(about.clone()).or_default() += 1;
        let total: usize = self.running.values().sum();
        let ends = self.ends.get(&about.0).copied().unwrap_or_default();
        let most = if self.shares { 2 + ends } else { 1 };
        let fault = if self.wanted.get(about).copied().unwrap_or_default() == 0 {
            "invariant 10: a poll that no subscriber wants"
        } else if self.running[about] > most {
            "invariant 9: two polls of one topic at once"
        } else if total > self.concurrency {
            "invariant 9: more polls at once than poll.concurrency"
        } else if self.rotated.contains(about) {
            "invariant 2: polled again in the name of a session that a poll had changed"
        } else {
            return;
        };
        self.broken.get_or_insert_with(|| format!("{fault} ({about:?})"));
    }

    /// The answer as the origin stands now, and the state that it shows.
    fn read(
        &mut self,
        about: &About,
        fields: &HeaderMap,
        fault: Fault,
    ) -> Result<(Answer, Option<Arc<str>>), PollError> {
        let status = match fault {
            Fault::Broken | Fault::Hang => return Err(PollError::Io("cut off".to_owned())),
            Fault::TooLong => return Err(PollError::TooLong),
            Fault::Status(status) => status,
            _ if !self.doors.get(&about.0).is_some_and(|door| is_open(door, None)) => 401,
            _ if !self.rooms.get(about).is_none_or(|room| is_open(room, None)) => 403,
            _ => 200,
        };
        if status != 200 {
            let status = StatusCode::from_u16(status).unwrap();
            let body = Bytes::from_static(b"{\"error\":true}");
            return Ok((Answer { status, headers: json(), body }, None));
        }
        let items = Arc::clone(self.last(about.1));
        let mut headers = json();
        if fault == Fault::Cookie {
            let cookie = format!("sid=other{}; Path=/", self.next_item);
            headers.insert(header::SET_COOKIE, HeaderValue::from_str(&cookie).unwrap());
        }
        // A tag names the state, not the moment: A, B, A has the first tag again.
        let (before, _) = self.around(about);
        let tag = blake3::hash([before.as_bytes(), items.as_bytes()].concat().as_slice());
        let tag = format!("\"{}\"", &tag.to_hex()[..16]);
        let tag = HeaderValue::from_str(&tag).unwrap();
        let status = match self.etags && fields.get(header::IF_NONE_MATCH) == Some(&tag) {
            true => StatusCode::NOT_MODIFIED,
            false => StatusCode::OK,
        };
        if self.etags {
            headers.insert(header::ETAG, tag);
        }
        let body = match status {
            StatusCode::OK => Bytes::from(self.body(about, &items)),
            _ => Bytes::new(),
        };
        Ok((Answer { status, headers, body }, Some(items)))
    }

    fn body(&mut self, about: &About, items: &str) -> String {
        let (before, after) = self.around(about);
        if about.1 != CLOCK {
            return format!("{before}{items}{after}");
        }
        self.next_item += 1;
        format!("{before}{items},\"at\":{}{after}", self.next_item)
    }

    /// The newest state of a path.
    pub fn last(&self, path: usize) -> &Arc<str> {
        &self.history[path].last().unwrap().1
    }

    /// The state of a path becomes another one, or one that it was before. Returns its place in
    /// the history.
    pub fn change(&mut self, path: usize) -> usize {
        let count = self.history[path].len();
        let items = match self.rng.u8(0..4) {
            0 if count > 1 => Arc::clone(&self.history[path][count - 2].1),
            _ => self.other(path),
        };
        self.history[path].push((Instant::now(), items));
        count
    }

    fn other(&mut self, path: usize) -> Arc<str> {
        let text = self.last(path).to_string();
        let mut items: Vec<&str> = text.trim_matches(['[', ']']).split(", ").collect();
        items.retain(|item| !item.is_empty());
        self.next_item += 1;
        let mut item = format!("{{\"id\":{},\"n\":12345678901234567890", self.next_item);
        let _ = write!(item, ",\"text\":\"Zo\u{eb} \u{1f388} \\u0041\",\"v\":1.10}}");
        let at = self.rng.usize(0..=items.len());
        match self.rng.u8(0..3) {
            0 if at < items.len() => items[at] = &item,
            1 if items.len() > 12 => drop(items.drain(..6)),
            _ => items.insert(at, &item),
        }
        if items.is_empty() {
            items.push(&item);
        }
        Arc::from(format!("[{}]", items.join(", ")))
    }

    /// The state that a body shows, if it is a body that this origin made for this session.
    pub fn items_of<'a>(&self, about: &About, body: &'a str) -> Result<&'a str, String> {
        let inner = [Some(about.0.as_str()), self.shares.then_some("all")].into_iter().flatten();
        let inner = inner.map(|name| around(name, about.1)).find_map(|(before, after)| {
            body.strip_prefix(before.as_str()).and_then(|body| body.strip_suffix(after))
        });
        let inner = inner.ok_or_else(|| format!("invariant 2: {about:?} got {body}"))?;
        let items = match inner.rsplit_once(",\"at\":") {
            Some((items, at)) if about.1 == CLOCK && at.parse::<u64>().is_ok() => items,
            None if about.1 != CLOCK => inner,
            _ => return Err(format!("invariant 6: {about:?} got {body}")),
        };
        match self.history[about.1].iter().any(|(_, known)| **known == *items) {
            true => Ok(items),
            false => Err(format!("invariant 6: {about:?} got {body}, which the origin never said")),
        }
    }

    /// True if the path had this state at some instant since `since`.
    pub fn was(&self, path: usize, items: &str, since: Instant) -> bool {
        let history = &self.history[path];
        history.iter().enumerate().any(|(at, (_, known))| {
            let until = history.get(at + 1).map(|(next, _)| *next);
            **known == *items && until.is_none_or(|until| until >= since)
        })
    }

    /// True if the newest answer that can be known was no state.
    pub fn fails(&self, about: &About) -> bool {
        let shown = self.shown.get(about).into_iter().flatten().map(|shown| shown.begun).max();
        self.failed.get(about).is_some_and(|failed| shown.is_none_or(|shown| shown < *failed))
    }

    fn around(&self, about: &About) -> (String, &'static str) {
        let common = self.shares && self.form(about.1).is_common(&about.0);
        around(if common { "all" } else { &about.0 }, about.1)
    }

    /// When the earliest answer began that shows this state and did not begin before `since`.
    pub fn shown_since(&self, about: &About, items: &str, since: Instant) -> Option<Instant> {
        let all = self
            .shown
            .iter()
            .filter(|(known, _)| *known == about || (self.shares && known.1 == about.1));
        let shown = all.flat_map(|(_, shown)| shown);
        shown.filter(|s| s.begun >= since && *s.items == *items).map(|s| s.begun).min()
    }
}

/// What stands around the items in a body.
pub fn around(name: &str, path: usize) -> (String, &'static str) {
    (format!("{{\"for\":\"{name}\",\"path\":\"{}\",\"items\":", PATHS[path]), "}")
}

fn json() -> HeaderMap {
    let json = HeaderValue::from_static("application/json");
    [(header::CONTENT_TYPE, json)].into_iter().collect()
}
