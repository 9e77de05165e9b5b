//! Examines a step's deliveries beforehand: whether a file can be read, and what a template
//! produces without its secrets.

use std::collections::BTreeSet;
use std::path::Path;

use crate::files::{Entry, EntryKind, Files, Refused};
use crate::manual::{Delivery, DeliveryFrom};
use crate::nodes::{SecretRef, Text};
use crate::plan::{NodePlan, RUN_NAMES};
use crate::source::Problem;
use crate::template::{self, Template, render};

/// Checks that a file or folder of the project can be read.
pub fn readable(files: &Files, path: &Path, file: &Delivery) -> Result<(), Refused> {
    match &file.from {
        DeliveryFrom::Tree(_) => files.tree(path).map(drop),
        _ => files.open(path).map(drop),
    }
}

/// A template or a `file` block, rendered with empty secrets.
pub struct Blank {
    pub text: String,
    /// Names in it that are known only in a run.
    pub open: BTreeSet<String>,
    /// The secrets in it, by name.
    pub secrets: Vec<(String, SecretRef)>,
    pub values: template::Values,
}

/// Renders a template or a `file` block without its secrets; `known` returns the values that a run
/// knows so far. `None` for other files.
pub fn blank(
    root: &Path,
    node: &NodePlan,
    file: &Delivery,
    known: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Blank>, Problem> {
    let Some(template) = template_of(file) else {
        return Ok(None);
    };
    let mut values = node.node.template_values();
    let captured = node.captures.iter().map(|capture| capture.name.as_str());
    let open: BTreeSet<&str> = captured.chain(RUN_NAMES).collect();
    for name in &open {
        values.text(*name, &known(name).unwrap_or_default());
    }
    let texts = node.node.texts();
    let secrets = texts.into_iter().filter_map(|(name, text)| match text {
        Text::Secret(reference) => Some((name, reference)),
        Text::Plain(_) => None,
    });
    let mut secrets: Vec<(String, SecretRef)> = secrets.collect();
    for (name, _) in &secrets {
        values.text(name.as_str(), "");
    }
    let rendered = render(&Files::of(root), template, &values)?;
    secrets.retain(|(name, _)| rendered.used.contains(name));
    let open = open
        .into_iter()
        .filter(|name| rendered.used.contains(*name));
    Ok(Some(Blank {
        open: open.map(str::to_owned).collect(),
        text: rendered.text,
        secrets,
        values,
    }))
}

/// The template of a rendered delivery; `None` for an unchanged file.
pub fn template_of(file: &Delivery) -> Option<Template<'_>> {
    match &file.from {
        DeliveryFrom::Template(name) => Some(Template::Named(name)),
        DeliveryFrom::Inline(body) => Some(Template::Inline(body)),
        DeliveryFrom::Placed(body) => Some(Template::Alone(body)),
        DeliveryFrom::File(_) | DeliveryFrom::Tree(_) | DeliveryFrom::Machine { .. } => None,
    }
}

/// An archive of a folder, reproducible: it contains no owners and no times.
pub fn archive(files: &Files, found: &[Entry]) -> Result<tempfile::NamedTempFile, Refused> {
    let file = tempfile::NamedTempFile::new()?;
    let mut archive = tar::Builder::new(std::io::BufWriter::new(file.as_file()));
    archive.mode(tar::HeaderMode::Deterministic);
    for entry in found {
        let full = files.root().join(&entry.path);
        match entry.kind {
            EntryKind::Folder if entry.name.is_empty() => archive.append_dir(".", &full)?,
            EntryKind::Folder => archive.append_dir(&entry.name, &full)?,
            EntryKind::File => {
                let mut opened = files.open(&entry.path)?;
                archive.append_file(&entry.name, &mut opened.file)?;
            }
            EntryKind::Link => {
                let mut header = tar::Header::new_gnu();
                let metadata = full.symlink_metadata()?;
                header.set_metadata_in_mode(&metadata, tar::HeaderMode::Deterministic);
                header.set_size(0);
                archive.append_link(&mut header, &entry.name, std::fs::read_link(&full)?)?;
            }
        }
    }
    archive
        .into_inner()?
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error)?;
    Ok(file)
}
