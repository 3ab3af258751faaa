//! A watched GET: a fresh snapshot, or the origin; what passes is an observation.

use super::hold::{Caps, Held, Tee, hold};
use super::live::Live;
use super::{Shared, cors};
use crate::config::Audience;
use crate::error::Error;
use crate::http::{Body, Client, fields};
use crate::hub::{About, Asker, Hub, Position};
use crate::route::Mark;
use crate::watch::{
    Facts, IdentityId, PollRequest, Refusal, Snapshot, Target, TopicKey, decode, is_text, read,
    unix_ms,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use std::sync::Arc;
use tokio::time::Instant;

/// The field that says where an answer's state stands.
const STATE_FIELD: HeaderName = HeaderName::from_static("pollcast-state");

/// One watched GET on its way.
pub struct Watched<'a> {
    shared: &'a Shared,
    live: &'a Arc<Live>,
    about: About,
    key: TopicKey,
    identity: IdentityId,
    target: Target,
    /// A page of another host asks.
    cross: bool,
}

/// What is needed to read an answer after its request has gone.
struct Reading {
    live: Arc<Live>,
    hub: Hub,
    about: About,
    key: TopicKey,
    identity: IdentityId,
    target: Target,
    /// What was asked.
    request: HeaderMap,
    /// The same as a central poll would ask it, where the topic may be shared.
    again: Option<PollRequest>,
    begun: Instant,
}

impl<'a> Watched<'a> {
    /// `watch` is an index into the watches.
    pub fn new<B>(shared: &'a Shared, live: &'a Arc<Live>, watch: usize, req: &Request<B>) -> Self {
        let watch = Arc::clone(&live.watches[watch]);
        let raw = req.uri().path_and_query().map_or("/", |target| target.as_str());
        let target = Target::new(raw, &live.config.identity.cache_busters, unix_ms());
        let identity = live.keyer.identify(req.headers());
        let audience = shared.hub.audience(&watch);
        let facts = Facts { watch: &watch.name, audience, target: &target, headers: req.headers() };
        let key = live.keyer.key(facts, identity);
        let path = target.path().to_owned();
        let about = About { watch, path, audience };
        let cross = cors::page(live, req.headers()).is_some();
        Self { shared, live, about, key, identity, target, cross }
    }

    /// Answers it.
    pub async fn answer(
        self,
        req: Request<Body>,
        mark: Mark,
        client: Client,
    ) -> Result<Response<Body>, Error> {
        match mark {
            Mark::None => self.stream(req, client).await,
            Mark::Polled => match self.shared.hub.fresh(self.key, self.identity) {
                Some((snapshot, position)) => {
                    self.shared.metrics.request("snapshot");
                    Ok(self.replay(&snapshot, position))
                }
                None => self.hold(req, client).await,
            },
            Mark::Renewal => self.hold(req, client).await,
        }
    }

    fn reading(&self, headers: &HeaderMap, client: Client) -> Reading {
        let again = (self.about.audience != Audience::Credential).then(|| {
            let told = self.shared.upstream.poll_fields(headers.clone(), client).ok()?;
            Some(PollRequest::new(self.target.clone(), &told, unix_ms()))
        });
        Reading {
            live: Arc::clone(self.live),
            hub: self.shared.hub.clone(),
            about: self.about.clone(),
            key: self.key,
            identity: self.identity,
            target: self.target.clone(),
            request: headers.clone(),
            again: again.flatten(),
            begun: Instant::now(),
        }
    }

    fn caps(&self) -> Caps<'_> {
        let limits = &self.live.config.limits;
        Caps { body: limits.body, all: limits.snapshots, purse: &self.shared.purse }
    }

    /// Not known to be polled: it streams as without us. If somebody subscribes to the same, a copy
    /// is an observation.
    async fn stream(self, req: Request<Body>, client: Client) -> Result<Response<Body>, Error> {
        // The page's script knows which values are cache busters; an unmarked request comes without
        // its word.
        // A guess may be wrong: the target may ask something of its own, though its key says
        // otherwise.
        let known = !self.target.is_guessed() && self.shared.hub.knows(self.key);
        let known = known.then(|| self.reading(req.headers(), client));
        self.shared.metrics.origin_request();
        let page = cors::page(self.live, req.headers()).cloned();
        let response = self.shared.upstream.forward(req, client).await?;
        if let Some(page) = &page {
            self.shared.admitted.note(page, &self.about.path, response.headers());
        }
        let Some(reading) = known else { return Ok(response) };
        if response.status() != StatusCode::OK {
            Self::refuse(reading, response.status());
            return Ok(response);
        }
        if !is_text(response.headers()) {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let headers = parts.headers.clone();
        let drain = self.shared.drain.clone();
        let done = move |body: Bytes| {
            drain.spawn(async move {
                let _ = reading.observe((StatusCode::OK, &headers), body).await;
            });
        };
        Ok(Response::from_parts(parts, Body::boxed(Tee::new(body, self.caps(), done))))
    }

    /// Known to be polled: the answer is held until it is complete, and says its state.
    async fn hold(self, mut req: Request<Body>, client: Client) -> Result<Response<Body>, Error> {
        // The browser's own cache made these (the script marks nothing that the app made
        // conditional): a 304 would hide the body that is to be compared.
        let headers = std::mem::take(req.headers_mut());
        *req.headers_mut() = fields::without(headers, |name| {
            *name == header::IF_NONE_MATCH || *name == header::IF_MODIFIED_SINCE
        });
        let reading = self.reading(req.headers(), client);
        self.shared.metrics.origin_request();
        let page = cors::page(self.live, req.headers()).cloned();
        let response = self.shared.upstream.forward(req, client).await?;
        if let Some(page) = &page {
            self.shared.admitted.note(page, &self.about.path, response.headers());
        }
        let (parts, body) = response.into_parts();
        if parts.status != StatusCode::OK {
            Self::refuse(reading, parts.status);
            return Ok(Response::from_parts(parts, body));
        }
        if !is_text(&parts.headers) {
            return Ok(Response::from_parts(parts, body));
        }
        let body = match hold(body, self.caps()).await {
            Held::Whole(body) => body,
            Held::Passing(body) => return Ok(Response::from_parts(parts, body)),
        };
        let position = reading.observe((parts.status, &parts.headers), body.clone()).await;
        let mut response = Response::from_parts(parts, Body::from(body));
        if let Some(position) = position {
            self.say(&mut response, position);
        }
        Ok(response)
    }

    fn refuse(reading: Reading, status: StatusCode) {
        // A 304 answers the client's own condition: it says nothing about our state.
        if status != StatusCode::NOT_MODIFIED {
            let _ = reading.tell(Err(Refusal::Status(status)));
        }
    }

    fn replay(&self, snapshot: &Snapshot, position: Position) -> Response<Body> {
        let mut response = Response::new(Body::from(snapshot.bytes()));
        for (name, value) in &snapshot.fields {
            // Latin-1, as it was read.
            let bytes: Vec<u8> =
                value.chars().filter_map(|c| u8::try_from(u32::from(c)).ok()).collect();
            let field = (name.parse::<HeaderName>(), HeaderValue::from_bytes(&bytes));
            if let (Ok(name), Ok(value)) = field {
                response.headers_mut().append(name, value);
            }
        }
        self.say(&mut response, position);
        response
    }

    fn say(&self, response: &mut Response<Body>, position: Position) {
        let (hash, seq, epoch) = (position.hash.as_str(), position.seq, self.shared.hub.epoch());
        if let Ok(value) = HeaderValue::try_from(format!("{hash};seq={seq};epoch={epoch}")) {
            response.headers_mut().append(STATE_FIELD, value);
            if self.cross {
                cors::expose(response);
            }
        }
    }
}

impl Reading {
    /// Reads the answer, and says where its state stands.
    async fn observe(
        mut self,
        (status, headers): (StatusCode, &HeaderMap),
        body: Bytes,
    ) -> Option<Position> {
        let limit = self.live.config.limits.body;
        let Some(body) = decode(headers, body, limit).await else {
            return self.tell(Err(Refusal::TooLong));
        };
        let parts = (status, headers, body.as_ref());
        let (live, about) = (Arc::clone(&self.live), self.about.clone());
        let answer = || read(&live.keyer, &about.watch, &self.request, parts, self.begun);
        match answer() {
            Err(Refusal::Rekeyed) => {
                let again = answer();
                self.hub.rekey(&self.about.watch);
                let (watch, audience) = (&about.watch.name, about.audience);
                let facts = Facts { watch, audience, target: &self.target, headers: &self.request };
                self.key = self.live.keyer.key(facts, self.identity);
                self.tell(again)
            }
            answer => self.tell(answer),
        }
    }

    fn tell(self, answer: Result<Snapshot, Refusal>) -> Option<Position> {
        let asker = Asker { identity: self.identity, request: self.again };
        self.hub.observe(self.key, self.about, asker, (self.begun, answer))
    }
}
