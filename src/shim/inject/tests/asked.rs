//! Which requests lead to pages.

use super::*;

const DOC: &str = "<!doctype html><head>";

/// True if the answer to such a request gets the tag.
fn tagged(fields: &[(&'static str, &str)]) -> bool {
    let (got, told) = pass(&facts(fields), &[], Body::from(DOC));
    let tagged = got.bytes == format!("{DOC}{TAG}").as_bytes();
    assert_eq!(tagged, told == [Outcome::Injected]);
    assert!(tagged || got.bytes == DOC.as_bytes());
    tagged
}

#[test]
fn what_browsers_show_is_a_page() {
    let html = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
    for fields in [
        vec![("sec-fetch-dest", "document"), ("sec-fetch-mode", "navigate"), html],
        vec![("sec-fetch-dest", "document"), ("sec-purpose", "prefetch"), html],
        vec![("sec-fetch-dest", "document"), ("sec-purpose", "prefetch;prerender"), html],
        vec![("sec-fetch-dest", "iframe"), ("sec-fetch-mode", "navigate"), html],
        vec![("sec-fetch-dest", "frame"), html],
        vec![("sec-fetch-dest", "empty"), ("sec-fetch-mode", "navigate"), html],
        vec![
            ("sec-fetch-dest", "empty"),
            ("sec-fetch-mode", "no-cors"),
            ("sec-purpose", "prefetch"),
        ],
        vec![html],
        vec![html, ("x-requested-with", "com.example.webview")],
    ] {
        assert!(tagged(&fields), "{fields:?}");
    }
}

#[test]
fn what_scripts_fetch_is_untouched() {
    let html = ("accept", "text/html, application/xhtml+xml");
    for fields in [
        vec![],
        vec![("accept", "*/*")],
        vec![("sec-fetch-dest", "empty"), ("sec-fetch-mode", "cors"), html],
        vec![("sec-fetch-dest", "empty"), ("sec-fetch-mode", "same-origin"), html],
        vec![("sec-fetch-dest", "empty"), ("sec-fetch-mode", "cors"), ("sec-purpose", "prefetch")],
        vec![("sec-fetch-dest", "object"), ("sec-fetch-mode", "navigate"), html],
        vec![("sec-fetch-dest", "serviceworker")],
        vec![("hx-request", "true"), html],
        vec![("turbo-frame", "messages"), html],
        vec![("x-turbo-request-id", "1-2"), html],
        vec![("accept", "text/vnd.turbo-stream.html, text/html, application/xhtml+xml")],
        vec![("turbolinks-referrer", "http://a/"), html],
        vec![("x-pjax", "true"), html],
        vec![("x-inertia", "true"), html],
        vec![("x-requested-with", "XMLHttpRequest"), html],
    ] {
        assert!(!tagged(&fields), "{fields:?}");
    }
}

#[test]
fn head_has_the_fields_of_get() {
    let (injector, told) = injector();
    let fields = headers(&[("sec-fetch-dest", "document"), ("host", "a")]);
    let answer = |method: Method| {
        let facts = RequestFacts::of(&method, &Uri::from_static("/"), &fields);
        let origin = [("etag", "\"abc\""), ("content-length", "21"), ("accept-ranges", "bytes")];
        let body = if method == Method::HEAD { Body::Empty } else { Body::from(DOC) };
        injector.response(&facts, page(&origin, body))
    };
    let (head, get) = (answer(Method::HEAD), answer(Method::GET));
    assert_eq!(head.headers(), get.headers());
    assert!(!head.headers().contains_key("content-length"));
    assert!(matches!(head.into_body(), Body::Empty));
    drop(get);
    assert!(told.lock().unwrap().is_empty());
}

#[test]
fn a_page_with_a_date_only_is_confirmed_by_it() {
    let date = "Mon, 01 Jan 2024 00:00:00 GMT";
    let (injector, _) = injector();
    let origin = page(&[("last-modified", date)], Body::from(DOC));
    let first = injector.response(&document(), origin);
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(first.headers()["last-modified"], date);
    let again = [
        ("sec-fetch-dest", "document"),
        ("if-none-match", tag.as_str()),
        ("if-modified-since", date),
    ];
    let facts = facts(&again);
    let asked = injector.request(&facts, headers(&again));
    let want = headers(&[("sec-fetch-dest", "document"), ("if-modified-since", date)]);
    assert_eq!(asked, want);
    let mut confirmed = Response::new(Body::Empty);
    *confirmed.status_mut() = http::StatusCode::NOT_MODIFIED;
    confirmed.headers_mut().extend(headers(&[("last-modified", date)]));
    let confirmed = injector.response(&facts, confirmed);
    assert_eq!(confirmed.headers()["etag"], tag.as_str());
}

#[test]
fn what_is_not_html_says_so() {
    for (media, outcome) in [
        ("application/xhtml+xml", Outcome::NotHtml),
        ("image/svg+xml", Outcome::NotHtml),
        ("application/pdf", Outcome::NotHtml),
        ("application/json", Outcome::NotHtml),
        ("multipart/x-mixed-replace; boundary=x", Outcome::NotHtml),
        ("text/plain", Outcome::NotHtml),
    ] {
        let (got, told) = pass(&document(), &[("content-type", media)], Body::from(DOC));
        assert_eq!((got.bytes.as_slice(), told), (DOC.as_bytes(), vec![outcome]), "{media}");
    }
}

#[test]
fn files_with_a_wrong_type_stay_whole() {
    for magic in [&b"\x1f\x8b\x08\0"[..], b"\x28\xb5\x2f\xfd<p>", b"PK\x03\x04", b"%PDF-1.7 <b>"] {
        for size in [1, magic.len()] {
            let (got, told) = pass(&document(), &[], pieces(magic.chunks(size).map(data)));
            assert_eq!((got.bytes.as_slice(), told), (magic, vec![Outcome::Encoding]));
        }
    }
}
