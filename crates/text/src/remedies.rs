//! What a person can look at where a system refuses a write or a process.

/// Causes in the words of the system, each with the one thing to look at. Behind a sentence about
/// the write; empty for any other cause.
const REMEDIES: [(&str, &str); 6] = [
    (
        "No space left on device",
        "; `df -h` and `df -i` there show what is full",
    ),
    (
        "Disk quota exceeded",
        "; `quota -s` there shows how much its user may store",
    ),
    (
        "Read-only file system",
        "; `dmesg` there may say why nothing can be written",
    ),
    (
        "Input/output error",
        "; `dmesg` there may say what is wrong with the disk",
    ),
    (
        "File too large",
        "; `ulimit -f` there shows how large a file may be",
    ),
    (
        "Not a directory",
        "; a file has the name of one of these folders: move it away",
    ),
];

/// The remedy where no process can be started.
pub const PROCESSES: &str = "; `ulimit -u` there shows how many processes its user may have";

/// The remedy for the cause that a message names.
#[must_use]
pub fn remedy(message: &str) -> &'static str {
    if is_without_process(message) {
        return PROCESSES;
    }
    let found = REMEDIES.iter().find(|(cause, _)| message.contains(cause));
    found.map_or("", |(_, remedy)| remedy)
}

/// Whether a shell says that it cannot fork: dash, bash, busybox, zsh and ksh, each in its own words.
#[must_use]
pub fn is_without_process(said: &str) -> bool {
    let said = said.to_lowercase();
    let words = [
        "cannot fork",
        "can't fork",
        "fork failed",
        "fork: retry",
        "fork: resource temporarily",
        "fork: cannot allocate",
    ];
    words.iter().any(|words| said.contains(words))
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn each_shell_says_in_its_own_words_that_it_cannot_fork() {
        for (said, is) in [
            ("sh: 111: Cannot fork", true),
            ("sh: fork: retry: Resource temporarily unavailable", true),
            (
                "sh: line 0: can't fork: Resource temporarily unavailable",
                true,
            ),
            ("zsh: fork failed: resource temporarily unavailable", true),
            ("bash: fork: Cannot allocate memory", true),
            ("git: the fork of x is gone", false),
            ("Welcome to our fork: read its page first", false),
        ] {
            assert_eq!(is_without_process(said), is, "{said}");
            assert_eq!(remedy(said) == PROCESSES, is, "{said}");
        }
    }

    #[test]
    fn the_words_are_those_of_the_system() {
        let causes = [
            Errno::NOSPC,
            Errno::DQUOT,
            Errno::ROFS,
            Errno::IO,
            Errno::FBIG,
            Errno::NOTDIR,
        ];
        for (errno, (_, remedy)) in causes.into_iter().zip(REMEDIES) {
            let said = std::io::Error::from(errno).to_string();
            assert_eq!(super::remedy(&said), remedy, "{said}");
        }
        assert_eq!(super::remedy("Permission denied (os error 13)"), "");
    }
}
