//! Logs in with the user's keys, in OpenSSH's order: certificates, the agent's keys, files. Asks
//! nobody: a key with a passphrase is used through the agent, or not at all.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::{AgentAuthError, MethodKind, Signer};

use russh::client::{AuthResult, Handle, Handler};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Algorithm, Certificate, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use tokio::net::UnixStream;
use zeroize::Zeroizing;

use super::Failed;
use super::settings::Settings;
use crate::error::Cause;
use crate::outside::Outside;

/// The most bytes of a key or certificate file.
const MOST: u64 = 1 << 20;
/// The most keys to offer. Servers allow six.
const MOST_OFFERS: usize = 64;

type Agent = AgentClient<UnixStream>;

/// A key to offer, and who signs with it.
struct Offer {
    key: PublicKey,
    certificate: Option<Certificate>,
    signer: Signing,
}

#[derive(Clone)]
enum Signing {
    File(Arc<PrivateKey>),
    /// With the key, or with the certificate that the agent itself holds.
    Agent(Box<AgentIdentity>),
}

/// The keys of this user.
#[derive(Default)]
struct Keys {
    offers: Vec<Offer>,
    /// Why some keys cannot be offered, for the message of a refused login.
    notes: Vec<String>,
}

/// Logs in, or returns why the host accepted nothing.
pub(super) async fn login<H: Handler>(
    handle: &mut Handle<H>,
    settings: &Settings,
) -> Result<(), Failed> {
    let lost = |error: russh::Error| Failed::new(Cause::Cut, error.to_string());
    // Some accounts need no key. The answer also says what the others need.
    let mut result = handle
        .authenticate_none(&settings.user)
        .await
        .map_err(lost)?;
    let mut agent = match &settings.agent {
        Some(path) => AgentClient::connect_uds(path).await.ok(),
        None => None,
    };
    if let (Some(agent), Some(binding)) = (&mut agent, handle.agent_session_binding()) {
        // Keys that are limited to some hosts need it; other agents do not know it.
        let _ = agent.bind_session(binding, false).await;
    }
    let mut keys = Keys::default();
    if !result.success() {
        keys = Keys::of(settings, agent.as_mut()).await;
    }
    for offer in keys.offers.iter().take(MOST_OFFERS) {
        match &result {
            AuthResult::Success => break,
            AuthResult::Failure {
                remaining_methods, ..
            } if !remaining_methods.contains(&MethodKind::PublicKey) => break,
            AuthResult::Failure { .. } => {}
        }
        match offer.make(handle, settings, agent.as_mut()).await {
            Ok(Some(next)) => result = next,
            Ok(None) => {}
            Err(why) => keys.notes.push(why),
        }
    }
    let AuthResult::Failure {
        remaining_methods, ..
    } = result
    else {
        return Ok(());
    };
    Err(refused(settings, &remaining_methods, keys))
}

fn refused(settings: &Settings, methods: &[MethodKind], keys: Keys) -> Failed {
    let methods: Vec<String> = methods.iter().map(Into::into).collect();
    let (user, host) = (&settings.user, &settings.host);
    let mut said = format!("{user}@{host}: Permission denied ({}).", methods.join(","));
    for note in &keys.notes {
        said += &format!("\n{note}");
    }
    if settings.tickets && methods.iter().any(|method| method == "gssapi-with-mic") {
        said += "\nThe host takes tickets (GSSAPIAuthentication), and `transport: russh` has none: \
                 use `transport: ssh`";
    }
    Failed::new(Cause::Auth, said)
}

impl Keys {
    async fn of(settings: &Settings, agent: Option<&mut Agent>) -> Self {
        let mut keys = Self::default();
        let mut held = Vec::new();
        if let Some(agent) = agent {
            match agent.request_identities().await {
                Ok(identities) => held = identities,
                Err(error) => keys.notes.push(format!("the agent: {error}")),
            }
        }
        let mut files: Vec<(PublicKey, Option<Arc<PrivateKey>>)> = Vec::new();
        let mut certificates = settings.certificates.clone();
        for path in &settings.identities {
            files.extend(keys.read(path, &held));
            let mut name = path.clone().into_os_string();
            name.push("-cert.pub");
            certificates.push(PathBuf::from(name));
        }
        let signer = |key: &PublicKey| {
            let in_agent = held.iter().find(|identity| is_plain(identity, key));
            let file = files
                .iter()
                .find(|(file, _)| file.key_data() == key.key_data());
            let file = file.and_then(|(_, private)| private.clone().map(Signing::File));
            in_agent.cloned().map(Box::new).map(Signing::Agent).or(file)
        };
        let mut offers = Vec::new();
        for path in &certificates {
            let Some(certificate) = certificate(path) else {
                continue;
            };
            let key = PublicKey::new(certificate.public_key().clone(), "");
            if let Some(signer) = signer(&key) {
                let certificate = Some(certificate);
                offers.push(Offer {
                    key,
                    certificate,
                    signer,
                });
            }
        }
        let is_listed =
            |identity: &AgentIdentity| files.iter().any(|(key, _)| is_plain(identity, key));
        let (listed, others): (Vec<_>, Vec<_>) = held.iter().cloned().partition(is_listed);
        let others = others.into_iter().filter(|_| !settings.identities_only);
        offers.extend(listed.into_iter().chain(others).map(Offer::of_agent));
        for (key, private) in &files {
            let is_in_agent = held.iter().any(|identity| is_plain(identity, key));
            if let (false, Some(private)) = (is_in_agent, private) {
                offers.push(Offer {
                    key: key.clone(),
                    certificate: None,
                    signer: Signing::File(Arc::clone(private)),
                });
            }
        }
        offers.retain(|offer| offer.is_accepted(&settings.accepted));
        keys.offers = offers;
        keys
    }

    /// The key of a file, and its private part if that can be used as it is. Notes why it cannot.
    fn read(
        &mut self,
        path: &Path,
        held: &[AgentIdentity],
    ) -> Option<(PublicKey, Option<Arc<PrivateKey>>)> {
        let shown = Outside::of_bytes(path.as_os_str().as_encoded_bytes());
        let shown = shown.line();
        let public = public(path);
        let Some(text) = text(path) else {
            // The public half alone chooses a key of the agent.
            return public.map(|key| (key, None));
        };
        if let Some(mode) = readable_by_others(path) {
            let note = format!("`{shown}` can be read by others (mode {mode:04o}): not used");
            self.notes.push(note);
            return None;
        }
        let key = match russh::keys::decode_secret_key(&text, None) {
            Ok(key) => key,
            Err(error) => {
                let key = PrivateKey::from_openssh(text.as_str()).ok();
                let key = key.map(|key| key.public_key().clone()).or(public);
                let is_held = |key: &PublicKey| held.iter().any(|held| is_plain(held, key));
                if !key.as_ref().is_some_and(is_held) {
                    self.notes.push(match error {
                        russh::keys::Error::KeyIsEncrypted => {
                            format!("`{shown}` has a passphrase: `ssh-add {shown}` first")
                        }
                        error => format!("`{shown}`: {error}"),
                    });
                }
                return key.map(|key| (key, None));
            }
        };
        let public = key.public_key().clone();
        let is_held = held.iter().any(|held| is_plain(held, &public));
        match key.algorithm() {
            Algorithm::Ed25519 | Algorithm::Ecdsa { .. } => Some((public, Some(Arc::new(key)))),
            other => {
                if !is_held {
                    self.notes.push(format!(
                        "`{shown}` ({other}): `transport: russh` uses such a key through an agent \
                         only: `ssh-add {shown}` first"
                    ));
                }
                Some((public, None))
            }
        }
    }
}

impl Offer {
    fn of_agent(identity: AgentIdentity) -> Self {
        let key = identity.public_key().into_owned();
        let certificate = match &identity {
            AgentIdentity::Certificate { certificate, .. } => Some(certificate.clone()),
            AgentIdentity::PublicKey { .. } => None,
        };
        let signer = Signing::Agent(Box::new(identity));
        Self {
            key,
            certificate,
            signer,
        }
    }

    /// Whether the user's `PubkeyAcceptedAlgorithms` allow it.
    fn is_accepted(&self, names: &[String]) -> bool {
        let plain = self.key.algorithm();
        let name = match (&self.certificate, &plain) {
            (None, Algorithm::Rsa { .. }) => {
                return names.iter().any(|name| name.starts_with("rsa-sha2-"));
            }
            (None, plain) => plain.to_string(),
            (Some(certificate), _) if certificate.cert_type() != CertType::User => return false,
            (Some(_), Algorithm::Rsa { .. }) => return true,
            (Some(_), plain) => plain.to_certificate_type(),
        };
        names.contains(&name)
    }

    /// Offers it. The error says why nothing could be signed; `None`: it fits no hash of the host.
    async fn make<H: Handler>(
        &self,
        handle: &mut Handle<H>,
        settings: &Settings,
        agent: Option<&mut Agent>,
    ) -> Result<Option<AuthResult>, String> {
        let user = &settings.user;
        let mut hash = None;
        if matches!(self.key.algorithm(), Algorithm::Rsa { .. }) {
            let best = handle.best_supported_rsa_hash().await;
            match best.map_err(|error| error.to_string())? {
                Some(None) => return Ok(None),
                Some(known) => hash = known,
                None => hash = Some(HashAlg::Sha512),
            }
        }
        let result = match (&self.signer, &self.certificate, agent) {
            (Signing::File(private), None, _) => {
                let key = PrivateKeyWithHashAlg::new(Arc::clone(private), hash);
                let made = handle.authenticate_publickey(user, key).await;
                made.map_err(|error| error.to_string())
            }
            (Signing::File(private), Some(certificate), _) => {
                let (private, certificate) = (Arc::clone(private), certificate.clone());
                let made = handle
                    .authenticate_openssh_cert(user, private, certificate)
                    .await;
                made.map_err(|error| error.to_string())
            }
            (Signing::Agent(_), _, None) => return Ok(None),
            (Signing::Agent(identity), certificate, Some(agent)) => {
                let mut by = ByAgent { agent, identity };
                let made = match certificate {
                    None => {
                        let key = self.key.clone();
                        handle
                            .authenticate_publickey_with(user, key, hash, &mut by)
                            .await
                    }
                    Some(certificate) => {
                        let certificate = certificate.clone();
                        handle
                            .authenticate_certificate_with(user, certificate, hash, &mut by)
                            .await
                    }
                };
                made.map_err(|error| format!("the agent did not sign: {error}"))
            }
        };
        result.map(Some)
    }
}

/// The agent signs with what it holds: of a certificate from a file, it holds the key.
struct ByAgent<'a> {
    agent: &'a mut Agent,
    identity: &'a AgentIdentity,
}

impl Signer for ByAgent<'_> {
    type Error = AgentAuthError;

    async fn auth_sign(
        &mut self,
        _asked: &AgentIdentity,
        hash: Option<HashAlg>,
        data: Vec<u8>,
    ) -> Result<Vec<u8>, Self::Error> {
        let signed = self.agent.sign_request(self.identity, hash, data).await;
        signed.map_err(AgentAuthError::Key)
    }
}

/// Whether an agent holds exactly this key, without a certificate.
fn is_plain(identity: &AgentIdentity, wanted: &PublicKey) -> bool {
    matches!(identity, AgentIdentity::PublicKey { key, .. } if key.key_data() == wanted.key_data())
}

fn certificate(path: &Path) -> Option<Certificate> {
    Certificate::from_openssh(text(path)?.trim()).ok()
}

fn public(path: &Path) -> Option<PublicKey> {
    let mut name = path.to_owned().into_os_string();
    name.push(".pub");
    PublicKey::from_openssh(text(Path::new(&name))?.trim()).ok()
}

/// The mode of a file of this user that others may read, as `ssh` judges it.
fn readable_by_others(path: &Path) -> Option<u32> {
    let facts = std::fs::metadata(path).ok()?;
    let own = facts.uid() == rustix::process::getuid().as_raw();
    (own && facts.mode() & 0o077 != 0).then_some(facts.mode() & 0o7777)
}

/// A regular file of a key. Overwritten in memory when dropped.
fn text(path: &Path) -> Option<Zeroizing<String>> {
    let facts = std::fs::metadata(path).ok()?;
    if !facts.is_file() || facts.len() > MOST {
        return None;
    }
    let mut text = Zeroizing::new(String::with_capacity(
        usize::try_from(facts.len()).ok()? + 1,
    ));
    let file = std::fs::File::open(path).ok()?;
    file.take(MOST).read_to_string(&mut text).ok()?;
    Some(text)
}
