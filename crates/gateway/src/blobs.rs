//! Stores pieces of output and archives of manuals: `RUN/NAME`, in a folder or in a bucket. A
//! folder is written to at once; a bucket, which may be slow or unreachable, later
//! (`crate::spool`).

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

mod folder;
pub mod s3;

use folder::Folder;
use s3::S3;

/// How long to try nothing after an error: readers of a run do not wait for an unreachable bucket.
const PAUSE: Duration = Duration::from_secs(2);

/// A blob store. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct Blobs {
    place: Arc<Place>,
    /// The time and message of the last error.
    away: Arc<Mutex<Option<(Instant, String)>>>,
}

#[derive(Debug)]
enum Place {
    Folder(Folder),
    S3(Box<S3>),
}

impl Blobs {
    /// A store in this folder, which is created private.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn open(folder: &Path) -> std::io::Result<Blobs> {
        Ok(Blobs::at(Place::Folder(Folder::open(folder)?)))
    }

    /// A store in the bucket of `s3://BUCKET/PREFIX`. Does not connect yet.
    ///
    /// # Errors
    /// If the address or the settings are invalid.
    pub fn bucket(url: &str, settings: &s3::Settings) -> Result<Blobs, String> {
        Ok(Blobs::at(Place::S3(Box::new(S3::new(url, settings)?))))
    }

    fn at(place: Place) -> Blobs {
        Blobs {
            place: Arc::new(place),
            away: Arc::default(),
        }
    }

    /// Whether a piece is written at once, within the transaction.
    #[must_use]
    pub fn is_near(&self) -> bool {
        matches!(*self.place, Place::Folder(_))
    }

    /// The name of a piece.
    pub(crate) fn name(run: &str, name: &str) -> std::io::Result<String> {
        Ok(format!("{}/{}", file_name(run)?, file_name(name)?))
    }

    /// Writes a piece. Writing the same piece again changes nothing.
    pub(crate) async fn write(&self, blob: &str, bytes: &[u8]) -> std::io::Result<()> {
        let (run, name) = apart(blob)?;
        self.tried()?;
        self.seen(match &*self.place {
            Place::Folder(folder) => folder.write(run, name, bytes).await,
            Place::S3(s3) => s3.write(run, name, bytes).await,
        })
    }

    /// Reads a piece.
    pub(crate) async fn read(&self, blob: &str) -> std::io::Result<Vec<u8>> {
        let (run, name) = apart(blob)?;
        self.tried()?;
        self.seen(match &*self.place {
            Place::Folder(folder) => folder.read(run, name).await,
            Place::S3(s3) => s3.read(run, name).await,
        })
    }

    /// Whether to try at all.
    fn tried(&self) -> std::io::Result<()> {
        let away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        match &*away {
            Some((since, why)) if since.elapsed() < PAUSE => {
                Err(std::io::Error::other(why.clone()))
            }
            _ => Ok(()),
        }
    }

    fn seen<T>(&self, done: std::io::Result<T>) -> std::io::Result<T> {
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        *away = match &done {
            // A missing piece is a valid answer.
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Some((Instant::now(), format!("the blobs: {error}")))
            }
            _ => None,
        };
        done
    }
}

fn apart(blob: &str) -> std::io::Result<(&str, &str)> {
    let (run, name) = blob.split_once('/').unwrap_or((blob, ""));
    Ok((file_name(run)?, file_name(name)?))
}

fn file_name(name: &str) -> std::io::Result<&str> {
    if opsbook_wire::limit::is_name(name) && !name.starts_with('.') {
        Ok(name)
    } else {
        Err(std::io::Error::from(std::io::ErrorKind::InvalidFilename))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_place_that_is_away_is_not_asked_again_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("blobs");
        let blobs = Blobs::open(&folder).unwrap();
        let blob = Blobs::name("R1", "part-a.1.1").unwrap();
        blobs.write(&blob, b"x").await.unwrap();
        assert_eq!(blobs.read(&blob).await.unwrap(), b"x");
        let none = blobs.read("R1/part-b.1.1").await.unwrap_err();
        assert_eq!(none.kind(), std::io::ErrorKind::NotFound);
        // Another file is in the place of the folder.
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::write(&folder, "").unwrap();
        assert!(blobs.write(&blob, b"x").await.is_err());
        std::fs::remove_file(&folder).unwrap();
        std::fs::create_dir(&folder).unwrap();
        assert!(blobs.write(&blob, b"x").await.is_err());
        tokio::time::sleep(PAUSE).await;
        blobs.write(&blob, b"x").await.unwrap();
        for wrong in ["", "R1", "R1/", "../x", "R1/../x", "R1/.x", "/x"] {
            assert!(blobs.read(wrong).await.is_err(), "{wrong}");
        }
    }
}
