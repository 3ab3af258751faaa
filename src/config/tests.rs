//! The example can't lie: it is held against the table of keys and against the defaults.

use super::keys::{SECTIONS, WATCH};
use super::*;

/// The example with every commented-out line in force.
fn uncommented() -> String {
    let lines = EXAMPLE.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => rest,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn example_runs_as_it_is() {
    let config = parse(EXAMPLE, "proxy.toml.example").unwrap();
    let want = Config::new(http::Uri::from_static("http://127.0.0.1:3000"));
    assert_eq!(format!("{config:?}"), format!("{want:?}"));
}

#[test]
fn example_shows_the_defaults() {
    let config = parse(&uncommented(), "proxy.toml.example").unwrap();
    let mut want = Config::new(http::Uri::from_static("http://127.0.0.1:3000"));
    let mut watch = Watch::new(Glob::new("/api/events/**").unwrap());
    watch.name = "events".to_owned();
    want.watches.push(watch);
    assert_eq!(format!("{config:?}"), format!("{want:?}"));
}

#[test]
fn example_has_every_key_once_and_in_order() {
    let mut table = String::new();
    let mut shown = Vec::new();
    for line in uncommented().lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_matches(['[', ']']).to_owned();
        } else if let Some((name, _)) = line.split_once('=') {
            shown.push(format!("{table}.{}", name.trim()));
        }
    }
    let mut known = Vec::new();
    for section in SECTIONS {
        known.extend(section.keys.iter().map(|key| format!("{}.{}", section.name, key.name)));
        if section.name == "identity" {
            known.extend(WATCH.iter().map(|key| format!("watch.{}", key.name)));
        }
    }
    assert_eq!(shown, known);
}

#[test]
fn values_of_every_kind_arrive() {
    let text = r#"
        listen = "[::1]:0"
        origin = "http://api.internal"
        mode = "collapse"
        prefix = "/_/push"
        identity = { headers = ["X-Api-Key"], cookies = ["sid"], irrelevant = ["X-B3-*"] }
        [[watch]]
        path = "/a/**"
        interval = "30s"
        percent = 25
        hints = ["write:/b"]
        ignore = ["/a~1b/~01/*"]
        [admin]
        listen = "off"
        [log]
        level = "warn,pollcast::watch=debug"
        format = "json"
        [limits]
        body = "2 MB"
        topics = 1_000
        [poll]
        settle = ["0s", "2s"]
    "#;
    let config = parse(text, "t").unwrap();
    assert_eq!(config.listen.to_string(), "[::1]:0");
    assert_eq!(config.origin.to_string(), "http://api.internal/");
    assert_eq!((config.mode, config.prefix.as_str()), (Mode::Collapse, "/_/push"));
    assert_eq!(config.identity.headers, ["x-api-key"]);
    assert_eq!(config.identity.irrelevant, ["x-b3-*"]);
    let watch = &config.watches[0];
    assert_eq!(watch.interval, Interval::Every(std::time::Duration::from_secs(30)));
    assert_eq!((watch.percent, watch.name.as_str()), (25, "/a/**"));
    assert!(watch.write_hints[0].matches("/b"));
    assert_eq!(watch.ignore, [["a/b", "~1", "*"]]);
    assert_eq!(config.admin.listen, None);
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!((config.limits.body, config.limits.topics), (2_000_000, 1000));
    assert_eq!(config.poll.settle[1].as_secs(), 2);
}

#[test]
fn flags_go_over_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.toml");
    std::fs::write(&path, "origin='http://a:1'\n[[watch]]\npath='/x'\n").unwrap();
    let flags = Flags {
        origin: Some("http://b:2".to_owned()),
        watch: vec!["/y".to_owned(), "/z".to_owned()],
        admin: Some("off".to_owned()),
        ..Flags::default()
    };
    let config = Source { file: Some(path.clone()), flags }.load().unwrap();
    assert_eq!(config.origin.to_string(), "http://b:2/");
    let paths: Vec<_> = config.watches.iter().map(|watch| watch.path.as_str()).collect();
    assert_eq!(paths, ["/y", "/z"]);
    assert_eq!(config.mode, Mode::Push);
    assert_eq!(load(&path).unwrap().watches.len(), 1);
}

#[test]
fn without_a_watch_it_observes() {
    let flags = Flags { origin: Some("http://b:2".to_owned()), ..Flags::default() };
    let config = Source { file: None, flags: flags.clone() }.load().unwrap();
    assert_eq!(config.mode, Mode::Observe);
    let flags = Flags { mode: Some("off".to_owned()), ..flags };
    assert_eq!(Source { file: None, flags }.load().unwrap().mode, Mode::Off);
}

#[tokio::test]
async fn a_replaced_file_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.toml");
    std::fs::write(&path, "one").unwrap();
    let mut follow = watch_file(&path).unwrap();
    // As editors do: a new file, renamed over the old one.
    std::fs::write(dir.path().join("new"), "two").unwrap();
    std::fs::rename(dir.path().join("new"), &path).unwrap();
    follow.changed().await;
    std::fs::write(&path, "three").unwrap();
    follow.changed().await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_swapped_link_is_noticed() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for (version, text) in [("v1", "one"), ("v2", "two")] {
        std::fs::create_dir(at(version)).unwrap();
        std::fs::write(at(version).join("p.toml"), text).unwrap();
    }
    symlink("v1", at("..data")).unwrap();
    symlink("..data/p.toml", at("p.toml")).unwrap();
    let mut follow = watch_file(&at("p.toml")).unwrap();
    // As Kubernetes does for a mounted ConfigMap.
    symlink("v2", at("..tmp")).unwrap();
    std::fs::rename(at("..tmp"), at("..data")).unwrap();
    follow.changed().await;
}
