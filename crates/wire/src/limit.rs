//! Bounds of what is sent. The receiver checks them; the sender keeps to them.

/// Bytes of the body of a request that has no bound of its own.
pub const BODY: usize = 64 * 1024;
/// Bytes of a body of [`crate::Lines`].
pub const LINES_BODY: usize = 1024 * 1024;
/// Bytes of one journal line.
pub const LINE: usize = 512 * 1024;
/// Nodes of an ask.
pub const NODES: usize = 10_000;
/// Arguments of an ask.
pub const ARGUMENTS: usize = 64;
/// Bytes of an argument's value, a reason, a note, an answer.
pub const TEXT: usize = 8 * 1024;
/// Bytes of a name: of a run, node, procedure, person, runner, segment.
pub const NAME: usize = 256;
/// Parts that a runner may hold at a time.
pub const PARTS: usize = 1_000;
/// Seconds that a request may wait for news.
pub const WAIT: u64 = 30;
/// Runs on a page.
pub const PAGE: u32 = 100;
/// Bytes of the archive of a manual.
pub const ARCHIVE: usize = 64 * 1024 * 1024;

/// The name of a run: `20261121-093851-94f4`.
#[must_use]
pub fn is_run(text: &str) -> bool {
    let digits =
        |part: &str, count| part.len() == count && part.bytes().all(|b| b.is_ascii_digit());
    let last = |part: &str| {
        let plain = |b: u8| b.is_ascii_digit() || b.is_ascii_lowercase();
        (4..=32).contains(&part.len()) && part.bytes().all(plain)
    };
    let parts: Vec<&str> = text.split('-').collect();
    matches!(parts[..], [day, time, rest] if digits(day, 8) && digits(time, 6) && last(rest))
}

/// A name as it may stand in a path of the API: not empty, bounded, without control characters,
/// `/`, `\` or white space.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let odd =
        |letter: char| letter.is_control() || letter.is_whitespace() || "/\\:?#%".contains(letter);
    !text.is_empty() && text.len() <= NAME && !text.contains(odd) && text != "." && text != ".."
}
