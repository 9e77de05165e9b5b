//! Packages of operations code: their files and identity, manifest, archive and signature, the lock
//! of a book's packages, and the cache of their files. Pure code is in separate files; `folder`,
//! `git`, `sign` and `cache` have side effects. Only `git` and `skopeo` use the network.

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
