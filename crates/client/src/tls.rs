//! TLS to a gateway: verified by the machine's certificates, by the file in `SSL_CERT_FILE`, or by
//! the fingerprint of one certificate. Also the identity that this program shows.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore};
use rustls::{Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::Identity;

/// Whom a client trusts, and its identity.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// Whom it trusts.
    pub trust: Trust,
    /// The identity for a gateway that asks for one.
    pub identity: Option<Identity>,
}

/// Whom to trust.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// The machine's certificates.
    #[default]
    Machine,
    /// Only the certificate with this SHA-256: the gateway's own, or one in its chain.
    Fingerprint(Fingerprint),
}

/// SHA-256 of a certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

/// The text is not a fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not the SHA-256 of a certificate: 64 hexadecimal digits, with or without colons")]
pub struct FingerprintError;

impl std::str::FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Fingerprint, FingerprintError> {
        let text = text.trim();
        let text = text.strip_prefix("SHA256:").unwrap_or(text);
        let digits: Option<Vec<u8>> = text
            .chars()
            .filter(|letter| *letter != ':')
            .map(|letter| letter.to_digit(16).and_then(|digit| digit.try_into().ok()))
            .collect();
        let digits = digits.ok_or(FingerprintError)?;
        let bytes: Vec<u8> = digits
            .chunks(2)
            .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
            .collect();
        let whole = digits.len() == 64;
        let bytes = bytes.try_into().map_err(|_| FingerprintError)?;
        if whole {
            Ok(Fingerprint(bytes))
        } else {
            Err(FingerprintError)
        }
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// The configuration of new connections.
pub(crate) fn config(tls: &Tls) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match &tls.trust {
        Trust::Machine => builder.with_root_certificates(trusted()?),
        Trust::Fingerprint(pin) => {
            let pinned = Pinned {
                pin: *pin,
                provider,
            };
            let dangerous = builder.dangerous();
            dangerous.with_custom_certificate_verifier(Arc::new(pinned))
        }
    };
    let Some(identity) = &tls.identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(identity.certificate().as_bytes()).collect();
    let chain = chain.map_err(|error| format!("the client certificate: {error}"))?;
    let key = PrivateKeyDer::from_pem_slice(identity.key().as_bytes());
    let key = key.map_err(|error| format!("the client key: {error}"))?;
    let config = builder.with_client_auth_cert(chain, key);
    config.map_err(|error| format!("the client certificate: {error}"))
}

/// The machine's trusted certificates.
fn trusted() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map(|error| format!(": {error}"));
        let why = why.unwrap_or_default();
        return Err(format!(
            "this machine trusts no certificate authority{why} (install ca-certificates)"
        ));
    }
    Ok(roots)
}

/// Connects and verifies that the gateway is `host`.
pub(crate) async fn over(
    stream: TcpStream,
    host: &str,
    config: Arc<ClientConfig>,
) -> Result<TlsStream<TcpStream>, String> {
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    let connecting = TlsConnector::from(config).connect(name, stream);
    connecting.await.map_err(|error| {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        match inner {
            Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
                "its certificate is not signed by an authority that this machine trusts; if the \
                 gateway has its own authority, it prints the fingerprint for `--fingerprint` \
                 when it starts"
                    .to_owned()
            }
            _ => error.to_string(),
        }
    })
}

/// Trusts one certificate, and those that it has signed.
#[derive(Debug)]
struct Pinned {
    pin: Fingerprint,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        behind: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let is_it = |shown: &&CertificateDer<'_>| {
            let sum = ring::digest::digest(&ring::digest::SHA256, shown);
            sum.as_ref() == self.pin.0
        };
        let shown = std::iter::once(own).chain(behind);
        // Only the first ones: an honest chain is short.
        let Some(known) = shown.take(10).find(is_it) else {
            let why = format!("it has no certificate with the fingerprint {}", self.pin);
            return Err(Error::General(why));
        };
        let mut roots = RootCertStore::empty();
        roots.add(known.clone().into_owned())?;
        let provider = Arc::clone(&self.provider);
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = verifier.build();
        let verifier = verifier.map_err(|error| Error::General(error.to_string()))?;
        verifier.verify_server_cert(own, behind, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let known = &self.provider.signature_verification_algorithms;
        known.supported_schemes()
    }
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

    #[test]
    fn a_fingerprint_is_written_as_openssl_does_or_as_we_do() {
        let plain = "0123456789abcdef".repeat(4);
        let colons: Vec<String> = plain
            .as_bytes()
            .chunks(2)
            .map(|pair| String::from_utf8_lossy(pair).to_uppercase())
            .collect();
        let colons = colons.join(":");
        for text in [&plain, &colons, &format!("SHA256:{plain}")] {
            let read: Fingerprint = text.parse().unwrap();
            assert_eq!(read.to_string(), plain);
        }
        for text in [
            "",
            "ab",
            &plain[1..],
            &format!("{plain}0"),
            &plain.replace('0', "g"),
        ] {
            assert!(text.parse::<Fingerprint>().is_err(), "{text}");
        }
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
        let sum = ring::digest::digest(&ring::digest::SHA256, &cert);
        let pin = |text: &str| {
            let trust = Trust::Fingerprint(text.parse().unwrap());
            let tls = Tls {
                trust,
                identity: None,
            };
            Arc::new(super::config(&tls).unwrap())
        };
        let right: String = sum.as_ref().iter().map(|b| format!("{b:02X}:")).collect();
        let right = pin(&right);
        let connect = || async { TcpStream::connect(address).await.unwrap() };
        let known = over(connect().await, "127.0.0.1", Arc::clone(&right)).await;
        assert!(known.is_ok(), "{known:?}");
        // Another name, another certificate, and a certificate that nobody signed.
        let other = over(connect().await, "gate.example", right).await;
        assert!(other.unwrap_err().contains("certificate"));
        let wrong = over(connect().await, "127.0.0.1", pin(&"ab".repeat(32))).await;
        let said = wrong.unwrap_err();
        assert!(
            said.contains("no certificate with the fingerprint abab"),
            "{said}"
        );
        let machine = Arc::new(super::config(&Tls::default()).unwrap());
        let nobody = over(connect().await, "127.0.0.1", machine).await;
        let said = nobody.unwrap_err();
        assert!(said.contains("`--fingerprint`"), "{said}");
    }
}
