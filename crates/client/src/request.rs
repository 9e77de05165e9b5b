//! Requests and their answers.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode};
use opsbook_wire::version::Installed;
use opsbook_wire::{Kind, Problem, header};
use rustls::ClientConfig;
use semver::Version;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::connection::{Connection, open};
use crate::tls::config;
use crate::{Address, Lines, Tls, Trust};

/// The time for an answer, in addition to the wait that the request asks for.
const PATIENCE: Duration = Duration::from_secs(30);
/// The default limit of an answer, in bytes.
const ANSWER: usize = 64 << 20;

/// The token of the caller. No message contains it, and it is overwritten when dropped.
#[derive(Clone)]
pub struct Token(Arc<Zeroizing<String>>);

impl Token {
    /// Takes its text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Token {
        Token(Arc::new(Zeroizing::new(text.into())))
    }

    /// The text, to be sent or stored in a file of this user.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No answer; whether the request arrived is unknown.
    #[error("cannot reach the gateway {address}: {cause}")]
    Unreachable {
        /// The address.
        address: String,
        /// The system's error.
        cause: String,
    },
    /// The gateway refuses.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// The gateway is older than this program, which may be why it refuses.
    #[error("{error} (this gateway is version {gateway}, older than this program, {own})")]
    OlderGateway {
        /// Its refusal.
        error: Box<ClientError>,
        /// Its version.
        gateway: Version,
        /// The version of this program.
        own: Version,
    },
    /// The answer is not from a gateway, or not understood.
    #[error("cannot understand the answer of {address}: {cause}")]
    Strange {
        /// The address.
        address: String,
        /// What is wrong with the answer.
        cause: String,
    },
}

impl ClientError {
    /// The stable error code, if the gateway refused.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        match self {
            ClientError::Problem(problem) => Some(problem.kind),
            ClientError::OlderGateway { error, .. } => error.kind(),
            _ => None,
        }
    }

    /// Whether the same request may succeed in a moment.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            ClientError::Unreachable { .. } => true,
            ClientError::Problem(problem) => matches!(
                problem.kind,
                Kind::Unavailable | Kind::TooMuch | Kind::Internal
            ),
            ClientError::OlderGateway { error, .. } => error.may_pass(),
            ClientError::Strange { .. } => false,
        }
    }
}

/// The method of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Change.
    Post,
}

/// A gateway, and its remarks about our version. Cheap to clone; clones share a connection.
#[derive(Clone, Debug)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    address: Address,
    token: Option<Token>,
    version: String,
    installed: Installed,
    /// A connection that is not in use.
    idle: Mutex<Option<Connection>>,
    older: Mutex<Option<Older>>,
    /// The version of the gateway, if it is older than this program.
    gateway: Mutex<Option<Version>>,
    tls: Mutex<Shown>,
    /// Which runner of this user it is, see [`header::RUNNER`].
    runner: OnceLock<String>,
}

/// Whom connections trust, which identity they show, and how often that has changed.
#[derive(Debug, Default)]
struct Shown {
    tls: Tls,
    /// Made once for all connections: the machine's trusted certificates are some hundred files.
    made: Option<Arc<ClientConfig>>,
    changed: u64,
}

/// The gateway wants a newer version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Older {
    /// The version that it wants.
    pub wants: String,
    /// The command that installs it, if the gateway names one.
    pub upgrade: Option<String>,
    /// The oldest version that it serves, if this one is older.
    pub oldest: Option<String>,
}

/// A request on its way.
struct Call<'a> {
    method: Method,
    path: &'a str,
    body: Vec<u8>,
    headers: Vec<(&'static str, String)>,
    patience: Duration,
}

impl Client {
    /// A client of this version.
    #[must_use]
    pub fn new(
        address: Address,
        token: Option<Token>,
        version: &str,
        installed: Installed,
    ) -> Client {
        Client(Arc::new(Inner {
            address,
            token,
            version: version.to_owned(),
            installed,
            idle: Mutex::default(),
            older: Mutex::default(),
            gateway: Mutex::default(),
            tls: Mutex::default(),
            runner: OnceLock::new(),
        }))
    }

    /// Sets which of this user's runners asks, if it was not enrolled. Only the first call counts.
    pub fn set_runner(&self, name: String) {
        let _ = self.0.runner.set(name);
    }

    /// Changes whom it trusts and which identity it shows. Existing connections are no longer used.
    pub fn set_tls(&self, tls: Tls) {
        {
            let mut shown = self.shown();
            shown.tls = tls;
            shown.made = None;
            shown.changed += 1;
        }
        let mut idle = lock(&self.0.idle);
        *idle = None;
    }

    /// Whom it trusts.
    #[must_use]
    pub fn trust(&self) -> Trust {
        self.shown().tls.trust.clone()
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        lock(&self.0.tls)
    }

    fn tls(&self) -> Result<Arc<ClientConfig>, String> {
        let mut shown = self.shown();
        if let Some(made) = &shown.made {
            return Ok(Arc::clone(made));
        }
        let made = Arc::new(config(&shown.tls)?);
        shown.made = Some(Arc::clone(&made));
        Ok(made)
    }

    /// The gateway's address.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.0.address
    }

    /// Set once the gateway has asked for a newer version.
    #[must_use]
    pub fn older(&self) -> Option<Older> {
        lock(&self.0.older).clone()
    }

    /// Reads something.
    ///
    /// # Errors
    /// If there is no answer, or the gateway refuses.
    pub async fn get<A: DeserializeOwned>(&self, path: &str) -> Result<A, ClientError> {
        self.json(Client::call(Method::Get, path)).await
    }

    /// Changes something.
    ///
    /// # Errors
    /// If there is no answer, or the gateway refuses. If the gateway is unreachable, it is unknown
    /// whether the change was made.
    pub async fn post<A: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<A, ClientError> {
        self.json(self.with_body(path, body)?).await
    }

    /// The same for a request that may stay open this long.
    ///
    /// # Errors
    /// The same as for [`Client::post`].
    pub async fn post_and_wait<A: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        wait: Duration,
    ) -> Result<A, ClientError> {
        let call = self.with_body(path, body)?;
        let patience = PATIENCE + wait;
        self.json(Call { patience, ..call }).await
    }

    /// Changes something exactly once, however often it is sent; `key` identifies the change.
    ///
    /// # Errors
    /// The same as for [`Client::post`].
    pub async fn post_once<A: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        key: &str,
    ) -> Result<A, ClientError> {
        self.json(self.once(path, body, key)?).await
    }

    /// Repeats a request whose result the gateway has lost; the result had this name.
    ///
    /// # Errors
    /// The same as for [`Client::post`].
    pub async fn post_again<A: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        (key, run): (&str, &str),
    ) -> Result<A, ClientError> {
        let mut call = self.once(path, body, key)?;
        call.headers.push((header::RUN, run.to_owned()));
        self.json(call).await
    }

    fn once<'a>(
        &self,
        path: &'a str,
        body: &impl Serialize,
        key: &str,
    ) -> Result<Call<'a>, ClientError> {
        let mut call = self.with_body(path, body)?;
        call.headers.push((header::IDEMPOTENCY_KEY, key.to_owned()));
        Ok(call)
    }

    /// Notifies a program that is not a gateway; any success status is accepted.
    ///
    /// # Errors
    /// The same as for [`Client::post`].
    pub async fn tell(&self, path: &str, body: &impl Serialize) -> Result<(), ClientError> {
        self.answer(self.with_body(path, body)?).await.map(drop)
    }

    /// The bytes at a path, at most `most`.
    ///
    /// # Errors
    /// If there is no answer, the gateway refuses, or there are more bytes.
    pub async fn bytes(&self, path: &str, most: usize) -> Result<Vec<u8>, ClientError> {
        let answer = self.answer(Client::call(Method::Get, path)).await?;
        Ok(self.body(answer, most).await?.into())
    }

    /// The event lines of a run, after this position, as long as the stream lasts.
    ///
    /// # Errors
    /// If there is no answer, or the gateway refuses.
    pub async fn events(&self, path: &str, after: Option<&str>) -> Result<Lines, ClientError> {
        let mut call = Client::call(Method::Get, path);
        call.headers
            .push(("accept", "text/event-stream".to_owned()));
        if let Some(after) = after {
            call.headers.push((header::LAST_EVENT_ID, after.to_owned()));
        }
        Ok(Lines::new(self.answer(call).await?.into_body()))
    }

    fn call(method: Method, path: &str) -> Call<'_> {
        Call {
            method,
            path,
            body: Vec::new(),
            headers: Vec::new(),
            patience: PATIENCE,
        }
    }

    fn with_body<'a>(&self, path: &'a str, body: &impl Serialize) -> Result<Call<'a>, ClientError> {
        let body = serde_json::to_vec(body);
        Ok(Call {
            body: body.map_err(|error| self.strange(error.to_string()))?,
            headers: vec![("content-type", "application/json".to_owned())],
            ..Client::call(Method::Post, path)
        })
    }

    async fn json<A: DeserializeOwned>(&self, call: Call<'_>) -> Result<A, ClientError> {
        let answer = self.answer(call).await?;
        let body = self.body(answer, ANSWER).await?;
        let read = serde_json::from_slice(&body);
        read.map_err(|error| self.perhaps_older(self.strange(error.to_string())))
    }

    /// Says that the gateway is older, if it may not know what this program wants.
    fn perhaps_older(&self, error: ClientError) -> ClientError {
        let unknown = [Kind::Malformed, Kind::Method, Kind::NotFound, Kind::Other];
        let may_be = match &error {
            ClientError::Problem(problem) => unknown.contains(&problem.kind),
            ClientError::Strange { .. } => true,
            _ => false,
        };
        let gateway = lock(&self.0.gateway).clone().filter(|_| may_be);
        match (gateway, Version::parse(&self.0.version)) {
            (Some(gateway), Ok(own)) => ClientError::OlderGateway {
                error: Box::new(error),
                gateway,
                own,
            },
            _ => error,
        }
    }

    /// The answer, unless it is a problem.
    async fn answer(&self, call: Call<'_>) -> Result<Response<Incoming>, ClientError> {
        let answer = self.sent(&call).await?;
        self.note_version(&answer);
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let error = self.problem(status, answer).await;
        Err(self.perhaps_older(error))
    }

    async fn sent(&self, call: &Call<'_>) -> Result<Response<Incoming>, ClientError> {
        let changed = self.shown().changed;
        let kept = {
            let mut idle = lock(&self.0.idle);
            idle.take()
        };
        // A kept connection may have been closed meanwhile. Every request may be sent twice: the
        // gateway executes it once.
        if let Some(mut kept) = kept
            && kept.ready().await.is_ok()
        {
            match self.on(&mut kept, call).await {
                Ok(answer) => return Ok(self.keep((kept, changed), answer)),
                Err(Failed::Broken(_)) => {}
                Err(Failed::Silent) => return Err(self.silent(call)),
            }
        }
        let mut fresh = open(&self.0.address, || self.tls())
            .await
            .map_err(|cause| self.unreachable(cause))?;
        match self.on(&mut fresh, call).await {
            Ok(answer) => Ok(self.keep((fresh, changed), answer)),
            Err(Failed::Broken(cause)) => Err(self.unreachable(cause)),
            Err(Failed::Silent) => Err(self.silent(call)),
        }
    }

    /// Keeps a connection for the next request, unless its identity is outdated.
    fn keep(
        &self,
        (connection, changed): (Connection, u64),
        answer: Response<Incoming>,
    ) -> Response<Incoming> {
        if self.shown().changed != changed {
            return answer;
        }
        let mut idle = lock(&self.0.idle);
        *idle = Some(connection);
        answer
    }

    async fn on(
        &self,
        connection: &mut Connection,
        call: &Call<'_>,
    ) -> Result<Response<Incoming>, Failed> {
        let request = self.request(call);
        let request = request.map_err(|error| Failed::Broken(error.to_string()))?;
        let sending = connection.send_request(request);
        match tokio::time::timeout(call.patience, sending).await {
            Ok(answer) => answer.map_err(|error| Failed::Broken(told(&error))),
            Err(_) => Err(Failed::Silent),
        }
    }

    fn request(&self, call: &Call<'_>) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let method = match call.method {
            Method::Get => "GET",
            Method::Post => "POST",
        };
        let mut request = Request::builder()
            .method(method)
            .uri(call.path)
            .header("host", self.0.address.authority())
            .header(header::VERSION, &self.0.version)
            .header(header::API, opsbook_wire::API.to_string())
            .header(header::INSTALLED, self.0.installed.word());
        if let Some(token) = &self.0.token {
            let bearer = Zeroizing::new(format!("Bearer {}", token.expose()));
            let mut value = hyper::header::HeaderValue::from_str(&bearer)?;
            value.set_sensitive(true);
            request = request.header("authorization", value);
        }
        if let Some(runner) = self.0.runner.get() {
            request = request.header(header::RUNNER, runner);
        }
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        request.body(Full::new(Bytes::from(call.body.clone())))
    }

    async fn body(&self, answer: Response<Incoming>, most: usize) -> Result<Bytes, ClientError> {
        let reading = Limited::new(answer.into_body(), most).collect();
        match tokio::time::timeout(PATIENCE, reading).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) => Err(self.unreachable(format!("its answer ended early: {error}"))),
            Err(_) => Err(self.unreachable("its answer did not end".to_owned())),
        }
    }

    async fn problem(&self, status: StatusCode, answer: Response<Incoming>) -> ClientError {
        let body = match self.body(answer, ANSWER).await {
            Ok(body) => body,
            Err(error) => return error,
        };
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => ClientError::Problem(Box::new(problem)),
            Err(_) if status.is_server_error() => self.unreachable(status.to_string()),
            Err(_) => self.strange(format!("status {status}")),
        }
    }

    fn note_version(&self, answer: &Response<Incoming>) {
        let header = |name| answer.headers().get(name)?.to_str().ok().map(str::to_owned);
        let version = |name| header(name).and_then(|text| Version::parse(&text).ok());
        let Ok(own) = Version::parse(&self.0.version) else {
            return;
        };
        *lock(&self.0.gateway) = version(header::GATEWAY).filter(|gateway| *gateway < own);
        if let Some(wanted) = version(header::WANTS) {
            let oldest = version(header::OLDEST).filter(|oldest| own < *oldest);
            *lock(&self.0.older) = (own < wanted).then(|| Older {
                wants: wanted.to_string(),
                upgrade: header(header::UPGRADE),
                oldest: oldest.map(|oldest| oldest.to_string()),
            });
        }
    }

    fn silent(&self, call: &Call<'_>) -> ClientError {
        self.unreachable(format!(
            "no answer within {} seconds",
            call.patience.as_secs()
        ))
    }

    fn unreachable(&self, cause: String) -> ClientError {
        ClientError::Unreachable {
            address: self.0.address.to_string(),
            cause,
        }
    }

    fn strange(&self, cause: String) -> ClientError {
        ClientError::Strange {
            address: self.0.address.to_string(),
            cause,
        }
    }
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An error with its causes: the library reports many errors as `connection error`.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut behind = error.source();
    while let Some(error) = behind {
        text = format!("{text}: {error}");
        behind = error.source();
    }
    text
}

/// Why a connection gave no answer.
enum Failed {
    /// It has ended; the reason.
    Broken(String),
    /// It is open, and nothing arrives.
    Silent,
}
