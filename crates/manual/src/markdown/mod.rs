//! Markdown as the book reads it: pages, their fences, links and anchors, includes, and the list of
//! pages. Knows neither shell nor procedures.

pub(crate) mod anchors;
pub(crate) mod fence;
pub(crate) mod front;
pub(crate) mod include;
pub(crate) mod page;
pub(crate) mod summary;
