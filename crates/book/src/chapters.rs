//! Chapters that are generated from the whole manual: procedures, checks by what they verify,
//! variables with where they are set and used, groups of nodes. HTML tables, built in one pass
//! each.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mdbook_preprocessor::book::Chapter;

use crate::manual::{Group, Manual, Procedure};
use crate::nodes::{Layer, Node, Origin};
use crate::plan::RUN_NAMES;

use super::html::{attribute, code, table, text};
use super::index::Unit;
use super::machines;
use super::refer::{self, GROUPS, NODES, generated, group_link, node_link, to};
use super::tables;
use super::whole::{Whole, selected, selectors_of};

const PROCEDURES: &str = "opsbook-procedures.md";
const CHECKS: &str = "opsbook-checks.md";
const VARIABLES: &str = "opsbook-variables.md";
/// How many nodes a list names; then only their number.
const NAMED: usize = 100;
/// How many places a row of a variable names; a longer list continues in the next row.
const PLACES: usize = 100;

/// All of them, in the order of the book.
pub(super) fn all(whole: &Whole<'_>) -> Vec<Chapter> {
    if !whole.has_chapters() {
        return Vec::new();
    }
    let surveyed = Survey::of(whole);
    let mut chapters = Vec::new();
    let mut add = |title: &str, content: String, path: &str| {
        chapters.push(generated(title, format!("# {title}\n\n{content}"), path));
    };
    if whole.nodes.names().len() > 0 {
        add("Nodes", machines::list(whole, &surveyed.members), NODES);
        if whole.nodes.group_names().len() > 0 {
            add("Groups of nodes", groups(whole, &surveyed), GROUPS);
        }
    }
    if !whole.manual.procedures.is_empty() {
        add("Procedures", procedures(whole), PROCEDURES);
    }
    if !whole.manual.groups.is_empty() {
        add("Checks by what they ask", checks(whole), CHECKS);
    }
    if !surveyed.variables.is_empty() {
        add("Variables", variables(whole, &surveyed), VARIABLES);
    }
    chapters
}

/// The search entries of these chapters: nodes and groups of nodes. Other content would be found
/// instead of the pages that it comes from.
pub(super) fn found(whole: &Whole<'_>) -> Vec<Unit> {
    if !whole.has_chapters() {
        return Vec::new();
    }
    let nodes = whole.nodes.names().map(|name| Unit {
        address: refer::node_address(name),
        page: "Nodes".to_owned(),
        title: name.to_owned(),
        ..Unit::default()
    });
    let groups = whole.groups_told().into_iter().map(|group| Unit {
        address: refer::group_address(&group),
        page: "Groups of nodes".to_owned(),
        title: format!("@{group}"),
        ..Unit::default()
    });
    let mut found: Vec<Unit> = nodes.chain(groups).collect();
    found.sort_by(|a, b| a.address.cmp(&b.address));
    found
}

/// Data collected in one pass over all nodes and blocks.
struct Survey<'a> {
    /// By group, in the order of the nodes.
    members: HashMap<String, Vec<&'a str>>,
    /// By group, the names that it sets.
    sets: HashMap<String, BTreeSet<String>>,
    variables: BTreeMap<String, Variable>,
}

/// A variable of the manual's scripts.
#[derive(Default)]
struct Variable {
    /// HTML of each place that sets it.
    set: BTreeSet<String>,
    /// The number of nodes whose own entry sets it.
    own: usize,
}

impl<'a> Survey<'a> {
    fn of(whole: &Whole<'a>) -> Survey<'a> {
        let mut survey = Survey {
            members: HashMap::new(),
            sets: HashMap::new(),
            variables: BTreeMap::new(),
        };
        survey.blocks(whole);
        let run = |name: &String, _: &mut Variable| !RUN_NAMES.contains(&name.as_str());
        survey.variables.retain(run);
        for name in whole.nodes.names() {
            if let Ok(node) = whole.nodes.evaluate(name, &[]) {
                survey.node(name, &node);
            }
        }
        survey
    }

    fn blocks(&mut self, whole: &Whole<'_>) {
        for name in whole.blocks.uses.keys() {
            self.variables.insert(name.clone(), Variable::default());
        }
        for procedure in whole.manual.procedures.values() {
            let Some(page) = whole.manual.pages.get(procedure.page) else {
                continue;
            };
            for name in procedure.params.keys() {
                let own = self.variables.entry(name.clone()).or_default();
                let of = to(&page.path, &procedure.id);
                own.set.insert(format!("parameter of {of}"));
            }
            for step in &procedure.steps {
                if let Some(name) = &step.capture {
                    let own = self.variables.entry(name.clone()).or_default();
                    let of = to(&page.path, &procedure.name_of(step));
                    own.set.insert(format!("printed by {of}"));
                }
            }
        }
    }

    fn node(&mut self, name: &'a str, node: &Node) {
        for group in &node.groups {
            self.members.entry(group.clone()).or_default().push(name);
        }
        for (name, leaf) in &node.leaves {
            for origin in std::iter::once(&leaf.origin).chain(&leaf.overrode) {
                if let Layer::Group(group) = &origin.layer {
                    let sets = self.sets.entry(group.clone()).or_default();
                    if !sets.contains(name) {
                        sets.insert(name.clone());
                    }
                }
                let Some(own) = self.variables.get_mut(name) else {
                    continue;
                };
                match origin.layer {
                    Layer::Node => own.own += 1,
                    _ => drop(own.set.insert(said(origin))),
                }
            }
        }
    }
}

/// Where a value is defined: the layer and the place.
fn said(origin: &Origin) -> String {
    let layer = match &origin.layer {
        Layer::Group(group) => group_link(group),
        layer => text(&layer.to_string()),
    };
    match &origin.span {
        Some(span) => format!("{layer} {}", code(&span.place())),
        None => layer,
    }
}

/// Names of nodes, each a link.
pub(super) fn names(nodes: &[&str]) -> String {
    let shown: Vec<String> = nodes
        .iter()
        .take(NAMED)
        .map(|name| node_link(name))
        .collect();
    let more = nodes.len().saturating_sub(NAMED);
    let more = (more > 0).then(|| format!(" and {more} more"));
    shown.join(", ") + &more.unwrap_or_default()
}

fn groups(whole: &Whole<'_>, survey: &Survey<'_>) -> String {
    let manual = whole.manual;
    let procedures = manual.procedures.values().flat_map(selectors_of);
    let checks = manual.groups.values();
    let checks = checks.filter_map(|group| Some(group.nodes.as_ref()?.value.as_str()));
    let selected = selected(whole.nodes, procedures.chain(checks).map(str::to_owned));
    let mut page = String::from("What each group of `nodes.yaml` is for.\n\n");
    for name in whole.nodes.group_names() {
        let members = survey.members.get(name).map_or(&[][..], Vec::as_slice);
        let meets = |selector: &str| {
            let found = selected.get(selector);
            found.is_some_and(|found| members.iter().any(|member| found.contains(member)))
        };
        let may_run = |procedure: &&Procedure| {
            let selectors = selectors_of(procedure);
            selectors.is_empty() || selectors.iter().any(|selector| meets(selector))
        };
        let runs = manual.procedures.values().filter(may_run);
        let runs: Vec<String> = runs.map(|own| link(manual, own.page, &own.id)).collect();
        let asked = |group: &&Group| {
            let nodes = group.nodes.as_ref();
            nodes.is_none_or(|nodes| meets(&nodes.value))
        };
        let asked = manual.groups.values().filter(asked);
        let asked: Vec<String> = asked.map(|own| link(manual, own.page, &own.id)).collect();
        let sets = survey.sets.get(name).into_iter().flatten();
        let sets: Vec<String> = sets
            .filter(|name| survey.variables.contains_key(*name))
            .map(|name| code(name))
            .collect();
        let facts = [
            (format!("{} nodes", members.len()), names(members)),
            ("Procedures that may run".to_owned(), runs.join(", ")),
            ("Checks".to_owned(), asked.join(", ")),
            ("Sets".to_owned(), sets.join(", ")),
        ];
        let facts = facts.iter().filter(|(_, what)| !what.is_empty());
        let facts = facts.map(|(term, what)| format!("<dt>{term}</dt><dd>{what}</dd>"));
        page += &format!(
            "<h2 id=\"group-{}\">@{}</h2>\n\n<dl class=\"ops-facts\">{}</dl>\n\n",
            attribute(name),
            text(name),
            facts.collect::<String>()
        );
    }
    page
}

fn link(manual: &Manual, page: usize, id: &str) -> String {
    manual
        .pages
        .get(page)
        .map_or_else(|| code(id), |page| to(&page.path, id))
}

fn procedures(whole: &Whole<'_>) -> String {
    let rows = whole.manual.procedures.values().map(|procedure| {
        let own = procedure.nodes.iter();
        let own = own.map(|nodes| code(&nodes.value));
        let roles = procedure.roles.iter().map(|(name, role)| {
            let (many, nodes) = (role.how_many(), code(&role.nodes.value));
            format!("{}: {many} {nodes}", code(name))
        });
        let nodes: Vec<String> = own.chain(roles).collect();
        let nodes = match nodes.as_slice() {
            [] => "any node".to_owned(),
            all => all.join("<br>"),
        };
        format!(
            "<tr><td class=\"ops-of\">{}</td><td>{}</td><td class=\"ops-where\">{nodes}</td><td>{}</td><td>{}</td></tr>",
            link(whole.manual, procedure.page, &procedure.id),
            text(&procedure.title),
            procedure.steps.len(),
            whole.recorded.runs.of_procedure(&procedure.id)
        )
    });
    table(
        &["Procedure", "What", "May run on", "Steps", "Last runs"],
        rows,
    )
}

fn checks(whole: &Whole<'_>) -> String {
    let manual = whole.manual;
    let mut kinds: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for group in manual.groups.values() {
        let of = link(manual, group.page, &group.id);
        for typed in &group.typed {
            let rows = kinds.entry(typed.kind.value.as_str()).or_default();
            rows.push(format!(
                "<tr><td class=\"ops-of\">{}</td><td>{}</td><td>{of}</td></tr>",
                code(&typed.resource.value),
                tables::attributes(&typed.attributes)
            ));
        }
    }
    let mut page = String::new();
    for (kind, rows) in kinds {
        page += &format!(
            "## {kind}\n\n{}",
            table(&["Resource", "Must be", "Group"], rows.into_iter())
        );
    }
    let scripts = manual.groups.values().flat_map(|group| {
        let checks = group.checks.iter();
        checks.map(|check| {
            format!(
                "<tr><td class=\"ops-of\">{}</td><td>{}</td><td>{}</td></tr>",
                link(manual, check.page, &check.name),
                text(check.title.trim_end_matches(':')),
                link(manual, group.page, &group.id)
            )
        })
    });
    let scripts = table(&["Check", "What", "Group"], scripts);
    if !scripts.is_empty() {
        page += &format!("## Scripts\n\n{scripts}");
    }
    page
}

fn variables(whole: &Whole<'_>, survey: &Survey<'_>) -> String {
    let rows = survey.variables.iter().flat_map(|(name, own)| {
        let mut set: Vec<String> = own.set.iter().cloned().collect();
        match own.own {
            0 => {}
            1 => set.push("1 node by itself".to_owned()),
            many => set.push(format!("{many} nodes by themselves")),
        }
        let used = whole.blocks.uses.get(name).into_iter().flatten();
        let used = used.map(|(page, block)| link(whole.manual, *page, block));
        rows_of(name, &set, &used.collect::<Vec<String>>())
    });
    table(&["Name", "Set", "Used"], rows)
}

/// The rows of a variable; the first has its anchor.
fn rows_of(name: &str, set: &[String], used: &[String]) -> Vec<String> {
    let rows = set.len().max(used.len()).div_ceil(PLACES).max(1);
    let row = |row: usize| {
        let part = |all: &[String], between: &str| {
            let part = all.chunks(PLACES).nth(row).unwrap_or_default();
            part.join(between)
        };
        let anchor = (row == 0).then(|| format!(" id=\"{}\"", attribute(name)));
        let anchor = anchor.unwrap_or_default();
        format!(
            "<tr><td class=\"ops-of\"{anchor}>{}</td><td>{}</td><td>{}</td></tr>",
            code(name),
            part(set, "<br>"),
            part(used, ", ")
        )
    };
    (0..rows).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_of_many_places_has_many_rows_and_one_anchor() {
        let places: Vec<String> = (0..=PLACES).map(|n| format!("place {n}")).collect();
        let rows = rows_of("port", &["set".to_owned()], &places);
        assert_eq!(rows.len(), 2);
        assert!(rows[0].contains("id=\"port\"") && rows[0].contains("<td>set</td>"));
        assert!(!rows[1].contains("id="), "{}", rows[1]);
        assert!(rows[1].ends_with(&format!("<td></td><td>place {PLACES}</td></tr>")));
        assert_eq!(rows_of("port", &[], &[]).len(), 1);
    }
}
