//! Events -> text. Each form is one small file; none of them decides anything.

pub mod dry_run;
pub mod handoff;
pub mod human;
pub mod tested;
