//! Events -> text. Each form is one small file; none of them decides anything.

// The crates below this one, by the names that its files use.
use opsbook_engine as engine;
use opsbook_event as event;
use opsbook_journal as journal;
use opsbook_manual as manual;
use opsbook_nodes as nodes;
use opsbook_plan as plan;
use opsbook_session as session;
use opsbook_text::{interpolation, outside, source};

pub mod by_hand;
mod by_node;
pub mod card;
pub mod course;
pub mod dry_run;
pub mod form;
pub mod github;
pub mod handoff;
pub mod human;
pub mod json;
pub mod junit;
pub mod known;
pub mod lines;
pub mod live;
mod paste;
pub mod prometheus;
mod recap;
pub mod record;
pub mod style;
pub mod summary;
pub mod table;
pub mod tap;
pub mod tested;
mod value;
