//! Plan + sessions -> events. Knows no Markdown, no colours, no standard output.
//!
//! *The journal, the bundle and the node agree, or the run says that it does not know.*

mod bundle;
mod check;
mod deliver;
mod execute;
mod fleet;
mod follow;
mod node;
mod output;
mod question;
mod reach;
mod recorder;
mod scope;
mod secrets;
mod step;
mod together;
