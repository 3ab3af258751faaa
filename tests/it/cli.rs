//! The binary, as the shell sees it.

use crate::app::App;
use std::path::Path;
use std::process::{Command, Output};

fn pollcast(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pollcast"));
    command.args(args).current_dir(dir).output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[test]
fn check_says_what_would_run() {
    let dir = tempfile::tempdir().unwrap();
    let text = "\
origin = 'http://127.0.0.1:3000'
mode = 'collapse'
[[watch]]
name = 'events'
path = '/api/events/**'
percent = 25
[[watch]]
path = '/api/jobs'
mode = 'observe'
interval = '30s'
";
    std::fs::write(dir.path().join("mine.toml"), text).unwrap();
    let output = pollcast(dir.path(), &["check", "--config", "mine.toml"]);
    let want = "\
ok
listen 127.0.0.1:8080
origin http://127.0.0.1:3000/
admin  127.0.0.1:9090
mode   collapse
watch  /api/events/** (events): collapse, 25 %, polled as often as the apps
watch  /api/jobs: observe, 100 %, polled every 30s
";
    assert_eq!((stdout(&output), stderr(&output)), (want, ""));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn check_reads_proxy_toml_here_and_names_all_faults() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("proxy.toml"), "mode = 'psh'\n[poll]\nrat = 3\n").unwrap();
    let output = pollcast(dir.path(), &["check", "--listen", "8080", "--watch", "x"]);
    let want = "\
pollcast: 5 faults in the configuration
proxy.toml: origin: is missing: say where the origin is, as in \
origin = \"http://127.0.0.1:3000\" (or --origin)
proxy.toml:1: mode: \"psh\" is unknown: did you mean \"push\"?
proxy.toml:3: poll.rat: no such key: did you mean `rate`?
--listen: \"8080\" is no address to listen on: write an IP address and a port, \
as in \"127.0.0.1:8080\" or \"[::1]:8080\"
--watch: glob `x` must begin with `/` (or `**`): paths do
";
    assert_eq!((stdout(&output), stderr(&output)), ("", want));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_example_checks() {
    let dir = tempfile::tempdir().unwrap();
    let example = pollcast(dir.path(), &["example"]);
    assert_eq!(example.status.code(), Some(0));
    std::fs::write(dir.path().join("proxy.toml"), &example.stdout).unwrap();
    let output = pollcast(dir.path(), &["check"]);
    assert!(stdout(&output).starts_with("ok\n"), "{}", stderr(&output));
    let none = "mode   observe\nwatch  none: nothing is pushed; name what the pages poll\n";
    assert!(stdout(&output).ends_with(none), "{}", stdout(&output));
}

#[test]
fn flags_alone_are_a_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let flags = ["check", "--origin", "http://x:1", "--watch", "/a/**", "--admin", "off"];
    let output = pollcast(dir.path(), &flags);
    let want = "watch  /a/**: push, 100 %, polled as often as the apps\n";
    assert!(stdout(&output).contains("admin  off\n"), "{}", stdout(&output));
    assert!(stdout(&output).ends_with(want), "{}", stdout(&output));
}

#[test]
fn without_the_word_it_is_run() {
    let dir = tempfile::tempdir().unwrap();
    for args in [&["--origin", "x"][..], &["run", "--origin", "x"][..]] {
        let output = pollcast(dir.path(), args);
        let want = "\
pollcast: 1 fault in the configuration
--origin: has no scheme: write \"http://host:port\", \"https://host\" or \
\"unix:/path/of/the.socket\"
";
        assert_eq!((stderr(&output), output.status.code()), (want, Some(2)));
    }
}

#[tokio::test]
async fn status_says_whether_it_is_ready() {
    let origin = crate::origin::Origin::bind().await;
    let app = App::with(origin.addr, "observe", "[timeouts]\nunready = \"1h\"\n").await;
    let dir = tempfile::tempdir().unwrap();
    let admin = app.admin.to_string();
    let output = pollcast(dir.path(), &["status", "--admin", &admin]);
    assert_eq!((stdout(&output), output.status.code()), ("ready\n", Some(0)));
    let text = format!("origin = 'http://x:1'\n[admin]\nlisten = '{admin}'\n");
    std::fs::write(dir.path().join("proxy.toml"), text).unwrap();
    assert_eq!(pollcast(dir.path(), &["status"]).status.code(), Some(0));
    app.signal("-TERM");
    app.logged("leaving").await;
    let output = pollcast(dir.path(), &["status"]);
    let want = ("pollcast: not ready: leaving\n", Some(1));
    assert_eq!((stderr(&output), output.status.code()), want);
    app.signal("-TERM");
    assert_eq!(app.ended().await, Some(130));
    let output = pollcast(dir.path(), &["status"]);
    assert!(stderr(&output).contains(&format!("nobody answers at {admin}: ")));
    assert_eq!(output.status.code(), Some(1));
    let output = pollcast(dir.path(), &["status", "--admin", "off"]);
    assert!(stderr(&output).contains("name it with --admin"), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_wrong_command_line_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for args in [&["--nonsense"][..], &["runn"], &["check", "--origin"], &["demo", "--listen", "x"]]
    {
        let output = pollcast(dir.path(), args);
        assert!(stderr(&output).starts_with("pollcast: "), "{}", stderr(&output));
        assert_eq!(output.status.code(), Some(2), "{args:?}");
    }
    let help = pollcast(dir.path(), &["--help"]);
    assert!(stdout(&help).contains("Usage: pollcast"), "{}", stderr(&help));
    assert_eq!(help.status.code(), Some(0));
}
