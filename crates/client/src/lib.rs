//! How a program talks to a gateway: one persistent connection, JSON bodies, problems in the
//! gateway's words, and its remarks about our version. Prints nothing.
//!
//! Over TLS (`https://…`, verified by the machine's certificates or by a fingerprint), over TCP
//! (`http://…`) and over a unix socket (`unix:/path`), where the kernel tells the gateway who
//! calls.

mod address;
mod connection;
mod identity;
mod lines;
mod logins;
mod notice;
mod outbound;
mod request;
#[cfg(test)]
mod tests;
mod tls;

pub use address::{Address, AddressError};
pub use identity::{Identity, Requested, request};
pub use lines::Lines;
pub use logins::{Login, Logins, LoginsError};
pub use notice::told_today;
pub use outbound::{Outbound, Reply, Url, UrlError, outbound};
pub use request::{Client, ClientError, Method, Token};
pub use tls::{Fingerprint, FingerprintError, Tls, Trust};
