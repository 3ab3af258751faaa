//! Sessions that are over: what was shown before is to be had with them afterwards.

use super::{ATTACKER, BOARD, MARK, Rig, VICTIM, assert_clean};
use crate::events::Events;
use crate::site::{Say, Then};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const FRIEND: &str = "Cookie: sid=friend\r\n";
const TARGET: &str = "/shared/board";

/// A room that a friend is let into for as long as the flag says, and the victim always.
async fn room() -> (Rig, Arc<AtomicBool>) {
    let rig = Rig::start(TARGET).await;
    let inside = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&inside);
    rig.site.on("/shared/room", move |head| match super::who(head).as_str() {
        "friend" if !asked.load(Ordering::Relaxed) => Say::status("401 Unauthorized", "", ""),
        _ => Say::json(format!("[\"{BOARD}\"]")),
    });
    rig.site.say("/other", Say::status("401 Unauthorized", "", ""));
    (rig, inside)
}

/// A lease that outlives the session, of somebody who had no stream when it ended: a snapshot that
/// others' polls keep fresh would have answered a marked request.
#[tokio::test]
async fn a_lease_without_a_stream_after_a_401() {
    let (rig, inside) = room().await;
    let mut victim = Events::of(&rig.app, VICTIM, &["/shared/room"]).await;
    victim.until("snapshot").await;
    assert!(rig.app.poll("/shared/room", FRIEND).await.text().contains(BOARD));
    inside.store(false, Ordering::Relaxed);
    assert_eq!(rig.app.get("/other", FRIEND).await.status(), 401);
    victim.until("beat").await;
    rig.get("/shared/room", FRIEND).await;
    rig.stream(FRIEND, &[json!({"url": "/shared/room", "every_ms": 50})]).await;
    rig.still_serves().await;
}

/// A 401 is what some paths always say to a visitor: it ends what they see once, not each time it
/// is asked for. One where it was answered otherwise meanwhile is the end of a session again.
#[tokio::test]
async fn a_401_that_is_a_habit() {
    let rig = Rig::start(TARGET).await;
    let visitor = "Cookie: _ga=1\r\n";
    let inside = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&inside);
    rig.site.on("/api/who", move |_| match asked.load(Ordering::Relaxed) {
        true => Say::json("{}"),
        false => Say::status("401 Unauthorized", "", ""),
    });
    rig.site.say("/api/scores", Say::json("[1]"));
    let open = || async {
        assert_eq!(rig.app.poll("/api/scores", visitor).await.status(), 200);
        let mut scores = Events::of(&rig.app, visitor, &["/api/scores"]).await;
        scores.until("snapshot").await;
        scores
    };
    let mut first = open().await;
    assert_eq!(rig.app.poll("/api/who", visitor).await.status(), 401);
    assert_eq!(first.until("gone").await.reason(), "refused");
    let mut second = open().await;
    for _ in 0..3 {
        assert_eq!(rig.app.poll("/api/who", visitor).await.status(), 401);
    }
    rig.site.say("/api/scores", Say::json("[1,2]"));
    assert_eq!(second.news().await.text("body"), "[1,2]");
    inside.store(true, Ordering::Relaxed);
    assert_eq!(rig.app.poll("/api/who", visitor).await.status(), 200);
    inside.store(false, Ordering::Relaxed);
    assert_eq!(rig.app.get("/api/who", visitor).await.status(), 401);
    assert_eq!(second.until("gone").await.reason(), "refused");
}

/// The same where no page is pushed anything and snapshots only answer requests.
#[tokio::test]
async fn a_snapshot_after_a_401_in_mode_collapse() {
    let site = crate::site::Site::start().await;
    let inside = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&inside);
    site.on("/api/me", move |_| match asked.load(Ordering::Relaxed) {
        true => Say::json(format!("[\"{MARK}\"]")),
        false => Say::status("401 Unauthorized", "", ""),
    });
    site.say("/other", Say::status("401 Unauthorized", "", ""));
    let tables = format!("{}[poll]\ncollapse_max_age = \"60s\"\n", crate::app::WATCH);
    let app = crate::app::App::with(site.addr, "collapse", &tables).await;
    for _ in 0..2 {
        assert!(app.poll("/api/me", ATTACKER).await.text().contains(MARK));
    }
    assert_eq!(site.asked("/api/me").len(), 1, "answered by a snapshot");
    inside.store(false, Ordering::Relaxed);
    assert_eq!(app.get("/other", ATTACKER).await.status(), 401);
    let answer = app.poll("/api/me", ATTACKER).await;
    assert_eq!(answer.status(), 401);
    assert_clean(answer.text());
}

/// Logouts that take the cookie away without giving it another value.
#[tokio::test]
async fn a_logout_that_keeps_the_cookies_value() {
    let rig = Rig::start(TARGET).await;
    for (at, field) in [
        "Set-Cookie: sid=friend; Max-Age=0; Path=/\r\n",
        "Set-Cookie: sid=friend; Expires=Thu, 01-Jan-1970 00:00:10 GMT\r\n",
        "Clear-Site-Data: \"cache\", \"cookies\"\r\n",
        "Clear-Site-Data: \"*\"\r\n",
    ]
    .into_iter()
    .enumerate()
    {
        let path: &'static str = ["/out1", "/out2", "/out3", "/out4"][at];
        rig.site.say(path, Say::with("text/plain", field, "x"));
        let mut friend = Events::of(&rig.app, FRIEND, &["/api/me"]).await;
        friend.until("snapshot").await;
        rig.app.get(path, FRIEND).await;
        assert_eq!(friend.until("gone").await.reason(), "anew", "{field}");
    }
    // What only renews the cookie ends nothing.
    let renewed = "Set-Cookie: sid=friend; Max-Age=3600\r\nClear-Site-Data: \"cache\"\r\n";
    rig.site.say("/renewed", Say::with("text/plain", renewed, "x"));
    let mut friend = Events::of(&rig.app, FRIEND, &["/api/me"]).await;
    friend.until("snapshot").await;
    rig.app.get("/renewed", FRIEND).await;
    friend.until("beat").await;
    let event = friend.until("beat").await;
    assert_eq!(event.name, "beat");
    rig.still_serves().await;
}

/// A handshake may carry a new session, too.
#[tokio::test]
async fn a_new_session_by_a_handshake() {
    let rig = Rig::start(TARGET).await;
    let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                Upgrade: websocket\r\nSet-Cookie: sid=other\r\n";
    rig.site.say("/socket", Say::raw(head, "", Then::Keep));
    let mut friend = Events::of(&rig.app, FRIEND, &["/api/me"]).await;
    friend.until("snapshot").await;
    let mut peer = crate::origin::Peer::connect(rig.app.addr).await;
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    peer.send(format!("GET /socket HTTP/1.1\r\nHost: app\r\n{upgrade}{FRIEND}\r\n")).await;
    assert!(peer.read_head().await.starts_with("HTTP/1.1 101 "));
    assert_eq!(friend.until("gone").await.reason(), "anew");
    rig.still_serves().await;
}

/// All who have no credentials are one to us: one who is refused, or logs in elsewhere, must not
/// end what the others have. Who logs in by a GET, though, isn't nobody any more on any page.
#[tokio::test]
async fn nobody_is_refused_and_logs_in() {
    let site = crate::site::Site::start().await;
    site.say("/api/open", Say::json("[1]"));
    site.say("/refused", Say::status("401 No", "", ""));
    site.say("/login", Say::with("text/html", "Set-Cookie: sid=new; HttpOnly\r\n", ""));
    let top = format!("origin = \"http://{}\"\ntrusted_proxies = [\"127.0.0.0/8\"]\n", site.addr);
    let tables = format!("{}{}", crate::app::WATCH, crate::app::FAST);
    let app = crate::app::App::before(top, &tables).await;
    let [here, there] = ["1", "2"].map(|n| format!("X-Forwarded-For: 192.0.2.{n}:4711\r\n"));
    let mut nobody = Events::of(&app, &here, &["/api/open"]).await;
    let mut other = Events::of(&app, &there, &["/api/open"]).await;
    nobody.until("snapshot").await;
    other.until("snapshot").await;
    app.get("/refused", &here).await;
    // Somebody already: a new cookie of theirs is none of nobody's.
    app.get("/login", &format!("{here}{ATTACKER}")).await;
    site.say("/api/open", Say::json("[2]"));
    for stream in [&mut nobody, &mut other] {
        loop {
            let event = stream.next().await;
            assert_ne!(event.name, "gone");
            if event.data.to_string().contains("[2]") {
                break;
            }
        }
    }
    app.get("/login", &here).await;
    assert_eq!(nobody.until("gone").await.reason(), "anew");
    site.say("/api/open", Say::json("[3]"));
    loop {
        let event = other.next().await;
        assert_ne!(event.name, "gone");
        if event.data.to_string().contains("[3]") {
            break;
        }
    }
}

/// Fields that aren't compared, as one user's trace or rate limit, in what others are given.
#[tokio::test]
async fn fields_of_one_users_answer() {
    let rig = Rig::start(TARGET).await;
    rig.site.on("/shared/traced", |head| {
        let who = if super::who(head) == "victim" { MARK } else { "none" };
        let fields =
            format!("X-Request-Id: {who}\r\nX-RateLimit-User: {who}\r\nVia: 1.1 {who}\r\n");
        Say::with("application/json", &fields, "[1]")
    });
    let mut victim = Events::of(&rig.app, VICTIM, &["/shared/traced"]).await;
    victim.until("snapshot").await;
    let mut friend = Events::of(&rig.app, FRIEND, &["/shared/traced"]).await;
    assert_clean(&friend.until("snapshot").await.data.to_string());
    rig.get("/shared/traced", FRIEND).await;
    rig.still_serves().await;
}
