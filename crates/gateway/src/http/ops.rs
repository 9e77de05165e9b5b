//! The gateway's own state: for everybody, for a supervisor, for Prometheus.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sqlx::Row as _;

use super::refusal::Answer;
use crate::gateway::Gateway;
use crate::store::StoreError;
use crate::wire::{API, About, LoginWay, PartState};

pub(super) async fn count(
    State(gateway): State<Arc<Gateway>>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    gateway.counters.add(response.status().as_u16());
    response
}

pub(super) async fn about(State(gateway): State<Arc<Gateway>>) -> Answer<axum::Json<About>> {
    Ok(axum::Json(About {
        name: gateway.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        api: vec![API],
        login: ways(&gateway),
        segments: gateway.store.segments().await?,
    }))
}

fn ways(gateway: &Gateway) -> Vec<LoginWay> {
    let mut ways = vec![LoginWay::Peer, LoginWay::Token];
    ways.extend(gateway.signers.as_ref().map(|_| LoginWay::Ssh));
    ways.extend(gateway.providers.people.as_ref().map(|_| LoginWay::Oidc));
    ways.extend(gateway.providers.ci.first().map(|_| LoginWay::Ci));
    ways
}

pub(super) async fn openapi() -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, super::openapi::document()).into_response()
}

pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Reports not whether the process runs, but whether it can write.
pub(super) async fn readyz(State(gateway): State<Arc<Gateway>>) -> Response {
    match tokio::time::timeout(Duration::from_secs(5), gateway.store.write()).await {
        Ok(Ok(())) => "ok\n".into_response(),
        Ok(Err(_)) | Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the store cannot be written\n",
        )
            .into_response(),
    }
}

pub(super) async fn metrics(State(gateway): State<Arc<Gateway>>) -> Answer<Response> {
    let text = measured(&gateway).await?;
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

async fn measured(gateway: &Gateway) -> Result<String, StoreError> {
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, values: Vec<(String, i64)>| {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in values {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    requests(gateway, &mut family);
    let mut parts = Vec::new();
    for state in PartState::ALL {
        let count = one(
            gateway,
            "select count(*) from part where state = $1",
            state.word(),
        );
        parts.push((format!("{{state=\"{}\"}}", state.word()), count.await?));
    }
    family(
        "opsbook_gateway_parts",
        "gauge",
        "Parts of runs by state.",
        parts,
    );
    let failing = gateway.store.not_held(0).await?;
    let series = failing
        .iter()
        .filter(|check| check.until.is_none())
        .map(|check| {
            let (group, _) = check.check.split_once("::").unwrap_or((&check.check, ""));
            let labels = [
                ("manual", check.manual.as_str()),
                ("node", &check.node),
                ("group", group),
                ("check", &check.check),
                ("outcome", check.outcome.word()),
            ];
            let labels = labels.map(|(name, value)| format!("{name}={}", quoted(value)));
            (format!("{{{}}}", labels.join(",")), 1)
        });
    family(
        "opsbook_gateway_check_not_held",
        "gauge",
        "Checks of schedules that fail, or at which nobody could look; those that hold are left out.",
        series.collect(),
    );
    let alive = "select count(*) from runner where seen > {now} - 30000 and $1 = $1";
    let open = "select count(*) from question where state = $1";
    for (name, help, statement, word) in [
        (
            "opsbook_gateway_runners",
            "Runners heard in the last half minute.",
            alive,
            "",
        ),
        (
            "opsbook_gateway_questions",
            "Questions that nobody has answered.",
            open,
            "open",
        ),
    ] {
        let count = one(gateway, statement, word).await?;
        family(name, "gauge", help, vec![(String::new(), count)]);
    }
    Ok(text)
}

fn requests(gateway: &Gateway, family: &mut impl FnMut(&str, &str, &str, Vec<(String, i64)>)) {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let requests = { gateway.counters.classes() }
        .map(|(class, count)| (format!("{{class=\"{class}xx\"}}"), number(count)));
    let later = { gateway.counters.later() }
        .map(|(status, count)| (format!("{{status=\"{status}\"}}"), number(count)));
    family(
        "opsbook_gateway_requests_total",
        "counter",
        "Requests answered.",
        requests.collect(),
    );
    family(
        "opsbook_gateway_retry_after_total",
        "counter",
        "Requests that must come again later: too many at once (429), nothing can be stored (503).",
        later.collect(),
    );
}

/// Escapes a label's value.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", text.replace('\n', "\\n"))
}

async fn one(gateway: &Gateway, statement: &str, word: &str) -> Result<i64, StoreError> {
    let store = &gateway.store;
    let row = sqlx::query(store.sql(statement))
        .bind(word.to_owned())
        .fetch_one(store.pool())
        .await?;
    Ok(row.try_get(0)?)
}
