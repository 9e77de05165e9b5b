//! Converts an Ansible module and its arguments into shell commands.

use std::collections::BTreeSet;

use crate::yaml::{Value, Yaml};

/// A module's arguments: one text, or named texts, each of which may be a list.
pub(super) struct Given {
    free: Option<String>,
    named: Vec<(String, Vec<String>)>,
}

/// The text of a plain value; a boolean becomes `yes` or `no`.
pub(super) fn scalar(yaml: &Yaml) -> Option<String> {
    match &yaml.value {
        Value::Bool(flag) => Some(if *flag { "yes" } else { "no" }.to_owned()),
        Value::Int(_, text) | Value::Float(_, text) | Value::Str(text) => Some(text.clone()),
        _ => None,
    }
}

pub(super) fn is_template(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark))
}

impl Given {
    /// `item` is the current loop item, which is substituted. `None` if a value is neither a text
    /// nor a list of texts, or contains a template other than names.
    pub(super) fn of(yaml: &Yaml, item: Option<&Yaml>) -> Option<Given> {
        let one = |yaml: &Yaml| {
            let text = with_item(&scalar(yaml)?, item)?;
            let plain = parts(&text).is_some();
            plain.then_some(text)
        };
        if let Value::Map(map) = &yaml.value {
            let pair = |(key, entry): (&'_ String, &'_ crate::yaml::Entry)| {
                let texts: Option<Vec<String>> = match &entry.value.value {
                    Value::Seq(items) => items.iter().map(one).collect(),
                    _ => one(&entry.value).map(|text| vec![text]),
                };
                Some((key.clone(), texts?))
            };
            let named: Option<Vec<_>> = map.iter().map(pair).collect();
            return Some(Given {
                free: None,
                named: named?,
            });
        }
        let free = one(yaml)?;
        // Free form: `name=x state=present`.
        let mut words = free.split_whitespace();
        if words.all(|word| word.contains('=')) {
            let pair = |word: &str| {
                let (name, text) = word.split_once('=')?;
                let plain = !text.contains(['"', '\'']) && !is_template(text);
                plain.then(|| (name.to_owned(), vec![text.to_owned()]))
            };
            let named: Option<Vec<_>> = free.split_whitespace().map(pair).collect();
            return Some(Given {
                free: None,
                named: named?,
            });
        }
        // A name within a command's quotes cannot be converted reliably.
        (!is_template(&free)).then_some(Given {
            free: Some(free),
            named: Vec::new(),
        })
    }

    /// The role's variables in its values.
    pub(super) fn variables(&self) -> BTreeSet<String> {
        let texts = self.named.iter().flat_map(|(_, texts)| texts);
        let parts = texts.filter_map(|text| parts(text)).flatten();
        let names = parts.filter_map(|part| match part {
            Part::Name(name) => Some(name.to_owned()),
            Part::Text(_) => None,
        });
        names.collect()
    }

    fn get(&self, name: &str) -> Option<&str> {
        let (_, texts) = self.named.iter().find(|(known, _)| known == name)?;
        match texts.as_slice() {
            [one] => Some(one),
            _ => None,
        }
    }

    /// All words of an argument, each quoted.
    fn words(&self, name: &str) -> Option<String> {
        let (_, texts) = self.named.iter().find(|(known, _)| known == name)?;
        let words: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
        (!words.is_empty()).then(|| words.join(" "))
    }

    /// `None` if there are arguments other than these.
    fn only(&self, names: &[&str]) -> Option<()> {
        self.named
            .iter()
            .all(|(name, _)| names.contains(&name.as_str()))
            .then_some(())
    }

    pub(super) fn command(&self, module: &str) -> Option<String> {
        match module {
            "command" | "shell" | "raw" => {
                self.only(&["cmd", "creates", "chdir"])?;
                let command = self.free.as_deref().or(self.get("cmd"))?;
                if is_template(command) {
                    return None;
                }
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
                let name = self.words("name").or(self.words("pkg"))?;
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
            // Ansible's YAML reads 0644 as a number; use the text in the file.
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

/// A piece of a text with templates.
enum Part<'a> {
    Text(&'a str),
    /// `{{ name }}`
    Name(&'a str),
}

/// The pieces of a text; `None` if a template is more than a name.
fn parts(text: &str) -> Option<Vec<Part<'_>>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("{{") {
        let (before, behind) = rest.split_at(at);
        let (name, after) = behind[2..].split_once("}}")?;
        let name = name.trim();
        let letters = name
            .bytes()
            .all(|c| c == b'_' || c.is_ascii_lowercase() || c.is_ascii_digit());
        if !letters || !name.starts_with(|c: char| c.is_ascii_lowercase()) || is_template(before) {
            return None;
        }
        parts.push(Part::Text(before));
        parts.push(Part::Name(name));
        rest = after;
    }
    parts.push(Part::Text(rest));
    (!is_template(rest)).then_some(parts)
}

/// A text with a loop item substituted.
fn with_item(text: &str, item: Option<&Yaml>) -> Option<String> {
    let Some(item) = item else {
        return Some(text.to_owned());
    };
    let mut whole = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("{{") {
        let (name, after) = behind.split_once("}}")?;
        whole.push_str(before);
        match name.trim().split_once('.') {
            None if name.trim() == "item" => whole.push_str(&scalar(item)?),
            Some(("item", key)) => whole.push_str(&scalar(&item.as_map()?.get(key)?.value)?),
            _ => whole += &format!("{{{{{name}}}}}"),
        }
        rest = after;
    }
    Some(whole + rest)
}

/// One word for a shell, with the role's variables as shell variables.
fn quoted(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_@%+=:,./-".contains(letter);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    match parts(text) {
        Some(parts) if is_template(text) => {
            let mut word = String::from("\"");
            for part in parts {
                match part {
                    Part::Name(name) => word += &format!("${{{name}}}"),
                    Part::Text(text) => {
                        for letter in text.chars() {
                            if "\"$`\\".contains(letter) {
                                word.push('\\');
                            }
                            word.push(letter);
                        }
                    }
                }
            }
            word + "\""
        }
        _ => format!("'{}'", text.replace('\'', "'\\''")),
    }
}
