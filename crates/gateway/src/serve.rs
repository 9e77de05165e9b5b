//! Starts the gateway, from its state folder to its sockets.

use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

use crate::alerts;
use crate::bell::{Bell, Topic};
use crate::blobs::Blobs;
use crate::child;
use crate::client::Address;
use crate::clones;
use crate::config::{BlobsIn, Config, ConfigError, Doorbell};
use crate::counters::Counters;
use crate::gateway::{Gateway, LocalUser, Tell};
use crate::http;
use crate::inventory;
use crate::manuals::{Manual, Manuals};
use crate::nats;
use crate::oidc::Providers;
use crate::private;
use crate::record;
use crate::schedule;
use crate::sealed;
use crate::spool;
use crate::store::doorbell::carry;
use crate::store::{Store, StoreError};
use crate::tls::{Authority, Certificates, LOOK, ServerTls, TlsError};
use crate::token::{new_token, sha256};
use crate::turns::Turns;
use crate::wire::{Linked, Local};

/// How often leases are checked, and whether somebody waits for nothing.
const SWEEP: Duration = Duration::from_secs(5);
/// The longest path of a socket.
const SOCKET_PATH: usize = 100;

/// The inputs for starting a gateway.
#[derive(Clone, Debug)]
pub struct Start {
    /// The manual's folder, absolute.
    pub root: PathBuf,
    /// The state folder; default: `.opsbook/gateway` in the manual's folder.
    pub state: Option<PathBuf>,
    /// The configuration.
    pub config: Config,
    /// The runner of this machine.
    pub runner: RunnerHere,
}

/// Who executes the runs of segment `here`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunnerHere {
    /// A process that the gateway starts and restarts.
    Supervised {
        /// The program `opsbook`.
        program: PathBuf,
    },
    /// Other runners.
    Others,
}

/// Why a gateway cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An error with a file or a socket.
    #[error("{what}: {why}")]
    Io {
        /// What it tried to do.
        what: String,
        /// The system's error.
        why: std::io::Error,
    },
    /// Another gateway uses the state folder.
    #[error("another gateway already serves this manual: its state folder `{}` is locked", .0.display())]
    Running(PathBuf),
    /// An error of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An error in the configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An error with TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> StartError {
    let what = what.into();
    |why| StartError::Io { what, why }
}

fn wrong(what: &str) -> impl FnOnce(String) -> StartError {
    let what = what.to_owned();
    |why| StartError::Io {
        what,
        why: std::io::Error::other(why),
    }
}

/// A running gateway.
pub struct Running {
    /// The shared data.
    pub gateway: Arc<Gateway>,
    /// Where it listens.
    pub local: Local,
    /// The fingerprint for clients, if only its own authority has signed its certificate.
    pub fingerprint: Option<String>,
    state: PathBuf,
    stop: watch::Sender<()>,
    server: tokio::task::JoinHandle<()>,
    others: Vec<tokio::task::JoinHandle<()>>,
    _lock: std::fs::File,
}

impl Running {
    /// A login link for a browser.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn link(&self) -> Result<Linked, StoreError> {
        self.gateway.link(&self.gateway.local.person).await
    }

    /// Stops everything: completes requests in progress, and tells the runner to drain.
    pub async fn stop(self) {
        // Remove the file: whoever finds it assumes that a gateway serves.
        let _ = std::fs::remove_file(self.state.join("address.json"));
        let _ = std::fs::remove_file(&self.local.socket);
        let _ = self.stop.send(());
        for other in self.others {
            let _ = other.await;
        }
        // A stream of events does not end by itself.
        let _ = tokio::time::timeout(Duration::from_secs(2), self.server).await;
    }

    /// Resolves when it no longer serves.
    pub async fn failed(&mut self) {
        let _ = (&mut self.server).await;
    }
}

/// Starts a gateway.
///
/// # Errors
/// If it cannot serve.
pub async fn start(start: Start, tell: Tell) -> Result<Running, StartError> {
    let state = start.state.clone();
    let state = state.unwrap_or_else(|| start.root.join(".opsbook/gateway"));
    private_folder(&state)?;
    let lock = locked(&state)?;
    let address = start.config.listen.address;
    let hint = "; `--listen 127.0.0.1:PORT` names another port";
    let tcp = TcpListener::bind(address).await;
    let tcp = tcp.map_err(io(format!("cannot listen on {address}{hint}")))?;
    let address = tcp.local_addr().map_err(io("the address"))?;
    let (unix, socket) = bound(&state)?;
    let local = Local {
        url: url(&start.config, address),
        socket: socket.display().to_string(),
    };
    let gateway = Arc::new(assembled(&start, &state, &local.url).await?);
    clones::first(&gateway, &tell).await;
    let tls = tls(&start.config, &gateway, address)?;
    let fingerprint = tls.as_ref().and_then(|tls| tls.fingerprint());
    let (stop, stopped) = watch::channel(());
    let mut others = kept(&start, &state, &gateway, (&stopped, &tell))?;
    others.extend(ringing(&start.config, &gateway, (&stopped, &tell))?);
    if let Some(tls) = tls.clone() {
        others.push(tokio::spawn(look(tls, stopped.clone(), Arc::clone(&tell))));
    }
    // Nobody gets an answer before the file names this address: it may name that of a gateway that
    // was killed.
    write_address(&state, &local)?;
    let server = http::serve(Arc::clone(&gateway), unix, tcp, tls, stopped.clone());
    let server = tokio::spawn(server);
    if let RunnerHere::Supervised { program } = start.runner {
        let runner = child::Runner {
            program,
            socket,
            state: state.join("runner"),
            approval: start
                .config
                .approvers()
                .map(|signers| (signers, gateway.name.clone(), start.config.approval.always)),
        };
        others.push(tokio::spawn(child::supervise(runner, stopped, tell)));
    }
    Ok(Running {
        gateway,
        local,
        fingerprint,
        state,
        stop,
        server,
        others,
        _lock: lock,
    })
}

/// Background work, until `stopped`.
fn kept(
    start: &Start,
    state: &Path,
    gateway: &Arc<Gateway>,
    (stopped, tell): (&watch::Receiver<()>, &Tell),
) -> Result<Vec<tokio::task::JoinHandle<()>>, StartError> {
    let key = start.config.record.key.clone();
    let key = key.unwrap_or_else(|| state.join("record_key"));
    let pause = start.config.record.pause().map_err(wrong("record.every"))?;
    let with = || (Arc::clone(gateway), stopped.clone(), Arc::clone(tell));
    let mut others = Vec::new();
    let (gateway, stop, tell) = with();
    others.push(tokio::spawn(sweep(gateway, stop, tell)));
    let (gateway, stop, tell) = with();
    others.push(tokio::spawn(schedule::keep(gateway, stop, tell)));
    let (gateway, stop, tell) = with();
    others.push(tokio::spawn(record::keep(
        gateway,
        (key, pause),
        stop,
        tell,
    )));
    let (gateway, stop, tell) = with();
    others.push(tokio::spawn(clones::keep(gateway, stop, tell)));
    let (gateway, stop, tell) = with();
    others.push(tokio::spawn(alerts::send(gateway, stop, tell)));
    let (gateway, stop, tell) = with();
    others.push(tokio::spawn(spool::carry(gateway, stop, tell)));
    let (gateway, stop, tell) = with();
    let folder = gateway.sealed.clone();
    others.push(tokio::spawn(sealed::keep(gateway, folder, stop, tell)));
    if !start.config.inventory.is_empty() {
        let (gateway, stop, tell) = with();
        let all = inventory::of(&start.config.inventory, &gateway.manuals);
        let all = all.map_err(wrong("inventory"))?;
        let kept = inventory::keep(all, gateway.name.clone(), stop, tell);
        others.push(tokio::spawn(kept));
    }
    Ok(others)
}

/// Its address for people.
fn url(config: &Config, address: SocketAddr) -> String {
    if let Some(url) = &config.listen.url {
        return url.trim_end_matches('/').to_owned();
    }
    if !config.speaks_tls() {
        return format!("http://{address}");
    }
    // The unspecified address cannot be used by clients.
    if address.ip().is_unspecified() {
        return format!("https://{}:{}", name(config), address.port());
    }
    format!("https://{address}")
}

fn name(config: &Config) -> String {
    let name = config.name.clone();
    name.unwrap_or_else(crate::project::controller_name)
}

/// Its other host names.
fn names(config: &Config, url: &str) -> Vec<String> {
    let of_url = url.parse().ok().and_then(|address| match address {
        Address::Http { host, .. } | Address::Https { host, .. } => Some(host),
        Address::Unix(_) => None,
    });
    let configured = config.listen.tls.clone().unwrap_or_default().names;
    let mut names: Vec<String> = of_url.into_iter().chain(configured).collect();
    names.dedup();
    names
}

fn tls(
    config: &Config,
    gateway: &Gateway,
    address: SocketAddr,
) -> Result<Option<Arc<ServerTls>>, StartError> {
    if !config.speaks_tls() {
        return Ok(None);
    }
    let mut names = gateway.names.clone();
    names.extend([gateway.name.clone(), "localhost".to_owned()]);
    names.extend(["127.0.0.1".to_owned(), "::1".to_owned()]);
    if !address.ip().is_unspecified() {
        names.push(address.ip().to_string());
    }
    names.sort();
    names.dedup();
    let authority = Arc::clone(&gateway.certificates.authority);
    let tls = ServerTls::new(&config.listen, names, authority)?;
    Ok(Some(Arc::new(tls)))
}

/// Uses a renewed certificate without a restart.
async fn look(tls: Arc<ServerTls>, mut stop: watch::Receiver<()>, tell: Tell) {
    let mut said = String::new();
    while tokio::time::timeout(LOOK, stop.changed()).await.is_err() {
        match tls.look() {
            Ok(true) => tell("the certificate was renewed"),
            Ok(false) => said.clear(),
            Err(error) => {
                let text = format!("the old certificate stays in use: {error}");
                if text != said {
                    tell(&text);
                    said = text;
                }
            }
        }
    }
}

/// The data that all requests share.
async fn assembled(start: &Start, state: &Path, url: &str) -> Result<Gateway, StartError> {
    let config = &start.config;
    let mut store = match &config.store.url {
        Some(url) => Store::open(url).await?,
        None => Store::open_file(&state.join("gateway.db")).await?,
    };
    store.leases = config.runners.leases().map_err(wrong("runners"))?;
    let (blobs, archives) = blobs(config, state)?;
    let rule = config.rule().map_err(wrong("version"))?;
    let name = name(config);
    let authority = config.runners.authority.clone();
    let authority = authority.unwrap_or_else(|| state.join("tls"));
    let authority = Authority::open(&authority, &name).map_err(TlsError::from)?;
    Ok(Gateway {
        names: names(config, url),
        certificates: Certificates {
            authority: Arc::new(authority),
            life: config.life().map_err(wrong("runners.certificate"))?,
        },
        name,
        rule,
        blobs,
        bell: Arc::new(match config.doorbell().map_err(wrong("doorbell"))? {
            Doorbell::Process => Bell::default(),
            Doorbell::Postgres | Doorbell::Nats(_) => Bell::shared(),
        }),
        turns: Turns::default(),
        store,
        providers: Providers::of(&config.login),
        signers: { config.login.ssh.as_ref() }.map(|ssh| ssh.allowed_signers.clone()),
        approvers: config.approvers(),
        segments: config.segments.clone(),
        sealed: state.join("sealed"),
        schedules: config.schedules.clone(),
        alerts: config.alerts.clone(),
        hooks: config.hooks.clone(),
        ticket: config.ticket.clone(),
        archives,
        manuals: manuals(start, state),
        local: LocalUser {
            uid: rustix::process::geteuid().as_raw(),
            person: crate::project::operator_name(),
            token_sha256: sha256(token(state)?),
            runner: format!(
                "local-{}",
                &sha256(state.as_os_str().as_encoded_bytes())[..8]
            ),
            url: url.to_owned(),
        },
        counters: Counters::default(),
    })
}

/// The manual of the folder, or the configured ones.
fn manuals(start: &Start, state: &Path) -> Manuals {
    let always = start.config.approval.always;
    if start.config.manuals.is_empty() {
        return Manuals::new(vec![Manual::new(&start.root, state, always)]);
    }
    let all = start.config.manuals.iter();
    let all = all.map(|(name, at)| Manual::named(name, at.source(), state, always));
    Manuals::new(all.collect())
}

/// The blob store, and the folder of archives.
fn blobs(config: &Config, state: &Path) -> Result<(Blobs, PathBuf), StartError> {
    match config.blobs.place().map_err(wrong("blobs"))? {
        BlobsIn::Folder(folder) => {
            let folder = folder.unwrap_or_else(|| state.join("blobs"));
            let blobs = Blobs::open(&folder).map_err(io(format!("`{}`", folder.display())))?;
            Ok((blobs, folder.join(".archives")))
        }
        BlobsIn::Bucket(url) => {
            let blobs = Blobs::bucket(&url, &config.blobs.s3).map_err(wrong("blobs"))?;
            Ok((blobs, state.join("archives")))
        }
    }
}

/// Exchanges rings with other gateways.
fn ringing(
    config: &Config,
    gateway: &Gateway,
    (stopped, tell): (&watch::Receiver<()>, &Tell),
) -> Result<Option<tokio::task::JoinHandle<()>>, StartError> {
    let bell = Arc::clone(&gateway.bell);
    Ok(match config.doorbell().map_err(wrong("doorbell"))? {
        Doorbell::Process => None,
        Doorbell::Postgres => {
            let url = config.store.url.clone().unwrap_or_default();
            let carried = carry(gateway.store.clone(), url, bell, stopped.clone());
            Some(tokio::spawn(carried))
        }
        Doorbell::Nats(nats) => {
            let carried = nats::carry(*nats, bell, stopped.clone(), Arc::clone(tell));
            Some(tokio::spawn(carried))
        }
    })
}

async fn sweep(gateway: Arc<Gateway>, mut stop: watch::Receiver<()>, tell: Tell) {
    let mut well = true;
    while tokio::time::timeout(SWEEP, stop.changed()).await.is_err() {
        match swept(&gateway).await {
            Ok(()) => well = true,
            Err(error) => {
                if well {
                    tell(&format!("cannot check the leases: {error}"));
                }
                well = false;
            }
        }
    }
}

/// Looks at the leases, and for runners that wait because a ring was lost.
async fn swept(gateway: &Gateway) -> Result<(), StoreError> {
    let store = &gateway.store;
    let swept = store.sweep(store.leases.adopt_after).await?;
    for run in swept.unseen.into_iter().chain(swept.expired) {
        gateway.bell.ring(&Topic::Run(run));
    }
    for (run, segment) in swept.offered {
        gateway.bell.ring(&Topic::Run(run));
        gateway.bell.ring(&Topic::Segment(segment));
    }
    for topic in store.calls().await? {
        gateway.bell.ring_here(&topic);
    }
    Ok(())
}

/// A folder that only this user can enter.
fn private_folder(path: &Path) -> Result<(), StartError> {
    private::folder(path).map_err(io(format!("`{}`", path.display())))
}

/// Locks a state folder: only one gateway uses it while the file is open.
///
/// # Errors
/// If another one uses it.
pub fn locked(state: &Path) -> Result<std::fs::File, StartError> {
    let path = state.join("lock");
    let mut options = std::fs::OpenOptions::new();
    let options = options.create(true).append(true).mode(0o600);
    let file = options
        .open(&path)
        .map_err(io(format!("`{}`", path.display())))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(_) => Err(StartError::Running(state.to_owned())),
    }
}

/// The token of this machine's user: generated once, in a private file.
fn token(state: &Path) -> Result<String, StartError> {
    let path = state.join("token");
    let shown = format!("`{}`", path.display());
    match std::fs::read_to_string(&path) {
        Ok(token) if token.trim().len() >= 32 => return Ok(token.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(io(shown)(error)),
    }
    let token = new_token();
    private::replace(&path, format!("{token}\n").as_bytes()).map_err(io(shown))?;
    Ok(token)
}

fn write_address(state: &Path, local: &Local) -> Result<(), StartError> {
    let path = state.join("address.json");
    let text = serde_json::to_string(local).unwrap_or_default();
    private::replace(&path, text.as_bytes()).map_err(io(format!("`{}`", path.display())))
}

/// The socket in the state folder; if that path is too long, in a private folder below the runtime
/// directory.
fn bound(state: &Path) -> Result<(UnixListener, PathBuf), StartError> {
    let mut path = state.join("socket");
    if path.as_os_str().len() > SOCKET_PATH {
        let name = &sha256(state.as_os_str().as_encoded_bytes())[..16];
        let uid = rustix::process::geteuid().as_raw();
        let below = std::env::var_os("XDG_RUNTIME_DIR")
            .map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
        let folder = below.join(format!("opsbook-{uid}-{name}"));
        private_folder(&folder)?;
        path = folder.join("socket");
    }
    let shown = format!("`{}`", path.display());
    // The lock ensures that nobody uses the existing socket.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(shown)(error)),
        _ => {}
    }
    let socket = UnixListener::bind(&path).map_err(io(&*shown))?;
    let own = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&path, own).map_err(io(shown))?;
    Ok((socket, path))
}
