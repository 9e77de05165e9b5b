//! Judges the result of a script by its exit status, its expected output, and its leftover
//! processes.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::bundle::{How, StepDone};
use crate::check::{wrong_display, wrong_status};
use crate::event::{Evidence, Status, What};
use crate::halt::Halt;
use crate::interpolation::Interpolated;
use crate::manual::Expect;
use crate::node::NodeRun;
use crate::node::script::{Ended, Execution, left_over};
use crate::node::worked::Worked;
use crate::paste::with_values;
use crate::plan::PlannedStep;
use crate::session::fair;

/// The largest output that is compared or captured as a whole, in bytes.
pub const COMPARED: u64 = 4 << 20;
/// The minimum time allowed for a node to shut down.
const DOWN: Duration = Duration::from_mins(1);

impl NodeRun<'_> {
    pub async fn judge(
        &mut self,
        work: &Execution<'_>,
        ended: Ended,
        accepted: &[i32],
        expect: Option<&Expect>,
        text: &str,
    ) -> Result<Worked, Halt> {
        let done = match finished(work.step, ended)? {
            ControlFlow::Continue(done) => done,
            ControlFlow::Break(worked) => return Ok(worked),
        };
        self.at_hand.begun = done.how != How::NoFolder;
        if let Some(worked) = cut_short(work.step, &done) {
            return Ok(worked);
        }
        self.record_left(work.step, &done)?;
        self.record_unset(work.step, &done)?;
        if work.step.reboot {
            match reboots(&done, accepted) {
                Reboots::No => {}
                Reboots::Yes => {
                    let limit = work.step.timeout.max(DOWN);
                    if !self.await_reboot(limit).await? {
                        let limit = crate::human(limit);
                        let cause = format!("the node did not go down within {limit}");
                        return Ok(Worked::ended(Status::Error, cause));
                    }
                }
                // A shutdown kills the node's processes, and this script may be the first.
                Reboots::Perhaps => {
                    if self.await_reboot(DOWN).await? {
                        return Ok(Worked::ok(None));
                    }
                }
            }
        }
        if !accepted.contains(&done.status) {
            let (out, err) = self.outputs(work, &done, 64 << 10).await?;
            let text = self.pasted(work.step, text);
            return Ok(Worked::failed(
                done.status,
                self.mask(wrong_status(accepted, done.status, &out, &err, &text)),
            ));
        }
        match expect {
            Some(expect) => self.compare(work, &done, expect, text).await,
            None => Ok(Worked::ok(Some(done.status))),
        }
    }

    fn record_left(&self, step: &PlannedStep, done: &StepDone) -> Result<(), Halt> {
        if done.left.is_empty() {
            return Ok(());
        }
        let label = step.label();
        let processes = done.left.iter();
        let processes = processes
            .map(|process| format!("{label} {process}").into())
            .collect();
        self.given
            .record(Some(step), What::LeftBehind { processes })
    }

    /// Journals variables that could not be saved. The step's result stays the same.
    fn record_unset(&self, step: &PlannedStep, done: &StepDone) -> Result<(), Halt> {
        if done.unset.is_empty() {
            return Ok(());
        }
        let names = match done.unset.trim() {
            "@" => "its exported variables",
            names => names,
        };
        let text = format!(
            "its variables for later steps were not kept, because its shell was replaced or could \
             not write them: {names}"
        );
        let text = text.into();
        self.given.record(Some(step), What::Warned { text })
    }

    async fn compare(
        &mut self,
        work: &Execution<'_>,
        done: &StepDone,
        expect: &Expect,
        text: &str,
    ) -> Result<Worked, Halt> {
        if done.sizes.0 > COMPARED {
            return Ok(Worked::ended(
                Status::Failed,
                "it printed more than 4 MiB, which is too much to compare",
            ));
        }
        let (out, err) = self.outputs(work, done, COMPARED).await?;
        let err = if work.shown { err } else { Vec::new() };
        let expected = self.scope.filled(
            &self.given.plan.node,
            &Interpolated::read(&expect.text.text),
        );
        let text = self.pasted(work.step, text);
        Ok(match wrong_display(expect, &expected, &out, &err, &text) {
            None => Worked::ok(Some(done.status)),
            Some(evidence) => Worked::failed(done.status, self.mask(evidence)),
        })
    }

    fn pasted(&self, step: &PlannedStep, text: &str) -> String {
        match step.script() {
            Some(script) => with_values(script, text, &self.scope),
            None => text.to_owned(),
        }
    }

    fn mask(&self, evidence: Evidence) -> Evidence {
        let secrets = &self.given.options.secrets;
        Evidence {
            how: evidence.how.map(|how| secrets.mask(&how)),
            expected: secrets.masked(&evidence.expected),
            found: secrets.masked(&evidence.found),
            ..evidence
        }
    }

    /// The node is restarting: waits until it answers from another boot. Returns false if it does
    /// not shut down within the limit.
    async fn await_reboot(&mut self, limit: Duration) -> Result<bool, Halt> {
        let lost = self.bundles.reach.session().lost();
        let Some(lost) = fair::within(limit, lost).await else {
            return Ok(false);
        };
        let cause = lost.to_string().into();
        self.given.record(None, What::ConnectionLost { cause })?;
        self.reattach(true).await.map_err(Halt::error)?;
        Ok(true)
    }

    /// Both outputs as a whole, or their last parts.
    async fn outputs(
        &mut self,
        work: &Execution<'_>,
        done: &StepDone,
        most: u64,
    ) -> Result<(Vec<u8>, Vec<u8>), Halt> {
        if let Some((out, err)) = &done.output {
            return Ok((out.clone(), err.clone()));
        }
        let user = work.step.sudo.as_ref();
        let Ok(bundle) = self.bundle_of(work.step.on, user).await else {
            return Err(Halt::error("the output cannot be read back"));
        };
        let from = |size: u64| size.saturating_sub(most);
        let (all_out, all_err) = done.sizes;
        let out = bundle.read(&work.label, "out", from(all_out), all_out);
        let out = out.await?;
        let err = bundle.read(&work.label, "err", from(all_err), all_err);
        let err = err.await?;
        Ok((out, err))
    }

    pub async fn capture(
        &mut self,
        work: &Execution<'_>,
        name: &str,
        worked: Worked,
    ) -> Result<Worked, Halt> {
        let user = work.step.sudo.as_ref();
        let Ok(bundle) = self.bundle_of(work.step.on, user).await else {
            return Err(Halt::error("the output cannot be read back"));
        };
        let out = bundle.read(&work.label, "out", 0, COMPARED + 1).await?;
        let cannot = |why: &str| {
            let cause = format!("its output cannot become `{name}`: {why}");
            Ok(Worked::ended(Status::Failed, cause))
        };
        if out.len() as u64 > COMPARED {
            return cannot("it is larger than 4 MiB");
        }
        let text = String::from_utf8(out)
            .ok()
            .filter(|text| !text.contains('\0'));
        let Some(text) = text else {
            return cannot("it is not text");
        };
        let value = text.trim().to_owned();
        // With an empty value, the other node would continue with nothing if a pipe hid a failure.
        if value.is_empty() && self.given.plan.role.is_some() {
            return cannot("it printed nothing");
        }
        // A secret in the output must not become a plain value.
        self.given.record(
            Some(work.step),
            What::ValueCaptured {
                name: name.to_owned(),
                value: self.given.options.secrets.mask(&value).into(),
            },
        )?;
        self.scope.set(name, value);
        Ok(worked)
    }
}

/// Whether the node restarts now.
enum Reboots {
    Yes,
    No,
    Perhaps,
}

fn reboots(done: &StepDone, accepted: &[i32]) -> Reboots {
    match done.status {
        status if accepted.contains(&status) => Reboots::Yes,
        // 128 + n: a signal ended it.
        129.. => Reboots::Perhaps,
        _ => Reboots::No,
    }
}

/// The result to judge, or the outcome of a script that did not reach its end.
fn finished(step: &PlannedStep, ended: Ended) -> Result<ControlFlow<Worked, Box<StepDone>>, Halt> {
    let unknown = |cause| Worked {
        outcome_unknown: true,
        ..Worked::ended(Status::Error, cause)
    };
    let worked = match ended {
        Ended::Done(done) => return Ok(ControlFlow::Continue(done)),
        Ended::Seen { outcome_unknown } => Worked {
            outcome_unknown,
            ..Worked::ended(Status::ByHand, "")
        },
        Ended::Left => {
            return Err(Halt::End {
                status: Status::Stopped,
                cause: format!("step {} was left running", step.label()),
                outcome_unknown: true,
            });
        }
        Ended::Rebooted if step.reboot => Worked::ok(None),
        Ended::Rebooted => unknown(format!("the node rebooted during step {}", step.label())),
        Ended::Unknown(cause) => unknown(cause),
    };
    Ok(ControlFlow::Break(worked))
}

/// The outcome of a script that was killed or whose result was lost.
fn cut_short(step: &PlannedStep, done: &StepDone) -> Option<Worked> {
    let limit = crate::human(step.timeout);
    if let Some(left) = left_over(done) {
        let cause = match done.how {
            How::TimedOut => format!("not done within {limit}, and "),
            _ => String::new(),
        };
        return Some(Worked::ended(Status::Error, format!("{cause}{left}")));
    }
    match done.how {
        How::Exited => None,
        How::DiskFull => {
            let why = match done.why.as_str() {
                "" => "; `df -h`, `df -i` and `dmesg` there may tell why",
                why => why,
            };
            let status = done.status;
            let cause = format!(
                "it ended with exit status {status}, but its output and its variables were not \
                 kept{why}"
            );
            Some(Worked::ended(Status::Error, cause))
        }
        How::NoFolder => Some(Worked::ended(
            Status::Error,
            "it did not run: the folder in which the previous step ended is gone, or its user may \
             not enter it; create that folder, or start at the step that does",
        )),
        How::TimedOut => Some(Worked::ended(
            Status::TimedOut,
            format!("not done within {limit}; its processes are gone"),
        )),
        How::Stopped => Some(Worked::ended(
            Status::Stopped,
            "the operator stopped it; its processes are gone",
        )),
    }
}
