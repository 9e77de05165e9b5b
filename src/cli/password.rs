//! The sudo password from a file.

use std::path::Path;

use crate::cli::error::Failure;
use crate::session::Password;
use crate::source::Problem;

/// Reads a file that nobody else can read.
pub(crate) fn password(path: &Path) -> Result<Password, Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    let wrong = |why: String| {
        Failure::from(Problem::bare(
            "sudo-password-file",
            format!("`--sudo-password-file`: `{}`: {why}", path.display()),
        ))
    };
    let metadata = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(wrong("others can read it (`chmod 600`)".to_owned()));
    }
    let mut bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    while bytes
        .last()
        .is_some_and(|byte| matches!(byte, b'\n' | b'\r'))
    {
        bytes.pop();
    }
    if bytes.is_empty() {
        Err(wrong("it is empty".to_owned()))
    } else {
        Ok(Password::new(bytes))
    }
}
