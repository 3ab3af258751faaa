//! Rust source with everything blanked that isn't code, so that rules can look for words and
//! count braces without reading comments, strings and characters.

/// `source` with comments, strings and character literals replaced by spaces; lines stay lines,
/// columns stay columns (in characters).
pub fn blank(source: &str) -> String {
    let all: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    while at < all.len() {
        let end = skip(&all, at);
        if end == at {
            out.push(all[at]);
            at += 1;
        } else {
            out.extend(all[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// Where what begins at `at` and isn't code ends; `at` if it is code.
fn skip(all: &[char], at: usize) -> usize {
    let next = all.get(at + 1).copied();
    match (all[at], next) {
        ('/', Some('/')) => find(all, at, &['\n']),
        ('/', Some('*')) => comment(all, at),
        ('"', _) => string(all, at),
        ('r', Some('"' | '#')) if !after_word(all, at) => raw_string(all, at),
        ('\'', Some('\\')) => find(all, at + 3, &['\'']) + 1,
        // A lifetime has no closing quote two characters on.
        ('\'', Some(_)) if all.get(at + 2) == Some(&'\'') => at + 3,
        _ => at,
    }
    .min(all.len())
}

fn find(all: &[char], from: usize, what: &[char]) -> usize {
    (from..all.len()).find(|&n| all[n..].starts_with(what)).unwrap_or(all.len())
}

/// Block comments nest.
fn comment(all: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut n = at;
    while n < all.len() {
        if all[n..].starts_with(&['/', '*']) {
            depth += 1;
            n += 2;
        } else if all[n..].starts_with(&['*', '/']) {
            depth -= 1;
            n += 2;
            if depth == 0 {
                return n;
            }
        } else {
            n += 1;
        }
    }
    n
}

fn string(all: &[char], at: usize) -> usize {
    let mut n = at + 1;
    while n < all.len() && all[n] != '"' {
        n += if all[n] == '\\' { 2 } else { 1 };
    }
    n + 1
}

fn raw_string(all: &[char], at: usize) -> usize {
    let hashes = all[at + 1..].iter().take_while(|&&c| c == '#').count();
    if all.get(at + 1 + hashes) != Some(&'"') {
        // A raw identifier.
        return at;
    }
    let mut close = vec!['"'];
    close.extend(std::iter::repeat_n('#', hashes));
    find(all, at + 2 + hashes, &close) + close.len()
}

/// True if what stands at `at` belongs to a word that began before it (`br"` is no such word).
fn after_word(all: &[char], at: usize) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    at > 0 && word(all[at - 1]) && !(all[at - 1] == 'b' && (at < 2 || !word(all[at - 2])))
}

/// Line (from 1) and rest of the code behind each `word` that stands alone.
pub fn words<'a>(code: &'a str, word: &str) -> Vec<(usize, &'a str)> {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let alone = |&(at, _): &(usize, &str)| {
        !code[..at].ends_with(part) && !code[at + word.len()..].starts_with(part)
    };
    code.match_indices(word)
        .filter(alone)
        .map(|(at, _)| (line_of(code, at), &code[at + word.len()..]))
        .collect()
}

/// Line, from 1, of a byte offset.
pub fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}
