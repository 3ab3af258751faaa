//! Attacks, each named after what it tries. What would have leaked is the victim's marker, or to
//! the victim something of the attacker's. Every attack runs while the victim is served by push, so
//! that there is something to steal, and the victim must go on being served.

mod keys;
mod misdeclared;
mod revoked;
mod sharing;
mod streams;

use crate::app::{App, FAST};
use crate::events::Events;
use crate::site::{Say, Site};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What only the victim may see.
pub const MARK: &str = "of-the-victim";
/// What everybody who is logged in may see.
pub const BOARD: &str = "on-the-board";
/// The victim's session.
pub const VICTIM: &str = "Cookie: sid=victim\r\n";
/// The attacker's.
pub const ATTACKER: &str = "Cookie: sid=attacker\r\n";

/// An origin with users, Pollcast, and the victim's open stream.
pub struct Rig {
    pub site: Site,
    pub app: App,
    pub victim: Events,
    version: Arc<AtomicUsize>,
}

/// The value of a field in a head, as the origin reads it.
pub fn field<'a>(head: &'a str, name: &str) -> &'a str {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let mut found = lines.filter(|(known, _)| known.eq_ignore_ascii_case(name));
    found.next().map_or("", |(_, value)| value.trim())
}

/// Who sent it, as most servers find out.
pub fn who(head: &str) -> String {
    let mut cookies = field(head, "cookie").split(';').map(str::trim);
    let sid = cookies.find_map(|pair| pair.strip_prefix("sid="));
    let token = field(head, "authorization").strip_prefix("Bearer ");
    sid.or(token).unwrap_or_default().to_owned()
}

const WATCHES: &str = "[[watch]]\nname = \"own\"\npath = \"/api/**\"\n\
    [[watch]]\nname = \"shared\"\npath = \"/shared/**\"\naudience = \"shared\"\n\
    [[watch]]\nname = \"public\"\npath = \"/public/**\"\naudience = \"public\"\n\
    [stream]\nbeat = \"100ms\"\n";

impl Rig {
    /// The victim subscribes to this target.
    pub async fn start(target: &str) -> Self {
        Self::with(target, "[identity]\ncookies = [\"*\"]\n").await
    }

    /// With these tables in the configuration.
    pub async fn with(target: &str, tables: &str) -> Self {
        let site = Site::start().await;
        let version = Arc::new(AtomicUsize::new(1));
        let (of_own, of_board) = (Arc::clone(&version), Arc::clone(&version));
        let own = move |head: &str| {
            let (who, version) = (who(head), of_own.load(Ordering::Relaxed));
            let secret = if who == "victim" { MARK } else { "none" };
            let host = field(head, "host");
            Say::json(json!({"for": who, "is": secret, "v": version, "host": host}).to_string())
        };
        // As servers do that are generous with paths.
        for path in ["/api/me", "/api/me/", "/api//me", "/api/ME", "/api/%6de", "/api%2Fme"] {
            site.on(path, own.clone());
        }
        site.on("/shared/board", move |head| match who(head).as_str() {
            "victim" | "friend" => {
                let version = of_board.load(Ordering::Relaxed);
                Say::json(json!({"board": BOARD, "v": version}).to_string())
            }
            "attacker" => Say::status("403 Forbidden", "Content-Type: application/json\r\n", "{}"),
            _ => Say::status("401 Unauthorized", "Content-Type: application/json\r\n", "{}"),
        });
        site.say("/public/news", Say::json("[\"news\"]"));
        let app = App::with(site.addr, "push", &format!("{tables}{WATCHES}{FAST}")).await;
        let mut victim = Events::of(&app, VICTIM, &[target]).await;
        let event = victim.until("snapshot").await;
        let body = event.text("body");
        assert!(body.contains(MARK) || body.contains(BOARD) || body.contains("news"), "{body}");
        Self { site, app, victim, version }
    }

    /// What the origin says changes, and the victim is told.
    pub async fn still_serves(mut self) {
        self.version.fetch_add(1, Ordering::Relaxed);
        let version = self.version.load(Ordering::Relaxed);
        loop {
            let event = self.victim.next().await;
            let text = event.data.to_string();
            assert!(!text.contains("evil") && event.name != "bye", "{event:?}");
            if text.contains(&format!("\\\"v\\\":{version}")) || event.name == "delta" {
                return;
            }
        }
    }

    /// A request that isn't the victim's, in every way a client can make it.
    pub async fn get(&self, target: &str, fields: &str) {
        for mark in ["", "Pollcast-Client: a\r\n", "Pollcast-Client: a;renew\r\n"] {
            let answer = self.app.get(target, &format!("{mark}{fields}")).await;
            let text = format!("{}{}", answer.head, String::from_utf8_lossy(&answer.body));
            assert_clean(&text);
        }
    }

    /// A stream that isn't the victim's, until it has beaten a few times or has ended.
    pub async fn stream(&self, fields: &str, topics: &[Value]) {
        let mut stream = Events::open(&self.app, fields, topics).await;
        assert_clean(&told(&mut stream).await);
    }
}

/// All that a stream says until it has beaten a few times or has ended.
pub async fn told(stream: &mut Events) -> String {
    let (mut text, mut beats) = (String::new(), 0);
    while beats < 4 {
        let event = stream.next().await;
        let _ = writeln!(text, "{} {}", event.name, event.data);
        match event.name.as_str() {
            "beat" => beats += 1,
            "bye" => break,
            _ => {}
        }
    }
    text
}

/// Nothing of the victim's, nor of those who are logged in.
pub fn assert_clean(text: &str) {
    assert!(!text.contains(MARK) && !text.contains(BOARD), "leaked: {text}");
}

/// Whom the victim's own topic is attacked as, by a request.
pub async fn attack(target: &str, fields: &str) {
    let rig = Rig::start("/api/me").await;
    rig.get(target, fields).await;
    if target.starts_with("/api/") {
        rig.stream(fields, &[json!({"url": target, "every_ms": 50})]).await;
    }
    rig.still_serves().await;
}

/// Attacks that are one request: a name, a target, and fields.
macro_rules! requests {
    ($($(#[$what:meta])* $name:ident: $target:expr, $fields:expr;)+) => {
        $($(#[$what])*
        #[tokio::test]
        async fn $name() {
            crate::redteam::attack($target, $fields).await;
        })+
    };
}
pub(crate) use requests;
