//! Logins with an ssh key: a signature over a nonce that is valid once, in a namespace with this
//! gateway's name, so that signatures made for others are invalid here. `ssh-keygen` verifies it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use axum::extract::State;

use super::refusal::{Answer, Json, Refusal};
use crate::gateway::Gateway;
use crate::store::written;
use crate::wire::login::{Nonce, SshLogin};
use crate::wire::{Kind, LoggedIn, limit};

/// The lifetime of a nonce, in seconds.
const NONCE: i64 = 60;
/// How long a person stays logged in, in seconds.
const SESSION: i64 = 12 * 3600;
/// The most valid nonces: anybody may request one.
const MOST: i64 = 1_000;

fn signers(gateway: &Gateway) -> Answer<&PathBuf> {
    let none = || Refusal::new(Kind::NotFound, "this gateway has no ssh keys of people");
    gateway.signers.as_ref().ok_or_else(none)
}

fn namespace(gateway: &Gateway) -> String {
    format!("opsbook-login@{}", gateway.name)
}

pub(super) async fn nonce(State(gateway): State<Arc<Gateway>>) -> Answer<axum::Json<Nonce>> {
    signers(&gateway)?;
    if gateway.store.tickets("nonce").await? >= MOST {
        let detail = "too many are logging in at once; a nonce ends after a minute";
        return Err(Refusal::new(Kind::TooMuch, detail));
    }
    let (nonce, _) = gateway.store.new_ticket("nonce", "", NONCE).await?;
    let namespace = namespace(&gateway);
    Ok(axum::Json(Nonce { nonce, namespace }))
}

pub(super) async fn login(
    State(gateway): State<Arc<Gateway>>,
    Json(login): Json<SshLogin>,
) -> Answer<axum::Json<LoggedIn>> {
    let signers = signers(&gateway)?.clone();
    if !limit::is_name(&login.signer) || login.signature.len() > limit::TEXT {
        return Err(Refusal::new(
            Kind::Malformed,
            "`signer` is not a valid name, or `signature` is too long",
        ));
    }
    let known = gateway.store.take_ticket("nonce", &login.nonce).await?;
    if known.is_none() {
        let detail = "the nonce was used, or is too old: ask for another one";
        return Err(Refusal::new(Kind::NotLoggedIn, detail));
    }
    let (namespace, signer) = (namespace(&gateway), login.signer.clone());
    let verified = tokio::task::spawn_blocking(move || verify(&signers, &namespace, &login));
    match verified.await? {
        Ok(true) => {}
        Ok(false) => {
            let detail = format!("the signature is not by `{signer}` over this nonce");
            return Err(Refusal::new(Kind::NotLoggedIn, detail));
        }
        Err(error) => {
            let detail = format!("`ssh-keygen` cannot verify it: {error}");
            return Err(Refusal::new(Kind::Internal, detail));
        }
    }
    let (token, until) = gateway.store.new_login(&signer, "ssh", SESSION).await?;
    Ok(axum::Json(LoggedIn {
        person: signer,
        token,
        until: written(until),
    }))
}

fn verify(signers: &Path, namespace: &str, login: &SshLogin) -> std::io::Result<bool> {
    let mut signature = tempfile::NamedTempFile::new()?;
    signature.write_all(login.signature.as_bytes())?;
    let mut keygen = Command::new("ssh-keygen")
        .args(["-Y", "verify", "-n", namespace])
        // One word: a name that begins with `-` is not an option.
        .arg(format!("-I{}", login.signer))
        .arg("-f")
        .arg(signers)
        .arg("-s")
        .arg(signature.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = keygen.stdin.take() {
        // If it does not read its input, it refuses.
        let _ = stdin.write_all(format!("{}\n", login.nonce).as_bytes());
    }
    Ok(keygen.wait()?.success())
}
