//! Runs that bypassed the gateway: their reported journals, and the traces that were found on nodes
//! before the report.

use std::collections::BTreeMap;

use sqlx::Row as _;
use wire::sync::{FindingView, How, Trace};
use wire::{Ended, Origin, PartState};

use super::lines::Incoming;
use super::{Store, StoreError, Tx, counted, json, stored, written};
use crate::blobs::Blobs;
use crate::event::{Event, RunStarted, Status, What};
use crate::token::sha256;
use crate::wire;

/// The most runs that a person may report within a day.
const A_DAY: i64 = 2_000;
/// The most controllers of a run.
const MOST_EPOCHS: u64 = 100_000;
/// The most findings of an answer, and the most that are stored for a node.
const MOST: i64 = 1_000;

/// A run that is reported for the first time.
#[derive(Clone, Debug)]
pub struct NewReport {
    /// Its name.
    pub run: String,
    /// The manual.
    pub manual: String,
    /// The contents of its first line.
    pub started: RunStarted,
    /// The time of that line, in milliseconds; at most the store's own time.
    pub at: i64,
    /// Its nodes.
    pub machines: Vec<String>,
    /// The person who reports it.
    pub by: String,
}

impl NewReport {
    /// The node of its only part: a run over several has all of them in one.
    #[must_use]
    pub fn node(&self) -> &str {
        match self.machines.as_slice() {
            [node] => node,
            _ => "*",
        }
    }
}

/// How far a reported journal is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Believed {
    /// Its lines: they are shown under the name of the reporter.
    Lines,
    /// Also its captured values, which describe the nodes.
    Values,
}

/// The result of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The gateway now has the lines up to this one.
    Upto(u64),
    /// Why its lines are refused.
    Refused(String),
    /// This person has reported too many runs.
    TooMany,
}

impl Store {
    /// The number of lines of a run, and the hash of the last one.
    async fn end_of(&self, tx: &mut Tx, run: &str) -> Result<(u64, String), StoreError> {
        let row = sqlx::query(
            "select acked, last_sha256 from thread where run = $1 order by acked desc limit 1",
        )
        .bind(run)
        .fetch_optional(&mut **tx)
        .await?;
        Ok(match row {
            Some(row) => (counted(row.try_get(0)?), row.try_get(1)?),
            // The hash before a journal's first line.
            None => (0, sha256(format!("opsbook run {run}"))),
        })
    }

    /// The number of the last line of a reported run.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn reported(&self, run: &str) -> Result<u64, StoreError> {
        let (acked,): (i64,) =
            sqlx::query_as("select coalesce(max(acked), 0) from thread where run = $1")
                .bind(run)
                .fetch_one(self.pool())
                .await?;
        Ok(counted(acked))
    }

    /// Stores lines of a reported run: each must follow the one before, or none is stored. `new` is
    /// the run itself, if it is not stored yet. Values count for applications only if they are
    /// `believed`.
    ///
    /// # Errors
    /// If the store or the blob folder cannot be written.
    pub async fn take_report(
        &self,
        blobs: &Blobs,
        (run, node): (&str, &str),
        new: Option<&NewReport>,
        (believed, lines): (Believed, &[String]),
    ) -> Result<Taken, StoreError> {
        let mut tx = self.begin().await?;
        if let Some(new) = new
            && !self.add_report(&mut tx, new).await?
        {
            return Ok(Taken::TooMany);
        }
        self.lock_run(&mut tx, run).await?;
        let (last, head) = self.end_of(&mut tx, run).await?;
        let incoming = match chained(run, (last, head), lines) {
            Ok(incoming) => incoming,
            // The rollback also removes the run that was added.
            Err(why) => return Ok(Taken::Refused(why)),
        };
        let events: Vec<Event> = incoming.iter().map(|line| line.event.clone()).collect();
        let upto = events.last().map_or(last, |event| event.seq);
        if let Err(why) = self
            .take_chained(blobs, &mut tx, (run, node), incoming)
            .await?
        {
            return Ok(Taken::Refused(why));
        }
        self.told_by(&mut tx, (run, node), &events, believed)
            .await?;
        self.settle(&mut tx, run).await?;
        tx.commit().await?;
        Ok(Taken::Upto(upto))
    }

    /// Stores the run from its first line. Returns false if this person has reported too many.
    async fn add_report(&self, tx: &mut Tx, new: &NewReport) -> Result<bool, StoreError> {
        let (count,): (i64,) = sqlx::query_as(self.sql(
            "select count(*) from run where asked_by = $1 and origin = $2 \
               and asked > {now} - 86400000",
        ))
        .bind(&new.by)
        .bind(Origin::Laptop.word())
        .fetch_one(&mut **tx)
        .await?;
        if count >= A_DAY {
            return Ok(false);
        }
        let started = &new.started;
        sqlx::query(self.sql(
            "insert into run (id, manual, revision, source, procedure_id, title, page_sha256, \
               arguments, asked_by, owner, reason, origin, ask_sha256, confirm, max_fail, state, \
               asked, events, bytes) \
             values ($1, $2, $3, $4, $5, $6, '', $7, $8, $8, $9, $10, '', $11, 0, 'halted', \
               case when $12 < {now} then $12 else {now} end, 0, 0)",
        ))
        .bind(&new.run)
        .bind(&new.manual)
        .bind(started.revision.as_deref().map(super::queue::bounded))
        .bind(json(&wire::Source::Folder {
            path: String::new(),
        }))
        .bind(&started.procedure)
        .bind(super::queue::bounded(&started.title))
        .bind(json(&started.arguments))
        .bind(&new.by)
        .bind(reason(started))
        .bind(Origin::Laptop.word())
        .bind(json(&wire::Confirm::Ask))
        .bind(new.at)
        .execute(&mut **tx)
        .await?;
        let sum = started
            .plans
            .values()
            .next()
            .map(|plan| plan.sha256.clone());
        sqlx::query(
            "insert into part (run, node, manual, segment, batch, words, plan_sha256, plan, \
               state, mode, epoch, crashes, machines, cause) \
             values ($1, $2, $3, $4, 1, $5, $6, $7, 'halted', 'begin', 1, 0, $5, $8)",
        )
        .bind(&new.run)
        .bind(new.node())
        .bind(&new.manual)
        .bind(crate::config::HERE)
        .bind(json(&new.machines))
        .bind(sum.unwrap_or_default())
        .bind(json(&started.plans))
        .bind(format!("as reported by `{}`", new.by))
        .execute(&mut **tx)
        .await?;
        self.note(
            tx,
            &new.run,
            &new.by,
            "sync",
            &format!("operator {}", started.operator),
        )
        .await?;
        if let Some(why) = &started.break_glass {
            self.broken(tx, new, why).await?;
        }
        Ok(true)
    }

    /// Notifies receivers of a break-glass run.
    async fn broken(&self, tx: &mut Tx, new: &NewReport, why: &str) -> Result<(), StoreError> {
        let why = super::queue::bounded(why);
        sqlx::query("insert into glass (run, reason) values ($1, $2)")
            .bind(&new.run)
            .bind(&why)
            .execute(&mut **tx)
            .await?;
        let body = serde_json::json!({
            "run": new.run,
            "manual": new.manual,
            "procedure": new.started.procedure,
            "nodes": new.machines.iter().take(100).collect::<Vec<_>>(),
            "operator": new.started.operator,
            "reported_by": new.by,
            "reason": why,
        });
        self.notify(
            tx,
            "break-glass",
            &format!("break-glass {}", new.run),
            &body,
        )
        .await
    }

    /// The state of the run from its lines: how it ended, or that it is running.
    async fn told_by(
        &self,
        tx: &mut Tx,
        (run, node): (&str, &str),
        events: &[Event],
        believed: Believed,
    ) -> Result<(), StoreError> {
        for event in events {
            let (state, status) = match &event.what {
                What::RunEnded { status } => end(*status),
                What::RunResumed { .. } => (PartState::Halted, None),
                _ => continue,
            };
            sqlx::query(
                "update part set state = $3, status = $4, \
                   cause = case when $4 = '' then cause else null end, \
                   epoch = case when epoch < $5 then $5 else epoch end \
                 where run = $1 and node = $2",
            )
            .bind(run)
            .bind(node)
            .bind(state.word())
            .bind(status.map_or("", Ended::word))
            .bind(event.epoch.map_or(1, stored))
            .execute(&mut **tx)
            .await?;
            if state == PartState::Ended {
                let count = status == Some(Ended::Ok) && believed == Believed::Values;
                self.keep_captured(tx, (run, node), count).await?;
            }
        }
        Ok(())
    }

    /// Stores unknown runs that left a trace on a node.
    pub(super) async fn found(
        &self,
        tx: &mut Tx,
        (manual, node): (&str, &str),
        runs: &[Trace],
    ) -> Result<(), StoreError> {
        let named = runs.iter().take(wire::check::TRACES);
        for trace in named.filter(|trace| wire::limit::is_run(&trace.run)) {
            let row = sqlx::query("select 1 from run where id = $1")
                .bind(&trace.run)
                .fetch_optional(&mut **tx)
                .await?;
            if row.is_some() {
                continue;
            }
            let again = sqlx::query(self.sql(
                "update finding set seen = {now}, how = $4 \
                 where manual = $1 and node = $2 and run = $3",
            ))
            .bind(manual)
            .bind(node)
            .bind(&trace.run)
            .bind(trace.how.word())
            .execute(&mut **tx)
            .await?;
            if again.rows_affected() > 0 {
                continue;
            }
            // A node that invents names must not fill the store.
            let added = sqlx::query(self.sql(
                "insert into finding (manual, node, run, how, since, seen) \
                 select $1, $2, $3, $4, {now}, {now} \
                 where (select count(*) from finding where manual = $1 and node = $2) < $5",
            ))
            .bind(manual)
            .bind(node)
            .bind(&trace.run)
            .bind(trace.how.word())
            .bind(MOST)
            .execute(&mut **tx)
            .await?;
            if added.rows_affected() == 0 {
                continue;
            }
            let body = serde_json::json!({
                "manual": manual,
                "node": node,
                "run": trace.run,
                "how": trace.how.word(),
            });
            let about = format!("unknown-run {manual} {node} {}", trace.run);
            self.notify(tx, "unknown-run", &about, &body).await?;
        }
        Ok(())
    }

    /// Unknown runs on nodes, newest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn findings(&self, manual: &str, node: &str) -> Result<Vec<FindingView>, StoreError> {
        let rows = sqlx::query(
            "select manual, node, run, how, since, seen from finding f \
             where ($1 = '' or manual = $1) and ($2 = '' or node = $2) \
               and not exists (select 1 from run r where r.id = f.run) \
             order by since desc, node, run desc limit $3",
        )
        .bind(manual)
        .bind(node)
        .bind(MOST)
        .fetch_all(self.pool())
        .await?;
        let mut all = Vec::new();
        for row in &rows {
            let word: &str = row.try_get("how")?;
            let how = How::of(word).ok_or_else(|| {
                StoreError::Unreadable(format!(
                    "`{word}` is from a newer \
                     gateway"
                ))
            })?;
            all.push(FindingView {
                manual: row.try_get("manual")?,
                node: row.try_get("node")?,
                run: row.try_get("run")?,
                how,
                since: written(row.try_get("since")?),
                seen: written(row.try_get("seen")?),
            });
        }
        Ok(all)
    }
}

/// The reason of the run, for lists.
fn reason(started: &RunStarted) -> String {
    let by = super::queue::bounded(&started.operator);
    let at = super::queue::bounded(&started.controller);
    match &started.break_glass {
        Some(why) => super::queue::bounded(why),
        None => format!("by {by} at {at}"),
    }
}

/// The state of a reported run's part: a failed run has a bundle on its nodes, and is resumed where
/// its journal is.
fn end(status: Status) -> (PartState, Option<Ended>) {
    let state = match status {
        Status::Ok | Status::Blocked | Status::Skipped | Status::ByHand => PartState::Ended,
        Status::Failed | Status::Error | Status::Stopped | Status::TimedOut => PartState::Halted,
    };
    (state, Ended::of(status.word()))
}

/// The lines after the last known one, verified to follow each other.
fn chained<'a>(
    run: &str,
    (mut last, mut head): (u64, String),
    lines: &'a [String],
) -> Result<Vec<Incoming<'a>>, String> {
    let mut incoming = Vec::new();
    let mut epochs: BTreeMap<u64, u64> = BTreeMap::new();
    for (place, text) in (1..).zip(lines) {
        let wrong = |why: &str| format!("line {place} of the request: {why}");
        if text.len() > wire::limit::LINE || text.contains(['\n', '\r', '\0']) {
            return Err(wrong("it is too long, or more than one line"));
        }
        let event: Event = serde_json::from_str(text)
            .map_err(|error| wrong(&format!("it is not an event: {error}")))?;
        if event.run != run {
            return Err(wrong("it belongs to another run"));
        }
        let epoch = event.epoch.unwrap_or(1);
        if !(1..=MOST_EPOCHS).contains(&epoch) {
            return Err(wrong("its controller has an invalid number"));
        }
        let node = event.node.as_deref().unwrap_or("x");
        if !wire::limit::is_name(node) {
            return Err(wrong("its node is not a valid name"));
        }
        // For known lines, compare the last one, and thereby all lines before it.
        if event.seq < last || event.seq == last && sha256(text) == head {
            continue;
        }
        if event.seq == last {
            return Err(wrong("another journal of this run was reported earlier"));
        }
        if event.seq != last + 1 {
            return Err(wrong("lines before it are missing"));
        }
        match &event.prev {
            Some(prev) if *prev == head => {}
            Some(_) => return Err(wrong("it does not follow from the line before it")),
            None => {
                return Err(wrong(
                    "it is not chained to the line before it: an older opsbook wrote it",
                ));
            }
        }
        // Epochs must increase: a number that returns would mean two parallel threads.
        if epochs
            .keys()
            .next_back()
            .is_some_and(|highest| epoch < *highest)
        {
            return Err(wrong("its controller continued after a later one"));
        }
        epochs.insert(epoch, event.seq);
        (last, head) = (event.seq, sha256(text));
        incoming.push(Incoming { text, event, epoch });
    }
    Ok(incoming)
}
