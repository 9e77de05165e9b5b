//! The gateway: people order runs there, and runners take them. It plans, assigns and stores; it
//! reaches no node and runs nothing.

// The crates below this one, under the names that its files use.
use opsbook_book as book;
use opsbook_client as client;
use opsbook_event as event;
use opsbook_manual as manual;
use opsbook_nodes as nodes;
use opsbook_package as package;
use opsbook_plan as plan;
use opsbook_project as project;
use opsbook_text::{files, outside, private, source, wildcard};
use opsbook_wire as wire;

pub mod adapter;
pub mod alerts;
pub mod bell;
pub mod blobs;
mod child;
mod clones;
pub mod config;
pub mod counters;
pub mod gateway;
pub mod http;
pub mod inventory;
pub mod manuals;
mod nats;
pub mod oidc;
pub mod order;
pub mod record;
pub mod schedule;
mod sealed;
pub mod secret;
pub mod segments;
pub mod serve;
pub mod spool;
pub mod store;
pub mod ticket;
pub mod tls;
pub mod token;
pub mod turns;
