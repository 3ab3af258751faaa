//! The script as it is served.

use super::script::Script;
use super::trim::trim;
use crate::config::{Config, Glob, Mode, Watch};
use crate::http::Body;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

/// The whole script, gzipped. A page pays this once per version.
const BUDGET_BYTES: usize = 12 << 10;

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
    let script = Script::new(&config(), "0.1.0");
    assert!(script.gzip.len() <= BUDGET_BYTES, "{} bytes gzipped", script.gzip.len());
    assert!(script.br.unwrap().len() <= script.gzip.len());
}

#[test]
fn no_comment_reaches_a_browser() {
    let script = Script::new(&config(), "0.1.0");
    let text = std::str::from_utf8(&script.body).unwrap();
    let left = text.lines().find(|line| line.trim_start().starts_with("//"));
    assert_eq!(left, None, "the scanner misread a part, and served all of them as they are");
}

#[test]
fn the_configuration_is_embedded_safely() {
    let mut config = config();
    config.identity.cache_busters = vec!["</script>\u{2028}".to_owned()];
    let script = Script::new(&config, "0.1.0");
    let text = String::from_utf8(script.body.to_vec()).unwrap();
    let line = text.lines().next().unwrap();
    let json = line.strip_prefix("(()=>{'use strict';const CONFIG=").unwrap();
    assert!(!json.contains("</") && !json.contains('\u{2028}'), "{json}");
    let value: serde_json::Value = serde_json::from_str(json.strip_suffix(';').unwrap()).unwrap();
    assert_eq!(value["mode"], "push");
    assert_eq!(value["busters"][0], "</script>\u{2028}");
    assert_eq!(value["watches"][0]["push"], true);
    assert_eq!(value["watches"][1]["push"], false);
    assert_eq!(value["watches"][1]["percent"], 25);
    assert_eq!(value["renew_ms"], 42_000);
    assert_eq!(value["cookies"], serde_json::Value::Null);
    assert!(text.ends_with("})();\n"));
}

#[test]
fn a_lower_mode_pushes_nothing() {
    let mut config = config();
    config.mode = Mode::Off;
    let script = Script::new(&config, "0.1.0");
    assert!(std::str::from_utf8(&script.body).unwrap().contains("\"mode\":\"off\""));
    config.mode = Mode::Push;
    config.watches[0].mode = Mode::Observe;
    let one = Script::new(&config, "0.1.0");
    assert!(std::str::from_utf8(&one.body).unwrap().contains("\"push\":false"));
    let response = script.respond_mode();
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    assert_eq!(bytes(response), r#"{"mode":"off","v":"0.1.0"}"#);
}

#[test]
fn served_in_the_best_coding() {
    let script = Script::new(&config(), "0.1.0");
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
    assert_ne!(Script::new(&config(), "0.1.0").etag, Script::new(&changed, "0.1.0").etag);
    assert_ne!(Script::new(&config(), "0.1.0").etag, Script::new(&config(), "0.2.0").etag);
}

#[test]
fn trims_what_the_engine_ignores() {
    for (source, want) in [
        ("  a // x\n\n   b\n", "a\nb"),
        ("a /* x */ b", "a b"),
        ("a/* x\n */b", "a\nb"),
        ("x = '// no' + \"/* no */\"", "x='// no'+\"/* no */\""),
        ("x = '\\'// no' // yes", "x='\\'// no'"),
        (
            "t = `a\n   // kept ${ /* gone */ f(`  ${y}  `) } }\n`  ;",
            "t=`a\n   // kept ${f(`  ${y}  `)} }\n`;",
        ),
        ("r = /[/'\"]\\/*/g  ;  // gone", "r= /[/'\"]\\/*/g;"),
        ("q = a / b / c // gone\n", "q=a / b / c"),
        ("return /'/.test(x)  \n", "return /'/.test(x)"),
        ("f(x) / 2 // '\n", "f(x) / 2"),
        ("if (a) { b } // }\nc", "if(a){b}\nc"),
        ("a = b\n(c)\n[d]\n`e`", "a=b\n(c)\n[d]\n`e`"),
        ("f({\n  a,\n  b: 1,\n})\n  .then(c)\n", "f({a,b:1,}).then(c)"),
        ("i++ + +j - -k - --l", "i++ + +j- -k- --l"),
        ("i\n++j", "i\n++j"),
        ("a < !--b", "a< !--b"),
        ("return a in b ? typeof c : 1 .x", "return a in b?typeof c:1 .x"),
        ("return\nx", "return\nx"),
        ("a =\n  b ||\n  c", "a=b||c"),
        ("static #x = 1", "static #x=1"),
        ("${a}", "${a}"),
    ] {
        assert_eq!(trim(source), want, "{source}");
    }
}

#[test]
fn what_it_cannot_read_stays_as_it_is() {
    for source in ["  'open // \n x", "a /* open", "`open  ${x", "} // one too many", "{ // open"] {
        assert_eq!(trim(source), source);
    }
}
