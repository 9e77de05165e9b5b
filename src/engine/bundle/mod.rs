//! The bundle: the directory on a node that carries a run's files, holds its steps' record,
//! and is the lock. The shell side is `bundle.sh`; `recorder.sh` and `run.sh` run the steps.

use serde::{Deserialize, Serialize};

use crate::session::{Limits, Lost, Session, quote};

const FUNCTIONS: &str = include_str!("bundle.sh");
const RECORDER: &str = include_str!("recorder.sh");
const RUN: &str = include_str!("run.sh");

/// Runs whose record is kept on the node.
const KEPT_RUNS: &str = "20";

/// An open bundle, held by this controller.
#[derive(Clone, Debug)]
pub struct Bundle {
    session: Session,
    /// Absolute path on the node.
    pub dir: String,
    run: String,
}

/// Who holds a bundle; one line of JSON in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub run: String,
    pub operator: String,
    pub controller: String,
    pub procedure: String,
    /// The controller's clock, RFC 3339, UTC.
    pub since: String,
    pub revision: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A bundle that somebody else holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub dir: String,
    pub alive: Alive,
    /// The newest step in it; 0 before the first.
    pub step: usize,
    /// Absent where it cannot be told.
    pub owner: Option<Owner>,
}

/// Does anything of the run that holds a bundle still live?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alive {
    Live,
    Stale,
    /// The node has no `flock` to tell.
    Unknown,
}

/// Why a bundle cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error(transparent)]
    Lost(#[from] Lost),
    #[error("{}", .0.sentence())]
    Held(Box<Held>),
    /// Something was put where the bundle goes.
    #[error("{0}")]
    Refused(String),
    #[error("the bundle cannot be made: {0}")]
    Failed(String),
    #[error("the step cannot be started: {0}")]
    NotStarted(String),
    #[error("the bundle is gone from the node")]
    Gone,
    #[error("the node gave an answer that is not understood: {0}")]
    Answer(String),
}

/// What is known of a step on the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepState {
    NotStarted,
    /// Process id.
    Running(u32),
    Done(StepDone),
    /// The node restarted while it ran.
    Rebooted,
    /// It started, and nothing tells how it ended.
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepDone {
    /// 128 + n where signal n ended it.
    pub status: i32,
    pub how: How,
    /// `pid command`, still running in its process group or known to come from it.
    pub left: Vec<String>,
    /// Output was cut at the cap.
    pub cut: bool,
    /// Bytes of standard output and of standard error.
    pub sizes: (u64, u64),
    /// Both, where they were small enough to come along.
    pub output: Option<(Vec<u8>, Vec<u8>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Exited,
    TimedOut,
    Stopped,
    /// It ended, and what it printed or set may not have been kept.
    DiskFull,
}

/// What a step is started with.
#[derive(Clone, Debug)]
pub struct Start<'a> {
    /// Its directory: `3`, or `3-2`.
    pub label: &'a str,
    pub limit_seconds: u64,
    pub accepted: &'a [i32],
    pub interpreter: &'a str,
    /// Variables kept for the next step.
    pub saved: &'a str,
    /// Shell assignments.
    pub values: &'a [u8],
    pub script: &'a [u8],
}

impl Held {
    /// `web.deploy is held by ana@desk since …, at step 3`.
    #[must_use]
    pub fn sentence(&self) -> String {
        let at = match self.step {
            0 => "before its first step".to_owned(),
            step => format!("at step {step}"),
        };
        let alive = match self.alive {
            Alive::Live => "it is running",
            Alive::Stale => "nothing of it runs any more",
            Alive::Unknown => "whether it runs cannot be told here",
        };
        match &self.owner {
            // Somebody's word, and no run.
            Some(Owner {
                run,
                operator,
                controller,
                since,
                message: Some(message),
                ..
            }) => format!("it is held by {operator}@{controller} since {since} ({run}): {message}"),
            None => format!("the bundle is held, owner unknown ({alive})"),
            Some(owner) => format!(
                "the bundle is held by {}@{} since {}: `{}`, run {}, {at} ({alive})",
                owner.operator, owner.controller, owner.since, owner.procedure, owner.run,
            ),
        }
    }
}

impl Bundle {
    /// Publishes a new bundle with its owner, by one rename. Its first step starts in
    /// `start_in`, or in the bundle itself; `steps` directories are made for their records.
    ///
    /// # Errors
    /// [`BundleError::Held`] where there is one; nothing was touched.
    pub async fn open(
        session: &Session,
        dir: &str,
        owner: &Owner,
        token: &str,
        start_in: Option<&str>,
        steps: usize,
    ) -> Result<Self, BundleError> {
        let owner_line =
            serde_json::to_string(owner).map_err(|error| BundleError::Failed(error.to_string()))?;
        let mut state = Vec::new();
        if let Some(folder) = start_in {
            state.extend_from_slice(b"cd ");
            quote(folder.as_bytes(), &mut state);
        }
        let state = String::from_utf8_lossy(&state);
        let numbers: Vec<String> = (1..=steps).map(|number| number.to_string()).collect();
        let numbers = numbers.join(" ");
        let arguments = [
            dir,
            &owner_line,
            token,
            &owner.run,
            RECORDER,
            RUN,
            &state,
            &numbers,
        ];
        let answer = first(session, "obb_open", &arguments).await?;
        Self::opened(session, dir, &owner.run, &answer)
    }

    /// Goes on with a halted run's bundle. `old` is the token of the controller before, which
    /// is known to be gone.
    ///
    /// # Errors
    /// [`BundleError::Held`] where another run has it or its controller lives,
    /// [`BundleError::Gone`] where there is none.
    pub async fn reopen(
        session: &Session,
        dir: &str,
        run: &str,
        token: &str,
        old: &str,
    ) -> Result<Self, BundleError> {
        let answer = first(session, "obb_reopen", &[dir, run, token, old]).await?;
        Self::opened(session, dir, run, &answer)
    }

    /// The same bundle, reached through another session on the node: another user's.
    ///
    /// # Errors
    /// Where that user cannot reach it.
    pub async fn through(&self, session: &Session, token: &str) -> Result<Self, BundleError> {
        let answer = first(session, "obb_join", &[&self.dir, &self.run, token]).await?;
        Self::opened(session, &self.dir, &self.run, &answer)
    }

    /// Who holds the bundle there, if anybody does.
    ///
    /// # Errors
    /// Where something else stands in its place.
    pub async fn look(session: &Session, dir: &str) -> Result<Option<Held>, BundleError> {
        session.load(FUNCTIONS).await?;
        let answer = call(session, "obb_look", &[dir]).await?;
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
    pub async fn release(session: &Session, dir: &str, run: &str) -> Result<(), BundleError> {
        session.load(FUNCTIONS).await?;
        let answer = call(session, "obb_release", &[dir, run, KEPT_RUNS]).await?;
        if answer.word() == "RELEASED" {
            Ok(())
        } else {
            Err(answer.refusal(dir))
        }
    }

    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Starts a step, detached, and waits for its end or for the connection's.
    ///
    /// # Errors
    /// [`BundleError::Held`] where the bundle was taken over; the step did not start.
    pub async fn step(&self, start: &Start<'_>) -> Result<StepState, BundleError> {
        let accepted: String = start
            .accepted
            .iter()
            .map(|status| format!(" {status}"))
            .collect();
        let (shell, exec) = match start.interpreter {
            "sh" | "bash" => (start.interpreter, ""),
            other => ("sh", other),
        };
        let mut code = code(
            "obb_step",
            &[
                start.label,
                &start.limit_seconds.to_string(),
                &format!("{accepted} "),
                shell,
                exec,
                start.saved,
            ],
        );
        for part in [start.values, start.script] {
            code.push(b' ');
            quote(part, &mut code);
        }
        // The step's own time limit is kept on the node; this one is for a node that is gone.
        let limits = Limits::seconds(start.limit_seconds.saturating_add(60));
        let answer = Answer(self.session.begin(&code, limits).await?.out);
        self.state_from(&answer)
    }

    /// # Errors
    /// Where the connection is lost.
    pub async fn state(&self, label: &str) -> Result<StepState, BundleError> {
        let answer = call(&self.session, "obb_state", &[label]).await?;
        self.state_from(&answer)
    }

    /// Waits up to `seconds` for the end of a step that an earlier session started.
    ///
    /// # Errors
    /// Where the connection is lost.
    pub async fn wait(&self, label: &str, seconds: u64) -> Result<StepState, BundleError> {
        let code = code("obb_wait", &[label, &seconds.to_string()]);
        let answer = Answer(
            self.session
                .call(&code, Limits::seconds(seconds + 60))
                .await?
                .out,
        );
        self.state_from(&answer)
    }

    /// TERM, ten seconds, KILL; what is known afterwards.
    ///
    /// # Errors
    /// Where the connection is lost.
    pub async fn stop(&self, label: &str) -> Result<StepState, BundleError> {
        let answer = call(&self.session, "obb_stop", &[label]).await?;
        self.state_from(&answer)
    }

    /// Bytes of a step's output from an offset, at most about `most`.
    ///
    /// # Errors
    /// Where the connection is lost.
    pub async fn tail(
        &self,
        label: &str,
        stream: &str,
        offset: u64,
        most: u64,
    ) -> Result<Vec<u8>, BundleError> {
        let count = most.div_ceil(65536).max(1).to_string();
        let answer = call(
            &self.session,
            "obb_tail",
            &[label, stream, &offset.to_string(), &count],
        )
        .await?;
        Ok(answer.0)
    }

    /// Bytes of a step's output from an offset up to `end`, or to where it ends by now.
    ///
    /// # Errors
    /// Where the connection is lost.
    pub async fn read(
        &self,
        label: &str,
        stream: &str,
        offset: u64,
        end: u64,
    ) -> Result<Vec<u8>, BundleError> {
        let mut all = Vec::new();
        loop {
            let from = offset + all.len() as u64;
            if from >= end {
                return Ok(all);
            }
            // The node may give less than was asked for.
            let piece = self.tail(label, stream, from, end - from).await?;
            if piece.is_empty() {
                return Ok(all);
            }
            all.extend(piece);
        }
    }

    /// Puts an earlier try of a step aside, so that it can be run again.
    ///
    /// # Errors
    /// Where the bundle was taken over, or the node cannot rename.
    pub async fn aside(&self, label: &str) -> Result<(), BundleError> {
        let answer = call(&self.session, "obb_aside", &[label]).await?;
        if answer.word() == "READY" {
            Ok(())
        } else {
            Err(answer.refusal(&self.dir))
        }
    }

    /// Gives everything in it to the login user; for root's view of it.
    ///
    /// # Errors
    /// Where the connection is lost.
    pub async fn disown(&self) -> Result<(), BundleError> {
        call(&self.session, "obb_disown", &[]).await.map(drop)
    }

    /// What is still running of the run: `step pid command`. Root sees more than others.
    ///
    /// # Errors
    /// Where the connection is lost.
    pub async fn left(&self) -> Result<Vec<String>, BundleError> {
        let answer = call(&self.session, "obb_remain", &[]).await?;
        Ok(answer.lines().map(str::to_owned).collect())
    }

    /// Empties what a step has printed, on the node.
    ///
    /// # Errors
    /// Where the connection is lost.
    pub async fn forget(&self, label: &str) -> Result<(), BundleError> {
        call(&self.session, "obb_forget", &[label]).await.map(drop)
    }

    /// Is it still ours? Asked before what is done outside a step: a delivery.
    ///
    /// # Errors
    /// [`BundleError::Held`] where it was taken over.
    pub async fn mine(&self) -> Result<(), BundleError> {
        let answer = call(&self.session, "obb_mine && echo READY", &[]).await?;
        if answer.word() == "READY" {
            Ok(())
        } else {
            Err(answer.refusal(&self.dir))
        }
    }

    /// Moves the record to the node's history and removes everything else. Gives what is
    /// still running of the run: `step pid command`.
    ///
    /// # Errors
    /// Where it was taken over, or something in it cannot be removed.
    pub async fn close(self) -> Result<Vec<String>, BundleError> {
        let answer = exclusive(&self.session, "obb_close", &[&self.run, KEPT_RUNS]).await?;
        match answer.word() {
            "CLOSED" => Ok(answer.lines().skip(1).map(str::to_owned).collect()),
            _ => Err(answer.refusal(&self.dir)),
        }
    }

    fn opened(
        session: &Session,
        dir: &str,
        run: &str,
        answer: &Answer,
    ) -> Result<Self, BundleError> {
        match answer.word() {
            "OPENED" => Ok(Self {
                session: session.clone(),
                dir: dir.to_owned(),
                run: run.to_owned(),
            }),
            _ => Err(answer.refusal(dir)),
        }
    }

    fn state_from(&self, answer: &Answer) -> Result<StepState, BundleError> {
        match answer.word() {
            "NONE" => Ok(StepState::NotStarted),
            "UNKNOWN" => Ok(StepState::Unknown),
            "REBOOTED" => Ok(StepState::Rebooted),
            "RUNNING" => Ok(StepState::Running(answer.rest().parse().unwrap_or(0))),
            "DONE" => answer.done().map(StepState::Done),
            "EXISTS" => Err(BundleError::NotStarted(
                "it was started before, of which the journal knows nothing".to_owned(),
            )),
            "FAILED" => Err(BundleError::NotStarted(answer.rest().to_owned())),
            _ => Err(answer.refusal(&self.dir)),
        }
    }
}

/// An answer of `bundle.sh`: a word, the rest of its line, and more lines.
struct Answer(Vec<u8>);

impl Answer {
    fn lines(&self) -> impl Iterator<Item = &str> {
        self.0
            .split(|&byte| byte == b'\n')
            .map(|line| std::str::from_utf8(line).unwrap_or_default())
            .filter(|line| !line.is_empty())
    }

    fn word(&self) -> &str {
        self.first().split(' ').next().unwrap_or_default()
    }

    fn rest(&self) -> &str {
        self.first().split_once(' ').map_or("", |(_, rest)| rest)
    }

    fn first(&self) -> &str {
        self.lines().next().unwrap_or_default()
    }

    /// Everything that is not the answer hoped for.
    fn refusal(&self, dir: &str) -> BundleError {
        match self.word() {
            "HELD" | "LOST" => BundleError::Held(Box::new(self.held(dir))),
            "REFUSED" => BundleError::Refused(self.rest().to_owned()),
            "FAILED" => BundleError::Failed(self.rest().to_owned()),
            "GONE" => BundleError::Gone,
            "" => BundleError::Answer("none, as where it cannot write to its disk".to_owned()),
            _ => BundleError::Answer(String::from_utf8_lossy(&self.0).chars().take(200).collect()),
        }
    }

    fn held(&self, dir: &str) -> Held {
        let alive = match self.rest() {
            "live" => Alive::Live,
            "stale" => Alive::Stale,
            _ => Alive::Unknown,
        };
        let step = self
            .lines()
            .find_map(|line| line.strip_prefix("STEP "))
            .and_then(|step| step.parse().ok());
        let owner = self
            .lines()
            .find(|line| line.starts_with('{'))
            .and_then(|line| serde_json::from_str(line).ok());
        Held {
            dir: dir.to_owned(),
            alive,
            step: step.unwrap_or(0),
            owner,
        }
    }

    fn done(&self) -> Result<StepDone, BundleError> {
        let bad =
            || BundleError::Answer(String::from_utf8_lossy(&self.0).chars().take(200).collect());
        let number = |text: &str| text.parse::<u64>().map_err(|_| bad());
        let words: Vec<&str> = self.rest().split(' ').collect();
        let &[status, how, out, err] = words.as_slice() else {
            return Err(bad());
        };
        let how = match how {
            "exited" => How::Exited,
            "timed-out" => How::TimedOut,
            "stopped" => How::Stopped,
            "disk-full" => How::DiskFull,
            _ => return Err(bad()),
        };
        let mut done = StepDone {
            status: status.parse().map_err(|_| bad())?,
            how,
            left: Vec::new(),
            cut: false,
            sizes: (number(out)?, number(err)?),
            output: None,
        };
        let mut rest = self.0.as_slice();
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let line = std::str::from_utf8(&rest[..end]).unwrap_or_default();
            rest = &rest[end + 1..];
            match line.split_once(' ').unwrap_or((line, "")) {
                ("LEFT", process) => done.left.push(process.to_owned()),
                ("CUT", _) => done.cut = true,
                ("OUTPUT", _) => {
                    let out = usize::try_from(done.sizes.0)
                        .map_err(|_| bad())?
                        .min(rest.len());
                    done.output = Some((rest[..out].to_vec(), rest[out..].to_vec()));
                    break;
                }
                _ => {}
            }
        }
        if done.sizes == (0, 0) {
            done.output = Some((Vec::new(), Vec::new()));
        }
        Ok(done)
    }
}

fn code(function: &str, arguments: &[&str]) -> Vec<u8> {
    let mut code = function.as_bytes().to_vec();
    for argument in arguments {
        code.push(b' ');
        quote(argument.as_bytes(), &mut code);
    }
    code
}

async fn call(
    session: &Session,
    function: &str,
    arguments: &[&str],
) -> Result<Answer, BundleError> {
    Ok(Answer(
        session
            .call(&code(function, arguments), Limits::seconds(60))
            .await?
            .out,
    ))
}

async fn exclusive(
    session: &Session,
    function: &str,
    arguments: &[&str],
) -> Result<Answer, BundleError> {
    Ok(Answer(
        session.exclusive(&code(function, arguments)).await?.out,
    ))
}

/// The functions and the first call of one, in one message.
async fn first(
    session: &Session,
    function: &str,
    arguments: &[&str],
) -> Result<Answer, BundleError> {
    let mut text = FUNCTIONS.as_bytes().to_vec();
    text.extend(code(function, arguments));
    let done = session.exclusive(&text).await?;
    if done.ok() {
        return Ok(Answer(done.out));
    }
    let said = String::from_utf8_lossy(&done.err).trim().to_owned();
    Err(BundleError::Failed(said))
}
