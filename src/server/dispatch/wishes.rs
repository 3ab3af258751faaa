//! What a client's topics are, and what is polled for them.

use super::Shared;
use super::live::Live;
use crate::config::{Audience, Service};
use crate::http::Client;
use crate::hub::{About, Wish};
use crate::route;
use crate::stream::Wanted;
use crate::upstream;
use crate::watch::{Common, Facts, PollRequest, Target, unix_ms};
use http::HeaderMap;
use std::sync::Arc;
use tokio::time::Instant;

/// One topic as the hub wants it; or why the client can't have it. `common` is what the polls of
/// the client's topics share.
pub fn wish(
    shared: &Shared,
    live: &Live,
    wanted: &Wanted,
    (client, asked): (Client, Instant),
    common: &mut Common,
) -> Result<Wish, &'static str> {
    let config = &live.config;
    let now_ms = unix_ms();
    let target = Target::new(&wanted.target, &config.identity.cache_busters, now_ms);
    let index = route::pushed(config, target.path()).ok_or("unwatched")?;
    let watch = live.watches.get(index).ok_or("unwatched")?;
    if route::is_another(&wanted.headers) {
        return Err("unwatched");
    }
    if !upstream::is_askable(&wanted.target) {
        return Err("unwatchable");
    }
    let identity = live.keyer.identify(&wanted.headers);
    let nobody = identity == live.keyer.nobody();
    let place = nobody.then(|| live.keyer.place(live.address_of(&wanted.headers, client)));
    let (keyer, audience) = (&live.keyer, shared.hub.audience(watch));
    let facts = Facts { watch: &watch.name, audience, target: &target, headers: &wanted.headers };
    let key = keyer.key(facts, identity);
    let about = About { watch: Arc::clone(watch), path: target.path().to_owned(), audience };
    let every = wanted.every.unwrap_or(config.poll.default_interval);
    // Otherwise the origin would take a central poll for a request of this machine's own, and may
    // show it what it shows no client.
    let told = shared.upstream.poll_fields(wanted.headers.clone(), client);
    let headers = told.map_err(|_| "unwatchable")?;
    // What Pollcast asks in its own name: nobody's credentials, or its own.
    let service = watch.poll_as.as_ref().map(Service::fields);
    let own = match audience {
        Audience::Credential => None,
        Audience::Shared => service.cloned(),
        Audience::Public => Some(HeaderMap::new()),
    };
    let own = own.map(|credentials| {
        let (id, mut fields) = (keyer.identify(&credentials), keyer.anonymous(&headers));
        fields.extend(credentials);
        (id, PollRequest::sharing(common, target.clone(), &fields, now_ms))
    });
    let request = PollRequest::sharing(common, target, &headers, now_ms);
    Ok(Wish { key, identity, place, own, about, request, have: wanted.have, every, asked })
}
