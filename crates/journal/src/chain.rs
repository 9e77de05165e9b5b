//! The hash chain of a journal: each line carries the hash of the line before it and a checksum of
//! itself, so that a changed, missing or foreign line is found.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::event::Event;

/// SHA-256 of a line without its line end.
pub(super) type Hash = [u8; 32];

/// Hexadecimal digits of a line's checksum.
const SUM: usize = 16;

/// The hash before a run's first line. It differs for each run, so lines of another run do not fit.
pub(super) fn root(run: &str) -> Hash {
    hash(format!("opsbook run {run}").as_bytes())
}

pub(super) fn hash(line: &[u8]) -> Hash {
    Sha256::digest(line).into()
}

pub(super) fn hex(hash: &Hash) -> String {
    hash.iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// The line of an event, without its line end. Also writes the checksum into the event.
pub(super) fn sealed(event: &mut Event) -> serde_json::Result<Vec<u8>> {
    event.sum = None;
    let mut line = serde_json::to_vec(&event)?;
    line.pop();
    let sum = sum(&line);
    line.extend_from_slice(format!(r#","sum":"{sum}"}}"#).as_bytes());
    event.sum = Some(sum);
    Ok(line)
}

/// Why a line (without its line end) cannot follow the line with the hash `head`.
pub(super) fn broken(line: &[u8], event: &Event, head: &Hash) -> Option<String> {
    let (Some(prev), Some(own)) = (&event.prev, &event.sum) else {
        return Some("a line without its place in the chain of this journal".to_owned());
    };
    let tail = format!(r#","sum":"{own}"}}"#);
    let body = line.strip_suffix(tail.as_bytes());
    if body.is_none_or(|body| sum(body) != *own) {
        return Some("this line was changed after it was written".to_owned());
    }
    (*prev != hex(head)).then(|| {
        format!(
            "this line does not follow from line {}: one of the two was changed, or lines are missing",
            event.seq - 1
        )
    })
}

fn sum(body: &[u8]) -> String {
    hex(&hash(body))[..SUM].to_owned()
}
