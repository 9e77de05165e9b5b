//! A store that was set back: a standby that was late, or a backup, has taken its place. What it
//! has forgotten of parts, their runners tell.

use std::time::{Duration, Instant};

use sqlx::Row as _;
use wire::{PartKey, RunState};

use super::people::Runner;
use super::{LEASE, Store, StoreError, Tx, stored};
use crate::wire;

/// So many leases of a part a store may have forgotten.
const MOST_FORGOTTEN: i64 = 64;
/// After the database was away, runners say so long what they hold before anything is given out:
/// longer than they wait between two tries.
const RUNNERS_FIRST: Duration = Duration::from_secs(6);

/// What the store knows of a part that a runner says it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// It has forgotten the lease, and has it again.
    Again,
    /// It has forgotten the run, or that people have approved it, or another part has the node by
    /// now. Whoever holds the part goes on with it.
    Beyond,
    /// Somebody else has it, or it has ended.
    Lost,
}

impl Store {
    /// A part that is not this runner's, as far as the store knows. Where the runner has a number
    /// that the store has not given out, the store is the one that has forgotten.
    pub(super) async fn held_after_all(
        &self,
        tx: &mut Tx,
        runner: &Runner,
        key: &PartKey,
    ) -> Result<Held, StoreError> {
        let row = sqlx::query(
            "select epoch, state, segment, \
               (select r.state from run r where r.id = part.run) as of_run, \
               cast(case when exists (select 1 from part q \
                 where q.manual = part.manual and q.node = part.node and q.node <> '*' \
                   and q.run <> part.run and q.state in ('leased', 'unseen')) \
               then 1 else 0 end as bigint) as taken \
             from part where run = $1 and node = $2",
        )
        .bind(&key.run)
        .bind(&key.node)
        .fetch_optional(&mut **tx)
        .await?;
        let Some(row) = row else {
            return Ok(Held::Beyond);
        };
        let (has, told): (i64, i64) = (row.try_get("epoch")?, stored(key.epoch));
        let (state, segment): (&str, &str) = (row.try_get("state")?, row.try_get("segment")?);
        let forgotten = has < told && told <= has + MOST_FORGOTTEN;
        if !forgotten || state == "ended" || segment != runner.segment {
            return Ok(Held::Lost);
        }
        let of_run: &str = row.try_get("of_run")?;
        // A runner's word is no approval: that of people is waited for, whatever it does.
        if row.try_get::<i64, _>("taken")? == 1 || of_run == RunState::WaitingApproval.word() {
            return Ok(Held::Beyond);
        }
        sqlx::query(self.sql(
            "update part set state = 'leased', epoch = $3, runner = $4, \
               boot = (select boot from runner where id = $4), lease_until = {now} + $5, \
               seen = {now}, not_before = null, status = null, cause = null, \
               mode = case when mode = 'begin' then 'adopt' else mode end \
             where run = $1 and node = $2",
        ))
        .bind(&key.run)
        .bind(&key.node)
        .bind(told)
        .bind(&runner.id)
        .bind(LEASE)
        .execute(&mut **tx)
        .await?;
        sqlx::query("insert into lease (run, node, epoch, runner) values ($1, $2, $3, $4)")
            .bind(&key.run)
            .bind(&key.node)
            .bind(told)
            .bind(&runner.id)
            .execute(&mut **tx)
            .await?;
        self.settle(tx, &key.run).await?;
        Ok(Held::Again)
    }

    /// The database could not be reached.
    pub(super) fn note_away(&self) {
        *self.away() = Some(Instant::now());
    }

    /// What is in the store may be older than what runners hold, and they have not said so yet.
    pub(super) fn waits_for_runners(&self) -> bool {
        self.away().is_some_and(|at| at.elapsed() < RUNNERS_FIRST)
    }
}
