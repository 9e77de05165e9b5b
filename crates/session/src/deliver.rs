//! Delivers files to a node: small ones within the session's own frames, big ones on a separate
//! channel if the transport can open one. The node verifies a file before it gets its name.

use std::io;
use std::path::Path;
use std::sync::LazyLock;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeekExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::OnceCell;

use super::checksum::{Sum, Summing};
use super::done::{Cancel, Limits};
use super::error::DeliverError;
use super::hello::Utility;
use super::text::compact;
use super::transport::Transport;
use super::{Call, Content, Done, Session, channel};

static FUNCTIONS: LazyLock<String> = LazyLock::new(|| compact(include_str!("deliver.sh")));
/// From this size on, a separate channel is faster.
const BIG: u64 = 256 << 10;
/// From this size on, a checksum tool that starts slowly and computes fast pays off on the node.
const LARGE: u64 = 4 << 20;
/// The part of a file that one command carries.
const PART: usize = 128 << 10;
/// How much is read at once; small pieces cost more than they carry.
const PIECE: usize = 256 << 10;
/// Seconds allowed for a checksum and a rename on a slow disk.
const SECONDS: u64 = 600;

/// Whether the node's shell has the functions.
#[derive(Debug, Default)]
pub(super) struct Loaded(OnceCell<()>);

struct Delivery<'a> {
    session: &'a Session,
    path: &'a str,
    name: String,
    becomes: Becomes,
}

/// What the received bytes become.
#[derive(Clone, Copy, Debug)]
pub(super) enum Becomes {
    File {
        mode: u32,
    },
    /// A folder; the bytes are its archive.
    Folder,
}

/// The bytes sent so far.
struct Sent {
    sum: Sum,
    bytes: u64,
    /// The node's checksum, if it was requested already.
    arrived: Option<String>,
}

/// A delivered file, verified on the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The size of the file.
    pub bytes: u64,
    /// `sha256:` or, if the node has no `sha256sum`, `cksum:`, followed by the tool's output.
    pub checksum: String,
}

pub(super) async fn deliver(
    session: &Session,
    path: &str,
    content: Content<'_>,
    becomes: Becomes,
    cancel: &Cancel,
) -> Result<Delivered, DeliverError> {
    if path.contains('\0') || path.ends_with('/') || path.is_empty() {
        let said = "is not a path of a file".to_owned();
        return Err(DeliverError::Node {
            path: path.to_owned(),
            said: said.into(),
        });
    }
    let loaded = session
        .0
        .loaded
        .0
        .get_or_try_init(|| session.load(&FUNCTIONS))
        .await;
    loaded?;
    let name = format!("opsbook-{}", channel::nonce());
    let delivery = Delivery {
        session,
        path,
        name,
        becomes,
    };
    if let Some(bytes) = small(content).await? {
        return delivery.whole(&bytes).await;
    }
    let path = || path.to_owned();
    let kept = tokio::select! {
        kept = delivery.carry(content) => kept,
        () = cancel.cancelled() => Err(DeliverError::Cancelled { path: path() }),
    };
    if kept.is_err() {
        delivery.drop_part().await;
    }
    kept
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

/// The content, if it fits into one command.
async fn small(content: Content<'_>) -> Result<Option<Vec<u8>>, DeliverError> {
    match content {
        Content::Bytes(bytes) => Ok((bytes.len() <= PART).then(|| bytes.to_vec())),
        Content::File(path, file) => {
            let read = |source| unread(path, source);
            let size = file.metadata().map_err(read)?;
            if !size.is_file() || size.len() > PART as u64 {
                return Ok(None);
            }
            let mut file = tokio::fs::File::from_std(file.try_clone().map_err(read)?);
            let mut bytes = Vec::new();
            let mut part = (&mut file).take(PART as u64 + 1);
            part.read_to_end(&mut bytes).await.map_err(read)?;
            if bytes.len() <= PART {
                return Ok(Some(bytes));
            }
            // The file has grown.
            file.rewind().await.map_err(read)?;
            Ok(None)
        }
    }
}

fn unread(file: &Path, source: io::Error) -> DeliverError {
    DeliverError::Read {
        path: file.display().to_string(),
        source,
    }
}

impl Sent {
    fn of<R>(from: Summing<R>) -> Self {
        let (bytes, arrived) = (from.length(), None);
        Self {
            bytes,
            sum: from.sum(),
            arrived,
        }
    }

    /// The node's tool that verifies the checksum and renames the file.
    fn tool(&self) -> &'static str {
        match self.arrived {
            Some(_) => "proven",
            None => self.sum.tool(),
        }
    }
}

impl Delivery<'_> {
    /// Everything in one command, and thus in one round trip.
    async fn whole(&self, bytes: &[u8]) -> Result<Delivered, DeliverError> {
        let sent = self.reckon(bytes).await?;
        let call = self.add(bytes).code(" || { ");
        let call = call.then(&self.function("ob_drop")).code("; exit 1; }\n");
        let call = call.then(&self.keep_call(&sent));
        self.kept(&call, sent).await
    }

    async fn carry(&self, content: Content<'_>) -> Result<Delivered, DeliverError> {
        let sent = self.send(content).await?;
        self.keep(sent).await
    }

    async fn send(&self, content: Content<'_>) -> Result<Sent, DeliverError> {
        match content {
            Content::Bytes(bytes) => self.inside(bytes).await,
            Content::File(path, file) => {
                let read = |source| unread(path, source);
                let file = tokio::fs::File::from_std(file.try_clone().map_err(read)?);
                let size = file.metadata().await.map_err(read)?;
                if !size.is_file() {
                    return Err(read(io::Error::other("is not a regular file")));
                }
                if size.len() < BIG || self.session.0.other_user {
                    return self.inside(file).await;
                }
                match &*self.session.0.transport {
                    Transport::Local(_) => self.copy(file).await,
                    Transport::Ssh(_) | Transport::OwnSsh(_) => self.beside(path, file).await,
                    Transport::Exec(..) => self.inside(file).await,
                }
            }
        }
    }

    /// On a separate channel, which reads the file itself; then both sides compute the checksum at
    /// the same time.
    async fn beside(&self, path: &Path, mut file: tokio::fs::File) -> Result<Sent, DeliverError> {
        let read = |source| unread(path, source);
        let to_send = file.try_clone().await.map_err(read)?.into_std().await;
        let sent = self.session.0.transport.upload(&self.part(), to_send).await;
        let bytes = file.stream_position().await.map_err(read)?;
        match sent {
            Ok(()) => {}
            // Nothing was read, because the server allows no second channel.
            Err(_) if bytes == 0 => return self.inside(file).await,
            Err(said) => return Err(self.node_said(said)),
        }
        file.rewind().await.map_err(read)?;
        let (sent, arrived) = tokio::try_join!(self.reckon(file), self.arrived(bytes))?;
        Ok(Sent {
            arrived: Some(arrived),
            ..sent
        })
    }

    async fn reckon(&self, from: impl AsyncRead + Unpin) -> Result<Sent, DeliverError> {
        self.pass(from, &mut tokio::io::sink())
            .await
            .map_err(|source| self.unread(source))
    }

    /// The node's checksum of the received bytes.
    async fn arrived(&self, bytes: u64) -> Result<String, DeliverError> {
        let tool = match self.session.0.hello.has(Utility::Sha256sum) {
            true if bytes >= LARGE => "openssl",
            true => "sha256sum",
            false => "cksum",
        };
        let done = self.call(&self.function("ob_say").word(tool)).await?;
        self.check(&done)?;
        Ok(String::from_utf8_lossy(&done.out).trim().to_owned())
    }

    async fn pass(
        &self,
        from: impl AsyncRead + Unpin,
        to: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<Sent> {
        let from = Summing::new(from, self.session.0.hello.has(Utility::Sha256sum));
        let mut from = BufReader::with_capacity(PIECE, from);
        tokio::io::copy_buf(&mut from, to).await?;
        to.flush().await?;
        Ok(Sent::of(from.into_inner()))
    }

    /// Part by part in the session's main shell, in order.
    async fn inside(&self, from: impl AsyncRead + Unpin) -> Result<Sent, DeliverError> {
        let mut from = Summing::new(from, self.session.0.hello.has(Utility::Sha256sum));
        let mut first = true;
        loop {
            let mut part = Vec::with_capacity(PART);
            let read = (&mut from).take(PART as u64).read_to_end(&mut part).await;
            read.map_err(|source| self.unread(source))?;
            if part.is_empty() && !first {
                return Ok(Sent::of(from));
            }
            first = false;
            let done = self.session.exclusive(&self.add(&part)).await?;
            self.check(&done)?;
        }
    }

    /// To a file of this machine.
    async fn copy(&self, from: tokio::fs::File) -> Result<Sent, DeliverError> {
        let part = self.part();
        let copy = async {
            let mut options = tokio::fs::OpenOptions::new();
            options.write(true).create_new(true).mode(0o600);
            self.pass(from, &mut options.open(&part).await?).await
        };
        copy.await
            .map_err(|error| self.node_said(error.to_string()))
    }

    fn add(&self, part: &[u8]) -> Call {
        use base64::Engine;
        let (function, text) = if !part.contains(&0) {
            ("ob_add", part.to_vec())
        } else if self.session.0.hello.has(Utility::Base64) {
            (
                "ob_add_base64",
                base64::engine::general_purpose::STANDARD
                    .encode(part)
                    .into_bytes(),
            )
        } else {
            ("ob_add_octal", octal(part))
        };
        self.function(function).word(text)
    }

    /// Verifies the received bytes and gives them their name.
    async fn keep(&self, sent: Sent) -> Result<Delivered, DeliverError> {
        if let Some(arrived) = &sent.arrived
            && arrived != sent.sum.text()
        {
            return Err(self.differs(&sent.sum, arrived));
        }
        self.kept(&self.keep_call(&sent), sent).await
    }

    fn keep_call(&self, sent: &Sent) -> Call {
        let proof = |function| {
            self.function(function)
                .word(sent.tool())
                .word(sent.sum.text())
        };
        match self.becomes {
            Becomes::File { mode } => proof("ob_keep").word(format!("{mode:04o}")),
            Becomes::Folder => proof("ob_unpack"),
        }
    }

    async fn kept(&self, call: &Call, sent: Sent) -> Result<Delivered, DeliverError> {
        let done = self.call(call).await?;
        let out = String::from_utf8_lossy(&done.out);
        if let Some(arrived) = out.trim().strip_prefix("sum ") {
            return Err(self.differs(&sent.sum, arrived));
        }
        self.check(&done)?;
        Ok(delivered(&sent.sum, sent.bytes))
    }

    async fn call(&self, call: &Call) -> Result<Done, DeliverError> {
        Ok(self.session.call(call, Limits::seconds(SECONDS)).await?)
    }

    fn differs(&self, sent: &Sum, arrived: &str) -> DeliverError {
        DeliverError::Checksum {
            path: self.path.to_owned(),
            sent: sent.text().to_owned(),
            arrived: arrived.into(),
        }
    }

    async fn drop_part(&self) {
        let call = match self.becomes {
            Becomes::Folder => self.function("ob_drop").word("folder"),
            Becomes::File { .. } => self.function("ob_drop"),
        };
        // Report why the delivery failed, not an error of the clean-up.
        let _ = self.session.call(&call, Limits::seconds(60)).await;
    }

    fn function(&self, name: &'static str) -> Call {
        Call::new(name).word(self.path).word(&self.name)
    }

    /// The path of the temporary file, as `ob_at` builds it.
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
            said: said.into(),
        }
    }

    fn unread(&self, source: io::Error) -> DeliverError {
        DeliverError::Read {
            path: self.path.to_owned(),
            source,
        }
    }
}

/// Encodes bytes for `printf %b`.
fn octal(bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .flat_map(|byte| format!("\\0{byte:03o}").into_bytes())
        .collect()
}
