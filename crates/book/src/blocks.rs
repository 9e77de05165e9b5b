//! Data for copying a block as it would run: files for groups of pages, loaded by the book's script
//! when such a page is read. They contain texts of the manual and no values of nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::interpolation::{Piece, pieces};
use crate::manual::{
    Check, Count, Delivery, DeliveryFrom, Expect, ExpectKind, Group, Machine, Manual, On,
    Procedure, Script, Step, SudoUser, Work,
};
use crate::plan::heading;
use crate::plan::uses::{self, From, Use};
use crate::yaml::{self, Yaml};

/// The script's data about pages, and the names that it needs from nodes.
#[derive(Default)]
pub(super) struct Blocks {
    /// For each page, its blocks as JSON without the outer braces. Removed once they are written:
    /// in a large book they are as long as its pages.
    pages: Mutex<BTreeMap<usize, String>>,
    /// Whether any page has a block.
    any: bool,
    /// Names whose values some page uses.
    pub(super) names: BTreeSet<String>,
    /// Names of parameters: an argument can replace a node's value.
    pub(super) params: BTreeSet<String>,
    /// Selectors of where something may run.
    pub(super) selectors: BTreeSet<String>,
    /// The roles of the current procedure.
    roles: BTreeSet<String>,
    /// The current block.
    here: Place,
    /// By name, the blocks that mention it.
    pub(super) uses: BTreeMap<String, BTreeSet<Place>>,
}

/// A block: the index of its page, and its name.
pub(super) type Place = (usize, Arc<str>);

/// How many pages share a file: creating a file takes longer than filling it.
const PAGES: usize = 16;

/// The number of the file with a page's blocks. A page contains only this number: whatever an
/// author writes, the script loads only the book's own files.
pub(super) fn key(page: usize) -> usize {
    page / PAGES
}

/// A script that passes data to the book's script. The data cannot end the script or the line.
pub(super) fn call(function: &str, arguments: &[Value]) -> String {
    call_of("opsbook", function, arguments)
}

/// The same for another of its scripts.
pub(super) fn call_of(whose: &str, function: &str, arguments: &[Value]) -> String {
    let arguments: Vec<String> = arguments.iter().map(Value::to_string).collect();
    called(whose, function, &arguments)
}

/// The same with arguments that are already JSON.
pub(super) fn called(whose: &str, function: &str, arguments: &[String]) -> String {
    let text = format!("{whose}.{function}({});\n", arguments.join(","));
    if !text.contains(['<', '\u{2028}', '\u{2029}']) {
        return text;
    }
    let text = text.replace('<', "\\u003c");
    text.replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

impl Blocks {
    pub(super) fn of(manual: &Manual) -> Blocks {
        let mut blocks = Blocks::default();
        for procedure in manual.procedures.values() {
            blocks.procedure(procedure);
        }
        for group in manual.groups.values() {
            blocks.group(group);
        }
        blocks
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.any
    }

    /// Writes the files into the folder of the book's assets, once.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let folder = folder.join("blocks");
        std::fs::create_dir_all(&folder)?;
        let pages = std::mem::take(&mut *self.pages.lock().unwrap_or_else(PoisonError::into_inner));
        let mut pages = pages.into_iter().peekable();
        while let Some((page, _)) = pages.peek() {
            let key = key(*page);
            let mut text = String::new();
            while let Some((_, blocks)) = pages.next_if(|(page, _)| self::key(*page) == key) {
                text += &called("opsbook", "page", &[format!("{{{blocks}}}")]);
            }
            std::fs::write(folder.join(format!("{key}.js")), text)?;
        }
        Ok(())
    }

    fn put(&mut self, page: usize, name: &str, block: Value) {
        self.any = true;
        let pages = self.pages.get_mut().unwrap_or_else(PoisonError::into_inner);
        let blocks = pages.entry(page).or_default();
        if !blocks.is_empty() {
            blocks.push(',');
        }
        // Writing into a string cannot fail.
        let _ = write!(blocks, "{}:{block}", json!(name));
    }

    fn procedure(&mut self, procedure: &Procedure) {
        let page = procedure.page;
        self.begin(page, &procedure.id);
        let nodes = procedure.nodes.as_ref().map(|nodes| nodes.value.clone());
        self.selectors.extend(nodes.clone());
        let params: Vec<Value> = procedure
            .params
            .iter()
            .map(|(name, param)| {
                json!({
                    "name": name, "default": param.default, "required": param.required,
                    "pattern": param.pattern, "help": param.help,
                })
            })
            .collect();
        self.params.extend(procedure.params.keys().cloned());
        for text in procedure
            .params
            .values()
            .filter_map(|param| param.default.as_deref())
        {
            self.mention(text);
        }
        let block = json!({"kind": "procedure", "nodes": nodes, "params": params});
        let mut block = object(block);
        let roles = procedure.roles.iter().map(|(name, role)| {
            self.selectors.insert(role.nodes.value.clone());
            let several = role.count != Count::One;
            json!([name, role.how_many(), role.nodes.value, several])
        });
        put_unless_empty(&mut block, "roles", roles.collect());
        self.put(page, &procedure.id, Value::Object(block));
        self.roles = procedure.roles.keys().cloned().collect();
        let uses = uses::of_procedure(procedure);
        let turn = |number: usize| {
            let mut sections = procedure.sections.iter();
            let each = sections.find(|each| each.steps.contains(&number));
            each.map(|each| each.role.value.as_str())
        };
        let mut checks: Vec<(&Check, Option<&str>)> = Vec::new();
        for (step, uses) in procedure.steps.iter().zip(&uses.steps) {
            let turn = turn(step.number);
            self.step(page, procedure, step, uses, turn);
            checks.extend(step.checks.iter().map(|check| (check, turn)));
        }
        for each in &procedure.sections {
            let role = Some(each.role.value.as_str());
            checks.extend(each.before.iter().map(|check| (check, role)));
        }
        let after = procedure.after.iter().flat_map(|(_, checks)| checks);
        checks.extend(
            procedure
                .before
                .iter()
                .chain(after)
                .map(|check| (check, None)),
        );
        for (check, turn) in checks {
            let own = uses.checks.get(&(check.page, check.block));
            let own = own.map_or(&[][..], Vec::as_slice);
            self.check(&procedure.id, check, own, turn);
        }
        self.roles.clear();
    }

    fn step(
        &mut self,
        page: usize,
        procedure: &Procedure,
        step: &Step,
        uses: &[Use],
        turn: Option<&str>,
    ) {
        self.begin(page, &procedure.name_of(step));
        let label = step.id.clone().unwrap_or_else(|| step.number.to_string());
        let checks: Vec<&str> = step
            .checks
            .iter()
            .map(|check| check.name.as_str())
            .collect();
        let mut block = match &step.work {
            Work::Script(script) => self.script(script, uses, step.expect.as_ref()),
            Work::Deliver(files) => self.deliver(files),
            Work::Place(place) => {
                // The script is the same for all nodes; a template is rendered for each node.
                object(match crate::plan::alone(place) {
                    Some(text) => json!({
                        "kind": "script", "with": "sh", "text": text, "place": place.to,
                    }),
                    None => json!({"kind": "place", "place": place.to}),
                })
            }
            Work::Manual(text) => {
                self.mention(&text.text);
                object(json!({"kind": "manual", "text": text.text.trim()}))
            }
        };
        block.extend(object(json!({
            "of": procedure.id,
            "step": heading(step.number, &label),
            "label": label,
        })));
        put_unless_empty(&mut block, "checks", json!(checks));
        place(&mut block, step.on, step.sudo.as_ref(), &step.exit);
        put_machine(&mut block, step.machine.as_ref(), turn);
        if let Some(name) = &step.capture {
            block.insert("capture".into(), json!(name));
        }
        self.put(page, &procedure.name_of(step), Value::Object(block));
    }

    fn group(&mut self, group: &Group) {
        let page = group.page;
        self.begin(page, &group.id);
        let nodes = group.nodes.as_ref().map(|nodes| nodes.value.clone());
        self.selectors.extend(nodes.clone());
        self.put(page, &group.id, json!({"kind": "group", "nodes": nodes}));
        for typed in &group.typed {
            self.mention(&typed.resource.value);
            self.mention_all(&typed.attributes);
        }
        for check in &group.checks {
            self.check(&group.id, check, &uses::of_check(check), None);
        }
    }

    fn check(&mut self, of: &str, check: &Check, uses: &[Use], turn: Option<&str>) {
        self.begin(check.page, &check.name);
        let mut block = self.script(&check.script, uses, check.expect.as_ref());
        block.insert("of".into(), json!(of));
        place(&mut block, check.on, check.sudo.as_ref(), &check.exit);
        put_machine(&mut block, check.machine.as_ref(), turn);
        if let Some(nodes) = &check.nodes {
            self.selectors.insert(nodes.value.clone());
            block.insert("nodes".into(), json!(nodes.value));
        }
        if let Some(again) = check.eventually {
            let (limit, every) = (again.limit.as_secs(), again.every.as_secs().max(1));
            block.insert("again".into(), json!([limit.div_ceil(every), every]));
        }
        self.put(check.page, &check.name, Value::Object(block));
    }

    fn script(
        &mut self,
        script: &Script,
        uses: &[Use],
        expect: Option<&Expect>,
    ) -> Map<String, Value> {
        let mut block = object(json!({
            "kind": "script", "with": script.interpreter, "text": &*script.text.text,
        }));
        let used = uses.iter().map(|used| {
            let (from, step) = match &used.from {
                From::Value => ("value", None),
                From::Optional => ("optional", None),
                From::Earlier(step) => ("earlier", Some(step)),
                From::Captured(step) => ("captured", Some(step)),
                From::Run => ("run", None),
                From::Role(role) => ("role", Some(role)),
            };
            json!([used.name, from, step])
        });
        put_unless_empty(&mut block, "uses", used.collect());
        for used in uses {
            self.name(&used.name);
        }
        let commands = script.commands.iter().map(|command| {
            let expect = command.expect.as_ref().map(|expect| self.expect(expect));
            json!({"text": &*command.text.text, "exit": command.exit, "expect": expect})
        });
        put_unless_empty(&mut block, "commands", commands.collect());
        if let Some(expect) = expect {
            let expect = self.expect(expect);
            block.insert("expect".into(), expect);
        }
        block
    }

    fn expect(&mut self, expect: &Expect) -> Value {
        let text: &str = &expect.text.text;
        self.mention(text);
        let exact = expect.kind == ExpectKind::Text
            && !text.contains("[..]")
            && !text.lines().any(|line| line.trim() == "...");
        let kind = match expect.kind {
            ExpectKind::Text if exact => "exact",
            ExpectKind::Text => "text",
            ExpectKind::Regex => "regex",
            ExpectKind::Json => "json",
        };
        json!({"kind": kind, "text": text})
    }

    fn deliver(&mut self, files: &[Delivery]) -> Map<String, Value> {
        let files: Vec<Value> = files
            .iter()
            .map(|file| {
                let (what, from) = match &file.from {
                    DeliveryFrom::File(path) => ("the file", path.as_str()),
                    DeliveryFrom::Tree(path) => ("the folder", path.as_str()),
                    DeliveryFrom::Template(path) => ("the template", path.as_str()),
                    DeliveryFrom::Inline(_) | DeliveryFrom::Placed(_) => {
                        ("the text of this block", "")
                    }
                    DeliveryFrom::Machine { path, .. } => {
                        ("from another machine the file", path.as_str())
                    }
                };
                self.mention(from);
                self.mention(&file.to);
                json!([what, from, file.to])
            })
            .collect();
        object(json!({"kind": "deliver", "files": files}))
    }

    fn mention(&mut self, text: &str) {
        for piece in pieces(text) {
            if let Piece::Name(name, _) = piece {
                self.name(name);
            }
        }
    }

    /// A name that a page uses. For `new_address` with a role `new`, nodes have the name `address`.
    fn name(&mut self, name: &str) {
        let own = match name.split_once('_') {
            Some((role, own)) if self.roles.contains(role) => own,
            None if self.roles.contains(name) => return,
            _ => name,
        };
        self.names.insert(own.to_owned());
        match self.uses.get_mut(name) {
            Some(places) => drop(places.insert(self.here.clone())),
            None => drop((self.uses).insert(name.to_owned(), BTreeSet::from([self.here.clone()]))),
        }
    }

    fn begin(&mut self, page: usize, name: &str) {
        self.here = (page, name.into());
    }

    fn mention_all(&mut self, value: &Yaml) {
        match &value.value {
            yaml::Value::Map(map) => map
                .iter()
                .for_each(|(_, entry)| self.mention_all(&entry.value)),
            yaml::Value::Seq(items) => items.iter().for_each(|item| self.mention_all(item)),
            _ => self.mention(value.text().unwrap_or_default()),
        }
    }
}

fn place(block: &mut Map<String, Value>, on: On, sudo: Option<&SudoUser>, exit: &[i32]) {
    if on == On::Local {
        block.insert("local".into(), json!(true));
    }
    if let Some(SudoUser(user)) = sudo {
        block.insert("sudo".into(), json!(user));
    }
    if !exit.is_empty() && exit != [0] {
        block.insert("exit".into(), json!(exit));
    }
}

/// The role where the block runs, on how many of its nodes, and the role whose nodes have turns.
/// at a time has its turn.
fn put_machine(block: &mut Map<String, Value>, machine: Option<&Machine>, turn: Option<&str>) {
    if let Some(turn) = turn {
        block.insert("turn".into(), json!(turn));
    }
    if let Some(machine) = machine {
        block.insert("role".into(), json!(machine.role()));
        block.insert("place".into(), json!(machine.place()));
    }
    if let Some(Machine::All(_)) = machine {
        block.insert("all".into(), json!(true));
    }
}

fn put_unless_empty(block: &mut Map<String, Value>, name: &str, list: Value) {
    if list.as_array().is_some_and(|list| !list.is_empty()) {
        block.insert(name.to_owned(), list);
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_in_a_script_ends_neither_the_script_nor_a_line() {
        let hostile = "</script><!-- \u{2028}\u{2029}\"'\\\n";
        let text = call("page", &[json!(hostile)]);
        assert_eq!(text.lines().count(), 1);
        assert!(!text.contains(['<', '\u{2028}', '\u{2029}']), "{text}");
        let json = text.strip_prefix("opsbook.page(").unwrap();
        let json = json.strip_suffix(");\n").unwrap();
        let back: String = serde_json::from_str(json).unwrap();
        assert_eq!(back, hostile);
    }
}
