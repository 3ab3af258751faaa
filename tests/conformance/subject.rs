//! The two proxies: Pollcast as the shell runs it, and Debian's nginx.

use crate::case::{Case, Protocol};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tokio::sync::oneshot;

/// Where Debian keeps it.
const NGINX: &str = "/usr/sbin/nginx";

/// Which proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Ours.
    Pollcast,
    /// The one that everybody knows.
    Nginx,
}

/// A running proxy. Dropping it ends it.
pub struct Subject {
    /// Where clients connect.
    pub addr: SocketAddr,
    child: Child,
    _dir: tempfile::TempDir,
}

impl Subject {
    /// Starts one before this origin, with the settings of the case.
    pub async fn start(kind: Kind, case: &Case, origin: SocketAddr) -> Self {
        match kind {
            Kind::Pollcast => Self::pollcast(case, origin).await,
            Kind::Nginx => Self::nginx(case, origin).await,
        }
    }

    async fn pollcast(case: &Case, origin: SocketAddr) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut text = format!("listen = \"127.0.0.1:0\"\norigin = \"http://{origin}\"\n");
        text.push_str("admin.listen = \"off\"\nlog.format = \"json\"\n");
        text.extend(case.settings.iter().map(|line| format!("{line}\n")));
        std::fs::write(dir.path().join("proxy.toml"), text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_pollcast"));
        command.args(["run", "--config", "proxy.toml"]).env_remove("RUST_LOG");
        let (child, line) = spawn(&mut command, dir.path(), "\"listening\"").await;
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        Self { addr: line["addr"].as_str().unwrap().parse().unwrap(), child, _dir: dir }
    }

    async fn nginx(case: &Case, origin: SocketAddr) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Bound, but not listened on: it keeps the port for nginx, which may bind it, too.
        let place = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let place = place.unwrap();
        place.set_reuse_port(true).unwrap();
        place.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        let addr = place.local_addr().unwrap().as_socket().unwrap();
        std::fs::write(dir.path().join("nginx.conf"), nginx_config(case, addr, origin)).unwrap();
        let mut command = Command::new(NGINX);
        command.arg("-p").arg(dir.path()).args(["-c", "nginx.conf", "-e", "stderr"]);
        // The last that it says before it serves, when it listens already.
        let (child, _) = spawn(&mut command, dir.path(), "getrlimit").await;
        Self { addr, child, _dir: dir }
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// True if nginx can be asked; without it, CI fails and a developer goes on.
pub fn nginx_is_there() -> bool {
    let there = Path::new(NGINX).exists();
    assert!(there || std::env::var_os("CI").is_none(), "{NGINX} is missing");
    if !there {
        println!("SKIP: {NGINX} is missing");
    }
    there
}

/// A plain reverse proxy as its manual writes it, told to stream, to keep connections, and to take
/// heads as large as ours.
const NGINX_SETTINGS: [&str; 12] = [
    "proxy_http_version 1.1;",
    "proxy_set_header Connection \"\";",
    "proxy_set_header Host $http_host;",
    "proxy_buffering off;",
    "proxy_request_buffering off;",
    "proxy_pass_header Server;",
    "proxy_pass_header Date;",
    "proxy_buffer_size 64k;",
    "proxy_buffers 8 64k;",
    "proxy_busy_buffers_size 64k;",
    "large_client_header_buffers 4 64k;",
    "client_max_body_size 0;",
];

fn nginx_config(case: &Case, addr: SocketAddr, origin: SocketAddr) -> String {
    let mut text = String::from("daemon off;\nmaster_process off;\npid nginx.pid;\n");
    text.push_str("error_log stderr notice;\nevents { worker_connections 64; }\nhttp {\n");
    text.push_str("access_log off;\n");
    for name in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        let _ = writeln!(text, "{name}_temp_path {name};");
    }
    let _ = writeln!(text, "upstream origin {{ server {origin}; keepalive 8; }}");
    let http2 = if case.protocol == Protocol::Http1 { "" } else { " http2" };
    let _ = writeln!(text, "server {{\nlisten {addr} reuseport{http2};");
    let subject = |line: &str| line.rsplit_once(' ').map(|(subject, _)| subject.to_owned());
    let own: Vec<_> = case.nginx_settings.iter().map(|line| subject(line)).collect();
    // nginx would take a directive that is there twice for two, or for a mistake.
    for line in NGINX_SETTINGS.iter().filter(|line| !own.contains(&subject(line))) {
        let _ = writeln!(text, "{line}");
    }
    text.extend(case.nginx_settings.iter().map(|line| format!("{line}\n")));
    text.push_str("location / { proxy_pass http://origin; }\n}\n}\n");
    text
}

/// Starts a program and returns the first line on its standard error that has `ready` in it.
async fn spawn(command: &mut Command, dir: &Path, ready: &'static str) -> (Child, String) {
    command.current_dir(dir).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let (sender, receiver) = oneshot::channel();
    // A thread of its own, so that the program never waits for somebody to read.
    std::thread::spawn(move || {
        let mut sender = Some(sender);
        let mut seen = String::new();
        for line in stderr.lines().map_while(Result::ok) {
            if line.contains(ready)
                && let Some(sender) = sender.take()
            {
                let _ = sender.send(Ok(line));
            } else if sender.is_some() {
                seen.push_str(&line);
                seen.push('\n');
            }
        }
        if let Some(sender) = sender.take() {
            let _ = sender.send(Err(seen));
        }
    });
    match receiver.await {
        Ok(Ok(line)) => (child, line),
        end => panic!("{command:?} didn't start: {end:?}"),
    }
}
