//! Says what became of pages: to the counters each time, to the log once for each reason.

use super::{Outcome, Report};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Why a page is left without the tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why {
    /// A page in XML.
    Xhtml,
    /// No media type, or several.
    MediaType,
    /// A content coding that can't be rewritten.
    Coding,
    /// Characters in which the tag would mean something else.
    Characters,
    /// The tag would hide the encoding's name.
    Charset,
    /// `Cache-Control: no-transform`.
    NoTransform,
    /// Its policies, and which of their rules.
    Policy(&'static str),
    /// HTML, but not a whole page.
    Fragment,
    /// Broken coding, or no head within the limit.
    Broken,
}

impl Why {
    fn outcome(self) -> Outcome {
        match self {
            Self::Xhtml | Self::MediaType => Outcome::NotHtml,
            Self::Coding | Self::Characters | Self::Charset => Outcome::Encoding,
            Self::NoTransform => Outcome::NoTransform,
            Self::Policy(_) => Outcome::Csp,
            Self::Fragment => Outcome::Fragment,
            Self::Broken => Outcome::Failed,
        }
    }

    /// A word for machines, and a sentence for people.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Xhtml => ("xhtml", "it is XML, application/xhtml+xml"),
            Self::MediaType => ("media-type", "it has no Content-Type, or several"),
            Self::Coding => ("coding", "its content coding is unknown, or there are several"),
            Self::Characters => ("characters", "its characters aren't a superset of ASCII"),
            Self::Charset => (
                "charset",
                "its encoding is named at the end of its first kilobyte, after a script",
            ),
            Self::NoTransform => ("no-transform", "it says Cache-Control: no-transform"),
            Self::Policy(rule) => (rule, "its policies block the script or its stream"),
            Self::Fragment => ("fragment", "it isn't a whole page"),
            Self::Broken => ("broken", "its coding is broken, or its head is too far down"),
        }
    }
}

/// Tells; clones share what was said.
#[derive(Clone)]
pub(super) struct Teller {
    /// The counters.
    report: Report,
    /// Reasons that were logged: each is said once, not once per page. Never held across an await.
    said: Arc<Mutex<BTreeSet<Why>>>,
}

impl Teller {
    pub(super) fn new(report: Report) -> Self {
        Self { report, said: Arc::default() }
    }

    /// The tag is in.
    pub(super) fn injected(&self) {
        (self.report)(Outcome::Injected);
    }

    /// Not a page that could be meant.
    pub(super) fn not_html(&self) {
        (self.report)(Outcome::NotHtml);
    }

    /// The page crosses as it came.
    pub(super) fn left_alone(&self, why: Why) {
        (self.report)(why.outcome());
        if self.said.lock().unwrap_or_else(PoisonError::into_inner).insert(why) {
            let (reason, sentence) = why.words();
            tracing::info!(reason, "a page is left without the script tag: {sentence}");
        }
    }
}
