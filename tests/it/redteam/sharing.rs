//! Topics that users share: a state is to be had without the origin's having shown it.

use super::{ATTACKER, BOARD, Rig, VICTIM, assert_clean, told};
use crate::events::Events;
use crate::site::Say;
use serde_json::json;

const FRIEND: &str = "Cookie: sid=friend\r\n";
const TARGET: &str = "/shared/board";

fn topic() -> [serde_json::Value; 1] {
    [json!({"url": TARGET, "every_ms": 50})]
}

/// A stream without a lease: subscribing alone would have been enough.
#[tokio::test]
async fn a_stream_without_a_lease() {
    let rig = Rig::start(TARGET).await;
    for fields in ["", ATTACKER, "Authorization: Bearer nobody\r\n"] {
        let mut stream = Events::open(&rig.app, fields, &topic()).await;
        let text = told(&mut stream).await;
        assert!(text.contains("stale ") || text.contains("refused"), "{text}");
        assert_clean(&text);
    }
    rig.still_serves().await;
}

/// A marked request just after the victim's: a snapshot would have answered it.
#[tokio::test]
async fn a_snapshot_without_a_lease() {
    let rig = Rig::start(TARGET).await;
    assert!(rig.app.poll(TARGET, VICTIM).await.text().contains(BOARD));
    for fields in ["", ATTACKER] {
        rig.get(TARGET, fields).await;
    }
    rig.still_serves().await;
}

/// The victim's state hash as `have`, on a topic whose key the attacker hits.
#[tokio::test]
async fn a_stolen_state_hash_on_a_shared_topic() {
    let rig = Rig::start(TARGET).await;
    let hash = rig.app.poll(TARGET, VICTIM).await.hash().unwrap();
    let topic = json!({"url": TARGET, "have": hash, "every_ms": 50});
    let mut stream = Events::open(&rig.app, ATTACKER, &[topic]).await;
    let text = told(&mut stream).await;
    assert!(!text.contains("current ") && !text.contains("delta "), "{text}");
    assert_clean(&text);
    rig.still_serves().await;
}

/// A validator from elsewhere: a 304 is no proof that the origin would show the bytes.
#[tokio::test]
async fn a_304_is_no_lease() {
    let rig = Rig::start(TARGET).await;
    rig.site.on("/shared/tagged", |head| {
        if head.to_ascii_lowercase().contains("if-none-match") {
            Say::raw("HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n", "", crate::site::Then::Keep)
        } else if super::who(head) == "victim" {
            Say::with("application/json", "ETag: \"1\"\r\n", format!("[\"{BOARD}\"]"))
        } else {
            Say::status("403 Forbidden", "", "")
        }
    });
    let mut victim = Events::of(&rig.app, VICTIM, &["/shared/tagged"]).await;
    assert!(victim.until("snapshot").await.text("body").contains(BOARD));
    let fields = format!("If-None-Match: \"1\"\r\n{ATTACKER}");
    let answer = rig.app.get("/shared/tagged", &fields).await;
    assert!(answer.head.starts_with("HTTP/1.1 304 "), "{}", answer.head);
    rig.stream(ATTACKER, &[json!({"url": "/shared/tagged", "every_ms": 50})]).await;
    rig.still_serves().await;
}

/// The origin refuses a user who had a lease: what comes after would have gone on reaching them.
#[tokio::test]
async fn a_revoked_user() {
    let rig = Rig::start(TARGET).await;
    let allowed = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let asked = std::sync::Arc::clone(&allowed);
    rig.site.on("/shared/room", move |head| {
        let inside = asked.load(std::sync::atomic::Ordering::Relaxed);
        match super::who(head).as_str() {
            "friend" if !inside => Say::status("403 Forbidden", "", ""),
            _ if !inside => Say::json(format!("[\"{BOARD}\", \"after\"]")),
            _ => Say::json(format!("[\"{BOARD}\"]")),
        }
    });
    let mut friend = Events::of(&rig.app, FRIEND, &["/shared/room"]).await;
    friend.until("snapshot").await;
    allowed.store(false, std::sync::atomic::Ordering::Relaxed);
    // Its own next request, or a poll in its name, finds out.
    rig.app.poll("/shared/room", FRIEND).await;
    let text = told(&mut friend).await;
    assert!(text.contains("stale ") && !text.contains("after"), "{text}");
    rig.still_serves().await;
}

/// A 401 to any request with the same credentials: the session is over, everywhere.
#[tokio::test]
async fn a_401_elsewhere_ends_it() {
    let rig = Rig::start(TARGET).await;
    rig.site.say("/other", Say::status("401 Unauthorized", "", ""));
    let mut friend = Events::of(&rig.app, FRIEND, &[TARGET, "/api/me"]).await;
    friend.until("snapshot").await;
    friend.until("snapshot").await;
    rig.app.get("/other", FRIEND).await;
    for _ in 0..2 {
        assert_eq!(friend.until("gone").await.reason(), "refused");
    }
    // Somebody without credentials who is refused ends nobody's.
    rig.app.get("/other", "").await;
    rig.still_serves().await;
}

/// Another identity for the same browser, by any answer: the old one's state must not go on.
#[tokio::test]
async fn a_new_session_by_any_answer() {
    let rig = Rig::start(TARGET).await;
    rig.site.say("/whoami", Say::with("text/plain", "Set-Cookie: sid=other; Path=/\r\n", "x"));
    let mut friend = Events::of(&rig.app, FRIEND, &["/api/me"]).await;
    friend.until("snapshot").await;
    rig.app.get("/whoami", FRIEND).await;
    assert_eq!(friend.until("gone").await.reason(), "anew");
    rig.still_serves().await;
}

/// `Set-Cookie` of the victim's answer, in a snapshot that answers somebody else.
#[tokio::test]
async fn cookies_are_never_replayed() {
    let rig = Rig::start(TARGET).await;
    let cookie = "Set-Cookie: ad=of-the-victim\r\n";
    rig.site.say("/api/ad", Say::with("application/json", cookie, "[1]"));
    let first = rig.app.poll("/api/ad", "Cookie: ad=of-the-victim; sid=victim\r\n").await;
    assert!(first.hash().is_some());
    let again = rig.app.poll("/api/ad", "Cookie: ad=of-the-victim; sid=victim\r\n").await;
    assert_eq!((again.hash(), again.field("set-cookie")), (first.hash(), None));
    rig.still_serves().await;
}

/// An error of one user's, or of a moment, must not be shown to the others.
#[tokio::test]
async fn an_error_is_not_shared() {
    let rig = Rig::start(TARGET).await;
    for status in ["500 Oh", "404 Not Found", "302 Found", "206 Partial Content"] {
        let kept = status.to_owned();
        rig.site.on("/shared/flaky", move |head| match super::who(head).as_str() {
            "friend" => Say::status(&kept, "Content-Type: application/json\r\n", "\"evil\""),
            _ => Say::json(format!("[\"{BOARD}\"]")),
        });
        let mut victim = Events::of(&rig.app, VICTIM, &["/shared/flaky"]).await;
        victim.until("snapshot").await;
        rig.app.poll("/shared/flaky", FRIEND).await;
        let text = told(&mut victim).await;
        assert!(!text.contains("evil") && !text.contains("stale "), "{status}: {text}");
    }
    rig.still_serves().await;
}
