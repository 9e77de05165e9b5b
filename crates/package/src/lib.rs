//! Packages of operations code: the files of one and their identity, its manifest, archive and
//! signature, the lock of the packages that a book is made of, and the cache of their files.
//! What is pure stands in files of its own; `folder`, `git`, `sign` and `cache` have the effects.
//! Speaks to no network itself: `git` does.

pub mod address;
pub mod archive;
pub mod assemble;
pub mod cache;
pub mod chapter;
pub mod description;
pub mod folder;
pub mod git;
pub mod lock;
pub mod manifest;
pub mod oci;
mod process;
pub mod resolve;
pub mod selection;
pub mod sign;
pub mod store;
pub mod tree;

#[cfg(test)]
mod tests;
