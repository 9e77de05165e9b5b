//! Scheduled work: checks, or a procedure.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

/// `[schedules.NAME]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenSchedule")]
pub struct Schedule {
    /// The manual, if there are several.
    pub manual: Option<String>,
    /// The work.
    pub task: Task,
    /// The nodes.
    pub nodes: String,
    /// The interval; ticks are counted from 1970-01-01 00:00 UTC.
    pub every: Duration,
    /// The delay after each tick.
    pub offset: Duration,
}

/// The work of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Evaluates checks.
    Checks {
        /// Patterns of `GROUP::CHECK` with `*` and `?`.
        checks: Vec<String>,
    },
    /// Runs a procedure.
    Procedure {
        /// Its id.
        procedure: String,
        /// Its arguments.
        arguments: BTreeMap<String, String>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSchedule {
    manual: Option<String>,
    checks: Option<Texts>,
    procedure: Option<String>,
    #[serde(default)]
    arguments: BTreeMap<String, String>,
    nodes: String,
    every: String,
    offset: Option<String>,
}

/// One text or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Several(Vec<String>),
}

impl TryFrom<WrittenSchedule> for Schedule {
    type Error = String;

    fn try_from(written: WrittenSchedule) -> Result<Schedule, String> {
        let task = match (written.checks, written.procedure) {
            (Some(_), None) if !written.arguments.is_empty() => {
                return Err("`arguments` needs a `procedure`".to_owned());
            }
            (Some(Texts::One(check)), None) => Task::Checks {
                checks: vec![check],
            },
            (Some(Texts::Several(checks)), None) if !checks.is_empty() => Task::Checks { checks },
            (None, Some(procedure)) => Task::Procedure {
                procedure,
                arguments: written.arguments,
            },
            _ => return Err("a schedule needs either `checks` or a `procedure`".to_owned()),
        };
        let duration = |name: &str, text: &str| {
            crate::manual::duration(text).map_err(|why| format!("`{name}`: {why}"))
        };
        let every = duration("every", &written.every)?;
        if every < Duration::from_secs(1) || every > Duration::from_hours(24 * 400) {
            return Err("`every` must be from 1s to 400d".to_owned());
        }
        let offset = written
            .offset
            .as_deref()
            .map(|text| duration("offset", text));
        let offset = offset.transpose()?.unwrap_or_default();
        if offset >= every {
            return Err("`offset` must be less than `every`".to_owned());
        }
        Ok(Schedule {
            manual: written.manual,
            task,
            nodes: written.nodes,
            every,
            offset,
        })
    }
}

impl Schedule {
    /// The interval in milliseconds.
    #[must_use]
    pub fn every_milliseconds(&self) -> i64 {
        i64::try_from(self.every.as_millis()).unwrap_or(i64::MAX)
    }

    /// The last tick that is due at this time, in milliseconds.
    #[must_use]
    pub fn due(&self, now: i64) -> i64 {
        let every = self.every_milliseconds();
        let offset = i64::try_from(self.offset.as_millis()).unwrap_or(i64::MAX);
        (now - offset).div_euclid(every) * every + offset
    }
}

impl std::fmt::Display for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Task::Checks { checks } => write!(f, "checks {}", checks.join(", ")),
            Task::Procedure { procedure, .. } => write!(f, "procedure {procedure}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn a_schedule_is_one_thing_that_is_done() {
        let read = |text: &str| toml::from_str::<Config>(&format!("[schedules.s]\n{text}"));
        let good =
            read("checks = \"a::*\"\nnodes = \"*\"\nevery = \"5m\"\noffset = \"1m\"").unwrap();
        let schedule = &good.schedules["s"];
        assert_eq!(schedule.due(59_999), -240_000);
        assert_eq!(schedule.due(60_000), 60_000);
        assert_eq!(schedule.due(400_000), 360_000);
        for (wrong, said) in [
            (
                "nodes = \"*\"\nevery = \"5m\"",
                "either `checks` or a `procedure`",
            ),
            ("checks = []\nnodes = \"*\"\nevery = \"5m\"", "either"),
            (
                "checks = \"a\"\nprocedure = \"p\"\nnodes = \"*\"\nevery = \"5m\"",
                "either",
            ),
            (
                "checks = \"a\"\narguments = {a = \"b\"}\nnodes = \"*\"\nevery = \"5m\"",
                "needs a `procedure`",
            ),
            ("checks = \"a\"\nnodes = \"*\"\nevery = \"5\"", "no unit"),
            (
                "checks = \"a\"\nnodes = \"*\"\nevery = \"100ms\"",
                "from 1s",
            ),
            (
                "checks = \"a\"\nnodes = \"*\"\nevery = \"1m\"\noffset = \"1m\"",
                "less than",
            ),
            ("checks = \"a\"\nnodes = \"*\"\nevery = \"1m\"\nx = 1", "x"),
        ] {
            let why = read(wrong).unwrap_err().to_string();
            assert!(why.contains(said), "{wrong}: {why}");
        }
    }
}
