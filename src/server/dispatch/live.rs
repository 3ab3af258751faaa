//! What one configuration decides: built once per reload, shared by all requests under way.

use super::seats::client_of;
use crate::config::{Config, Watch};
use crate::http::Client;
use crate::shim::inject::Injector;
use crate::shim::script::Scripts;
use crate::telemetry::Metrics;
use crate::watch::{Keyer, Learnt};
use http::HeaderMap;
use std::net::IpAddr;
use std::sync::Arc;

/// A configuration, and what is made of it.
pub struct Live {
    /// As the operator decided.
    pub config: Config,
    /// Its watches, to be shared with topics; same order.
    pub watches: Vec<Arc<Watch>>,
    /// Makes identities and topic keys.
    pub keyer: Arc<Keyer>,
    /// The page's scripts.
    pub scripts: Scripts,
    /// Writes the script tag into pages.
    pub injector: Injector,
}

impl Live {
    /// Builds it. `secret` keys identities and must stay the same while the process lives, or
    /// topics lose their subscribers; so must `learnt`.
    #[must_use]
    pub fn new(
        config: Config,
        (secret, learnt): ([u8; 32], &Arc<Learnt>),
        metrics: &Metrics,
    ) -> Self {
        let metrics = metrics.clone();
        let report = Arc::new(move |outcome: crate::shim::inject::Outcome| {
            metrics.injected(outcome.label());
        });
        Self {
            watches: config.watches.iter().cloned().map(Arc::new).collect(),
            keyer: Arc::new(
                Keyer::new(secret, config.identity.clone()).remembering(Arc::clone(learnt)),
            ),
            scripts: Scripts::new(&config, env!("CARGO_PKG_VERSION")),
            injector: Injector::new(&config.prefix, config.inject.csp, report),
            config,
        }
    }

    /// Where a request with these fields comes from, as far as the proxies on its way are trusted.
    pub fn address_of(&self, headers: &HeaderMap, client: Client) -> IpAddr {
        client_of(headers, client.peer.ip(), &self.config.forwarding.trusted)
    }
}
