use super::*;

fn fields(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    map
}

fn lines(map: &HeaderMap) -> Vec<(&str, &str)> {
    map.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect()
}

#[test]
fn hop_by_hop_fields_go_and_the_rest_keeps_its_order() {
    let map = fields(&[
        ("host", "a"),
        ("connection", "keep-alive, x-hop"),
        ("x-first", "1"),
        ("keep-alive", "timeout=5"),
        ("x-hop", "secret"),
        ("upgrade", "h2c"),
        ("x-twice", "a"),
        ("x-twice", "b"),
        ("proxy-connection", "keep-alive"),
        ("x-last", "2"),
    ]);
    let want =
        [("host", "a"), ("x-first", "1"), ("x-twice", "a"), ("x-twice", "b"), ("x-last", "2")];
    assert_eq!(lines(&strip_hop_by_hop(map)), want);
}

#[test]
fn connection_cannot_name_what_is_meant_for_all() {
    let map = fields(&[
        ("connection", "Host, X-Forwarded-For, Authorization, Cookie, x-own"),
        ("host", "a"),
        ("x-forwarded-for", "1.2.3.4"),
        ("authorization", "Bearer x"),
        ("cookie", "s=1"),
        ("x-own", "1"),
    ]);
    let want = [
        ("host", "a"),
        ("x-forwarded-for", "1.2.3.4"),
        ("authorization", "Bearer x"),
        ("cookie", "s=1"),
    ];
    assert_eq!(lines(&strip_hop_by_hop(map)), want);
}

#[test]
fn trailers_are_still_welcome_behind_us() {
    let map = fields(&[("te", "deflate;q=0.5, trailers"), ("connection", "TE, close"), ("a", "1")]);
    let want = [("te", "trailers"), ("connection", "TE"), ("a", "1")];
    assert_eq!(lines(&strip_hop_by_hop(map)), want);
    let map = fields(&[("te", "gzip"), ("connection", "TE")]);
    assert!(strip_hop_by_hop(map).is_empty());
}

#[test]
fn chunked_stays_in_place_and_other_codings_are_told() {
    let map = fields(&[("transfer-encoding", "Chunked"), ("a", "1")]);
    assert!(!has_foreign_coding(&map));
    assert_eq!(lines(&strip_hop_by_hop(map)), [("transfer-encoding", "Chunked"), ("a", "1")]);
    assert!(has_foreign_coding(&fields(&[("transfer-encoding", "gzip, chunked")])));
}

#[test]
fn a_handshake_keeps_its_upgrade_and_nothing_else() {
    let handshake = fields(&[
        ("upgrade", "WebSocket"),
        ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-key", "x"),
        ("keep-alive", "1"),
    ]);
    assert!(is_websocket(&handshake));
    let want = [("upgrade", "WebSocket"), ("connection", "Upgrade"), ("sec-websocket-key", "x")];
    assert_eq!(lines(&strip_for_tunnel(handshake)), want);
    assert!(!is_websocket(&fields(&[("upgrade", "websocket")])));
    assert!(!is_websocket(&fields(&[("upgrade", "h2c"), ("connection", "upgrade")])));
}

#[test]
fn own_fields_are_stripped_whatever_their_name() {
    let map = fields(&[("pollcast-client", "x"), ("a", "1"), ("pollcast-anything", "y")]);
    assert_eq!(lines(&strip_hop_by_hop(map.clone())), [("a", "1")]);
    assert_eq!(lines(&strip_pollcast(map)), [("a", "1")]);
}

#[test]
fn split_cookies_become_one_line_in_place() {
    let map = fields(&[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")]);
    assert_eq!(lines(&join_cookies(map)), [("cookie", "a=1; b=2"), ("x", "y")]);
}
