//! What is said of a connection while it comes about, as events of `tracing`. Who starts the
//! program chooses which of them a person sees: a person has to do something (`WARN`), what is
//! done (`DEBUG`), and what `ssh` says of its own work (`TRACE`).

use tracing::Level;

use super::outside::Outside;

/// The target of these events, and the field that names the node.
pub const TARGET: &str = "opsbook::connect";

/// A person has to do something, or is to know of it.
pub(super) fn person(node: &str, text: &Outside) {
    tracing::warn!(target: TARGET, node, "{}", text.line());
}

/// What is done.
pub(super) fn done(node: &str, text: &Outside) {
    tracing::debug!(target: TARGET, node, "{}", text.line());
}

/// Whether somebody wants to know what `ssh` says of its own work.
pub(super) fn is_wanted_whole() -> bool {
    tracing::enabled!(target: TARGET, Level::TRACE)
}

/// What `ssh` says of its own work.
pub(super) fn whole(node: &str, text: &Outside) {
    tracing::trace!(target: TARGET, node, "{}", text.line());
}
