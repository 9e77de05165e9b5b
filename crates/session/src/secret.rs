//! Secret bytes: zeroed when dropped, never printed.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

/// A password or another secret. Has no `Display`; its `Debug` hides it. Clones share the bytes, so
/// only one copy exists.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<Vec<u8>>>);

/// A password for `sudo`.
pub type Password = Secret;

impl Secret {
    /// Takes bytes; their memory is overwritten when the last clone is dropped.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }

    /// The bytes themselves; a review must look at every caller.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text.into_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
