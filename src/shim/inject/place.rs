//! Where the tag goes: right after `<head>`; where there is none, before the first other element or
//! text. Never before the doctype (quirks mode). The parser only tells positions;
//! the page's bytes are never its output.
//!
//! One exception: browsers look for the character encoding in the first kilobyte of a page that
//! has none in its fields (WHATWG HTML, "prescan a byte stream to determine its encoding"). The
//! tag must not push a `<meta charset>` out of there, so it goes after it then, if what stands
//! between runs nothing; else the page is left alone. Looking for it delays nothing: the browser
//! itself shows nothing before it has that kilobyte.

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
/// The longest of [`MAGIC`], and no shorter than a byte order mark.
const MAGIC_BYTES: usize = 4;
/// How a file begins that isn't HTML, whatever its fields say: one more byte in the middle would
/// break it for who saves it. gzip, zstd, zip, PDF, PNG.
const MAGIC: [&[u8]; 5] = [b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"%PDF", b"\x89PNG"];
/// Where browsers look for the character encoding.
const PRESCAN_BYTES: usize = 1024;

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
    /// In an encoding whose bytes aren't a superset of ASCII, or no text at all.
    Encoding,
    /// The tag would hide the page's encoding from the browser.
    Charset,
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
    /// What stands between the place and the encoding's name.
    between: Between,
}

/// What follows the place, as far as it matters.
#[derive(Default)]
struct Between {
    /// End of the first `<meta>` that names the encoding.
    named: Option<usize>,
    /// Something before it could run, or change what the tag means.
    lively: bool,
    /// Text here is a title's.
    title: bool,
}

impl Between {
    fn element(&mut self, element: &lol_html::send::Element<'_, '_>, end: usize) {
        if self.named.is_some() {
            return;
        }
        let name = element.tag_name();
        self.title = name == "title";
        let handler = element.attributes().iter().any(|attr| attr.name().starts_with("on"));
        let pragma = element.get_attribute("http-equiv");
        let names_type = pragma.as_deref().is_some_and(|p| p.eq_ignore_ascii_case("content-type"));
        let content = element.get_attribute("content").unwrap_or_default().to_ascii_lowercase();
        let charset = element.has_attribute("charset") || names_type && content.contains("charset");
        match name.as_str() {
            "meta" if charset => self.named = Some(end),
            // Any other pragma may be a policy that would then come before the tag.
            "meta" if pragma.is_none() => {}
            "title" | "link" if !handler => {}
            "head" | "html" => {}
            _ => self.lively = true,
        }
    }
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

    fn element(&mut self, element: &lol_html::send::Element<'_, '_>) {
        let at = element.source_location().bytes();
        match element.tag_name().as_str() {
            "html" if self.verdict.is_none() => {
                self.document = true;
                self.cursor = at.end;
            }
            "html" => {}
            "head" => self.decide(Mark::At(at.end)),
            _ => self.decide(Mark::At(at.start)),
        }
        if self.verdict.is_some() {
            self.between.element(element, at.end);
        }
    }

    fn text(&mut self) {
        self.decide(Mark::Text);
        self.between.lively |= !self.between.title && self.between.named.is_none();
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
    /// Length of the tag, where it could hide the encoding's name.
    hiding: Option<usize>,
}

impl Finder {
    /// `document`: the browser said that it asks for a document, so a page needs no doctype to be
    /// one. `hiding`: the tag's length, if the browser looks into the page for its encoding.
    pub(super) fn new(document: bool, hiding: Option<usize>) -> Self {
        let seen = Seen { document, cursor: 0, verdict: None, between: Between::default() };
        Self { parser: None, seen: Arc::new(Mutex::new(seen)), read: 0, base: 0, hiding }
    }

    /// `page` is everything decoded so far; it only grows from call to call. Once the answer isn't
    /// [`Verdict::Undecided`], it must not be called again.
    pub(super) fn look(&mut self, page: &[u8], ended: bool) -> Verdict {
        if self.parser.is_none() {
            if page.len() < MAGIC_BYTES && !ended {
                return Verdict::Undecided;
            }
            if MAGIC.iter().any(|magic| page.starts_with(magic)) {
                return Verdict::Encoding;
            }
            // WHATWG HTML, "encoding sniffing": a byte order mark beats every other label.
            if page.starts_with(b"\xff\xfe") || page.starts_with(b"\xfe\xff") {
                return Verdict::Encoding;
            }
            if page.starts_with(b"\xef\xbb\xbf") {
                self.base = BOM_BYTES;
                self.hiding = None;
            }
            self.read = self.base;
            self.parser = parser(&self.seen);
        }
        for chunk in page[self.read..].chunks(FEED_BYTES) {
            if self.parser.as_mut().is_none_or(|parser| parser.write(chunk).is_err()) {
                return Verdict::Failed;
            }
            self.read += chunk.len();
            match self.verdict(page, false) {
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
        match self.verdict(page, true) {
            // Neither element nor text: nothing here polls, and what is open at the end (a comment,
            // a tag) would swallow the tag.
            Verdict::Undecided => Verdict::Fragment,
            decided => decided,
        }
    }

    fn verdict(&self, page: &[u8], ended: bool) -> Verdict {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let at = match seen.verdict {
            None => return Verdict::Undecided,
            Some(Mark::Fragment) => return Verdict::Fragment,
            Some(Mark::At(at)) => self.base + at,
            Some(Mark::Text) => {
                let from = self.base + seen.cursor;
                let rest = page.get(from..).unwrap_or_default();
                from + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
            }
        };
        let Some(tag) = self.hiding else { return Verdict::At(at) };
        match seen.between.named {
            Some(end) if end > PRESCAN_BYTES || end + tag <= PRESCAN_BYTES => Verdict::At(at),
            Some(_) if seen.between.lively => Verdict::Charset,
            Some(end) => Verdict::At(end),
            None if ended || self.read >= PRESCAN_BYTES => Verdict::At(at),
            None => Verdict::Undecided,
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
            element(&mut |seen| seen.element(found));
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
                text(&mut Seen::text);
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
