//! TLS to a gateway: by the certificates that this machine trusts, or the file that
//! `SSL_CERT_FILE` names.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What this machine trusts.
pub(crate) fn trusted() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map(|error| format!(": {error}"));
        let why = why.unwrap_or_default();
        return Err(format!(
            "this machine trusts no certificate{why} (ca-certificates brings them)"
        ));
    }
    Ok(roots)
}

/// The gateway proves that it is `host`.
pub(crate) async fn over(
    stream: TcpStream,
    host: &str,
    roots: RootCertStore,
) -> Result<TlsStream<TcpStream>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    connecting.await.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use rustls::ServerConfig;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// A certificate for 127.0.0.1, and its key.
    fn certificate(dir: &Path) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let (key, cert) = (dir.join("key"), dir.join("cert"));
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
            ])
            .args(["-nodes", "-days", "2", "-subj", "/CN=gate"])
            .args(["-addext", "subjectAltName=IP:127.0.0.1"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&cert)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        (
            CertificateDer::from_pem_file(cert).unwrap(),
            PrivateKeyDer::from_pem_file(key).unwrap(),
        )
    }

    #[tokio::test]
    async fn a_gateway_proves_who_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let (cert, key) = certificate(dir.path());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move { acceptor.accept(stream).await.map(drop) });
            }
        });
        let mut roots = RootCertStore::empty();
        roots.add(cert).unwrap();
        let connect = || async { TcpStream::connect(address).await.unwrap() };
        let known = over(connect().await, "127.0.0.1", roots.clone()).await;
        assert!(known.is_ok(), "{known:?}");
        // Another name, and a certificate that nobody vouches for.
        let other = over(connect().await, "gate.example", roots).await;
        assert!(other.unwrap_err().contains("certificate"));
        let nobody = over(connect().await, "127.0.0.1", RootCertStore::empty()).await;
        assert!(nobody.unwrap_err().contains("certificate"));
    }
}
