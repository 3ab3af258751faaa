//! The script as it is served.

use super::script::{Script, Scripts, settings};
use crate::config::{Config, Glob, Mode, Watch};
use crate::http::Body;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

/// The script in the page, gzipped. Every page pays this once per version.
const BUDGET_BYTES: usize = 12 << 10;

/// What holds the stream, gzipped. Only pages that poll pay it, and a browser once for all of them.
const WORKER_BUDGET_BYTES: usize = 4 << 10;

fn config() -> Config {
    let mut config = Config::new(http::Uri::from_static("http://127.0.0.1:3000"));
    config.watches.push(Watch::new(Glob::new("/api/**").unwrap()));
    let mut second = Watch::new(Glob::new("/slow").unwrap());
    second.mode = Mode::Observe;
    second.percent = 25;
    config.watches.push(second);
    config
}

fn asking(fields: &[(header::HeaderName, &'static str)]) -> HeaderMap {
    fields.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
}

fn bytes(response: Response<Body>) -> bytes::Bytes {
    match response.into_body() {
        Body::Full(bytes) => bytes,
        Body::Empty => bytes::Bytes::new(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn within_the_byte_budget() {
    let scripts = Scripts::new(&config(), "0.1.0");
    for (script, budget) in [(scripts.shim, BUDGET_BYTES), (scripts.worker, WORKER_BUDGET_BYTES)] {
        println!("{} of {budget} bytes gzipped", script.gzip.len());
        assert!(script.gzip.len() <= budget, "{} bytes gzipped", script.gzip.len());
        assert!(script.br.unwrap().len() <= script.gzip.len());
    }
}

#[test]
fn what_is_served_is_small() {
    let scripts = Scripts::new(&config(), "0.1.0");
    for Script { body, .. } in [&scripts.shim, &scripts.worker] {
        let text = std::str::from_utf8(body).unwrap();
        assert!(!text.contains("// ") && !text.contains("/**"), "a comment, or a part as it is");
        assert!(text.lines().count() < 10, "{text}");
    }
}

#[test]
fn the_configuration_is_embedded_safely() {
    let mut config = config();
    config.identity.cache_busters = vec!["</script>\u{2028}".to_owned()];
    let script = Scripts::new(&config, "0.1.0").shim;
    let text = String::from_utf8(script.body.to_vec()).unwrap();
    let (_, json) = text.rsplit_once("})({").unwrap();
    let json = format!("{{{}", json.strip_suffix(");\n").unwrap());
    assert!(!json.contains("</") && !json.contains('\u{2028}'), "{json}");
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["mode"], "push");
    assert_eq!(value["busters"][0], "</script>\u{2028}");
    assert_eq!(value["watches"][0]["push"], true);
    assert_eq!(value["watches"][1]["push"], false);
    assert_eq!(value["watches"][1]["percent"], 25);
    assert_eq!(value["renew_ms"], 42_000);
    assert_eq!(value["cookies"], serde_json::Value::Null);
}

#[test]
fn a_lower_mode_pushes_nothing() {
    let mut config = config();
    config.mode = Mode::Off;
    let scripts = Scripts::new(&config, "0.1.0");
    assert!(std::str::from_utf8(&scripts.shim.body).unwrap().contains("\"mode\":\"off\""));
    config.mode = Mode::Push;
    config.watches[0].mode = Mode::Observe;
    let one = Scripts::new(&config, "0.1.0").shim;
    assert!(std::str::from_utf8(&one.body).unwrap().contains("\"push\":false"));
    let response = scripts.respond_mode();
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    assert_eq!(bytes(response), r#"{"mode":"off","v":"0.1.0"}"#);
}

#[test]
fn served_in_the_best_coding() {
    let script = Scripts::new(&config(), "0.1.0").shim;
    for (accepted, coding) in [
        ("gzip, deflate, br, zstd", Some("br")),
        ("br;q=0, GZIP;q=0.5", Some("gzip")),
        ("gzip;q=0", None),
        ("deflate", None),
        ("", None),
    ] {
        let response = script.respond(&asking(&[(header::ACCEPT_ENCODING, accepted)]));
        let fields = response.headers();
        let got = fields.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap());
        assert_eq!(got, coding, "{accepted}");
        assert_eq!(fields[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
        assert_eq!(fields[header::CACHE_CONTROL], "no-cache");
        assert_eq!(fields[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        let etag = fields[header::ETAG].to_str().unwrap().to_owned();
        let length = fields[header::CONTENT_LENGTH].clone();
        assert_eq!(length, bytes(response).len().to_string());

        let mut again = asking(&[(header::ACCEPT_ENCODING, accepted)]);
        again.insert(header::IF_NONE_MATCH, HeaderValue::try_from(format!("W/{etag}")).unwrap());
        let response = script.respond(&again);
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(response.headers()[header::ETAG], etag);
        assert!(bytes(response).is_empty());
    }
    let other = script.respond(&asking(&[(header::IF_NONE_MATCH, "\"abc\"")]));
    assert_eq!(other.status(), StatusCode::OK);
}

#[test]
fn a_new_configuration_is_a_new_script() {
    let mut changed = config();
    changed.watches[0].percent = 5;
    let etag = |config: &Config, version: &str| Scripts::new(config, version).shim.etag;
    assert_ne!(etag(&config(), "0.1.0"), etag(&changed, "0.1.0"));
    assert_ne!(etag(&config(), "0.1.0"), etag(&config(), "0.2.0"));
}

/// What a page and the worker tell each other, by name.
const MESSAGES: &[&str] = &[
    "ask",
    "at",
    "body",
    "client",
    "credentials",
    "epoch",
    "every",
    "foreign",
    "fresh",
    "hash",
    "headers",
    "id",
    "most",
    "n",
    "retry",
    "seq",
    "serve",
    "silence_ms",
    "state",
    "status",
    "topics",
    "url",
];

#[test]
fn no_name_of_the_configuration_the_wire_or_the_messages_is_shortened() {
    let settings = settings(&config(), "0", "").to_string();
    let config: Vec<_> = settings.split('"').collect();
    let wire = include_str!("../../docs/PROTOCOL.md");
    let wire: Vec<_> = wire.split('"').chain(wire.split('`')).collect();
    for name in include_str!("private-names.txt").lines() {
        assert!(!config.contains(&name), "{name} is a key of CONFIG");
        assert!(!wire.contains(&name), "{name} is a member of the wire");
        assert!(!MESSAGES.contains(&name), "{name} is told between page and worker");
    }
}

#[test]
fn listed_names_are_in_order_and_in_use() {
    let names: Vec<_> = include_str!("private-names.txt").lines().collect();
    assert!(names.is_sorted_by(|one, other| one < other));
    let shim = String::from_utf8(Scripts::new(&config(), "0").shim.body.to_vec()).unwrap();
    let mut source = String::new();
    for entry in std::fs::read_dir("src/shim/parts").unwrap() {
        source += &std::fs::read_to_string(entry.unwrap().path()).unwrap();
    }
    for name in names {
        assert!(source.contains(name), "{name} isn't there any more");
        let long = regex::Regex::new(&format!(r"\.{name}\b")).unwrap();
        assert!(!long.is_match(&shim), "{name} is still as long as it was");
    }
}
