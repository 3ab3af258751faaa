//! Pages in, pages out.

use super::coding::Coding;
use super::{Injector, Outcome, RequestFacts};
use crate::config::Csp;
use crate::http::{Body, BoxError};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, Uri};
use http_body::{Body as HttpBody, Frame};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake};

mod asked;
mod bodies;
mod charset;
mod fields;
mod policies;

const TAG: &str = "<script src=\"/__pollcast/shim.js\"></script>";
const CODINGS: [(&str, Coding); 5] = [
    ("identity", Coding::Identity),
    ("gzip", Coding::Gzip),
    ("br", Coding::Brotli),
    ("zstd", Coding::Zstd),
    ("deflate", Coding::Deflate),
];

/// An origin's body, frame by frame.
enum Piece {
    Data(Bytes),
    /// Nothing yet.
    Wait,
    Trailers,
    Break,
}

struct Pieces(VecDeque<Piece>);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.0.pop_front() {
            None => Poll::Ready(None),
            Some(Piece::Data(data)) => Poll::Ready(Some(Ok(Frame::data(data)))),
            Some(Piece::Wait) => Poll::Pending,
            Some(Piece::Trailers) => {
                let trailers = headers(&[("x-sum", "1")]);
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
            Some(Piece::Break) => Poll::Ready(Some(Err("broken off".into()))),
        }
    }
}

/// What a client reads.
#[derive(Default)]
struct Read {
    bytes: Vec<u8>,
    trailers: bool,
    error: bool,
}

/// Remembers that it was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Reads until there is nothing more, for now or for ever.
fn read(body: &mut Body) -> Read {
    let woken = Arc::<Woken>::default();
    let waker = Arc::clone(&woken).into();
    let mut cx = Context::from_waker(&waker);
    let mut got = Read::default();
    loop {
        let frame = match Pin::new(&mut *body).poll_frame(&mut cx) {
            Poll::Pending if woken.0.swap(false, Ordering::Relaxed) => continue,
            Poll::Pending | Poll::Ready(None) => break,
            Poll::Ready(Some(frame)) => frame,
        };
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) => got.bytes.extend_from_slice(&data),
            Ok(Err(_)) => got.trailers = true,
            Err(_) => {
                got.error = true;
                break;
            }
        }
    }
    got
}

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    map
}

fn facts(fields: &[(&'static str, &str)]) -> RequestFacts {
    RequestFacts::of(&Method::GET, &Uri::from_static("/"), &headers(fields))
}

fn document() -> RequestFacts {
    facts(&[("host", "app.example"), ("sec-fetch-dest", "document")])
}

fn unsaid() -> RequestFacts {
    facts(&[("host", "app.example"), ("accept", "text/html,*/*;q=0.8")])
}

/// An injector, and what it reports.
fn injector() -> (Injector, Arc<Mutex<Vec<Outcome>>>) {
    let told: Arc<Mutex<Vec<Outcome>>> = Arc::default();
    let report = Arc::clone(&told);
    let report = Arc::new(move |outcome| report.lock().unwrap().push(outcome));
    (Injector::new("/__pollcast", Csp::Leave, report), told)
}

fn page(fields: &[(&'static str, &str)], body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.headers_mut() = headers(&[("content-type", "text/html; charset=utf-8")]);
    for (name, value) in fields {
        let value = HeaderValue::from_str(value).unwrap();
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    response
}

fn pieces(pieces: impl IntoIterator<Item = Piece>) -> Body {
    Body::boxed(Pieces(pieces.into_iter().collect()))
}

fn data(bytes: &[u8]) -> Piece {
    Piece::Data(Bytes::copy_from_slice(bytes))
}

/// The page after one pass, and what was reported.
fn pass(facts: &RequestFacts, fields: &[(&'static str, &str)], body: Body) -> (Read, Vec<Outcome>) {
    let (injector, told) = injector();
    let mut response = injector.response(facts, page(fields, body));
    let got = read(response.body_mut());
    let told = told.lock().unwrap().clone();
    (got, told)
}

fn encoded(coding: Coding, plain: &[u8]) -> Vec<u8> {
    let Some(mut encoder) = coding.encoder() else { return plain.to_vec() };
    let mut out = BytesMut::new();
    encoder.write(plain, &mut out).unwrap();
    encoder.finish(&mut out).unwrap();
    out.to_vec()
}

/// What can be decoded, and whether that is all of it.
fn decoded(coding: Coding, coded: &[u8]) -> (Vec<u8>, bool) {
    let Some(mut decoder) = coding.decoder() else { return (coded.to_vec(), true) };
    let mut input = Bytes::copy_from_slice(coded);
    let mut plain = Vec::new();
    while decoder.ready(&input) {
        let step = decoder.step(&mut input);
        plain.extend(step.plain);
        if step.error.is_some() {
            return (plain, false);
        }
    }
    let complete = decoder.complete();
    (plain, complete)
}

/// Pages, with `|` where the tag goes.
const PAGES: [&str; 21] = [
    "<!doctype html><html><head>|<title>x</title></head><body></body></html>",
    "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01//EN\">\n<HTML><HEAD lang=en>|\n</HEAD>",
    "\n <!-- <head> --> <!doctype html>\n<html lang=\"en\">\n<head>|<meta charset=utf-8>",
    "\u{feff}<!doctype html><head>|",
    "\u{feff}|hello",
    "<!doctype html><html>|<body>no head</body></html>",
    "<!doctype html>|<title>title first</title>",
    "<!doctype html>\n|<p>x",
    "<!doctype html>\n  |Hello <b>x</b>",
    "<html>|<frameset cols=\"50%,50%\"><frame src=a></frameset></html>",
    "<html><!-- a --><html class=x><head>|",
    "<!--[if IE]><html class=ie><![endif]--><!doctype html><html><head>|",
    "<?xml version=\"1.0\"?>\n<!DOCTYPE html><html xmlns=\"x\"><head>|</head>",
    "<html manifest='>'><head data-x=\"<head>\">|<script>\"<head>\"</script>",
    "<!doctype html></p></head>|<body>",
    "<!doctype html></p>|<i>x",
    "|only text, 1 < 2",
    "  \n|<div>x</div>",
    "<!-- c -->|<div>x</div>",
    "<!doctype html><html>|<svg></svg><head>",
    "<!doctype html><html><head/>|<link>",
];
