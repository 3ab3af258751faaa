//! Who is who: the session cookie `sid`, and the name that goes with it.

use std::collections::VecDeque;

/// So many sessions are known at once; beyond, the oldest is forgotten and its owner is a nameless
/// guest.
const SESSIONS_MAX: usize = 500;

/// The known sessions.
#[derive(Debug, Default)]
pub struct Sessions {
    /// Cookie value and display name, oldest first.
    known: VecDeque<(String, String)>,
    /// How many guests there have been, for their names.
    guests: u64,
}

impl Sessions {
    /// Opens a session and returns its cookie value, made of `secret`: whoever guesses it acts
    /// under that session's name, which on a demo's board is all that there is to gain.
    pub fn open(&mut self, name: Option<&str>, secret: u128) -> String {
        let name = name.map_or_else(
            || {
                self.guests += 1;
                format!("Guest {}", self.guests)
            },
            str::to_owned,
        );
        let sid = format!("{secret:032x}");
        if self.known.len() >= SESSIONS_MAX {
            self.known.pop_front();
        }
        self.known.push_back((sid.clone(), name));
        sid
    }

    /// The name that goes with a cookie value.
    pub fn name(&self, sid: &str) -> Option<&str> {
        self.known.iter().find(|(known, _)| known == sid).map(|(_, name)| name.as_str())
    }
}

/// The value of `sid` in the request's cookies.
pub fn sid(headers: &http::HeaderMap) -> Option<&str> {
    headers
        .get_all(http::header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix("sid="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_session_is_forgotten_at_the_cap() {
        let mut sessions = Sessions::default();
        let first = sessions.open(None, 1);
        assert_eq!(sessions.name(&first), Some("Guest 1"));
        for secret in 2..=SESSIONS_MAX as u128 + 1 {
            sessions.open(Some("Mira"), secret);
        }
        assert_eq!(sessions.name(&first), None);
        assert_eq!(sessions.known.len(), SESSIONS_MAX);
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = http::HeaderMap::new();
        assert_eq!(sid(&headers), None);
        headers.insert(http::header::COOKIE, "a=1; sid=x7; b=2".parse().unwrap());
        assert_eq!(sid(&headers), Some("x7"));
    }
}
