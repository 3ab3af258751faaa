//! Writes the script tag into HTML pages on their way through.
//!
//! A page is a document that a browser shows: its bytes change by the tag, its validators by a
//! suffix, and nothing else changes. Whatever isn't surely a page, and every page that can't be
//! rewritten, goes on as it came (fail open).

mod coding;
mod facts;
mod fields;
mod media;
mod page;
mod place;
mod policy;
mod teller;
#[cfg(test)]
mod tests;
mod validator;
mod widen;

pub use facts::RequestFacts;

use crate::config::Csp;
use crate::http::Body;
use bytes::Bytes;
use coding::Coding;
use facts::Dest;
use fields::{rebuild, rewritable_codings, rewritten, validated, with_policies};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use media::Media;
use page::Page;
use policy::{Ruling, Site};
use std::sync::Arc;
use teller::{Teller, Why};

/// What became of a response to a request for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The tag is in.
    Injected,
    /// Not HTML, or not to be shown (an attachment).
    NotHtml,
    /// The page's policy would block the tag or the stream.
    Csp,
    /// A content coding or character encoding that can't be rewritten.
    Encoding,
    /// HTML, but not a whole page.
    Fragment,
    /// Broken coding, or no head within the limit.
    Failed,
    /// `Cache-Control: no-transform`.
    NoTransform,
}

impl Outcome {
    /// All of them, in the order of their labels' first use.
    pub const ALL: [Self; 7] = [
        Self::Injected,
        Self::NotHtml,
        Self::Csp,
        Self::Encoding,
        Self::Fragment,
        Self::Failed,
        Self::NoTransform,
    ];

    /// As a metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Injected => "injected",
            Self::NotHtml => "not_html",
            Self::Csp => "csp",
            Self::Encoding => "encoding",
            Self::Fragment => "fragment",
            Self::Failed => "failed",
            Self::NoTransform => "no_transform",
        }
    }
}

/// Is told what became of each page: once, when it is known (that may be while its body streams).
pub type Report = Arc<dyn Fn(Outcome) + Send + Sync>;

/// How a page gets its tag.
struct Plan {
    /// The tag.
    tag: Bytes,
    /// The content coding.
    coding: Coding,
    /// The fields say which characters the page is in: the browser looks nowhere else.
    labelled: bool,
    /// The browser said that it asks for a document: a page needs no doctype to be one.
    sure: bool,
    /// Policies in the place of the origin's, line by line; empty if these stay.
    policies: Vec<HeaderValue>,
}

/// Writes the script tag into pages.
#[derive(Clone)]
pub struct Injector {
    /// Path of the script.
    script: String,
    /// Path below which the script asks.
    own: String,
    /// What to do about policies.
    csp: Csp,
    /// Whom to tell.
    teller: Teller,
}

impl std::fmt::Debug for Injector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Injector").field("script", &self.script).finish_non_exhaustive()
    }
}

impl Injector {
    /// `prefix`: path prefix of the own endpoints, as in [`crate::config::Config::prefix`].
    #[must_use]
    pub fn new(prefix: &str, csp: Csp, report: Report) -> Self {
        let teller = Teller::new(report);
        Self { script: format!("{prefix}/shim.js"), own: format!("{prefix}/"), csp, teller }
    }

    /// The request's fields as the origin should see them, so that its answer can be rewritten.
    #[must_use]
    pub fn request(&self, facts: &RequestFacts, headers: HeaderMap) -> HeaderMap {
        if !facts.safe || !(facts.wants_page() || facts.marked) {
            return headers;
        }
        rebuild(headers, |name, value| match *name {
            header::IF_NONE_MATCH => validator::condition(&value),
            // RFC 9110 §13.1.3: ignored where there is an If-None-Match, and without one it could
            // confirm a page that was cached without the tag.
            header::IF_MODIFIED_SINCE => facts.marked.then_some(value),
            header::ACCEPT_ENCODING if facts.wants_page() => Some(rewritable_codings(value)),
            _ => Some(value),
        })
    }

    /// The response as the client should see it.
    #[must_use]
    pub fn response(&self, facts: &RequestFacts, response: Response<Body>) -> Response<Body> {
        let (mut parts, body) = response.into_parts();
        if parts.status == StatusCode::NOT_MODIFIED {
            if facts.safe && facts.marked {
                // The fields of a 304 replace those that the browser keeps (RFC 9111 §3.2), so they
                // must be those that the page had.
                let policies = self.widened(facts, &parts.headers).unwrap_or_default();
                parts.headers = validated(parts.headers, policies);
            }
            return Response::from_parts(parts, body);
        }
        if !facts.wants_page() || !media::may_be_page(parts.status, &parts.headers) {
            return Response::from_parts(parts, body);
        }
        match self.plan(facts, &parts.headers) {
            Err(why) => {
                match why {
                    _ if facts.head => {}
                    Some(why) => self.teller.left_alone(why),
                    None => self.teller.not_html(),
                }
                Response::from_parts(parts, body)
            }
            Ok(mut plan) => {
                let policies = std::mem::take(&mut plan.policies);
                parts.headers = rewritten(parts.headers, policies);
                // RFC 9110 §9.3.2: HEAD has the fields that GET would have.
                if facts.head {
                    return Response::from_parts(parts, body);
                }
                let page = Page::new(body, plan, self.teller.clone());
                Response::from_parts(parts, Body::boxed(page))
            }
        }
    }

    /// How the tag gets in; or why the page is left alone, `None` if it isn't one.
    fn plan(&self, facts: &RequestFacts, headers: &HeaderMap) -> Result<Plan, Option<Why>> {
        match Media::of(headers) {
            Media::Html => {}
            Media::Xhtml => return Err(Some(Why::Xhtml)),
            Media::Unsaid => return Err(Some(Why::MediaType)),
            Media::Other => return Err(None),
        }
        let Some(coding) = Coding::of(headers) else { return Err(Some(Why::Coding)) };
        let charset = media::charset(headers);
        if charset.as_deref().is_some_and(|label| !media::ascii_superset(label)) {
            return Err(Some(Why::Characters));
        }
        if !media::transformable(headers) {
            return Err(Some(Why::NoTransform));
        }
        if media::wants_integrity(headers) {
            return Err(Some(Why::Policy("integrity-policy")));
        }
        let alone =
            if policy::lets_worker(headers, &self.site(facts)) { "" } else { " data-alone" };
        let mut policies = Vec::new();
        let mut ruling = policy::ask(headers, &self.site(facts));
        if let Ruling::Blocked(_) = ruling
            && let Some(widened) = self.widened(facts, headers)
        {
            // Asked again, since what one policy got may not be what another one wants.
            ruling =
                policy::ask(&with_policies(headers.clone(), widened.clone()), &self.site(facts));
            policies = widened;
        }
        let script = &self.script;
        let tag = match ruling {
            Ruling::Runs => format!("<script src=\"{script}\"{alone}></script>"),
            Ruling::Nonce(nonce) => {
                format!("<script src=\"{script}\" nonce=\"{nonce}\"{alone}></script>")
            }
            Ruling::Blocked(rule) => return Err(Some(Why::Policy(rule))),
        };
        let labelled = charset.as_deref().is_some_and(media::settles);
        let sure = facts.dest == Dest::Document;
        Ok(Plan { tag: tag.into(), coding, labelled, sure, policies })
    }

    fn site<'a>(&'a self, facts: &'a RequestFacts) -> Site<'a> {
        Site { authority: facts.authority.as_deref(), script: &self.script, own: &self.own }
    }

    /// The policies with what the script needs, if the operator allows that and they lack it.
    fn widened(&self, facts: &RequestFacts, headers: &HeaderMap) -> Option<Vec<HeaderValue>> {
        match self.csp {
            Csp::Leave => None,
            Csp::Extend => widen::widened(headers, &self.site(facts)),
        }
    }
}
