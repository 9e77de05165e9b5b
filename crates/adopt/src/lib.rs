//! Turns an untagged page into a page that runs. Each shell block is examined, and tagged only if
//! its kind is certain: a block that only reads becomes a check, a block that changes something a
//! step. Everything else is left to a person, with the reason.
//!
//! Only words on fences change, and contracts are added below headings: the commands stay exactly
//! the same. Adopting twice changes nothing. The result is parsed as a manual, and a tag that is an
//! error there is removed.
//!
//! ```
//! let page = "# Agent\n\nIt runs:\n\n```sh\nsystemctl is-active agent\n```\n";
//! let adopted = opsbook_adopt::page("alerts/agent.md", page, opsbook_adopt::Tags::Words);
//! assert!(adopted.text.contains("```sh check id=alerts.agent.1\n"));
//! assert!(adopted.text.contains("```yaml checks\nid: alerts.agent\n```\n"));
//! assert_eq!(adopted.blocks[0].line, 5);
//! ```

// The crates below this one, under the names that its files use.
use opsbook_manual as manual;
use opsbook_text::{files, source};

mod commands;
mod guess;
mod judge;
mod page;
mod proof;
mod terminal;
mod words;

pub use judge::{Left, Likely, Suggestion, judge};
pub use page::{Adopted, ExaminedBlock, Tags, page};
