//! The configuration file: input is its text.

use pollcast::config;

/// A file is read, or every fault says where it is; nothing else happens.
pub fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match config::parse(&text, "proxy.toml") {
        Ok(config) => {
            assert!(config.origin.authority().is_some());
            assert!(config.prefix.starts_with('/') && !config.prefix.ends_with('/'));
            assert!(config.poll.min_interval <= config.poll.default_interval);
        }
        Err(faults) => {
            let said = faults.to_string();
            assert!(faults.len() > 0 && !said.is_empty());
            let lines = text.lines().count().max(1) + 1;
            for place in said.lines().filter_map(|line| line.strip_prefix("proxy.toml:")) {
                let line = place.split(':').next().unwrap_or_default();
                let line = line.parse::<usize>().unwrap_or(1);
                assert!((1..=lines).contains(&line), "{said}");
            }
        }
    }
}
