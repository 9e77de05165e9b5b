//! Converts data of other tools into `nodes.yaml` or a page. Pure: text in, text out. Reports with
//! its place everything that it could not convert, and guesses nothing: a value that opsbook cannot
//! read like the other tool is left out.
//!
//! The input is untrusted. Its bytes, nodes and depth are limited, all patterns take linear time,
//! and nothing is executed, included or looked up.
//!
//! ```
//! let ini = "[web]\nweb[1:2] http_port=80\n";
//! let imported = opsbook_import::nodes(opsbook_import::Format::Ansible, "hosts", ini).unwrap();
//! assert!(imported.text.contains("web2: {groups: [web], http_port: 80}\n"));
//! assert!(imported.left.is_empty());
//! ```

// The crates below this one, under the names that its files use.
use opsbook_nodes as known;
use opsbook_text::{source, yaml};

mod ansible;
mod goss;
mod ini;
mod innovation;
mod inventory;
mod page;
mod role;
mod ssh;
mod take;
mod template;
mod terraform;

pub use goss::{Goss, goss};
pub use innovation::innovation;
pub use page::{rundeck, runme, script};
pub use role::role;

use crate::source::{Passage, Problem, Source};
use crate::yaml::Yaml;

/// The most bytes of one input.
pub const MOST_BYTES: usize = 4 << 20;
/// The most nodes, after expansion of patterns.
const MOST_NODES: usize = 10_000;

/// Formats that are imported as nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An inventory as INI or YAML, or the output of `ansible-inventory --list`.
    Ansible,
    /// The host names of an ssh configuration.
    SshConfig,
    /// `terraform output -json`, `terraform show -json`, or a state file.
    Terraform,
}

/// The result, and what is missing from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// YAML or Markdown.
    pub text: String,
    /// What was converted, described: `3 nodes`.
    pub taken: Vec<String>,
    /// What was not converted, with places.
    pub left: Vec<Left>,
}

/// Something that was not converted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// `hosts:12`
    pub place: String,
    /// A description with the reason.
    pub what: String,
}

/// The input is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotUnderstood(pub String);

impl std::fmt::Display for NotUnderstood {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotUnderstood {}

/// Reads a list of nodes.
///
/// # Errors
/// If the text does not have this format, or is too large.
pub fn nodes(format: Format, name: &str, text: &str) -> Result<Imported, NotUnderstood> {
    bounded(name, text)?;
    let inventory = match format {
        Format::Ansible => ansible::read(name, text)?,
        Format::SshConfig => ssh::read(name, text),
        Format::Terraform => terraform::read(name, text)?,
    };
    if inventory.nodes.is_empty() {
        return Err(NotUnderstood(format!("`{name}` names no machine")));
    }
    Ok(inventory.written())
}

fn bounded(name: &str, text: &str) -> Result<(), NotUnderstood> {
    if text.len() > MOST_BYTES {
        let why = format!("`{name}` has more than {} MiB", MOST_BYTES >> 20);
        return Err(NotUnderstood(why));
    }
    Ok(())
}

/// YAML of another tool, possibly with anchors; also reads JSON.
fn document(name: &str, text: &str) -> Result<Yaml, NotUnderstood> {
    let source = Source::new(name, text);
    let (document, problems) = yaml::read_with_anchors(&Passage::whole(&source));
    let first = problems.iter().find(|problem| problem.is_error());
    match (document, first) {
        (Some(document), None) => Ok(document),
        (_, Some(problem)) => Err(NotUnderstood(drawn(problem))),
        (None, None) => Err(NotUnderstood(format!("`{name}` is empty"))),
    }
}

fn drawn(problem: &Problem) -> String {
    match &problem.span {
        Some(span) => format!("{}: {}", span.place(), problem.message),
        None => problem.message.clone(),
    }
}

#[cfg(test)]
mod tests;
