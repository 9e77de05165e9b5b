//! Signs a runner's key with `ssh-keygen`, using a key that is read when needed and passed through
//! a pipe, or one in an agent.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::Semaphore;

use super::{Ca, Certificates, NODE, Permit};
use crate::wire::CertificateOut;

/// The most parallel signatures: a thousand parts may begin at once.
const ROOM: usize = 8;
static SIGNERS: Semaphore = Semaphore::const_new(ROOM);
const PATIENCE: Duration = Duration::from_secs(20);
/// How far a node's clock may be behind.
const GRACE: &str = "-1m";
/// The most bytes of a public key, of a certificate's id, and of its principals.
const LONGEST_KEY: usize = 200;
const LONGEST_ID: usize = 512;
const LONGEST_PRINCIPALS: usize = 16 << 10;

/// A runner's public key: of one type, on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(String);

impl std::str::FromStr for PublicKey {
    type Err = ();

    fn from_str(text: &str) -> Result<PublicKey, ()> {
        let base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
        let key = text.strip_prefix("ssh-ed25519 ").ok_or(())?;
        let good = !key.is_empty() && text.len() <= LONGEST_KEY && key.bytes().all(base64);
        good.then(|| PublicKey(text.to_owned())).ok_or(())
    }
}

/// The purpose of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct For {
    /// The id that `sshd` writes to its log.
    pub id: String,
    /// The nodes.
    pub nodes: Vec<String>,
}

impl For {
    /// A part of a run.
    #[must_use]
    pub fn run(run: &str, by: &str, approved: &[String], nodes: Vec<String>) -> For {
        let mut id = format!("opsbook:run={}:by={}", plain(run), plain(by));
        if !approved.is_empty() {
            let approved: Vec<String> = approved.iter().map(|person| plain(person)).collect();
            id += &format!(":approved={}", approved.join(","));
        }
        id.truncate(LONGEST_ID);
        For { id, nodes }
    }

    /// A sealed certificate.
    #[must_use]
    pub fn sealed(id: &str, segment: &str, nodes: Vec<String>) -> For {
        let id = format!("opsbook:sealed={}:segment={}", plain(id), plain(segment));
        For { id, nodes }
    }

    /// A round of checks.
    #[must_use]
    pub fn checks(round: &str, nodes: Vec<String>) -> For {
        let mut id = format!("opsbook:checks={}", plain(round));
        id.truncate(LONGEST_ID);
        For { id, nodes }
    }
}

/// A name as one word of a log, without separators.
fn plain(name: &str) -> String {
    let good = |letter: char| letter.is_ascii_graphic() && !":,\\\"".contains(letter);
    let letters = name.chars();
    letters
        .map(|letter| if good(letter) { letter } else { '_' })
        .collect()
}

impl Certificates {
    /// Signs the key.
    ///
    /// # Errors
    /// Why it cannot, in a sentence.
    pub async fn sign(&self, key: &PublicKey, what: &For) -> Result<CertificateOut, String> {
        let _turn = SIGNERS.acquire().await.map_err(|error| error.to_string())?;
        let principals = self.principals(&what.nodes)?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let public = folder.path().join("key.pub");
        let written = tokio::fs::write(&public, format!("{}\n", key.0)).await;
        written.map_err(|error| error.to_string())?;
        let (mut command, secret) = self.command().await?;
        command
            .args(["-I", &what.id, "-n", &principals])
            .args(["-V", &format!("{GRACE}:+{}s", self.ttl.as_secs())])
            .args(["-O", "clear"]);
        if self.permit.contains(&Permit::PortForwarding) {
            command.args(["-O", "permit-port-forwarding"]);
        }
        if !self.sources.is_empty() {
            let sources = self.sources.join(",");
            command.args(["-O", &format!("source-address={sources}")]);
        }
        command.arg(&public);
        let signed = tokio::time::timeout(PATIENCE, signed(command, secret));
        let signed = signed.await.unwrap_or_else(|_| {
            let seconds = PATIENCE.as_secs();
            Err(format!("`ssh-keygen` did not end within {seconds} seconds"))
        });
        signed.map_err(|why| format!("{} made no signature: {why}", self.ca))?;
        let certificate = tokio::fs::read_to_string(folder.path().join("key-cert.pub")).await;
        let certificate = certificate.map_err(|error| error.to_string())?;
        Ok(CertificateOut {
            certificate: certificate.trim_end().to_owned(),
            seconds: self.ttl.as_secs(),
        })
    }

    /// The principals for these nodes.
    fn principals(&self, nodes: &[String]) -> Result<String, String> {
        let mut all: Vec<String> = Vec::new();
        for principal in &self.principals {
            if principal.contains(NODE) {
                let of = nodes.iter().map(|node| principal.replace(NODE, node));
                all.extend(of);
            } else {
                all.push(principal.clone());
            }
        }
        if let Some(odd) = all.iter().find(|name| name.contains(',')) {
            return Err(format!(
                "`{odd}` is not a valid principal for a certificate"
            ));
        }
        let all = all.join(",");
        if all.len() > LONGEST_PRINCIPALS {
            return Err("it has too many nodes for one certificate".to_owned());
        }
        Ok(all)
    }

    /// The signing command, and the key for its standard input.
    async fn command(&self) -> Result<(Command, Option<String>), String> {
        let mut command = Command::new("ssh-keygen");
        command.arg("-q");
        let Some(secret) = self.ca.secret() else {
            if let Ca::Agent(agent) = &self.ca {
                command.arg("-U").arg("-s").arg(&agent.key);
                if let Some(socket) = &agent.socket {
                    command.env("SSH_AUTH_SOCK", socket);
                }
            }
            return Ok((command, None));
        };
        // Never ask for a passphrase.
        command.args(["-P", "", "-s", "/dev/stdin"]);
        let text = secret.text().await;
        Ok((command, Some(text.map_err(|why| format!("no key: {why}"))?)))
    }
}

async fn signed(mut command: Command, secret: Option<String>) -> Result<(), String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("`ssh-keygen`: {error}"))?;
    if let (Some(mut stdin), Some(secret)) = (child.stdin.take(), secret) {
        // If it does not read its input, it fails with a message.
        let _ = stdin.write_all(secret.as_bytes()).await;
    }
    let output = child.wait_with_output().await;
    let output = output.map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().rfind(|line| !line.trim().is_empty());
    Err(crate::outside::line(line.unwrap_or("`ssh-keygen` failed")).to_string())
}

impl std::fmt::Display for Ca {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self, self.secret()) {
            (_, Some(secret)) => secret.fmt(f),
            (Ca::Agent(agent), None) => write!(f, "the agent with `{}`", agent.key.display()),
            (_, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_line_of_one_kind() {
        let good = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA";
        assert!(good.parse::<PublicKey>().is_ok());
        for wrong in [
            "",
            "ssh-ed25519 ",
            "ssh-rsa AAAA",
            "ssh-ed25519 AAAA\nssh-ed25519 AAAA",
            "ssh-ed25519 AAAA comment",
            "cert-authority ssh-ed25519 AAAA",
            &format!("{good}{}", "A".repeat(LONGEST_KEY)),
        ] {
            assert!(wrong.parse::<PublicKey>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_in_a_log_does_not_look_like_the_next_word() {
        let who = For::run(
            "R1",
            "ana:approved=root",
            &["bo\n".into(), "c,y".into()],
            Vec::new(),
        );
        assert_eq!(
            who.id,
            "opsbook:run=R1:by=ana_approved=root:approved=bo_,c_y"
        );
    }
}
