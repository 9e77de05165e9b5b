//! Pages as authors write them, run on this machine by the built `opsbook`: placed files, and the
//! rest of the format.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    reason = "a test ends where something is wrong"
)]

#[path = "writing/bless.rs"]
mod bless;
#[path = "writing/import.rs"]
mod import;
#[path = "writing/lab.rs"]
mod lab;
#[path = "writing/place.rs"]
mod place;
#[path = "writing/python.rs"]
mod python;
#[path = "writing/sections.rs"]
mod sections;
#[path = "writing/silence.rs"]
mod silence;
