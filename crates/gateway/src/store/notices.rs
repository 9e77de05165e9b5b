//! Notices for people and programs: stored in the same transaction as their cause, and sent by
//! whichever gateway is first. Limited: a run never waits for them.

use serde_json::{Value, json};
use sqlx::Row as _;

use super::{Store, StoreError, Tx, counted};

/// The most waiting notices; further ones are dropped.
const MOST: i64 = 10_000;
/// A notice is dropped after this many tries: about a day.
const TRIES: i64 = 150;
/// How long a gateway may take to send a notice that it has claimed, in milliseconds.
const SENDING: i64 = 60_000;

/// A notice for one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Its name.
    pub id: String,
    /// The target.
    pub target: String,
    /// The message, as JSON.
    pub body: String,
    /// The number of tries, including this one.
    pub tries: u32,
}

impl Store {
    /// Creates a notice. A newer one with the same key replaces one that was not sent yet.
    pub(super) async fn notify(
        &self,
        tx: &mut Tx,
        kind: &str,
        about: &str,
        body: &Value,
    ) -> Result<(), StoreError> {
        let one = (about.to_owned(), body.clone());
        self.notify_all(tx, kind, &[one]).await
    }

    /// The same for many, each with its key, in one statement.
    pub(super) async fn notify_all(
        &self,
        tx: &mut Tx,
        kind: &str,
        all: &[(String, Value)],
    ) -> Result<(), StoreError> {
        if all.is_empty() {
            return Ok(());
        }
        let count = sqlx::query_as("select count(*) from notice").fetch_one(&mut **tx);
        let (count,): (i64,) = count.await?;
        let room = usize::try_from(MOST - count).unwrap_or_default();
        let rows = all.iter().take(room);
        let row = |(about, body): &(String, Value)| json!({"id": about, "body": body.to_string()});
        let rows: Value = rows.map(row).collect();
        let text = format!(
            "insert into notice (id, kind, body, at) select j.id, $1, j.body, {{now}} from {} \
             where true on conflict (id) do update set body = excluded.body, at = excluded.at",
            self.listed("$2", &["id", "body"])
        );
        sqlx::query(self.sql(&text))
            .bind(kind)
            .bind(rows.to_string())
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// Creates one notice per target: `wants` returns the targets of a kind.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn address(
        &self,
        gateway: &str,
        wants: impl Fn(&str) -> Vec<String>,
    ) -> Result<(), StoreError> {
        let (count,): (i64,) = sqlx::query_as("select count(*) from notice")
            .fetch_one(self.pool())
            .await?;
        if count == 0 {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        let rows = sqlx::query(self.sql(
            "delete from notice where id in (select id from notice order by at limit 500 {skip}) \
             returning id, kind, body, at",
        ))
        .fetch_all(&mut *tx)
        .await?;
        for row in &rows {
            let (id, kind): (String, String) = (row.try_get("id")?, row.try_get("kind")?);
            let at: i64 = row.try_get("at")?;
            let mut body: Value = serde_json::from_str(row.try_get("body")?)
                .map_err(|error| StoreError::Unreadable(error.to_string()))?;
            body["kind"] = kind.as_str().into();
            body["gateway"] = gateway.into();
            body["at"] = super::written(at).into();
            for target in wants(&kind) {
                sqlx::query(self.sql(
                    "insert into outbox (id, target, body, not_before, tries) \
                     select $1, $2, $3, {now}, 0 where (select count(*) from outbox) < $4 \
                     on conflict (id, target) do nothing",
                ))
                .bind(format!("{id} {at}"))
                .bind(target)
                .bind(body.to_string())
                .bind(MOST)
                .execute(&mut *tx)
                .await?;
            }
        }
        tx.commit().await?;
        Ok(())
    }

    /// Claims due notices: nobody else sends them for a minute.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn outgoing(&self) -> Result<Vec<Outgoing>, StoreError> {
        let (due,): (i64,) =
            sqlx::query_as(self.sql("select count(*) from outbox where not_before <= {now}"))
                .fetch_one(self.pool())
                .await?;
        if due == 0 {
            return Ok(Vec::new());
        }
        let mut tx = self.begin().await?;
        let chosen = sqlx::query(self.sql(
            "select id, target from outbox where not_before <= {now} \
             order by not_before limit 20 {skip}",
        ))
        .fetch_all(&mut *tx)
        .await?;
        let mut all = Vec::new();
        for row in &chosen {
            let (id, target): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            let row = sqlx::query(self.sql(
                "update outbox set not_before = {now} + $3, tries = tries + 1 \
                 where id = $1 and target = $2 returning body, tries",
            ))
            .bind(&id)
            .bind(&target)
            .bind(SENDING)
            .fetch_one(&mut *tx)
            .await?;
            all.push(Outgoing {
                id,
                target,
                body: row.try_get("body")?,
                tries: counted(row.try_get("tries")?),
            });
        }
        tx.commit().await?;
        Ok(all)
    }

    /// Notes the result: sent, or tried again later, at most for a day.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn sent(&self, notice: &Outgoing, arrived: bool) -> Result<(), StoreError> {
        let statement = if arrived || i64::from(notice.tries) >= TRIES {
            "delete from outbox where id = $1 and target = $2 and $3 = $3"
        } else {
            "update outbox set not_before = {now} + $3 where id = $1 and target = $2"
        };
        let pause = 1_000_i64 << notice.tries.min(10);
        sqlx::query(self.sql(statement))
            .bind(&notice.id)
            .bind(&notice.target)
            .bind(pause.min(600_000))
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Whether it is this gateway's turn to send a message that a target gets every `pause`
    /// milliseconds.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn is_turn(&self, target: &str, pause: i64) -> Result<bool, StoreError> {
        let done = sqlx::query(self.sql(
            "insert into outbox (id, target, body, not_before, tries) \
             values ('turn', $1, '', {now} + 3153600000000, {now} + $2) \
             on conflict (id, target) do update set tries = excluded.tries \
               where outbox.tries <= {now}",
        ))
        .bind(target)
        .bind(pause)
        .execute(self.pool())
        .await?;
        Ok(done.rows_affected() == 1)
    }
}
