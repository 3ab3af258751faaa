//! Origins over TLS, HTTP/2 and Unix sockets: what crosses to a plain one crosses to them, polls of
//! our own included.

use crate::app::{App, FAST, WATCH};
use crate::backend::{Backend, Kind};
use crate::events::{Events, Held};
use crate::origin::{Origin, Peer, soon};
use http::Response;
use pollcast::drain::Drain;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

const ALL: [Kind; 4] = [Kind::TlsHttp1, Kind::TlsHttp2, Kind::ClearHttp2, Kind::Unix];

async fn start(kind: Kind) -> (Backend, App) {
    let backend = Backend::start(kind).await;
    let app = App::before(backend.config(), &format!("{WATCH}{FAST}")).await;
    (backend, app)
}

#[tokio::test]
async fn messages_cross_to_each_kind() {
    for kind in ALL {
        let (_backend, app) = start(kind).await;
        let seen = app.get("/seen", "X-A: 1\r\nCookie: a=1\r\n").await.text().to_owned();
        let version = if kind.multiplexes() { "HTTP/2.0" } else { "HTTP/1.1" };
        assert!(seen.starts_with(&format!("{version} GET /seen\n")), "{kind:?}: {seen}");
        for line in ["host: app", "x-a: 1", "cookie: a=1", "x-forwarded-host: app"] {
            assert!(seen.contains(&format!("\n{line}\n")), "{kind:?}: {seen}");
        }
        assert!(seen.contains("\nvia: 1.1 pollcast-"), "{kind:?}: {seen}");
        assert!(!seen.contains("\nconnection:"), "{kind:?}: {seen}");
        // A body of known length, and one of none.
        let body = "x".repeat(300_000);
        assert_eq!(app.post("/echo", "", &body).await.text(), body, "{kind:?}");
        let mut chunks = String::from("POST /echo HTTP/1.1\r\nHost: app\r\n");
        chunks.push_str("Transfer-Encoding: chunked\r\n\r\n");
        for _ in 0..30 {
            let _ = write!(chunks, "2710\r\n{}\r\n", "y".repeat(10_000));
        }
        chunks.push_str("0\r\n\r\n");
        assert_eq!(app.ask(chunks).await.text(), "y".repeat(300_000), "{kind:?}");
        let mut client = Peer::connect(app.addr).await;
        client.send("HEAD /seen HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n").await;
        let (head, clean) = client.read_to_end().await;
        assert!(clean && head.starts_with("HTTP/1.1 200 "), "{kind:?}: {head}");
        assert!(head.contains("content-length: ") && head.ends_with("\r\n\r\n"), "{head}");
    }
}

#[tokio::test]
async fn changes_are_pushed_from_each_kind() {
    for kind in ALL {
        let (backend, app) = start(kind).await;
        let mut stream = Events::of(&app, "", &["/api/n"]).await;
        let mut held = Held::default();
        held.take(&stream.news().await);
        assert_eq!(held.body, "{\"n\":0,\"host\":\"app\"}", "{kind:?}");
        backend.count();
        held.take(&stream.news().await);
        assert_eq!(held.body, "{\"n\":1,\"host\":\"app\"}", "{kind:?}");
    }
}

#[tokio::test]
async fn websockets_cross_to_tls_and_unix_sockets() {
    for kind in [Kind::TlsHttp1, Kind::TlsHttp2, Kind::Unix] {
        let (_backend, app) = start(kind).await;
        let mut client = Peer::connect(app.addr).await;
        let shake = "GET /ws HTTP/1.1\r\nHost: app\r\nUpgrade: websocket\r\n\
                     Connection: Upgrade\r\nSec-WebSocket-Key: k\r\n\r\n";
        client.send(shake).await;
        let head = client.read_head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{kind:?}: {head}");
        client.send("to and fro").await;
        assert_eq!(client.read(10).await, b"to and fro", "{kind:?}");
    }
}

#[tokio::test]
async fn many_requests_share_a_connection_and_none_gets_anothers_answer() {
    for kind in ALL {
        let (backend, app) = start(kind).await;
        let mut tasks = tokio::task::JoinSet::new();
        for client in 0..50 {
            let addr = app.addr;
            tasks.spawn(async move {
                let mut peer = Peer::connect(addr).await;
                for n in 0..20 {
                    let id = format!("/id/{client}-{n}");
                    peer.send(format!("GET {id} HTTP/1.1\r\nHost: app\r\n\r\n")).await;
                    let text = peer.read_until(&format!("[{id}]")).await;
                    assert_eq!(text.matches('[').count(), 1, "{text}");
                }
            });
        }
        while let Some(done) = soon("all answers", tasks.join_next()).await {
            done.unwrap();
        }
        let connections = backend.connections();
        let most = if kind.multiplexes() { 3 } else { 52 };
        assert!(connections <= most, "{kind:?}: {connections} connections");
    }
}

#[tokio::test]
async fn a_connection_that_died_meanwhile_is_no_failure() {
    for kind in ALL {
        let (backend, app) = start(kind).await;
        for _ in 0..3 {
            assert_eq!(app.get("/seen", "").await.status(), 200, "{kind:?}");
            backend.cut();
        }
    }
}

#[tokio::test]
async fn a_crowd_survives_the_end_of_the_connection_that_it_shares() {
    for kind in [Kind::TlsHttp2, Kind::ClearHttp2] {
        let (backend, app) = start(kind).await;
        assert_eq!(app.get("/seen", "").await.status(), 200, "{kind:?}");
        for _ in 0..5 {
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..40 {
                let addr = app.addr;
                tasks.spawn(async move {
                    let mut peer = Peer::connect(addr).await;
                    peer.send("GET /seen HTTP/1.1\r\nHost: app\r\n\r\n").await;
                    peer.read_head().await
                });
            }
            let mut left = 40;
            while let Some(head) = soon("an answer", tasks.join_next()).await {
                let head = head.unwrap();
                assert!(head.starts_with("HTTP/1.1 200 "), "{kind:?}: {head}{}", app.log());
                left -= 1;
                if left == 30 {
                    backend.cut();
                }
            }
            // A request has one second try: none may meet the end of two connections, this one's
            // and the next round's.
            assert_eq!(app.get("/seen", "").await.status(), 200, "{kind:?}");
        }
    }
}

#[tokio::test]
async fn an_upload_that_stops_costs_the_others_no_connection() {
    for kind in [Kind::TlsHttp2, Kind::ClearHttp2] {
        let backend = Backend::start(kind).await;
        let tables = format!("{WATCH}{FAST}[timeouts]\nclient_body = \"100ms\"\n");
        let app = App::before(backend.config(), &tables).await;
        for _ in 0..3 {
            assert_eq!(app.get("/seen", "").await.status(), 200, "{kind:?}");
            let half = "PUT /echo HTTP/1.1\r\nHost: app\r\nContent-Length: 9\r\n\r\nhalf";
            let mut client = Peer::connect(app.addr).await;
            client.send(half).await;
            let text = client.read_to_end().await.0;
            assert!(text.starts_with("HTTP/1.1 408 "), "{kind:?}: {text}");
        }
        assert_eq!(app.get("/seen", "").await.status(), 200, "{kind:?}");
        assert_eq!(backend.connections(), 1, "{kind:?}");
    }
}

/// An HTTP/2 origin that answers only every second time it is asked, and resets streams else.
/// Returns its address and what it was asked for.
async fn fickle(reason: h2::Reason, seen: Arc<Mutex<Vec<String>>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let drain = Drain::new();
    drain.clone().spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let seen = Arc::clone(&seen);
            drain.spawn(async move {
                let mut conn = h2::server::handshake(socket).await.unwrap();
                while let Some(Ok((req, mut answer))) = conn.accept().await {
                    let mut seen = seen.lock().unwrap();
                    seen.push(req.uri().path().to_owned());
                    if seen.len() % 2 == 1 {
                        answer.send_reset(reason);
                    } else {
                        answer.send_response(Response::new(()), true).unwrap();
                    }
                }
            });
        }
    });
    addr
}

#[tokio::test]
async fn a_refused_stream_is_asked_again_and_a_reset_one_is_not() {
    let cases = [(h2::Reason::REFUSED_STREAM, 200, 2), (h2::Reason::INTERNAL_ERROR, 502, 1)];
    for (reason, status, asked) in cases {
        let seen = Arc::default();
        let addr = fickle(reason, Arc::clone(&seen)).await;
        let config = format!("origin = \"http://{addr}\"\norigin_protocol = \"http2\"\n");
        let app = App::before(config, &format!("{WATCH}{FAST}")).await;
        assert_eq!(app.get("/once", "").await.status(), status, "{reason:?}");
        assert_eq!(*seen.lock().unwrap(), vec!["/once"; asked], "{reason:?}");
    }
}

#[tokio::test]
async fn leaving_waits_for_no_idle_connection() {
    for kind in ALL {
        let (_backend, app) = start(kind).await;
        assert_eq!(app.get("/seen", "Connection: close\r\n").await.status(), 200, "{kind:?}");
        app.signal("-TERM");
        assert_eq!(app.ended().await, Some(0), "{kind:?}");
    }
}

#[tokio::test]
async fn an_origin_that_proves_nothing_is_a_502() {
    let good = Backend::start(Kind::TlsHttp1).await;
    let other = Backend::start(Kind::TlsHttp1).await;
    let plain = Origin::bind().await;
    let wrong_ca = good.config().replace(good.ca(), other.ca());
    let wrong_name = good.config().replace("localhost", "127.0.0.1");
    let no_tls = good.config().replace(&good.port(), &plain.addr.port().to_string());
    for (config, what) in [(wrong_ca, "issuer"), (wrong_name, "name"), (no_tls, "plain")] {
        let app = App::before(config, &format!("{WATCH}{FAST}")).await;
        let mut client = Peer::connect(app.addr).await;
        client.send("GET /seen HTTP/1.1\r\nHost: app\r\n\r\n").await;
        let played = async {
            if what == "plain" {
                let mut conn = plain.accept().await;
                conn.send("HTTP/1.1 400 Bad Request\r\n\r\n").await;
                conn.half_close().await;
            }
        };
        let (text, ()) = tokio::join!(client.read_until("(502)\n"), played);
        assert!(text.contains("the TLS handshake with the origin failed"), "{what}: {text}");
        let line = app.logged("TLS handshake").await;
        assert_eq!(line["level"], "WARN", "{what}: {line}");
    }
    assert_eq!(good.seen() + other.seen(), 0, "something was said before the handshake");
}

#[tokio::test]
async fn the_origins_own_host_is_said_to_it_in_polls_too() {
    let backend = Backend::start(Kind::TlsHttp2).await;
    let config = format!("{}origin_host = \"origin\"\n", backend.config());
    let app = App::before(config, &format!("{WATCH}{FAST}")).await;
    let own = format!("localhost:{}", backend.port());
    let seen = app.get("/seen", "").await.text().to_owned();
    assert!(seen.contains(&format!("\nhost: {own}\n")), "{seen}");
    assert!(seen.contains("\nx-forwarded-host: app\n"), "{seen}");
    let mut stream = Events::of(&app, "", &["/api/n"]).await;
    let mut held = Held::default();
    held.take(&stream.news().await);
    assert_eq!(held.body, format!("{{\"n\":0,\"host\":\"{own}\"}}"));
}
