//! Bodies that both ends can make from a seed, so that every byte is known on arrival.

use blake3::{Hash, Hasher, OutputReader};
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

/// Bytes of a piece, unless it is said otherwise.
const PIECE: usize = 32 << 10;

/// The endless bytes of a seed.
fn reader(seed: u64) -> OutputReader {
    Hasher::new().update(&seed.to_le_bytes()).finalize_xof()
}

/// The first bytes of a seed.
pub fn bytes(seed: u64, size: usize) -> Bytes {
    let mut all = vec![0; size];
    reader(seed).fill(&mut all);
    all.into()
}

/// The digest of the first bytes of a seed.
pub fn digest(seed: u64, size: u64) -> Hash {
    let (mut from, mut hasher, mut left) = (reader(seed), Hasher::new(), size);
    let mut piece = vec![0; PIECE];
    while left > 0 {
        let n = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        from.fill(&mut piece[..n]);
        hasher.update(&piece[..n]);
        left -= n as u64;
    }
    hasher.finalize()
}

/// Where bytes come from.
enum Source {
    Seed(OutputReader),
    Held(Bytes),
    /// What the other end sends.
    Echo(Incoming),
}

/// A body: of a seed, in hand or an echo; at once or in drops; whole or torn.
pub struct Content {
    source: Source,
    /// Bytes still to come.
    left: u64,
    /// Bytes that were promised and won't come: it breaks where they would.
    torn: u64,
    /// Bytes of a piece.
    piece: usize,
    /// Wait between pieces.
    pause: Option<(Duration, Pin<Box<Sleep>>)>,
    /// The length isn't told.
    chunked: bool,
}

impl Content {
    fn new(source: Source, left: u64) -> Self {
        Self { source, left, torn: 0, piece: PIECE, pause: None, chunked: false }
    }

    /// The first bytes of a seed.
    pub fn seeded(seed: u64, size: u64) -> Self {
        Self::new(Source::Seed(reader(seed)), size)
    }

    /// These.
    pub fn held(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let left = bytes.len() as u64;
        Self::new(Source::Held(bytes), left)
    }

    /// What comes in goes out.
    pub fn echo(body: Incoming) -> Self {
        Self::new(Source::Echo(body), 0)
    }

    /// In drops of so many bytes, with a pause after each, of untold length.
    pub fn slowly(self, piece: usize, pause: Duration) -> Self {
        let sleep = Box::pin(tokio::time::sleep(Duration::ZERO));
        Self { piece, pause: Some((pause, sleep)), chunked: true, ..self }
    }

    /// Its length is told as so much more than there is. What there is has time to get out.
    pub fn torn(self, more: u64) -> Self {
        Self { torn: more, chunked: false, ..self.slowly(50_000, Duration::from_millis(2)) }
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Source::Echo(body) = &mut self.source {
            return Pin::new(body).poll_frame(cx).map_err(io::Error::other);
        }
        if let Some((pause, sleep)) = &mut self.pause {
            ready!(sleep.as_mut().poll(cx));
            sleep.set(tokio::time::sleep(*pause));
        }
        if self.left == 0 {
            let torn = || Err(io::Error::other("torn on purpose"));
            return Poll::Ready((self.torn > 0).then(torn));
        }
        let n = self.piece.min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= n as u64;
        let piece = match &mut self.source {
            Source::Seed(from) => {
                let mut piece = BytesMut::zeroed(n);
                from.fill(&mut piece);
                piece.freeze()
            }
            Source::Held(bytes) => bytes.split_to(n),
            Source::Echo(_) => Bytes::new(),
        };
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Echo(body) => body.is_end_stream(),
            _ => self.left == 0 && self.torn == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Echo(body) => body.size_hint(),
            _ if self.chunked => SizeHint::default(),
            _ => SizeHint::with_exact(self.left + self.torn),
        }
    }
}
