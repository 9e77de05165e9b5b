//! What a person can do where a disk refuses a write.

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

/// The remedy for the cause that a message names.
#[must_use]
pub fn remedy(message: &str) -> &'static str {
    let found = REMEDIES.iter().find(|(cause, _)| message.contains(cause));
    found.map_or("", |(_, remedy)| remedy)
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

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
