//! `pollcast status`: asks a running Pollcast whether it is ready. A health check where there is no
//! shell and no other client.

use super::{Exit, complain, say};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// A health check that hangs says less than one that fails.
const PATIENCE: Duration = Duration::from_secs(2);

/// The answer is a line.
const ANSWER_BYTES: u64 = 4096;

/// Asks the operator's listener, wherever it is bound to.
pub(super) fn status(admin: Option<SocketAddr>) -> Exit {
    let Some(admin) = admin.filter(|admin| admin.port() != 0) else {
        complain("the operator's listener has no known port: name it with --admin");
        return Exit::Refused;
    };
    match ask(reachable(admin)) {
        Ok(Answer::Ready) => say("ready\n"),
        Ok(Answer::NotReady(why)) => {
            complain(why);
            Exit::Failed
        }
        Err(error) => {
            complain(format_args!("nobody answers at {admin}: {error}"));
            Exit::Failed
        }
    }
}

/// All addresses of this machine are reached at its loopback address.
fn reachable(mut admin: SocketAddr) -> SocketAddr {
    match admin.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => admin.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => admin.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    admin
}

/// What `/readyz` says.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Ready,
    /// The whole line.
    NotReady(String),
}

fn ask(admin: SocketAddr) -> std::io::Result<Answer> {
    let mut socket = TcpStream::connect_timeout(&admin, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    write!(socket, "GET /readyz HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    socket.take(ANSWER_BYTES).read_to_string(&mut answer)?;
    read(&answer).ok_or_else(|| std::io::Error::other("that isn't Pollcast's answer"))
}

/// `None` if the answer isn't one of ours; another program may have the port.
fn read(answer: &str) -> Option<Answer> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    if head.starts_with("HTTP/1.1 200 ") && body == "ok\n" {
        return Some(Answer::Ready);
    }
    let why_not = head.starts_with("HTTP/1.1 503 ") && body.starts_with("not ready: ");
    why_not.then(|| Answer::NotReady(body.trim_end().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_told_from_anything_else() {
        assert_eq!(read("HTTP/1.1 200 OK\r\n\r\nok\n"), Some(Answer::Ready));
        let not = "HTTP/1.1 503 No\r\n\r\nnot ready: x\n";
        assert_eq!(read(not), Some(Answer::NotReady("not ready: x".to_owned())));
        for other in ["", "HTTP/1.1 200 OK\r\n\r\n<html>", "SSH-2.0\r\n\r\nok\n", "220 hi\r\n"] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn all_addresses_are_reached_at_home() {
        for (bound, reached) in
            [("0.0.0.0:9", "127.0.0.1:9"), ("[::]:9", "[::1]:9"), ("10.0.0.7:9", "10.0.0.7:9")]
        {
            assert_eq!(reachable(bound.parse().unwrap()), reached.parse().unwrap());
        }
    }
}
