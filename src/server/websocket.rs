//! WebSocket over HTTP/2: an extended CONNECT becomes the handshake that an origin of HTTP/1.1
//! knows, and its answer is translated back.
//!
//! RFC 8441 §5: "Implementations using this extended CONNECT to bootstrap `WebSockets` do not do
//! the processing of the Sec-WebSocket-Key and Sec-WebSocket-Accept header fields": key and check
//! are between us and the origin, where RFC 6455 holds.

use crate::http::fields;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::{Method, Request, Response, StatusCode, Version};
use hyper::ext::Protocol;
use hyper::upgrade::OnUpgrade;

/// RFC 6455 §1.3: what a server adds to the key before it hashes it.
const MAGIC: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A handshake under way.
pub(super) struct Handshake {
    /// What the origin must prove to have seen.
    key: String,
    /// The client's side, once it has been answered with 200.
    pub(super) client: OnUpgrade,
}

/// Makes an HTTP/1.1 handshake of an extended CONNECT for a WebSocket; anything else comes back as
/// it is.
pub(super) fn translate<B>(mut req: Request<B>) -> (Request<B>, Option<Handshake>) {
    let asks = req.method() == Method::CONNECT
        && req.extensions().get::<Protocol>().is_some_and(|name| name.as_str() == "websocket");
    let mut nonce = [0; 16];
    if !asks || getrandom::fill(&mut nonce).is_err() {
        return (req, None);
    }
    let key = STANDARD.encode(nonce);
    let client = hyper::upgrade::on(&mut req);
    *req.method_mut() = Method::GET;
    *req.version_mut() = Version::HTTP_11;
    let mut map = fields::join_cookies(std::mem::take(req.headers_mut()));
    map.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    map.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(key) = HeaderValue::from_str(&key) {
        map.insert(SEC_WEBSOCKET_KEY, key);
    }
    map.entry(SEC_WEBSOCKET_VERSION).or_insert(HeaderValue::from_static("13"));
    *req.headers_mut() = map;
    (req, Some(Handshake { key, client }))
}

impl Handshake {
    /// The client's answer to the origin's 101; `None` if the origin hasn't understood what it was
    /// asked for.
    ///
    /// RFC 6455 §4.1: "If the response lacks a |Sec-WebSocket-Accept| header field or the
    /// |Sec-WebSocket-Accept| contains a value other than [...] the client MUST _Fail the WebSocket
    /// Connection_."
    pub(super) fn answer(&self, head: Response<()>) -> Option<Response<()>> {
        let accept = head.headers().get(SEC_WEBSOCKET_ACCEPT)?;
        (accept.as_bytes().trim_ascii() == accepted(&self.key).as_bytes()).then_some(())?;
        let (mut parts, ()) = head.into_parts();
        parts.status = StatusCode::OK;
        // Not the 101's: what hyper keeps of it (a reason, the case of names) means nothing here.
        parts.extensions.clear();
        parts.headers = fields::without(parts.headers, is_handshakes_own);
        Some(Response::from_parts(parts, ()))
    }
}

fn is_handshakes_own(name: &HeaderName) -> bool {
    [CONNECTION, UPGRADE, SEC_WEBSOCKET_ACCEPT, CONTENT_LENGTH, TRANSFER_ENCODING].contains(name)
}

fn accepted(key: &str) -> String {
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{MAGIC}").as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_proves_what_the_rfc_says() {
        // RFC 6455 §1.3 has this example.
        assert_eq!(accepted("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn only_an_extended_connect_for_a_websocket_is_translated() {
        let ask = || {
            Request::builder()
                .method(Method::CONNECT)
                .version(Version::HTTP_2)
                .uri("https://app/chat?x")
                .header("cookie", "a=1")
                .header("cookie", "b=2")
                .header("sec-websocket-protocol", "chat")
        };
        for (req, want) in [
            (ask().extension(Protocol::from_static("websocket")), true),
            (ask().extension(Protocol::from_static("connect-udp")), false),
            (ask(), false),
            (ask().extension(Protocol::from_static("websocket")).method(Method::GET), false),
        ] {
            let (req, handshake) = translate(req.body(()).unwrap());
            assert_eq!(handshake.is_some(), want, "{req:?}");
            assert_eq!(fields::is_websocket(req.headers()), want, "{req:?}");
            if want {
                assert_eq!((req.method(), req.version()), (&Method::GET, Version::HTTP_11));
                assert_eq!(req.uri(), "https://app/chat?x");
                assert_eq!(req.headers()["cookie"], "a=1; b=2");
                assert_eq!(req.headers()[SEC_WEBSOCKET_VERSION], "13");
            }
        }
    }

    #[test]
    fn the_origin_has_to_prove_that_it_understood() {
        let req = Request::connect("https://app/").extension(Protocol::from_static("websocket"));
        let handshake = translate(req.body(()).unwrap()).1.unwrap();
        let head = || {
            Response::builder()
                .status(101)
                .header("upgrade", "websocket")
                .header("connection", "Upgrade")
                .header("sec-websocket-protocol", "chat")
        };
        let good = head().header("sec-websocket-accept", accepted(&handshake.key));
        let answer = handshake.answer(good.body(()).unwrap()).unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let names: Vec<_> = answer.headers().keys().collect();
        assert_eq!(names, ["sec-websocket-protocol"]);
        assert!(handshake.answer(head().body(()).unwrap()).is_none());
        let other = head().header("sec-websocket-accept", accepted("other"));
        assert!(handshake.answer(other.body(()).unwrap()).is_none());
    }
}
