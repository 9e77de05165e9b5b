//! Renames a name everywhere: on all pages, in contracts, and in node files. Refuses a rename that
//! would cause an error in the manual, and says why.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fence::{self, Fence};
use crate::journal;
use crate::manual::Procedure;
use crate::names::{self, Name};
use crate::snapshot::{Snapshot, Texts};
use crate::source::{Source, Span};

/// How many of the latest runs are checked: a halted run could not be resumed after the rename.
const NEWEST: usize = 200;

/// The kind of a name.
#[derive(Debug, PartialEq, Eq)]
enum What {
    /// A parameter, a role or a capture of one procedure.
    Own {
        procedure: String,
    },
    /// A value of the nodes.
    Value,
    Group,
    Node,
    Procedure,
    Step {
        procedure: String,
    },
    Checks,
}

/// The name to rename: its range, its text, and its kind.
pub struct Target {
    pub range: Range<usize>,
    name: String,
    what: What,
}

/// By edited file: byte ranges, each with its new text.
pub type Edits = BTreeMap<PathBuf, Vec<(Range<usize>, String)>>;

/// The name at a place, if it can be renamed.
pub fn target(snapshot: &Snapshot, file: &Path, text: &str, byte: usize) -> Result<Target, String> {
    let (name, range) = names::at(text, byte).ok_or("there is no name here")?;
    let (what, own, range) = what(snapshot, file, text, byte, &name, range)
        .ok_or_else(|| format!("nothing says what `{}` is", name.text()))?;
    let name = own.to_owned();
    Ok(Target { range, name, what })
}

fn what<'t>(
    snapshot: &Snapshot,
    file: &Path,
    text: &'t str,
    byte: usize,
    name: &Name<'t>,
    range: Range<usize>,
) -> Option<(What, &'t str, Range<usize>)> {
    let manual = &snapshot.project.manual;
    let nodes = &snapshot.project.nodes;
    let procedure = snapshot.procedure_at(file, byte);
    let value = |name: &str| match procedure.filter(|own| owns(own, name)) {
        Some(own) => Some(What::Own {
            procedure: own.id.clone(),
        }),
        None => snapshot
            .nodes()
            .any(|node| node.leaves.contains_key(name))
            .then_some(What::Value),
    };
    let (before, behind) = (&text[..range.start], &text[range.end..]);
    let key = behind.starts_with(':') && !behind.starts_with("::");
    match *name {
        Name::Value(name) => value(name).map(|what| (what, name, range)),
        Name::Group(name) => nodes.group_place(name).map(|_| (What::Group, name, range)),
        Name::Word(name) if before.ends_with("capture=") || before.ends_with("defined=") => {
            value(name).map(|what| (what, name, range))
        }
        // A page mentions nodes, a node file defines them as keys.
        Name::Word(name)
            if key
                && !is_page(file)
                && nodes
                    .place(name)
                    .is_some_and(|place| on(place, text, &range)) =>
        {
            Some((What::Node, name, range))
        }
        Name::Word(name)
            if !is_page(file) && nodes.group_place(name).is_some() && names_group(text, &range) =>
        {
            Some((What::Group, name, range))
        }
        Name::Word(name) if key && value(name).is_some() => {
            value(name).map(|what| (what, name, range))
        }
        Name::Word(name) if manual.procedures.contains_key(name) => {
            Some((What::Procedure, name, range))
        }
        Name::Word(name) if manual.groups.contains_key(name) => Some((What::Checks, name, range)),
        Name::Word(name) if nodes.contains(name) => Some((What::Node, name, range)),
        Name::Word(name) => {
            if let Some((own, step)) = name.split_once('/') {
                let procedure = manual.procedures.get(own)?;
                has_step(procedure, step).then_some(())?;
                let start = range.end - step.len();
                // The first half means the procedure.
                if byte < start {
                    return Some((What::Procedure, own, range.start..start - 1));
                }
                let what = What::Step {
                    procedure: own.to_owned(),
                };
                return Some((what, step, start..range.end));
            }
            let own = procedure.filter(|own| has_step(own, name))?;
            let what = What::Step {
                procedure: own.id.clone(),
            };
            Some((what, name, range))
        }
    }
}

fn owns(procedure: &Procedure, name: &str) -> bool {
    procedure.params.contains_key(name) || procedure.roles.contains_key(name) || {
        procedure.steps.iter()
    }
    .any(|step| step.capture.as_deref() == Some(name))
}

fn has_step(procedure: &Procedure, name: &str) -> bool {
    { procedure.steps.iter() }.any(|step| step.id.as_deref() == Some(name))
}

fn is_page(file: &Path) -> bool {
    file.extension().is_some_and(|end| end == "md")
}

/// Whether the place is on the line that defines the node.
fn on(place: &Span, text: &str, range: &Range<usize>) -> bool {
    let line = |text: &str, byte: usize| text[..byte.min(text.len())].matches('\n').count();
    place.source.text == text && line(text, range.start) == line(text, place.start as usize)
}

/// Whether this is the name of a group in a node file: in a list of groups, or as a key below
/// `groups:`.
fn names_group(text: &str, range: &Range<usize>) -> bool {
    let line = text[..range.start].rsplit('\n').next().unwrap_or_default();
    let list = ["groups: [", "in: [", "groups: ", "in: "];
    if list.iter().any(|list| {
        line.rfind(list)
            .is_some_and(|at| !line[at + list.len()..].contains([']', '}']))
    }) {
        return true;
    }
    // The nearest line above without indentation.
    let above = text[..range.start].lines().rev().skip(1);
    let mut above = above.filter(|line| !line.starts_with([' ', '\t', '#']) && !line.is_empty());
    line.trim().is_empty() && above.next().is_some_and(|line| line.starts_with("groups:"))
}

/// All edits, if the manual has no new error after them.
pub fn rename(
    snapshot: &Snapshot,
    texts: &Texts,
    target: &Target,
    new: &str,
) -> Result<Edits, String> {
    allowed(snapshot, target, new)?;
    let mut edits = Edits::new();
    for source in names::sources(snapshot)
        .into_iter()
        .chain(templates(snapshot, target))
    {
        let found = occurrences(snapshot, target, &source);
        if found.is_empty() {
            continue;
        }
        let file = snapshot.edited(&source.path);
        if source.packaged.is_some() && file.starts_with(&snapshot.project.root) {
            let message = format!(
                "`{}` is named in `{}`, which is not a file of yours",
                target.name,
                source.path.display()
            );
            return Err(message);
        }
        // The editor's text contains unresolved links; places are offsets in it.
        let text = texts
            .get(&file)
            .cloned()
            .or_else(|| std::fs::read_to_string(&file).ok().map(Arc::from));
        let text = text.ok_or_else(|| format!("`{}` cannot be read", source.path.display()))?;
        let found = if *text == *source.text {
            found
        } else {
            occurrences(snapshot, target, &Source::new(&source.path, &*text))
        };
        edits.insert(
            file,
            found
                .into_iter()
                .map(|range| (range, new.to_owned()))
                .collect(),
        );
    }
    if edits.is_empty() {
        return Err(format!("`{}` stands nowhere", target.name));
    }
    proven(snapshot, texts, &edits)?;
    Ok(edits)
}

fn allowed(snapshot: &Snapshot, target: &Target, new: &str) -> Result<(), String> {
    let manual = &snapshot.project.manual;
    let nodes = &snapshot.project.nodes;
    let letters = |more: &str| {
        new.chars().all(|letter| {
            letter.is_ascii_lowercase() || letter.is_ascii_digit() || more.contains(letter)
        })
    };
    let first = new.chars().next();
    let begins = first.is_some_and(|letter| letter.is_ascii_lowercase());
    let (form, taken) = match &target.what {
        What::Own { procedure } => {
            let own = manual
                .procedures
                .get(procedure)
                .is_some_and(|own| owns(own, new));
            (
                begins && letters("_"),
                own || snapshot.nodes().any(|node| node.leaves.contains_key(new)),
            )
        }
        What::Value => {
            let own = manual.procedures.values().any(|own| owns(own, new));
            (
                begins && letters("_"),
                own || snapshot.nodes().any(|node| node.leaves.contains_key(new)),
            )
        }
        What::Group => (begins && letters("_-"), nodes.group_place(new).is_some()),
        What::Node => (
            first.is_some_and(|letter| letter.is_ascii_alphanumeric()) && letters("_-."),
            nodes.contains(new),
        ),
        What::Procedure | What::Checks => (
            begins && letters("._-"),
            manual.procedures.contains_key(new) || manual.groups.contains_key(new),
        ),
        What::Step { procedure } => {
            let own = manual.procedures.get(procedure);
            (
                begins && letters("_-"),
                own.is_some_and(|own| has_step(own, new)),
            )
        }
    };
    if !form {
        return Err(format!("`{new}` is not a valid name for it"));
    }
    if taken {
        return Err(format!("there is a `{new}` already"));
    }
    halted(snapshot, target)
}

/// A halted run is resumed with the names that it began with.
fn halted(snapshot: &Snapshot, target: &Target) -> Result<(), String> {
    let state = &snapshot.project.state;
    let names = |started: &crate::event::RunStarted| match &target.what {
        What::Procedure => started.procedure == target.name,
        What::Own { procedure } | What::Step { procedure } => started.procedure == *procedure,
        What::Node => started.nodes.contains(&target.name),
        What::Value | What::Group | What::Checks => false,
    };
    let runs = journal::runs(state).into_iter().rev().take(NEWEST);
    let records = runs.filter_map(|run| journal::read(state, &run).ok());
    let halted = records.filter(|record| record.started().is_some_and(names) && record.is_halted());
    match halted.count() {
        0 => Ok(()),
        1 => Err(format!(
            "a halted run names `{}`: resume it first, or give it up",
            target.name
        )),
        many => Err(format!(
            "{many} halted runs name `{}`: resume them first, or give them up",
            target.name
        )),
    }
}

/// Templates use the values of nodes.
fn templates(snapshot: &Snapshot, target: &Target) -> Vec<Arc<Source>> {
    if !matches!(target.what, What::Value) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let folder = snapshot.root().join("templates");
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() {
                folders.push(path);
            } else if let Some(below) = snapshot.below(&path).filter(|_| kind.is_file())
                && let Ok(text) = snapshot.project.files.text(&below, 4 << 20)
            {
                found.push(Source::new(&below, text));
            }
        }
    }
    found
}

/// The places of the name in one text.
fn occurrences(snapshot: &Snapshot, target: &Target, source: &Source) -> Vec<Range<usize>> {
    let text = source.text.as_str();
    let page = is_page(&source.path);
    let fences = if page { fence::all(text) } else { Vec::new() };
    let finder = Finder {
        snapshot,
        target,
        path: &source.path,
        text,
        fences: &fences,
    };
    let found = text
        .match_indices(&target.name)
        .map(|(at, name)| at..at + name.len());
    let wanted = |range: &Range<usize>| {
        if page {
            finder.on_page(range)
        } else {
            finder.elsewhere(range)
        }
    };
    let mut found: Vec<_> = found.filter(wanted).collect();
    found.dedup();
    found
}

struct Finder<'a> {
    snapshot: &'a Snapshot,
    target: &'a Target,
    path: &'a Path,
    text: &'a str,
    fences: &'a [Fence<'a>],
}

impl Finder<'_> {
    fn line(&self, at: usize) -> (&str, &str) {
        let before = self.text[..at].rsplit('\n').next().unwrap_or_default();
        let rest = self.text[at..].split('\n').next().unwrap_or_default();
        (before, rest)
    }

    fn on_page(&self, range: &Range<usize>) -> bool {
        let fence = self
            .fences
            .iter()
            .find(|fence| (fence.at..fence.body.end).contains(&range.start));
        let info = fence.filter(|fence| range.end <= fence.at + fence.info.len());
        let (before, rest) = self.line(range.start);
        let commented = before.trim_start().starts_with("<!-- opsbook:");
        match &self.target.what {
            What::Own { procedure } => {
                let here = self.snapshot.procedure_at(self.path, range.start);
                here.is_some_and(|here| here.id == *procedure)
                    && (fence.is_some() || commented)
                    && self.is_value(range)
            }
            What::Value => {
                let here = self.snapshot.procedure_at(self.path, range.start);
                let hidden = here.is_some_and(|here| owns(here, &self.target.name));
                !hidden && (fence.is_some() || commented) && self.is_value(range)
            }
            What::Group => {
                self.text[..range.start].ends_with('@')
                    && ends_word(&self.text[range.end..])
                    && is_code(fence, before, rest)
            }
            What::Step { procedure } => {
                let full = self.text[..range.start]
                    .strip_suffix('/')
                    .is_some_and(|before| before.ends_with(procedure.as_str()));
                if full {
                    return ends_word(&self.text[range.end..]) && is_code(fence, before, rest);
                }
                let here = self.snapshot.procedure_at(self.path, range.start);
                let here = here.is_some_and(|here| here.id == *procedure);
                here && (info.is_some() || commented)
                    && (before.ends_with(" id=") || before.ends_with(" from="))
                    && ends_word(&self.text[range.end..])
            }
            What::Node | What::Procedure | What::Checks => {
                let contract = fence.is_some_and(|fence| {
                    ["procedure", "checks", "each", "deliver"].contains(&fence.kind())
                });
                // Some keys have ids as values and others nodes; both may have the same name.
                let key = before.trim_start().split(':').next().unwrap_or_default();
                let id = ["id", "needs"].contains(&key) || before.trim() == "-";
                let contract = contract && id != matches!(self.target.what, What::Node);
                let command = is_code(fence, before, rest)
                    && (before.contains("opsbook ") || before.ends_with('`'));
                (contract || info.is_some() || commented || command) && self.is_word(range)
            }
        }
    }

    /// In node files and templates.
    fn elsewhere(&self, range: &Range<usize>) -> bool {
        match &self.target.what {
            What::Own { .. } | What::Step { .. } => false,
            What::Value => self.is_value(range),
            What::Group => {
                let marked = self.text[..range.start].ends_with('@');
                ends_word(&self.text[range.end..])
                    && (marked
                        || begins_word(&self.text[..range.start]) && names_group(self.text, range))
            }
            What::Node => {
                let key = self.text[range.end..].starts_with(':');
                let place = self.snapshot.project.nodes.place(&self.target.name);
                let said = key && place.is_some_and(|place| on(place, self.text, range));
                let (before, _) = self.line(range.start);
                let jumps = before.trim_end().ends_with("jump:");
                (said || jumps || before.contains("nodes:")) && self.is_word(range)
            }
            What::Checks => false,
            What::Procedure => {
                let nodes = &self.snapshot.project.nodes;
                let name = self.target.name.as_str();
                self.is_word(range) && !nodes.contains(name) && nodes.group_place(name).is_none()
            }
        }
    }

    /// `$name`, `${name}`, `{{ name }}`, a key, or a fence word that means a value.
    fn is_value(&self, range: &Range<usize>) -> bool {
        let letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let (before, after) = (&self.text[..range.start], &self.text[range.end..]);
        if after.starts_with(letter) || before.ends_with(letter) {
            return false;
        }
        let used = before.ends_with('$') || before.ends_with("${");
        let templated = before
            .rfind("{{")
            .is_some_and(|at| !before[at..].contains("}}") && !before[at..].contains('\n'))
            || before
                .rfind("{%")
                .is_some_and(|at| !before[at..].contains("%}") && !before[at..].contains('\n'));
        let word = ["capture=", "defined=", "--set "]
            .iter()
            .any(|start| before.ends_with(start));
        let line = before.rsplit('\n').next().unwrap_or_default();
        let opens = line.trim().is_empty() || line.trim_end().ends_with(['{', ',']);
        let fence = self
            .fences
            .iter()
            .find(|fence| fence.body.contains(&range.start));
        let yaml = !is_page(self.path) || fence.is_some_and(|fence| fence.info.starts_with("yaml"));
        let listed = yaml && (line.contains("same: [") || line.contains("defined: ["));
        used || templated || word || listed || yaml && opens && after.starts_with(':')
    }

    /// A whole id: not a part of a longer one, of a path or of a value's name.
    fn is_word(&self, range: &Range<usize>) -> bool {
        let (before, after) = (&self.text[..range.start], &self.text[range.end..]);
        if !begins_word(before) {
            return false;
        }
        // The names of a group's checks begin with the group's name.
        let more = |after: &str| {
            after.starts_with('.')
                && after[1..].starts_with(|letter: char| letter.is_ascii_alphanumeric())
        };
        if matches!(self.target.what, What::Checks) && more(after) {
            let word = after
                .find(|letter: char| !letter.is_ascii_alphanumeric() && !"._-".contains(letter));
            let whole = format!(
                "{}{}",
                self.target.name,
                &after[..word.unwrap_or(after.len())]
            );
            let whole = whole.trim_end_matches('.');
            let group = self.snapshot.project.manual.groups.get(&self.target.name);
            return group.is_some_and(|group| group.checks.iter().any(|check| check.name == whole));
        }
        ends_word(after) && !more(after)
    }
}

/// In a fence, or between backquotes.
fn is_code(fence: Option<&Fence<'_>>, before: &str, rest: &str) -> bool {
    fence.is_some() || before.matches('`').count() % 2 == 1 && rest.contains('`')
}

fn begins_word(before: &str) -> bool {
    !before.ends_with(|letter: char| letter.is_ascii_alphanumeric() || "_-./$@".contains(letter))
}

fn ends_word(after: &str) -> bool {
    !after.starts_with(|letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter))
}

/// Checks that the edits cause no new error in the manual.
fn proven(snapshot: &Snapshot, texts: &Texts, edits: &Edits) -> Result<(), String> {
    let mut edited = texts.clone();
    for (file, changes) in edits {
        let text = texts.get(file).map(ToString::to_string);
        let text = text.or_else(|| std::fs::read_to_string(file).ok());
        let mut text = text.ok_or_else(|| format!("`{}` cannot be read", file.display()))?;
        for (range, new) in changes.iter().rev() {
            text.replace_range(range.clone(), new);
        }
        edited.insert(file.clone(), text.into());
    }
    let now = snapshot.with(&edited);
    let known: BTreeSet<(&str, Option<(PathBuf, usize)>)> = { snapshot.problems.iter() }
        .map(|problem| (problem.code, place(problem.span.as_ref())))
        .collect();
    let new = now.problems.iter().find(|problem| {
        problem.is_error() && !known.contains(&(problem.code, place(problem.span.as_ref())))
    });
    match new {
        Some(problem) => Err(format!("it would be a mistake: {}", problem.sentence())),
        None => Ok(()),
    }
}

/// The line of a problem; edits do not move lines.
fn place(span: Option<&Span>) -> Option<(PathBuf, usize)> {
    span.map(|span| (span.path().to_owned(), span.line() as usize))
}
