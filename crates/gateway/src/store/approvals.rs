//! Approvals: what a part needs before it may begin, who has approved, and until when it is valid.

use std::collections::BTreeMap;

use sqlx::Row as _;
use wire::ApprovalView;
use wire::approve::{ApprovalOut, Consent, Need};
use wire::ask::Approvals;

use super::{Store, StoreError, Tx, json, parsed, written};
use crate::wire;

/// The most groups stored with an approval.
const MOST_GROUPS: usize = 50;

/// The parts of a run that need approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewConsent {
    /// The document to sign.
    pub document: String,
    /// The hash of the document.
    pub sha256: String,
    /// How many people must approve, and who counts.
    pub needs: Vec<Need>,
}

/// The state of a part's approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The part.
    pub node: String,
    /// Its nodes.
    pub machines: Vec<String>,
    /// The hash of the document.
    pub sha256: String,
    /// The options of the order.
    pub manner: String,
    /// The required approvals.
    pub needs: Vec<Need>,
    /// Until when it may begin, in milliseconds; `None` without enough approvals.
    pub until: Option<i64>,
    /// The approvals, with the needs for which each counts.
    pub given: Vec<(ApprovalView, Vec<String>)>,
}

/// A verified approval.
#[derive(Clone, Debug)]
pub struct Given {
    /// The part.
    pub node: String,
    /// The signature.
    pub signature: String,
    /// The indexes of the needs for which it counts.
    pub counts: Vec<String>,
}

impl Store {
    /// Stores what must be approved for a part of a new run.
    pub(super) async fn add_consent(
        &self,
        tx: &mut Tx,
        (run, node, machines): (&str, &str, &[String]),
        manner: &str,
        consent: &NewConsent,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "insert into consent (run, node, sha256, document, manner, needs, machines) \
             values ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(run)
        .bind(node)
        .bind(&consent.sha256)
        .bind(&consent.document)
        .bind(manner)
        .bind(json(&consent.needs))
        .bind(json(&machines))
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// The required approvals of a run, and those given.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn wanted(&self, run: &str) -> Result<Vec<Wanted>, StoreError> {
        let rows = sqlx::query(
            "select node, sha256, manner, needs, machines, until from consent \
             where run = $1 order by node",
        )
        .bind(run)
        .fetch_all(self.pool())
        .await?;
        let mut wanted = Vec::new();
        for row in &rows {
            wanted.push(Wanted {
                node: row.try_get("node")?,
                machines: parsed(row.try_get("machines")?)?,
                sha256: row.try_get("sha256")?,
                manner: row.try_get("manner")?,
                needs: parsed(row.try_get("needs")?)?,
                until: row.try_get("until")?,
                given: Vec::new(),
            });
        }
        if wanted.is_empty() {
            return Ok(wanted);
        }
        let rows = sqlx::query(
            "select node, person, not_after, counts, at from approval \
             where run = $1 order by at, person",
        )
        .bind(run)
        .fetch_all(self.pool())
        .await?;
        for row in &rows {
            let view = ApprovalView {
                node: row.try_get("node")?,
                by: row.try_get("person")?,
                at: written(row.try_get("at")?),
                not_after: row.try_get("not_after")?,
            };
            let counts = parsed(row.try_get("counts")?)?;
            if let Some(of) = wanted.iter_mut().find(|of| of.node == view.node) {
                of.given.push((view, counts));
            }
        }
        Ok(wanted)
    }

    /// The documents of a run, by part.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn documents(&self, run: &str) -> Result<BTreeMap<String, String>, StoreError> {
        let rows = sqlx::query("select node, document from consent where run = $1")
            .bind(run)
            .fetch_all(self.pool())
            .await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect()
    }

    /// The data of a part that a runner verifies.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn consent(&self, run: &str, node: &str) -> Result<Option<Consent>, StoreError> {
        let row = sqlx::query("select sha256, manner from consent where run = $1 and node = $2")
            .bind(run)
            .bind(node)
            .fetch_optional(self.pool())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let rows = sqlx::query(
            "select person, signature, not_after from approval where run = $1 and node = $2 \
             order by ends desc, person",
        )
        .bind(run)
        .bind(node)
        .fetch_all(self.pool())
        .await?;
        let groups = sqlx::query(
            "select person, name from approval_group where run = $1 and node = $2 order by name",
        )
        .bind(run)
        .bind(node)
        .fetch_all(self.pool())
        .await?;
        let mut approvals = Vec::new();
        for row in &rows {
            approvals.push(ApprovalOut {
                by: row.try_get("person")?,
                signature: row.try_get("signature")?,
                not_after: row.try_get("not_after")?,
                groups: Vec::new(),
            });
        }
        for row in &groups {
            let person: String = row.try_get("person")?;
            let of = approvals.iter_mut().find(|approval| approval.by == person);
            if let Some(approval) = of {
                approval.groups.push(row.try_get("name")?);
            }
        }
        Ok(Some(Consent {
            sha256: row.try_get("sha256")?,
            manner: row.try_get("manner")?,
            approvals,
        }))
    }

    /// Stores a person's approval of parts until `ends`, with their groups from a provider. Returns
    /// the segments in which parts now wait for a runner.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn approve(
        &self,
        run: &str,
        by: (&str, &[String]),
        (not_after, ends): (&str, i64),
        given: &[Given],
    ) -> Result<Vec<String>, StoreError> {
        let mut tx = self.begin().await?;
        self.lock_run(&mut tx, run).await?;
        for approval in given {
            sqlx::query(self.sql(
                "insert into approval (run, node, person, signature, not_after, ends, counts, at) \
                 values ($1, $2, $3, $4, $5, $6, $7, {now}) on conflict (run, node, person) \
                 do update set signature = excluded.signature, not_after = excluded.not_after, \
                   ends = excluded.ends, counts = excluded.counts, at = excluded.at",
            ))
            .bind(run)
            .bind(&approval.node)
            .bind(by.0)
            .bind(&approval.signature)
            .bind(not_after)
            .bind(ends)
            .bind(json(&approval.counts))
            .execute(&mut *tx)
            .await?;
            self.add_groups(&mut tx, (run, &approval.node), by).await?;
            let until = self.until(&mut tx, run, &approval.node).await?;
            sqlx::query("update consent set until = $3 where run = $1 and node = $2")
                .bind(run)
                .bind(&approval.node)
                .bind(until)
                .execute(&mut *tx)
                .await?;
        }
        let nodes: Vec<&str> = given.iter().map(|given| given.node.as_str()).collect();
        let detail = format!("until {not_after}: {}", nodes.join(", "));
        self.note(&mut tx, run, by.0, "approve", &detail).await?;
        let mut segments = self.settle(&mut tx, run).await?;
        let rows =
            sqlx::query("select distinct segment from part where run = $1 and state = 'queued'")
                .bind(run)
                .fetch_all(&mut *tx)
                .await?;
        for row in &rows {
            segments.insert(row.try_get(0)?);
        }
        tx.commit().await?;
        Ok(segments.into_iter().collect())
    }

    /// Stores for which of the needs' groups a person counts, according to an identity provider.
    async fn add_groups(
        &self,
        tx: &mut Tx,
        (run, node): (&str, &str),
        (person, groups): (&str, &[String]),
    ) -> Result<(), StoreError> {
        sqlx::query("delete from approval_group where run = $1 and node = $2 and person = $3")
            .bind(run)
            .bind(node)
            .bind(person)
            .execute(&mut **tx)
            .await?;
        let row = sqlx::query("select needs from consent where run = $1 and node = $2")
            .bind(run)
            .bind(node)
            .fetch_one(&mut **tx)
            .await?;
        let needs: Vec<Need> = parsed(row.try_get(0)?)?;
        let named = |group: &&String| {
            // Without `by`, a rule that grants `approve` may name any group.
            wire::limit::is_name(group)
                && needs.iter().any(|need| {
                    need.by.is_empty()
                        || need
                            .by
                            .iter()
                            .any(|by| by.strip_prefix('@') == Some(*group))
                })
        };
        for group in groups.iter().filter(named).take(MOST_GROUPS) {
            sqlx::query(
                "insert into approval_group (run, node, person, name) values ($1, $2, $3, $4) \
                 on conflict (run, node, person, name) do nothing",
            )
            .bind(run)
            .bind(node)
            .bind(person)
            .bind(group)
            .execute(&mut **tx)
            .await?;
        }
        Ok(())
    }

    /// A halted part continues at this step and up to that one. If that was not approved, it needs
    /// a new approval: returns whether it waits for one.
    pub(super) async fn consent_again(
        &self,
        tx: &mut Tx,
        (run, node): (&str, &str),
        resume: &wire::Resume,
    ) -> Result<bool, StoreError> {
        let row = sqlx::query(
            "select c.manner, r.confirm from consent c join run r on r.id = c.run \
             where c.run = $1 and c.node = $2",
        )
        .bind(run)
        .bind(node)
        .fetch_optional(&mut **tx)
        .await?;
        let Some(row) = row else { return Ok(false) };
        let confirm = parsed(row.try_get("confirm")?)?;
        let manner = wire::approve::manner(confirm, resume.start_at, resume.stop_after);
        let before: &str = row.try_get("manner")?;
        if before == manner {
            return Ok(false);
        }
        for table in ["approval_group", "approval"] {
            let text = format!("delete from {table} where run = $1 and node = $2");
            sqlx::query(self.sql(&text))
                .bind(run)
                .bind(node)
                .execute(&mut **tx)
                .await?;
        }
        sqlx::query("update consent set manner = $3, until = null where run = $1 and node = $2")
            .bind(run)
            .bind(node)
            .bind(manner)
            .execute(&mut **tx)
            .await?;
        Ok(true)
    }

    /// Until when enough people have approved a part: the earliest end of the necessary approvals.
    async fn until(&self, tx: &mut Tx, run: &str, node: &str) -> Result<Option<i64>, StoreError> {
        let row = sqlx::query("select needs from consent where run = $1 and node = $2")
            .bind(run)
            .bind(node)
            .fetch_one(&mut **tx)
            .await?;
        let needs: Vec<Need> = parsed(row.try_get(0)?)?;
        let rows = sqlx::query(
            "select ends, counts from approval where run = $1 and node = $2 order by ends desc",
        )
        .bind(run)
        .bind(node)
        .fetch_all(&mut **tx)
        .await?;
        let mut given: Vec<(i64, Vec<String>)> = Vec::new();
        for row in &rows {
            given.push((row.try_get(0)?, parsed(row.try_get(1)?)?));
        }
        Ok(enough(&needs, &given))
    }
}

/// The end of the necessary approvals, if there are enough; `given` is sorted by end, latest first.
fn enough(needs: &[Need], given: &[(i64, Vec<String>)]) -> Option<i64> {
    let ends = needs.iter().map(|need| {
        let counts = given.iter().filter(|(_, of)| of.contains(&need.place));
        counts
            .map(|(ends, _)| *ends)
            .nth((need.count as usize).saturating_sub(1))
    });
    ends.min_by_key(|end| end.unwrap_or(i64::MIN)).flatten()
}

/// What is missing, for people: for the first part that may not begin at this time.
#[must_use]
pub fn missing(wanted: &[Wanted], now: i64) -> Option<Approvals> {
    let open = wanted
        .iter()
        .find(|part| part.until.is_none_or(|until| until <= now))?;
    let holds = |view: &ApprovalView| {
        let end: Result<jiff::Timestamp, _> = view.not_after.parse();
        end.is_ok_and(|end| end.as_millisecond() > now)
    };
    let lacks = |need: &&Need| {
        let counts =
            { open.given.iter() }.filter(|(view, of)| holds(view) && of.contains(&need.place));
        counts.count() < need.count as usize
    };
    let need = open.needs.iter().find(lacks)?;
    Some(Approvals {
        approvals: need.count,
        by: need.by.join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn approvals_hold_as_long_as_there_are_enough_of_them() {
        let need = |count, place: &str| Need {
            count,
            by: Vec::new(),
            people: Vec::new(),
            place: place.into(),
        };
        let given = |ends, of: &[&str]| (ends, of.iter().map(|of| (*of).to_owned()).collect());
        let (one, two) = (need(1, "a"), need(2, "b"));
        assert_eq!(enough(std::slice::from_ref(&one), &[]), None);
        assert_eq!(
            enough(std::slice::from_ref(&one), &[given(9, &["b"])]),
            None
        );
        let all = [
            given(9, &["a", "b"]),
            given(7, &["b"]),
            given(5, &["a", "b"]),
        ];
        assert_eq!(enough(std::slice::from_ref(&one), &all), Some(9));
        assert_eq!(enough(std::slice::from_ref(&two), &all), Some(7));
        assert_eq!(enough(&[one.clone(), two.clone()], &all), Some(7));
        assert_eq!(enough(&[one, two], &all[..1]), None);
    }
}
