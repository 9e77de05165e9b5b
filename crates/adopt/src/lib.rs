//! An untagged page to a page that runs. Each shell block is looked at, and tagged only where it
//! is sure what it is: a block that only looks becomes a check, one that changes something a
//! step. What is not sure is left for a person, and told with its reason.
//!
//! Nothing but the words of fences is changed, and contracts are added below headings: no
//! character of a command is touched. Adopting twice changes nothing. What is written is read
//! with the parser of manuals, and a tag that is an error there is taken back.
//!
//! ```
//! let page = "# Agent\n\nIt runs:\n\n```sh\nsystemctl is-active agent\n```\n";
//! let adopted = opsbook_adopt::page("alerts/agent.md", page, opsbook_adopt::Tags::Words);
//! assert!(adopted.text.contains("```sh check id=alerts.agent.1\n"));
//! assert!(adopted.text.contains("```yaml checks\nid: alerts.agent\n```\n"));
//! assert_eq!(adopted.blocks[0].line, 5);
//! ```

// The crates below this one, by the names that its files use.
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
pub use page::{Adopted, Looked, Tags, page};
