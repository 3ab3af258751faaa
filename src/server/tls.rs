//! TLS for clients: certificate and key from files, taken up anew when they change.
//!
//! The rule: a certificate in use is replaced by one that works, or by none. Whoever renews it
//! writes two files, one after the other; the moment between, in which they don't belong together,
//! is a fault that changes nothing.

use crate::config;
use crate::drain::Drain;
use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// What ALPN offers, in the order of our liking.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why certificate and key can't be used: which key of the config, which file, what is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A file can't be read, or isn't PEM of the right kind.
    #[error("tls.{key}: {}: {why}", .path.display())]
    File {
        /// `certificate` or `key`.
        key: &'static str,
        /// The file as the config names it.
        path: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
    /// Both files can be read, but make no certificate together.
    #[error("tls.key: {}: doesn't go with {}: {source}", .key.display(), .certificate.display())]
    Pair {
        /// The file of [`config::Tls::certificate`].
        certificate: PathBuf,
        /// The file of [`config::Tls::key`].
        key: PathBuf,
        /// What the TLS library says.
        source: rustls::Error,
    },
    /// The library can't be set up.
    #[error("tls: {0}")]
    Setup(#[from] rustls::Error),
}

/// TLS as clients get it. Clones share the certificate.
#[derive(Clone, Debug)]
pub struct Tls {
    /// How handshakes are made; session tickets outlive a change of certificate.
    config: Arc<rustls::ServerConfig>,
    /// The certificate of the next handshake.
    current: Arc<Current>,
}

/// The certificate in use, and where it came from.
#[derive(Debug)]
struct Current {
    /// Read at each handshake, replaced a few times a year.
    certified: ArcSwap<CertifiedKey>,
    /// Its file.
    certificate: PathBuf,
    /// The key's file.
    key: PathBuf,
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.certified.load_full())
    }
}

impl Tls {
    /// Reads the files; `None` if the config wants clear text. Blocks on the files.
    ///
    /// # Errors
    /// A file can't be read, or the two don't belong together.
    pub fn load(tls: &config::Tls) -> Result<Option<Self>, Fault> {
        let Some((certificate, key)) = tls.files() else { return Ok(None) };
        let certified = ArcSwap::from_pointee(read(certificate, key)?);
        let (certificate, key) = (certificate.to_owned(), key.to_owned());
        let current = Arc::new(Current { certified, certificate, key });
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        // Stateless: a session costs the client its memory and not ours.
        config.ticketer = aws_lc_rs::Ticketer::new()?;
        Ok(Some(Self { config: Arc::new(config), current }))
    }

    /// Makes handshakes.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }

    /// Takes up changed files until the process leaves. Connections go on with the certificate that
    /// they began with.
    pub async fn follow(self, drain: Drain) {
        let Current { certificate, key, .. } = self.current.as_ref();
        let (mut certificate, mut key) =
            match (config::watch_file(certificate), config::watch_file(key)) {
                (Ok(certificate), Ok(key)) => (certificate, key),
                (Err(error), _) | (_, Err(error)) => {
                    tracing::warn!(%error, "a new certificate needs a restart");
                    return;
                }
            };
        // The files may have changed between their reading and the watch, which would never speak
        // of it.
        let mut first = true;
        loop {
            if !std::mem::take(&mut first) {
                tokio::select! {
                    () = certificate.changed() => {}
                    () = key.changed() => {}
                    () = drain.leaving() => return,
                }
            }
            self.current.read_again();
        }
    }
}

impl Current {
    fn read_again(&self) {
        match read(&self.certificate, &self.key) {
            Ok(new) if new.cert == self.certified.load().cert => {}
            Ok(new) => {
                self.certified.store(Arc::new(new));
                tracing::info!(file = %self.certificate.display(), "the new certificate is in use");
            }
            Err(fault) => tracing::error!("the certificate in use stays: {fault}"),
        }
    }
}

fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey, Fault> {
    let bad = |key, path: &Path, error: &pem::Error| Fault::File {
        key,
        path: path.to_owned(),
        why: why(error),
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .and_then(|chain| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) })
        .map_err(|error| bad("certificate", certificate, &error))?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| bad("key", key, &error))?;
    CertifiedKey::from_der(chain, secret, &aws_lc_rs::default_provider()).map_err(|source| {
        Fault::Pair { certificate: certificate.to_owned(), key: key.to_owned(), source }
    })
}

fn why(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => format!("can't be read: {error}"),
        pem::Error::NoItemsFound => "has no such PEM section".to_owned(),
        broken => format!("isn't a PEM file: {broken}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Files(tempfile::TempDir);

    impl Files {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn put(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        }
    }

    fn made() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn tls(certificate: &Path, key: &Path) -> config::Tls {
        config::Tls { certificate: Some(certificate.to_owned()), key: Some(key.to_owned()) }
    }

    #[test]
    fn a_fault_names_the_key_the_file_and_what_is_wrong() {
        let files = Files::new();
        let ((cert, key), (_, other)) = (made(), made());
        let (cert, key) = (files.put("c.pem", &cert), files.put("k.pem", &key));
        let (junk, other) = (files.put("junk", "junk"), files.put("other", &other));
        let missing = files.0.path().join("missing");
        assert!(Tls::load(&config::Tls::default()).unwrap().is_none());
        assert!(Tls::load(&tls(&cert, &key)).unwrap().is_some());
        for (pair, want) in [
            (tls(&missing, &key), "tls.certificate: DIR/missing: can't be read: "),
            (tls(&cert, &missing), "tls.key: DIR/missing: can't be read: "),
            (tls(&junk, &key), "tls.certificate: DIR/junk: has no such PEM section"),
            (tls(&cert, &junk), "tls.key: DIR/junk: has no such PEM section"),
            (tls(&key, &key), "tls.certificate: DIR/k.pem: has no such PEM section"),
            (tls(&cert, &other), "tls.key: DIR/other: doesn't go with DIR/c.pem: "),
        ] {
            let fault = Tls::load(&pair).unwrap_err().to_string();
            let want = want.replace("DIR", files.0.path().to_str().unwrap());
            assert!(fault.starts_with(&want), "{fault}");
        }
    }

    #[test]
    fn a_broken_new_file_changes_nothing() {
        let files = Files::new();
        let ((cert, key), (cert2, key2)) = (made(), made());
        let pair = tls(&files.put("c.pem", &cert), &files.put("k.pem", &key));
        let current = Tls::load(&pair).unwrap().unwrap().current;
        let first = current.certified.load_full();
        files.put("c.pem", &cert2);
        current.read_again();
        assert!(Arc::ptr_eq(&first, &current.certified.load()));
        files.put("k.pem", &key2);
        current.read_again();
        assert_ne!(first.cert, current.certified.load().cert);
    }
}
