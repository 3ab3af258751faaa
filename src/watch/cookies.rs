//! Cookies of a request and of a response, as far as identity needs them.

use http::{HeaderMap, header};

/// The pairs of all `Cookie` fields, in order. A pair that isn't UTF-8 is compared by its raw
/// bytes.
pub fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|b| *b == b';'))
        .map(<[u8]>::trim_ascii)
        .filter(|pair| !pair.is_empty())
        .map(split)
}

/// Name and value of each `Set-Cookie` field.
fn set(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    headers.get_all(header::SET_COOKIE).iter().map(|value| {
        let value = value.as_bytes();
        split(value.split(|b| *b == b';').next().unwrap_or_default().trim_ascii())
    })
}

/// True if the answer gives an identity cookie a value that the request did not carry: whoever sent
/// the request is then someone else, and polling in their name could end their session (rotation).
pub fn changes_identity(names: &[String], request: &HeaderMap, response: &HeaderMap) -> bool {
    set(response).any(|(name, value)| {
        is_identity(names, name) && !pairs(request).any(|pair| pair == (name, value))
    })
}

/// True if a cookie of this name tells users apart.
pub fn is_identity(names: &[String], name: &[u8]) -> bool {
    names.iter().any(|known| known == "*" || known.as_bytes() == name)
}

fn split(pair: &[u8]) -> (&[u8], &[u8]) {
    match pair.iter().position(|b| *b == b'=') {
        Some(at) => (pair[..at].trim_ascii(), pair[at + 1..].trim_ascii()),
        None => (b"", pair),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn map(name: &http::HeaderName, values: &[&'static str]) -> HeaderMap {
        values.iter().map(|v| (name.clone(), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn pairs_of_all_fields_in_order() {
        let headers = map(&header::COOKIE, &["a=1; b=2;", "c = 3;;d"]);
        let got: Vec<_> = pairs(&headers).collect();
        let want: Vec<(&[u8], &[u8])> = vec![(b"a", b"1"), (b"b", b"2"), (b"c", b"3"), (b"", b"d")];
        assert_eq!(got, want);
    }

    #[test]
    fn a_new_value_of_an_identity_cookie_is_noticed() {
        let all = vec!["*".to_owned()];
        let sid = vec!["sid".to_owned()];
        let request = map(&header::COOKIE, &["sid=1; ad=7"]);
        let same = map(&header::SET_COOKIE, &["sid=1; Path=/; HttpOnly"]);
        let new = map(&header::SET_COOKIE, &["sid=2; Path=/"]);
        let ad = map(&header::SET_COOKIE, &["ad=8"]);
        assert!(!changes_identity(&all, &request, &same));
        assert!(changes_identity(&all, &request, &new));
        assert!(changes_identity(&sid, &request, &new));
        assert!(changes_identity(&all, &request, &ad));
        assert!(!changes_identity(&sid, &request, &ad));
        assert!(changes_identity(&sid, &HeaderMap::new(), &new));
    }
}
