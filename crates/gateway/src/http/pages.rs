//! The books, the overview page, and the files that turn them into the console.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::refusal::{Answer, Refusal};
use crate::gateway::Gateway;
use crate::manuals::{Manual, escaped};
use crate::wire::{Kind, Problem};

const SCRIPT: &str = include_str!("../console/console.js");
const STYLE: &str = include_str!("../console/console.css");
const OVERVIEW_SCRIPT: &str = include_str!("../console/overview.js");
const OVERVIEW_STYLE: &str = include_str!("../console/overview.css");

/// The path of the manuals' books.
const BOOKS: &str = "manuals";
/// The content security policy of the overview page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

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
        ("overview", _) => return Ok(overview(&gateway)),
        ("console.js", _) => ("text/javascript; charset=utf-8", SCRIPT.to_owned()),
        ("console.css", _) => ("text/css; charset=utf-8", STYLE.to_owned()),
        ("overview.js", _) => ("text/javascript; charset=utf-8", OVERVIEW_SCRIPT.to_owned()),
        ("overview.css", _) => ("text/css; charset=utf-8", OVERVIEW_STYLE.to_owned()),
        ("pages.json", Some(build)) => {
            let mut manuals = gateway.manuals.all();
            let Some(pages) = manuals.find_map(|manual| manual.book().pages(&build)) else {
                let detail = "this page is from an earlier build of the book: reload it";
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

/// The overview: which versions run where, and who worked on nodes. With several manuals it also
/// lists them.
fn overview(gateway: &Gateway) -> Response {
    let name = escaped(&gateway.name);
    let mut books = String::new();
    for manual in gateway.manuals.all() {
        let href = match gateway.manuals.alone() {
            Some(_) => "/".to_owned(),
            None => format!("/{BOOKS}/{}/", escaped(&manual.id)),
        };
        // Writing into a string cannot fail.
        let _ = write!(
            books,
            "<li><a href=\"{href}\">{}</a></li>",
            escaped(&manual.id)
        );
    }
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{name}</title><link rel=\"stylesheet\" href=\"/console/overview.css\">\
         <script type=\"module\" src=\"/console/overview.js\"></script></head><body><main>\
         <h1>{name}</h1><nav aria-label=\"Manuals\"><ul>{books}</ul></nav>\
         <section id=\"applications\"><h2>What runs where</h2></section>\
         <section id=\"findings\"><h2>Who was here</h2></section>\
         <section id=\"runs\"><h2>Runs</h2></section>\
         <noscript><p>The tables need JavaScript; the manuals do not.</p></noscript>\
         </main></body></html>"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "private, no-cache"),
    ];
    (StatusCode::OK, headers, page).into_response()
}

/// The meaning of a path outside the interface.
enum Meant {
    /// A page of a manual's book.
    Page(Arc<Manual>, String),
    /// The overview page.
    Overview,
    /// The book of this manual, whose links are relative to its folder.
    Folder(String),
    /// Nothing.
    Nothing,
}

fn meant(gateway: &Gateway, path: &str) -> Meant {
    let below = path.strip_prefix('/').unwrap_or(path);
    let named = below.split_once('/').filter(|(first, _)| *first == BOOKS);
    if let Some((_, rest)) = named {
        let (id, page) = rest.split_once('/').unwrap_or((rest, ""));
        if let Ok(manual) = gateway.manuals.one(Some(id)) {
            if rest.contains('/') {
                return Meant::Page(Arc::clone(manual), page.trim_matches('/').to_owned());
            }
            return Meant::Folder(format!("/{BOOKS}/{id}/"));
        }
    }
    match gateway.manuals.alone() {
        Some(alone) => Meant::Page(Arc::clone(alone), below.trim_matches('/').to_owned()),
        None if below.is_empty() || below.trim_matches('/') == BOOKS => Meant::Overview,
        None => Meant::Nothing,
    }
}

/// Everything else is a book.
pub(super) async fn book(State(gateway): State<Arc<Gateway>>, uri: Uri) -> Response {
    if uri.path().starts_with("/v1/") {
        return Refusal::new(Kind::NotFound, "there is no such path").into_response();
    }
    let Some(path) = decoded(uri.path()) else {
        return Refusal::new(Kind::Malformed, "the path cannot be read").into_response();
    };
    let (manual, path) = match meant(&gateway, &path) {
        Meant::Page(manual, path) => (manual, path),
        Meant::Overview => return overview(&gateway),
        Meant::Folder(path) => return Redirect::permanent(&path).into_response(),
        Meant::Nothing => {
            return Refusal::new(Kind::NotFound, "there is no such page").into_response();
        }
    };
    let page = tokio::task::spawn_blocking(move || manual.page(&path));
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

/// A problem as a page for a browser.
pub(super) fn told(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_REQUEST);
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    (status, kind, format!("{}\n", problem.detail)).into_response()
}

/// A path without `%xx`; `None` if it is not text.
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
