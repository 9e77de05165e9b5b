//! Converts the tasks of an Ansible role into a draft page. Each task becomes a step with its name:
//! a simple one with a command; any other as a block for a person, with the open questions, the
//! command if the module has an obvious one, and the task's text.

mod module;

use std::collections::{BTreeMap, BTreeSet};

use crate::known::is_reserved;
use crate::page::{Page, id};
use crate::yaml::{Map, Value, Yaml};
use crate::{Imported, NotUnderstood, bounded, document};

use module::Given;

/// Task keywords that change when, how often, where or with what it runs; loops over lists are
/// supported.
const BESIDES: [&str; 20] = [
    "when",
    "with_dict",
    "with_first_found",
    "with_nested",
    "with_fileglob",
    "until",
    "retries",
    "register",
    "delegate_to",
    "run_once",
    "failed_when",
    "changed_when",
    "ignore_errors",
    "async",
    "poll",
    "rescue",
    "vars",
    "args",
    "environment",
    "loop_control",
];
const LOOPS: [&str; 3] = ["loop", "with_items", "with_list"];
/// Task keywords without influence on its effect.
const QUIET: [&str; 7] = [
    "name",
    "tags",
    "become",
    "become_user",
    "notify",
    "no_log",
    "listen",
];
/// The most loop items that are written out.
const MOST_ITEMS: usize = 20;

/// Reads `tasks/main.yml`, or a list of handlers. `defaults` is the text of `defaults/main.yml`:
/// its plain values become the parameters' defaults.
///
/// # Errors
/// If it is not a list of tasks.
pub fn role(name: &str, text: &str, defaults: Option<&str>) -> Result<Imported, NotUnderstood> {
    bounded(name, text)?;
    let yaml = document(name, text)?;
    let Value::Seq(tasks) = &yaml.value else {
        return Err(NotUnderstood(format!(
            "`{name}` is not a list of tasks: it is {}",
            yaml.kind()
        )));
    };
    let tasks: Vec<Task<'_>> = { tasks.iter() }
        .filter_map(|yaml| Some(Task::read(yaml, yaml.as_map()?)))
        .collect();
    if tasks.is_empty() {
        return Err(NotUnderstood(format!("`{name}` has no task")));
    }
    let count = tasks.iter().filter(|task| task.is_plain()).count();
    let title = id(title(name));
    let about = format!("{name}, {count} of {} tasks", tasks.len());
    let mut page = Page::new(&title, "ansible", &about);
    page.block("", "yaml procedure", &contract(&title, &tasks, defaults));
    for task in &tasks {
        task.write(&mut page, name, text);
    }
    Ok(page.done())
}

/// The name of the role, and of the file if it is not the main one.
fn title(name: &str) -> &str {
    let main = name
        .strip_suffix("/main.yml")
        .or(name.strip_suffix("/main.yaml"));
    match main {
        Some(folder) => folder.strip_suffix("/tasks").unwrap_or(folder),
        None => name,
    }
}

/// The procedure; each variable of a simple task becomes a parameter.
fn contract(title: &str, tasks: &[Task<'_>], defaults: Option<&str>) -> String {
    let mut text = format!("id: {title}\n");
    let plain = tasks.iter().filter(|task| task.is_plain());
    let names: BTreeSet<&String> = plain.flat_map(|task| &task.variables).collect();
    let known = defaults.map(plain_values).unwrap_or_default();
    if !names.is_empty() {
        text += "params:\n";
    }
    for name in names {
        let what = match known.get(name) {
            Some(value) => format!("default: {}", yaml_text(value)),
            None => "required: true".to_owned(),
        };
        text += &format!("  {name}: {{{what}}}\n");
    }
    text
}

/// Plain text values in a role's defaults.
fn plain_values(text: &str) -> BTreeMap<String, String> {
    let values = bounded("defaults", text).and_then(|()| document("defaults", text));
    let Ok(values) = values else {
        return BTreeMap::new();
    };
    let map = values.as_map().into_iter().flatten();
    let plain = map.filter_map(|(name, entry)| Some((name.clone(), module::scalar(&entry.value)?)));
    plain
        .filter(|(_, value)| !module::is_template(value) && !value.contains(['\n', '$']))
        .collect()
}

/// A quoted text, valid in both YAML and JSON.
fn yaml_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

struct Task<'a> {
    yaml: &'a Yaml,
    map: &'a Map,
    /// Its command, if the module has an obvious one.
    command: Option<String>,
    root: bool,
    /// What the command leaves out, with instructions.
    open: Vec<String>,
    /// The role's variables in the command.
    variables: BTreeSet<String>,
}

impl<'a> Task<'a> {
    fn read(yaml: &'a Yaml, map: &'a Map) -> Task<'a> {
        let mut task = Task {
            yaml,
            map,
            command: None,
            root: map.contains_key("become"),
            open: Vec::new(),
            variables: BTreeSet::new(),
        };
        for word in BESIDES {
            if let Some(entry) = map.get(word) {
                let said = entry
                    .value
                    .text()
                    .map(|text| format!(": {}", one_line(text)));
                task.open
                    .push(format!("`{word}`{}", said.unwrap_or_default()));
            }
        }
        let own = |word: &str| {
            !QUIET.contains(&word) && !BESIDES.contains(&word) && !LOOPS.contains(&word)
        };
        let mut modules = map.iter().filter(|(word, _)| own(word));
        let Some((module, entry)) = modules.next().filter(|_| modules.next().is_none()) else {
            task.open
                .push("which of its words is the module".to_owned());
            return task;
        };
        let module = module.rsplit('.').next().unwrap_or(module);
        if let Some(others) = other_file(module, &entry.value) {
            task.open.push(others);
            return task;
        }
        if !matches!(module, "command" | "shell" | "raw") {
            task.root = true;
        }
        match task.commands(module, &entry.value) {
            Some(command) => task.command = Some(command + "\n"),
            None => task.open.push(match module {
                "template" | "copy" => format!("`{module}`: a `file to=` block, or `deliver`"),
                module => format!("`{module}`: what it does, as a command"),
            }),
        }
        task
    }

    /// The module's command, once for each item of its loop.
    fn commands(&mut self, module: &str, given: &Yaml) -> Option<String> {
        let mut loops = LOOPS
            .iter()
            .filter_map(|word| Some((word, self.map.get(*word)?)));
        let Some((word, list)) = loops.next() else {
            let given = Given::of(given, None)?;
            self.variables = given.variables();
            return given.command(module);
        };
        let items = match &list.value.value {
            Value::Seq(items) if items.len() <= MOST_ITEMS => items,
            _ => {
                let said = list
                    .value
                    .text()
                    .map(|text| format!(": {}", one_line(text)));
                self.open
                    .push(format!("`{word}`{}", said.unwrap_or_default()));
                return None;
            }
        };
        let mut commands = Vec::new();
        for item in items {
            let given = Given::of(given, Some(item))?;
            self.variables.extend(given.variables());
            commands.push(given.command(module)?);
        }
        (!commands.is_empty()).then(|| commands.join("\n"))
    }

    /// A complete step: nothing is left to a person.
    fn is_plain(&self) -> bool {
        self.command.is_some()
            && self.open.is_empty()
            && !self.variables.iter().any(|name| is_reserved(name))
    }

    fn write(&self, page: &mut Page, name: &str, text: &str) {
        let said = self.map.get("name").and_then(|name| name.value.text());
        let said = said.unwrap_or("A task without a name");
        match &self.command {
            Some(command) if self.is_plain() => {
                let sudo = if self.root { " sudo" } else { "" };
                page.step(said, &format!("sh step{sudo}"), command);
            }
            command => {
                let open = if self.open.is_empty() {
                    "a value with a name that nodes have".to_owned()
                } else {
                    self.open.join(", ")
                };
                let command = command.as_deref();
                let command = command
                    .map(|command| format!("{command}\n"))
                    .unwrap_or_default();
                let own = own_text(text, self.yaml);
                let body = format!("To do: {open}.\n\n{command}{own}");
                page.manual(said, &body, self.yaml.span.place(), &open);
            }
        }
        if let Some(notify) = self.map.get("notify") {
            let handlers = name.split("/tasks/").next().unwrap_or(name);
            page.left_out(
                notify.key.place(),
                &format!(
                    "`notify`: the handler's step comes behind this one (`opsbook import role {handlers}/handlers/main.yml`)"
                ),
            );
        }
    }
}

/// A description of the other files that a task uses.
fn other_file(module: &str, given: &Yaml) -> Option<String> {
    let what = match module {
        "include_tasks" | "import_tasks" | "include" => "the tasks of",
        "include_role" | "import_role" => "the role",
        "include_vars" => "the values of",
        _ => return None,
    };
    let by_name = |name: &str| given.as_map().and_then(|map| map.get(name)?.value.text());
    let file = given.text().or(by_name("file")).or(by_name("name"));
    let file = one_line(file.unwrap_or("another file"));
    Some(format!(
        "`{module}`: {what} `{file}`, imported by themselves"
    ))
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

/// The lines of a task, as written.
fn own_text(text: &str, yaml: &Yaml) -> String {
    let start = (yaml.span.start as usize).min(text.len());
    let begin = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let mut lines = text[begin..].lines();
    let mut own: Vec<&str> = lines.next().into_iter().collect();
    own.extend(lines.take_while(|line| line.starts_with(' ') || line.trim().is_empty()));
    own.join("\n").trim_end().to_owned() + "\n"
}
