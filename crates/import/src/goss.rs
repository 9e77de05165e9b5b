//! Converts gossfiles into a page with one group of checks per file. The YAML stays unchanged after
//! goss templates are expanded with the values of `--vars` and `--env`.

use std::sync::LazyLock;

use regex::Regex;

use crate::inventory::{own_name, scalar};
use crate::template::{self, Item};
use crate::yaml::Value;
use crate::{Imported, Left, NotUnderstood, bounded, document};

/// The most files for one page.
const MOST_FILES: usize = 200;

/// Takes the including file, and the name or pattern in it.
pub type Included<'g> = &'g dyn Fn(&str, &str) -> Vec<(String, String)>;

/// Inputs for a gossfile.
pub struct Goss<'g> {
    /// The group's name.
    pub id: &'g str,
    /// The nodes where it holds.
    pub nodes: Option<&'g str>,
    /// The name and text of the `--vars` file.
    pub vars: Option<(&'g str, &'g str)>,
    /// The values of `--env`.
    pub env: &'g [(String, String)],
    /// Returns the names and texts of included files.
    pub included: Included<'g>,
}

/// The page of a gossfile and its includes.
///
/// # Errors
/// If it is not a gossfile, or its templates need goss itself.
pub fn goss(name: &str, text: &str, with: &Goss<'_>) -> Result<Imported, NotUnderstood> {
    let vars = match with.vars {
        None => Item::Nothing,
        Some((name, text)) => {
            bounded(name, text)?;
            Item::of(&document(name, text)?)
        }
    };
    let env = with.env.iter();
    let env = env.map(|(name, value)| (name.clone(), Item::Text(value.clone())));
    let mut page = Page {
        with,
        vars,
        env: Item::Map(env.collect()),
        text: String::new(),
        checks: 0,
        left: Vec::new(),
        read: Vec::new(),
    };
    page.file(name, text, with.id)?;
    let about = name.replace("--", "- -").replace('\n', " ");
    Ok(Imported {
        text: format!(
            "# {}\n\n<!-- opsbook import goss: {about} -->\n{}",
            with.id, page.text
        ),
        taken: vec![match page.checks {
            1 => "1 check".to_owned(),
            checks => format!("{checks} checks"),
        }],
        left: page.left,
    })
}

struct Page<'g> {
    with: &'g Goss<'g>,
    vars: Item,
    env: Item,
    text: String,
    checks: usize,
    left: Vec<Left>,
    /// Files that are already on the page.
    read: Vec<String>,
}

impl Page<'_> {
    fn file(&mut self, name: &str, text: &str, id: &str) -> Result<(), NotUnderstood> {
        bounded(name, text)?;
        if self.read.iter().any(|read| read == name) {
            return Ok(());
        }
        if self.read.len() >= MOST_FILES {
            let why = format!("`{name}`: more than {MOST_FILES} files are included");
            return Err(NotUnderstood(why));
        }
        self.read.push(name.to_owned());
        let text = self.rendered(name, text)?;
        let yaml = document(name, &text)?;
        let Value::Map(map) = &yaml.value else {
            let why = format!("`{name}` is not a gossfile: it is {}", yaml.kind());
            return Err(NotUnderstood(why));
        };
        let mut includes = Vec::new();
        let mut checks = 0;
        for (kind, entry) in map {
            let Value::Map(resources) = &entry.value.value else {
                continue;
            };
            if kind != "gossfile" {
                checks += resources.len();
                continue;
            }
            for (key, resource) in resources {
                let named = resource
                    .value
                    .as_map()
                    .and_then(|own| own.get("file")?.value.text());
                includes.push((resource.key.place(), named.unwrap_or(key).to_owned()));
            }
        }
        self.checks += checks;
        if checks > 0 {
            self.block(&without_includes(&text), id, self.read.len() > 1);
        }
        for (place, pattern) in includes {
            let found = (self.with.included)(name, &pattern);
            if found.is_empty() {
                let what = format!("it includes `{pattern}`, which is not here");
                self.left.push(Left { place, what });
            }
            for (file, text) in found {
                self.file(&file, &text, &format!("{}.{}", self.with.id, stem(&file)))?;
            }
        }
        Ok(())
    }

    fn block(&mut self, text: &str, id: &str, heading: bool) {
        if heading {
            self.text += &format!("\n## {id}\n");
        }
        let nodes = self.with.nodes;
        let nodes = nodes.map_or_else(String::new, |nodes| format!("nodes: {}\n", scalar(nodes)));
        let lines = text
            .lines()
            .filter(|line| line.trim_end() != "---" && !line.trim().is_empty());
        let body: String = lines.map(|line| format!("{line}\n")).collect();
        let mut fence = "```".to_owned();
        while body.contains(&fence) {
            fence.push('`');
        }
        self.text += &format!("\n{fence}yaml checks\nid: {id}\n{nodes}{body}{fence}\n");
    }

    /// An unset variable that is only printed becomes a reference to a value.
    fn rendered(&mut self, name: &str, text: &str) -> Result<String, NotUnderstood> {
        let left = &mut self.left;
        let mut open = |key: &str, line: usize| {
            static NAME: LazyLock<Option<Regex>> =
                LazyLock::new(|| Regex::new("^[A-Za-z][A-Za-z0-9_]*$").ok());
            NAME.as_ref().filter(|name| name.is_match(key))?;
            let value = own_name(key)?;
            let what = format!("`{value}` is a value: define it in `nodes.yaml`");
            if !left.iter().any(|left: &Left| left.what == what) {
                let place = format!("{name}:{line}");
                left.push(Left { place, what });
            }
            Some(value)
        };
        template::render(text, &self.vars, &self.env, &mut open)
            .map_err(|(line, why)| NotUnderstood(format!("{name}:{line}: {why}")))
    }
}

/// The text without its key `gossfile`: the included files are on the page.
fn without_includes(text: &str) -> String {
    let mut own = String::new();
    let mut within = false;
    for line in text.lines() {
        if !line.starts_with([' ', '\t', '#']) && !line.trim().is_empty() {
            within = line.starts_with("gossfile:");
        }
        if !within {
            own += line;
            own.push('\n');
        }
    }
    own
}

fn stem(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    let name = name.split('.').next().unwrap_or(name);
    let plain = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            letter.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    name.chars().map(plain).collect()
}
