//! What the node knows of a run: compared with the journal before anything is done, and read
//! into it where the journal lacks it and the operator agrees.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::bundle::{Bundle, BundleError, Claim, Held, Owner, Tale, Told};
use crate::engine::compare::{Step, compare};
use crate::engine::consent::TAKE_IN;
use crate::engine::decide::{Decision, JournalSays, NodeSays, Wanted, decide};
use crate::engine::execute::Attention;
use crate::engine::halt::Halt;
use crate::engine::node::{NodeRun, Origin, begun, token_of};
use crate::engine::question::{Answer, Asked};
use crate::event::{Found, Status, StepEnded, What};
use crate::journal::{self, Record};
use crate::manual::On;
use crate::nodes::{SecretRef, Text};
use crate::plan::{Bound, NodePlan, PlannedStep, PlannedWork};
use crate::session::MASK;

/// The largest output that is read back as a captured value.
const CAPTURED: u64 = 4 << 20;
/// What stands on the node in the place of an output that is not kept.
const NOT_KEPT: &str = "[not kept";

/// Why no other controller can go on with a run of this plan.
#[must_use]
pub fn pinned(plan: &NodePlan) -> Vec<String> {
    let mut reasons = Vec::new();
    let local: Vec<&str> = plan
        .steps
        .iter()
        .filter(|step| step.on == On::Local)
        .map(PlannedStep::label)
        .collect();
    if !local.is_empty() {
        reasons.push(format!("steps run on the controller: {}", local.join(", ")));
    }
    let mut asked = BTreeSet::new();
    for script in plan.steps.iter().filter_map(PlannedStep::script) {
        for binding in script.bindings() {
            if let Bound::Text(Text::Secret(SecretRef::Prompt(_))) = &binding.value {
                asked.insert(binding.name.as_str());
            }
        }
    }
    let asked: Vec<&str> = asked.into_iter().collect();
    if !asked.is_empty() {
        reasons.push(format!("secrets are asked for: {}", asked.join(", ")));
    }
    reasons
}

impl NodeRun<'_> {
    /// What this controller says of itself in the bundle.
    pub(super) fn owner(&self) -> Owner {
        let (line, epoch) = self.recorder.head();
        let mut reasons = pinned(self.plan);
        if self.options.pinned {
            reasons.push("it was asked for".to_owned());
        }
        Owner {
            node: Some(self.plan.node.name.clone()),
            epoch: Some(epoch),
            line: Some((line.seq, line.hash.into())),
            pinned: reasons.into_iter().map(Into::into).collect(),
            ..self.options.owner.clone()
        }
    }

    /// That a part cannot move to another controller is said before it begins.
    pub(super) fn record_pinned(&self) -> Result<(), Halt> {
        let reasons = self.owner().pinned;
        if reasons.is_empty() {
            return Ok(());
        }
        let reasons = reasons.iter().map(|reason| reason.line().to_string());
        let reasons = reasons.collect();
        self.record(None, What::Pinned { reasons })
    }

    /// What is said on the node of the step at hand.
    pub(super) fn claim(&self, step: &PlannedStep) -> Claim {
        Claim {
            sha256: step.sha256.clone(),
            epoch: self.recorder.head().1,
            seq: self.at_hand.line.seq,
            hash: self.at_hand.line.hash.clone(),
            passed: self.letters(step.number - 1),
        }
    }

    /// What is said on the node at the end of the run.
    pub(super) fn last_claim(&self) -> Claim {
        let (line, epoch) = self.recorder.head();
        Claim {
            sha256: self.plan.sha256.clone(),
            epoch,
            seq: line.seq,
            hash: line.hash,
            passed: self.letters(self.plan.steps.len()),
        }
    }

    fn letters(&self, upto: usize) -> String {
        let letter = |number| match self.passed.get(&number) {
            Some(Status::Ok) => 'o',
            Some(Status::ByHand) => 'h',
            Some(Status::Skipped) => 's',
            _ => '-',
        };
        (1..=upto).map(letter).collect()
    }

    /// Compares the journal with the bundle, step by step, before anything is done.
    pub(super) async fn agree(&mut self, record: &Record) -> Result<(), Halt> {
        let told = self.told(record).await?;
        let more = self.compared(record, &told)?;
        let Some(number) = more.first() else {
            return Ok(());
        };
        let end = told.iter().rev().find(|told| told.step == *number);
        let says = match end.and_then(|told| told.end) {
            Some((status, _)) => format!("it ended with {status}"),
            None => "it was begun".to_owned(),
        };
        let decision = self.decision_on_ahead(record, *number, Wanted::GoOn);
        let name = &self.plan.steps[number - 1].name;
        self.refuse(decision, &format!("step {number} `{name}`"), &says)
    }

    /// What is done with a step of which the node has a record that the journal does not know.
    fn decision_on_ahead(&self, record: &Record, number: usize, wanted: Wanted) -> Decision {
        let journal = JournalSays::of_steps(record, &self.plan.node.name);
        let journal = journal.get(&number).copied();
        let journal = journal.unwrap_or(JournalSays::NotBegun);
        decide(journal, NodeSays::Ahead, wanted)
    }

    /// An error where the decision is a refusal.
    fn refuse(&self, decision: Decision, step: &str, says: &str) -> Result<(), Halt> {
        match decision {
            Decision::Refuse(refusal) => {
                let sentence = refusal.sentence(step, says, &self.recorder.run());
                Err(Halt::error(sentence))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn compared(&self, record: &Record, told: &[Told]) -> Result<BTreeSet<usize>, Halt> {
        let steps: Vec<Step<'_>> = self
            .plan
            .steps
            .iter()
            .map(|step| Step {
                number: step.number,
                name: &step.name,
                sha256: &step.sha256,
                commands: match &step.work {
                    PlannedWork::Script(script) => Some(script.commands().len()),
                    PlannedWork::Deliver(_) | PlannedWork::Manual(_) => None,
                },
                reboot: step.reboot,
                looked: match step.on {
                    On::Local => self.local_origin == Origin::Found,
                    On::Node => self
                        .stranger(step)
                        .is_none_or(|user| self.users.contains_key(&user)),
                },
            })
            .collect();
        let compared = compare(&steps, record, &self.plan.node.name, told);
        compared.or_else(|said| {
            let decision = decide(JournalSays::Begun, NodeSays::Contradicts, Wanted::CatchUp);
            self.refuse(decision, "", &said)?;
            Ok(BTreeSet::new())
        })
    }

    /// What all bundles of the run say of its steps.
    async fn told(&mut self, record: &Record) -> Result<Vec<Told>, Halt> {
        let mut told = self.tale().await?.steps;
        let mut strangers = BTreeSet::new();
        for step in &self.plan.steps {
            strangers.extend(
                self.stranger(step)
                    .zip(step.sudo.clone())
                    .map(|(user, _)| user),
            );
        }
        for user in strangers {
            let opened = record.of_node(&self.plan.node.name).any(|event| {
                matches!(&event.what, What::BundleOpened { user: Some(of), .. } if *of == user)
            });
            if opened || self.options.catch_up {
                let user = crate::manual::SudoUser(user);
                let bundle = self.bundle_of(On::Node, Some(&user)).await;
                let bundle = bundle.map_err(Attention::into_halt)?;
                told.extend(bundle.tale().await?.steps);
            }
        }
        if self.local.is_none() && self.has_local_record() {
            self.local_bundle().await?;
        }
        if let Some(local) = &self.local {
            told.extend(local.tale().await?.steps);
        }
        told.sort_by_key(|told| (told.step, told.command));
        Ok(told)
    }

    /// Of the node's own bundle. What root has written in it, root can read.
    async fn tale(&mut self) -> Result<Tale, Halt> {
        let users = self.plan.sudo_users();
        if users.contains(&"root") {
            let root = crate::manual::SudoUser("root".to_owned());
            let bundle = self.bundle_of(On::Node, Some(&root)).await;
            let bundle = bundle.map_err(Attention::into_halt)?;
            return Ok(bundle.tale().await?);
        }
        Ok(self.bundle()?.tale().await?)
    }

    /// Is the bundle of this run's local steps on this machine?
    fn has_local_record(&self) -> bool {
        let owner = format!("{}/owner", self.local_dir());
        let text = std::fs::read_to_string(owner).unwrap_or_default();
        let owner: Option<Owner> = serde_json::from_str(&text).ok();
        owner.is_some_and(|owner| owner.run == self.recorder.run())
    }

    /// Whether the journal has the line at which the bundle was taken last. Where it has not,
    /// another controller has gone on with the run.
    pub(super) fn same_controller(&self, record: &Record, held: Option<&Held>) -> Result<(), Halt> {
        let run = self.recorder.run();
        let owner = held.and_then(|held| held.owner.as_ref());
        let Some(owner) = owner.filter(|owner| owner.run == run) else {
            return Ok(());
        };
        let Some((seq, hash)) = &owner.line else {
            return Ok(());
        };
        if record.line(*seq).is_some_and(|line| *hash == line.hash) {
            return Ok(());
        }
        Err(Halt::error(format!(
            "{}@{} has gone on with this run, and this journal does not know how; `opsbook resume --catch-up {run}` reads that from the node",
            owner.operator.line(),
            owner.controller.line()
        )))
    }

    /// Reads into the journal what the node knows beyond it, from the bundle or, where that was
    /// closed, from the history. Gives the journal as it is then.
    pub(super) async fn catch_up(&mut self, dir: &str, record: &Record) -> Result<Record, Halt> {
        let session = self.reach.session().clone();
        let run = self.recorder.run();
        let old = token_of(record, &self.plan.node.name, false).unwrap_or_default();
        let held = Bundle::look(&session, dir).await?;
        let before = held.and_then(|held| held.owner);
        let before = before.filter(|owner| owner.run == run);
        if let Some(before) = &before {
            self.movable(before)?;
            self.recorder.raise_epoch(before.epoch.unwrap_or(1));
        }
        let owner = self.owner();
        match Bundle::reopen(&session, dir, &run, &self.token, &old, Some(&owner)).await {
            Ok(bundle) => {
                self.bundle = Some(bundle);
                self.touched = true;
                self.taken_over = true;
                self.scope.set_state(On::Node, dir);
                self.record_reopened(dir)?;
                let mut tale = self.tale().await?;
                tale.owner = before;
                let told = self.told(record).await?;
                self.take_in(Found::Bundle, record, &tale, &told).await?;
            }
            Err(BundleError::Gone) => self.catch_up_with_history(dir, record, &owner).await?,
            Err(error) => return Err(error.into()),
        }
        self.recorder.sync()?;
        Ok(journal::read(&self.options.root, &run)?)
    }

    async fn catch_up_with_history(
        &mut self,
        dir: &str,
        record: &Record,
        owner: &Owner,
    ) -> Result<(), Halt> {
        match Bundle::past(self.reach.session(), dir, owner).await? {
            Some(tale) if tale.end.is_some() => {
                let told = tale.steps.clone();
                self.take_in(Found::History, record, &tale, &told).await?;
                self.record_closed(dir.to_owned(), false, None)?;
                self.ended = true;
                self.old_local = None;
                Ok(())
            }
            Some(tale) if !tale.steps.is_empty() => Err(Halt::error(
                "its bundle was given up before the run had ended: what is left of it is in the node's history",
            )),
            _ if begun(record, self.plan) => Err(Halt::error(
                "the node has neither the bundle of this run nor a record of it in its history",
            )),
            _ => Ok(()),
        }
    }

    async fn take_in(
        &mut self,
        from: Found,
        record: &Record,
        tale: &Tale,
        told: &[Told],
    ) -> Result<(), Halt> {
        let more = self.compared(record, told)?;
        self.same_texts(&more, told, tale)?;
        let claims = told
            .iter()
            .filter_map(|told| Some((told.step, told.claim.as_ref()?)));
        let newest = claims.max_by_key(|(_, claim)| (claim.epoch, claim.seq));
        let end = tale
            .end
            .as_ref()
            .map(|end| (self.plan.steps.len() + 1, end));
        let Some((top, claim)) = end.or(newest) else {
            return Ok(());
        };
        let lacking = self.lacking(record, &more, top, claim);
        if lacking.is_empty() {
            return Ok(());
        }
        self.consent(from, tale, &lacking).await?;
        for (number, status) in lacking {
            self.found(from, number, status).await?;
        }
        Ok(())
    }

    /// The steps that are missing in the journal, each with its end where that is known.
    fn lacking(
        &self,
        record: &Record,
        more: &BTreeSet<usize>,
        top: usize,
        claim: &Claim,
    ) -> BTreeMap<usize, Option<Status>> {
        let statuses = record.steps(&self.plan.node.name);
        let mut lacking = BTreeMap::new();
        for (index, letter) in claim.passed.chars().enumerate().take(top.saturating_sub(1)) {
            let number = index + 1;
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
            if number <= self.plan.steps.len() && (!done || more.contains(&number)) {
                lacking.insert(number, Some(status));
            }
        }
        let decision = self.decision_on_ahead(record, top, Wanted::CatchUp);
        if more.contains(&top) && decision == Decision::TakeIn {
            lacking.insert(top, None);
        }
        lacking
    }

    /// Only what the manual says, too, is taken for done.
    fn same_texts(&self, more: &BTreeSet<usize>, told: &[Told], tale: &Tale) -> Result<(), Halt> {
        for told in told.iter().filter(|told| more.contains(&told.step)) {
            let step = &self.plan.steps[told.step - 1];
            let Some(claim) = &told.claim else {
                return Err(Halt::error(format!(
                    "step {} `{}` was started by an older opsbook: which text it had is not known",
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
                    "step {} `{}` has another text on the node than in the manual: put that back first{revision}",
                    step.number, step.name
                )));
            }
        }
        Ok(())
    }

    /// What belongs to its controller cannot be gone on with by another one. The manual says so,
    /// too: a node is not believed alone.
    fn movable(&self, before: &Owner) -> Result<(), Halt> {
        let own = &self.options.owner;
        if (&own.controller, &own.folder) == (&before.controller, &before.folder) {
            return Ok(());
        }
        let said = before.pinned.iter().map(|reason| reason.line().to_string());
        let mut reasons: Vec<String> = said.collect();
        for reason in pinned(self.plan) {
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
                "only its own controller can go on with it ({}): {}, the folder {}",
                reasons.join("; "),
                before.controller.line(),
                folder.line()
            ),
        ))
    }

    async fn consent(
        &mut self,
        from: Found,
        tale: &Tale,
        lacking: &BTreeMap<usize, Option<Status>>,
    ) -> Result<(), Halt> {
        let steps: Vec<String> = lacking.keys().map(ToString::to_string).collect();
        let steps = steps.join(", ");
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
        let about = format!(
            "the {place} of the run on the node{by}, has steps that this journal lacks: {steps}"
        );
        if self.options.yes {
            return self.confirmed_by_yes(None, Some(&about));
        }
        let asks = TAKE_IN.to_owned();
        let node = &self.plan.node.name;
        let asked = What::Asked {
            question: asks.clone(),
            told: Some(about.as_str().into()),
        };
        let asked = self.record_line(None, asked)?;
        let whole = format!("{node}: {about}\n");
        let ask = Asked::Sure {
            about: whole.clone(),
            whole,
            asks,
        };
        let (answer, result) = match self.options.operator.ask(node, ask).await {
            Answer::Yes => ("yes", Ok(())),
            Answer::Nobody => {
                let cause =
                    "catching up is asked about, and there is nobody to ask (`--yes` confirms)";
                ("nobody to ask", Err(Halt::end(Status::Stopped, cause)))
            }
            _ => {
                let cause = "stopped before anything was taken in";
                ("no", Err(Halt::end(Status::Stopped, cause)))
            }
        };
        let answered = What::Answered {
            answer: answer.to_owned(),
            question: Some(asked.seq),
            note: None,
        };
        self.record(None, answered)?;
        result
    }

    /// Writes a step down as the node has it. One without an end is attended to afterwards, as
    /// any step that an earlier controller has started.
    async fn found(
        &mut self,
        from: Found,
        number: usize,
        status: Option<Status>,
    ) -> Result<(), Halt> {
        let plan = self.plan;
        let step = &plan.steps[number - 1];
        let found = What::StepFound {
            name: step.name.clone(),
            title: step.title.clone(),
            from,
            sha256: step.sha256.clone(),
        };
        self.record(Some(step), found)?;
        let Some(status) = status else {
            return Ok(());
        };
        if let (Status::Ok, Some(name), Found::Bundle) = (status, &step.capture, from) {
            self.recapture(step, name).await?;
        }
        let ended = StepEnded {
            status,
            exit: None,
            outcome_unknown: false,
            cause: None,
            note: Some("as its controller told the node".to_owned()),
            evidence: Vec::new(),
            milliseconds: 0,
        };
        self.record(Some(step), What::StepEnded(ended))
    }

    async fn recapture(&mut self, step: &PlannedStep, name: &str) -> Result<(), Halt> {
        let commands = step.script().map_or(0, |script| script.commands().len());
        let label = match commands {
            0 => step.number.to_string(),
            last => format!("{}-{last}", step.number),
        };
        let bundle = self.bundle_of(step.on, step.sudo.as_ref()).await;
        let bundle = bundle.map_err(Attention::into_halt)?;
        let out = bundle.read(&label, "out", 0, CAPTURED).await?;
        let text = String::from_utf8_lossy(&out);
        let value = match text.trim() {
            kept if kept.starts_with(NOT_KEPT) => String::from_utf8_lossy(MASK).into_owned(),
            value => self.options.secrets.mask(value),
        };
        let name = name.to_owned();
        self.record(
            Some(step),
            What::ValueCaptured {
                name,
                value: value.into(),
            },
        )
    }
}
