//! A bucket as a blob store, through the S3 API: whole objects are put and read. `object_store`
//! handles the API and signatures; [`crate::client`] handles connections and trust, as for all
//! requests of the gateway.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http_body_util::BodyExt as _;
use hyper::Response;
use object_store::aws::{AmazonS3, AmazonS3Builder, AwsCredential};
use object_store::client::{
    ClientOptions, CredentialProvider, HttpClient, HttpConnector, HttpError, HttpErrorKind,
    HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use object_store::path::Path;
use object_store::{ObjectStoreExt as _, RetryConfig};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::client::{Outbound, Url, outbound};
use crate::outside;
use crate::secret::Secret;

/// The time limit of a request.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most bytes of an object.
const LARGEST: usize = 64 << 20;
/// How long a key is used before it is looked up again.
const KNOWN: Duration = Duration::from_mins(5);

/// `[blobs.s3]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The address of the service, `https://s3.example`; default: AWS.
    pub endpoint: Option<String>,
    /// The region; default `us-east-1`.
    pub region: Option<String>,
    /// The key; default: from `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`.
    pub key: Option<Key>,
}

/// `key = {id = …, secret = …}`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Its id.
    pub id: Secret,
    /// The secret for signatures.
    pub secret: Secret,
    /// The session token of a temporary key.
    #[serde(default)]
    pub session: Option<Secret>,
}

/// The bucket.
#[derive(Debug)]
pub(super) struct S3 {
    bucket: AmazonS3,
    prefix: Path,
}

impl S3 {
    /// The bucket of `s3://BUCKET/PREFIX`.
    pub fn new(url: &str, settings: &Settings) -> Result<S3, String> {
        let rest = url.strip_prefix("s3://").unwrap_or(url);
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let letter = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.'
        };
        if bucket.is_empty() || bucket.len() > 63 || !bucket.bytes().all(letter) {
            return Err(format!("`{bucket}` is not a valid name for a bucket"));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
        let parsed = Path::parse(prefix).ok();
        let parsed = parsed.filter(|_| prefix.bytes().all(plain));
        let prefix = parsed.ok_or_else(|| format!("`{prefix}` is not a valid prefix"))?;
        let region = settings.region.as_deref().unwrap_or("us-east-1");
        let endpoint = settings.endpoint.clone();
        let endpoint = endpoint.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
        let endpoint = endpoint.trim_end_matches('/');
        let parsed: Result<Url, _> = endpoint.parse();
        if parsed.map_err(|error| error.to_string())?.path() != "/" {
            return Err(format!("`endpoint`: `{endpoint}` has a path"));
        }
        let keys = Keys {
            key: settings.key.clone().unwrap_or_else(of_environment),
            known: Mutex::new(None),
        };
        let bucket = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_endpoint(endpoint)
            .with_region(region)
            .with_virtual_hosted_style_request(false)
            // `Url` has already checked that it is on this machine.
            .with_allow_http(true)
            .with_credentials(Arc::new(keys))
            .with_http_connector(Way)
            // The spool retries, and knows for how long.
            .with_retry(RetryConfig {
                max_retries: 0,
                ..RetryConfig::default()
            })
            .build()
            .map_err(|error| message_of(&error))?;
        Ok(S3 { bucket, prefix })
    }

    fn path(&self, run: &str, name: &str) -> Path {
        self.prefix.clone().join(run).join(name)
    }

    /// Writes an object.
    pub async fn write(&self, run: &str, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        let path = self.path(run, name);
        let put = self.bucket.put(&path, bytes.to_vec().into()).await;
        put.map(|_| ())
            .map_err(|error| std::io::Error::other(message_of(&error)))
    }

    /// Reads an object.
    pub async fn read(&self, run: &str, name: &str) -> std::io::Result<Vec<u8>> {
        let got = async { self.bucket.get(&self.path(run, name)).await?.bytes().await };
        match got.await {
            Ok(bytes) => Ok(bytes.into()),
            Err(error @ object_store::Error::NotFound { .. })
                if !error.to_string().contains("NoSuchBucket") =>
            {
                Err(std::io::ErrorKind::NotFound.into())
            }
            Err(error) => Err(std::io::Error::other(message_of(&error))),
        }
    }
}

/// The error message. Of a server's answer it contains only the error code, if there is one.
fn message_of(error: &object_store::Error) -> String {
    let text = error.to_string();
    let word = text
        .split_once("<Code>")
        .and_then(|(_, rest)| rest.split_once("</Code>"));
    let message = word.map_or(text.as_str(), |(word, _)| word);
    let message: String = message.chars().take(300).collect();
    outside::line(&message).to_string()
}

fn of_environment() -> Key {
    let of = |name: &str| Secret::Env(name.to_owned());
    Key {
        id: of("AWS_ACCESS_KEY_ID"),
        secret: of("AWS_SECRET_ACCESS_KEY"),
        session: Some(of("AWS_SESSION_TOKEN")),
    }
}

/// The key, which is looked up again from time to time.
struct Keys {
    key: Key,
    known: Mutex<Option<(Instant, Arc<AwsCredential>)>>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys of {:?}", self.key.id)
    }
}

#[async_trait]
impl CredentialProvider for Keys {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut known = self.known.lock().await;
        if let Some((since, known)) = &*known
            && since.elapsed() < KNOWN
        {
            return Ok(Arc::clone(known));
        }
        let new = self.key.look_up().await;
        let new = Arc::new(new.map_err(|why| object_store::Error::Generic {
            store: "S3",
            source: why.into(),
        })?);
        *known = Some((Instant::now(), Arc::clone(&new)));
        Ok(new)
    }
}

impl Key {
    async fn look_up(&self) -> Result<AwsCredential, String> {
        let token = match &self.session {
            Some(Secret::Env(name)) if std::env::var_os(name).is_none() => None,
            Some(session) => Some(session.look_up().await?),
            None => None,
        };
        Ok(AwsCredential {
            key_id: self.id.look_up().await?,
            secret_key: self.secret.look_up().await?,
            token,
        })
    }
}

/// The gateway's HTTP client for `object_store`.
#[derive(Debug)]
struct Way;

impl HttpConnector for Way {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Way))
    }
}

#[async_trait]
impl HttpService for Way {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let unsent = |why: String| HttpError::new(HttpErrorKind::Connect, NoAnswer(why));
        let (head, body) = request.into_parts();
        let url: Result<Url, _> = head.uri.to_string().parse();
        let url = url.map_err(|error| unsent(error.to_string()))?;
        let body = body.collect().await?.to_bytes();
        let mut headers = Vec::new();
        for (name, value) in &head.headers {
            let value = value.to_str().map_err(|error| unsent(error.to_string()))?;
            // `outbound` sets these itself.
            if !["host", "content-length", "user-agent"].contains(&name.as_str()) {
                headers.push((name.as_str(), value.to_owned()));
            }
        }
        let ask = Outbound {
            method: head.method.as_str(),
            headers,
            body: body.into(),
            most: LARGEST,
            patience: PATIENCE,
        };
        let reply = outbound(&url, ask).await.map_err(unsent)?;
        let mut response = Response::builder().status(reply.status);
        for (name, value) in reply.headers {
            response = response.header(name, value);
        }
        let response = response.body(HttpResponseBody::from(reply.body));
        response.map_err(|error| unsent(error.to_string()))
    }
}

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NoAnswer(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_named_by_its_url() {
        let of = |url: &str, endpoint: &str| {
            let settings = Settings {
                endpoint: Some(endpoint.to_owned()),
                ..Settings::default()
            };
            S3::new(url, &settings).map(|s3| s3.path("R1", "part-a@b.1.1").to_string())
        };
        let here = "http://127.0.0.1:9000";
        assert_eq!(of("s3://ops", here).unwrap(), "R1/part-a@b.1.1");
        let below = of("s3://ops/a/b/", "https://s3.example/").unwrap();
        assert_eq!(below, "a/b/R1/part-a@b.1.1");
        for (url, endpoint) in [
            ("s3://", here),
            ("s3://Ops", here),
            ("s3://ops/a b", here),
            ("s3://ops/a//b", here),
            ("s3://ops/a/../b", here),
            ("s3://ops", "http://s3.example"),
            ("s3://ops", "https://s3.example/x"),
            ("s3://ops", "moon"),
        ] {
            assert!(of(url, endpoint).is_err(), "{url} {endpoint}");
        }
    }
}
