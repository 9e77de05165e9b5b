//! Steps that a person has done and `resume --done` names: only their checks run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::bundles::{bounded, by_hand_folder};
use crate::due::first_left;
use crate::event::{Status, What};
use crate::halt::Attention;
use crate::halt::Halt;
use crate::journal::Record;
use crate::manual::On;
use crate::node::NodeRun;
use crate::node::judge::COMPARED;
use crate::node::worked::Worked;
use crate::plan::{NodePlan, PlannedStep};

/// Steps that the operator says were done by hand.
#[derive(Clone, Debug, Default)]
pub struct DoneByHand {
    /// The steps of each node.
    pub steps: BTreeMap<String, BTreeSet<usize>>,
    /// Who says so, and a note.
    pub note: String,
}

/// The first named step that cannot have been done yet, and the unfinished step before it.
#[must_use]
pub fn out_of_turn<'a>(
    node: &'a NodePlan,
    record: &Record,
    told: &BTreeSet<usize>,
) -> Option<(&'a PlannedStep, &'a PlannedStep)> {
    let first = first_left(node, record)?;
    let left = || node.steps.iter().filter(|step| step.number >= first);
    let left_out = left().find(|step| !told.contains(&step.number))?;
    let mut beyond = left().filter(|step| step.number > left_out.number);
    let early = beyond.find(|step| told.contains(&step.number))?;
    Some((early, left_out))
}

impl NodeRun<'_> {
    /// The note of a step that a person has done, from the operator.
    pub fn note_of_done(&self, step: &PlannedStep) -> Option<String> {
        let told = &self.given.options.told;
        let steps = told.steps.get(&self.given.site().to_string())?;
        steps.contains(&step.number).then(|| told.note.clone())
    }

    /// Takes over the output of such a step, if later steps need it.
    pub async fn done_by_hand(&mut self, step: &PlannedStep, note: String) -> Result<Worked, Halt> {
        let worked = Worked::by_hand(Some(note));
        let Some(name) = &step.capture else {
            return Ok(worked);
        };
        let Some(value) = self.printed_by_hand(step).await? else {
            // The operator has given the value.
            if self.scope.get(name).is_some() {
                return Ok(worked);
            }
            let cause = format!(
                "`{name}` is captured from its output, which is unknown: give it with `--set \
                 {name}=…`"
            );
            return Ok(Worked::ended(Status::Error, cause));
        };
        let value = value.trim().to_owned();
        let masked = self.given.options.secrets.mask(&value).into();
        let captured = What::ValueCaptured {
            name: name.clone(),
            value: masked,
        };
        self.given.record(Some(step), captured)?;
        self.scope.set(name, value);
        Ok(worked)
    }

    /// Its output when it ran from the hand-off sheet and ended well.
    async fn printed_by_hand(&mut self, step: &PlannedStep) -> Result<Option<String>, Halt> {
        let label = format!("by-hand.{}", step.number);
        let (ended, out) = if step.on == On::Local && self.local_by_hand().is_dir() {
            let folder = self.local_by_hand().join("steps").join(label);
            let read = |name| bounded(&folder.join(name), COMPARED).unwrap_or_default();
            (read("ended"), read("out"))
        } else {
            // Another user's step leaves it in the login's bundle as well.
            let bundle = match self.bundle_of(step.on, None).await {
                Ok(bundle) => bundle,
                Err(Attention::Halt(halt)) => return Err(halt),
                Err(Attention::Lost(lost)) => return Err(Halt::error(lost.to_string())),
            };
            (
                bundle.read(&label, "ended", 0, 16).await?,
                bundle.read(&label, "out", 0, COMPARED + 1).await?,
            )
        };
        let ended = String::from_utf8_lossy(&ended).trim().parse::<i32>().ok();
        let well = ended.is_some_and(|status| step.exit.contains(&status));
        let text = String::from_utf8(out).ok();
        Ok(text.filter(|text| well && text.len() as u64 <= COMPARED && !text.contains('\0')))
    }

    fn local_by_hand(&self) -> PathBuf {
        by_hand_folder(
            &self.given.options.state,
            &self.given.run(),
            &self.given.site().file_name(),
        )
    }
}
