//! `pollcast check`: all faults, or what would run.

use super::{Exit, refuse, refuse_files, say};
use crate::config::{Config, Interval, Source};
use crate::server::Tls;
use std::fmt::Write as _;

pub(super) fn check(source: &Source) -> Exit {
    match source.load() {
        Ok(config) => match Tls::load(&config.tls) {
            Ok(_) => say(&summary(&config)),
            Err(fault) => refuse_files(&fault),
        },
        Err(faults) => refuse(&faults),
    }
}

fn summary(config: &Config) -> String {
    let tls = if config.tls.files().is_some() { " (TLS)" } else { "" };
    let mut out = format!("ok\nlisten {}{tls}\norigin {}\n", config.listen, config.origin);
    let admin = config.admin.listen.map_or("off".to_owned(), |address| address.to_string());
    let mode = config.mode;
    // Writing to a string can't fail.
    let _ = writeln!(out, "admin  {admin}\nmode   {mode}");
    if config.watches.is_empty() {
        let _ = writeln!(out, "watch  none: nothing is pushed; name what the pages poll");
    }
    for watch in &config.watches {
        let interval = match watch.interval {
            Interval::Auto => "as often as the apps".to_owned(),
            Interval::Every(every) => format!("every {}", humantime::format_duration(every)),
        };
        let (name, path, mode) = (&watch.name, watch.path.as_str(), watch.mode.min(config.mode));
        let name = if name == path { String::new() } else { format!(" ({name})") };
        let percent = watch.percent;
        let _ = writeln!(out, "watch  {path}{name}: {mode}, {percent} %, polled {interval}");
    }
    out
}
