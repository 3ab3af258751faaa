//! Central polls. The only file that names reqwest.

use crate::config::{Config, OriginProtocol};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
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
    reqwest::Url::parse(&format!("http://origin{target}")).is_ok_and(|url| {
        let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
        url.path() == path && url.query() == query && url.host_str() == Some("origin")
    })
}

/// The origin over HTTP.
#[derive(Clone, Debug)]
pub struct HttpOrigin {
    /// Pools its connections.
    client: reqwest::Client,
    /// Scheme and authority, without a slash at the end.
    base: String,
    /// Longest answer, in bytes as they come.
    body_limit: usize,
}

impl HttpOrigin {
    /// A client for the origin that the config names.
    ///
    /// # Errors
    /// If the HTTP library can't start, or the certificates to trust can't be read.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        // Environment proxies would send credentials elsewhere; a redirect could lead anywhere.
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(config.poll.timeout)
            .connect_timeout(config.timeouts.connect)
            .pool_idle_timeout(config.timeouts.idle.min(Duration::from_secs(30)));
        let secure = config.origin.scheme_str() == Some("https");
        if secure {
            // Those of passthrough, or the two could ask different servers.
            builder = builder.tls_backend_preconfigured(super::trust::client(config)?);
        }
        builder = match config.origin_protocol {
            OriginProtocol::Http2 => builder.http2_prior_knowledge(),
            OriginProtocol::Http1 => builder.http1_only(),
            OriginProtocol::Auto => builder,
        };
        if let Some(path) = &config.origin_socket {
            builder = builder.unix_socket(path.as_path());
        }
        let base = config.origin.to_string().trim_end_matches('/').to_owned();
        Ok(Self { client: builder.build()?, base, body_limit: config.limits.body })
    }
}

impl Origin for HttpOrigin {
    fn poll(&self, ask: Ask) -> Polling {
        let url = reqwest::Url::parse(&format!("{}{}", self.base, ask.target));
        let request = url.map(|url| self.client.get(url).headers(ask.headers));
        let limit = self.body_limit;
        Box::pin(async move {
            let request = request.map_err(|error| PollError::Io(error.to_string()))?;
            let response = request.send().await.map_err(fault)?;
            let (status, headers) = (response.status(), response.headers().clone());
            let body = collect(response, limit).await?;
            Ok(Answer { status, headers, body })
        })
    }
}

async fn collect(mut response: reqwest::Response, limit: usize) -> Result<Bytes, PollError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(fault)? {
        if body.len() + chunk.len() > limit {
            return Err(PollError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Never with the URL: it may hold a secret.
fn fault(error: reqwest::Error) -> PollError {
    if error.is_timeout() {
        return PollError::Timeout;
    }
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    PollError::Io(text)
}
