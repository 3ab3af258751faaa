//! Round trips and sizes.

use super::json::string_len;
use super::patch::diff;
use super::*;
use proptest::prelude::*;
use serde_json::Value;

/// A body of `n` rows, some 118 KB for 1,000.
fn rows(n: usize) -> Vec<String> {
    let row = |i: usize| {
        let hash = i.wrapping_mul(2_654_435_761) % 1_000_003;
        format!(
            concat!(
                r#"{{"id":{},"title":"Ticket {}","owner":"user{}","done":{},"#,
                r#""at":"2026-11-23T10:{:02}:{:02}Z","score":{}.50}}"#
            ),
            i,
            hash,
            hash % 97,
            hash.is_multiple_of(2),
            hash % 60,
            i % 60,
            hash % 10_007
        )
    };
    (0..n).map(row).collect()
}

fn body(rows: &[String]) -> String {
    format!("{{\"rows\":[{}],\"total\":{}}}", rows.join(","), rows.len())
}

/// Proves a delta, and returns its length on the wire.
fn proved(old: &str, new: &str) -> usize {
    let delta = Delta::any_between(old, new);
    let wire = delta.ops_json();
    assert_eq!(wire.len(), delta.encoded_len());
    let ops: Vec<Op> = serde_json::from_str(&wire).unwrap();
    assert_eq!(ops, delta.ops());
    let built = apply(old, &ops).unwrap();
    assert_eq!(built, new);
    wire.len()
}

#[test]
fn usual_changes_are_small() {
    let old = rows(1000);
    let text = body(&old);
    let size = |edit: &dyn Fn(&mut Vec<String>)| {
        let mut new = old.clone();
        edit(&mut new);
        proved(&text, &body(&new))
    };
    let new_row = rows(1001).remove(1000);
    let flip = |row: &mut String| *row = row.replace("Ticket ", "Bug ");

    let one_field = size(&|rows| flip(&mut rows[500]));
    assert!(one_field <= 36, "one field: {one_field}");
    let in_front = size(&|rows| rows.insert(0, new_row.clone()));
    assert!(in_front <= 149, "a row in front: {in_front}");
    let removed = size(&|rows| drop(rows.remove(0)));
    assert!(removed <= 60, "the first row removed: {removed}");
    let moved = size(&|rows| rows.rotate_right(1));
    assert!(moved <= 60, "the last row to the front: {moved}");
    let ten = size(&|rows| rows.iter_mut().step_by(100).for_each(flip));
    assert!(ten <= 210, "ten rows: {ten}");
    let fifth = size(&|rows| rows.iter_mut().step_by(5).for_each(flip));
    assert!(fifth <= 5_000, "one row in five changed: {fifth}");
    let shuffled = size(&|rows| {
        for i in (0..995).step_by(5) {
            rows.swap(i, (i * 7 + 3) % 1000);
        }
    });
    assert!(shuffled <= 20_000, "one row in five moved: {shuffled}");
}

#[test]
fn fifty_rows_and_a_row_in_front() {
    let all = rows(51);
    let in_front = proved(&body(&all[1..]), &body(&all));
    assert!(in_front <= all[0].len() + 50, "{in_front}");
}

#[test]
fn repetitive_texts_stay_linear() {
    // Without caps each of these takes minutes.
    let a = "a".repeat(200_000);
    let mixed = "ab".repeat(50_000) + "x" + &"ab".repeat(50_000);
    let other = "ba".repeat(30_000) + "y" + &"ab".repeat(70_000);
    let zeros = "0,".repeat(100_000);
    for (old, new) in [(&a, &mixed), (&mixed, &a), (&mixed, &other), (&zeros, &mixed), (&a, &zeros)]
    {
        proved(old, new);
    }
    let holes: String = (0..8_000).map(|i| "a".repeat(24) + &i.to_string()).collect();
    proved(&a, &holes);
    proved(&holes, &a);
}

#[test]
fn a_delta_is_none_where_the_body_is_better() {
    assert_eq!(Delta::between("{\"a\":1}", "{\"a\":2}"), None);
    assert_eq!(Delta::between("", "full"), None);
    assert_eq!(Delta::between(&"x".repeat(100), ""), None);
    let noise: String = (0..4000_u32).map(|i| char::from(b'a' + (i * i % 23) as u8)).collect();
    assert_eq!(Delta::between(&"0".repeat(4000), &noise), None);
    let old = body(&rows(3));
    assert!(Delta::between(&old, &old.replace("true", "false")).is_some());
}

#[test]
fn wrong_operations_are_refused() {
    let copy = |offset, len| [Op::Copy { offset, len }];
    assert_eq!(apply("abc", &copy(1, 3)), Err(ApplyError::Range));
    assert_eq!(apply("abé", &copy(4, 0)), Err(ApplyError::Range));
    assert_eq!(apply("abc", &copy(usize::MAX, usize::MAX)), Err(ApplyError::Range));
    assert_eq!(apply("a😀", &copy(0, 2)), Err(ApplyError::Surrogate));
    for wrong in ["[[1]]", "[[1,2,3]]", "[[-1,2]]", "[1]", "[{}]", "[[1.5,2]]"] {
        assert!(serde_json::from_str::<Vec<Op>>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn patches_are_array_aware() {
    let all = rows(51);
    let (old, new) = (body(&all[1..]), body(&all));
    let patch = diff(&old, &new).unwrap();
    let total = r#"{"op":"replace","path":"/total","value":51}"#;
    let row = &all[0];
    assert_eq!(patch, format!(r#"[{{"op":"add","path":"/rows/0","value":{row}}},{total}]"#));
    let back = diff(&new, &old).unwrap();
    assert_eq!(
        back,
        r#"[{"op":"remove","path":"/rows/0"},{"op":"replace","path":"/total","value":50}]"#
    );
    let changed = old.replace(r#""id":20,"#, r#""id":20,"new/~\"":99999999999999999999.50,"#);
    assert_eq!(
        diff(&old, &changed).unwrap(),
        r#"[{"op":"add","path":"/rows/19/new~1~0\"","value":99999999999999999999.50}]"#
    );
}

#[test]
fn patches_keep_to_what_every_parser_reads_alike() {
    let pad = format!(r#""pad":"{}""#, "x".repeat(200));
    let with = |text: &str| format!("{{{pad},{text}}}");
    let ok = |old: &str, new: &str| diff(&with(old), &with(new));
    let one = r#"[{"op":"replace","path":"/a","value":1.0}]"#;
    assert_eq!(ok(r#""a":1"#, r#""a":1.0"#).as_deref(), Some(one));
    assert_eq!(ok(r#""a":1,"b":"A""#, r#" "b" : "\u0041", "a" : 1"#).as_deref(), Some("[]"));
    assert_eq!(ok(r#""a":1"#, r#""a":1,"\u0061":1"#), None);
    assert_eq!(ok(r#""a":1,"a":1"#, r#""a":1"#), None);
    assert_eq!(ok(r#""\ud800":1"#, r#""\ud800":2"#), None);
    assert_eq!(ok(r#""a":01"#, r#""a":1"#), None);
    let lone = r#"[{"op":"replace","path":"/a","value":"\ud800"}]"#;
    assert_eq!(ok(r#""a":1"#, r#""a":"\ud800""#).as_deref(), Some(lone));
    let deep = |n: usize| format!("\"a\":{}{}", "[".repeat(n), "]".repeat(n));
    assert!(ok(&deep(127), r#""a":1"#).is_some());
    assert_eq!(ok(&deep(128), r#""a":1"#), None);
    assert_eq!(ok(&deep(100_000), r#""a":1"#), None);
    assert_eq!(diff("[1,2]", "[3,4]"), None);
    assert_eq!(diff("<p>", "<b>"), None);
    // What serde_json keeps for itself is a key like any other.
    let private = r#"[{"op":"replace","path":"/$serde_json::private::Number","value":"2"}]"#;
    let (old, new) =
        (r#""$serde_json::private::Number":"1""#, r#""$serde_json::private::Number":"2""#);
    assert_eq!(ok(old, new).as_deref(), Some(private));
}

#[test]
fn a_patch_that_outgrows_the_body_is_cut_off() {
    let key = "k".repeat(5_000);
    let list =
        |from: u32| (from..from + 5_000).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let text = |from| format!(r#"{{"{key}":[{}],"z":{from}}}"#, list(from));
    assert_eq!(diff(&text(0), &text(100_000)), None);
}

/// A JSON value as text, with short names so that edits meet.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "null|true|false",
        "-?(0|[1-9][0-9]{0,22})(\\.[0-9]{1,3})?(e[+-]?[0-9])?",
        "[ab~/\"é😀\\n]{0,5}".prop_map(|text| Value::from(text).to_string()),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        let members = prop::collection::btree_map("[abcd]|id|~/|é\"", inner.clone(), 0..5);
        prop_oneof![
            prop::collection::vec(inner, 0..8).prop_map(|list| format!("[{}]", list.join(","))),
            members.prop_map(|members| {
                let member = |(name, value)| format!("{}: {value}", Value::from(name));
                format!("{{{}}}", members.into_iter().map(member).collect::<Vec<_>>().join(", "))
            }),
        ]
    })
}

/// Two lists that share most elements.
fn edited_lists() -> impl Strategy<Value = (String, String)> {
    let indices = || prop::collection::vec(0..12_usize, 0..14);
    (prop::collection::vec(json(), 12), indices(), indices()).prop_map(|(pool, a, b)| {
        let list = |picks: Vec<usize>| {
            let picked: Vec<&str> = picks.iter().map(|&i| pool[i].as_str()).collect();
            format!("{{\"list\":[{}],\"pad\":\"{}\"}}", picked.join(","), "p".repeat(300))
        };
        (list(a), list(b))
    })
}

fn check_patch(old: &str, new: &str) -> Result<(), TestCaseError> {
    if let Some(patch) = diff(old, new) {
        prop_assert!(patch.len() < new.len());
        let mut value: Value = serde_json::from_str(old).unwrap();
        let ops: json_patch::Patch = serde_json::from_str(&patch).unwrap();
        json_patch::patch(&mut value, &ops).unwrap();
        prop_assert_eq!(value, serde_json::from_str::<Value>(new).unwrap(), "{}", patch);
    }
    Ok(())
}

fn check_delta(old: &str, new: &str) -> Result<(), TestCaseError> {
    proved(old, new);
    if let Some(delta) = Delta::between(old, new) {
        let envelope = r#""from":"0123456789abcdef0123456789abcdef","ops":"#.len();
        let snapshot = r#""status":200,"body":"#.len() + string_len(new);
        prop_assert!(envelope + delta.encoded_len() <= snapshot);
        prop_assert!(delta.encoded_len() * 2 <= string_len(new));
    }
    Ok(())
}

proptest! {
    #[test]
    fn lists_round_trip((old, new) in edited_lists()) {
        check_delta(&old, &new)?;
        check_patch(&old, &new)?;
    }

    #[test]
    fn any_json_round_trips(old in json(), new in json(), pad in "x{0,200}") {
        let pad = |text: &str| format!("{{\"pad\":\"{pad}\",\"value\":{text}}}");
        check_delta(&old, &new)?;
        check_patch(&pad(&old), &pad(&new))?;
    }

    #[test]
    fn any_text_round_trips(old in "\\PC{0,40}", new in "\\PC{0,40}") {
        check_delta(&old, &new)?;
    }

    #[test]
    fn pieces_of_any_script_round_trip(
        pool in prop::collection::vec("([a-c]{12}|é|😀|😁|\u{301}|\r\n|\"){1,6}", 1..6),
        old in prop::collection::vec(0..6_usize, 0..30),
        new in prop::collection::vec(0..6_usize, 0..30),
    ) {
        let text = |picks: &[usize]| -> String {
            picks.iter().map(|i| pool[i % pool.len()].as_str()).collect()
        };
        check_delta(&text(&old), &text(&new))?;
    }
}
