//! Connections that several commands share: the one that the user's own `ssh` keeps open, and the
//! one of `keep_connection`. Finds their sockets; `ssh` makes the connections.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use opsbook_text::random;
use sha2::{Digest, Sha256};
use tokio::process::Command;

use super::control::private;
use super::fair;

/// For a local program that only reads files and asks a local socket.
const ANSWER: Duration = Duration::from_secs(2);
/// The most configuration files to read.
const MOST_FILES: usize = 64;
/// A socket path has at most 108 bytes, and `ssh` adds 17 while it creates one.
const MOST_PATH: usize = 90;

/// A connection of another command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shared {
    /// The user's own open connection.
    Theirs(PathBuf),
    /// Our connection, open or to be opened, and how long to keep it after its last use.
    Kept {
        socket: PathBuf,
        time: Duration,
        open: bool,
    },
}

impl Shared {
    pub(super) fn socket(&self) -> &Path {
        match self {
            Self::Theirs(socket) | Self::Kept { socket, .. } => socket,
        }
    }

    /// Whether it was open before: it may be dead by now without anybody noticing.
    pub(super) fn was_open(&self) -> bool {
        match self {
            Self::Theirs(_) => true,
            Self::Kept { open, .. } => *open,
        }
    }

    /// The options that make `ssh` use it.
    pub(super) fn options(&self) -> Vec<String> {
        match self {
            Self::Theirs(_) => vec!["ControlMaster=no".to_owned()],
            Self::Kept { time, .. } => vec![
                "ControlMaster=auto".to_owned(),
                format!("ControlPersist={}", time.as_secs().max(1)),
            ],
        }
    }
}

/// The kept connection of this destination, identified by `words`. A `new` one replaces an open
/// one, which nobody can find any more and which ends by itself.
pub(super) fn kept(words: &[OsString], time: Duration, new: bool) -> io::Result<Shared> {
    let base = base()?;
    let secret = secret(&base)?;
    let mut hash = Sha256::new();
    hash.update(secret);
    for word in words {
        hash.update(word.as_encoded_bytes());
        hash.update([0]);
    }
    let name: String = hash.finalize()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let socket = base.join(format!("kept-{name}"));
    if socket.as_os_str().len() > MOST_PATH {
        return Err(io::Error::other(format!(
            "the path `{}` is too long for a socket",
            base.display()
        )));
    }
    if new {
        let _ = fs::remove_file(&socket);
    }
    let open = is_own_socket(&socket);
    Ok(Shared::Kept { socket, time, open })
}

/// A folder that nobody else can enter.
fn base() -> io::Result<PathBuf> {
    let uid = rustix::process::getuid().as_raw();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(|dir| PathBuf::from(dir).join("opsbook"));
    let home = std::env::var_os("HOME").map(|dir| PathBuf::from(dir).join(".opsbook"));
    let mut last = io::Error::other("neither XDG_RUNTIME_DIR nor HOME is set");
    for path in runtime
        .into_iter()
        .chain(home)
        .filter(|path| path.is_absolute())
    {
        match private(&path, uid) {
            Ok(()) => return Ok(path),
            Err(error) => last = io::Error::other(format!("`{}`: {error}", path.display())),
        }
    }
    Err(last)
}

/// A random number in the folder that makes socket names unpredictable for others.
fn secret(base: &Path) -> io::Result<[u8; 32]> {
    let path = base.join("kept.key");
    if let Ok(found) = read_secret(&path) {
        return Ok(found);
    }
    let secret = random::bytes();
    let mut aside = tempfile::NamedTempFile::new_in(base)?;
    aside.write_all(&secret)?;
    match aside.persist_noclobber(&path) {
        Ok(_) => Ok(secret),
        // Another command was faster. An invalid file is replaced.
        Err(error) => {
            if let Ok(found) = read_secret(&path) {
                return Ok(found);
            }
            error.file.persist(&path).map_err(|error| error.error)?;
            Ok(secret)
        }
    }
}

fn read_secret(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(
            (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK)
                .bits()
                .cast_signed(),
        )
        .open(path)?;
    let facts = file.metadata()?;
    if !facts.is_file() || facts.uid() != rustix::process::getuid().as_raw() {
        return Err(io::Error::other("is not a file of this user"));
    }
    let mut secret = [0; 32];
    file.read_exact(&mut secret)?;
    Ok(secret)
}

fn is_own_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|facts| {
        facts.file_type().is_socket() && facts.uid() == rustix::process::getuid().as_raw()
    })
}

/// The arguments for asking `ssh` about one destination.
#[derive(Clone, Debug, Default)]
pub(super) struct Asking {
    /// The configuration instead of the user's own.
    pub(super) config: Option<PathBuf>,
    /// All other arguments, with the destination last.
    pub(super) words: Vec<OsString>,
    /// The same for other destinations: another host, and another user and port if given.
    pub(super) others: Vec<Vec<OsString>>,
}

impl Asking {
    /// All arguments: with another configuration, the same name is another destination.
    pub(super) fn all(&self) -> Vec<OsString> {
        let config = self.config.iter();
        let mut all: Vec<OsString> = config.flat_map(|path| ["-F".into(), path.into()]).collect();
        all.extend(self.words.iter().cloned());
        all
    }
}

/// The user's own connection, if the configuration names a socket and somebody answers there. A
/// socket name that does not identify the destination is not used: it may lead anywhere.
pub(super) async fn theirs(asking: &Asking, written: &[String]) -> Option<Shared> {
    let mentioned = written.iter().any(|option| mentions(option.as_bytes()))
        || Config::of(asking.config.as_deref()).mentions();
    if !mentioned {
        return None;
    }
    let socket = control_path(asking, &asking.words).await?;
    if !is_own_socket(&socket) {
        return None;
    }
    for other in &asking.others {
        if control_path(asking, other).await.as_ref() == Some(&socket) {
            return None;
        }
    }
    let mut check = ssh(asking);
    check.arg("-S").arg(&socket).args(["-O", "check"]);
    check.args(&asking.words).stdout(Stdio::null());
    let ended = fair::within(ANSWER, check.status()).await?;
    ended
        .is_ok_and(|status| status.success())
        .then_some(Shared::Theirs(socket))
}

fn ssh(asking: &Asking) -> Command {
    let mut command = Command::new("ssh");
    command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    if let Some(config) = &asking.config {
        command.arg("-F").arg(config);
    }
    command
}

/// The socket path that `ssh` would use.
async fn control_path(asking: &Asking, words: &[OsString]) -> Option<PathBuf> {
    let mut command = ssh(asking);
    command.arg("-G").args(words);
    let output = fair::within(ANSWER, command.output()).await?.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let path = text
        .lines()
        .find_map(|line| line.strip_prefix("controlpath "))?;
    (path != "none" && path.starts_with('/')).then(|| PathBuf::from(path))
}

/// The files of an ssh configuration. If nothing in them names a socket, opsbook need not start
/// `ssh` to ask.
struct Config {
    left: Vec<PathBuf>,
    /// Something that this code does not understand: ask `ssh`.
    odd: bool,
}

impl Config {
    fn of(instead: Option<&Path>) -> Config {
        let left = match instead {
            Some(path) if path.as_os_str() == "none" => Vec::new(),
            Some(path) => vec![path.to_owned()],
            None => home()
                .map(|home| home.join(".ssh/config"))
                .into_iter()
                .chain([PathBuf::from("/etc/ssh/ssh_config")])
                .collect(),
        };
        Config { left, odd: false }
    }

    fn mentions(mut self) -> bool {
        for _ in 0..MOST_FILES {
            let Some(path) = self.left.pop() else {
                return self.odd;
            };
            let text = match fs::metadata(&path) {
                Ok(facts) if facts.is_file() => fs::read(&path).unwrap_or_default(),
                Ok(_) => return true,
                Err(_) => continue,
            };
            if mentions(&text) {
                return true;
            }
            for line in text.split(|byte| *byte == b'\n') {
                self.include(line, &path);
            }
        }
        true
    }

    /// Adds the files of an `Include` line: plain paths, and `folder/*` with an extension.
    fn include(&mut self, line: &[u8], from: &Path) {
        let line = String::from_utf8_lossy(line);
        let line = line.trim();
        let Some(("include", paths)) = line
            .split_once([' ', '\t', '='])
            .map(|(word, rest)| (word.to_ascii_lowercase(), rest))
            .as_ref()
            .map(|(word, rest)| (word.as_str(), *rest))
        else {
            return;
        };
        let folder = if from.starts_with("/etc") {
            Some(PathBuf::from("/etc/ssh"))
        } else {
            home().map(|home| home.join(".ssh"))
        };
        for word in paths.split_whitespace() {
            let path = match (word.strip_prefix("~/"), &folder) {
                (Some(rest), _) => home().map(|home| home.join(rest)),
                (None, Some(folder)) => Some(folder.join(word)),
                (None, None) => None,
            };
            match path {
                Some(path) if !word.contains(['"', '%', '$', '[', '?', '\\', '{']) => {
                    self.glob(&path);
                }
                _ => self.odd = true,
            }
        }
    }

    fn glob(&mut self, path: &Path) {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let folder = path.parent().unwrap_or(path);
        if folder.to_string_lossy().contains('*') || name.matches('*').count() > 1 {
            self.odd = true;
        } else if let Some((begin, end)) = name.split_once('*') {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            let fits = |path: &PathBuf| {
                let name = path.file_name().and_then(|name| name.to_str());
                name.is_some_and(|name| name.starts_with(begin) && name.ends_with(end))
            };
            self.left
                .extend(entries.map(|entry| entry.path()).filter(fits));
        } else {
            self.left.push(path.to_owned());
        }
    }
}

/// The home directory as `ssh` sees it; `ssh` does not use the environment.
pub(super) fn home() -> Option<PathBuf> {
    let uid = rustix::process::getuid().as_raw().to_string();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let listed = users.lines().find_map(|line| {
        let mut fields = line.split(':').skip(2);
        (fields.next() == Some(uid.as_str())).then(|| fields.nth(2).map(PathBuf::from))?
    });
    listed.or_else(|| std::env::var_os("HOME").map(PathBuf::from))
}

/// Case-insensitive, also in comments.
fn mentions(text: &[u8]) -> bool {
    text.to_ascii_lowercase()
        .windows(b"controlpath".len())
        .any(|word| word == b"controlpath")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_that_names_a_socket_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            path
        };
        write("more/a.conf", "Host b\n  controlPATH ~/.ssh/%C\n");
        write("more/b.txt", "");
        let plain = folder.path().display();
        for (name, text, known) in [
            ("none", "Host a\n  User b\n".to_owned(), false),
            ("direct", "Host a\n  ControlPath=~/x\n".to_owned(), true),
            ("folder", format!("Include {plain}/more/*.conf\n"), true),
            ("other", format!("include {plain}/more/*.txt\n"), false),
            ("file", format!("Include {plain}/more/a.conf\n"), true),
            ("circle", format!("Include {plain}/circle\n"), true),
            ("gone", format!("Include {plain}/gone-file\n"), false),
            ("odd", "Include \"a b\"\n".to_owned(), true),
        ] {
            let path = write(name, &text);
            assert_eq!(Config::of(Some(&path)).mentions(), known, "{text}");
        }
    }

    #[test]
    fn the_name_of_a_socket_cannot_be_foreseen() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = secret(one.path()).unwrap();
        assert_eq!(secret(one.path()).unwrap(), first);
        assert_ne!(secret(other.path()).unwrap(), first);
        // An invalid secret file is not trusted.
        fs::remove_file(one.path().join("kept.key")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", one.path().join("kept.key")).unwrap();
        assert_ne!(secret(one.path()).unwrap(), [0; 32]);
    }
}
