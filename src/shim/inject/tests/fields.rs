//! What becomes of the fields, and which messages are touched at all.

use super::*;
use http::StatusCode;

const DOC: &str = "<!doctype html><head>";

fn request(fields: &[(&'static str, &str)]) -> Vec<(String, String)> {
    let (injector, _) = injector();
    let rewritten = injector.request(&facts(fields), headers(fields));
    let pair = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.to_string(), value.to_str().unwrap().to_owned())
    };
    rewritten.iter().map(pair).collect()
}

fn owned(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_page_cached_before_us_is_asked_for_anew() {
    let asked = request(&[
        ("host", "a"),
        ("sec-fetch-dest", "document"),
        ("if-none-match", "\"abc\""),
        ("if-modified-since", "Mon, 01 Jan 2024 00:00:00 GMT"),
        ("accept-encoding", "gzip, deflate, br, zstd, dcb;q=0.5, *"),
        ("cookie", "a=b"),
    ]);
    let want = [
        ("host", "a"),
        ("sec-fetch-dest", "document"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("cookie", "a=b"),
    ];
    assert_eq!(asked, owned(&want));
}

#[test]
fn a_page_cached_with_the_tag_is_confirmed() {
    let fields = [
        ("accept", "text/html, */*;q=0.1"),
        ("if-none-match", "\"old\", W/\"abc.pc1s\""),
        ("if-modified-since", "Mon, 01 Jan 2024 00:00:00 GMT"),
    ];
    let mut want = owned(&fields);
    want[1].1 = "\"abc\"".to_owned();
    assert_eq!(request(&fields), want);

    let mut response = page(&[("etag", "\"abc\"")], Body::Empty);
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    let (injector, told) = injector();
    let response = injector.response(&facts(&fields), response);
    assert_eq!(response.headers()["etag"], "W/\"abc.pc1s\"");
    assert!(told.lock().unwrap().is_empty());
}

#[test]
fn requests_for_anything_else_cross_as_they_came() {
    for dest in [("sec-fetch-dest", "empty"), ("accept", "application/json")] {
        let fields = [
            dest,
            ("if-none-match", "\"abc\""),
            ("if-modified-since", "Mon, 01 Jan 2024 00:00:00 GMT"),
            ("accept-encoding", "gzip, dcb"),
        ];
        assert_eq!(request(&fields), owned(&fields));
    }
    let (injector, _) = injector();
    let fields = headers(&[("sec-fetch-dest", "document"), ("if-none-match", "\"abc\"")]);
    let post = RequestFacts::of(&Method::POST, &Uri::from_static("/"), &fields);
    assert_eq!(injector.request(&post, fields.clone()), fields);
}

#[test]
fn fields_that_describe_the_origins_bytes_go() {
    let (injector, _) = injector();
    let mut response = Response::new(Body::from(DOC));
    *response.headers_mut() = headers(&[
        ("server", "x"),
        ("content-length", "21"),
        ("content-type", "TEXT/HTML ; charset=utf-8"),
        ("set-cookie", "a=1"),
        ("etag", "W/\"abc\""),
        ("set-cookie", "b=2"),
        ("content-md5", "x"),
        ("accept-ranges", "bytes"),
        ("x-last", "z"),
    ]);
    let response = injector.response(&document(), response);
    let got: Vec<_> = response.headers().iter().map(|(n, v)| (n.as_str(), v.as_bytes())).collect();
    let want: Vec<(&str, &[u8])> = vec![
        ("server", b"x"),
        ("content-type", b"TEXT/HTML ; charset=utf-8"),
        ("set-cookie", b"a=1"),
        ("set-cookie", b"b=2"),
        ("etag", b"W/\"abc.pc1\""),
        ("accept-ranges", b"none"),
        ("x-last", b"z"),
    ];
    assert_eq!(got, want);
}

/// Sends a page through that must come out untouched, and gives what was reported.
fn untouched(facts: &RequestFacts, status: u16, fields: &[(&'static str, &str)]) -> Vec<Outcome> {
    let mut response = page(fields, Body::from(DOC));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response.headers_mut().insert("etag", HeaderValue::from_static("\"abc\""));
    response.headers_mut().insert("content-length", HeaderValue::from_static("21"));
    let before = response.headers().clone();
    let (injector, told) = injector();
    let mut response = injector.response(facts, response);
    assert_eq!(response.headers(), &before);
    assert_eq!(read(response.body_mut()).bytes, DOC.as_bytes());
    told.lock().unwrap().clone()
}

#[test]
fn only_pages_are_touched() {
    for fields in [
        [("content-type", "application/json")],
        [("content-type", "application/xhtml+xml")],
        [("content-type", "text/htmlx")],
        [("content-disposition", "Attachment; filename=x.html")],
    ] {
        assert_eq!(untouched(&document(), 200, &fields), [Outcome::NotHtml], "{fields:?}");
    }
    for fields in [
        [("content-type", "text/html; charset=UTF-16LE")],
        [("content-type", "text/html;charset=\"iso-2022-jp\"")],
        [("content-encoding", "gzip, br")],
        [("content-encoding", "compress")],
    ] {
        assert_eq!(untouched(&document(), 200, &fields), [Outcome::Encoding], "{fields:?}");
    }
    for (policy, outcome) in
        [("default-src 'none'", Outcome::Csp), ("script-src 'sha256-x'", Outcome::Csp)]
    {
        assert_eq!(untouched(&document(), 200, &[("content-security-policy", policy)]), [outcome]);
    }
    let asked = untouched(&document(), 200, &[("cache-control", "public, No-Transform")]);
    assert_eq!(asked, [Outcome::NoTransform]);
    for status in [204, 205, 206, 301, 304] {
        assert!(untouched(&document(), status, &[]).is_empty(), "{status}");
    }
    assert!(untouched(&document(), 200, &[("content-range", "bytes 0-1/2")]).is_empty());
    assert!(untouched(&facts(&[("sec-fetch-dest", "empty")]), 200, &[]).is_empty());
    let asks = |method| {
        let fields = headers(&[("sec-fetch-dest", "document")]);
        RequestFacts::of(&method, &Uri::from_static("/"), &fields)
    };
    assert!(untouched(&asks(Method::POST), 200, &[]).is_empty());
}

#[test]
fn error_pages_are_pages() {
    for status in [200, 404, 500] {
        let (injector, told) = injector();
        let mut response = page(&[], Body::from(DOC));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        let mut response = injector.response(&document(), response);
        assert_eq!(read(response.body_mut()).bytes, format!("{DOC}{TAG}").as_bytes());
        assert_eq!(*told.lock().unwrap(), [Outcome::Injected]);
    }
}

#[test]
fn the_pages_nonce_is_copied() {
    let policy = "script-src 'nonce-r4nd0m==' 'strict-dynamic'";
    let fields = [("content-security-policy", policy)];
    let (got, _) = pass(&document(), &fields, Body::from(DOC));
    let tag = "<script src=\"/__pollcast/shim.js\" nonce=\"r4nd0m==\"></script>";
    assert_eq!(got.bytes, format!("{DOC}{tag}").as_bytes());
}

#[test]
fn the_labels_are_distinct() {
    let labels: std::collections::BTreeSet<_> = Outcome::ALL.map(Outcome::label).into();
    assert_eq!(labels.len(), Outcome::ALL.len());
}
