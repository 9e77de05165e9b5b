//! Which step of a run is next: from the first that is due, and past what an earlier
//! controller has done or left running.

use std::collections::BTreeMap;

use crate::decide::{Decision, JournalSays, NodeSays, TakeUp, Wanted, decide};
use crate::due::{delivers, first_due};
use crate::event::{Site, Status};
use crate::halt::Halt;
use crate::journal::Record;
use crate::node::NodeRun;
use crate::plan::PlannedStep;

/// What the journal of a run that goes on says of its steps.
struct Before {
    /// The latest status of each that was started; none where it has no end.
    statuses: BTreeMap<usize, Option<Status>>,
    says: BTreeMap<usize, JournalSays>,
}

impl Before {
    fn of(record: &Record, node: Site<'_>) -> Before {
        Before {
            statuses: record.steps(node),
            says: JournalSays::of_steps(record, node),
        }
    }

    fn says(&self, step: &PlannedStep) -> JournalSays {
        let says = self.says.get(&step.number).copied();
        says.unwrap_or(JournalSays::NotBegun)
    }
}

impl NodeRun<'_> {
    /// The first step that is not done, and what the steps before it captured.
    pub fn first_due_step(&mut self, record: &Record) -> usize {
        for (name, value) in record.captured(self.given.site()) {
            self.scope.set_again(&name, value);
        }
        first_due(self.given.plan, record, self.given.options.start_at)
    }

    /// Runs the steps from the first one that is due.
    pub async fn run_steps(&mut self, first: usize, resume: Option<&Record>) -> Result<(), Halt> {
        let plan = self.given.plan;
        let Some(record) = resume else {
            for step in plan.steps.iter().filter(|step| step.number >= first) {
                self.run_step(step, TakeUp::FRESH).await?;
            }
            return Ok(());
        };
        let before = Before::of(record, plan.site());
        if let Some(last) = self.given.options.stop_after.filter(|last| *last < first) {
            let label = plan.label(last);
            let cause = format!("stopped after step {label}, as asked");
            return Err(Halt::AsAsked(cause));
        }
        let under_way = self.steps_under_way(&before).await?;
        let mut first = first;
        for step in &plan.steps {
            let number = &step.number;
            if !under_way.contains(number) {
                continue;
            }
            self.prove_waited_for(step, &before)?;
            self.resume_step(step, first, &before).await?;
            if *number == first {
                first += 1;
            }
        }
        if let Some(start) = self.given.options.start_at {
            let earliest = record.earliest(plan.site(), |number| plan.is_set_up(number));
            for step in &plan.steps {
                if (earliest.min(start)..start).contains(&step.number) {
                    self.pass_over(step, start, &before)?;
                }
            }
        }
        // Set-up is idempotent, and what comes after may need it again.
        let set_up_for = if first <= plan.last_number() {
            first
        } else {
            0
        };
        for step in &plan.steps {
            let repeated = step.setup || self.delivers_anew(step, &before);
            let due = step.number >= first || (repeated && step.number < set_up_for);
            if due && !under_way.contains(&step.number) {
                self.resume_step(step, first, &before).await?;
            }
        }
        Ok(())
    }

    /// What still runs comes to its end before anything else is done: the operator must not want
    /// it otherwise.
    fn prove_waited_for(&self, step: &PlannedStep, before: &Before) -> Result<(), Halt> {
        let later = |start| start != step.number;
        let wanted = if self.note_of_done(step).is_some() {
            Wanted::Done
        } else if self.given.options.start_at.is_some_and(later) {
            Wanted::PassOver
        } else {
            Wanted::GoOn
        };
        match decide(before.says(step), NodeSays::Running, wanted) {
            Decision::Refuse(refusal) => {
                let cause =
                    refusal.sentence(&format!("step {}", step.label()), "", &self.given.run());
                Err(Halt::end(Status::Blocked, cause))
            }
            _ => Ok(()),
        }
    }

    /// Does a step that is done deliver again: a file of it has changed, or it was to do so
    /// before, and did not come to its end?
    fn delivers_anew(&self, step: &PlannedStep, before: &Before) -> bool {
        let changed = self.given.options.anew.get(&self.given.site().to_string());
        let status = before.statuses.get(&step.number);
        let cut_short = status.is_some_and(|status| !status.is_some_and(Status::goes_on));
        delivers(step) && (cut_short || changed.is_some_and(|steps| steps.contains(&step.number)))
    }

    /// The steps that an earlier controller started and that run on by themselves. They come
    /// to their end before anything else is started beside them.
    async fn steps_under_way(&mut self, before: &Before) -> Result<Vec<usize>, Halt> {
        let mut under_way = Vec::new();
        for step in &self.given.plan.steps {
            if before.says(step).may_run() && self.is_running(step).await? {
                under_way.push(step.number);
            }
        }
        Ok(under_way)
    }

    /// A step before the one that the operator goes on at is not done, and not forgotten.
    fn pass_over(&mut self, step: &PlannedStep, start: usize, before: &Before) -> Result<(), Halt> {
        let decision = decide(before.says(step), NodeSays::NotAsked, Wanted::PassOver);
        // A set-up is repeated all the same.
        if decision == Decision::Leave || step.setup {
            return Ok(());
        }
        let was = match before.statuses.get(&step.number) {
            Some(Some(status)) => status.word(),
            Some(None) => "without an end",
            None => "not begun",
        };
        let start = self.given.plan.label(start);
        self.mark_skipped(step, format!("it was {was}; gone on at {start}"))
    }

    /// A step of a run that goes on.
    async fn resume_step(
        &mut self,
        step: &PlannedStep,
        first: usize,
        before: &Before,
    ) -> Result<(), Halt> {
        let how = TakeUp {
            journal: before.says(step),
            wanted: self.wanted(step, first),
        };
        if step.number >= first {
            return self.run_step(step, how).await;
        }
        // It must not forget what the steps after it have set, on its own side.
        let mut done = self.given.plan.steps.iter().rev();
        let mut again = step.clone();
        if let Some(last) = done.find(|other| other.number < first && other.on == step.on) {
            again.saved.clone_from(&last.saved);
        }
        self.run_step(&again, how).await
    }

    fn wanted(&self, step: &PlannedStep, first: usize) -> Wanted {
        if self.note_of_done(step).is_some() {
            Wanted::Done
        } else if step.number < first {
            Wanted::Repeat
        } else if self.given.options.menu || self.given.options.start_at == Some(step.number) {
            Wanted::Named
        } else {
            Wanted::GoOn
        }
    }

    /// A step, where nobody has asked to stop before it.
    async fn run_step(&mut self, step: &PlannedStep, how: TakeUp) -> Result<(), Halt> {
        let interrupted = *self.given.options.interrupts.borrow() > 0;
        if self.hold || interrupted {
            return Err(Halt::end(
                Status::Stopped,
                format!("stopped before step {}", step.label()),
            ));
        }
        self.bundles.use_them();
        self.do_step(step, how).await?;
        if self.given.options.stop_after == Some(step.number)
            && step.number < self.given.plan.last_number()
        {
            let cause = format!("stopped after step {}, as asked", step.label());
            return Err(Halt::AsAsked(cause));
        }
        Ok(())
    }
}
