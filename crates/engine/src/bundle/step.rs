//! The steps in a bundle: start, query, stop, and read their output.

use super::answer::Answer;
use super::call::{call, call_within};
use super::state::StepState;
use super::{Bundle, BundleError, Claim};
use crate::session::Limits;
use crate::shell::Way;

/// What a step is started with.
#[derive(Clone, Debug)]
pub struct Start<'a> {
    /// Its record directory: `3`, or `3-2`.
    pub label: &'a str,
    pub limit_seconds: u64,
    pub accepted: &'a [i32],
    pub interpreter: &'a str,
    /// Names of the variables to save for the next step.
    pub saved: &'a str,
    /// Shell assignments.
    pub values: &'a [u8],
    pub script: &'a [u8],
    pub claim: &'a Claim,
}

/// The most pieces in which a step's output is read.
const MOST_PIECES: usize = 1000;

impl Bundle {
    /// Starts a step, detached, and waits for its end or the end of the connection.
    ///
    /// # Errors
    /// [`BundleError::Held`] if the bundle was taken over; the step did not start.
    pub async fn step(&self, start: &Start<'_>) -> Result<StepState, BundleError> {
        // The node enforces the step's time limit; this limit is for a node that is gone.
        let limits = Limits::seconds(start.limit_seconds.saturating_add(60));
        let accepted = start.accepted.iter();
        let accepted: String = accepted.map(|status| format!(" {status}")).collect();
        let (shell, exec) = match start.interpreter {
            "sh" | "bash" => (start.interpreter, ""),
            other => ("sh", other),
        };
        let words: [&[u8]; 9] = [
            start.label.as_bytes(),
            &start.limit_seconds.to_string().into_bytes(),
            &format!("{accepted} ").into_bytes(),
            shell.as_bytes(),
            exec.as_bytes(),
            start.saved.as_bytes(),
            start.values,
            start.script,
            &start.claim.line().into_bytes(),
        ];
        let step = self
            .shell
            .function(Way::Later, "", "obb_step", &words, limits);
        Answer::new(&self.shell, step.await?).state(&self.dir)
    }

    /// # Errors
    /// If the connection is lost.
    pub async fn state(&self, label: &str) -> Result<StepState, BundleError> {
        let answer = call(&self.shell, "obb_state", &[label]).await?;
        answer.state(&self.dir)
    }

    /// Waits up to `seconds` for the end of a step that an earlier session started.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn wait(&self, label: &str, seconds: u64) -> Result<StepState, BundleError> {
        let words = [label, &seconds.to_string()];
        let limits = Limits::seconds(seconds + 60);
        let done = call_within(&self.shell, "obb_wait", &words, limits).await?;
        Answer::new(&self.shell, done).state(&self.dir)
    }

    /// Sends TERM, and KILL after ten seconds; returns the state afterwards.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn stop(&self, label: &str) -> Result<StepState, BundleError> {
        let answer = call(&self.shell, "obb_stop", &[label]).await?;
        answer.state(&self.dir)
    }

    /// Bytes of a step's output from an offset, at most about `most`.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn tail(
        &self,
        label: &str,
        stream: &str,
        offset: u64,
        most: u64,
    ) -> Result<Vec<u8>, BundleError> {
        let count = most.div_ceil(65536).max(1).to_string();
        let offset = offset.to_string();
        let words = [label, stream, &offset, &count];
        let limits = Limits {
            output: most.saturating_add(64 << 10),
            ..Limits::seconds(60)
        };
        let done = call_within(&self.shell, "obb_tail", &words, limits).await?;
        if done.status != 0 {
            let folder = self.shell.hello().dir.as_str();
            return Err(BundleError::NoAnswer(folder.into()));
        }
        Ok(done.out)
    }

    /// Bytes of a step's output from an offset up to `end`, or to its current end.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn read(
        &self,
        label: &str,
        stream: &str,
        offset: u64,
        end: u64,
    ) -> Result<Vec<u8>, BundleError> {
        let mut all = Vec::new();
        let most = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
        for _ in 0..MOST_PIECES {
            let from = offset + all.len() as u64;
            if from >= end {
                all.truncate(most);
                return Ok(all);
            }
            // The node may return less than requested.
            let piece = self.tail(label, stream, from, end - from).await?;
            if piece.is_empty() {
                return Ok(all);
            }
            all.extend(piece);
        }
        let why = "an output in very small pieces";
        Err(BundleError::Answer(why.into()))
    }

    /// Moves the record of an earlier try aside, so that the step can run again.
    ///
    /// # Errors
    /// If the bundle was taken over or the node cannot rename.
    pub async fn aside(&self, label: &str) -> Result<(), BundleError> {
        let answer = call(&self.shell, "obb_aside", &[label]).await?;
        if answer.word() == "READY" {
            Ok(())
        } else {
            Err(answer.refusal(&self.dir))
        }
    }

    /// Empties a step's output files on the node.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn forget(&self, label: &str) -> Result<(), BundleError> {
        call(&self.shell, "obb_forget", &[label]).await.map(drop)
    }
}
