//! How a login behaved that gave no shell: for a person who looks for the reason. Pure.

use std::process::ExitStatus;

use super::channel::is_runner;
use super::remedies::{PROCESSES, is_without_process};

/// Of a shell that ended, whose messages are `said`; with `asked`, of a login that was asked to
/// `exec sh`.
pub(super) fn ended(
    noise: &[u8],
    said: &str,
    status: Option<ExitStatus>,
    asked: bool,
) -> Option<Box<str>> {
    if is_runner(noise) {
        return Some(REPEATS.into());
    }
    let code = status?.code()?;
    if is_without_process(said) {
        let why = format!("it ended with exit status {code}: it can start no process{PROCESSES}");
        return Some(why.into());
    }
    let why = match (said, code) {
        ("", 0) => " and printed nothing: a start file such as `.bashrc` may say `exit`",
        (_, 126) => ": it may not start `sh` (as with `noexec` of `sudo`)",
        ("", _) => " and printed nothing",
        // `rbash` and `rksh`, `nologin`, menus, programs that are no shell.
        _ if asked => " when asked to `exec sh`; name a `user` whose login can do that",
        _ => "",
    };
    Some(format!("it ended with exit status {code}{why}").into())
}

/// Of a login that printed without end: what it said first, not what was cut off last.
pub(super) fn noise(noise: &str) -> (String, Box<str>) {
    let first = noise.lines().map(str::trim).find(|line| !line.is_empty());
    let first = first.unwrap_or_default().chars().take(400).collect();
    (first, NOISE.into())
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

const REPEATS: &str = "it repeats what it gets, as `cat`, menus and terminals do";
const NOISE: &str = "it printed more than 64 KiB without the expected answer, as menus do";

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    const FORKS: &str = "it ended with exit status 2: it can start no process; `ulimit -u` there \
        shows how many processes its user may have";

    #[test]
    fn a_login_is_described_by_how_it_ended() {
        for (noise, said, status, asked, expected) in [
            (
                "",
                "",
                0,
                true,
                Some(
                    "it ended with exit status 0 and printed nothing: a start file such as `.bashrc` may say `exit`",
                ),
            ),
            (
                "",
                "",
                1 << 8,
                true,
                Some("it ended with exit status 1 and printed nothing"),
            ),
            (
                "",
                "",
                126 << 8,
                true,
                Some(
                    "it ended with exit status 126: it may not start `sh` (as with `noexec` of `sudo`)",
                ),
            ),
            (
                "no",
                "no",
                3 << 8,
                false,
                Some("it ended with exit status 3"),
            ),
            (
                "",
                "rbash: line 1: exec: restricted",
                1 << 8,
                true,
                Some(
                    "it ended with exit status 1 when asked to `exec sh`; name a `user` whose login can do that",
                ),
            ),
            ("", "sh: 111: Cannot fork", 2 << 8, true, Some(FORKS)),
            ("hi\nob_n=0123\n", "hi", 0, true, Some(REPEATS)),
            ("", "", 9, true, None),
        ] {
            let status = Some(ExitStatus::from_raw(status));
            let note = ended(noise.as_bytes(), said, status, asked);
            assert_eq!(note.as_deref(), expected, "{noise} {said}");
        }
    }

    #[test]
    fn of_endless_text_the_first_line_is_shown() {
        let (said, _) = noise("\nWelcome to the menu\nchoice: unknown\nchoice: unkn");
        assert_eq!(said, "Welcome to the menu");
    }
}
