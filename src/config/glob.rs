//! Path globs, matched the same in Rust and in the page.
//!
//! Format: `*` is any run of characters but `/`; `**` is any run at all; `?` is one character but
//! `/`; `{a,b}` is one of the alternatives (not nested); everything else is itself. A glob begins
//! with `/` or `**`. `/api/**` matches `/api/x` and `/api/x/y`, and `/api` itself. One regular
//! expression serves both engines.

use std::fmt::Write as _;

/// A checked glob.
#[derive(Clone, Debug)]
pub struct Glob {
    /// As written.
    text: String,
    /// Anchored at both ends; a subset of syntax that Rust and JavaScript share.
    regex: regex::Regex,
}

/// Why a glob isn't one. The text says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// It could never match a path.
    #[error("glob `{0}` must begin with `/` (or `**`): paths do")]
    Start(String),
    /// `{` without `}` or the reverse, or nested.
    #[error("glob `{0}` has an unbalanced or nested `{{`: write `{{a,b}}`")]
    Brace(String),
    /// Longer than 512 bytes, or with a control character.
    #[error(
        "glob `{0}` is too long, or has a `#`, a space or a control character: a path never has"
    )]
    Characters(String),
}

impl Glob {
    /// Checks a glob.
    ///
    /// # Errors
    /// [`GlobError`] names the fault.
    pub fn new(text: &str) -> Result<Self, GlobError> {
        if !text.starts_with('/') && !text.starts_with("**") {
            return Err(GlobError::Start(text.to_owned()));
        }
        if text.len() > 512 || text.contains(|c: char| c.is_control() || c == ' ' || c == '#') {
            return Err(GlobError::Characters(text.to_owned()));
        }
        let source = regex_source(text).ok_or_else(|| GlobError::Brace(text.to_owned()))?;
        let regex = regex::Regex::new(&source).map_err(|_| GlobError::Brace(text.to_owned()))?;
        Ok(Self { text: text.to_owned(), regex })
    }

    /// True if the whole path matches. `path` has no query.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        self.regex.is_match(path)
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The regular expression, for the page's script.
    #[must_use]
    pub fn regex_source(&self) -> &str {
        self.regex.as_str()
    }
}

fn regex_source(text: &str) -> Option<String> {
    let mut out = String::from("^");
    let mut in_brace = false;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if rest == "/**" {
            out.push_str("(?:/.*)?");
            break;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            '*' if rest.starts_with('*') => {
                rest = &rest[1..];
                out.push_str(".*");
            }
            '*' => out.push_str("[^/]*"),
            '?' => out.push_str("[^/]"),
            '{' if in_brace => return None,
            '{' => {
                in_brace = true;
                out.push_str("(?:");
            }
            '}' if !in_brace => return None,
            '}' => {
                in_brace = false;
                out.push(')');
            }
            ',' if in_brace => out.push('|'),
            c if c.is_ascii_alphanumeric()
                || matches!(c, '/' | '_' | '-' | '%' | '~')
                || !c.is_ascii() =>
            {
                out.push(c)
            }
            c => write!(out, "\\{c}").ok()?,
        }
    }
    if in_brace {
        return None;
    }
    out.push('$');
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_documented() {
        for (glob, path, want) in [
            ("/api/**", "/api/x", true),
            ("/api/**", "/api/x/y", true),
            ("/api/**", "/api", true),
            ("/api/**", "/apix", false),
            ("/api/*", "/api/x", true),
            ("/api/*", "/api/x/y", false),
            ("/api/?", "/api/x", true),
            ("/api/?", "/api/xy", false),
            ("/{a,b}/c", "/b/c", true),
            ("/{a,b}/c", "/d/c", false),
            ("/a.json", "/axjson", false),
            ("**/list", "/x/y/list", true),
            ("/a+b(c)", "/a+b(c)", true),
        ] {
            assert_eq!(Glob::new(glob).unwrap().matches(path), want, "{glob} {path}");
        }
    }

    #[test]
    fn refuses_what_could_never_match() {
        for bad in ["api/**", "", "/a/{b", "/a}b", "/{a,{b}}", "/a b", "/a#b"] {
            assert!(Glob::new(bad).is_err(), "{bad}");
        }
    }
}
