//! Interfaces to other tools: a program that reads JSON from standard input and answers on standard
//! output, or a webhook with the same request and answer. Both have size and time limits.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use crate::client::{Outbound, Url, outbound};
use crate::secret::Secret;

/// The time limit of an answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// The most bytes of an answer.
const LARGEST: usize = 4 << 20;
/// The most bytes of a program's messages on standard error.
const SAID: usize = 4 << 10;

/// Another tool.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub enum Adapter {
    /// A shell command.
    Program {
        /// The command.
        command: String,
    },
    /// An address.
    Webhook {
        /// An address with TLS, or on this machine.
        url: Url,
        /// Sent as `authorization: Bearer …`.
        token: Option<Secret>,
    },
}

/// The configuration of an adapter.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    kind: String,
    command: Option<String>,
    url: Option<String>,
    token: Option<Secret>,
}

impl TryFrom<Written> for Adapter {
    type Error = String;

    fn try_from(written: Written) -> Result<Adapter, String> {
        Adapter::new(&written.kind, written.command, written.url, written.token)
    }
}

impl Adapter {
    /// From its configuration.
    ///
    /// # Errors
    /// Settings that exclude each other.
    pub fn new(
        kind: &str,
        command: Option<String>,
        url: Option<String>,
        token: Option<Secret>,
    ) -> Result<Adapter, String> {
        match (kind, command, url) {
            ("program", Some(command), None) if token.is_none() => Ok(Adapter::Program { command }),
            ("program", ..) => Err("a `program` needs a `command`, and nothing else".to_owned()),
            ("webhook", None, Some(url)) => {
                let url: Result<Url, _> = url.parse();
                let url = url.map_err(|error| format!("`url`: {error}"))?;
                Ok(Adapter::Webhook { url, token })
            }
            ("webhook", ..) => Err("a `webhook` needs a `url`, and may have a `token`".to_owned()),
            (kind, ..) => Err(format!(
                "`kind` must be `program` or `webhook`, not `{kind}`"
            )),
        }
    }

    /// Sends a question and returns the answer.
    ///
    /// # Errors
    /// Why there is no answer, in a sentence.
    pub async fn ask(&self, question: &Value) -> Result<String, String> {
        let body = question.to_string();
        match self {
            Adapter::Program { command } => program(command, &body).await,
            Adapter::Webhook { url, token } => webhook(url, token.as_ref(), body).await,
        }
    }
}

impl std::fmt::Display for Adapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Adapter::Program { command } => write!(f, "the program `{command}`"),
            Adapter::Webhook { url, .. } => write!(f, "`{url}`"),
        }
    }
}

async fn webhook(url: &Url, token: Option<&Secret>, body: String) -> Result<String, String> {
    let mut headers = vec![("content-type", "application/json".to_owned())];
    if let Some(token) = token {
        headers.push((
            "authorization",
            format!("Bearer {}", token.look_up().await?),
        ));
    }
    let ask = Outbound {
        method: "POST",
        headers,
        body: body.into_bytes(),
        most: LARGEST,
        patience: PATIENCE,
    };
    let reply = outbound(url, ask).await?;
    if !reply.is_success() {
        return Err(format!("{url}: status {}", reply.status));
    }
    String::from_utf8(reply.body).map_err(|_| format!("{url}: its answer is not text"))
}

/// Kills the program and its children when dropped.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        let pid = self.0.id().and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            // If all have ended, there is no process to kill.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

async fn program(command: &str, body: &str) -> Result<String, String> {
    let cannot = |why: String| format!("the program `{command}`: {why}");
    let child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let mut group = Group(child.map_err(|error| cannot(error.to_string()))?);
    match tokio::time::timeout(PATIENCE, talk(&mut group.0, body)).await {
        Ok(Ok(text)) => Ok(text),
        Ok(Err(why)) => Err(cannot(why)),
        Err(_) => Err(cannot(format!(
            "did not end within {} seconds",
            PATIENCE.as_secs()
        ))),
    }
}

async fn talk(child: &mut Child, body: &str) -> Result<String, String> {
    let (input, out, said) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let tell = async {
        if let Some(mut input) = input {
            // A program may ignore its input.
            let _ = input.write_all(body.as_bytes()).await;
        }
    };
    let ((), text, said) = tokio::join!(tell, bounded(out, LARGEST), bounded(said, SAID));
    let status = child.wait().await.map_err(|error| error.to_string())?;
    if !status.success() {
        let said = said.unwrap_or_default();
        let line = said.lines().rfind(|line| !line.trim().is_empty());
        let line = line.map(|line| format!(": {}", crate::outside::line(line)));
        return Err(format!("{status}{}", line.unwrap_or_default()));
    }
    text.ok_or_else(|| "its answer is not text, or too long".to_owned())
}

/// The whole output; `None` if it is not text or too long. The rest is still read, so that the
/// writer does not block.
async fn bounded(stream: Option<impl AsyncRead + Unpin>, most: usize) -> Option<String> {
    let (mut stream, mut all, mut piece) = (stream?, Vec::new(), vec![0; 8192]);
    while let Ok(read @ 1..) = stream.read(&mut piece).await {
        let room = (most + 1).saturating_sub(all.len());
        all.extend_from_slice(&piece[..read.min(room)]);
    }
    (all.len() <= most)
        .then_some(all)
        .and_then(|all| String::from_utf8(all).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn asked(command: &str) -> Result<String, String> {
        let program = Adapter::Program {
            command: command.into(),
        };
        program.ask(&serde_json::json!({"verb": "check"})).await
    }

    #[tokio::test]
    async fn a_program_reads_json_and_answers_or_says_why_not() {
        assert_eq!(asked("cat").await.unwrap(), r#"{"verb":"check"}"#);
        assert_eq!(asked("echo no stdin").await.unwrap(), "no stdin\n");
        let said = asked("echo OPS-1 is closed >&2; exit 3").await.unwrap_err();
        assert!(said.contains("exit status: 3: OPS-1 is closed"), "{said}");
        let said = asked("head -c 9000000 /dev/zero").await.unwrap_err();
        assert!(said.contains("too long"), "{said}");
        assert!(asked("printf '\\377'").await.is_err());
        assert!(asked("exec /nowhere").await.is_err());
    }

    #[test]
    fn an_adapter_is_a_program_or_a_webhook() {
        let read = |text: &str| toml::from_str::<Adapter>(text).map_err(|error| error.to_string());
        assert!(read("kind = \"program\"\ncommand = \"x\"").is_ok());
        assert!(
            read("kind = \"webhook\"\nurl = \"https://a.example/b\"\ntoken = {env = \"T\"}")
                .is_ok()
        );
        for (text, why) in [
            ("", "kind"),
            ("kind = \"moon\"", "`kind` must be"),
            ("kind = \"program\"", "needs a `command`"),
            (
                "kind = \"program\"\ncommand = \"x\"\nurl = \"https://a.example\"",
                "nothing else",
            ),
            ("kind = \"webhook\"\ncommand = \"x\"", "needs a `url`"),
            (
                "kind = \"webhook\"\nurl = \"http://a.example\"",
                "is not encrypted",
            ),
            ("kind = \"program\"\ncommand = \"x\"\nmoon = 1", "moon"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}
