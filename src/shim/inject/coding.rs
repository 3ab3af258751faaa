//! Content codings (RFC 9110 §8.4.1): a page is decoded to find its head, and encoded again in the
//! same coding.

use async_compression::Level;
use async_compression::brotli::EncoderParams;
use async_compression::codecs::flate::params::FlateEncoderParams;
use async_compression::codecs::{
    BrotliDecoder, BrotliEncoder, DecodeV2, EncodeV2, GzipDecoder, GzipEncoder, ZlibDecoder,
    ZlibEncoder, ZstdDecoder, ZstdEncoder,
};
use async_compression::core::util::{PartialBuffer, WriteBuffer};
use async_compression::zstd::{CParameter, DParameter};
use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, header};
use std::io;

/// Bytes that one step makes at most: what a small body can blow up to in memory before it is
/// passed on.
const STEP_BYTES: usize = 16 << 10;
/// Window of what we encode, as a power of two: the default windows cost megabytes per response.
const WINDOW_LOG: u8 = 18;
/// RFC 9659 §3: for the content coding, a window "no larger than 8 MB".
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// A content coding that can be rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// No coding.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstd,
    /// RFC 1950, and only that: raw deflate under this name goes on unchanged.
    Deflate,
}

impl Coding {
    /// The coding with this token, in any case.
    pub(super) fn from_token(token: &str) -> Option<Self> {
        [
            ("identity", Self::Identity),
            ("gzip", Self::Gzip),
            ("x-gzip", Self::Gzip),
            ("br", Self::Brotli),
            ("zstd", Self::Zstd),
            ("deflate", Self::Deflate),
        ]
        .into_iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(token))
        .map(|(_, coding)| coding)
    }

    /// The one coding of a response; `None` if there are several or an unknown one.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
        let Some(value) = values.next() else { return Some(Self::Identity) };
        if values.next().is_some() {
            return None;
        }
        match value.to_str().ok()?.trim() {
            "" => Some(Self::Identity),
            token => Self::from_token(token),
        }
    }

    /// A decoder; `None` for identity.
    pub(super) fn decoder(self) -> Option<Decoder> {
        let codec: Box<dyn DecodeV2 + Send> = match self {
            Self::Identity => return None,
            Self::Gzip => Box::new(GzipDecoder::new()),
            Self::Brotli => Box::new(BrotliDecoder::new()),
            Self::Zstd => Box::new(ZstdDecoder::new_with_params(&[DParameter::window_log_max(
                ZSTD_WINDOW_LOG_MAX,
            )])),
            Self::Deflate => Box::new(ZlibDecoder::new()),
        };
        Some(Decoder { codec, frames: self == Self::Zstd, ended: false, inside: false })
    }

    /// An encoder; `None` for identity. Fast levels: a page is encoded anew for each request.
    pub(super) fn encoder(self) -> Option<Encoder> {
        let flate = || FlateEncoderParams::from(Level::Precise(5));
        let codec: Box<dyn EncodeV2 + Send> = match self {
            Self::Identity => return None,
            Self::Gzip => Box::new(GzipEncoder::new(flate())),
            Self::Brotli => {
                let params = EncoderParams::default().quality(Level::Precise(4));
                Box::new(BrotliEncoder::new(params.window_size(WINDOW_LOG.into())))
            }
            Self::Zstd => Box::new(ZstdEncoder::new_with_params(
                3,
                &[CParameter::window_log(WINDOW_LOG.into())],
            )),
            Self::Deflate => Box::new(ZlibEncoder::new(flate())),
        };
        Some(Encoder { codec })
    }
}

/// Decodes in bounded steps.
pub(super) struct Decoder {
    /// The coding's state.
    codec: Box<dyn DecodeV2 + Send>,
    /// Frames may follow one another (RFC 8878 §3); in the other codings browsers ignore what
    /// follows the end.
    frames: bool,
    /// The end of the coded stream was seen.
    ended: bool,
    /// There may be decoded bytes inside: input was taken since the codec last had nothing to
    /// give.
    inside: bool,
}

/// What one step made of the input.
pub(super) struct Step {
    /// Decoded bytes; some may come even with an error.
    pub(super) plain: Vec<u8>,
    /// The input isn't in the coding.
    pub(super) error: Option<io::Error>,
}

impl Decoder {
    /// True if the coded stream is complete. To be asked when there is no more input.
    pub(super) fn complete(&mut self) -> bool {
        let mut none = [0; 1];
        let mut output = WriteBuffer::new_initialized(&mut none);
        self.ended || self.codec.finish(&mut output).is_ok_and(|done| done)
    }

    /// True if [`step`](Self::step) would do something.
    pub(super) fn ready(&self, input: &Bytes) -> bool {
        self.inside || !input.is_empty()
    }

    /// Takes some of `input`, and gives at most 16 KiB.
    pub(super) fn step(&mut self, input: &mut Bytes) -> Step {
        let mut plain = vec![0; STEP_BYTES];
        let mut output = WriteBuffer::new_initialized(&mut plain);
        let error = self.decode(input, &mut output).err();
        let made = output.written_len();
        self.inside &= error.is_none() && !self.ended;
        plain.truncate(made);
        Step { plain, error }
    }

    fn decode(&mut self, input: &mut Bytes, output: &mut WriteBuffer<'_>) -> io::Result<()> {
        if input.is_empty() {
            return self.drain(output);
        }
        if self.ended && !self.frames {
            input.clear();
            return Ok(());
        }
        if self.ended {
            self.codec.reinit()?;
            self.ended = false;
        }
        let mut source = PartialBuffer::new(&input[..]);
        let result = self.codec.decode(&mut source, output);
        let taken = source.written_len();
        input.advance(taken);
        self.ended = result?;
        self.inside = true;
        if taken == 0 && output.written_len() == 0 && !self.ended {
            // A codec that neither takes nor gives would keep the caller here for ever.
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(())
    }

    /// Some codecs take all input before they give all output.
    fn drain(&mut self, output: &mut WriteBuffer<'_>) -> io::Result<()> {
        if self.frames {
            // Its flush doesn't tell the end of a frame.
            self.ended = self.codec.decode(&mut PartialBuffer::new(&[]), output)?;
        } else {
            self.codec.flush(output)?;
        }
        self.inside = output.has_no_spare_space();
        Ok(())
    }
}

/// Encodes, and can be flushed after each chunk.
pub(super) struct Encoder {
    /// The coding's state.
    codec: Box<dyn EncodeV2 + Send>,
}

impl Encoder {
    /// Encodes all of `plain`; part of the result may stay inside until the next flush.
    pub(super) fn write(&mut self, plain: &[u8], out: &mut BytesMut) -> io::Result<()> {
        let mut source = PartialBuffer::new(plain);
        while !source.unwritten().is_empty() {
            grow(out, |output| self.codec.encode(&mut source, output))?;
        }
        Ok(())
    }

    /// Gives everything written so far, so that the reader can decode it now.
    pub(super) fn flush(&mut self, out: &mut BytesMut) -> io::Result<()> {
        while !grow(out, |output| self.codec.flush(output))? {}
        Ok(())
    }

    /// Ends the coded stream.
    pub(super) fn finish(&mut self, out: &mut BytesMut) -> io::Result<()> {
        while !grow(out, |output| self.codec.finish(output))? {}
        Ok(())
    }
}

/// Lets `write` append to `out`.
fn grow<T>(
    out: &mut BytesMut,
    write: impl FnOnce(&mut WriteBuffer<'_>) -> io::Result<T>,
) -> io::Result<T> {
    const ROOM: usize = 4 << 10;
    let start = out.len();
    out.resize(start + ROOM, 0);
    let mut output = WriteBuffer::new_initialized(&mut out[start..]);
    let result = write(&mut output);
    let made = output.written_len();
    out.truncate(start + made);
    result
}
