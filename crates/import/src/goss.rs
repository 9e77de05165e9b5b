//! A gossfile -> a page with a group of checks: its YAML as it stands.

use std::sync::LazyLock;

use regex::Regex;

use crate::inventory::{own_name, scalar};
use crate::yaml::Value;
use crate::{Imported, Left, NotUnderstood, bounded, document};

/// The page of a gossfile. `id` names the group, and `nodes` says where it holds.
///
/// # Errors
/// Where it is no gossfile, or is made by templates that only goss itself can render.
pub fn goss(
    name: &str,
    text: &str,
    id: &str,
    nodes: Option<&str>,
) -> Result<Imported, NotUnderstood> {
    bounded(name, text)?;
    let mut left = Vec::new();
    let text = with_values(name, text, &mut left)?;
    let yaml = document(name, &text)?;
    let Value::Map(map) = &yaml.value else {
        return Err(NotUnderstood(format!(
            "`{name}` is no gossfile: it is {}",
            yaml.kind()
        )));
    };
    let mut checks = 0;
    for (kind, entry) in map {
        if let Value::Map(resources) = &entry.value.value {
            checks += resources.len();
        }
        if kind == "gossfile" {
            left.push(Left {
                place: entry.key.place(),
                what: "the files that it includes are found from the page: move it, or change their paths".to_owned(),
            });
        }
    }
    let nodes = nodes.map_or_else(String::new, |nodes| format!("nodes: {}\n", scalar(nodes)));
    let body: String = text
        .lines()
        .filter(|line| line.trim_end() != "---")
        .map(|line| format!("{line}\n"))
        .collect();
    let mut fence = "```".to_owned();
    while body.contains(&fence) {
        fence.push('`');
    }
    let about = name.replace("--", "- -").replace('\n', " ");
    Ok(Imported {
        text: format!(
            "# {id}\n\n<!-- opsbook import goss: {about} -->\n\n{fence}yaml checks\nid: {id}\n{nodes}{body}{fence}\n"
        ),
        taken: vec![match checks {
            1 => "1 check".to_owned(),
            checks => format!("{checks} checks"),
        }],
        left,
    })
}

/// `{{ .Vars.x }}` and `{{ .Env.X }}` are values; what else a template does is goss's to do.
fn with_values(name: &str, text: &str, left: &mut Vec<Left>) -> Result<String, NotUnderstood> {
    static VALUE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"^\{\{-? *\.(Vars|Env)\.([A-Za-z][A-Za-z0-9_]*) *-?\}\}").ok()
    });
    let mut own = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("{{") {
        own += &rest[..at];
        rest = &rest[at..];
        let line = text[..text.len() - rest.len()].matches('\n').count() + 1;
        let place = format!("{name}:{line}");
        let found = VALUE.as_ref().and_then(|value| value.captures(rest));
        let value = found.as_ref().and_then(|found| own_name(&found[2]));
        let (Some(found), Some(value)) = (found, value) else {
            return Err(NotUnderstood(format!(
                "{place}: this template is goss's own: `goss render` makes the file that can be imported"
            )));
        };
        let told = format!("`{value}` is a value: define it in `nodes.yaml`");
        if !left.iter().any(|left: &Left| left.what == told) {
            left.push(Left { place, what: told });
        }
        own += &format!("${{{value}}}");
        rest = &rest[found[0].len()..];
    }
    Ok(own + rest)
}
