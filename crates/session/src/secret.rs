//! Bytes that must not be seen: zeroed when dropped, never printed. Knows nobody.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

/// A password or another secret. Has no `Display`; its `Debug` shows nothing of it. Clones
/// share the bytes: there is one copy of them.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<Vec<u8>>>);

/// What `sudo` may ask for.
pub type Password = Secret;

impl Secret {
    /// Takes bytes; their memory is overwritten when the last clone is dropped.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }

    /// The bytes themselves; every caller is a place to look at in a review.
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
