//! Durations that differ from the manual's: goss's milliseconds, and `eventually`.

use std::time::Duration;

use crate::manual::duration;

/// As in goss, a bare number is milliseconds.
pub fn milliseconds(text: &str) -> Result<Duration, String> {
    match text.trim().parse::<u64>() {
        Ok(number) => Ok(Duration::from_millis(number)),
        Err(_) => duration(text),
    }
}

/// `60s/2s`: how long, and how often. Without the second part, every second.
pub fn eventually(text: &str) -> Result<(Duration, Duration), String> {
    let (limit, every) = text.split_once('/').unwrap_or((text, "1s"));
    let (limit, every) = (duration(limit)?, duration(every)?);
    if every.is_zero() {
        return Err(format!("`{text}` has no pause between attempts"));
    }
    if every > limit && text.contains('/') {
        return Err(format!("the interval of `{text}` is longer than its limit"));
    }
    Ok((limit, every))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_goss_leaves_the_unit_out() {
        let ms = |text| milliseconds(text).map(|duration| duration.as_millis());
        assert_eq!(ms("500"), Ok(500));
        assert_eq!(ms("2s"), Ok(2000));
        assert_eq!(
            ms("x"),
            Err("`x` is not a duration, such as `10s`, `5m` or `1h30m`".to_owned())
        );
        let seconds = Duration::from_secs;
        assert_eq!(eventually("1m/2s"), Ok((seconds(60), seconds(2))));
        assert_eq!(eventually("1m"), Ok((seconds(60), seconds(1))));
        assert_eq!(
            eventually("2s/1m"),
            Err("the interval of `2s/1m` is longer than its limit".to_owned())
        );
        assert_eq!(
            eventually("60/2s"),
            Err("`60` has no unit: `60s`, `60m`, `60h`".to_owned())
        );
        assert_eq!(
            eventually("1m/0s"),
            Err("`1m/0s` has no pause between attempts".to_owned())
        );
    }
}
