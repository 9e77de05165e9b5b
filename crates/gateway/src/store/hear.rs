//! What the store does with a runner's message: renews its leases, stores ends. Of a thousand
//! runners nearly all have nothing to say, every ten seconds: such a message costs one statement
//! that only reads, and when they were heard is written for all of them at once.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use serde_json::{Value, json};
use sqlx::Row as _;
use wire::{Hello, PartEnd, PartKey};

use super::people::Runner;
use super::queue::{Offers, Renewed, key_of};
use super::set_back::Held;
use super::{Store, StoreError, Tx, stored};
use crate::bell::Topic;
use crate::wire;

/// A part or a round that waits for a runner of the segment `{segment}`.
const PART_WAITS: &str = "exists (select 1 from part p where p.segment = {segment} \
    and p.state = 'queued' and (p.not_before is null or p.not_before <= {now}))";
const ROUND_WAITS: &str = "exists (select 1 from round q where q.segment = {segment} \
    and q.state in ('queued', 'leased') and (q.state = 'queued' or q.lease_until <= {now}))";

/// Whether a runner that does not name one of its leases certainly does not have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// `work`: all earlier answers have arrived or never will.
    InOrder,
    /// `beat`: an answer with new parts may be on its way.
    Beside,
}

/// What the store knows of a runner.
struct Known {
    boot: String,
    version: String,
    room: i64,
    /// Whether it has parts that have not ended.
    parts: bool,
    /// Whether it has rounds of checks.
    rounds: bool,
    offers: Offers,
}

impl Known {
    fn is_as(&self, hello: &Hello) -> bool {
        self.boot == hello.boot
            && self.version == hello.version
            && self.room == i64::from(hello.room)
    }
}

impl Store {
    /// Handles a runner's message.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn hear(
        &self,
        runner: &Runner,
        hello: &Hello,
        heard: Heard,
    ) -> Result<Renewed, StoreError> {
        let known = self.known_of(runner).await?;
        let mut offers = known.as_ref().map(|known| known.offers);
        if let Some(held) = &hello.rounds
            && heard == Heard::InOrder
            && known.as_ref().is_some_and(|known| known.rounds)
            && self.hear_rounds(runner, held).await?
        {
            offers = None;
        }
        let is_idle = hello.parts.is_empty() && hello.ended.is_empty();
        let mut renewed = match known {
            Some(known) if is_idle && !known.parts && known.is_as(hello) => {
                let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.insert(runner.id.clone());
                Renewed::default()
            }
            known => {
                offers = None;
                self.hear_parts(runner, hello, (heard, known)).await?
            }
        };
        if self.away.hear(&runner.id) {
            renewed.segments.insert(runner.segment.clone());
        }
        renewed.offers = match offers {
            Some(offers) => offers,
            None => self.offers(&runner.segment).await?,
        };
        Ok(renewed)
    }

    async fn known_of(&self, runner: &Runner) -> Result<Option<Known>, StoreError> {
        let text = format!(
            "select boot, version, room, {} as parts, {} as rounds, {} as part_waits, \
               {} as round_waits from runner where id = $1",
            number(
                "exists (select 1 from part where runner = runner.id \
                   and state in ('leased', 'unseen', 'queued'))"
            ),
            number("exists (select 1 from round where runner = runner.id and state = 'leased')"),
            number(PART_WAITS),
            number(ROUND_WAITS)
        );
        let row = sqlx::query(self.sql(&text.replace("{segment}", "runner.segment")))
            .bind(&runner.id)
            .fetch_optional(self.pool())
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Known {
            boot: row.try_get("boot")?,
            version: row.try_get("version")?,
            room: row.try_get("room")?,
            parts: is(&row, "parts")?,
            rounds: is(&row, "rounds")?,
            offers: offers_of(&row)?,
        }))
    }

    /// What waits for the runners of a segment.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn offers(&self, segment: &str) -> Result<Offers, StoreError> {
        let text = format!(
            "select {} as part_waits, {} as round_waits",
            number(PART_WAITS),
            number(ROUND_WAITS)
        );
        let row = sqlx::query(self.sql(&text.replace("{segment}", "$1")))
            .bind(segment)
            .fetch_one(self.pool())
            .await?;
        offers_of(&row)
    }

    /// Renews the leases of the named parts, stores the ends of others.
    async fn hear_parts(
        &self,
        runner: &Runner,
        hello: &Hello,
        (heard, known): (Heard, Option<Known>),
    ) -> Result<Renewed, StoreError> {
        let mut tx = self.begin().await?;
        let mut renewed = Renewed::default();
        self.greet(&mut tx, runner, hello).await?;
        for end in &hello.ended {
            self.held_after_all(&mut tx, runner, &end.key()).await?;
            self.end(&mut tx, runner, end, &mut renewed).await?;
            renewed.ended.push(end.key());
        }
        let ended: BTreeSet<PartKey> = hello.ended.iter().map(PartEnd::key).collect();
        let named: BTreeSet<PartKey> = hello.parts.iter().cloned().collect();
        let rows = sqlx::query(
            "select run, node, epoch, boot, state from part \
             where runner = $1 and state in ('leased', 'unseen', 'queued') order by run, node",
        )
        .bind(&runner.id)
        .fetch_all(&mut *tx)
        .await?;
        let mut held = BTreeSet::new();
        for row in &rows {
            let key = key_of(row)?;
            let boot: Option<String> = row.try_get("boot")?;
            let state: String = row.try_get("state")?;
            // A part that is offered again and not yet taken still belongs to this runner.
            if named.contains(&key) {
                if state != "leased" {
                    renewed.runs.insert(key.run.clone());
                }
                renew(self, &mut tx, &key, &hello.boot).await?;
                held.insert(key);
            } else if state != "queued"
                && (heard == Heard::InOrder || boot.as_deref() != Some(&hello.boot))
            {
                self.offer_again(&mut tx, &key, 0).await?;
                renewed.runs.insert(key.run.clone());
                renewed.segments.insert(runner.segment.clone());
            }
        }
        for key in named.difference(&held) {
            if ended.contains(key) {
                continue;
            }
            match self.held_after_all(&mut tx, runner, key).await? {
                Held::Again => drop(renewed.runs.insert(key.run.clone())),
                Held::Beyond => {}
                Held::Lost => renewed.lost.push(key.clone()),
            }
        }
        tx.commit().await?;
        if known.is_some_and(|known| known.boot != hello.boot) {
            renewed.segments.insert(runner.segment.clone());
        }
        Ok(renewed)
    }

    /// Notes the runner's process, and that it was heard.
    async fn greet(&self, tx: &mut Tx, runner: &Runner, hello: &Hello) -> Result<(), StoreError> {
        sqlx::query(self.sql(
            "update runner set version = $2, boot = $3, room = $4, seen = {now} where id = $1",
        ))
        .bind(&runner.id)
        .bind(&hello.version)
        .bind(&hello.boot)
        .bind(i64::from(hello.room))
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Notes the runners that were heard since the last time and had nothing to say.
    pub(super) async fn write_seen(&self) -> Result<(), StoreError> {
        let seen = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *seen)
        };
        if seen.is_empty() {
            return Ok(());
        }
        let rows = seen.iter().map(|id| json!({"id": id}));
        let text = format!(
            "update runner set seen = {{now}} where id in (select j.id from {})",
            self.listed("$1", &["id"])
        );
        let rows: Value = rows.collect();
        let query = sqlx::query(self.sql(&text)).bind(rows.to_string());
        query.execute(self.pool()).await?;
        Ok(())
    }

    /// Everything that runners wait for now, in case a ring was lost.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn calls(&self) -> Result<Vec<Topic>, StoreError> {
        let rows = sqlx::query(self.sql(
            "select 'segment ' || segment from part where state = 'queued' \
               and (not_before is null or not_before <= {now}) \
             union select 'segment ' || segment from round where state in ('queued', 'leased') \
               and (state = 'queued' or lease_until <= {now}) \
             union select 'runner ' || runner from part \
               where state in ('leased', 'unseen') and wants is not null and runner is not null \
             union select 'runner ' || p.runner from question q \
               join part p on p.run = q.run and p.node = q.node and p.epoch = q.epoch \
               where q.state = 'answered' and p.state in ('leased', 'unseen') \
                 and p.runner is not null",
        ))
        .fetch_all(self.pool())
        .await?;
        let mut topics = Vec::new();
        for row in &rows {
            topics.extend(row.try_get::<&str, _>(0)?.parse::<Topic>());
        }
        Ok(topics)
    }
}

/// A condition as a column: the two databases have different kinds of truth.
fn number(condition: &str) -> String {
    format!("cast(case when {condition} then 1 else 0 end as bigint)")
}

fn is(row: &sqlx::any::AnyRow, column: &str) -> Result<bool, StoreError> {
    Ok(row.try_get::<i64, _>(column)? == 1)
}

fn offers_of(row: &sqlx::any::AnyRow) -> Result<Offers, StoreError> {
    Ok(Offers {
        parts: is(row, "part_waits")?,
        rounds: is(row, "round_waits")?,
    })
}

async fn renew(store: &Store, tx: &mut Tx, key: &PartKey, boot: &str) -> Result<(), StoreError> {
    sqlx::query(store.sql(
        "update part set state = 'leased', lease_until = {now} + $4, seen = {now}, boot = $5 \
         where run = $1 and node = $2 and epoch = $3",
    ))
    .bind(&key.run)
    .bind(&key.node)
    .bind(stored(key.epoch))
    .bind(store.leases.lasts)
    .bind(boot)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
