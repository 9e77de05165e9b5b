//! Where the gateway keeps what it keeps: the store, output, the record.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::blobs::{Blobs, s3};

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
    /// The same as `file:///folder`, or a bucket: `s3://BUCKET/PREFIX`.
    pub url: Option<String>,
    /// Where the bucket is, and who asks there.
    pub s3: s3::Settings,
}

/// Where output is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobsIn {
    /// In a folder; the usual one where it is absent.
    Folder(Option<PathBuf>),
    /// In the bucket of this address.
    Bucket(String),
}

impl BlobsAt {
    /// Where output is kept.
    ///
    /// # Errors
    /// What does not go together.
    pub fn place(&self) -> Result<BlobsIn, String> {
        let place = match (&self.folder, &self.url) {
            (Some(_), Some(_)) => return Err("`blobs`: `folder` or `url`, not both".to_owned()),
            (folder, None) => BlobsIn::Folder(folder.clone()),
            (None, Some(url)) if url.starts_with("s3://") => BlobsIn::Bucket(url.clone()),
            (None, Some(url)) => match url.strip_prefix("file://") {
                Some(path) if path.starts_with('/') => BlobsIn::Folder(Some(PathBuf::from(path))),
                _ => {
                    return Err(format!(
                        "`blobs.url`: `{url}` is neither `file:///…` nor `s3://…`"
                    ));
                }
            },
        };
        match &place {
            BlobsIn::Bucket(url) => {
                let bucket = Blobs::bucket(url, &self.s3);
                bucket.map_err(|why| format!("`blobs`: {why}"))?;
            }
            BlobsIn::Folder(_) if self.s3 != s3::Settings::default() => {
                return Err("`blobs.s3` goes with `url = \"s3://…\"`".to_owned());
            }
            BlobsIn::Folder(_) => {}
        }
        Ok(place)
    }
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
