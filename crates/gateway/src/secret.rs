//! Secrets of the gateway's configuration, by reference: from a file, a command, the environment or
//! a vault. They are looked up when needed, and stored nowhere.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tokio::io::AsyncReadExt as _;

use crate::client::{Outbound, Url, outbound};

/// The most bytes of a secret.
const LARGEST: u64 = 64 << 10;
/// The time limit of a command.
const PATIENCE: Duration = Duration::from_secs(20);

/// The source of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Secret {
    /// The first line of a file that only this user can read.
    File(PathBuf),
    /// The first line of a shell command's output.
    Command(String),
    /// A variable of the gateway's environment.
    Env(String),
    /// An answer of a vault over HTTP.
    Vault(Vault),
}

/// A secret in a vault with the HTTP API of Vault.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vault {
    /// `https://vault.example/v1/secret/data/opsbook`
    pub url: String,
    /// The name of the value in the answer.
    pub field: String,
    /// Sent as `x-vault-token`.
    pub token: Box<Secret>,
}

impl Secret {
    /// The secret.
    ///
    /// # Errors
    /// Why there is none, in a sentence without the secret.
    pub async fn look_up(&self) -> Result<String, String> {
        let text = self.text().await?;
        let line = text.lines().next().unwrap_or_default().trim();
        if line.is_empty() || line.contains(|letter: char| letter.is_control()) {
            return Err(format!("{self} contains no secret"));
        }
        Ok(line.to_owned())
    }

    /// All its lines, as for a key.
    ///
    /// # Errors
    /// Why there is none, in a sentence without the secret.
    pub async fn text(&self) -> Result<String, String> {
        match self {
            Secret::File(path) => file(path),
            Secret::Command(command) => by_command(command).await,
            Secret::Env(name) => {
                std::env::var(name).map_err(|_| format!("the variable `{name}` is not set"))
            }
            Secret::Vault(vault) => Box::pin(vault.look_up()).await,
        }
    }
}

impl std::fmt::Display for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Secret::File(path) => write!(f, "the file `{}`", path.display()),
            Secret::Command(command) => write!(f, "the command `{command}`"),
            Secret::Env(name) => write!(f, "the variable `{name}`"),
            Secret::Vault(vault) => write!(f, "`{}` of `{}`", vault.field, vault.url),
        }
    }
}

fn file(path: &Path) -> Result<String, String> {
    use std::os::unix::fs::MetadataExt as _;
    let cannot = |why: String| format!("`{}`: {why}", path.display());
    let file = std::fs::File::open(path).map_err(|error| cannot(error.to_string()))?;
    let about = file.metadata().map_err(|error| cannot(error.to_string()))?;
    let own = [rustix::process::geteuid().as_raw(), 0].contains(&about.uid());
    // A group may read a file that root has given it; others may not.
    if !about.is_file() || !own || about.mode() & 0o027 != 0 {
        return Err(cannot(
            "other users can read or write it (chmod 600)".to_owned(),
        ));
    }
    let mut text = String::new();
    let read = file.take(LARGEST).read_to_string(&mut text);
    read.map_err(|error| cannot(error.to_string()))?;
    Ok(text)
}

async fn by_command(command: &str) -> Result<String, String> {
    let cannot = |why: String| format!("the command `{command}`: {why}");
    let mut child = tokio::process::Command::new("sh")
        .args(["-c", command])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| cannot(error.to_string()))?;
    let out = child.stdout.take();
    let done = tokio::time::timeout(PATIENCE, async {
        let mut text = String::new();
        if let Some(out) = out {
            out.take(LARGEST).read_to_string(&mut text).await?;
        }
        Ok::<_, std::io::Error>((text, child.wait().await?))
    });
    match done.await {
        Ok(Ok((text, status))) if status.success() => Ok(text),
        Ok(Ok((_, status))) => Err(cannot(status.to_string())),
        Ok(Err(error)) => Err(cannot(error.to_string())),
        Err(_) => Err(cannot(format!(
            "did not end within {} seconds",
            PATIENCE.as_secs()
        ))),
    }
}

impl Vault {
    async fn look_up(&self) -> Result<String, String> {
        let url: Url = self.url.parse().map_err(|error| format!("{error}"))?;
        let token = self.token.look_up().await?;
        let ask = Outbound {
            headers: vec![("x-vault-token", token)],
            most: 256 << 10,
            ..Outbound::default()
        };
        let reply = outbound(&url, ask).await?;
        if !reply.is_success() {
            return Err(format!("{url}: status {}", reply.status));
        }
        let read: Result<serde_json::Value, _> = serde_json::from_slice(&reply.body);
        let read = read.map_err(|_| format!("{url}: its answer is not JSON"))?;
        // Version 2 of its store nests `data` in `data`.
        let within = [
            &read["data"]["data"][&self.field],
            &read["data"][&self.field],
        ];
        let found = within.into_iter().find_map(|value| value.as_str());
        let none = || format!("{url}: there is no text `{}`", self.field);
        Ok(found.ok_or_else(none)?.to_owned())
    }
}
