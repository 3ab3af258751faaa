//! What the operator reads when a configuration is wrong.

use pollcast::config::{Faults, load, parse};
use std::path::Path;

/// Cases: the file, `=>`, the message; `---` between them. A first line with a sound origin is put
/// before each file.
const CASES: &str = include_str!("faults.txt");

#[test]
fn each_fault_says_what_and_what_to_do() {
    let mut wrong = String::new();
    for case in CASES.split("\n---\n") {
        let (text, want) = case.split_once("\n=>\n").expect(case);
        let file = format!("origin = \"http://127.0.0.1:3000\"\n{text}\n");
        let got = match parse(&file, "p.toml") {
            Ok(_) => "no fault".to_owned(),
            Err(faults) => faults.to_string(),
        };
        if got != want.trim_end() {
            wrong.extend([text, "\n=>\n", got.as_str(), "\n---\n"]);
        }
    }
    assert!(wrong.is_empty(), "these now read:\n{wrong}");
}

#[test]
fn origins_are_http_and_nothing_more() {
    for (origin, want) in [
        ("127.0.0.1:3000", "has no scheme: {ADVICE}"),
        ("ftp://x", "has an unknown scheme: {ADVICE}"),
        ("unix:app.sock", "is no path of a socket: {ADVICE}"),
        (
            "http://user:secret@x",
            "must not carry a user name or password: take them out; \
             Pollcast forwards each client's own credentials",
        ),
        (
            "http://x/api",
            "must not have a path, query or fragment: take it out; \
             requests keep the path they come with",
        ),
        (
            "http://x?y",
            "must not have a path, query or fragment: take it out; \
             requests keep the path they come with",
        ),
        ("http://x:0", "names no host or port 0: {ADVICE}"),
        ("http://x:99999", "has a port that is no port: {ADVICE}"),
        ("http://", "is no URL: {ADVICE}"),
        (
            "http://localhost:8080",
            "http://localhost:8080/ is where Pollcast itself listens: name the server behind it",
        ),
    ] {
        let faults = parse(&format!("origin = '{origin}'"), "p.toml").unwrap_err();
        let advice = "write \"http://host:port\", \"https://host\" or \
                      \"unix:/path/of/the.socket\"";
        let want = want.replace("{ADVICE}", advice);
        assert_eq!(faults.to_string(), format!("p.toml:1: origin: {want}"));
    }
    for origin in [
        "http://x",
        "http://x:1/",
        "http://[::1]:3000",
        "http://my_service:3000",
        "https://x",
        "unix:/run/app.sock",
    ] {
        parse(&format!("origin = '{origin}'"), "p.toml").expect(origin);
    }
}

#[test]
fn all_faults_come_together_in_the_order_of_the_file() {
    let text = "\
lisen = \"127.0.0.1:1\"
mode = 3
[[watch]]
path = \"/a\"
percent = 200
[[watch]]
hints = [\"tag:x\", \"redis:y\"]
[poll]
rate = \"fast\"
timeout = \"1s\"
min_interval = \"1m\"
[limits]
bodies = 1
";
    let faults: Faults = parse(text, "p.toml").unwrap_err();
    let got = faults.to_string();
    let keys: Vec<_> = got.lines().map(|line| line.splitn(4, ':').take(3).collect()).collect();
    let keys: Vec<String> = keys.into_iter().map(|parts: Vec<_>| parts.join(":")).collect();
    let want = [
        "p.toml: origin: is missing",
        "p.toml:1: lisen",
        "p.toml:2: mode",
        "p.toml:5: watch.percent",
        "p.toml:6: watch.path",
        "p.toml:7: watch.hints",
        "p.toml:7: watch.hints",
        "p.toml:9: poll.rate",
        "p.toml:11: poll.min_interval",
        "p.toml:13: limits.bodies",
    ];
    assert_eq!(keys, want, "{got}");
    assert_eq!(faults.len(), want.len());
}

#[test]
fn a_file_that_is_not_there_says_so() {
    let got = load(Path::new("/nowhere/p.toml")).unwrap_err().to_string();
    let advice = "name a file that is there, or begin with `pollcast example > proxy.toml`";
    assert!(got.starts_with("/nowhere/p.toml: can't be read: "), "{got}");
    assert!(got.ends_with(advice), "{got}");
}
