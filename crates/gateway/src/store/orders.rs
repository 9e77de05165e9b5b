//! What people order of a run: stop, resume, release, hand over. Each order is recorded.

use sqlx::Row as _;

use super::queue::{bounded, state_of};
use super::{Store, StoreError, Tx, stored};
use crate::wire::{self, PartState, Want};

impl Store {
    /// Stops parts: running ones are told, unclaimed ones end. Returns the runners to notify.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn stop(
        &self,
        run: &str,
        nodes: &[String],
        want: Want,
        by: &str,
    ) -> Result<Vec<String>, StoreError> {
        let mut tx = self.begin().await?;
        self.lock_run(&mut tx, run).await?;
        let mut runners = Vec::new();
        for part in self.parts_in(&mut tx, run, nodes).await? {
            let statement = match part.state {
                PartState::Leased | PartState::Unseen => {
                    runners.extend(part.runner);
                    "update part set wants = $3 where run = $1 and node = $2 and $4 = $4"
                }
                // Nothing of it has begun.
                PartState::Waiting | PartState::Queued if part.epoch == 0 => {
                    "update part set state = 'ended', status = 'STOPPED', cause = $4 \
                     where run = $1 and node = $2 and $3 = $3"
                }
                PartState::Queued => {
                    "update part set state = 'halted', status = 'STOPPED', cause = $4 \
                     where run = $1 and node = $2 and $3 = $3"
                }
                PartState::Waiting | PartState::Halted | PartState::Ended => continue,
            };
            sqlx::query(self.sql(statement))
                .bind(run)
                .bind(&part.node)
                .bind(want.word())
                .bind(format!("`{by}` stopped it before a runner took it"))
                .execute(&mut *tx)
                .await?;
        }
        self.settle(&mut tx, run).await?;
        self.note(&mut tx, run, by, "stop", want.word()).await?;
        tx.commit().await?;
        Ok(runners)
    }

    /// Resumes halted parts, and the batches waiting for them. Returns the segments.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn resume(
        &self,
        run: &str,
        resume: &wire::Resume,
        by: &str,
    ) -> Result<Vec<String>, StoreError> {
        let mut tx = self.begin().await?;
        self.lock_run(&mut tx, run).await?;
        let mut segments = Vec::new();
        let parts = self.parts_in(&mut tx, run, &resume.nodes).await?;
        let busy = parts.iter().any(|part| {
            matches!(
                part.state,
                PartState::Queued | PartState::Leased | PartState::Unseen
            )
        });
        let halted = parts.iter().any(|part| part.state == PartState::Halted);
        let waiting = parts.iter().filter(|part| part.state == PartState::Waiting);
        let next = waiting.map(|part| part.batch).min();
        for part in &parts {
            let due = match part.state {
                PartState::Halted => true,
                // A person continues in spite of earlier failures.
                PartState::Waiting => !busy && !halted && Some(part.batch) == next,
                _ => false,
            };
            if !due {
                continue;
            }
            let waits = self
                .consent_again(&mut tx, (run, &part.node), resume)
                .await?;
            sqlx::query(
                "update part set state = $5, wants = null, status = null, cause = null, \
                   not_before = null, crashes = 0, start_at = $3, stop_after = $4, \
                   mode = case when epoch > 0 then 'adopt' else 'begin' end \
                 where run = $1 and node = $2",
            )
            .bind(run)
            .bind(&part.node)
            .bind(resume.start_at.map(stored))
            .bind(resume.stop_after.map(stored))
            .bind(if waits { "waiting" } else { "queued" })
            .execute(&mut *tx)
            .await?;
            segments.push(part.segment.clone());
        }
        if !segments.is_empty() {
            self.settle(&mut tx, run).await?;
            self.note(&mut tx, run, by, "resume", "").await?;
        }
        tx.commit().await?;
        Ok(segments)
    }

    /// Releases halted parts: a runner removes their bundles. Waiting parts end.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn release(
        &self,
        run: &str,
        release: &wire::Release,
        by: &str,
    ) -> Result<Vec<String>, StoreError> {
        let mut tx = self.begin().await?;
        self.lock_run(&mut tx, run).await?;
        let mut segments = Vec::new();
        for part in self.parts_in(&mut tx, run, &release.nodes).await? {
            let statement = match part.state {
                PartState::Halted if part.epoch > 0 => {
                    segments.push(part.segment.clone());
                    "update part set state = 'queued', mode = 'release', not_before = null, \
                       wants = null, crashes = 0 where run = $1 and node = $2 and $3 = $3"
                }
                PartState::Halted | PartState::Waiting => {
                    segments.push(part.segment.clone());
                    "update part set state = 'ended', status = 'SKIPPED', cause = $3 \
                     where run = $1 and node = $2"
                }
                _ => continue,
            };
            sqlx::query(self.sql(statement))
                .bind(run)
                .bind(&part.node)
                .bind(format!("`{by}` released it"))
                .execute(&mut *tx)
                .await?;
        }
        self.settle(&mut tx, run).await?;
        let note = release.note.as_deref().unwrap_or_default();
        self.note(&mut tx, run, by, "release", note).await?;
        tx.commit().await?;
        Ok(segments)
    }

    /// Hands a run over to another person.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn hand_over(
        &self,
        run: &str,
        hand_over: &wire::HandOver,
        by: &str,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        self.lock_run(&mut tx, run).await?;
        sqlx::query("update run set owner = $2 where id = $1")
            .bind(run)
            .bind(&hand_over.to)
            .execute(&mut *tx)
            .await?;
        let note = hand_over.note.as_deref().unwrap_or_default();
        let detail = format!("to {}: {note}", hand_over.to);
        self.note(&mut tx, run, by, "hand-over", &detail).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Records a person's action on a run.
    pub(super) async fn note(
        &self,
        tx: &mut Tx,
        run: &str,
        person: &str,
        verb: &str,
        detail: &str,
    ) -> Result<(), StoreError> {
        sqlx::query(self.sql(
            "insert into act (run, n, at, person, verb, detail) \
             values ($1, (select coalesce(max(n), 0) + 1 from act where run = $1), {now}, \
               $2, $3, $4)",
        ))
        .bind(run)
        .bind(person)
        .bind(verb)
        .bind(bounded(detail))
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    async fn parts_in(
        &self,
        tx: &mut Tx,
        run: &str,
        nodes: &[String],
    ) -> Result<Vec<PartRow>, StoreError> {
        let rows = sqlx::query(
            "select node, segment, batch, state, epoch, runner from part where run = $1 order by node",
        )
        .bind(run)
        .fetch_all(&mut **tx)
        .await?;
        let mut parts = Vec::new();
        for row in &rows {
            let part = PartRow {
                node: row.try_get("node")?,
                segment: row.try_get("segment")?,
                batch: row.try_get("batch")?,
                state: state_of(row.try_get("state")?)?,
                epoch: row.try_get("epoch")?,
                runner: row.try_get("runner")?,
            };
            if nodes.is_empty() || nodes.contains(&part.node) {
                parts.push(part);
            }
        }
        Ok(parts)
    }
}

struct PartRow {
    node: String,
    segment: String,
    batch: i64,
    state: PartState,
    epoch: i64,
    runner: Option<String>,
}
