//! The events of a run, as a stream that continues from any position or as lines; and the output of
//! steps. A slow reader delays nobody: each reads the store itself.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;

use super::guard::Caller;
use super::refusal::{Answer, Refusal};
use super::runs::granted;
use crate::bell::{Topic, Waiting};
use crate::event::{self, What};
use crate::gateway::Gateway;
use crate::store::events::{Away, From, Line};
use crate::wire::{Cursor, Kind, Verb, header as names};

/// The number of rows to read at once.
const ROWS: i64 = 200;
/// How often a reader must still be allowed to read.
const STILL: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
pub(super) struct After {
    after: Option<String>,
    node: Option<String>,
}

pub(super) async fn events(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(run): Path<String>,
    Query(after): Query<After>,
    headers: HeaderMap,
) -> Answer<Response> {
    granted(&gateway, &caller, &run, Verb::Read).await?;
    let last = headers
        .get(names::LAST_EVENT_ID)
        .and_then(|id| id.to_str().ok());
    let n = match last
        .or(after.after.as_deref())
        .filter(|text| !text.is_empty())
    {
        None => 0,
        Some(text) => number(&gateway, &run, text).await?,
    };
    let from = From {
        n,
        node: after.node,
        away: Away::Refuse,
    };
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|kind| kind.to_str().ok());
    if accept.is_some_and(|kind| kind.contains(names::NDJSON)) {
        return Ok(lines(gateway, run, from));
    }
    let away = Away::LeaveOut;
    Ok(live(gateway, caller, run, From { away, ..from }))
}

async fn number(gateway: &Gateway, run: &str, text: &str) -> Answer<i64> {
    let unknown = || {
        Refusal::new(
            Kind::Malformed,
            "`after` is not a place in the events of the run",
        )
    };
    let cursor: Cursor = text.parse().map_err(|()| unknown())?;
    gateway
        .store
        .number_of(run, &cursor)
        .await?
        .ok_or_else(unknown)
}

/// The lines that are in the store now.
fn lines(gateway: Arc<Gateway>, run: String, from: From) -> Response {
    let state = (gateway, run, from);
    let pieces = stream::unfold(state, |(gateway, run, mut from)| async move {
        let lines = gateway.store.lines(&gateway.blobs, &run, &from, ROWS).await;
        let lines = match lines {
            Ok(lines) => lines,
            Err(error) => {
                return Some((
                    Err(error),
                    (
                        gateway,
                        run,
                        From {
                            n: i64::MAX,
                            ..from
                        },
                    ),
                ));
            }
        };
        from.n = lines.last()?.n;
        let text: String = lines.iter().flat_map(|line| [&line.text, "\n"]).collect();
        Some((Ok(text), (gateway, run, from)))
    });
    let headers = [(header::CONTENT_TYPE, names::NDJSON)];
    (headers, axum::body::Body::from_stream(pieces)).into_response()
}

/// A reader of one run.
struct Reader {
    gateway: Arc<Gateway>,
    caller: Caller,
    /// When it was last allowed.
    allowed: Instant,
    run: String,
    from: From,
    ring: Waiting,
    ready: VecDeque<Event>,
    /// The last state that was sent.
    said: String,
}

fn live(gateway: Arc<Gateway>, caller: Caller, run: String, from: From) -> Response {
    let ring = gateway.bell.listen(Topic::Run(run.clone()));
    let reader = Reader {
        gateway,
        caller,
        allowed: Instant::now(),
        run,
        from,
        ring,
        ready: VecDeque::new(),
        said: String::new(),
    };
    let events = stream::unfold(reader, |mut reader| async move {
        while reader.ready.is_empty() {
            // Whoever comes again hears why.
            if !reader.may_read().await {
                return None;
            }
            match reader.read().await {
                Ok(true) if reader.ready.is_empty() => reader.ring.ring().await,
                Ok(true) => {}
                // The reader reconnects and continues at its position.
                Ok(false) | Err(_) => return None,
            }
        }
        let event = reader.ready.pop_front()?;
        Some((Ok::<_, Infallible>(event), reader))
    });
    let alive = KeepAlive::new().interval(Duration::from_secs(15));
    Sse::new(events).keep_alive(alive).into_response()
}

impl Reader {
    /// False once the login has ended, or the rules no longer let its person read.
    async fn may_read(&mut self) -> bool {
        if self.allowed.elapsed() < STILL {
            return true;
        }
        self.allowed = Instant::now();
        if let Some(token) = &self.caller.token
            && let Ok(None) = self.gateway.store.login(token).await
        {
            return false;
        }
        match granted(&self.gateway, &self.caller, &self.run, Verb::Read).await {
            Ok(_) => true,
            Err(refusal) => !matches!(refusal.0.kind, Kind::NotFound | Kind::NotAllowed),
        }
    }

    /// Returns false if the store has less than was read from it: it was restored from an older
    /// state.
    async fn read(&mut self) -> Result<bool, crate::store::StoreError> {
        if self.read_lines().await? {
            return Ok(true);
        }
        let lines = self.gateway.store.count_lines(&self.run).await?;
        let Some(view) = self.gateway.store.run(&self.run).await? else {
            return Ok(false);
        };
        if lines < self.from.n {
            return Ok(false);
        }
        // The run's state follows from its lines: send all lines first.
        if self.read_lines().await? {
            return Ok(true);
        }
        // `seen` changes with each message of the runner and is no news.
        let mut state = serde_json::to_value(&view).unwrap_or_default();
        if let Some(parts) = state["parts"].as_array_mut() {
            for part in parts {
                if let Some(part) = part.as_object_mut() {
                    part.remove("seen");
                }
            }
        }
        let text = state.to_string();
        if text != self.said {
            let said = serde_json::to_string(&view).unwrap_or_default();
            self.ready
                .push_back(Event::default().event("state").data(said));
            self.said = text;
        }
        Ok(true)
    }

    async fn read_lines(&mut self) -> Result<bool, crate::store::StoreError> {
        let gateway = &self.gateway;
        let lines = gateway
            .store
            .lines(&gateway.blobs, &self.run, &self.from, ROWS)
            .await?;
        for line in &lines {
            self.from.n = line.n;
            self.ready.push_back(event(line));
        }
        Ok(!lines.is_empty())
    }
}

fn event(line: &Line) -> Event {
    let event = Event::default().id(line.cursor.to_string());
    event.event(&line.kind).data(&line.text)
}

#[derive(Deserialize)]
pub(super) struct Window {
    node: String,
    step: Option<usize>,
    stream: Option<event::Stream>,
    #[serde(default)]
    from: usize,
    to: Option<usize>,
}

/// The most bytes that are sent at once.
const WINDOW: usize = 64 * 1024;

/// A step's output as text, one window at a time.
pub(super) async fn output(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(run): Path<String>,
    Query(window): Query<Window>,
) -> Answer<Response> {
    granted(&gateway, &caller, &run, Verb::Read).await?;
    let end = window
        .to
        .unwrap_or(usize::MAX)
        .min(window.from.saturating_add(WINDOW));
    let mut from = From {
        n: 0,
        node: Some(window.node.clone()),
        away: Away::Refuse,
    };
    let (mut at, mut text) = (0, String::new());
    'all: loop {
        let lines = gateway
            .store
            .lines(&gateway.blobs, &run, &from, ROWS)
            .await?;
        let Some(last) = lines.last() else { break };
        from.n = last.n;
        for line in lines.iter().filter(|line| line.kind == "output") {
            let Some(piece) = printed(line, &window) else {
                continue;
            };
            for letter in piece.chars() {
                if at >= window.from {
                    text.push(letter);
                }
                at += letter.len_utf8();
                if at >= end {
                    break 'all;
                }
            }
        }
    }
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((headers, text).into_response())
}

fn printed(line: &Line, window: &Window) -> Option<String> {
    let event: event::Event = serde_json::from_str(&line.text).ok()?;
    if window.step.is_some_and(|step| event.step != Some(step)) {
        return None;
    }
    match event.what {
        What::Output { stream, text } if window.stream.is_none_or(|wanted| wanted == stream) => {
            Some(text.into_exact())
        }
        _ => None,
    }
}
