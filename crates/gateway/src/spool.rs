//! Moves waiting data to the blob store: pieces of output, which wait in the store, and archives of
//! the manual, which wait in a folder. Several gateways may write the same blob with the same
//! contents.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::blobs::Blobs;
use crate::gateway::{Gateway, Tell};

/// How often to look.
const LOOK: Duration = Duration::from_millis(500);
/// The longest delay after an error; it doubles each time.
const LATEST: Duration = Duration::from_secs(10);

/// The name of an archive among the blobs.
#[must_use]
pub fn archive(sum: &str) -> String {
    format!("archives/{sum}.tar")
}

/// Moves waiting data until `stop`.
pub(crate) async fn carry(gateway: Arc<Gateway>, mut stop: watch::Receiver<()>, tell: Tell) {
    let (mut wait, mut well) = (LOOK, true);
    while tokio::time::timeout(wait, stop.changed()).await.is_err() {
        match all(&gateway).await {
            Ok(()) => {
                if !well {
                    tell("the blobs can be written again");
                }
                (wait, well) = (LOOK, true);
            }
            Err(why) => {
                if well {
                    tell(&format!("output waits in the store: {why}"));
                }
                wait = (wait * 2).min(LATEST);
                well = false;
            }
        }
    }
}

async fn all(gateway: &Gateway) -> Result<(), String> {
    loop {
        let pieces = gateway.store.spooled().await;
        let pieces = pieces.map_err(|error| error.to_string())?;
        if pieces.is_empty() {
            break;
        }
        let all = pieces
            .into_iter()
            .map(|(blob, text)| one(gateway, blob, text));
        for done in futures_util::future::join_all(all).await {
            done?;
        }
    }
    if gateway.blobs.is_near() {
        return Ok(());
    }
    archives(&gateway.blobs, &gateway.archives).await
}

async fn one(gateway: &Gateway, blob: String, text: String) -> Result<(), String> {
    let written = gateway.blobs.write(&blob, text.as_bytes()).await;
    written.map_err(|error| error.to_string())?;
    let done = gateway.store.unspool(&blob).await;
    done.map_err(|error| error.to_string())
}

/// Archives that other gateways may need. A file next to one marks it as uploaded.
async fn archives(blobs: &Blobs, folder: &Path) -> Result<(), String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let brought = path.with_extension("brought");
        let name = entry.file_name();
        let sum = name.to_str().and_then(|name| name.strip_suffix(".tar"));
        let Some(sum) = sum.filter(|sum| !sum.starts_with('.') && !brought.exists()) else {
            continue;
        };
        let bytes = tokio::fs::read(&path).await;
        let bytes = bytes.map_err(|error| error.to_string())?;
        let written = blobs.write(&archive(sum), &bytes).await;
        written.map_err(|error| error.to_string())?;
        // Without the mark, it is uploaded once more.
        let _ = tokio::fs::write(&brought, "").await;
    }
    Ok(())
}
