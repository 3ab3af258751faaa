//! House rules as tests: a layout outlives its authors only if something holds it.
//!
//! The rules themselves are functions on text (`tidy/rules.rs`, `tidy/imports.rs`); here they run
//! over the repository, and `tidy/offenders.rs` proves that each catches a planted offender.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a rule that is broken fails its test")]

#[path = "tidy/code.rs"]
mod code;
#[path = "tidy/imports.rs"]
mod imports;
#[path = "tidy/offenders.rs"]
mod offenders;
#[path = "tidy/rules.rs"]
mod rules;

use std::fs;
use std::path::{Path, PathBuf};

/// One broken rule: where, and what to do.
#[derive(Debug)]
pub struct Fault {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong and what to do about it.
    pub advice: String,
}

/// Directories that hold what tools made, not what people wrote.
const MADE: [&str; 5] = [".git", "target", "node_modules", "dist", "vectors"];

/// Files that tools write, and binary ones.
const NOT_TEXT: [&str; 6] = [".lock", "package-lock.json", ".png", ".ico", ".woff2", ".gz"];

#[test]
fn imports_point_downwards() {
    let order = imports::rooms(&fs::read_to_string(root().join("src/lib.rs")).unwrap());
    assert!(order.len() > 10, "src/lib.rs lists the rooms in a table: | [`room`] | … |");
    hold(&rust("src/"), |path, text| imports::upward(&order, path, text));
}

#[test]
fn passthrough_imports_no_push_machinery() {
    hold(&rust("src/"), imports::push_machinery);
}

#[test]
fn only_upstream_connects_to_the_origin() {
    hold(&rust("src/"), imports::http_client);
}

#[test]
fn pure_rooms_read_no_clock_socket_or_random_source() {
    hold(&rust("src/"), imports::impure);
}

#[test]
fn files_stay_short() {
    let mut all = scripts("src/");
    all.extend(scripts("tests/"));
    all.extend(rust(""));
    hold(&all, |_, text| rules::long_file(text));
}

#[test]
fn functions_stay_short() {
    hold(&rust(""), |_, text| rules::long_functions(text));
}

#[test]
fn functions_take_few_parameters() {
    hold(&rust("src/"), |_, text| rules::many_parameters(text));
}

#[test]
fn lines_stay_short() {
    hold(&rust(""), |_, text| rules::long_lines(text));
}

#[test]
fn nothing_is_left_undone_or_skipped() {
    hold(&texts(), |_, text| rules::unfinished(text));
}

#[test]
fn no_machine_and_no_registry_is_named() {
    hold(&texts(), |_, text| rules::places(text));
}

/// Fails with every fault of every file, each as `path:line: advice`.
fn hold(files: &[PathBuf], rule: impl Fn(&str, &str) -> Vec<Fault>) {
    assert!(!files.is_empty(), "the rule found no file to look at");
    let mut faults = Vec::new();
    for file in files {
        let path = file.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{path}: {error}"));
        let found = rule(&path, &text);
        faults
            .extend(found.iter().map(|Fault { line, advice }| format!("{path}:{line}: {advice}")));
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below `under`.
fn rust(under: &str) -> Vec<PathBuf> {
    with_ending(under, &["rs"])
}

/// Every script below `under`.
fn scripts(under: &str) -> Vec<PathBuf> {
    with_ending(under, &["js", "mjs", "jsx"])
}

/// Every text file that people write.
fn texts() -> Vec<PathBuf> {
    let text = |path: &PathBuf| !NOT_TEXT.iter().any(|end| path.to_string_lossy().ends_with(end));
    files("").into_iter().filter(text).collect()
}

fn with_ending(under: &str, endings: &[&str]) -> Vec<PathBuf> {
    let fits =
        |path: &PathBuf| path.extension().is_some_and(|end| endings.iter().any(|e| end == *e));
    files(under).into_iter().filter(fits).collect()
}

/// Every file below `under` that people write, in a stable order.
fn files(under: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join(under)];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            let made = MADE.iter().any(|name| entry.file_name() == *name);
            match (kind.is_dir(), made) {
                // A work tree's `.git` is a file.
                (_, true) => {}
                (true, false) => open.push(entry.path()),
                (false, false) => found.push(entry.path()),
            }
        }
    }
    found.sort();
    found
}
