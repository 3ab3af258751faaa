//! Where the values stand in a body that don't count as a change (a watch's `ignore`).
//!
//! By bytes, not by value: whatever else differs, were it white space or the order of members, is
//! a change.

use crate::delta::json::{Name, children, is_valid, skip_space, value_end};
use std::ops::Range;

/// The byte ranges of the values that the pointers (unescaped reference tokens, RFC 6901) name in
/// `body`: ascending, without overlap.
///
/// The token `*` names every element or member. A key that stands twice is named twice: which one
/// the app reads isn't ours to say. Empty if `body` isn't JSON. O(length of the body, times the
/// longest pointer).
#[must_use]
pub fn masked(body: &[u8], pointers: &[Vec<String>]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    if pointers.is_empty() {
        return found;
    }
    if let Ok(text) = std::str::from_utf8(body)
        && is_valid(text)
    {
        let start = skip_space(body, 0);
        let active: Vec<&[String]> = pointers.iter().map(Vec::as_slice).collect();
        collect(text, start..value_end(body, start), &active, &mut found);
    }
    found
}

/// Adds the values that `pointers` name within the value at `span`. As deep as the longest
/// pointer, however deep the body.
fn collect(text: &str, span: Range<usize>, pointers: &[&[String]], found: &mut Vec<Range<usize>>) {
    if pointers.iter().any(|pointer| pointer.is_empty()) {
        return found.push(span);
    }
    children(text, span.start, |name, span| {
        let below: Vec<&[String]> = pointers
            .iter()
            .filter_map(|pointer| pointer.split_first())
            .filter(|(token, _)| names(token, &name))
            .map(|(_, rest)| rest)
            .collect();
        if !below.is_empty() {
            collect(text, span, &below, found);
        }
    });
}

/// Whether a reference token names this child.
fn names(token: &str, child: &Name<'_>) -> bool {
    match child {
        _ if token == "*" => true,
        Name::Member(name) => name.as_deref() == Some(token),
        // "characters comprised of digits (…) without leading zeros" (RFC 6901, section 4).
        Name::Index(index) => {
            (token == "0" || !token.starts_with(['0', '+'])) && token.parse() == Ok(*index)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pointers(list: &[&str]) -> Vec<Vec<String>> {
        list.iter().map(|p| p.split('/').skip(1).map(str::to_owned).collect()).collect()
    }

    fn texts<'a>(body: &'a str, list: &[&str]) -> Vec<&'a str> {
        masked(body.as_bytes(), &pointers(list)).into_iter().map(|span| &body[span]).collect()
    }

    #[test]
    fn values_are_found_by_pointer() {
        let body = r#" {"at": "12:00" ,"rows":[{"age":1.50,"id":7},{"age":[2],"id":8}],"n":3}"#;
        assert_eq!(texts(body, &["/at"]), ["\"12:00\""]);
        assert_eq!(texts(body, &["/rows/*/age"]), ["1.50", "[2]"]);
        assert_eq!(texts(body, &["/n", "/rows/1/age/0", "/at"]), ["\"12:00\"", "2", "3"]);
        assert_eq!(texts(body, &["/*/0"]), [r#"{"age":1.50,"id":7}"#]);
        assert_eq!(texts(body, &[""]), [body.trim()]);
        assert_eq!(texts(body, &["/rows", "/rows/0/age"]).len(), 1);
        assert!(texts(body, &["/rows/01", "/rows/+1", "/rows/-", "/no", "/at/x"]).is_empty());
    }

    #[test]
    fn keys_are_compared_unescaped_and_every_occurrence_counts() {
        let body = r#"{"a":1,"a":{"b":2},"\u0061":3,"\ud800":4}"#;
        assert_eq!(texts(body, &["/a"]), ["1", "{\"b\":2}", "3"]);
        assert_eq!(texts(body, &["/*"]).len(), 4);
        assert_eq!(texts(body, &["/a/b"]), ["2"]);
    }

    #[test]
    fn what_is_not_json_has_no_masked_range() {
        for body in
            [&b"{\"a\":1"[..], b"", b"<p>", b"{\"a\":\"\xff\"}", b"{\"a\":1}x", b"{\"a\":01}"]
        {
            assert!(masked(body, &pointers(&["/a", ""])).is_empty());
        }
        assert!(masked(b"{\"a\":1}", &[]).is_empty());
    }

    #[test]
    fn depth_costs_no_stack() {
        let body = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        let inner = Range { start: 2, end: body.len() - 2 };
        assert_eq!(masked(body.as_bytes(), &pointers(&["/0/0"])), [inner]);
    }

    /// A name, and a value as text.
    fn member() -> impl Strategy<Value = (String, String)> {
        ("[ab*\"é]{0,2}", "0|[1-9][0-9]?|\\[1, 2\\]|\"[ab]*\"")
    }

    proptest! {
        #[test]
        fn ranges_hold_values_in_order(
            members in prop::collection::vec(member(), 0..8),
            list in prop::collection::vec("(/[ab01*]){0,3}", 0..4),
        ) {
            let member = |(name, value)| format!("{} :{value}", serde_json::Value::String(name));
            let members: Vec<String> = members.into_iter().map(member).collect();
            let body = format!("{{{}}}", members.join(" ,"));
            let list: Vec<&str> = list.iter().map(String::as_str).collect();
            let mut end = 0;
            for span in masked(body.as_bytes(), &pointers(&list)) {
                prop_assert!(span.start >= end && span.end <= body.len());
                end = span.end;
                prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&body[span]).is_ok());
            }
        }
    }
}
