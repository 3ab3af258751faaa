//! Content codings of watched bodies, bounded against compression bombs.

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use bytes::Bytes;
use http::{HeaderMap, header};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The body without its content coding, or `None` if the coding is unknown, the bytes are damaged
/// or the result is longer than `limit` bytes. Cancel safe.
pub async fn decode(headers: &HeaderMap, body: Bytes, limit: usize) -> Option<Bytes> {
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    let coding = match (codings.next(), codings.next()) {
        (None, _) => return (body.len() <= limit).then_some(body),
        (Some(coding), None) => coding.to_str().ok()?.trim().to_ascii_lowercase(),
        // Coded twice: nobody does it to JSON.
        (Some(_), Some(_)) => return None,
    };
    let input = body.as_ref();
    match coding.as_str() {
        "" | "identity" => (body.len() <= limit).then_some(body),
        "gzip" | "x-gzip" => {
            let mut decoder = GzipDecoder::new(input);
            decoder.multiple_members(true);
            read(decoder, limit).await
        }
        "br" => read(BrotliDecoder::new(input), limit).await,
        "zstd" => read(ZstdDecoder::new(input), limit).await,
        "deflate" => read(ZlibDecoder::new(input), limit).await,
        _ => None,
    }
}

async fn read(decoder: impl AsyncRead + Unpin, limit: usize) -> Option<Bytes> {
    let mut out = Vec::new();
    // One byte more than allowed tells a body of just the limit from a longer one.
    decoder.take(limit as u64 + 1).read_to_end(&mut out).await.ok()?;
    (out.len() <= limit).then(|| out.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_compression::tokio::bufread::GzipEncoder;
    use http::HeaderValue;

    async fn gzip(text: &[u8]) -> Bytes {
        let mut out = Vec::new();
        GzipEncoder::new(text).read_to_end(&mut out).await.unwrap();
        out.into()
    }

    fn coded(value: &'static str) -> HeaderMap {
        [(header::CONTENT_ENCODING, HeaderValue::from_static(value))].into_iter().collect()
    }

    #[tokio::test]
    async fn gives_the_body_back_within_the_limit() {
        let body = gzip(&[b'a'; 1000]).await;
        let headers = coded("gzip");
        assert_eq!(decode(&headers, body.clone(), 1000).await.unwrap().len(), 1000);
        assert_eq!(decode(&headers, body.clone(), 999).await, None);
        assert_eq!(decode(&headers, body.slice(..10), 1000).await, None);
        assert_eq!(decode(&coded("lzma"), body.clone(), 1000).await, None);
        assert_eq!(decode(&HeaderMap::new(), body, 1).await, None);
    }
}
