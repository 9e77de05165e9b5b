//! The ground: texts of the project and from outside, where each part of them stands, how they
//! are read and how they are shown.

pub mod files;
pub mod interpolation;
pub mod outside;
pub mod source;
pub mod wildcard;
pub mod yaml;
