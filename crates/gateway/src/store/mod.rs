//! The orders and their state: in SQLite on one machine, in PostgreSQL if several gateways share
//! it. Each statement is written once for both; where they differ, the text contains a word in
//! braces, which [`Store::sql`] replaces.
//!
//! Times are milliseconds since 1970, by the database's clock only.

pub mod applications;
pub mod approvals;
mod backup;
mod checked;
pub mod checks;
pub(crate) mod doorbell;
pub mod events;
pub mod hear;
pub mod holds;
mod lines;
pub mod migrate;
pub mod notices;
mod orders;
pub mod people;
pub mod questions;
pub mod queue;
pub mod record;
pub mod runs;
mod schema;
mod set_back;
mod settle;
pub mod spool;
pub mod sync;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Any, AnyPool, AssertSqlSafe, Connection as _, Row as _, Transaction};

use crate::config::Leases;
use set_back::Away;

/// A connection that has rested for longer is tested before it is used.
const RESTED: Duration = Duration::from_millis(250);

/// A transaction of the store.
pub type Tx = Transaction<'static, Any>;

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or is unreachable.
    #[error("the store: {0}")]
    Database(#[from] sqlx::Error),
    /// Its contents are invalid or belong to a newer gateway.
    #[error("the store: {0}")]
    Unreadable(String),
    /// An error with a file next to the database.
    #[error("the store: {0}")]
    Io(#[from] std::io::Error),
}

impl StoreError {
    /// Whether the row already exists.
    #[must_use]
    pub fn is_double(&self) -> bool {
        matches!(self, StoreError::Database(error)
            if error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation))
    }
}

impl StoreError {
    /// Whether the store is full: PostgreSQL's `53100`, SQLite's `SQLITE_FULL` in all variants.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let StoreError::Database(error) = self else {
            return false;
        };
        let Some(error) = error.as_database_error() else {
            return false;
        };
        let code = error.code().unwrap_or_default();
        let sqlite = code.parse().is_ok_and(|code: u32| code & 0xff == 13);
        code == "53100" || code.len() < 5 && sqlite
    }
}

/// The kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// A file of this machine.
    Sqlite,
    /// A server.
    Postgres,
}

/// The store.
#[derive(Clone, Debug)]
pub struct Store {
    pool: AnyPool,
    /// When the store may last have been replaced by an older one.
    away: Away,
    /// The runners that were heard since this was last written.
    seen: Arc<Mutex<BTreeSet<String>>>,
    /// The durations of leases.
    pub leases: Leases,
    /// The kind of database.
    pub database: Database,
}

impl Store {
    /// Opens `sqlite:///path` or `postgres://…`, and upgrades its tables to this version.
    ///
    /// # Errors
    /// If it is unreachable, or belongs to a newer gateway.
    pub async fn open(url: &str) -> Result<Store, StoreError> {
        sqlx::any::install_default_drivers();
        let database = if url.starts_with("sqlite:") {
            Database::Sqlite
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            Database::Postgres
        } else {
            let message = format!("`{url}` is neither `sqlite:` nor `postgres:`");
            return Err(StoreError::Unreadable(message));
        };
        let url = match database {
            Database::Sqlite => url.to_owned(),
            Database::Postgres => verified(url)?,
        };
        let options: AnyConnectOptions = url.parse()?;
        let away = Away::new();
        let noted = away.clone();
        let pool = AnyPoolOptions::new()
            // SQLite has only one writer anyway; with one connection, statements of this process
            // never wait for locks.
            .max_connections(match database {
                Database::Sqlite => 1,
                Database::Postgres => 16,
            })
            .acquire_timeout(Duration::from_secs(5))
            .test_before_acquire(false)
            .before_acquire(move |connection, known| {
                Box::pin(async move {
                    // SQLite rolls back by itself when its disk is full. sqlx does not notice
                    // that, and would refuse every later transaction on this connection.
                    if connection.is_in_transaction() {
                        return Ok(false);
                    }
                    // A server may be gone since; to ask it each time doubles the round trips.
                    if database == Database::Postgres && known.idle_for > RESTED {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .after_connect(move |connection, _| {
                let noted = noted.clone();
                Box::pin(async move {
                    if database == Database::Postgres {
                        let text = "select cast(pg_postmaster_start_time() as text)";
                        let row = sqlx::query(text).fetch_one(&mut *connection).await?;
                        noted.connected(row.try_get(0)?);
                    }
                    if database == Database::Sqlite {
                        for text in [
                            "pragma journal_mode = wal",
                            "pragma synchronous = full",
                            "pragma busy_timeout = 5000",
                            "pragma foreign_keys = on",
                        ] {
                            sqlx::query(text).execute(&mut *connection).await?;
                        }
                    }
                    Ok(())
                })
            })
            .connect_with(options)
            .await?;
        let store = Store {
            pool,
            away,
            seen: Arc::default(),
            leases: Leases::default(),
            database,
        };
        schema::upgrade(&store).await?;
        Ok(store)
    }

    /// SQLite in this file, which is created private if it does not exist.
    ///
    /// # Errors
    /// The same as for [`Store::open`].
    pub async fn open_file(path: &Path) -> Result<Store, StoreError> {
        use std::os::unix::fs::OpenOptionsExt;
        let mut options = std::fs::OpenOptions::new();
        let options = options.create(true).append(true).mode(0o600);
        options.open(path)?;
        // `?`, `#` and `%` have a meaning in an address.
        let path = path.to_string_lossy();
        let path = path
            .replace('%', "%25")
            .replace('?', "%3f")
            .replace('#', "%23");
        Store::open(&format!("sqlite://{path}")).await
    }

    /// The statement for this database.
    #[must_use]
    pub fn sql(&self, text: &str) -> AssertSqlSafe<String> {
        let (now, lock, skip) = match self.database {
            Database::Sqlite => ("cast(unixepoch('subsec') * 1000 as integer)", "", ""),
            Database::Postgres => (
                "cast(extract(epoch from clock_timestamp()) * 1000 as bigint)",
                "for update",
                "for update skip locked",
            ),
        };
        let text = text.replace("{now}", now).replace("{lock}", lock);
        AssertSqlSafe(text.replace("{skip}", skip))
    }

    /// The table `j` of a statement, whose rows are the objects of the JSON list in this place.
    /// Its columns are texts. However many rows there are, the statement is the same, and is
    /// prepared once.
    fn listed(&self, place: &str, columns: &[&str]) -> String {
        let columns = columns.iter();
        match self.database {
            Database::Sqlite => {
                let columns: Vec<_> = columns
                    .map(|of| format!("value ->> '{of}' as {of}"))
                    .collect();
                format!(
                    "(select {} from json_each({place})) as j",
                    columns.join(", ")
                )
            }
            Database::Postgres => {
                let columns: Vec<_> = columns.map(|of| format!("{of} text")).collect();
                let columns = columns.join(", ");
                format!("json_to_recordset(cast({place} as json)) as j({columns})")
            }
        }
    }

    /// Begins a write transaction.
    ///
    /// # Errors
    /// If the database is unreachable.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        let begun = match self.database {
            // A transaction that begins as a reader may lose to another writer.
            Database::Sqlite => self.pool.begin_with("begin immediate").await,
            Database::Postgres => self.pool.begin().await,
        };
        Ok(begun.inspect_err(|_| self.may_be_older())?)
    }

    /// For single statements.
    #[must_use]
    pub fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// Commits a write, for `/readyz`.
    ///
    /// # Errors
    /// If it failed.
    pub async fn write(&self) -> Result<(), StoreError> {
        let text = "insert into pulse (id, at) values (1, {now}) \
                    on conflict (id) do update set at = excluded.at";
        let written = sqlx::query(self.sql(text)).execute(&self.pool).await;
        written.inspect_err(|_| self.may_be_older())?;
        Ok(())
    }

    /// The database's time.
    ///
    /// # Errors
    /// If it is unreachable.
    pub async fn now(&self) -> Result<i64, StoreError> {
        let (now,): (i64,) = sqlx::query_as(self.sql("select {now}"))
            .fetch_one(&self.pool)
            .await?;
        Ok(now)
    }
}

/// The same address. If it is on another machine and sets no TLS mode, the server's certificate
/// must be verified, because this data controls permissions.
fn verified(url: &str) -> Result<String, StoreError> {
    let options: PgConnectOptions = url.parse()?;
    let host = options.get_host();
    let is_here = options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || host.parse().is_ok_and(|at: IpAddr| at.is_loopback());
    let query = url.split_once('?').map(|(_, query)| query);
    let words = query.unwrap_or_default().split('&');
    let is_said = words
        .filter_map(|word| word.split_once('='))
        .any(|(name, _)| {
            let name = name.replace('-', "");
            name == "sslmode"
        });
    if is_here || is_said || std::env::var_os("PGSSLMODE").is_some() {
        return Ok(url.to_owned());
    }
    let joint = if query.is_some() { '&' } else { '?' };
    Ok(format!("{url}{joint}sslmode=verify-full"))
}

/// A time in the format of the interface.
#[must_use]
pub fn written(milliseconds: i64) -> String {
    jiff::Timestamp::from_millisecond(milliseconds).map_or_else(
        |_| milliseconds.to_string(),
        |time| time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
    )
}

/// Converts a number of the interface for the store.
#[must_use]
pub fn stored<T: TryInto<i64>>(number: T) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// Converts a number of the store for the interface.
#[must_use]
pub fn counted<T: TryFrom<i64> + Default>(number: i64) -> T {
    number.try_into().unwrap_or_default()
}

fn json<T: serde::Serialize>(value: &T) -> String {
    // Only strings, numbers and maps with string keys are stored this way.
    serde_json::to_string(value).unwrap_or_default()
}

fn parsed<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Unreadable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_to_another_machine_goes_to_the_one_that_is_meant() {
        for (url, added) in [
            ("postgres://o@db.example/o", "?sslmode=verify-full"),
            (
                "postgres://o@192.0.2.1:5433/o?application_name=x",
                "&sslmode=verify-full",
            ),
            ("postgres://o@db.example/o?sslmode=disable", ""),
            ("postgres://o@db.example/o?ssl-mode=require", ""),
            ("postgres://o@localhost/o", ""),
            ("postgres://o@127.0.0.7/o", ""),
            ("postgres://o@db.example/o?host=/run/postgresql", ""),
        ] {
            assert_eq!(verified(url).unwrap(), format!("{url}{added}"), "{url}");
        }
    }
}
