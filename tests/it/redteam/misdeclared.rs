//! Watches that somebody declared wider than they are: the victim's bytes are to reach others.

use super::{ATTACKER, MARK, Rig, VICTIM, assert_clean, field, told, who};
use crate::events::Events;
use crate::site::Say;
use serde_json::json;

/// Everybody's own: the same until it differs.
fn personal(rig: &Rig, path: &'static str) -> std::sync::Arc<std::sync::atomic::AtomicBool> {
    let differs = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let asked = std::sync::Arc::clone(&differs);
    rig.site.on(path, move |head| {
        let differs = asked.load(std::sync::atomic::Ordering::Relaxed);
        match who(head).as_str() {
            "victim" if differs => Say::json(format!("[\"{MARK}\"]")),
            _ => Say::json("[]"),
        }
    });
    differs
}

/// The victim's list gets its first entry: a poll in the victim's name would have pushed it to all.
#[tokio::test]
async fn a_personal_list_declared_shared() {
    let rig = Rig::start("/api/me").await;
    let differs = personal(&rig, "/shared/list");
    let topic = [json!({"url": "/shared/list", "every_ms": 50})];
    let mut victim = Events::open(&rig.app, VICTIM, &topic).await;
    victim.until("snapshot").await;
    let mut attacker = Events::open(&rig.app, ATTACKER, &topic).await;
    attacker.until("snapshot").await;
    differs.store(true, std::sync::atomic::Ordering::Relaxed);
    // Whoever is polled for, the victim's own page asks now and then.
    rig.app.get("/shared/list", VICTIM).await;
    while !victim.next().await.data.to_string().contains(MARK) {}
    loop {
        let event = attacker.next().await;
        assert_clean(&event.data.to_string());
        if event.name == "gone" {
            assert_eq!(event.reason(), "anew");
            break;
        }
    }
    rig.app.logged("no longer shared").await;
    rig.app.until_metric("pollcast_demoted", 1.0).await;
    rig.app.until_metric("pollcast_demotions_total{reason=\"differs\"}", 1.0).await;
    // From now on each has a topic of their own.
    let mut attacker = Events::open(&rig.app, ATTACKER, &topic).await;
    assert_clean(&super::told(&mut attacker).await);
    let mut victim = Events::open(&rig.app, VICTIM, &topic).await;
    assert!(victim.until("snapshot").await.text("body").contains(MARK));
    rig.still_serves().await;
}

/// The same, where the victim's page sees the change first.
#[tokio::test]
async fn a_personal_answer_that_passes() {
    let rig = Rig::start("/api/me").await;
    let differs = personal(&rig, "/shared/list");
    let topic = [json!({"url": "/shared/list", "every_ms": 50})];
    let mut attacker = Events::open(&rig.app, ATTACKER, &topic).await;
    attacker.until("snapshot").await;
    differs.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(rig.app.poll("/shared/list", VICTIM).await.text().contains(MARK));
    assert_clean(&told(&mut attacker).await);
    rig.still_serves().await;
}

/// A public watch of what isn't: polls carry no credentials, so nothing of theirs is pushed.
#[tokio::test]
async fn a_personal_list_declared_public() {
    let rig = Rig::start("/api/me").await;
    let differs = personal(&rig, "/public/list");
    differs.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(rig.app.poll("/public/list", VICTIM).await.text().contains(MARK));
    rig.stream(ATTACKER, &[json!({"url": "/public/list", "every_ms": 50})]).await;
    let polls = rig.site.asked("/public/list");
    let own = polls.iter().filter(|head| !field(head, "cookie").contains("victim"));
    assert!(own.count() > 0);
    rig.get("/public/list", ATTACKER).await;
    rig.still_serves().await;
}

/// `Cache-Control: private` on a shared watch: the origin itself says that it is for one user.
#[tokio::test]
async fn private_answers_are_not_shared() {
    let rig = Rig::start("/api/me").await;
    let private = "Cache-Control: private, max-age=5\r\n";
    rig.site.on("/shared/own", move |head| match who(head).as_str() {
        "victim" => Say::with("application/json", private, format!("[\"{MARK}\"]")),
        _ => Say::with("application/json", private, "[]"),
    });
    rig.app.poll("/shared/own", VICTIM).await;
    rig.stream(ATTACKER, &[json!({"url": "/shared/own", "every_ms": 50})]).await;
    rig.app.until_metric("pollcast_demotions_total{reason=\"private\"}", 1.0).await;
    rig.still_serves().await;
}

/// An expired session gets a login page with status 200: it must not become everybody's state, and
/// one such user must not end the sharing.
#[tokio::test]
async fn a_login_page_with_status_200() {
    let rig = Rig::start("/api/me").await;
    rig.site.on("/shared/board2", |head| match who(head).as_str() {
        "victim" => Say::json("[\"fine\"]"),
        _ => Say::with("text/html", "", "<form>evil</form>"),
    });
    let mut victim = Events::of(&rig.app, VICTIM, &["/shared/board2"]).await;
    victim.until("snapshot").await;
    for _ in 0..3 {
        rig.app.poll("/shared/board2", ATTACKER).await;
    }
    let text = told(&mut victim).await;
    assert!(!text.contains("evil") && !text.contains("gone "), "{text}");
    rig.still_serves().await;
}

/// An answer that depends on a field outside the key, which `Vary` names: another browser's state.
#[tokio::test]
async fn a_field_that_vary_names() {
    let mut rig = Rig::start("/api/me").await;
    rig.site.on("/api/agent", |head| {
        let own = field(head, "user-agent") == "victim";
        let body = if own { format!("[\"{MARK}\"]") } else { "[]".to_owned() };
        Say::with("application/json", "Vary: User-Agent\r\n", body)
    });
    let agent = |name: &str| format!("User-Agent: {name}\r\n{VICTIM}");
    assert!(rig.app.poll("/api/agent", &agent("victim")).await.text().contains(MARK));
    rig.get("/api/agent", &agent("other")).await;
    rig.stream(&agent("other"), &[json!({"url": "/api/agent", "every_ms": 50})]).await;
    // The watch's keys have changed: its pages come back for other topics.
    assert_eq!(rig.victim.until("gone").await.reason(), "anew");
    rig.victim = Events::of(&rig.app, VICTIM, &["/api/me"]).await;
    rig.still_serves().await;
}

/// A cookie that no rule names, of a visitor who has no session, where `Vary` says that it counts:
/// another visitor's cart.
#[tokio::test]
async fn a_visitors_cart() {
    let mut rig = Rig::with("/api/me", "[identity]\ncookies = [\"sid\"]\n").await;
    for path in ["/api/cart", "/shared/cart"] {
        rig.site.on(path, |head| {
            let own = field(head, "cookie") == "cart=victim";
            let body = if own { format!("[\"{MARK}\"]") } else { "[]".to_owned() };
            Say::with("application/json", "Vary: Cookie\r\n", body)
        });
        let victim = "Cookie: cart=victim\r\n";
        assert!(rig.app.poll(path, victim).await.text().contains(MARK));
        let mut own = Events::of(&rig.app, victim, &[path]).await;
        assert!(own.until("snapshot").await.text("body").contains(MARK));
        for other in ["Cookie: cart=other\r\n", ""] {
            rig.get(path, other).await;
            rig.stream(other, &[json!({"url": path, "every_ms": 50})]).await;
        }
    }
    // Whose session says who they are: one key, whatever else is in the jar.
    let jar = |n: u32| format!("Cookie: sid=friend; _ga={n}\r\n");
    let mut states = Vec::new();
    for fields in [1, 2].map(jar) {
        let head = rig.app.poll("/api/cart", &fields).await.head;
        states.extend(
            head.lines().find(|line| line.starts_with("pollcast-state")).map(str::to_owned),
        );
    }
    assert!(states.len() == 2 && states[0] == states[1], "{states:?}");
    // The watches' keys have changed: pages come back for other topics.
    rig.victim = Events::of(&rig.app, VICTIM, &["/api/me"]).await;
    rig.still_serves().await;
}

/// Credentials of the victim in what the operator sees.
#[tokio::test]
async fn no_secret_in_the_alarm() {
    let rig = Rig::start("/api/me").await;
    let differs = personal(&rig, "/shared/list");
    let topic = [json!({"url": "/shared/list", "every_ms": 50})];
    let secret = "Cookie: sid=victim; key=planted-s3cret\r\n";
    let mut victim = Events::open(&rig.app, secret, &topic).await;
    let mut attacker = Events::open(&rig.app, ATTACKER, &topic).await;
    victim.until("snapshot").await;
    attacker.until("snapshot").await;
    differs.store(true, std::sync::atomic::Ordering::Relaxed);
    rig.app.get("/shared/list", secret).await;
    rig.app.logged("no longer shared").await;
    let mut peer = crate::origin::Peer::connect(rig.app.admin).await;
    peer.send("GET /alarms HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    let alarms = peer.read_to_end().await.0;
    assert!(alarms.contains("\"reason\":\"differs\""), "{alarms}");
    assert!(!format!("{alarms}{}", rig.app.log()).contains("planted"));
    // Another site's page can't have it shared again: it can't send the field.
    let restore = |field: &str| {
        format!(
            "POST /restore HTTP/1.1\r\nHost: localhost\r\n{field}Content-Length: 6\r\n\r\nshared"
        )
    };
    let mut peer = crate::origin::Peer::connect(rig.app.admin).await;
    peer.send(restore("")).await;
    assert!(peer.read_head().await.starts_with("HTTP/1.1 403 "));
    let mut peer = crate::origin::Peer::connect(rig.app.admin).await;
    peer.send(restore("Pollcast-Admin: x\r\n")).await;
    assert!(peer.read_head().await.starts_with("HTTP/1.1 200 "));
    rig.app.until_metric("pollcast_demoted", 0.0).await;
}
