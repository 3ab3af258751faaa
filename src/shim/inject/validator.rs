//! Validators of pages that carry the tag: their entity tags bear a suffix, so that a page cached
//! without the tag is never confirmed by a 304.
//!
//! `W/"abc"` becomes `W/"abc.pc1"`, `"abc"` becomes `W/"abc.pc1s"`: weak, since the bytes aren't
//! the origin's, and marked so that the origin gets back exactly what it issued (some compare by
//! string, not as RFC 9110 §8.8.3.2 says).
//!
//! A page that has a date only gets `W/"<date>.pc1d"`: the date alone couldn't say whether the page
//! that it belongs to has the tag.

use http::{HeaderMap, HeaderValue, header};

/// Ends the entity tag of a page whose own was weak.
const SUFFIX: &str = ".pc1";
/// Ends the entity tag of a page whose own was strong.
const SUFFIX_STRONG: &str = ".pc1s";

/// Ends the entity tag of a page that has a date only.
const SUFFIX_DATE: &str = ".pc1d";

/// An entity tag for a page that has none, from its `Last-Modified`.
pub(super) fn of_date(modified: &HeaderValue) -> Option<HeaderValue> {
    let text = modified.to_str().ok()?.trim();
    // RFC 9110 §8.8.3: no space and no quote may stand in an entity tag.
    let packed: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
    let tag = format!("W/\"{packed}{SUFFIX_DATE}\"");
    (!packed.is_empty()).then(|| HeaderValue::try_from(tag).ok()).flatten()
}

/// The entity tag of the page with the tag in it; `None` if the origin's isn't one (RFC 9110
/// §8.8.3).
pub(super) fn marked(etag: &HeaderValue) -> Option<HeaderValue> {
    let text = etag.to_str().ok()?.trim();
    let (opaque, suffix) = match text.strip_prefix("W/") {
        Some(weak) => (weak, SUFFIX),
        None => (text, SUFFIX_STRONG),
    };
    let inner = opaque.strip_prefix('"')?.strip_suffix('"')?;
    HeaderValue::try_from(format!("W/\"{inner}{suffix}\"")).ok()
}

/// True if a condition of the request names a page with the tag in it.
pub(super) fn any_marked(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(entries)
        .any(|entry| original(entry).is_some() || is_date(entry))
}

/// True for an entity tag that stands for a date: the request's own `If-Modified-Since` says it to
/// the origin.
fn is_date(entry: &str) -> bool {
    entry.starts_with("W/\"") && entry.ends_with(".pc1d\"")
}

/// The condition as the origin knows it: only the entity tags of pages with the tag in them,
/// without suffix; `None` if there is none but perhaps a date.
pub(super) fn condition(value: &HeaderValue) -> Option<HeaderValue> {
    let kept: Vec<String> = entries(value.to_str().ok()?).filter_map(original).collect();
    if kept.is_empty() {
        return None;
    }
    HeaderValue::try_from(kept.join(", ")).ok()
}

/// The origin's entity tag behind a suffixed one.
fn original(entry: &str) -> Option<String> {
    let inner = entry.strip_prefix("W/\"")?.strip_suffix('"')?;
    match inner.strip_suffix(SUFFIX_STRONG) {
        Some(strong) => Some(format!("\"{strong}\"")),
        None => inner.strip_suffix(SUFFIX).map(|weak| format!("W/\"{weak}\"")),
    }
}

/// The entity tags of a list. A comma may stand inside one.
fn entries(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = list;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return None;
        }
        let mut quoted = false;
        let end = rest.find(|c| {
            quoted ^= c == '"';
            c == ',' && !quoted
        });
        let (entry, tail) = rest.split_at(end.unwrap_or(rest.len()));
        rest = tail;
        Some(entry.trim_end())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_gets_back_what_it_issued() {
        for issued in ["\"abc\"", "W/\"abc\"", "\"\"", "W/\"a,b\"", "\"x.pc1\""] {
            let issued = HeaderValue::from_static(issued);
            let ours = marked(&issued).unwrap();
            assert!(ours.to_str().unwrap().starts_with("W/\""), "{ours:?}");
            assert_eq!(condition(&ours).unwrap(), issued);
        }
        assert_eq!(marked(&HeaderValue::from_static("W/\"abc\"")).unwrap(), "W/\"abc.pc1\"");
        assert!(marked(&HeaderValue::from_static("abc")).is_none());
    }

    #[test]
    fn a_date_makes_an_entity_tag() {
        let date = HeaderValue::from_static("Mon, 01 Jan 2024 00:00:00 GMT");
        let tag = of_date(&date).unwrap();
        assert_eq!(tag, "W/\"Mon01Jan2024000000GMT.pc1d\"");
        assert!(condition(&tag).is_none());
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, tag);
        assert!(any_marked(&headers));
        headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"x.pc1d\""));
        assert!(!any_marked(&headers));
        assert!(of_date(&HeaderValue::from_static("")).is_none());
    }

    #[test]
    fn a_page_cached_without_the_tag_is_not_confirmed() {
        let list = HeaderValue::from_static("\"a,b\", W/\"c,d.pc1\" ,\"e.pc1s\", W/\"f.pc1s\"");
        assert_eq!(condition(&list).unwrap(), "W/\"c,d\", \"f\"");
        for unmarked in ["*", "\"abc\"", "W/\"abc\"", "", "\"abc.pc1\""] {
            assert!(condition(&HeaderValue::from_static(unmarked)).is_none(), "{unmarked}");
        }
    }
}
