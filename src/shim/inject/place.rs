//! Where the tag goes: right after `<head>`; where there is none, before the first other element or
//! text, or at the end. Never before the doctype (quirks mode). The parser only tells positions;
//! the page's bytes are never its output.

use lol_html::send::{DocumentContentHandlers, ElementContentHandlers, HtmlRewriter, Settings};
use lol_html::{MemorySettings, Selector};
use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

/// What the parser holds at most: one token (a comment, a tag) and its own state.
const PARSER_BYTES: usize = 256 << 10;
/// How much the parser is fed at once: what it may read beyond the place.
const FEED_BYTES: usize = 4 << 10;
/// The longest byte order mark.
const BOM_BYTES: usize = 3;

/// A parser without output: its sink drops what it is given.
type Parser = HtmlRewriter<'static, fn(&[u8])>;

/// What is known about the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// More of the page is needed.
    Undecided,
    /// Offset in the page, in bytes.
    At(usize),
    /// Not a whole page.
    Fragment,
    /// In an encoding whose bytes aren't a superset of ASCII.
    Encoding,
    /// The parser gave up.
    Failed,
}

/// What the parser saw so far. Behind a mutex because its callbacks must be `Send`; never
/// contended.
struct Seen {
    /// A doctype or an `<html>` was seen, or the browser said that it asks for a document.
    document: bool,
    /// End of the last token that the tag may not precede.
    cursor: usize,
    /// The answer, once there is one. The first one counts.
    verdict: Option<Mark>,
}

/// The first thing that decides.
#[derive(Clone, Copy)]
enum Mark {
    /// Insert here.
    At(usize),
    /// Insert before the first character after the cursor that isn't a space.
    Text,
    /// Something that isn't a whole page begins here.
    Fragment,
}

impl Seen {
    fn decide(&mut self, mark: Mark) {
        if self.verdict.is_none() {
            self.verdict = Some(if self.document { mark } else { Mark::Fragment });
        }
    }

    fn passed(&mut self, end: usize) {
        if self.verdict.is_none() {
            self.cursor = end;
        }
    }

    fn element(&mut self, name: &str, start: usize, end: usize) {
        match name {
            "html" => {
                if self.verdict.is_none() {
                    self.document = true;
                    self.cursor = end;
                }
            }
            "head" => self.decide(Mark::At(end)),
            _ => self.decide(Mark::At(start)),
        }
    }
}

/// Looks for the place as the page arrives.
pub(super) struct Finder {
    /// `None` before the first bytes, or once it failed.
    parser: Option<Parser>,
    /// What the parser's callbacks saw.
    seen: Arc<Mutex<Seen>>,
    /// Bytes of the page that were looked at.
    read: usize,
    /// Length of the byte order mark.
    base: usize,
}

impl Finder {
    /// `document`: the browser said that it asks for a document, so a page needs no doctype to be
    /// one.
    pub(super) fn new(document: bool) -> Self {
        let seen = Seen { document, cursor: 0, verdict: None };
        Self { parser: None, seen: Arc::new(Mutex::new(seen)), read: 0, base: 0 }
    }

    /// `page` is everything decoded so far; it only grows from call to call. Once the answer isn't
    /// [`Verdict::Undecided`], it must not be called again.
    pub(super) fn look(&mut self, page: &[u8], ended: bool) -> Verdict {
        if self.parser.is_none() {
            if page.len() < BOM_BYTES && !ended {
                return Verdict::Undecided;
            }
            // WHATWG HTML, "encoding sniffing": a byte order mark beats every other label.
            if page.starts_with(b"\xff\xfe") || page.starts_with(b"\xfe\xff") {
                return Verdict::Encoding;
            }
            self.base = if page.starts_with(b"\xef\xbb\xbf") { BOM_BYTES } else { 0 };
            self.read = self.base;
            self.parser = parser(&self.seen);
        }
        for chunk in page[self.read..].chunks(FEED_BYTES) {
            if self.parser.as_mut().is_none_or(|parser| parser.write(chunk).is_err()) {
                return Verdict::Failed;
            }
            self.read += chunk.len();
            match self.verdict(page) {
                Verdict::Undecided => {}
                decided => return decided,
            }
        }
        if ended { self.end(page) } else { Verdict::Undecided }
    }

    fn end(&mut self, page: &[u8]) -> Verdict {
        if self.parser.take().is_none_or(|parser| parser.end().is_err()) {
            return Verdict::Failed;
        }
        match self.verdict(page) {
            Verdict::Undecided => {
                let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                let blank = page[self.base..].iter().all(u8::is_ascii_whitespace);
                if seen.document && !blank { Verdict::At(page.len()) } else { Verdict::Fragment }
            }
            decided => decided,
        }
    }

    fn verdict(&self, page: &[u8]) -> Verdict {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.verdict {
            None => Verdict::Undecided,
            Some(Mark::At(at)) => Verdict::At(self.base + at),
            Some(Mark::Fragment) => Verdict::Fragment,
            Some(Mark::Text) => {
                let from = self.base + seen.cursor;
                let rest = page.get(from..).unwrap_or_default();
                let spaces = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
                Verdict::At(from + spaces)
            }
        }
    }
}

/// A parser whose callbacks write into `seen`. It decodes as UTF-8 whatever the page's encoding is:
/// only ASCII matters here, and all encodings that get this far agree on it.
fn parser(seen: &Arc<Mutex<Seen>>) -> Option<Parser> {
    let tell = |seen: &Arc<Mutex<Seen>>| {
        let seen = Arc::clone(seen);
        move |say: &mut dyn FnMut(&mut Seen)| {
            say(&mut seen.lock().unwrap_or_else(PoisonError::into_inner));
        }
    };
    let (element, doctype, comment, text) = (tell(seen), tell(seen), tell(seen), tell(seen));
    let any: Selector = "*".parse().ok()?;
    let elements = ElementContentHandlers::default().element(
        move |found: &mut lol_html::send::Element<'_, '_>| {
            let at = found.source_location().bytes();
            element(&mut |seen| seen.element(&found.tag_name(), at.start, at.end));
            Ok(())
        },
    );
    let document = DocumentContentHandlers::default()
        .doctype(move |found: &mut lol_html::html_content::Doctype<'_>| {
            let end = found.source_location().bytes().end;
            doctype(&mut |seen| {
                seen.passed(end);
                seen.document |= seen.verdict.is_none();
            });
            Ok(())
        })
        .comments(move |found: &mut lol_html::html_content::Comment<'_>| {
            let end = found.source_location().bytes().end;
            comment(&mut |seen| seen.passed(end));
            Ok(())
        })
        .text(move |found: &mut lol_html::html_content::TextChunk<'_>| {
            if found.as_str().contains(|c: char| !c.is_ascii_whitespace()) {
                text(&mut |seen| seen.decide(Mark::Text));
            }
            Ok(())
        });
    let settings = Settings::new_send()
        .with_strict(false)
        .with_memory_settings(MemorySettings::new().with_max_allowed_memory_usage(PARSER_BYTES))
        .append_element_content_handler((Cow::Owned(any), elements))
        .append_document_content_handler(document);
    Some(HtmlRewriter::new(settings, (|_: &[u8]| {}) as fn(&[u8])))
}
