//! The results of a round of checks: compared with the stored outcomes, and written only if they
//! differ. A round takes a few statements, whatever its size and its news.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};
use sqlx::Row as _;
use wire::check::{Checked, CheckedNode, EVIDENCE, Outcome};

use super::people::Runner;
use super::{Database, Store, StoreError, Tx, json, parsed};
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
#[derive(Clone, Copy)]
struct CheckResult<'a> {
    outcome: Outcome,
    evidence: &'a str,
    place: &'a str,
}

/// A row of a statement: the check, and what becomes of it.
#[derive(Serialize)]
struct Row<'a> {
    node: &'a str,
    name: &'a str,
    outcome: &'static str,
    run: Option<&'a str>,
    evidence: &'a str,
    place: &'a str,
}

/// What a round changes.
#[derive(Default)]
struct Changes<'a> {
    /// Spans that end: node and check.
    ended: Vec<Value>,
    /// Spans that continue, with other evidence.
    others: Vec<Row<'a>>,
    begun: Vec<Row<'a>>,
    /// The notices.
    notices: Vec<(String, Value)>,
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
        let names: Vec<&str> = names.into_iter().collect();
        let mut spans = self.spans(&mut tx, &manual, &names).await?;
        let mut changes = Changes::default();
        for of in nodes {
            self.found(&mut tx, (&manual, &of.node), &of.runs).await?;
            let now = spans.remove(&of.node).unwrap_or_default();
            let place = (manual.as_str(), of.node.as_str(), schedule.as_str());
            changes.add(place, (&now, results(of)));
        }
        self.write_changes(&mut tx, (&manual, &schedule), changes)
            .await?;
        self.looked(&mut tx, (&manual, &schedule), &names).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// The current outcomes of the nodes of a round.
    async fn spans(
        &self,
        tx: &mut Tx,
        manual: &str,
        nodes: &[&str],
    ) -> Result<BTreeMap<String, Spans>, StoreError> {
        let mut spans: BTreeMap<String, Spans> = BTreeMap::new();
        let nodes_of = self.listed("$2", &["node"]);
        let columns = "select node, name, outcome, evidence, schedule from span";
        let text = match self.database {
            Database::Sqlite => format!(
                "{columns} where manual = $1 and until is null \
                 and node in (select j.node from {nodes_of})"
            ),
            // `offset 0` makes it look for each node by the key. While a new table has no
            // statistics, PostgreSQL expects few rows of a manual, and reads all of them.
            Database::Postgres => format!(
                "select s.* from {nodes_of} cross join lateral ({columns} \
                 where manual = $1 and node = j.node and until is null offset 0) as s"
            ),
        };
        let query = sqlx::query(self.sql(&text)).bind(manual);
        let query = query.bind(json(&by_name(nodes)));
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
        nodes: &[&str],
    ) -> Result<(), StoreError> {
        let text = format!(
            "insert into looked (manual, schedule, node, at) \
             select $1, $2, j.node, {{now}} from {} where true \
             on conflict (manual, schedule, node) do update set at = excluded.at",
            self.listed("$3", &["node"])
        );
        let query = sqlx::query(self.sql(&text)).bind(manual).bind(schedule);
        query.bind(json(&by_name(nodes))).execute(&mut **tx).await?;
        Ok(())
    }

    async fn write_changes(
        &self,
        tx: &mut Tx,
        (manual, schedule): (&str, &str),
        changes: Changes<'_>,
    ) -> Result<(), StoreError> {
        let Changes {
            ended,
            others,
            mut begun,
            notices,
        } = changes;
        if !ended.is_empty() {
            let text = format!(
                "update span set until = {{now}}, seen = coalesce((select at from looked l \
                   where l.manual = $1 and l.schedule = span.schedule and l.node = span.node), seen) \
                 from {} where span.manual = $1 and span.node = j.node and span.name = j.name \
                   and span.until is null",
                self.listed("$2", &["node", "name"])
            );
            let query = sqlx::query(self.sql(&text)).bind(manual);
            query.bind(json(&ended)).execute(&mut **tx).await?;
        }
        if !others.is_empty() {
            let text = format!(
                "update span set evidence = j.evidence, place = j.place from {} \
                 where span.manual = $1 and span.node = j.node and span.name = j.name \
                   and span.until is null",
                self.listed("$2", &["node", "name", "evidence", "place"])
            );
            let query = sqlx::query(self.sql(&text)).bind(manual);
            query.bind(json(&others)).execute(&mut **tx).await?;
        }
        if !begun.is_empty() {
            let nodes: BTreeSet<&str> = begun.iter().map(|row| row.node).collect();
            let runs = self.last_runs(tx, manual, &nodes).await?;
            for row in &mut begun {
                row.run = runs.get(row.node).map(String::as_str);
            }
            // Two changes within a millisecond are one.
            let text = format!(
                "insert into span (manual, schedule, node, name, since, seen, outcome, \
                   run_before, evidence, place) \
                 select $1, $2, j.node, j.name, {{now}}, {{now}}, j.outcome, j.run, j.evidence, \
                   j.place from {} where true \
                 on conflict (manual, node, name, since) do update set until = null, \
                   outcome = excluded.outcome, evidence = excluded.evidence",
                self.listed(
                    "$3",
                    &["node", "name", "outcome", "run", "evidence", "place"]
                )
            );
            let query = sqlx::query(self.sql(&text)).bind(manual).bind(schedule);
            query.bind(json(&begun)).execute(&mut **tx).await?;
        }
        self.notify_all(tx, "drift", &notices).await
    }

    /// The last run that began on each of these nodes.
    async fn last_runs(
        &self,
        tx: &mut Tx,
        manual: &str,
        nodes: &BTreeSet<&str>,
    ) -> Result<BTreeMap<String, String>, StoreError> {
        let nodes: Vec<&str> = nodes.iter().copied().collect();
        let text = format!(
            "select node, max(run) from part \
             where manual = $1 and epoch > 0 and node in (select j.node from {}) group by node",
            self.listed("$2", &["node"])
        );
        let query = sqlx::query(self.sql(&text)).bind(manual);
        let rows = query.bind(json(&by_name(&nodes))).fetch_all(&mut **tx);
        let of = |row: &sqlx::any::AnyRow| Ok((row.try_get(0)?, row.try_get(1)?));
        rows.await?.iter().map(of).collect()
    }
}

impl<'a> Changes<'a> {
    /// Compares a node's stored outcomes with what a round says.
    fn add(
        &mut self,
        (manual, node, schedule): (&str, &'a str, &str),
        (now, said): (&Spans, BTreeMap<&'a str, CheckResult<'a>>),
    ) {
        // Checks that the manual no longer contains have no outcome.
        for (name, span) in now {
            if span.schedule == schedule && !said.contains_key(name.as_str()) {
                self.ended.push(json!({"node": node, "name": name}));
            }
        }
        for (name, said) in said {
            let before = now.get(name);
            let row = Row {
                node,
                name,
                outcome: said.outcome.word(),
                run: None,
                evidence: said.evidence,
                place: said.place,
            };
            if let Some(span) = before.filter(|span| span.outcome == row.outcome) {
                if span.evidence != said.evidence {
                    self.others.push(row);
                }
                continue;
            }
            if before.is_some() {
                self.ended.push(json!({"node": node, "name": name}));
            }
            let failed = Outcome::Failed.word();
            // A check that has begun to fail, or holds again.
            if row.outcome == failed || before.is_some_and(|span| span.outcome == failed) {
                let body = json!({
                    "manual": manual,
                    "node": node,
                    "check": name,
                    "outcome": row.outcome,
                    "evidence": said.evidence,
                    "place": said.place,
                    "schedule": schedule,
                });
                let about = format!("drift {manual} {node} {name}");
                self.notices.push((about, body));
            }
            self.begun.push(row);
        }
    }
}

/// The results of a node, by the name of the check.
fn results(of: &CheckedNode) -> BTreeMap<&str, CheckResult<'_>> {
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
    held.chain(others).collect()
}

fn by_name(nodes: &[&str]) -> Vec<Value> {
    nodes.iter().map(|node| json!({"node": node})).collect()
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(EVIDENCE)]
}
