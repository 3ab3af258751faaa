//! Field rules: input is field lines.

use super::{field_lines, flat, is_subsequence};
use http::HeaderMap;
use pollcast::http::fields as rules;

type Flat = Vec<(String, Vec<u8>)>;

/// Never crosses, whoever names it.
const HOP: [&str; 2] = ["proxy-connection", "keep-alive"];

/// Crosses, even if `Connection` names it.
const FOR_ALL: [&str; 12] = [
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "cache-control",
    "authorization",
    "cookie",
    "set-cookie",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
];

/// Rules that say what is left, so that a nomination has no part in them.
const RULED: [&str; 5] = ["connection", "te", "trailer", "transfer-encoding", "upgrade"];

/// Field rules keep order, invent nothing, are idempotent, and take away what concerns the hop.
pub fn fields(data: &[u8]) {
    let map = field_lines(data);
    let before = flat(&map);
    hop(&before, rules::strip_hop_by_hop(map.clone()), false);
    hop(&before, rules::strip_for_tunnel(map.clone()), true);
    own(&before, &rules::strip_pollcast(map.clone()));
    cookies(&before, rules::join_cookies(map.clone()));
    let unframed = rules::strip_framing(map.clone());
    assert_eq!(flat(&unframed), without(&before, |name| name == "transfer-encoding"));
    host(&before, &map);
    if rules::is_websocket(&map) {
        assert!(rules::is_websocket(&rules::strip_for_tunnel(map.clone())));
    }
    assert!(!rules::is_websocket(&rules::strip_hop_by_hop(map)));
}

fn without(all: &Flat, gone: impl Fn(&str) -> bool) -> Flat {
    all.iter().filter(|(name, _)| !gone(name)).cloned().collect()
}

/// The options of `Connection`, read in another way than the rules do.
fn nominated(all: &Flat) -> Vec<String> {
    let lines = all.iter().filter(|(name, _)| name == "connection");
    let options = lines.flat_map(|(_, value)| value.split(|byte| *byte == b','));
    options.map(|text| String::from_utf8_lossy(text.trim_ascii()).to_ascii_lowercase()).collect()
}

fn hop(before: &Flat, stripped: HeaderMap, tunnel: bool) {
    let after = flat(&stripped);
    let rest = without(&after, |name| RULED.contains(&name));
    assert!(is_subsequence(&rest, &without(before, |name| RULED.contains(&name))));
    let options = nominated(before);
    for (name, value) in &after {
        assert!(!HOP.contains(&name.as_str()), "{name} crosses");
        let named = options.contains(name) && !RULED.contains(&name.as_str());
        assert!(!named || FOR_ALL.contains(&name.as_str()), "{name} crosses, though nominated");
        let value = value.to_ascii_lowercase();
        match name.as_str() {
            "connection" if tunnel => assert_eq!(value, b"upgrade"),
            "connection" => assert_eq!(value, b"te"),
            "te" => assert_eq!(value, b"trailers"),
            "upgrade" => assert!(tunnel && value == b"websocket"),
            "transfer-encoding" => assert_eq!(value.trim_ascii(), b"chunked"),
            _ => {}
        }
    }
    for name in FOR_ALL {
        let of = |all: &Flat| without(all, |other| other != name);
        assert_eq!(of(before), of(&after), "{name} must cross");
    }
    assert!(after.iter().filter(|(name, _)| name == "connection").count() <= 1);
    let strip = if tunnel { rules::strip_for_tunnel } else { rules::strip_hop_by_hop };
    assert_eq!(flat(&strip(stripped)), after, "a second hop sees another message");
}

fn own(before: &Flat, stripped: &HeaderMap) {
    let after = flat(stripped);
    assert_eq!(after, without(before, |name| name.starts_with("pollcast-")));
}

fn cookies(before: &Flat, joined: HeaderMap) {
    let after = flat(&joined);
    let lines: Vec<&[u8]> = before
        .iter()
        .filter(|(name, _)| name == "cookie")
        .map(|(_, value)| value.as_slice())
        .collect();
    let line = after.iter().filter(|(name, _)| name == "cookie").map(|(_, value)| value);
    let all: Vec<_> = line.collect();
    assert!(all.len() <= 1);
    assert_eq!(all.first().map_or(b"".as_slice(), |value| value), lines.join(b"; ".as_slice()));
    let rest = |all: &Flat| without(all, |name| name == "cookie");
    assert_eq!(rest(before), rest(&after));
    assert_eq!(flat(&rules::join_cookies(joined)), after);
}

fn host(before: &Flat, map: &HeaderMap) {
    let host = http::HeaderValue::from_static("app.example:8080");
    let others = without(before, |name| name == "host");
    for replace in [false, true] {
        let after = flat(&rules::set_host(map.clone(), Some(&(host.clone(), replace))));
        assert_eq!(without(&after, |name| name == "host"), others);
        if map.contains_key("host") && !replace {
            assert_eq!(&after, before);
        } else if !map.contains_key("host") {
            assert_eq!(after[0], ("host".to_owned(), host.as_bytes().to_vec()));
        }
    }
    assert_eq!(flat(&rules::set_host(map.clone(), None)), *before);
}
