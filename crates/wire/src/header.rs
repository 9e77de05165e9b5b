//! Names of HTTP headers, in the spelling of HTTP/2.

/// Every request: the version of the program that asks, `0.4.1`.
pub const VERSION: &str = "opsbook-version";
/// Every request: the version of this interface, `1`. Required on each request that changes
/// something: a page of another site cannot set it, so it also guards against forged requests.
pub const API: &str = "opsbook-api";
/// Every request: how the program was installed, see [`crate::version::Installed`].
pub const INSTALLED: &str = "opsbook-installed";
/// Every answer: the version that the gateway would like its clients to have.
pub const WANTS: &str = "opsbook-wants";
/// An answer to a program that is older than wanted: the command that brings the wanted version.
pub const UPGRADE: &str = "opsbook-upgrade";
/// Every answer: the oldest version that is served.
pub const OLDEST: &str = "opsbook-oldest";
/// `POST /v1/asks`: a name of the client's for this ask. The same name makes one run.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// `POST /v1/asks` that is made again, because the gateway has lost it: the name that its run had.
pub const RUN: &str = "opsbook-run";
/// A runner that was not enrolled: a name of its folder, so that two of one user of one machine are
/// two runners.
pub const RUNNER: &str = "opsbook-runner";
/// Where a stream of events goes on: `NODE:EPOCH:SEQ`, see [`crate::Cursor`].
pub const LAST_EVENT_ID: &str = "last-event-id";
/// The content type of a problem.
pub const PROBLEM_JSON: &str = "application/problem+json";
/// The content type of events as lines.
pub const NDJSON: &str = "application/x-ndjson";
