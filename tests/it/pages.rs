//! Pages that a watch matches, too: shown with the tag, polled without it.

use crate::app::{App, FAST};
use crate::events::{Events, Held};
use crate::origin::Peer;
use crate::site::{Say, Site, Then};
use serde_json::json;

const TAG: &str = "<script src=\"/__pollcast/shim.js\"></script>";
const DOC: &str = "<!doctype html><html><head><title>t</title></head><body>b</body></html>";
/// A navigation over plain http, where browsers say no more than this.
const NAVIGATES: &str = "Accept: text/html,*/*;q=0.8\r\n";
const PAGE: &str = "/board/1";

/// Watches everything, and polls nothing by itself.
const ALL: &str = "[[watch]]\nname = \"all\"\npath = \"/**\"\n[poll]\ndefault_interval = \"1h\"\n";

fn html(fields: &str) -> Say {
    Say::with("text/html; charset=utf-8", fields, DOC)
}

fn tagged() -> String {
    DOC.replacen("<head>", &format!("<head>{TAG}"), 1)
}

async fn start(say: Say) -> (Site, App) {
    let site = Site::start().await;
    site.say(PAGE, say);
    let app = App::with(site.addr, "push", ALL).await;
    (site, app)
}

#[tokio::test]
async fn it_gets_the_tag_and_is_counted_and_logged_like_any_other() {
    let (site, app) = start(html("")).await;
    let documents = format!("Sec-Fetch-Dest: document\r\n{NAVIGATES}");
    for fields in [NAVIGATES, &documents] {
        assert_eq!(app.get(PAGE, fields).await.text(), tagged());
    }
    app.until_metric("pollcast_injections_total{outcome=\"injected\"}", 2.0).await;
    site.say(PAGE, html("Content-Security-Policy: script-src 'none'\r\n"));
    assert_eq!(app.get(PAGE, NAVIGATES).await.text(), DOC);
    app.logged("\"reason\":\"script-src\"").await;
    app.until_metric("pollcast_injections_total{outcome=\"csp\"}", 1.0).await;
}

#[tokio::test]
async fn what_scripts_ask_for_is_the_origins_own() {
    let (_site, app) = start(html("ETag: \"e\"\r\n")).await;
    for fields in [
        "Accept: */*\r\n",
        "Sec-Fetch-Dest: empty\r\nAccept: text/html\r\n",
        "HX-Request: true\r\nAccept: text/html\r\n",
        "Pollcast-Client: no good\r\nAccept: text/html\r\n",
    ] {
        let answer = app.get(PAGE, fields).await;
        assert_eq!((answer.text(), answer.field("etag").as_deref()), (DOC, Some("\"e\"")));
    }
}

#[tokio::test]
async fn below_collapse_a_marked_poll_is_no_page_either() {
    let site = Site::start().await;
    site.say(PAGE, html(""));
    let watch = "[[watch]]\nname = \"pages\"\npath = \"/board/**\"\nmode = \"observe\"\n";
    let other = "[[watch]]\nname = \"api\"\npath = \"/api/**\"\n";
    let app = App::with(site.addr, "push", &format!("{watch}{other}{FAST}")).await;
    assert_eq!(app.get(PAGE, NAVIGATES).await.text(), tagged());
    assert_eq!(app.poll(PAGE, NAVIGATES).await.text(), DOC);
}

#[tokio::test]
async fn no_topic_learns_of_the_tag() {
    let (_site, app) = start(html("")).await;
    let accept = json!({ "accept": "text/html,*/*;q=0.8" });
    let topic = json!({ "url": PAGE, "every_ms": 50, "headers": accept });
    let mut stream = Events::open(&app, "", &[topic]).await;
    let mut held = Held::default();
    held.take(&stream.until("snapshot").await);
    assert_eq!(held.body, DOC);
    let renewal = format!("Pollcast-Client: me;renew\r\n{NAVIGATES}");
    for _ in 0..2 {
        assert_eq!(app.get(PAGE, NAVIGATES).await.text(), tagged());
        let polled = app.get(PAGE, &renewal).await;
        assert_eq!((polled.text(), polled.hash()), (DOC, Some(held.hash.clone())));
        let fresh = app.poll(PAGE, NAVIGATES).await;
        assert_eq!((fresh.text(), fresh.hash()), (DOC, Some(held.hash.clone())));
    }
}

#[tokio::test]
async fn conditions_head_and_ranges_are_those_of_any_page() {
    let (site, app) = start(html("")).await;
    site.on(PAGE, |head| {
        let fields = "Content-Type: text/html\r\nETag: \"e\"\r\n";
        let lower = head.to_ascii_lowercase();
        if lower.contains("if-none-match: \"e\"") {
            return Say::raw("HTTP/1.1 304 Not Modified\r\nETag: \"e\"\r\n", "", Then::Keep);
        }
        if lower.contains("\nrange:") {
            let range = format!("{fields}Content-Range: bytes 0-14/71\r\n");
            return Say::status("206 Partial Content", &range, "<!doctype html>");
        }
        if head.starts_with("HEAD") {
            return Say::raw(&format!("HTTP/1.1 200 OK\r\n{fields}"), "", Then::Keep);
        }
        Say::status("200 OK", fields, DOC)
    });
    // Cached before Pollcast came, then with the tag.
    let before = app.get(PAGE, &format!("{NAVIGATES}If-None-Match: \"e\"\r\n")).await;
    assert_eq!((before.status(), before.text()), (200, tagged().as_str()));
    let etag = before.field("etag").unwrap();
    assert_eq!(etag, "W/\"e.pc1s\"");
    let again = app.get(PAGE, &format!("{NAVIGATES}If-None-Match: {etag}\r\n")).await;
    assert_eq!((again.status(), again.field("etag")), (304, Some(etag.clone())));
    // A poll of the same must not be told that its page is still good.
    let polled = app.poll(PAGE, &format!("{NAVIGATES}If-None-Match: {etag}\r\n")).await;
    assert_eq!((polled.status(), polled.text()), (200, DOC));
    assert_eq!(polled.field("etag").as_deref(), Some("\"e\""));

    let range = app.get(PAGE, &format!("{NAVIGATES}Range: bytes=0-14\r\n")).await;
    assert_eq!((range.status(), range.text()), (206, "<!doctype html>"));
    let mut peer = Peer::connect(app.addr).await;
    peer.send(format!("HEAD {PAGE} HTTP/1.1\r\nHost: app\r\n{NAVIGATES}\r\n")).await;
    let head = peer.read_head().await.to_ascii_lowercase();
    assert!(head.contains("etag: w/\"e.pc1s\"") && head.contains("accept-ranges: none"), "{head}");
}
