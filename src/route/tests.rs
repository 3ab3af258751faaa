use super::*;
use crate::config::{Glob, Watch};
use http::HeaderValue;

fn config() -> Config {
    let mut config = Config::new(Uri::from_static("http://127.0.0.1:1"));
    config.watches.push(Watch::new(Glob::new("/api/**").unwrap()));
    config
}

fn decide_with(method: &str, target: &str, fields: &[(&'static str, &'static str)]) -> Decision {
    let headers =
        fields.iter().map(|(n, v)| ((*n).parse().unwrap(), HeaderValue::from_static(v))).collect();
    decide(&config(), &method.parse().unwrap(), &target.parse().unwrap(), &headers)
}

#[test]
fn own_endpoints_are_told_apart() {
    for (target, want) in [
        ("/__pollcast/shim.js", Own::Script),
        ("/__pollcast/worker.js", Own::Worker),
        ("/__pollcast/leave/a-1", Own::Leave(18)),
        ("/__pollcast/leave", Own::Unknown),
        ("/__pollcast/mode", Own::Mode),
        ("/__pollcast/stream", Own::Stream),
        ("/__pollcast/sse/api/x?y=1", Own::Plain(15)),
        ("/__pollcast/", Own::Unknown),
        ("/__pollcast", Own::Unknown),
        ("/__pollcast/sse", Own::Unknown),
    ] {
        assert_eq!(decide_with("GET", target, &[]), Decision::Own(want), "{target}");
    }
    assert_eq!(decide_with("GET", "/__pollcastle", &[]), Decision::Pass);
}

#[test]
fn only_plain_gets_are_watched() {
    let watched = |mark| Decision::Watched { watch: 0, mode: Mode::Push, mark };
    assert_eq!(decide_with("GET", "/api/x", &[]), watched(Mark::None));
    assert_eq!(decide_with("GET", "/other", &[]), Decision::Pass);
    assert_eq!(decide_with("HEAD", "/api/x", &[]), Decision::Pass);
    assert_eq!(decide_with("POST", "/api/x", &[]), Decision::Write);
    assert_eq!(decide_with("POST", "/other", &[]), Decision::Write);
    for option in ["close", "Keep-Alive", "keep-alive, TE", ""] {
        assert_eq!(decide_with("GET", "/api/x", &[("connection", option)]), watched(Mark::None));
    }
    for field in [
        ("range", "bytes=0-1"),
        ("upgrade", "websocket"),
        ("content-length", "3"),
        ("connection", "close, accept"),
        ("x-http-method-override", "DELETE"),
        ("x-original-url", "/admin"),
        ("x_rewrite_url", "/admin"),
    ] {
        assert_eq!(decide_with("GET", "/api/x", &[field]), Decision::Pass, "{field:?}");
    }
}

#[test]
fn a_write_that_is_said_to_change_nothing_is_none() {
    let mut config = config();
    config.unrelated_writes.push(Glob::new("/ingest/**").unwrap());
    let post = |target: &str, fields: &HeaderMap| {
        decide(&config, &Method::POST, &target.parse().unwrap(), fields)
    };
    assert_eq!(post("/ingest/e?v=1", &HeaderMap::new()), Decision::Pass);
    for other in ["/api/x", "/ingestion", "/ingest/../api/x", "/ingest//x", "/ingest/%2e%2e/a"] {
        assert_eq!(post(other, &HeaderMap::new()), Decision::Write, "{other}");
    }
    let field = [("x-original-url".parse().unwrap(), HeaderValue::from_static("/api/x"))];
    assert_eq!(post("/ingest/e", &field.into_iter().collect()), Decision::Write);
}

#[test]
fn a_path_that_could_be_read_as_another_is_not_watched() {
    for path in ["/api/..%2fadmin", "/api/..;/admin", "/api//x", "/api/%2e%2e/admin", "/api/a%2fb"]
    {
        assert_eq!(decide_with("GET", path, &[]), Decision::Pass, "{path}");
        assert_eq!(decide_with("POST", path, &[]), Decision::Write, "{path}");
        assert_eq!(pushed(&config(), path), None, "{path}");
    }
    assert_eq!(pushed(&config(), "/api/a%20b"), Some(0));
}

#[test]
fn marks_are_read_strictly() {
    for (value, want) in [
        ("abc", Mark::Polled),
        ("abc;renew", Mark::Renewal),
        ("abc; renew", Mark::Renewal),
        ("abc;other", Mark::None),
        ("", Mark::None),
        ("a b", Mark::None),
        (";renew", Mark::None),
    ] {
        let got = decide_with("GET", "/api/x", &[(CLIENT_FIELD, value)]);
        assert_eq!(got, Decision::Watched { watch: 0, mode: Mode::Push, mark: want }, "{value}");
    }
}

#[test]
fn off_watches_nothing() {
    let mut config = config();
    config.mode = Mode::Off;
    let decision =
        decide(&config, &Method::GET, &Uri::from_static("/api/x"), &HeaderMap::default());
    assert_eq!(decision, Decision::Pass);
    assert_eq!(pushed(&config, "/api/x"), None);
}
