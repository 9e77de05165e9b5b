//! Formats events as text. Each format is one small file; none of them makes decisions.
//!
//! ```
//! use opsbook_event::Event;
//! use opsbook_report::human::Human;
//!
//! let line = r#"{"v":2,"seq":9,"at":"2026-11-21T09:14:03Z","run":"20261121-091403-3f9a","node":"web1","event":"warned","text":"the disk is nearly full"}"#;
//! let event: Event = serde_json::from_str(line)?;
//! let mut screen = Vec::new();
//! Human::new(&mut screen).event(&event)?;
//! let shown = String::from_utf8(screen)?;
//! assert!(shown.contains("the disk is nearly full"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// The crates below this one, under the names that its files use.
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
pub mod checklist;
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
pub mod lint;
pub mod live;
mod paste;
pub mod prometheus;
mod recap;
pub mod record;
pub mod roles;
pub mod since;
pub mod style;
pub mod summary;
pub mod table;
pub mod tap;
pub mod tested;
mod value;
pub mod whole;
