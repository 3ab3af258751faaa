//! The whole app, as the shell runs it: the binary, its configuration file, its log lines.

use crate::origin::{Peer, soon};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use tokio::sync::watch;

/// One watch over all of `/api`, polled as often as it is allowed.
pub const WATCH: &str = "[[watch]]\nname = \"api\"\npath = \"/api/**\"\n";

/// Makes polls so frequent that no test waits long for one.
pub const FAST: &str = "[poll]\nmin_interval = \"50ms\"\ndefault_interval = \"50ms\"\n";

/// A running Pollcast. Dropping it ends it.
pub struct App {
    /// Where clients connect.
    pub addr: SocketAddr,
    /// Where the operator connects.
    pub admin: SocketAddr,
    /// The configuration's lines about the origin.
    origin: String,
    child: Child,
    lines: watch::Receiver<Vec<String>>,
    dir: tempfile::TempDir,
}

impl App {
    /// Polls fast, watches `/api`.
    pub async fn start(origin: SocketAddr) -> Self {
        Self::with(origin, "push", &format!("{WATCH}{FAST}")).await
    }

    /// A mode, and the tables of the configuration.
    pub async fn with(origin: SocketAddr, mode: &str, tables: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pollcast"));
        command.args(["run", "--config", "proxy.toml"]).stdout(Stdio::null());
        Self::run(command, origin, mode, tables).await
    }

    /// Runs a command that ends up as Pollcast, in a directory that has the configuration.
    pub async fn run(command: Command, origin: SocketAddr, mode: &str, tables: &str) -> Self {
        Self::launch(command, format!("origin = \"http://{origin}\"\n"), mode, tables).await
    }

    /// In front of whatever these lines of the configuration say.
    pub async fn before(origin: String, tables: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pollcast"));
        command.args(["run", "--config", "proxy.toml"]).stdout(Stdio::null());
        Self::launch(command, origin, "push", tables).await
    }

    /// The whole of it: a command, and the configuration's lines.
    pub async fn launch(mut command: Command, origin: String, mode: &str, tables: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        write_config(&dir, &origin, mode, tables);
        let mut child = command
            .current_dir(dir.path())
            .env_remove("RUST_LOG")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = follow(&mut child);
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut app = Self { addr: unknown, admin: unknown, origin, child, lines, dir };
        let line = app.logged("\"listening\"").await;
        let address = |key: &str| line[key].as_str().unwrap().parse().unwrap();
        (app.addr, app.admin) = (address("addr"), address("admin"));
        app
    }

    /// Replaces the configuration file in one step.
    pub fn configure(&self, mode: &str, tables: &str) {
        write_config(&self.dir, &self.origin, mode, tables);
    }

    /// The first log line that contains `part`, once it is there.
    pub async fn logged(&self, part: &str) -> Value {
        let mut lines = self.lines.clone();
        let has = |lines: &Vec<String>| lines.iter().any(|line| line.contains(part));
        let lines = soon(&format!("a log line with {part}"), lines.wait_for(has)).await.unwrap();
        let line = lines.iter().find(|line| line.contains(part)).unwrap();
        serde_json::from_str(line).unwrap()
    }

    /// Every log line so far.
    pub fn log(&self) -> String {
        self.lines.borrow().join("\n")
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// Waits until it has ended; its exit code.
    pub async fn ended(mut self) -> Option<i32> {
        let mut lines = self.lines.clone();
        // The reader of the log ends when the process has.
        soon("the end", async { while lines.changed().await.is_ok() {} }).await;
        self.child.wait().unwrap().code()
    }

    /// Sends raw bytes and reads one answer.
    pub async fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut peer = Peer::connect(self.addr).await;
        peer.send(request).await;
        Answer::read(&mut peer).await
    }

    /// A GET with further field lines (each with its line end).
    pub async fn get(&self, target: &str, fields: &str) -> Answer {
        self.ask(format!("GET {target} HTTP/1.1\r\nHost: app\r\n{fields}\r\n")).await
    }

    /// A GET that is marked as a poll.
    pub async fn poll(&self, target: &str, fields: &str) -> Answer {
        self.get(target, &format!("Pollcast-Client: me\r\n{fields}")).await
    }

    /// A POST with further field lines.
    pub async fn post(&self, target: &str, fields: &str, body: &str) -> Answer {
        self.ask(post(target, fields, body)).await
    }

    /// What `/metrics` says of a series.
    pub async fn metric(&self, series: &str) -> f64 {
        let mut peer = Peer::connect(self.admin).await;
        peer.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
        let text = peer.read_to_end().await.0;
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Waits until a series has a value; a metric can only be asked for again and again.
    pub async fn until_metric(&self, series: &str, wanted: f64) {
        let reached = async {
            while (self.metric(series).await - wanted).abs() > 0.1 {
                tokio::task::yield_now().await;
            }
        };
        soon(&format!("{series} {wanted}"), reached).await;
    }

    /// Resident bytes of the process.
    pub fn resident(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        1024 * line.trim().trim_end_matches(" kB").parse::<usize>().unwrap()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The text of a POST.
pub fn post(target: &str, fields: &str, body: &str) -> String {
    let len = body.len();
    format!("POST {target} HTTP/1.1\r\nHost: app\r\nContent-Length: {len}\r\n{fields}\r\n{body}")
}

fn write_config(dir: &tempfile::TempDir, origin: &str, mode: &str, tables: &str) {
    let mut text = String::from("listen = \"127.0.0.1:0\"\n");
    let _ = writeln!(text, "{origin}mode = \"{mode}\"");
    let _ = write!(text, "[admin]\nlisten = \"127.0.0.1:0\"\n[log]\nformat = \"json\"\n{tables}");
    let (new, file) = (dir.path().join("new"), dir.path().join("proxy.toml"));
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, file).unwrap();
}

/// Reads the log as it comes, on a thread of its own; it ends with the process.
fn follow(child: &mut Child) -> watch::Receiver<Vec<String>> {
    let (sender, lines) = watch::channel(Vec::new());
    let stderr = BufReader::new(child.stderr.take().unwrap());
    std::thread::spawn(move || {
        for line in stderr.lines().map_while(Result::ok) {
            sender.send_modify(|lines| lines.push(line));
        }
    });
    lines
}

/// One answer, its body without chunks.
#[derive(Debug)]
pub struct Answer {
    /// Status line and fields.
    pub head: String,
    /// Body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads head and body.
    pub async fn read(peer: &mut Peer) -> Self {
        let head = peer.read_head().await;
        let lower = head.to_ascii_lowercase();
        let empty = ["204", "304"].contains(&&head[9..12]);
        let body = if empty {
            Vec::new()
        } else if lower.contains("transfer-encoding: chunked") {
            chunks(peer).await
        } else if let Some(length) = field(&head, "content-length") {
            peer.read(length.parse().unwrap()).await
        } else {
            soon("the end of a body", peer.read_to_end()).await.0.into_bytes()
        };
        Self { head, body }
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.head[9..12].parse().unwrap()
    }

    /// A field's first value.
    pub fn field(&self, name: &str) -> Option<String> {
        field(&self.head, name)
    }

    /// The state hash in `Pollcast-State`.
    pub fn hash(&self) -> Option<String> {
        Some(self.field("pollcast-state")?.split(';').next().unwrap().to_owned())
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

async fn chunks(peer: &mut Peer) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let size = peer.read_until("\r\n").await;
        let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
        body.extend(peer.read(size).await);
        peer.read_until("\r\n").await;
        if size == 0 {
            return body;
        }
    }
}

fn field(head: &str, name: &str) -> Option<String> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}
