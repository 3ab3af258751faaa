//! One process of many on the same socket, started as a service manager would.

use anyhow::Context as _;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::net::UnixDatagram;

/// The shell becomes the program, and `$$` stays the same: standard input, which is the socket,
/// becomes descriptor 3.
const HAND_OVER: &str = "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=http; \
                         export LISTEN_PID LISTEN_FDS LISTEN_FDNAMES; \
                         exec \"$0\" run --config \"$1\" 3<&0 </dev/null";

/// How long one may take to arrive, or to leave.
const PATIENCE: Duration = Duration::from_secs(15);

/// A process. Dropping it ends it.
pub struct Generation {
    /// `None` once it has left.
    child: Option<Child>,
    /// Configuration and notification socket.
    _dir: tempfile::TempDir,
}

impl Generation {
    /// Starts one, and waits until it says that it is ready.
    pub async fn start(
        program: &Path,
        socket: &TcpListener,
        origin: SocketAddr,
    ) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let (file, notify) = (dir.path().join("proxy.toml"), dir.path().join("notify"));
        std::fs::write(&file, config(origin))?;
        let manager = UnixDatagram::bind(&notify)?;
        let child = Command::new("sh")
            .args(["-c", HAND_OVER])
            .args([program, &file])
            .env("NOTIFY_SOCKET", &notify)
            .stdin(OwnedFd::from(socket.try_clone()?))
            .stdout(Stdio::null())
            .spawn()?;
        let generation = Self { child: Some(child), _dir: dir };
        let ready = async {
            let mut text = [0; 512];
            loop {
                let len = manager.recv(&mut text).await?;
                if text[..len].starts_with(b"READY=1\n") {
                    return anyhow::Ok(());
                }
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.context("it never was ready")??;
        Ok(generation)
    }

    /// Asks it to leave and waits until it has. Returns its exit code.
    pub async fn leave(mut self) -> anyhow::Result<Option<i32>> {
        let mut child = self.child.take().context("it has left")?;
        let pid = child.id().to_string();
        anyhow::ensure!(Command::new("kill").args(["-TERM", &pid]).status()?.success(), "kill");
        let ended = async {
            loop {
                if let Some(status) = child.try_wait()? {
                    return anyhow::Ok(status.code());
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let ended = tokio::time::timeout(PATIENCE, ended).await;
        if ended.is_err() {
            child.kill()?;
            child.wait()?;
        }
        ended.context("it didn't leave")?
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn config(origin: SocketAddr) -> String {
    format!(
        "origin = \"http://{origin}\"\n[admin]\nlisten = \"off\"\n[log]\nlevel = \"error\"\n\
         [[watch]]\npath = \"/api/**\"\n[timeouts]\ndrain = \"10s\"\n"
    )
}
