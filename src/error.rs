//! Whose fault an error is, and which status it becomes.

use crate::http::{Body, BoxError};
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};

/// Who has to mend it: the first thing an operator asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The client sent what can't be served, or left.
    Client,
    /// The origin refused, failed or took too long.
    Origin,
    /// Pollcast itself.
    Us,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The client's message breaks a rule of HTTP.
    BadRequest(&'static str),
    /// The client used something that Pollcast doesn't carry.
    Unsupported(&'static str),
    /// The client used a method that Pollcast doesn't carry.
    NotAllowed(&'static str),
    /// The request has been here before.
    Loop,
    /// The client left, or its body broke off.
    ClientLeft,
    /// The origin's host name has no address.
    Unresolved,
    /// Nothing listens at the origin's address.
    Refused,
    /// The origin can't be reached for another reason.
    Unreachable,
    /// The origin didn't accept a connection in time.
    ConnectTimeout,
    /// The origin's certificate isn't trusted, or it doesn't speak TLS.
    Tls,
    /// The origin sent no response head in time.
    HeadTimeout,
    /// The origin closed or reset the connection before its response head was complete.
    Closed,
    /// The origin's answer isn't HTTP as we understand it.
    Malformed,
    /// A rule of Pollcast's own was broken.
    Internal,
}

impl Cause {
    /// The table: whose fault, which status, what to say, and the metric's label.
    fn row(self) -> (Fault, StatusCode, &'static str, &'static str) {
        use Fault::{Client, Origin, Us};
        const BAD: StatusCode = StatusCode::BAD_GATEWAY;
        const LATE: StatusCode = StatusCode::GATEWAY_TIMEOUT;
        match self {
            Self::BadRequest(why) => (Client, StatusCode::BAD_REQUEST, why, "bad_request"),
            Self::Unsupported(why) => (Client, StatusCode::NOT_IMPLEMENTED, why, "unsupported"),
            Self::NotAllowed(why) => (Client, StatusCode::METHOD_NOT_ALLOWED, why, "not_allowed"),
            Self::Loop => {
                let text = "the request runs in a circle: the origin leads back to Pollcast";
                (Us, StatusCode::LOOP_DETECTED, text, "loop")
            }
            Self::ClientLeft => {
                (Client, StatusCode::BAD_REQUEST, "the request broke off", "client_left")
            }
            Self::Unresolved => (Origin, BAD, "the origin's name has no address", "connect"),
            Self::Refused => (Origin, BAD, "the origin refused the connection", "connect"),
            Self::Unreachable => (Origin, BAD, "the origin can't be reached", "connect"),
            Self::ConnectTimeout => {
                (Origin, LATE, "the origin didn't accept the connection in time", "timeout")
            }
            Self::Tls => (Origin, BAD, "the TLS handshake with the origin failed", "tls"),
            Self::HeadTimeout => (Origin, LATE, "the origin didn't answer in time", "timeout"),
            Self::Closed => {
                (Origin, BAD, "the origin closed the connection before it answered", "closed")
            }
            Self::Malformed => (Origin, BAD, "the origin's answer isn't valid HTTP", "malformed"),
            Self::Internal => {
                (Us, StatusCode::INTERNAL_SERVER_ERROR, "a fault in Pollcast", "internal")
            }
        }
    }
}

/// A request that has no answer of the origin's.
#[derive(Debug, thiserror::Error)]
#[error("{}", .cause.row().2)]
pub struct Error {
    /// Which row of the table.
    cause: Cause,
    /// What the library below said, for the log only: it may name addresses.
    source: Option<BoxError>,
}

impl From<Cause> for Error {
    fn from(cause: Cause) -> Self {
        Self { cause, source: None }
    }
}

impl Error {
    /// An error with what the library below said.
    pub fn new(cause: Cause, source: impl Into<BoxError>) -> Self {
        Self { cause, source: Some(source.into()) }
    }

    /// What went wrong.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.cause.row().0
    }

    /// The status it becomes.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.cause.row().1
    }

    /// A short word for the metric that counts it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.cause.row().3
    }

    /// The answer: plain text that names Pollcast, so that nobody looks for the fault in the
    /// origin's own pages.
    #[must_use]
    pub fn response(&self) -> Response<Body> {
        let status = self.status();
        let text = format!("Pollcast: {self} ({})\n", status.as_u16());
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if matches!(self.cause, Cause::BadRequest(_) | Cause::Unsupported(_)) {
            // What comes next on the connection may have been meant as a part of this.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            // RFC 9110 §15.5.6 asks for it; what the origin allows is its own affair.
            let carried = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
            response.headers_mut().insert(ALLOW, carried);
        }
        response
    }

    /// Writes the one log line. What a client does wrong isn't news; what the origin or we do is.
    pub fn log(&self) {
        let status = self.status().as_u16();
        let source = self.source.as_deref().map(chain).unwrap_or_default();
        match self.fault() {
            Fault::Client => tracing::debug!(status, source, "client: {self}"),
            Fault::Origin => tracing::warn!(status, source, "origin: {self}"),
            Fault::Us => tracing::error!(status, source, "{self}"),
        }
    }
}

/// The error and what it rests on, in one line.
fn chain(error: &(dyn std::error::Error + Send + Sync + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(below) = next {
        text.push_str(": ");
        text.push_str(&below.to_string());
        next = below.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    #[tokio::test]
    async fn an_answer_names_pollcast_the_reason_and_the_status() {
        let error = Error::new(Cause::Refused, std::io::Error::other("10.0.0.1:80"));
        assert_eq!((error.fault(), error.kind()), (Fault::Origin, "connect"));
        let response = error.response();
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "Pollcast: the origin refused the connection (502)\n");
    }

    #[test]
    fn the_log_line_has_the_whole_chain() {
        #[derive(Debug, thiserror::Error)]
        #[error("above")]
        struct Above(#[source] std::io::Error);
        assert_eq!(chain(&Above(std::io::Error::other("below"))), "above: below");
    }
}
