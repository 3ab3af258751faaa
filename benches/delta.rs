//! What a delta costs, by size of the body and kind of change: `cargo bench --bench delta`.

use divan::{Bencher, black_box};
use pollcast::delta::{Delta, check, patch};

fn main() {
    divan::main();
}

/// Rows in a body: some 5 KB, 110 KB and 1.1 MB.
const ROWS: [usize; 3] = [50, 1_000, 10_000];

fn rows(n: usize) -> Vec<String> {
    let row = |i: usize| {
        let hash = i.wrapping_mul(2_654_435_761) % 1_000_003;
        format!(
            r#"{{"id":{i},"title":"Ticket {hash}","owner":"user{}","done":{},"score":{}.50}}"#,
            hash % 97,
            hash.is_multiple_of(2),
            hash % 10_007
        )
    };
    (0..n).map(row).collect()
}

fn body(rows: &[String]) -> String {
    format!("{{\"rows\":[{}],\"total\":{}}}", rows.join(","), rows.len())
}

/// A body before and after each kind of change.
fn pair(n: usize, change: &str) -> (String, String) {
    let old = rows(n);
    let mut new = old.clone();
    match change {
        "one field" => new[n / 2] = new[n / 2].replace("Ticket", "Bug"),
        "row in front" => new.insert(0, rows(n + 1).remove(n)),
        "last to front" => new.rotate_right(1),
        "every fifth row moved" => (0..n - 5).step_by(5).for_each(|i| new.swap(i, (i * 7 + 3) % n)),
        _ => {
            new = (0..n)
                .map(|i| format!("{{\"other\":\"{:x}\"}}", i.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
                .collect()
        }
    }
    (body(&old), body(&new))
}

const CHANGES: [&str; 5] =
    ["one field", "row in front", "last to front", "every fifth row moved", "all"];

#[divan::bench(args = CHANGES, consts = ROWS)]
fn between<const N: usize>(bencher: Bencher, change: &str) {
    let (old, new) = pair(N, change);
    bencher.bench_local(|| Delta::between(black_box(&old), black_box(&new)));
}

#[divan::bench(args = CHANGES, consts = ROWS)]
fn json_patch<const N: usize>(bencher: Bencher, change: &str) {
    let (old, new) = pair(N, change);
    bencher.bench_local(|| patch::diff(black_box(&old), black_box(&new)));
}

#[divan::bench(consts = ROWS)]
fn checksum<const N: usize>(bencher: Bencher) {
    let text = body(&rows(N));
    bencher.bench_local(|| check(black_box(&text)));
}
