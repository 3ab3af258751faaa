//! Arriving: sockets that are handed over, and what the service manager is told.

use crate::app::App;
use crate::course::{Course, Plan};
use crate::origin::{Origin, Peer, soon};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tokio::net::UnixDatagram;

/// Becomes Pollcast, with standard input as descriptor 3 and standard output as descriptor 4, as a
/// service manager hands sockets over. `$$` stays the same through `exec`.
const ACTIVATED: &str =
    "LISTEN_PID=$$; export LISTEN_PID; exec \"$0\" run --config proxy.toml 3<&0 4<&1 </dev/null";

const PROGRAM: &str = env!("CARGO_BIN_EXE_pollcast");

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script, PROGRAM]);
    command
}

fn activated(names: &str, sockets: [&TcpListener; 2]) -> Command {
    let mut command = shell(ACTIVATED);
    let [clients, admin] = sockets.map(|socket| OwnedFd::from(socket.try_clone().unwrap()));
    command.env("LISTEN_FDS", names.split(':').count().to_string()).env("LISTEN_FDNAMES", names);
    command.stdin(clients).stdout(admin);
    command
}

fn sockets() -> [TcpListener; 2] {
    [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap())
}

/// One that the service manager would listen on, and its name in the environment.
fn notified(dir: &Path) -> (UnixDatagram, std::path::PathBuf) {
    let path = dir.join("notify");
    (UnixDatagram::bind(&path).unwrap(), path)
}

async fn told(socket: &UnixDatagram) -> String {
    let mut text = [0; 512];
    let len = soon("a notification", socket.recv(&mut text)).await.unwrap();
    String::from_utf8_lossy(&text[..len]).into_owned()
}

/// Runs it to its end, which must come by itself.
fn fails(mut command: Command, tables: &str) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let text = format!("listen = \"127.0.0.1:0\"\norigin = \"http://127.0.0.1:1\"\n{tables}");
    std::fs::write(dir.path().join("proxy.toml"), text).unwrap();
    command.current_dir(dir.path()).env_remove("RUST_LOG").stderr(Stdio::piped());
    command.spawn().unwrap().wait_with_output().unwrap()
}

async fn answers(addr: SocketAddr, origin: &Origin) {
    let mut client = Peer::connect(addr).await;
    client.send("GET /x HTTP/1.1\r\nHost: app\r\n\r\n").await;
    let mut conn = origin.accept().await;
    conn.read_head().await;
    conn.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert!(client.read_head().await.starts_with("HTTP/1.1 204 "));
}

#[tokio::test]
async fn sockets_that_are_handed_over_are_served_by_name() {
    let (origin, dir) = (Origin::bind().await, tempfile::tempdir().unwrap());
    let (notify, path) = notified(dir.path());
    let [first, second] = sockets();
    let addr = |socket: &TcpListener| socket.local_addr().unwrap();
    for names in ["http:admin", "admin:http", "admin:pollcast.socket"] {
        let mut command = activated(names, [&first, &second]);
        command.env("NOTIFY_SOCKET", &path);
        let app = App::run(command, origin.addr, "observe", "").await;
        let (clients, admin) = match names {
            "http:admin" => (&first, &second),
            _ => (&second, &first),
        };
        assert_eq!((app.addr, app.admin), (addr(clients), addr(admin)), "{names}");
        let ready = told(&notify).await;
        assert!(ready.starts_with("READY=1\nSTATUS=mode observe, listening on "), "{ready}");
        answers(app.addr, &origin).await;
        app.until_metric("pollcast_origin_requests_total", 1.0).await;
        app.signal("-HUP");
        let reloading = told(&notify).await;
        assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
        assert!(told(&notify).await.starts_with("READY=1\n"));
        app.signal("-TERM");
        let stopping = told(&notify).await;
        assert!(stopping.starts_with("STOPPING=1\nEXTEND_TIMEOUT_USEC=32000000\n"), "{stopping}");
        assert_eq!(app.ended().await, Some(0));
    }
}

#[tokio::test]
async fn the_watchdog_is_fed() {
    let (origin, dir) = (Origin::bind().await, tempfile::tempdir().unwrap());
    let (notify, path) = notified(dir.path());
    let mut command = Command::new(PROGRAM);
    command.args(["run", "--config", "proxy.toml"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "20000");
    let app = App::run(command, origin.addr, "observe", "").await;
    let mut fed = 0;
    while fed < 3 {
        fed += u32::from(told(&notify).await == "WATCHDOG=1\n");
    }
    drop(app);
}

#[tokio::test]
async fn sockets_meant_for_another_process_are_left_alone() {
    let origin = Origin::bind().await;
    let [first, second] = sockets();
    let mut command = shell("LISTEN_PID=1; export LISTEN_PID; exec \"$0\" run --config proxy.toml");
    command.env("LISTEN_FDS", "2").stdin(OwnedFd::from(first.try_clone().unwrap()));
    command.env("NOTIFY_SOCKET", "/nowhere/at/all");
    let app = App::run(command, origin.addr, "observe", "").await;
    for socket in [&first, &second] {
        assert_ne!(app.addr, socket.local_addr().unwrap());
    }
    // A service manager that can't be reached is no reason not to serve.
    app.logged("no service manager hears us").await;
    answers(app.addr, &origin).await;
}

#[test]
fn what_is_no_listening_socket_is_refused() {
    let nothing =
        "LISTEN_PID=$$; export LISTEN_PID; exec \"$0\" run --config proxy.toml 3</dev/null";
    let mut command = shell(nothing);
    command.env("LISTEN_FDS", "1");
    let output = fails(command, "");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("a socket that was handed over is no TCP socket"), "{text}");
    assert_eq!(output.status.code(), Some(1));

    let [first, second] = sockets();
    let output = fails(activated("http:http", [&first, &second]), "");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("two sockets of one purpose"), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn an_operators_port_that_is_taken_is_said_and_nobody_is_told_ready() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let notify = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    notify.set_nonblocking(true).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["run", "--config", "proxy.toml"]).env("NOTIFY_SOCKET", &path);
    let output = fails(command, &format!("[admin]\nlisten = \"{addr}\"\n"));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains(&format!("can't listen on {addr}")), "{text}");
    assert!(text.contains("--admin for the operator's listener"), "{text}");
    assert_eq!(output.status.code(), Some(1));
    assert!(notify.recv(&mut [0; 64]).is_err());
}

#[tokio::test]
async fn two_generations_listen_together_where_the_file_says_so() {
    let origin = Origin::bind().await;
    // The mode's line is the last of the keys at the top.
    let reuse = "push\"\nreuse_port = true\n#\"";
    let first = App::with(origin.addr, reuse, "").await;
    let mut command = Command::new(PROGRAM);
    command.args(["run", "--config", "proxy.toml"]);
    command.args(["--listen", &first.addr.to_string()]);
    let second = App::run(command, origin.addr, reuse, "").await;
    assert_eq!(first.addr, second.addr);
    first.signal("-TERM");
    assert_eq!(first.ended().await, Some(0));
    answers(second.addr, &origin).await;
}

/// `scripts/deploy-under-load` in small.
#[tokio::test]
async fn a_deploy_under_load_fails_nobody_and_loses_nothing() {
    let plan = Plan { replacements: 1, streams: 20, requests_per_second: 100 };
    let tally = Course::run(PROGRAM.into(), plan, |_| {}).await.unwrap();
    assert!(tally.is_clean(), "{tally}\n{}", tally.faults.join("\n"));
    assert_eq!((tally.replacements, tally.moved), (1, 20));
    assert!(tally.answered > 50, "{tally}");
}
