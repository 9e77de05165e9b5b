//! The state of a run, derived from its parts, and the batch that may begin next.

use std::collections::BTreeSet;

use sqlx::Row as _;
use wire::{Ended, PartState, RunState};

use super::queue::state_of;
use super::{Store, StoreError, Tx, counted};
use crate::wire;

impl Store {
    /// Locks the run's row, so that one writer at a time decides about its parts. Returns false if
    /// the run does not exist.
    pub(super) async fn lock_run(&self, tx: &mut Tx, run: &str) -> Result<bool, StoreError> {
        let row = sqlx::query(self.sql("select id from run where id = $1 {lock}"))
            .bind(run)
            .fetch_optional(&mut **tx)
            .await?;
        Ok(row.is_some())
    }

    /// Derives the run's state from its parts, and queues the next batch if the one before went
    /// well. Returns segments in which parts now wait.
    pub(super) async fn settle(
        &self,
        tx: &mut Tx,
        run: &str,
    ) -> Result<BTreeSet<String>, StoreError> {
        self.lock_run(tx, run).await?;
        let mut parts = self.standing(tx, run).await?;
        let row = sqlx::query(
            "select max_fail, state, procedure_id, title, owner, ticket from run where id = $1",
        )
        .bind(run)
        .fetch_one(&mut **tx)
        .await?;
        let (max_fail, was): (i64, &str) = (row.try_get(0)?, row.try_get(1)?);
        let about = About {
            procedure: row.try_get(2)?,
            title: row.try_get(3)?,
            owner: row.try_get(4)?,
            ticket: row.try_get(5)?,
        };
        let mut segments = BTreeSet::new();
        if was == RunState::Refused.word() {
            return Ok(segments);
        }
        let begun = parts.iter().any(Standing::has_begun);
        if !begun && parts.iter().any(Standing::waits_for_approval) {
            // Nothing begins before everything required is approved.
            sqlx::query("update part set state = 'waiting' where run = $1 and state = 'queued'")
                .bind(run)
                .execute(&mut **tx)
                .await?;
            for part in parts
                .iter_mut()
                .filter(|part| part.state == PartState::Queued)
            {
                part.state = PartState::Waiting;
            }
        } else if let Some(next) = next_batch(&parts, counted(max_fail)) {
            sqlx::query(
                "update part set state = 'queued', cause = null \
                 where run = $1 and batch = $2 and state = 'waiting'",
            )
            .bind(run)
            .bind(next)
            .execute(&mut **tx)
            .await?;
            let due = |part: &&mut Standing| part.batch == next && part.state == PartState::Waiting;
            for part in parts.iter_mut().filter(due) {
                if part.waits_for_approval() {
                    sqlx::query("update part set state = 'waiting' where run = $1 and node = $2")
                        .bind(run)
                        .bind(&part.node)
                        .execute(&mut **tx)
                        .await?;
                } else {
                    part.state = PartState::Queued;
                    segments.insert(part.segment.clone());
                }
            }
        }
        let state = state_of_run(&parts);
        let statuses = parts.iter().filter_map(|part| part.status);
        let status = statuses.reduce(Ended::worse);
        let over = state == RunState::Ended;
        let shown = if over || state == RunState::Halted {
            status
        } else {
            None
        };
        if state.word() != was {
            self.tell_state(tx, (run, &about), state, shown).await?;
        }
        sqlx::query(self.sql(
            "update run set state = $2, status = $3, \
               ended = case when $4 = 1 then coalesce(ended, {now}) else null end \
             where id = $1",
        ))
        .bind(run)
        .bind(state.word())
        .bind(shown.map(Ended::word))
        .bind(i64::from(over))
        .execute(&mut **tx)
        .await?;
        Ok(segments)
    }

    /// Notifies receivers of a run that waits for a person or has ended.
    async fn tell_state(
        &self,
        tx: &mut Tx,
        (run, about): (&str, &About<'_>),
        state: RunState,
        status: Option<Ended>,
    ) -> Result<(), StoreError> {
        let kind = match state {
            RunState::Halted => "run-halted",
            RunState::WaitingApproval => "approval-wanted",
            RunState::Ended => "run-ended",
            RunState::Queued | RunState::Running | RunState::Refused => {
                return Ok(());
            }
        };
        let body = serde_json::json!({
            "run": run,
            "procedure": about.procedure,
            "title": about.title,
            "owner": about.owner,
            "ticket": about.ticket,
            "status": status.map(Ended::word),
        });
        self.notify(tx, kind, &format!("{kind} {run}"), &body).await
    }

    async fn standing(&self, tx: &mut Tx, run: &str) -> Result<Vec<Standing>, StoreError> {
        let rows = sqlx::query(self.sql(
            "select p.node, p.batch, p.state, p.status, p.segment, p.epoch, \
               cast(case when c.run is not null and (c.until is null or c.until <= {now}) \
                 then 1 else 0 end as bigint) as unapproved \
             from part p left join consent c on c.run = p.run and c.node = p.node \
             where p.run = $1 order by p.batch",
        ))
        .bind(run)
        .fetch_all(&mut **tx)
        .await?;
        let mut parts = Vec::new();
        for row in &rows {
            let status: Option<&str> = row.try_get("status")?;
            let unapproved: i64 = row.try_get("unapproved")?;
            parts.push(Standing {
                node: row.try_get("node")?,
                batch: row.try_get("batch")?,
                state: state_of(row.try_get("state")?)?,
                status: status.and_then(Ended::of),
                segment: row.try_get("segment")?,
                epoch: row.try_get("epoch")?,
                unapproved: unapproved == 1,
            });
        }
        Ok(parts)
    }
}

/// Further data in messages about a run.
struct About<'a> {
    procedure: &'a str,
    title: &'a str,
    owner: &'a str,
    ticket: Option<&'a str>,
}

/// A part, for the state of its run.
struct Standing {
    node: String,
    batch: i64,
    state: PartState,
    status: Option<Ended>,
    segment: String,
    epoch: i64,
    /// It needs an approval and has no valid one.
    unapproved: bool,
}

impl Standing {
    /// Something of it was done, or a person has decided about it.
    fn has_begun(&self) -> bool {
        self.epoch > 0 || matches!(self.state, PartState::Halted | PartState::Ended)
    }

    fn waits_for_approval(&self) -> bool {
        let open = match self.state {
            // A begun part waits for approval if it is continued with other options.
            PartState::Waiting => true,
            PartState::Queued => self.epoch == 0,
            _ => false,
        };
        self.unapproved && open
    }
}

/// The state of a run, from its parts.
fn state_of_run(parts: &[Standing]) -> RunState {
    let states: Vec<PartState> = parts.iter().map(|part| part.state).collect();
    let state = RunState::of_parts(&states);
    let next = parts.iter().filter(|part| part.state == PartState::Waiting);
    let next = next.map(|part| part.batch).min();
    let due = parts.iter().filter(|part| Some(part.batch) == next);
    let approval = due.into_iter().any(Standing::waits_for_approval);
    // If an earlier batch failed, a person must first decide about that.
    let bad = |part: &Standing| {
        part.state == PartState::Halted
            || part.state == PartState::Ended && part.status.is_some_and(|status| !status.goes_on())
    };
    if state == RunState::Halted && approval && !parts.iter().any(bad) {
        return RunState::WaitingApproval;
    }
    state
}

/// The due batch: the first waiting one, if no earlier part is running and at most `max_fail` of
/// the earlier parts failed.
fn next_batch(parts: &[Standing], max_fail: usize) -> Option<i64> {
    let waiting = parts.iter().filter(|part| part.state == PartState::Waiting);
    let next = waiting.map(|part| part.batch).min()?;
    let mut bad = 0;
    for part in parts.iter().filter(|part| part.batch < next) {
        match part.state {
            PartState::Ended if part.status.is_none_or(Ended::goes_on) => {}
            PartState::Ended | PartState::Halted => bad += 1,
            PartState::Waiting | PartState::Queued | PartState::Leased | PartState::Unseen => {
                return None;
            }
        }
    }
    (bad <= max_fail).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use PartState::{Ended as Over, Halted, Leased, Queued, Waiting};

    #[test]
    fn the_next_batch_waits_for_the_one_before() {
        let part = |batch, state, status| Standing {
            node: String::new(),
            batch,
            state,
            status,
            segment: String::new(),
            epoch: 0,
            unapproved: false,
        };
        let waiting = || part(2, Waiting, None);
        for (first, max_fail, expected) in [
            (part(1, Queued, None), 0, None),
            (part(1, Leased, None), 9, None),
            (part(1, Over, Some(Ended::Ok)), 0, Some(2)),
            (part(1, Over, Some(Ended::Blocked)), 0, None),
            (part(1, Over, Some(Ended::Blocked)), 1, Some(2)),
            (part(1, Halted, Some(Ended::Failed)), 0, None),
            (part(1, Halted, Some(Ended::Failed)), 1, Some(2)),
            (part(1, Over, Some(Ended::Skipped)), 0, Some(2)),
        ] {
            assert_eq!(next_batch(&[first, waiting()], max_fail), expected);
        }
        assert_eq!(next_batch(&[part(1, Over, Some(Ended::Ok))], 0), None);
    }
}
