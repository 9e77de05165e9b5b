//! The differences between two states of a package that matter to its users, and the version number
//! that they require.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::Project;
use crate::manual::Work;
use crate::opened::Opened;
use crate::package::manifest::Value;
use crate::package::tree::Tree;

/// The severity of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing that users must know beforehand.
    Patch,
    /// Something was added.
    Minor,
    /// Something that users may depend on is gone.
    Major,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Patch => "patch",
            Level::Minor => "minor",
            Level::Major => "major",
        })
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its severity.
    pub level: Level,
    /// Its description.
    pub text: String,
}

impl Change {
    /// `major: procedure shop.release was removed`
    #[must_use]
    pub fn line(&self) -> String {
        format!("{}: {}", self.level, self.text)
    }
}

/// What a package offers and requires.
#[derive(Debug, Default)]
struct Interface {
    procedures: BTreeMap<String, Procedure>,
    checks: BTreeSet<String>,
    values: BTreeMap<String, Value>,
    groups: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Procedure {
    params: BTreeMap<String, bool>,
    steps: BTreeSet<String>,
    text: String,
}

/// All differences, the most severe first.
///
/// # Errors
/// If one of the two cannot be unpacked.
pub fn changes(before: &Tree, after: &Tree) -> Result<Vec<Change>, String> {
    if before == after {
        return Ok(Vec::new());
    }
    let (before, after) = (interface(before)?, interface(after)?);
    let mut changes = Vec::new();
    let mut say = |level, text: String| changes.push(Change { level, text });
    for (id, old) in &before.procedures {
        match after.procedures.get(id) {
            None => say(Level::Major, format!("procedure {id} was removed")),
            Some(new) => procedure(id, old, new, &mut say),
        }
    }
    for id in after.procedures.keys() {
        if !before.procedures.contains_key(id) {
            say(Level::Minor, format!("procedure {id} is new"));
        }
    }
    sets(
        "check",
        &before.checks,
        &after.checks,
        Level::Major,
        Level::Minor,
        &mut say,
    );
    sets(
        "group of nodes",
        &before.groups,
        &after.groups,
        Level::Major,
        Level::Major,
        &mut say,
    );
    for (name, old) in &before.values {
        match after.values.get(name) {
            None => say(Level::Major, format!("value {name} was removed")),
            Some(new) => value(name, old, new, &mut say),
        }
    }
    for (name, new) in &after.values {
        if !before.values.contains_key(name) {
            let level = if new.required {
                Level::Major
            } else {
                Level::Minor
            };
            let required = if new.required { ", and required" } else { "" };
            say(level, format!("value {name} is new{required}"));
        }
    }
    changes.sort_by_key(|change| std::cmp::Reverse(change.level));
    Ok(changes)
}

/// The level of a release with these changes.
#[must_use]
pub fn needed(changes: &[Change]) -> Level {
    let levels = changes.iter().map(|change| change.level);
    levels.max().unwrap_or(Level::Patch)
}

/// Whether a version number is high enough above the one before. Before 1.0.0 the second number
/// counts as the first, and the third as the second.
#[must_use]
pub fn far_enough(before: &semver::Version, after: &semver::Version, needed: Level) -> bool {
    if after <= before {
        return false;
    }
    let major = after.major > before.major;
    let minor = major || after.minor > before.minor;
    match (needed, before.major) {
        (Level::Patch, _) | (Level::Minor, 0) => true,
        (Level::Minor, _) | (Level::Major, 0) => minor,
        (Level::Major, _) => major,
    }
}

fn procedure(id: &str, old: &Procedure, new: &Procedure, say: &mut dyn FnMut(Level, String)) {
    for name in old.params.keys() {
        if !new.params.contains_key(name) {
            say(
                Level::Major,
                format!("parameter {name} of {id} was removed"),
            );
        }
    }
    for (name, required) in &new.params {
        match (old.params.get(name), required) {
            (None, true) => say(
                Level::Major,
                format!("parameter {name} of {id} is new, and required"),
            ),
            (None, false) => say(Level::Minor, format!("parameter {name} of {id} is new")),
            (Some(false), true) => say(
                Level::Major,
                format!("parameter {name} of {id} is now required"),
            ),
            (Some(_), _) => {}
        }
    }
    sets(
        &format!("step of {id}"),
        &old.steps,
        &new.steps,
        Level::Major,
        Level::Minor,
        say,
    );
    if old.text != new.text {
        say(Level::Patch, format!("the steps of {id} have changed"));
    }
}

fn value(name: &str, old: &Value, new: &Value, say: &mut dyn FnMut(Level, String)) {
    if new.required && !old.required {
        say(Level::Major, format!("value {name} is now required"));
    }
    let text = |value: &Value| {
        value
            .default
            .as_ref()
            .map(|default| default.span.text().to_owned())
    };
    let (before, after) = (text(old), text(new));
    if before != after {
        let shown = |text: Option<String>| text.unwrap_or_else(|| "nothing".to_owned());
        let (before, after) = (shown(before), shown(after));
        say(
            Level::Major,
            format!("default of {name} is {after}, was {before}"),
        );
    }
}

fn sets(
    what: &str,
    before: &BTreeSet<String>,
    after: &BTreeSet<String>,
    gone: Level,
    new: Level,
    say: &mut dyn FnMut(Level, String),
) {
    for name in before.difference(after) {
        say(gone, format!("{what} {name} was removed"));
    }
    for name in after.difference(before) {
        say(new, format!("{what} {name} is new"));
    }
}

fn interface(tree: &Tree) -> Result<Interface, String> {
    let opened = Opened::alone(tree)?;
    let project: &Project = &opened.project;
    let mut interface = Interface::default();
    for (id, own) in &project.manual.procedures {
        let params = own.params.iter();
        let steps = own.steps.iter().filter_map(|step| step.id.clone());
        let texts = own.steps.iter().map(|step| match &step.work {
            Work::Script(script) => script.text.text.to_string(),
            Work::Manual(text) => text.text.to_string(),
            Work::Place(place) => place.text.text.to_string(),
            Work::Deliver(files) => files.iter().map(|file| file.to.clone()).collect(),
        });
        let procedure = Procedure {
            params: params
                .map(|(name, param)| (name.clone(), param.required))
                .collect(),
            text: texts.collect::<Vec<_>>().join("\n"),
            steps: steps.collect(),
        };
        interface.procedures.insert(id.clone(), procedure);
    }
    for (id, group) in &project.manual.groups {
        interface.checks.insert(id.clone());
        let checks = group.checks.iter().map(|check| check.name.clone());
        interface
            .checks
            .extend(checks.map(|name| format!("{id}/{name}")));
    }
    if let Some(manifest) = &project.manifest {
        interface.values = manifest.values.clone();
        interface.groups = manifest.groups.keys().cloned().collect();
    }
    Ok(interface)
}
