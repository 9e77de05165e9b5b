//! Compares a package's manifest with its pages: the prefixes of its ids, the values that it reads,
//! the groups of nodes that it expects.

use std::collections::{BTreeMap, BTreeSet};

use crate::Project;
use crate::nodes::{self, secret};
use crate::package::manifest::{Manifest, Package};
use crate::reads;
use crate::source::{Concern, Problem, Severity, Span};
use crate::yaml::{self, Map, Yaml};

/// One package of a book, and its pages.
pub(crate) struct Unit<'a> {
    pub manifest: &'a Manifest,
    pub package: &'a Package,
    /// Indices into the manual's pages.
    pub pages: BTreeSet<usize>,
}

/// All disagreements between pages and manifests.
pub(crate) fn lint(project: &Project) -> Vec<Problem> {
    let units = project.units();
    let mut problems = claimed_twice(&units);
    for unit in &units {
        problems.extend(unit.ids(project, &units));
        problems.extend(unit.names());
        problems.extend(unit.probes(project));
        if unit.manifest.values_at.is_some() {
            let name = unit.name();
            problems.extend(reads::undeclared(project, unit.manifest, name, &unit.pages));
        }
        problems.extend(unit.groups(project));
        problems.extend(unit.values(project));
    }
    problems
}

/// The default values of a package, which form a layer below `nodes.yaml`.
pub(crate) fn defaults(manifest: &Manifest) -> Option<(String, Map)> {
    let package = manifest.package.as_ref()?;
    let values = manifest.values.iter().filter_map(|(name, value)| {
        let entry = yaml::Entry {
            key: value.span.clone(),
            value: value.default.clone()?,
        };
        (!nodes::is_reserved(name)).then(|| (name.clone(), entry))
    });
    Some((format!("package {}", package.label()), values.collect()))
}

fn claimed_twice(units: &[Unit<'_>]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut known: BTreeMap<&str, (&Package, &Span)> = BTreeMap::new();
    for unit in units {
        for prefix in &unit.package.namespace {
            let claim = (unit.package, &prefix.span);
            let Some((other, place)) = known.insert(&prefix.value, claim) else {
                continue;
            };
            let (one, two) = (&other.name.value, &unit.package.name.value);
            let message = format!("`{}` is claimed by `{one}` and by `{two}`", prefix.value);
            let problem = Problem::error("namespace-claimed-twice", prefix.span.clone(), message);
            let problem = problem.note(place.clone(), "also claimed here");
            problems.push(problem.concerns(Concern::Project));
        }
    }
    problems
}

impl Unit<'_> {
    fn name(&self) -> &str {
        &self.package.name.value
    }

    /// Each id must begin with one of the package's prefixes, and with no longer prefix of another
    /// package.
    fn ids(&self, project: &Project, units: &[Unit<'_>]) -> Vec<Problem> {
        let manual = &project.manual;
        let procedures = manual.procedures.values();
        let procedures = procedures.map(|own| (own.page, &own.id, &own.span));
        let groups = manual.groups.values();
        let groups = groups.map(|own| (own.page, &own.id, &own.span));
        let own = procedures.chain(groups);
        let own = own.filter(|(page, ..)| self.pages.contains(page));
        own.filter_map(|(_, id, span)| self.outside(id, span, units))
            .collect()
    }

    fn outside(&self, id: &str, span: &Span, units: &[Unit<'_>]) -> Option<Problem> {
        let prefixes: Vec<&str> = { self.package.namespace.iter() }
            .map(|prefix| prefix.value.as_str())
            .collect();
        let claim = self.package.claims(id).map(str::len);
        let others = units.iter().filter(|unit| unit.name() != self.name());
        let length = |unit: &&Unit<'_>| unit.package.claims(id).map(str::len);
        let better = others.filter(|unit| length(unit) > claim);
        let message = match (claim, better.max_by_key(length)) {
            (Some(_), Some(other)) => format!("`{id}` belongs to `{}`", other.name()),
            (Some(_), None) => return None,
            (None, _) => format!(
                "`{id}` is outside the namespace of `{}` (`{}`)",
                self.name(),
                prefixes.join("`, `")
            ),
        };
        let problem = Problem::error("outside-namespace", span.clone(), message);
        Some(problem.hint("`namespace` of `[package]` lists the prefixes of its ids"))
    }

    /// Values also have the prefix, except those of the book.
    fn names(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let dotted = |name: &str, prefix: &str| {
            let prefix = prefix.replace(['.', '-'], "_");
            let rest = name.strip_prefix(&prefix);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
        };
        for (name, value) in &self.manifest.values {
            let namespace = &self.package.namespace;
            let own = namespace.iter().any(|prefix| dotted(name, &prefix.value));
            if nodes::is_reserved(name) && value.default.is_some() {
                let message = format!(
                    "`{name}` configures how to reach a node, which no package \
                     may do"
                );
                problems.push(Problem::error(
                    "reserved-value",
                    value.span.clone(),
                    message,
                ));
            } else if !own && !value.shared {
                let message = format!(
                    "`{name}` is outside the namespace of `{}`: it does not begin with `{}_`",
                    self.name(),
                    namespace
                        .first()
                        .map_or("", |prefix| &prefix.value)
                        .replace('.', "_")
                );
                let problem = Problem::error("outside-namespace", value.span.clone(), message);
                problems.push(problem.hint(
                    "`shared = true` declares that the name belongs to the \
                     book",
                ));
            }
        }
        problems
    }

    /// Kinds of typed checks have the prefix in their file name.
    fn probes(&self, project: &Project) -> Vec<Problem> {
        let Some(own) = &project.manifest else {
            return Vec::new();
        };
        // Probes of other packages were checked in those packages.
        if own.package.as_ref().map(|own| &own.name.value) != Some(&self.package.name.value) {
            return Vec::new();
        }
        let entries = std::fs::read_dir(project.origin.join("checks"));
        let names = entries.into_iter().flatten().flatten();
        let names = names.filter_map(|entry| entry.file_name().into_string().ok());
        let kinds = names.filter_map(|name| name.strip_suffix(".sh").map(str::to_owned));
        let outside = kinds.filter(|kind| self.package.claims(kind).is_none());
        let problems = outside.map(|kind| {
            let message = format!(
                "`checks/{kind}.sh` is outside the namespace of `{}`",
                self.name()
            );
            let first = self.package.namespace.first();
            let span = first.map_or(&self.package.name.span, |prefix| &prefix.span);
            let problem = Problem::error("outside-namespace", span.clone(), message);
            problem.hint(format!("rename it to `checks/{}.{kind}.sh`", self.name()))
        });
        problems.collect()
    }

    /// Groups that the package expects and the book lacks; groups that it uses and does not
    /// declare.
    fn groups(&self, project: &Project) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (name, group) in &self.manifest.groups {
            let source = crate::source::Source::new("selector", format!("@{name}"));
            let at = crate::manual::Spanned {
                value: format!("@{name}"),
                span: Span::new(&source, 0..name.len() + 1),
            };
            if project
                .nodes
                .select_at(&at)
                .is_ok_and(|found| !found.is_empty())
            {
                continue;
            }
            let (procedures, checks) = self.of_group(project, name);
            let message = format!(
                "`@{name}` has no nodes, so {procedures} and {checks} of `{}` cannot run",
                self.name()
            );
            problems.push(Problem {
                severity: Severity::Warning,
                ..Problem::error("group-without-nodes", group.span.clone(), message)
            });
        }
        for selector in self.selectors(project) {
            for name in named_groups(&selector.value) {
                if self.manifest.groups.contains_key(name) {
                    continue;
                }
                let message = format!(
                    "`{}` is for `@{name}`, which is not in `[groups]` of `opsbook.toml`",
                    self.name()
                );
                let problem = Problem::error("undeclared-group", selector.span.clone(), message);
                let hint = format!("add `{name} = \"what these nodes are\"` to `[groups]`");
                problems.push(problem.hint(hint));
            }
        }
        problems
    }

    fn selectors<'p>(
        &self,
        project: &'p Project,
    ) -> impl Iterator<Item = &'p crate::manual::Spanned<String>> {
        let manual = &project.manual;
        let procedures = { manual.procedures.values() }.map(|own| (own.page, &own.nodes));
        let groups = { manual.groups.values() }.map(|own| (own.page, &own.nodes));
        let pages = self.pages.clone();
        let own = procedures.chain(groups);
        own.filter(move |(page, _)| pages.contains(page))
            .filter_map(|(_, nodes)| nodes.as_ref())
    }

    fn of_group(&self, project: &Project, group: &str) -> (String, String) {
        let manual = &project.manual;
        let names = |nodes: &Option<crate::manual::Spanned<String>>| {
            let nodes = nodes.as_ref();
            nodes.is_some_and(|nodes| named_groups(&nodes.value).any(|name| name == group))
        };
        let own = |page: usize| self.pages.contains(&page);
        let procedures =
            { manual.procedures.values() }.filter(|one| own(one.page) && names(&one.nodes));
        let groups = { manual.groups.values() }.filter(|one| own(one.page) && names(&one.nodes));
        let checks = groups
            .map(|group| group.checks.len() + group.typed.len())
            .sum();
        (
            crate::source::counted(procedures.count(), "procedure"),
            crate::source::counted(checks, "check"),
        )
    }

    /// Compares the nodes' values with the package's declarations.
    fn values(&self, project: &Project) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut seen = BTreeSet::new();
        for node in project.nodes.names() {
            let Ok(node) = project.nodes.evaluate(node, &[]) else {
                continue;
            };
            for (name, declared) in &self.manifest.values {
                let Some(found) = node.leaves.get(name) else {
                    continue;
                };
                let problem = wrong_value(name, declared, &found.value);
                let span = found.origin.span.clone();
                let Some(((code, message), span)) = problem.zip(span) else {
                    continue;
                };
                if seen.insert((span.path().to_owned(), span.start)) {
                    let problem = Problem::error(code, span, message);
                    let what = format!("`{}` declares it", self.name());
                    problems.push(
                        problem
                            .note(declared.span.clone(), what)
                            .concerns(Concern::Node),
                    );
                }
            }
        }
        problems
    }
}

fn wrong_value(
    name: &str,
    declared: &crate::package::manifest::Value,
    value: &Yaml,
) -> Option<(&'static str, String)> {
    let is_secret = secret::reference(value).is_some();
    if declared.secret && !is_secret {
        let message = format!("`{name}` is a secret, so it is not written to the file");
        return Some(("not-a-secret", message));
    }
    let pattern = regex::Regex::new(declared.pattern.as_deref()?).ok()?;
    let text = value.text().filter(|_| !is_secret)?;
    let wrong = !pattern.is_match(text) && !text.contains("${");
    let wanted = declared.pattern.as_deref().unwrap_or_default();
    let wanted = wanted.trim_start_matches("^(?:").trim_end_matches(")$");
    wrong.then(|| ("bad-value", format!("`{name}` does not match `{wanted}`")))
}

/// The groups in a selector: `@web,!@old` names two.
fn named_groups(selector: &str) -> impl Iterator<Item = &str> {
    let parts = selector.split('@').skip(1);
    let names = parts.map(|part| {
        let end = part.find(|c: char| !(c.is_alphanumeric() || "._-*?".contains(c)));
        &part[..end.unwrap_or(part.len())]
    });
    names.filter(|name| !name.is_empty() && !name.contains(['*', '?']))
}

#[cfg(test)]
#[path = "interface_tests.rs"]
mod tests;
