//! What a runner currently holds, and may therefore log in for.

use sqlx::Row as _;

use super::people::Runner;
use super::{Store, StoreError, parsed, stored};
use crate::segments::sign::For;
use crate::wire::{Held, PartKey};

/// Whether a runner holds something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Yes, and it may log in for it.
    Now(For),
    /// Its lease has expired, and nobody else has the part yet.
    Unseen,
    /// No.
    Not,
}

impl Store {
    /// Whether a runner holds it, by the database's clock.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn holds(&self, runner: &Runner, held: &Held) -> Result<Holds, StoreError> {
        match held {
            Held::Part(key) => self.holds_part(runner, key).await,
            Held::Round(round) => self.holds_round(runner, round).await,
        }
    }

    async fn holds_part(&self, runner: &Runner, key: &PartKey) -> Result<Holds, StoreError> {
        let row = sqlx::query(self.sql(
            "select r.asked_by, p.machines, \
               cast(case when p.state = 'leased' and p.lease_until > {now} then 1 else 0 end \
                 as bigint) as now \
             from part p join run r on r.id = p.run \
             where p.run = $1 and p.node = $2 and p.epoch = $3 and p.runner = $4 \
               and p.segment = $5 and p.state in ('leased', 'unseen')",
        ))
        .bind(&key.run)
        .bind(&key.node)
        .bind(stored(key.epoch))
        .bind(&runner.id)
        .bind(&runner.segment)
        .fetch_optional(self.pool())
        .await?;
        let Some(row) = row else {
            return Ok(Holds::Not);
        };
        if row.try_get::<i64, _>("now")? == 0 {
            return Ok(Holds::Unseen);
        }
        let rows = sqlx::query(
            "select person from approval where run = $1 and node = $2 order by at, person",
        )
        .bind(&key.run)
        .bind(&key.node)
        .fetch_all(self.pool())
        .await?;
        let mut approved = Vec::new();
        for row in &rows {
            approved.push(row.try_get(0)?);
        }
        let nodes = parsed(row.try_get("machines")?)?;
        let by: String = row.try_get("asked_by")?;
        Ok(Holds::Now(For::run(&key.run, &by, &approved, nodes)))
    }

    async fn holds_round(&self, runner: &Runner, round: &str) -> Result<Holds, StoreError> {
        let row = sqlx::query(self.sql(
            "select nodes from round where id = $1 and runner = $2 and segment = $3 \
               and state = 'leased' and lease_until > {now}",
        ))
        .bind(round)
        .bind(&runner.id)
        .bind(&runner.segment)
        .fetch_optional(self.pool())
        .await?;
        let Some(row) = row else {
            return Ok(Holds::Not);
        };
        let nodes = parsed(row.try_get("nodes")?)?;
        Ok(Holds::Now(For::checks(round, nodes)))
    }
}
