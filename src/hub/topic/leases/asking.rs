//! Who is asked next: by the poller, and beside it.

use super::{Lease, Leases, Shown};
use crate::config::{Audience, Proof};
use crate::watch::{IdentityId, Next, Turn, Validator};
use tokio::time::Instant;

impl Leases {
    /// In whose name the poller asks now.
    pub(in super::super) fn turn(&mut self, now: Instant) -> Option<Turn> {
        if let Some((by, request)) = &self.own {
            let validator = self.validator(self.own_shown.as_ref());
            return Some(Turn { by: *by, request: request.clone(), validator });
        }
        let fit = |lease: &Lease| {
            lease.request.is_some() && lease.ill.is_none() && self.counts(lease, now)
        };
        let last = self.speaker.filter(|id| self.all.get(id).is_some_and(fit));
        let newest = || {
            let begun = |lease: &Lease| lease.shown.as_ref().map(|shown| shown.begun);
            let fit = self.all.iter().filter(|(_, lease)| fit(lease));
            fit.max_by_key(|(_, lease)| begun(lease)).map(|(id, _)| *id)
        };
        // Where all have failed, whoever has a lease: the origin may have come back.
        let any = || {
            let counts = |lease: &Lease| lease.request.is_some() && self.counts(lease, now);
            self.all.iter().find(|(_, lease)| counts(lease)).map(|(id, _)| *id)
        };
        let by = last.or_else(newest).or_else(any)?;
        self.speaker = Some(by);
        let lease = self.all.get(&by)?;
        let validator = self.validator(lease.shown.as_ref());
        Some(Turn { by, request: lease.request.clone()?, validator })
    }

    /// A validator proves something only to whom it was given, and only of what they were shown.
    pub(super) fn validator(&self, shown: Option<&Shown>) -> Option<Validator> {
        shown.filter(|shown| Some(shown.hash) == self.current)?.validator.clone()
    }

    /// True if somebody else than this one can be asked instead.
    pub(in super::super) fn has_another(&self, id: IdentityId, now: Instant) -> bool {
        self.all.iter().any(|(other, lease)| {
            *other != id
                && lease.request.is_some()
                && lease.ill.is_none()
                && self.counts(lease, now)
        })
    }

    /// Whom to ask beside the poller.
    pub(in super::super) fn next(&mut self, now: Instant) -> Next {
        let mut soonest: Option<Instant> = None;
        if let Some(trial) = &mut self.trial {
            let lease = self.all.get_mut(&trial.turn());
            // Its answer to what it is being asked already is as good.
            let free = lease.as_ref().is_none_or(|lease| !lease.asking);
            if free && let Some((by, request)) = trial.ask(now) {
                if let Some(lease) = lease {
                    lease.asking = true;
                }
                return Next::Ask(Turn { by, request, validator: None });
            }
            soonest = trial.due().filter(|_| free);
        }
        if self.audience == Audience::Public {
            return Next::Wait(soonest);
        }
        let witness = self.wanted_witness(now);
        for (id, lease) in &self.all {
            let due = if witness == Some(*id) { Some(now) } else { self.due(*id, lease, now) };
            match due {
                Some(due) if due <= now => {
                    let (by, request) = (*id, lease.request.clone());
                    if let (Some(lease), Some(request)) = (self.all.get_mut(&by), request) {
                        lease.asking = true;
                        // Never conditional: a 304 would say nothing of the bytes.
                        return Next::Ask(Turn { by, request, validator: None });
                    }
                    return Next::Wait(None);
                }
                Some(due) => soonest = Some(soonest.map_or(due, |at| at.min(due))),
                None => {}
            }
        }
        Next::Wait(soonest)
    }

    /// Who could prove the present state, if others wait for that.
    fn wanted_witness(&self, now: Instant) -> Option<IdentityId> {
        let open = self.current.is_some() && self.trial.is_none() && !self.is_proven();
        if !open || self.proof == Proof::Each {
            return None;
        }
        let waits = |(id, lease): &(&IdentityId, &Lease)| {
            lease.subs > 0 && lease.ill.is_none() && !self.sees(**id, lease, now)
        };
        self.all.iter().find(waits)?;
        let able = |(id, lease): &(&IdentityId, &Lease)| {
            let ready = lease.request.is_some() && !lease.asking && lease.ill.is_none();
            ready && !self.witnesses.contains(id)
        };
        self.all.iter().filter(able).max_by_key(|(_, lease)| lease.agreed).map(|(id, _)| *id)
    }

    /// When this identity is to be asked; `None` if it isn't, or is being asked.
    fn due(&self, id: IdentityId, lease: &Lease, now: Instant) -> Option<Instant> {
        if lease.request.is_none() || lease.asking {
            return None;
        }
        if lease.ill.is_some() {
            return lease.retry;
        }
        let Some(shown) = &lease.shown else { return Some(now) };
        let disputed = self.trial.as_ref().is_some_and(|trial| trial.involves(id));
        let could_see = self.is_proven() || self.proof == Proof::Each;
        if self.current.is_some() && could_see && !disputed && !self.sees(id, lease, now) {
            return Some(now);
        }
        // Spread, so that those who came together don't come together again.
        Some(shown.begun + self.term.mul_f64(0.8 + 0.15 * id.fraction()))
    }

    /// Leases with subscriptions that have run out since this was asked last.
    pub(in super::super) fn lapse(&mut self, now: Instant) -> Vec<IdentityId> {
        let term = self.term;
        let mut out = Vec::new();
        for (id, lease) in &mut self.all {
            let over = lease.shown.as_ref().is_some_and(|shown| now >= shown.begun + term);
            if over && lease.subs > 0 && !lease.lapsed {
                lease.lapsed = true;
                out.push(*id);
            }
        }
        out
    }

    /// When the next lease with subscriptions runs out.
    pub(in super::super) fn next_lapse(&self) -> Option<Instant> {
        let open = self.all.values().filter(|lease| lease.subs > 0 && !lease.lapsed);
        open.filter_map(|lease| lease.shown.as_ref().map(|shown| shown.begun + self.term)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Glob, Watch};
    use crate::watch::{Keyer, PollRequest, StateHash, Target};
    use http::{HeaderMap, HeaderValue, Uri, header};

    #[tokio::test(start_paused = true)]
    async fn a_validator_says_nothing_once_others_were_shown_something_else() {
        let config = Config::new(Uri::from_static("http://o"));
        let watch = Watch::new(Glob::new("/a").unwrap());
        let mut leases = Leases::new(&watch, Audience::Shared, &config.poll);
        let keyer = Keyer::new([0; 32], config.identity);
        let [a, b] = ["s=a", "s=b"].map(|cookie| {
            let cookie = HeaderValue::from_static(cookie);
            keyer.identify(&[(header::COOKIE, cookie)].into_iter().collect())
        });
        let request = PollRequest::new(Target::new("/a", &[], 0), &HeaderMap::new(), 0);
        leases.join(a, request, None);
        let tag = Validator::Tag(HeaderValue::from_static("\"1\""));
        let shown = |leases: &mut Leases, id, digit: &str| {
            let hash = StateHash::parse(&digit.repeat(32)).unwrap();
            let what = (hash, Instant::now(), Some(tag.clone()));
            leases.shown(id, what, (true, None), None)
        };
        shown(&mut leases, a, "1");
        assert!(leases.is_current(a, &tag));
        assert_eq!(leases.turn(Instant::now()).unwrap().validator, Some(tag.clone()));
        // The same validator, as of a path with one version and a body for each user.
        shown(&mut leases, b, "2");
        assert!(!leases.is_current(a, &tag));
        assert_eq!(leases.turn(Instant::now()).unwrap().validator, None);
        assert!(!leases.is_current(keyer.nobody(), &tag));
    }
}
