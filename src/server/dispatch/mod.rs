//! One request, top to bottom.

mod complaints;
mod cors;
mod habits;
pub mod hold;
mod leave;
pub mod live;
mod own;
mod preflights;
mod seats;
mod sender;
mod watched;
mod wishes;

pub use self::complaints::Complaints;
pub use self::cors::Admitted;
pub use self::habits::Habits;
use self::hold::Purse;
pub use self::leave::Named;
use self::live::Live;
pub use self::preflights::Preflights;
pub use self::seats::Seats;
use self::sender::Sender;
use self::watched::Watched;
use super::{Client, Handler, Reply};
use crate::config::Mode;
use crate::drain::Drain;
use crate::error::Error;
use crate::hint::Write;
use crate::http::{Body, fields};
use crate::hub::Hub;
use crate::rollout;
use crate::route::{self, Decision, Mark};
use crate::shim::inject::RequestFacts;
use crate::telemetry::Metrics;
use crate::upstream::{Passed, Upstream};
use arc_swap::ArcSwap;
use http::{Request, Version};
use std::sync::Arc;

/// Everything a request may need. Clones share it.
#[derive(Clone)]
pub struct Dispatch(Arc<Shared>);

/// What all requests share.
pub struct Shared {
    /// What the present configuration decides; replaced as a whole at a reload.
    pub live: Arc<ArcSwap<Live>>,
    /// Topics and streams.
    pub hub: Hub,
    /// The way to the origin.
    pub upstream: Upstream,
    /// Bounds the answers that wait for their clients.
    pub purse: Arc<Purse>,
    /// Which pages of other hosts the origin admits.
    pub admitted: Admitted,
    /// And which fields of theirs.
    pub preflights: Preflights,
    /// Streams by client.
    pub seats: Arc<Seats>,
    /// Streams by name.
    pub named: Arc<Named>,
    /// Which refusals are no news.
    pub habits: Habits,
    /// Keeps the log readable when the origin fails.
    pub complaints: Complaints,
    /// Counters.
    pub metrics: Metrics,
    /// Tasks that outlive their request.
    pub drain: Drain,
}

impl Dispatch {
    /// A handler over these.
    #[must_use]
    pub fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }
}

impl Handler for Dispatch {
    async fn handle(&self, req: Request<Body>, client: Client) -> Reply {
        let shared = self.0.as_ref();
        match answer(shared, req, client).await {
            Ok(reply) => reply,
            Err(error) => {
                shared.metrics.upstream_error(error.kind());
                shared.complaints.say(&error);
                Reply::Response(error.response())
            }
        }
    }
}

async fn answer(shared: &Shared, mut req: Request<Body>, client: Client) -> Result<Reply, Error> {
    let live = shared.live.load_full();
    shared.upstream.overhear(req.headers(), client);
    name_host(&mut req);
    if req.version() == Version::HTTP_2 {
        // In pieces over HTTP/2. An origin that joins lines of one name by commas finds no session.
        let headers = std::mem::take(req.headers_mut());
        *req.headers_mut() = fields::join_cookies(headers);
    }
    let decision = route::decide(&live.config, req.method(), req.uri(), req.headers());
    shared.metrics.request(label(decision));
    let reading = rollout::any(&live.config, Mode::Collapse);
    if reading && (decision != Decision::Pass || live.keyer.names_the_way()) {
        tell_the_way(&live, &mut req, client);
    }
    let sender = reading.then(|| Sender::new(shared, &live, &req, client));
    let handshake = fields::is_websocket(req.headers()) && req.version() == Version::HTTP_11;
    // All but the plain way is boxed: a request's future is moved as a whole, and is as large as
    // the largest of its parts.
    let reply = match decision {
        Decision::Own(endpoint) => {
            return Ok(Box::pin(own::answer(shared, &live, (endpoint, client), req)).await);
        }
        // A watch matches paths, and a WebSocket may well have one that is polled, too.
        Decision::Watched { .. } | Decision::Pass if handshake => {
            Box::pin(tunnel(shared, req, client)).await
        }
        // A page that a watch matches, too, is a page: it is shown, not polled.
        Decision::Watched { mark: Mark::None, .. } if is_page(&live, &req) => {
            pass(shared, &live, req, client).await
        }
        Decision::Watched { watch, mode, mark } if mode >= Mode::Collapse => {
            let watched = Watched::new(shared, &live, watch, &req);
            let answer = Box::pin(watched.answer(req, mark, client));
            answer.await.map(Reply::Response)
        }
        Decision::Write => Box::pin(write(shared, &live, req, client)).await,
        Decision::Pass if cors::is_ours(&live, &req) => {
            let preflight = Box::pin(cors::preflight(shared, &live, req, client));
            preflight.await.map(Reply::Response)
        }
        Decision::Watched { .. } | Decision::Pass => pass(shared, &live, req, client).await,
    }?;
    let head = match &reply {
        Reply::Response(response) => Some((response.status(), response.headers())),
        Reply::Tunnel { head, .. } => Some((head.status(), head.headers())),
        Reply::Stream { .. } => None,
    };
    let told = sender.zip(head).and_then(|(sender, head)| sender.learn(shared, &live, head));
    if let Some(told) = told {
        Box::pin(told.taken()).await;
    }
    Ok(reply)
}

/// Writes the host of the target where the origin will read it: otherwise a topic would be keyed by
/// another host than the origin is asked for, and one host's answer would be pushed to the other's
/// pages. Two `Host` lines stay, to be refused.
fn name_host(req: &mut Request<Body>) {
    let lines = req.headers().get_all(http::header::HOST).iter().count();
    if let Some(host) = fields::named_host(req.uri()).filter(|_| lines < 2) {
        let headers = std::mem::take(req.headers_mut());
        *req.headers_mut() = fields::set_host(headers, Some(&(host, true)));
    }
}

/// Replaces what a client says of its own way by what the origin will be told: a key or an identity
/// that is made of it would else be the client's to choose. A proxy that is trusted speaks for its
/// clients. Said again on the way out, which changes nothing.
fn tell_the_way(live: &Live, req: &mut Request<Body>, client: Client) {
    let rules = &live.config.forwarding;
    if !fields::trusts(rules, client.peer.ip()) {
        let headers = std::mem::take(req.headers_mut());
        let host = fields::asked_host(&headers);
        *req.headers_mut() = fields::tell(headers, client, host.as_ref(), rules);
    }
}

/// The origin, unchanged; what it may have changed is asked for again.
async fn write(
    shared: &Shared,
    live: &Live,
    req: Request<Body>,
    client: Client,
) -> Result<Reply, Error> {
    let identity = live.keyer.identify(req.headers());
    let (hub, metrics) = (shared.hub.clone(), shared.metrics.clone());
    let write = Write::new(hub, metrics, req.uri().path(), identity);
    shared.metrics.origin_request();
    let response = shared.upstream.forward(req, client).await?;
    // Before the client learns of it: what it reads next must not be from before.
    write.answered(response.status());
    Ok(Reply::Response(response))
}

/// The origin, unchanged; a page gets the script tag.
async fn pass(
    shared: &Shared,
    live: &Live,
    req: Request<Body>,
    client: Client,
) -> Result<Reply, Error> {
    shared.metrics.origin_request();
    let (mut parts, body) = req.into_parts();
    let facts = injects(live).then(|| {
        let facts = RequestFacts::of(&parts.method, &parts.uri, &parts.headers);
        parts.headers = live.injector.request(&facts, std::mem::take(&mut parts.headers));
        facts
    });
    let req = Request::from_parts(parts, body);
    let response = shared.upstream.forward(req, client).await?;
    Ok(Reply::Response(match facts {
        Some(facts) => live.injector.response(&facts, response),
        None => response,
    }))
}

/// True if pages get the script tag.
fn injects(live: &Live) -> bool {
    live.config.inject.enabled && rollout::any(&live.config, Mode::Collapse)
}

/// True for a request whose answer may get the script tag.
fn is_page(live: &Live, req: &Request<Body>) -> bool {
    let facts = || RequestFacts::of(req.method(), req.uri(), req.headers());
    injects(live) && facts().wants_page()
}

/// A WebSocket: the origin, and then bytes both ways.
async fn tunnel(shared: &Shared, req: Request<Body>, client: Client) -> Result<Reply, Error> {
    shared.metrics.origin_request();
    Ok(match shared.upstream.tunnel(req, client).await? {
        Passed::Response(response) => Reply::Response(response),
        Passed::Tunnel { head, origin } => Reply::Tunnel { head, origin },
    })
}

fn label(decision: Decision) -> &'static str {
    match decision {
        Decision::Own(_) => "own",
        Decision::Watched { mark: Mark::None, .. } => "watched",
        Decision::Watched { .. } => "marked",
        Decision::Write => "write",
        Decision::Pass => "pass",
    }
}
