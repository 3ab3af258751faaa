//! The scripts as they are served: built once per configuration, compressed.

use crate::config::{Config, Glob, Mode};
use crate::http::Body;
use async_compression::Level;
use async_compression::tokio::write::BrotliEncoder;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::json;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};
use tokio::io::AsyncWrite;

/// The script's code, as `build.rs` makes it: `(<function of CONFIG>)`.
const SHIM: &str = include_str!(concat!(env!("OUT_DIR"), "/shim.js"));

/// The code that holds the stream, for a `SharedWorker` or for the page itself.
const WORKER: &str = include_str!(concat!(env!("OUT_DIR"), "/worker.js"));

/// What the proxy serves of its own to pages.
#[derive(Clone, Debug)]
pub struct Scripts {
    /// `<prefix>/shim.js`: the script in the page, with its configuration.
    pub shim: Script,
    /// `<prefix>/worker.js`: the code that holds the stream; the same whatever the configuration.
    pub worker: Script,
    /// The answer to "is it on again?".
    mode: Bytes,
}

impl Scripts {
    /// Builds both for one configuration. Costs some 150 ms (compression): once per configuration,
    /// not per request. `version` names the program; the page asks for a new script when it
    /// changes.
    #[must_use]
    pub fn new(config: &Config, version: &str) -> Self {
        static WORKER_SCRIPT: LazyLock<Script> =
            LazyLock::new(|| Script::new(format!("{WORKER}();\n")));
        let worker = WORKER_SCRIPT.clone();
        let settings = embeddable(&settings(config, version, &worker.etag).to_string());
        let shim = Script::new(format!("{SHIM}({settings});\n"));
        let mode = json!({"mode": mode_name(config.mode), "v": version}).to_string().into();
        Self { shim, worker, mode }
    }

    /// Answers `GET <prefix>/mode`: what a page asks that was told to leave.
    #[must_use]
    pub fn respond_mode(&self) -> Response<Body> {
        let mut response = typed("application/json", self.mode.clone());
        let fields = response.headers_mut();
        fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// One script, ready to be served.
#[derive(Clone, Debug)]
pub struct Script {
    /// As it is.
    pub body: Bytes,
    /// Gzipped.
    pub gzip: Bytes,
    /// In brotli.
    pub br: Option<Bytes>,
    /// Changes with every byte. Each coding's strong entity tag is this and the coding's name in
    /// quotes.
    pub etag: String,
}

impl Script {
    fn new(text: String) -> Self {
        let body = Bytes::from(text);
        let gzip = gzipped(&body);
        let br = encode(BrotliEncoder::with_quality(Vec::new(), Level::Best), &body);
        let etag = blake3::hash(&body).to_hex()[..16].to_owned();
        let br = br.map(|encoder| encoder.into_inner().into());
        Self { body, gzip, br, etag }
    }

    /// Answers a GET of it.
    #[must_use]
    pub fn respond(&self, headers: &HeaderMap) -> Response<Body> {
        let (coding, body) = self.choose(headers);
        let etag = format!("\"{}{}{coding}\"", self.etag, if coding.is_empty() { "" } else { "-" });
        let known = headers.get_all(header::IF_NONE_MATCH).iter().any(|value| {
            value.to_str().is_ok_and(|list| list.trim() == "*" || list.contains(&self.etag))
        });
        let mut response = if known {
            let mut response = Response::new(Body::Empty);
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        } else {
            typed("text/javascript; charset=utf-8", body)
        };
        let fields = response.headers_mut();
        if let Ok(value) = HeaderValue::try_from(etag) {
            fields.insert(header::ETAG, value);
        }
        fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        fields.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if !known && !coding.is_empty() {
            fields.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        response
    }

    /// The smallest form that the client accepts, and the name of its coding.
    fn choose(&self, headers: &HeaderMap) -> (&'static str, Bytes) {
        if let Some(br) = &self.br
            && accepts(headers, "br")
        {
            return ("br", br.clone());
        }
        if !self.gzip.is_empty() && accepts(headers, "gzip") {
            return ("gzip", self.gzip.clone());
        }
        ("", self.body.clone())
    }
}

fn typed(media_type: &'static str, body: Bytes) -> Response<Body> {
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(Body::from(body));
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    fields.insert(header::CONTENT_LENGTH, length);
    fields.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// True if the client names the coding and doesn't refuse it (RFC 9110 §12.5.3: `q=0` is "not
/// acceptable").
fn accepts(headers: &HeaderMap, coding: &str) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(',')).any(|item| {
        let (token, weight) = item.split_once(';').unwrap_or((item, ""));
        let weight = weight.trim().strip_prefix("q=").and_then(|q| q.parse::<f32>().ok());
        token.trim().eq_ignore_ascii_case(coding) && weight.is_none_or(|q| q > 0.0)
    })
}

/// The script's `CONFIG`. `worker` names the worker's code.
pub(super) fn settings(config: &Config, version: &str, worker: &str) -> serde_json::Value {
    let watches: Vec<_> = config
        .watches
        .iter()
        .map(|watch| {
            json!({
                "re": watch.path.regex_source(),
                // The ceiling is `mode`: a page loaded while it was lower can come back.
                "push": watch.mode == Mode::Push,
                "percent": watch.percent,
                "look": watch.refresh as u8,
                // Its state hash leaves members of the body out.
                "part": u8::from(!watch.ignore.is_empty()),
            })
        })
        .collect();
    json!({
        "v": version,
        "mode": mode_name(config.mode),
        "prefix": config.prefix,
        // Another worker's code is another worker: pages of two versions don't share one.
        "worker": worker,
        "watches": watches,
        "origins": config.cors.origins,
        "busters": config.identity.cache_busters,
        "skip": config.identity.irrelevant,
        "mute": unrelated(config),
        "cap": config.limits.topics_per_stream,
        // With the page's jitter that is before the lease runs out.
        "renew_ms": millis(config.poll.reauthorize * 7 / 10),
        "cookies": (!config.identity.cookies.iter().any(|name| name == "*"))
            .then_some(&config.identity.cookies),
        "off_ms": millis(config.stream.off_retry),
        "body": config.limits.body,
        "min_ms": millis(config.poll.min_interval),
    })
}

/// One expression for all paths of writes that change nothing; if there are none, one that no path
/// matches.
fn unrelated(config: &Config) -> String {
    let all: Vec<_> = config.unrelated_writes.iter().map(Glob::regex_source).collect();
    if all.is_empty() { "^$".to_owned() } else { all.join("|") }
}

fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Off => "off",
        Mode::Observe => "observe",
        Mode::Collapse => "collapse",
        Mode::Push => "push",
    }
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// JSON that may stand in a script, even an inline one: `</script` would end it, and U+2028 and
/// U+2029 end a line in old engines.
fn embeddable(json: &str) -> String {
    json.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

/// Gzipped as well as can be, since every page pays for it: three bytes in a hundred less than by
/// zlib's best. Empty if that fails, which memory doesn't.
fn gzipped(plain: &[u8]) -> Bytes {
    let mut out = Vec::new();
    match zopfli::compress(zopfli::Options::default(), zopfli::Format::Gzip, plain, &mut out) {
        Ok(()) => out.into(),
        Err(_) => Bytes::new(),
    }
}

/// Writes all of `plain` and ends the coded stream. Nothing waits: the sink is memory.
fn encode<E: AsyncWrite + Unpin>(mut encoder: E, plain: &[u8]) -> Option<E> {
    let mut cx = Context::from_waker(Waker::noop());
    let mut rest = plain;
    while !rest.is_empty() {
        let Poll::Ready(Ok(taken)) = Pin::new(&mut encoder).poll_write(&mut cx, rest) else {
            return None;
        };
        rest = &rest[taken..];
    }
    let ended = Pin::new(&mut encoder).poll_shutdown(&mut cx);
    matches!(ended, Poll::Ready(Ok(()))).then_some(encoder)
}
