//! The server's TLS: certificate, key and the clients' authority from files, which may be replaced at any time.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use arc_swap::ArcSwap;
use ingress_waypoint_file as file;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

/// The most bytes that each file may have.
const MAX_FILE: u64 = 1024 * 1024;

/// Where the PEM files are.
#[derive(Debug, Clone)]
pub struct Files {
    /// The server's certificate, followed by the intermediate ones.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities of the clients. If it is given, a client without a certificate of theirs is refused.
    pub client_ca: Option<PathBuf>,
}

/// TLS as the files want it. New connections use the newest set that is good; open connections go on.
pub struct Tls {
    files: Files,
    current: ArcSwap<ServerConfig>,
    /// What was read last, good or bad.
    seen: Mutex<Option<Contents>>,
}

#[derive(Clone, PartialEq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// If a file cannot be read, or the set is not good: no certificate, no key, or a key of another certificate.
    pub fn load(files: Files) -> anyhow::Result<Self> {
        let contents = files.read()?;
        let current = ArcSwap::from_pointee(contents.config(&files)?);
        Ok(Self { files, current, seen: Mutex::new(Some(contents)) })
    }

    /// Looks at the files again and again, without end. A set that is not good is logged, and the one before stays.
    pub async fn follow(self: Arc<Self>, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            let this = Arc::clone(&self);
            // Files may be slow.
            match tokio::task::spawn_blocking(move || this.reload()).await {
                Ok(Ok(true)) => tracing::info!("the TLS files changed and are in use"),
                Ok(Ok(false)) => {}
                Ok(Err(error)) => tracing::error!(
                    "the TLS files changed and are not good, the ones before stay: {error:#}"
                ),
                Err(error) => tracing::error!(%error, "cannot look at the TLS files"),
            }
        }
    }

    /// Reads the files again, and uses them if they changed. Whether they did.
    ///
    /// # Errors
    /// As [`Tls::load`], once for each change. The set before stays in use.
    pub fn reload(&self) -> anyhow::Result<bool> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let read = self.files.read();
        if read.as_ref().ok() == seen.as_ref() {
            return Ok(false);
        }
        *seen = read.as_ref().ok().cloned();
        self.current.store(Arc::new(read?.config(&self.files)?));
        Ok(true)
    }

    /// For the next connection.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.current.load_full().into()
    }
}

impl Files {
    fn read(&self) -> anyhow::Result<Contents> {
        let read =
            |path: &PathBuf| file::read(path, MAX_FILE).with_context(|| path.display().to_string());
        Ok(Contents {
            certificate: read(&self.certificate)?,
            key: read(&self.key)?,
            client_ca: self.client_ca.as_ref().map(read).transpose()?,
        })
    }
}

impl Contents {
    fn config(&self, files: &Files) -> anyhow::Result<ServerConfig> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = match self.client_ca.as_deref().zip(files.client_ca.as_deref()) {
            None => builder.with_no_client_auth(),
            Some((pem, path)) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(pem, path)? {
                    roots.add(authority).with_context(|| path.display().to_string())?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .build()?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let chain = certificates(&self.certificate, &files.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .with_context(|| files.key.display().to_string())?;
        let mut config = builder.with_single_cert(chain, key).with_context(|| {
            format!("{} and {}", files.certificate.display(), files.key.display())
        })?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}

fn certificates(pem: &[u8], path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.with_context(|| path.display().to_string())?;
    ensure!(!certificates.is_empty(), "{}: holds no certificate", path.display());
    Ok(certificates)
}
