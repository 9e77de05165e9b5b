//! Pieces of output that wait for the blob store: written in the same transaction as the rows that
//! name them, so none is lost; limited in size.

use sqlx::Row as _;

use super::{Store, StoreError, Tx, stored};

/// The most waiting bytes; further output waits on the runners.
pub const MOST: i64 = 64 * 1024 * 1024;
/// How many pieces are moved at once.
const AT_ONCE: i64 = 16;

impl Store {
    /// Whether the limit is reached.
    pub(super) async fn is_full(&self, tx: &mut Tx) -> Result<bool, StoreError> {
        let row = sqlx::query("select cast(coalesce(sum(bytes), 0) as bigint) from spool")
            .fetch_one(&mut **tx)
            .await?;
        Ok(row.try_get::<i64, _>(0)? >= MOST)
    }

    /// Adds a piece.
    pub(super) async fn to_spool(
        &self,
        tx: &mut Tx,
        blob: &str,
        text: &str,
    ) -> Result<(), StoreError> {
        sqlx::query(self.sql(
            "insert into spool (blob, at, bytes, body) values ($1, {now}, $2, $3) \
             on conflict (blob) do update set bytes = excluded.bytes, body = excluded.body",
        ))
        .bind(blob)
        .bind(stored::<usize>(text.len()))
        .bind(text)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Waiting pieces, oldest first: names and texts.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn spooled(&self) -> Result<Vec<(String, String)>, StoreError> {
        let rows = sqlx::query("select blob, body from spool order by at, blob limit $1")
            .bind(AT_ONCE)
            .fetch_all(self.pool())
            .await?;
        let piece = |row: &sqlx::any::AnyRow| Ok((row.try_get(0)?, row.try_get(1)?));
        rows.iter().map(piece).collect()
    }

    /// Removes a piece that was written.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn unspool(&self, blob: &str) -> Result<(), StoreError> {
        sqlx::query("delete from spool where blob = $1")
            .bind(blob)
            .execute(self.pool())
            .await?;
        Ok(())
    }
}
