//! Secrets and their hashes: the store contains only hashes.

use sha2::{Digest as _, Sha256};

/// A random secret of 256 bits, as text.
///
/// # Panics
/// If the kernel returns no random bytes, which does not happen.
#[must_use]
pub fn new_token() -> String {
    let mut chance = [0; 32];
    // The kernel returns them or blocks; it cannot fail for 32 bytes.
    let got = rustix::rand::getrandom(&mut chance, rustix::rand::GetRandomFlags::empty());
    assert_eq!(got, Ok(chance.len()), "the kernel gives random bytes");
    hex(&chance)
}

/// SHA-256, hexadecimal.
#[must_use]
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
