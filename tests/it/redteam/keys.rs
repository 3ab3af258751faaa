//! The key of the victim's topic is to be hit without the victim's credentials. Had one of these
//! hit it, the attacker would have read the victim's marker, from a snapshot or a stream.

use super::{ATTACKER, Rig, VICTIM, requests};
use serde_json::json;

requests! {
    /// No credentials at all.
    no_credentials: "/api/me", "";
    /// Another session.
    another_session: "/api/me", ATTACKER;
    /// A cache buster by its name makes the key the same; the identity doesn't.
    cache_buster_by_name: "/api/me?_=1234567890123", ATTACKER;
    /// A long number under a listed name that is a question to the origin.
    cache_buster_that_is_an_id: "/api/me?t=12345678", ATTACKER;
    /// A bare query.
    bare_query: "/api/me?", ATTACKER;
    /// A path in percent-encoding.
    encoded_path: "/api/%6de", ATTACKER;
    /// An encoded slash.
    encoded_slash: "/api%2Fme", ATTACKER;
    /// A slash too many at the end.
    trailing_slash: "/api/me/", ATTACKER;
    /// A slash too many inside.
    double_slash: "/api//me", ATTACKER;
    /// Another case.
    case_of_the_path: "/api/ME", ATTACKER;
    /// A parameter whose value holds the victim's target.
    target_in_a_parameter: "/api/me?x=/api/me", ATTACKER;
    /// A cookie whose name begins like the session's.
    cookie_prefix: "/api/me", "Cookie: __Host-sid=victim; sidx=victim; xsid=victim\r\n";
    /// The name in another case: another cookie to the origin.
    cookie_case: "/api/me", "Cookie: SID=victim\r\n";
    /// The session inside another cookie's value, in quotation marks.
    cookie_in_quotes: "/api/me", "Cookie: a=\"; sid=attacker; b=\"\r\n";
    /// A comma, which some servers take for a separator.
    cookie_with_a_comma: "/api/me", "Cookie: a=1, sid=attacker\r\n";
    /// Spaces around the equals sign.
    cookie_with_spaces: "/api/me", "Cookie: sid = attacker\r\n";
    /// No value.
    cookie_without_a_value: "/api/me", "Cookie: sid=\r\n";
    /// No pair.
    cookie_without_a_pair: "/api/me", "Cookie: victim\r\n";
    /// An empty field.
    empty_cookie: "/api/me", "Cookie: \r\n";
    /// Two fields.
    two_cookie_fields: "/api/me", "Cookie: sid=attacker\r\nCookie: b=1\r\n";
    /// A field that another proxy would have written.
    forwarded_user: "/api/me", "X-Forwarded-User: victim\r\nRemote-User: victim\r\n";
    /// An empty credential.
    empty_authorization: "/api/me", "Authorization: \r\n";
    /// Another scheme.
    other_scheme: "/api/me", "Authorization: Basic dmljdGltOg==\r\n";
    /// Two credentials.
    two_authorizations: "/api/me", "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n";
    /// A field's end moved into the next one's beginning.
    moved_boundary: "/api/me", "Accept: */*Cookie: sid=victim\r\nX-A: b\r\n";
    /// The state's own field, sent back.
    forged_state: "/api/me", "Pollcast-State: 00112233445566778899aabbccddeeff;seq=1;epoch=0\r\n";
    /// A field that claims what only Pollcast says.
    forged_identity: "/api/me", "Pollcast-Identity: victim\r\nPollcast-Lease: victim\r\n";
    /// An early cached error must not hide behind a validator, nor prove access.
    stolen_validator: "/api/me", "If-None-Match: *\r\nCookie: sid=attacker\r\n";
    /// A part of the state.
    a_range: "/api/me", "Range: bytes=0-10\r\nCookie: sid=attacker\r\n";
}

/// `Host` says another host: its links would have been pushed to the victim's pages.
#[tokio::test]
async fn host_of_the_attacker() {
    let rig = Rig::start("/api/me").await;
    for request in [
        format!("GET /api/me HTTP/1.1\r\nHost: evil\r\nPollcast-Client: a\r\n{VICTIM}\r\n"),
        format!("GET /api/me HTTP/1.1\r\nHost: app.\r\nPollcast-Client: a\r\n{VICTIM}\r\n"),
        format!(
            "GET http://evil/api/me HTTP/1.1\r\nHost: app\r\nPollcast-Client: a\r\n{VICTIM}\r\n"
        ),
        format!("GET /api/me HTTP/1.1\r\nHost: app\r\nX-Forwarded-Host: evil\r\n{VICTIM}\r\n"),
    ] {
        rig.app.ask(request).await;
    }
    rig.still_serves().await;
}

/// Two hosts in one request: whichever the origin believes, the victim must not be shown it.
#[tokio::test]
async fn two_hosts() {
    let rig = Rig::start("/api/me").await;
    let request = format!("GET /api/me HTTP/1.1\r\nHost: app\r\nHost: evil\r\n{VICTIM}\r\n");
    let answer = rig.app.ask(request).await;
    assert!(answer.head.starts_with("HTTP/1.1 400 "), "{}", answer.head);
    rig.still_serves().await;
}

/// HEAD and a write to the path would have made a topic's state out of nothing.
#[tokio::test]
async fn head_and_writes_make_no_state() {
    let rig = Rig::start("/api/me").await;
    for method in ["HEAD", "OPTIONS", "POST", "DELETE"] {
        let head = format!("{method} /api/me HTTP/1.1\r\nHost: app\r\nContent-Length: 0\r\n");
        let close = "Connection: close\r\n";
        let mut peer = crate::origin::Peer::connect(rig.app.addr).await;
        peer.send(format!("{head}{close}{ATTACKER}\r\n")).await;
        super::assert_clean(&peer.read_to_end().await.0);
    }
    rig.still_serves().await;
}

/// Two users in one pipeline: the second would have been answered with the first one's state.
#[tokio::test]
async fn two_users_on_one_connection() {
    let rig = Rig::start("/api/me").await;
    let get = |fields: &str, last: &str| {
        format!("GET /api/me HTTP/1.1\r\nHost: app\r\nPollcast-Client: a\r\n{last}{fields}\r\n")
    };
    let mut peer = crate::origin::Peer::connect(rig.app.addr).await;
    let close = "Connection: close\r\n";
    peer.send(format!("{}{}", get(VICTIM, ""), get(ATTACKER, close))).await;
    let text = peer.read_to_end().await.0;
    let second = text.rsplit("HTTP/1.1 200").next().unwrap();
    assert!(text.contains(super::MARK), "the victim is served");
    super::assert_clean(second);
    rig.still_serves().await;
}

/// A field that `Connection` names doesn't reach the origin, and yet was part of the key: what it
/// says without would have become the state of all who send it.
#[tokio::test]
async fn a_field_of_the_hop() {
    let rig = Rig::start("/api/me").await;
    rig.site.on("/api/tenant", |head| match super::field(head, "x-tenant") {
        "a" => crate::site::Say::json("[\"of a\"]"),
        _ => crate::site::Say::json("[\"evil\"]"),
    });
    let topic = json!({"url": "/api/tenant", "headers": [["X-Tenant", "a"]], "every_ms": 50});
    let fields = "Accept: */*\r\nX-Tenant: a\r\n";
    let mut nobody = crate::events::Events::open(&rig.app, "Accept: */*\r\n", &[topic]).await;
    nobody.until("snapshot").await;
    for connection in ["X-Tenant", "keep-alive, x-tenant", "keep-alive\r\nConnection: x-tenant"] {
        for mark in ["", "Pollcast-Client: a\r\n", "Pollcast-Client: a;renew\r\n"] {
            let attack = format!("{fields}{mark}Connection: {connection}\r\n");
            rig.app.get("/api/tenant", &attack).await;
            let honest = format!("{fields}Pollcast-Client: b\r\n");
            let answer = rig.app.get("/api/tenant", &honest).await;
            assert!(answer.text().contains("of a"), "{attack}");
        }
    }
    let text = super::told(&mut nobody).await;
    assert!(!text.contains("evil"), "{text}");
    rig.still_serves().await;
}
