//! Size limits. The receiver enforces them; the sender respects them.

/// The default limit of a request's body, in bytes.
pub const BODY: usize = 64 * 1024;
/// The most bytes of a body of [`crate::Lines`].
pub const LINES_BODY: usize = 1024 * 1024;
/// The most bytes of one journal line.
pub const LINE: usize = 512 * 1024;
/// The most nodes of an order.
pub const NODES: usize = 10_000;
/// The most arguments of an order.
pub const ARGUMENTS: usize = 64;
/// The most bytes of an argument's value, a reason, a note, an answer.
pub const TEXT: usize = 8 * 1024;
/// The most bytes of a name: of a run, node, procedure, person, runner, segment.
pub const NAME: usize = 256;
/// The most parts that a runner may hold.
pub const PARTS: usize = 1_000;
/// The longest time in seconds that a request may wait for news.
pub const WAIT: u64 = 30;
/// The most runs on a page.
pub const PAGE: u32 = 100;
/// The most bytes of a manual's archive.
pub const ARCHIVE: usize = 64 * 1024 * 1024;

/// Whether a text is the name of a run: `20261121-093851-94f4`.
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

/// Whether a text is a valid name in a path of the API: not empty, limited in length, without
/// control characters, `/`, `\` or white space.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let odd =
        |letter: char| letter.is_control() || letter.is_whitespace() || "/\\:?#%".contains(letter);
    !text.is_empty() && text.len() <= NAME && !text.contains(odd) && text != "." && text != ".."
}
