//! The least that a forwarder made of hyper does: what Pollcast spends above it is Pollcast's own.

use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderName, HeaderValue, VIA};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::SocketAddr;
use tokio::net::TcpListener;

type Origin = Client<HttpConnector, Incoming>;

/// Serves for ever, on one thread.
pub fn run(listen: SocketAddr, origin: SocketAddr) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let authority: Authority = origin.to_string().parse()?;
    runtime.block_on(serve(listen, authority))
}

async fn serve(listen: SocketAddr, authority: Authority) -> anyhow::Result<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Origin = Client::builder(TokioExecutor::new()).set_host(false).build(connector);
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (socket, peer) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let (client, authority) = (client.clone(), authority.clone());
        let forward = service_fn(move |req| forward(client.clone(), authority.clone(), peer, req));
        // A client that breaks off ends its own connection and nothing else.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), forward));
    }
}

async fn forward(
    client: Origin,
    authority: Authority,
    peer: SocketAddr,
    mut req: Request<Incoming>,
) -> anyhow::Result<Response<Incoming>> {
    let mut uri = req.uri().clone().into_parts();
    uri.scheme = Some(Scheme::HTTP);
    uri.authority = Some(authority);
    *req.uri_mut() = Uri::from_parts(uri)?;
    tell(req.headers_mut(), peer)?;
    let mut response = client.request(req).await?;
    response.headers_mut().remove(CONNECTION);
    Ok(response)
}

/// The forwarding fields that Pollcast writes by default.
fn tell(fields: &mut HeaderMap, peer: SocketAddr) -> anyhow::Result<()> {
    fields.remove(CONNECTION);
    let host = fields.get(HOST).cloned().unwrap_or(HeaderValue::from_static(""));
    let client = HeaderValue::from_maybe_shared(Bytes::from(peer.ip().to_string()))?;
    fields.insert(HeaderName::from_static("x-forwarded-for"), client);
    let proto = HeaderValue::from_static("http");
    fields.insert(HeaderName::from_static("x-forwarded-proto"), proto);
    fields.insert(HeaderName::from_static("x-forwarded-host"), host);
    fields.insert(VIA, HeaderValue::from_static("1.1 bare"));
    Ok(())
}
