//! Files to a node: small ones inside the session's own frames, big ones beside them where
//! the transport can do that. What arrives is proven on the node before it has its name.

use std::io;
use std::path::Path;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::OnceCell;

use super::checksum::{Sum, Summing};
use super::done::Limits;
use super::error::DeliverError;
use super::transport::Transport;
use super::values::quote;
use super::{Content, Done, Session, channel};

const FUNCTIONS: &str = include_str!("deliver.sh");
/// From here on a channel of its own is quicker.
const BIG: u64 = 256 << 10;
/// The part of a file that one command carries.
const PART: usize = 128 << 10;
/// For a checksum and a rename on a slow disk.
const SECONDS: u64 = 600;

/// Whether the node's shell has the functions yet.
#[derive(Debug, Default)]
pub(super) struct Loaded(OnceCell<()>);

struct Delivery<'a> {
    session: &'a Session,
    path: &'a str,
    name: String,
}

/// What has arrived, proven on the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    pub bytes: u64,
    /// `sha256:` or, where the node has no `sha256sum`, `cksum:`, and what that tool says.
    pub checksum: String,
}

pub(super) async fn deliver(
    session: &Session,
    path: &str,
    content: Content<'_>,
    mode: u32,
) -> Result<Delivered, DeliverError> {
    if path.contains('\0') || path.ends_with('/') || path.is_empty() {
        let said = "is not a path of a file".to_owned();
        return Err(DeliverError::Node {
            path: path.to_owned(),
            said,
        });
    }
    let loaded = session
        .0
        .loaded
        .0
        .get_or_try_init(|| session.load(FUNCTIONS))
        .await;
    loaded?;
    let name = format!("opsbook-{}", channel::nonce());
    let delivery = Delivery {
        session,
        path,
        name,
    };
    if let Some(bytes) = small(content).await? {
        return delivery.whole(&bytes, mode).await;
    }
    let (sum, bytes) = match delivery.send(content).await {
        Ok(sent) => sent,
        Err(error) => {
            delivery.drop_part().await;
            return Err(error);
        }
    };
    delivery.keep(&sum, mode).await?;
    Ok(delivered(&sum, bytes))
}

fn delivered(sum: &Sum, bytes: u64) -> Delivered {
    let tool = match sum {
        Sum::Sha256(_) => "sha256",
        Sum::Cksum(_) => "cksum",
    };
    Delivered {
        bytes,
        checksum: format!("{tool}:{}", sum.text()),
    }
}

/// The content, where one command can carry it.
async fn small(content: Content<'_>) -> Result<Option<Vec<u8>>, DeliverError> {
    match content {
        Content::Bytes(bytes) => Ok((bytes.len() <= PART).then(|| bytes.to_vec())),
        Content::File(file) => {
            let size = tokio::fs::metadata(file)
                .await
                .map_err(|source| unread(file, source))?;
            if !size.is_file() || size.len() > PART as u64 {
                return Ok(None);
            }
            let bytes = tokio::fs::read(file)
                .await
                .map_err(|source| unread(file, source))?;
            Ok((bytes.len() <= PART).then_some(bytes))
        }
    }
}

fn unread(file: &Path, source: io::Error) -> DeliverError {
    DeliverError::Read {
        path: file.display().to_string(),
        source,
    }
}

impl Delivery<'_> {
    /// All in one command, and so in one round trip.
    async fn whole(&self, bytes: &[u8], mode: u32) -> Result<Delivered, DeliverError> {
        let mut from = Summing::new(bytes, self.session.0.hello.has_sha256sum);
        let read = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
        read.map_err(|source| self.unread(source))?;
        let mut code = self.add(bytes);
        code.extend_from_slice(b" || { ");
        self.function("ob_drop", &mut code);
        code.extend_from_slice(b"; exit 1; }\n");
        let sum = from.sum();
        self.keep_code(&sum, mode, &mut code);
        self.kept(&code, &sum).await?;
        Ok(delivered(&sum, bytes.len() as u64))
    }

    async fn send(&self, content: Content<'_>) -> Result<(Sum, u64), DeliverError> {
        match content {
            Content::Bytes(bytes) => self.send_from(bytes, bytes.len() as u64).await,
            Content::File(file) => {
                let read = |source| unread(file, source);
                let open = tokio::fs::File::open(file).await.map_err(read)?;
                let size = open.metadata().await.map_err(read)?;
                if !size.is_file() {
                    return Err(read(io::Error::other("is not a regular file")));
                }
                self.send_from(open, size.len()).await
            }
        }
    }

    async fn send_from(
        &self,
        from: impl AsyncRead + Unpin,
        size: u64,
    ) -> Result<(Sum, u64), DeliverError> {
        let mut from = Summing::new(from, self.session.0.hello.has_sha256sum);
        if size < BIG || self.session.0.other_user {
            self.inside(&mut from).await?;
            let bytes = from.length();
            return Ok((from.sum(), bytes));
        }
        match &*self.session.0.transport {
            Transport::Local => self.beside_here(&mut from).await?,
            Transport::Ssh(route) => {
                let sent = route.upload(&self.part(), &mut from).await;
                // Nothing was read where the server allows no second channel.
                if sent.is_err() && from.is_untouched() {
                    self.inside(&mut from).await?;
                } else {
                    sent.map_err(|said| self.node_said(said))?;
                }
            }
            Transport::Exec(_) => self.inside(&mut from).await?,
        }
        let bytes = from.length();
        Ok((from.sum(), bytes))
    }

    /// Part by part in the session's main shell, in order.
    async fn inside(&self, from: &mut (impl AsyncRead + Unpin)) -> Result<(), DeliverError> {
        let mut first = true;
        loop {
            let mut part = Vec::with_capacity(PART);
            let read = from.take(PART as u64).read_to_end(&mut part).await;
            read.map_err(|source| self.unread(source))?;
            if part.is_empty() && !first {
                return Ok(());
            }
            first = false;
            let done = self.session.exclusive(&self.add(&part)).await?;
            self.check(&done)?;
        }
    }

    async fn beside_here(&self, from: &mut (impl AsyncRead + Unpin)) -> Result<(), DeliverError> {
        let part = self.part();
        let copy = async {
            let mut options = tokio::fs::OpenOptions::new();
            let mut file = options
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&part)
                .await?;
            tokio::io::copy(from, &mut file).await?;
            file.flush().await
        };
        copy.await
            .map_err(|error: io::Error| self.node_said(error.to_string()))
    }

    fn add(&self, part: &[u8]) -> Vec<u8> {
        use base64::Engine;
        let mut code = Vec::with_capacity(part.len() * 2);
        let (function, text) = if !part.contains(&0) {
            ("ob_add", part.to_vec())
        } else if self.session.0.hello.has_base64 {
            (
                "ob_add_base64",
                base64::engine::general_purpose::STANDARD
                    .encode(part)
                    .into_bytes(),
            )
        } else {
            ("ob_add_octal", octal(part))
        };
        self.function(function, &mut code);
        quote(&text, &mut code);
        code
    }

    /// Proves what has arrived and gives it its name.
    async fn keep(&self, sum: &Sum, mode: u32) -> Result<(), DeliverError> {
        let mut code = Vec::new();
        self.keep_code(sum, mode, &mut code);
        self.kept(&code, sum).await
    }

    fn keep_code(&self, sum: &Sum, mode: u32, code: &mut Vec<u8>) {
        self.function("ob_keep", code);
        code.extend_from_slice(format!("{mode:04o} {} ", sum.tool()).as_bytes());
        quote(sum.text().as_bytes(), code);
    }

    async fn kept(&self, code: &[u8], sum: &Sum) -> Result<(), DeliverError> {
        let done = self.session.call(code, Limits::seconds(SECONDS)).await?;
        let out = String::from_utf8_lossy(&done.out);
        if let Some(arrived) = out.trim().strip_prefix("sum ") {
            let (path, sent) = (self.path.to_owned(), sum.text().to_owned());
            return Err(DeliverError::Checksum {
                path,
                sent,
                arrived: arrived.to_owned(),
            });
        }
        self.check(&done)
    }

    async fn drop_part(&self) {
        let mut code = Vec::new();
        self.function("ob_drop", &mut code);
        // What is to be told is why it was not delivered.
        let _ = self.session.call(&code, Limits::seconds(60)).await;
    }

    fn function(&self, name: &str, code: &mut Vec<u8>) {
        code.extend_from_slice(name.as_bytes());
        for word in [self.path, &self.name] {
            code.push(b' ');
            quote(word.as_bytes(), code);
        }
        code.push(b' ');
    }

    /// The temporary file, as `ob_at` names it.
    fn part(&self) -> String {
        let place = Path::new(&self.session.0.hello.home).join(self.path);
        let dir = place.parent().unwrap_or(Path::new("/"));
        dir.join(format!(".{}.part", self.name))
            .to_string_lossy()
            .into_owned()
    }

    fn check(&self, done: &Done) -> Result<(), DeliverError> {
        if done.ok() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&done.err).trim().to_owned();
        let said = if said.is_empty() {
            format!("exit status {}", done.status)
        } else {
            said
        };
        Err(self.node_said(said.replace(&self.part(), self.path)))
    }

    fn node_said(&self, said: String) -> DeliverError {
        DeliverError::Node {
            path: self.path.to_owned(),
            said,
        }
    }

    fn unread(&self, source: io::Error) -> DeliverError {
        DeliverError::Read {
            path: self.path.to_owned(),
            source,
        }
    }
}

/// What `printf %b` turns back into any bytes.
fn octal(bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .flat_map(|byte| format!("\\0{byte:03o}").into_bytes())
        .collect()
}
