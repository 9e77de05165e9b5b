//! The results of a round of checks: compared with the stored outcomes, and written only if they
//! differ. A round without news takes a few statements, whatever its size.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::Row as _;
use wire::check::{Checked, CheckedNode, EVIDENCE, Outcome};

use super::people::Runner;
use super::{Store, StoreError, Tx, parsed, places};
use crate::wire;

/// The values that are bound for each new span, and the most spans of a statement.
const COLUMNS: usize = 6;
const AT_ONCE: usize = 1_000;

/// The current outcome of a check.
struct Span {
    outcome: String,
    evidence: String,
    schedule: String,
}

/// The checks of a node, by their names.
type Spans = BTreeMap<String, Span>;

/// A round's result for a check.
struct CheckResult<'a> {
    outcome: Outcome,
    evidence: &'a str,
    place: &'a str,
}

/// A span that begins with this result.
struct NewSpan<'a> {
    node: &'a str,
    name: &'a str,
    said: CheckResult<'a>,
}

impl Store {
    /// Stores the results of a round. Returns false if the round no longer belongs to this runner.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn take_checked(
        &self,
        runner: &Runner,
        checked: &Checked,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(
            "update round set state = 'done' where id = $1 and runner = $2 and state = 'leased' \
             returning schedule, manual, nodes",
        )
        .bind(&checked.id)
        .bind(&runner.id)
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = row else { return Ok(false) };
        let schedule: String = row.try_get("schedule")?;
        let manual: String = row.try_get("manual")?;
        let asked: Vec<String> = parsed(row.try_get("nodes")?)?;
        // Rounds of one schedule wait for each other only if the error changes.
        let error = checked.error.as_deref().map(super::queue::bounded);
        sqlx::query("update schedule set error = $2 where name = $1 and coalesce(error, '') <> $3")
            .bind(&schedule)
            .bind(error.as_deref())
            .bind(error.as_deref().unwrap_or_default())
            .execute(&mut *tx)
            .await?;
        // Each node counts once.
        let mut names = BTreeSet::new();
        let nodes: Vec<&CheckedNode> = { checked.nodes.iter() }
            .filter(|of| asked.contains(&of.node) && names.insert(of.node.as_str()))
            .collect();
        let mut spans = self.spans(&mut tx, &manual, &names).await?;
        let mut new: Vec<NewSpan<'_>> = Vec::new();
        for of in nodes {
            let held = of.held.iter().map(|name| {
                let said = CheckResult {
                    outcome: Outcome::Held,
                    evidence: "",
                    place: "",
                };
                (name.as_str(), said)
            });
            let others = of.others.iter().map(|other| {
                let said = CheckResult {
                    outcome: other.outcome,
                    evidence: cut(&other.evidence),
                    place: cut(&other.place),
                };
                (other.check.as_str(), said)
            });
            self.found(&mut tx, (&manual, &of.node), &of.runs).await?;
            let all = held.chain(others).collect();
            let now = spans.remove(&of.node).unwrap_or_default();
            let place = (manual.as_str(), of.node.as_str(), schedule.as_str());
            new.extend(self.of_node(&mut tx, place, (now, all)).await?);
        }
        self.open_spans(&mut tx, (&manual, &schedule), &new).await?;
        self.looked(&mut tx, (&manual, &schedule), &names).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// The current outcomes of the nodes of a round.
    async fn spans(
        &self,
        tx: &mut Tx,
        manual: &str,
        nodes: &BTreeSet<&str>,
    ) -> Result<BTreeMap<String, Spans>, StoreError> {
        let mut spans: BTreeMap<String, Spans> = BTreeMap::new();
        if nodes.is_empty() {
            return Ok(spans);
        }
        let text = format!(
            "select node, name, outcome, evidence, schedule from span \
             where manual = $1 and until is null and node in ({})",
            places(2, nodes.len(), |place| format!("${place}"))
        );
        let mut query = sqlx::query(self.sql(&text)).bind(manual);
        for node in nodes {
            query = query.bind(*node);
        }
        for row in &query.fetch_all(&mut **tx).await? {
            let span = Span {
                outcome: row.try_get("outcome")?,
                evidence: row.try_get("evidence")?,
                schedule: row.try_get("schedule")?,
            };
            let of_node = spans.entry(row.try_get("node")?).or_default();
            of_node.insert(row.try_get("name")?, span);
        }
        Ok(spans)
    }

    /// Notes when nodes were checked: one row for each, however many checks it has.
    async fn looked(
        &self,
        tx: &mut Tx,
        (manual, schedule): (&str, &str),
        nodes: &BTreeSet<&str>,
    ) -> Result<(), StoreError> {
        if nodes.is_empty() {
            return Ok(());
        }
        let text = format!(
            "insert into looked (manual, schedule, node, at) values {} \
             on conflict (manual, schedule, node) do update set at = excluded.at",
            places(3, nodes.len(), |place| format!(
                "($1, $2, ${place}, {{now}})"
            ))
        );
        let mut query = sqlx::query(self.sql(&text)).bind(manual).bind(schedule);
        for node in nodes {
            query = query.bind(*node);
        }
        query.execute(&mut **tx).await?;
        Ok(())
    }

    /// Closes the spans whose outcome has changed, and returns those that begin.
    async fn of_node<'a>(
        &self,
        tx: &mut Tx,
        (manual, node, schedule): (&str, &'a str, &str),
        (now, said): (Spans, BTreeMap<&'a str, CheckResult<'a>>),
    ) -> Result<Vec<NewSpan<'a>>, StoreError> {
        // Checks that the manual no longer contains have no outcome.
        for (name, span) in &now {
            if span.schedule == schedule && !said.contains_key(name.as_str()) {
                self.close_span(tx, (manual, node, name)).await?;
            }
        }
        let mut new = Vec::new();
        for (name, said) in said {
            let before = now.get(name);
            let place = (manual, node, name);
            match before {
                Some(span) if span.outcome == said.outcome.word() => {
                    if span.evidence != said.evidence {
                        self.evidence(tx, place, &said).await?;
                    }
                }
                before => {
                    if before.is_some() {
                        self.close_span(tx, place).await?;
                    }
                    let was = before.map(|span| span.outcome.as_str());
                    self.drift(tx, place, (schedule, was), &said).await?;
                    new.push(NewSpan { node, name, said });
                }
            }
        }
        Ok(new)
    }

    async fn close_span(
        &self,
        tx: &mut Tx,
        (manual, node, name): (&str, &str, &str),
    ) -> Result<(), StoreError> {
        sqlx::query(self.sql(
            "update span set until = {now}, seen = coalesce((select at from looked l \
                 where l.manual = $1 and l.schedule = span.schedule and l.node = $2), seen) \
             where manual = $1 and node = $2 and name = $3 and until is null",
        ))
        .bind(manual)
        .bind(node)
        .bind(name)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Writes new spans, many with each statement: a first round has nothing but new ones.
    async fn open_spans(
        &self,
        tx: &mut Tx,
        (manual, schedule): (&str, &str),
        new: &[NewSpan<'_>],
    ) -> Result<(), StoreError> {
        let nodes: BTreeSet<&str> = new.iter().map(|span| span.node).collect();
        let runs = self.last_runs(tx, manual, &nodes).await?;
        for some in new.chunks(AT_ONCE) {
            // Two changes within a millisecond are one.
            let text = format!(
                "insert into span (manual, schedule, node, name, since, seen, outcome, \
                   run_before, evidence, place) values {} \
                 on conflict (manual, node, name, since) do update set until = null, \
                   outcome = excluded.outcome, evidence = excluded.evidence",
                places(0, some.len(), |row| {
                    let at = |column: usize| 3 + row * COLUMNS + column;
                    format!(
                        "($1, $2, ${}, ${}, {{now}}, {{now}}, ${}, ${}, ${}, ${})",
                        at(0),
                        at(1),
                        at(2),
                        at(3),
                        at(4),
                        at(5)
                    )
                })
            );
            let mut query = sqlx::query(self.sql(&text)).bind(manual).bind(schedule);
            for NewSpan { node, name, said } in some {
                query = query
                    .bind(*node)
                    .bind(*name)
                    .bind(said.outcome.word())
                    .bind(runs.get(*node).map(String::as_str))
                    .bind(said.evidence)
                    .bind(said.place);
            }
            query.execute(&mut **tx).await?;
        }
        Ok(())
    }

    /// The last run that began on each of these nodes.
    async fn last_runs(
        &self,
        tx: &mut Tx,
        manual: &str,
        nodes: &BTreeSet<&str>,
    ) -> Result<BTreeMap<String, String>, StoreError> {
        if nodes.is_empty() {
            return Ok(BTreeMap::new());
        }
        let text = format!(
            "select node, max(run) from part \
             where manual = $1 and epoch > 0 and node in ({}) group by node",
            places(2, nodes.len(), |place| format!("${place}"))
        );
        let mut query = sqlx::query(self.sql(&text)).bind(manual);
        for node in nodes {
            query = query.bind(*node);
        }
        let rows = query.fetch_all(&mut **tx).await?;
        let of = |row: &sqlx::any::AnyRow| Ok((row.try_get(0)?, row.try_get(1)?));
        rows.iter().map(of).collect()
    }

    async fn evidence(
        &self,
        tx: &mut Tx,
        (manual, node, name): (&str, &str, &str),
        said: &CheckResult<'_>,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "update span set evidence = $4, place = $5 \
             where manual = $1 and node = $2 and name = $3 and until is null",
        )
        .bind(manual)
        .bind(node)
        .bind(name)
        .bind(said.evidence)
        .bind(said.place)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// A check that has begun to fail, or holds again, becomes a notice.
    async fn drift(
        &self,
        tx: &mut Tx,
        (manual, node, name): (&str, &str, &str),
        (schedule, was): (&str, Option<&str>),
        said: &CheckResult<'_>,
    ) -> Result<(), StoreError> {
        let failed = Outcome::Failed.word();
        if said.outcome != Outcome::Failed && was != Some(failed) {
            return Ok(());
        }
        let body = serde_json::json!({
            "manual": manual,
            "node": node,
            "check": name,
            "outcome": said.outcome.word(),
            "evidence": said.evidence,
            "place": said.place,
            "schedule": schedule,
        });
        self.notify(tx, "drift", &format!("drift {manual} {node} {name}"), &body)
            .await
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(EVIDENCE)]
}
