use super::*;
use crate::config::Config;
use http::{HeaderName, HeaderValue};

fn map(fields: &[(&str, &str)]) -> HeaderMap {
    let parse = |(n, v): &(&str, &str)| {
        (n.parse::<HeaderName>().unwrap(), HeaderValue::from_str(v).unwrap())
    };
    fields.iter().map(parse).collect()
}

fn observe(fields: &[(&str, &str)], body: &[u8]) -> Result<Snapshot, Refusal> {
    let keyer = Keyer::new([1; 32], Config::new(http::Uri::from_static("http://o")).identity);
    let headers = map(fields);
    let mut watch = Watch::new(crate::config::Glob::new("/**").unwrap());
    watch.ignore = vec![vec!["at".to_owned()]];
    let request = map(&[("cookie", "sid=1")]);
    read(&keyer, &watch, &request, (StatusCode::OK, &headers, body), Instant::now())
}

const JSON: (&str, &str) = ("content-type", "application/json; charset=\"UTF-8\"");

#[tokio::test]
async fn equal_states_have_equal_hashes() {
    let hash = |fields: &[(&str, &str)], body: &str| observe(fields, body.as_bytes()).unwrap().hash;
    let one = hash(&[JSON, ("date", "1"), ("etag", "a")], r#"{"x":1,"at":1}"#);
    assert_eq!(one, hash(&[("date", "2"), JSON], r#"{"x":1,"at":22}"#));
    assert_ne!(one, hash(&[JSON], r#"{"x":2,"at":1}"#));
    assert_ne!(one, hash(&[JSON, ("x-total-count", "7")], r#"{"x":1,"at":1}"#));
    assert_ne!(hash(&[JSON], "1.0"), hash(&[JSON], "1"));
}

#[tokio::test]
async fn refuses_what_it_could_not_give_back() {
    for (fields, body, want) in [
        (vec![("content-type", "application/x-ndjson")], &b"{}"[..], Refusal::NotText),
        (vec![("content-type", "text/event-stream")], b"", Refusal::NotText),
        (vec![("content-type", "application/json; charset=latin1")], b"{}", Refusal::NotText),
        (vec![], b"{}", Refusal::NotText),
        (vec![JSON], b"\xff", Refusal::NotText),
        (vec![JSON], b"\xef\xbb\xbf{}", Refusal::NotText),
        (vec![JSON, ("set-cookie", "sid=2")], b"{}", Refusal::Identity(StatusCode::OK)),
        (vec![JSON, ("vary", "*")], b"{}", Refusal::Vary),
    ] {
        assert_eq!(observe(&fields, body).unwrap_err(), want, "{fields:?}");
    }
}

#[tokio::test]
async fn a_page_sees_all_fields_but_those_of_one_message() {
    let fields =
        [JSON, ("set-cookie", "sid=1"), ("x-a", "1"), ("connection", "close"), ("x-a", "2")];
    let got = observe(&fields, b"{}").unwrap().fields;
    let names: Vec<_> = got.iter().map(|(n, v)| format!("{n}:{v}")).collect();
    assert_eq!(names, [&format!("content-type:{}", JSON.1), "x-a:1", "x-a:2"]);
}
