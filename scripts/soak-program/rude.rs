//! Clients that leave in the middle, and an origin that does.

use crate::client::{Client, Unexpected, digest, get, post, reset_on_close};
use crate::content::{self, Content};
use crate::world::Visit;
use anyhow::Context as _;
use http::StatusCode;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Reads some of an answer and leaves, in order or with a reset.
pub async fn abort_download(mut visit: Visit) -> anyhow::Result<u64> {
    let mut socket = TcpStream::connect(visit.proxy).await?;
    let size = visit.size(20_000_000).max(10_000);
    let request = match visit.rng.u32(0..4) {
        0 => format!("/dribble?seed=1&size={size}&piece=500&ms=5"),
        1 => "/sse?count=100000&ms=5".to_owned(),
        _ => format!("/bytes?seed=1&size={size}"),
    };
    let request = format!("GET {request} HTTP/1.1\r\nHost: soak.test\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let (mut buffer, mut got) = (vec![0; 16 << 10], 0);
    let enough = visit.rng.u64(0..size / 2);
    let until = Duration::from_millis(visit.rng.u64(1..500));
    // Whatever it is in the middle of, it leaves.
    let _ = tokio::time::timeout(until, async {
        while got < enough {
            match socket.read(&mut buffer).await {
                Ok(n @ 1..) => got += n as u64,
                _ => break,
            }
        }
    })
    .await;
    if visit.rng.bool() {
        reset_on_close(&socket)?;
    }
    Ok(got)
}

/// Sends some of a body and leaves, in order or with a reset.
pub async fn abort_upload(mut visit: Visit) -> anyhow::Result<u64> {
    let mut socket = TcpStream::connect(visit.proxy).await?;
    let size = visit.size(5_000_000).max(10_000);
    let target = if visit.rng.bool() { "/upload" } else { "/echo" };
    let head =
        format!("POST {target} HTTP/1.1\r\nHost: soak.test\r\nContent-Length: {size}\r\n\r\n");
    socket.write_all(head.as_bytes()).await?;
    let some = usize::try_from(visit.rng.u64(0..size))?;
    let body = content::bytes(1, some);
    // An echo that nobody reads stops the sender too.
    let sending = tokio::time::timeout(Duration::from_millis(500), socket.write_all(&body));
    let sent = matches!(sending.await, Ok(Ok(())));
    if visit.rng.bool() {
        reset_on_close(&socket)?;
    }
    Ok(if sent { some as u64 } else { 0 })
}

/// The origin resets in mid-answer, or before it: the client must see that the answer isn't whole.
pub async fn origin_reset(mut visit: Visit) -> anyhow::Result<u64> {
    let mut client = Client::connect(visit.proxy).await?;
    let after = visit.rng.u64(0..200_000);
    let req = match visit.rng.u32(0..3) {
        0 => get("/reset-head")?,
        1 => post("/reset-head", Content::seeded(1, visit.size(100_000)))?,
        _ => get(&format!("/reset?seed=1&after={after}"))?,
    };
    let response = client.any(req).await?;
    match response.status() {
        StatusCode::BAD_GATEWAY => {
            digest(response.into_body(), Duration::ZERO).await?;
        }
        StatusCode::OK => {
            let whole = digest(response.into_body(), Duration::ZERO).await;
            anyhow::ensure!(whole.is_err(), "a torn answer passed as whole");
        }
        status => return Err(Unexpected(status).into()),
    }
    Ok(0)
}

/// A WebSocket: what goes out comes back. It ends in order, from this side, or with a reset.
pub async fn websocket(mut visit: Visit) -> anyhow::Result<u64> {
    let mut socket = TcpStream::connect(visit.proxy).await?;
    socket.set_nodelay(true)?;
    let head = "GET /ws HTTP/1.1\r\nHost: soak.test\r\nConnection: Upgrade\r\nUpgrade: websocket\
                \r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\
                \r\n\r\n";
    socket.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(socket.read_u8().await.context("the handshake broke off")?);
    }
    let answer = String::from_utf8(answer)?;
    anyhow::ensure!(answer.starts_with("HTTP/1.1 101 "), "no upgrade: {answer}");
    anyhow::ensure!(answer.contains(crate::origin::ACCEPT), "another accept: {answer}");
    let mut crossed = 0;
    for _ in 0..visit.rng.u32(1..30) {
        let most = if visit.rng.u32(0..10) == 0 { 300_000 } else { 2_000 };
        let message = content::bytes(visit.rng.u64(..), visit.rng.usize(1..most));
        let (mut from, mut to) = socket.split();
        let mut back = vec![0; message.len()];
        let (wrote, read) = tokio::join!(to.write_all(&message), from.read_exact(&mut back));
        wrote?;
        read.context("the echo broke off")?;
        crate::client::same("websocket", &back[..], &message[..])?;
        crossed += 2 * message.len() as u64;
        tokio::time::sleep(Duration::from_millis(visit.rng.u64(0..100))).await;
    }
    if visit.rng.bool() {
        reset_on_close(&socket)?;
    } else {
        socket.shutdown().await?;
        let rest = socket.read_u8().await;
        anyhow::ensure!(rest.is_err(), "more than was sent");
    }
    Ok(crossed)
}
