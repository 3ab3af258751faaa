//! A client's connection: input is the bytes that it sends.

mod origin;
mod proxy;
mod strict;

use proxy::{Seen, World};
use strict::{Bad, Field, Message, Read};

thread_local! {
    /// Built once per thread.
    static WORLD: World = World::new();
}

/// Fields about the connection, the framing and the way here: the proxy has its own.
const OF_THE_HOP: [&str; 15] = [
    "connection",
    "proxy-connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "host",
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "expect",
];

/// Fields that `Connection` can't take away.
const FOR_ALL: [&str; 6] =
    ["content-type", "content-encoding", "cache-control", "authorization", "cookie", "set-cookie"];

/// What reaches the origin is what the client sent, request by request: none more, none smuggled,
/// none with a field that ends here. Where the bytes are cut changes nothing of it.
pub fn wire(data: &[u8]) {
    let model = Model::of(data);
    let whole = WORLD.with(|world| world.run(&[data], model.answers()));
    model.check(&whole);
    let cut = WORLD.with(|world| world.run(&pieces(data), model.answers()));
    model.check(&cut);
    if data.starts_with(b"PRI * HTTP/2.0\r\n") {
        // A connection error ends the other requests too: how far they were by then is chance.
        return;
    }
    let said = |seen: &Seen| seen.asked.requests.iter().map(meaning).collect::<Vec<_>>();
    assert_eq!(said(&whole), said(&cut), "a cut changes what the origin is asked");
}

/// What the bytes are, read strictly.
struct Model {
    /// Complete requests.
    requests: Vec<Message>,
    /// Why what follows them is none; `None` if nothing follows, or only a beginning.
    bad: Option<Bad>,
}

impl Model {
    fn of(mut data: &[u8]) -> Self {
        let mut requests = Vec::new();
        loop {
            match strict::request(data) {
                Read::Complete(message, len) => {
                    requests.push(message);
                    data = &data[len..];
                }
                Read::Partial => return Self { requests, bad: None },
                Read::Bad(bad) => return Self { requests, bad: Some(bad) },
            }
        }
    }

    /// How many answers there are, if the connection lives on until then.
    fn answers(&self) -> Option<usize> {
        self.bad.is_none().then_some(self.requests.len())
    }

    fn check(&self, seen: &Seen) {
        let unread = seen.asked.bad.first();
        assert!(unread.is_none(), "the origin can't read it: {unread:?}");
        for request in &seen.asked.requests {
            clean(request);
        }
        let mut sent = self.requests.iter();
        let surplus = seen.asked.requests.iter().filter(|got| !sent.any(|sent| is_same(sent, got)));
        let surplus: Vec<_> = surplus.collect();
        let strict = self.bad.is_none_or(|bad| matches!(bad, Bad::Framing(_)));
        if strict {
            assert!(surplus.is_empty(), "never sent ({:?}): {surplus:?}", self.bad);
        }
        self.answered(seen);
    }

    /// Answers come in the order of their requests, and each belongs to one.
    fn answered(&self, seen: &Seen) {
        let number = |answer: &Message| {
            let text = String::from_utf8(answer.values("x-number").first()?.to_vec()).unwrap();
            Some(text.parse::<usize>().unwrap())
        };
        let numbers: Vec<usize> = seen.answers.iter().filter_map(number).collect();
        assert!(numbers.iter().copied().eq(0..numbers.len()), "out of order: {numbers:?}");
        let asked = seen.asked.requests.len();
        // The last answer may be lost where the connection broke off behind it.
        assert!(
            numbers.len() <= asked && (self.bad.is_some() || numbers.len() == asked),
            "{numbers:?} of {asked}, {:?}",
            seen.rest.escape_ascii().to_string()
        );
    }
}

/// All but the fields of the hop: a request without `Host` gets the origin's address as its own.
fn meaning(request: &Message) -> Message {
    Message { fields: end_to_end(request), ..request.clone() }
}

/// True if the origin got what was sent.
fn is_same(sent: &Message, got: &Message) -> bool {
    let (sent_words, got_words) = (sent.words(), got.words());
    let target = sent_words[1];
    // RFC 9112 §3.2.1: "If the target URI's path component is empty, the client MUST send "/" as
    // the path within the origin-form of request-target."
    let pathless = got_words[1].strip_prefix(b"/").filter(|rest| rest.starts_with(b"?"));
    let same_target = target == got_words[1]
        || !target.starts_with(b"/") && pathless.is_some_and(|query| target.ends_with(query))
        || !target.starts_with(b"/") && target.ends_with(got_words[1])
        || !target.starts_with(b"/") && [b"/".as_slice(), b"*"].contains(&got_words[1]);
    let trailers = |message: &Message| -> Vec<Field> {
        let lower = |(name, value): &Field| (name.to_ascii_lowercase(), value.clone());
        message.trailers.iter().map(lower).collect()
    };
    sent_words[0] == got_words[0]
        && same_target
        && sent.body == got.body
        && super::is_subsequence(&trailers(got), &trailers(sent))
        && grouped(&end_to_end(sent)) == grouped(&end_to_end(got))
}

/// The fields that cross.
fn end_to_end(message: &Message) -> Vec<Field> {
    let values = message.values("connection");
    let options: Vec<Vec<u8>> = values
        .iter()
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(|option| strict::trim(option).to_ascii_lowercase())
        .collect();
    let crosses = |(name, _): &&Field| {
        let name = name.to_ascii_lowercase();
        let is = |known: &&str| known.as_bytes() == name;
        !OF_THE_HOP.iter().any(is)
            && !name.starts_with(b"pollcast-")
            && (!options.contains(&name) || FOR_ALL.iter().any(is))
    };
    message.fields.iter().filter(crosses).cloned().collect()
}

/// Values of a name side by side, at the place of the first: their own order is what counts (RFC
/// 9110 §5.3).
fn grouped(fields: &[Field]) -> Vec<Field> {
    let mut out: Vec<Field> = Vec::new();
    for field in fields {
        let same = |there: &Field| there.0.eq_ignore_ascii_case(&field.0);
        let at = out.iter().rposition(same).map_or(out.len(), |at| at + 1);
        out.insert(at, field.clone());
    }
    out
}

/// A request of ours has nothing in it that ends at this hop.
fn clean(request: &Message) {
    for (name, value) in request.fields.iter().chain(&request.trailers) {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        assert!(!name.starts_with("pollcast-"), "{name} reaches the origin");
        let value = value.to_ascii_lowercase();
        let fits = match name.as_str() {
            "connection" => [b"te".as_slice(), b"upgrade"].contains(&value.as_slice()),
            "te" => value == b"trailers",
            "upgrade" => value == b"websocket",
            "keep-alive" | "proxy-connection" => false,
            _ => true,
        };
        assert!(fits, "{name} reaches the origin: {}", value.escape_ascii());
    }
    for (name, _) in &request.trailers {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let framing = ["content-length", "transfer-encoding", "host", "trailer", "connection"];
        assert!(!framing.contains(&name.as_str()), "{name} as a trailer");
    }
    assert!(
        request.words()[2] == b"HTTP/1.1" && request.words()[1].starts_with(b"/")
            || request.words()[1] == b"*",
        "{:?}",
        request.start
    );
}

/// Cut at places that follow from the bytes themselves.
fn pieces(data: &[u8]) -> Vec<&[u8]> {
    let seed = data.iter().fold(7_u64, |seed, b| seed.wrapping_mul(31).wrapping_add(u64::from(*b)));
    let mut random = fastrand::Rng::with_seed(seed);
    if data.len() < 100 && random.u8(..8) == 0 {
        return data.chunks(1).collect();
    }
    let mut cuts: Vec<usize> = (0..3).map(|_| random.usize(..=data.len())).collect();
    cuts.extend([0, data.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| &data[pair[0]..pair[1]]).filter(|piece| !piece.is_empty()).collect()
}
