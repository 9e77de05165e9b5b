//! The base crate: texts of the project and from outside, their places, and how they are read and
//! shown; and random words.
//!
//! ```
//! use opsbook_text::outside::Outside;
//! use opsbook_text::source::{Problem, Source, Span};
//!
//! // A problem knows the place that the author edits, and is shown with it.
//! let source = Source::new("nodes.yaml", "nodes:\n  web1: {adress: 10.0.0.1}\n");
//! let at = source.text.find("adress").unwrap();
//! let place = Span::new(&source, at..at + "adress".len());
//! let problem = Problem::error("unknown-setting", place, "a node has no `adress`");
//! let problem = problem.hint("did you mean `address`?");
//! assert_eq!(problem.span.as_ref().unwrap().place(), "nodes.yaml:2");
//!
//! // What a node says can be shown only in a form that does nothing to a terminal.
//! let said = Outside::from("gone\x1b[2J\n");
//! assert!(!said.line().to_string().contains('\x1b'));
//! ```

pub mod files;
pub mod interpolation;
pub mod outside;
pub mod private;
pub mod random;
pub mod remedies;
pub mod source;
pub mod wildcard;
pub mod yaml;
