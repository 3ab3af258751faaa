//! Which fields of their own the origin lets pages of other hosts send.
//!
//! Rule: the preflight of a stream request speaks of that request alone. What a topic would have
//! the poller send is what the browser would have let the page send by itself: safelisted fields,
//! and those that the origin's own answer to a preflight of this page for this path has admitted.

use super::cors::admission;
use crate::http::Body;
use crate::stream::Wanted;
use http::header::{ACCEPT, ACCESS_CONTROL_ALLOW_HEADERS, AUTHORIZATION, CONTENT_LANGUAGE, COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Pages and paths that are remembered; the oldest go first.
const MOST: usize = 256;
/// Fields of one of them.
const FIELDS_MOST: usize = 64;
/// Browsers remember such an answer for two hours at most, or a day.
const LATELY: Duration = Duration::from_secs(2 * 3600);

/// What the origin answered to preflights, the newest last.
#[derive(Debug, Default)]
pub struct Preflights(Mutex<VecDeque<Known>>);

#[derive(Debug)]
struct Known {
    page: HeaderValue,
    path: String,
    at: Instant,
    credentials: bool,
    fields: Vec<HeaderName>,
    /// `*`: any but `Authorization`, of requests without credentials.
    any: bool,
}

impl Preflights {
    /// The origin's answer to a preflight of this page for this path. What it admitted before still
    /// counts: some only speak of what they were asked.
    pub fn note(&self, page: &HeaderValue, path: &str, response: &Response<Body>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = known.iter().position(|known| known.page == page && known.path == path);
        let before = at.and_then(|at| known.remove(at));
        let admitted = admission(page, response.headers());
        let Some(credentials) = admitted.filter(|_| response.status().is_success()) else { return };
        let now = Instant::now();
        let before = before.filter(|before| now.duration_since(before.at) < LATELY);
        let mut fields = before.map(|before| before.fields).unwrap_or_default();
        let mut any = false;
        let lines = response.headers().get_all(ACCESS_CONTROL_ALLOW_HEADERS).iter();
        for name in lines.flat_map(|line| line.as_bytes().split(|b| *b == b',')) {
            any |= name.trim_ascii() == b"*";
            if let Ok(name) = HeaderName::from_bytes(name.trim_ascii())
                && !fields.contains(&name)
            {
                fields.push(name);
            }
        }
        let over = fields.len().saturating_sub(FIELDS_MOST);
        fields.drain(..over);
        let (page, path) = (page.clone(), path.to_owned());
        known.push_back(Known { page, path, at: now, credentials, fields, any });
        let over = known.len().saturating_sub(MOST);
        known.drain(..over);
    }

    /// True if this page could send this topic's fields by itself.
    pub fn admits(&self, page: &HeaderValue, wanted: &Wanted) -> bool {
        let Wanted { target, headers, own, .. } = wanted;
        let mut named = own.iter().filter(|name| !is_safelisted(name, headers)).peekable();
        if named.peek().is_none() {
            return true;
        }
        let path = target.split('?').next().unwrap_or_default();
        let bare = !headers.contains_key(COOKIE);
        let now = Instant::now();
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.iter().find(|known| known.page == page && known.path == path);
        found.is_some_and(|known| {
            let any = known.any && bare;
            now.duration_since(known.at) < LATELY
                && (known.credentials || bare)
                && named.all(|name| known.fields.contains(name) || (any && name != AUTHORIZATION))
        })
    }
}

/// Fetch §2.2.2, "CORS-safelisted request-header", as far as an app can set them here.
fn is_safelisted(name: &HeaderName, headers: &HeaderMap) -> bool {
    const LONGEST: usize = 128;
    let unsafe_byte =
        |b: &u8| (*b < 0x20 && *b != b'\t') || *b == 0x7f || b"\"():<>?@[\\]{}".contains(b);
    let language = |b: &u8| b.is_ascii_alphanumeric() || b" *,-.;=".contains(b);
    headers.get_all(name).iter().map(HeaderValue::as_bytes).all(|value| {
        value.len() <= LONGEST
            && match *name {
                ACCEPT => !value.iter().any(unsafe_byte),
                header::ACCEPT_LANGUAGE | CONTENT_LANGUAGE => value.iter().all(language),
                _ => false,
            }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(fields: &[(&'static str, &'static str)]) -> Wanted {
        let pairs = fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let headers: HeaderMap = pairs.collect();
        let own = headers.keys().filter(|name| **name != COOKIE).cloned().collect();
        Wanted { target: "/a?x=1".to_owned(), headers, own, have: None, every: None }
    }

    #[test]
    fn safelisted_fields_need_no_preflight() {
        let (known, page) = (Preflights::default(), HeaderValue::from_static("https://p"));
        for (field, want) in [
            (("accept", "application/json, text/plain, */*;q=0.8"), true),
            (("accept-language", "de-CH, en;q=0.5"), true),
            (("accept", "a{b"), false),
            (("accept-language", "de\"x"), false),
            (("authorization", "x"), false),
            (("x-admin", "1"), false),
        ] {
            assert_eq!(known.admits(&page, &wanted(&[field])), want, "{field:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_origins_own_word_admits_a_field() {
        let page = HeaderValue::from_static("https://p");
        let answer = |credentials, allowed| {
            Response::builder()
                .header("access-control-allow-origin", "https://p")
                .header("access-control-allow-credentials", credentials)
                .header("access-control-allow-headers", allowed)
                .body(Body::Empty)
                .unwrap()
        };
        let x = [("x-own", "1")];
        let with_cookie = [("cookie", "s=1"), ("x-own", "1")];
        let with_token = [("authorization", "1")];
        for (credentials, allowed, want) in [
            ("true", "X-Own, authorization", [true, true, true]),
            ("true", "x-other", [false, false, false]),
            ("false", "x-own", [true, false, false]),
            ("true", "*", [true, false, false]),
        ] {
            let known = Preflights::default();
            known.note(&page, "/a", &answer(credentials, allowed));
            let got = [wanted(&x), wanted(&with_cookie), wanted(&with_token)]
                .map(|wanted| known.admits(&page, &wanted));
            assert_eq!(got, want, "{credentials} {allowed}");
            assert!(!known.admits(&HeaderValue::from_static("https://q"), &wanted(&x)));
        }
        let known = Preflights::default();
        known.note(&page, "/a", &answer("true", "x-own"));
        known.note(&page, "/a", &answer("true", "authorization"));
        assert!(known.admits(&page, &wanted(&x)) && known.admits(&page, &wanted(&with_token)));
        tokio::time::sleep(LATELY).await;
        assert!(!known.admits(&page, &wanted(&x)));
        known.note(&page, "/a", &answer("true", "authorization"));
        assert!(!known.admits(&page, &wanted(&x)));
        let mut refusal = answer("true", "x-own");
        *refusal.status_mut() = http::StatusCode::FORBIDDEN;
        known.note(&page, "/a", &refusal);
        assert!(!known.admits(&page, &wanted(&with_token)));
    }
}
