//! Who is shown what, and since when: what an origin may do that somebody declared `shared`.

use crate::origin::{About, State, around};
use pollcast::config::Proof;
use std::collections::BTreeSet;
use tokio::time::Instant;

/// Whose name a path's bodies have in a world that shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// Nobody's.
    Common,
    /// Each session's own: somebody declared a watch `shared` that isn't.
    Personal,
    /// These sessions' own.
    PersonalFor(BTreeSet<String>),
}

impl Form {
    pub fn is_common(&self, sid: &str) -> bool {
        match self {
            Self::Common => true,
            Self::Personal => false,
            Self::PersonalFor(sids) => !sids.contains(sid),
        }
    }
}

impl State {
    /// The newest form of a path.
    pub fn form(&self, path: usize) -> &Form {
        &self.forms[path].last().unwrap().1
    }

    /// From now on the path's bodies have this form.
    pub fn reform(&mut self, path: usize, form: Form) {
        self.forms[path].push((Instant::now(), form));
    }

    /// A session is let in, or not any more.
    pub fn door(&mut self, sid: &str, open: bool) {
        self.doors.entry(sid.to_owned()).or_default().push((Instant::now(), open));
    }

    /// A session may see a path, or not any more.
    pub fn room(&mut self, about: &About, open: bool) {
        let room = self.rooms.entry(about.clone()).or_default();
        room.push((Instant::now(), open));
    }

    /// Nothing differs by accident, and everybody may see everything.
    pub fn open_all(&mut self) {
        let now = Instant::now();
        for forms in &mut self.forms {
            forms.push((now, Form::Common));
        }
        for room in self.rooms.values_mut() {
            room.push((now, true));
        }
    }

    /// True if since `since` the origin would have given this session these very bytes: at one
    /// instant, if `proof` is each one's own. What two others have proven may be newer than the
    /// last look at whether this session may see the path, and whether it is shown its own.
    pub fn would_give(&self, about: &About, body: &str, since: Instant, proof: Proof) -> bool {
        let Ok(items) = self.items_of(about, body) else { return false };
        let common = body.starts_with(&around("all", about.1).0);
        let (sid, path) = about;
        let (history, forms) = (&self.history[*path], &self.forms[*path]);
        let door = self.doors.get(sid).map(Vec::as_slice).unwrap_or_default();
        let room = self.rooms.get(about).map(Vec::as_slice).unwrap_or_default();
        let holds = |at| last(history, at).is_some_and(|known| **known == *items);
        let formed = |at| last(forms, at).is_some_and(|form| form.is_common(sid) == common);
        let allowed = |at: Instant| {
            is_open(door, Some(at)) && (last(room, at).is_none() || is_open(room, Some(at)))
        };
        let changes = history.iter().map(|(at, _)| *at).chain(forms.iter().map(|(at, _)| *at));
        let changes = changes.chain(door.iter().chain(room).map(|(at, _)| *at));
        let mut at: Vec<_> = changes.filter(|at| *at >= since).chain([since]).collect();
        at.retain(|at| *at <= Instant::now());
        let ever = |what: &dyn Fn(Instant) -> bool| at.iter().any(|at| what(*at));
        match (proof, self.form(*path)) {
            (Proof::Each, _) => ever(&|at| holds(at) && formed(at) && allowed(at)),
            (Proof::Two, Form::PersonalFor(_)) => ever(&holds) && ever(&formed) && ever(&allowed),
            (Proof::Two, _) => ever(&|at| holds(at) && formed(at)) && ever(&allowed),
        }
    }
}

/// What was so at an instant.
fn last<T>(history: &[(Instant, T)], at: Instant) -> Option<&T> {
    history.iter().rev().find(|(since, _)| *since <= at).map(|(_, what)| what)
}

/// Whether it is open, or was at that instant.
pub fn is_open(door: &[(Instant, bool)], at: Option<Instant>) -> bool {
    let until = |since: Instant| at.is_none_or(|at| since <= at);
    door.iter().rev().find(|(since, _)| until(*since)).is_some_and(|(_, open)| *open)
}
