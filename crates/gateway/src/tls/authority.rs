//! The gateway's certificate authority: a key and a certificate in a private folder, generated
//! once. It signs the gateway's certificate, if no other authority does, and those of all runners.

use std::io::Read as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use time::OffsetDateTime;

use crate::private;
use crate::token::sha256;

/// The lifetime of the authority.
const AUTHORITY: Duration = Duration::from_hours(24 * 3650);
/// The lifetime of the gateway's own certificate, and when it is renewed.
const SERVER: Duration = Duration::from_hours(24 * 90);
const SERVER_ANEW: Duration = Duration::from_hours(24 * 60);
/// Tolerance for different clocks.
const BEFORE: Duration = Duration::from_mins(5);
/// The most bytes of one of its files.
const LARGEST: u64 = 64 << 10;

/// The certificate authority.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// Why it is not available.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// An error with a file.
    #[error("`{}`: {why}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        why: std::io::Error,
    },
    /// Others could read the key.
    #[error("`{}` belongs to another user, or others can read it (chmod 600)", .0.display())]
    NotOurs(PathBuf),
    /// Invalid contents of a file or of a request.
    #[error("{what}: {why}")]
    Strange {
        /// The file or request.
        what: String,
        /// What is wrong with it.
        why: String,
    },
}

/// A runner's certificate.
#[derive(Clone, Debug)]
pub struct Issued {
    /// PEM.
    pub certificate: String,
    /// The hash by which the store knows it.
    pub sha256: String,
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> AuthorityError {
    let path = path.to_owned();
    |why| AuthorityError::Io { path, why }
}

fn strange<E: std::fmt::Display>(what: impl Into<String>) -> impl FnOnce(E) -> AuthorityError {
    let what = what.into();
    |why| AuthorityError::Strange {
        what,
        why: why.to_string(),
    }
}

impl Authority {
    /// The authority in this folder; creates it if it does not exist.
    ///
    /// # Errors
    /// If it cannot be read or created.
    pub fn open(folder: &Path, name: &str) -> Result<Authority, AuthorityError> {
        let mut builder = std::fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(folder);
        made.map_err(io(folder))?;
        let path = folder.join("authority.pem");
        if !path.exists() {
            make(&path, name)?;
        }
        let text = read(&path)?;
        let shown = path.display().to_string();
        let certificate = CertificateDer::from_pem_slice(text.as_bytes());
        let certificate = certificate.map_err(strange(&shown))?;
        let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(strange(&shown))?;
        let key = KeyPair::try_from(&key).map_err(strange(&shown))?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(strange(&shown))?;
        Ok(Authority {
            folder: folder.to_owned(),
            certificate,
            issuer,
        })
    }

    /// Its own certificate.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Its SHA-256, for `opsbook login --fingerprint`.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        sha256(&self.certificate)
    }

    /// The gateway's certificate for these names, with the chain and the key: the one on disk if it
    /// has these names and is young, otherwise a new one.
    pub(super) fn of_server(
        &self,
        names: &[String],
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), AuthorityError> {
        let path = self.folder.join("gateway.pem");
        let shown = path.display().to_string();
        let head = format!("{} {}", self.fingerprint(), names.join(" "));
        let young = std::fs::metadata(&path).and_then(|about| about.modified());
        let young = young.is_ok_and(|made| made.elapsed().is_ok_and(|age| age < SERVER_ANEW));
        let kept = if young { read(&path).ok() } else { None };
        let kept = kept.filter(|text| text.lines().next() == Some(&head));
        let text = kept.map_or_else(|| self.made_for(names, &path, &head), Ok)?;
        let own = CertificateDer::from_pem_slice(text.as_bytes()).map_err(strange(&shown))?;
        let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(strange(&shown))?;
        Ok((vec![own, self.certificate.clone()], key))
    }

    fn made_for(
        &self,
        names: &[String],
        path: &Path,
        head: &str,
    ) -> Result<String, AuthorityError> {
        let key = KeyPair::generate().map_err(strange("a key"))?;
        let mut about = params(names, SERVER)?;
        about.distinguished_name = named("opsbook gateway", None);
        about.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let made = about.signed_by(&key, &self.issuer);
        let made = made.map_err(strange("the gateway's certificate"))?;
        let text = format!("{head}\n{}{}", made.pem(), key.serialize_pem());
        private::replace(path, text.as_bytes()).map_err(io(path))?;
        Ok(text)
    }

    /// Issues a certificate to a runner, for the key that has signed the request. All other
    /// contents of the request are ignored.
    ///
    /// # Errors
    /// If the request is invalid, or not signed with its own key.
    pub fn of_runner(
        &self,
        request: &str,
        (segment, name): (&str, &str),
        life: Duration,
    ) -> Result<Issued, AuthorityError> {
        let what = "the certificate request";
        let request = CertificateSigningRequestParams::from_pem(request).map_err(strange(what))?;
        let mut about = params(&[], life)?;
        about.distinguished_name = named(name, Some(segment));
        about.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let made = about.signed_by(&request.public_key, &self.issuer);
        let made = made.map_err(strange(what))?;
        Ok(Issued {
            sha256: sha256(made.der()),
            certificate: made.pem(),
        })
    }
}

fn params(names: &[String], life: Duration) -> Result<CertificateParams, AuthorityError> {
    let mut about = CertificateParams::new(names).map_err(strange("a name of the gateway"))?;
    let now = SystemTime::now();
    about.not_before = OffsetDateTime::from(now - BEFORE);
    about.not_after = OffsetDateTime::from(now + life);
    about.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    about.use_authority_key_identifier_extension = true;
    Ok(about)
}

fn named(name: &str, segment: Option<&str>) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    if let Some(segment) = segment {
        named.push(DnType::OrganizationalUnitName, segment);
    }
    named.push(DnType::CommonName, name);
    named
}

fn make(path: &Path, name: &str) -> Result<(), AuthorityError> {
    let key = KeyPair::generate().map_err(strange("a key"))?;
    let mut about = params(&[], AUTHORITY)?;
    about.distinguished_name = named(&format!("opsbook authority of {name}"), None);
    about.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    about.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let made = about.self_signed(&key).map_err(strange("the authority"))?;
    let text = format!("{}{}", made.pem(), key.serialize_pem());
    private::replace(path, text.as_bytes()).map_err(io(path))
}

/// Reads a file that only this user can read.
fn read(path: &Path) -> Result<String, AuthorityError> {
    use std::os::unix::fs::MetadataExt as _;
    let file = std::fs::File::open(path).map_err(io(path))?;
    let about = file.metadata().map_err(io(path))?;
    let own = rustix::process::geteuid().as_raw();
    let ours = about.uid() == own && about.mode().trailing_zeros() >= 6;
    if !about.is_file() || !ours {
        return Err(AuthorityError::NotOurs(path.to_owned()));
    }
    let mut text = String::new();
    let read = file.take(LARGEST).read_to_string(&mut text);
    read.map_err(io(path))?;
    Ok(text)
}
