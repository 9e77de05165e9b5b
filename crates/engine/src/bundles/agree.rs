//! Compares the records in a run's bundles with its journal, before anything is done.

use std::collections::BTreeSet;

use crate::bundle::{Held, NodeRecord, ScriptRecord};
use crate::bundles::compare::{Step, compare};
use crate::bundles::{Bundles, Origin};
use crate::decide::{Decision, JournalSays, NodeSays, Wanted, decide};
use crate::event::What;
use crate::halt::{Attention, Halt};
use crate::journal::Record;
use crate::manual::On;
use crate::plan::PlannedWork;

impl Bundles<'_> {
    /// Compares the journal with the bundle, step by step, before anything is done.
    pub async fn agree(&mut self, record: &Record) -> Result<(), Halt> {
        let told = self.all_records(record).await?;
        let more = self.compared(record, &told)?;
        let Some(number) = more.first() else {
            return Ok(());
        };
        let end = told.iter().rev().find(|told| told.step == *number);
        let says = match end.and_then(|told| told.end) {
            Some((status, _)) => format!("it ended with {status}"),
            None => "it was begun".to_owned(),
        };
        let decision = self.decide_on_ahead(record, *number, Wanted::GoOn);
        let name = self.given.plan.step(*number).map_or("", |step| &step.name);
        self.refuse(decision, &format!("step {number} `{name}`"), &says)
    }

    /// Decides about a step that has a record on the node and none in the journal.
    pub fn decide_on_ahead(&self, record: &Record, number: usize, wanted: Wanted) -> Decision {
        let journal = JournalSays::of_steps(record, self.given.site());
        let journal = journal.get(&number).copied();
        let journal = journal.unwrap_or(JournalSays::NotBegun);
        decide(journal, NodeSays::Ahead, wanted)
    }

    /// Turns a refusal into an error.
    fn refuse(&self, decision: Decision, step: &str, says: &str) -> Result<(), Halt> {
        match decision {
            Decision::Refuse(refusal) => {
                let sentence = refusal.sentence(step, says, &self.given.run());
                Err(Halt::error(sentence))
            }
            _ => Ok(()),
        }
    }

    pub fn compared(
        &self,
        record: &Record,
        told: &[ScriptRecord],
    ) -> Result<BTreeSet<usize>, Halt> {
        let steps: Vec<Step<'_>> = self
            .given
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
                        .other_user(step)
                        .is_none_or(|user| self.users.contains_key(&user)),
                },
            })
            .collect();
        let compared = compare(&steps, record, self.given.site(), told);
        compared.or_else(|said| {
            let decision = decide(JournalSays::Begun, NodeSays::Contradicts, Wanted::CatchUp);
            self.refuse(decision, "", &said)?;
            Ok(BTreeSet::new())
        })
    }

    /// The step records in all bundles of the run.
    pub async fn all_records(&mut self, record: &Record) -> Result<Vec<ScriptRecord>, Halt> {
        let mut told = self.own_records().await?.steps;
        let mut strangers = BTreeSet::new();
        for step in &self.given.plan.steps {
            strangers.extend(
                self.other_user(step)
                    .zip(step.sudo.clone())
                    .map(|(user, _)| user),
            );
        }
        for user in strangers {
            let opened = record.of(self.given.site()).any(|event| {
                matches!(&event.what, What::BundleOpened { user: Some(of), .. } if *of == user)
            });
            if opened || self.given.options.on_lag.catches_up() {
                let user = crate::manual::SudoUser(user);
                let bundle = self.of(On::Node, Some(&user)).await;
                let bundle = bundle.map_err(Attention::into_halt)?;
                told.extend(bundle.tale().await?.steps);
            }
        }
        if self.local.is_none() && self.has_local_record() {
            self.local().await?;
        }
        if let Some(local) = &self.local {
            told.extend(local.tale().await?.steps);
        }
        told.sort_by_key(|told| (told.step, told.command));
        Ok(told)
    }

    /// The records in the login user's bundle; read as root if root wrote some of them.
    pub async fn own_records(&mut self) -> Result<NodeRecord, Halt> {
        let users = self.given.plan.sudo_users();
        if users.contains(&"root") {
            let root = crate::manual::SudoUser("root".to_owned());
            let bundle = self.of(On::Node, Some(&root)).await;
            let bundle = bundle.map_err(Attention::into_halt)?;
            return Ok(bundle.tale().await?);
        }
        Ok(self.own()?.tale().await?)
    }

    /// Checks that the journal has the line at which the bundle was last taken. Otherwise another
    /// controller has continued the run.
    pub fn same_controller(&self, record: &Record, held: Option<&Held>) -> Result<(), Halt> {
        let run = self.given.run();
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
            "{}@{} has continued this run, and this journal lacks the result; `opsbook resume \
             --catch-up {run}` reads it from the node",
            owner.operator.line(),
            owner.controller.line()
        )))
    }
}
