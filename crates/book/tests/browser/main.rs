//! ! The book as a reader sees it: pages opened from disk in a headless Chromium, keys pressed, the
//! clipboard read. Without a Chromium and its driver these tests are skipped by name.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on fails"
)]

mod axe;
mod copy;
mod drive;
mod formulas;
mod node;
mod phone;
mod roles;
mod search;
mod skip;
mod state;
mod taken;
