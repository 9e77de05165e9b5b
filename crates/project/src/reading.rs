//! Reads the pages and the nodes of a manual, with everything that its packages add.

use std::sync::Arc;

use crate::manual::{self, Manual, Settings};
use crate::nodes::{self, Nodes};
use crate::package::manifest::Manifest;
use crate::place::{self, Place};
use crate::source::Problem;
use crate::{interface, merge};

/// The pages, and the contents of `opsbook.toml` if it exists.
#[must_use]
pub fn pages(place: &Place) -> (Manual, Option<Manifest>, Vec<Problem>) {
    let (mut manual, mut problems) = manual::load(&place.files);
    let (manifest, more) = place::manifest(&place.files);
    problems.extend(more);
    merge::relocate(&mut manual, &place.parts);
    merge::told_at_home(&mut problems, &place.parts);
    if let Some(manifest) = &manifest {
        let today = jiff::Zoned::now().date().to_string();
        problems.extend(merge::skip(&mut manual, manifest, &today));
    }
    (manual, manifest, problems)
}

/// The nodes, with the values of packages as a layer below.
#[must_use]
pub fn nodes(
    place: &Place,
    settings: &Settings,
    manifest: Option<&Manifest>,
) -> (Nodes, Vec<Problem>) {
    let (mut nodes, problems) = match &place.nodes {
        Some(source) => nodes::parse(&[Arc::clone(source)]),
        None => nodes::load(&place.files, settings),
    };
    if let Some((package, values)) = manifest.and_then(interface::defaults) {
        nodes.lay_under(package, values);
    }
    merge::lay_under(&mut nodes, &place.parts);
    (nodes, problems)
}
