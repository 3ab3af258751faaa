//! Central polls: GETs of our own, on the connections of passthrough, so that the origin is asked
//! for exactly what a client's request would ask for.

use super::Upstream;
use crate::config::Config;
use crate::error::{Cause, Error};
use crate::http::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// What a central poll asks for.
#[derive(Debug)]
pub struct Ask {
    /// Path and query.
    pub target: String,
    /// Every field, `Host` included.
    pub headers: HeaderMap,
}

/// What the origin said to a central poll. The body is as it came, content coding included.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Fields.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

/// Why the origin said nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PollError {
    /// It took longer than `poll.timeout`.
    #[error("the origin did not answer within the poll timeout")]
    Timeout,
    /// No connection, or it broke.
    #[error("the origin could not be asked: {0}")]
    Io(String),
    /// The body is longer than `limits.body`.
    #[error("the body is longer than limits.body")]
    TooLong,
}

/// A poll on its way. Dropping it abandons the poll.
pub type Polling = Pin<Box<dyn Future<Output = Result<Answer, PollError>> + Send>>;

/// Whoever answers central polls: the real origin, or a script in tests.
pub trait Origin: Send + Sync + 'static {
    /// Asks once. Follows no redirect. Cancel safe: a dropped poll only costs the origin's work.
    fn poll(&self, ask: Ask) -> Polling;
}

/// True if a central poll can ask for this path and query byte for byte. What a URL parser rewrites
/// (`/a/../b` above all, which may lead out of the watch) no browser sends.
#[must_use]
pub fn is_askable(target: &str) -> bool {
    url::Url::parse(&format!("http://origin{target}")).is_ok_and(|url| {
        let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
        url.path() == path && url.query() == query && url.host_str() == Some("origin")
    })
}

/// The origin, asked by ourselves.
#[derive(Clone, Debug)]
pub struct HttpOrigin {
    /// Carries the requests. It follows no redirect and takes no coding off.
    upstream: Upstream,
    /// From the request to the end of its answer.
    timeout: Duration,
    /// Longest answer, in bytes as they come.
    body_limit: usize,
}

impl HttpOrigin {
    /// Polls over `upstream`, with the times and sizes of the config.
    #[must_use]
    pub fn new(upstream: Upstream, config: &Config) -> Self {
        Self { upstream, timeout: config.poll.timeout, body_limit: config.limits.body }
    }

    async fn ask(&self, ask: Ask) -> Result<Answer, PollError> {
        let mut request = Request::new(Body::Empty);
        *request.uri_mut() = ask.target.parse().map_err(|_| io("a target that is no target"))?;
        *request.headers_mut() = ask.headers;
        let response = self.upstream.poll(request).await.map_err(|error| fault(&error))?;
        let (parts, mut body) = response.into_parts();
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| io(&error.to_string()))?;
            if let Ok(data) = frame.into_data() {
                if whole.len() + data.len() > self.body_limit {
                    return Err(PollError::TooLong);
                }
                whole.extend_from_slice(&data);
            }
        }
        Ok(Answer { status: parts.status, headers: parts.headers, body: whole.freeze() })
    }
}

impl Origin for HttpOrigin {
    fn poll(&self, ask: Ask) -> Polling {
        let origin = self.clone();
        Box::pin(async move {
            let answer = tokio::time::timeout(origin.timeout, origin.ask(ask)).await;
            answer.unwrap_or(Err(PollError::Timeout))
        })
    }
}

fn io(text: &str) -> PollError {
    PollError::Io(text.to_owned())
}

/// Never with the target: it may hold a secret.
fn fault(error: &Error) -> PollError {
    match error.cause() {
        Cause::HeadTimeout | Cause::ConnectTimeout => PollError::Timeout,
        _ => io(&error.to_string()),
    }
}
