//! Rules about one file's text.

use crate::Fault;
use crate::code::{blank, words};

/// Lines of a file.
const FILE_LINES: usize = 400;
/// Lines of a function, from `fn` to its closing brace.
const FUNCTION_LINES: usize = 70;
/// Columns of a line of Rust.
const COLUMNS: usize = 100;
/// Parameters of a function, the receiver included.
const PARAMETERS: usize = 6;

/// A file that should be two.
pub fn long_file(text: &str) -> Vec<Fault> {
    let lines = text.lines().count();
    if lines <= FILE_LINES {
        return Vec::new();
    }
    let advice = format!("{lines} lines, {FILE_LINES} at most: split it by noun");
    vec![Fault { line: FILE_LINES + 1, advice }]
}

/// Functions that should be two.
pub fn long_functions(text: &str) -> Vec<Fault> {
    let code = blank(text);
    let long = |&(line, signature): &(usize, &str)| {
        let lines = body_lines(signature)?;
        let advice = format!("a function of {lines} lines, {FUNCTION_LINES} at most: split it");
        (lines > FUNCTION_LINES).then_some(Fault { line, advice })
    };
    words(&code, "fn").iter().filter_map(long).collect()
}

/// Lines from a signature to its body's closing brace; `None` if it has no body.
fn body_lines(signature: &str) -> Option<usize> {
    let open = signature.find(['{', ';'])?;
    let open = skip_array_types(signature, open);
    if !signature[open..].starts_with('{') {
        return None;
    }
    let mut depth = 0_usize;
    for (at, c) in signature[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return Some(signature[..open + at].matches('\n').count() + 1),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// A `;` inside `[u8; 4]` doesn't end a signature.
fn skip_array_types(signature: &str, mut at: usize) -> usize {
    while signature[..at].matches('[').count() > signature[..at].matches(']').count() {
        match signature[at + 1..].find(['{', ';']) {
            Some(next) => at += 1 + next,
            None => break,
        }
    }
    at
}

/// Functions that take more than a reader can hold.
pub fn many_parameters(text: &str) -> Vec<Fault> {
    let code = blank(text);
    let many = |&(line, signature): &(usize, &str)| {
        let count = parameters(signature);
        let advice =
            format!("{count} parameters, {PARAMETERS} at most: what belongs together is a type");
        (count > PARAMETERS).then_some(Fault { line, advice })
    };
    words(&code, "fn").iter().filter_map(many).collect()
}

/// Parameters of the function whose signature follows `fn`.
fn parameters(signature: &str) -> usize {
    let Some(list) = parameter_list(signature) else { return 0 };
    let mut depth = 0_i32;
    let mut count = 0;
    let mut empty = true;
    let mut before = ' ';
    for c in list.chars() {
        match c {
            '(' | '[' | '<' | '{' => depth += 1,
            // The arrow of a function type closes nothing.
            '>' if before == '-' => {}
            ')' | ']' | '>' | '}' if depth == 0 => break,
            ')' | ']' | '>' | '}' => depth -= 1,
            ',' if depth == 0 => {
                count += 1;
                empty = true;
            }
            _ => {}
        }
        empty &= c.is_whitespace() || (c == ',' && depth == 0);
        before = c;
    }
    count + usize::from(!empty)
}

/// What follows the parenthesis that opens the parameters: the first outside the generics.
fn parameter_list(signature: &str) -> Option<&str> {
    let mut depth = 0_i32;
    let mut before = ' ';
    for (at, c) in signature.char_indices() {
        match c {
            '<' => depth += 1,
            '>' if before != '-' => depth -= 1,
            '(' if depth == 0 => return Some(&signature[at + 1..]),
            '{' | ';' => return None,
            _ => {}
        }
        before = c;
    }
    None
}

/// Lines that don't fit beside another file.
pub fn long_lines(text: &str) -> Vec<Fault> {
    let long = |(n, line): (usize, &str)| {
        let columns = line.chars().count();
        let advice = format!("{columns} columns, {COLUMNS} at most: break the line");
        (columns > COLUMNS).then_some(Fault { line: n + 1, advice })
    };
    text.lines().enumerate().filter_map(long).collect()
}

/// Work left for later, tests left out, rooms without a noun.
pub fn unfinished(text: &str) -> Vec<Fault> {
    // Written apart, or this file would break the rule it holds.
    let bans = [
        (concat!("to", "do!"), "finish it, or leave it out"),
        (concat!("unimple", "mented!"), "finish it, or leave it out"),
        (concat!("TO", "DO"), "do it now, or file an issue"),
        (concat!("FIX", "ME"), "mend it now, or file an issue"),
        (concat!("XX", "X"), "say what is meant"),
        (concat!("#[ig", "nore"), "a test that doesn't run proves nothing: mend it or delete it"),
        (concat!("mod uti", "ls"), "name the noun that the code is about"),
        (concat!("mod com", "mon"), "name the noun that the code is about"),
    ];
    banned(text, &bans)
}

/// Paths of somebody's machine, hosts of package registries: true in one place only.
pub fn places(text: &str) -> Vec<Fault> {
    let path = "say the path from the repository's root, or let the caller name it";
    let host = "name the package, not where it is kept";
    let bans = [
        (concat!("/wo", "rk/"), path),
        (concat!("/ro", "ot/"), path),
        (concat!("/ho", "me/"), path),
        (concat!("/Us", "ers/"), path),
        (concat!("crates", ".io"), host),
        (concat!("registry.npm", "js.org"), host),
        (concat!("npm", "js.com"), host),
        (concat!("py", "pi.org"), host),
        (concat!("deb.deb", "ian.org"), host),
    ];
    banned(text, &bans)
}

/// Every place where a banned text stands alone (not inside a longer word or path).
fn banned(text: &str, bans: &[(&str, &str)]) -> Vec<Fault> {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let mut faults = Vec::new();
    for (n, line) in text.lines().enumerate() {
        for (ban, advice) in bans {
            let alone = |&(at, _): &(usize, &str)| {
                let inside = ban.ends_with(part) && line[at + ban.len()..].starts_with(part);
                !line[..at].ends_with(part) && !inside
            };
            if line.match_indices(ban).any(|hit| alone(&hit)) {
                faults.push(Fault { line: n + 1, advice: format!("`{ban}`: {advice}") });
            }
        }
    }
    faults
}
