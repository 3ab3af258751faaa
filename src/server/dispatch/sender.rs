//! What an answer says of whoever asked: that the origin refuses them, or takes them for somebody
//! else from now on.

use super::Shared;
use super::habits::Place;
use super::live::Live;
use crate::http::Client;
use crate::hub::Dismissed;
use crate::watch::CLEAR;
use http::{HeaderMap, Request, StatusCode, header};
use std::net::IpAddr;

/// What is left here of a request that is on its way.
pub struct Sender {
    credentials: HeaderMap,
    /// Where it comes from.
    address: IpAddr,
    /// What it asks.
    place: Place,
}

impl Sender {
    /// Of this request.
    pub fn new<B>(shared: &Shared, live: &Live, req: &Request<B>, client: Client) -> Self {
        let headers = req.headers();
        let address = live.address_of(headers, client);
        let place = shared.habits.place(req.method(), req.uri().path());
        Self { credentials: live.keyer.credentials(headers), address, place }
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
        if !refused {
            shared.habits.served(self.place, || live.keyer.identify(&self.credentials));
        }
        if !refused && !cookies {
            return None;
        }
        let identity = live.keyer.identify(&self.credentials);
        let changed = cookies && live.keyer.changes_identity(&self.credentials, fields);
        if identity == live.keyer.nobody() {
            // All who have no credentials are one: the answer to one of them says nothing of the
            // others. Who becomes somebody is one of those at the same address: who of them, only
            // the browser knows, and the others lose no more than a moment.
            let place = || live.keyer.place(self.address);
            return changed.then(|| shared.hub.dismiss(place(), "anew"));
        }
        // Though it is no news, it is noted.
        let known = refused && shared.habits.refused(self.place, identity);
        let reason = match refused {
            _ if changed => "anew",
            true if !known => "refused",
            _ => return None,
        };
        Some(shared.hub.dismiss(identity, reason))
    }
}
