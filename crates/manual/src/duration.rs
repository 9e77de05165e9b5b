//! Durations as authors write them: `10m`, `1h30m`, `500ms`. A unit is always required.

use std::time::Duration;

/// Parses a duration. The error says why the text is not one.
pub fn duration(text: &str) -> Result<Duration, String> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err("a duration is missing".to_owned());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let letters = rest[digits..]
            .bytes()
            .take_while(u8::is_ascii_alphabetic)
            .count();
        let (number, unit) = (&rest[..digits], &rest[digits..digits + letters]);
        let number: u64 = number
            .parse()
            .map_err(|_| format!("`{text}` is not a duration, such as `10s`, `5m` or `1h30m`"))?;
        if unit.is_empty() {
            let units = format!(": `{text}s`, `{text}m`, `{text}h`");
            let alone = text.bytes().all(|byte| byte.is_ascii_digit());
            let units = if alone { units.as_str() } else { "" };
            return Err(format!("`{text}` has no unit{units}"));
        }
        let part = milliseconds(unit)
            .ok_or_else(|| format!("`{unit}` is not a unit of time"))
            .and_then(|ms| {
                number
                    .checked_mul(ms)
                    .ok_or_else(|| format!("`{text}` is too long"))
            })?;
        total = total
            .checked_add(Duration::from_millis(part))
            .ok_or_else(|| format!("`{text}` is too long"))?;
        rest = &rest[digits + letters..];
    }
    Ok(total)
}

fn milliseconds(unit: &str) -> Option<u64> {
    Some(match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_units_and_add_up() {
        for (text, expected) in [
            ("10m", Ok(600_000)),
            ("1h30m", Ok(5_400_000)),
            ("500ms", Ok(500)),
            ("2d", Ok(172_800_000)),
            (
                "10",
                Err("`10` has no unit: `10s`, `10m`, `10h`".to_owned()),
            ),
            ("", Err("a duration is missing".to_owned())),
            ("5 m", Err("`5 m` has no unit".to_owned())),
            (
                "m",
                Err("`m` is not a duration, such as `10s`, `5m` or `1h30m`".to_owned()),
            ),
            ("5x", Err("`x` is not a unit of time".to_owned())),
            (
                "99999999999999999999s",
                Err(
                    "`99999999999999999999s` is not a duration, such as `10s`, `5m` or `1h30m`"
                        .to_owned(),
                ),
            ),
            (
                "18446744073709551615h",
                Err("`18446744073709551615h` is too long".to_owned()),
            ),
        ] {
            let got = duration(text).map(|d| u64::try_from(d.as_millis()).unwrap());
            assert_eq!(got, expected, "{text}");
        }
    }
}
