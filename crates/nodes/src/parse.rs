//! Parses the definitions: the structure of `nodes.yaml`, files merged in order.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;

use super::{Definition, MAX_HINTS, Nodes, rehearsals, reserved, secret};
use crate::interpolation::is_variable_name;
use crate::source::{Concern, Passage, Problem, Source, Span, nearest};
use crate::yaml::{self, Entry, Map, Value, Yaml};

const SECTIONS: [&str; 5] = ["opsbook", "defaults", "groups", "nodes", "rehearsals"];

/// The deepest nesting of groups.
const MAX_NESTING: usize = 32;

/// Parses the files in order and merges them: maps by key, everything else replaces, `null` removes
/// the value of an earlier file.
#[must_use]
pub fn parse(sources: &[Arc<Source>]) -> (Nodes, Vec<Problem>) {
    let mut parser = NodesParser::default();
    for source in sources {
        if parser.values > yaml::MAX_VALUES {
            let message = format!(
                "the files of nodes hold more than {} values",
                yaml::MAX_VALUES
            );
            parser
                .problems
                .push(Problem::bare("nodes-too-large", message));
            break;
        }
        parser.file(source);
    }
    parser.check_groups();
    (parser.nodes, parser.problems)
}

#[derive(Default)]
struct NodesParser {
    nodes: Nodes,
    /// The number of values in all files so far: the limit applies to all files together.
    values: usize,
    problems: Vec<Problem>,
    /// YAML errors of this file that are within no definition read so far.
    unplaced: Vec<Problem>,
}

#[derive(Clone, Copy, PartialEq)]
enum Section {
    Defaults,
    Groups,
    Nodes,
}

impl NodesParser {
    fn file(&mut self, source: &Arc<Source>) {
        let (root, problems) = yaml::read(&Passage::whole(source));
        self.unplaced = problems;
        self.read(root, source);
        // An error outside of all definitions concerns everything.
        self.problems.append(&mut self.unplaced);
    }

    fn read(&mut self, root: Option<Yaml>, source: &Arc<Source>) {
        let Some(root) = root.filter(|root| !root.is_null()) else {
            return;
        };
        self.values += root.count();
        let mut root = match map(root) {
            Ok(root) => root,
            Err(problem) => return self.problems.push(problem),
        };
        let unknown = yaml::unknown_keys(&root, &SECTIONS).into_iter();
        self.problems
            .extend(unknown.map(|problem| match problem.hint {
                Some(_) => problem,
                None => problem.hint("write nodes below `nodes:`, indented"),
            }));
        self.version(root.swap_remove("opsbook"), source);
        if let Some(defaults) = root.swap_remove("defaults") {
            let mut definition = std::mem::take(&mut self.nodes.defaults);
            self.part(Section::Defaults, &mut definition, defaults);
            self.nodes.defaults = definition;
        }
        if let Some(groups) = root.swap_remove("groups") {
            let known = std::mem::take(&mut self.nodes.groups);
            self.nodes.groups = self.section(Section::Groups, known, groups.value);
        }
        if let Some(all) = root.swap_remove("rehearsals") {
            let mut wrong = Vec::new();
            for (procedure, of_it) in rehearsals::read(all.value, &mut wrong) {
                match of_it {
                    Some(of_it) => drop(self.nodes.rehearsals.insert(procedure, of_it)),
                    None => drop(self.nodes.rehearsals.shift_remove(&procedure)),
                }
            }
            // This error stops nobody: the test of the rehearsal reports what is missing.
            let wrong = wrong.into_iter();
            let wrong = wrong.map(|problem| problem.concerns(Concern::Nothing));
            self.problems.extend(wrong);
        }
        if let Some(nodes) = root.swap_remove("nodes") {
            let known = std::mem::take(&mut self.nodes.members);
            self.nodes.members = self.section(Section::Nodes, known, nodes.value);
        }
    }

    fn version(&mut self, version: Option<Entry>, source: &Arc<Source>) {
        let problem = match version {
            None => Problem::error(
                "missing-version",
                Span::new(source, 0..0),
                "the version of the format is missing",
            )
            .hint("begin the file with `opsbook: 1`"),
            Some(version) if version.value.as_int() == Some(1) => return,
            Some(version) => Problem::error(
                "unknown-version",
                version.value.span.clone(),
                format!(
                    "unknown version {} of the format of nodes",
                    version.value.text().unwrap_or_else(|| version.value.kind())
                ),
            )
            .hint("this opsbook reads version 1"),
        };
        self.problems.push(problem);
    }

    fn section(
        &mut self,
        section: Section,
        mut known: IndexMap<String, Definition>,
        value: Yaml,
    ) -> IndexMap<String, Definition> {
        if value.is_null() {
            known.clear();
            return known;
        }
        let definitions = match map(value) {
            Ok(definitions) => definitions,
            Err(problem) => {
                self.problems
                    .push(problem.hint("write each name as a key, such as `web1: {}`"));
                return known;
            }
        };
        for (name, entry) in definitions {
            if !is_definition_name(&name) {
                self.bad_name(section, &name, entry.key);
            } else if entry.value.is_null() && known.contains_key(&name) {
                known.shift_remove(&name);
            } else {
                let definition = known.entry(name).or_default();
                self.part(section, definition, entry);
            }
        }
        known
    }

    fn bad_name(&mut self, section: Section, name: &str, span: Span) {
        let what = if section == Section::Groups {
            "group"
        } else {
            "node"
        };
        self.problems.push(
            Problem::error(
                "bad-name",
                span,
                format!("`{name}` cannot be the name of a {what}"),
            )
            .hint("names begin with a letter or digit and hold letters, digits, `.`, `_` and `-`")
            .concerns(Concern::Selection),
        );
    }

    /// Adds one file's part of a definition.
    fn part(&mut self, section: Section, definition: &mut Definition, entry: Entry) {
        self.placed(definition, &entry);
        if definition.span.is_none() {
            definition.span = Some(entry.key);
        }
        if entry.value.is_null() {
            definition.parts.clear();
            return;
        }
        let hint = not_a_map(section, &entry.value);
        let mut values = match map(entry.value) {
            Ok(values) => values,
            Err(problem) => {
                let problem = match hint {
                    Some(hint) => problem.hint(hint),
                    None => problem,
                };
                return self.wrong(definition, problem, Concern::Selection);
            }
        };
        self.membership(section, definition, &mut values);
        values.retain(|name, entry| {
            let problem = reserved::check_name(name, entry);
            let sound = problem.as_ref().is_none_or(|problem| !problem.is_error());
            if let Some(problem) = problem {
                self.wrong(definition, problem, Concern::Node);
            }
            sound
        });
        for problem in secret::written_out(&values) {
            self.wrong(definition, problem, Concern::Node);
        }
        definition.parts.push(values);
    }

    fn membership(&mut self, section: Section, definition: &mut Definition, values: &mut Map) {
        for (key, home, hint) in [
            (
                "groups",
                Section::Nodes,
                "list the group in the `groups` of each node; `in` puts a group into another",
            ),
            (
                "in",
                Section::Groups,
                "list the groups of a node under `groups`",
            ),
        ] {
            let Some(entry) = values.shift_remove(key) else {
                continue;
            };
            if section != home {
                let message = format!("`{key}` has no effect here");
                let problem = Problem::error("misplaced-key", entry.key, message).hint(hint);
                self.wrong(definition, problem, Concern::Selection);
                continue;
            }
            match group_names(&entry.value) {
                Ok(groups) => definition.groups = groups,
                Err(problem) => self.wrong(definition, problem, Concern::Selection),
            }
        }
    }

    /// A problem of one definition disables the nodes that have it as a layer.
    fn wrong(&mut self, definition: &mut Definition, problem: Problem, concern: Concern) {
        let problem = problem.concerns(concern);
        if problem.is_error() {
            definition.wrong.push(problem.clone());
        }
        self.problems.push(problem);
    }

    /// Assigns YAML errors within a definition to it.
    fn placed(&mut self, definition: &mut Definition, entry: &Entry) {
        let (from, to) = (entry.key.start, entry.value.span.end);
        let (own, rest) =
            std::mem::take(&mut self.unplaced)
                .into_iter()
                .partition(|problem: &Problem| {
                    let span = problem.span.as_ref();
                    problem.code != "yaml-syntax"
                        && span.is_some_and(|span| from <= span.start && span.end <= to)
                });
        self.unplaced = rest;
        let own: Vec<Problem> = own;
        for problem in own {
            self.wrong(definition, problem, Concern::Selection);
        }
    }

    fn check_groups(&mut self) {
        let Nodes {
            groups, members, ..
        } = &self.nodes;
        let mut found = Vec::new();
        let all = groups
            .iter()
            .map(|(name, group)| (Section::Groups, name, group));
        let all = all.chain(
            members
                .iter()
                .map(|(name, node)| (Section::Nodes, name, node)),
        );
        for (section, owner, definition) in all {
            let wrong = wrong_groups(definition, groups);
            found.extend(
                wrong
                    .into_iter()
                    .map(|problem| (section, owner.clone(), problem)),
            );
            if found.len() > MAX_HINTS {
                break;
            }
        }
        let problems = nesting_problems(groups);
        let many = found.len() > MAX_HINTS;
        for (section, owner, problem) in found {
            let problem = problem.concerns(Concern::Selection);
            let definitions = match section {
                Section::Groups => &mut self.nodes.groups,
                Section::Nodes | Section::Defaults => &mut self.nodes.members,
            };
            if let Some(definition) = definitions.get_mut(&owner) {
                definition.wrong.push(problem.clone());
            }
            self.problems.push(problem);
        }
        if many {
            let message = "too many problems; the rest of the groups is not checked";
            self.problems
                .push(Problem::bare("too-many-problems", message));
            return;
        }
        self.problems.extend(problems);
    }
}

/// Errors in the groups that a definition names.
fn wrong_groups(definition: &Definition, groups: &IndexMap<String, Definition>) -> Vec<Problem> {
    let mut seen = HashMap::new();
    let mut problems = Vec::new();
    for (name, span) in &definition.groups {
        if let Some(first) = seen.insert(name, span) {
            let message = format!("group `{name}` is here twice");
            let problem = Problem::error("duplicate-group", span.clone(), message);
            problems.push(problem.note(first.clone(), "first here"));
        } else if !groups.contains_key(name) {
            let message = format!("unknown group `{name}`");
            let problem = Problem::error("unknown-group", span.clone(), message);
            problems.push(match nearest(name, groups.keys().map(String::as_str)) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem.hint(format!("define a group below `groups:`, as `{name}: {{}}`")),
            });
        }
        if problems.len() > MAX_HINTS {
            break;
        }
    }
    problems
}

/// The hint about a node or group whose values are one text, or a list.
fn not_a_map(section: Section, value: &Yaml) -> Option<String> {
    if section == Section::Groups && value.as_seq().is_some() {
        return Some("a group has values; list it in the `groups` of each of its nodes".to_owned());
    }
    let text = value.text().filter(|_| section != Section::Defaults)?;
    Some(match text.split_once(':') {
        Some((name, rest)) if is_variable_name(name) && !rest.starts_with('/') => {
            format!("write a space after the colon: `{name}: …`")
        }
        _ => "write its values as a map, such as `{address: web1.example.net}`".to_owned(),
    })
}

fn map(value: Yaml) -> Result<Map, Problem> {
    match value {
        Yaml {
            value: Value::Map(map),
            ..
        } => Ok(map),
        other => Err(other.mismatch("a map")),
    }
}

fn group_names(value: &Yaml) -> Result<Vec<(String, Span)>, Problem> {
    if value.is_null() {
        return Ok(Vec::new());
    }
    let names = value.expect_texts()?;
    Ok(names
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.span.clone()))
        .collect())
}

/// A valid name of a node or group, which selectors, paths and test names can contain.
fn is_definition_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// Reports groups that contain themselves or are nested too deeply.
fn nesting_problems(groups: &IndexMap<String, Definition>) -> Vec<Problem> {
    let mut search = Search {
        groups,
        done: vec![false; groups.len()],
        path: Vec::new(),
        problems: Vec::new(),
    };
    for index in 0..groups.len() {
        search.visit(index, None);
    }
    search.problems
}

struct Search<'a> {
    groups: &'a IndexMap<String, Definition>,
    done: Vec<bool>,
    /// The path from a group to its parents, each with its place.
    path: Vec<(usize, Option<&'a Span>)>,
    problems: Vec<Problem>,
}

impl<'a> Search<'a> {
    fn visit(&mut self, index: usize, said: Option<&'a Span>) {
        if let Some(at) = self.path.iter().position(|(earlier, _)| *earlier == index) {
            return self.cycle(at, said);
        }
        if self.done[index] {
            return;
        }
        if let Some(said) = said.filter(|_| self.path.len() >= MAX_NESTING) {
            let message = format!("groups are nested deeper than {MAX_NESTING} levels");
            self.problems
                .push(Problem::error("groups-too-deep", said.clone(), message));
            return;
        }
        self.path.push((index, said));
        let groups = self.groups;
        for (name, span) in &groups[index].groups {
            if let Some(parent) = groups.get_index_of(name) {
                self.visit(parent, Some(span));
            }
        }
        self.path.pop();
        self.done[index] = true;
    }

    fn cycle(&mut self, at: usize, said: Option<&Span>) {
        let Some(said) = said else { return };
        let name = |index: usize| {
            self.groups
                .get_index(index)
                .map_or("", |(name, _)| name.as_str())
        };
        let mut names: Vec<_> = self.path[at..]
            .iter()
            .map(|(index, _)| name(*index))
            .collect();
        names.push(name(self.path[at].0));
        let message = format!("a group cannot be in itself: {}", names.join(" in "));
        let mut problem = Problem::error("group-cycle", said.clone(), message);
        for (index, span) in &self.path[at + 1..] {
            if let Some(span) = span {
                problem =
                    problem.note((*span).clone(), format!("`{}` is added here", name(*index)));
            }
        }
        self.problems.push(problem);
    }
}
