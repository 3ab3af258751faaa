//! How to reach the origin: TCP, TLS or a Unix socket.

use super::link::Link;
use super::trust;
use crate::config::{Config, OriginProtocol};
use crate::error::{Cause, Error};
use anyhow::Context as _;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio_rustls::TlsConnector;

/// An origin that vanished without a word is noticed after about this long, in mid-tunnel too.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// After so long without a word from one address the next is tried beside it. RFC 8305 §5: "One
/// recommended value for a default delay is 250 milliseconds."
const HEAD_START: Duration = Duration::from_millis(250);

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// Opens connections to one origin.
#[derive(Clone)]
pub(super) struct Dialer {
    /// Where it listens.
    place: Place,
    /// `None` is clear text.
    tls: Option<Tls>,
    /// What to speak where TLS doesn't settle it.
    clear: Protocol,
    /// From the first packet to a connection that can be used, TLS included.
    limit: Duration,
}

/// Where the origin listens.
#[derive(Clone, Debug)]
enum Place {
    /// Host name or address, and port; the name is resolved for each connection.
    Tcp(String, u16),
    /// A socket of this machine.
    Unix(PathBuf),
}

/// How TLS is spoken.
#[derive(Clone)]
struct Tls {
    /// Offers what the config allows.
    any: TlsConnector,
    /// Offers HTTP/1.1 alone: a WebSocket needs it.
    http1: TlsConnector,
    /// Whom the certificate must name.
    name: ServerName<'static>,
}

impl Dialer {
    /// Reads the certificates to trust; connects to nothing yet.
    ///
    /// # Errors
    /// No certificates to trust, or a host that no certificate could name.
    pub(super) fn new(config: &Config) -> anyhow::Result<Self> {
        let host = config.origin.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let secure = config.origin.scheme_str() == Some("https");
        let port = config.origin.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let tls = if secure {
            let name = ServerName::try_from(host.clone())
                .with_context(|| format!("origin: no certificate can name {host}"))?;
            let any = trust::client(config)?;
            let mut http1 = any.clone();
            http1.alpn_protocols = vec![b"http/1.1".to_vec()];
            Some(Tls { any: Arc::new(any).into(), http1: Arc::new(http1).into(), name })
        } else {
            None
        };
        Ok(Self {
            place: match &config.origin_socket {
                Some(path) => Place::Unix(path.clone()),
                None => Place::Tcp(host, port),
            },
            tls,
            clear: match config.origin_protocol {
                OriginProtocol::Http2 => Protocol::Http2,
                OriginProtocol::Auto | OriginProtocol::Http1 => Protocol::Http1,
            },
            limit: config.timeouts.connect,
        })
    }

    /// True if the connections are encrypted.
    pub(super) fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// Opens a connection. Cancel safe: dropping it closes what was opened.
    pub(super) async fn dial(&self) -> Result<(Link, Protocol), Error> {
        let connect = self.connect(self.tls.as_ref().map(|tls| (&tls.any, &tls.name)));
        let link = tokio::time::timeout(self.limit, connect);
        let link = link.await.map_err(|_| Cause::ConnectTimeout)??;
        let protocol = match &link {
            Link::Tls(tls) if tls.get_ref().1.alpn_protocol() == Some(b"h2") => Protocol::Http2,
            Link::Tls(_) => Protocol::Http1,
            Link::Tcp(_) | Link::Unix(_) => self.clear,
        };
        Ok((link, protocol))
    }

    /// Opens a connection that speaks HTTP/1.1. Cancel safe, as [`Dialer::dial`].
    pub(super) async fn dial_http1(&self) -> Result<Link, Error> {
        let connect = self.connect(self.tls.as_ref().map(|tls| (&tls.http1, &tls.name)));
        let link = tokio::time::timeout(self.limit, connect);
        link.await.map_err(|_| Cause::ConnectTimeout)?
    }

    async fn connect(
        &self,
        tls: Option<(&TlsConnector, &ServerName<'static>)>,
    ) -> Result<Link, Error> {
        let (host, port) = match &self.place {
            Place::Unix(path) => {
                let socket = UnixStream::connect(path).await;
                return socket.map(Link::Unix).map_err(|error| unreachable(&error, path.display()));
            }
            Place::Tcp(host, port) => (host.as_str(), *port),
        };
        let socket = connect_tcp(host, port).await?;
        let Some((connector, name)) = tls else { return Ok(Link::Tcp(socket)) };
        let tls = connector.connect(name.clone(), socket).await;
        tls.map(|tls| Link::Tls(Box::new(tls))).map_err(|error| Error::new(Cause::Tls, error))
    }
}

/// Connects to the first of the name's addresses that accepts.
async fn connect_tcp(host: &str, port: u16) -> Result<TcpStream, Error> {
    let addresses: Vec<SocketAddr> = match host.parse() {
        Ok(ip) => vec![SocketAddr::new(ip, port)],
        Err(_) => lookup_host((host, port))
            .await
            .map_err(|error| Error::new(Cause::Unresolved, error))?
            .collect(),
    };
    let socket = race(addresses, TcpStream::connect).await?;
    if let Err(error) = tune(&socket) {
        tracing::debug!(%error, "socket options");
    }
    Ok(socket)
}

/// Tries addresses in the system's order, until one accepts. After one that fails the next is tried
/// at once, beside one that is silent after [`HEAD_START`]: otherwise an address whose packets are
/// lost would use up the time of all. The error is that of the last to fail. Cancel safe: dropping
/// it ends every attempt.
async fn race<T, F>(
    addresses: Vec<SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> Result<T, Error>
where
    F: Future<Output = io::Result<T>>,
{
    let connect = &connect;
    let attempt = |address| async move {
        let connected = connect(address).await;
        connected.map_err(|error| unreachable(&error, address))
    };
    let (mut running, mut left) = (FuturesUnordered::new(), addresses.into_iter());
    let mut last = Error::from(Cause::Unresolved);
    loop {
        running.extend(left.next().map(attempt));
        match tokio::time::timeout(HEAD_START, running.next()).await {
            Ok(Some(Ok(socket))) => return Ok(socket),
            Ok(Some(Err(error))) => last = error,
            Ok(None) => return Err(last),
            Err(_) => {}
        }
    }
}

fn tune(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    SockRef::from(socket).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))
}

fn unreachable(error: &io::Error, place: impl Display) -> Error {
    let cause = match error.kind() {
        io::ErrorKind::ConnectionRefused => Cause::Refused,
        io::ErrorKind::TimedOut => Cause::ConnectTimeout,
        _ => Cause::Unreachable,
    };
    Error::new(cause, format!("{place}: {error}"))
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tls = self.tls.is_some();
        f.debug_struct("Dialer")
            .field("place", &self.place)
            .field("tls", &tls)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    /// Longer than any origin is waited for.
    const HANG: Duration = Duration::from_secs(60);

    fn addresses() -> Vec<SocketAddr> {
        [1, 2, 3].map(|port| SocketAddr::from(([192, 0, 2, 1], port))).to_vec()
    }

    async fn won<F>(connect: impl Fn(u16) -> F) -> Result<u16, Error>
    where
        F: Future<Output = io::Result<()>>,
    {
        let connect = |address: SocketAddr| {
            let connected = connect(address.port());
            async move { connected.await.map(|()| address.port()) }
        };
        tokio::time::timeout(HANG, race(addresses(), connect)).await.expect("an end")
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_address_does_not_use_up_the_time_of_the_next() {
        let second = won(|port| async move {
            match port {
                2 => Ok(()),
                _ => pending().await,
            }
        });
        assert_eq!(second.await.unwrap(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_address_may_still_win() {
        let start = tokio::time::Instant::now();
        let first = won(|port| async move {
            match port {
                1 => tokio::time::sleep(HEAD_START * 3 / 2).await,
                _ => pending().await,
            }
            Ok(())
        });
        assert_eq!(first.await.unwrap(), 1);
        assert_eq!(start.elapsed(), HEAD_START * 3 / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_fails_is_followed_at_once() {
        let start = tokio::time::Instant::now();
        let third = won(|port| async move {
            match port {
                3 => Ok(()),
                _ => Err(io::ErrorKind::ConnectionRefused.into()),
            }
        });
        assert_eq!(third.await.unwrap(), 3);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_failure_is_told_with_its_address() {
        let none = won(|port| async move {
            if port == 1 {
                tokio::time::sleep(HEAD_START * 2).await;
            }
            Err(io::ErrorKind::ConnectionRefused.into())
        });
        let error = none.await.unwrap_err();
        assert_eq!(error.cause(), Cause::Refused);
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(source, "192.0.2.1:1: connection refused");
        let nobody = race(Vec::new(), |_| pending::<io::Result<()>>()).await;
        assert_eq!(nobody.unwrap_err().cause(), Cause::Unresolved);
    }
}
