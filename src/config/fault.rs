//! What is wrong with a configuration: where, which key, what, and what to do.

use std::fmt;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// Nowhere in particular: a key that isn't there.
    Nowhere,
    /// Line of the file, from 1.
    Line(usize),
    /// A flag of the command line, with its dashes.
    Flag(&'static str),
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Where to look.
    pub place: Place,
    /// Dotted key; empty if the fault is in no key (syntax, unreadable file).
    pub key: String,
    /// What is wrong, and what to do.
    pub text: String,
}

/// Everything that is wrong with a configuration, in the order of the file. [`fmt::Display`] writes
/// one line per fault, but for a syntax error, which shows the line and a caret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    /// The file as the operator named it; `None` if there is none.
    file: Option<String>,
    /// At least one, sorted by place.
    list: Vec<Fault>,
}

impl Faults {
    pub(super) fn new(file: Option<&str>, mut list: Vec<Fault>) -> Self {
        list.sort_by(|a, b| a.place.cmp(&b.place));
        Self { file: file.map(str::to_owned), list }
    }

    /// How many faults; never 0.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.list.len()
    }
}

impl std::error::Error for Faults {}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.list.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            match (&fault.place, &self.file) {
                (Place::Flag(flag), _) => write!(f, "{flag}: ")?,
                (Place::Line(line), Some(file)) => write!(f, "{file}:{line}: ")?,
                (_, Some(file)) => write!(f, "{file}: ")?,
                (_, None) => {}
            }
            if !fault.key.is_empty() && !matches!(fault.place, Place::Flag(_)) {
                write!(f, "{}: ", fault.key)?;
            }
            f.write_str(&fault.text)?;
        }
        Ok(())
    }
}

/// Line of a byte offset, from 1.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
}

/// The known word nearest to what was written, if one is near enough to be a slip of the keyboard.
pub(super) fn nearest<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let written = written.to_ascii_lowercase();
    known
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&written, word), word))
        .filter(|(distance, word)| *distance <= 1 + word.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}
