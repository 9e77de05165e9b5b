//! Pieces of output in a folder: `RUN/NAME`. A piece is written once, synced, and named in the
//! store only then.

use std::path::{Path, PathBuf};

use tokio::io::AsyncWriteExt as _;

/// The folder.
#[derive(Clone, Debug)]
pub struct Blobs {
    folder: PathBuf,
}

impl Blobs {
    /// In this folder, which is made for this user alone.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn open(folder: &Path) -> std::io::Result<Blobs> {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        Ok(Blobs {
            folder: folder.to_owned(),
        })
    }

    /// Writes a piece; its name for the store.
    pub(crate) async fn write(&self, run: &str, name: &str, text: &str) -> std::io::Result<String> {
        let run = file_name(run)?;
        let name = file_name(name)?;
        let folder = self.folder.join(run);
        tokio::fs::create_dir_all(&folder).await?;
        // Two gateways may write the same piece: each has a file of its own until it is whole.
        let part = folder.join(format!(".{name}.{}", crate::token::new_token()));
        let mut file = tokio::fs::File::create(&part).await?;
        file.write_all(text.as_bytes()).await?;
        file.sync_data().await?;
        tokio::fs::rename(&part, folder.join(name)).await?;
        tokio::fs::File::open(&folder).await?.sync_all().await?;
        Ok(format!("{run}/{name}"))
    }

    /// Reads a piece.
    pub(crate) async fn read(&self, blob: &str) -> std::io::Result<String> {
        let (run, name) = blob.split_once('/').unwrap_or((blob, ""));
        let path = self.folder.join(file_name(run)?).join(file_name(name)?);
        tokio::fs::read_to_string(path).await
    }
}

fn file_name(name: &str) -> std::io::Result<&str> {
    if opsbook_wire::limit::is_name(name) && !name.starts_with('.') {
        Ok(name)
    } else {
        Err(std::io::Error::from(std::io::ErrorKind::InvalidFilename))
    }
}
