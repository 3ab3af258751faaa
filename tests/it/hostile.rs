//! Whoever wants what isn't theirs, or wants the others to lose what is. Each test is named after
//! the fault that it looks for; a bystander's stream lives on through all of it.

use crate::app::{App, FAST, WATCH, post};
use crate::events::{Events, refused, request};
use crate::origin::Peer;
use crate::site::{Say, Site};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use pollcast::drain::Drain;
use serde_json::{Value, json};

const STREAM: &str = "/__pollcast/stream";

/// Somebody who has nothing to do with it.
struct Bystander(Events, u32);

impl Bystander {
    async fn of(site: &Site, app: &App) -> Self {
        site.say("/api/calm", Say::json("[0]"));
        let mut stream = Events::of(app, "Cookie: s=calm\r\n", &["/api/calm"]).await;
        assert_eq!(stream.news().await.text("body"), "[0]");
        Self(stream, 0)
    }

    async fn undisturbed(&mut self, site: &Site) {
        self.1 += 1;
        site.say("/api/calm", Say::json(format!("[{}]", self.1)));
        assert_eq!(self.0.news().await.text("body"), format!("[{}]", self.1));
    }
}

async fn start() -> (Site, App, Bystander) {
    let site = Site::start().await;
    let app = App::start(site.addr).await;
    let bystander = Bystander::of(&site, &app).await;
    (site, app, bystander)
}

#[tokio::test]
async fn bad_stream_requests_are_told_what_is_wrong() {
    let (site, app, mut bystander) = start().await;
    let topics = |topics: Value| json!({"client": "me", "topics": topics}).to_string();
    let topic = |extra: &str| format!(r#"{{"client":"me","topics":[{{"url":"/api/a",{extra}}}]}}"#);
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    let large = format!("Cookie: {}\r\n", "x".repeat(32 << 10));
    let many = topics((0..10_000).map(|_| json!({"url":"/"})).collect());
    let cases = [
        (400, "", String::new(), "not of the form"),
        (400, "", "{".into(), "not of the form"),
        (400, "", "\u{0}\u{1}".into(), "not of the form"),
        (400, "", deep.clone(), "not of the form"),
        (400, "", topic(&format!(r#""headers":{deep}"#)), "recursion limit"),
        (400, "", topic(r#""every_ms":-1"#), "not of the form"),
        (400, "", topic(r#""every_ms":1e99"#), "not of the form"),
        (400, "", topic(r#""every_ms":"1""#), "not of the form"),
        (400, "", topic(r#""have":7"#), "not of the form"),
        (400, "", topic(r#""headers":[["a"]]"#), "not of the form"),
        (400, "", topic(r#""headers":[["a b","c"]]"#), "topics[0].headers"),
        (400, "", topic(r#""headers":[["","c"]]"#), "topics[0].headers"),
        (400, "", topic(r#""headers":{"a":"\r\nCookie: s=calm"}"#), "topics[0].headers"),
        (400, "", topic(r#""headers":{"a":"\u0000"}"#), "topics[0].headers"),
        (400, "", topic(r#""headers":{"a":"\u1f600"}"#), "topics[0].headers"),
        (400, "", topics(json!([])), "topics is empty"),
        (400, "", topics(json!([{"url":"/"}])).replace("me", ""), "must be 1 to 64"),
        (400, "", many[..60_000].into(), "not of the form"),
        (413, "", many, "65536 bytes (limits.stream_request)"),
        (400, "", topics(vec![json!({"url":"/"}); 101].into()), "101 topics in one stream"),
        (431, large.as_str(), topics(json!([{"url":"/"}])), "32768 bytes (limits.stream_head)"),
        (403, "Origin: http://evil\r\n", topics(json!([{"url":"/"}])), "same origin"),
        (403, "Origin: null\r\n", topics(json!([{"url":"/"}])), "same origin"),
        (403, "Origin: http://app.evil\r\n", topics(json!([{"url":"/"}])), "same origin"),
        (403, "Sec-Fetch-Site: same-site\r\n", topics(json!([{"url":"/"}])), "same origin"),
        (403, "Sec-Fetch-Site: x\r\nOrigin: http://app\r\n", topics(json!([])), "same origin"),
    ];
    for (status, fields, body, text) in cases {
        let answer = refused(&app, fields, &body).await;
        let shown = &body[..body.len().min(99)];
        assert_eq!(answer.status(), status, "{shown}: {}", answer.text());
        let said: Value = serde_json::from_slice(&answer.body).unwrap();
        assert!(said["error"].as_str().unwrap().contains(text), "{shown}: {said}");
    }
    for url in [
        "http://evil/api/a",
        "//evil/api/a",
        "/\\evil/a",
        "\\/evil",
        "api/a",
        "",
        "*",
        "/api/a#x",
        "/api/a b",
        "/api/a\r\nCookie: s=calm",
        "/api/\u{e9}",
        "/api/\u{0}",
        "@evil/api",
    ] {
        let answer = refused(&app, "", &topics(json!([{ "url": url }]))).await;
        assert_eq!(answer.status(), 400, "{url:?}");
        assert!(answer.text().contains("topics[0].url must be a path"), "{url:?}");
    }
    let answer = app.get(STREAM, "").await;
    assert_eq!((answer.status(), answer.field("allow").as_deref()), (405, Some("POST")));
    assert_eq!(app.get("/__pollcast/nothing", "").await.status(), 404);
    assert_eq!(app.get("/__pollcast", "").await.status(), 404);
    bystander.undisturbed(&site).await;
    // None of it reached the origin.
    assert_eq!(site.asked("").len(), site.asked("GET /api/calm ").len());
}

#[tokio::test]
async fn odd_but_good_stream_requests_are_served() {
    let (site, app, mut bystander) = start().await;
    site.say("/api/a", Say::json("[1]"));
    let topic = json!({"url": "/api/a", "every_ms": 0, "have": "nonsense", "more": [1]});
    let slow = json!({"url": "/api/a", "every_ms": u64::MAX});
    let mut stream =
        Events::open(&app, "Origin: http://APP\r\n", &[topic.clone(), topic, slow]).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let event = stream.news().await;
        assert_eq!(event.text("body"), "[1]");
        seen.push(event.index.unwrap());
    }
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2]);
    bystander.undisturbed(&site).await;
}

#[tokio::test]
async fn garbage_panics_nothing() {
    let (site, app, mut bystander) = start().await;
    site.say("/api/a", Say::json("[1]"));
    let headers = json!([["accept", "a/b"], ["x", "y"]]);
    let good = request(&[json!({"url": "/api/a?x", "headers": headers, "every_ms": 5})]);
    let good = post(STREAM, "", &good).into_bytes();
    let mut random = fastrand::Rng::with_seed(11);
    for _ in 0..300 {
        let mut bytes = good.clone();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..bytes.len());
            match random.u8(..3) {
                0 => bytes[at] = random.u8(..),
                1 => drop(bytes.splice(at..at, (0..9).map(|_| random.u8(..)))),
                _ => bytes.truncate(at.max(1)),
            }
        }
        let mut peer = Peer::connect(app.addr).await;
        assert!(peer.give(&bytes).await);
    }
    for raw in [
        "GET /api/a HTTP/1.1\r\nHost: app\r\nX: a\u{1}b\r\n\r\n",
        "GET /api/a\u{7f} HTTP/1.1\r\nHost: app\r\n\r\n",
        "GET /api/a HTTP/1.1\r\nHost: app\r\nHost: evil\r\nPollcast-Client: me\r\n\r\n",
        "GET /api/a HTTP/1.1\r\nPollcast-Client: me\r\n\r\n",
        "GET /api/a HTTP/1.1\r\nHost : app\r\n\r\n",
    ] {
        assert_eq!(app.ask(raw).await.status(), 400, "{raw:?}");
    }
    let huge = format!("X: {}\r\n", "x".repeat(70_000));
    assert_eq!(app.get("/api/a", &huge).await.status(), 431);
    assert_eq!(app.get("/api/a", &"X: y\r\n".repeat(200)).await.status(), 431);
    let long = format!("/api/a?{}", "x".repeat(66_000));
    assert!([414, 431].contains(&app.get(&long, "").await.status()));
    bystander.undisturbed(&site).await;
    assert!(!app.log().contains("panicked"), "{}", app.log());
}

#[tokio::test]
async fn whoever_sends_slowly_is_cut_off() {
    let site = Site::start().await;
    let times = "[timeouts]\nclient_head = \"300ms\"\n";
    let app = App::with(site.addr, "push", &format!("{WATCH}{FAST}{times}")).await;
    let mut bystander = Bystander::of(&site, &app).await;
    let text = post(STREAM, "", "{\"client\":\"me\"}");
    let mut body = Peer::connect(app.addr).await;
    body.send(&text[..text.len() - 3]).await;
    let head = body.read_head().await;
    assert!(head.starts_with("HTTP/1.1 408 "), "{head}");
    assert_eq!(body.read_until("}").await, "{\"error\":\"the request's body took too long\"}");
    for part in ["G", "GET /api/calm HTTP/1.1\r\nHost: ap", "PRI * HTTP/2.0\r\n"] {
        let mut head = Peer::connect(app.addr).await;
        head.send(part).await;
        let (text, _) = head.read_to_end().await;
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 408 "), "{text}");
    }
    bystander.undisturbed(&site).await;
}

#[tokio::test]
async fn nothing_but_the_very_cookie_gets_a_snapshot() {
    let site = Site::start().await;
    let tables = "[identity]\ncookies = [\"sid\"]\n[poll]\ndefault_interval = \"1h\"\n";
    let app = App::with(site.addr, "push", &format!("{WATCH}{tables}")).await;
    site.say("/api/me", Say::json("\"alice's\""));
    app.poll("/api/me", "Cookie: sid=alice; theme=dark\r\n").await;
    // Hers again, for as long as it is hers.
    app.poll("/api/me", "Cookie: theme=light; sid=alice\r\n").await;
    assert_eq!(site.asked("GET /api/me ").len(), 1);
    site.say("/api/me", Say::json("\"nobody's\""));
    for fields in [
        "",
        "Cookie: SID=alice\r\n",
        "Cookie: sid=Alice\r\n",
        "Cookie: sid=\"alice\"\r\n",
        "Cookie: xsid=alice\r\n",
        "Cookie: sid=alice2\r\n",
        "Cookie: a=b,sid=alice\r\n",
        "Cookie: sid=bob; sid=alice\r\n",
        "Cookie: sid=alice\r\nCookie: sid=bob\r\n",
        "X-Cookie: sid=alice\r\n",
        "Cookie: sid=alice\r\nAuthorization: Bearer x\r\n",
        "Cookie: sid\r\n",
        "Cookie: =alice\r\n",
        "Cookie: sid==alice\r\n",
    ] {
        assert_eq!(app.poll("/api/me", fields).await.text(), "\"nobody's\"", "{fields}");
    }
}

#[tokio::test]
async fn who_a_proxy_in_front_says_the_user_is_counts() {
    let site = Site::start().await;
    let app = App::with(site.addr, "push", WATCH).await;
    site.say("/api/me", Say::json("1"));
    for (n, fields) in [
        "X-Forwarded-User: a",
        "X-Forwarded-User: b",
        "X-Forwarded-Email: a",
        "X-Forwarded-Client-Cert: a",
        "Cf-Access-Jwt-Assertion: a",
        "X-User: a",
        "X-Forwarded-Host: evil",
        "X-Amzn-Oidc-Identity: a",
    ]
    .into_iter()
    .enumerate()
    {
        for _ in 0..2 {
            app.poll("/api/me", &format!("{fields}\r\nX-Forwarded-For: 10.0.0.1\r\n")).await;
        }
        assert_eq!(site.asked("GET /api/me ").len(), n + 1, "{fields}");
    }
}

#[tokio::test]
async fn one_hosts_answer_is_not_anothers() {
    let site = Site::start().await;
    site.on("/api/who", |head| {
        let host = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("host: ").map(str::to_owned));
        Say::json(json!(host).to_string())
    });
    let app = App::with(site.addr, "push", &format!("{WATCH}{FAST}")).await;
    // Absolute form: the target's host counts (RFC 9112 §3.2.2).
    let forged = "GET http://evil/api/who HTTP/1.1\r\nHost: app\r\nPollcast-Client: me\r\n\r\n";
    assert_eq!(app.ask(forged).await.text(), "\"evil\"");
    assert_eq!(app.poll("/api/who", "").await.text(), "\"app\"");
    let tasks = Drain::new();
    let socket = TokioIo::new(Peer::connect(app.addr).await.into_socket());
    let (mut send, conn) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), socket).await.unwrap();
    tasks.spawn(conn);
    for host in ["one", "two"] {
        let req = http::Request::get(format!("http://{host}/api/who"))
            .header("pollcast-client", "me")
            .body(Empty::<Bytes>::new())
            .unwrap();
        let body = send.send_request(req).await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(body.to_bytes(), format!("\"{host}\""));
    }
    // And central polls ask the host that the stream was opened at; its own page may open it.
    let mut stream = Events::http2(&app, &["/api/who"]).await;
    assert_eq!(stream.news().await.text("body"), "\"app\"");
    let body = request(&[json!({"url": "/api/who"})]);
    let absolute = post("http://evil/__pollcast/stream", "Origin: http://app\r\n", &body);
    assert_eq!(app.ask(absolute).await.status(), 403);
}

#[tokio::test]
async fn a_central_poll_says_for_whom_it_asks() {
    let (site, app, _bystander) = start().await;
    site.say("/api/a", Say::json("1"));
    let forged = json!({"url": "/api/a", "headers": {"X-Forwarded-For": "127.0.0.1",
        "X-Real-IP": "127.0.0.1", "True-Client-IP": "127.0.0.1", "Forwarded": "for=127.0.0.1"}});
    let hop = "Connection: X-Secret\r\nX-Secret: 1\r\nX-Forwarded-For: 10.9.8.7\r\n";
    let _stream = Events::open(&app, hop, &[forged]).await;
    let head = site.until_asked("GET /api/a ", 1).await.remove(0);
    // Nobody said that this client may speak for others.
    assert!(head.contains("\nx-forwarded-for: 127.0.0.1\r\n"), "{head}");
    assert!(head.contains("x-forwarded-host: app\r\n"), "{head}");
    assert!(head.contains("host: app\r\n"), "{head}");
    for name in ["x-secret", "real-ip", "client-ip", "forwarded: ", "pollcast", "origin:"] {
        assert!(!head.contains(&format!("\n{name}")), "{head}");
    }
}

#[tokio::test]
async fn a_path_that_a_parser_would_rewrite_is_not_polled() {
    let site = Site::start().await;
    for path in ["/api/public/a", "/api/secret", "/secret"] {
        site.say(path, Say::json("1"));
    }
    let app = App::with(site.addr, "push", "[[watch]]\npath = \"/api/public/**\"\n").await;
    let urls = [
        "/api/public/../secret",
        "/api/public/%2e%2e/secret",
        "/api/public/./a",
        "/api/public/.%2E/../secret",
        "/api/public/..%2fsecret",
        "/api/public/a?q='",
    ];
    let mut stream = Events::of(&app, "", &urls).await;
    for index in 0..urls.len() {
        let gone = stream.news().await;
        assert_eq!((gone.name.as_str(), gone.index), ("gone", Some(index)));
        let last = index + 1 == urls.len();
        assert_eq!(gone.reason(), if last { "unwatchable" } else { "unwatched" });
    }
    assert_eq!(stream.until("bye").await.reason(), "empty");
    assert!(site.asked("").is_empty());
}
