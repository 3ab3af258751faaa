//! `pollcast status` and `pollcast restore`: ask a running Pollcast. A health check where there is
//! no shell and no other client.

use super::{Exit, complain, say};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// A health check that hangs says less than one that fails.
const PATIENCE: Duration = Duration::from_secs(2);

/// The answer is a line, or one for each watch.
const ANSWER_BYTES: u64 = 1 << 20;

/// Asks the operator's listener, wherever it is bound to. Alarms are told, and are no failure:
/// clients are served all the same.
pub(super) fn status(admin: Option<SocketAddr>) -> Exit {
    with(admin, |admin| match ready(admin)? {
        Answer::Ready => Ok(say(&format!("ready\n{}", alarms(admin)?))),
        Answer::NotReady(why) => {
            complain(why);
            Ok(Exit::Failed)
        }
    })
}

/// Has a watch shared again.
pub(super) fn restore(admin: Option<SocketAddr>, watch: &str) -> Exit {
    with(admin, |admin| {
        let length = watch.len();
        let head =
            format!("POST /restore HTTP/1.1\r\nPollcast-Admin: cli\r\nContent-Length: {length}");
        let answer = ask(admin, &head, watch)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(foreign)?;
        if head.starts_with("HTTP/1.1 200 ") && body == "restored\n" {
            return Ok(say(&format!("{watch} may be shared again\n")));
        }
        let why = body.strip_prefix("Pollcast: ").ok_or_else(foreign)?;
        complain(why.trim_end());
        Ok(Exit::Refused)
    })
}

fn with(
    admin: Option<SocketAddr>,
    question: impl FnOnce(SocketAddr) -> std::io::Result<Exit>,
) -> Exit {
    let Some(admin) = admin.filter(|admin| admin.port() != 0) else {
        complain("the operator's listener has no known port: name it with --admin");
        return Exit::Refused;
    };
    question(reachable(admin)).unwrap_or_else(|error| {
        complain(format_args!("nobody answers at {admin}: {error}"));
        Exit::Failed
    })
}

fn foreign() -> std::io::Error {
    std::io::Error::other("that isn't Pollcast's answer")
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

/// Sends a request whose head begins with these lines, and reads the whole answer.
fn ask(admin: SocketAddr, head: &str, body: &str) -> std::io::Result<String> {
    let mut socket = TcpStream::connect_timeout(&admin, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    write!(socket, "{head}\r\nHost: {admin}\r\nConnection: close\r\n\r\n{body}")?;
    let mut answer = String::new();
    socket.take(ANSWER_BYTES).read_to_string(&mut answer)?;
    Ok(answer)
}

fn ready(admin: SocketAddr) -> std::io::Result<Answer> {
    read(&ask(admin, "GET /readyz HTTP/1.1", "")?).ok_or_else(foreign)
}

/// One line for each alarm.
fn alarms(admin: SocketAddr) -> std::io::Result<String> {
    let answer = ask(admin, "GET /alarms HTTP/1.1", "")?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or_else(foreign)?;
    let list: serde_json::Value = serde_json::from_str(body).map_err(|_| foreign())?;
    let alarms = list["alarms"].as_array().into_iter().flatten();
    let line = |alarm: &serde_json::Value| {
        let text = |member: &str| alarm[member].as_str().unwrap_or_default().to_owned();
        format!("alarm: watch {} is no longer shared: {}\n", text("watch"), text("what"))
    };
    Ok(alarms.map(line).collect())
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
