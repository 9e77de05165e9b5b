//! The gateway from outside: the store on both databases, and the interface.

#![expect(clippy::unwrap_used, reason = "tests")]

mod interface;
mod lab;
mod postgres;
mod served;
mod store;
