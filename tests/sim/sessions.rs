//! Who a client is, and what ends with a session: streams, and what the session was shown.

use crate::client::{Standing, Stream};
use crate::events::Reader;
use crate::origin::{About, PATHS, State};
use crate::world::World;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use pollcast::config::Mode;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// From the word that something is over until a client asks anew.
const MOMENT: Duration = Duration::from_millis(1);

/// A stream that a page has left behind at a login: it stays open, and is read from then on.
pub struct Ghost {
    stream: Stream,
    from: Instant,
}

impl World {
    /// A user logs in: mostly to a session that another page has, too.
    pub fn log_in(&mut self, at: usize) {
        self.leave(at);
        self.logins += usize::from(self.logins == 0 || self.rng.u8(0..3) == 0);
        let sid = format!("s{}", self.logins);
        self.trace.say(format!("client {at} is {sid} now"));
        self.origin.state().door(&sid, true);
        self.clients[at].sid = sid;
        self.clients[at].forget_all();
    }

    /// A user of their own.
    pub fn log_in_anew(&mut self, at: usize) {
        let sid = format!("u{at}");
        self.origin.state().door(&sid, true);
        self.clients[at].sid = sid;
        self.clients[at].forget_all();
    }

    /// A client closes its streams.
    pub fn leave(&mut self, at: usize) {
        self.clients[at].back = None;
        while !self.clients[at].streams.is_empty() {
            self.close(at, 0);
        }
    }

    pub fn close(&mut self, at: usize, which: usize) {
        let stream = self.clients[at].streams.remove(which);
        if !stream.over {
            self.unwant(&stream);
        }
    }

    fn unwant(&self, stream: &Stream) {
        for topic in &stream.topics {
            if !matches!(topic.standing, Standing::Gone(_)) {
                self.want(&stream.sid, topic.path, false);
            }
        }
    }

    pub fn want(&self, sid: &str, path: usize, more: bool) {
        let mut state = self.origin.state();
        let count = state.wanted.entry((sid.to_owned(), path)).or_default();
        *count = if more { *count + 1 } else { *count - 1 };
    }

    /// Streams that count against the cap.
    pub fn open_streams(&self) -> usize {
        let streams: usize = self.clients.iter().map(|client| client.streams.len()).sum();
        streams + self.ghosts.len()
    }

    /// An answer to a request of this session, before it goes on: it may end all that the session
    /// subscribes to, and all that it was shown.
    pub fn pass(
        &mut self,
        sid: &str,
        status: StatusCode,
        fields: &HeaderMap,
    ) -> Result<(), String> {
        if self.proxy.config.mode < Mode::Push || !self.proxy.learns(sid, status, fields) {
            return Ok(());
        }
        self.trace.say(format!("{sid} is over: {status}"));
        self.ended.insert(sid.to_owned(), Instant::now());
        *self.origin.state().ends.entry(sid.to_owned()).or_default() += 1;
        for at in 0..self.clients.len() {
            for which in 0..self.clients[at].streams.len() {
                let stream = &mut self.clients[at].streams[which];
                if stream.sid == sid && !stream.over {
                    stream.over = true;
                    self.unwant(&self.clients[at].streams[which]);
                }
            }
        }
        for path in 0..PATHS.len() {
            if self.proxy.fresh(&(sid.to_owned(), path)).is_some() {
                return Err(format!("invariant 2: a snapshot for {sid}, which is over"));
            }
        }
        Ok(())
    }

    /// The origin refuses this client at a path that nobody watches.
    pub fn refuse(&mut self, at: usize) -> Result<(), String> {
        let sid = self.clients[at].sid.clone();
        self.pass(&sid, StatusCode::UNAUTHORIZED, &HeaderMap::new())?;
        match self.rng.u8(0..3) {
            // The request of this stream was on its way.
            0 => self.open(at, None),
            _ => Ok(()),
        }
    }

    /// Another user in the same browser, by an answer that passes, or nobody for a while. The page
    /// that asked knows; the browser's others send the new cookie once they hear of it.
    pub fn switch_user(&mut self, at: usize, out: bool) -> Result<(), String> {
        if self.proxy.config.mode < Mode::Push {
            self.log_in(at);
            return Ok(());
        }
        let old = self.clients[at].sid.clone();
        self.logins += 1;
        let new = format!("s{}", self.logins);
        let cookie = match out {
            true => "sid=; Max-Age=0; Path=/".to_owned(),
            false => format!("sid={new}; Path=/; HttpOnly"),
        };
        let cookie = (header::SET_COOKIE, HeaderValue::try_from(cookie).unwrap());
        self.origin.state().door(&old, !out);
        self.pass(&old, StatusCode::OK, &[cookie].into_iter().collect())?;
        for stream in std::mem::take(&mut self.clients[at].streams) {
            let from = Instant::now() + Duration::from_millis(self.rng.u64(0..2000));
            self.ghosts.push(Ghost { stream, from });
        }
        if out {
            self.log_in(at);
            return Ok(());
        }
        self.origin.state().door(&new, true);
        for other in 0..self.clients.len() {
            if other != at && self.clients[other].sid == old && self.rng.bool() {
                self.clients[other].next = Some(new.clone());
            }
        }
        self.enter(at, new);
        Ok(())
    }

    /// The client goes on as somebody else.
    fn enter(&mut self, at: usize, sid: String) {
        self.leave(at);
        let client = &mut self.clients[at];
        let wants = std::mem::take(&mut client.wants);
        client.sid = sid;
        client.forget_all();
        client.wants = wants;
        client.back = Some(Instant::now() + MOMENT);
    }

    /// What was learnt counts no more: the client comes back as whoever its browser is by now.
    pub fn start_afresh(&mut self, at: usize) {
        self.leave(at);
        self.clients[at].back = Some(Instant::now() + MOMENT);
        if let Some(next) = self.clients[at].next.take() {
            self.enter(at, next);
        }
    }

    /// Reads what pages have left behind. True if there was something.
    pub fn haunt(&mut self, cx: &mut Context<'_>) -> Result<bool, String> {
        let now = Instant::now();
        for at in 0..self.ghosts.len() {
            let ghost = &mut self.ghosts[at];
            if ghost.from > now {
                continue;
            }
            match ghost.stream.frames.poll_frame(cx) {
                Poll::Pending => {}
                Poll::Ready(None) => {
                    self.ghosts.remove(at);
                    return Ok(true);
                }
                Poll::Ready(Some(frame)) => {
                    let reader: &mut Reader = &mut ghost.stream.reader;
                    let mut events = reader.feed(&frame.head)?;
                    events.extend(reader.feed(&frame.shared)?);
                    match events.iter().find(|event| event.index.is_some() && event.name != "gone")
                    {
                        Some(event) => {
                            let sid = &ghost.stream.sid;
                            return Err(format!("invariant 2: {sid} is over, and told {event:?}"));
                        }
                        None => return Ok(true),
                    }
                }
            }
        }
        Ok(false)
    }

    /// Who is given something after the end of its session was shown something since then, by a
    /// request in its own name.
    pub fn is_shown_since(&self, state: &State, about: &About) -> Result<(), String> {
        let Some(ended) = self.ended.get(&about.0) else { return Ok(()) };
        let mut shown = state.shown.get(about).into_iter().flatten().rev();
        match shown.any(|shown| shown.begun > *ended) {
            true => Ok(()),
            false => Err(format!("invariant 2: {about:?} is given a state, and was over")),
        }
    }
}
