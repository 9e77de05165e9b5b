//! Reads what the node knows of a run into the journal, if the journal lacks it and the operator
//! agrees.

use std::collections::{BTreeMap, BTreeSet};

use crate::OnLag;
use crate::bundle::{Bundle, BundleError, Claim, NodeRecord, Owner, ScriptRecord};
use crate::bundles::{Bundles, Origin, last_token};
use crate::decide::{Decision, Wanted};
use crate::event::{Found, Status, StepEnded, What};
use crate::given::{TAKE_IN, pinned};
use crate::halt::{Attention, Halt};
use crate::journal::{self, Record};
use crate::plan::PlannedStep;
use crate::question::{Answer, Asked};
use crate::session::MASK;

/// The largest output that is read back as a captured value, in bytes.
const CAPTURED: u64 = 4 << 20;
/// The beginning of a node's file that replaces an output which is not kept.
const NOT_KEPT: &str = "[not kept";

/// The result of catching up a journal.
pub enum CaughtUp {
    /// The journal with the new lines.
    GoesOn(Box<Record>),
    /// The run has ended on the node.
    Ended,
}

impl Bundles<'_> {
    /// Reads into the journal what only the node knows, from the bundle or, if that was closed,
    /// from the history.
    pub async fn catch_up(&mut self, dir: &str, record: &Record) -> Result<CaughtUp, Halt> {
        let session = self.reach.session().clone();
        let run = self.given.run();
        let old = last_token(record, self.given.site(), false).unwrap_or_default();
        let held = Bundle::look(&session, dir).await?;
        let before = held.and_then(|held| held.owner);
        let before = before.filter(|owner| owner.run == run);
        if let Some(before) = &before {
            self.movable(before)?;
            self.comes_after(before)?;
        }
        let owner = self.given.owner();
        match Bundle::reopen(&session, dir, &run, &self.token, &old, Some(&owner)).await {
            Ok(bundle) => {
                self.set_own(bundle, Origin::Found)?;
                let mut tale = self.own_records().await?;
                tale.owner = before;
                let told = self.all_records(record).await?;
                self.take_in(Found::Bundle, record, &tale, &told).await?;
            }
            Err(BundleError::Gone) => {
                if self.catch_up_with_history(dir, record, &owner).await? {
                    return Ok(CaughtUp::Ended);
                }
            }
            Err(error) => return Err(error.into()),
        }
        self.given.recorder.sync()?;
        let record = journal::read(&self.given.options.state, &run)?;
        Ok(CaughtUp::GoesOn(Box::new(record)))
    }

    /// Returns true if the run has ended on the node.
    async fn catch_up_with_history(
        &mut self,
        dir: &str,
        record: &Record,
        owner: &Owner,
    ) -> Result<bool, Halt> {
        match Bundle::past(self.reach.session(), dir, owner).await? {
            Some(tale) if tale.end.is_some() => {
                let told = tale.steps.clone();
                self.take_in(Found::History, record, &tale, &told).await?;
                self.record_closed(dir.to_owned(), false, None)?;
                self.local_token = None;
                Ok(true)
            }
            Some(tale) if !tale.steps.is_empty() => Err(Halt::error(
                "its bundle was released before the run ended: its remaining record is in the \
                 node's history",
            )),
            _ if record.has_begun(self.given.site()) => Err(Halt::error(
                "the node has neither the bundle of this run nor a record of it in its history",
            )),
            _ => Ok(false),
        }
    }

    async fn take_in(
        &mut self,
        from: Found,
        record: &Record,
        tale: &NodeRecord,
        told: &[ScriptRecord],
    ) -> Result<(), Halt> {
        let more = self.compared(record, told)?;
        self.same_texts(&more, told, tale)?;
        let under_way = |number: &usize| {
            told.iter()
                .any(|told| told.step == *number && told.end.is_none())
        };
        let ended = told.iter().map(|told| told.step);
        self.ended = ended.filter(|number| !under_way(number)).collect();
        let claims = told
            .iter()
            .filter_map(|told| Some((told.step, told.claim.as_ref()?)));
        let newest = claims.max_by_key(|(_, claim)| (claim.epoch, claim.seq));
        let end = tale
            .end
            .as_ref()
            .map(|end| (self.given.plan.last_number() + 1, end));
        let Some((top, claim)) = end.or(newest) else {
            return Ok(());
        };
        self.said = Some(claim.clone());
        let lacking = self.lacking(record, &more, top, claim);
        if lacking.is_empty() {
            return Ok(());
        }
        self.ask_to_take_in(&what_it_has(from, tale, &lacking))
            .await?;
        for (number, status) in lacking {
            self.write_found(from, number, status).await?;
        }
        Ok(())
    }

    /// The latest controller's claim about the run on this node, as far as it was read.
    pub fn said(&self) -> Option<&Claim> {
        self.said.as_ref()
    }

    /// Takes in steps of this node that leave no record here, from a claim on another node:
    /// deliveries, work of a person, skipped steps. A script that was OK must have a record on this
    /// node, so no claim can replace it.
    pub async fn take_in_passed(
        &mut self,
        record: &Record,
        by: &str,
        claim: &Claim,
    ) -> Result<(), Halt> {
        let mut lacking = self.lacking(record, &BTreeSet::new(), usize::MAX, claim);
        let plan = self.given.plan;
        let script = |number| plan.step(number).and_then(PlannedStep::script).is_some();
        lacking.retain(|number, status| {
            *status != Some(Status::Ok) || !script(*number) || self.ended.contains(number)
        });
        if lacking.is_empty() {
            return Ok(());
        }
        let steps = numbers(&lacking);
        let about = format!(
            "the record of the run on `{by}` has results of steps on this node that this journal \
             lacks: {steps}"
        );
        self.ask_to_take_in(&about).await?;
        let begun = record.steps(self.given.site());
        for (number, status) in lacking {
            match (plan.step(number), status) {
                (Some(step), Some(status)) if begun.contains_key(&number) => {
                    self.write_end(Found::Bundle, step, status).await?;
                }
                _ => self.write_found(Found::Bundle, number, status).await?,
            }
        }
        Ok(())
    }

    /// The steps that the journal lacks, each with its end if known. The step that was begun last
    /// may be a repeated set-up: later steps may have been begun before it.
    fn lacking(
        &self,
        record: &Record,
        more: &BTreeSet<usize>,
        top: usize,
        claim: &Claim,
    ) -> BTreeMap<usize, Option<Status>> {
        let statuses = record.steps(self.given.site());
        let mut lacking = BTreeMap::new();
        for (index, letter) in claim.passed.chars().enumerate() {
            let number = index + 1;
            if number == top {
                continue;
            }
            let done = statuses
                .get(&number)
                .copied()
                .flatten()
                .is_some_and(Status::goes_on);
            let status = match letter {
                'o' => Status::Ok,
                'h' => Status::ByHand,
                's' => Status::Skipped,
                _ => continue,
            };
            if self.given.plan.step(number).is_some() && (!done || more.contains(&number)) {
                lacking.insert(number, Some(status));
            }
        }
        for number in more {
            let decision = self.decide_on_ahead(record, *number, Wanted::CatchUp);
            if decision == Decision::TakeIn {
                lacking.entry(*number).or_insert(None);
            }
        }
        lacking
    }

    /// Takes in only steps whose text is the same in the current manual.
    fn same_texts(
        &self,
        more: &BTreeSet<usize>,
        told: &[ScriptRecord],
        tale: &NodeRecord,
    ) -> Result<(), Halt> {
        for told in told.iter().filter(|told| more.contains(&told.step)) {
            let Some(step) = self.given.plan.step(told.step) else {
                continue;
            };
            let Some(claim) = &told.claim else {
                return Err(Halt::error(format!(
                    "step {} `{}` was started by an older opsbook: its text is unknown",
                    step.number, step.name
                )));
            };
            if claim.sha256 != step.sha256 {
                let revision = tale
                    .owner
                    .as_ref()
                    .and_then(|owner| owner.revision.as_ref());
                let revision = revision.map_or(String::new(), |revision| {
                    format!("; it was run from revision {}", revision.line())
                });
                return Err(Halt::error(format!(
                    "step {} `{}` has another text on the node than in the manual: restore the \
                     manual first{revision}",
                    step.number, step.name
                )));
            }
        }
        Ok(())
    }

    /// A supervisor that numbers the controllers has given this one a number: if a later one has
    /// been here, this one is too late. Without a number, this controller takes the next.
    fn comes_after(&self, before: &Owner) -> Result<(), Halt> {
        let last = before.epoch.unwrap_or(1);
        if self.given.options.on_lag != OnLag::Adopt {
            self.given.recorder.raise_epoch(last);
            return Ok(());
        }
        let (_, own) = self.given.recorder.head();
        if last <= own {
            return Ok(());
        }
        Err(Halt::end(
            Status::Blocked,
            format!(
                "another opsbook has continued this run: {}@{} as its controller {last}; this one \
                 is {own}",
                before.operator.line(),
                before.controller.line()
            ),
        ))
    }

    /// Refuses to continue a run that is pinned to its controller. The manual must say so as well:
    /// the node's word alone does not count.
    fn movable(&self, before: &Owner) -> Result<(), Halt> {
        let own = &self.given.options.owner;
        if (&own.controller, &own.folder) == (&before.controller, &before.folder) {
            return Ok(());
        }
        let said = before.pinned.iter().map(|reason| reason.line().to_string());
        let mut reasons: Vec<String> = said.collect();
        for reason in pinned(self.given.plan) {
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        if reasons.is_empty() {
            return Ok(());
        }
        let folder = before.folder.clone().unwrap_or_default();
        Err(Halt::end(
            Status::Blocked,
            format!(
                "only its own controller can continue it ({}): {}, the folder {}",
                reasons.join("; "),
                before.controller.line(),
                folder.line()
            ),
        ))
    }

    async fn ask_to_take_in(&mut self, about: &str) -> Result<(), Halt> {
        if self.given.options.yes {
            return self.given.confirmed_by_yes(None, Some(about));
        }
        if self.given.options.on_lag == OnLag::Adopt {
            return self.given.agreed_before(about);
        }
        let asks = TAKE_IN.to_owned();
        let node = &self.given.plan.node.name;
        let whole = format!("{node}: {about}\n");
        let ask = Asked::Sure {
            about: whole.clone(),
            whole,
            asks: asks.clone(),
        };
        let asked = What::Asked {
            question: asks,
            told: Some(about.into()),
            choices: ask.choices(),
        };
        let asked = self.given.record_line(None, asked)?;
        let operator = &self.given.options.operator;
        let (answer, result) = match operator.ask(node, ask, Some(asked.seq)).await {
            Answer::Yes => ("yes", Ok(())),
            Answer::Nobody => {
                let cause = "catching up needs a confirmation, and there is nobody to ask (`--yes` \
                    confirms)";
                ("nobody to ask", Err(Halt::end(Status::Stopped, cause)))
            }
            _ => {
                let cause = "stopped before the journal was changed";
                ("no", Err(Halt::end(Status::Stopped, cause)))
            }
        };
        let answered = What::Answered {
            answer: answer.to_owned(),
            question: Some(asked.seq),
            note: None,
        };
        self.given.record(None, answered)?;
        result
    }

    /// Journals a step as the node records it. A step without an end is then followed like any step
    /// of an earlier controller.
    async fn write_found(
        &mut self,
        from: Found,
        number: usize,
        status: Option<Status>,
    ) -> Result<(), Halt> {
        let plan = self.given.plan;
        let Some(step) = plan.step(number) else {
            return Ok(());
        };
        let found = What::StepFound {
            name: step.name.clone(),
            title: step.title.clone(),
            from,
            sha256: step.sha256.clone(),
        };
        self.given.record(Some(step), found)?;
        match status {
            Some(status) => self.write_end(from, step, status).await,
            None => Ok(()),
        }
    }

    async fn write_end(
        &mut self,
        from: Found,
        step: &PlannedStep,
        status: Status,
    ) -> Result<(), Halt> {
        if let (Status::Ok, Some(name), Found::Bundle) = (status, &step.capture, from) {
            self.recapture(step, name).await?;
        }
        let ended = StepEnded {
            status,
            exit: None,
            outcome_unknown: false,
            cause: None,
            note: Some("as its controller reported it to the node".to_owned()),
            evidence: Vec::new(),
            milliseconds: 0,
        };
        self.given.record(Some(step), What::StepEnded(ended))
    }

    async fn recapture(&mut self, step: &PlannedStep, name: &str) -> Result<(), Halt> {
        let commands = step.script().map_or(0, |script| script.commands().len());
        let label = match commands {
            0 => step.number.to_string(),
            last => format!("{}-{last}", step.number),
        };
        let bundle = self.of(step.on, step.sudo.as_ref()).await;
        let bundle = bundle.map_err(Attention::into_halt)?;
        let out = bundle.read(&label, "out", 0, CAPTURED).await?;
        let text = String::from_utf8_lossy(&out);
        let value = match text.trim() {
            kept if kept.starts_with(NOT_KEPT) => String::from_utf8_lossy(MASK).into_owned(),
            value => self.given.options.secrets.mask(value),
        };
        let name = name.to_owned();
        self.given.record(
            Some(step),
            What::ValueCaptured {
                name,
                value: value.into(),
            },
        )
    }
}

/// What the node knows of the run and the journal does not.
fn what_it_has(
    from: Found,
    tale: &NodeRecord,
    lacking: &BTreeMap<usize, Option<Status>>,
) -> String {
    let steps = numbers(lacking);
    let place = match from {
        Found::Bundle => "bundle",
        Found::History => "history",
    };
    let by = tale.owner.as_ref().map_or(String::new(), |owner| {
        format!(
            ", which {}@{} had last",
            owner.operator.line(),
            owner.controller.line()
        )
    });
    format!("the {place} of the run on the node{by}, has steps that this journal lacks: {steps}")
}

fn numbers(steps: &BTreeMap<usize, Option<Status>>) -> String {
    let numbers: Vec<String> = steps.keys().map(ToString::to_string).collect();
    numbers.join(", ")
}
