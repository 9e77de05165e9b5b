//! The fault table: each row a promise, and here the tests that inject it. The name of a test
//! begins with the number of its row.
//!
//! F1 stands in `crash.rs`; F23, F24 and F26 beside the readers, the book and the session.

mod again;
mod before;
mod beside;
mod bundle;
mod by_hand;
mod catch_up;
mod cut;
mod done;
mod doubt;
mod elsewhere;
mod ends;
mod helpers;
mod journals;
mod left;
mod logind;
mod memory;
mod others;
mod output;
mod pages;
mod person;
mod process;
mod questions;
mod refused;
mod resume;
mod says;
mod shapes;
mod signals;
mod space;
mod states;
mod sudo;
mod users;
mod values;
mod way;
