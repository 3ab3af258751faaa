//! Each rule catches a planted offender, at its line, and lets its neighbour pass.

use crate::code::blank;
use crate::{Fault, imports, rules};
use std::fmt::Write as _;

fn lines(faults: &[Fault]) -> Vec<usize> {
    faults.iter().map(|fault| fault.line).collect()
}

fn order() -> Vec<String> {
    imports::rooms("//! | [`server`] | …\n//! | [`hub`] | …\n//! | [`watch`] | …\n//! | other |\n")
}

#[test]
fn comments_strings_and_characters_are_no_code() {
    let source = "a // \"b\n/* c /* d */ e */ f \"g\\\"h\" 'i' '\\'' r#\"j\"k\"# <'l> br\"m\" n";
    assert_eq!(blank(source).split_whitespace().collect::<String>(), "af<'l>bn");
    assert_eq!(blank(source).chars().count(), source.chars().count());
}

#[test]
fn an_import_upwards_is_caught() {
    let text = "use crate::watch::Poller;\n// use crate::hub;\nuse crate::{\n  error::Error,\n  \
                hub::{Hub, x},\n};\nfn f() { crate::server::run(\"crate::server\") }\n";
    assert_eq!(order(), ["server", "hub", "watch"]);
    assert_eq!(lines(&imports::upward(&order(), "src/watch/poller.rs", text)), [3, 7]);
    assert_eq!(lines(&imports::upward(&order(), "src/hub/topic.rs", text)), [7]);
    assert_eq!(lines(&imports::upward(&order(), "src/server/mod.rs", text)), [] as [usize; 0]);
}

#[test]
fn a_way_around_by_the_crate_root_is_caught() {
    let text = "use super::hub::Hub;\nmod tests {\n    use super::*;\n}\n";
    assert_eq!(lines(&imports::upward(&order(), "src/watch/mod.rs", text)), [1]);
    assert!(imports::upward(&order(), "src/watch/poller.rs", text).is_empty());
}

#[test]
fn a_room_that_is_not_listed_is_caught() {
    assert_eq!(lines(&imports::upward(&order(), "src/attic/mod.rs", "")), [1]);
    assert!(imports::upward(&order(), "src/main.rs", "use pollcast::app;").is_empty());
}

#[test]
fn push_machinery_in_passthrough_is_caught() {
    let text = "use crate::http::Body;\nuse crate::{error::Error, shim};\n";
    assert_eq!(lines(&imports::push_machinery("src/server/h1.rs", text)), [2]);
    assert_eq!(lines(&imports::push_machinery("src/upstream/forward.rs", text)), [2]);
    assert!(imports::push_machinery("src/server/dispatch.rs", text).is_empty());
}

#[test]
fn a_second_http_client_is_caught() {
    let text = "// hyper::client\nuse hyper::client::conn::http1;\n";
    assert_eq!(lines(&imports::http_client("src/hub/mod.rs", text)), [2]);
    assert!(imports::http_client("src/upstream/exchange.rs", text).is_empty());
}

#[test]
fn a_clock_in_a_pure_room_is_caught() {
    let text =
        "fn f(now: Duration) {}\nuse std::time::Instant;\n#[cfg(test)]\nmod tests { tokio }\n";
    assert_eq!(lines(&imports::impure("src/delta/ops.rs", text)), [2]);
    assert!(imports::impure("src/watch/poller.rs", text).is_empty());
    let after = "#[cfg(test)]\nmod tests;\nfn f() { fastrand::u8() }\n";
    assert_eq!(lines(&imports::impure("src/delta/mod.rs", after)), [3]);
}

#[test]
fn length_is_caught() {
    assert_eq!(lines(&rules::long_file(&"x\n".repeat(401))), [401]);
    assert!(rules::long_file(&"x\n".repeat(400)).is_empty());
    let wide = format!("short\n{}\n{}\n", "é".repeat(101), "é".repeat(100));
    assert_eq!(lines(&rules::long_lines(&wide)), [2]);
}

#[test]
fn a_long_function_is_caught() {
    let mut text = String::from("fn short() -> [u8; 2] {\n    [0, b'}']\n}\n");
    text.push_str("trait T { fn none(&self, a: [u8; 3]); }\n");
    let body = "    call(\"{\"); // {\n".repeat(69);
    write!(text, "impl X {{\npub fn long() {{\n{body}}}\n}}\n").unwrap();
    assert_eq!(lines(&rules::long_functions(&text)), [6]);
    let fits = text.replacen("    call(\"{\"); // {\n", "", 1);
    assert!(rules::long_functions(&fits).is_empty());
}

#[test]
fn a_parameter_too_many_is_caught() {
    let text = "fn six(&self, a: (A, B), b: Map<C, D>, c: fn(E, F) -> G, d: H, e: I,) {}\n\
                fn seven<F: Fn(u8, u8) -> u8>(a: A, b: B, c: C, d: D, e: E, f: F, g: G) {}\n";
    assert_eq!(lines(&rules::many_parameters(text)), [2]);
}

#[test]
fn work_left_undone_is_caught() {
    let bans = [
        "to+do!()",
        "unimple+mented!()",
        "// TO+DO: x",
        "FIX+ME",
        "// XX+X",
        "#[ig+nore]",
        "#[ig+nore = \"slow\"]",
        "mod uti+ls;",
        "pub mod com+mon {",
    ];
    for ban in bans {
        let planted = format!("fine\n{}\n", ban.replace('+', ""));
        assert_eq!(lines(&rules::unfinished(&planted)), [2], "{ban}");
    }
    assert!(
        rules::unfinished(
            "a XX+XL size; mod com+monplace; the todo list\n".replace('+', "").as_str()
        )
        .is_empty()
    );
}

#[test]
fn a_machine_or_a_registry_is_caught() {
    let bans = [
        "see /wo+rk/x",
        "(/ro+ot/.profile",
        "\"/ho+me/ann/x\"",
        "https://crates+.io/x",
        "https://registry.npm+js.org/y",
    ];
    for ban in bans {
        let planted = format!("fine\n{}\n", ban.replace('+', ""));
        assert_eq!(lines(&rules::places(&planted)), [2], "{ban}");
    }
    assert!(rules::places("net/wo+rk/x and /api/wo+rk\n".replace('+', "").as_str()).is_empty());
}
