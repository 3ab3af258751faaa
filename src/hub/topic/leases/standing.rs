//! Who may be given what.

use super::super::super::state::Stale;
use super::{Lease, Leases};
use crate::config::{Audience, Proof};
use crate::watch::{IdentityId, StateHash};
use tokio::time::Instant;

/// How a subscription of an identity stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Standing {
    /// It may be given the present state.
    Sees,
    /// Not the present state; the one before it still counts if it was verified at this instant.
    Waits(Option<(StateHash, Instant)>),
    /// Its own requests don't get a state, or its lease ran out.
    Not(Stale),
}

impl Leases {
    /// What this identity was shown by requests that began until then doesn't count any more.
    pub(in super::super) fn revoke(&mut self, id: IdentityId, since: Instant) {
        let Some(lease) = self.all.get_mut(&id) else { return };
        if lease.shown.as_ref().is_some_and(|shown| shown.begun <= since) {
            (lease.shown, lease.agreed) = (None, None);
            if lease.subs == 0 {
                self.forget(id);
            }
        }
    }

    pub(super) fn counts(&self, lease: &Lease, now: Instant) -> bool {
        lease.shown.as_ref().is_some_and(|shown| now < shown.begun + self.term)
    }

    pub(super) fn is_proven(&self) -> bool {
        self.proven || self.audience == Audience::Public
    }

    pub(super) fn sees(&self, id: IdentityId, lease: &Lease, now: Instant) -> bool {
        let own = lease.shown.as_ref().is_some_and(|shown| Some(shown.hash) == self.current);
        let last = lease.shown.as_ref().map(|shown| shown.begun);
        let agreed = lease.agreed.filter(|begun| Some(*begun) >= last);
        let agreed = agreed.is_some_and(|begun| now < begun + self.term);
        let disputed = self.trial.as_ref().is_some_and(|trial| trial.involves(id));
        own || (self.proof == Proof::Two && self.is_proven() && agreed && !disputed)
    }

    /// How the subscriptions of this identity stand.
    pub(in super::super) fn standing(&self, id: IdentityId, now: Instant) -> Standing {
        const LAPSED: Stale = Stale { reason: "lease", status: None };
        if self.audience == Audience::Public {
            return Standing::Sees;
        }
        let Some(lease) = self.all.get(&id) else { return Standing::Not(LAPSED) };
        match lease.ill {
            Some((stale, _)) => Standing::Not(stale),
            None if !self.counts(lease, now) => Standing::Not(LAPSED),
            None if self.sees(id, lease, now) => Standing::Sees,
            None => Standing::Waits(self.outgoing),
        }
    }
}
