//! A store that went back in time: a late standby or a backup has replaced it. The runners restore
//! the forgotten state of their parts.

use std::time::{Duration, Instant};

use sqlx::Row as _;
use wire::{PartKey, RunState};

use super::people::Runner;
use super::{LEASE, Store, StoreError, Tx, stored};
use crate::wire;

/// How many leases of a part a store may have forgotten.
const MOST_FORGOTTEN: i64 = 64;
/// After the database was unreachable, runners have this long to report what they hold before
/// anything is assigned: longer than their pause between two tries.
const RUNNERS_FIRST: Duration = Duration::from_secs(6);

/// What the store knows of a part that a runner reports to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// It had forgotten the lease, and has restored it.
    Again,
    /// It has forgotten the run or its approvals, or has given the node to another part by now.
    /// Whoever holds the part continues with it.
    Beyond,
    /// The part belongs to another runner, or has ended.
    Lost,
}

impl Store {
    /// Handles a part that does not belong to this runner according to the store. If the runner has
    /// an epoch that the store has not assigned, the store has forgotten it.
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
        // A runner's word does not replace an approval: the run waits for people.
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

    /// Notes that the database was unreachable.
    pub(super) fn note_away(&self) {
        *self.away() = Some(Instant::now());
    }

    /// Whether the store may be older than what runners hold, and they have not reported yet.
    pub(super) fn waits_for_runners(&self) -> bool {
        self.away().is_some_and(|at| at.elapsed() < RUNNERS_FIRST)
    }
}
