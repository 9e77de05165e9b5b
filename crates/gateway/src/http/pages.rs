//! The book, and the few files that make it the console.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::refusal::{Answer, Refusal};
use crate::gateway::Gateway;
use crate::wire::{Kind, Problem};

const SCRIPT: &str = include_str!("../console/console.js");
const STYLE: &str = include_str!("../console/console.css");

#[derive(Deserialize)]
pub(super) struct Build {
    build: Option<String>,
}

pub(super) async fn console(
    State(gateway): State<Arc<Gateway>>,
    Path(file): Path<String>,
    Query(Build { build }): Query<Build>,
) -> Answer<Response> {
    let (kind, text) = match (file.as_str(), build) {
        ("console.js", _) => ("text/javascript; charset=utf-8", SCRIPT.to_owned()),
        ("console.css", _) => ("text/css; charset=utf-8", STYLE.to_owned()),
        ("pages.json", Some(build)) => {
            let Some(pages) = gateway.manual.book().pages(&build) else {
                let detail = "this page is of an earlier build of the book: load it again";
                return Err(Refusal::new(Kind::NotFound, detail));
            };
            (
                "application/json",
                serde_json::to_string(&pages).unwrap_or_default(),
            )
        }
        _ => return Err(Refusal::new(Kind::NotFound, "there is no such file")),
    };
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// Everything else is the book.
pub(super) async fn book(State(gateway): State<Arc<Gateway>>, uri: Uri) -> Response {
    if uri.path().starts_with("/v1/") {
        return Refusal::new(Kind::NotFound, "there is no such path").into_response();
    }
    let Some(path) = decoded(uri.path()) else {
        return Refusal::new(Kind::Malformed, "the path cannot be read").into_response();
    };
    let manual = Arc::clone(&gateway.manual);
    let page = tokio::task::spawn_blocking(move || manual.page(path.trim_matches('/')));
    let page = match page.await {
        Ok(Ok(Some(page))) => page,
        Ok(Ok(None)) => {
            let detail = "the book has no such page";
            return Refusal::new(Kind::NotFound, detail).into_response();
        }
        Ok(Err(problem)) => return told(&problem),
        Err(error) => return Refusal::from(error).into_response(),
    };
    let headers = [
        (header::CONTENT_TYPE, page.content_type),
        (header::CONTENT_SECURITY_POLICY, page.policy),
        (header::CACHE_CONTROL, "private, no-cache"),
    ];
    (StatusCode::OK, headers, page.bytes).into_response()
}

/// A problem, for a person in front of a browser.
pub(super) fn told(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_REQUEST);
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    (status, kind, format!("{}\n", problem.detail)).into_response()
}

/// A path without `%xx`; nothing where that is no text.
fn decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (high, low) = (digit(rest.next())?, digit(rest.next())?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains('\0'))
}
