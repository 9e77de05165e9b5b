//! Where the gateway keeps what it keeps: the store, output, the record.

use std::path::PathBuf;

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
}
