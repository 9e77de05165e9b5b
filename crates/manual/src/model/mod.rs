//! Turns the blocks of pages into procedures and groups of checks: contracts, sections, names, and
//! statements about the whole manual (lint, coverage, concerns).

pub(crate) mod allow;
pub(crate) mod attributes;
pub(crate) mod concern;
pub(crate) mod contract;
pub(crate) mod coverage;
pub(crate) mod lint;
pub(crate) mod named;
pub(crate) mod names;
pub(crate) mod order;
pub(crate) mod section;
pub(crate) mod silence;
#[cfg(test)]
mod silence_tests;
