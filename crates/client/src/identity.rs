//! The identity of a program: a key that it has generated, and a certificate for it.

use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use zeroize::Zeroizing;

/// A certificate and its key, PEM. No message contains the key.
#[derive(Clone)]
pub struct Identity {
    certificate: Arc<str>,
    key: Arc<Zeroizing<String>>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity")
    }
}

impl Identity {
    /// Takes their texts.
    #[must_use]
    pub fn new(certificate: &str, key: &str) -> Identity {
        Identity {
            certificate: certificate.into(),
            key: Arc::new(Zeroizing::new(key.to_owned())),
        }
    }

    /// The certificate.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The key, to be stored in a file of this user.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// A key, and a certificate request signed with it.
pub struct Requested {
    /// PEM.
    pub key: Zeroizing<String>,
    /// PKCS #10, PEM.
    pub csr: String,
}

/// Generates a key and a certificate request for this name.
///
/// # Errors
/// The reason, in a sentence.
pub fn request(name: &str) -> Result<Requested, String> {
    let key = KeyPair::generate().map_err(|error| error.to_string())?;
    let mut about = CertificateParams::default();
    let mut named = DistinguishedName::new();
    named.push(DnType::CommonName, name);
    about.distinguished_name = named;
    let csr = about.serialize_request(&key).and_then(|csr| csr.pem());
    Ok(Requested {
        key: Zeroizing::new(key.serialize_pem()),
        csr: csr.map_err(|error| error.to_string())?,
    })
}
