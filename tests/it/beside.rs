//! Behind the proxies that stand in front of us: the real programs, with the files of deploy/.
//!
//! A missing program fails where CI=true, and is skipped elsewhere.

use crate::app::{App, FAST, WATCH, post};
use crate::events::{Events, Held};
use crate::origin::{Peer, soon};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use pollcast::drain::Drain;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::{TcpListener, TcpStream};

const NGINX: &str = include_str!("../../deploy/nginx.conf");
const KUBERNETES: &str = include_str!("../../deploy/kubernetes.yaml");
const HAPROXY: &str = include_str!("../../deploy/haproxy.cfg");

/// A page, an echo, a WebSocket that echoes, and a number that changes.
struct Backend {
    addr: SocketAddr,
    number: Arc<AtomicU64>,
    tasks: Drain,
}

impl Backend {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (number, tasks) = (Arc::new(AtomicU64::new(0)), Drain::new());
        let (shared, spawner) = (Arc::clone(&number), tasks.clone());
        tasks.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (number, tasks) = (Arc::clone(&shared), spawner.clone());
                let answer = service_fn(move |req| answer(req, Arc::clone(&number), tasks.clone()));
                let conn = http1::Builder::new().serve_connection(TokioIo::new(socket), answer);
                spawner.spawn(async move { conn.with_upgrades().await.is_ok() });
            }
        });
        Self { addr, number, tasks }
    }
}

async fn answer(
    req: Request<Incoming>,
    number: Arc<AtomicU64>,
    tasks: Drain,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    if req.headers().contains_key(header::UPGRADE) {
        tasks.spawn(async move {
            let socket = hyper::upgrade::on(req).await.unwrap();
            let (mut read, mut write) = tokio::io::split(TokioIo::new(socket));
            tokio::io::copy(&mut read, &mut write).await
        });
        let head = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
        let head = head.header(header::CONNECTION, "Upgrade").header(header::UPGRADE, "websocket");
        // HAProxy checks it against the example of RFC 6455 §1.3, which the client here sends.
        let head = head.header(header::SEC_WEBSOCKET_ACCEPT, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        return Ok(head.body(Full::default()).unwrap());
    }
    let (head, body) = req.into_parts();
    let body = body.collect().await?.to_bytes();
    let (media, body) = match head.uri.path() {
        "/api/number" => ("application/json", number.load(Ordering::SeqCst).to_string().into()),
        "/page" => ("text/html", "<!doctype html><head><title>x</title></head>".into()),
        "/fields" => ("text/plain", format!("{:?}", head.headers).into()),
        _ => ("application/octet-stream", body),
    };
    let answer = Response::builder().header(header::CONTENT_TYPE, media);
    Ok(answer.body(Full::new(body)).unwrap())
}

/// A program in front of Pollcast. Dropping it ends it.
struct Front {
    addr: SocketAddr,
    child: Child,
    /// Configuration and log.
    dir: tempfile::TempDir,
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Front {
    /// Runs a program whose files and arguments depend on where it is to listen. A free port may be
    /// taken before the program has it: then it ends, and the next one is tried.
    async fn start(run: impl Fn(SocketAddr, &Path) -> Command) -> Self {
        for _ in 0..5 {
            let dir = tempfile::tempdir().unwrap();
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let addr = free.local_addr().unwrap();
            drop(free);
            let log = std::fs::File::create(dir.path().join("log")).unwrap();
            let mut command = run(addr, dir.path());
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
            let child = command.spawn().unwrap();
            let mut front = Self { addr, child, dir };
            if front.listens().await {
                return front;
            }
            let log = std::fs::read_to_string(front.dir.path().join("log")).unwrap();
            assert!(log.contains("ddress already in use"), "{log}");
        }
        panic!("no port stays free");
    }

    /// False if it ended instead.
    async fn listens(&mut self) -> bool {
        let listens = async {
            loop {
                if self.child.try_wait().unwrap().is_some() {
                    return false;
                }
                if TcpStream::connect(self.addr).await.is_ok() {
                    return true;
                }
                tokio::task::yield_now().await;
            }
        };
        soon("a listener", listens).await
    }
}

/// The same file with other addresses; each must be there to be replaced.
fn with(text: &str, changes: &[(&str, String)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (old, new)| {
        assert!(text.contains(old), "the file has no {old:?} any more");
        text.replace(old, new)
    })
}

fn nginx(mut command: Command, app: &App, addr: SocketAddr, dir: &Path) -> Command {
    let changes =
        [("127.0.0.1:8080", app.addr.to_string()), ("listen 80;", format!("listen {addr};"))];
    std::fs::write(dir.join("pollcast.conf"), with(NGINX, &changes)).unwrap();
    // Started by root it would give itself another user, who can't write here.
    let user = std::fs::metadata("/proc/self").map(|own| std::os::unix::fs::MetadataExt::uid(&own));
    let user = if user.unwrap() == 0 { "user root;\n" } else { "" };
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("    {what}_temp_path {}/{what};\n", dir.display()));
    let main = format!(
        "{user}daemon off;\nmaster_process off;\npid {0}/pid;\nerror_log stderr;\n\
         events {{}}\nhttp {{\n    access_log off;\n{1}    include {0}/pollcast.conf;\n}}\n",
        dir.display(),
        temporary.concat()
    );
    std::fs::write(dir.join("nginx.conf"), main).unwrap();
    command.arg("-p").arg(dir).arg("-e").arg("stderr").arg("-c").arg(dir.join("nginx.conf"));
    command
}

fn haproxy(mut command: Command, app: &App, addr: SocketAddr, dir: &Path) -> Command {
    let changes = [
        ("127.0.0.1:8080", app.addr.to_string()),
        ("port 9090", format!("port {}", app.admin.port())),
        ("bind :80\n", format!("bind {addr}\n")),
    ];
    std::fs::write(dir.join("haproxy.cfg"), with(HAPROXY, &changes)).unwrap();
    command.arg("-db").arg("-f").arg(dir.join("haproxy.cfg"));
    command
}

/// Where a program is. The directories of an administrator's aren't on everybody's path.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut places = path.split(':').chain(["/usr/sbin", "/sbin"]);
    let found = places.find_map(|dir| Some(Path::new(dir).join(program)).filter(|at| at.is_file()));
    if found.is_none() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{program} is missing");
        // Past the test runner, which would keep it to itself.
        let _ = writeln!(std::io::stderr(), "SKIP: missing: {program}");
    }
    found
}

/// Everything that a browser would do, through the program in front.
async fn everything_crosses(front: &Front, app: &App, backend: &Backend) {
    let page =
        ask(front, "GET /page HTTP/1.1\r\nHost: app.example\r\nAccept: text/html\r\n\r\n").await;
    assert!(page.contains("<head><script src=\"/__pollcast/shim.js\">"), "{page}");
    let fields = ask(front, "GET /fields HTTP/1.1\r\nHost: app.example\r\n\r\n").await;
    assert!(fields.contains("\"host\": \"app.example\""), "{fields}");
    assert_eq!(ask(front, &post("/echo", "", "what was sent")).await, "what was sent");

    let upgrade = "GET /ws HTTP/1.1\r\nHost: app\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let mut socket = Peer::connect(front.addr).await;
    socket.send(upgrade).await;
    let head = socket.read_head().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    for said in ["one", "two", "three"] {
        socket.send(said).await;
        assert_eq!(socket.read(said.len()).await, said.as_bytes());
    }

    // Each event must come before the next change is made: a buffer would hang here.
    let topic = serde_json::json!({"url": "/api/number", "every_ms": 50});
    let mut stream = Events::at(front.addr, &[topic]).await;
    let mut held = Held::default();
    for number in 0..5 {
        backend.number.store(number, Ordering::SeqCst);
        while held.body != number.to_string() {
            held.take(&stream.news().await);
        }
    }
    drop(stream);
    app.until_metric("pollcast_streams", 0.0).await;

    let body: Vec<u8> =
        (0..10_u32 << 20).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    let mut client = Peer::connect(front.addr).await;
    let head =
        format!("POST /echo HTTP/1.1\r\nHost: app\r\nContent-Length: {}\r\n\r\n", body.len());
    client.send(head).await;
    client.send(&body).await;
    let head = client.read_head().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(client.read(body.len()).await == body, "other bytes came back");
}

async fn ask(front: &Front, request: &str) -> String {
    let mut peer = Peer::connect(front.addr).await;
    peer.send(request).await;
    let answer = crate::app::Answer::read(&mut peer).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    answer.text().to_owned()
}

async fn behind(program: &str, run: impl Fn(Command, &App, SocketAddr, &Path) -> Command) {
    let Some(program) = find(program) else { return };
    let backend = Backend::start().await;
    let app = App::with(backend.addr, "push", &format!("{WATCH}{FAST}")).await;
    let front = Front::start(|addr, dir| run(Command::new(&program), &app, addr, dir)).await;
    everything_crosses(&front, &app, &backend).await;
    backend.tasks.leave();
}

#[tokio::test]
async fn nginx_in_front_changes_nothing() {
    behind("nginx", nginx).await;
}

#[tokio::test]
async fn haproxy_in_front_changes_nothing() {
    behind("haproxy", haproxy).await;
}

#[test]
fn the_manifest_has_a_configuration_that_runs() {
    let (_, text) = KUBERNETES.split_once("proxy.toml: |\n").unwrap();
    let (text, _) = text.split_once("\n---").unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("proxy.toml"), text).unwrap();
    let mut check = Command::new(env!("CARGO_BIN_EXE_pollcast"));
    let output = check.arg("check").current_dir(dir.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout.starts_with(b"ok\nlisten 0.0.0.0:8080\n"), "{output:?}");
}
