//! Logins at nodes without a permanent key: a key for one part or one round of checks, the
//! gateway's certificate for it, and an ssh configuration with both. Renewed while it is needed,
//! and removed when dropped.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use opsbook_client::{Client, ClientError};
use opsbook_text::{private, random};
use opsbook_wire::{CertificateIn, CertificateOut, Held, endpoint};
use tokio::process::Command;
use tokio::task::AbortHandle;

/// The first delay after a failed request; doubles up to `LATEST`.
const SOONEST: Duration = Duration::from_millis(200);
const LATEST: Duration = Duration::from_secs(5);
/// How long to ask a gateway that answers without a certificate.
const PATIENCE: Duration = Duration::from_mins(1);
/// For `ssh-keygen`, which makes a small key.
const KEYGEN: Duration = Duration::from_secs(20);
/// The most bytes of a certificate.
const LARGEST: usize = 16 << 10;

/// A key with its certificate.
#[derive(Debug)]
pub(crate) struct Certified {
    folder: PathBuf,
    renewal: Option<Task>,
}

/// A task that is aborted when dropped.
#[derive(Debug)]
pub(crate) struct Task(pub AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Drop for Certified {
    fn drop(&mut self) {
        self.renewal = None;
        // A leftover is removed when the runner starts again.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Certified {
    /// Makes a key below this folder, and asks the gateway for its certificate; retries while the
    /// gateway is unreachable.
    ///
    /// # Errors
    /// The reason why there is none, in a sentence.
    pub async fn new(client: Client, below: &Path, held: Held) -> Result<Certified, String> {
        let folder = below.join(random::hex::<16>());
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder);
        made.map_err(|error| format!("`{}`: {error}", folder.display()))?;
        let mut certified = Certified {
            folder,
            renewal: None,
        };
        let public_key = certified.key().await?;
        let ask = CertificateIn { held, public_key };
        let seconds = asked(&client, &ask, &certified.folder, Instant::now() + PATIENCE).await?;
        certified.write("config", &ssh_configuration(&certified.folder)?)?;
        let renewal = renew(client, ask, certified.folder.clone(), seconds);
        certified.renewal = Some(Task(tokio::spawn(renewal).abort_handle()));
        Ok(certified)
    }

    /// The path of the ssh configuration.
    pub fn config(&self) -> PathBuf {
        self.folder.join("config")
    }

    /// Makes the key and returns the public key.
    async fn key(&self) -> Result<String, String> {
        let path = self.folder.join("key");
        let keygen = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "opsbook", "-f"])
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .status();
        let made = tokio::time::timeout(KEYGEN, keygen).await;
        if !matches!(&made, Ok(Ok(status)) if status.success()) {
            return Err("`ssh-keygen` did not create a key".to_owned());
        }
        let public = fs::read_to_string(path.with_extension("pub"));
        let public = public.map_err(|error| format!("the key cannot be read: {error}"))?;
        // Leave out the comment, which may reveal user and host.
        let words: Vec<&str> = public.split_whitespace().take(2).collect();
        Ok(words.join(" "))
    }

    fn write(&self, name: &str, text: &str) -> Result<(), String> {
        written(&self.folder.join(name), text)
    }
}

/// Asks until it gets a certificate, and stores it; returns how many seconds it is valid.
async fn asked(
    client: &Client,
    ask: &CertificateIn,
    folder: &Path,
    until: Instant,
) -> Result<u64, String> {
    let mut wait = SOONEST;
    loop {
        let answer: Result<CertificateOut, _> =
            client.post(endpoint::RUNNER_CERTIFICATE, ask).await;
        match answer {
            Ok(out) => {
                taken(folder, &out)?;
                return Ok(out.seconds);
            }
            Err(error) if is_final(&error, until) => {
                return Err(format!("there is no certificate: {error}"));
            }
            Err(_) => tokio::time::sleep(wait).await,
        }
        wait = (wait * 2).min(LATEST);
    }
}

/// Waits for an unreachable gateway; one that answers has a minute.
fn is_final(error: &ClientError, until: Instant) -> bool {
    !error.may_pass() || (error.kind().is_some() && Instant::now() >= until)
}

fn taken(folder: &Path, out: &CertificateOut) -> Result<(), String> {
    let text = out.certificate.trim_end();
    let plain = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if text.len() > LARGEST || !plain || !text.contains("-cert-v01@openssh.com ") {
        return Err("the gateway sent no certificate".to_owned());
    }
    written(&folder.join("key-cert.pub"), &format!("{text}\n"))
}

/// Writes a file atomically.
fn written(path: &Path, text: &str) -> Result<(), String> {
    let done = private::replace(path, text.as_bytes());
    done.map_err(|error| format!("`{}`: {error}", path.display()))
}

/// Requests a new certificate for the same key after two thirds of each lifetime: a long part may
/// have to log in again. If no more certificates are issued, a login is refused and the node's
/// outcome says so.
async fn renew(client: Client, ask: CertificateIn, folder: PathBuf, mut seconds: u64) {
    loop {
        let rest = Duration::from_secs(seconds) * 2 / 3;
        tokio::time::sleep(rest.max(SOONEST)).await;
        let until = Instant::now() + PATIENCE;
        match asked(&client, &ask, &folder, until).await {
            Ok(of_the_new) => seconds = of_the_new,
            // The part now belongs to another runner.
            Err(_) => return,
        }
    }
}

/// An ssh configuration that logs in with the files `key` and `key-cert.pub` of this folder.
///
/// Only the certificate is used for logins, also on jump hosts; how hosts are found stays this
/// user's and this machine's configuration. Connections of other commands are not used, because
/// somebody else logged in for them.
///
/// # Errors
/// If ssh cannot read the name of the folder.
pub fn ssh_configuration(folder: &Path) -> Result<String, String> {
    let text = folder.to_string_lossy();
    // ssh interprets `%`, and expands what follows `$`.
    if text.contains(|letter: char| letter.is_control() || "\"$\\".contains(letter)) {
        return Err(format!(
            "ssh cannot read the name of this folder: `{}`",
            folder.display()
        ));
    }
    let key = format!("\"{}/key\"", text.replace('%', "%%"));
    Ok(format!(
        "IdentityFile {key}\n\
         CertificateFile {}\n\
         IdentitiesOnly yes\n\
         IdentityAgent none\n\
         PreferredAuthentications publickey\n\
         ControlMaster no\n\
         ControlPath none\n\
         Include ~/.ssh/config\n\
         Include /etc/ssh/ssh_config\n",
        key.replace("/key\"", "/key-cert.pub\"")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_names_the_key_and_nothing_else_is_used() {
        let text = ssh_configuration(Path::new("/var/lib/50%/a b/x")).unwrap();
        assert!(text.contains("IdentityFile \"/var/lib/50%%/a b/x/key\"\n"));
        assert!(text.contains("CertificateFile \"/var/lib/50%%/a b/x/key-cert.pub\"\n"));
        for odd in ["/a\"b", "/a${HOME}", "/a\nb", "/a\\b"] {
            assert!(ssh_configuration(Path::new(odd)).is_err(), "{odd}");
        }
    }

    #[test]
    fn what_is_no_certificate_is_not_written_down() {
        let dir = tempfile::tempdir().unwrap();
        let out = |text: &str| CertificateOut {
            certificate: text.to_owned(),
            seconds: 1,
        };
        let good = "ssh-ed25519-cert-v01@openssh.com AAAA opsbook";
        for wrong in [
            "",
            "ssh-ed25519 AAAA",
            &format!("{good}\n{good}"),
            &format!("{good}{}", "A".repeat(LARGEST)),
        ] {
            assert!(taken(dir.path(), &out(wrong)).is_err(), "{wrong}");
            assert!(!dir.path().join("key-cert.pub").exists());
        }
        taken(dir.path(), &out(good)).unwrap();
        let kept = fs::read_to_string(dir.path().join("key-cert.pub")).unwrap();
        assert_eq!(kept, format!("{good}\n"));
    }
}
