//! Which room may know which: the table in `src/lib.rs` is the order, arrows point downwards.

use crate::Fault;
use crate::code::{blank, words};

/// What pushing is made of.
const PUSH_MACHINERY: [&str; 5] = ["hub", "stream", "watch", "shim", "hint"];

/// Rooms whose outcome depends on their arguments alone.
const PURE: [&str; 4] = ["rollout", "route", "delta", "http"];

/// What a pure room doesn't name: clocks, sockets, tasks, random sources.
const IMPURE: [&str; 9] = [
    "tokio",
    "Instant",
    "SystemTime",
    "fastrand",
    "rand",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "RandomState",
];

/// The rooms of the front page's table, topmost first.
pub fn rooms(front_page: &str) -> Vec<String> {
    let row = |line: &str| {
        let cell = line.strip_prefix("//! | [`")?;
        cell.split_once("`]").map(|(room, _)| room.to_owned())
    };
    front_page.lines().filter_map(row).collect()
}

/// Imports of a room that stands at or above the importing one, or isn't in the table.
pub fn upward(order: &[String], path: &str, text: &str) -> Vec<Fault> {
    let Some(own) = room_of(path).and_then(|room| order.iter().position(|r| r == room)) else {
        return missing_room(path);
    };
    let mut faults = through_the_root(path, text);
    for (line, target) in named_rooms(text) {
        let Some(place) = order.iter().position(|room| *room == target) else {
            continue;
        };
        if place < own {
            let advice = format!(
                "`{}` imports `{target}`, which stands above it in src/lib.rs: hand over what it \
                 needs as an argument or a trait, or move the code",
                order[own],
            );
            faults.push(Fault { line, advice });
        }
    }
    faults
}

/// A file of a room that the table doesn't list.
fn missing_room(path: &str) -> Vec<Fault> {
    match path {
        "src/lib.rs" | "src/main.rs" => Vec::new(),
        _ => vec![fault(1, "this room isn't in the table of src/lib.rs: give it a row there")],
    }
}

/// `super::` of a room's front page is the crate root: a way around the rule.
fn through_the_root(path: &str, text: &str) -> Vec<Fault> {
    let front = path.ends_with("/mod.rs") && path.matches('/').count() == 2;
    if !front && path.matches('/').count() != 1 {
        return Vec::new();
    }
    let code = blank(text);
    let escapes = |&(n, line): &(usize, &str)| {
        let inside = code.lines().take(n).any(|l| l.starts_with("mod ") && l.ends_with('{'));
        (!inside && line.contains("super::")) || line.contains("super::super::")
    };
    let lines = code.lines().enumerate().filter(escapes);
    lines.map(|(n, _)| fault(n + 1, "name the other room by `crate::`, not `super::`")).collect()
}

/// Push machinery in the code that every message crosses.
pub fn push_machinery(path: &str, text: &str) -> Vec<Fault> {
    let dispatch = path.starts_with("src/server/dispatch");
    let passthrough = path.starts_with("src/server/") && !dispatch
        || path.starts_with("src/upstream/") && path != "src/upstream/fetch.rs";
    if !passthrough {
        return Vec::new();
    }
    let pushes = |(_, room): &(usize, String)| PUSH_MACHINERY.contains(&room.as_str());
    let named = named_rooms(text).into_iter().filter(pushes);
    let advice = "passthrough must work whatever becomes of the push machinery: decide in \
                  server/dispatch.rs";
    named.map(|(line, room)| fault(line, &format!("imports `{room}`: {advice}"))).collect()
}

/// Connections to the origin, made elsewhere.
pub fn http_client(path: &str, text: &str) -> Vec<Fault> {
    if !path.starts_with("src/")
        || path.starts_with("src/upstream/")
        || path.starts_with("src/demo/")
    {
        return Vec::new();
    }
    let advice = "only upstream connects to the origin: what it sends must pass the rules there";
    let code = blank(text);
    let lines = (1..).zip(code.lines()).filter(|(_, line)| line.contains("hyper::client"));
    lines.map(|(line, _)| fault(line, advice)).collect()
}

/// Clocks, sockets, tasks and random sources in a pure room (its tests may use them).
pub fn impure(path: &str, text: &str) -> Vec<Fault> {
    let pure = room_of(path).is_some_and(|room| PURE.contains(&room));
    if !pure || path.contains("tests") {
        return Vec::new();
    }
    let code = blank(text);
    let code = before_inline_tests(&code);
    let found =
        IMPURE.iter().flat_map(|name| words(code, name).into_iter().map(move |w| (w, name)));
    let advice = "this room is pure: take the time, the seed or the bytes as an argument";
    found.map(|((line, _), name)| fault(line, &format!("names `{name}`; {advice}"))).collect()
}

/// The code before the module of unit tests, which stands last in its file.
fn before_inline_tests(code: &str) -> &str {
    let inline = |&(at, _): &(usize, &str)| {
        let item = code[at..].find(['{', ';']).map(|end| &code[at + end..]);
        item.is_some_and(|item| item.starts_with('{'))
    };
    let tests = code.match_indices("#[cfg(test)]").find(inline);
    tests.map_or(code, |(at, _)| &code[..at])
}

/// Every room named by a `crate::` path, with its line.
fn named_rooms(text: &str) -> Vec<(usize, String)> {
    let code = blank(text);
    let mut found = Vec::new();
    for (line, rest) in words(&code, "crate") {
        let Some(rest) = rest.strip_prefix("::") else { continue };
        found.extend(heads(rest).into_iter().map(|head| (line, head)));
    }
    found
}

/// First names of a path or of each path of a group: `a::b` is `a`; `{a::{b, c}, d}` is `a`, `d`.
fn heads(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else {
        return vec![word(rest)];
    };
    let mut depth = 0_usize;
    let mut heads = vec![word(group)];
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(word(&group[at + 1..])),
            _ => {}
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

fn word(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// `src/room/…` and `src/room.rs` are of `room`.
fn room_of(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("src/")?;
    rest.split_once('/').map(|(room, _)| room).or_else(|| rest.strip_suffix(".rs"))
}

fn fault(line: usize, advice: &str) -> Fault {
    Fault { line, advice: advice.to_owned() }
}
