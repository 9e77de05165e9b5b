//! Hours of the week for a rule: `Mon-Fri 08:00-18:00 Europe/Berlin`. Pure.

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// Hours of certain days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours {
    text: String,
    days: Vec<Weekday>,
    from: Time,
    /// Exclusive end; earlier than `from` if it is on the next day. `00:00` is the end of the day.
    to: Time,
    zone: TimeZone,
}

const DAYS: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
    ("Sun", Weekday::Sunday),
];

impl Hours {
    /// Parses the text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Hours, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [days, hours, zone] = words[..] else {
            return Err(format!(
                "`{text}` is not like `Mon-Fri 08:00-18:00 Europe/Berlin`"
            ));
        };
        let (from, to) = hours
            .split_once('-')
            .ok_or_else(|| format!("`{hours}` is not like `08:00-18:00`"))?;
        let time = |text: &str| {
            let end = if text == "24:00" { "00:00" } else { text };
            Time::strptime("%H:%M", end).map_err(|_| format!("`{text}` is not a time of day"))
        };
        Ok(Hours {
            text: text.to_owned(),
            days: days_of(days)?,
            from: time(from)?,
            to: time(to)?,
            zone: TimeZone::get(zone).map_err(|_| format!("there is no time zone `{zone}`"))?,
        })
    }

    /// The text as written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether a time is within the hours.
    #[must_use]
    pub fn has(&self, at: Timestamp) -> bool {
        let at: Zoned = at.to_zoned(self.zone.clone());
        let (time, today) = (at.time(), self.days.contains(&at.weekday()));
        let yesterday = self.days.contains(&at.weekday().previous());
        let midnight = Time::midnight();
        if self.to == midnight || self.from < self.to {
            today && time >= self.from && (self.to == midnight || time < self.to)
        } else {
            today && time >= self.from || yesterday && time < self.to
        }
    }
}

fn days_of(text: &str) -> Result<Vec<Weekday>, String> {
    let place = |name: &str| {
        let found = DAYS.iter().position(|(word, _)| *word == name);
        found.ok_or_else(|| format!("`{name}` is not a day: Mon, Tue, Wed, Thu, Fri, Sat, Sun"))
    };
    let mut days = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (place(first)?, place(last)?);
        let count = (last + 7 - first) % 7;
        days.extend((0..=count).map(|more| DAYS[(first + more) % 7].1));
    }
    Ok(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_lies_in_the_hours_of_its_place() {
        // 2026-11-27 is a Friday; Berlin is one hour ahead of UTC then, two in summer.
        for (hours, at, expected) in [
            (
                "Mon-Fri 08:00-18:00 Europe/Berlin",
                "2026-11-27T07:00:00Z",
                true,
            ),
            (
                "Mon-Fri 08:00-18:00 Europe/Berlin",
                "2026-11-27T06:59:59Z",
                false,
            ),
            (
                "Mon-Fri 08:00-18:00 Europe/Berlin",
                "2026-11-27T17:00:00Z",
                false,
            ),
            (
                "Mon-Fri 08:00-18:00 Europe/Berlin",
                "2026-07-31T06:00:00Z",
                true,
            ),
            (
                "Mon-Fri 08:00-18:00 Europe/Berlin",
                "2026-11-28T10:00:00Z",
                false,
            ),
            ("Mon,Sat 00:00-24:00 UTC", "2026-11-28T23:59:59Z", true),
            ("Mon,Sat 00:00-24:00 UTC", "2026-11-29T00:00:00Z", false),
            ("Sat-Mon 00:00-24:00 UTC", "2026-11-29T12:00:00Z", true),
            // After midnight, the day on which the hours began counts.
            ("Fri 22:00-06:00 UTC", "2026-11-28T05:59:00Z", true),
            ("Fri 22:00-06:00 UTC", "2026-11-27T05:59:00Z", false),
            ("Fri 22:00-06:00 UTC", "2026-11-27T23:00:00Z", true),
        ] {
            let read = Hours::read(hours).unwrap();
            assert_eq!(read.has(at.parse().unwrap()), expected, "{hours} {at}");
            assert_eq!(read.text(), hours);
        }
        for (wrong, said) in [
            ("Mon-Fri", "is not like"),
            ("Mon-Fri 08:00-18:00", "is not like"),
            ("Mo-Fr 08:00-18:00 UTC", "`Mo` is not a day"),
            ("Mon 8-18 UTC", "`8` is not a time"),
            ("Mon 08:00-25:00 UTC", "`25:00` is not a time"),
            ("Mon 08:00-18:00 Europe/Nowhere", "no time zone"),
        ] {
            let problem = Hours::read(wrong).unwrap_err();
            assert!(problem.contains(said), "{wrong}: {problem}");
        }
    }
}
