//! What must be true at every instant, and at the end.

use crate::client::Standing;
use crate::origin::{About, State};
use crate::world::World;
use std::time::Duration;
use tokio::time::Instant;

/// A reader that stops in the middle of what goes before a beat may get the beat this much later
/// than what it vouches for was looked at: half a beat, of at most half a cadence.
fn slack(age: Duration) -> Duration {
    age / 8
}

impl World {
    /// After every step.
    pub fn check(&mut self) -> Result<(), String> {
        if let Some(broken) = &self.origin.state().broken {
            return Err(broken.clone());
        }
        let (topics, _) = self.proxy.hub.counts();
        if topics > self.proxy.config.limits.topics {
            return Err(format!("invariant 9: {topics} topics"));
        }
        (0..self.clients.len()).try_for_each(|at| {
            self.is_told_at_once(at)?;
            self.check_client(at)
        })
    }

    /// Who reads everything isn't left with a state that the origin has ceased to give.
    fn is_told_at_once(&self, at: usize) -> Result<(), String> {
        let (client, state) = (&self.clients[at], self.origin.state());
        if client.appetite.is_some() {
            return Ok(());
        }
        for topic in client.stream().into_iter().flat_map(|stream| &stream.topics) {
            let about = (client.sid.clone(), topic.path);
            let over = client.stream().is_some_and(|stream| stream.over);
            if topic.standing == Standing::Vouched && over {
                return Err(format!("invariant 2: client {at} wasn't told that its session ended"));
            }
            if topic.standing == Standing::Vouched && state.fails(&about) {
                return Err(format!("invariant 3: client {at} wasn't told that {about:?} fails"));
            }
        }
        Ok(())
    }

    /// Whatever this client would answer locally now.
    pub fn check_client(&mut self, at: usize) -> Result<(), String> {
        let now = Instant::now();
        let client = &self.clients[at];
        let Some(stream) = client.stream() else { return Ok(()) };
        let over = stream.over;
        let local: Vec<_> = stream
            .topics
            .iter()
            .filter_map(|topic| {
                let (held, age) = client.local(topic.path, now)?;
                Some((topic.path, held.body.clone(), age))
            })
            .collect();
        for (path, body, age) in local {
            let about = (self.clients[at].sid.clone(), path);
            let state = self.origin.state();
            let items = state.items_of(&about, &body)?;
            let oldest = now.checked_sub(age + slack(age)).unwrap_or(now);
            if !state.was(path, items, oldest) {
                return Err(format!(
                    "invariant 3: client {at} would answer {about:?} with {body}, \
                     which the origin hasn't said for {age:?}"
                ));
            }
            self.is_theirs(&state, at, &about, &body)?;
            if !over {
                self.is_shown_since(&state, &about)?;
            }
            let client = &mut self.clients[at];
            let cursor = client.cursor.get(&path).copied().unwrap_or(now);
            let since = if client.cursor.contains_key(&path) { cursor } else { oldest - age * 4 };
            let Some(begun) = state.shown_since(&about, items, since) else {
                return Err(format!("invariant 5: client {at} goes back to {body}"));
            };
            client.cursor.insert(path, begun);
            drop(state);
            self.includes_writes(at, &about, &body)?;
        }
        Ok(())
    }

    /// Who shares is given nothing that the origin would not have given to this very session, not
    /// longer ago than a lease counts. One that doesn't read may not know yet that its lease ran
    /// out: it may believe so until it hears no more beats.
    fn is_theirs(&self, state: &State, at: usize, about: &About, body: &str) -> Result<(), String> {
        if !state.shares {
            return Ok(());
        }
        let client = &self.clients[at];
        let config = &self.proxy.config;
        let deaf = client.stream().and_then(|stream| stream.hello.as_ref());
        let deaf = deaf.filter(|_| client.appetite.is_some()).map(|hello| hello.silence);
        let now = Instant::now();
        let since = now.checked_sub(config.poll.reauthorize + deaf.unwrap_or_default());
        let proof = config.watches[0].proof;
        match state.would_give(about, body, since.unwrap_or(now), proof) {
            true => Ok(()),
            false => Err(format!("invariant 2: client {at}, {about:?}, holds {body}")),
        }
    }

    /// The network answered this client a request that began when it had made so many writes.
    pub fn was_read(
        &self,
        at: usize,
        about: &About,
        body: &str,
        wrote: Option<u64>,
    ) -> Result<(), String> {
        self.origin.state().items_of(about, body)?;
        match wrote.is_some() && wrote == self.clients[at].writes {
            true => self.includes_writes(at, about, body),
            false => Ok(()),
        }
    }

    fn includes_writes(&self, at: usize, about: &About, body: &str) -> Result<(), String> {
        let state = self.origin.state();
        let items = state.items_of(about, body)?;
        let Some(must) = self.clients[at].must.get(&about.1) else { return Ok(()) };
        match state.history[about.1][*must..].iter().any(|(_, known)| **known == *items) {
            true => Ok(()),
            false => Err(format!("invariant 4: client {at} reads {body} after its own write")),
        }
    }

    /// True once every live subscriber holds the last state, by its stream alone.
    pub fn settled(&self) -> Result<(), String> {
        let state = self.origin.state();
        for (at, client) in self.clients.iter().enumerate() {
            // A minute is what it was told to wait because all its topics are gone.
            let minute = Instant::now() + Duration::from_secs(30);
            let back = client.back.is_some_and(|back| back < minute);
            if back || client.streams.iter().any(|stream| stream.hello.is_none()) {
                return Err(format!("invariant 7: client {at} is still on its way back"));
            }
            for topic in client.stream().into_iter().flat_map(|stream| &stream.topics) {
                let about = (client.sid.clone(), topic.path);
                let held = client.held.get(&topic.path);
                let last = state.last(topic.path);
                let holds = held.is_some_and(|held| {
                    state.items_of(&about, &held.body).is_ok_and(|items| *items == **last)
                });
                let done = match &topic.standing {
                    Standing::Gone(_) => true,
                    // There never will be room.
                    Standing::Stale(_) => self.proxy.config.limits.snapshots < 10_000,
                    Standing::Vouched => holds,
                    Standing::Unknown => false,
                };
                if !done {
                    let standing = &topic.standing;
                    return Err(format!(
                        "invariant 7: client {at} never got the last state of {about:?}: \
                         {standing:?}, it holds {held:?}, the last is {last}"
                    ));
                }
            }
        }
        Ok(())
    }
}
