//! Requests that two servers could read in two ways: refused with a word, the connection closed,
//! and nothing of them forwarded.

use crate::origin::{Origin, Peer};
use crate::proxy::Proxy;

/// What the origin answers, and how the client sees it.
const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";

struct Rig {
    origin: Origin,
    proxy: Proxy,
}

impl Rig {
    async fn start() -> Self {
        let origin = Origin::bind().await;
        let proxy = Proxy::with(origin.addr, |config| {
            config.limits.target = 1 << 10;
            config.limits.head = 8 << 10;
        })
        .await;
        Self { origin, proxy }
    }

    /// Sends these bytes, then asks for something good on a connection of its own: if that is the
    /// first that the origin hears, nothing was forwarded.
    async fn refused(&self, bytes: &[u8], status: u16) {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(99)]).into_owned();
        let mut client = Peer::connect(self.proxy.addr).await;
        client.send(bytes).await;
        let (text, _) = client.read_to_end().await;
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{shown:?}: {text:?}");
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.to_ascii_lowercase().contains("\r\nconnection: close"), "{shown:?}: {head}");
        assert!(body.contains("HTTP/1.1").eq(&false), "{shown:?}: {text}");
        assert!(
            body.starts_with("Pollcast: ") && body.ends_with(&format!("({status})\n")),
            "{shown:?}: {body:?}"
        );
        self.nothing_came(&shown).await;
    }

    async fn nothing_came(&self, shown: &str) {
        let mut client = Peer::connect(self.proxy.addr).await;
        client.send("GET /good HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        let mut peer = self.origin.accept().await;
        let head = peer.read_head().await;
        assert!(head.starts_with("GET /good "), "{shown:?}: {head}");
        peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await;
        client.read_to_end().await;
    }
}

#[tokio::test]
async fn framing_that_is_not_clear() {
    let rig = Rig::start().await;
    for (fields, status) in [
        ("Content-Length: 3\r\nContent-Length: 4", 400),
        ("Content-Length: 3\r\nContent-Length: 3", 400),
        ("Content-Length: 3, 3", 400),
        ("Content-Length: +3", 400),
        ("Content-Length: 3x", 400),
        ("Content-Length: 99999999999999999999", 400),
        ("Content-Length: 3\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 3", 400),
        ("Transfer-Encoding: chunked, chunked", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: identity", 400),
        ("Transfer-Encoding: chunked, identity", 400),
        ("Transfer-Encoding: xchunked", 400),
        ("Transfer-Encoding: gzip, chunked", 501),
        ("Transfer-Encoding : chunked", 400),
        ("Transfer-Encoding:\u{b}chunked", 400),
        ("Transfer-Encoding:\r\n chunked", 400),
    ] {
        let request = format!("POST /bad HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n0\r\n\r\n");
        rig.refused(request.as_bytes(), status).await;
    }
    let old = "POST /bad HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    rig.refused(old.as_bytes(), 400).await;
}

#[tokio::test]
async fn heads_that_are_not_http() {
    let rig = Rig::start().await;
    for fields in [
        &b"Host: a\r\nX: y\0"[..],
        b"Host: a\r\nX: y\rz",
        b"Host: a\r\nX: \x01",
        b"Host: a\r\nX: \x7f",
        b"Host: a\r\nX : y",
        b"Host: a\r\nX\t: y",
        b"Host: a\r\n X: y",
        b"Host: a\r\nX: y\r\n\tz",
        b"Host: a\r\n: y",
        b"Host: a\r\nX y",
        b"Host: a\r\n\xe9: y",
        b"Host: a\r\nHost: a",
        b"Host: a\r\nHost: b",
        b"Host: a, b",
        b"Host: a/b",
        b"Host: a\\b",
        b"X: y",
    ] {
        let request = [&b"GET /bad HTTP/1.1\r\n"[..], fields, b"\r\n\r\n"].concat();
        rig.refused(&request, 400).await;
    }
    for line in [
        &b"GET /bad"[..],
        b"GET /bad HTTP/1.1 x",
        b"GET  /bad HTTP/1.1",
        b"GET /ba\rd HTTP/1.1",
        b"GET /ba\0d HTTP/1.1",
        b"GET /ba\x7fd HTTP/1.1",
        b"GET bad HTTP/1.1",
        b"GET /bad http/1.1",
        b"G(T /bad HTTP/1.1",
        b" GET /bad HTTP/1.1",
        b"GET /bad\tHTTP/1.1",
    ] {
        let request = [line, b"\r\nHost: a\r\n\r\n"].concat();
        rig.refused(&request, 400).await;
    }
    for line in [&b"GET /bad HTTP/2.0"[..], b"GET /bad HTTP/9.9"] {
        let request = [line, b"\r\nHost: a\r\n\r\n"].concat();
        rig.refused(&request, 505).await;
    }
}

#[tokio::test]
async fn heads_that_are_too_long() {
    let rig = Rig::start().await;
    let long = |n: usize| "x".repeat(n);
    for (request, status) in [
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", long(1 << 10)), 414),
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", long(100 << 10)), 414),
        (format!("GET /{}", long(2 << 10)), 414),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", long(8 << 10)), 431),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", long(300 << 10)), 431),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(9000)), 431),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{}", long(9 << 10)), 431),
    ] {
        rig.refused(request.as_bytes(), status).await;
    }
    // As long as allowed.
    let mut client = Peer::connect(rig.proxy.addr).await;
    let target = format!("/{}", long((1 << 10) - 1));
    let field = long(6 << 10);
    client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\nX: {field}\r\n\r\n")).await;
    let mut peer = rig.origin.accept().await;
    assert!(peer.read_head().await.contains(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n")));
}

#[tokio::test]
async fn chunks_that_are_not_chunks() {
    let rig = Rig::start().await;
    let head = "POST /bad HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in [
        "x\r\n",
        "-1\r\n",
        "0x1\r\n",
        "1\n",
        "\r\n",
        "1 1\r\n",
        "1\r\nxy\r\n",
        "fffffffffffffffff\r\n",
    ] {
        rig.refused(format!("{head}{body}").as_bytes(), 400).await;
    }
    // Too late to keep anything from the origin: it sees a body without an end.
    let mut client = Peer::connect(rig.proxy.addr).await;
    client.send(head).await;
    let mut peer = rig.origin.accept().await;
    peer.read_head().await;
    client.send("1\r\nx\r\nzz\r\n").await;
    let text = client.read_to_end().await.0;
    assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
    assert!(text.contains("chunk that isn't valid"), "{text}");
    let seen = peer.read_to_end().await.0;
    assert!(!seen.contains("0\r\n\r\n"), "{seen}");
}

#[tokio::test]
async fn behind_a_good_request_only_the_bad_one_is_refused() {
    let rig = Rig::start().await;
    let mut client = Peer::connect(rig.proxy.addr).await;
    let bad = "POST /bad HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx";
    client.send(format!("GET /one HTTP/1.1\r\nHost: a\r\n\r\n{bad}")).await;
    client.send("GET /three HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut peer = rig.origin.accept().await;
    assert!(peer.read_head().await.starts_with("GET /one "));
    peer.send(FINE).await;
    let text = client.read_to_end().await.0;
    assert!(text.starts_with(&format!("{FINE}HTTP/1.1 400 ")), "{text}");
    assert_eq!(text.matches("HTTP/1.1").count(), 2, "{text}");
    drop(peer);
    rig.nothing_came("pipelined").await;
}

#[tokio::test]
async fn byte_by_byte_it_is_the_same() {
    let rig = Rig::start().await;
    for (request, status) in [
        ("POST /bad HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
        ("POST /bad HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("GET /bad HTTP/1.1\r\n\r\n", 400),
    ] {
        let mut client = Peer::connect(rig.proxy.addr).await;
        client.dribble(request).await;
        let text = client.read_to_end().await.0;
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {text}");
        rig.nothing_came(request).await;
    }
}
