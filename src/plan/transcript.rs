//! A transcript as one script: its commands in one shell, each followed by a mark that no
//! output can hold by chance.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::plan::Script;

/// What one command of a transcript did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    pub status: i32,
    pub out: Vec<u8>,
}

/// One script for all commands; it ends at the first whose exit status is not the one that
/// the page shows. `mark` is random.
#[must_use]
pub fn transcript(script: &Script, mark: &str) -> Script {
    let mut text = String::from("set +e\n");
    for command in &script.commands {
        let _ = write!(
            text,
            "{}\nob_status=$?\nprintf '\\n%s %s\\n' '{mark}' \"$ob_status\"\n[ \"$ob_status\" = {} ] || exit 0\n",
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

/// Takes the output of such a script apart: one entry for each command that ended. What
/// follows the last mark belongs to a command that did not.
#[must_use]
pub fn ran(out: &[u8], mark: &str) -> (Vec<Ran>, Vec<u8>) {
    let needle = format!("\n{mark} ");
    let mut ran = Vec::new();
    let mut rest = out;
    while let Some(at) = memchr::memmem::find(rest, needle.as_bytes()) {
        let tail = &rest[at + needle.len()..];
        let Some(end) = memchr::memchr(b'\n', tail) else {
            break;
        };
        let status = std::str::from_utf8(&tail[..end])
            .ok()
            .and_then(|text| text.parse().ok());
        let Some(status) = status else { break };
        ran.push(Ran {
            status,
            out: rest[..at].to_vec(),
        });
        rest = &tail[end + 1..];
    }
    (ran, rest.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_taken_apart_at_the_marks() {
        let (ran, rest) = ran(b"one\n\nM 0\n\nM 3\ntwo", "M");
        let entry = |status, out: &[u8]| Ran {
            status,
            out: out.to_vec(),
        };
        assert_eq!(ran, [entry(0, b"one\n"), entry(3, b"")]);
        assert_eq!(rest, b"two");
    }
}
