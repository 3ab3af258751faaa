//! HTML injection. Input: one byte of choices, one of cuts, field lines of the answer, an empty
//! line, the body.
//!
//! Choices, from the lowest bit: three bits of coding, one that says that the body isn't in it, two
//! of what the request is for, one that means nothing, one for HEAD.

use super::{field_lines, flat, is_subsequence, split_once};
use async_compression::tokio::bufread as codecs;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, Uri};
use http_body::{Body as HttpBody, Frame};
use pollcast::http::{Body, BoxError};
use pollcast::shim::inject::{Injector, Outcome, RequestFacts};
use std::collections::VecDeque;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Codings in the order of the choice's low bits.
const CODINGS: [&str; 8] = ["", "gzip", "br", "zstd", "deflate", "", "gzip", ""];

/// One frame holds no more: what is held before the place is known, and then some.
const FRAME_AT_MOST: usize = 512 << 10;

/// Bodies up to this are looked at as a whole, however they are cut.
const SURE: usize = 32 << 10;

/// A page gets the tag once and nothing else, or crosses as it came; cuts change neither; it ends.
pub fn page(data: &[u8]) {
    let [choice, cuts, rest @ ..] = data else { return };
    let (lines, plain) = split_once(rest, b"\n\n");
    let case = Case::new(*choice, lines, plain);
    let whole = case.pass((!case.body.is_empty()).then_some(case.body.clone()).as_slice());
    case.check(&whole);
    let cut = case.pass(&pieces(&case.body, *cuts));
    case.check(&cut);
    if !case.garbage && plain.len() < SURE {
        assert_eq!(whole.told, cut.told, "a cut changes what becomes of a page");
        assert_eq!(case.decode(&whole.bytes), case.decode(&cut.bytes), "a cut changes a page");
    }
}

/// One answer of the origin.
struct Case {
    /// What the client asked.
    facts: RequestFacts,
    /// HEAD was asked, not GET.
    head: bool,
    /// The origin's fields.
    headers: HeaderMap,
    /// The origin's bytes.
    body: Bytes,
    /// The coding they say they are in.
    coding: &'static str,
    /// They may not be in it.
    garbage: bool,
}

/// What became of it.
struct Got {
    headers: HeaderMap,
    bytes: Vec<u8>,
    told: Vec<Outcome>,
    failed: bool,
}

impl Case {
    fn new(choice: u8, lines: &[u8], plain: &[u8]) -> Self {
        let coding = CODINGS[usize::from(choice & 7)];
        let garbage = choice & 8 != 0 && !coding.is_empty();
        let body = if garbage { plain.to_vec() } else { encode(coding, plain) };
        let mut request = HeaderMap::new();
        request.insert("host", HeaderValue::from_static("app.example"));
        let dest = match choice >> 4 & 3 {
            0 => Some("document"),
            1 => Some("iframe"),
            2 => Some("empty"),
            _ => None,
        };
        if let Some(dest) = dest {
            request.insert("sec-fetch-dest", HeaderValue::from_static(dest));
        } else {
            request.insert("accept", HeaderValue::from_static("text/html, */*;q=0.1"));
        }
        let mut headers = field_lines(lines);
        if !headers.contains_key("content-type") {
            headers.insert("content-type", HeaderValue::from_static("text/html"));
        }
        headers.remove("content-encoding");
        if !coding.is_empty() {
            headers.insert("content-encoding", HeaderValue::from_static(coding));
        }
        let head = choice & 128 != 0;
        let method = if head { Method::HEAD } else { Method::GET };
        let facts = RequestFacts::of(&method, &Uri::from_static("/"), &request);
        Self { facts, head, headers, body: body.into(), coding, garbage }
    }

    fn pass(&self, pieces: &[Bytes]) -> Got {
        let told: Arc<Mutex<Vec<Outcome>>> = Arc::default();
        let report = Arc::clone(&told);
        let report = move |outcome| report.lock().unwrap().push(outcome);
        let injector = Injector::new("/__pollcast", pollcast::config::Csp::Leave, Arc::new(report));
        let body = Body::boxed(Pieces { frames: pieces.iter().cloned().collect(), wait: false });
        let mut response = Response::new(body);
        *response.headers_mut() = self.headers.clone();
        let (parts, body) = injector.response(&self.facts, response).into_parts();
        let (bytes, failed) = read(body, pieces.len());
        let told = told.lock().unwrap().clone();
        Got { headers: parts.headers, bytes, told, failed }
    }

    fn check(&self, got: &Got) {
        assert!(got.told.len() <= 1, "told more than once: {:?}", got.told);
        self.check_fields(got);
        if got.told != [Outcome::Injected] {
            assert!(!got.failed, "nothing was rewritten, so nothing can fail");
            assert_eq!(got.bytes, self.body, "left alone, but other bytes: {:?}", got.told);
            return;
        }
        let (before, sound) = self.decode(&self.body);
        let (after, complete) = self.decode(&got.bytes);
        if sound {
            assert!(complete && !got.failed, "a sound page was broken off");
            assert!(is_with_tag(&before, &after), "more than the tag differs");
        } else {
            // A decoder may keep what it had before the error, so that either may be the longer.
            assert!(got.failed || !complete, "a broken page was mended");
            assert!(is_start_with_tag(&before, &after), "more than the tag differs");
        }
    }

    /// Fields cross in order; only what describes the bytes changes.
    fn check_fields(&self, got: &Got) {
        let of_bytes = |name: &str| {
            ["content-length", "content-md5", "digest", "content-digest", "repr-digest"]
                .contains(&name)
                || ["etag", "accept-ranges"].contains(&name)
        };
        let rest = |map: &HeaderMap| -> Vec<_> {
            flat(map).into_iter().filter(|(name, _)| !of_bytes(name)).collect()
        };
        let same = flat(&got.headers) == flat(&self.headers);
        if got.told.is_empty() {
            // HEAD has the fields of GET, and nothing becomes of its body.
            assert!(same || self.head);
        }
        if got.told == [Outcome::Injected] || !same {
            assert!(!got.headers.contains_key("content-length"));
            assert!(is_subsequence(&rest(&got.headers), &rest(&self.headers)));
        }
    }

    /// What a browser reads, and whether that is all of it.
    fn decode(&self, coded: &[u8]) -> (Vec<u8>, bool) {
        match self.coding {
            "gzip" => drained(codecs::GzipDecoder::new(coded)),
            "br" => drained(codecs::BrotliDecoder::new(coded)),
            "zstd" => {
                let mut decoder = codecs::ZstdDecoder::new(coded);
                decoder.multiple_members(true);
                drained(decoder)
            }
            "deflate" => drained(codecs::ZlibDecoder::new(coded)),
            _ => (coded.to_vec(), true),
        }
    }
}

fn encode(coding: &str, plain: &[u8]) -> Vec<u8> {
    let (bytes, sound) = match coding {
        "gzip" => drained(codecs::GzipEncoder::new(plain)),
        "br" => drained(codecs::BrotliEncoder::with_quality(plain, level())),
        "zstd" => drained(codecs::ZstdEncoder::new(plain)),
        "deflate" => drained(codecs::ZlibEncoder::new(plain)),
        _ => (plain.to_vec(), true),
    };
    assert!(sound);
    bytes
}

fn level() -> async_compression::Level {
    async_compression::Level::Precise(1)
}

/// Reads to the end or to the first error; the flag is false then. All is in memory: nothing waits.
fn drained(mut codec: impl AsyncRead + Unpin) -> (Vec<u8>, bool) {
    let mut out = Vec::new();
    let mut chunk = vec![0; 64 << 10];
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        let mut read = std::pin::pin!(codec.read(&mut chunk));
        match read.as_mut().poll(&mut cx) {
            Poll::Ready(Ok(0)) => return (out, true),
            Poll::Ready(Ok(n)) => out.extend_from_slice(&chunk[..n]),
            Poll::Ready(Err(_)) => return (out, false),
            Poll::Pending => panic!("a codec in memory waits"),
        }
    }
}

/// The tag's length if these bytes begin with it: an attribute for a nonce may be in it.
fn tag_len(bytes: &[u8]) -> Option<usize> {
    let open = b"<script src=\"/__pollcast/shim.js\"";
    let rest = bytes.strip_prefix(open)?;
    let close = b"></script>";
    let at = rest.windows(close.len()).position(|window| window == close)?;
    Some(open.len() + at + close.len())
}

fn is_with_tag(before: &[u8], after: &[u8]) -> bool {
    tag_at_some_place(before, after, |cut| cut == before)
}

fn is_start_with_tag(before: &[u8], after: &[u8]) -> bool {
    let alike = |cut: &[u8]| before.starts_with(cut) || cut.starts_with(before);
    alike(after) || tag_at_some_place(before, after, alike)
}

fn tag_at_some_place(before: &[u8], after: &[u8], same: impl Fn(&[u8]) -> bool) -> bool {
    let alike = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    (0..=alike).any(|at| {
        let Some(len) = tag_len(&after[at..]) else { return false };
        same(&[&after[..at], &after[at + len..]].concat())
    })
}

/// The body in pieces whose lengths follow from one number.
fn pieces(body: &Bytes, cuts: u8) -> Vec<Bytes> {
    let mut rest = body.clone();
    let mut random = fastrand::Rng::with_seed(u64::from(cuts));
    let longest = [1, 3, 17, 200, 5000][usize::from(cuts) % 5];
    let longest = longest.max(body.len() / 500);
    let mut out = Vec::new();
    while !rest.is_empty() {
        let len = random.usize(1..=longest).min(rest.len());
        out.push(rest.split_to(len));
    }
    out
}

/// An origin's body that comes piece by piece, and lets the reader wait before each.
struct Pieces {
    frames: VecDeque<Bytes>,
    wait: bool,
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.wait = !self.wait;
        if self.wait && !self.frames.is_empty() {
            return Poll::Pending;
        }
        Poll::Ready(self.frames.pop_front().map(|data| Ok(Frame::data(data))))
    }
}

/// Reads to the end; the flag says that it broke off.
fn read(mut body: Body, pieces: usize) -> (Vec<u8>, bool) {
    let mut cx = Context::from_waker(Waker::noop());
    let mut bytes = Vec::new();
    let mut waits = 0;
    loop {
        match Pin::new(&mut body).poll_frame(&mut cx) {
            Poll::Ready(None) => return (bytes, false),
            Poll::Ready(Some(Err(_))) => return (bytes, true),
            Poll::Ready(Some(Ok(frame))) => {
                let data = frame.into_data().unwrap_or_default();
                assert!(!data.is_empty() && data.len() <= FRAME_AT_MOST);
                bytes.extend_from_slice(&data);
            }
            Poll::Pending => {
                waits += 1;
                // Once more before an error, so that the server sends what it has.
                assert!(waits <= pieces + 1, "waits for what has come");
            }
        }
    }
}
