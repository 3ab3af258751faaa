//! Rules between keys. Each speaks only where the keys that it compares are sound, lest one slip be
//! reported twice.

use super::fault::Place;
use super::file::Draft;
use super::{Config, Interval};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Checks what no single key can know.
pub(super) fn check(draft: &mut Draft<'_>) {
    if !draft.places.contains_key("origin") {
        let text = "is missing: say where the origin is, as in origin = \"http://127.0.0.1:3000\" \
                    (or --origin)";
        draft.fault(Place::Nowhere, "origin", text);
    }
    for (keys, text) in rules(&draft.config) {
        let sound = |key: &&str| !draft.faults.iter().any(|fault| fault.key == **key);
        if keys.iter().all(sound) {
            let given = keys.iter().find(|key| draft.places.contains_key(**key));
            let key = given.copied().unwrap_or(keys[0]);
            let place = draft.places.get(key).cloned().unwrap_or(Place::Nowhere);
            draft.fault(place, key, text);
        }
    }
    check_intervals(draft);
}

/// The rules that are broken: the keys concerned, and what to say.
fn rules(config: &Config) -> Vec<([&'static str; 2], String)> {
    let mut broken = Vec::new();
    let mut rule = |holds: bool, keys: [&'static str; 2], text: String| {
        if !holds {
            broken.push((keys, text));
        }
    };
    let (listen, origin) = (config.listen, &config.origin);
    rule(
        config.origin_socket.is_some() || !calls_itself(listen, origin),
        ["origin", "listen"],
        format!("{origin} is where Pollcast itself listens: name the server behind it"),
    );
    rule(
        config.admin.listen.is_none_or(|admin| !clash(listen, admin)),
        ["admin.listen", "listen"],
        format!("takes port {}, where clients connect: choose another port", listen.port()),
    );
    rule(
        config.limits.snapshots >= config.limits.body,
        ["limits.snapshots", "limits.body"],
        "limits.snapshots is less than limits.body: no body would fit".to_owned()
            + "; raise the first or lower the second",
    );
    rule(
        config.poll.min_interval <= config.poll.default_interval,
        ["poll.default_interval", "poll.min_interval"],
        "poll.default_interval must not be shorter than poll.min_interval: raise the one or lower \
         the other"
            .to_owned(),
    );
    rule(
        config.tls.certificate.is_some() == config.tls.key.is_some(),
        ["tls.certificate", "tls.key"],
        "tls.certificate and tls.key go together: name both files, or neither".to_owned(),
    );
    rule(
        config.origin_ca.is_none() || origin.scheme_str() == Some("https"),
        ["origin_ca", "origin"],
        "only an https:// origin has a certificate to check: take origin_ca out".to_owned(),
    );
    let identity = &config.identity;
    rule(
        !(identity.headers.is_empty() && identity.cookies.is_empty()),
        ["identity.headers", "identity.cookies"],
        "with neither headers nor cookies all users would be one: name what tells them apart"
            .to_owned(),
    );
    let credential = identity.irrelevant.iter().find(|field| {
        let fields = identity.headers.iter().map(http::HeaderName::as_str);
        fields.chain(["cookie", "authorization"]).any(|name| covers(field, name))
    });
    if let Some(field) = credential {
        rule(
            false,
            ["identity.irrelevant", "identity.headers"],
            format!("\"{field}\" covers a field that tells users apart: take it out"),
        );
    }
    broken
}

fn check_intervals(draft: &mut Draft<'_>) {
    if draft.faults.iter().any(|fault| fault.key == "poll.min_interval") {
        return;
    }
    let least = draft.config.poll.min_interval;
    let mut short = Vec::new();
    for (n, watch) in draft.config.watches.iter().enumerate() {
        match watch.interval {
            Interval::Every(every) if every < least => short.push((n, every)),
            _ => {}
        }
    }
    for (n, every) in short {
        let (every, least) = (humantime::format_duration(every), humantime::format_duration(least));
        let text = format!("{every} is shorter than poll.min_interval, {least}: raise it");
        draft.fault(draft.watch_place(n, "interval"), "watch.interval", text);
    }
}

fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(stem) => name.starts_with(stem),
        None => pattern == name,
    }
}

fn calls_itself(listen: SocketAddr, origin: &http::Uri) -> bool {
    let Some(host) = origin.host() else { return false };
    let ip = match host.trim_matches(['[', ']']) {
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        host => match host.parse() {
            Ok(ip) => ip,
            Err(_) => return false,
        },
    };
    let default = if origin.scheme_str() == Some("https") { 443 } else { 80 };
    let reaches = ip == listen.ip() || (listen.ip().is_unspecified() && ip.is_loopback());
    reaches && origin.port_u16().unwrap_or(default) == listen.port()
}

/// Port 0 is a different port each time.
fn clash(a: SocketAddr, b: SocketAddr) -> bool {
    let same_ip = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    same_ip && a.port() == b.port() && a.port() != 0
}
