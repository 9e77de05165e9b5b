//! Serves the book on a loopback address while it is written. Renders a page when it is requested,
//! and notifies browsers of changes. Serves only reads, and only under the names of this address:
//! this refuses pages of other sites whose name resolves to it (DNS rebinding).

use opsbook_book as book;
use opsbook_project::Place;

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::Stream;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::book::{BookError, Changed, Preview};

/// How often to look at the sources.
const LOOK: Duration = Duration::from_millis(200);

/// Why the book cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The book cannot be built.
    #[error(transparent)]
    Book(#[from] BookError),
    /// The port is in use, or not permitted.
    #[error("cannot listen on port {port} of this machine: {error}")]
    Listen {
        /// The requested port.
        port: u16,
        /// The system's error.
        error: io::Error,
    },
}

/// A book that is ready to be served.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    preview: Preview,
    /// The names of this address that a browser may use.
    hosts: Vec<String>,
    /// Counts changes.
    changes: watch::Sender<u64>,
}

/// Reports messages of a running server.
pub type Said = Box<dyn Fn(&str) + Send + Sync>;

impl Server {
    /// Builds the book and listens on a port of 127.0.0.1; 0 takes any.
    ///
    /// # Errors
    /// If the book cannot be built, or the port is not available.
    pub async fn open(place: Place, port: u16) -> Result<Server, ServeError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.map_err(|error| ServeError::Listen { port, error })?;
        let address = listener.local_addr();
        let address = address.map_err(|error| ServeError::Listen { port, error })?;
        let preview = tokio::task::spawn_blocking(move || Preview::open(place)).await;
        let preview = preview.map_err(|error| BookError::Render(error.to_string()))??;
        let port = address.port();
        let hosts = ["127.0.0.1", "localhost"].map(|name| format!("{name}:{port}"));
        let shared = Shared {
            preview,
            hosts: hosts.into(),
            changes: watch::Sender::new(0),
        };
        Ok(Server {
            listener,
            address,
            shared: Arc::new(shared),
        })
    }

    /// The address on which it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is dropped. `said` gets messages for people.
    ///
    /// # Errors
    /// If the system closes the port.
    pub async fn run(self, said: Said) -> io::Result<()> {
        let watched = Arc::clone(&self.shared);
        tokio::spawn(look(watched, said));
        let shared = Arc::clone(&self.shared);
        let routes = Router::new()
            .route("/-/changes", get(changes))
            .route("/-/live.js", get(live))
            .fallback(get(page))
            .layer(from_fn_with_state(Arc::clone(&shared), guard))
            .with_state(shared);
        axum::serve(self.listener, routes).await
    }
}

/// Looks for changes, rebuilds if necessary, and notifies browsers.
async fn look(shared: Arc<Shared>, said: Said) {
    let mut every = tokio::time::interval(LOOK);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let own = Arc::clone(&shared);
        let looked = tokio::task::spawn_blocking(move || {
            let changed = own.preview.changed();
            let begun = Instant::now();
            let built = match changed {
                Changed::Whole => own.preview.rebuild(),
                Changed::Nothing | Changed::Pages => Ok(()),
            };
            (changed, built, begun.elapsed())
        });
        match looked.await {
            Ok((Changed::Nothing, ..)) | Err(_) => continue,
            Ok((Changed::Whole, Ok(()), took)) => {
                said(&format!("built anew in {} ms", took.as_millis()));
            }
            Ok((_, Err(error), _)) => said(&format!("error: {error}")),
            Ok((Changed::Pages, ..)) => {}
        }
        shared.changes.send_modify(|count| *count += 1);
    }
}

/// Only reads, and only under the names of this address.
async fn guard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok());
    let known = host.is_some_and(|host| shared.hosts.iter().any(|own| own == host));
    if !known {
        return (
            StatusCode::MISDIRECTED_REQUEST,
            "this is not the address of this book\n",
        )
            .into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return (StatusCode::METHOD_NOT_ALLOWED, "only GET\n").into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "SAMEORIGIN"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(
        "cross-origin-resource-policy",
        HeaderValue::from_static("same-origin"),
    );
    response
}

async fn live() -> Response {
    typed("js", include_bytes!("live.js").to_vec())
}

/// An event for each change.
async fn changes(
    State(shared): State<Arc<Shared>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let heard = shared.changes.subscribe();
    let all = futures_util::stream::unfold(heard, |mut heard| async move {
        heard.changed().await.ok()?;
        let count = *heard.borrow_and_update();
        Some((Ok(Event::default().data(count.to_string())), heard))
    });
    Sse::new(all).keep_alive(KeepAlive::default())
}

async fn page(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let Some(path) = path_of(request.uri().path()) else {
        return missing();
    };
    let found = tokio::task::spawn_blocking(move || {
        let begun = Instant::now();
        let page = shared.preview.page(&path);
        let took = begun.elapsed();
        page.map(|page| match page {
            Some(html) => Some((html.into_bytes(), Some(took), path)),
            None => Some((shared.preview.file(&path)?, None, path)),
        })
    });
    match found.await {
        Ok(Ok(Some((bytes, took, path)))) => {
            let end = path
                .extension()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let mut response = typed(&end, bytes);
            if let Some(took) = took {
                let mut headers = HeaderMap::new();
                let took = format!("page;dur={:.1}", took.as_secs_f64() * 1000.0);
                if let Ok(took) = HeaderValue::from_str(&took) {
                    headers.insert("server-timing", took);
                }
                response.headers_mut().extend(headers);
            }
            response
        }
        Ok(Ok(None)) => missing(),
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn missing() -> Response {
    (StatusCode::NOT_FOUND, "there is no such page\n").into_response()
}

/// The file of the book for a request path; `None` if it leads out of the book.
fn path_of(address: &str) -> Option<PathBuf> {
    let mut bytes = Vec::new();
    let mut rest = address.trim_start_matches('/').bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let value = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(value).ok()?);
    }
    let mut path = String::from_utf8(bytes).ok()?;
    if path.is_empty() || path.ends_with('/') {
        path.push_str("index.html");
    }
    let plain =
        |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
    path.split('/').all(plain).then(|| PathBuf::from(path))
}

fn typed(end: &str, bytes: Vec<u8>) -> Response {
    let kind = match end {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    };
    (
        [(header::CONTENT_TYPE, HeaderValue::from_static(kind))],
        bytes,
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn an_address_names_a_file_of_the_book_and_no_other() {
        for (address, expected) in [
            ("/", Some("index.html")),
            ("/a/", Some("a/index.html")),
            ("/a%20b.html", Some("a b.html")),
            ("/../etc/passwd", None),
            ("/a/%2e%2e/b", None),
            ("/a%2f..%2fb", None),
            ("/a%00", None),
            ("/a%zz", None),
            ("//etc/passwd", Some("etc/passwd")),
            ("/a//b", None),
            ("/%ff", None),
        ] {
            let found = path_of(address);
            assert_eq!(found.as_deref(), expected.map(Path::new), "{address}");
        }
    }
}
