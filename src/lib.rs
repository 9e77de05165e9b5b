//! opsbook: an operations manual that is read, run and tested from one Markdown source.
pub mod book;
pub mod cli;
pub mod engine;
pub mod event;
pub mod interpolation;
pub mod journal;
pub mod manual;
pub mod nodes;
pub mod plan;
pub mod report;
pub mod session;
pub mod source;
pub mod suite;
pub mod template;
pub mod vocabulary;
pub mod wildcard;
pub mod yaml;
