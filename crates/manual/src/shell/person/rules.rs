//! What each command does without a person. An unknown command counts as one that needs none.

use super::Finding::{self, Pages};
use super::options::Call;
use super::{asks, ends, opens};

/// Why a call does not work without a person.
pub(super) fn finding(call: &Call<'_>) -> Option<Finding> {
    if call.any_long(&["help", "version"]) {
        return None;
    }
    let lacks = || {
        asks::asks(call)
            .or_else(|| opens::reads(call))
            .or_else(|| opens::filters(call))
            .or_else(|| opens::opens(call))
    };
    let lacks = if call.has_unseen_options() {
        None
    } else {
        lacks()
    };
    lacks
        .or_else(|| opens::edits(call))
        .or_else(|| ends::never_ends(call))
        .or_else(|| pages(call))
}

fn pages(call: &Call<'_>) -> Option<Finding> {
    if call.command.kept || !call.command.readers.is_empty() {
        return None;
    }
    match call.name() {
        "less" | "more" | "most" => Some(Pages),
        "man" => {
            (!call.any_short("fkwPK", "") && !call.any_long(&["pager", "where"])).then_some(Pages)
        }
        _ => None,
    }
}
