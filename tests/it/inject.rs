//! Pages get the tag and nothing else; what isn't a page crosses byte for byte, and the log says
//! why once.

use crate::app::{Answer, App, FAST, WATCH};
use crate::origin::{Origin, Peer};
use crate::site::{Say, Site, Then};
use async_compression::tokio::bufread::GzipDecoder;
use async_compression::tokio::write::GzipEncoder;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const TAG: &str = "<script src=\"/__pollcast/shim.js\"></script>";
const DOC: &str = "<!doctype html><html><head><title>t</title></head><body>b</body></html>";
/// A navigation, as browsers say it.
const NAVIGATES: &str = "Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\n\
                         Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n";

async fn start() -> (Site, App) {
    let site = Site::start().await;
    let app = App::start(site.addr).await;
    (site, app)
}

fn tagged(page: &str) -> String {
    page.replacen("<head>", &format!("<head>{TAG}"), 1)
}

/// A page with further fields.
fn html(fields: &str, body: &str) -> Say {
    Say::with("text/html; charset=utf-8", fields, body)
}

async fn gzip(parts: &[&str]) -> Vec<Vec<u8>> {
    let mut encoder = GzipEncoder::new(Vec::new());
    let mut coded = Vec::new();
    for part in parts {
        encoder.write_all(part.as_bytes()).await.unwrap();
        encoder.flush().await.unwrap();
        coded.push(std::mem::take(encoder.get_mut()));
    }
    encoder.shutdown().await.unwrap();
    coded.push(encoder.into_inner());
    coded
}

async fn gunzip(coded: &[u8]) -> String {
    let mut text = String::new();
    GzipDecoder::new(coded).read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn a_page_gets_the_tag_and_keeps_its_other_fields_in_order() {
    let (site, app) = start().await;
    let fields = "X-First: 1\r\nETag: \"e\"\r\nSet-Cookie: a=1\r\nX-Two: 2\r\nSet-Cookie: b=2\r\n";
    site.say("/", html(fields, DOC));
    let answer = app.get("/", NAVIGATES).await;
    assert_eq!(answer.text(), tagged(DOC));
    let lower = answer.head.to_ascii_lowercase();
    let names: Vec<_> = lower.lines().filter_map(|line| line.split_once(':')).collect();
    let at = |name: &str| names.iter().position(|(n, _)| *n == name).unwrap();
    assert!(at("content-type") < at("x-first") && at("x-first") < at("etag"));
    assert!(at("etag") < at("set-cookie") && at("set-cookie") < at("x-two"));
    assert_eq!(answer.field("etag").unwrap(), "W/\"e.pc1s\"");
    assert_eq!(answer.field("accept-ranges").unwrap(), "none");
    assert_eq!(answer.field("content-length"), None);
}

#[tokio::test]
async fn error_pages_get_it_too() {
    let (site, app) = start().await;
    for status in ["404 Not Found", "500 Internal Server Error", "401 Unauthorized"] {
        site.say("/", Say::status(status, "Content-Type: text/html\r\nRefresh: 9\r\n", DOC));
        let answer = app.get("/", NAVIGATES).await;
        assert_eq!(answer.status().to_string(), status[..3]);
        assert_eq!(answer.text(), tagged(DOC));
        assert_eq!(answer.field("refresh").unwrap(), "9");
    }
}

/// Everything of an answer but what this connection adds.
fn whole(answer: &Answer) -> (String, Vec<u8>) {
    (answer.head.to_ascii_lowercase(), answer.body.clone())
}

#[tokio::test]
async fn what_is_no_page_crosses_byte_for_byte() {
    let (site, app) = start().await;
    let odd =
        "ETag: \"e\"\r\nAccept-Ranges: bytes\r\nLast-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n";
    for (media, more) in [
        ("application/xhtml+xml", ""),
        ("image/svg+xml", ""),
        ("application/pdf", ""),
        ("application/json", ""),
        ("text/vnd.turbo-stream.html", ""),
        ("multipart/x-mixed-replace; boundary=x", ""),
        ("text/html", "Content-Disposition: attachment; filename=\"a.html\"\r\n"),
        ("text/html", "Cache-Control: private, no-transform\r\n"),
        ("text/html", "Content-Encoding: gzip, br\r\n"),
        ("text/html", "Content-Encoding: gzip\r\nContent-Encoding: br\r\n"),
        ("text/html", "Content-Encoding: compress\r\n"),
        ("text/html; charset=utf-16le", ""),
        ("text/html", "Content-Security-Policy: script-src 'none'\r\n"),
        ("text/html", "Content-Security-Policy: script-src 'sha256-x' 'strict-dynamic'\r\n"),
        ("text/html", "Content-Security-Policy: sandbox\r\n"),
        ("text/html", "Content-Security-Policy: require-sri-for script\r\n"),
        ("text/html", "Integrity-Policy: blocked-destinations=(script)\r\n"),
    ] {
        site.say("/", Say::with(media, &format!("{odd}{more}"), DOC));
        // A fetch of the same, which nobody touches.
        let plain = app.get("/", "Sec-Fetch-Dest: empty\r\nSec-Fetch-Mode: cors\r\n").await;
        assert_eq!(plain.text(), DOC);
        let answer = app.get("/", NAVIGATES).await;
        assert_eq!(whole(&answer), whole(&plain), "{media} {more}");
    }
    let reasons = ["xhtml", "no-transform", "coding", "characters", "script-src", "sandbox"];
    for reason in reasons.into_iter().chain(["require-sri-for", "integrity-policy"]) {
        app.logged(&format!("\"reason\":\"{reason}\"")).await;
        assert_eq!(app.log().matches(&format!("\"reason\":\"{reason}\"")).count(), 1);
    }
}

#[tokio::test]
async fn what_libraries_fetch_crosses_byte_for_byte() {
    let (site, app) = start().await;
    site.say("/", html("ETag: \"e\"\r\n", DOC));
    let plain = app.get("/", "").await;
    assert_eq!(plain.text(), DOC);
    let accepts = "Accept: text/html, application/xhtml+xml\r\n";
    for fields in [
        "Sec-Fetch-Dest: empty\r\nSec-Fetch-Mode: same-origin\r\n",
        "HX-Request: true\r\nHX-Boosted: true\r\n",
        "Turbo-Frame: list\r\n",
        "X-Turbo-Request-Id: 1\r\n",
        "X-Requested-With: XMLHttpRequest\r\n",
        "Accept: text/vnd.turbo-stream.html, text/html, application/xhtml+xml\r\n",
    ] {
        let answer = app.get("/", &format!("{accepts}{fields}")).await;
        assert_eq!(whole(&answer), whole(&plain), "{fields}");
    }
    // A navigation over plain http, and one that a service worker passes on.
    assert_eq!(app.get("/", accepts).await.text(), tagged(DOC));
    let worker = format!("{accepts}Sec-Fetch-Dest: empty\r\nSec-Fetch-Mode: navigate\r\n");
    assert_eq!(app.get("/", &worker).await.text(), tagged(DOC));
}

#[tokio::test]
async fn fragments_and_empty_pages_keep_their_bytes() {
    let (site, app) = start().await;
    for body in ["", "\n", "<li>x</li>", "{\"a\":1}", "\u{feff}<!-- <head> -->"] {
        site.say("/", html("", body));
        let frame = "Sec-Fetch-Dest: iframe\r\nSec-Fetch-Mode: navigate\r\n";
        assert_eq!(app.get("/", frame).await.text(), body);
    }
    site.say("/", html("", ""));
    assert_eq!(app.get("/", NAVIGATES).await.text(), "");
    app.logged("\"reason\":\"fragment\"").await;
}

#[tokio::test]
async fn head_tells_what_get_would() {
    let (site, app) = start().await;
    site.on("/", |head| {
        let fields = "Content-Type: text/html\r\nETag: \"e\"\r\n";
        if head.starts_with("HEAD") {
            let len = DOC.len();
            let head = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {len}\r\n");
            return Say::raw(&head, "", Then::Keep);
        }
        Say::status("200 OK", fields, DOC)
    });
    let etag = app.get("/", NAVIGATES).await.field("etag").unwrap();
    let mut peer = Peer::connect(app.addr).await;
    for _ in 0..2 {
        peer.send(format!("HEAD / HTTP/1.1\r\nHost: app\r\n{NAVIGATES}\r\n")).await;
        let head = peer.read_head().await.to_ascii_lowercase();
        assert!(!head.contains("content-length"), "{head}");
        assert!(head.contains(&format!("etag: {}", etag.to_ascii_lowercase())), "{head}");
        assert!(head.contains("accept-ranges: none"), "{head}");
    }
    // A fetch sees the origin's own, as its GET would.
    peer.send("HEAD / HTTP/1.1\r\nHost: app\r\nSec-Fetch-Dest: empty\r\n\r\n").await;
    let head = peer.read_head().await.to_ascii_lowercase();
    assert!(head.contains(&format!("content-length: {}", DOC.len())), "{head}");
    assert!(head.contains("etag: \"e\""), "{head}");
}

#[tokio::test]
async fn a_range_of_a_page_is_the_origins() {
    let (site, app) = start().await;
    let fields = "Content-Type: text/html\r\nETag: \"e\"\r\nContent-Range: bytes 0-14/71\r\n";
    site.say("/", Say::status("206 Partial Content", fields, "<!doctype html>"));
    let answer =
        app.get("/", &format!("{NAVIGATES}Range: bytes=0-14\r\nIf-Range: \"e\"\r\n")).await;
    assert_eq!((answer.status(), answer.text()), (206, "<!doctype html>"));
    assert_eq!(answer.field("etag").unwrap(), "\"e\"");
    let asked = site.asked("bytes=0-14").remove(0).to_ascii_lowercase();
    assert!(asked.contains("if-range: \"e\""), "{asked}");
}

#[tokio::test]
async fn only_a_page_cached_with_the_tag_is_confirmed() {
    let (site, app) = start().await;
    let date = "Mon, 01 Jan 2024 00:00:00 GMT";
    let known = format!("Last-Modified: {date}\r\n");
    for (path, field, condition) in [
        ("/etag", "ETag: \"e\"\r\n", "if-none-match: \"e\""),
        ("/date", known.as_str(), "if-modified-since: mon, 01 jan 2024"),
    ] {
        let validator = field.to_owned();
        site.on(path, move |head| {
            if head.to_ascii_lowercase().contains(condition) {
                return Say::raw(
                    &format!("HTTP/1.1 304 Not Modified\r\n{validator}"),
                    "",
                    Then::Keep,
                );
            }
            html(&validator, DOC)
        });
        // Cached before Pollcast came.
        let before = format!("{NAVIGATES}If-None-Match: \"e\"\r\nIf-Modified-Since: {date}\r\n");
        let first = app.get(path, &before).await;
        assert_eq!((first.status(), first.text()), (200, tagged(DOC).as_str()), "{path}");
        let tag = first.field("etag").unwrap();
        let after = format!("{NAVIGATES}If-None-Match: {tag}\r\nIf-Modified-Since: {date}\r\n");
        for _ in 0..2 {
            let again = app.get(path, &after).await;
            assert_eq!((again.status(), again.field("etag").unwrap()), (304, tag.clone()));
        }
    }
}

#[tokio::test]
async fn a_page_that_ends_early_is_seen_to_end_early() {
    let (site, app) = start().await;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n", 999);
    site.say("/", Say::raw(&head, DOC, Then::Close));
    let mut peer = Peer::connect(app.addr).await;
    peer.send(format!("GET / HTTP/1.1\r\nHost: app\r\n{NAVIGATES}\r\n")).await;
    let (text, _) = peer.read_to_end().await;
    assert!(text.contains("<title>t</title>"), "{text}");
    assert!(!text.ends_with("0\r\n\r\n"), "complete, by its framing: {text}");
    // Longer than it says: what is beyond its length is no part of it.
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n", DOC.len());
    site.say("/", Say::raw(&head, format!("{DOC}beyond"), Then::Close));
    assert_eq!(app.get("/", NAVIGATES).await.text(), tagged(DOC));
}

#[tokio::test]
async fn a_page_that_dribbles_arrives_as_it_comes() {
    let origin = Origin::bind().await;
    let app = App::start(origin.addr).await;
    let parts = ["<!doctype html><head>", "<title>t</title>", "<p>", "more"];
    for coded in [false, true] {
        let mut client = Peer::connect(app.addr).await;
        client.send(format!("GET / HTTP/1.1\r\nHost: app\r\n{NAVIGATES}\r\n")).await;
        let mut conn = origin.accept().await;
        conn.read_head().await;
        let coding = if coded { "Content-Encoding: gzip\r\n" } else { "" };
        let media = "Content-Type: text/html; charset=utf-8\r\n";
        let close = "Connection: close\r\n\r\n";
        conn.send(format!("HTTP/1.1 200 OK\r\n{media}{coding}{close}")).await;
        client.read_head().await;
        let frames = if coded {
            gzip(&parts).await
        } else {
            parts.iter().map(|part| part.as_bytes().to_vec()).collect()
        };
        let mut got = Vec::new();
        for (n, frame) in frames.iter().enumerate() {
            conn.send(frame).await;
            if n < parts.len() {
                let size = client.read_until("\r\n").await;
                let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
                got.extend(client.read(size).await);
                client.read_until("\r\n").await;
            }
        }
        drop(conn);
        // A part may come in several chunks.
        loop {
            let size = client.read_until("\r\n").await;
            let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
            if size == 0 {
                break;
            }
            got.extend(client.read(size).await);
            client.read_until("\r\n").await;
        }
        let text = if coded { gunzip(&got).await } else { String::from_utf8(got).unwrap() };
        assert_eq!(text, tagged(&parts.concat()));
    }
}

#[tokio::test]
async fn a_huge_page_costs_a_bounded_buffer() {
    const MIB: usize = 1 << 20;
    let origin = Origin::bind().await;
    let app = App::start(origin.addr).await;
    let mut client = Peer::connect(app.addr).await;
    client
        .send(format!("GET / HTTP/1.1\r\nHost: app\r\n{NAVIGATES}Connection: close\r\n\r\n"))
        .await;
    let mut conn = origin.accept().await;
    conn.read_head().await;
    let before = app.resident();
    let origin_end = async move {
        conn.send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n").await;
        conn.send("<!doctype html><html><head>").await;
        let row = vec![b'x'; MIB];
        for _ in 0..100 {
            conn.send(&row).await;
        }
    };
    let client_end = async {
        let mut socket = client.into_socket();
        let (mut total, mut most) = (0, 0);
        let mut buffer = vec![0; MIB];
        loop {
            let n = socket.read(&mut buffer).await.unwrap();
            if n == 0 {
                return (total, most);
            }
            if (total + n) / (10 * MIB) > total / (10 * MIB) {
                most = most.max(app.resident().saturating_sub(before));
            }
            total += n;
        }
    };
    let ((), (total, most)) = tokio::join!(origin_end, client_end);
    assert!(total > 100 * MIB, "{total}");
    assert!(most < 10 * MIB, "{most} bytes held");
}

#[tokio::test]
async fn policies_are_extended_where_the_operator_says_so() {
    let site = Site::start().await;
    let extend = format!("{WATCH}{FAST}[inject]\ncsp = \"extend\"\n");
    let app = App::with(site.addr, "push", &extend).await;
    let policy = "Content-Security-Policy: default-src 'none'; img-src *\r\n\
                  Content-Security-Policy: script-src-elem https://cdn.example\r\n";
    site.say("/", html(policy, DOC));
    let answer = app.get("/", NAVIGATES).await;
    // Workers stay forbidden: the page holds its own stream.
    assert_eq!(answer.text(), tagged(DOC).replace("></script>", " data-alone></script>"));
    let lines: Vec<_> = answer.head.lines().filter(|l| l.contains("ecurity")).collect();
    assert!(lines[0].ends_with(
        "default-src 'none'; img-src *; script-src-elem app/__pollcast/shim.js \
         app/__pollcast/worker.js; connect-src app/__pollcast/"
    ));
    let both = "https://cdn.example app/__pollcast/shim.js app/__pollcast/worker.js";
    assert!(lines[1].ends_with(&format!("script-src-elem {both}")));
    let strict = "Content-Security-Policy: script-src 'sha256-x' 'strict-dynamic'\r\n";
    site.say("/", html(strict, DOC));
    let answer = app.get("/", NAVIGATES).await;
    assert_eq!(answer.text(), DOC);
    assert!(answer.head.contains("script-src 'sha256-x' 'strict-dynamic'\r\n"));
    app.logged("\"reason\":\"script-src\"").await;
}
