//! The fuzz targets on stable: every input that a fuzzer ever tripped over, a small corpus, and
//! seeded variations of it. `docs/FUZZING.md` says how the fuzzer itself is run.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking, too")]
#![allow(clippy::expect_used, reason = "a test that can't go on says so")]

mod bodies;

use bodies::TARGETS;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Variations don't grow beyond this.
const LENGTH_AT_MOST: usize = 8 << 10;

/// Variations of a target: sockets are slower than functions.
fn variations(target: &str) -> usize {
    if target == "wire" { 300 } else { 2_000 }
}

/// The stored inputs of a target, by name.
fn inputs(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/vectors").join(target);
    let mut paths: Vec<_> = fs::read_dir(&dir)
        .unwrap_or_else(|error| panic!("{}: {error}", dir.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{target} has no input");
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// The input, if a body's property doesn't hold for it.
fn fault(body: fn(&[u8]), name: &str, data: &[u8]) -> Option<String> {
    let outcome = catch_unwind(AssertUnwindSafe(|| body(data)));
    outcome.is_err().then(|| format!("{name}: {}", data.escape_ascii()))
}

/// An input like the stored ones.
fn variation(random: &mut fastrand::Rng, inputs: &[(PathBuf, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = random.choice(inputs).map_or_else(Vec::new, |(_, bytes)| bytes.clone());
    for _ in 0..random.usize(1..6) {
        let at = random.usize(..=bytes.len());
        let to = (at + random.usize(..12)).min(bytes.len());
        match random.u8(..5) {
            0 if at < bytes.len() => bytes[at] = random.u8(..),
            1 => drop(bytes.drain(at..to)),
            2 => drop(bytes.splice(at..at, (0..random.usize(..4)).map(|_| random.u8(..)))),
            3 => {
                let copy = bytes[at..to].to_vec();
                let there = random.usize(..=bytes.len());
                drop(bytes.splice(there..there, copy));
            }
            _ => {
                let other = &inputs[random.usize(..inputs.len())].1;
                let from = random.usize(..=other.len());
                let end = (from + random.usize(..200)).min(other.len());
                drop(bytes.splice(at..to, other[from..end].iter().copied()));
            }
        }
    }
    bytes.truncate(LENGTH_AT_MOST);
    bytes
}

#[test]
fn stored_inputs_hold() {
    let run = |(target, body): bodies::Target| {
        let run =
            move |(path, data): (PathBuf, Vec<u8>)| fault(body, &path.display().to_string(), &data);
        inputs(target).into_iter().filter_map(run)
    };
    let broken: Vec<_> = TARGETS.into_iter().flat_map(run).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn variations_hold() {
    let run = |(target, body): bodies::Target| {
        let inputs = inputs(target);
        let mut random = fastrand::Rng::with_seed(20);
        (0..variations(target)).find_map(|n| {
            let data = variation(&mut random, &inputs);
            fault(body, &format!("{target}, variation {n}"), &data)
        })
    };
    let broken: Vec<_> = TARGETS.into_iter().filter_map(run).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_folder_is_a_target() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/vectors");
    for entry in fs::read_dir(dir).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(TARGETS.iter().any(|(target, _)| name == *target), "{}", name.display());
    }
}
