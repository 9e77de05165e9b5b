//! Masks secrets in a stream of bytes by their exact value, in every common encoding, also if a
//! secret is split over chunks.
//!
//! A secret of several lines is searched as a whole and line by line. Secrets and lines of fewer
//! than [`LEAST`] bytes are not masked: that would blank out half of the output.

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use zeroize::Zeroizing;

use super::secret::Secret;

/// The length of the shortest masked secret, in bytes.
pub const LEAST: usize = 5;
/// Replaces a secret.
pub const MASK: &[u8] = b"[secret]";
/// Shorter base64 texts would be found by chance.
const LEAST_DIGITS: usize = 6;

/// The search patterns and the state of one stream. Cheap to clone.
#[derive(Default)]
pub struct Redactor {
    search: Option<AhoCorasick>,
    /// How many bytes at the end of a chunk may be the beginning of a secret.
    most: usize,
    held: Zeroizing<Vec<u8>>,
}

impl Redactor {
    /// Masks these secrets, and each of their lines that is long enough.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut forms: Vec<Zeroizing<Vec<u8>>> = Vec::new();
        for secret in secrets {
            forms_of(secret.expose(), &mut forms);
        }
        forms.sort_by(|one, other| one.as_slice().cmp(other.as_slice()));
        forms.dedup();
        let most = forms.iter().map(|form| form.len()).max().unwrap_or(0);
        let texts = forms.iter().map(|form| form.as_slice());
        // Fails only above 2^31 bytes of secrets; then nothing can be shown.
        let search = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            // A prefilter would copy the secrets, and the searched texts are short.
            .prefilter(false)
            .build(texts);
        Self {
            search: search.ok().filter(|_| most > 0),
            most,
            held: Zeroizing::default(),
        }
    }

    /// Whether there are no patterns.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.search.is_none()
    }

    /// Masks a whole text of bytes.
    #[must_use]
    pub fn bytes(&self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len());
        match &self.search {
            None => out.extend_from_slice(text),
            Some(search) => {
                let mut from = 0;
                for found in search.find_iter(text) {
                    out.extend_from_slice(&text[from..found.start()]);
                    out.extend_from_slice(MASK);
                    from = found.end();
                }
                out.extend_from_slice(&text[from..]);
            }
        }
        out
    }

    /// Masks a whole text.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.bytes(text.as_bytes())).into_owned()
    }

    /// Masks a chunk and returns what can be shown so far.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(chunk);
        let keep = self.most.saturating_sub(1);
        self.show(self.held.len().saturating_sub(keep))
    }

    /// Returns the rest, at the end of the stream or at a pause.
    pub fn finish(&mut self) -> Vec<u8> {
        self.show(self.held.len())
    }

    /// A match that begins before `safe` cannot become longer.
    fn show(&mut self, safe: usize) -> Vec<u8> {
        let Some(search) = &self.search else {
            return std::mem::take(&mut *self.held);
        };
        let (mut out, mut from) = (Vec::new(), 0);
        for found in search.find_iter(self.held.as_slice()) {
            if found.start() >= safe {
                break;
            }
            out.extend_from_slice(&self.held[from..found.start()]);
            out.extend_from_slice(MASK);
            from = found.end();
        }
        let end = safe.max(from);
        out.extend_from_slice(&self.held[from..end]);
        self.held.drain(..end);
        out
    }
}

/// Shows no secret.
impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor")
    }
}

/// A clone has the same patterns and a new stream.
impl Clone for Redactor {
    fn clone(&self) -> Self {
        Self {
            search: self.search.clone(),
            most: self.most,
            held: Zeroizing::default(),
        }
    }
}

fn forms_of(secret: &[u8], forms: &mut Vec<Zeroizing<Vec<u8>>>) {
    let whole = secret.trim_ascii_end();
    let lines = whole
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    for text in std::iter::once(whole)
        .chain(lines)
        .filter(|text| text.len() >= LEAST)
    {
        let mut add = |form: Vec<u8>| forms.push(Zeroizing::new(form));
        add(text.to_vec());
        add(replaced(text, |byte| {
            (byte == b'\'').then(|| b"'\\''".to_vec())
        }));
        add(replaced(text, |byte| {
            b"\"\\$`!".contains(&byte).then(|| vec![b'\\', byte])
        }));
        add(backslashed(text));
        add(json(text, false));
        add(json(text, true));
        for plus in [false, true] {
            add(percent(text, plus, true));
            add(percent(text, plus, false));
        }
        add(hex(text, false));
        add(hex(text, true));
        for offset in 0..3 {
            if let Some((digits, url)) = base64_inside(text, offset) {
                add(digits);
                add(url);
            }
        }
    }
}

fn replaced(text: &[u8], form: impl Fn(u8) -> Option<Vec<u8>>) -> Vec<u8> {
    text.iter()
        .flat_map(|byte| form(*byte).unwrap_or_else(|| vec![*byte]))
        .collect()
}

/// The form of `printf %q` and of shell completion.
fn backslashed(text: &[u8]) -> Vec<u8> {
    let plain = |byte: u8| {
        byte.is_ascii_alphanumeric() || !byte.is_ascii() || b"_-./,:+=@%".contains(&byte)
    };
    replaced(text, |byte| (!plain(byte)).then(|| vec![b'\\', byte]))
}

/// The form in a JSON string; `ascii` for serializers that escape all other characters.
fn json(text: &[u8], ascii: bool) -> Vec<u8> {
    use std::fmt::Write as _;
    let mut out = String::new();
    for part in text.utf8_chunks() {
        for letter in part.valid().chars() {
            match letter {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                other if other.is_control() || (ascii && !other.is_ascii()) => {
                    for unit in other.encode_utf16(&mut [0; 2]) {
                        let _ = write!(out, "\\u{unit:04x}");
                    }
                }
                other => out.push(other),
            }
        }
        if !part.invalid().is_empty() {
            out.push('\u{fffd}');
        }
    }
    out.into_bytes()
}

/// The form in a URL; a space may be `+`, and hexadecimal digits have either case.
fn percent(text: &[u8], plus: bool, upper: bool) -> Vec<u8> {
    replaced(text, |byte| match byte {
        b' ' if plus => Some(b"+".to_vec()),
        byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => None,
        byte if upper => Some(format!("%{byte:02X}").into_bytes()),
        byte => Some(format!("%{byte:02x}").into_bytes()),
    })
}

/// The form of `xxd -p` and `openssl`.
fn hex(text: &[u8], upper: bool) -> Vec<u8> {
    let digits: &[u8; 16] = if upper {
        b"0123456789ABCDEF"
    } else {
        b"0123456789abcdef"
    };
    let pair = |byte: &u8| {
        [
            digits[usize::from(byte >> 4)],
            digits[usize::from(byte & 15)],
        ]
    };
    text.iter().flat_map(pair).collect()
}

/// The base64 digits that depend on the secret alone if it begins `offset` bytes after a group of
/// three: its neighbours change the digits at its edges.
fn base64_inside(text: &[u8], offset: usize) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut padded = Zeroizing::new(vec![0; offset]);
    padded.extend_from_slice(text);
    let from = (offset * 8).div_ceil(6);
    let to = padded.len() * 8 / 6;
    let part = |digits: String| digits.as_bytes()[from..to].to_vec();
    let enough = to >= from + LEAST_DIGITS;
    enough.then(|| {
        (
            part(STANDARD.encode(&*padded)),
            part(URL_SAFE.encode(&*padded)),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(secret: &str) -> Redactor {
        Redactor::new([&Secret::from(secret.to_owned())])
    }

    fn masked(secret: &str, text: &str, step: usize) -> String {
        let redactor = redactor(secret);
        let mut stream = redactor.clone();
        let mut out: Vec<u8> = text
            .as_bytes()
            .chunks(step)
            .flat_map(|chunk| stream.push(chunk))
            .collect();
        out.extend(stream.finish());
        assert_eq!(out, redactor.bytes(text.as_bytes()));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_form_is_masked_however_it_is_cut() {
        let secret = "pa's s\"w0rd/+\\é";
        for (form, text) in [
            ("raw", secret.to_owned()),
            ("single quotes", "pa'\\''s s\"w0rd/+\\é".to_owned()),
            ("double quotes", "pa's s\\\"w0rd/+\\\\é".to_owned()),
            ("printf %q", "pa\\'s\\ s\\\"w0rd/+\\\\é".to_owned()),
            ("json", "pa's s\\\"w0rd/+\\\\é".to_owned()),
            ("ascii json", "pa's s\\\"w0rd/+\\\\\\u00e9".to_owned()),
            ("url", "pa%27s%20s%22w0rd%2F%2B%5C%C3%A9".to_owned()),
            ("form", "pa%27s+s%22w0rd%2F%2B%5C%C3%A9".to_owned()),
            ("hex", "7061277320732277307264 2f2b5cc3a9".replace(' ', "")),
            ("upper hex", "70612773207322773072642F2B5CC3A9".to_owned()),
            ("lower url", "pa%27s%20s%22w0rd%2f%2b%5c%c3%a9".to_owned()),
        ] {
            for step in 1..40 {
                let text = format!("<{text}>");
                assert_eq!(
                    masked(secret, &text, step),
                    "<[secret]>",
                    "{form} by {step}"
                );
            }
        }
    }

    #[test]
    fn base64_is_masked_at_every_alignment() {
        let secret = "hunter2-and-more";
        for before in 0..6 {
            for after in 0..6 {
                let text = format!("{}{secret}{}", "x".repeat(before), "y".repeat(after));
                for digits in [STANDARD.encode(&text), URL_SAFE.encode(&text)] {
                    let out = masked(secret, &digits, 3);
                    assert!(
                        out.contains("[secret]"),
                        "{before} {after}: {digits} -> {out}"
                    );
                    // The remaining edges encode less than a byte on each side.
                    let left = out.replace("[secret]", "").trim_end_matches('=').len();
                    assert!(left <= (before + after) * 4 / 3 + 4, "{out}");
                }
            }
        }
    }

    #[test]
    fn a_secret_of_several_lines_is_masked_line_by_line() {
        let key = "-----BEGIN-----\nabcdefgh\nxyz\n";
        assert_eq!(masked(key, "say abcdefgh, xyz", 4), "say [secret], xyz");
        assert_eq!(
            masked(key, "-----BEGIN-----\nabcdefgh\nxyz\n.", 5),
            "[secret]\n."
        );
        assert_eq!(
            masked(key, r#"{"k":"-----BEGIN-----\nabcdefgh\nxyz"}"#, 5),
            r#"{"k":"[secret]"}"#
        );
    }

    #[test]
    fn short_secrets_are_left() {
        assert!(redactor("abcd").is_empty());
        assert_eq!(masked("abcd", "abcd", 2), "abcd");
        assert_eq!(masked("abcde", "abcde", 2), "[secret]");
    }

    #[test]
    fn a_longer_secret_wins_over_its_beginning() {
        let (short, long) = (
            Secret::from("abcdef".to_owned()),
            Secret::from("abcdefghij".to_owned()),
        );
        let redactor = Redactor::new([&short, &long]);
        let mut stream = redactor.clone();
        let mut out: Vec<u8> = b"abcdefghij abcdefgh"
            .chunks(1)
            .flat_map(|chunk| stream.push(chunk))
            .collect();
        out.extend(stream.finish());
        assert_eq!(out, b"[secret] [secret]gh");
    }
}
