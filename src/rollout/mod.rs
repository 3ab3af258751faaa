//! Mode ladder: how far Pollcast goes for one watch. Pure.

use crate::config::{Config, Mode, Watch};

/// The effective mode of a watch: the lower of its own and the proxy's.
#[must_use]
pub fn effective(config: &Config, watch: &Watch) -> Mode {
    config.mode.min(watch.mode)
}

/// True if any watch gets as far as `mode`.
#[must_use]
pub fn any(config: &Config, mode: Mode) -> bool {
    config.watches.iter().any(|watch| effective(config, watch) >= mode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Glob;

    #[test]
    fn the_lower_mode_counts() {
        let mut config = Config::new(http::Uri::from_static("http://127.0.0.1:1"));
        let mut watch = Watch::new(Glob::new("/api/**").unwrap());
        assert_eq!(effective(&config, &watch), Mode::Push);
        watch.mode = Mode::Observe;
        assert_eq!(effective(&config, &watch), Mode::Observe);
        config.mode = Mode::Off;
        config.watches.push(watch);
        assert!(!any(&config, Mode::Observe));
        config.mode = Mode::Push;
        assert!(any(&config, Mode::Observe) && !any(&config, Mode::Push));
    }
}
