//! opsbook: an operations manual that is read, run and tested from one Markdown source.
//!
//! Each part is a separate crate; this one combines them under the command line.
pub mod cli;

pub use opsbook_book as book;
pub use opsbook_client as client;
pub use opsbook_engine as engine;
pub use opsbook_event as event;
pub use opsbook_journal as journal;
pub use opsbook_lsp as lsp;
pub use opsbook_manual as manual;
pub use opsbook_nodes as nodes;
pub use opsbook_package as package;
pub use opsbook_plan as plan;
pub use opsbook_project as project;
pub use opsbook_report as report;
pub use opsbook_runner as runner;
pub use opsbook_serve as serve;
pub use opsbook_session as session;
pub use opsbook_suite as suite;
pub use opsbook_template as template;
pub use opsbook_text::{files, interpolation, outside, private, random, source, wildcard, yaml};
pub use opsbook_vocabulary as vocabulary;
pub use opsbook_wire as wire;
