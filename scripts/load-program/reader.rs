//! The streams' readers: as little work per event as tells what it was.

use crate::event::{Cutter, Event, Witness};
use crate::tally::Tally;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// One reader in so many rebuilds the body.
const WITNESSES: usize = 100;

/// Bytes read at once, on the stack: thousands of idle readers keep none.
const READ: usize = 16 << 10;

/// Opens one stream per request. They live until the set is dropped.
pub async fn open(
    addr: SocketAddr,
    requests: impl Iterator<Item = String>,
    witnesses: bool,
    tally: &Arc<Tally>,
) -> anyhow::Result<JoinSet<()>> {
    let mut readers = JoinSet::new();
    for (index, request) in requests.enumerate() {
        let mut socket = TcpStream::connect(addr).await?;
        socket.set_nodelay(true)?;
        socket.write_all(request.as_bytes()).await?;
        let witness = (witnesses && index % WITNESSES == 0).then(Witness::default);
        readers.spawn(read(socket, index, witness, Arc::clone(tally)));
    }
    Ok(readers)
}

async fn read(
    mut socket: TcpStream,
    index: usize,
    mut witness: Option<Witness>,
    tally: Arc<Tally>,
) {
    let mut cutter = Cutter::default();
    let take = |block: &[u8], witness: &mut Option<Witness>| match Event::read(block) {
        Event::State(hash) => {
            if let Some(witness) = witness {
                match witness.see(block) {
                    Ok(()) => tally.body(index, &witness.body),
                    Err(_) => tally.fault(),
                }
            }
            tally.state(index, hash);
        }
        Event::Beat => tally.beat(),
        Event::Hello => {}
        Event::Fault => tally.fault(),
    };
    poll_fn(|cx| {
        let mut bytes = [0; READ];
        loop {
            let mut buf = ReadBuf::new(&mut bytes);
            match std::task::ready!(Pin::new(&mut socket).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => {
                    cutter.feed(buf.filled(), |block| take(block, &mut witness));
                }
                _ => return std::task::Poll::Ready(()),
            }
        }
    })
    .await;
    tally.fault();
}
