//! Captured values: of each running run, and of the last run that ended OK, by node and procedure.
//! Only the latest value is kept.

use sqlx::Row as _;

use super::{Store, StoreError, Tx, written};
use crate::wire;

/// The most bytes of a value: a version is short.
const VALUE: usize = 256;
/// The most values of one part.
const MOST: i64 = 1_000;

/// A value that the last OK run has captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The node.
    pub machine: String,
    /// The procedure.
    pub procedure: String,
    /// The value.
    pub value: String,
    /// The run.
    pub run: String,
    /// The end of the run.
    pub at: String,
}

impl Store {
    /// Stores a captured value of a running run on a node of its part: a reporter cannot make
    /// statements about other nodes.
    pub(super) async fn captured(
        &self,
        tx: &mut Tx,
        (run, node, machine): (&str, &str, &str),
        (name, value): (&str, &str),
    ) -> Result<(), StoreError> {
        let odd = |text: &str, most: usize| text.len() > most || text.contains('\0');
        if odd(value, VALUE) || odd(name, wire::limit::NAME) || odd(machine, wire::limit::NAME) {
            return Ok(());
        }
        sqlx::query(
            "insert into captured (run, node, machine, name, value) \
             select $1, $2, $3, $4, $5 \
             where (select count(*) from captured where run = $1 and node = $2) < $6 \
               and exists (select 1 from part where run = $1 and node = $2 \
                 and replace(machines, $7, '') <> machines) \
             on conflict (run, node, machine, name) do update set value = excluded.value",
        )
        .bind(run)
        .bind(node)
        .bind(machine)
        .bind(name)
        .bind(value)
        .bind(MOST)
        .bind(format!("\"{machine}\""))
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// A part has ended: if it is OK, its captured values describe its nodes.
    pub(super) async fn keep_captured(
        &self,
        tx: &mut Tx,
        (run, node): (&str, &str),
        ok: bool,
    ) -> Result<(), StoreError> {
        if ok {
            sqlx::query(self.sql(
                "insert into seen_value (manual, machine, procedure_id, name, value, run, at) \
                 select r.manual, c.machine, r.procedure_id, c.name, c.value, c.run, {now} \
                 from captured c join run r on r.id = c.run where c.run = $1 and c.node = $2 \
                 on conflict (manual, machine, procedure_id, name) do update set \
                   value = excluded.value, run = excluded.run, at = excluded.at",
            ))
            .bind(run)
            .bind(node)
            .execute(&mut **tx)
            .await?;
        }
        sqlx::query("delete from captured where run = $1 and node = $2")
            .bind(run)
            .bind(node)
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// The latest values of this name, by node and procedure, newest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn seen_values(&self, manual: &str, name: &str) -> Result<Vec<Seen>, StoreError> {
        let rows = sqlx::query(
            "select machine, procedure_id, value, run, at from seen_value \
             where manual = $1 and name = $2 order by at desc, run desc",
        )
        .bind(manual)
        .bind(name)
        .fetch_all(self.pool())
        .await?;
        let mut all = Vec::new();
        for row in &rows {
            all.push(Seen {
                machine: row.try_get("machine")?,
                procedure: row.try_get("procedure_id")?,
                value: row.try_get("value")?,
                run: row.try_get("run")?,
                at: written(row.try_get("at")?),
            });
        }
        Ok(all)
    }

    /// The last part of each procedure on each node that began and did not end OK, with the end of
    /// its run, or now if it has not ended.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn not_ok(&self, manual: &str) -> Result<Vec<NotOk>, StoreError> {
        let rows = sqlx::query(self.sql(
            "select p.node, r.procedure_id, p.run, coalesce(r.ended, {now}) as at \
             from part p join run r on r.id = p.run \
             where p.manual = $1 and p.epoch > 0 and not (p.state = 'ended' and p.status = 'OK') \
               and p.run = (select q.run from part q join run s on s.id = q.run \
                 where q.manual = p.manual and q.node = p.node and q.epoch > 0 \
                   and s.procedure_id = r.procedure_id order by s.asked desc, q.run desc limit 1)",
        ))
        .bind(manual)
        .fetch_all(self.pool())
        .await?;
        let mut all = Vec::new();
        for row in &rows {
            all.push(NotOk {
                node: row.try_get("node")?,
                procedure: row.try_get("procedure_id")?,
                run: row.try_get("run")?,
                at: written(row.try_get("at")?),
            });
        }
        Ok(all)
    }
}

/// A run that did not end OK on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotOk {
    /// The node.
    pub node: String,
    /// The procedure.
    pub procedure: String,
    /// The run.
    pub run: String,
    /// The end of the run, or now if it has not ended.
    pub at: String,
}
