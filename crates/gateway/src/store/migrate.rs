//! Copies a whole store into an empty one: from SQLite to PostgreSQL, or back.

use std::collections::BTreeMap;

use sqlx::Row as _;

use super::{Store, StoreError};

/// A column, and whether it contains numbers.
struct Column {
    name: String,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
}

/// Copies everything in one transaction of the target. Returns the number of rows per table.
///
/// # Errors
/// If the target already has runs, or one of the two fails: then the target is unchanged.
pub async fn copy(from: &Store, to: &Store) -> Result<BTreeMap<String, usize>, StoreError> {
    let mut tx = to.begin().await?;
    let (runs,): (i64,) = sqlx::query_as("select count(*) from run")
        .fetch_one(&mut *tx)
        .await?;
    if runs > 0 {
        let why = format!("the new store already has {runs} runs");
        return Err(StoreError::Unreadable(why));
    }
    let mut counts = BTreeMap::new();
    for (table, columns) in tables() {
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let names = names.join(", ");
        let places: Vec<String> = (1..=columns.len())
            .map(|place| format!("${place}"))
            .collect();
        // Replace the rows that every new store has (`pulse`).
        sqlx::query(to.sql(&format!("delete from {table}")))
            .execute(&mut *tx)
            .await?;
        let insert = format!(
            "insert into {table} ({names}) values ({})",
            places.join(", ")
        );
        let rows = sqlx::query(from.sql(&format!("select {names} from {table}")))
            .fetch_all(from.pool())
            .await?;
        for row in &rows {
            let mut query = sqlx::query(to.sql(&insert));
            for column in &columns {
                let name = column.name.as_str();
                query = match column.kind {
                    Kind::Number => query.bind(row.try_get::<Option<i64>, _>(name)?),
                    Kind::Text => query.bind(row.try_get::<Option<String>, _>(name)?),
                };
            }
            query.execute(&mut *tx).await?;
        }
        counts.insert(table, rows.len());
    }
    tx.commit().await?;
    Ok(counts)
}

/// The tables in the order of their references, with their columns.
fn tables() -> Vec<(String, Vec<Column>)> {
    let mut tables: Vec<(String, Vec<Column>)> = Vec::new();
    for statement in super::schema::statements() {
        let Some(rest) = statement.strip_prefix("create table ") else {
            continue;
        };
        let (name, body) = rest.split_once('(').unwrap_or((rest, ""));
        let columns = body.lines().filter_map(|line| {
            let mut words = line.split([' ', ',']).filter(|word| !word.is_empty());
            let name = words.next()?.to_owned();
            let kind = match words.next()? {
                "text" => Kind::Text,
                "bigint" => Kind::Number,
                _ => return None,
            };
            Some(Column { name, kind })
        });
        tables.push((name.trim().to_owned(), columns.collect()));
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_read_with_its_columns() {
        let all = tables();
        let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
        let run = names.iter().position(|name| *name == "run").unwrap();
        let part = names.iter().position(|name| *name == "part").unwrap();
        assert!(run < part && names.contains(&"chunk"), "{names:?}");
        let (_, columns) = &all[run];
        let first: Vec<&str> = columns
            .iter()
            .map(|column| column.name.as_str())
            .take(3)
            .collect();
        assert_eq!(first, ["id", "manual", "revision"]);
        assert!(
            columns
                .iter()
                .any(|c| c.name == "bytes" && c.kind == Kind::Number)
        );
        assert!(all.iter().all(|(_, columns)| columns.len() > 1));
    }
}
