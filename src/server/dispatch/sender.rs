//! What an answer says of whoever asked: that the origin refuses them, or takes them for somebody
//! else from now on.

use super::Shared;
use super::live::Live;
use crate::hub::Dismissed;
use crate::watch::CLEAR;
use http::{HeaderMap, StatusCode, header};

/// The credentials of a request that is on its way.
pub struct Sender(HeaderMap);

impl Sender {
    /// Of a request with these fields.
    pub fn new(live: &Live, headers: &HeaderMap) -> Self {
        Self(live.keyer.credentials(headers))
    }

    /// Before the answer goes on: nothing may be pushed to whom the origin refuses, nor to whom it
    /// has just given another identity. Ends what they subscribe to, on every page of theirs, who
    /// should have been told before the answer is.
    pub fn learn(
        &self,
        shared: &Shared,
        live: &Live,
        (status, fields): (StatusCode, &HeaderMap),
    ) -> Option<Dismissed> {
        let refused = status == StatusCode::UNAUTHORIZED;
        let cookies = fields.contains_key(header::SET_COOKIE) || fields.contains_key(&CLEAR);
        if !refused && !cookies {
            return None;
        }
        let identity = live.keyer.identify(&self.0);
        if identity == live.keyer.nobody() {
            // All who have no credentials are one: the answer to one of them says nothing of the
            // others.
            return None;
        }
        let reason = match refused {
            _ if live.keyer.changes_identity(&self.0, fields) => "anew",
            true => "refused",
            false => return None,
        };
        Some(shared.hub.dismiss(identity, reason))
    }
}
