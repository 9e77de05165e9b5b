//! Continues a run that another controller may have begun. Creates its journal with the first line
//! if it does not exist here. The nodes' records show what was done.

use crate::Project;
use crate::journal::{self, Journal, JournalError, Record};
use crate::plan::Plan;
use crate::run::{Allotted, Manner};
use crate::who::Who;

/// The journal of the run, open at its end, and its contents: at least the start of the run.
///
/// # Errors
/// If the journal cannot be read or written, or another opsbook has it open.
pub fn adopt(
    project: &Project,
    plan: &Plan,
    manner: &Manner,
    who: &Who,
    allotted: &Allotted,
) -> Result<(Journal, Record), JournalError> {
    let (state, run) = (&project.state, &allotted.run);
    let numbered = |journal: &mut Journal| {
        if let Some(epoch) = allotted.epoch {
            journal.set_epoch(epoch);
        }
    };
    if journal::runs(state).contains(run) {
        let (mut journal, record) = Journal::reopen(state, run)?;
        numbered(&mut journal);
        if record.started().is_some() {
            return Ok((journal, record));
        }
        // Its writer died before the first line was complete.
        journal.record(
            None,
            None,
            who.first(plan, manner.start_at, &manner.through),
        )?;
    } else {
        let mut journal = Journal::create(state, run)?;
        numbered(&mut journal);
        journal.record(
            None,
            None,
            who.first(plan, manner.start_at, &manner.through),
        )?;
    }
    let (mut journal, record) = Journal::reopen(state, run)?;
    numbered(&mut journal);
    Ok((journal, record))
}
