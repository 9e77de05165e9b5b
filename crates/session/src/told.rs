//! Messages about a connection that is being opened, as events of `tracing`. The caller's
//! subscriber chooses what a person sees: a person must act (`WARN`), what opsbook does (`DEBUG`),
//! and what `ssh` reports about its own work (`TRACE`).

use tracing::Level;

use super::outside::Outside;

/// The target of these events; their field `node` names the node.
pub const TARGET: &str = "opsbook::connect";

/// A person must act or be informed.
pub(super) fn person(node: &str, text: &Outside) {
    tracing::warn!(target: TARGET, node, "{}", text.line());
}

/// What opsbook does.
pub(super) fn done(node: &str, text: &Outside) {
    tracing::debug!(target: TARGET, node, "{}", text.line());
}

/// Whether somebody wants `ssh`'s reports about its own work.
pub(super) fn is_wanted_whole() -> bool {
    tracing::enabled!(target: TARGET, Level::TRACE)
}

/// A report of `ssh` about its own work.
pub(super) fn whole(node: &str, text: &Outside) {
    tracing::trace!(target: TARGET, node, "{}", text.line());
}
