//! The bundle: the directory on a node with a run's files and its steps' records; it is also the
//! lock. `bundle.sh` is its shell side; `recorder.sh` and `run.sh` run the steps.

mod answer;
mod call;
mod held;
mod record;
mod seen;
mod state;
mod step;

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::LazyLock;

use crate::outside::Outside;
use crate::remedy;
use crate::session::{Lost, compact, quote};
use crate::shell::Shell;

use answer::Answer;
use call::{call, exclusive, first, load};
pub use held::{Alive, Held, Owner, Request};
pub use record::{Claim, NodeRecord, ScriptRecord};
pub use seen::traces;
pub use state::{How, StepDone, StepState};
pub use step::Start;

static FUNCTIONS: LazyLock<String> = LazyLock::new(|| compact(include_str!("bundle.sh")));
const RECORDER: &str = include_str!("recorder.sh");
/// The bundle's file `run`.
pub const RUN: &str = include_str!("run.sh");
/// The bundle's file [`TOOLS`].
pub const BY_HAND: &str = include_str!("by_hand.sh");
/// The bundle's script for continuing by hand.
pub const TOOLS: &str = "steps/by-hand";

/// The functions, and the files of a new bundle as variables.
static PRELUDE: LazyLock<String> = LazyLock::new(|| {
    let mut text = FUNCTIONS.clone().into_bytes();
    for (name, file) in [("recorder", RECORDER), ("run", RUN), ("hand", BY_HAND)] {
        text.extend_from_slice(format!("obb_file_{name}=").as_bytes());
        quote(compact(file).as_bytes(), &mut text);
        text.push(b'\n');
    }
    String::from_utf8_lossy(&text).into_owned()
});

/// Text for a session's shell to read at its start, if the session will open a bundle.
#[must_use]
pub fn prelude() -> &'static str {
    &PRELUDE
}

/// How many runs' records stay on the node.
const KEPT_RUNS: &str = "20";

/// An open bundle, held by this controller.
#[derive(Clone, Debug)]
pub struct Bundle {
    shell: Shell,
    /// Absolute path on the node.
    pub dir: String,
    run: String,
    /// Whether its steps survive a lost connection.
    pub fate: Fate,
}

/// What happens to a step of this user when the connection is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It runs to its end.
    Outlives,
    /// logind kills it.
    Mortal,
}

/// What remains of a closed bundle.
#[derive(Clone, Debug, Default)]
pub struct Closed {
    /// Processes of the run that are still running: `step pid command`.
    pub left: Vec<String>,
    /// Folders that could not be removed and were moved aside.
    pub kept: Vec<String>,
}

/// Why a bundle cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The connection was lost.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// Another run or another controller has it.
    #[error("{}", .0.sentence())]
    Held(Box<Held>),
    /// Another controller took it over, from a copy of the journal.
    #[error("another opsbook has continued this run")]
    Taken,
    /// Another file is in the place of the bundle.
    #[error("{}", _0.line())]
    Refused(Outside),
    /// The node could not do what was asked; its reason.
    #[error("the bundle cannot be used: {}{}", _0.line(), remedy(_0.exact()))]
    Failed(Outside),
    /// The step could not start, and nothing of it ran.
    #[error("the step cannot be started: {}{}", _0.line(), remedy(_0.exact()))]
    NotStarted(Outside),
    /// The step was started before; the node knows its result.
    #[error("the step cannot be started: it was started before, but the journal does not say so")]
    Started,
    /// The bundle no longer exists.
    #[error("the bundle is gone from the node")]
    Gone,
    /// The bundle was closed or given up.
    #[error("the history of the node has steps of this run that the journal lacks")]
    Ended,
    /// The node's shell did not answer.
    #[error("the node gave no answer; check whether the folder of its session, `{}`, is full", _0.line())]
    NoAnswer(Outside),
    /// The node sent an invalid answer.
    #[error("the node gave an invalid answer: {}", _0.block())]
    Answer(Outside),
}

/// Prepares a folder on this machine, without a bundle, for a person who continues by hand. The
/// first step starts in `start_in`.
///
/// # Errors
/// If the folder cannot be written.
pub fn make_by_hand(folder: &Path, start_in: &Path) -> std::io::Result<()> {
    let state = folder.join("state");
    if state.exists() {
        return Ok(());
    }
    let mut private = std::fs::DirBuilder::new();
    private.recursive(true).mode(0o700);
    private.create(folder.join("steps"))?;
    std::fs::write(folder.join("run"), RUN)?;
    std::fs::write(folder.join(TOOLS), BY_HAND)?;
    let mut text = b"cd ".to_vec();
    quote(start_in.as_os_str().as_bytes(), &mut text);
    text.extend_from_slice(b"\n#\n");
    std::fs::write(state, text)
}

impl Bundle {
    /// Creates a new bundle with its owner and publishes it with one rename. Its first step starts
    /// in `start_in`, or in the bundle; creates record directories for `steps`.
    ///
    /// # Errors
    /// [`BundleError::Held`] if a bundle exists; nothing was changed.
    pub async fn open(
        shell: &Shell,
        dir: &str,
        owner: &Owner,
        token: &str,
        start_in: Option<&str>,
        steps: &[usize],
    ) -> Result<Self, BundleError> {
        let owner_line = owner.line()?;
        let mut state = Vec::new();
        if let Some(folder) = start_in {
            state.extend_from_slice(b"cd ");
            quote(folder.as_bytes(), &mut state);
        }
        let state = String::from_utf8_lossy(&state);
        let numbers: Vec<String> = steps.iter().map(ToString::to_string).collect();
        let numbers = numbers.join(" ");
        let arguments = [dir, &owner_line, token, owner.run.exact(), &state, &numbers];
        let answer = first(shell, &PRELUDE, "obb_open", &arguments).await?;
        Self::opened(shell, dir, owner.run.exact(), &answer)
    }

    /// Reopens the bundle of a halted run. `old` is the token of the previous controller, which is
    /// known to be gone. Writes `owner` into the bundle if given.
    ///
    /// # Errors
    /// [`BundleError::Held`] if another run has it or its controller is alive,
    /// [`BundleError::Gone`] if it does not exist.
    pub async fn reopen(
        shell: &Shell,
        dir: &str,
        run: &str,
        token: &str,
        old: &str,
        owner: Option<&Owner>,
    ) -> Result<Self, BundleError> {
        let owner = owner.map(Owner::line).transpose()?.unwrap_or_default();
        let answer = first(
            shell,
            &FUNCTIONS,
            "obb_reopen",
            &[dir, run, token, old, &owner],
        )
        .await?;
        Self::opened(shell, dir, run, &answer)
    }

    /// The same bundle through another session on the node, of another user.
    ///
    /// # Errors
    /// If that user cannot reach it.
    pub async fn through(&self, shell: &Shell, token: &str) -> Result<Self, BundleError> {
        let answer = first(
            shell,
            &FUNCTIONS,
            "obb_join",
            &[&self.dir, &self.run, token],
        )
        .await?;
        Self::opened(shell, &self.dir, &self.run, &answer)
    }

    /// The folder for the bundle of another user: created with checks, owned by that user alone.
    ///
    /// # Errors
    /// If no safe folder exists.
    pub async fn place(shell: &Shell, name: &str) -> Result<String, BundleError> {
        let answer = first(shell, &FUNCTIONS, "obb_place", &[name]).await?;
        let dir = answer.rest();
        // The other user controls this answer, and it goes into messages and scripts.
        let sound = dir.starts_with('/') && dir.len() <= 1024 && !dir.contains(char::is_control);
        match answer.word() {
            "PLACE" if sound => Ok(dir.to_owned()),
            _ => Err(answer.refusal("")),
        }
    }

    /// The holder of the bundle at `dir`; `None` if it does not exist.
    ///
    /// # Errors
    /// If another file is in its place.
    pub async fn look(shell: &Shell, dir: &str) -> Result<Option<Held>, BundleError> {
        let answer = first(shell, &FUNCTIONS, "obb_look", &[dir]).await?;
        match answer.word() {
            "FREE" => Ok(None),
            _ => match answer.refusal(dir) {
                BundleError::Held(held) => Ok(Some(*held)),
                other => Err(other),
            },
        }
    }

    /// Releases a bundle; moves its record to the node's history.
    ///
    /// # Errors
    /// [`BundleError::Held`] if another run than `run` has it.
    pub async fn release(shell: &Shell, dir: &str, run: &str) -> Result<(), BundleError> {
        load(shell).await?;
        let answer = call(shell, "obb_release", &[dir, run, KEPT_RUNS]).await?;
        if answer.word() == "RELEASED" {
            Ok(())
        } else {
            Err(answer.refusal(dir))
        }
    }

    /// The shell that reaches it.
    #[must_use]
    pub fn shell(&self) -> &Shell {
        &self.shell
    }

    /// Gives all its files to the login user; for a bundle seen as root.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn disown(&self) -> Result<(), BundleError> {
        call(&self.shell, "obb_disown", &[]).await.map(drop)
    }

    /// Processes of the run that are still running: `step pid command`. Root sees more than others.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn left(&self) -> Result<Vec<String>, BundleError> {
        let answer = call(&self.shell, "obb_remain", &[]).await?;
        Ok(answer.lines().map(str::to_owned).collect())
    }

    /// Why the node's disk takes nothing for the bundle, with what to look at; empty if it does.
    pub async fn refusal_of_disk(&self) -> String {
        let answer = call(&self.shell, "obb_cause", &[&self.dir]).await;
        let said: Outside = answer.map_or_else(|_| "".into(), |answer| answer.first().into());
        if said.is_empty() {
            return String::new();
        }
        format!(": {}{}", said.line(), remedy(said.exact()))
    }

    /// Checks that we still hold it, before work outside a step, such as a delivery.
    ///
    /// # Errors
    /// [`BundleError::Held`] if it was taken over.
    pub async fn mine(&self) -> Result<(), BundleError> {
        let answer = call(&self.shell, "obb_mine && echo READY", &[]).await?;
        if answer.word() == "READY" {
            Ok(())
        } else {
            Err(answer.refusal(&self.dir))
        }
    }

    /// Moves the record to the node's history and removes the rest.
    ///
    /// # Errors
    /// If it was taken over or cannot be moved.
    pub async fn close(self, end: Option<&Claim>) -> Result<Closed, BundleError> {
        let end = end.map(Claim::line).unwrap_or_default();
        let answer = exclusive(&self.shell, "obb_close", &[&self.run, KEPT_RUNS, &end]).await?;
        if answer.word() != "CLOSED" {
            return Err(answer.refusal(&self.dir));
        }
        let mut closed = Closed::default();
        for line in answer.lines().skip(1) {
            match line.strip_prefix("KEPT ") {
                Some(path) => closed.kept.push(path.to_owned()),
                None => closed.left.push(line.to_owned()),
            }
        }
        Ok(closed)
    }

    fn opened(shell: &Shell, dir: &str, run: &str, answer: &Answer) -> Result<Self, BundleError> {
        match answer.word() {
            "OPENED" => Ok(Self {
                shell: shell.clone(),
                dir: dir.to_owned(),
                run: run.to_owned(),
                fate: match answer.rest() {
                    "MORTAL" => Fate::Mortal,
                    _ => Fate::Outlives,
                },
            }),
            _ => Err(answer.refusal(dir)),
        }
    }
}
