//! A bucket as a store of pieces, over the interface of S3: whole objects are put and got, by
//! requests that are signed in its fourth way. That is all that is needed of it, so that it needs
//! no library of its own.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use ring::hmac;
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::client::{Outbound, Reply, Url, outbound};
use crate::secret::Secret;
use crate::token::sha256;

/// For a request.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an object.
const LARGEST: usize = 64 << 20;
/// So long a key is used before it is looked up again.
const KNOWN: Duration = Duration::from_mins(5);

/// `[blobs.s3]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where it is served, `https://s3.example`; by AWS where it is absent.
    pub endpoint: Option<String>,
    /// The region; `us-east-1` where it is absent.
    pub region: Option<String>,
    /// Who asks; what `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN` say
    /// where it is absent.
    pub key: Option<Key>,
}

/// `key = {id = …, secret = …}`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Its name.
    pub id: Secret,
    /// What signs.
    pub secret: Secret,
    /// What goes along with a key that is good for a while only.
    #[serde(default)]
    pub session: Option<Secret>,
}

/// The bucket.
#[derive(Debug)]
pub(super) struct S3 {
    /// `https://HOST/BUCKET/PREFIX/`
    base: String,
    region: String,
    key: Key,
    known: Mutex<Option<(Instant, Known)>>,
}

/// A key that was looked up.
#[derive(Clone)]
struct Known {
    id: String,
    secret: String,
    session: Option<String>,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Known {}", self.id)
    }
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
            return Err(format!("`{bucket}` is no name of a bucket"));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
        let prefix = prefix.trim_matches('/');
        let odd = |part: &str| part.is_empty() || part == "." || part == "..";
        if !prefix.bytes().all(plain) || (!prefix.is_empty() && prefix.split('/').any(odd)) {
            return Err(format!("`{prefix}` is no beginning of names"));
        }
        let region = settings.region.clone();
        let region = region.unwrap_or_else(|| "us-east-1".to_owned());
        let endpoint = settings.endpoint.clone();
        let endpoint = endpoint.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
        let endpoint = endpoint.trim_end_matches('/');
        let parsed: Result<Url, _> = endpoint.parse();
        if parsed.map_err(|error| error.to_string())?.path() != "/" {
            return Err(format!("`endpoint`: `{endpoint}` has a path"));
        }
        let prefix = if prefix.is_empty() {
            String::new()
        } else {
            format!("{prefix}/")
        };
        Ok(S3 {
            base: format!("{endpoint}/{bucket}/{prefix}"),
            region,
            key: settings.key.clone().unwrap_or_else(of_environment),
            known: Mutex::new(None),
        })
    }

    /// Puts an object.
    pub async fn write(&self, run: &str, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        self.ask("PUT", run, name, bytes).await.map(|_| ())
    }

    /// Gets an object.
    pub async fn read(&self, run: &str, name: &str) -> std::io::Result<Vec<u8>> {
        self.ask("GET", run, name, &[])
            .await
            .map(|reply| reply.body)
    }

    async fn ask(
        &self,
        method: &str,
        run: &str,
        name: &str,
        body: &[u8],
    ) -> std::io::Result<Reply> {
        let other = std::io::Error::other;
        let text = format!("{}{}/{}", self.base, encoded(run), encoded(name));
        let url: Url = text.parse().map_err(|error| other(format!("{error}")))?;
        let known = self.known().await.map_err(other)?;
        let now = jiff::Timestamp::now()
            .strftime("%Y%m%dT%H%M%SZ")
            .to_string();
        let signing = Signing {
            known: &known,
            region: &self.region,
            now: &now,
        };
        let ask = Outbound {
            method,
            headers: signing.headers(method, (&url.host(), url.path()), body),
            body: body.to_vec(),
            most: LARGEST,
            patience: PATIENCE,
        };
        let reply = outbound(&url, ask).await.map_err(other)?;
        match reply.status {
            200..300 => Ok(reply),
            404 if !said(&reply).contains("NoSuchBucket") => {
                Err(std::io::ErrorKind::NotFound.into())
            }
            status => Err(other(format!("{url}: status {status} {}", said(&reply)))),
        }
    }

    async fn known(&self) -> Result<Known, String> {
        let mut known = self.known.lock().await;
        if let Some((since, known)) = &*known
            && since.elapsed() < KNOWN
        {
            return Ok(known.clone());
        }
        let session = match &self.key.session {
            Some(Secret::Env(name)) if std::env::var_os(name).is_none() => None,
            Some(session) => Some(session.look_up().await?),
            None => None,
        };
        let new = Known {
            id: self.key.id.look_up().await?,
            secret: self.key.secret.look_up().await?,
            session,
        };
        *known = Some((Instant::now(), new.clone()));
        Ok(new)
    }
}

fn of_environment() -> Key {
    let of = |name: &str| Secret::Env(name.to_owned());
    Key {
        id: of("AWS_ACCESS_KEY_ID"),
        secret: of("AWS_SECRET_ACCESS_KEY"),
        session: Some(of("AWS_SESSION_TOKEN")),
    }
}

/// The word with which it says no.
fn said(reply: &Reply) -> String {
    let text = String::from_utf8_lossy(&reply.body);
    let word = text
        .split_once("<Code>")
        .and_then(|(_, rest)| rest.split_once("</Code>"));
    let word = word.map_or("", |(word, _)| word);
    let letters = word.chars().filter(char::is_ascii_alphanumeric);
    letters.take(64).collect()
}

/// As one part of a path.
fn encoded(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// What a request is signed with.
struct Signing<'a> {
    known: &'a Known,
    region: &'a str,
    /// `20130524T000000Z`
    now: &'a str,
}

impl Signing<'_> {
    /// The headers of a request, with its signature.
    fn headers(
        &self,
        method: &str,
        (host, path): (&str, &str),
        body: &[u8],
    ) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("x-amz-content-sha256", sha256(body)),
            ("x-amz-date", self.now.to_owned()),
        ];
        if let Some(session) = &self.known.session {
            headers.push(("x-amz-security-token", session.clone()));
        }
        let authorization = self.authorization(method, (host, path), &headers);
        headers.push(("authorization", authorization));
        headers
    }

    /// `headers` are in the order of their names, the body's sum first.
    fn authorization(
        &self,
        method: &str,
        (host, path): (&str, &str),
        headers: &[(&'static str, String)],
    ) -> String {
        let sum = &headers[0].1;
        let mut all = vec![("host", host.to_owned())];
        all.extend(headers.iter().cloned());
        all.sort();
        let lines: String = all
            .iter()
            .map(|(name, value)| format!("{name}:{value}\n"))
            .collect();
        let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let canonical = format!("{method}\n{path}\n\n{lines}\n{names}\n{sum}");
        let day = self.now.get(..8).unwrap_or_default();
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let text = format!(
            "AWS4-HMAC-SHA256\n{}\n{scope}\n{}",
            self.now,
            sha256(&canonical)
        );
        let mut key = format!("AWS4{}", self.known.secret).into_bytes();
        for part in [day, self.region, "s3", "aws4_request"] {
            key = mac(&key, part);
        }
        let signature: String = mac(&key, &text)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope},SignedHeaders={names},Signature={signature}",
            self.known.id
        )
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the interface's own documentation.
    #[test]
    fn a_request_is_signed_as_the_interface_says() {
        let known = Known {
            id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
            session: None,
        };
        let signing = Signing {
            known: &known,
            region: "us-east-1",
            now: "20130524T000000Z",
        };
        let headers = [
            ("x-amz-content-sha256", sha256(b"")),
            ("range", "bytes=0-9".to_owned()),
            ("x-amz-date", "20130524T000000Z".to_owned()),
        ];
        let host = "examplebucket.s3.amazonaws.com";
        let said = signing.authorization("GET", (host, "/test.txt"), &headers);
        assert_eq!(
            said,
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
             SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
             Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        assert!(!format!("{known:?}").contains("EXAMPLEKEY"));
    }

    #[test]
    fn a_bucket_is_named_by_its_url() {
        let of = |url: &str, endpoint: &str| {
            let settings = Settings {
                endpoint: Some(endpoint.to_owned()),
                ..Settings::default()
            };
            S3::new(url, &settings).map(|s3| s3.base)
        };
        let here = "http://127.0.0.1:9000";
        assert_eq!(of("s3://ops", here).unwrap(), "http://127.0.0.1:9000/ops/");
        assert_eq!(
            of("s3://ops/a/b/", "https://s3.example/").unwrap(),
            "https://s3.example/ops/a/b/"
        );
        for (url, endpoint) in [
            ("s3://", here),
            ("s3://Ops", here),
            ("s3://ops/a b", here),
            ("s3://ops/a/../b", here),
            ("s3://ops", "http://s3.example"),
            ("s3://ops", "https://s3.example/x"),
            ("s3://ops", "moon"),
        ] {
            assert!(of(url, endpoint).is_err(), "{url} {endpoint}");
        }
        assert_eq!(encoded("a@b c%/é~"), "a%40b%20c%25%2F%C3%A9~");
    }
}
