//! The bundle: the directory on a node that carries a run's files, holds its steps' record,
//! and is the lock. The shell side is `bundle.sh`; `recorder.sh` and `run.sh` run the steps.

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
use crate::session::{Lost, compact, quote};
use crate::shell::Shell;

use answer::Answer;
use call::{call, exclusive, first, load};
pub use held::{Alive, Held, Owner, Request};
pub use record::{Claim, Tale, Told};
pub use seen::traces;
pub use state::{How, StepDone, StepState};
pub use step::Start;

static FUNCTIONS: LazyLock<String> = LazyLock::new(|| compact(include_str!("bundle.sh")));
const RECORDER: &str = include_str!("recorder.sh");
/// What a bundle has at `run`.
pub const RUN: &str = include_str!("run.sh");
/// What a bundle has at [`TOOLS`].
pub const BY_HAND: &str = include_str!("by_hand.sh");
/// Where a bundle has what a person goes on with by hand.
pub const TOOLS: &str = "steps/by-hand";

/// The functions, and the files that a new bundle gets, as variables.
static PRELUDE: LazyLock<String> = LazyLock::new(|| {
    let mut text = FUNCTIONS.clone().into_bytes();
    for (name, file) in [("recorder", RECORDER), ("run", RUN), ("hand", BY_HAND)] {
        text.extend_from_slice(format!("obb_file_{name}=").as_bytes());
        quote(compact(file).as_bytes(), &mut text);
        text.push(b'\n');
    }
    String::from_utf8_lossy(&text).into_owned()
});

/// What the shell of a session reads at the start that is to open a bundle.
#[must_use]
pub fn prelude() -> &'static str {
    &PRELUDE
}

/// Runs whose record is kept on the node.
const KEPT_RUNS: &str = "20";

/// An open bundle, held by this controller.
#[derive(Clone, Debug)]
pub struct Bundle {
    shell: Shell,
    /// Absolute path on the node.
    pub dir: String,
    run: String,
    /// What becomes of its steps when the connection is lost.
    pub fate: Fate,
}

/// What becomes of a step of this user when the connection is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on to its end.
    Outlives,
    /// logind kills it.
    Mortal,
}

/// What is still there of a bundle that was closed.
#[derive(Clone, Debug, Default)]
pub struct Closed {
    /// What is still running of the run: `step pid command`.
    pub left: Vec<String>,
    /// Folders that could not be removed and were set aside.
    pub kept: Vec<String>,
}

/// Why a bundle cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The connection was lost meanwhile.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// Another run or another controller has it.
    #[error("{}", .0.sentence())]
    Held(Box<Held>),
    /// From a copy of its journal.
    #[error("another opsbook has gone on with this run")]
    Taken,
    /// Something was put where the bundle goes.
    #[error("{}", _0.line())]
    Refused(Outside),
    /// The node cannot do what was asked, and says why.
    #[error("the bundle cannot be used: {}", _0.line())]
    Failed(Outside),
    /// The step cannot be begun, and nothing of it was run.
    #[error("the step cannot be started: {}", _0.line())]
    NotStarted(Outside),
    /// Somebody has, and what came of it the node knows.
    #[error(
        "the step cannot be started: it was started before, and the journal knows nothing of that"
    )]
    Started,
    /// There is no bundle any more.
    #[error("the bundle is gone from the node")]
    Gone,
    /// Its bundle was closed, or given up.
    #[error("the history of the node has steps of this run, and the journal knows nothing of them")]
    Ended,
    /// The node's shell answered nothing at all.
    #[error("the node gave no answer, as where the folder of its session, `{}`, is full", _0.line())]
    NoAnswer(Outside),
    /// The node's answer is none of those that it can give.
    #[error("the node gave an answer that is not understood: {}", _0.block())]
    Answer(Outside),
}

/// Makes a folder of this machine, where no bundle is, one in which a person goes on by hand.
/// The first step starts in `start_in`.
///
/// # Errors
/// Where it cannot be written.
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
    /// Publishes a new bundle with its owner, by one rename. Its first step starts in
    /// `start_in`, or in the bundle itself; `steps` directories are made for their records.
    ///
    /// # Errors
    /// [`BundleError::Held`] where there is one; nothing was touched.
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

    /// Goes on with a halted run's bundle. `old` is the token of the controller before, which
    /// is known to be gone. The bundle says `owner` from then on, where one is given.
    ///
    /// # Errors
    /// [`BundleError::Held`] where another run has it or its controller lives,
    /// [`BundleError::Gone`] where there is none.
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

    /// The same bundle, reached through another session on the node: another user's.
    ///
    /// # Errors
    /// Where that user cannot reach it.
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

    /// Where a user's bundle is who works for another: made with checks, and nobody else's.
    ///
    /// # Errors
    /// Where there is no place for it.
    pub async fn place(shell: &Shell, name: &str) -> Result<String, BundleError> {
        let answer = first(shell, &FUNCTIONS, "obb_place", &[name]).await?;
        let dir = answer.rest();
        // It is that user's word, and goes into messages and scripts.
        let sound = dir.starts_with('/') && dir.len() <= 1024 && !dir.contains(char::is_control);
        match answer.word() {
            "PLACE" if sound => Ok(dir.to_owned()),
            _ => Err(answer.refusal("")),
        }
    }

    /// Who holds the bundle there, if anybody does.
    ///
    /// # Errors
    /// Where something else stands in its place.
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

    /// Gives a bundle up; its record goes to the node's history.
    ///
    /// # Errors
    /// [`BundleError::Held`] where another run than the one named has it.
    pub async fn release(shell: &Shell, dir: &str, run: &str) -> Result<(), BundleError> {
        load(shell).await?;
        let answer = call(shell, "obb_release", &[dir, run, KEPT_RUNS]).await?;
        if answer.word() == "RELEASED" {
            Ok(())
        } else {
            Err(answer.refusal(dir))
        }
    }

    /// The shell through which it is reached.
    #[must_use]
    pub fn shell(&self) -> &Shell {
        &self.shell
    }

    /// Gives everything in it to the login user; for root's view of it.
    ///
    /// # Errors
    /// Where the connection is lost.
    pub async fn disown(&self) -> Result<(), BundleError> {
        call(&self.shell, "obb_disown", &[]).await.map(drop)
    }

    /// What is still running of the run: `step pid command`. Root sees more than others.
    ///
    /// # Errors
    /// Where the connection is lost.
    pub async fn left(&self) -> Result<Vec<String>, BundleError> {
        let answer = call(&self.shell, "obb_remain", &[]).await?;
        Ok(answer.lines().map(str::to_owned).collect())
    }

    /// Is it still ours? Asked before what is done outside a step: a delivery.
    ///
    /// # Errors
    /// [`BundleError::Held`] where it was taken over.
    pub async fn mine(&self) -> Result<(), BundleError> {
        let answer = call(&self.shell, "obb_mine && echo READY", &[]).await?;
        if answer.word() == "READY" {
            Ok(())
        } else {
            Err(answer.refusal(&self.dir))
        }
    }

    /// Moves the record to the node's history and removes everything else.
    ///
    /// # Errors
    /// Where it was taken over, or cannot be moved.
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
