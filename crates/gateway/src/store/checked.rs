//! The results of a round of checks: compared with the stored outcomes, and written only if they
//! differ. A round without news takes a few statements, whatever its size.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::Row as _;
use wire::check::{Checked, CheckedNode, EVIDENCE, Outcome};

use super::people::Runner;
use super::{Store, StoreError, Tx, parsed, places};
use crate::wire;

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
            self.of_node(&mut tx, (&manual, &of.node, &schedule), (now, &all))
                .await?;
        }
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

    async fn of_node(
        &self,
        tx: &mut Tx,
        (manual, node, schedule): (&str, &str, &str),
        (now, said): (Spans, &BTreeMap<&str, CheckResult<'_>>),
    ) -> Result<(), StoreError> {
        for (name, said) in said {
            let before = now.get(*name);
            let place = (manual, node, *name);
            match before {
                Some(span) if span.outcome == said.outcome.word() => {
                    if span.evidence != said.evidence {
                        self.evidence(tx, place, said).await?;
                    }
                }
                before => {
                    if before.is_some() {
                        self.close_span(tx, place).await?;
                    }
                    self.open_span(tx, place, schedule, said).await?;
                    let was = before.map(|span| span.outcome.as_str());
                    self.drift(tx, place, (schedule, was), said).await?;
                }
            }
        }
        // Checks that the manual no longer contains have no outcome.
        for (name, span) in &now {
            if span.schedule == schedule && !said.contains_key(name.as_str()) {
                self.close_span(tx, (manual, node, name)).await?;
            }
        }
        Ok(())
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

    async fn open_span(
        &self,
        tx: &mut Tx,
        (manual, node, name): (&str, &str, &str),
        schedule: &str,
        said: &CheckResult<'_>,
    ) -> Result<(), StoreError> {
        // Two changes within a millisecond are one.
        sqlx::query(self.sql(
            "insert into span (manual, node, name, since, seen, outcome, run_before, evidence, \
               place, schedule) \
             values ($1, $2, $3, {now}, {now}, $4, \
               (select max(p.run) from part p where p.manual = $1 and p.node = $2 and p.epoch > 0), \
               $5, $6, $7) \
             on conflict (manual, node, name, since) do update set until = null, \
               outcome = excluded.outcome, evidence = excluded.evidence",
        ))
        .bind(manual)
        .bind(node)
        .bind(name)
        .bind(said.outcome.word())
        .bind(said.evidence)
        .bind(said.place)
        .bind(schedule)
        .execute(&mut **tx)
        .await?;
        Ok(())
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
