//! Runs one script of a step: starts it once, follows it, reattaches after a cut, stops it on
//! request. Says what is known, and when nothing is.

use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::bundle::{Bundle, BundleError, Claim, How, Start, StepDone, StepState};
use crate::decide::{Decision, Doubt, JournalSays, Left, NodeSays, TakeUp, Wanted, decide};
use crate::event::What;
use crate::halt::{Attention, Halt};
use crate::manual::{On, is_shell};
use crate::node::NodeRun;
use crate::node::follow::Follower;
use crate::plan::PlannedStep;
use crate::question::{Answer, Asked};
use crate::session::{Lost, Value, Values};

/// The delay of the first and each later look at a running step's output.
const FIRST_LOOK: Duration = Duration::from_millis(150);
const NEXT_LOOK: Duration = Duration::from_millis(400);
/// Every so many looks, also ask for the step's state.
const LOOKS_A_QUESTION: u32 = 5;
/// The time of one wait for a step that an earlier session started, in seconds.
const WAIT_PIECE: u64 = 20;

/// The script to execute.
pub struct Execution<'a> {
    pub step: &'a PlannedStep,
    /// Its record directory in the bundle: `3`, or `3-2` for the second command of a transcript.
    pub label: String,
    pub interpreter: &'a str,
    pub accepted: &'a [i32],
    pub values: &'a Values,
    pub script: &'a [u8],
    /// It has a secret.
    pub secret: bool,
    /// It belongs to a transcript: its expected output may come from standard error as well.
    pub shown: bool,
}

/// Shell assignments; for another interpreter they go into its environment.
fn assignments(values: &Values, shell: bool) -> Zeroizing<Vec<u8>> {
    let mut text = values.assignments();
    if !shell {
        for (name, value) in values.iter() {
            debug_assert!(
                matches!(value, Value::Plain(_)),
                "the plan gives no secret to `{name}`"
            );
            text.extend_from_slice(format!("export {name}\n").as_bytes());
        }
    }
    text
}

/// How it ended.
pub enum Ended {
    Done(Box<StepDone>),
    /// The node restarted while it ran.
    Rebooted,
    /// Whether it finished is unknown; the reason.
    Unknown(String),
    /// The operator left; it continues by itself.
    Left,
    /// The operator has looked and says that it is done.
    Seen {
        /// Only the operator's word says how it ended.
        outcome_unknown: bool,
    },
}

impl Ended {
    fn unrecorded() -> Ended {
        Ended::Unknown("its record is gone from the bundle".to_owned())
    }
}

impl NodeRun<'_> {
    /// Starts it, or follows one that was started before.
    pub async fn run_to_end(&mut self, work: &Execution<'_>, how: TakeUp) -> Result<Ended, Halt> {
        let mut follower = Follower::new(&work.label, &self.given.options.secrets);
        let mut how = how;
        loop {
            match self.try_to_end(work, &mut follower, &mut how).await {
                Ok(ended) => {
                    self.take_back_state(work).await?;
                    return Ok(ended);
                }
                Err(Attention::Halt(halt)) => return Err(halt),
                // Another try would do the same.
                Err(Attention::Lost(lost @ Lost::Endless { .. })) => {
                    let cause = format!("{lost}; it may or may not have finished");
                    return Ok(Ended::Unknown(cause));
                }
                Err(Attention::Lost(lost)) => {
                    if work.step.on == On::Local {
                        return Ok(Ended::Unknown(format!(
                            "the shell on this machine is gone: {lost}; it may or may not have \
                             finished"
                        )));
                    }
                    self.given.record(
                        Some(work.step),
                        What::ConnectionLost {
                            cause: lost.to_string().into(),
                        },
                    )?;
                    let said = self.reattach(work.step.reboot).await;
                    if let Err(cause) = said {
                        let cause = format!("{cause}; it may or may not have finished");
                        return Ok(Ended::Unknown(cause));
                    }
                    if how.journal == JournalSays::NotBegun {
                        how = TakeUp::BEGUN;
                    }
                }
            }
        }
    }

    /// Takes over variables that a step of another user has set.
    async fn take_back_state(&mut self, work: &Execution<'_>) -> Result<(), Halt> {
        let Some(user) = self.bundles.other_user(work.step) else {
            return Ok(());
        };
        // Our own script sets nothing for later steps.
        let (interpreter, script) = match work.step.placed {
            None => (work.interpreter, work.script),
            Some(_) => (work.interpreter, &b""[..]),
        };
        let taken = self
            .bundles
            .take_state(&user, work.step, interpreter, script);
        taken.await.map_err(Attention::into_halt)
    }

    async fn try_to_end(
        &mut self,
        work: &Execution<'_>,
        follower: &mut Follower,
        how: &mut TakeUp,
    ) -> Result<Ended, Attention> {
        let in_doubt = how.may_be_under_way();
        let bundle = self.bundle_of(work.step.on, work.step.sudo.as_ref()).await;
        // If its record is unreachable, nobody knows how it continues.
        let bundle = bundle.map_err(|why| if in_doubt { why.in_doubt() } else { why })?;
        let state = match how.first_decision() {
            Decision::Look => bundle.state(&work.label).await?,
            _ => StepState::NotStarted,
        };
        let state = match self.ready_to_follow(work, &bundle, state, how).await? {
            ControlFlow::Continue(state) => state,
            ControlFlow::Break(ended) => return Ok(ended),
        };
        // From now on, a lost connection belongs to this try.
        *how = TakeUp::BEGUN;
        if work.secret && work.step.on == On::Node {
            self.bundles.note_secret(&work.label);
        }
        if let (Some(user), StepState::NotStarted) = (self.bundles.other_user(work.step), &state) {
            self.bundles.give_files(work.step, &user, &bundle).await?;
            self.bundles.carry_state(&bundle).await?;
            self.bundles.note_begun(&user, work.step.number);
        }
        self.follow_to_end(work, &bundle, follower, state).await
    }

    /// Starts it if it is not started, and follows it.
    async fn follow_to_end(
        &mut self,
        work: &Execution<'_>,
        bundle: &Bundle,
        follower: &mut Follower,
        mut state: StepState,
    ) -> Result<Ended, Attention> {
        let due = matches!(state, StepState::NotStarted);
        loop {
            self.at_hand.begun |= !matches!(state, StepState::NotStarted);
            state = match state {
                StepState::NotStarted if !due => return Ok(Ended::unrecorded()),
                StepState::NotStarted => {
                    let claim = self.claim(work.step);
                    let step = async {
                        let state = start(work, bundle, &claim).await;
                        state.map_err(Attention::of_sent)
                    };
                    match self.watch(work, bundle, follower, step).await? {
                        Some(StepState::NotStarted) => return Ok(Ended::unrecorded()),
                        Some(state) => state,
                        None => return Ok(Ended::Left),
                    }
                }
                StepState::Running(_) => {
                    let wait = async {
                        let state = bundle.wait(&work.label, WAIT_PIECE).await;
                        state.map_err(Attention::of_started)
                    };
                    match self.watch(work, bundle, follower, wait).await? {
                        Some(state) => state,
                        None => return Ok(Ended::Left),
                    }
                }
                StepState::Done(mut done) => {
                    if done.how == How::DiskFull {
                        done.why = bundle.refusal_of_disk().await;
                    }
                    let pieces = follower.finish(bundle, &done).await;
                    let pieces = pieces.map_err(Attention::of_started)?;
                    self.show(work.step, pieces)?;
                    return Ok(Ended::Done(Box::new(done)));
                }
                StepState::Rebooted => return Ok(Ended::Rebooted),
                StepState::Unknown => {
                    let why = bundle.refusal_of_disk().await;
                    return Ok(Ended::Unknown(format!("the node has no result of it{why}")));
                }
            };
        }
    }

    /// Prepares a step for following from this state: moves an earlier try aside, or asks the
    /// operator. Returns the state to continue from.
    async fn ready_to_follow(
        &mut self,
        work: &Execution<'_>,
        bundle: &Bundle,
        state: StepState,
        how: &mut TakeUp,
    ) -> Result<ControlFlow<Ended, StepState>, Attention> {
        let mut says = NodeSays::of(&state, work.accepted);
        let replaced = work.step.on == On::Local && self.bundles.local_was_replaced();
        if says == NodeSays::NoRecord && replaced {
            says = NodeSays::BundleGone;
        }
        loop {
            let doubt = match decide(how.journal, says, how.wanted) {
                Decision::Ask(doubt) => doubt,
                Decision::RunAgain => {
                    bundle.aside(&work.label).await?;
                    return Ok(ControlFlow::Continue(StepState::NotStarted));
                }
                _ => return Ok(ControlFlow::Continue(state)),
            };
            let mut left = Vec::new();
            if let (Doubt::LeftBehind, NodeSays::Ended(end, _)) = (doubt, says) {
                left = left_behind(bundle, &work.label).await?;
                if left.is_empty() {
                    // They have ended since.
                    says = NodeSays::Ended(end, Left::Nothing);
                    continue;
                }
            }
            let outcome_unknown =
                how.journal == JournalSays::Unknown || doubt == Doubt::MayHaveFinished;
            let because = doubt.because(&left);
            let again = self.ask_to_run_again(work.step, &because, outcome_unknown);
            if !again.await? {
                return Ok(ControlFlow::Break(Ended::Seen { outcome_unknown }));
            }
            how.wanted = Wanted::Agreed;
        }
    }

    /// Waits for a state while showing output and watching for Ctrl-C. `None` if the operator
    /// leaves it running.
    async fn watch(
        &mut self,
        work: &Execution<'_>,
        bundle: &Bundle,
        follower: &mut Follower,
        state: impl Future<Output = Result<StepState, Attention>>,
    ) -> Result<Option<StepState>, Attention> {
        let mut state = pin!(state);
        let mut interrupts = self.interrupts.clone();
        let mut look = Instant::now() + FIRST_LOOK;
        let (mut looks, mut ended) = (0_u32, false);
        loop {
            tokio::select! {
                biased;
                state = &mut state => return Ok(Some(state?)),
                Ok(()) = interrupts.changed() => {
                    let count = *interrupts.borrow_and_update();
                    self.interrupts.clone_from(&interrupts);
                    let (answer, over) = if count > 1 {
                        (Answer::Stop, None)
                    } else {
                        self.interrupted(work, state.as_mut()).await
                    };
                    if let Some(over) = over {
                        self.hold = true;
                        return Ok(Some(over?));
                    }
                    match answer {
                        Answer::Leave => return Ok(None),
                        Answer::Hold => self.hold = true,
                        _ => {
                            self.hold = true;
                            let state = bundle.stop(&work.label).await;
                            return Ok(Some(state.map_err(Attention::of_started)?));
                        }
                    }
                }
                () = tokio::time::sleep_until(look.into()) => {
                    let pieces = follower.poll(bundle).await;
                    let pieces = pieces.map_err(Attention::of_started)?;
                    self.show(work.step, pieces)?;
                    looks += 1;
                    // The process that reports the end may have been killed on the node.
                    if looks % LOOKS_A_QUESTION == 0 {
                        let now = bundle.state(&work.label).await;
                        let now = now.map_err(Attention::of_started)?;
                        // It has started: the node's shell works sequentially.
                        let over = !matches!(now, StepState::Running(_));
                        if over && ended {
                            return Ok(Some(now));
                        }
                        ended = over;
                    }
                    look = Instant::now() + NEXT_LOOK;
                }
            }
        }
    }

    /// Decides about a running step, or returns its end if that comes before the answer.
    async fn interrupted<T>(
        &mut self,
        work: &Execution<'_>,
        mut end: Pin<&mut impl Future<Output = T>>,
    ) -> (Answer, Option<T>) {
        let step = work.step.name.clone();
        let (operator, site) = (&self.given.options.operator, self.given.site().to_string());
        let mut asked = pin!(operator.ask(&site, Asked::Interrupted { step }, None));
        tokio::select! {
            biased;
            answer = &mut asked => (answer, None),
            over = &mut end => {
                let ended = Instant::now();
                let answer = asked.await;
                self.at_hand.waited += ended.elapsed();
                (answer, Some(over))
            }
        }
    }

    fn show(&self, step: &PlannedStep, pieces: crate::node::follow::Pieces) -> Result<(), Halt> {
        for (stream, text) in pieces {
            let text = text.into();
            self.given
                .record(Some(step), What::Output { stream, text })?;
        }
        Ok(())
    }
}

async fn start(
    work: &Execution<'_>,
    bundle: &Bundle,
    claim: &Claim,
) -> Result<StepState, BundleError> {
    let start = Start {
        label: &work.label,
        limit_seconds: work.step.timeout.as_secs().max(1),
        accepted: work.accepted,
        interpreter: work.interpreter,
        saved: &work.step.saved.join(" "),
        values: &assignments(work.values, is_shell(work.interpreter)),
        script: work.script,
        claim,
    };
    bundle.step(&start).await
}

/// Processes of a script that still run: `pid command`.
async fn left_behind(bundle: &Bundle, label: &str) -> Result<Vec<String>, BundleError> {
    let left = bundle.left().await?;
    let of_it = left
        .iter()
        .filter_map(|line| line.strip_prefix(label)?.strip_prefix(' '));
    Ok(of_it.map(str::to_owned).collect())
}

/// Reports leftover processes of a step that should have ended; `None` if there are none.
pub fn left_over(done: &StepDone) -> Option<String> {
    match done.how {
        How::Exited | How::DiskFull | How::NoFolder => None,
        How::TimedOut | How::Stopped if done.left.is_empty() => None,
        How::TimedOut | How::Stopped => Some(format!("still running: {}", done.left.join(", "))),
    }
}
