//! This user's logins: `logins.json` in a private folder.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The most bytes of the file.
const LARGEST: u64 = 1 << 20;

/// The logins of one user.
#[derive(Clone, Debug)]
pub struct Logins {
    folder: PathBuf,
}

/// One login.
#[derive(Clone, Serialize, Deserialize)]
pub struct Login {
    /// The person's name.
    pub person: String,
    /// The token that proves it.
    pub token: String,
    /// When it expires.
    pub until: String,
    /// The fingerprint of the gateway's certificate, if the machine does not trust it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login of {} until {}", self.person, self.until)
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    /// By the text of the address.
    logins: BTreeMap<String, Login>,
    /// The default gateway.
    #[serde(default)]
    last: Option<String>,
}

/// Why the logins cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LoginsError {
    /// A system error.
    #[error("`{path}`: {cause}")]
    System {
        /// The file or folder.
        path: PathBuf,
        /// The error.
        cause: std::io::Error,
    },
    /// Others can read or write it.
    #[error(
        "`{0}` is not a file of this user alone (chmod 600): it may hold what others have put there"
    )]
    NotOurs(PathBuf),
    /// Its contents are invalid.
    #[error("`{path}` cannot be read: {cause}")]
    Strange {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
}

impl Logins {
    /// Logins in this folder, which is created on the first write.
    #[must_use]
    pub fn in_folder(folder: PathBuf) -> Logins {
        Logins { folder }
    }

    /// The login at a gateway.
    ///
    /// # Errors
    /// If the file exists and cannot be read or trusted.
    pub fn at(&self, address: &str) -> Result<Option<Login>, LoginsError> {
        Ok(self.content()?.logins.remove(address))
    }

    /// The gateway of this user's last login.
    ///
    /// # Errors
    /// If the file exists and cannot be read or trusted.
    pub fn last(&self) -> Result<Option<String>, LoginsError> {
        Ok(self.content()?.last)
    }

    /// Stores a login, and replaces an earlier one at this gateway.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn add(&self, address: &str, login: Login) -> Result<(), LoginsError> {
        let mut content = self.content()?;
        content.logins.insert(address.to_owned(), login);
        content.last = Some(address.to_owned());
        self.write(&content)
    }

    /// Removes the login at a gateway.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn remove(&self, address: &str) -> Result<(), LoginsError> {
        let mut content = self.content()?;
        content.logins.remove(address);
        content.last = content.last.filter(|last| last != address);
        self.write(&content)
    }

    fn path(&self) -> PathBuf {
        self.folder.join("logins.json")
    }

    fn content(&self) -> Result<Content, LoginsError> {
        let path = self.path();
        let system = |cause| LoginsError::System {
            path: path.clone(),
            cause,
        };
        let file = match open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Content::default()),
            Err(error) => return Err(system(error)),
        };
        let about = file.metadata().map_err(system)?;
        let ours = about.is_file()
            && about.uid() == rustix::process::geteuid().as_raw()
            && about.mode().trailing_zeros() >= 6;
        if !ours {
            return Err(LoginsError::NotOurs(path));
        }
        let mut text = Zeroizing::new(String::new());
        file.take(LARGEST)
            .read_to_string(&mut text)
            .map_err(system)?;
        serde_json::from_str(&text).map_err(|error| LoginsError::Strange {
            path: path.clone(),
            cause: error.to_string(),
        })
    }

    /// Replaces the file atomically.
    fn write(&self, content: &Content) -> Result<(), LoginsError> {
        let path = self.path();
        let system = |path: &Path| {
            let path = path.to_owned();
            move |cause| LoginsError::System { path, cause }
        };
        let mut folder = DirBuilder::new();
        folder
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(system(&self.folder))?;
        let text = serde_json::to_vec(content).map_err(|error| LoginsError::Strange {
            path: path.clone(),
            cause: error.to_string(),
        })?;
        let text = Zeroizing::new(text);
        let new = path.with_extension(format!("{}.new", std::process::id()));
        let _ = std::fs::remove_file(&new);
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut file| {
                file.write_all(&text)?;
                file.sync_all()
            })
            .and_then(|()| std::fs::rename(&new, &path));
        written.map_err(system(&path))
    }
}

/// Does not follow a link that somebody may have put there.
fn open(path: &Path) -> std::io::Result<File> {
    let no_link = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
    OpenOptions::new()
        .read(true)
        .custom_flags(no_link)
        .open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn login(token: &str) -> Login {
        Login {
            person: "ana".into(),
            token: token.into(),
            until: "2026-11-30T00:00:00Z".into(),
            fingerprint: None,
        }
    }

    #[test]
    fn a_login_is_kept_for_this_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let logins = Logins::in_folder(folder.path().join("a/b"));
        assert!(logins.at("unix:/x").unwrap().is_none());
        logins.add("unix:/x", login("one")).unwrap();
        logins.add("http://h:1", login("two")).unwrap();
        assert_eq!(logins.at("unix:/x").unwrap().unwrap().token, "one");
        assert_eq!(logins.last().unwrap().as_deref(), Some("http://h:1"));
        let path = folder.path().join("a/b/logins.json");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&folder.path().join("a/b")), 0o700);
        assert!(!format!("{:?}", logins.at("unix:/x")).contains("one"));
        logins.remove("http://h:1").unwrap();
        assert!(logins.at("http://h:1").unwrap().is_none());
        assert_eq!(logins.last().unwrap(), None);
        // A file that others could have written is not trusted.
        let open = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(&path, open).unwrap();
        assert!(matches!(logins.at("unix:/x"), Err(LoginsError::NotOurs(_))));
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", &path).unwrap();
        assert!(logins.at("unix:/x").is_err());
    }
}
