//! What an answer says of whoever asked: that the origin refuses them, or takes them for somebody
//! else from now on.

use super::Shared;
use super::live::Live;
use super::seats::client_of;
use crate::http::Client;
use crate::hub::Dismissed;
use crate::watch::CLEAR;
use http::{HeaderMap, StatusCode, header};
use std::net::IpAddr;

/// The credentials of a request that is on its way, and where it comes from.
pub struct Sender(HeaderMap, IpAddr);

impl Sender {
    /// Of a request with these fields.
    pub fn new(live: &Live, headers: &HeaderMap, client: Client) -> Self {
        let address = client_of(headers, client.peer.ip(), &live.config.forwarding.trusted);
        Self(live.keyer.credentials(headers), address)
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
        let changed = cookies && live.keyer.changes_identity(&self.0, fields);
        if identity == live.keyer.nobody() {
            // All who have no credentials are one: the answer to one of them says nothing of the
            // others. Who becomes somebody is one of those at the same address: who of them, only
            // the browser knows, and the others lose no more than a moment.
            let place = || live.keyer.place(self.1);
            return changed.then(|| shared.hub.dismiss(place(), "anew"));
        }
        let reason = match refused {
            _ if changed => "anew",
            true => "refused",
            false => return None,
        };
        Some(shared.hub.dismiss(identity, reason))
    }
}
