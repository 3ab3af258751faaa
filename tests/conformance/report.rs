//! `docs/CONFORMANCE.md`, written from the cases.

use crate::case::{Case, Side};
use std::fmt::Write as _;

/// The page's beginning.
const FRONT: &str = "\
# Conformance

What crosses Pollcast, what doesn't, and by which rule. This page is written from the cases in
`tests/conformance/cases/`, each of which is played as raw bytes between a client and an origin that
records what it gets: through Pollcast, which must do what the case says, and through Debian's nginx
(streaming, HTTP/1.1 kept alive to the origin, `Host` passed on), whose differences are listed with
their reason. `UPDATE_CONFORMANCE=1 cargo test --test conformance` writes it anew; without that, a
page that doesn't equal the cases fails the test.

*same*: byte for byte what is expected of Pollcast, but for the forwarding fields, which nginx isn't
told to write, and `Date`, `Server` and `Connection` of answers, which it makes up.
";

/// The whole page.
pub fn page(cases: &[Case], chapters: &[(&'static str, &str)]) -> String {
    let mut text = String::from(FRONT);
    let known: Vec<&Case> = cases.iter().filter(|case| case.known.is_some()).collect();
    let nginx = cases.iter().filter(|case| case.nginx.is_some()).count();
    let _ = writeln!(
        text,
        "\n{} cases; nginx does otherwise in {nginx}, Pollcast in {}.",
        cases.len(),
        known.len(),
    );
    if !known.is_empty() {
        text.push_str(
            "\n## Where Pollcast falls short\n\n| case | what happens instead |\n|---|---|\n",
        );
        for case in known {
            let instead = case.known.as_deref().unwrap_or_default();
            let _ = writeln!(text, "| {} | {} |", cell(&case.name), cell(instead));
        }
    }
    for (file, title) in chapters {
        let _ =
            write!(text, "\n## {title}\n\n| case | rule | Pollcast | nginx |\n|---|---|---|---|\n");
        for case in cases.iter().filter(|case| case.file == *file) {
            let nginx = case.nginx.as_deref().unwrap_or("same");
            let short = if case.known.is_some() { " (falls short)" } else { "" };
            let (name, ours) = (cell(&case.name), result(case));
            let _ = writeln!(text, "| {name} | {} | {ours}{short} | {} |", case.rule, cell(nginx));
        }
    }
    text
}

/// What becomes of the request, and what the client sees.
fn result(case: &Case) -> String {
    let (origin, client) = (case.expected(Side::Origin), case.expected(Side::Client));
    let crossing = if origin.is_empty() { "not forwarded" } else { "crosses" };
    let text = String::from_utf8_lossy(&client);
    let mut seen: Vec<&str> = Vec::new();
    for line in text.split("\r\n") {
        let status = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
        seen.extend(status.or_else(|| line.strip_prefix("{own ").and_then(|rest| rest.get(..3))));
    }
    let closed = if text.ends_with("[closed]") { ", closed" } else { "" };
    let seen = if seen.is_empty() { String::new() } else { format!(", {}", seen.join(", ")) };
    format!("{crossing}{seen}{closed}")
}

/// A text that can stand in a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
