//! Chooses the next step of a run: from the first that is due, and past those that an earlier
//! controller has done or left running.

use std::collections::BTreeMap;

use crate::decide::{Decision, JournalSays, NodeSays, TakeUp, Wanted, decide};
use crate::due::{brings, first_due, start_for};
use crate::event::{Site, Status};
use crate::halt::Halt;
use crate::journal::Record;
use crate::node::NodeRun;
use crate::plan::{NodePlan, PlannedStep};

/// The journal's view of a resumed run's steps.
struct Before {
    /// The latest status of each started step; `None` without an end.
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

/// The course over a node's steps, from the first that is due.
pub struct Course {
    /// The number of the first due step; larger than the last number if none is due.
    pub first: usize,
    /// Where the operator continues, if that concerns this node.
    start: Option<usize>,
    /// The journal's view of a resumed run; `None` for a new run.
    before: Option<Before>,
    /// Running steps that this controller has followed to their end.
    under_way: Vec<usize>,
}

impl Course {
    /// Whether a step was found running.
    pub fn is_under_way(&self, number: usize) -> bool {
        self.under_way.contains(&number)
    }

    pub fn of(
        plan: &NodePlan,
        (first, start_at): (usize, Option<usize>),
        resume: Option<&Record>,
    ) -> Course {
        Course {
            first,
            start: resume.and_then(|record| start_for(plan, record, start_at)),
            before: resume.map(|record| Before::of(record, plan.site())),
            under_way: Vec::new(),
        }
    }
}

impl NodeRun<'_> {
    /// The first step that is due.
    pub fn first_due_step(&self, resume: Option<&Record>) -> usize {
        let start_at = self.given.options.start_at;
        match resume {
            None => start_at.unwrap_or(1),
            Some(record) => first_due(self.given.plan, record, start_at),
        }
    }

    /// Runs the steps from the first due one.
    pub async fn run_steps(&mut self, first: usize, resume: Option<&Record>) -> Result<(), Halt> {
        let from = (first, self.given.options.start_at);
        let mut course = Course::of(self.given.plan, from, resume);
        if let Some(last) = self.given.options.stop_after
            && resume.is_some()
            && last < first
        {
            return Err(self.stopped_after(last));
        }
        self.find_running(&mut course).await?;
        for step in &self.given.plan.steps {
            if course.is_under_way(step.number) {
                self.attend(step, &mut course).await?;
            }
        }
        self.pass_over_left_out(&course, resume)?;
        let left = course.first <= self.given.plan.last_number();
        for step in &self.given.plan.steps {
            if self.is_due(step, &course, left) {
                self.take(step, &course).await?;
            }
        }
        Ok(())
    }

    /// Finds steps of an earlier controller that are still running.
    pub async fn find_running(&mut self, course: &mut Course) -> Result<(), Halt> {
        if let Some(before) = &course.before {
            course.under_way = self.steps_under_way(before).await?;
        }
        Ok(())
    }

    /// Follows such a step to its end, before anything else starts.
    pub async fn attend(&mut self, step: &PlannedStep, course: &mut Course) -> Result<(), Halt> {
        let Some(before) = &course.before else {
            return Ok(());
        };
        self.prove_waited_for(step, course.start, before)?;
        self.resume_step(step, course, before).await?;
        if step.number == course.first {
            course.first += 1;
        }
        Ok(())
    }

    /// Marks the steps before the one at which the operator continues.
    pub fn pass_over_left_out(
        &mut self,
        course: &Course,
        resume: Option<&Record>,
    ) -> Result<(), Halt> {
        let (Some(before), Some(record)) = (&course.before, resume) else {
            return Ok(());
        };
        let plan = self.given.plan;
        if let Some(start) = course.start {
            let earliest = record.earliest(plan.site(), |number| plan.is_set_up(number));
            for step in &plan.steps {
                if (earliest.min(start)..start).contains(&step.number) {
                    self.pass_over(step, start, before)?;
                }
            }
        }
        Ok(())
    }

    /// Whether this controller must do a step; `left` says that some step of the run is left. A
    /// set-up is idempotent, and later steps may need it again.
    pub fn is_due(&self, step: &PlannedStep, course: &Course, left: bool) -> bool {
        let Some(before) = &course.before else {
            return step.number >= course.first;
        };
        let repeated = step.setup || self.delivers_anew(step, before);
        let due = step.number >= course.first || (repeated && left);
        due && !course.is_under_way(step.number)
    }

    /// Executes a due step.
    pub async fn take(&mut self, step: &PlannedStep, course: &Course) -> Result<(), Halt> {
        match &course.before {
            None => self.run_step(step, TakeUp::FRESH).await,
            Some(before) => self.resume_step(step, course, before).await,
        }
    }

    fn stopped_after(&self, last: usize) -> Halt {
        let label = self.given.plan.label(last);
        Halt::AsAsked(format!("stopped after step {label}, as asked"))
    }

    /// Running steps must end before anything else starts: refuses options of the operator that
    /// contradict this.
    fn prove_waited_for(
        &self,
        step: &PlannedStep,
        start: Option<usize>,
        before: &Before,
    ) -> Result<(), Halt> {
        let later = |start| start != step.number;
        let wanted = if self.note_of_done(step).is_some() {
            Wanted::Done
        } else if start.is_some_and(later) {
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

    /// Whether a finished step must deliver again: one of its files has changed, or an earlier
    /// repetition did not end.
    fn delivers_anew(&self, step: &PlannedStep, before: &Before) -> bool {
        let changed = self.given.options.anew.get(&self.given.site().to_string());
        let status = before.statuses.get(&step.number);
        let cut_short = status.is_some_and(|status| !status.is_some_and(Status::goes_on));
        brings(step) && (cut_short || changed.is_some_and(|steps| steps.contains(&step.number)))
    }

    /// Steps of an earlier controller that are still running. They end before anything else starts.
    async fn steps_under_way(&mut self, before: &Before) -> Result<Vec<usize>, Halt> {
        let mut under_way = Vec::new();
        for step in &self.given.plan.steps {
            if before.says(step).may_run() && self.is_running(step).await? {
                under_way.push(step.number);
            }
        }
        Ok(under_way)
    }

    /// Passes over a step before the one at which the operator continues, and journals that.
    fn pass_over(&mut self, step: &PlannedStep, start: usize, before: &Before) -> Result<(), Halt> {
        let decision = decide(before.says(step), NodeSays::NotAsked, Wanted::PassOver);
        // A set-up is still repeated.
        if decision == Decision::Leave || step.setup {
            return Ok(());
        }
        let was = match before.statuses.get(&step.number) {
            Some(Some(status)) => status.word(),
            Some(None) => "without an end",
            None => "not begun",
        };
        let start = self.given.plan.label(start);
        self.mark_skipped(step, format!("it was {was}; continued at {start}"))
    }

    /// A step of a resumed run.
    async fn resume_step(
        &mut self,
        step: &PlannedStep,
        course: &Course,
        before: &Before,
    ) -> Result<(), Halt> {
        let first = course.first;
        let how = TakeUp {
            journal: before.says(step),
            wanted: self.wanted(step, course),
        };
        if step.number >= first {
            return self.run_step(step, how).await;
        }
        // It must keep the variables of the later steps on its own side. A step that was running
        // may have ended since, without the journal knowing.
        let mut done = self.given.plan.steps.iter().rev();
        let mut again = step.clone();
        let ran = |number| number < first || before.statuses.contains_key(&number);
        if let Some(last) = done.find(|other| ran(other.number) && other.on == step.on) {
            again.saved.clone_from(&last.saved);
        }
        self.run_step(&again, how).await
    }

    fn wanted(&self, step: &PlannedStep, course: &Course) -> Wanted {
        if self.note_of_done(step).is_some() {
            Wanted::Done
        } else if step.number < course.first {
            Wanted::Repeat
        } else if self.given.options.menu || course.start == Some(step.number) {
            Wanted::Named
        } else {
            Wanted::GoOn
        }
    }

    /// Executes a step, unless somebody asked to stop before it.
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
        if self.given.options.stop_after == Some(step.number) && step.number < self.given.last {
            return Err(self.stopped_after(step.number));
        }
        Ok(())
    }
}
