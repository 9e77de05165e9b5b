//! Computes the checksum of a stream while it passes, like the node's `sha256sum` or, if it has
//! none, POSIX `cksum`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, ReadBuf};

/// A finished checksum, as its tool prints it for standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sum {
    Sha256(String),
    Cksum(String),
}

/// Passes a stream on and computes its checksum.
pub(super) struct Summing<R> {
    from: R,
    state: State,
    length: u64,
}

enum State {
    Sha256(Box<Sha256>),
    Cksum(u32),
}

impl Sum {
    pub(super) fn tool(&self) -> &'static str {
        match self {
            Self::Sha256(_) => "sha256sum",
            Self::Cksum(_) => "cksum",
        }
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Self::Sha256(text) | Self::Cksum(text) => text,
        }
    }
}

impl<R> Summing<R> {
    pub(super) fn new(from: R, sha256: bool) -> Self {
        let state = if sha256 {
            State::Sha256(Box::default())
        } else {
            State::Cksum(0)
        };
        Self {
            from,
            state,
            length: 0,
        }
    }

    /// The number of bytes that have passed.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn sum(self) -> Sum {
        match self.state {
            State::Sha256(sha) => Sum::Sha256(hex(&sha.finalize())),
            State::Cksum(crc) => {
                Sum::Cksum(format!("{} {}", finish(crc, self.length), self.length))
            }
        }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Summing<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.from).poll_read(context, buffer))?;
        let new = &buffer.filled()[before..];
        self.length += new.len() as u64;
        match &mut self.state {
            State::Sha256(sha) => sha.update(new),
            State::Cksum(crc) => *crc = new.iter().fold(*crc, |crc, byte| step(crc, *byte)),
        }
        Poll::Ready(Ok(()))
    }
}

/// The checksum of a stream in the form of another one, `sha256:…` or `cksum:…`; `None` for an
/// unknown form.
///
/// # Errors
/// If the stream cannot be read.
pub fn checksum_like(other: &str, mut from: impl io::Read) -> io::Result<Option<String>> {
    let mut state = match other.split(':').next() {
        Some("sha256") => State::Sha256(Box::default()),
        Some("cksum") => State::Cksum(0),
        _ => return Ok(None),
    };
    let (mut length, mut buffer) = (0, vec![0; 64 << 10]);
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        length += read as u64;
        match &mut state {
            State::Sha256(sha) => sha.update(&buffer[..read]),
            State::Cksum(crc) => {
                *crc = buffer[..read]
                    .iter()
                    .fold(*crc, |crc, byte| step(crc, *byte));
            }
        }
    }
    Ok(Some(match state {
        State::Sha256(sha) => format!("sha256:{}", hex(&sha.finalize())),
        State::Cksum(crc) => format!("cksum:{} {length}", finish(crc, length)),
    }))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn step(crc: u32, byte: u8) -> u32 {
    (crc << 8) ^ TABLE[usize::from((crc >> 24) as u8 ^ byte)]
}

/// The length follows the content, its lowest byte first.
fn finish(mut crc: u32, length: u64) -> u32 {
    let mut left = length;
    while left > 0 {
        crc = step(crc, (left & 0xff) as u8);
        left >>= 8;
    }
    !crc
}

static TABLE: [u32; 256] = table();

#[expect(clippy::cast_possible_truncation, reason = "an index below 256")]
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = (index as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000_0000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x04c1_1db7
            };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    async fn sum(text: &[u8], sha256: bool) -> Sum {
        let mut summing = Summing::new(text, sha256);
        summing.read_to_end(&mut Vec::new()).await.unwrap();
        summing.sum()
    }

    #[tokio::test]
    async fn sums_are_those_of_the_tools() {
        let hello = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        assert_eq!(sum(b"hello\n", true).await.text(), hello);
        for (text, expected) in [
            (&b"hello\n"[..], "3015617425 6"),
            (b"", "4294967295 0"),
            (b"123456789", "930766865 9"),
        ] {
            assert_eq!(sum(text, false).await, Sum::Cksum(expected.to_owned()));
        }
    }
}
