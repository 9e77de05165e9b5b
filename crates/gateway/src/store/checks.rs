//! Schedules and their rounds of checks, and each check's outcome with the time since when it
//! holds: a row is written only when the outcome changes.

use sqlx::Row as _;
use wire::check::{CheckView, Outcome, Round, Traces};

use super::people::Runner;
use super::{Store, StoreError, Tx, json, parsed, stored, written};
use crate::wire::{self, NodeLogin};

/// How long a round may take, in milliseconds.
#[expect(clippy::cast_possible_wrap, reason = "ten minutes")]
const LIMIT: i64 = wire::check::LIMIT as i64 * 1000;
/// The most checks of an answer.
pub const MOST: i64 = 1_000;

/// The state of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// When a gateway first saw it: earlier ticks are not executed.
    pub since: i64,
    /// The last executed tick.
    pub last: Option<i64>,
    /// Why that tick failed.
    pub error: Option<String>,
}

/// A round to be stored.
#[derive(Clone, Debug)]
pub struct NewRound {
    /// The segment whose runners evaluate it.
    pub segment: String,
    /// Its number within the segment.
    pub slice: i64,
    /// The round; the store gives it a name.
    pub round: Round,
}

/// A filter for checks.
#[derive(Clone, Debug, Default)]
pub struct ChecksFilter {
    /// Only this node.
    pub node: Option<String>,
    /// Only this name.
    pub check: Option<String>,
    /// Only this outcome.
    pub outcome: Option<Outcome>,
    /// Also past outcomes.
    pub history: bool,
}

impl Store {
    /// The state of a schedule; stores it if it is new.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn schedule(&self, name: &str) -> Result<Seen, StoreError> {
        sqlx::query(self.sql(
            "insert into schedule (name, since) values ($1, {now}) on conflict (name) do nothing",
        ))
        .bind(name)
        .execute(self.pool())
        .await?;
        let row = sqlx::query("select since, last, error from schedule where name = $1")
            .bind(name)
            .fetch_one(self.pool())
            .await?;
        Ok(Seen {
            since: row.try_get("since")?,
            last: row.try_get("last")?,
            error: row.try_get("error")?,
        })
    }

    /// Notes that a tick was executed. Returns false if it, or a later one, was executed before.
    async fn tick(
        &self,
        tx: &mut Tx,
        (schedule, due): (&str, i64),
        error: Option<&str>,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "update schedule set last = $2, error = $3 \
             where name = $1 and (last is null or last < $2)",
        )
        .bind(schedule)
        .bind(due)
        .bind(error.map(super::queue::bounded))
        .execute(&mut **tx)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Notes a tick that failed, or that caused a run with its own name.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn ticked(&self, tick: (&str, i64), error: Option<&str>) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let first = self.tick(&mut tx, tick, error).await?;
        tx.commit().await?;
        Ok(first)
    }

    /// Whether a run of the schedule has not ended.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn open_run_of(&self, person: &str) -> Result<Option<String>, StoreError> {
        let row = sqlx::query(
            "select id from run where asked_by = $1 and state not in ('ended', 'refused') limit 1",
        )
        .bind(person)
        .fetch_optional(self.pool())
        .await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Stores the rounds of a tick, once, by whichever gateway is first. Removes unclaimed rounds
    /// of earlier ticks. Does nothing while a round is in progress.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn add_rounds(
        &self,
        (schedule, due): (&str, i64),
        rounds: &[NewRound],
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        if !self.tick(&mut tx, (schedule, due), None).await? {
            return Ok(false);
        }
        let row = sqlx::query(self.sql(
            "select 1 from round where schedule = $1 and state = 'leased' and lease_until > {now} \
             limit 1",
        ))
        .bind(schedule)
        .fetch_optional(&mut *tx)
        .await?;
        if row.is_some() {
            let why = "the previous round still runs";
            sqlx::query("update schedule set error = $2 where name = $1")
                .bind(schedule)
                .bind(why)
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            return Ok(false);
        }
        sqlx::query("delete from round where schedule = $1")
            .bind(schedule)
            .execute(&mut *tx)
            .await?;
        for NewRound {
            segment,
            slice,
            round,
        } in rounds
        {
            sqlx::query(
                "insert into round (id, schedule, segment, slice, due, state, manual, source, \
                   nodes, checks) values ($1, $2, $3, $4, $5, 'queued', $6, $7, $8, $9)",
            )
            .bind(format!("{schedule}.{segment}.{slice}.{due}"))
            .bind(schedule)
            .bind(segment)
            .bind(slice)
            .bind(due)
            .bind(&round.manual)
            .bind(json(&round.source))
            .bind(json(&round.nodes))
            .bind(json(&round.checks))
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Offers rounds again that a runner was given and does not know. Returns whether there are any.
    pub(super) async fn hear_rounds(
        &self,
        runner: &Runner,
        held: &[String],
    ) -> Result<bool, StoreError> {
        let rows = sqlx::query("select id from round where runner = $1 and state = 'leased'")
            .bind(&runner.id)
            .fetch_all(self.pool())
            .await?;
        let mut again = false;
        for row in &rows {
            let id: String = row.try_get(0)?;
            if !held.contains(&id) {
                sqlx::query(
                    "update round set state = 'queued' \
                     where id = $1 and runner = $2 and state = 'leased'",
                )
                .bind(&id)
                .bind(&runner.id)
                .execute(self.pool())
                .await?;
                again = true;
            }
        }
        Ok(again)
    }

    /// Gives a runner up to this many rounds of its segment.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn claim_rounds(
        &self,
        runner: &Runner,
        most: usize,
    ) -> Result<Vec<Round>, StoreError> {
        let rows = sqlx::query(self.sql(
            "with wanted as materialized ( \
               select id as r from round where segment = $1 and state in ('queued', 'leased') \
                 and (state = 'queued' or lease_until <= {now}) order by due, id limit $4 {skip}) \
             update round set state = 'leased', runner = $2, lease_until = {now} + $3 \
             where id in (select r from wanted) \
             returning id, manual, source, nodes, checks",
        ))
        .bind(&runner.segment)
        .bind(&runner.id)
        .bind(LIMIT)
        .bind(stored(most))
        .fetch_all(self.pool())
        .await?;
        let mut rounds = Vec::new();
        for row in &rows {
            rounds.push(Round {
                id: row.try_get("id")?,
                manual: row.try_get("manual")?,
                source: parsed(row.try_get("source")?)?,
                nodes: parsed(row.try_get("nodes")?)?,
                checks: parsed(row.try_get("checks")?)?,
                login: NodeLogin::Own,
                traces: Traces::Told,
            });
        }
        Ok(rounds)
    }

    /// Checks, those that do not hold first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn checks(&self, filter: &ChecksFilter) -> Result<Vec<CheckView>, StoreError> {
        let outcome = filter.outcome.map_or("", Outcome::word);
        let rows = sqlx::query(
            "select s.*, l.at as looked from span s left join looked l on s.until is null \
               and l.manual = s.manual and l.schedule = s.schedule and l.node = s.node \
             where ($1 = '' or s.node = $1) and ($2 = '' or name = $2) \
               and ($3 = '' or outcome = $3) and ($4 = 1 or until is null) \
             order by case outcome when 'failed' then 0 when 'unknown' then 1 else 2 end, \
               since desc, s.node, name limit $5",
        )
        .bind(filter.node.as_deref().unwrap_or_default())
        .bind(filter.check.as_deref().unwrap_or_default())
        .bind(outcome)
        .bind(i64::from(filter.history))
        .bind(MOST)
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(view).collect()
    }

    /// The checks that do not hold, and those that recovered recently.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn not_held(&self, lately: i64) -> Result<Vec<CheckView>, StoreError> {
        let rows = sqlx::query(self.sql(
            "select s.*, l.at as looked from span s left join looked l on s.until is null \
               and l.manual = s.manual and l.schedule = s.schedule and l.node = s.node \
             where outcome <> 'held' and (until is null or until > {now} - $1) \
             order by since desc, s.node, name limit $2",
        ))
        .bind(lately)
        .bind(MOST)
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(view).collect()
    }
}

fn view(row: &sqlx::any::AnyRow) -> Result<CheckView, StoreError> {
    let word: &str = row.try_get("outcome")?;
    let outcome = Outcome::of(word)
        .ok_or_else(|| StoreError::Unreadable(format!("`{word}` is from a newer gateway")))?;
    Ok(CheckView {
        manual: row.try_get("manual")?,
        node: row.try_get("node")?,
        check: row.try_get("name")?,
        outcome,
        since: written(row.try_get("since")?),
        until: row.try_get::<Option<i64>, _>("until")?.map(written),
        seen: written(match row.try_get("looked")? {
            Some(looked) => looked,
            None => row.try_get("seen")?,
        }),
        run_before: row.try_get("run_before")?,
        evidence: row.try_get("evidence")?,
        place: row.try_get("place")?,
        schedule: row.try_get("schedule")?,
    })
}
