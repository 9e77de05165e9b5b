//! Where the gateway stores its data: the store, output, the record.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::blobs::{Blobs, s3};

/// `[store]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreAt {
    /// `sqlite:///path` or `postgres://…`; default: `gateway.db` in the state folder.
    pub url: Option<String>,
}

/// `[blobs]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BlobsAt {
    /// A folder; default: `blobs` in the state folder. Gateways with a common store share it.
    pub folder: Option<PathBuf>,
    /// The same as `file:///folder`, or a bucket: `s3://BUCKET/PREFIX`.
    pub url: Option<String>,
    /// Settings of the bucket.
    pub s3: s3::Settings,
}

/// Where output is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobsIn {
    /// In a folder; `None` for the default one.
    Folder(Option<PathBuf>),
    /// In the bucket with this address.
    Bucket(String),
}

impl BlobsAt {
    /// Where output is stored.
    ///
    /// # Errors
    /// Settings that exclude each other.
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
    /// The ssh key without a passphrase that signs checkpoints; default: `record_key` in the state
    /// folder, generated once.
    pub key: Option<PathBuf>,
    /// How often the end of a journal is recorded while its part is running; default `5m`.
    pub every: Option<String>,
}

impl Recorded {
    /// How often the end of a journal is recorded while its part is running.
    ///
    /// # Errors
    /// If it is not a valid time.
    pub fn pause(&self) -> Result<Duration, String> {
        let Some(text) = &self.every else {
            return Ok(Duration::from_mins(5));
        };
        let pause =
            crate::manual::duration(text).map_err(|why| format!("`record.every`: {why}"))?;
        if pause < Duration::from_secs(1) || pause > Duration::from_hours(24) {
            return Err("`record.every` must be between a second and a day".to_owned());
        }
        Ok(pause)
    }
}
