//! Logs in with an ssh key of this user, from an agent or a file. `ssh-keygen` signs.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::speak;
use crate::cli::Streams;
use crate::cli::error::Failure;
use crate::client::{Address, Client, ClientError};
use crate::outside;
use crate::source::Problem;
use crate::wire::login::{Nonce, SshLogin};
use crate::wire::{Kind, LoggedIn, endpoint};

/// The most keys to try: each costs a signature, and perhaps a touch.
const KEYS: usize = 6;
/// The only namespace in which a gateway may request signatures.
const NAMESPACE: &str = "opsbook-login@";

/// The options of the command line.
pub(crate) struct Asked<'a> {
    pub key: Option<&'a Path>,
    pub person: String,
    pub name: Option<&'a str>,
}

/// A key; dropping it removes its temporary file.
struct Key {
    path: PathBuf,
    _file: Option<tempfile::NamedTempFile>,
}

/// Logs in with the first key that the gateway accepts.
pub(crate) fn by_signature(
    asked: &Asked<'_>,
    client: &Client,
    streams: &mut Streams,
) -> Result<LoggedIn, Failure> {
    let keys = keys(asked.key)?;
    let mut last = Failure::from(
        Problem::bare("login", "there is no ssh key to sign with".to_owned())
            .hint("`--key FILE` names one; `ssh-add` gives one to your agent"),
    );
    for key in keys.iter().take(KEYS) {
        let nonce: Nonce = speak(client, streams, true, async |client| {
            client.get(endpoint::LOGIN_SSH_NONCE).await
        })?;
        is_meant(&nonce, asked, client.address())?;
        let login = SshLogin {
            signer: asked.person.clone(),
            signature: match signed(&nonce, &key.path) {
                Ok(signature) => signature,
                Err(why) => {
                    last = Failure::Error(format!("`{}`: {why}", key.path.display()));
                    continue;
                }
            },
            nonce: nonce.nonce,
        };
        let answer = crate::cli::block_on(async {
            Ok(client.post::<LoggedIn>(endpoint::LOGIN_SSH, &login).await)
        })?;
        match answer {
            Ok(login) => return Ok(login),
            Err(ClientError::Problem(problem)) if problem.kind == Kind::NotLoggedIn => {
                last = ClientError::Problem(problem).into();
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(last)
}

/// A signature is valid at any gateway with the name in it: check that it is the one that this user
/// means. Otherwise this server could pass on another gateway's request.
fn is_meant(nonce: &Nonce, asked: &Asked<'_>, address: &Address) -> Result<(), Failure> {
    let host = match address {
        Address::Http { host, .. } | Address::Https { host, .. } => host.as_str(),
        Address::Unix(_) => "localhost",
    };
    let meant = asked.name.unwrap_or(host);
    let name = nonce.namespace.strip_prefix(NAMESPACE).unwrap_or_default();
    let fresh = nonce.nonce.len() >= 16 && nonce.nonce.bytes().all(|b| b.is_ascii_graphic());
    if fresh && !name.is_empty() && name.eq_ignore_ascii_case(meant) {
        return Ok(());
    }
    let message = format!(
        "{address} asks for a signature for `{}`, but `{meant}` was expected: whoever answers \
         there could use it to log in as you at the gateway of that name",
        outside::line(&nonce.namespace)
    );
    let problem = Problem::bare("login", message);
    Err(Failure::from(
        problem.hint("if you know that name, pass `--name NAME`"),
    ))
}

/// The named key; otherwise those of the agent and the default files.
fn keys(named: Option<&Path>) -> Result<Vec<Key>, Failure> {
    if let Some(path) = named {
        return Ok(vec![Key {
            path: path.to_owned(),
            _file: None,
        }]);
    }
    let listed = Command::new("ssh-add")
        .arg("-L")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let listed = listed.map(|output| output.stdout).unwrap_or_default();
    let listed = String::from_utf8_lossy(&listed).into_owned();
    let mut keys = Vec::new();
    let is_key = |line: &&str| line.split(' ').count() > 1 && !line.starts_with("The ");
    for line in listed.lines().filter(is_key).take(KEYS) {
        let mut file = tempfile::NamedTempFile::new()?;
        writeln!(file, "{line}")?;
        keys.push(Key {
            path: file.path().to_owned(),
            _file: Some(file),
        });
    }
    let folder = std::env::home_dir().map(|home| home.join(".ssh"));
    for name in ["id_ed25519", "id_ecdsa", "id_rsa"] {
        let path = folder.as_ref().map(|folder| folder.join(name));
        if let Some(path) = path.filter(|path| path.is_file()) {
            keys.push(Key { path, _file: None });
        }
    }
    Ok(keys)
}

fn signed(nonce: &Nonce, key: &Path) -> Result<String, String> {
    let mut keygen = Command::new("ssh-keygen")
        .args(["-Y", "sign", "-n", &nonce.namespace, "-f"])
        .arg(key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("`ssh-keygen`: {error}"))?;
    if let Some(mut stdin) = keygen.stdin.take() {
        // If it does not read its input, it prints the reason.
        let _ = stdin.write_all(format!("{}\n", nonce.nonce).as_bytes());
    }
    let output = keygen.wait_with_output();
    let output = output.map_err(|error| format!("`ssh-keygen`: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() && text.starts_with("-----BEGIN SSH SIGNATURE-----") {
        return Ok(text);
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let said = said
        .lines()
        .last()
        .unwrap_or("it made no signature")
        .to_owned();
    Err(outside::line(&said).to_string())
}
