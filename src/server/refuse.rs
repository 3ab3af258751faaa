//! What a client is told whose request is not let in.

use crate::http::Body;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Refusal {
    /// RFC 9112 §2.2, §5, §5.2: a bare CR, a control character, a folded line, a space before the
    /// colon.
    Syntax,
    /// RFC 9112 §3.2: no `Host`, two, or one that names no host.
    Host,
    /// RFC 9112 §6.3: no length, two, or one that is no number.
    Length,
    /// RFC 9112 §6.1: `Content-Length` beside `Transfer-Encoding`.
    TwoFramings,
    /// RFC 9112 §6.1: HTTP/1.0 has no transfer codings; `chunked` comes last, and once.
    Framing,
    /// RFC 9112 §6.1: a coding that nobody here takes off.
    Coding,
    /// RFC 9112 §7.1: a chunk that has no size, or doesn't end where its size says.
    Chunk,
    /// The target is longer than `limits.target`.
    Target,
    /// The head is longer than `limits.head`, or has more fields than the HTTP library takes.
    Head,
    /// The body hasn't moved for `timeouts.client_body`.
    Stalled,
    /// RFC 9110 §2.5: a version of HTTP that isn't spoken here, or not like this.
    Version,
}

impl Refusal {
    /// All of them, in the order of their numbers.
    const ALL: [Self; 11] = [
        Self::Syntax,
        Self::Host,
        Self::Length,
        Self::TwoFramings,
        Self::Framing,
        Self::Coding,
        Self::Chunk,
        Self::Target,
        Self::Head,
        Self::Stalled,
        Self::Version,
    ];

    /// The one of this number.
    pub(super) fn numbered(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    fn row(self) -> (StatusCode, &'static str) {
        const BAD: StatusCode = StatusCode::BAD_REQUEST;
        match self {
            Self::Syntax => (BAD, "the request's head isn't valid HTTP"),
            Self::Host => (BAD, "the request must have one Host, and a valid one"),
            Self::Length => (BAD, "the request must have one Content-Length, and a valid one"),
            Self::TwoFramings => (BAD, "the request has Content-Length and Transfer-Encoding"),
            Self::Framing => (BAD, "the request's Transfer-Encoding doesn't end its body"),
            Self::Coding => {
                (StatusCode::NOT_IMPLEMENTED, "the only transfer coding carried is chunked")
            }
            Self::Chunk => (BAD, "the request has a chunk that isn't valid HTTP"),
            Self::Target => (StatusCode::URI_TOO_LONG, "the target is longer than limits.target"),
            Self::Head => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "the request's head has more than 100 fields, or is longer than limits.head",
            ),
            Self::Stalled => (
                StatusCode::REQUEST_TIMEOUT,
                "the request's body hasn't moved for timeouts.client_body",
            ),
            Self::Version => {
                (StatusCode::HTTP_VERSION_NOT_SUPPORTED, "this version of HTTP isn't spoken here")
            }
        }
    }

    /// The answer. The connection ends with it: what comes next on it may be read in two ways.
    pub(super) fn response(self) -> Response<Body> {
        let (status, why) = self.row();
        tracing::debug!(status = status.as_u16(), "client: {why}");
        let mut response =
            Response::new(Body::from(format!("Pollcast: {why} ({})\n", status.as_u16())));
        *response.status_mut() = status;
        let fields = response.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        fields.insert(CONNECTION, HeaderValue::from_static("close"));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lead_back() {
        for (number, refusal) in (0..).zip(Refusal::ALL) {
            assert_eq!(refusal as u8, number);
            assert_eq!(Refusal::numbered(number), Some(refusal));
            let ours = [Refusal::Coding, Refusal::Version].contains(&refusal);
            assert!(refusal.response().status().is_client_error() || ours);
        }
        assert_eq!(Refusal::numbered(11), None);
    }
}
