//! What can go wrong on the way to the origin, in the words of [`Cause`].

use crate::error::{Cause, Error};
use crate::http::fields;
use http::header::HOST;
use http::{Method, Request, Version};
use hyper_util::client::legacy;
use std::error::Error as StdError;
use std::io::{self, ErrorKind};

/// Why a request can't be sent on, if it can't.
pub(super) fn refusal<B>(req: &Request<B>) -> Option<Cause> {
    // A tunnel to anywhere isn't what stands in front of one origin.
    if req.method() == Method::CONNECT {
        return Some(Cause::Unsupported("CONNECT isn't carried"));
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
pub(super) fn classify(error: legacy::Error) -> Error {
    let cause = if error.is_connect() { connect(&error) } else { send(&error) };
    Error::new(cause, error)
}

fn connect(error: &(dyn StdError + 'static)) -> Cause {
    // The resolver's errors have no type of their own.
    if chain(error).any(|below| below.to_string().starts_with("dns error")) {
        return Cause::Unresolved;
    }
    match chain(error).find_map(|below| below.downcast_ref::<io::Error>()).map(io::Error::kind) {
        Some(ErrorKind::ConnectionRefused) => Cause::Refused,
        Some(ErrorKind::TimedOut) => Cause::ConnectTimeout,
        _ => Cause::Unreachable,
    }
}

fn send(error: &(dyn StdError + 'static)) -> Cause {
    match chain(error).find_map(|below| below.downcast_ref::<hyper::Error>()) {
        Some(hyper) if hyper.is_user() => Cause::ClientLeft,
        Some(hyper) if hyper.is_parse() => Cause::Malformed,
        Some(_) => Cause::Closed,
        None => Cause::Internal,
    }
}

/// An error and all that it rests on.
fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error: &&'a (dyn StdError + 'static)| error.source())
}
