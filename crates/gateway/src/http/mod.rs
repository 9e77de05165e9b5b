//! The HTTP interface: authentication, permissions, and one file for each kind of request.

mod applications;
mod approvals;
mod asks;
mod certificates;
mod checks;
mod guard;
mod listen;
mod live;
mod login;
mod oidc;
mod openapi;
mod ops;
mod pages;
mod permit;
mod record;
mod refusal;
mod runners;
mod runs;
mod sealed;
mod ssh;
mod sync;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, get, post};
use tokio::net::{TcpListener, UnixListener};
use wire::endpoint;

use crate::gateway::Gateway;
use crate::tls::ServerTls;
use crate::wire;
use listen::Listener;

pub use guard::Peer;
pub use openapi::document;

/// All routes.
pub fn router(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route(endpoint::ABOUT, get(ops::about))
        .route(endpoint::OPENAPI, get(ops::openapi))
        .route(endpoint::HEALTHZ, get(ops::healthz))
        .route(endpoint::READYZ, get(ops::readyz))
        .route(endpoint::METRICS, get(ops::metrics))
        .route(endpoint::ME, get(login::me))
        .route(endpoint::LOGIN, get(login::by_link))
        .route(endpoint::LOGIN_LINK, post(login::link))
        .route(endpoint::LOGIN_SSH_NONCE, get(ssh::nonce))
        .route(endpoint::LOGIN_SSH, post(ssh::login))
        .route(endpoint::LOGIN_OIDC, get(oidc::begin))
        .route(endpoint::LOGIN_OIDC_BACK, get(oidc::back))
        .route(endpoint::LOGIN_DEVICE, post(oidc::device))
        .route(endpoint::LOGIN_DEVICE_POLL, post(oidc::poll))
        .route(endpoint::LOGIN_CI, post(oidc::program))
        .route(endpoint::LOGOUT, post(login::logout))
        .route(endpoint::HOSTS, get(asks::hosts))
        .route(endpoint::PROCEDURES, get(asks::procedures))
        .route(endpoint::PROCEDURE, get(asks::procedure))
        .route(endpoint::EXPLAIN, get(asks::explain))
        .route(endpoint::ASKS, post(asks::ask))
        .route(endpoint::RUNS, get(runs::list))
        .route(endpoint::RUN, get(runs::one))
        .route(endpoint::PLAN, get(runs::plan))
        .route(endpoint::EVENTS, get(live::events))
        .route(endpoint::OUTPUT, get(live::output))
        .route(endpoint::ANSWERS, post(runs::answer))
        .route(endpoint::APPROVALS, large(approvals::approve))
        .route(endpoint::CHECKS, get(checks::checks))
        .route(endpoint::SCHEDULES, get(checks::schedules))
        .route(endpoint::SYNC, large(sync::sync))
        .route(endpoint::FINDINGS, get(sync::findings))
        .route(endpoint::SEALED, get(sealed::sealed))
        .route(endpoint::APPLICATIONS, get(applications::applications))
        .route(endpoint::APPLICATION, get(applications::application))
        .route(endpoint::RUNNER_CHECKS, large(checks::checked))
        .route(endpoint::RECORD, get(record::record))
        .route(endpoint::LOG, get(record::log))
        .route(endpoint::STOP, post(runs::stop))
        .route(endpoint::RESUME, post(runs::resume))
        .route(endpoint::HAND_OVER, post(runs::hand_over))
        .route(endpoint::RELEASE, post(runs::release))
        .route(endpoint::RUNNER_ENROLL, post(runners::enroll))
        .route(endpoint::RUNNER_RENEW, post(runners::renew))
        .route(endpoint::RUNNER_WORK, large(runners::work))
        .route(endpoint::RUNNER_BEAT, large(runners::beat))
        .route(endpoint::RUNNER_EVENTS, large(runners::lines))
        .route(endpoint::RUNNER_CERTIFICATE, post(certificates::certify))
        .route(endpoint::RUNNER_MANUAL, get(runners::manual))
        .route("/console/{file}", get(pages::console))
        .fallback(pages::book)
        .method_not_allowed_fallback(refusal::method)
        .layer(DefaultBodyLimit::max(wire::limit::BODY))
        .layer(from_fn_with_state(Arc::clone(&gateway), guard::guard))
        .layer(from_fn_with_state(Arc::clone(&gateway), ops::count))
        .layer(from_fn(refusal::headers))
        .with_state(gateway)
}

/// A runner's requests may be longer than a person's.
fn large<H, T>(handler: H) -> MethodRouter<Arc<Gateway>>
where
    H: Handler<T, Arc<Gateway>>,
    T: 'static,
{
    post(handler).layer(DefaultBodyLimit::max(wire::limit::LINES_BODY))
}

/// Serves on the socket and on the address until `stop`, with TLS if configured.
pub async fn serve(
    gateway: Arc<Gateway>,
    unix: UnixListener,
    tcp: TcpListener,
    tls: Option<Arc<ServerTls>>,
    stop: tokio::sync::watch::Receiver<()>,
) {
    let app = router(gateway);
    let tcp = match tls {
        Some(tls) => Listener::Tls(tcp, tls),
        None => Listener::Tcp(tcp),
    };
    let unix = Listener::Unix(unix).serve(app.clone(), stop.clone());
    tokio::join!(unix, tcp.serve(app, stop));
}
