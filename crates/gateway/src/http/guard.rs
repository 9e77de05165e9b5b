//! Checks every request: the program's version, the request's origin, and the caller.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use wire::version::{Installed, Verdict};
use wire::{Kind, LoginWay, Problem, endpoint};

use super::refusal::{Answer, Refusal};
use crate::gateway::Gateway;
use crate::manuals::Person;
use crate::schedule;
use crate::store::people::Runner;
use crate::token::sha256;
use crate::turns::Share;
use crate::wire;

/// The other end of a connection.
#[derive(Clone, Debug)]
pub enum Peer {
    /// A process of this user on this machine; the kernel reports the user id.
    User(u32),
    /// A TCP connection without TLS.
    Address(SocketAddr),
    /// The same over TLS.
    Tls {
        /// The remote address.
        address: SocketAddr,
        /// The local address.
        local: SocketAddr,
        /// SHA-256 of its client certificate, issued by this gateway's authority.
        certificate: Option<String>,
    },
    /// The kernel did not report the user.
    Unknown,
}

/// The calling person.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) person: String,
    /// Their groups from an identity provider.
    pub(super) groups: Vec<String>,
    pub(super) way: LoginWay,
    /// Their token, if they can log out of it.
    pub(super) token: Option<String>,
}

impl Caller {
    /// The person, for the manual's rules.
    pub(super) fn who(&self) -> Person {
        Person {
            person: self.person.clone(),
            groups: self.groups.clone(),
        }
    }
}

/// The name of the cookie. With TLS it has a prefix that makes browsers accept it only from this
/// host and send it only with TLS.
pub(super) fn cookie_name(gateway: &Gateway) -> &'static str {
    if gateway.is_secure() {
        "__Host-opsbook-login"
    } else {
        "opsbook-login"
    }
}

/// A cookie that no script can read and no other site's page sends.
pub(super) fn cookie_of(gateway: &Gateway, value: &str, seconds: i64) -> String {
    let secure = if gateway.is_secure() { "; Secure" } else { "" };
    let name = cookie_name(gateway);
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
}

pub(super) async fn guard(
    State(gateway): State<Arc<Gateway>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    mut request: Request<Body>,
    next: Next,
) -> Response {
    let verdict = version(&gateway, request.headers());
    let page = is_page(&request);
    let mut response = match admitted(&gateway, &peer, &mut request, &verdict).await {
        Ok(_share) => next.run(request).await,
        Err(refusal) if page => super::pages::told(&refusal.0),
        Err(refusal) => refusal.into_response(),
    };
    let headers = response.headers_mut();
    let mut tell = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    tell(wire::header::GATEWAY, env!("CARGO_PKG_VERSION"));
    tell(wire::header::WANTS, &gateway.rule.wants.to_string());
    tell(wire::header::OLDEST, &gateway.rule.oldest.to_string());
    if let Verdict::Older { upgrade } | Verdict::TooOld { upgrade } = &verdict {
        tell(wire::header::UPGRADE, upgrade);
    }
    response
}

/// A page request of a person's browser.
fn is_page(request: &Request<Body>) -> bool {
    let accept = request
        .headers()
        .get(header::ACCEPT)
        .and_then(|kind| kind.to_str().ok());
    accept.is_some_and(|kind| kind.contains("text/html"))
}

fn version(gateway: &Gateway, headers: &HeaderMap) -> Verdict {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let installed = Installed::of(text(wire::header::INSTALLED));
    let (have, api) = (text(wire::header::VERSION), text(wire::header::API));
    gateway.rule.judge(have, api, installed)
}

async fn admitted(
    gateway: &Gateway,
    peer: &Peer,
    request: &mut Request<Body>,
    verdict: &Verdict,
) -> Answer<Option<Share>> {
    let path = request.uri().path().to_owned();
    if path.len() > 4 * wire::limit::NAME {
        return Err(Refusal::new(Kind::Malformed, "the path is too long"));
    }
    own_host(gateway, peer, request.headers())?;
    own_page(request)?;
    if path != endpoint::ABOUT {
        served(gateway, request.headers(), &path, verdict)?;
    }
    let open = [
        endpoint::ABOUT,
        endpoint::HEALTHZ,
        endpoint::READYZ,
        endpoint::LOGIN,
        endpoint::LOGIN_SSH_NONCE,
        endpoint::LOGIN_SSH,
        endpoint::LOGIN_OIDC,
        endpoint::LOGIN_OIDC_BACK,
        endpoint::LOGIN_DEVICE,
        endpoint::LOGIN_DEVICE_POLL,
        endpoint::LOGIN_CI,
        endpoint::RUNNER_ENROLL,
    ];
    if open.contains(&path.as_str()) {
        return Ok(None);
    }
    if path.starts_with("/v1/runner/") {
        let _turn = gateway.turns.one().await?;
        let runner = runner(gateway, peer, request.headers()).await?;
        let share = gateway.turns.share(&runner.id)?;
        request.extensions_mut().insert(runner);
        return Ok(Some(share));
    }
    let caller = caller(gateway, peer, request.headers()).await?;
    request.extensions_mut().insert(caller);
    Ok(None)
}

/// Applies the version rule. A runner that is too old may finish its parts, and gets no new ones.
fn served(gateway: &Gateway, headers: &HeaderMap, path: &str, verdict: &Verdict) -> Answer<()> {
    let have = headers.get(wire::header::VERSION);
    let have = have.and_then(|have| have.to_str().ok()).unwrap_or_default();
    let name = &gateway.name;
    match verdict {
        Verdict::Serve | Verdict::Older { .. } => Ok(()),
        Verdict::TooOld { .. } if path.starts_with("/v1/runner/") => Ok(()),
        Verdict::TooOld { upgrade } => {
            let oldest = &gateway.rule.oldest;
            let detail = format!(
                "opsbook {have} is too old for {name}, which serves {oldest} and newer: {upgrade}"
            );
            Err(too_old(gateway, have, detail, upgrade))
        }
        Verdict::OldInterface { upgrade } => {
            let detail = format!(
                "opsbook {have} is too old for {name}, which serves version {} of the interface: \
                 {upgrade}",
                wire::API
            );
            Err(too_old(gateway, have, detail, upgrade))
        }
        Verdict::NewInterface => {
            let detail = format!(
                "{name} is opsbook-gateway {}, which is too old for this program: it serves \
                 version {} of the interface",
                env!("CARGO_PKG_VERSION"),
                wire::API
            );
            Err(Refusal::new(Kind::Malformed, detail))
        }
        Verdict::Unreadable => {
            let detail = format!(
                "the headers `{}` and `{}` name no version",
                wire::header::VERSION,
                wire::header::API
            );
            Err(Refusal::new(Kind::Malformed, detail))
        }
    }
}

fn too_old(gateway: &Gateway, have: &str, detail: String, upgrade: &str) -> Refusal {
    Refusal::from(Problem {
        have: Some(have.to_owned()),
        oldest: Some(gateway.rule.oldest.to_string()),
        wants: Some(gateway.rule.wants.to_string()),
        upgrade: Some(upgrade.to_owned()),
        ..Problem::new(Kind::TooOld, detail)
    })
}

/// Refuses host names that are not the gateway's: somebody may have made a name point to this
/// machine.
fn own_host(gateway: &Gateway, peer: &Peer, headers: &HeaderMap) -> Answer<()> {
    let this = match peer {
        Peer::Address(_) => None,
        Peer::Tls { local, .. } => Some(local.ip()),
        Peer::User(_) | Peer::Unknown => return Ok(()),
    };
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let name = host.map(|host| host.rsplit_once(':').map_or(host, |(name, _)| name));
    let own = ["127.0.0.1", "localhost", "[::1]"];
    // An address, unlike a name, cannot be made to point elsewhere.
    let is_this = |name: &str| {
        let address = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        this.is_some() && address.ok() == this
    };
    if name.is_some_and(|name| own.contains(&name) || gateway.is_named(name) || is_this(name)) {
        return Ok(());
    }
    let detail = "the request names a host other than this gateway";
    Err(Refusal::new(Kind::CrossSite, detail))
}

/// Changes and personal data require a request from a program or from a page of this site: a page
/// of another site cannot set our header, and browsers report a request's origin.
fn own_page(request: &Request<Body>) -> Answer<()> {
    let headers = request.headers();
    let path = request.uri().path();
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    let page = reads && !path.starts_with("/v1") && path != endpoint::METRICS;
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let from_here = matches!(site, None | Some(b"same-origin" | b"none"));
    if !from_here && !page {
        let detail = "the browser reports that the request comes from another site";
        return Err(Refusal::new(Kind::CrossSite, detail));
    }
    if reads {
        return Ok(());
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let host = headers
            .get(header::HOST)
            .map(HeaderValue::as_bytes)
            .unwrap_or_default();
        let origin = origin.as_bytes();
        let after = origin
            .strip_prefix(b"http://")
            .or_else(|| origin.strip_prefix(b"https://"));
        if after != Some(host) {
            let detail = "the request comes from a page of another site";
            return Err(Refusal::new(Kind::CrossSite, detail));
        }
    }
    if !headers.contains_key(wire::header::API) {
        let detail = format!(
            "a request that changes something needs the header `{}: {}`",
            wire::header::API,
            wire::API
        );
        return Err(Refusal::new(Kind::CrossSite, detail));
    }
    Ok(())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

pub(super) fn cookie<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).into_iter();
    let pairs = all
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == wanted).then_some(value))
}

/// The gateway's user or root, if the caller is one of them.
fn own_user(gateway: &Gateway, peer: &Peer) -> Option<String> {
    match peer {
        Peer::User(uid) if *uid == gateway.local.uid => Some(gateway.local.person.clone()),
        Peer::User(0) => Some("root".to_owned()),
        _ => None,
    }
}

fn local_token(gateway: &Gateway, token: &str) -> bool {
    // Comparing hashes reveals nothing about the token by its timing.
    gateway.local.token_sha256 == sha256(token)
}

/// The caller, however it was authenticated.
async fn caller(gateway: &Gateway, peer: &Peer, headers: &HeaderMap) -> Answer<Caller> {
    let caller = proved(gateway, peer, headers).await?;
    if schedule::is_kept(&caller.person) {
        let detail = "names that begin with `schedule.` are reserved for schedules";
        return Err(Refusal::new(Kind::NotLoggedIn, detail));
    }
    Ok(caller)
}

async fn proved(gateway: &Gateway, peer: &Peer, headers: &HeaderMap) -> Answer<Caller> {
    if let Some(token) = bearer(headers) {
        if local_token(gateway, token) {
            return Ok(Caller {
                person: gateway.local.person.clone(),
                groups: Vec::new(),
                way: LoginWay::Token,
                token: None,
            });
        }
        return by_token(gateway, token).await;
    }
    if let Some(token) = cookie(headers, cookie_name(gateway)) {
        return by_token(gateway, token).await;
    }
    match own_user(gateway, peer) {
        Some(person) => Ok(Caller {
            person,
            groups: Vec::new(),
            way: LoginWay::Peer,
            token: None,
        }),
        None => Err(Refusal::new(Kind::NotLoggedIn, nobody(gateway))),
    }
}

async fn by_token(gateway: &Gateway, token: &str) -> Answer<Caller> {
    let Some(login) = gateway.store.login(token).await? else {
        let detail = format!("the login has ended or does not exist; {}", nobody(gateway));
        return Err(Refusal::new(Kind::NotLoggedIn, detail));
    };
    let way = serde_json::from_value(login.way.into()).unwrap_or(LoginWay::Other);
    Ok(Caller {
        person: login.person,
        groups: login.groups,
        way,
        token: Some(token.to_owned()),
    })
}

fn nobody(gateway: &Gateway) -> String {
    if gateway.providers.people.is_some() {
        let (url, path) = (&gateway.local.url, endpoint::LOGIN_OIDC);
        return format!("log in: {url}{path}, or `opsbook login {url}`");
    }
    format!(
        "log in on {}: `opsbook-gateway link`, in the manual's folder there, prints an address for a browser",
        gateway.name
    )
}

async fn runner(gateway: &Gateway, peer: &Peer, headers: &HeaderMap) -> Answer<Runner> {
    if let Peer::Tls { certificate, .. } = peer {
        return by_certificate(gateway, certificate.as_deref()).await;
    }
    let here = match bearer(headers) {
        Some(token) if local_token(gateway, token) => true,
        Some(token) => {
            return gateway.store.runner(token).await?.ok_or_else(|| {
                Refusal::new(
                    Kind::NotLoggedIn,
                    "no runner has this secret: enroll it again",
                )
            });
        }
        None => own_user(gateway, peer).is_some(),
    };
    if here {
        let name = local_runner(gateway, headers)?;
        return Ok(gateway
            .store
            .runner_here(crate::config::HERE, &name)
            .await?);
    }
    Err(Refusal::new(Kind::NotLoggedIn, "no runner has logged in"))
}

/// The name of a runner of this machine's user: each folder is a runner of its own.
fn local_runner(gateway: &Gateway, headers: &HeaderMap) -> Answer<String> {
    let Some(folder) = headers.get(wire::header::RUNNER) else {
        return Ok(gateway.local.runner.clone());
    };
    match folder.to_str() {
        Ok(folder) if wire::limit::is_name(folder) => {
            let sum = sha256(format!("{} {folder}", gateway.local.runner));
            Ok(format!("local-{}", &sum[..8]))
        }
        _ => {
            let detail = format!("the header `{}` is not a valid name", wire::header::RUNNER);
            Err(Refusal::new(Kind::Malformed, detail))
        }
    }
}

/// With TLS, the certificate identifies a runner as long as the store knows it.
async fn by_certificate(gateway: &Gateway, certificate: Option<&str>) -> Answer<Runner> {
    let Some(sum) = certificate else {
        let detail = "at this address, a runner must use its certificate: `opsbook runner enroll` \
            gets one";
        return Err(Refusal::new(Kind::NotLoggedIn, detail));
    };
    let known = gateway.store.runner_of_certificate(sum).await?;
    known.ok_or_else(|| {
        let detail = "this runner's certificate was revoked or has expired: enroll it again";
        Refusal::new(Kind::NotLoggedIn, detail)
    })
}
