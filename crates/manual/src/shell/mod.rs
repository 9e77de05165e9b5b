//! What the text of a script reveals: quoting, needed variables, substitutions, syntax errors, and
//! commands that need a person.

pub(crate) mod person;
pub(crate) mod placeholder;
pub(crate) mod problems;
pub(crate) mod scan;
pub(crate) mod script;
pub(crate) mod syntax;
pub(crate) mod variables;
pub(crate) mod word;
