//! Names of HTTP headers, in lower case as in HTTP/2.

/// Every request: the version of the client, `0.4.1`.
pub const VERSION: &str = "opsbook-version";
/// Every request: the version of this interface, `1`. Required for changes: a page of another site
/// cannot set it, so it also prevents forged requests.
pub const API: &str = "opsbook-api";
/// Every request: how the program was installed, see [`crate::version::Installed`].
pub const INSTALLED: &str = "opsbook-installed";
/// Every answer: the gateway's own version.
pub const GATEWAY: &str = "opsbook-gateway";
/// Every answer: the version that clients should have.
pub const WANTS: &str = "opsbook-wants";
/// In an answer to an older program: the command that installs the wanted version.
pub const UPGRADE: &str = "opsbook-upgrade";
/// Every answer: the oldest version that is served.
pub const OLDEST: &str = "opsbook-oldest";
/// `POST /v1/asks`: the client's key for this order. The same key makes one run.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// `POST /v1/asks`, repeated because the gateway has lost it: the name of its run.
pub const RUN: &str = "opsbook-run";
/// The folder name of a runner that was not enrolled: it distinguishes two runners of one user on
/// one machine.
pub const RUNNER: &str = "opsbook-runner";
/// Where a stream of events continues: `NODE:EPOCH:SEQ`, see [`crate::Cursor`].
pub const LAST_EVENT_ID: &str = "last-event-id";
/// The content type of a problem.
pub const PROBLEM_JSON: &str = "application/problem+json";
/// The content type of events as lines.
pub const NDJSON: &str = "application/x-ndjson";
