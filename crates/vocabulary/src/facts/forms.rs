//! Normalises days, addresses and headers.

use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;

/// `Nov 30 12:00:00 2026 GMT` as whole days from now, rounded down.
pub(super) fn days_until(date: &str, now: Timestamp) -> Option<f64> {
    let date = date.trim().strip_suffix(" GMT")?;
    let date = jiff::civil::DateTime::strptime("%b %e %H:%M:%S %Y", date).ok()?;
    let end = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    let days = (end.as_second() - now.as_second()).div_euclid(86400);
    i32::try_from(days).ok().map(f64::from)
}

/// An address, in the kernel's hexadecimal or a tool's form, in its usual form.
pub(super) fn address(text: &str) -> String {
    let hex = text.len().is_multiple_of(8) && text.bytes().all(|b| b.is_ascii_hexdigit());
    let words: Option<Vec<u32>> = hex
        .then(|| {
            (0..text.len() / 8)
                .map(|i| u32::from_str_radix(&text[i * 8..i * 8 + 8], 16).ok())
                .collect()
        })
        .flatten();
    match words.as_deref() {
        Some([word]) => Ipv4Addr::from(word.to_le_bytes()).to_string(),
        Some([a, b, c, d]) => {
            let mut bytes = [0; 16];
            for (part, word) in bytes.chunks_exact_mut(4).zip([a, b, c, d]) {
                part.copy_from_slice(&word.to_le_bytes());
            }
            let address = Ipv6Addr::from(bytes);
            match address.to_ipv4_mapped() {
                Some(address) => address.to_string(),
                None => address.to_string(),
            }
        }
        _ => {
            let plain = text.trim_start_matches('[').trim_end_matches(']');
            let plain = plain.split('%').next().unwrap_or(plain);
            if plain == "*" {
                "::".to_owned()
            } else {
                plain.to_owned()
            }
        }
    }
}

/// The last block of headers, each `Name: value` with the name spelt as in Go, sorted.
pub(super) fn headers(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let last = text
        .split("\n\n")
        .filter(|block| !block.trim().is_empty())
        .last()
        .unwrap_or_default();
    let mut lines: Vec<String> = last
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| format!("{}: {}", canonical(name.trim()), value.trim()))
        .collect();
    lines.sort();
    lines.join("\n")
}

/// `content-type` becomes `Content-Type`.
fn canonical(name: &str) -> String {
    name.split('-')
        .map(|part| {
            let mut chars = part.chars();
            chars.next().map_or_else(String::new, |first| {
                let rest: String = chars.collect();
                first.to_ascii_uppercase().to_string() + &rest.to_ascii_lowercase()
            })
        })
        .collect::<Vec<_>>()
        .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_one_form() {
        for (written, expected) in [
            ("0100007F", "127.0.0.1"),
            ("00000000", "0.0.0.0"),
            ("00000000000000000000000001000000", "::1"),
            ("0000000000000000FFFF00000100007F", "127.0.0.1"),
            (
                "B80D01200000000000000000 1000000",
                "B80D01200000000000000000 1000000",
            ),
            ("[::1]", "::1"),
            ("*", "::"),
            ("127.0.0.53%lo", "127.0.0.53"),
            ("10.0.0.1", "10.0.0.1"),
        ] {
            assert_eq!(address(written), expected);
        }
    }

    #[test]
    fn headers_are_those_of_the_last_answer() {
        let text = "HTTP/1.1 302 Found\r\nlocation: /x\r\n\r\nHTTP/2 200\r\ncontent-type: text/html\r\nage:3\r\n\r\n";
        assert_eq!(headers(text), "Age: 3\nContent-Type: text/html");
    }

    #[test]
    fn days_are_whole_and_rounded_down() {
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        for (date, expected) in [
            ("Nov 30 12:00:00 2026 GMT", Some(9.0)),
            ("Dec  1 11:59:59 2026 GMT", Some(9.0)),
            ("Nov 21 11:59:59 2026 GMT", Some(-1.0)),
            ("tomorrow", None),
        ] {
            assert_eq!(days_until(date, now), expected, "{date}");
        }
    }
}
