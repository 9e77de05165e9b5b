//! Makes one script from a transcript: its commands run in one shell, each followed by a random
//! mark.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::Script;

/// The result of one command of a transcript.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ran {
    /// Its exit status.
    pub status: i32,
    /// What it printed on standard output.
    pub out: Vec<u8>,
    /// What it printed on standard error.
    pub err: Vec<u8>,
}

/// One script for all commands; it stops at the first whose exit status differs from the page.
/// `mark` is random.
#[must_use]
pub fn transcript(script: &Script, mark: &str) -> Script {
    let mut text = String::from("set +e\n");
    for command in &script.commands {
        let _ = write!(
            text,
            "{}\nob_status=$?\nprintf '\\n%s %s\\n' '{mark}' \"$ob_status\"\nprintf '\\n%s\\n' '{mark}' >&2\n[ \"$ob_status\" = {} ] || exit 0\n",
            command.text.trim_end_matches('\n'),
            command.exit
        );
    }
    Script {
        text: Arc::from(text),
        commands: Vec::new(),
        ..script.clone()
    }
}

/// Splits both outputs of such a script: one entry for each command that ended. The text after the
/// last mark belongs to a command that did not end.
#[must_use]
pub fn ran(out: &[u8], err: &[u8], mark: &str) -> (Vec<Ran>, Ran) {
    let needle = format!("\n{mark} ");
    let bare = format!("\n{mark}\n");
    let mut ran = Vec::new();
    let (mut rest, mut err) = (out, err);
    while let Some(at) = memchr::memmem::find(rest, needle.as_bytes()) {
        let tail = &rest[at + needle.len()..];
        let Some(end) = memchr::memchr(b'\n', tail) else {
            break;
        };
        let status = std::str::from_utf8(&tail[..end])
            .ok()
            .and_then(|text| text.parse().ok());
        let Some(status) = status else { break };
        let said = memchr::memmem::find(err, bare.as_bytes()).unwrap_or(err.len());
        ran.push(Ran {
            status,
            out: rest[..at].to_vec(),
            err: err[..said].to_vec(),
        });
        err = err.get(said + bare.len()..).unwrap_or_default();
        rest = &tail[end + 1..];
    }
    let rest = Ran {
        status: 0,
        out: rest.to_vec(),
        err: err.to_vec(),
    };
    (ran, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_taken_apart_at_the_marks() {
        let (ran, rest) = ran(b"one\n\nM 0\n\nM 3\ntwo", b"\nM\noh\n\nM\nah", "M");
        let entry = |status, out: &[u8], err: &[u8]| Ran {
            status,
            out: out.to_vec(),
            err: err.to_vec(),
        };
        assert_eq!(ran, [entry(0, b"one\n", b""), entry(3, b"", b"oh\n")]);
        assert_eq!(rest, entry(0, b"two", b"ah"));
    }
}
