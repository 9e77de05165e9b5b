//! Runs: added, listed, shown, and given to runners as work.

use std::collections::BTreeMap;

use sqlx::Row as _;
use sqlx::any::AnyRow;
use wire::{
    Confirm, Ended, Mode, Origin, PartKey, PartView, RunState, RunSummary, RunView, Source, Want,
    Work,
};

use super::approvals::{NewConsent, missing};
use super::queue::state_of;
use super::{Store, StoreError, counted, json, parsed, stored, written};
use crate::wire;

/// A run to be stored.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Its name.
    pub run: String,
    /// The manual.
    pub manual: String,
    /// The manual's revision.
    pub revision: Option<String>,
    /// Where a runner finds the manual.
    pub source: Source,
    /// The procedure.
    pub procedure: String,
    /// Its title.
    pub title: String,
    /// SHA-256 of the page.
    pub page_sha256: String,
    /// The arguments.
    pub arguments: BTreeMap<String, String>,
    /// The person who orders it.
    pub asked_by: String,
    /// The reason.
    pub reason: Option<String>,
    /// The ticket.
    pub ticket: Option<String>,
    /// The origin of the order.
    pub origin: Origin,
    /// The client's key of this order.
    pub ask_key: Option<String>,
    /// SHA-256 of the order, to detect another order with the same key.
    pub ask_sha256: String,
    /// How confirmations are answered.
    pub confirm: Confirm,
    /// How many parts may fail.
    pub max_fail: u32,
    /// First step.
    pub start_at: Option<usize>,
    /// Last step.
    pub stop_after: Option<usize>,
    /// Its parts.
    pub parts: Vec<NewPart>,
}

/// A part of a run to be stored.
#[derive(Clone, Debug)]
pub struct NewPart {
    /// The node, or `*`.
    pub node: String,
    /// Its segment.
    pub segment: String,
    /// Its batch, from 1.
    pub batch: usize,
    /// Its nodes.
    pub machines: Vec<String>,
    /// Its words on a command line.
    pub words: Vec<String>,
    /// The hash of its plan.
    pub plan_sha256: String,
    /// The plan's record, JSON.
    pub plan: String,
    /// What must be approved before it begins.
    pub consent: Option<NewConsent>,
}

/// The result of an order.
#[derive(Debug, PartialEq, Eq)]
pub enum Written {
    /// A new run.
    New,
    /// A repeated order.
    Known {
        /// The run.
        run: String,
        /// The hash of the original order.
        ask_sha256: String,
    },
}

/// A filter for runs.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this manual.
    pub manual: Option<String>,
    /// Runs with a part on this node.
    pub node: Option<String>,
    /// Of this procedure.
    pub procedure: Option<String>,
    /// Only this state.
    pub state: Option<RunState>,
    /// Ordered by this person.
    pub by: Option<String>,
    /// Older than this run.
    pub after: Option<String>,
}

const SUMMARY: &str = "id, manual, procedure_id, title, asked_by, owner, reason, origin, state, \
                       status, asked, ended, ticket, revision, page_sha256, arguments, \
                       (select g.reason from glass g where g.run = run.id) as glass";

impl Store {
    /// Stores a run. The same key of the same person makes one run.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn add_run(&self, new: &NewRun) -> Result<Written, StoreError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(self.sql(
            "insert into run (id, manual, revision, source, procedure_id, title, page_sha256, \
               arguments, asked_by, owner, reason, ticket, origin, ask_key, ask_sha256, confirm, \
               max_fail, stop_after, state, asked, events, bytes) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10, $11, $12, $13, $14, $15, $16, \
               $17, 'queued', {now}, 0, 0) \
             on conflict (asked_by, ask_key) do nothing returning id",
        ))
        .bind(&new.run)
        .bind(&new.manual)
        .bind(new.revision.as_deref())
        .bind(json(&new.source))
        .bind(&new.procedure)
        .bind(&new.title)
        .bind(&new.page_sha256)
        .bind(json(&new.arguments))
        .bind(&new.asked_by)
        .bind(new.reason.as_deref())
        .bind(new.ticket.as_deref())
        .bind(new.origin.word())
        .bind(new.ask_key.as_deref())
        .bind(&new.ask_sha256)
        .bind(json(&new.confirm))
        .bind(i64::from(new.max_fail))
        .bind(new.stop_after.map(stored))
        .fetch_optional(&mut *tx)
        .await?;
        if row.is_none() {
            let row =
                sqlx::query("select id, ask_sha256 from run where asked_by = $1 and ask_key = $2")
                    .bind(&new.asked_by)
                    .bind(new.ask_key.as_deref())
                    .fetch_one(&mut *tx)
                    .await?;
            return Ok(Written::Known {
                run: row.try_get(0)?,
                ask_sha256: row.try_get(1)?,
            });
        }
        for part in &new.parts {
            sqlx::query(
                "insert into part (run, node, manual, segment, batch, words, plan_sha256, plan, \
                   state, mode, epoch, start_at, stop_after, crashes, machines) \
                 values ($1, $2, $3, $4, $5, $6, $7, $8, 'waiting', 'begin', 0, $9, $10, 0, $11)",
            )
            .bind(&new.run)
            .bind(&part.node)
            .bind(&new.manual)
            .bind(&part.segment)
            .bind(stored(part.batch))
            .bind(json(&part.words))
            .bind(&part.plan_sha256)
            .bind(&part.plan)
            .bind(new.start_at.map(stored))
            .bind(new.stop_after.map(stored))
            .bind(json(&part.machines))
            .execute(&mut *tx)
            .await?;
        }
        let manner = wire::approve::manner(new.confirm, new.start_at, new.stop_after);
        for part in &new.parts {
            if let Some(consent) = &part.consent {
                let of = (
                    new.run.as_str(),
                    part.node.as_str(),
                    part.machines.as_slice(),
                );
                self.add_consent(&mut tx, of, &manner, consent).await?;
            }
        }
        self.settle(&mut tx, &new.run).await?;
        tx.commit().await?;
        Ok(Written::New)
    }

    /// The run that a person ordered with this key, and the hash of that order.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn known(
        &self,
        person: &str,
        key: Option<&str>,
    ) -> Result<Option<(String, String)>, StoreError> {
        let row =
            sqlx::query("select id, ask_sha256 from run where asked_by = $1 and ask_key = $2")
                .bind(person)
                .bind(key)
                .fetch_optional(self.pool())
                .await?;
        Ok(match row {
            Some(row) => Some((row.try_get(0)?, row.try_get(1)?)),
            None => None,
        })
    }

    /// Whether a run of this name exists.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn has_run(&self, run: &str) -> Result<bool, StoreError> {
        let row = sqlx::query("select 1 from run where id = $1")
            .bind(run)
            .fetch_optional(self.pool())
            .await?;
        Ok(row.is_some())
    }

    /// A page of runs, newest first, and whether there are more.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn runs(&self, filter: &Filter) -> Result<(Vec<RunSummary>, bool), StoreError> {
        let mut text = format!("select {SUMMARY} from run where 1 = 1");
        let mut values: Vec<&str> = Vec::new();
        let mut add = |condition: &str, value: &'_ Option<String>| {
            if value.is_some() {
                let place = format!("${}", text.matches('$').count() + 1);
                text += &condition.replace("$?", &place);
            }
        };
        add(" and id < $?", &filter.after);
        add(" and manual = $?", &filter.manual);
        add(" and procedure_id = $?", &filter.procedure);
        add(" and asked_by = $?", &filter.by);
        let state = filter.state.map(|state| state.word().to_owned());
        add(" and state = $?", &state);
        add(
            // A part with several nodes is found by each of them.
            " and exists (select 1 from part where part.run = run.id and (part.node = $? \
               or replace(part.machines, $?, '') <> part.machines))",
            &filter.node,
        );
        let all = [
            &filter.after,
            &filter.manual,
            &filter.procedure,
            &filter.by,
            &state,
            &filter.node,
        ];
        values.extend(all.into_iter().flatten().map(String::as_str));
        text += &format!(" order by id desc limit {}", wire::limit::PAGE + 1);
        let mut query = sqlx::query(self.sql(&text));
        for value in values {
            query = query.bind(value.to_owned());
        }
        let rows = query.fetch_all(self.pool()).await?;
        let more = rows.len() > wire::limit::PAGE as usize;
        let mut runs = Vec::new();
        for row in rows.iter().take(wire::limit::PAGE as usize) {
            let mut summary = summary(row)?;
            summary.nodes = self.nodes_of(&summary.run).await?;
            runs.push(summary);
        }
        Ok((runs, more))
    }

    async fn nodes_of(&self, run: &str) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query("select node from part where run = $1 order by node limit 100")
            .bind(run)
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// The details of a run.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn run(&self, run: &str) -> Result<Option<RunView>, StoreError> {
        let text = format!("select {SUMMARY} from run where id = $1");
        let row = sqlx::query(self.sql(&text))
            .bind(run)
            .fetch_optional(self.pool())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let rows = sqlx::query("select * from part where run = $1 order by batch, node")
            .bind(run)
            .fetch_all(self.pool())
            .await?;
        let mut parts: Vec<PartView> = rows.iter().map(part_view).collect::<Result<_, _>>()?;
        let mut summary = summary(&row)?;
        let wanted = self.wanted(run).await?;
        for part in &mut parts {
            if let Some(of) = wanted.iter().find(|of| of.node == part.node) {
                part.approve_sha256 = Some(of.sha256.clone());
                part.approved_until = of.until.map(written);
            }
        }
        let wants = match summary.state {
            RunState::WaitingApproval => missing(&wanted, self.now().await?),
            _ => None,
        };
        summary.nodes = parts
            .iter()
            .take(100)
            .map(|part| part.node.clone())
            .collect();
        Ok(Some(RunView {
            summary,
            ticket: row.try_get("ticket")?,
            revision: row.try_get("revision")?,
            page_sha256: row.try_get("page_sha256")?,
            arguments: parsed(row.try_get("arguments")?)?,
            parts,
            questions: self.open_questions(run).await?,
            wants,
            approvals: { wanted.into_iter() }
                .flat_map(|of| of.given.into_iter().map(|(view, _)| view))
                .collect(),
        }))
    }

    /// The plans of a run as JSON, by node.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn plans(&self, run: &str) -> Result<Vec<(String, String)>, StoreError> {
        let rows = sqlx::query("select node, plan from part where run = $1 order by node")
            .bind(run)
            .fetch_all(self.pool())
            .await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect()
    }

    /// Every node of a run.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn machines(&self, run: &str) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query("select machines from part where run = $1")
            .bind(run)
            .fetch_all(self.pool())
            .await?;
        let mut machines: Vec<String> = Vec::new();
        for row in &rows {
            machines.extend(parsed::<Vec<String>>(row.try_get(0)?)?);
        }
        machines.sort();
        machines.dedup();
        Ok(machines)
    }

    /// The data of a claimed part for its runner, without its journal.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn work(&self, key: &PartKey) -> Result<Work, StoreError> {
        let row = sqlx::query(
            "select p.mode, p.words, p.plan_sha256, p.start_at, p.stop_after, r.manual, r.source, \
               r.procedure_id, r.arguments, r.confirm, r.owner, r.asked_by \
             from part p join run r on r.id = p.run where p.run = $1 and p.node = $2",
        )
        .bind(&key.run)
        .bind(&key.node)
        .fetch_one(self.pool())
        .await?;
        let number = |name: &str| -> Result<Option<usize>, StoreError> {
            Ok(row.try_get::<Option<i64>, _>(name)?.map(counted))
        };
        let mode = match row.try_get("mode")? {
            "release" => Mode::Release,
            "begin" if key.epoch == 1 => Mode::Begin,
            _ => Mode::Adopt,
        };
        Ok(Work {
            run: key.run.clone(),
            node: key.node.clone(),
            epoch: key.epoch,
            mode,
            manual: row.try_get("manual")?,
            source: parsed(row.try_get("source")?)?,
            procedure: row.try_get("procedure_id")?,
            words: parsed(row.try_get("words")?)?,
            arguments: parsed(row.try_get("arguments")?)?,
            plan_sha256: row.try_get("plan_sha256")?,
            start_at: number("start_at")?,
            stop_after: number("stop_after")?,
            confirm: parsed(row.try_get("confirm")?)?,
            operator: row.try_get("owner")?,
            journal: Vec::new(),
            journal_lines: 0,
            asked_by: row.try_get("asked_by")?,
            consent: self.consent(&key.run, &key.node).await?,
            login: wire::NodeLogin::Own,
        })
    }

    /// What the parts of a runner should do.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn wants(&self, runner: &str) -> Result<Vec<wire::WantOut>, StoreError> {
        let rows = sqlx::query(
            "select run, node, epoch, wants from part \
             where runner = $1 and state in ('leased', 'unseen') and wants is not null",
        )
        .bind(runner)
        .fetch_all(self.pool())
        .await?;
        let mut wants = Vec::new();
        for row in &rows {
            let Some(wanted) = Want::of(row.try_get("wants")?) else {
                continue;
            };
            let key = super::queue::key_of(row)?;
            wants.push(wire::WantOut {
                run: key.run,
                node: key.node,
                epoch: key.epoch,
                wants: wanted,
            });
        }
        Ok(wants)
    }

    /// The run that currently holds each node.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn holders(&self, manual: &str) -> Result<BTreeMap<String, String>, StoreError> {
        let rows = sqlx::query(
            "select node, run from part where manual = $1 and (state in ('leased', 'unseen') \
               or (state = 'halted' and epoch > 0)) order by run",
        )
        .bind(manual)
        .fetch_all(self.pool())
        .await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect()
    }
}

fn word<T>(found: Option<T>, word: &str) -> Result<T, StoreError> {
    found.ok_or_else(|| StoreError::Unreadable(format!("`{word}` is from a newer gateway")))
}

fn summary(row: &AnyRow) -> Result<RunSummary, StoreError> {
    let (state, origin): (&str, &str) = (row.try_get("state")?, row.try_get("origin")?);
    let status: Option<&str> = row.try_get("status")?;
    Ok(RunSummary {
        run: row.try_get("id")?,
        manual: row.try_get("manual")?,
        procedure: row.try_get("procedure_id")?,
        title: row.try_get("title")?,
        nodes: Vec::new(),
        asked_by: row.try_get("asked_by")?,
        owner: row.try_get("owner")?,
        reason: row.try_get("reason")?,
        break_glass: row.try_get("glass")?,
        origin: word(Origin::of(origin), origin)?,
        state: word(RunState::of(state), state)?,
        status: status.and_then(Ended::of),
        asked: written(row.try_get("asked")?),
        ended: row.try_get::<Option<i64>, _>("ended")?.map(written),
    })
}

fn part_view(row: &AnyRow) -> Result<PartView, StoreError> {
    let status: Option<&str> = row.try_get("status")?;
    let wants: Option<&str> = row.try_get("wants")?;
    Ok(PartView {
        node: row.try_get("node")?,
        segment: row.try_get("segment")?,
        batch: counted(row.try_get("batch")?),
        plan_sha256: row.try_get("plan_sha256")?,
        state: state_of(row.try_get("state")?)?,
        status: status.and_then(Ended::of),
        cause: row.try_get("cause")?,
        epoch: counted(row.try_get("epoch")?),
        runner: row.try_get("runner")?,
        seen: row.try_get::<Option<i64>, _>("seen")?.map(written),
        wants: wants.and_then(Want::of),
        step: row.try_get::<Option<i64>, _>("step")?.map(counted),
        approve_sha256: None,
        approved_until: None,
    })
}
