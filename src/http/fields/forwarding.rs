//! What the origin is told of the way a request came: `X-Forwarded-*`, `Forwarded`, `Via`.
//!
//! The rule: the word of a peer that isn't trusted never reaches the origin. Otherwise anybody
//! could be any address to it, or come over TLS that never was.

use super::each;
use crate::config::{Forwarding, ForwardingField};
use crate::http::Client;
use http::header::{FORWARDED, HOST, VIA};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use std::net::IpAddr;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const ORIGINAL_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// All of them, in the order in which they are written.
static ALL: [(HeaderName, ForwardingField); 4] = [
    (FOR, ForwardingField::For),
    (PROTO, ForwardingField::Proto),
    (ORIGINAL_HOST, ForwardingField::Host),
    (FORWARDED, ForwardingField::Forwarded),
];

/// Says who asked, and how. Every field is one line, at the place of the first that came, or at the
/// end. `host` is the client's own.
#[must_use]
pub fn tell(
    fields: HeaderMap,
    client: Client,
    host: Option<&HeaderValue>,
    rules: &Forwarding,
) -> HeaderMap {
    let trusted = trusts(rules, client.peer.ip());
    let came = fields.keys().any(|name| ALL.iter().any(|(known, _)| known == name));
    let mut fields = if came { settle(fields, client, host, (rules, trusted)) } else { fields };
    for (name, field) in &ALL {
        if rules.fields.contains(field)
            && !fields.contains_key(name)
            && let Some(value) = ours(*field, client, host)
        {
            fields.append(name.clone(), value);
        }
    }
    fields
}

/// True for a field that a proxy writes of the way.
#[must_use]
pub fn is_forwarding(name: &HeaderName) -> bool {
    ALL.iter().any(|(known, _)| known == name)
}

/// True if this peer's own word of the way counts.
#[must_use]
pub fn trusts(rules: &Forwarding, peer: IpAddr) -> bool {
    let peer = peer.to_canonical();
    rules.trusted.iter().any(|network| network.contains(&peer))
}

/// What came, as it may go on.
fn settle(
    fields: HeaderMap,
    client: Client,
    host: Option<&HeaderValue>,
    (rules, trusted): (&Forwarding, bool),
) -> HeaderMap {
    let mut settled: Vec<(&HeaderName, Option<HeaderValue>)> = Vec::with_capacity(ALL.len());
    for (name, field) in &ALL {
        if !fields.contains_key(name) {
            continue;
        }
        let written = rules.fields.contains(field);
        let own = if written { ours(*field, client, host) } else { None };
        let value = match (trusted, field) {
            (false, _) => own,
            (true, ForwardingField::Proto | ForwardingField::Host) => fields.get(name).cloned(),
            (true, _) => joined(&fields, name, own.as_ref()),
        };
        settled.push((name, value));
    }
    let mut out = HeaderMap::with_capacity(fields.len() + ALL.len());
    each(fields, |name, value| match settled.iter_mut().find(|(known, _)| *known == name) {
        Some((_, settled)) => {
            // At the place of the first line; the further ones find it taken.
            if let Some(value) = settled.take() {
                out.append(name.clone(), value);
            }
        }
        None => {
            out.append(name.clone(), value);
        }
    });
    out
}

/// All values of a list field and one more, as one line: many a server reads only the first.
fn joined(
    fields: &HeaderMap,
    name: &HeaderName,
    last: Option<&HeaderValue>,
) -> Option<HeaderValue> {
    let came = fields.get_all(name).iter().chain(last).map(HeaderValue::as_bytes);
    HeaderValue::from_bytes(&came.collect::<Vec<_>>().join(&b", "[..])).ok()
}

/// What we say ourselves.
fn ours(field: ForwardingField, client: Client, host: Option<&HeaderValue>) -> Option<HeaderValue> {
    let peer = client.peer.ip().to_canonical();
    let proto = if client.tls { "https" } else { "http" };
    match field {
        ForwardingField::For => HeaderValue::from_str(&peer.to_string()).ok(),
        ForwardingField::Proto => Some(HeaderValue::from_static(proto)),
        ForwardingField::Host => host.cloned(),
        ForwardingField::Forwarded => {
            let mut text = match peer {
                IpAddr::V4(ip) => format!("for={ip}"),
                // RFC 7239 §6: "an IPv6 address is always enclosed in square brackets", and a
                // colon needs quotes.
                IpAddr::V6(ip) => format!("for=\"[{ip}]\""),
            };
            text.push_str(";proto=");
            text.push_str(proto);
            if let Some(host) = host.and_then(|host| host.to_str().ok()) {
                let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
                if host.bytes().all(token) {
                    text.extend([";host=", host]);
                } else if !host.contains(['"', '\\']) {
                    text.extend([";host=\"", host, "\""]);
                }
            }
            HeaderValue::from_str(&text).ok()
        }
    }
}

/// True if the request has been here before: `Via` names us.
#[must_use]
pub fn came_round(fields: &HeaderMap, name: &str) -> bool {
    let mut lines = fields.get_all(VIA).iter().filter_map(|value| value.to_str().ok());
    lines.any(|line| {
        let mut entries = line.split(',').map(str::trim);
        // RFC 9110 §7.6.3: `received-protocol RWS received-by [ RWS comment ]`.
        entries.any(|entry| entry.split_ascii_whitespace().nth(1) == Some(name))
    })
}

/// The entry of `Via` for a request that came in this version.
///
/// RFC 9110 §7.6.3: "A proxy MUST send an appropriate Via header field, as described below, in each
/// message that it forwards."
#[must_use]
pub fn via(version: Version, name: &str) -> Option<HeaderValue> {
    let version = match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    };
    HeaderValue::from_str(&format!("{version} {name}")).ok()
}

/// The host that the client asked for.
#[must_use]
pub fn asked_host(fields: &HeaderMap) -> Option<HeaderValue> {
    fields.get(HOST).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Client = Client {
        peer: std::net::SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 9)), 1),
        tls: true,
    };

    fn told(lines: &[(&'static str, &'static str)], rules: &Forwarding) -> Vec<String> {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let host = asked_host(&map);
        let map = tell(map, HERE, host.as_ref(), rules);
        map.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
    }

    #[test]
    fn a_stranger_is_told_of_and_not_believed() {
        let came = [
            ("host", "app"),
            ("x-forwarded-for", "1.1.1.1"),
            ("a", "b"),
            ("x-forwarded-for", "2.2.2.2"),
            ("forwarded", "for=3.3.3.3"),
        ];
        let want = [
            "host: app",
            "x-forwarded-for: 10.0.0.9",
            "a: b",
            "x-forwarded-proto: https",
            "x-forwarded-host: app",
        ];
        assert_eq!(told(&came, &Forwarding::default()), want);
    }

    #[test]
    fn a_trusted_proxy_is_believed_and_added_to() {
        let rules = Forwarding {
            trusted: vec!["10.0.0.0/8".parse().unwrap()],
            fields: ALL.iter().map(|(_, field)| *field).collect(),
            via: true,
        };
        let came = [
            ("x-forwarded-proto", "http"),
            ("x-forwarded-for", "1.1.1.1"),
            ("x-forwarded-for", "2.2.2.2"),
            ("host", "app:81"),
            ("forwarded", "for=3.3.3.3"),
        ];
        let want = [
            "x-forwarded-proto: http",
            "x-forwarded-for: 1.1.1.1, 2.2.2.2, 10.0.0.9",
            "host: app:81",
            "forwarded: for=3.3.3.3, for=10.0.0.9;proto=https;host=\"app:81\"",
            "x-forwarded-host: app:81",
        ];
        assert_eq!(told(&came, &rules), want);
    }

    #[test]
    fn nothing_is_said_where_nothing_is_to_be_said() {
        let rules = Forwarding { fields: Vec::new(), ..Forwarding::default() };
        assert_eq!(told(&[("x-forwarded-for", "1.1.1.1"), ("a", "b")], &rules), ["a: b"]);
    }

    #[test]
    fn a_circle_is_noticed_by_the_name_alone() {
        let lines = |text: &'static str| {
            let mut map = HeaderMap::new();
            map.append(VIA, HeaderValue::from_static(text));
            map
        };
        assert!(came_round(&lines("1.1 nginx, 2 pollcast-1 (x)"), "pollcast-1"));
        assert!(!came_round(&lines("1.1 pollcast-12, 1.1 x (pollcast-1)"), "pollcast-1"));
        assert_eq!(via(Version::HTTP_10, "pollcast-1").unwrap(), "1.0 pollcast-1");
    }
}
