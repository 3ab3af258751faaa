//! What the operator reads when a configuration is wrong.

use pollcast::config::parse;

fn faults(text: &str) -> String {
    parse(text, "p.toml").expect_err(text).to_string()
}

/// Each text after a sound first line; each message after `p.toml:2: `.
#[test]
fn each_fault_says_what_and_what_to_do() {
    for (text, want) in
        [("listen = 8080", "listen: must be a string such as \"127.0.0.1:8080\", not an integer")]
    {
        let got = faults(&format!("origin = 'http://127.0.0.1:3000'\n{text}\n"));
        assert_eq!(got, format!("p.toml:2: {want}"), "{text}");
    }
}
