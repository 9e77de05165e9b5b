//! A folder as a blob store: `RUN/NAME`. A piece is written once, atomically.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use tokio::io::AsyncWriteExt as _;

/// The folder.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    folder: PathBuf,
}

impl Folder {
    /// Opens the folder; creates it private.
    pub fn open(folder: &Path) -> std::io::Result<Folder> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        Ok(Folder {
            folder: folder.to_owned(),
        })
    }

    /// Writes and syncs a piece.
    pub async fn write(&self, run: &str, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        let folder = self.folder.join(run);
        tokio::fs::create_dir_all(&folder).await?;
        // Two gateways may write the same piece: each uses its own temporary file.
        let part = folder.join(format!(".{name}.{}", crate::token::new_token()));
        let mut file = tokio::fs::File::create(&part).await?;
        file.write_all(bytes).await?;
        file.sync_data().await?;
        tokio::fs::rename(&part, folder.join(name)).await?;
        tokio::fs::File::open(&folder).await?.sync_all().await
    }

    /// Reads a piece.
    pub async fn read(&self, run: &str, name: &str) -> std::io::Result<Vec<u8>> {
        tokio::fs::read(self.folder.join(run).join(name)).await
    }
}
