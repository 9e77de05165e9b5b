//! The runner: takes parts of runs from a gateway, and supervises one `opsbook run` for each. It
//! calls the gateway; nothing calls it. Prints nothing.
//!
//! ```text
//!  gateway --News--> Course --start--> opsbook run … --answers --supervisor
//!     ^                 |<---exit-----    |  its journal, line by line
//!     |                 |                 v
//!     '--Lines-- Uploads <------------ parts/RUN@NODE/runs/RUN.jsonl
//! ```
//!
//! What it holds is on its disk before it begins (`parts/RUN@NODE/work.json`), so that it goes on
//! with its own parts wherever it dies. What became of their steps is on the nodes.

mod approval;
mod certificate;
mod checks;
mod child;
mod course;
mod crashes;
mod folder;
mod happened;
mod manual;
mod outcome;
mod renewal;
mod tail;
mod uploads;

pub use approval::{Approvers, Groups};
pub use course::{Settings, run};
pub use folder::{Enrolment, Folder, Held, RunnerError};
