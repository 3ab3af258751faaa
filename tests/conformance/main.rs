//! Conformance: one case per behaviour of a plain HTTP proxy, played as raw bytes through Pollcast
//! and through nginx. `case.rs` has the form of a case; `CASE=text` plays only those whose name
//! contains the text.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking, too")]
#![allow(clippy::print_stdout, reason = "what is skipped is said")]

mod case;
mod frames;
mod http2;
mod play;
mod report;
mod subject;
mod text;
mod wire;

use case::{Case, Protocol, Side};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Arc;
use subject::{Kind, Subject};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How many cases are played at once: each has a process of its own.
const AT_ONCE: usize = 16;

/// Every file of cases: what its chapter is called, and its text.
const CHAPTERS: [(&str, &str, &str); 9] = [
    ("target.txt", "Request targets and methods", include_str!("cases/target.txt")),
    ("fields.txt", "Fields of requests", include_str!("cases/fields.txt")),
    ("forwarding.txt", "Forwarding fields", include_str!("cases/forwarding.txt")),
    ("refused.txt", "Requests that are refused", include_str!("cases/refused.txt")),
    ("bodies.txt", "Bodies and trailers", include_str!("cases/bodies.txt")),
    ("answers.txt", "Answers", include_str!("cases/answers.txt")),
    ("interim.txt", "Interim answers and upgrades", include_str!("cases/interim.txt")),
    ("life.txt", "Lives of requests and connections", include_str!("cases/life.txt")),
    ("h2.txt", "HTTP/2 without TLS", include_str!("cases/h2.txt")),
];

fn cases() -> Vec<Case> {
    CHAPTERS.iter().flat_map(|(file, _, text)| case::read(file, text).unwrap()).collect()
}

/// Plays every case through one proxy. Returns each with how it differs from what is expected.
async fn play_all(kind: Kind) -> Vec<(Case, String)> {
    let wanted = std::env::var("CASE").unwrap_or_default();
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    let mut under_way = JoinSet::new();
    for case in cases().into_iter().filter(|case| case.name.contains(&wanted)) {
        let gate = Arc::clone(&gate);
        under_way.spawn(async move {
            let _turn = gate.acquire_owned().await.unwrap();
            let difference = differs(kind, &case).await;
            (case, difference)
        });
    }
    under_way.join_all().await
}

async fn differs(kind: Kind, case: &Case) -> String {
    let origin = wire::Origin::bind().await;
    let addr = origin.addr();
    let subject = Subject::start(kind, case, addr).await;
    let got = play::play(case, origin, subject.addr).await;
    let client = text::expected_client(&case.expected(Side::Client), kind);
    let mut origin = text::expected_origin(&case.expected(Side::Origin), kind);
    let got_client = text::client(&got.client, &client, kind, case.raw == Some(Side::Client));
    let mut got_origin = text::origin(&got.origin, addr, kind, case.raw == Some(Side::Origin));
    if kind == Kind::Nginx && case.protocol != Protocol::Http1 {
        // Fields of HTTP/2 have no case; whoever writes them into HTTP/1.1 may choose.
        origin.make_ascii_lowercase();
        got_origin.make_ascii_lowercase();
    }
    text::difference("origin", &origin, &got_origin)
        + &text::difference("client", &client, &got_client)
}

/// Fails with every case that does otherwise without a reason, or has a reason and does not.
fn judge(played: Vec<(Case, String)>, reason: impl Fn(&Case) -> Option<String>) {
    let mut faults = String::new();
    for (case, difference) in played {
        let what = match (reason(&case), difference.is_empty()) {
            (None, false) => difference,
            (Some(reason), true) => format!("  does as expected, though listed: {reason}\n"),
            _ => continue,
        };
        let _ = writeln!(faults, "\n{}: {}\n{what}", case.file, case.name);
    }
    assert!(faults.is_empty(), "{faults}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pollcast_does_what_every_case_says() {
    judge(play_all(Kind::Pollcast).await, |case| case.known.clone());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_does_otherwise_only_where_it_is_listed() {
    if subject::nginx_is_there() {
        judge(play_all(Kind::Nginx).await, |case| case.nginx.clone());
    }
}

#[test]
fn names_are_unique() {
    let mut seen = HashSet::new();
    let doubled = cases().into_iter().find(|case| !seen.insert(case.name.clone()));
    assert!(doubled.is_none(), "{doubled:?}");
}

#[test]
fn the_page_says_what_the_cases_say() {
    let page = report::page(&cases(), &CHAPTERS.map(|(file, title, _)| (file, title)));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/CONFORMANCE.md");
    if std::env::var_os("UPDATE_CONFORMANCE").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == page, "run with UPDATE_CONFORMANCE=1: docs/CONFORMANCE.md is out of date");
}
