//! The book as a reader has it: pages opened from the disk in a headless Chromium, keys pressed,
//! the clipboard read. Without a Chromium and its driver these tests are skipped by name.

mod axe;
mod copy;
mod drive;
mod node;
mod search;
