//! Resolves references to secrets. With `load`, the only file of this crate that does I/O. Errors
//! never contain the secret.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::{SecretRef, SecretText};

/// The most bytes of one secret.
const MAX_SECRET: usize = 64 * 1024;

/// Long enough to unlock a password store.
const COMMAND_TIMEOUT: Duration = Duration::from_mins(2);

/// How often to check whether a command is still needed.
const LOOK_UP: Duration = Duration::from_millis(50);

/// A secret, and a warning about where it was stored.
pub struct Resolved {
    /// The secret itself.
    pub text: SecretText,
    /// Something that the operator should fix, such as a file that others can read.
    pub warning: Option<String>,
}

/// Why a secret is not available. No variant contains any part of it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The environment variable is not set.
    #[error("environment variable `{0}` is not set")]
    EnvMissing(String),
    /// The file cannot be read.
    #[error("cannot read `{}`: {error}", path.display())]
    File {
        /// The file's path.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The command cannot be started.
    #[error("cannot start `{program}`: {error}")]
    Start {
        /// Its program.
        program: String,
        /// The system's error.
        error: io::Error,
    },
    /// The command failed.
    #[error("`{program}` failed: {status}")]
    Failed {
        /// Its program.
        program: String,
        /// Its exit status.
        status: ExitStatus,
    },
    /// The command exceeded its time limit and was killed.
    #[error("`{program}` did not end within {} s", limit.as_secs())]
    TimedOut {
        /// Its program.
        program: String,
        /// The limit.
        limit: Duration,
    },
    /// There was nobody to answer the prompt.
    #[error("cannot prompt: {0}")]
    Prompt(io::Error),
    /// The secret is empty: no script could distinguish it from a missing one.
    #[error("it is empty")]
    Empty,
    /// The secret is too long.
    #[error("it is longer than {MAX_SECRET} bytes")]
    TooLong,
    /// The secret is not UTF-8.
    #[error("it is not UTF-8 text")]
    NotText,
    /// The secret contains a NUL byte, which no shell variable can hold.
    #[error("it holds a NUL byte")]
    Nul,
}

/// Resolves a secret. Files are relative to `root`; `prompt` asks the operator. Removes one line
/// end after the secret.
///
/// A command is killed as soon as `given_up` says that nobody waits for it any more.
pub fn resolve(
    reference: &SecretRef,
    root: &Path,
    prompt: &dyn Fn(&str) -> io::Result<SecretText>,
    given_up: &AtomicBool,
) -> Result<Resolved, SecretError> {
    let mut warning = None;
    let text = match reference {
        SecretRef::Env(name) => {
            let value =
                std::env::var_os(name).ok_or_else(|| SecretError::EnvMissing(name.clone()))?;
            text(Zeroizing::new(value.into_encoded_bytes()))?
        }
        SecretRef::File(path) => {
            let path = root.join(path);
            warning = readable_by_others(&path);
            let bytes = read_file(&path).map_err(|error| SecretError::File { path, error })?;
            text(bytes)?
        }
        SecretRef::Command(words) => text(run(words, root, COMMAND_TIMEOUT, given_up)?)?,
        SecretRef::Prompt(question) => prompt(question).map_err(SecretError::Prompt)?,
    };
    if text.expose().is_empty() {
        return Err(SecretError::Empty);
    }
    Ok(Resolved { text, warning })
}

fn text(mut bytes: Zeroizing<Vec<u8>>) -> Result<SecretText, SecretError> {
    if bytes.len() > MAX_SECRET {
        return Err(SecretError::TooLong);
    }
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    if bytes.contains(&0) {
        return Err(SecretError::Nul);
    }
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Ok(SecretText::new(text)),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            Err(SecretError::NotText)
        }
    }
}

fn readable_by_others(path: &Path) -> Option<String> {
    let mode = path.metadata().ok()?.permissions().mode();
    (mode & 0o077 != 0).then(|| {
        format!(
            "`{}` can be read by others (mode {:04o}); `chmod 600` it",
            path.display(),
            mode & 0o7777
        )
    })
}

fn read_file(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    read_bounded(File::open(path)?)
}

/// Reads at most one byte more than allowed, into one allocation, so that no copy remains.
fn read_bounded(from: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; MAX_SECRET + 1]);
    let mut from = from.take(MAX_SECRET as u64 + 1);
    let mut length = 0;
    loop {
        match from.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// Runs a command without a shell. Its standard error goes to the operator directly.
fn run(
    words: &[String],
    root: &Path,
    limit: Duration,
    given_up: &AtomicBool,
) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let [program, arguments @ ..] = words else {
        return Err(SecretError::Empty);
    };
    let start = |error| SecretError::Start {
        program: program.clone(),
        error,
    };
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(start)?;
    let output = output_within(&mut child, limit, given_up);
    if output.is_none() {
        // Fails only if it has already ended.
        let _ = child.kill();
    }
    let status = child.wait().map_err(start)?;
    match output {
        None => Err(SecretError::TimedOut {
            program: program.clone(),
            limit,
        }),
        // The rest was not read, so its exit status says nothing.
        Some(Ok(bytes)) if bytes.len() > MAX_SECRET => Err(SecretError::TooLong),
        Some(_) if !status.success() => Err(SecretError::Failed {
            program: program.clone(),
            status,
        }),
        Some(output) => output.map_err(start),
    }
}

fn output_within(
    child: &mut Child,
    limit: Duration,
    given_up: &AtomicBool,
) -> Option<io::Result<Zeroizing<Vec<u8>>>> {
    let stdout = child.stdout.take()?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(read_bounded(stdout)));
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline && !given_up.load(Ordering::Relaxed) {
        match receiver.recv_timeout(LOOK_UP) {
            Ok(output) => return Some(output),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "canary-5a1e";

    fn nobody(_: &str) -> io::Result<SecretText> {
        Err(io::Error::other("no terminal"))
    }

    fn resolved(reference: &SecretRef, root: &Path) -> Result<(String, bool), String> {
        let waited_for = AtomicBool::new(false);
        let resolved =
            resolve(reference, root, &nobody, &waited_for).map_err(|error| error.to_string())?;
        Ok((
            resolved.text.expose().to_owned(),
            resolved.warning.is_some(),
        ))
    }

    fn command(words: &[&str]) -> SecretRef {
        SecretRef::Command(words.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn each_source_gives_its_text_without_one_line_end() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("key");
        std::fs::write(&file, format!("{CANARY}\n\n")).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
        let reference = SecretRef::File("key".into());
        assert_eq!(
            resolved(&reference, root.path()),
            Ok((format!("{CANARY}\n"), false))
        );
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
        assert_eq!(
            resolved(&reference, root.path()),
            Ok((format!("{CANARY}\n"), true))
        );
        let reference = command(&["sh", "-c", "printf '%s\\r\\n' \"$0\"; cat", CANARY]);
        assert_eq!(
            resolved(&reference, root.path()),
            Ok((CANARY.to_owned(), false))
        );
        let path = std::env::var("PATH").unwrap();
        assert_eq!(
            resolved(&SecretRef::Env("PATH".into()), root.path()),
            Ok((path, false))
        );
        let asked = resolve(
            &SecretRef::Prompt("pin".into()),
            root.path(),
            &|question| Ok(SecretText::new(format!("{question}-1"))),
            &AtomicBool::new(false),
        );
        assert_eq!(asked.ok().unwrap().text.expose(), "pin-1");
    }

    #[test]
    fn what_goes_wrong_never_shows_what_was_found() {
        let root = tempfile::tempdir().unwrap();
        let cases = [
            (
                SecretRef::Env("OPSBOOK_NO_SUCH".into()),
                "environment variable `OPSBOOK_NO_SUCH` is not set",
            ),
            (
                command(&["sh", "-c", "echo canary-5a1e; exit 3"]),
                "`sh` failed: exit status: 3",
            ),
            (command(&["printf", ""]), "it is empty"),
            (command(&["printf", "\\n"]), "it is empty"),
            (
                command(&["printf", "canary-5a1e\\000x"]),
                "it holds a NUL byte",
            ),
            (
                command(&["printf", "canary-5a1e\\377"]),
                "it is not UTF-8 text",
            ),
            (
                command(&["sh", "-c", "yes canary-5a1e | head -c 70000"]),
                "it is longer than 65536 bytes",
            ),
            (
                SecretRef::Prompt("pin".into()),
                "cannot prompt: no terminal",
            ),
        ];
        for (reference, expected) in cases {
            assert_eq!(resolved(&reference, root.path()), Err(expected.to_owned()));
        }
        let folder = resolved(&SecretRef::File(".".into()), root.path()).unwrap_err();
        assert!(folder.ends_with("not a regular file"), "{folder}");
    }

    #[test]
    fn a_command_that_never_ends_is_stopped() {
        let root = tempfile::tempdir().unwrap();
        let words = ["sleep".to_owned(), "1000".to_owned()];
        let words = &words[..];
        for (limit, given_up) in [(Duration::from_millis(60), false), (COMMAND_TIMEOUT, true)] {
            let error = run(words, root.path(), limit, &AtomicBool::new(given_up))
                .err()
                .unwrap();
            assert!(matches!(error, SecretError::TimedOut { .. }), "{error}");
        }
    }
}
