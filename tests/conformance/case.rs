//! The form of a case, what makes it valid, and how it is read.
//!
//! A case is a paragraph of a file in `cases/`: what it says, which rule of which RFC it holds, and
//! the messages in the order of their crossing.
//!
//! ```text
//! == An encoded slash stays as it came
//! rule: RFC 9112 §3.2
//! C> GET /a%2Fb HTTP/1.1
//! C> Host: app
//! C>
//! O< GET /a%2Fb HTTP/1.1
//! O< Host: app
//! O< {way}
//! O<
//! ```
//!
//! `C` is the client's end, `O` the origin's. `>` is what that end sends, `<` what it must get;
//! each line ends with CR LF unless a backslash ends it. Escapes: `\r`, `\n`, `\t`, `\\`, `\xNN`;
//! `{x*9}` is nine times `x`. `C!` and `O!` do something else with the end, see [`Action`].
//! `{way}` stands for the fields that tell of a request's way, and `{own 400}` for an answer of the
//! proxy's own with that status.
//!
//! An exchange that says nothing of the answer goes on with a bare 204, which must reach the
//! client. A case whose client connection isn't said to end is followed by one more request on it:
//! so no case passes with bytes too many or too few behind it.
//!
//! A client of HTTP/2 (`h2.txt`) writes fields as lines, `:open:` among them if more than the head
//! follows, then content; `:trailers:` begins trailers; `C! half-close` ends the request. It gets
//! `HTTP/2 200`, fields, content and `[end]`. With `client: frames` it writes any fields, and gets
//! but the kinds of frames.
//!
//! Further lines before the messages: `set: key = value` for Pollcast's configuration, `nginx-set:
//! directive;` for nginx's, `nginx: reason` if nginx does otherwise, `known: what happens` if
//! Pollcast does, `raw: origin` or `raw: client` if what is generated at that end is what
//! the case is about.

/// Which end of the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Who asks.
    Client,
    /// Who answers.
    Origin,
}

/// What the client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, byte for byte.
    Http1,
    /// HTTP/2 without TLS, by the rules.
    Http2,
    /// HTTP/2, any frames.
    Frames,
}

/// What an end does beside sending and getting bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Waits for the other side to end the connection.
    Ends,
    /// Closes the connection.
    Close,
    /// Closes it without the courtesy of a FIN.
    Reset,
    /// Ends its own direction.
    HalfClose,
    /// Sends the next block byte by byte.
    Dribble,
    /// The client connects anew; its former connection stays as it is.
    New,
    /// The origin no longer listens.
    Leave,
}

/// One step of the script.
#[derive(Clone, Debug)]
pub enum Step {
    /// An end sends these bytes.
    Send(Side, Vec<u8>),
    /// An end must get these bytes.
    Expect(Side, Vec<u8>),
    /// An end does something else.
    Act(Side, Action),
}

/// One behaviour.
#[derive(Clone, Debug)]
pub struct Case {
    /// Which file it stands in.
    pub file: &'static str,
    /// What the client speaks.
    pub protocol: Protocol,
    /// What Pollcast does, as a sentence.
    pub name: String,
    /// RFC and section.
    pub rule: String,
    /// Lines of Pollcast's configuration.
    pub settings: Vec<String>,
    /// Lines of nginx's.
    pub nginx_settings: Vec<String>,
    /// Why nginx does otherwise, if it does.
    pub nginx: Option<String>,
    /// What Pollcast does instead, if it does otherwise.
    pub known: Option<String>,
    /// At which end generated fields are compared, too.
    pub raw: Option<Side>,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// What an origin answers where the case doesn't say.
const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";
/// The same, as a client of HTTP/2 sees it.
const ANSWER_OF_2: &[u8] = b"HTTP/2 204\r\n\r\n[end]\r\n";

impl Case {
    fn new(file: &'static str, name: &str) -> Self {
        Self {
            file,
            protocol: if file == "h2.txt" { Protocol::Http2 } else { Protocol::Http1 },
            name: name.to_owned(),
            rule: String::new(),
            settings: Vec::new(),
            nginx_settings: Vec::new(),
            nginx: None,
            known: None,
            raw: None,
            steps: Vec::new(),
        }
    }

    /// All that an end must get, in order.
    pub fn expected(&self, side: Side) -> Vec<u8> {
        let mut all = Vec::new();
        for step in &self.steps {
            match step {
                Step::Expect(at, bytes) if *at == side => all.extend(bytes),
                Step::Act(at, Action::Ends) if *at == side => all.extend(b"[closed]"),
                _ => {}
            }
        }
        all
    }

    /// True if the client's connection must be of use after the case.
    pub fn goes_on(&self) -> bool {
        let ends = [Action::Ends, Action::Close, Action::Reset, Action::HalfClose];
        let is_end = |step: &&Step| match step {
            Step::Act(Side::Client, Action::New) => true,
            Step::Act(Side::Client, action) if self.protocol == Protocol::Http1 => {
                ends.contains(action)
            }
            Step::Act(Side::Client, action) => [Action::Ends, Action::Close].contains(action),
            _ => false,
        };
        let last = self.steps.iter().rev().find(is_end);
        last.is_none_or(|step| matches!(step, Step::Act(_, Action::New)))
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        if let Some((key, value)) = line.split_once(": ")
            && self.note(key, value)
        {
            return Ok(());
        }
        let (mark, text) = line.split_at_checked(2).ok_or("a line without a mark")?;
        let side = match &mark[..1] {
            "C" => Side::Client,
            "O" => Side::Origin,
            _ => return Err(format!("unknown line: {line}")),
        };
        let text = text.strip_prefix(' ').unwrap_or(text);
        match &mark[1..] {
            ">" => self.bytes(side, true, &unescape(text)?),
            "<" => self.bytes(side, false, &unescape(text)?),
            "!" => self.steps.push(Step::Act(side, action(text)?)),
            _ => return Err(format!("unknown mark: {line}")),
        }
        Ok(())
    }

    fn note(&mut self, key: &str, value: &str) -> bool {
        let value = value.to_owned();
        match key {
            "rule" => self.rule = value,
            "set" => self.settings.push(value),
            "nginx-set" => self.nginx_settings.push(value),
            "nginx" => self.nginx = Some(value),
            "known" => self.known = Some(value),
            "client" if value == "frames" => self.protocol = Protocol::Frames,
            "raw" if value == "origin" => self.raw = Some(Side::Origin),
            "raw" if value == "client" => self.raw = Some(Side::Client),
            _ => return false,
        }
        true
    }

    /// Lines of one kind that follow each other are one block.
    fn bytes(&mut self, side: Side, sends: bool, bytes: &[u8]) {
        match self.steps.last_mut() {
            Some(Step::Send(at, block)) if sends && *at == side => block.extend(bytes),
            Some(Step::Expect(at, block)) if !sends && *at == side => block.extend(bytes),
            _ if sends => self.steps.push(Step::Send(side, bytes.to_vec())),
            _ => self.steps.push(Step::Expect(side, bytes.to_vec())),
        }
    }

    /// Adds the answer that isn't written, and says what is wrong with the case.
    fn finish(mut self) -> Result<Self, String> {
        let origin_acts =
            |step: &Step| matches!(step, Step::Send(Side::Origin, _) | Step::Act(Side::Origin, _));
        let asked = matches!(self.steps.last(), Some(Step::Expect(Side::Origin, _)));
        if asked && !self.steps.iter().any(origin_acts) {
            self.steps.push(Step::Send(Side::Origin, ANSWER.to_vec()));
            let http1 = self.protocol == Protocol::Http1;
            let answer = if http1 { ANSWER } else { ANSWER_OF_2 };
            self.steps.push(Step::Expect(Side::Client, answer.to_vec()));
        }
        let sound = self.rule.starts_with("RFC ") || self.rule.starts_with("DESIGN");
        if !sound || self.steps.is_empty() {
            return Err(format!("{}: a rule and messages are needed", self.name));
        }
        Ok(self)
    }
}

fn action(text: &str) -> Result<Action, String> {
    Ok(match text {
        "ends" => Action::Ends,
        "close" => Action::Close,
        "reset" => Action::Reset,
        "half-close" => Action::HalfClose,
        "dribble" => Action::Dribble,
        "new" => Action::New,
        "leave" => Action::Leave,
        _ => return Err(format!("unknown action: {text}")),
    })
}

/// Reads the cases of one file.
pub fn read(file: &'static str, text: &str) -> Result<Vec<Case>, String> {
    let mut cases: Vec<Case> = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let at = |error: String| format!("cases/{file}:{}: {error}", n + 1);
        if let Some(name) = line.strip_prefix("== ") {
            cases.push(Case::new(file, name));
        } else if !(line.is_empty() || line.starts_with('#')) {
            let case = cases.last_mut().ok_or_else(|| at("before the first case".to_owned()))?;
            case.line(line).map_err(at)?;
        }
    }
    cases.into_iter().map(Case::finish).collect()
}

/// The bytes that a line of a case means.
fn unescape(line: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        if rest == "\\" {
            return Ok(out);
        }
        let taken = match c {
            '\\' => escape(rest, &mut out).ok_or_else(|| format!("unknown escape: {rest}"))?,
            '{' => repeat(rest, &mut out),
            _ => 0,
        };
        if taken == 0 {
            out.extend(c.to_string().as_bytes());
        }
        rest = &rest[taken.max(if taken == 0 { c.len_utf8() } else { 0 })..];
    }
    out.extend(b"\r\n");
    Ok(out)
}

/// Length of the escape that `text` begins with.
fn escape(text: &str, out: &mut Vec<u8>) -> Option<usize> {
    out.push(match text.get(1..2)? {
        "r" => b'\r',
        "n" => b'\n',
        "t" => b'\t',
        "\\" => b'\\',
        "x" => {
            out.push(u8::from_str_radix(text.get(2..4)?, 16).ok()?);
            return Some(4);
        }
        _ => return None,
    });
    Some(2)
}

/// Length of the repetition that `text` begins with, 0 if it is none.
fn repeat(text: &str, out: &mut Vec<u8>) -> usize {
    let inner = text[1..].split_once('}').and_then(|(inner, _)| inner.rsplit_once('*'));
    let Some((what, count)) = inner else { return 0 };
    let (Ok(times), Ok(bytes)) = (count.parse(), unescape(what)) else { return 0 };
    let bytes = bytes.strip_suffix(b"\r\n").unwrap_or(&bytes);
    out.extend(bytes.repeat(times));
    what.len() + count.len() + 3
}
