//! The language server: what `opsbook lint` says while one writes, and what names mean.
//!
//! It speaks the Language Server Protocol over a connection that it is given, takes messages in
//! their order, runs nothing and reaches no node. A manual is read as a whole after each pause in
//! typing, with the texts of the editor in the place of what the disk has; a request is answered
//! from the texts that the editor has then.
//!
//! ```
//! use lsp_server::{Connection, Message, Request};
//!
//! let (server, client) = Connection::memory();
//! let thread = std::thread::spawn(move || opsbook_lsp::serve(&server));
//! let ask = |id: i32, method: &str, params| {
//!     let request = Request::new(id.into(), method.to_owned(), params);
//!     client.sender.send(Message::Request(request)).unwrap();
//!     client.receiver.recv().unwrap()
//! };
//! let Message::Response(hello) = ask(1, "initialize", serde_json::json!({"capabilities": {}})) else {
//!     panic!("it answers first");
//! };
//! let hello = serde_json::to_value(hello).unwrap();
//! assert_eq!(hello["result"]["capabilities"]["hoverProvider"], true);
//! let exit = lsp_server::Notification::new("initialized".to_owned(), serde_json::json!({}));
//! client.sender.send(exit.into()).unwrap();
//! ask(2, "shutdown", serde_json::Value::Null);
//! let exit = lsp_server::Notification::new("exit".to_owned(), serde_json::Value::Null);
//! client.sender.send(exit.into()).unwrap();
//! thread.join().unwrap().unwrap();
//! ```

// The crates below this one, by the names that its files use.
use opsbook_event as event;
use opsbook_journal as journal;
use opsbook_manual as manual;
use opsbook_nodes as nodes;
use opsbook_project as project;
use opsbook_report as report;
use opsbook_text::{files, source};
use opsbook_vocabulary as vocabulary;

mod actions;
mod completion;
mod diagnostics;
mod fence;
mod folds;
mod hover;
mod lenses;
mod names;
mod place;
mod rename;
mod server;
mod snapshot;
mod symbols;
mod tokens;

pub use server::{ServeError, serve};
