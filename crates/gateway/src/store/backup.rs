//! A consistent copy of the store while it is in use.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::{Database, Store, StoreError};

impl Store {
    /// Copies everything into a new private file.
    ///
    /// # Errors
    /// If the file exists or cannot be written; and on PostgreSQL, which has its own tools.
    pub async fn backup(&self, file: &Path) -> Result<(), StoreError> {
        if self.database != Database::Sqlite {
            let why = "a store on PostgreSQL is backed up by `pg_dump`, or by its standby";
            return Err(StoreError::Unreadable(why.to_owned()));
        }
        let mut options = std::fs::OpenOptions::new();
        options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(file)?;
        let name = file.to_string_lossy().into_owned();
        let copied = sqlx::query("vacuum into $1")
            .bind(name)
            .execute(self.pool())
            .await;
        if let Err(error) = copied {
            // An incomplete copy is useless.
            let _ = std::fs::remove_file(file);
            return Err(error.into());
        }
        std::fs::File::open(file)?.sync_all()?;
        Ok(())
    }
}
