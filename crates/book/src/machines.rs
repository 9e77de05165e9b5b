//! The chapter about nodes: a list, and data for the page of a chosen node (origins of values,
//! checks, runs, templates) in files of several nodes each, loaded on demand. Contains only values
//! that the manual uses; secrets appear only by name.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::files::Files;
use crate::manual::{DeliveryFrom, How, Place, Procedure, Work};
use crate::nodes::{Node, Origin, Text};
use crate::plan::RUN_NAMES;
use crate::source::{Passage, Span};
use crate::template::{Template, render};

use super::blocks::call_of;
use super::html::{code, table};
use super::links::html_path;
use super::refer::{node_link, place_of};
use super::results::{KINDS, Mark, State};
use super::whole::{Whole, selected, selectors_of};

/// The approximate number of bytes in a file.
const FILE: usize = 64 * 1024;
/// How many nodes the list contains; then only their number.
const LISTED: usize = 1000;
/// The most bytes of a rendered template that are shown.
const TEMPLATE: usize = 64 * 1024;
/// The element for the page of a chosen node.
const PLACE: &str = "<div class=\"ops-node-page\"></div>";
/// The function that the data files call.
const CALLER: &str = "opsbookMachines";

/// The chapter before a node is chosen.
pub(super) fn list(whole: &Whole<'_>, members: &HashMap<String, Vec<&str>>) -> String {
    let mut groups: HashMap<&str, Vec<&str>> = HashMap::new();
    for name in whole.nodes.group_names() {
        for node in members.get(name).into_iter().flatten() {
            groups.entry(node).or_default().push(name);
        }
    }
    let marks = marks(whole);
    let rows = whole.nodes.names().take(LISTED).map(|name| {
        let groups = groups.get(name).map_or(&[][..], Vec::as_slice);
        let groups = groups.iter().map(|group| code(&format!("@{group}")));
        let groups: Vec<String> = groups.collect();
        let mut counts = [0; 6];
        for mark in marks.get(name).into_iter().flatten() {
            counts[mark.state.place()] += 1;
        }
        let state = KINDS.iter().zip(counts).filter(|(_, count)| *count > 0);
        let state: Vec<String> = state
            .map(|((kind, sign, words), count)| {
                format!("<span class=\"ops-result ops-{kind}\"><strong>{sign}</strong> {count} {words}</span>")
            })
            .collect();
        format!(
            "<tr><td class=\"ops-of\">{}</td><td>{}</td><td>{}</td></tr>",
            node_link(name),
            groups.join(" "),
            state.join(" ")
        )
    });
    let more = whole.nodes.names().len().saturating_sub(LISTED);
    let more = match more {
        0 => String::new(),
        more => format!(
            "{more} nodes more are found by name or group with the button at the top right.\n\n"
        ),
    };
    format!(
        "Choose one, here or at the top right, to see its values with their origins, what may run \
         on it, its checks, its last runs, and its files as they would be delivered.\n\n\
         {PLACE}\n\n## All nodes\n\n{more}{}",
        table(&["Node", "Groups", "Checks"], rows)
    )
}

/// Writes the data for the pages of nodes.
pub(super) fn write(whole: &Whole<'_>, files: &Files, folder: &Path) -> Result<()> {
    if !whole.has_chapters() || whole.nodes.names().len() == 0 {
        return Ok(());
    }
    let folder = folder.join("machines");
    std::fs::create_dir_all(&folder)?;
    let marks = marks(whole);
    let runs = whole.recorded.runs.by_node();
    let templates = Templates::of(whole);
    let mut firsts = Vec::new();
    let mut file: Vec<Value> = Vec::new();
    let mut bytes = 0;
    for (number, name) in whole.nodes.names().enumerate() {
        let mut all = Map::new();
        if let Ok(node) = whole.nodes.evaluate(name, &[]) {
            let (values, more) = origins(&node, whole);
            all.insert("values".into(), values);
            all.insert("more".into(), json!(more));
        }
        let own = marks.get(name).into_iter().flatten();
        let own = own.map(|mark| of_check(whole, mark));
        all.insert("checks".into(), own.collect());
        let own = runs.get(name).map_or(&[][..], Vec::as_slice);
        all.insert("runs".into(), own.iter().cloned().collect());
        all.insert("templates".into(), templates.on(whole, files, name));
        if bytes > FILE {
            flush(&folder, firsts.len() - 1, &mut file)?;
            bytes = 0;
        }
        if file.is_empty() {
            firsts.push(number);
        }
        let all = Value::Object(all);
        bytes += all.to_string().len();
        file.push(all);
    }
    flush(&folder, firsts.len() - 1, &mut file)?;
    let all = [procedures(whole), groups(whole), json!(firsts)];
    std::fs::write(folder.join("all.js"), call_of(CALLER, "all", &all))?;
    Ok(())
}

fn flush(folder: &Path, number: usize, file: &mut Vec<Value>) -> Result<()> {
    let all = std::mem::take(file);
    let text = call_of(CALLER, "some", &[json!(number), Value::Array(all)]);
    std::fs::write(folder.join(format!("{number}.js")), text)?;
    Ok(())
}

/// The state of each check of a node; empty if nothing is recorded.
fn marks<'a>(whole: &'a Whole<'_>) -> HashMap<&'a str, Vec<&'a Mark>> {
    let mut marks: HashMap<&str, Vec<&Mark>> = HashMap::new();
    for mark in whole.recorded.results.rows().flat_map(|(_, marks)| marks) {
        marks.entry(mark.node.as_str()).or_default().push(mark);
    }
    marks
}

fn of_check(whole: &Whole<'_>, mark: &Mark) -> Value {
    let (at, why) = match &mark.state {
        State::Failing { newest, .. }
        | State::Unseen { newest, .. }
        | State::Changed { newest, .. }
        | State::Held(newest)
        | State::Ignored(newest) => (Some(newest.at.to_string()), newest.why.as_str()),
        State::Never => (None, ""),
    };
    let place = place_of(whole.manual, &mark.check);
    json!([mark.check, mark.state.place(), at, why, place])
}

/// The values that the manual uses, each with its origin and what it overrides; and the number of
/// the node's other values.
fn origins(node: &Node, whole: &Whole<'_>) -> (Value, usize) {
    let place = |origin: &Origin| match &origin.span {
        Some(span) => format!("{} {}", origin.layer, span.place()),
        None => origin.layer.to_string(),
    };
    let mut values = Vec::new();
    let mut more = 0;
    for (name, leaf) in &node.leaves {
        if name == "node" {
            continue;
        }
        if !whole.blocks.names.contains(name) {
            more += 1;
            continue;
        }
        let shown = match node.text(name) {
            Ok(Text::Plain(value)) => json!(value),
            Ok(Text::Secret(_)) => json!({"secret": true}),
            Err(_) => json!({"wrong": true}),
        };
        let overrode: Vec<String> = leaf.overrode.iter().map(place).collect();
        values.push(json!([name, shown, place(&leaf.origin), overrode]));
    }
    (Value::Array(values), more)
}

/// Each procedure with its place, its title, and the selectors of where it may run.
fn procedures(whole: &Whole<'_>) -> Value {
    let all = whole.manual.procedures.values().filter_map(|own| {
        let page = whole.manual.pages.get(own.page)?;
        let href = format!("{}#{}", html_path(&page.path).display(), own.id);
        let roles = own.roles.iter();
        let roles = roles.map(|(name, role)| json!([name, role.nodes.value]));
        let roles: Vec<Value> = roles.collect();
        let nodes = own.nodes.as_ref().map(|nodes| &nodes.value);
        Some(json!([own.id, href, own.title, nodes, roles]))
    });
    all.collect()
}

fn groups(whole: &Whole<'_>) -> Value {
    let all = whole.manual.groups.values().filter_map(|own| {
        let page = whole.manual.pages.get(own.page)?;
        let href = format!("{}#{}", html_path(&page.path).display(), own.id);
        let nodes = own.nodes.as_ref().map(|nodes| &nodes.value);
        Some(json!([own.id, href, own.title, nodes]))
    });
    all.collect()
}

/// The templates that procedures deliver, each with its place.
struct Templates<'a> {
    all: Vec<(&'a str, &'a Procedure, Option<&'a Passage>)>,
    selected: HashMap<String, HashSet<&'a str>>,
}

impl<'a> Templates<'a> {
    fn of(whole: &Whole<'a>) -> Templates<'a> {
        let mut seen: BTreeMap<&str, (&Procedure, Option<&Passage>)> = BTreeMap::new();
        for procedure in whole.manual.procedures.values() {
            for step in &procedure.steps {
                if let Work::Place(Place {
                    to,
                    text,
                    how: How::Whole,
                    ..
                }) = &step.work
                {
                    seen.entry(to.as_str()).or_insert((procedure, Some(text)));
                }
                let Work::Deliver(files) = &step.work else {
                    continue;
                };
                for file in files {
                    if let DeliveryFrom::Template(name) = &file.from
                        && !name.contains('$')
                    {
                        seen.entry(name.as_str()).or_insert((procedure, None));
                    }
                }
            }
        }
        let all = seen.into_iter();
        let all: Vec<(&str, &Procedure, Option<&Passage>)> =
            all.map(|(name, (own, text))| (name, own, text)).collect();
        let selectors = all.iter().flat_map(|(_, own, _)| selectors_of(own));
        Templates {
            selected: selected(whole.nodes, selectors.map(str::to_owned)),
            all,
        }
    }

    /// Each as rendered on a node: `[name, text]`, or `[name, null, reason]`.
    fn on(&self, whole: &Whole<'_>, files: &Files, node: &str) -> Value {
        let here = self.all.iter().filter(|(_, procedure, _)| {
            let selectors = selectors_of(procedure);
            let mut found = selectors.iter().filter_map(|one| self.selected.get(*one));
            selectors.is_empty() || found.any(|nodes| nodes.contains(node))
        });
        here.map(|(name, procedure, text)| {
            match rendered(whole, files, procedure, (name, *text), node) {
                Ok(text) if text.len() > TEMPLATE => {
                    json!([name, null, "it is too large to be shown"])
                }
                Ok(text) => json!([name, text]),
                Err(why) => json!([name, null, why]),
            }
        })
        .collect()
    }
}

/// Renders it with the names of secrets and of values known only in a run.
fn rendered(
    whole: &Whole<'_>,
    files: &Files,
    procedure: &Procedure,
    (name, text): (&str, Option<&Passage>),
    node: &str,
) -> Result<String, String> {
    let params = procedure.params.iter();
    let params: Vec<(String, String, Span)> = params
        .filter_map(|(name, own)| Some((name.clone(), own.default.clone()?, own.span.clone())))
        .collect();
    let node = whole.nodes.evaluate_with(node, &params, &[]);
    let node = node.map_err(|_| "the node cannot be used: opsbook lint says why".to_owned())?;
    let mut values = node.template_values();
    for (name, own) in &procedure.params {
        if own.default.is_none() {
            values.text(name.as_str(), &format!("<parameter {name}>"));
        }
    }
    let captured = procedure
        .steps
        .iter()
        .filter_map(|step| step.capture.as_deref());
    for name in captured.chain(RUN_NAMES) {
        values.text(name, &format!("<{name}, known in a run>"));
    }
    for (name, own) in node.texts() {
        if let Text::Secret(_) = own {
            values.text(name.as_str(), &format!("<secret {name}>"));
        }
    }
    let template = text.map_or(Template::Named(name), Template::Alone);
    let rendered = render(files, template, &values);
    rendered
        .map(|rendered| rendered.text)
        .map_err(|problem| problem.message)
}

/// Adds the script that builds the page of a chosen node at the end.
pub(super) fn with_script(html: &str) -> Option<String> {
    const END: &str = "</body>";
    html.contains(PLACE).then_some(())?;
    let at = html.rfind(END)?;
    let (before, after) = html.split_at(at);
    let script = "<script defer src=\"opsbook/machines.js\"></script>\n";
    Some([before, script, after].concat())
}
