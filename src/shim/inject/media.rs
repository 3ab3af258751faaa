//! What a response says of its body: whether it is HTML to be shown, and in which characters.

use http::{HeaderMap, HeaderValue, StatusCode, header};

/// True if a browser could show the body of such a response as a page of its own.
pub(super) fn may_be_page(status: StatusCode, headers: &HeaderMap) -> bool {
    let shown = status.is_success() || status.is_client_error() || status.is_server_error();
    let whole = !matches!(
        status,
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::PARTIAL_CONTENT
    );
    shown && whole && !headers.contains_key(header::CONTENT_RANGE)
}

/// What a body is, to a browser that navigates to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// HTML.
    Html,
    /// A page in XML. Its parser has other rules of where a script may stand, and one wrong byte
    /// costs the whole page.
    Xhtml,
    /// No media type, or several: each browser guesses in its own way.
    Unsaid,
    /// Anything else, or not to be shown at all.
    Other,
}

impl Media {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let saved = headers.get(header::CONTENT_DISPOSITION).is_some_and(|value| {
            let text = value.as_bytes().trim_ascii_start();
            text.get(..10).is_some_and(|kind| kind.eq_ignore_ascii_case(b"attachment"))
        });
        if saved {
            return Self::Other;
        }
        match media_type(headers).map(|(essence, _)| essence.trim().to_ascii_lowercase()) {
            None => Self::Unsaid,
            Some(html) if html == "text/html" => Self::Html,
            Some(xhtml) if xhtml == "application/xhtml+xml" => Self::Xhtml,
            Some(_) => Self::Other,
        }
    }
}

/// The media type and its parameters; `None` if there isn't exactly one.
fn media_type(headers: &HeaderMap) -> Option<(&str, &str)> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let text = values.next()?.to_str().ok()?;
    let parts = text.split_once(';').unwrap_or((text, ""));
    values.next().is_none().then_some(parts)
}

/// The character encoding that the media type names, in lower case.
pub(super) fn charset(headers: &HeaderMap) -> Option<String> {
    let (_, parameters) = media_type(headers)?;
    let charset = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then_some(value)
    })?;
    let label = charset.trim().trim_matches(['"', '\'']).trim().to_ascii_lowercase();
    (!label.is_empty()).then_some(label)
}

/// False for the encodings (WHATWG Encoding, §4.2) in which the tag's bytes, or the page's own
/// `<`, mean something else.
pub(super) fn ascii_superset(label: &str) -> bool {
    let others = [
        "utf-16",
        "utf16",
        "utf-32",
        "utf-7",
        "ucs-",
        "unicode",
        "csunicode",
        "iso-2022",
        "csiso2022",
        "iso-10646-ucs",
        "hz-",
        "replacement",
    ];
    !others.iter().any(|prefix| label.starts_with(prefix))
}

/// True if browsers surely know this label, so that they don't look into the page for another. Not
/// the whole list of WHATWG Encoding §4.2: a label that isn't known here costs a page nothing but
/// that its first kilobyte is looked at.
pub(super) fn settles(label: &str) -> bool {
    let known = ["utf-8", "utf8", "iso-8859-", "windows-12", "us-ascii", "shift_jis", "euc-", "gb"];
    known.iter().any(|prefix| label.starts_with(prefix))
}

/// False if the response asks intermediaries to leave its body as it is (RFC 9110 §7.7).
pub(super) fn transformable(headers: &HeaderMap) -> bool {
    !super::fields::lists(headers, &header::CACHE_CONTROL, "no-transform")
}

/// True if scripts must prove their integrity, which a tag without a digest can't.
pub(super) fn wants_integrity(headers: &HeaderMap) -> bool {
    let script = |value: &HeaderValue| value.to_str().is_ok_and(|text| text.contains("script"));
    headers.get_all("integrity-policy").iter().any(script)
}
