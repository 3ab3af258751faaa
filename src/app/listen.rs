//! Sockets to listen on: handed over by a service manager, or our own.
//!
//! The protocol is systemd's (`sd_listen_fds(3)`): `LISTEN_FDS` sockets from descriptor 3 on, meant
//! for the process `LISTEN_PID`, with names in `LISTEN_FDNAMES`. A socket that is handed over
//! outlives each process that accepts from it: what waits in its queue when one leaves is the next
//! one's, so that no connection is refused between the two.

use anyhow::Context as _;
use listenfd::ListenFd;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Connections that wait until they are accepted; the kernel lowers it to its own limit
/// (`net.core.somaxconn`). A start under load begins with a rush.
const BACKLOG: i32 = 4096;

/// Name of the operator's socket.
const ADMIN: &str = "admin";

/// Sockets that were handed over; none if nothing was.
#[derive(Debug, Default)]
pub struct Handed {
    /// Where clients connect.
    clients: Option<std::net::TcpListener>,
    /// Where the operator connects.
    admin: Option<std::net::TcpListener>,
}

impl Handed {
    /// Takes what the environment names. Call it once, before any descriptor is opened: a careless
    /// `LISTEN_FDS` without a `LISTEN_PID` would name ours.
    ///
    /// # Errors
    /// A descriptor isn't a listening TCP socket, or there are two for one purpose.
    pub fn from_env() -> anyhow::Result<Self> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut found = ListenFd::from_env();
        let mut handed = Self::default();
        for index in 0..found.len() {
            let name = names.next().unwrap_or_default();
            let socket = found
                .take_tcp_listener(index)
                .context("a socket that was handed over is no TCP socket")?;
            let Some(socket) = socket else { continue };
            handed.put(name, socket)?;
        }
        Ok(handed)
    }

    /// The socket named `admin` is the operator's; any other name is the clients', since systemd
    /// names a socket after its unit.
    fn put(&mut self, name: &str, socket: std::net::TcpListener) -> anyhow::Result<()> {
        if !SockRef::from(&socket).is_listener()? {
            anyhow::bail!("the socket {name:?} that was handed over doesn't listen (Accept=no?)");
        }
        let place = if name == ADMIN { &mut self.admin } else { &mut self.clients };
        if place.replace(socket).is_some() {
            anyhow::bail!(
                "two sockets of one purpose were handed over: one is for clients, and one may be \
                 named {ADMIN:?} (FileDescriptorName=)"
            );
        }
        Ok(())
    }

    /// The clients' socket: the one that was handed over, or one at `addr`.
    ///
    /// # Errors
    /// `addr` can't be listened on.
    pub(super) fn clients(&mut self, addr: SocketAddr, reuse: bool) -> anyhow::Result<TcpListener> {
        match self.clients.take() {
            Some(socket) => adopt(socket),
            None => bind(addr, reuse),
        }
    }

    /// The operator's socket, and whether another generation may accept from it too.
    ///
    /// # Errors
    /// `addr` can't be listened on.
    pub(super) fn admin(
        &mut self,
        addr: Option<SocketAddr>,
        reuse: bool,
    ) -> anyhow::Result<Option<(TcpListener, bool)>> {
        match (self.admin.take(), addr) {
            (Some(socket), _) => Ok(Some((adopt(socket)?, true))),
            (None, Some(addr)) => Ok(Some((bind(addr, reuse)?, reuse))),
            (None, None) => Ok(None),
        }
    }
}

fn adopt(socket: std::net::TcpListener) -> anyhow::Result<TcpListener> {
    // Service managers hand over blocking sockets; accepting from one would stop a worker.
    socket.set_nonblocking(true)?;
    Ok(TcpListener::from_std(socket)?)
}

fn bind(addr: SocketAddr, reuse: bool) -> anyhow::Result<TcpListener> {
    open(addr, reuse).with_context(|| format!("can't listen on {addr}"))
}

fn open(addr: SocketAddr, reuse: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of a process that has just left hold the address for a minute.
    socket.set_reuse_address(true)?;
    if reuse {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    #[tokio::test]
    async fn what_was_handed_over_comes_first() {
        let mut handed = Handed::default();
        let clients = std::net::TcpListener::bind(any()).unwrap();
        let admin = std::net::TcpListener::bind(any()).unwrap();
        let wanted = (clients.local_addr().unwrap(), admin.local_addr().unwrap());
        handed.put("pollcast.socket", clients).unwrap();
        handed.put("admin", admin).unwrap();
        assert_eq!(handed.clients(any(), false).unwrap().local_addr().unwrap(), wanted.0);
        let (socket, shared) = handed.admin(None, false).unwrap().unwrap();
        assert_eq!((socket.local_addr().unwrap(), shared), (wanted.1, true));
        assert!(handed.admin(None, false).unwrap().is_none());
        assert!(!handed.admin(Some(any()), false).unwrap().unwrap().1);
    }

    #[test]
    fn a_second_socket_of_one_purpose_is_refused() {
        let mut handed = Handed::default();
        handed.put("http", std::net::TcpListener::bind(any()).unwrap()).unwrap();
        let error = handed.put("", std::net::TcpListener::bind(any()).unwrap()).unwrap_err();
        assert!(error.to_string().starts_with("two sockets of one purpose"), "{error}");
    }

    #[test]
    fn a_socket_that_does_not_listen_is_refused() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let error = Handed::default().put("http", socket.into()).unwrap_err();
        assert!(error.to_string().contains("doesn't listen"), "{error}");
    }

    #[tokio::test]
    async fn two_may_listen_together_if_both_say_so() {
        let first = open(any(), true).unwrap();
        let addr = first.local_addr().unwrap();
        assert_eq!(open(addr, false).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(open(addr, true).unwrap().local_addr().unwrap(), addr);
    }
}
