//! Words that nobody can guess, from the kernel's random source.

use std::fmt::Write;

/// `N` random bytes.
///
/// # Panics
///
/// Never, on a kernel that has booted: it blocks before it has gathered enough, and gives up to 256
/// bytes at once.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    assert_eq!(got, Ok(N), "the kernel gives random bytes");
    bytes
}

/// `N` random bytes as `2 * N` hexadecimal digits.
///
/// # Panics
///
/// As [`bytes`].
#[must_use]
pub fn hex<const N: usize>() -> String {
    let mut hex = String::with_capacity(2 * N);
    for byte in bytes::<N>() {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}
