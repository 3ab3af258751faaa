//! Origins that lie, fail or hang: no wrong state is pushed, and the last one is reached.

use crate::app::{App, FAST, WATCH};
use crate::events::{Events, Held};
use crate::site::{Say, Site, Then};

const JSON: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";

async fn open(say: Say) -> (Site, App, Events, Held) {
    let site = Site::start().await;
    site.say("/api/a", say);
    let poll = format!("{FAST}timeout = \"300ms\"\nbreaker_failures = 1000\n");
    let app = App::with(site.addr, "push", &format!("{WATCH}{poll}")).await;
    let mut stream = Events::of(&app, "", &["/api/a"]).await;
    let mut held = Held::default();
    held.take(&stream.news().await);
    (site, app, stream, held)
}

#[tokio::test]
async fn what_is_no_whole_200_is_stale_and_then_the_state_is_back() {
    let truncated = format!("{JSON}Content-Length: 3\r\n");
    let long = format!("{JSON}Content-Length: 9\r\n");
    let chunked = format!("{JSON}Transfer-Encoding: chunked\r\n");
    let coded = format!("{JSON}Content-Encoding: gzip\r\nContent-Length: 3\r\n");
    let cases = [
        ("too long a length", Say::raw(&long, "[2]", Then::Close), "error"),
        ("reset in the body", Say::raw(&long, "[2]", Then::Reset), "error"),
        ("hangs in the body", Say::raw(&long, "[2]", Then::Hang), "timeout"),
        ("hangs at once", Say::raw("", "", Then::Hang), "timeout"),
        ("reset at once", Say::raw("", "", Then::Reset), "error"),
        ("closes at once", Say::raw("", "", Then::Close), "error"),
        ("no last chunk", Say::raw(&chunked, "3\r\n[2]\r\n", Then::Close), "error"),
        ("no chunk size", Say::raw(&chunked, "zz\r\n[2]\r\n", Then::Close), "error"),
        ("not HTTP", Say::raw("SSH-2.0-x\r\n", "", Then::Close), "error"),
        ("304 to no condition", Say::raw("HTTP/1.1 304 No\r\n", "", Then::Keep), "status"),
        ("a redirect", Say::status("302 Found", "Location: /api/b\r\n", "[2]"), "status"),
        ("a fault", Say::status("503 Busy", "Retry-After: 1\r\n", "[2]"), "status"),
        ("no gzip", Say::raw(&coded, "[2]", Then::Keep), "limit"),
    ];
    let (site, app, mut stream, mut held) = open(Say::json("[0]")).await;
    site.say("/api/b", Say::json("[\"elsewhere\"]"));
    for (n, (name, say, reason)) in cases.into_iter().enumerate() {
        site.say("/api/a", say);
        let stale = stream.news().await;
        assert_eq!((stale.name.as_str(), stale.reason()), ("stale", reason), "{name}");
        let body = format!("[{n},\"back\"]");
        site.say("/api/a", Say::json(body.as_str()));
        while held.body != body {
            let event = stream.news().await;
            assert_ne!(event.name, "gone", "{name}");
            held.take(&event);
        }
    }
    // What is beyond the length that is said isn't the body: what was promised counts.
    site.say("/api/a", Say::raw(&truncated, "[3]{\"more\":", Then::Close));
    while held.body != "[3]" {
        held.take(&stream.news().await);
    }
    assert!(site.asked("GET /api/b ").is_empty(), "a redirect was followed");
    assert!(!app.log().contains("panicked"));
}

#[tokio::test]
async fn an_entity_tag_that_lies_is_found_out_by_a_renewal() {
    let (site, app, mut stream, mut held) =
        open(Say::with("application/json", "ETag: \"1\"\r\n", "[1]")).await;
    // The tag stays, the body doesn't; whoever asks with the tag is told that nothing changed.
    site.on("/api/a", |head| match head.contains("if-none-match: \"1\"") {
        true => Say::raw("HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n", "", Then::Keep),
        false => Say::with("application/json", "ETag: \"1\"\r\n", "[2]"),
    });
    site.until_asked("if-none-match: \"1\"", 3).await;
    let renewed = app.get("/api/a", "Pollcast-Client: me;renew\r\n").await;
    assert_eq!(renewed.text(), "[2]");
    held.take(&stream.news().await);
    assert_eq!((held.body.as_str(), held.hash), ("[2]", renewed.hash().unwrap()));
}

#[tokio::test]
async fn a_tag_that_changes_without_the_body_is_no_news() {
    let (site, _app, mut stream, mut held) =
        open(Say::with("application/json", "ETag: \"1\"\r\nDate: x\r\n", "[1]")).await;
    site.say("/api/a", Say::with("application/json", "ETag: \"2\"\r\nDate: y\r\n", "[1]"));
    site.until_asked("if-none-match: \"2\"", 2).await;
    site.say("/api/a", Say::json("[2]"));
    let event = stream.news().await;
    held.take(&event);
    assert_eq!((event.data["seq"].as_u64(), held.body.as_str()), (Some(2), "[2]"));
}

#[tokio::test]
async fn a_rotated_session_ends_the_polling_in_that_users_name() {
    let (site, app, mut stream, _) = open(Say::json("[1]")).await;
    let rotate = "Set-Cookie: sid=rotated; HttpOnly\r\n";
    site.say("/api/a", Say::with("application/json", rotate, "[1]"));
    let gone = stream.news().await;
    assert_eq!((gone.name.as_str(), gone.reason()), ("gone", "unwatchable"));
    assert_eq!(stream.until("bye").await.reason(), "empty");
    stream.closed().await;
    // Nor is it tried again for the next stream of the same.
    let asked = site.asked("GET /api/a ").len();
    let mut again = Events::of(&app, "", &["/api/a"]).await;
    assert_eq!(again.news().await.reason(), "unwatchable");
    assert_eq!(site.asked("GET /api/a ").len(), asked);
    // Somebody else's session has nothing to do with it.
    let mut other = Events::of(&app, "Cookie: sid=rotated\r\n", &["/api/a"]).await;
    assert_eq!(other.news().await.name, "snapshot");
}

#[tokio::test]
async fn a_dead_origin_opens_the_breaker_and_costs_nobody_the_stream() {
    let site = Site::start().await;
    site.say("/api/a", Say::json("[1]"));
    let poll = format!("{FAST}breaker_failures = 2\n");
    let app = App::with(site.addr, "push", &format!("{WATCH}{poll}")).await;
    let mut stream = Events::of(&app, "", &["/api/a"]).await;
    assert_eq!(stream.news().await.name, "snapshot");
    site.say("/api/a", Say::status("500 Oh", "", ""));
    assert_eq!(stream.news().await.name, "stale");
    app.logged("the origin keeps failing").await;
    site.say("/api/a", Say::json("[2]"));
    assert_eq!(stream.news().await.text("body"), "[2]");
    app.logged("the origin answers again").await;
}

#[tokio::test]
async fn an_endpoint_that_fails_holds_up_its_own_watch_alone() {
    let site = Site::start().await;
    site.say("/api/a", Say::json("[0]"));
    site.say("/broken", Say::status("500 Oh", "", ""));
    let broken = "[[watch]]\nname = \"broken\"\npath = \"/broken\"\n";
    let app = App::with(site.addr, "push", &format!("{WATCH}{broken}{FAST}")).await;
    let mut stream = Events::of(&app, "", &["/api/a"]).await;
    assert_eq!(stream.news().await.text("body"), "[0]");
    let urls: Vec<_> = (0..60).map(|n| format!("/broken?n={n}")).collect();
    let urls: Vec<_> = urls.iter().map(String::as_str).collect();
    let _failing = Events::of(&app, "", &urls).await;
    let line = app.logged("the origin keeps failing").await;
    assert_eq!(line["watch"], "broken");
    // As long as it pauses, and probes, and pauses again.
    let asked = site.asked("/broken").len();
    let mut held = Held::default();
    for n in 1.. {
        site.say("/api/a", Say::json(format!("[{n}]")));
        let event = stream.news().await;
        assert_ne!(event.name, "stale", "{event:?}");
        held.take(&event);
        if site.asked("/broken").len() > asked + 1 {
            break;
        }
    }
    assert_eq!(app.log().matches("the origin keeps failing").count(), 1);
}

#[tokio::test]
async fn an_origin_that_is_not_there_is_said_to_be_so() {
    let app = App::start(crate::origin::Origin::nowhere().await).await;
    for fields in ["", "Pollcast-Client: me\r\n"] {
        let answer = app.get("/api/a", fields).await;
        assert_eq!(answer.status(), 502);
        assert_eq!(answer.text(), "Pollcast: the origin refused the connection (502)\n");
    }
    let mut stream = Events::of(&app, "", &["/api/a"]).await;
    let stale = stream.news().await;
    assert_eq!((stale.name.as_str(), stale.reason()), ("stale", "error"));
    stream.until("beat").await;
}
