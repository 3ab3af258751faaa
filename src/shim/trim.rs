//! Strips comments and white space from the script's parts, and shortens the names of what is ours.
//! Line breaks stay where one may end a statement.
//!
//! A small scanner knows strings, templates, regular expressions and comments. Whether `/` divides
//! or begins a regular expression is told by what stands before it; after `)` and `}` it divides.
//! Where the scanner ends inside something, it has misread, and the source is served as it is.

use super::rename;

/// What the scanner is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// `${…}` of a template, or a block: the depth of its open braces.
    Code(usize),
    /// Between backticks.
    Template,
}

/// Scans `source` once.
struct Scanner<'a> {
    /// What is left.
    rest: &'a str,
    /// What is kept.
    out: String,
    /// Nested templates; the last one is the current one.
    places: Vec<Place>,
    /// What stands between the last token and the next.
    gap: Gap,
}

/// White space between two tokens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    /// None.
    None,
    /// Without a line break.
    Blank,
    /// With one: it may end a statement.
    Line,
}

/// The source without comments and needless white space; itself if it can't be read.
#[must_use]
pub(super) fn trim(source: &str) -> String {
    let mut scanner = Scanner {
        rest: source,
        out: String::with_capacity(source.len()),
        places: vec![],
        gap: Gap::None,
    };
    scanner.places.push(Place::Code(0));
    match scanner.run() {
        Some(()) if scanner.places == [Place::Code(0)] => scanner.out,
        _ => source.to_owned(),
    }
}

impl Scanner<'_> {
    fn run(&mut self) -> Option<()> {
        while let Some(c) = self.rest.chars().next() {
            let place = *self.places.last()?;
            match place {
                Place::Template => self.template(c)?,
                Place::Code(_) if self.skip(c)? => {}
                Place::Code(depth) => {
                    self.settle(c);
                    self.code(c, depth)?;
                }
            }
        }
        Some(())
    }

    fn keep(&mut self, bytes: usize) -> Option<()> {
        let (kept, rest) = self.rest.split_at_checked(bytes)?;
        self.out.push_str(kept);
        self.rest = rest;
        Some(())
    }

    fn template(&mut self, c: char) -> Option<()> {
        match c {
            '`' => {
                self.places.pop();
                self.keep(1)
            }
            '\\' => {
                let escaped = self.rest[1..].chars().next()?;
                self.keep(1 + escaped.len_utf8())
            }
            '$' if self.rest.starts_with("${") => {
                self.places.push(Place::Code(0));
                self.keep(2)
            }
            c => self.keep(c.len_utf8()),
        }
    }

    /// Takes white space and comments. False if there are none here.
    fn skip(&mut self, c: char) -> Option<bool> {
        if self.rest.starts_with("//") {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.rest = &self.rest[end..];
        } else if self.rest.starts_with("/*") {
            self.block_comment()?;
        } else if c.is_whitespace() {
            self.space();
        } else {
            return Some(false);
        }
        Some(true)
    }

    /// One token, or a part of one.
    fn code(&mut self, c: char, depth: usize) -> Option<()> {
        let current = self.places.len() - 1;
        match c {
            '/' if self.divides() => self.keep(1),
            '/' => self.quoted('/'),
            '"' | '\'' => self.quoted(c),
            '`' => {
                self.places.push(Place::Template);
                self.keep(1)
            }
            '{' => {
                self.places[current] = Place::Code(depth + 1);
                self.keep(1)
            }
            '}' if depth > 0 => {
                self.places[current] = Place::Code(depth - 1);
                self.keep(1)
            }
            '}' => {
                // The end of `${…}`; at the outermost level it is one brace too many.
                self.places.pop();
                self.keep(1)
            }
            c if is_word(c) => self.word(),
            c => self.keep(c.len_utf8()),
        }
    }

    /// A name, a keyword or a number.
    fn word(&mut self) -> Option<()> {
        let end = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end)?;
        match rename::renamed(word) {
            Some(short) => self.out.push_str(&short),
            None => self.out.push_str(word),
        }
        self.rest = rest;
        Some(())
    }

    /// A run of white space: one line break if it has any, else one blank.
    fn space(&mut self) {
        let end = self.rest.find(|c: char| !c.is_whitespace()).unwrap_or(self.rest.len());
        let (run, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.gap(run.contains('\n'));
    }

    /// White space, or a comment, between two tokens.
    fn gap(&mut self, line: bool) {
        let gap = if line { Gap::Line } else { Gap::Blank };
        self.gap = self.gap.max(gap);
    }

    /// Writes the white space before a token that begins with `next`, if it means anything.
    fn settle(&mut self, next: char) {
        let gap = std::mem::replace(&mut self.gap, Gap::None);
        let Some(last) = self.out.chars().next_back() else { return };
        let sticks = sticks(last, next);
        match gap {
            Gap::Line if !ends_nothing(last, next) => self.out.push('\n'),
            Gap::Line | Gap::Blank if sticks => self.out.push(' '),
            _ => {}
        }
    }

    fn block_comment(&mut self) -> Option<()> {
        let (comment, rest) = self.rest.split_at(self.rest.find("*/")? + 2);
        self.rest = rest;
        // ECMA-262 §12.4: a comment with a line break counts as a line break.
        self.gap(comment.contains('\n'));
        Some(())
    }

    /// A string or regular expression, up to its closing character on the same line.
    fn quoted(&mut self, close: char) -> Option<()> {
        let (mut escaped, mut class) = (false, false);
        for (at, c) in self.rest.char_indices().skip(1) {
            match c {
                '\n' if !escaped => return None,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                // Inside `[…]` of a regular expression, `/` is itself.
                '[' if close == '/' => class = true,
                ']' if close == '/' => class = false,
                c if c == close && !class => return self.keep(at + 1),
                _ => {}
            }
        }
        None
    }

    /// True if a `/` here is a division: it follows a value.
    fn divides(&self) -> bool {
        let before = self.out.trim_end();
        let word_start = before
            .rfind(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
            .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        match &before[word_start..] {
            "" => before.ends_with([')', ']', '}', '"', '\'', '`', '.']),
            "return" | "typeof" | "case" | "in" | "of" | "void" | "delete" | "throw" | "new"
            | "do" | "else" | "await" | "yield" | "instanceof" => false,
            _ => true,
        }
    }
}

/// True for what names, keywords and numbers are made of.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}

/// True if two tokens would become others without white space between them. When in doubt, true.
fn sticks(last: char, next: char) -> bool {
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '#' | '\\');
    match (last, next) {
        // `1 .toFixed()`, `a ? .5 : b`.
        (last, '.') if last != '/' => last.is_ascii_digit() || last == '?',
        // `<!--` and `-->` begin comments in scripts too (ECMA-262 §B.1.1).
        ('/', _) | (_, '/') | ('+', '+') | ('-', '-' | '>') | ('<', '!') => true,
        (last, next) => word(last) && word(next),
    }
}

/// True if a line break between the two ends no statement (ECMA-262 §12.10.1): the line is
/// plainly unfinished, or the next one can only go on with it. After `}` and `)` it may.
fn ends_nothing(last: char, next: char) -> bool {
    "{([;,=?:&|<>*%^!~".contains(last)
        || "})]".contains(next)
        || next == '.' && !last.is_ascii_digit()
}
