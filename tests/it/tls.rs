//! TLS for clients: what is agreed on, what crosses, and certificates that change.

use crate::origin::{Origin, Peer, soon};
use crate::proxy::Proxy;
use bytes::Bytes;
use pollcast::config;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

type Client = TlsStream<tokio::net::TcpStream>;

/// Certificate and key in a directory of their own.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.renew();
        files
    }

    /// Writes another certificate, and says which.
    fn renew(&self) -> CertificateDer<'static> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(self.path("key.pem"), made.signing_key.serialize_pem()).unwrap();
        std::fs::write(self.path("cert.pem"), made.cert.pem()).unwrap();
        made.cert.der().clone()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn config(&self) -> config::Tls {
        config::Tls { certificate: Some(self.path("cert.pem")), key: Some(self.path("key.pem")) }
    }

    /// A client that believes the present certificate only.
    fn client(&self, version: &'static SupportedProtocolVersion, alpn: &[&str]) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path("cert.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }

    async fn connect(&self, proxy: &Proxy, alpn: &[&str]) -> Client {
        self.try_connect(proxy, &TLS13, alpn).await.unwrap()
    }

    async fn try_connect(
        &self,
        proxy: &Proxy,
        version: &'static SupportedProtocolVersion,
        alpn: &[&str],
    ) -> std::io::Result<Client> {
        let socket = Peer::connect(proxy.addr).await.into_socket();
        let name = ServerName::try_from("localhost").unwrap();
        soon("a handshake", self.client(version, alpn).connect(name, socket)).await
    }
}

async fn start() -> (Origin, Proxy, Files) {
    let (origin, files) = (Origin::bind().await, Files::new());
    let proxy = Proxy::with(origin.addr, |config| config.tls = files.config()).await;
    (origin, proxy, files)
}

async fn read_until(client: &mut Client, needle: &str) -> String {
    let mut seen = Vec::new();
    while !seen.windows(needle.len()).any(|w| w == needle.as_bytes()) {
        let n = soon(needle, client.read_buf(&mut seen)).await.unwrap();
        assert_ne!(n, 0, "closed after {:?}", String::from_utf8_lossy(&seen));
    }
    String::from_utf8(seen).unwrap()
}

#[tokio::test]
async fn both_versions_are_spoken_and_alpn_decides_the_protocol() {
    let (origin, proxy, files) = start().await;
    for version in [&TLS12, &TLS13] {
        for (offer, want) in
            [(&["h2", "http/1.1"][..], Some("h2")), (&["http/1.1"], Some("http/1.1")), (&[], None)]
        {
            let client = files.try_connect(&proxy, version, offer).await.unwrap();
            let agreed = client.get_ref().1.alpn_protocol();
            assert_eq!(agreed, want.map(str::as_bytes), "{offer:?}");
        }
        let mut client = files.try_connect(&proxy, version, &[]).await.unwrap();
        client.write_all(b"GET /a HTTP/1.1\r\nHost: app\r\n\r\n").await.unwrap();
        let mut peer = origin.accept().await;
        assert!(peer.read_head().await.starts_with("GET /a HTTP/1.1\r\nHost: app\r\n"));
        peer.send("HTTP/1.1 200 OK\r\nX-Case: 1\r\nContent-Length: 2\r\n\r\nhi").await;
        let want = "HTTP/1.1 200 OK\r\nX-Case: 1\r\nContent-Length: 2\r\n\r\nhi";
        assert_eq!(read_until(&mut client, "hi").await, want);
    }
}

#[tokio::test]
async fn http_2_goes_on_as_http_1_to_the_origin() {
    let (origin, proxy, files) = start().await;
    let client = files.connect(&proxy, &["h2"]).await;
    let (mut send, connection) = h2::client::handshake(client).await.unwrap();
    proxy.drain.spawn(connection);
    let request = http::Request::get("https://app/b").body(()).unwrap();
    let (response, _) = send.send_request(request, true).unwrap();
    let mut peer = origin.accept().await;
    let head = peer.read_head().await;
    assert!(head.starts_with("GET /b HTTP/1.1\r\nhost: app\r\n"), "{head}");
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
    let mut body = soon("an answer", response).await.unwrap().into_body();
    assert_eq!(soon("a body", body.data()).await.unwrap().unwrap(), Bytes::from("hi"));
}

#[tokio::test]
async fn a_stream_takes_the_connection_over() {
    let (_origin, proxy, files) = start().await;
    let mut client = files.connect(&proxy, &["http/1.1"]).await;
    client.write_all(b"GET /stream HTTP/1.1\r\nHost: app\r\n\r\n").await.unwrap();
    proxy.feed.opened(1).await;
    proxy.feed.send("one ", "two\n\n");
    let text = read_until(&mut client, "one two\n\n").await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert!(text.contains("connection: close\r\n\r\n"), "{text}");
    // Larger than every buffer on the way: the last byte comes all the same.
    let large = "x".repeat(3_000_000);
    proxy.feed.send("", format!("{large}end\n\n"));
    assert_eq!(read_until(&mut client, "end\n\n").await.len(), large.len() + 5);
    proxy.feed.end();
    // Ended in order: without TLS's own close the client would take it for a truncation.
    assert_eq!(soon("the end", client.read(&mut [0; 9])).await.unwrap(), 0);
    proxy.feed.opened(0).await;
}

#[tokio::test]
async fn a_tunnel_takes_the_connection_over() {
    let (origin, proxy, files) = start().await;
    let mut client = files.connect(&proxy, &[]).await;
    let request =
        "GET /ws HTTP/1.1\r\nHost: app\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    let mut peer = origin.accept().await;
    peer.read_head().await;
    peer.send("HTTP/1.1 101 Hi\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst").await;
    assert!(read_until(&mut client, "first").await.starts_with("HTTP/1.1 101 "));
    client.write_all(b"back").await.unwrap();
    assert_eq!(peer.read(4).await, b"back");
    drop(client);
    peer.closed().await;
}

#[tokio::test]
async fn a_new_certificate_is_taken_up_and_a_broken_one_is_not() {
    let (_origin, proxy, files) = start().await;
    let served = async || {
        let client = files.try_connect(&proxy, &TLS13, &[]).await.ok()?;
        client.get_ref().1.peer_certificates().map(|chain| chain[0].clone().into_owned())
    };
    assert!(served().await.is_some());
    let good = std::fs::read(files.path("cert.pem")).unwrap();
    std::fs::write(files.path("cert.pem"), "broken").unwrap();
    let new = files.renew();
    soon("the new certificate", async {
        while served().await.as_ref() != Some(&new) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // Without its key: stays.
    std::fs::write(files.path("cert.pem"), good).unwrap();
    let newest = files.renew();
    soon("the newest certificate", async {
        while served().await.as_ref() != Some(&newest) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn clear_text_is_told_and_a_handshake_that_never_ends_is_cut() {
    let (origin, files) = (Origin::bind().await, Files::new());
    let proxy = Proxy::with(origin.addr, |config| {
        config.tls = files.config();
        config.timeouts.client_head = Duration::from_millis(200);
    })
    .await;
    let mut peer = Peer::connect(proxy.addr).await;
    peer.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n").await;
    let (text, _) = peer.read_to_end().await;
    assert!(text.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{text}");
    assert!(text.ends_with("ask by https:// (400)\n"), "{text}");
    for begin in [&b""[..], b"\x16\x03\x01", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
        let mut peer = Peer::connect(proxy.addr).await;
        peer.send(begin).await;
        peer.gone().await;
    }
}

#[tokio::test]
async fn files_that_can_not_be_used_are_a_fault_of_the_configuration() {
    let files = Files::new();
    std::fs::write(files.path("other.pem"), "nothing").unwrap();
    let text =
        "origin = \"http://127.0.0.1:1\"\n[tls]\ncertificate = \"cert.pem\"\nkey = \"KEY\"\n";
    for (key, exit, want) in [
        ("key.pem", Some(0), ""),
        ("other.pem", Some(2), "tls.key: other.pem: has no such PEM section"),
        ("gone.pem", Some(2), "tls.key: gone.pem: can't be read: No such file"),
    ] {
        std::fs::write(files.path("proxy.toml"), text.replace("KEY", key)).unwrap();
        for command in ["check", "run"] {
            if (command, exit) == ("run", Some(0)) {
                continue;
            }
            let output = Command::new(env!("CARGO_BIN_EXE_pollcast"))
                .arg(command)
                .current_dir(files.0.path())
                .output()
                .unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), exit, "{said}");
            assert!(said.contains(want), "{said}");
        }
    }
}
