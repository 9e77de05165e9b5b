//! The tables, by version. Each version only adds, so a gateway of the previous version continues
//! to work.

use super::{Database, Store, StoreError};

/// The additions of each version.
const VERSIONS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("schema_logins.sql"),
    include_str!("approvals.sql"),
    include_str!("checks.sql"),
    include_str!("record.sql"),
    include_str!("approval_groups.sql"),
    include_str!("applications.sql"),
    include_str!("spool.sql"),
    include_str!("sync.sql"),
    include_str!("looked.sql"),
    include_str!("hear.sql"),
];

/// Upgrades the tables to this version. Gateways that start together do this one after the other.
pub(super) async fn upgrade(store: &Store) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    if store.database == Database::Postgres {
        sqlx::query("select pg_advisory_xact_lock(7269114)")
            .execute(&mut *tx)
            .await?;
    }
    sqlx::query("create table if not exists schema_version (version bigint not null)")
        .execute(&mut *tx)
        .await?;
    let (have,): (i64,) = sqlx::query_as("select coalesce(max(version), 0) from schema_version")
        .fetch_one(&mut *tx)
        .await?;
    let have = usize::try_from(have).unwrap_or(usize::MAX);
    for (number, text) in (1_i64..).zip(VERSIONS).skip(have) {
        for statement in apart(text) {
            sqlx::query(statement).execute(&mut *tx).await?;
        }
        sqlx::query("insert into schema_version (version) values ($1)")
            .bind(number)
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await?;
    Ok(())
}

fn apart(text: &str) -> impl Iterator<Item = &str> {
    let statements = text.split(';').map(str::trim);
    statements.filter(|text| !text.is_empty())
}

/// All statements that made the tables.
pub(super) fn statements() -> impl Iterator<Item = &'static str> {
    VERSIONS.iter().flat_map(|text| apart(text))
}
