//! The queue: claim, sweep, end. No statement ever starts a run again: a part that was
//! leased once is offered as `adopt`, and the node's lock decides.

use std::collections::BTreeSet;

use sqlx::Row as _;
use wire::{EndState, Ended, PartEnd, PartKey, PartState};

use super::people::Runner;
use super::{Store, StoreError, Tx, counted, stored};
use crate::wire;

/// After this many crashes within [`CRASH_WINDOW`], a part waits for a person.
const MOST_CRASHES: i64 = 5;
const CRASH_WINDOW: i64 = 60_000;
/// How often a claim is tried while other gateways claim parts of the same nodes.
const CLAIMS: usize = 3;
/// How long after its end an approval covers a part that has begun, in milliseconds.
const AFTER_BEGIN: i64 = wire::approve::AFTER_BEGIN * 1000;

/// What waits for any runner of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offers {
    /// Parts of runs, some of which it may claim.
    pub parts: bool,
    /// Rounds of checks.
    pub rounds: bool,
}

/// What a runner's message changed.
#[derive(Debug, Default)]
pub struct Renewed {
    /// Parts that no longer belong to this runner.
    pub lost: Vec<PartKey>,
    /// Ends that were stored or came too late.
    pub ended: Vec<PartKey>,
    /// Runs whose state may have changed.
    pub runs: BTreeSet<String>,
    /// Segments in which parts now wait.
    pub segments: BTreeSet<String>,
    /// What waits in the runner's own segment.
    pub offers: Offers,
}

/// What the sweep changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Runs with parts whose runner is unseen.
    pub unseen: Vec<String>,
    /// Runs with parts that are offered again, and their segments.
    pub offered: Vec<(String, String)>,
    /// Runs with parts whose approval expired before they began.
    pub expired: Vec<String>,
}

const CLAIM: &str = "with wanted as materialized ( \
       select p.run as r, p.node as n from part p \
       where p.segment = $1 and p.state = 'queued' \
         and (p.not_before is null or p.not_before <= {now}) \
         and (p.node = '*' or not exists ( \
           select 1 from part q where q.manual = p.manual and q.node = p.node \
             and (q.state in ('leased', 'unseen') \
               or (q.state = 'queued' and q.run < p.run \
                   and (q.not_before is null or q.not_before <= {now}))))) \
         and (p.mode = 'release' or not exists ( \
           select 1 from consent c where c.run = p.run and c.node = p.node \
             and (c.until is null or c.until <= {now} - \
               case when p.epoch > 0 then $6 else 0 end))) \
       order by p.run, p.batch, p.node limit $2 {skip}) \
     update part set state = 'leased', epoch = epoch + 1, runner = $3, boot = $4, \
       lease_until = {now} + $5, seen = {now}, not_before = null \
     where state = 'queued' and (run, node) in (select r, n from wanted) \
     returning run, node, epoch";

impl Store {
    /// Gives a runner parts of its segment, as many as it has room for.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn claim(
        &self,
        runner: &Runner,
        boot: &str,
        room: u32,
    ) -> Result<Vec<PartKey>, StoreError> {
        if room == 0 || self.waits_for_runners(&runner.segment).await? {
            return Ok(Vec::new());
        }
        for _ in 0..CLAIMS {
            match self.claim_once(runner, boot, room).await {
                // Another gateway has just assigned a part of the same node.
                Err(error) if error.is_double() => {}
                claimed => return claimed,
            }
        }
        Ok(Vec::new())
    }

    async fn claim_once(
        &self,
        runner: &Runner,
        boot: &str,
        room: u32,
    ) -> Result<Vec<PartKey>, StoreError> {
        let mut tx = self.begin().await?;
        let claim = CLAIM.replace(
            "{skip}",
            if self.is_postgres() {
                "for update of p skip locked"
            } else {
                ""
            },
        );
        let rows = sqlx::query(self.sql(&claim))
            .bind(&runner.segment)
            .bind(i64::from(room).min(stored(wire::limit::PARTS)))
            .bind(&runner.id)
            .bind(boot)
            .bind(self.leases.lasts)
            .bind(AFTER_BEGIN)
            .fetch_all(&mut *tx)
            .await?;
        let mut claimed = Vec::new();
        for row in &rows {
            let key = key_of(row)?;
            sqlx::query("insert into lease (run, node, epoch, runner) values ($1, $2, $3, $4)")
                .bind(&key.run)
                .bind(&key.node)
                .bind(stored(key.epoch))
                .bind(&runner.id)
                .execute(&mut *tx)
                .await?;
            sqlx::query("update run set state = 'running' where id = $1")
                .bind(&key.run)
                .execute(&mut *tx)
                .await?;
            claimed.push(key);
        }
        tx.commit().await?;
        claimed.sort();
        Ok(claimed)
    }

    /// Stores how a part has ended for a runner.
    pub(super) async fn end(
        &self,
        tx: &mut Tx,
        runner: &Runner,
        end: &PartEnd,
        renewed: &mut Renewed,
    ) -> Result<(), StoreError> {
        self.lock_run(tx, &end.run).await?;
        let cause = end.cause.as_deref().map(bounded);
        let (state, status) = match end.state {
            EndState::Ended => (PartState::Ended, end.status),
            EndState::Halted => (PartState::Halted, end.status.or(Some(Ended::Error))),
            EndState::Busy => {
                if self.is_current(tx, runner, end).await? {
                    self.offer_again(tx, &end.key(), 5_000).await?;
                    renewed.runs.insert(end.run.clone());
                }
                return Ok(());
            }
            EndState::Crashed => {
                if self.is_current(tx, runner, end).await? {
                    self.crashed(tx, end).await?;
                    renewed.runs.insert(end.run.clone());
                    renewed.segments.insert(runner.segment.clone());
                }
                return Ok(());
            }
        };
        // A part that was offered again and not yet taken still belongs to this runner.
        let done = sqlx::query(
            "update part set state = $5, status = $6, cause = $7, wants = null, \
               lease_until = null, not_before = null \
             where run = $1 and node = $2 and epoch = $3 and runner = $4 \
               and state in ('leased', 'unseen', 'queued')",
        )
        .bind(&end.run)
        .bind(&end.node)
        .bind(stored(end.epoch))
        .bind(&runner.id)
        .bind(state.word())
        .bind(status.map(Ended::word))
        .bind(cause)
        .execute(&mut **tx)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(());
        }
        close_questions(tx, &end.run, &end.node).await?;
        if state == PartState::Ended {
            let ok = status == Some(Ended::Ok);
            self.keep_captured(tx, (&end.run, &end.node), ok).await?;
        }
        let segments = self.settle(tx, &end.run).await?;
        renewed.segments.extend(segments);
        // Another part may have waited for this node.
        renewed.segments.insert(runner.segment.clone());
        renewed.runs.insert(end.run.clone());
        Ok(())
    }

    async fn is_current(
        &self,
        tx: &mut Tx,
        runner: &Runner,
        end: &PartEnd,
    ) -> Result<bool, StoreError> {
        let row = sqlx::query(
            "select 1 from part where run = $1 and node = $2 and epoch = $3 and runner = $4 \
               and state in ('leased', 'unseen')",
        )
        .bind(&end.run)
        .bind(&end.node)
        .bind(stored(end.epoch))
        .bind(&runner.id)
        .fetch_optional(&mut **tx)
        .await?;
        Ok(row.is_some())
    }

    async fn crashed(&self, tx: &mut Tx, end: &PartEnd) -> Result<(), StoreError> {
        let row = sqlx::query(self.sql(
            "update part set \
               crashes = case when crashed is not null and crashed > {now} - $3 \
                         then crashes + 1 else 1 end, \
               crashed = {now} \
             where run = $1 and node = $2 returning crashes",
        ))
        .bind(&end.run)
        .bind(&end.node)
        .bind(CRASH_WINDOW)
        .fetch_one(&mut **tx)
        .await?;
        let crashes: i64 = row.try_get(0)?;
        if crashes < MOST_CRASHES {
            return self
                .offer_again(tx, &end.key(), 200 * crashes * crashes)
                .await;
        }
        let cause = format!("its process ended {crashes} times within a minute");
        sqlx::query(
            "update part set state = 'halted', status = 'ERROR', cause = $3, lease_until = null \
             where run = $1 and node = $2",
        )
        .bind(&end.run)
        .bind(&end.node)
        .bind(cause)
        .execute(&mut **tx)
        .await?;
        self.settle(tx, &end.run).await?;
        Ok(())
    }

    /// Offers a part again, for adoption, after this many milliseconds.
    pub(super) async fn offer_again(
        &self,
        tx: &mut Tx,
        key: &PartKey,
        wait: i64,
    ) -> Result<(), StoreError> {
        sqlx::query(self.sql(
            "update part set state = 'queued', lease_until = null, not_before = {now} + $4, \
               mode = case when mode = 'begin' then 'adopt' else mode end \
             where run = $1 and node = $2 and epoch = $3",
        ))
        .bind(&key.run)
        .bind(&key.node)
        .bind(stored(key.epoch))
        .bind(wait)
        .execute(&mut **tx)
        .await?;
        self.settle(tx, &key.run).await?;
        Ok(())
    }

    /// An expired lease means that the part is *unseen*, never that it failed. After `adopt_after`
    /// milliseconds it is offered to the other runners of the segment, if any.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn sweep(&self, adopt_after: i64) -> Result<Swept, StoreError> {
        self.write_seen().await?;
        let mut tx = self.begin().await?;
        let rows = sqlx::query(self.sql(
            "update part set state = 'unseen' where state = 'leased' and lease_until < {now} \
             returning run",
        ))
        .fetch_all(&mut *tx)
        .await?;
        let mut swept = Swept::default();
        for row in &rows {
            swept.unseen.push(row.try_get(0)?);
        }
        let rows = sqlx::query(self.sql(
            "update part set state = 'queued', \
               mode = case when mode = 'begin' then 'adopt' else mode end \
             where state = 'unseen' and lease_until < {now} - $1 and pinned is null \
               and exists (select 1 from runner r where r.segment = part.segment \
                   and r.id <> part.runner and r.seen > {now} - $2) \
             returning run, segment",
        ))
        .bind(adopt_after)
        .bind(self.leases.lasts)
        .fetch_all(&mut *tx)
        .await?;
        for row in &rows {
            swept.offered.push((row.try_get(0)?, row.try_get(1)?));
        }
        swept.expired = self.expired(&mut tx).await?;
        let changed = swept.unseen.iter().chain(&swept.expired);
        for run in changed.chain(swept.offered.iter().map(|(run, _)| run)) {
            self.settle(&mut tx, run).await?;
        }
        tx.commit().await?;
        Ok(swept)
    }

    /// Runs with a part that no runner may take, because its approval has expired: one that has not
    /// begun waits for approval again, one that has begun waits for a person.
    async fn expired(&self, tx: &mut Tx) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query(self.sql(
            "update part set state = case when epoch > 0 then 'halted' else 'waiting' end, \
               status = case when epoch > 0 then 'STOPPED' else null end, \
             cause = 'its approval has expired: approve it again' \
             where state = 'queued' and mode <> 'release' and exists ( \
               select 1 from consent c where c.run = part.run and c.node = part.node \
                 and (c.until is null or c.until <= {now} - \
                   case when part.epoch > 0 then $1 else 0 end)) \
             returning run",
        ))
        .bind(AFTER_BEGIN)
        .fetch_all(&mut **tx)
        .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    fn is_postgres(&self) -> bool {
        self.database == super::Database::Postgres
    }
}

/// Closes the open questions of a part.
async fn close_questions(tx: &mut Tx, run: &str, node: &str) -> Result<(), StoreError> {
    sqlx::query(
        "update question set state = 'closed' where run = $1 and node = $2 and state <> 'closed'",
    )
    .bind(run)
    .bind(node)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) fn key_of(row: &sqlx::any::AnyRow) -> Result<PartKey, StoreError> {
    Ok(PartKey {
        run: row.try_get("run")?,
        node: row.try_get("node")?,
        epoch: counted(row.try_get("epoch")?),
    })
}

pub(super) fn state_of(word: &str) -> Result<PartState, StoreError> {
    PartState::of(word)
        .ok_or_else(|| StoreError::Unreadable(format!("`{word}` is not a state of a part")))
}

/// A runner's text, cut to the longest allowed text.
pub(super) fn bounded(text: &str) -> String {
    let cut = text.floor_char_boundary(wire::limit::TEXT);
    text[..cut].replace('\0', "\u{fffd}")
}
