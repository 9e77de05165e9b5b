//! Reaches a host: the TCP connection or the way through jump hosts, the key exchange, the check of
//! the host's key, the login.

use std::ffi::OsString;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use russh::client::{self, Handle};
use russh::keys::{Algorithm, HashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{ChannelOpenFailure, SshId};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};

use super::Failed;
use super::known::{Known, Verdict};
use super::login::login;
use super::settings::{self, Family, Settings, cannot};
use crate::channel::lock;
use crate::connection::Teller;
use crate::error::Cause;
use crate::{fair, ssh};

/// A longer chain of jump hosts is a circle.
const MOST_JUMPS: usize = 8;

/// An open and logged in connection, and the ones that it goes through.
pub(super) struct Reached {
    pub(super) handle: Handle<Host>,
    pub(super) settings: Settings,
    _through: Option<Box<Reached>>,
}

/// What is the same for each host on the way.
pub(super) struct Way {
    /// Arguments of `ssh` that hold for every host.
    pub(super) common: Vec<OsString>,
    /// The time for a host to exchange keys.
    pub(super) limit: Duration,
    pub(super) teller: Arc<Teller>,
}

type Reaching<'a> = Pin<Box<dyn Future<Output = Result<Reached, Failed>> + Send + 'a>>;

/// Reaches the host that `words` name to `ssh`.
pub(super) fn reach(way: &Way, words: Vec<OsString>, depth: usize) -> Reaching<'_> {
    Box::pin(async move {
        let arguments: Vec<_> = way.common.iter().cloned().chain(words).collect();
        let settings = settings::ask(&arguments).await?;
        if depth > MOST_JUMPS {
            let said = "the jump hosts lead in a circle".to_owned();
            return Err(Failed::new(Cause::Config, said));
        }
        let Some((last, before)) = settings.jumps.split_last() else {
            let stream = tcp(&settings, way.limit).await?;
            return meet(way, stream, settings, None).await;
        };
        let hop = reach(way, hop(last, before)?, depth + 1).await;
        let hop = hop.map_err(Failed::behind)?;
        let (host, port) = (settings.host.clone(), settings.port.into());
        let open = hop
            .handle
            .channel_open_direct_tcpip(host, port, "127.0.0.1", 0);
        let open = fair::within(way.limit, open).await;
        let open = open.unwrap_or(Err(russh::Error::ConnectionTimeout));
        let stream = open.map_err(|error| Failed::behind(not_led_on(&error)))?;
        let met = meet(way, stream.into_stream(), settings, Some(Box::new(hop))).await;
        met.map_err(Failed::behind)
    })
}

fn not_led_on(error: &russh::Error) -> Failed {
    let cause = match error {
        russh::Error::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed) => Cause::Refused,
        russh::Error::ConnectionTimeout => Cause::TimedOut,
        _ => Cause::Other,
    };
    Failed::new(cause, format!("the jump host leads no further: {error}"))
}

/// The words for `ssh` about a jump host, `[user@]host[:port]` or a URL.
fn hop(text: &str, before: &[String]) -> Result<Vec<OsString>, Failed> {
    let mut words: Vec<_> = ssh::usual().collect();
    if !before.is_empty() {
        words.push(OsString::from("-J"));
        words.push(before.join(",").into());
    }
    let text = text.strip_prefix("ssh://").unwrap_or(text);
    let url = format!("ssh://{}", text.trim_end_matches('/'));
    if text.is_empty() || text.starts_with('-') || text.contains(char::is_whitespace) {
        let said = cannot(&format!("`proxyjump {text}`"));
        return Err(Failed::new(Cause::Config, said));
    }
    words.extend(["--".into(), url.into()]);
    Ok(words)
}

async fn tcp(settings: &Settings, limit: Duration) -> Result<TcpStream, Failed> {
    let (host, port) = (settings.host.as_str(), settings.port);
    let failed = |error: &io::Error, cause: Cause| {
        Failed::new(
            cause,
            format!("connect to host {host} port {port}: {error}"),
        )
    };
    let found = fair::within(limit, tokio::net::lookup_host((host, port))).await;
    let found = found.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()));
    let found = found.map_err(|error| failed(&error, Cause::Name))?;
    let fits = |to: &SocketAddr| match settings.family {
        Family::Any => true,
        Family::V4 => to.is_ipv4(),
        Family::V6 => to.is_ipv6(),
    };
    let none = io::Error::other("it has no address of the wanted family");
    let mut last = failed(&none, Cause::Name);
    for to in found.filter(fits) {
        let connected = fair::within(limit, connect(to)).await;
        match connected.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = failed(&error, cause(&error)),
        }
    }
    Err(last)
}

async fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let socket = match to {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_keepalive(true)?;
    let stream = socket.connect(to).await?;
    // A frame is a small packet that waits for an answer.
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn cause(error: &io::Error) -> Cause {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Cause::Refused,
        io::ErrorKind::TimedOut => Cause::TimedOut,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Cause::NoRoute,
        _ => Cause::Other,
    }
}

/// Exchanges keys over `stream`, checks the host's, and logs in.
async fn meet(
    way: &Way,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    settings: Settings,
    through: Option<Box<Reached>>,
) -> Result<Reached, Failed> {
    let name = settings.alias.as_ref().unwrap_or(&settings.host);
    let known = Known::read(
        &settings.known,
        name,
        settings.port,
        settings.alias.is_some(),
    );
    let config = config(&settings, &known)?;
    let refusal = Arc::new(Mutex::new(None));
    let host = Host {
        shown: match settings.port {
            22 => name.clone(),
            _ if settings.alias.is_some() => name.clone(),
            port => format!("[{name}]:{port}"),
        },
        name: name.clone(),
        known,
        authorities: settings.authorities.clone(),
        refusal: Arc::clone(&refusal),
        teller: Arc::clone(&way.teller),
    };
    let met = client::connect_stream(Arc::new(config), stream, host);
    let met = fair::within(way.limit, met).await;
    let met = met.unwrap_or(Err(russh::Error::ConnectionTimeout));
    let mut handle = met.map_err(|error| {
        let refusal = lock(&refusal).take();
        refusal.unwrap_or_else(|| not_met(&error))
    })?;
    login(&mut handle, &settings).await?;
    Ok(Reached {
        handle,
        settings,
        _through: through,
    })
}

fn not_met(error: &russh::Error) -> Failed {
    let cause = match error {
        russh::Error::NoCommonAlgo { .. } | russh::Error::UnknownAlgo => Cause::Algorithms,
        russh::Error::ConnectionTimeout => Cause::TimedOut,
        russh::Error::Disconnect | russh::Error::HUP => Cause::Dropped,
        russh::Error::IO(error) if cause(error) != Cause::Other => cause(error),
        russh::Error::IO(_) => Cause::Dropped,
        _ => Cause::Other,
    };
    Failed::new(cause, format!("key exchange: {error}"))
}

fn config(settings: &Settings, known: &Known) -> Result<client::Config, Failed> {
    let mut preferred = settings.preferred.clone();
    let kinds: Vec<_> = known.kinds().collect();
    let is_on_record = |key: &Algorithm| kinds.contains(&key.to_string().as_str());
    let mut keys = preferred.key.to_vec();
    if !kinds.is_empty() && !known.has_authority() && !keys.iter().any(is_on_record) {
        let what = format!("the host's key on record ({})", kinds.join(", "));
        return Err(Failed::new(Cause::Algorithms, cannot(&what)));
    }
    // Another key than one on record would be unknown.
    keys.sort_by_key(|key| !is_on_record(key));
    preferred.key = keys.into();
    if !known.has_authority() {
        preferred.host_key_certificates = Vec::new().into();
    }
    Ok(client::Config {
        client_id: SshId::Standard(concat!("SSH-2.0-opsbook_", env!("CARGO_PKG_VERSION")).into()),
        preferred,
        keepalive_interval: settings.alive.map(|(interval, _)| interval),
        keepalive_max: settings.alive.map_or(0, |(_, times)| times),
        ..client::Config::default()
    })
}

/// Judges the host's key, and passes on what the host says beside the channels.
pub(super) struct Host {
    /// The name in the files of known hosts, with the port, and without.
    shown: String,
    name: String,
    known: Known,
    authorities: Vec<String>,
    refusal: Arc<Mutex<Option<Failed>>>,
    teller: Arc<Teller>,
}

impl Host {
    fn refuse(&self, verdict: Verdict, key: &PublicKey) -> Option<Failed> {
        let host = || self.shown.as_str().into();
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        let shows = format!(
            "{} shows a key {} {fingerprint}",
            self.shown,
            key.algorithm()
        );
        let fingerprint = || Some(fingerprint.as_str().into());
        let cause = match verdict {
            Verdict::Known => return None,
            Verdict::Unknown => Cause::HostKeyUnknown {
                host: host(),
                fingerprint: fingerprint(),
            },
            Verdict::Revoked => Cause::HostKeyRevoked { host: host() },
            Verdict::Changed { record } => Cause::HostKeyChanged {
                host: host(),
                fingerprint: fingerprint(),
                recorded: crate::classify::recorded(&record).map(Into::into),
                record: Some(record.into()),
            },
            Verdict::Bad { why } => {
                let said = format!("the certificate of `{}` is refused: {why}", self.shown);
                return Some(Failed::new(Cause::Other, said));
            }
        };
        Some(Failed::new(cause, shows))
    }
}

impl client::Handler for Host {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let key = shown.public_key();
        let verdict = match shown.certificate() {
            None => self.known.judge(&key),
            Some(certificate) => {
                self.known
                    .judge_certificate(certificate, &self.name, &self.authorities)
            }
        };
        let refusal = self.refuse(verdict, &key);
        let is_known = refusal.is_none();
        *lock(&self.refusal) = refusal;
        Ok(is_known)
    }

    async fn auth_banner(
        &mut self,
        banner: &str,
        _session: &mut client::Session,
    ) -> Result<(), Self::Error> {
        self.teller.say(banner.as_bytes());
        Ok(())
    }

    async fn disconnected(
        &mut self,
        reason: client::DisconnectReason<Self::Error>,
    ) -> Result<(), Self::Error> {
        let said = match reason {
            client::DisconnectReason::ReceivedDisconnect(info) => info.message,
            client::DisconnectReason::Error(russh::Error::KeepaliveTimeout) => {
                "no answer for too long".to_owned()
            }
            client::DisconnectReason::Error(error) => error.to_string(),
        };
        let said = format!("connection to {} ended: {said}\n", self.shown);
        self.teller.say(said.as_bytes());
        Ok(())
    }
}
