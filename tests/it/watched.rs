//! GETs that a watch matches: what a marked one says, and that its bytes stay the origin's.

use crate::app::{Answer, App, FAST, WATCH, post};
use crate::events::{Events, Held};
use crate::origin::{Origin, Peer};
use crate::site::{Say, Site, Then};

/// Nothing is polled by itself, so that all that reaches the origin is what a test sent.
const QUIET: &str = "[poll]\ndefault_interval = \"1h\"\n";

async fn start(path: &str, say: Say) -> (Site, App) {
    let site = Site::start().await;
    site.say(path, say);
    let app = App::with(site.addr, "push", &format!("{WATCH}{QUIET}")).await;
    (site, app)
}

fn assert_plain(answer: &Answer, status: u16, body: &[u8]) {
    assert_eq!((answer.status(), answer.body.as_slice()), (status, body), "{}", answer.head);
    assert_eq!(answer.hash(), None, "{}", answer.head);
}

#[tokio::test]
async fn a_marked_answer_has_its_bytes_and_its_state() {
    let body = "{\"n\": 12345678901234567890.10, \"s\": \"\u{e9}\u{1f600}\"}\r\n";
    let say = Say::with("application/json", "ETag: \"1\"\r\nPollcast-State: forged\r\n", body);
    let (site, app) = start("/api/a", say).await;
    let marked = app.poll("/api/a?x=1&&y=%zz", "Pollcast-Other: x\r\n").await;
    assert_eq!((marked.status(), marked.text()), (200, body));
    let state = marked.field("pollcast-state").unwrap();
    assert_eq!(marked.head.matches("ollcast-").count(), 1, "{}", marked.head);
    let parts: Vec<_> = state.split(';').collect();
    assert!(parts[0].len() == 32 && parts[1].starts_with("seq="), "{state}");
    assert!(parts[2].starts_with("epoch=") && parts[2].len() == 22, "{state}");

    let unmarked = app.get("/api/a?x=1&&y=%zz", "Pollcast-Client: no good\r\n").await;
    assert_plain(&unmarked, 200, body.as_bytes());
    assert!(!unmarked.head.contains("ollcast"), "{}", unmarked.head);
    for head in site.asked("GET /api/a?x=1&&y=%zz ") {
        assert!(!head.to_ascii_lowercase().contains("\npollcast"), "{head}");
    }

    let mut stream = Events::of(&app, "", &["/api/a?x=1&&y=%zz"]).await;
    let event = stream.news().await;
    let mut held = Held::default();
    held.take(&event);
    assert_eq!((held.hash, held.body.as_str()), (marked.hash().unwrap(), body));
}

#[tokio::test]
async fn a_marked_answer_in_any_coding_has_the_state_of_its_text() {
    use async_compression::tokio::bufread::{BrotliEncoder, GzipEncoder, ZstdEncoder};
    use tokio::io::AsyncReadExt as _;
    let text = "{\"rows\":[1,2,3,4,5,6,7,8,9]}";
    let (mut gzip, mut br, mut zstd) = (Vec::new(), Vec::new(), Vec::new());
    GzipEncoder::new(text.as_bytes()).read_to_end(&mut gzip).await.unwrap();
    BrotliEncoder::new(text.as_bytes()).read_to_end(&mut br).await.unwrap();
    ZstdEncoder::new(text.as_bytes()).read_to_end(&mut zstd).await.unwrap();
    let (site, app) = start("/api/a", Say::json(text)).await;
    let plain = app.poll("/api/a?c=identity", "").await.hash().unwrap();
    for (coding, bytes) in [("gzip", gzip), ("br", br), ("zstd", zstd)] {
        let field = format!("Content-Encoding: {coding}\r\nVary: Accept-Encoding\r\n");
        site.say("/api/a", Say::with("application/json", &field, bytes.clone()));
        let coded = app.poll(&format!("/api/a?c={coding}"), "").await;
        assert_eq!(coded.body, bytes);
        assert_eq!(coded.field("content-encoding").as_deref(), Some(coding));
        assert_eq!(coded.hash().as_ref(), Some(&plain), "{coding}");
        // From the snapshot, without the coding.
        let fresh = app.poll(&format!("/api/a?c={coding}"), "").await;
        assert_eq!((fresh.text(), fresh.hash().as_ref()), (text, Some(&plain)));
        assert_eq!(fresh.field("content-encoding"), None);
        assert_eq!(site.asked(&format!("c={coding}")).len(), 1);
    }
}

#[tokio::test]
async fn what_can_not_be_pushed_passes_unchanged_and_without_a_state() {
    let long = "x".repeat((1 << 20) + 1);
    let json = "application/json";
    let cases = [
        ("404", Say::status("404 Not Found", "Content-Type: application/json\r\n", "{}")),
        ("500", Say::status("500 Oh", "Content-Type: application/json\r\n", "{}")),
        ("204", Say::raw("HTTP/1.1 204 No Content\r\n", "", Then::Keep)),
        ("302", Say::status("302 Found", "Location: http://127.0.0.1:1/\r\n", "")),
        ("image", Say::with("image/png", "", b"\x89PNG\0\xff".as_slice())),
        ("none", Say::status("200 OK", "", "{}")),
        ("ndjson", Say::with("application/x-ndjson", "", "{}\n{}\n")),
        ("latin1", Say::with("text/plain; charset=iso-8859-1", "", b"\xe9".as_slice())),
        ("broken", Say::with(json, "", b"{\"a\":\"\xff\"}".as_slice())),
        ("bom", Say::with(json, "", "\u{feff}{}")),
        ("not gzip", Say::with(json, "Content-Encoding: gzip\r\n", "{}")),
        ("twice", Say::with(json, "Content-Encoding: gzip\r\nContent-Encoding: br\r\n", "{}")),
        ("vary", Say::with(json, "Vary: *\r\n", "{}")),
        ("varies", Say::with(json, "Vary: Accept, X-Request-Id\r\n", "{}")),
        ("cookie", Say::with(json, "Set-Cookie: sid=new; Path=/\r\n", "{}")),
        ("long", Say::with(json, "", long)),
    ];
    let (site, app) = start("/api/a", Say::json("{}")).await;
    for (n, (name, say)) in cases.into_iter().enumerate() {
        site.say("/api/a", say.clone());
        let target = format!("/api/a?n={n}");
        let plain = app.get(&target, "Cookie: sid=old\r\n").await;
        let marked = app.poll(&target, "Cookie: sid=old\r\n").await;
        assert_eq!((marked.head, marked.body), (plain.head, plain.body), "{name}");
        let fresh = app.poll(&target, "Cookie: sid=old\r\n").await;
        assert_eq!(fresh.hash(), None, "{name}");
        assert_eq!(site.asked(&target).len(), 3, "{name}");
    }
}

#[tokio::test]
async fn a_bomb_in_a_coding_passes_unread() {
    use tokio::io::AsyncReadExt as _;
    let mut bomb = Vec::new();
    let zeros = tokio::io::repeat(b'0').take(64 << 20);
    let zeros = tokio::io::BufReader::with_capacity(1 << 16, zeros);
    let mut gzip = async_compression::tokio::bufread::GzipEncoder::new(zeros);
    gzip.read_to_end(&mut bomb).await.unwrap();
    let say = Say::with("text/plain", "Content-Encoding: gzip\r\n", bomb.clone());
    let (_site, app) = start("/api/a", say).await;
    assert_plain(&app.poll("/api/a", "").await, 200, &bomb);
}

#[tokio::test]
async fn a_body_that_dribbles_is_not_held() {
    let origin = Origin::bind().await;
    let app = App::with(origin.addr, "push", WATCH).await;
    let mut client = Peer::connect(app.addr).await;
    client.send("GET /api/a HTTP/1.1\r\nHost: app\r\nPollcast-Client: me\r\n\r\n").await;
    let mut conn = origin.accept().await;
    conn.read_head().await;
    conn.send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n").await;
    conn.send("Transfer-Encoding: chunked\r\n\r\n6\r\n{\"a\":1\r\n").await;
    // The origin says nothing more until the client has that.
    let head = client.read_until("{\"a\":1\r\n").await;
    assert!(!head.contains("ollcast-"), "{head}");
    conn.send("1\r\n}\r\n0\r\n\r\n").await;
    assert_eq!(client.read_until("0\r\n\r\n").await, "1\r\n}\r\n0\r\n\r\n");
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off_for_the_client_too() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n";
    for then in [Then::Close, Then::Reset] {
        let (_site, app) = start("/api/a", Say::raw(head, "{\"a\"", then)).await;
        let mut client = Peer::connect(app.addr).await;
        client.send("GET /api/a HTTP/1.1\r\nHost: app\r\nPollcast-Client: me\r\n\r\n").await;
        let (text, _) = client.read_to_end().await;
        assert!(!text.contains("ollcast-State"), "{text}");
        assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("\r\n\r\n{\"a\""), "{text}");
    }
}

#[tokio::test]
async fn a_snapshot_answers_until_a_write_and_never_a_renewal() {
    let (site, app) = start("/api/todos", Say::json("[1]")).await;
    site.say("/api/todos/5", Say::json("{}"));
    let first = app.poll("/api/todos", "").await;
    let second = app.poll("/api/todos", "").await;
    assert_eq!((first.hash(), &first.body), (second.hash(), &second.body));
    assert_eq!(site.asked("GET /api/todos ").len(), 1);
    // Others' eyes: not theirs.
    app.poll("/api/todos", "Cookie: sid=other\r\n").await;
    assert_eq!(site.asked("GET /api/todos ").len(), 2);
    let renewal = app.get("/api/todos", "Pollcast-Client: me;renew\r\n").await;
    assert_eq!(renewal.hash(), first.hash());
    assert_eq!(site.asked("GET /api/todos ").len(), 3);

    site.say("/api/todos", Say::json("[2]"));
    assert_eq!(app.post("/api/todos/5", "Cookie: sid=writer\r\n", "{}").await.status(), 200);
    let after = app.poll("/api/todos", "").await;
    assert_eq!(after.text(), "[2]");
    assert_ne!(after.hash(), first.hash());
    // One's own write counts wherever it went.
    site.say("/rpc", Say::json("{}"));
    site.say("/api/todos", Say::json("[3]"));
    app.post("/rpc", "", "{}").await;
    assert_eq!(app.poll("/api/todos", "").await.text(), "[3]");
    // A refused write changes nothing.
    site.say("/api/todos", Say::json("[4]"));
    site.say("/rpc", Say::status("403 Forbidden", "", ""));
    assert_eq!(app.post("/rpc", "", "{}").await.status(), 403);
    assert_eq!(app.poll("/api/todos", "").await.text(), "[3]");
}

#[tokio::test]
async fn a_write_that_is_under_way_counts_once_it_may_have_happened() {
    let (site, app) = start("/api/todos", Say::json("[1]")).await;
    site.say("/api/todos/5", Say::raw("", "", Then::Hang));
    assert_eq!(app.poll("/api/todos", "").await.text(), "[1]");
    let mut writer = Peer::connect(app.addr).await;
    writer.send(post("/api/todos/5", "", "{}")).await;
    site.until_asked("POST /api/todos/5", 1).await;
    site.say("/api/todos", Say::json("[2]"));
    // The client leaves; nobody knows whether the origin has carried it out.
    writer.reset();
    app.until_metric("pollcast_hints_total{source=\"write\"}", 1.0).await;
    assert_eq!(app.poll("/api/todos", "").await.text(), "[2]");
}

#[tokio::test]
async fn conditions_of_the_browsers_cache_are_answered_with_the_whole_body() {
    let site = Site::start().await;
    site.on("/api/a", |head| match head.to_ascii_lowercase().contains("if-none-match") {
        true => Say::raw("HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n", "", Then::Keep),
        false => Say::with("application/json", "ETag: \"1\"\r\n", "{}"),
    });
    let app = App::with(site.addr, "push", WATCH).await;
    let marked = app.poll("/api/a", "If-None-Match: \"1\"\r\n").await;
    assert_eq!((marked.status(), marked.text(), marked.hash().is_some()), (200, "{}", true));
    let unmarked = app.get("/api/a", "If-None-Match: \"1\"\r\n").await;
    assert_eq!(unmarked.status(), 304);
    // Ranges are nobody's polls.
    assert_plain(&app.poll("/api/a", "Range: bytes=0-0\r\n").await, 200, b"{}");
}

#[tokio::test]
async fn below_collapse_a_mark_means_nothing_but_is_stripped() {
    for mode in ["off", "observe"] {
        let site = Site::start().await;
        site.say("/api/a", Say::with("application/json", "Pollcast-State: forged\r\n", "{}"));
        let app = App::with(site.addr, mode, &format!("{WATCH}{FAST}")).await;
        for _ in 0..2 {
            let answer = app.poll("/api/a", "").await;
            assert_plain(&answer, 200, b"{}");
            assert!(!answer.head.contains("ollcast"), "{}", answer.head);
        }
        assert_eq!(site.asked("GET /api/a ").len(), 2);
        assert!(!site.asked("").concat().contains("Pollcast"));
    }
}

/// Polls of one page, but for the browser's name.
#[tokio::test]
async fn a_field_that_vary_names_tells_topics_apart_from_then_on() {
    let (site, app) = start("/api/a", Say::json("[1]")).await;
    let one = "Cookie: sid=1\r\nUser-Agent: one\r\n";
    let other = "Cookie: sid=1\r\nUser-Agent: other\r\n";
    assert!(app.poll("/api/a", one).await.hash().is_some());
    // Nothing says that the browser matters: one topic.
    assert!(app.poll("/api/a", other).await.hash().is_some());
    assert_eq!(site.asked("/api/a").len(), 1);
    let varies = "Vary: User-Agent\r\n";
    site.say("/api/b", Say::with("application/json", varies, "[2]"));
    assert!(app.poll("/api/b", one).await.hash().is_some());
    assert!(app.poll("/api/b", other).await.hash().is_some());
    assert_eq!(site.asked("/api/b").len(), 2);
    assert!(app.poll("/api/b", other).await.hash().is_some());
    assert_eq!(site.asked("/api/b").len(), 2);
}
