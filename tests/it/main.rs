//! One binary for every test that needs a real shell, a real `sshd` or the real command line.

mod architecture;
mod book;
mod checks;
mod corpus;
mod crash;
mod faults;
mod lab;
mod manual;
mod nodes;
mod project;
mod session;
mod soak;
mod sshd;
mod suite;
mod tier;
mod tiers;
