//! Policies in the fields: what becomes of page and policy.

use super::*;
use http::StatusCode;

const DOC: &str = "<!doctype html><head>";
const CSP: &str = "content-security-policy";

/// Policy and body that a client gets.
fn through(csp: Csp, policy: &str) -> (String, String) {
    let injector = Injector::new("/__pollcast", csp, Arc::new(|_| ()));
    let mut response = injector.response(&document(), page(&[(CSP, policy)], Body::from(DOC)));
    let body = String::from_utf8(read(response.body_mut()).bytes).unwrap();
    (response.headers()[CSP].to_str().unwrap().to_owned(), body)
}

#[test]
fn by_default_the_policy_stays_and_so_does_the_page() {
    for policy in ["script-src 'none'", "default-src 'none'", "script-src 'sha256-x'"] {
        assert_eq!(through(Csp::Leave, policy), (policy.to_owned(), DOC.to_owned()));
    }
}

#[test]
fn extended_the_policy_lets_the_tag_in() {
    let (policy, body) = through(Csp::Extend, "script-src 'sha256-x'; connect-src 'none'");
    let want = "script-src 'sha256-x'; connect-src app.example/__pollcast/; \
                script-src-elem 'sha256-x' app.example/__pollcast/shim.js \
                app.example/__pollcast/worker.js";
    // It governs workers too, and those it still forbids.
    let tag = TAG.replace("></", " data-alone></");
    assert_eq!((policy.as_str(), body), (want, format!("{DOC}{tag}")));
}

#[test]
fn what_needs_no_extension_gets_none() {
    for policy in ["script-src 'self'", "img-src x"] {
        let want = (policy.to_owned(), format!("{DOC}{TAG}"));
        assert_eq!(through(Csp::Extend, policy), want);
    }
    let strict = "script-src 'strict-dynamic' 'nonce-abc'";
    let (policy, body) = through(Csp::Extend, strict);
    assert_eq!(policy, strict);
    assert!(body.ends_with("nonce=\"abc\"></script>"));
}

#[test]
fn what_cannot_be_extended_stays_whole() {
    for policy in [
        "script-src 'strict-dynamic' 'sha256-x'",
        "sandbox allow-scripts; script-src 'none'",
        "script-src 'none', script-src 'strict-dynamic' 'sha256-x'",
        "script-src 'nonce-a', script-src 'nonce-b'; connect-src x",
        "require-sri-for script; connect-src x",
    ] {
        assert_eq!(through(Csp::Extend, policy), (policy.to_owned(), DOC.to_owned()), "{policy}");
    }
}

#[test]
fn a_confirmed_page_keeps_its_extended_policy() {
    let injector = Injector::new("/__pollcast", Csp::Extend, Arc::new(|_| ()));
    let mut response = page(&[(CSP, "script-src x"), ("etag", "\"a\"")], Body::Empty);
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    let facts = facts(&[
        ("host", "app.example"),
        ("sec-fetch-dest", "document"),
        ("if-none-match", "W/\"a.pc1s\""),
    ]);
    let response = injector.response(&facts, response);
    let want = "script-src x; script-src-elem x app.example/__pollcast/shim.js \
                app.example/__pollcast/worker.js";
    assert_eq!(response.headers()[CSP], want);
}
