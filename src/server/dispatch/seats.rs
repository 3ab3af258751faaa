//! How many streams one client has: a cap by address.

use crate::http::{Frame, Frames};
use http::HeaderMap;
use ipnet::IpNet;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// Time between two warnings.
const GAP: Duration = Duration::from_secs(60);

/// Streams by client address.
#[derive(Debug, Default)]
pub struct Seats(Mutex<(HashMap<IpAddr, usize>, Option<Instant>)>);

/// One stream's place, given back when it drops.
pub struct Seat {
    seats: Arc<Seats>,
    address: IpAddr,
}

impl Seats {
    /// A place for one more stream of this client, or `None` at the cap.
    pub fn take(self: &Arc<Self>, address: IpAddr, most: usize) -> Option<Seat> {
        let mut seats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = seats.0.entry(address).or_insert(0);
        if *count < most {
            *count += 1;
            return Some(Seat { seats: Arc::clone(self), address });
        }
        let now = Instant::now();
        if seats.1.is_none_or(|said| now.duration_since(said) >= GAP) {
            seats.1 = Some(now);
            tracing::warn!(
                "limits.streams_per_client is reached: if a proxy stands in front, name it in \
                 trusted_proxies"
            );
        }
        None
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.seats.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = seats.0.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                seats.0.remove(&self.address);
            }
        }
    }
}

/// Whom a request comes from: the last address on its way that isn't a trusted proxy's. Of IPv6 the
/// network, which is what one client has.
pub fn client_of(headers: &HeaderMap, peer: IpAddr, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    if is_trusted(&client) {
        let lines = headers.get_all("x-forwarded-for").iter();
        let lines: Vec<_> = lines.filter_map(|line| line.to_str().ok()).collect();
        for hop in lines.iter().flat_map(|line| line.split(',')).rev() {
            let Some(hop) = address(hop.trim()) else { break };
            client = hop.to_canonical();
            if !is_trusted(&client) {
                break;
            }
        }
    }
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) >> 64 << 64).into(),
    }
}

/// An address, as proxies write it: with a port too, and IPv6 in brackets.
fn address(hop: &str) -> Option<IpAddr> {
    let plain = hop.parse().ok();
    let plain = plain.or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip()));
    plain.or_else(|| hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
}

/// Frames that keep a place.
pub struct Seated {
    frames: Box<dyn Frames>,
    _seat: Seat,
}

impl Seated {
    /// A stream, and its place.
    pub fn new(frames: Box<dyn Frames>, seat: Seat) -> Self {
        Self { frames, _seat: seat }
    }
}

impl Frames for Seated {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame>> {
        self.frames.poll_frame(cx)
    }
}

/// A stream of one frame.
pub struct Once(pub Option<Frame>);

impl Frames for Once {
    fn poll_frame(&mut self, _: &mut Context<'_>) -> Poll<Option<Frame>> {
        Poll::Ready(self.0.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_place_is_given_back() {
        let seats = Arc::new(Seats::default());
        let [one, other]: [IpAddr; 2] = ["10.0.0.1", "10.0.0.2"].map(|ip| ip.parse().unwrap());
        let first = seats.take(one, 2);
        let second = seats.take(one, 2);
        assert!(first.is_some() && second.is_some() && seats.take(one, 2).is_none());
        assert!(seats.take(other, 2).is_some());
        drop(first);
        assert!(seats.take(one, 2).is_some());
        drop(second);
        assert!(seats.0.lock().unwrap().0.is_empty());
    }

    #[test]
    fn only_trusted_proxies_say_who_the_client_is() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        for (peer, forwarded, want) in [
            ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
            ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
            ("10.0.0.1", "203.0.113.9, 198.51.100.7, 10.2.3.4", "198.51.100.7"),
            ("10.0.0.1", "spoofed, 10.9.9.9", "10.9.9.9"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("::ffff:10.0.0.1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("10.0.0.1", "198.51.100.7:40123", "198.51.100.7"),
            ("10.0.0.1", "198.51.100.7:40123, 10.2.3.4:80", "198.51.100.7"),
            ("10.0.0.1", "[2001:db8:1:2:3:4:5:6]:40123", "2001:db8:1:2::"),
            ("10.0.0.1", "[2001:db8:1:2:3:4:5:6]", "2001:db8:1:2::"),
            ("10.0.0.1", "198.51.100.7:http", "10.0.0.1"),
        ] {
            let field = ("x-forwarded-for".parse().unwrap(), HeaderValue::from_static(forwarded));
            let headers: HeaderMap = [field].into_iter().collect();
            let got = client_of(&headers, peer.parse().unwrap(), &trusted);
            assert_eq!(got, want.parse::<IpAddr>().unwrap(), "{peer} {forwarded}");
        }
    }
}
