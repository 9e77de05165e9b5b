//! Links to blocks, checks, nodes and groups of nodes in the book.

use std::collections::HashSet;
use std::path::Path;

use mdbook_preprocessor::book::Chapter;

use crate::manual::{Manual, Procedure};
use crate::plan::case_name;

use super::html::{attribute, code, text};
use super::links::html_path;

pub(super) const NODES: &str = "opsbook-nodes.md";
pub(super) const GROUPS: &str = "opsbook-groups.md";

/// A generated chapter.
pub(super) fn generated(title: &str, content: String, path: &str) -> Chapter {
    let mut chapter = Chapter::new(title, content, path, Vec::new());
    chapter.source_path = None;
    chapter
}

/// The address of a group.
pub(super) fn group_address(group: &str) -> String {
    format!("{}#group-{group}", html_path(Path::new(GROUPS)).display())
}

pub(super) fn group_link(group: &str) -> String {
    let address = group_address(group);
    let (address, name) = (attribute(&address), code(&format!("@{group}")));
    format!("<a href=\"{address}\">{name}</a>")
}

/// A link from a generated chapter to a block of the manual.
pub(super) fn to(page: &Path, name: &str) -> String {
    format!(
        "<a href=\"{}#{}\">{}</a>",
        attribute(&html_path(page).to_string_lossy()),
        attribute(name),
        code(name)
    )
}

/// The address of a node's page.
pub(super) fn node_address(name: &str) -> String {
    format!(
        "{}?node={}",
        html_path(Path::new(NODES)).display(),
        query(name)
    )
}

pub(super) fn node_link(name: &str) -> String {
    format!("<a href=\"{}\">{}</a>", node_address(name), code(name))
}

/// A name as part of an address.
fn query(name: &str) -> String {
    let mut all = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => all.push(byte.into()),
            _ => all += &format!("%{byte:02X}"),
        }
    }
    all
}

/// The address of a check or a procedure, by the name of its test.
pub(super) fn place_of(manual: &Manual, test: &str) -> Option<String> {
    let (owner, name) = test.split_once("::")?;
    let group = manual.groups.get(owner);
    let procedure = manual.procedures.get(owner);
    let page = group.map(|group| group.page);
    let page = page.or(procedure.map(|procedure| procedure.page))?;
    let groups = group.into_iter().flat_map(|group| &group.checks);
    let mut checks = groups.chain(procedure.into_iter().flat_map(Procedure::checks));
    let check = checks.find(|check| case_name(&check.name) == test);
    let (page, id) = match check {
        Some(check) => (check.page, check.name.as_str()),
        // A typed check, or a whole procedure.
        None if group.is_some() || name == "run" => (page, owner),
        None => return None,
    };
    let html = super::links::html_path(&manual.pages.get(page)?.path);
    Some(format!("{}#{id}", html.to_string_lossy()))
}

/// A selector with a link to each of its groups.
pub(super) fn linked(selector: &str, groups: &HashSet<String>, up: &str) -> String {
    let mut html = String::new();
    let mut rest = selector;
    while let Some(at) = rest.find('@') {
        let after = &rest[at + 1..];
        let end = after.find(|c: char| !(c.is_alphanumeric() || "_-.".contains(c)));
        let name = &after[..end.unwrap_or(after.len())];
        html += &text(&rest[..at]);
        if groups.contains(name) {
            let page = html_path(Path::new(GROUPS));
            html += &format!(
                "<a href=\"{up}{}#group-{name}\">@{name}</a>",
                page.display()
            );
        } else {
            html += &text(&format!("@{name}"));
        }
        rest = &after[name.len()..];
    }
    format!("<code>{html}{}</code>", text(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_leads_to_its_groups_and_to_nothing_else() {
        let groups = HashSet::from(["web".to_owned(), "a-b".to_owned()]);
        for (selector, expected) in [
            (
                "@web",
                "<code><a href=\"opsbook-groups.html#group-web\">@web</a></code>",
            ),
            (
                "@a-b&!@<x>",
                "<code><a href=\"opsbook-groups.html#group-a-b\">@a-b</a>&amp;!@&lt;x&gt;</code>",
            ),
            ("web1,@other", "<code>web1,@other</code>"),
        ] {
            assert_eq!(linked(selector, &groups, ""), expected);
        }
    }
}
