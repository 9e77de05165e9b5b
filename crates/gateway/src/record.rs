//! The signed log of all journals, also of running ones: whoever keeps a checkpoint can later
//! detect whether something was removed or changed. The key is an ssh key: `ssh-keygen` signs and
//! verifies, as for logins, approvals and archives, so one tool and one key format suffice.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;

use crate::gateway::{Gateway, Tell};
use crate::package::sign::sign_for;
use crate::project::merkle::hex;
use crate::store::record::Which;
use crate::wire::record::{Checkpoint, namespace};

/// How often to look for something to record.
const LOOK: Duration = Duration::from_secs(2);

/// Records ended journals until `stop`.
pub(crate) async fn keep(
    gateway: Arc<Gateway>,
    (key, every): (PathBuf, Duration),
    mut stop: watch::Receiver<()>,
    tell: Tell,
) {
    let mut said = String::new();
    let mut all = Instant::now();
    while tokio::time::timeout(LOOK.min(every), stop.changed())
        .await
        .is_err()
    {
        let which = if all.elapsed() >= every {
            all = Instant::now();
            Which::All
        } else {
            Which::Ended
        };
        if let Err(error) = once(&gateway, &key, which).await {
            let error = format!("cannot sign the log: {error}");
            if error != said {
                tell(&error);
                said = error;
            }
        }
    }
}

async fn once(gateway: &Arc<Gateway>, key: &Path, which: Which) -> Result<(), String> {
    let new = gateway
        .store
        .record(which)
        .await
        .map_err(|error| error.to_string())?;
    let Some((size, root)) = new else {
        return Ok(());
    };
    let (name, key) = (gateway.name.clone(), key.to_owned());
    let signing = tokio::task::spawn_blocking(move || {
        let public = made(&key)?;
        let mut checkpoint = Checkpoint {
            size,
            root: hex(&root),
            at: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            gateway: name,
            signature: String::new(),
            key: public,
        };
        let namespace = namespace(&checkpoint.gateway);
        checkpoint.signature = sign_for(&namespace, &checkpoint.text(), &key)?;
        Ok::<_, String>(checkpoint)
    });
    let checkpoint = signing.await.map_err(|error| error.to_string())??;
    let kept = gateway.store.add_checkpoint(&checkpoint).await;
    kept.map_err(|error| error.to_string())
}

/// The public key; generates the pair if it does not exist.
fn made(key: &Path) -> Result<String, String> {
    if !key.exists() {
        let made = Command::new("ssh-keygen")
            .args([
                "-q",
                "-t",
                "ed25519",
                "-N",
                "",
                "-C",
                "opsbook-record",
                "-f",
            ])
            .arg(key)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let made = made.map_err(|error| format!("`ssh-keygen`: {error}"))?;
        if !made.success() {
            return Err(format!(
                "`ssh-keygen` did not create the key `{}`",
                key.display()
            ));
        }
    }
    let mut public = key.as_os_str().to_owned();
    public.push(".pub");
    let path = PathBuf::from(public);
    let text = std::fs::read_to_string(&path);
    let text = text.map_err(|error| format!("`{}`: {error}", path.display()))?;
    Ok(text.trim().to_owned())
}
