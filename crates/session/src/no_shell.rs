//! How a login behaved that gave no shell: for a person who looks for the reason. Pure.

use std::process::ExitStatus;

use super::channel::is_runner;

/// Of a login that ended, whose messages are `said`.
pub(super) fn ended(noise: &[u8], said: &str, status: Option<ExitStatus>) -> Option<Box<str>> {
    if is_runner(noise) {
        return Some(REPEATS.into());
    }
    let code = status?.code()?;
    let why = match (said, code) {
        ("", 0) => " and printed nothing: a start file such as `.bashrc` may say `exit`",
        (_, 126) => ": it may not start `sh` (as with `noexec` of `sudo`)",
        ("", _) => " and printed nothing",
        _ => "",
    };
    Some(format!("it ended with exit status {code}{why}").into())
}

/// Of a login that is still there, silent or not.
pub(super) fn waits(noise: &[u8]) -> Box<str> {
    let why = if is_runner(noise) {
        REPEATS
    } else {
        "the login is still busy: a start file such as `.bashrc` may ask a question"
    };
    why.into()
}

const REPEATS: &str = "it repeats what it gets, as `cat` and terminals do";

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn a_login_is_described_by_how_it_ended() {
        for (noise, said, status, expected) in [
            (
                "",
                "",
                0,
                Some(
                    "it ended with exit status 0 and printed nothing: a start file such as `.bashrc` may say `exit`",
                ),
            ),
            (
                "",
                "",
                1 << 8,
                Some("it ended with exit status 1 and printed nothing"),
            ),
            (
                "",
                "",
                126 << 8,
                Some(
                    "it ended with exit status 126: it may not start `sh` (as with `noexec` of `sudo`)",
                ),
            ),
            ("no", "no", 3 << 8, Some("it ended with exit status 3")),
            ("hi\nob_n=0123\n", "hi", 0, Some(REPEATS)),
            ("", "", 9, None),
        ] {
            let status = Some(ExitStatus::from_raw(status));
            let note = ended(noise.as_bytes(), said, status);
            assert_eq!(note.as_deref(), expected, "{noise} {said}");
        }
    }
}
