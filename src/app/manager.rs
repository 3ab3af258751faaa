//! What the service manager is told (`sd_notify(3)`): ready, reloading, stopping, alive.

use sd_notify::NotifyState;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// How long a service manager that reads nothing may hold us up.
const PATIENCE: Duration = Duration::from_secs(1);

/// The service manager, if there is one that wants to be told.
#[derive(Debug)]
pub(super) struct Manager(Option<UnixDatagram>);

impl Manager {
    /// As `NOTIFY_SOCKET` says. One that can't be reached is no reason not to serve.
    pub(super) fn from_env() -> Self {
        let named = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        Self(named.and_then(|name| {
            let socket = connect(&name);
            socket.inspect_err(|error| tracing::warn!(%error, "no service manager hears us")).ok()
        }))
    }

    /// Clients are served from now on.
    pub(super) fn ready(&self, status: &str) {
        self.tell(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// The configuration is being read; [`Manager::ready`] ends it.
    pub(super) fn reloading(&self) {
        // Since version 253 systemd wants to know when, on its own clock.
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(_) => self.tell(&[NotifyState::Reloading]),
        }
    }

    /// Leaving, which takes so long at most: killed earlier, requests would be cut.
    pub(super) fn stopping(&self, at_most: Duration) {
        let extend = u32::try_from(at_most.as_micros()).unwrap_or(u32::MAX);
        let status = NotifyState::Status("leaving: requests finish, streams go elsewhere");
        self.tell(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(extend), status]);
    }

    /// Says that the process lives as often as the service manager asks for. Ends at once if it
    /// doesn't, else never.
    pub(super) async fn keep_alive(&self) {
        let Some(wanted) = self.0.as_ref().and(watchdog()) else { return };
        // Twice as often as it must hear us, as sd_watchdog_enabled(3) advises.
        let mut ticks = tokio::time::interval(wanted / 2);
        loop {
            ticks.tick().await;
            self.tell(&[NotifyState::Watchdog]);
        }
    }

    fn tell(&self, states: &[NotifyState<'_>]) {
        let Some(socket) = &self.0 else { return };
        let mut text = String::new();
        for state in states {
            // Writing to a string can't fail.
            let _ = writeln!(text, "{state}");
        }
        if let Err(error) = socket.send(text.as_bytes()) {
            tracing::warn!(%error, "the service manager doesn't hear us");
        }
    }
}

/// How often the service manager must hear that we live; `None` if it needn't, or means another
/// process.
fn watchdog() -> Option<Duration> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let ours = std::env::var_os("WATCHDOG_PID").is_none()
        || number("WATCHDOG_PID") == Some(u64::from(std::process::id()));
    // A timer of less than a millisecond would only spin.
    number("WATCHDOG_USEC").filter(|usec| ours && *usec >= 2000).map(Duration::from_micros)
}

/// A name that begins with `@` is in the abstract namespace: no file, and its first byte is zero.
fn connect(name: &OsString) -> io::Result<UnixDatagram> {
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => hidden(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn hidden(name: &[u8]) -> io::Result<SocketAddr> {
    <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn hidden(_: &[u8]) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut text = [0; 512];
        let len = socket.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..len]).into_owned()
    }

    #[test]
    fn a_file_and_an_abstract_name_both_hear() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let file = UnixDatagram::bind(&path).unwrap();
        let name = format!("pollcast-{}", std::process::id());
        let nameless = UnixDatagram::bind_addr(&hidden(name.as_bytes()).unwrap()).unwrap();
        let names = [path.into_os_string(), OsString::from(format!("@{name}"))];
        for (name, socket) in names.iter().zip([file, nameless]) {
            let manager = Manager(Some(connect(name).unwrap()));
            manager.ready("fine");
            assert_eq!(heard(&socket), "READY=1\nSTATUS=fine\n");
            manager.reloading();
            assert!(heard(&socket).starts_with("RELOADING=1\nMONOTONIC_USEC="));
            manager.stopping(Duration::from_secs(2));
            let text = heard(&socket);
            assert!(text.starts_with("STOPPING=1\nEXTEND_TIMEOUT_USEC=2000000\nSTATUS="), "{text}");
        }
    }

    #[test]
    fn one_that_is_gone_is_no_failure() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        assert!(connect(&path.clone().into_os_string()).is_err());
        let socket = UnixDatagram::bind(&path).unwrap();
        let manager = Manager(Some(connect(&path.into_os_string()).unwrap()));
        drop(socket);
        manager.ready("nobody hears it");
        Manager(None).ready("nobody is there");
    }
}
