//! The rules for a request's head that a parser of HTTP/1.1 leaves open, line by line.
//!
//! The HTTP library mends what RFC 9112 lets a server mend: of two equal `Content-Length` it drops
//! one, beside `Transfer-Encoding` it drops it. Whoever sends such a message wants it read in two
//! ways by two servers, so that here nothing is mended.

use super::refuse::Refusal;
use memchr::memchr;

/// How the body is framed (RFC 9112 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
    /// No longer messages: a WebSocket handshake, behind which anything may come.
    Tunnel,
}

/// What is known of a head so far.
#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts of one head")]
pub(super) struct Head {
    /// True once the request line has been seen.
    begun: bool,
    /// Number of fields.
    fields: usize,
    /// HTTP/1.0, which has neither `Host` nor transfer codings.
    old: bool,
    /// True if the target names the host, as an absolute form does.
    absolute: bool,
    /// The first fault.
    fault: Option<Refusal>,
    /// Number of `Host` lines.
    hosts: usize,
    /// Of the one `Content-Length`.
    length: Option<u64>,
    /// True if there is `Transfer-Encoding`.
    chunked: bool,
    /// True if there is `Upgrade: websocket`.
    websocket: bool,
}

impl Head {
    /// Number of fields so far.
    pub(super) fn fields(&self) -> usize {
        self.fields
    }

    /// True once the request line has been seen.
    pub(super) fn begun(&self) -> bool {
        self.begun
    }

    /// Takes one line, without its end. `Some` at the empty line that ends the head: the body's
    /// framing, or why the request isn't let in.
    pub(super) fn line(
        &mut self,
        line: &[u8],
        target_limit: usize,
    ) -> Option<Result<Framing, Refusal>> {
        if line.is_empty() {
            // RFC 9112 §2.2: "a server that is expecting to receive and parse a request-line SHOULD
            // ignore at least one empty line (CRLF) received prior to the request-line".
            return self.begun.then(|| self.end());
        }
        if self.begun {
            self.fields += 1;
            self.fault = self.fault.or_else(|| self.field(line).err());
        } else {
            self.begun = true;
            self.fault = self.request_line(line, target_limit).err();
        }
        None
    }

    fn request_line(&mut self, line: &[u8], target_limit: usize) -> Result<(), Refusal> {
        let mut words = line.split(|&byte| byte == b' ');
        let mut word = || words.next().unwrap_or_default();
        let (method, target, version, more) = (word(), word(), word(), words.next());
        self.old = version == b"HTTP/1.0";
        self.absolute = target.windows(3).take(16).any(|at| at == b"://");
        // RFC 9112 §3.2: the four forms of a target.
        let form = match target {
            [b'/', ..] => true,
            b"*" => method == b"OPTIONS",
            _ => self.absolute || method == b"CONNECT",
        };
        // A fragment is the client's own affair (RFC 9110 §4.2.5): one that comes is a fault.
        let clean = !target.iter().any(|&byte| is_control(byte) || byte == b'#');
        if target.len() > target_limit {
            return Err(Refusal::Target);
        }
        let valid = form && clean && more.is_none() && is_name(method);
        match (valid, version) {
            (true, b"HTTP/1.1" | b"HTTP/1.0") => Ok(()),
            (_, [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'])
                if more.is_none() && is_name(method) && !self.old && version != b"HTTP/1.1" =>
            {
                Err(Refusal::Version)
            }
            _ => Err(Refusal::Syntax),
        }
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Refusal> {
        // A line that begins with a space is folded, and has no name either.
        let colon = memchr(b':', line).ok_or(Refusal::Syntax)?;
        let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
        // All of them, since that is faster than to stop at the first.
        #[allow(clippy::needless_bitwise_bool, reason = "without branches it runs many at once")]
        let dirty = |found, &byte| found | (is_control(byte) & (byte != b'\t'));
        let clean = !value.iter().fold(false, dirty);
        if !(clean && is_name(name)) {
            return Err(Refusal::Syntax);
        }
        // By length first: most lines are none of these.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                self.hosts += 1;
                if !is_host(value) {
                    return Err(Refusal::Host);
                }
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                let mut offered = value.split(|&byte| byte == b',').map(trim);
                self.websocket |= offered.any(|one| one.eq_ignore_ascii_case(b"websocket"));
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let length = length(value).filter(|_| self.length.is_none());
                self.length = Some(length.ok_or(Refusal::Length)?);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.coding(value)?,
            _ => {}
        }
        Ok(())
    }

    fn coding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        let mut codings = value.split(|&byte| byte == b',').map(trim);
        let last = codings.next_back().unwrap_or_default();
        let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
        // RFC 9112 §6.3: "If a Transfer-Encoding header field is present in a request and the
        // chunked transfer coding is not the final encoding, the message body length cannot be
        // determined reliably; the server MUST respond with the 400 (Bad Request) status code".
        // §6.1: "A sender MUST NOT apply the chunked transfer coding more than once".
        if self.chunked || !is_chunked(last) || codings.clone().any(is_chunked) {
            return Err(Refusal::Framing);
        }
        if codings.next().is_some() {
            return Err(Refusal::Coding);
        }
        self.chunked = true;
        Ok(())
    }

    fn end(&self) -> Result<Framing, Refusal> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        // RFC 9112 §3.2: "A server MUST respond with a 400 (Bad Request) status code to any
        // HTTP/1.1 request message that lacks a Host header field and to any request message that
        // contains more than one Host header field line".
        if self.hosts > 1 || (self.hosts == 0 && !self.old && !self.absolute) {
            return Err(Refusal::Host);
        }
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(Refusal::TwoFramings),
            (true, None) if self.old => Err(Refusal::Framing),
            (true, None) => Ok(Framing::Chunked),
            (false, _) if self.websocket => Ok(Framing::Tunnel),
            (false, length) => Ok(Framing::Length(length.unwrap_or_default())),
        }
    }
}

/// Without optional whitespace (RFC 9110 §5.6.3): a bare CR or a form feed isn't any.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// RFC 9112 §6.2: decimal digits and nothing else; a sign, a list or a space in between is another
/// number to another server.
fn length(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(value).ok()?.parse().ok())?
}

/// RFC 3986 §3.2.2: what a host and its port consist of. Empty where the target has no authority
/// (RFC 9110 §7.2).
fn is_host(value: &[u8]) -> bool {
    value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=:[]".contains(byte))
}

/// What may be part of a token. A table, since it is asked for every byte of every name.
static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 0x7f {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.')
            || matches!(byte, b'^'..=b'`' | b'|' | b'~');
        byte += 1;
    }
    table
};

/// RFC 9110 §5.6.2: a token, which methods and field names are.
fn is_name(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| TOKEN[usize::from(byte)])
}

/// RFC 9110 §5.5: "Field values containing CR, LF, or NUL characters are invalid and dangerous".
fn is_control(byte: u8) -> bool {
    byte < b' ' || byte == 0x7f
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &str) -> Result<Framing, Refusal> {
        let mut state = Head::default();
        for line in head.strip_suffix("\r\n").unwrap_or(head).split("\r\n").chain([""]) {
            if let Some(end) = state.line(line.as_bytes(), 20) {
                return end;
            }
        }
        panic!("the head doesn't end: {head:?}")
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        use Refusal::{Coding, Framing, Host, Length, Syntax, Target, TwoFramings, Version};
        for (lines, want) in [
            ("Host: a\r\nContent-Length: 5\r\nContent-Length: 6", Length),
            ("Host: a\r\nContent-Length: 5\r\nContent-Length: 5", Length),
            ("Host: a\r\nContent-Length: 5, 5", Length),
            ("Host: a\r\nContent-Length: +5", Length),
            ("Host: a\r\nContent-Length: -5", Length),
            ("Host: a\r\nContent-Length: 0x5", Length),
            ("Host: a\r\nContent-Length: 5 5", Length),
            ("Host: a\r\nContent-Length:", Length),
            ("Host: a\r\nContent-Length: 18446744073709551616", Length),
            ("Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked", TwoFramings),
            ("Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5", TwoFramings),
            ("Host: a\r\nTransfer-Encoding: chunked, chunked", Framing),
            ("Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked", Framing),
            ("Host: a\r\nTransfer-Encoding: chunked, gzip", Framing),
            ("Host: a\r\nTransfer-Encoding: gzip", Framing),
            ("Host: a\r\nTransfer-Encoding: xchunked", Framing),
            ("Host: a\r\nTransfer-Encoding: \"chunked\"", Framing),
            ("Host: a\r\nTransfer-Encoding: chunked;q=1", Framing),
            ("Host: a\r\nTransfer-Encoding:", Framing),
            ("Host: a\r\nTransfer-Encoding: gzip, chunked", Coding),
            ("X: y", Host),
            ("Host: a\r\nHost: a", Host),
            ("Host: a b", Host),
            ("Host: a/b", Host),
            ("Host: u@a", Host),
            ("Host : a", Syntax),
            ("Host: a\r\n X: y", Syntax),
            ("Host: a\r\nX", Syntax),
            ("Host: a\r\n: y", Syntax),
            ("Host: a\r\nX\0: y", Syntax),
            ("Host: a\r\nX: y\0", Syntax),
            ("Host: a\r\nX: a\rb", Syntax),
            ("Host: a\r\nX: a\u{7f}b", Syntax),
            ("Host: a\r\nX: \u{c}y", Syntax),
            ("Host: a\r\nX: y\r", Syntax),
            ("Host: a\r\nTransfer-Encoding: \u{c}chunked", Syntax),
        ] {
            let head = format!("POST / HTTP/1.1\r\n{lines}\r\n");
            assert_eq!(read(&head), Err(want), "{lines:?}");
        }
        for line in [
            "GET /",
            "GET / HTTP/1.1 x",
            "GET  / HTTP/1.1",
            " GET / HTTP/1.1",
            "GET\t/ HTTP/1.1",
            "GET a HTTP/1.1",
            "GET * HTTP/1.1",
            "GET /\r HTTP/1.1",
            "GET / http/1.1",
            "G@T / HTTP/1.1",
        ] {
            assert_eq!(read(&format!("{line}\r\nHost: a\r\n")), Err(Syntax), "{line:?}");
        }
        assert_eq!(read("GET / HTTP/1.2\r\nHost: a\r\n"), Err(Version));
        let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n";
        assert_eq!(read(old), Err(Framing));
        let long = "GET /4567890123456789012 HTTP/1.1\r\nHost: a\r\n";
        assert_eq!(read(long), Ok(super::Framing::Length(0)));
        assert_eq!(read(&long.replace(" HTTP", "x HTTP")), Err(Target));
    }

    #[test]
    fn what_is_odd_but_clear_is_let_in() {
        for (head, want) in [
            ("GET / HTTP/1.1\r\nhOsT: [::1]:80\r\n", Framing::Length(0)),
            ("\r\n\r\nGET / HTTP/1.1\r\nHost:\r\n", Framing::Length(0)),
            ("GET / HTTP/1.0\r\n", Framing::Length(0)),
            ("GET http://a/b HTTP/1.1\r\n", Framing::Length(0)),
            ("OPTIONS * HTTP/1.1\r\nHost: a\r\n", Framing::Length(0)),
            ("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n", Framing::Length(0)),
            ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length:\t007 \r\n", Framing::Length(7)),
            ("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n", Framing::Chunked),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: \u{e9}\ty\r\nX:\r\n", Framing::Length(0)),
            ("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n", Framing::Length(0)),
            ("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\n", Framing::Tunnel),
        ] {
            assert_eq!(read(head), Ok(want), "{head:?}");
        }
    }
}
