//! The fields of a page with the tag in it, and of the request that leads to one.

use super::coding::Coding;
use super::validator;
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Rebuilds the fields with some changed or dropped. `HeaderMap::remove` would move the last field
/// into the hole.
pub(super) fn rebuild(
    headers: HeaderMap,
    mut change: impl FnMut(&HeaderName, HeaderValue) -> Option<HeaderValue>,
) -> HeaderMap {
    let mut rebuilt = HeaderMap::with_capacity(headers.len());
    let mut last = None;
    for (name, value) in headers {
        // The iterator names a field once, then gives its further values without a name.
        last = name.or(last);
        if let Some(name) = &last
            && let Some(value) = change(name, value)
        {
            rebuilt.append(name.clone(), value);
        }
    }
    rebuilt
}

/// The fields of a page with the tag in it. Those that describe the origin's bytes no longer hold.
pub(super) fn rewritten(headers: HeaderMap, policies: Vec<HeaderValue>) -> HeaderMap {
    let kept = rebuild(headers, |name, value| match name.as_str() {
        "content-length" | "content-md5" | "digest" | "content-digest" | "repr-digest" => None,
        "accept-ranges" => Some(HeaderValue::from_static("none")),
        _ => Some(value),
    });
    let mut headers = validated(kept, policies);
    // RFC 9110 §14.3: or a client would ask for the rest of our bytes and get some of the origin's.
    headers.entry(header::ACCEPT_RANGES).or_insert(HeaderValue::from_static("none"));
    headers
}

/// The fields with the validators of a page with the tag in it, and its policies.
pub(super) fn validated(headers: HeaderMap, policies: Vec<HeaderValue>) -> HeaderMap {
    let modified = headers.get(header::LAST_MODIFIED).and_then(validator::of_date);
    let bare = !headers.contains_key(header::ETAG);
    let mut headers = rebuild(with_policies(headers, policies), |name, value| {
        if name == header::ETAG { validator::marked(&value) } else { Some(value) }
    });
    if let Some(tag) = modified.filter(|_| bare) {
        headers.insert(header::ETAG, tag);
    }
    headers
}

/// The fields with these policies in the place of theirs, line by line.
pub(super) fn with_policies(headers: HeaderMap, policies: Vec<HeaderValue>) -> HeaderMap {
    if policies.is_empty() {
        return headers;
    }
    let mut policies = policies.into_iter();
    rebuild(headers, |name, value| {
        if name == header::CONTENT_SECURITY_POLICY { policies.next() } else { Some(value) }
    })
}

/// The codings that a response could be decoded from. Others (dictionaries, `*`) would make the
/// page unrewritable.
pub(super) fn rewritable_codings(value: HeaderValue) -> HeaderValue {
    let Ok(text) = value.to_str() else { return value };
    let kept: Vec<&str> = text
        .split(',')
        .map(str::trim)
        .filter(|entry| {
            let token = entry.split(';').next().unwrap_or("").trim();
            Coding::from_token(token).is_some()
        })
        .collect();
    let list = if kept.is_empty() { "identity".to_owned() } else { kept.join(", ") };
    HeaderValue::try_from(list).unwrap_or(value)
}

/// True if a comma-separated field has this member, parameters aside.
pub(super) fn lists(headers: &HeaderMap, name: &HeaderName, member: &str) -> bool {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).any(|text| {
        text.split(',')
            .any(|item| item.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case(member))
    })
}
