//! Secrets and their hashes: the store contains only hashes.

use opsbook_text::random;
use sha2::{Digest as _, Sha256};

/// A random secret of 256 bits, as text.
#[must_use]
pub fn new_token() -> String {
    random::hex::<32>()
}

/// SHA-256, hexadecimal.
#[must_use]
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
