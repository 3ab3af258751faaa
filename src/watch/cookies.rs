//! Cookies of a request and of a response, as far as identity needs them.

mod expiry;

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// W3C Clear Site Data: what a logout may say instead of naming each cookie.
pub const CLEAR: HeaderName = HeaderName::from_static("clear-site-data");

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

/// Gives `take` all that tells users apart in the cookies of a request.
///
/// Servers read cookies in many ways. Whoever knows one that we don't could seem to be nobody here
/// and somebody there, and so put what the origin shows to him where the next nobody reads it. So
/// what isn't written as browsers write it counts as a whole, and a name counts that some server
/// may take for one of `names`. What counts needlessly only splits topics.
pub fn credentials(names: &[String], headers: &HeaderMap, mut take: impl FnMut(&[u8])) {
    let lines = || headers.get_all(header::COOKIE).iter();
    let whole = names.iter().any(|name| name == "*");
    if whole || !lines().all(|line| is_plain(line.as_bytes())) {
        // RFC 9113 §8.2.3: HTTP/2 may split the field where it has "; ".
        for (at, line) in lines().enumerate() {
            for (crumb_at, crumb) in crumbs(line.as_bytes()).enumerate() {
                if at + crumb_at > 0 {
                    take(b"; ");
                }
                take(crumb);
            }
        }
        return;
    }
    for (name, value) in pairs(headers) {
        if names.iter().any(|known| is_like(known.as_bytes(), name)) {
            take(name);
            take(value);
        }
    }
}

/// The pieces that HTTP/2 may send as fields of their own.
fn crumbs(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let end = line.windows(2).position(|pair| pair == b"; ");
        rest = end.map(|end| &line[end + 2..]);
        Some(end.map_or(line, |end| &line[..end]))
    })
}

/// True for `name=value; name=value` of the bytes of RFC 6265 §4.1.1, which every server reads
/// alike.
fn is_plain(line: &[u8]) -> bool {
    let octet = |b: &u8| b.is_ascii_graphic() && !matches!(b, b'"' | b',' | b';' | b'\\');
    let token = |b: &u8| octet(b) && !b"()/:<>?@[]{}".contains(b);
    crumbs(line).all(|pair| {
        let at = pair.iter().position(|b| *b == b'=');
        at.filter(|at| *at > 0).is_some_and(|at| {
            let (name, value) = (&pair[..at], &pair[at + 1..]);
            let quoted = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
            name.iter().all(token) && quoted.unwrap_or(value).iter().all(octet)
        })
    })
}

/// True if some server may read this name as the known one: without regard to case, with percent
/// escapes undone, or with `_` for what its variables can't be called (PHP).
fn is_like(known: &[u8], name: &[u8]) -> bool {
    let folded = |name: &[u8]| -> Vec<u8> {
        let fold = |b: u8| if b.is_ascii_alphanumeric() { b.to_ascii_lowercase() } else { b'_' };
        name.iter().map(|b| fold(*b)).collect()
    };
    known == name || name.contains(&b'%') || folded(known) == folded(name)
}

/// True if the answer gives an identity cookie a value that the request did not carry, or takes it
/// away: whoever sent the request is then someone else, and polling in their name could end their
/// session (rotation).
pub fn changes_identity(names: &[String], request: &HeaderMap, response: &HeaderMap) -> bool {
    let lines = response.get_all(header::SET_COOKIE).iter().map(HeaderValue::as_bytes);
    let mut set = lines.filter(|line| is_identity(names, cookie_of(line).0));
    let known = |line: &[u8]| pairs(request).any(|pair| pair == cookie_of(line));
    let changed = set.any(|line| !known(line) || expiry::is_over(line, super::unix_ms() / 1000));
    let theirs = || pairs(request).any(|(name, _)| is_identity(names, name));
    changed || (clears_all(response) && theirs())
}

/// Name and value of a `Set-Cookie` field.
fn cookie_of(line: &[u8]) -> (&[u8], &[u8]) {
    split(line.split(|b| *b == b';').next().unwrap_or_default().trim_ascii())
}

/// `Clear-Site-Data` with what takes cookies away.
fn clears_all(response: &HeaderMap) -> bool {
    let lines = response.get_all(&CLEAR).iter();
    let kinds = lines.flat_map(|line| line.as_bytes().split(|b| *b == b','));
    kinds.map(<[u8]>::trim_ascii).any(|kind| matches!(kind, b"\"cookies\"" | b"\"*\""))
}

/// True if a cookie of this name tells users apart.
fn is_identity(names: &[String], name: &[u8]) -> bool {
    names.iter().any(|known| known == "*" || is_like(known.as_bytes(), name))
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

    fn credentials_of(names: &[&str], lines: &[&'static str]) -> Vec<Vec<u8>> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut parts = Vec::new();
        credentials(&names, &map(&header::COOKIE, lines), |part| parts.push(part.to_vec()));
        parts
    }

    #[test]
    fn only_named_cookies_count_where_every_server_reads_the_same() {
        let sid = |line| credentials_of(&["s_id"], &[line]);
        assert_eq!(sid("ad=7; s_id=1; lang=\"de\""), sid("s_id=1; ad=8"));
        assert_ne!(sid("s_id=1"), sid("s_id=2"));
        assert_ne!(sid("s_id=1; s_id=2"), sid("s_id=2; s_id=1"));
        assert_eq!(sid("ad=7"), sid("lang=de; ad=8"));
    }

    #[test]
    fn a_name_that_some_server_takes_for_a_named_one_counts() {
        let nobody = credentials_of(&["s_id"], &["ad=7"]);
        for line in ["S_ID=1", "s.id=1", "s-id=1", "s%5fid=1", "ad=7; S_Id=1", "%73_id=1"] {
            assert_ne!(credentials_of(&["s_id"], &[line]), nobody, "{line}");
        }
    }

    #[test]
    fn what_browsers_do_not_write_counts_as_a_whole() {
        let nobody = credentials_of(&["s_id"], &["ad=7"]);
        for line in [
            "ad=\"7; x\"",
            "ad=7, s_id=1",
            "ad=7;s_id =1",
            "ad=7; s_id[0]=1",
            "ad=7\ts_id=1",
            "ad=7; s_id",
            "ad=7; =s_id=1",
            "ad=7;",
            "ad=\\\"; s_id=1",
            "$Version=1, s_id=1",
        ] {
            assert_ne!(credentials_of(&["s_id"], &[line]), nobody, "{line}");
        }
        // Also where a second field has it.
        assert_ne!(credentials_of(&["s_id"], &["ad=7", "x=\"a;b\""]), nobody);
    }

    #[test]
    fn http_2_may_split_the_field() {
        for names in [["*"], ["b"]] {
            let one = credentials_of(&names, &["a=1; b=2; c=3"]);
            assert_eq!(one, credentials_of(&names, &["a=1", "b=2; c=3"]));
            assert_eq!(one, credentials_of(&names, &["a=1", "b=2", "c=3"]));
        }
        assert_ne!(credentials_of(&["*"], &["a=1; b=2"]), credentials_of(&["*"], &["b=2; a=1"]));
        assert_ne!(credentials_of(&["*"], &["a=1; b=2"]), credentials_of(&["*"], &["a=1;b=2"]));
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
        let other_case = map(&header::SET_COOKIE, &["SID=2"]);
        assert!(changes_identity(&sid, &request, &other_case));
    }

    #[test]
    fn a_cookie_that_is_taken_away_is_noticed_though_its_value_stays() {
        let sid = vec!["sid".to_owned()];
        let request = map(&header::COOKIE, &["sid=1; ad=7"]);
        for (line, want) in [
            ("sid=1; Max-Age=0", true),
            ("sid=1;path=/; max-age = -5 ;HttpOnly", true),
            ("sid=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", true),
            ("sid=1; expires=Thu, 01-Jan-70 00:00:10 GMT; Path=/", true),
            ("sid=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", false),
            ("sid=1; Max-Age=60", false),
            ("sid=1; Expires=Fri, 31 Dec 9999 23:59:59 GMT", false),
            ("sid=1; Expires=never", false),
            ("sid=1; Max-Age=x", false),
            ("ad=7; Max-Age=0", false),
        ] {
            let response = map(&header::SET_COOKIE, &[line]);
            assert_eq!(changes_identity(&sid, &request, &response), want, "{line}");
        }
        for (line, want) in
            [("\"cache\", \"cookies\"", true), ("\"*\"", true), ("\"cache\"", false)]
        {
            let response = map(&CLEAR, &[line]);
            assert_eq!(changes_identity(&sid, &request, &response), want, "{line}");
            assert!(!changes_identity(&sid, &HeaderMap::new(), &response), "{line}");
        }
    }
}
