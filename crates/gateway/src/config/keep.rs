//! Where the gateway keeps what it keeps: the store, output, the record.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

/// `[store]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreAt {
    /// `sqlite:///path` or `postgres://…`; `gateway.db` in the state folder where it is absent.
    pub url: Option<String>,
}

/// `[blobs]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BlobsAt {
    /// A folder; `blobs` in the state folder where it is absent. Gateways on one store share it.
    pub folder: Option<PathBuf>,
}

/// `[record]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recorded {
    /// The ssh key that signs checkpoints, which `ssh-keygen` takes without a passphrase;
    /// `record_key` in the state folder where it is absent, made once.
    pub key: Option<PathBuf>,
    /// How often the end of a journal is recorded while its part is under way; `5m` where it is
    /// absent.
    pub every: Option<String>,
}

impl Recorded {
    /// How often the end of a journal is recorded while its part is under way.
    ///
    /// # Errors
    /// Where it is no time, or an odd one.
    pub fn pause(&self) -> Result<Duration, String> {
        let Some(text) = &self.every else {
            return Ok(Duration::from_mins(5));
        };
        let pause =
            crate::manual::duration(text).map_err(|why| format!("`record.every`: {why}"))?;
        if pause < Duration::from_secs(1) || pause > Duration::from_hours(24) {
            return Err("`record.every`: it is between a second and a day".to_owned());
        }
        Ok(pause)
    }
}
