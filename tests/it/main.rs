//! One binary for every test that needs a real shell, a real `sshd` or the real command line.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on fails"
)]

mod architecture;
mod book;
mod book_hostile;
mod book_recorded;
mod busy;
mod checks;
mod ci;
mod cli;
mod containers;
mod corpus;
mod crash;
mod crowd;
mod defaults;
mod deployment;
mod fault_table;
mod faults;
mod git_https;
mod idioms;
mod lab;
mod lint;
mod machines;
mod manual;
mod many;
mod measured;
mod newcomer;
mod nodes;
mod packages;
mod placed;
mod project;
mod record;
mod roles;
mod scripts;
mod session;
mod several;
mod several_said;
mod soak;
mod sshd;
mod suite;
mod supervised;
mod tier;
mod tiers;
mod transcripts;
