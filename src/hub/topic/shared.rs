//! What becomes of an answer where several identities share the topic.

use super::super::state::Stale;
use super::super::{Asker, Inner};
use super::absorb::{Absorbed, Effect, Lane};
use super::leases::{Found, Standing};
use super::{State, Topic};
use crate::upstream::PollError;
use crate::watch::{IdentityId, Outcome, Refusal, Seen, Snapshot, StateHash, Validator};
use http::StatusCode;
use tokio::time::Instant;

/// What an identity was shown.
struct Sight {
    asker: Asker,
    lane: Lane,
    begun: Instant,
    hash: StateHash,
    validator: Option<Validator>,
}

impl Topic {
    pub(super) fn absorb_shared(
        &self,
        hub: &Inner,
        state: &mut State,
        (asker, lane): (Asker, Lane),
        begun: Instant,
        outcome: Outcome,
    ) -> Absorbed {
        let id = asker.identity;
        let Some(leases) = &mut state.leases else { return Absorbed::plain(Seen::Older) };
        if lane == Lane::Prover {
            leases.answered(id);
        }
        let refusal = match outcome {
            Outcome::State(snapshot) => {
                return self.shown(hub, state, (asker, lane), begun, snapshot);
            }
            Outcome::NotModified(validator) => {
                let now = state.states.current().map(|now| now.hash);
                let Some(hash) = now.filter(|_| leases.is_current(id, &validator)) else {
                    return Absorbed::plain(Seen::Unclear);
                };
                let verified = state.states.verified().map(|(_, _, verified)| verified);
                let seen = state.states.same(begun);
                let sight = Sight { asker, lane, begun, hash, validator: Some(validator) };
                return Self::settle(state, sight, (seen, verified));
            }
            Outcome::Refused(Refusal::Identity(StatusCode::OK))
                if !self.about.watch.share_private =>
            {
                return Absorbed::with(Effect::Demote("cookie"));
            }
            Outcome::Refused(refusal) => Ok(refusal),
            Outcome::Failed(error) => Err(error),
        };
        let stale = match refusal {
            Ok(Refusal::Identity(StatusCode::OK)) => {
                // Asked again in its name, the origin would change its cookie again.
                hub.cast_out(id.at(&self.about.watch.name, &self.about.path));
                self.dismiss_in(hub, state, Some(id), "unwatchable");
                Stale { reason: "status", status: None }
            }
            Ok(Refusal::Status(status) | Refusal::Identity(status)) => {
                Stale { reason: "status", status: Some(status.as_u16()) }
            }
            Ok(Refusal::TooLong) | Err(PollError::TooLong) => {
                Stale { reason: "limit", status: None }
            }
            Ok(_) => {
                // For this identity alone: what others are shown may be well.
                self.dismiss_in(hub, state, Some(id), "unwatchable");
                Stale { reason: "status", status: None }
            }
            Err(PollError::Timeout) => Stale { reason: "timeout", status: None },
            Err(PollError::Io(_)) => Stale { reason: "error", status: None },
        };
        self.failed(hub, state, (id, lane), begun, stale)
    }

    /// A request of one identity got no state. Others may still get one.
    fn failed(
        &self,
        hub: &Inner,
        state: &mut State,
        (id, lane): (IdentityId, Lane),
        begun: Instant,
        stale: Stale,
    ) -> Absorbed {
        let Some(leases) = &mut state.leases else { return Absorbed::plain(Seen::Older) };
        let refused = matches!(stale.status, Some(401 | 403));
        let over = leases.failed((id, begun), stale, refused);
        let another = leases.has_another(id, Instant::now());
        let again = lane == Lane::Poller && leases.failures == 0 && another;
        if lane == Lane::Poller {
            leases.failures = leases.failures.saturating_add(1);
        }
        Self::mark(state, Some(id));
        if over {
            self.dismiss_in(hub, state, Some(id), "refused");
        }
        if let Some(prover) = &state.prover {
            prover.look();
        }
        match lane {
            // Perhaps it is this one's trouble only.
            Lane::Poller if again => Absorbed::plain(Seen::Unclear),
            Lane::Poller => {
                let was_stale = state.states.stale().is_some();
                let seen = state.states.failed(begun, stale);
                if seen == Seen::Stale && !was_stale {
                    Self::mark(state, None);
                }
                Absorbed::plain(seen)
            }
            Lane::Passing | Lane::Prover => {
                if let Some(poller) = &state.poller
                    && lane == Lane::Passing
                {
                    poller.hint(Instant::now());
                }
                Absorbed::plain(Seen::Stale)
            }
        }
    }

    /// A request of one identity was shown a state.
    fn shown(
        &self,
        hub: &Inner,
        state: &mut State,
        (asker, lane): (Asker, Lane),
        begun: Instant,
        snapshot: Snapshot,
    ) -> Absorbed {
        let watch = &self.about.watch;
        if snapshot.private && !watch.share_private {
            return Absorbed::with(Effect::Demote("private"));
        }
        let Some(leases) = &mut state.leases else { return Absorbed::plain(Seen::Older) };
        let (id, hash) = (asker.identity, snapshot.hash);
        let own = leases.is_own(id);
        if let Some((now, _, _)) = state.states.verified()
            && !own
            && now.media_type() != snapshot.media_type()
        {
            // A login page with status 200 is no other state of the resource.
            let stale = Stale { reason: "status", status: Some(200) };
            return self.failed(hub, state, (id, lane), begun, stale);
        }
        if self.about.audience == crate::config::Audience::Public && !own {
            let before = state.states.current().is_some_and(|now| now.hash != hash);
            let found = leases.compare((id, hash), asker.request);
            if let Some(poller) = state.poller.as_ref().filter(|_| before) {
                poller.hint(Instant::now());
            }
            if let Some(prover) = &state.prover {
                prover.look();
            }
            let effect = (found == Found::Differ).then_some(Effect::Demote("differs"));
            return Absorbed { seen: Seen::Older, effect, compared: true };
        }
        let verified = state.states.verified().map(|(_, _, verified)| verified);
        let validator = snapshot.validator.clone();
        let history = hub.settings.load().limits.history;
        let outcome = Outcome::State(snapshot.for_others());
        let seen = state.states.observe(begun, outcome, history);
        if seen == Seen::Changed {
            self.fit(hub, state);
        }
        let sight = Sight { asker, lane, begun, hash, validator };
        Self::settle(state, sight, (seen, verified))
    }

    /// Who may be given it now?
    fn settle(
        state: &mut State,
        sight: Sight,
        (seen, verified): (Seen, Option<Instant>),
    ) -> Absorbed {
        let Sight { asker, lane, begun, hash, validator } = sight;
        let Some(leases) = &mut state.leases else { return Absorbed::plain(seen) };
        let newest = matches!(seen, Seen::Changed | Seen::Same);
        let shown = (hash, begun, validator);
        let found = leases.shown(asker.identity, shown, (newest, verified), asker.request);
        if newest && lane == Lane::Poller {
            leases.failures = 0;
        }
        if let Some(poller) = &state.poller
            && lane != Lane::Poller
            && newest
        {
            poller.observed(begun);
        }
        if state.subs.is_empty() {
            state.idle = Instant::now();
        }
        let all = found == Found::Proven || (seen == Seen::Same && state.awaited);
        if all {
            state.awaited = false;
        }
        Self::mark(state, if all { None } else { Some(asker.identity) });
        if seen == Seen::Changed && !all {
            // A state that was there before, and that they were shown then.
            for sub in state.subs.values() {
                if state.standing(sub.identity, Instant::now()) == Standing::Sees {
                    sub.mailbox.mark(sub.slot);
                }
            }
        }
        if let Some(prover) = &state.prover {
            prover.look();
        }
        let effect = match found {
            Found::Differ => Some(Effect::Demote("differs")),
            Found::Unsteady => Some(Effect::Demote("unsteady")),
            Found::Nothing | Found::Proven => None,
        };
        Absorbed { seen, effect, compared: false }
    }
}
