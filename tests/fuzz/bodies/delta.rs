//! Deltas: input is the old text, a NUL, the new one (and for operations: JSON after another NUL).

use super::split_once;
use pollcast::delta::{self, Delta, Op, json};
use serde_json::Value;

fn texts(data: &[u8]) -> (String, String, Vec<u8>) {
    let (old, rest) = split_once(data, b"\0");
    let (new, ops) = split_once(rest, b"\0");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(old), text(new), ops.to_vec())
}

/// A delta rebuilds the new text to the byte, is as long as it says, and is shorter than the text
/// where it is chosen; operations from elsewhere are refused or applied, and break nothing.
pub fn delta(data: &[u8]) {
    let (old, new, ops) = texts(data);
    let any = Delta::any_between(&old, &new);
    let wire = any.ops_json();
    assert_eq!(wire.len(), any.encoded_len());
    let read: Vec<Op> = serde_json::from_str(&wire).unwrap();
    assert_eq!(read, any.ops());
    let built = delta::apply(&old, &read).unwrap();
    assert_eq!(built, new);
    assert_eq!(delta::utf16_len(&new), new.encode_utf16().count());
    assert_eq!(delta::check(&built), fnv(&new));
    if let Some(chosen) = Delta::between(&old, &new) {
        assert!(chosen.encoded_len() <= json::string_len(&new) / 2);
    }
    let mut quoted = String::new();
    json::push_string(&mut quoted, &new);
    assert_eq!(quoted.len(), json::string_len(&new));
    assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), new);
    if let Ok(foreign) = serde_json::from_slice::<Vec<Op>>(&ops) {
        let _ = delta::apply(&old, &foreign);
    }
}

/// FNV-1a as it is written down, unit by unit.
fn fnv(text: &str) -> u32 {
    let step = |hash: u32, unit: u16| (hash ^ u32::from(unit)).wrapping_mul(0x0100_0193);
    text.encode_utf16().fold(0x811c_9dc5, step)
}

/// A patch applied by another implementation gives the new value; it is shorter than the text.
pub fn patch(data: &[u8]) {
    let (old, new, _) = texts(data);
    let valid = |text: &str| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    assert_eq!(json::is_valid(&old), valid(&old), "{old:?}");
    let Some(patch) = delta::patch::diff(&old, &new) else { return };
    assert!(patch.len() < new.len());
    // Half a surrogate pair is JSON, but no value of ours.
    let value = |text: &str| serde_json::from_str::<Value>(text);
    let (Ok(mut built), Ok(wanted)) = (value(&old), value(&new)) else { return };
    apply(&mut built, &value(&patch).unwrap());
    assert_eq!(built, wanted, "{old} {patch}");
}

/// RFC 6902, as far as we send it: add, remove, replace.
fn apply(document: &mut Value, operations: &Value) {
    for operation in operations.as_array().unwrap() {
        let path = operation["path"].as_str().unwrap();
        let kind = operation["op"].as_str().unwrap();
        let Some((parent, last)) = path.rsplit_once('/') else {
            assert_eq!((path, kind), ("", "replace"));
            *document = operation["value"].clone();
            continue;
        };
        let last = last.replace("~1", "/").replace("~0", "~");
        let parent = document.pointer_mut(parent).expect("the path leads somewhere");
        match (parent, kind) {
            (Value::Array(list), "add") if last == "-" => list.push(operation["value"].clone()),
            (Value::Array(list), "add") => {
                list.insert(last.parse().unwrap(), operation["value"].clone());
            }
            (Value::Array(list), "remove") => drop(list.remove(last.parse().unwrap())),
            (Value::Array(list), "replace") => {
                list[last.parse::<usize>().unwrap()] = operation["value"].clone();
            }
            (Value::Object(map), "remove") => assert!(map.shift_remove(&last).is_some()),
            (Value::Object(map), "add") => {
                assert!(map.insert(last, operation["value"].clone()).is_none());
            }
            (Value::Object(map), "replace") => {
                assert!(map.insert(last, operation["value"].clone()).is_some());
            }
            (parent, kind) => panic!("{kind} at {path} in {parent}"),
        }
    }
}
