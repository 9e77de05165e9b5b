//! Files of known hosts, read as OpenSSH reads them: patterns, hashed names, several files,
//! `@revoked` and `@cert-authority`. Pure, except that it reads the files.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use opsbook_text::wildcard;
use ring::hmac;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Certificate, HashAlg, PublicKey};

/// The most that is read of one file.
const MOST: u64 = 16 << 20;

/// The lines about one host.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Lines that name the host together with its port, if that is not 22.
    exact: Vec<Line>,
    /// Where the port is not 22: lines that name the host alone.
    without_port: Vec<Line>,
}

#[derive(Debug, PartialEq, Eq)]
struct Line {
    /// `file:line`.
    place: String,
    marker: Marker,
    /// `ssh-ed25519`.
    kind: String,
    /// The key, as on the wire.
    key: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marker {
    None,
    Authority,
    Revoked,
}

/// What the files say of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Known,
    Unknown,
    Revoked,
    /// Another key of this kind is on record, at `file:line`.
    Changed {
        record: String,
    },
    /// The certificate of a known authority is not good for this host.
    Bad {
        why: &'static str,
    },
}

impl Known {
    /// Reads the lines about a host. Files that do not exist are empty.
    pub(super) fn read(files: &[PathBuf], host: &str, port: u16, is_alias: bool) -> Self {
        let host = host.to_ascii_lowercase();
        let mut known = Self::default();
        let with_port = (port != 22 && !is_alias).then(|| format!("[{host}]:{port}"));
        for file in files {
            let text = text(file).unwrap_or_default();
            for (number, line) in (1..).zip(text.lines()) {
                let Some((hosts, line)) = Line::read(line, file, number) else {
                    continue;
                };
                match &with_port {
                    Some(name) if names(hosts, name) => known.exact.push(line),
                    Some(_) if names(hosts, &host) => known.without_port.push(line),
                    None if names(hosts, &host) => known.exact.push(line),
                    _ => {}
                }
            }
        }
        known
    }

    /// The kinds of keys on record, for asking the host for one of them.
    pub(super) fn kinds(&self) -> impl Iterator<Item = &str> {
        let plain = |line: &&Line| line.marker == Marker::None;
        let lines = self.exact.iter().filter(plain);
        let lines = lines.chain(self.without_port.iter().filter(plain));
        lines.map(|line| line.kind.as_str())
    }

    /// Whether an authority for certificates of this host is on record.
    pub(super) fn has_authority(&self) -> bool {
        self.exact
            .iter()
            .any(|line| line.marker == Marker::Authority)
    }

    /// What is on record about the host's key.
    pub(super) fn judge(&self, key: &PublicKey) -> Verdict {
        let Ok(wire) = key.to_bytes() else {
            return Verdict::Unknown;
        };
        if self.has_revoked(&wire) {
            return Verdict::Revoked;
        }
        let plain = |line: &&Line| line.marker == Marker::None;
        if self.exact.iter().filter(plain).any(|line| line.key == wire) {
            return Verdict::Known;
        }
        let kind = key.algorithm().to_string();
        let mut others = self.exact.iter().filter(plain);
        if let Some(other) = others.find(|line| line.kind == kind) {
            let record = other.place.clone();
            return Verdict::Changed { record };
        }
        let mut without_port = self.without_port.iter().filter(plain);
        if without_port.any(|line| line.key == wire) {
            return Verdict::Known;
        }
        Verdict::Unknown
    }

    /// What is on record about the authority of a host's certificate, and whether the certificate
    /// is good for `host` now. `allowed` names algorithms of signatures.
    pub(super) fn judge_certificate(
        &self,
        certificate: &Certificate,
        host: &str,
        allowed: &[String],
    ) -> Verdict {
        let key = PublicKey::new(certificate.public_key().clone(), "");
        let authority = PublicKey::new(certificate.signature_key().clone(), "");
        let (Ok(wire), Ok(signer)) = (key.to_bytes(), authority.to_bytes()) else {
            return Verdict::Unknown;
        };
        if self.has_revoked(&wire) || self.has_revoked(&signer) {
            return Verdict::Revoked;
        }
        let is_its = |line: &&Line| line.marker == Marker::Authority && line.key == signer;
        if !self.exact.iter().any(|line| is_its(&line)) {
            // As if it had shown its key alone.
            return self.judge(&key);
        }
        match fault(certificate, host, &authority, allowed) {
            None => Verdict::Known,
            Some(why) => Verdict::Bad { why },
        }
    }

    fn has_revoked(&self, key: &[u8]) -> bool {
        let mut lines = self.exact.iter().chain(&self.without_port);
        lines.any(|line| line.marker == Marker::Revoked && line.key == key)
    }
}

/// What is wrong with a certificate of this authority.
fn fault(
    certificate: &Certificate,
    host: &str,
    authority: &PublicKey,
    allowed: &[String],
) -> Option<&'static str> {
    let host = host.to_ascii_lowercase();
    let is_named =
        |name: &String| wildcard::fits(name.to_ascii_lowercase().as_bytes(), host.as_bytes());
    let algorithm = certificate.signature().algorithm().to_string();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_secs());
    let signer = authority.fingerprint(HashAlg::Sha256);
    if certificate.cert_type() != CertType::Host {
        Some("it is not a host's")
    } else if !certificate.valid_principals().iter().any(is_named) {
        Some("it does not name this host")
    } else if !certificate.critical_options().is_empty() {
        Some("it has a critical option")
    } else if !allowed.contains(&algorithm) {
        Some("its signature has an algorithm that `CASignatureAlgorithms` does not allow")
    } else if certificate.verify_signature().is_err() {
        Some("its signature is wrong, or of an algorithm that `transport: russh` does not know")
    } else if certificate.validate_at(now, [&signer]).is_err() {
        Some("it is not valid yet, or not any more")
    } else {
        None
    }
}

impl Line {
    /// The names of a line, and the rest of it.
    fn read<'a>(text: &'a str, file: &Path, number: usize) -> Option<(&'a str, Self)> {
        let mut words = text.split_whitespace().peekable();
        let marker = match *words.peek()? {
            "@cert-authority" => Marker::Authority,
            "@revoked" => Marker::Revoked,
            word if word.starts_with(['#', '@']) => return None,
            _ => Marker::None,
        };
        if marker != Marker::None {
            words.next();
        }
        let (hosts, kind, key) = (words.next()?, words.next()?, words.next()?);
        let line = Self {
            place: format!("{}:{number}", file.display()),
            marker,
            kind: kind.to_owned(),
            key: STANDARD.decode(key).ok()?,
        };
        Some((hosts, line))
    }
}

/// Whether a list of patterns, or a hashed name, names a host in lower case.
fn names(hosts: &str, host: &str) -> bool {
    if let Some(hashed) = hosts.strip_prefix("|1|") {
        let parts = hashed.split_once('|');
        let decoded = parts.and_then(|(salt, hash)| {
            Some((STANDARD.decode(salt).ok()?, STANDARD.decode(hash).ok()?))
        });
        return decoded.is_some_and(|(salt, hash)| {
            let salt = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
            hmac::verify(&salt, host.as_bytes(), &hash).is_ok()
        });
    }
    let mut named = false;
    for pattern in hosts.split(',') {
        let pattern = pattern.to_ascii_lowercase();
        match pattern.strip_prefix('!') {
            Some(not) if wildcard::fits(not.as_bytes(), host.as_bytes()) => return false,
            Some(_) => {}
            None => named |= wildcard::fits(pattern.as_bytes(), host.as_bytes()),
        }
    }
    named
}

fn text(file: &Path) -> Option<String> {
    if !std::fs::metadata(file).ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(file).ok()?;
    file.take(MOST).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
#[path = "known_tests.rs"]
mod tests;
