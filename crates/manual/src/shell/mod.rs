//! What can be known of a script by its text: how it is quoted, which variables it needs, where
//! values are put in, whether its syntax is right, and which commands need a person.

pub(crate) mod person;
pub(crate) mod placeholder;
pub(crate) mod problems;
pub(crate) mod scan;
pub(crate) mod script;
pub(crate) mod syntax;
pub(crate) mod variables;
pub(crate) mod word;
