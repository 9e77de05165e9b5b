//! The language server: the problems of `opsbook lint` while the author writes, and the meaning of
//! names.
//!
//! It speaks the Language Server Protocol over a given connection, handles messages in order, runs
//! nothing and contacts no node. After each pause in typing it reads the whole manual, with the
//! editor's texts instead of those on disk; it answers requests from the editor's current texts.
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

// The crates below this one, under the names that its files use.
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
mod hints;
mod hover;
mod lenses;
mod links;
mod names;
mod place;
mod rename;
mod selection;
mod server;
mod snapshot;
mod symbols;
mod tokens;

pub use server::{ServeError, serve};
