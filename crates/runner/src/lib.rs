//! The runner: takes parts of runs from a gateway, and supervises one `opsbook run` for each. It
//! connects to the gateway; nothing connects to it. Prints nothing.
//!
//! ```text
//!  gateway --News--> Course --start--> opsbook run … --answers --supervisor
//!     ^                 |<---exit-----    |  its journal, line by line
//!     |                 |                 v
//!     '--Lines-- Uploads <------------ parts/RUN@NODE/runs/RUN.jsonl
//! ```
//!
//! Every part is on disk before it begins (`parts/RUN@NODE/work.json`), so a restarted runner
//! continues its parts. The nodes know the state of their steps.

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
pub use certificate::ssh_configuration;
pub use course::{Settings, run};
pub use folder::{Enrollment, Folder, Held, RunnerError};
