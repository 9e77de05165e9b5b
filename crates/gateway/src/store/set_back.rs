//! A store that went back in time: a late standby or a backup has replaced it. The runners restore
//! the forgotten state of their parts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::Row as _;
use wire::{PartKey, RunState};

use super::people::Runner;
use super::{Store, StoreError, Tx, stored};
use crate::wire;

/// How many leases of a part a store may have forgotten.
const MOST_FORGOTTEN: i64 = 64;
/// After the start, and after the database was unreachable, runners have this long to report what
/// they hold before anything is assigned: twice their longest pause between two tries.
const RUNNERS_FIRST: Duration = Duration::from_secs(10);
/// A runner that has been silent for longer, in milliseconds, is not waited for.
const ALIVE: i64 = 7 * 24 * 60 * 60 * 1000;

/// What the store knows of a part that a runner reports to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// It had forgotten the lease, and has restored it, now or a moment ago.
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
        // The runner's message and its lines may arrive at the same time.
        self.lock_run(tx, &key.run).await?;
        let row = sqlx::query(
            "select epoch, state, segment, runner, \
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
        let of: Option<&str> = row.try_get("runner")?;
        let is_held = matches!(state, "leased" | "unseen" | "queued");
        if has == told && of == Some(&runner.id) && is_held {
            return Ok(Held::Again);
        }
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
        .bind(self.leases.lasts)
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

    /// Notes that the database was unreachable, or is another one than before.
    pub fn may_be_older(&self) {
        self.away.note();
    }

    /// Whether the store may be older than what runners hold, and some runner of this segment has
    /// not reported yet.
    pub(super) async fn waits_for_runners(&self, segment: &str) -> Result<bool, StoreError> {
        let Some(mut heard) = self.away.heard() else {
            return Ok(false);
        };
        // A runner that this gateway has heard before may be one that the store has forgotten.
        let of_segment = format!("{segment}.");
        heard.retain(|runner, _| runner.starts_with(&of_segment));
        if heard.values().any(|heard| !heard) {
            return Ok(true);
        }
        let alive = "select id from runner where segment = $1 and seen > {now} - $2";
        let rows = sqlx::query(self.sql(alive))
            .bind(segment)
            .bind(ALIVE)
            .fetch_all(self.pool())
            .await?;
        for row in &rows {
            if !heard.contains_key(row.try_get::<&str, _>(0)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The time after which runners are no longer waited for, if they are now.
    #[must_use]
    pub fn runners_first(&self) -> Option<Duration> {
        self.away.left()
    }
}

/// When the store may have gone back in time, and which runners have reported since.
#[derive(Clone, Debug)]
pub(super) struct Away(Arc<Mutex<Since>>);

#[derive(Debug)]
struct Since {
    at: Instant,
    /// The runners that this gateway knows, and whether they have reported since.
    heard: BTreeMap<String, bool>,
    /// The start time of the server of the newest connection.
    server: Option<String>,
}

impl Away {
    /// A store that was just opened may be a backup.
    pub fn new() -> Away {
        Away(Arc::new(Mutex::new(Since {
            at: Instant::now(),
            heard: BTreeMap::new(),
            server: None,
        })))
    }

    fn since(&self) -> MutexGuard<'_, Since> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn note(&self) {
        let mut since = self.since();
        since.at = Instant::now();
        since.heard.values_mut().for_each(|heard| *heard = false);
    }

    /// Notes a new connection. Another server than before may be a late standby, even if nobody
    /// has noticed that the old one is gone.
    pub fn connected(&self, server: &str) {
        let before = self.since().server.replace(server.to_owned());
        if before.is_some_and(|before| before != server) {
            self.note();
        }
    }

    /// Notes that a runner has reported. Returns true if others may have waited for that.
    pub fn hear(&self, runner: &str) -> bool {
        let mut since = self.since();
        let before = since.heard.insert(runner.to_owned(), true);
        before != Some(true) && since.at.elapsed() < RUNNERS_FIRST
    }

    /// How long runners may still be waited for.
    fn left(&self) -> Option<Duration> {
        RUNNERS_FIRST.checked_sub(self.since().at.elapsed())
    }

    /// The known runners, as long as they may be waited for.
    fn heard(&self) -> Option<BTreeMap<String, bool>> {
        let since = self.since();
        (since.at.elapsed() < RUNNERS_FIRST).then(|| since.heard.clone())
    }
}
