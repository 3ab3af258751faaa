//! Topic keys: input is a target, a line end, field lines.

use super::{field_lines, split_once};
use http::{HeaderMap, HeaderValue, Method, header};
use pollcast::config::Config;
use pollcast::stream::is_target;
use pollcast::watch::{Keyer, Target};
use pollcast::{route, upstream};

const NOW: u64 = 1_790_000_000_000;

/// A cache buster is no part of a topic, whatever time it says; everything else is. Who sends other
/// credentials is somebody else. A target that may be polled is asked for as it stands.
pub fn keys(data: &[u8]) {
    let (target, lines) = split_once(data, b"\n");
    let map = field_lines(lines);
    let text = String::from_utf8_lossy(target).into_owned();
    busters(&text);
    identity(&map);
    if is_target(&text) {
        let uri: http::Uri = text.parse().unwrap();
        let _ = upstream::is_askable(&text);
        let mut config = Config::new(http::Uri::from_static("http://origin"));
        config
            .watches
            .push(pollcast::config::Watch::new(pollcast::config::Glob::new("/api/**").unwrap()));
        let decided = route::decide(&config, &Method::GET, &uri, &map);
        assert_eq!(decided, route::decide(&config, &Method::GET, &uri, &map));
    }
}

fn busters(text: &str) {
    let names = ["_".to_owned(), "t".to_owned()];
    let target = Target::new(text, &names, NOW);
    let later = NOW + 3_600_000;
    let fresh = target.fresh(&names, NOW, later);
    assert_eq!(Target::new(&fresh, &names, later).canonical(), target.canonical(), "{fresh}");
    let again = Target::new(target.canonical(), &names, NOW);
    assert!(target.canonical().len() <= text.len() && again.canonical() == target.canonical());
    assert_eq!(target.path(), text.split('?').next().unwrap_or_default());
    if target.canonical() == text {
        assert_eq!(fresh, text);
    }
}

fn identity(map: &HeaderMap) {
    let keyer = Keyer::new([7; 32], Config::new(http::Uri::from_static("http://o")).identity);
    let before = keyer.identify(map);
    assert_eq!(before, keyer.identify(&map.clone()));
    let mut other = map.clone();
    other.append(header::COOKIE, HeaderValue::from_static("one-more-cookie=1"));
    assert_ne!(before, keyer.identify(&other), "a cookie more is somebody else");
    let mut other = map.clone();
    other.append(header::AUTHORIZATION, HeaderValue::from_static("Bearer another"));
    assert_ne!(before, keyer.identify(&other), "another token is somebody else");
    let mut unmarked = map.clone();
    unmarked.append("pollcast-client", HeaderValue::from_static("x"));
    assert_eq!(before, keyer.identify(&unmarked));
}
