//! Sealed certificates: a login at the nodes of a segment for a time without the gateway. Two
//! people open one together.

use serde::{Deserialize, Serialize};

use crate::Time;

/// The version of the form.
pub const VERSION: u32 = 1;
/// The most bytes of a sealed certificate as a file.
pub const LARGEST: usize = 1 << 20;

/// `GET /v1/sealed`, and the content of the files that people keep. A new one has a layer for each
/// person; whoever opens theirs gets one with a single layer, which is for any of the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sealed {
    /// The version of this form.
    pub v: u32,
    /// Its name; the log of `sshd` shows it at each login.
    pub id: String,
    /// The name of the gateway that has made it.
    pub gateway: String,
    /// The segment whose nodes it opens.
    pub segment: String,
    /// When its certificate expires.
    pub until: Time,
    /// The person who has opened the first layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_by: Option<String>,
    /// What is sealed.
    pub layers: Vec<Layer>,
}

/// A layer that each of these people can open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Layer {
    /// The people.
    pub people: Vec<String>,
    /// Encrypted for their keys, as `age --armor` writes it.
    pub age: String,
}

/// The content of the innermost layer. Not printable: it has a private key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The private key, as a file of OpenSSH.
    pub key: String,
    /// Its certificate, as a file of OpenSSH.
    pub certificate: String,
}

impl Sealed {
    /// Its people, in order.
    #[must_use]
    pub fn people(&self) -> Vec<&str> {
        let all = self.layers.iter().flat_map(|layer| &layer.people);
        let mut all: Vec<&str> = all.map(String::as_str).collect();
        all.sort_unstable();
        all
    }

    /// The layer that this person can open.
    #[must_use]
    pub fn layer_of(&self, person: &str) -> Option<&Layer> {
        let is = |layer: &&Layer| layer.people.iter().any(|one| one == person);
        self.layers.iter().find(is)
    }
}
