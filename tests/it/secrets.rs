//! Credentials stay where they are needed: in no log line at any level, no metric, no page of the
//! operator's.

use crate::app::{App, FAST, WATCH, post};
use crate::backend::{Backend, Kind};
use crate::events::{Events, Held};
use crate::origin::{Peer, soon};
use std::process::{Command, Stdio};

/// In every secret below, and nowhere else.
const PLANTED: &str = "pl4nted";

/// Credential-bearing fields, as a browser and an app send them.
const FIELDS: &str = "Cookie: session=pl4nted-cookie; theme=dark\r\n\
                      Authorization: Bearer pl4nted-token\r\n\
                      X-Api-Key: pl4nted-key\r\n\
                      Proxy-Authorization: Basic pl4nted-proxy\r\n";

/// Everything at every level: what the libraries have to say, too.
async fn start(origin: String) -> App {
    let mut command = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_pollcast");
    let line = format!("RUST_LOG=trace exec {program} run --config proxy.toml");
    command.args(["-c", &line]).stdout(Stdio::null());
    App::launch(command, origin, "push", &format!("{WATCH}{FAST}")).await
}

#[tokio::test]
async fn no_log_line_metric_or_admin_page_shows_a_credential() {
    for kind in [Kind::TlsHttp1, Kind::TlsHttp2, Kind::ClearHttp2, Kind::Unix] {
        let backend = Backend::start(kind).await;
        let app = start(backend.config()).await;
        // Passed on, watched, polled centrally, pushed, written.
        let seen = app.get("/seen?token=pl4nted-query", FIELDS).await;
        assert!(seen.text().contains("pl4nted-cookie"), "{}", seen.text());
        app.poll("/api/n?token=pl4nted-query", FIELDS).await;
        app.post("/echo", FIELDS, "password=pl4nted-body").await;
        let mut stream = Events::of(&app, FIELDS, &["/api/n?token=pl4nted-query"]).await;
        let mut held = Held::default();
        held.take(&stream.news().await);
        backend.count();
        held.take(&stream.news().await);
        // Refused: by the gate, by the stream's endpoint, as nobody's page.
        app.ask(format!("GET /\u{1} HTTP/1.1\r\nHost: app\r\n{FIELDS}\r\n")).await;
        app.ask(format!("GET /a HTTP/1.1\r\nHost: app\r\nContent-Length: x\r\n{FIELDS}\r\n")).await;
        app.ask(post("/__pollcast/stream", FIELDS, "{\"client\": \"pl4nted-json")).await;
        app.get("/__pollcast/pl4nted-path", FIELDS).await;
        // The origin goes away: passing requests and polls fail, and are reported.
        drop(backend);
        soon("a failure", async {
            while app.get("/api/n?token=pl4nted-query", FIELDS).await.status() != 502 {}
        })
        .await;
        stream.until("stale").await;
        app.logged("\"WARN\"").await;

        let log = app.log();
        assert!(log.contains("TRACE"), "not every level is there");
        let bad: Vec<_> = log.lines().filter(|line| line.contains(PLANTED)).collect();
        assert!(bad.is_empty(), "{kind:?}: {} lines, such as {}", bad.len(), bad[0]);
        for page in ["/metrics", "/healthz", "/readyz", "/", "/config", "/debug"] {
            let mut peer = Peer::connect(app.admin).await;
            let ask =
                format!("GET {page} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            peer.send(ask).await;
            let text = peer.read_to_end().await.0;
            assert!(text.starts_with("HTTP/1.1 ") && !text.contains(PLANTED), "{page}: {text}");
        }
    }
}
