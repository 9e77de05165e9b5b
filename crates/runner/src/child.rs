//! One `opsbook run` of a part, as a child process: its arguments, its standard input, and its end.
//! It does not outlive this process.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use opsbook_wire::ask::Confirm;
use opsbook_wire::{AnswerOut, Mode, Want, Work};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStdin, Command};
use tokio::sync::{mpsc, oneshot};

use crate::approval::Approver;
use crate::folder::PartFolder;
use crate::happened::{Exit, Happened, Tell};
use crate::uploads::Uploads;

/// How many of the last bytes of standard error are kept.
const SAID: usize = 8 << 10;

/// How long to wait for its last messages after it has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A running child.
#[derive(Debug)]
pub(crate) struct Child {
    /// Whether it was told that the part may have begun before.
    pub before: Before,
    lines: mpsc::UnboundedSender<String>,
    kill: Option<oneshot::Sender<()>>,
}

/// Whether the part may have begun before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    Nobody,
    Somebody,
}

impl Child {
    /// Starts it and reports its end. A part that was written to disk before this call survives a
    /// crash.
    pub fn start(
        program: &Path,
        work: &Work,
        (before, approved): (Before, &[Approver]),
        (manual, part, ssh): (&Path, &PartFolder, Option<&Path>),
        (tell, uploads): (Tell, Uploads),
    ) -> std::io::Result<Child> {
        part.keep_arguments(work).map_err(std::io::Error::other)?;
        let mut child = Command::new(program)
            .args(ssh.map(with_ssh))
            .args(words(work, (before, approved), manual, part))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (lines, told) = mpsc::unbounded_channel();
        let (kill, killed) = oneshot::channel();
        if let Some(input) = child.stdin.take() {
            tokio::spawn(say(told, input));
        }
        if let Some(out) = child.stdout.take() {
            tokio::spawn(ring(out, uploads));
        }
        let said = child.stderr.take().map(|stream| tokio::spawn(last(stream)));
        let key = work.key();
        tokio::spawn(async move {
            let status = tokio::select! {
                status = child.wait() => status,
                // It was told to end, or its runner ends.
                _ = killed => {
                    let _ = child.start_kill();
                    child.wait().await
                }
            };
            let said = match said {
                // Its children may keep the stream open.
                Some(said) => tokio::time::timeout(LAST_WORDS, said).await.ok(),
                None => None,
            };
            let said = said.and_then(Result::ok).unwrap_or_default();
            let code = status.ok().and_then(|status| status.code());
            let _ = tell.send((key, Happened::Exited(Exit { code, said })));
        });
        Ok(Child {
            before,
            lines,
            kill: Some(kill),
        })
    }

    /// Answers a question.
    pub fn answer(&self, answer: &AnswerOut) {
        let line = serde_json::json!({
            "question": answer.seq,
            "answer": answer.answer,
            "note": answer.note,
        });
        // A child that no longer reads has ended.
        let _ = self.lines.send(line.to_string());
    }

    /// Tells it to stop, like Ctrl-C.
    pub fn stop(&self, want: Want) {
        let manner = match want {
            Want::Hold => "after-step",
            Want::Stop => "step",
            Want::Leave => "leave",
        };
        let line = serde_json::json!({ "stop": manner });
        let _ = self.lines.send(line.to_string());
    }

    /// Kills it at once; the step on the node continues.
    pub fn kill(&mut self) {
        if let Some(kill) = self.kill.take() {
            let _ = kill.send(());
        }
    }
}

/// The option that makes `opsbook` use this ssh configuration.
pub(crate) fn with_ssh(config: &Path) -> std::ffi::OsString {
    let mut word = std::ffi::OsString::from("--ssh-config=");
    word.push(config);
    word
}

/// The arguments of `opsbook`. Nothing from the gateway can become an option.
fn words(
    work: &Work,
    (before, approved): (Before, &[Approver]),
    manual: &Path,
    part: &PartFolder,
) -> Vec<String> {
    let mut words = vec![format!("-C{}", manual.display())];
    let mut add = |word: &str| words.push(word.to_owned());
    if work.mode == Mode::Release {
        for word in ["lock", "release", "--yes"] {
            add(word);
        }
        add(&format!("--run={}", work.run));
        add("--");
        // Name a single node only; the journal names all nodes of a run with roles.
        if work.node != "*" {
            add(&work.node);
        }
        return words;
    }
    add("run");
    add(&format!("--run={}", work.run));
    add(&format!("--epoch={}", work.epoch));
    if before == Before::Somebody {
        add("--adopt");
    }
    add(&format!("--plan-sha256={}", work.plan_sha256));
    add(&format!("--operator={}", work.operator));
    add(&format!("--asked-by={}", work.asked_by));
    if let Some(consent) = work.consent.as_ref().filter(|_| !approved.is_empty()) {
        add(&format!("--approved-sha256={}", consent.sha256));
        for by in approved {
            add(&format!("--approved-by={}", by.person));
            for group in &by.groups {
                add(&format!("--approved-group={}:{group}", by.person));
            }
        }
    }
    add(&format!("--journal={}", part.journals().display()));
    add(&format!("--supervisor={}", std::process::id()));
    add("--answers");
    add("--format=json");
    if work.confirm == Confirm::Yes {
        add("--yes");
    }
    if let Some(step) = work.start_at {
        add(&format!("--start-at={step}"));
    }
    if let Some(step) = work.stop_after {
        add(&format!("--stop-after={step}"));
    }
    // The process list must not show values.
    if !work.arguments.is_empty() {
        add(&format!("--set-file={}", part.arguments().display()));
    }
    add("--");
    add(&work.procedure);
    for word in &work.words {
        add(word);
    }
    words
}

async fn say(mut told: mpsc::UnboundedReceiver<String>, mut input: ChildStdin) {
    while let Some(line) = told.recv().await {
        let line = format!("{line}\n");
        if input.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Rings for new journal lines: a child prints a line after writing it to its journal.
async fn ring(mut out: impl AsyncRead + Unpin, uploads: Uploads) {
    let mut piece = vec![0; 64 << 10];
    while out.read(&mut piece).await.is_ok_and(|read| read > 0) {
        uploads.ring();
    }
}

async fn last(mut stream: impl AsyncRead + Unpin) -> String {
    let (mut said, mut piece) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = stream.read(&mut piece).await {
        said.extend_from_slice(&piece[..read]);
        let over = said.len().saturating_sub(SAID);
        said.drain(..over);
    }
    String::from_utf8_lossy(&said).into_owned()
}

#[cfg(test)]
mod tests {
    use opsbook_wire::Source;

    use super::*;

    #[test]
    fn what_comes_from_the_gateway_is_never_an_option() {
        let mut work = Work {
            run: "R".into(),
            node: "web1".into(),
            epoch: 2,
            mode: Mode::Adopt,
            manual: "shop".into(),
            source: Source::Folder { path: "/m".into() },
            procedure: "--yes".into(),
            words: vec!["--no".into()],
            arguments: [("a".to_owned(), "hidden".to_owned())].into(),
            plan_sha256: "0".into(),
            start_at: Some(3),
            stop_after: None,
            confirm: Confirm::Ask,
            operator: "--yes".into(),
            journal: Vec::new(),
            journal_lines: 0,
            asked_by: "--no".into(),
            consent: Some(opsbook_wire::Consent {
                sha256: "1".into(),
                manner: String::new(),
                approvals: Vec::new(),
            }),
            login: opsbook_wire::NodeLogin::Own,
        };
        let by = Approver {
            person: "--x".to_owned(),
            groups: vec!["--y".to_owned()],
        };
        let (approved, part) = ([by], PartFolder::at("/p"));
        let said = |work: &Work| {
            let before = (Before::Somebody, approved.as_slice());
            words(work, before, Path::new("/m"), &part)
        };
        let own = std::process::id();
        assert_eq!(
            said(&work).join(" "),
            format!(
                "-C/m run --run=R --epoch=2 --adopt --plan-sha256=0 --operator=--yes --asked-by=--no --approved-sha256=1 --approved-by=--x --approved-group=--x:--y --journal=/p/runs \
                 --supervisor={own} --answers --format=json --start-at=3 --set-file=/p/arguments.json -- --yes --no"
            )
        );
        work.mode = Mode::Release;
        assert_eq!(
            said(&work).join(" "),
            "-C/m lock release --yes --run=R -- web1"
        );
        work.node = "*".into();
        assert_eq!(said(&work).join(" "), "-C/m lock release --yes --run=R --");
    }
}
