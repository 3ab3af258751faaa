//! A small board app: an origin of the kind that teams have and won't rewrite, and a page that
//! polls it.
//!
//! Neither knows of a proxy: JSON without validators, a session cookie, answers that take their
//! time, two queries every two seconds. `pollcast demo` puts the proxy in front of it, for a
//! newcomer to watch.

pub mod board;
pub mod colleague;
pub mod origin;
mod page;
mod router;
pub mod session;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::net::SocketAddr;

/// Glob over the writes of the demo's page that change what its polled endpoints answer: an item's
/// change shows in `/api/board` and in `/api/events`, which the paths don't tell.
pub const WRITES: &str = "/api/**";

/// What `pollcast demo` prints: what to open, what to watch, how to stop. `front` is where the
/// proxy listens, `admin` where its metrics are, if anywhere.
#[must_use]
pub fn instructions(front: SocketAddr, admin: Option<SocketAddr>) -> String {
    let front = reachable(front);
    let mut text = format!(
        "\
A team board that polls its API every two seconds runs behind Pollcast. Nothing in it knows.

  Open     http://{front}/
  Compare  http://{front}/?pollcast=off   (a second window, side by side: plain polling)

What to watch, at the top of each page:
  - “Network requests” stops rising after a few polls; in the second window it never does.
  - “Polls answered” goes on in both: the app polls as ever, and is answered in the page.
  - “Last change arrived after” falls from up to two seconds to a fraction of one.
  A colleague changes something every few seconds; add, move and tick cards yourself, too.

The same endpoint as a stream, for a terminal:
  curl -N http://{front}/__pollcast/sse/api/events
"
    );
    if let Some(admin) = admin {
        let admin = reachable(admin);
        // Writing to a string can't fail.
        let _ = write!(text, "\nWhat it saves, in numbers:\n  curl http://{admin}/metrics\n");
    }
    text.push_str("\nStop with Ctrl-C. Nothing is kept.\n");
    text
}

/// The address that a browser on this machine can open: nobody can visit 0.0.0.0. A loopback
/// address is shown as `127.0.0.1` and not as `localhost`, which may resolve to `::1`, where nobody
/// listens.
fn reachable(addr: SocketAddr) -> SocketAddr {
    if !addr.ip().is_unspecified() {
        return addr;
    }
    let ip: std::net::IpAddr = if addr.is_ipv4() {
        std::net::Ipv4Addr::LOCALHOST.into()
    } else {
        std::net::Ipv6Addr::LOCALHOST.into()
    };
    SocketAddr::new(ip, addr.port())
}
