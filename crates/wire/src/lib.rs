//! The messages between clients, runners and the gateway: types and rules, no I/O.
//!
//! Every body is JSON. Fields are added, never renamed. A reader ignores unknown fields, except in
//! an [`Ask`] and other requests that start or change something: there, ignoring a field could
//! silently change the meaning.
//!
//! An example:
//!
//! ```text
//!  Ask --POST /v1/asks--> gateway --> Asked { run, parts }
//!                            | queue
//!  runner --POST /v1/runner/work (Hello)--> News { parts: [Work { run, node, epoch }] }
//!  runner --POST /v1/runner/events (Lines)--> Acked
//!                            | store
//!  client <--GET /v1/runs/RUN/events-- each line as it stands in the journal
//!  client --POST /v1/runs/RUN/answers (AnswerIn)--> gateway --> News { answers } --> runner
//! ```

pub mod application;
pub mod approve;
pub mod ask;
pub mod certificate;
pub mod check;
pub mod endpoint;
pub mod header;
pub mod limit;
pub mod login;
pub mod problem;
pub mod record;
pub mod run;
pub mod runner;
pub mod sealed;
pub mod source;
pub mod state;
pub mod sync;
pub mod version;

pub use approve::{ApprovalView, Approve, Consent};
pub use ask::{Ask, Asked, AskedPart, Confirm, HostView, Parameter, ProcedureView, StepView};
pub use certificate::{CertificateIn, CertificateOut, Held};
pub use login::{About, Linked, Local, LoggedIn, LoginWay, Me};
pub use problem::{Kind, Problem};
pub use run::{
    AnswerIn, Answered, Cursor, HandOver, PartView, QuestionView, Release, Resume, RunSummary,
    RunView, RunsPage, Stop,
};
pub use runner::{
    Acked, AnswerOut, EndState, Enroll, Enrolled, Hello, Lines, LinesOfPart, Mode, News, PartEnd,
    PartKey, Source, WantOut, Work,
};
pub use state::{Ended, Manner, NodeLogin, Origin, PartState, RunState, Verb, Want};

/// The version of this interface.
pub const API: u32 = 1;

/// A time: RFC 3339, UTC.
pub type Time = String;
