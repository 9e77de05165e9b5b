//! A file of tasks of an Ansible role -> a page: an honest skeleton. A plain task is a step; every
//! other one is a block for a person, with the task's own text in it.

use crate::page::{Page, id};
use crate::yaml::{Map, Value, Yaml};
use crate::{Imported, NotUnderstood, bounded, document};

/// Words of a task that change when, how often, where or with what it is done.
const BESIDES: [&str; 22] = [
    "when",
    "loop",
    "with_items",
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
    "block",
    "rescue",
    "vars",
    "args",
    "environment",
];
/// Words that say nothing about what is done.
const QUIET: [&str; 6] = ["name", "tags", "become", "become_user", "notify", "no_log"];

/// Reads `tasks/main.yml`, or a list of handlers.
///
/// # Errors
/// Where it is no list of tasks, or less than a third of them is plain.
pub fn role(name: &str, text: &str) -> Result<Imported, NotUnderstood> {
    bounded(name, text)?;
    let yaml = document(name, text)?;
    let Value::Seq(tasks) = &yaml.value else {
        return Err(NotUnderstood(format!(
            "`{name}` is no list of tasks: it is {}",
            yaml.kind()
        )));
    };
    let tasks: Vec<(&Yaml, &Map)> = tasks
        .iter()
        .filter_map(|task| Some((task, task.as_map()?)))
        .collect();
    let plain: Vec<Option<Plain>> = tasks.iter().map(|(_, task)| plain(task)).collect();
    let count = plain.iter().flatten().count();
    if count * 3 < tasks.len() {
        return Err(NotUnderstood(format!(
            "{count} of {} tasks are plain: write the page from what the role is to reach, and check that",
            tasks.len()
        )));
    }
    let title = id(name
        .trim_end_matches("/tasks/main.yml")
        .trim_end_matches("/tasks/main.yaml"));
    let mut page = Page::new(
        &title,
        "ansible",
        &format!("{name}, {count} of {} tasks", tasks.len()),
    );
    page.block("", "yaml procedure", &format!("id: {title}\n"));
    for ((yaml, task), plain) in tasks.iter().zip(plain) {
        let said = task
            .get("name")
            .and_then(|name| name.value.text())
            .unwrap_or("A task without a name");
        if let Some(plain) = plain {
            let sudo = if plain.root { " sudo" } else { "" };
            page.step(said, &format!("sh step{sudo}"), &plain.script);
        } else {
            let place = yaml.span.place();
            page.manual(said, &own_text(text, yaml), place, &why(task));
        }
        if let Some(notify) = task.get("notify") {
            page.left_out(
                notify.key.place(),
                "`notify`: the handler's step comes behind this one",
            );
        }
    }
    Ok(page.done())
}

struct Plain {
    script: String,
    root: bool,
}

/// What keeps a task from being a step.
fn why(task: &Map) -> String {
    match BESIDES.iter().find(|word| task.contains_key(**word)) {
        Some(word) => format!("a task with `{word}`"),
        None => "a module, or a template in a value, that is not plainly a command".to_owned(),
    }
}

/// The lines of a task, as they are written.
fn own_text(text: &str, yaml: &Yaml) -> String {
    let start = (yaml.span.start as usize).min(text.len());
    let begin = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let mut lines = text[begin..].lines();
    let mut own: Vec<&str> = lines.next().into_iter().collect();
    own.extend(lines.take_while(|line| line.starts_with(' ') || line.trim().is_empty()));
    own.join("\n").trim_end().to_owned() + "\n"
}

/// The task as a command, where it is one of the plain modules, without conditions, and each of
/// its values is a text as it stands.
fn plain(task: &Map) -> Option<Plain> {
    if BESIDES.iter().any(|word| task.contains_key(*word)) {
        return None;
    }
    let mut modules = task
        .iter()
        .filter(|(word, _)| !QUIET.contains(&word.as_str()));
    let (module, entry) = modules.next()?;
    if modules.next().is_some() {
        return None;
    }
    let module = module.rsplit('.').next().unwrap_or(module);
    let given = Given::of(&entry.value)?;
    let script = given.command(module)?;
    Some(Plain {
        script: script + "\n",
        root: !matches!(module, "command" | "shell" | "raw") || task.contains_key("become"),
    })
}

/// What a module is given: one text, or texts by name.
struct Given {
    free: Option<String>,
    named: Vec<(String, String)>,
}

impl Given {
    fn of(yaml: &Yaml) -> Option<Given> {
        let plain = |yaml: &Yaml| match &yaml.value {
            Value::Bool(flag) => Some(if *flag { "yes" } else { "no" }.to_owned()),
            Value::Int(_, text) | Value::Float(_, text) | Value::Str(text) => {
                Some(text.clone()).filter(|text| !text.contains("{{") && !text.contains("{%"))
            }
            _ => None,
        };
        if let Value::Map(map) = &yaml.value {
            let pair = |(key, entry): (&'_ String, &'_ crate::yaml::Entry)| {
                Some((key.clone(), plain(&entry.value)?))
            };
            let named: Option<Vec<_>> = map.iter().map(pair).collect();
            return Some(Given {
                free: None,
                named: named?,
            });
        }
        let free = plain(yaml)?;
        // `name=x state=present`
        let mut words = free.split_whitespace();
        if words.all(|word| word.contains('=')) {
            return None;
        }
        Some(Given {
            free: Some(free),
            named: Vec::new(),
        })
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.named
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// All that is given is understood: these names, and no other.
    fn only(&self, names: &[&str]) -> Option<()> {
        self.named
            .iter()
            .all(|(name, _)| names.contains(&name.as_str()))
            .then_some(())
    }

    fn command(&self, module: &str) -> Option<String> {
        match module {
            "command" | "shell" | "raw" => {
                self.only(&["cmd", "creates", "chdir"])?;
                let command = self.free.as_deref().or(self.get("cmd"))?;
                let there = self
                    .get("chdir")
                    .map(|folder| format!("cd {}\n", quoted(folder)))
                    .unwrap_or_default();
                let unless = self
                    .get("creates")
                    .map(|file| format!("test -e {} ||\n", quoted(file)))
                    .unwrap_or_default();
                Some(format!("{there}{unless}{}", command.trim_end()))
            }
            "apt" | "package" | "yum" | "dnf" => {
                self.only(&["name", "pkg", "state", "update_cache"])?;
                let name = quoted(self.get("name").or(self.get("pkg"))?);
                let verb = match self.get("state").unwrap_or("present") {
                    "present" | "installed" => "install",
                    "absent" | "removed" => "remove",
                    _ => return None,
                };
                let program = if module == "apt" || module == "package" {
                    "apt-get"
                } else {
                    module
                };
                let update = if self.get("update_cache") == Some("yes") && program == "apt-get" {
                    "apt-get update\n"
                } else {
                    ""
                };
                Some(format!("{update}{program} {verb} -y {name}"))
            }
            "service" | "systemd" | "systemd_service" => self.service(),
            "file" => self.file(),
            "get_url" => {
                self.only(&["url", "dest", "mode"])?;
                let (url, to) = (quoted(self.get("url")?), quoted(self.get("dest")?));
                let mode = self
                    .get("mode")
                    .map(|mode| format!("\nchmod {} {to}", quoted(mode)))
                    .unwrap_or_default();
                Some(format!("curl -fsSL -o {to} {url}{mode}"))
            }
            "hostname" => self
                .only(&["name"])
                .and(self.get("name"))
                .map(|name| format!("hostnamectl set-hostname {}", quoted(name))),
            "timezone" => self
                .only(&["name"])
                .and(self.get("name"))
                .map(|name| format!("timedatectl set-timezone {}", quoted(name))),
            _ => None,
        }
    }

    fn service(&self) -> Option<String> {
        self.only(&["name", "state", "enabled", "daemon_reload"])?;
        let name = quoted(self.get("name")?);
        let mut lines = Vec::new();
        if self.get("daemon_reload") == Some("yes") {
            lines.push("systemctl daemon-reload".to_owned());
        }
        match self.get("enabled") {
            Some("yes" | "true") => lines.push(format!("systemctl enable {name}")),
            Some("no" | "false") => lines.push(format!("systemctl disable {name}")),
            Some(_) => return None,
            None => {}
        }
        match self.get("state") {
            Some("started") => lines.push(format!("systemctl start {name}")),
            Some("stopped") => lines.push(format!("systemctl stop {name}")),
            Some("restarted") => lines.push(format!("systemctl restart {name}")),
            Some("reloaded") => lines.push(format!("systemctl reload {name}")),
            Some(_) => return None,
            None => {}
        }
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    fn file(&self) -> Option<String> {
        self.only(&["path", "dest", "state", "mode", "owner", "group", "src"])?;
        let path = quoted(self.get("path").or(self.get("dest"))?);
        let mut lines = vec![match self.get("state")? {
            "directory" => format!("mkdir -p {path}"),
            "absent" => format!("rm -rf {path}"),
            "touch" => format!("touch {path}"),
            "link" => format!("ln -sfn {} {path}", quoted(self.get("src")?)),
            _ => return None,
        }];
        if let Some(mode) = self.get("mode") {
            // Ansible's YAML reads 0644 as a number; it is written as it stands in the file.
            lines.push(format!("chmod {} {path}", quoted(mode)));
        }
        match (self.get("owner"), self.get("group")) {
            (Some(owner), Some(group)) => lines.push(format!(
                "chown {} {path}",
                quoted(&format!("{owner}:{group}"))
            )),
            (Some(owner), None) => lines.push(format!("chown {} {path}", quoted(owner))),
            (None, Some(group)) => lines.push(format!("chgrp {} {path}", quoted(group))),
            (None, None) => {}
        }
        Some(lines.join("\n"))
    }
}

/// One word of a shell.
fn quoted(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_@%+=:,./-".contains(letter);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}
