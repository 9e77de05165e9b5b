//! Carries doorbell rings between gateways through a NATS server, with its plain messages, which
//! may be lost. It needs no more trust: a lost, doubled or forged ring only makes somebody look.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions};
use futures_util::StreamExt as _;
use tokio::sync::watch;

use crate::bell::{Bell, GATHER, payloads};
use crate::config::Nats;
use crate::gateway::Tell;

/// The pause after an error.
const AGAIN: Duration = Duration::from_secs(1);
/// The time limit of one message: rings are lost while the server is unreachable.
const PATIENCE: Duration = Duration::from_secs(1);
/// The most bytes of a message.
const LARGEST: usize = 64 << 10;

/// Sends this gateway's rings to others and receives theirs, until `stop`.
pub(crate) async fn carry(
    settings: Nats,
    bell: Arc<Bell>,
    mut stop: watch::Receiver<()>,
    tell: Tell,
) {
    let mut said = String::new();
    loop {
        let ended = tokio::select! {
            ended = carried(&settings, &bell) => ended,
            _ = stop.changed() => return,
        };
        if let Err(why) = ended {
            let text = format!(
                "`[doorbell]`: {why}; until it answers, other gateways notice changes \
                 after five seconds"
            );
            if text != said {
                tell(&text);
                said = text;
            }
        }
        if tokio::time::timeout(AGAIN, stop.changed()).await.is_ok() {
            return;
        }
    }
}

async fn carried(settings: &Nats, bell: &Bell) -> Result<(), String> {
    let mut options = ConnectOptions::new()
        .name("opsbook-gateway")
        .connection_timeout(PATIENCE * 5)
        .require_tls(settings.url.starts_with("tls://"));
    if let Some(token) = &settings.token {
        options = options.token(token.look_up().await?);
    }
    if let (Some(user), Some(password)) = (&settings.user, &settings.password) {
        options = options.user_and_password(user.clone(), password.look_up().await?);
    }
    if let Some(authority) = &settings.authority {
        options = options.add_root_certificates(authority.clone());
    }
    if let (Some(certificate), Some(key)) = (&settings.certificate, &settings.key) {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    // The library's message about a file does not name it.
    for path in [&settings.authority, &settings.certificate, &settings.key] {
        if let Some(path) = path
            && let Err(error) = std::fs::File::open(path)
        {
            return Err(format!("`{}`: {error}", path.display()));
        }
    }
    let client = options.connect(&settings.url).await;
    let client = client.map_err(|error| {
        let why = error.to_string();
        format!("`{}`: {}", settings.url, crate::outside::line(&why))
    })?;
    let messages = client.subscribe(settings.subject.clone()).await;
    let mut messages = messages.map_err(|error| error.to_string())?;
    let hear = async {
        while let Some(message) = messages.next().await {
            if message.payload.len() <= LARGEST {
                bell.ring_all(&String::from_utf8_lossy(&message.payload));
            }
        }
    };
    // The client reconnects by itself.
    tokio::select! {
        () = hear => Ok(()),
        () = publish(&client, &settings.subject, bell) => Ok(()),
    }
}

async fn publish(client: &Client, subject: &str, bell: &Bell) {
    loop {
        for payload in payloads(bell.for_others().await) {
            let message = client.publish(subject.to_owned(), payload.into());
            let _ = tokio::time::timeout(PATIENCE, message).await;
        }
        tokio::time::sleep(GATHER).await;
    }
}
