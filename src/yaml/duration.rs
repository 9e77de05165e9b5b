//! `500ms`, `10s`, `10m`, `1h30m`, `2d`: a length of time always says its unit.

use std::time::Duration;

/// Units from the largest; each may stand once, in this order.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The error says what is wrong in words, without a place.
pub fn parse(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err("an empty duration".to_owned());
    }
    let mut total = 0_u64;
    let mut allowed = &UNITS[..];
    while !rest.is_empty() {
        let (number, unit);
        (number, rest) = split(rest, |c| c.is_ascii_digit());
        (unit, rest) = split(rest, |c| c.is_ascii_alphabetic());
        if unit.is_empty() && number == text {
            return Err(format!(
                "duration `{text}` without a unit: `{text}s` or `{text}m`?"
            ));
        }
        if number.is_empty() || unit.is_empty() {
            return Err(format!(
                "`{text}` is not a duration such as `10s` or `1h30m`"
            ));
        }
        let index = allowed
            .iter()
            .position(|(name, _)| *name == unit)
            .ok_or_else(|| unit_error(text, unit))?;
        let milliseconds = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(allowed[index].1));
        total = milliseconds
            .and_then(|milliseconds| total.checked_add(milliseconds))
            .ok_or_else(|| format!("duration `{text}` is too long"))?;
        allowed = &allowed[index + 1..];
    }
    Ok(Duration::from_millis(total))
}

/// The shortest text that [`parse`] reads back, to the millisecond.
#[must_use]
pub fn show(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if left == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, milliseconds) in UNITS {
        if left >= milliseconds {
            text.push_str(&(left / milliseconds).to_string());
            text.push_str(unit);
            left %= milliseconds;
        }
    }
    text
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

fn unit_error(text: &str, unit: &str) -> String {
    if UNITS.iter().any(|(name, _)| *name == unit) {
        format!("units of duration `{text}` stand twice or out of order")
    } else {
        format!("unknown unit `{unit}` in duration `{text}`; units are d, h, m, s and ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_shown() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("2d", 172_800_000),
            ("1m500ms", 60_500),
        ] {
            let duration = Duration::from_millis(milliseconds);
            assert_eq!(parse(text), Ok(duration), "{text}");
            assert_eq!(show(duration), text);
        }
        assert_eq!(parse("0s"), Ok(Duration::ZERO));
        assert_eq!(show(Duration::ZERO), "0s");
    }

    #[test]
    fn wrong_durations_say_why() {
        for (text, message) in [
            ("", "an empty duration"),
            ("10", "duration `10` without a unit: `10s` or `10m`?"),
            ("s", "`s` is not a duration such as `10s` or `1h30m`"),
            ("-5s", "`-5s` is not a duration such as `10s` or `1h30m`"),
            ("1.5h", "`1.5h` is not a duration such as `10s` or `1h30m`"),
            ("10 s", "`10 s` is not a duration such as `10s` or `1h30m`"),
            (
                "5min",
                "unknown unit `min` in duration `5min`; units are d, h, m, s and ms",
            ),
            (
                "5m1h",
                "units of duration `5m1h` stand twice or out of order",
            ),
            (
                "5s5s",
                "units of duration `5s5s` stand twice or out of order",
            ),
            (
                "99999999999999999999d",
                "duration `99999999999999999999d` is too long",
            ),
        ] {
            assert_eq!(parse(text), Err(message.to_owned()), "{text}");
        }
    }
}
