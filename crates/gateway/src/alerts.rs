//! Outgoing messages: failing checks to Alertmanager, repeated while they fail, and notices to
//! webhooks, programs and tickets, each once. Nothing waits for them; failed deliveries are
//! retried.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::client::Client;
use crate::config::{Alerts, To, split};
use crate::gateway::{Gateway, Tell};
use crate::store::StoreError;
use crate::ticket::Ticket;
use crate::wire::check::{CheckView, Outcome};
use crate::wire::sync::FindingView;
use crate::wire::version::Installed;

/// How often to look for something to send.
const LOOK: Duration = Duration::from_secs(2);
/// The target of the ticket tool; no hook can have this name.
const TICKET: &str = "[ticket]";
/// The events for the ticket tool.
const TICKET_ON: [&str; 2] = ["run-halted", "run-ended"];
/// How often failing checks are sent to Alertmanager, in milliseconds.
const REPEAT: i64 = 30_000;
/// An alert that is not repeated ends after this time.
const HOLDS: SignedDuration = SignedDuration::from_mins(5);
/// How long the recovery of a check is reported, in milliseconds.
const RESOLVED: i64 = 15 * 60_000;

/// Sends until `stop`.
pub(crate) async fn send(gateway: Arc<Gateway>, mut stop: watch::Receiver<()>, tell: Tell) {
    let mut last = String::new();
    while tokio::time::timeout(LOOK, stop.changed()).await.is_err() {
        if let Err(error) = once(&gateway, &mut last, &tell).await {
            let error = format!("cannot search for notices: {error}");
            if error != last {
                tell(&error);
                last = error;
            }
        }
    }
}

async fn once(gateway: &Arc<Gateway>, last: &mut String, tell: &Tell) -> Result<(), StoreError> {
    let hooks = &gateway.hooks;
    let wants = |kind: &str| {
        let all = hooks
            .iter()
            .filter(|(_, hook)| hook.on.iter().any(|on| on.word() == kind));
        let mut all: Vec<String> = all.map(|(name, _)| name.clone()).collect();
        if gateway.ticket.is_some() && TICKET_ON.contains(&kind) {
            all.push(TICKET.to_owned());
        }
        all
    };
    gateway.store.address(&gateway.name, wants).await?;
    let mut on_the_way = tokio::task::JoinSet::new();
    for notice in gateway.store.outgoing().await? {
        let body: Value = serde_json::from_str(&notice.body).unwrap_or_default();
        // A target that was removed from the configuration gets nothing.
        let Some(to) = target(gateway, &notice.target, &body) else {
            gateway.store.sent(&notice, true).await?;
            continue;
        };
        on_the_way.spawn(async move {
            let arrived = match to {
                Target::Hook(To::Webhook(url)) => post(&url, &body).await,
                Target::Hook(To::Program(program)) => program.ask(&body).await.map(drop),
                Target::Ticket(ticket) => ticket.note(&body).await,
            };
            (notice, arrived)
        });
    }
    for (name, Alerts { url, .. }) in gateway.alerts.clone() {
        let checks = gateway.store.not_held(RESOLVED).await?;
        let findings = gateway.store.findings("", "").await?;
        let turn = format!("alerts.{name}");
        let nothing = checks.is_empty() && findings.is_empty();
        if !nothing && gateway.store.is_turn(&turn, REPEAT).await? {
            let now = Timestamp::now();
            let mut body = alerts(gateway, &checks, now);
            body.extend(findings.iter().map(|found| unknown(gateway, found, now)));
            let body = Value::from(body);
            if let Err(why) = post(&url, &body).await {
                report(last, tell, format!("`[alerts.{name}]`: {why}"));
            }
        }
    }
    while let Some(sent) = on_the_way.join_next().await {
        let Ok((notice, arrived)) = sent else {
            continue;
        };
        gateway.store.sent(&notice, arrived.is_ok()).await?;
        if let Err(why) = arrived {
            let name = match notice.target.as_str() {
                TICKET => TICKET.to_owned(),
                name => format!("[hooks.{name}]"),
            };
            report(last, tell, format!("`{name}`: {why}"));
        }
    }
    Ok(())
}

/// The receiver of a notice.
enum Target {
    Hook(To),
    Ticket(Ticket),
}

/// The target with this name; `None` if it does not want this notice.
fn target(gateway: &Gateway, name: &str, body: &Value) -> Option<Target> {
    if name == TICKET {
        let ticket = gateway
            .ticket
            .clone()
            .filter(|_| body["ticket"].is_string());
        return ticket.map(Target::Ticket);
    }
    gateway
        .hooks
        .get(name)
        .map(|hook| Target::Hook(hook.to.clone()))
}

fn report(last: &mut String, tell: &Tell, text: String) {
    if *last != text {
        tell(&text);
        *last = text;
    }
}

/// Posts to a URL.
async fn post(url: &str, body: &Value) -> Result<(), String> {
    let (address, path) = split(url)?;
    let client = Client::new(address, None, env!("CARGO_PKG_VERSION"), Installed::Archive);
    client
        .tell(&path, body)
        .await
        .map_err(|error| error.to_string())
}

/// An alert about an unknown run; it ends when it is not repeated.
fn unknown(gateway: &Gateway, found: &FindingView, now: Timestamp) -> Value {
    json!({
        "labels": {
            "alertname": "OpsbookUnknownRun",
            "node": found.node,
            "manual": found.manual,
            "run": found.run,
        },
        "annotations": {"how": found.how.word(), "seen": found.seen},
        "startsAt": found.since,
        "endsAt": (now + HOLDS).strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "generatorURL": format!("{}/v1/findings?node={}", gateway.local.url, found.node),
    })
}

/// Alerts for Alertmanager's API, version 2.
fn alerts(gateway: &Gateway, checks: &[CheckView], now: Timestamp) -> Vec<Value> {
    let all = checks.iter().map(|check| {
        let group = check.check.split("::").next().unwrap_or_default();
        let name = match check.outcome {
            Outcome::Failed => "OpsbookCheckFailed",
            Outcome::Unknown | Outcome::Held => "OpsbookCheckUnknown",
        };
        let until = check.until.clone();
        let until =
            until.unwrap_or_else(|| (now + HOLDS).strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        let page = check.place.rsplit_once(':').map_or("", |(page, _)| page);
        let page = page.strip_suffix(".md").unwrap_or_default();
        json!({
            "labels": {
                "alertname": name,
                "check": check.check,
                "group": group,
                "node": check.node,
                "manual": check.manual,
                "outcome": check.outcome.word(),
            },
            "annotations": {
                "evidence": check.evidence,
                "place": check.place,
                "page": page,
                "seen": check.seen,
                "run_before": check.run_before.clone().unwrap_or_default(),
                "schedule": check.schedule,
            },
            "startsAt": check.since,
            "endsAt": until,
            "generatorURL": format!("{}/v1/checks?node={}", gateway.local.url, check.node),
        })
    });
    all.collect()
}
