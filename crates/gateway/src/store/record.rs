//! The log of all ended journals: a leaf for the end of each journal, in an append-only tree.

use sqlx::Row as _;
use wire::record::{Checkpoint, leaf as text_of};

use super::{Database, Store, StoreError, Tx, counted, json, parsed, stored};
use crate::project::merkle::{Frontier, Hash, hex, leaf, unhex};
use crate::wire;

/// Which journals to record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those of ended or halted parts.
    Ended,
    /// Also those of running parts.
    All,
}

/// The most leaves that are added at a time.
const MOST: i64 = 500;

/// A leaf of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Its number, from 0.
    pub number: u64,
    /// The run.
    pub run: String,
    /// The part.
    pub node: String,
    /// The controller.
    pub epoch: u64,
    /// `seq` of the last line.
    pub last: u64,
    /// The hash of the last line.
    pub last_sha256: String,
}

impl Leaf {
    /// Its hash in the tree.
    #[must_use]
    pub fn hash(&self) -> Hash {
        let text = text_of(
            &self.run,
            &self.node,
            self.epoch,
            self.last,
            &self.last_sha256,
        );
        leaf(text.as_bytes())
    }
}

impl Store {
    /// Notes that a journal has lines that the log lacks.
    pub(super) async fn to_record(
        &self,
        tx: &mut Tx,
        (run, node, epoch): (&str, &str, u64),
    ) -> Result<(), StoreError> {
        sqlx::query(
            "insert into unrecorded (run, node, epoch) values ($1, $2, $3) \
             on conflict (run, node, epoch) do nothing",
        )
        .bind(run)
        .bind(node)
        .bind(stored(epoch))
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Adds the ends of journals to the log. Returns the size and the root if there are leaves
    /// without a checkpoint.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn record(&self, which: Which) -> Result<Option<(u64, Hash)>, StoreError> {
        let mut tx = self.begin().await?;
        if self.database == Database::Postgres {
            sqlx::query("select pg_advisory_xact_lock(7269115)")
                .execute(&mut *tx)
                .await?;
        }
        let row = sqlx::query("select size, roots from tree where id = 1")
            .fetch_optional(&mut *tx)
            .await?;
        let mut tree = match row {
            Some(row) => frontier(row.try_get(0)?, row.try_get(1)?)?,
            None => Frontier::default(),
        };
        let rows = sqlx::query(
            "select t.run, t.node, t.epoch, t.acked, t.last_sha256 from unrecorded u \
             join thread t on t.run = u.run and t.node = u.node and t.epoch = u.epoch \
             join part p on p.run = u.run and p.node = u.node \
             where ($2 = 1 or p.state in ('ended', 'halted')) order by t.run, t.node, t.epoch limit $1",
        )
        .bind(MOST)
        .bind(i64::from(which == Which::All))
        .fetch_all(&mut *tx)
        .await?;
        for row in &rows {
            let new = Leaf {
                number: tree.size,
                run: row.try_get("run")?,
                node: row.try_get("node")?,
                epoch: counted(row.try_get("epoch")?),
                last: counted(row.try_get("acked")?),
                last_sha256: row.try_get("last_sha256")?,
            };
            self.add_leaf(&mut tx, &new).await?;
            tree.add(new.hash());
        }
        if !rows.is_empty() {
            let roots: Vec<String> = tree.roots.iter().map(hex).collect();
            sqlx::query(
                "insert into tree (id, size, roots) values (1, $1, $2) \
                 on conflict (id) do update set size = excluded.size, roots = excluded.roots",
            )
            .bind(stored(tree.size))
            .bind(json(&roots))
            .execute(&mut *tx)
            .await?;
        }
        let (signed,): (i64,) = sqlx::query_as("select coalesce(max(size), 0) from checkpoint")
            .fetch_one(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok((tree.size > counted::<u64>(signed)).then(|| (tree.size, tree.root())))
    }

    async fn add_leaf(&self, tx: &mut Tx, new: &Leaf) -> Result<(), StoreError> {
        sqlx::query(self.sql(
            "insert into head (n, run, node, epoch, last, last_sha256, at) \
             values ($1, $2, $3, $4, $5, $6, {now})",
        ))
        .bind(stored(new.number))
        .bind(&new.run)
        .bind(&new.node)
        .bind(stored(new.epoch))
        .bind(stored(new.last))
        .bind(&new.last_sha256)
        .execute(&mut **tx)
        .await?;
        sqlx::query("delete from unrecorded where run = $1 and node = $2 and epoch = $3")
            .bind(&new.run)
            .bind(&new.node)
            .bind(stored(new.epoch))
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// Stores a checkpoint; an existing one of the same size by another gateway stays.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn add_checkpoint(&self, new: &Checkpoint) -> Result<(), StoreError> {
        sqlx::query(
            "insert into checkpoint (size, root, at, gateway, signature, key) \
             values ($1, $2, $3, $4, $5, $6) on conflict (size) do nothing",
        )
        .bind(stored(new.size))
        .bind(&new.root)
        .bind(&new.at)
        .bind(&new.gateway)
        .bind(&new.signature)
        .bind(&new.key)
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// The latest checkpoint.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        let row = sqlx::query("select * from checkpoint order by size desc limit 1")
            .fetch_optional(self.pool())
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Checkpoint {
            size: counted(row.try_get("size")?),
            root: row.try_get("root")?,
            at: row.try_get("at")?,
            gateway: row.try_get("gateway")?,
            signature: row.try_get("signature")?,
            key: row.try_get("key")?,
        }))
    }

    /// The first `size` leaves of the log.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn leaves(&self, size: u64) -> Result<Vec<Leaf>, StoreError> {
        let rows = sqlx::query(
            "select n, run, node, epoch, last, last_sha256 from head where n < $1 order by n",
        )
        .bind(stored(size))
        .fetch_all(self.pool())
        .await?;
        let mut leaves = Vec::new();
        for row in &rows {
            leaves.push(Leaf {
                number: counted(row.try_get("n")?),
                run: row.try_get("run")?,
                node: row.try_get("node")?,
                epoch: counted(row.try_get("epoch")?),
                last: counted(row.try_get("last")?),
                last_sha256: row.try_get("last_sha256")?,
            });
        }
        Ok(leaves)
    }
}

fn frontier(size: i64, roots: &str) -> Result<Frontier, StoreError> {
    let texts: Vec<String> = parsed(roots)?;
    let roots: Option<Vec<Hash>> = texts.iter().map(|text| unhex(text)).collect();
    let size = counted::<u64>(size);
    match roots {
        Some(roots) if roots.len() == size.count_ones() as usize => Ok(Frontier { size, roots }),
        _ => Err(StoreError::Unreadable(
            "the log's tree is damaged".to_owned(),
        )),
    }
}
