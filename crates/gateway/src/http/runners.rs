//! Requests of runners: enrollment, work, reports.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::time::Instant;

use super::guard::Peer;
use super::refusal::{Answer, Json, Refusal};
use crate::bell::Topic;
use crate::config::HERE;
use crate::gateway::Gateway;
use crate::manuals::path_of;
use crate::segments::login;
use crate::spool;
use crate::store::StoreError;
use crate::store::events::{Away, From};
use crate::store::hear::Heard;
use crate::store::people::Runner;
use crate::store::queue::Offers;
use crate::tls::Issued;
use crate::token::sha256;
use crate::wire::runner::Renew;
use crate::wire::version::{Installed, Verdict};
use crate::wire::{
    Acked, Enroll, Enrolled, Hello, Kind, Lines, News, PartKey, Source, Work, header, limit,
};

/// The most bytes of a journal that accompany the work.
const JOURNAL: usize = 4 * 1024 * 1024;

pub(super) async fn enroll(
    State(gateway): State<Arc<Gateway>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Json(enroll): Json<Enroll>,
) -> Answer<axum::Json<Enrolled>> {
    if !limit::is_name(&enroll.name) {
        return Err(Refusal::new(
            Kind::Malformed,
            "`name` is not a valid name for a runner",
        ));
    }
    let proof = match (&peer, &enroll.csr) {
        (Peer::Tls { .. }, Some(request)) => Proof::Certificate(request),
        (Peer::Tls { .. }, None) => {
            let detail = "at this address, a runner gets a certificate: that needs a newer opsbook";
            return Err(Refusal::new(Kind::Malformed, detail));
        }
        _ => Proof::Secret,
    };
    // It is valid once, even if the rest fails.
    let segment = gateway.store.take_ticket("enroll", &enroll.token).await?;
    let Some(segment) = segment else {
        let detail =
            "the token was used, or is too old: `opsbook-gateway token SEGMENT` prints a new one";
        return Err(Refusal::new(Kind::NotLoggedIn, detail));
    };
    let request = match proof {
        Proof::Secret => {
            let (runner, secret) = gateway.store.enroll(&segment, &enroll.name).await?;
            return Ok(axum::Json(Enrolled {
                runner: runner.id,
                segment: runner.segment,
                secret,
                ..Enrolled::default()
            }));
        }
        Proof::Certificate(request) => request,
    };
    let issued = issued(&gateway, request, (&segment, &enroll.name))?;
    let life = gateway.certificates.life;
    let store = &gateway.store;
    let runner = store
        .enroll_with((&segment, &enroll.name), &issued.sha256, seconds(life))
        .await?;
    Ok(axum::Json(with_certificate(runner, issued, life)))
}

/// How a runner authenticates from now on.
enum Proof<'a> {
    /// With a secret in each request, if something else terminates TLS.
    Secret,
    /// With a certificate for the key that has signed this request.
    Certificate(&'a str),
}

/// Another certificate for a runner that has one.
pub(super) async fn renew(
    State(gateway): State<Arc<Gateway>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Extension(runner): Extension<Runner>,
    Json(renew): Json<Renew>,
) -> Answer<axum::Json<Enrolled>> {
    let Peer::Tls {
        certificate: Some(present),
        ..
    } = peer
    else {
        let detail = "this runner has no certificate to renew";
        return Err(Refusal::new(Kind::State, detail));
    };
    let name = runner.id.strip_prefix(&format!("{}.", runner.segment));
    let name = name.unwrap_or(&runner.id).to_owned();
    let issued = issued(&gateway, &renew.csr, (&runner.segment, &name))?;
    let life = gateway.certificates.life;
    let store = &gateway.store;
    store
        .renew(&runner, (&present, &issued.sha256), seconds(life))
        .await?;
    Ok(axum::Json(with_certificate(runner, issued, life)))
}

fn issued(gateway: &Gateway, request: &str, who: (&str, &str)) -> Answer<Issued> {
    let certificates = &gateway.certificates;
    let issued = certificates
        .authority
        .of_runner(request, who, certificates.life);
    issued.map_err(|error| Refusal::new(Kind::Malformed, error.to_string()))
}

fn with_certificate(runner: Runner, issued: Issued, life: Duration) -> Enrolled {
    Enrolled {
        runner: runner.id,
        segment: runner.segment,
        secret: String::new(),
        certificate: Some(issued.certificate),
        seconds: Some(life.as_secs()),
    }
}

fn seconds(life: Duration) -> i64 {
    i64::try_from(life.as_secs()).unwrap_or(i64::MAX)
}

#[derive(Deserialize)]
pub(super) struct Wait {
    #[serde(default)]
    wait: u64,
}

pub(super) async fn work(
    State(gateway): State<Arc<Gateway>>,
    Extension(runner): Extension<Runner>,
    Query(Wait { wait }): Query<Wait>,
    headers: HeaderMap,
    Json(hello): Json<Hello>,
) -> Answer<axum::Json<News>> {
    let room = if is_served(&gateway, &headers) {
        hello.room
    } else {
        0
    };
    let until = Instant::now() + Duration::from_secs(wait.min(limit::WAIT));
    let segment = (room > 0).then_some(runner.segment.as_str());
    let mut ring = gateway.bell.listen_as(&runner.id, segment);
    let mut turn = gateway.turns.one().await?;
    let (mut news, mut offers) = heard(&gateway, &runner, &hello, Heard::InOrder).await?;
    // Confirm ends at once: the runner's next requests become shorter.
    let at_once = !news.ended.is_empty();
    loop {
        let mut full = false;
        if offers.parts {
            full |= parts(&gateway, &runner, (&hello.boot, room), &mut news).await?;
        }
        if offers.rounds && room > 0 {
            full |= rounds(&gateway, &runner, &hello, &mut news).await?;
        }
        if full {
            let next = Topic::Segment(runner.segment.clone());
            gateway.bell.ring_here(&next);
        }
        more_news(&gateway, &runner, &hello, &mut news).await?;
        drop(turn);
        if news.is_any() || at_once || Instant::now() >= until {
            return Ok(axum::Json(news));
        }
        let again = { gateway.store.runners_first() }.map(|left| Instant::now() + left);
        let again = again.map_or(until, |again| again.min(until));
        let rung = tokio::time::timeout_at(again, ring.ring()).await;
        if rung.is_err() && again == until {
            return Ok(axum::Json(news));
        }
        turn = gateway.turns.one().await?;
        offers = gateway.store.offers(&runner.segment).await?;
    }
}

/// Parts of runs, as many as it has room for. Returns true if it is full: others may be left.
async fn parts(
    gateway: &Gateway,
    runner: &Runner,
    (boot, room): (&str, u32),
    news: &mut News,
) -> Answer<bool> {
    let claimed = gateway.store.claim(runner, boot, room).await?;
    for key in &claimed {
        let mut work = with_journal(gateway, key).await?;
        if let Some(folder) = folder(gateway, runner, &work.manual) {
            work.source = folder;
        }
        work.login = login(&gateway.segments, &runner.segment);
        news.parts.push(work);
        gateway.bell.ring(&Topic::Run(key.run.clone()));
    }
    let room = usize::try_from(room).map_or(limit::PARTS, |room| room.min(limit::PARTS));
    Ok(room > 0 && claimed.len() == room)
}

/// The folder of a manual for a runner on this machine.
fn folder(gateway: &Gateway, runner: &Runner, manual: &str) -> Option<Source> {
    let manual = gateway.manuals.of(manual).ok()?;
    let path = manual.folder().filter(|_| runner.segment == HERE)?;
    Some(Source::Folder { path })
}

/// The most rounds of checks at a time.
const ROUNDS: usize = 4;

/// Rounds of checks, as many as it may have; none for a runner that does not support them. Returns
/// true if others may be left.
async fn rounds(
    gateway: &Gateway,
    runner: &Runner,
    hello: &Hello,
    news: &mut News,
) -> Answer<bool> {
    let held = hello.rounds.as_ref().map(Vec::len);
    let most = held.map_or(0, |held| ROUNDS.saturating_sub(held));
    if most == 0 {
        return Ok(false);
    }
    let rounds = gateway.store.claim_rounds(runner, most).await?;
    let full = rounds.len() == most;
    for mut round in rounds {
        if let Some(folder) = folder(gateway, runner, &round.manual) {
            round.source = folder;
        }
        round.login = login(&gateway.segments, &runner.segment);
        news.rounds.push(round);
    }
    Ok(full)
}

pub(super) async fn beat(
    State(gateway): State<Arc<Gateway>>,
    Extension(runner): Extension<Runner>,
    Json(hello): Json<Hello>,
) -> Answer<axum::Json<News>> {
    let _turn = gateway.turns.one().await?;
    let (mut news, _) = heard(&gateway, &runner, &hello, Heard::Beside).await?;
    more_news(&gateway, &runner, &hello, &mut news).await?;
    Ok(axum::Json(news))
}

/// A runner that is too old gets no new work.
fn is_served(gateway: &Gateway, headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let (have, api) = (text(header::VERSION), text(header::API));
    let verdict = gateway.rule.judge(have, api, Installed::default());
    matches!(verdict, Verdict::Serve | Verdict::Older { .. })
}

async fn heard(
    gateway: &Gateway,
    runner: &Runner,
    hello: &Hello,
    heard: Heard,
) -> Answer<(News, Offers)> {
    bounded(hello)?;
    let renewed = gateway.store.hear(runner, hello, heard).await?;
    for run in renewed.runs {
        gateway.bell.ring(&Topic::Run(run));
    }
    for segment in renewed.segments {
        gateway.bell.ring(&Topic::Segment(segment));
    }
    let news = News {
        lost: renewed.lost,
        ended: renewed.ended,
        ..News::default()
    };
    Ok((news, renewed.offers))
}

/// What its parts should do, and answers to their questions.
async fn more_news(
    gateway: &Gateway,
    runner: &Runner,
    hello: &Hello,
    news: &mut News,
) -> Answer<()> {
    if hello.parts.is_empty() {
        return Ok(());
    }
    let has = |run: &str, node: &str, epoch: u64| {
        let same = |key: &PartKey| key.run == run && key.node == node && key.epoch == epoch;
        hello.parts.iter().any(same)
    };
    news.wants = gateway.store.wants(&runner.id).await?;
    news.wants
        .retain(|want| has(&want.run, &want.node, want.epoch));
    news.answers = gateway.store.answers(&runner.id).await?;
    news.answers
        .retain(|answer| has(&answer.run, &answer.node, answer.epoch));
    Ok(())
}

fn bounded(hello: &Hello) -> Answer<()> {
    let count = hello.parts.len().max(hello.ended.len());
    let short = |text: &str| text.len() <= limit::NAME && !text.contains('\0');
    let ended = hello.ended.iter().flat_map(|end| [&end.run, &end.node]);
    let texts = hello
        .parts
        .iter()
        .flat_map(|key| [&key.run, &key.node])
        .chain(ended);
    let texts = texts.chain(hello.rounds.iter().flatten());
    let mut texts = texts.chain([&hello.boot, &hello.version]);
    if count > limit::PARTS || hello.boot.is_empty() || !texts.all(|text| short(text)) {
        let detail = "too many parts, or an invalid name";
        return Err(Refusal::new(Kind::Malformed, detail));
    }
    Ok(())
}

/// A part, with the lines that an earlier controller has written.
async fn with_journal(gateway: &Gateway, key: &PartKey) -> Answer<Work> {
    let mut work = gateway.store.work(key).await?;
    if key.epoch == 1 {
        return Ok(work);
    }
    let mut from = From {
        n: 0,
        node: Some(key.node.clone()),
        away: Away::Refuse,
    };
    let mut lines = Vec::new();
    let mut bytes = 0;
    loop {
        let more = gateway.store.lines(&gateway.blobs, &key.run, &from, 1_000);
        let more = match more.await {
            Ok(more) => more,
            // Without the lines, the node has all necessary information.
            Err(StoreError::Io(_)) => {
                lines.clear();
                work.journal_lines = 0;
                break;
            }
            Err(error) => return Err(error.into()),
        };
        let Some(last) = more.last() else { break };
        from.n = last.n;
        bytes += more.iter().map(|line| line.text.len()).sum::<usize>();
        work.journal_lines += u64::try_from(more.len()).unwrap_or_default();
        lines.extend(more);
        if bytes > JOURNAL {
            lines.clear();
        }
    }
    lines.sort_by_key(|line| (line.cursor.epoch, line.cursor.seq));
    work.journal = lines.into_iter().map(|line| line.text).collect();
    Ok(work)
}

pub(super) async fn lines(
    State(gateway): State<Arc<Gateway>>,
    Extension(runner): Extension<Runner>,
    Json(lines): Json<Lines>,
) -> Answer<axum::Json<Acked>> {
    if lines.parts.len() > limit::PARTS {
        return Err(Refusal::new(Kind::TooLarge, "too many parts at once"));
    }
    let _turn = gateway.turns.one().await?;
    let mut acked = Acked::default();
    for part in &lines.parts {
        let named = [&part.run, &part.node]
            .into_iter()
            .all(|name| limit::is_name(name));
        if !named || part.epoch == 0 {
            return Err(Refusal::new(Kind::Malformed, "a part has an invalid name"));
        }
        let taken = gateway
            .store
            .take_lines(&gateway.blobs, &runner, part, &mut acked)
            .await;
        if taken.map_err(later)? {
            gateway.bell.ring(&Topic::Run(part.run.clone()));
        }
    }
    Ok(axum::Json(acked))
}

/// If the store is full, lines wait in the journals of their runners.
fn later(error: StoreError) -> Refusal {
    if error.is_full() {
        return Refusal::new(Kind::TooMuch, "the store is full: send the lines later");
    }
    error.into()
}

/// The archive of a manual: the one made for an order, or the current manual if it is the same.
pub(super) async fn manual(
    State(gateway): State<Arc<Gateway>>,
    Path((manual, archive)): Path<(String, String)>,
) -> Answer<Response> {
    let none = || Refusal::new(Kind::NotFound, "there is no such archive");
    let sum = archive.strip_suffix(".tar").ok_or_else(none)?.to_owned();
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let manual = gateway.manuals.one(Some(&manual)).map_err(|_| none())?;
    if sum.len() != 64 || !sum.bytes().all(hex) {
        return Err(none());
    }
    let path = path_of(&gateway.archives, &sum);
    if !path.is_file() && !gateway.blobs.is_near() {
        // Another gateway may have made it.
        if let Ok(bytes) = gateway.blobs.read(&spool::archive(&sum)).await
            && sha256(&bytes) == sum
        {
            return Ok(([(CONTENT_TYPE, "application/x-tar")], bytes).into_response());
        }
    }
    if !path.is_file() {
        let (manual, folder) = (Arc::clone(manual), gateway.archives.clone());
        tokio::task::spawn_blocking(move || manual.archive(&folder)).await??;
    }
    let bytes = tokio::fs::read(&path).await.map_err(|_| none())?;
    Ok(([(CONTENT_TYPE, "application/x-tar")], bytes).into_response())
}
