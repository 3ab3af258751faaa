//! The vectors that prove both implementations alike: `tests/vectors/delta.json`, read by
//! `tests/js/delta.test.mjs`.

use super::{Delta, check, utf16_len};
use serde_json::{Value, json};

/// Name, old body, new body.
fn cases() -> Vec<(&'static str, String, String)> {
    let row = |id: u32, done: bool| {
        format!(r#"{{"id":{id},"title":"Ticket number {id}","done":{done},"owner":"Zoë 🦊"}}"#)
    };
    let list = |ids: &[u32], done: u32| {
        let rows: Vec<String> = ids.iter().map(|&id| row(id, id == done)).collect();
        format!("{{\"rows\":[{}]}}", rows.join(","))
    };
    let ids: Vec<u32> = (1..=20).collect();
    let mut moved = ids.clone();
    moved.rotate_right(1);
    let rows = |picked: &[u32]| list(picked, 0);
    let text = |old: &str, new: &str| (old.to_owned(), new.to_owned());
    let named = |name, (old, new)| (name, old, new);
    vec![
        named("nothing changed", text("{\"a\":1}", "{\"a\":1}")),
        named("empty to empty", text("", "")),
        named("empty to full", text("", "{\"a\":[1,2,3]}")),
        named("full to empty", text("{\"a\":[1,2,3]}", "")),
        named("one field", (rows(&ids), list(&ids, 10))),
        named("row in front", (rows(&ids[1..]), rows(&ids))),
        named("first row removed", (rows(&ids), rows(&ids[1..]))),
        named("last row to the front", (rows(&ids), rows(&moved))),
        named("row appended", (rows(&ids[..19]), rows(&ids))),
        named("every row changed", (rows(&ids), rows(&ids).replace("false", "true"))),
        named("emoji that share a half", text("[\"😀😀😀\"]", "[\"😀😁😀\"]")),
        named("emoji before and after", text("\"🦊🦊a🦊🦊\"", "\"🦊🦊b🦊🦊\"")),
        named(
            "combining marks",
            text("\"cafe\u{301} noe\u{308}l\"", "\"cafe noe\u{308}\u{301}l\""),
        ),
        named("two ways to write é", text("\"e\u{301}\"", "\"é\"")),
        named("lone surrogate escapes", text(r#"{"a":"\ud83d"}"#, r#"{"a":"\ud83d\ud83d\ude00"}"#)),
        named(
            "big integers",
            text(r#"{"id":12345678901234567890}"#, r#"{"id":12345678901234567891}"#),
        ),
        named("1.0 is not 1", text(r#"{"price":1,"n":99999.50}"#, r#"{"price":1.0,"n":99999.5}"#)),
        named("duplicate keys", text(r#"{"a":1,"a":2}"#, r#"{"a":1,"a":3,"a":2}"#)),
        named(
            "escapes",
            text(r#"{"q":"\"\\\/\b\f\n\r\t"}"#, r#"{"q":"\"\\\/\b\f\n\r\t\u0000 \"\\"}"#),
        ),
        named("control characters", text("a\u{0}b\u{1}c", "a\u{0}b\u{1f}\u{7f}c\u{2028}\u{2029}")),
        named("no JSON", text("<p>Hello</p>", "<p>Hello, <b>you</b></p>")),
        named("CRLF", text("a\r\nb\r\nc\r\n", "a\r\nb\nc\r\r\n\n")),
        named("a byte order mark", text("\u{feff}[1]", "\u{feff}[2]")),
    ]
}

#[test]
fn vectors_are_current() {
    let vector = |(name, old, new): (&str, String, String)| -> Value {
        let ops: Value = serde_json::from_str(&Delta::any_between(&old, &new).ops_json()).unwrap();
        let (length, check) = (utf16_len(&new), check(&new));
        json!({"name": name, "old": old, "new": new, "ops": ops, "length": length, "check": check})
    };
    let lines: Vec<String> = cases().into_iter().map(|case| vector(case).to_string()).collect();
    let text = format!("[\n{}\n]\n", lines.join(",\n"));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/delta.json");
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == text,
        "tests/vectors/delta.json is stale: run this test with UPDATE_VECTORS=1"
    );
}
