//! Request targets without cache busters, and with a fresh one.
//!
//! A cache buster is a parameter of a configured name with a long number in its value (`t=books` is
//! a question), or a parameter (or a bare query) whose value is the current time in seconds or
//! milliseconds. It is no part of a topic: otherwise each poll would be a topic of its own. The
//! page's script holds the same rule.

/// A value this close to now counts as the current time. No wider than that: `from=` an hour ago,
/// or `since=` the last answer, is a question, and another answer. A browser whose clock differs by
/// more only gets topics of its own.
const TIME_SLACK_MS: u64 = 2_000;

/// A request target split where cache busters stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// As the client sent it.
    raw: String,
    /// Without cache busters: what a topic's key is made of.
    canonical: String,
    /// A value was taken for a cache buster because it was the current time.
    guessed: bool,
}

impl Target {
    /// `raw` is path and query. `now_ms` is the wall clock.
    #[must_use]
    pub fn new(raw: &str, busters: &[String], now_ms: u64) -> Self {
        let (canonical, guessed) = rewrite(raw, busters, now_ms, None);
        Self { raw: raw.to_owned(), canonical, guessed }
    }

    /// Without cache busters.
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// True if a value was taken for a cache buster because it was the current time, not by its
    /// name.
    #[must_use]
    pub fn is_guessed(&self) -> bool {
        self.guessed
    }

    /// True if by one of two clocks a parameter is a cache buster, and by the other a question: the
    /// same target is then about two topics.
    #[must_use]
    pub fn is_disputed(raw: &str, busters: &[String], clocks_ms: [u64; 2]) -> bool {
        let [one, other] = clocks_ms.map(|now_ms| rewrite(raw, busters, now_ms, None).0);
        one != other
    }

    /// Path without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.raw.split_once('?').map_or(self.raw.as_str(), |(path, _)| path)
    }

    /// What a central poll asks for: each cache buster says `now_ms`.
    #[must_use]
    pub fn fresh(&self, busters: &[String], then_ms: u64, now_ms: u64) -> String {
        if self.raw == self.canonical {
            return self.raw.clone();
        }
        rewrite(&self.raw, busters, then_ms, Some(now_ms)).0
    }
}

/// Drops each cache buster, or gives it the time `fresh`. True if one was known by its value only.
fn rewrite(raw: &str, busters: &[String], now_ms: u64, fresh: Option<u64>) -> (String, bool) {
    let Some((path, query)) = raw.split_once('?') else {
        return (raw.to_owned(), false);
    };
    let mut kept = Vec::new();
    let (mut found, mut guessed) = (false, false);
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or(("", pair));
        let unit = time_unit(value, now_ms);
        let named = has_long_number(value) && busters.iter().any(|buster| buster == name);
        if !named && unit.is_none() {
            kept.push(pair.to_owned());
            continue;
        }
        found = true;
        guessed |= !named;
        if let Some(fresh) = fresh {
            let value = fresh / unit.unwrap_or(1);
            let separator = if pair.contains('=') { "=" } else { "" };
            kept.push(format!("{name}{separator}{value}"));
        }
    }
    let out = match (found, kept.is_empty()) {
        (false, _) => raw.to_owned(),
        (true, true) => path.to_owned(),
        (true, false) => format!("{path}?{}", kept.join("&")),
    };
    (out, guessed)
}

/// True for a time, or a random number, in any notation.
fn has_long_number(value: &str) -> bool {
    const LONG: usize = 8;
    value.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() >= LONG)
}

/// 1000 if the value is the current time in seconds, 1 if in milliseconds.
fn time_unit(value: &str, now_ms: u64) -> Option<u64> {
    let unit = match value.len() {
        10 => 1000,
        13 => 1,
        _ => return None,
    };
    if !value.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let at = value.parse::<u64>().ok()?.checked_mul(unit)?;
    (at.abs_diff(now_ms) <= TIME_SLACK_MS).then_some(unit)
}

/// The wall clock, in milliseconds since 1970. Only cache busters need it.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "cache busters are wall-clock times")]
pub fn unix_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_790_000_000_000;

    fn busters() -> Vec<String> {
        ["_", "t"].map(str::to_owned).to_vec()
    }

    #[test]
    fn cache_busters_are_no_part_of_it() {
        for (raw, canonical) in [
            ("/a", "/a"),
            ("/a?", "/a?"),
            ("/a?x=1", "/a?x=1"),
            ("/a?_=12345678", "/a"),
            ("/a?_=0.12345678", "/a"),
            ("/a?t=books", "/a?t=books"),
            ("/a?t=5", "/a?t=5"),
            ("/a?x=1&_=1234567890123&y", "/a?x=1&y"),
            ("/a?1790000000123", "/a"),
            ("/a?when=1790000000", "/a"),
            ("/a?when=1790000000000&x=1", "/a?x=1"),
            ("/a?id=1590000000", "/a?id=1590000000"),
            ("/a?since=1789999990", "/a?since=1789999990"),
            ("/a?t", "/a?t"),
            ("/a?_x=12345678", "/a?_x=12345678"),
        ] {
            assert_eq!(Target::new(raw, &busters(), NOW).canonical(), canonical, "{raw}");
        }
    }

    #[test]
    fn a_central_poll_carries_a_fresh_one() {
        let later = NOW + 5_000;
        for (raw, fresh) in [
            ("/a?x=1", "/a?x=1"),
            ("/a?x=1&_=55555555&y", "/a?x=1&_=1790000005000&y"),
            ("/a?1790000000123", "/a?1790000005000"),
            ("/a?when=1790000000", "/a?when=1790000005"),
        ] {
            let target = Target::new(raw, &busters(), NOW);
            assert_eq!(target.fresh(&busters(), NOW, later), fresh, "{raw}");
        }
    }
}
