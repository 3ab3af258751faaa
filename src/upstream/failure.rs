//! What can go wrong on the way to the origin, in the words of [`Cause`].

use crate::error::{Cause, Error};
use crate::http::fields;
use http::header::HOST;
use http::{Method, Request, Version};

/// Why a request can't be sent on, if it can't.
pub(super) fn refusal<B>(req: &Request<B>) -> Option<Cause> {
    // A tunnel to anywhere isn't what stands in front of one origin.
    if req.method() == Method::CONNECT {
        return Some(Cause::Unsupported("CONNECT isn't carried"));
    }
    // It would show the client the fields that a proxy adds (RFC 9110 §9.3.8).
    if req.method() == Method::TRACE {
        return Some(Cause::NotAllowed("TRACE isn't carried"));
    }
    if fields::has_foreign_coding(req.headers()) {
        return Some(Cause::Unsupported("the only transfer coding carried is chunked"));
    }
    let hosts = req.headers().get_all(HOST).iter().count();
    let named = req.uri().authority().is_some() || req.version() == Version::HTTP_10;
    // RFC 9112 §3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1
    // request message that lacks a Host header field and to any request message that contains more
    // than one Host header field line". Otherwise we and the origin could each believe another
    // host.
    match hosts {
        1 => None,
        0 if named => None,
        0 => Some(Cause::BadRequest("the request has no Host")),
        _ => Some(Cause::BadRequest("the request has more than one Host")),
    }
}

/// Whose fault a failed request is.
pub(super) fn classify(error: hyper::Error) -> Error {
    let cause = if error.is_user() {
        Cause::ClientLeft
    } else if error.is_parse() {
        Cause::Malformed
    } else {
        Cause::Closed
    };
    Error::new(cause, error)
}
