//! The gateway from outside: the store on both databases, and the interface.

#![expect(clippy::unwrap_used, reason = "tests")]

mod console;
#[path = "../../../book/tests/browser/drive.rs"]
#[allow(
    dead_code,
    clippy::pedantic,
    reason = "the book's tests ask more of a browser"
)]
mod drive;
mod interface;
mod lab;
mod many;
mod postgres;
mod served;
#[path = "../../../book/tests/browser/skip.rs"]
#[allow(
    dead_code,
    clippy::pedantic,
    reason = "the book's tests ask more of it"
)]
mod skip;
mod store;
mod tls;
