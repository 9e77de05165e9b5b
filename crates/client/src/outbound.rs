//! One request to a server that is not a gateway: an identity provider, a vault, a webhook. Over
//! TLS, or to this machine. Does not follow redirects; all sizes are limited.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use hyper::body::Bytes;
use rustls::ClientConfig;

use crate::connection::open;
use crate::request::told;
use crate::tls::{Tls, config};
use crate::{Address, AddressError};

/// The most bytes of an address.
const LONGEST: usize = 4096;
/// How long the machine's trusted certificates are cached.
const TRUSTED: Duration = Duration::from_mins(10);

/// `https://HOST[:PORT]/PATH`, or `http` to this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    address: Address,
    path: String,
}

/// Why a text is not such an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Its host is invalid.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// It is unencrypted and leaves this machine.
    #[error("the connection to {0} is not encrypted: it is `https://…`")]
    Clear(String),
    /// Its path is invalid.
    #[error("the path of `{0}` has invalid characters, or is too long")]
    Path(String),
}

impl std::str::FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Url, UrlError> {
        let after = text.find("://").map_or(0, |at| at + 3);
        let end = text[after..].find(['/', '?']).map(|at| at + after);
        let (base, path) = text.split_at(end.unwrap_or(text.len()));
        let address: Address = base.parse()?;
        if matches!(address, Address::Unix(_)) || !address.is_local() && base.starts_with("http:") {
            return Err(UrlError::Clear(base.to_owned()));
        }
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"#\"<>\\^`{|}".contains(&byte);
        if text.len() > LONGEST || !path.bytes().all(plain) {
            return Err(UrlError::Path(base.to_owned()));
        }
        let path = match path {
            "" => "/".to_owned(),
            path if path.starts_with('?') => format!("/{path}"),
            path => path.to_owned(),
        };
        Ok(Url { address, path })
    }
}

impl Url {
    /// The path with its query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The host for the header.
    #[must_use]
    pub fn host(&self) -> String {
        host(&self.address)
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.address)
    }
}

/// The request.
#[derive(Clone, Debug)]
pub struct Outbound<'a> {
    /// `GET`, `POST`, …
    pub method: &'a str,
    /// Names in lower case, and values.
    pub headers: Vec<(&'a str, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The most bytes of an answer.
    pub most: usize,
    /// The time for everything.
    pub patience: Duration,
}

impl Default for Outbound<'_> {
    fn default() -> Self {
        Outbound {
            method: "GET",
            headers: Vec::new(),
            body: Vec::new(),
            most: 1 << 20,
            patience: Duration::from_secs(10),
        }
    }
}

/// The answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Names in lower case, and values that are text.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// Whether the status is a success.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Sends a request to a server on the web.
///
/// # Errors
/// Why there is no answer, in a sentence, which does not contain the request.
pub async fn outbound(url: &Url, ask: Outbound<'_>) -> Result<Reply, String> {
    let patience = ask.patience;
    match tokio::time::timeout(patience, asked(url, ask)).await {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(why)) => Err(format!("{url}: {why}")),
        Err(_) => Err(format!(
            "{url}: no answer within {} seconds",
            patience.as_secs()
        )),
    }
}

async fn asked(url: &Url, ask: Outbound<'_>) -> Result<Reply, String> {
    let mut connection = open(&url.address, trusted).await?;
    let mut request = Request::builder()
        .method(ask.method)
        .uri(&url.path)
        .header("host", host(&url.address))
        .header("connection", "close")
        .header("user-agent", concat!("opsbook/", env!("CARGO_PKG_VERSION")));
    for (name, value) in &ask.headers {
        let mut value = hyper::header::HeaderValue::from_str(value)
            .map_err(|_| format!("the header `{name}` cannot be sent"))?;
        value.set_sensitive(true);
        request = request.header(*name, value);
    }
    let request = request.body(Full::new(Bytes::from(ask.body)));
    let request = request.map_err(|error| error.to_string())?;
    let answer = connection.send_request(request).await;
    let answer = answer.map_err(|error| told(&error))?;
    let status = answer.status().as_u16();
    let headers = answer.headers().iter().filter_map(|(name, value)| {
        let value = value.to_str().ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    });
    let headers = headers.collect();
    let body = Limited::new(answer.into_body(), ask.most).collect().await;
    let body = body.map_err(|error| format!("its answer ended early: {error}"))?;
    Ok(Reply {
        status,
        headers,
        body: body.to_bytes().into(),
    })
}

/// Leaves out the default port: some servers sign this value.
fn host(address: &Address) -> String {
    let host = address.authority();
    let usual = match address {
        Address::Https { .. } => ":443",
        _ => ":80",
    };
    host.strip_suffix(usual).map_or(host.clone(), str::to_owned)
}

fn trusted() -> Result<Arc<ClientConfig>, String> {
    static MADE: Mutex<Option<(Instant, Arc<ClientConfig>)>> = Mutex::new(None);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((since, config)) = &*made
        && since.elapsed() < TRUSTED
    {
        return Ok(Arc::clone(config));
    }
    let config = Arc::new(config(&Tls::default())?);
    *made = Some((Instant::now(), Arc::clone(&config)));
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tls_and_this_machine_are_spoken_to() {
        for (text, shown, path) in [
            ("https://id.example", "https://id.example:443", "/"),
            (
                "https://id.example/a/b?c=d&e=%20",
                "https://id.example:443",
                "/a/b?c=d&e=%20",
            ),
            ("http://127.0.0.1:9?x", "http://127.0.0.1:9", "/?x"),
        ] {
            let url: Url = text.parse().unwrap();
            assert_eq!((url.to_string().as_str(), url.path.as_str()), (shown, path));
        }
        for text in [
            "http://id.example/",
            "unix:/run/x",
            "https://u:p@id.example/",
            "https://id.example/a b",
            "https://id.example/a\r\nb: c",
            "https://id.example/#x",
            "id.example",
            "",
        ] {
            assert!(text.parse::<Url>().is_err(), "{text}");
        }
    }
}
