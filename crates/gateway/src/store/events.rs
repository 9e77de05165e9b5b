//! The stored lines of journals, which can be read from any position.
//!
//! A line is a row, except `output`: its lines are blobs, and a row names each blob. Until a blob
//! is written, it waits in the spool. `n` numbers the lines of a run in the order of their arrival.
//! The run's row is locked while `n` is assigned, so a reader who has seen `n` has seen all lines
//! before it.

use sqlx::Row as _;
use wire::Cursor;

use super::{Store, StoreError, counted, stored};
use crate::blobs::Blobs;
use crate::wire;

/// A stored line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number in the run.
    pub n: i64,
    /// Its position.
    pub cursor: Cursor,
    /// The kind of event; `output` for all output.
    pub kind: String,
    /// The step.
    pub step: Option<i64>,
    /// The line, byte for byte.
    pub text: String,
}

/// Where to continue reading.
#[derive(Clone, Debug, Default)]
pub struct From {
    /// After this number.
    pub n: i64,
    /// Only this part.
    pub node: Option<String>,
    /// What to do if output cannot be read now.
    pub away: Away,
}

/// What to do if output cannot be read now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Away {
    /// Return nothing.
    #[default]
    Refuse,
    /// Return everything else: a viewer sees the events now and the output later.
    LeaveOut,
}

impl Store {
    /// The lines of a run after a position, at most `most` rows; a row of output may be many lines.
    ///
    /// # Errors
    /// If the store or a blob cannot be read.
    pub async fn lines(
        &self,
        blobs: &Blobs,
        run: &str,
        from: &From,
        most: i64,
    ) -> Result<Vec<Line>, StoreError> {
        let node = from.node.as_deref().unwrap_or_default();
        let rows = sqlx::query(
            "select n, node, epoch, seq, kind, step, line from event \
             where run = $1 and n > $2 and ($3 = '' or node = $3) order by n limit $4",
        )
        .bind(run)
        .bind(from.n)
        .bind(node)
        .bind(most)
        .fetch_all(self.pool())
        .await?;
        let mut lines = Vec::new();
        for row in &rows {
            lines.push(Line {
                n: row.try_get("n")?,
                cursor: cursor(row)?,
                kind: row.try_get("kind")?,
                step: row.try_get("step")?,
                text: row.try_get("line")?,
            });
        }
        // Output after the last event read is returned next time.
        let end = match lines.last() {
            Some(last) if stored::<usize>(lines.len()) == most => last.n,
            _ => i64::MAX,
        };
        let rows = sqlx::query(
            "select c.n, c.lines, c.node, c.epoch, c.seq, c.step, c.blob, s.body from chunk c \
             left join spool s on s.blob = c.blob \
             where c.run = $1 and c.n + c.lines - 1 > $2 and c.n < $3 \
               and ($4 = '' or c.node = $4) order by c.n limit $5",
        )
        .bind(run)
        .bind(from.n)
        .bind(end)
        .bind(node)
        .bind(most)
        .fetch_all(self.pool())
        .await?;
        let cut = stored::<usize>(rows.len()) == most;
        let mut last = None;
        for row in &rows {
            let (n, cursor): (i64, Cursor) = (row.try_get("n")?, cursor(row)?);
            last = Some(n + row.try_get::<i64, _>("lines")? - 1);
            let text = match (text_of(row, blobs).await, from.away) {
                (Ok(text), _) => text,
                (Err(error), Away::Refuse) => return Err(error),
                (Err(_), Away::LeaveOut) => String::new(),
            };
            for (place, line) in (0..).zip(text.lines()) {
                if n + place > from.n {
                    lines.push(Line {
                        n: n + place,
                        cursor: Cursor {
                            seq: cursor.seq + u64::try_from(place).unwrap_or_default(),
                            ..cursor.clone()
                        },
                        kind: "output".to_owned(),
                        step: row.try_get("step")?,
                        text: line.to_owned(),
                    });
                }
            }
        }
        lines.sort_by_key(|line| line.n);
        // Everything after the last output read is returned next time.
        if let Some(last) = last.filter(|_| cut) {
            lines.retain(|line| line.n <= last);
        }
        Ok(lines)
    }

    /// The number of lines of a run.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn count_lines(&self, run: &str) -> Result<i64, StoreError> {
        let row = sqlx::query("select events from run where id = $1")
            .bind(run)
            .fetch_optional(self.pool())
            .await?;
        Ok(row.map_or(Ok(0), |row| row.try_get(0))?)
    }

    /// The number of a line in its run.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn number_of(&self, run: &str, cursor: &Cursor) -> Result<Option<i64>, StoreError> {
        let row = sqlx::query(
            "select n from event where run = $1 and node = $2 and epoch = $3 and seq = $4 \
             union all \
             select n + ($4 - seq) from chunk where run = $1 and node = $2 and epoch = $3 \
               and seq <= $4 and seq + lines > $4",
        )
        .bind(run)
        .bind(&cursor.node)
        .bind(stored(cursor.epoch))
        .bind(stored(cursor.seq))
        .fetch_optional(self.pool())
        .await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }
}

/// A piece of output, from the spool or the blob store.
async fn text_of(row: &sqlx::any::AnyRow, blobs: &Blobs) -> Result<String, StoreError> {
    if let Some(waits) = row.try_get::<Option<String>, _>("body")? {
        return Ok(waits);
    }
    let bytes = blobs.read(row.try_get("blob")?).await?;
    let text = String::from_utf8(bytes);
    text.map_err(|_| StoreError::Unreadable("a piece of output is not text".to_owned()))
}

fn cursor(row: &sqlx::any::AnyRow) -> Result<Cursor, StoreError> {
    Ok(Cursor {
        node: row.try_get("node")?,
        epoch: counted(row.try_get("epoch")?),
        seq: counted(row.try_get("seq")?),
    })
}
