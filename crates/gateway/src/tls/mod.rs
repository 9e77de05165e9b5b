//! TLS on the public address: the configured certificate or one of the gateway's own authority; and
//! the authentication of runners by certificate.

mod authority;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};

pub use authority::{Authority, AuthorityError, Issued};

/// The certificates of runners.
#[derive(Debug)]
pub struct Certificates {
    /// Their authority.
    pub authority: Arc<Authority>,
    /// The lifetime of a certificate.
    pub life: Duration,
}

use crate::config::Listen;
use crate::token::sha256;

/// How often to look at the files.
pub(crate) const LOOK: Duration = Duration::from_secs(30);

/// The gateway's certificate, and the client certificates that it accepts.
#[derive(Debug)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    shown: Arc<Shown>,
    source: Source,
    names: Vec<String>,
    authority: Arc<Authority>,
    /// The modification time of the files when they were read.
    read: Mutex<Option<SystemTime>>,
}

/// The source of the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    /// Files that somebody else renews.
    Files { certificate: PathBuf, key: PathBuf },
    /// The gateway's own authority.
    Own,
}

/// The current certificate.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&shown))
    }
}

/// Why TLS is not available.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or is invalid.
    #[error("`{}`: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// An error of the gateway's own authority.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// An error of the TLS library.
    #[error("TLS: {0}")]
    Library(#[from] rustls::Error),
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

impl ServerTls {
    /// From the configuration; a certificate of the own authority gets these names.
    ///
    /// # Errors
    /// If a file or the authority cannot be used.
    pub fn new(
        listen: &Listen,
        names: Vec<String>,
        authority: Arc<Authority>,
    ) -> Result<ServerTls, TlsError> {
        let source = match listen.tls.clone().unwrap_or_default().files() {
            Some((certificate, key)) => Source::Files { certificate, key },
            None => Source::Own,
        };
        let first = certified(&source, &names, &authority)?;
        let shown = Arc::new(Shown(RwLock::new(Arc::new(first))));
        let mut runners = RootCertStore::empty();
        runners.add(authority.certificate().clone())?;
        let known = WebPkiClientVerifier::builder_with_provider(Arc::new(runners), provider())
            // People and browsers have no client certificate.
            .allow_unauthenticated()
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(known)
            .with_cert_resolver(Arc::clone(&shown) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(ServerTls {
            config: Arc::new(config),
            read: Mutex::new(changed(&source)),
            shown,
            source,
            names,
            authority,
        })
    }

    /// For a new connection.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// The fingerprint for clients, if no common authority has signed its certificate.
    #[must_use]
    pub fn fingerprint(&self) -> Option<String> {
        (self.source == Source::Own).then(|| self.authority.fingerprint())
    }

    /// Loads a new certificate if its files have changed, or renews the gateway's own. Returns true
    /// if there is a new one.
    ///
    /// # Errors
    /// If the new one cannot be used: the old one stays in use.
    pub fn look(&self) -> Result<bool, TlsError> {
        let now = changed(&self.source);
        {
            let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            if self.source != Source::Own && *read == now {
                return Ok(false);
            }
        }
        let new = certified(&self.source, &self.names, &self.authority)?;
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = now;
        let mut shown = self.shown.0.write().unwrap_or_else(PoisonError::into_inner);
        if shown.cert == new.cert {
            return Ok(false);
        }
        *shown = Arc::new(new);
        Ok(true)
    }
}

fn changed(source: &Source) -> Option<SystemTime> {
    let Source::Files { certificate, key } = source else {
        return None;
    };
    let times = [certificate, key].map(|path| std::fs::metadata(path)?.modified());
    times.into_iter().filter_map(Result::ok).max()
}

fn certified(
    source: &Source,
    names: &[String],
    authority: &Authority,
) -> Result<CertifiedKey, TlsError> {
    let (chain, key) = match source {
        Source::Files { certificate, key } => (chain_of(certificate)?, key_of(key)?),
        Source::Own => authority.of_server(names)?,
    };
    let of_file = |error: rustls::Error| match source {
        Source::Files { certificate, .. } => TlsError::File {
            path: certificate.clone(),
            why: error.to_string(),
        },
        Source::Own => error.into(),
    };
    // This checks that certificate and key match.
    CertifiedKey::from_der(chain, key, &provider()).map_err(of_file)
}

fn chain_of(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |why: String| TlsError::File {
        path: path.to_owned(),
        why,
    };
    let all = CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?;
    let all: Result<Vec<_>, _> = all.collect();
    let all = all.map_err(|error| wrong(error.to_string()))?;
    if all.is_empty() {
        return Err(wrong("it holds no certificate".to_owned()));
    }
    Ok(all)
}

fn key_of(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| TlsError::File {
        path: path.to_owned(),
        why: error.to_string(),
    })
}

/// The hash by which the store knows a certificate.
#[must_use]
pub fn sum(certificate: &CertificateDer<'_>) -> String {
    sha256(certificate)
}
