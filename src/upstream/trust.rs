//! Which certificates an origin may show.

use crate::config::{Config, OriginProtocol};
use anyhow::{Context as _, bail};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;

/// TLS towards the origin: 1.2 and 1.3, the certificates that the config trusts, the protocols
/// that it allows.
///
/// # Errors
/// No certificates to trust.
pub(super) fn client(config: &Config) -> anyhow::Result<ClientConfig> {
    let roots = match &config.origin_ca {
        Some(file) => from_file(file)?,
        None => from_system()?,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let protocols: &[&[u8]] = match config.origin_protocol {
        OriginProtocol::Auto => &[b"h2", b"http/1.1"],
        OriginProtocol::Http1 => &[b"http/1.1"],
        OriginProtocol::Http2 => &[b"h2"],
    };
    client.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(client)
}

fn from_file(file: &Path) -> anyhow::Result<RootCertStore> {
    let shown = file.display();
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(file)
        .with_context(|| format!("origin_ca: {shown} can't be read; name a PEM file"))?;
    for certificate in certificates {
        let certificate =
            certificate.with_context(|| format!("origin_ca: {shown} isn't a PEM file"))?;
        roots
            .add(certificate)
            .with_context(|| format!("origin_ca: {shown} has a certificate that can't be used"))?;
    }
    if roots.is_empty() {
        bail!("origin_ca: {shown} has no certificate in it; name a PEM file that has");
    }
    Ok(roots)
}

fn from_system() -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "certificates of the system");
    }
    // One that can't be read doesn't spoil the others.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        bail!(
            "an https:// origin needs certificates to trust, and the system has none: install \
             ca-certificates, or name a PEM file as origin_ca"
        );
    }
    Ok(roots)
}
