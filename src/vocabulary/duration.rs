//! Durations as checks write them. A unit is always required, but in goss's own fields.

use std::time::Duration;

/// `60s`, `1m30s`, `500ms`, `1.5s`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim();
    let mut seconds = 0.0;
    if rest.is_empty() {
        return Err("a duration is missing".to_owned());
    }
    while !rest.is_empty() {
        let split = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let number: f64 = rest[..split]
            .parse()
            .map_err(|_| format!("`{text}` is not a duration"))?;
        let letters = &rest[split..];
        let end = letters
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(letters.len());
        let unit = match &letters[..end] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "d" => 86400.0,
            "" => return Err(format!("`{text}` has no unit: `ms`, `s`, `m`, `h` or `d`")),
            other => return Err(format!("`{other}` is not a unit of time")),
        };
        seconds += number * unit;
        rest = &letters[end..];
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| format!("`{text}` is too long"))
}

/// As in goss: a bare number is milliseconds.
pub fn milliseconds(text: &str) -> Result<Duration, String> {
    match text.trim().parse::<u64>() {
        Ok(number) => Ok(Duration::from_millis(number)),
        Err(_) => duration(text),
    }
}

/// `60s/2s`: for how long, and how often. Without the second, every second.
pub fn eventually(text: &str) -> Result<(Duration, Duration), String> {
    let (limit, every) = text.split_once('/').unwrap_or((text, "1s"));
    let (limit, every) = (duration(limit)?, duration(every)?);
    if every.is_zero() {
        return Err(format!("`{text}` tries without a pause"));
    }
    Ok((limit, every))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, expected) in [
            ("500ms", Ok(500)),
            ("1m30s", Ok(90_000)),
            ("1.5s", Ok(1500)),
            ("10", Err("`10` has no unit: `ms`, `s`, `m`, `h` or `d`")),
            ("", Err("a duration is missing")),
            ("x", Err("`x` is not a duration")),
            ("5y", Err("`y` is not a unit of time")),
        ] {
            let got = duration(text).map(|duration| duration.as_millis());
            assert_eq!(got, expected.map_err(str::to_owned), "{text}");
        }
        assert_eq!(milliseconds("500"), Ok(Duration::from_millis(500)));
        assert_eq!(milliseconds("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(
            eventually("60s/2s"),
            Ok((Duration::from_mins(1), Duration::from_secs(2)))
        );
        assert!(eventually("60s/0s").is_err());
    }
}
