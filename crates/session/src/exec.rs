//! A connection to a shell that a command of this machine opens: in a container, in a jail, on a
//! serial line. Also interprets the error messages of known tools.

use tokio::process::Command;

use super::connection::Connection;
use super::error::{Cause, OpenError};
use super::process;
use super::target::{Exec, Tool};

pub(super) fn connect(exec: &Exec, name: &str) -> Result<Connection, OpenError> {
    let mut command = Command::new(exec.words.first().map_or("", String::as_str));
    command.args(exec.words.iter().skip(1));
    process::start(command, name)
}

/// Why no shell answered, from the tool's messages.
pub(super) fn cause(tool: Tool, said: &str) -> Cause {
    let has = |texts: &[&str]| texts.iter().any(|text| said.contains(text));
    let (missing, stopped, nobody, not_allowed): (&[_], &[_], &[_], &[_]) = match tool {
        Tool::Other => return Cause::NoShell,
        Tool::Docker => (
            &["No such container"],
            &["is not running", "is paused"],
            &[
                "Cannot connect to the Docker daemon",
                "error during connect",
            ],
            &["permission denied while trying to connect"],
        ),
        Tool::Podman => (
            &["no such container"],
            &["container state improper"],
            &["unable to connect to Podman", "Cannot connect to Podman"],
            &[],
        ),
        Tool::Kubectl => (
            &["(NotFound)", "container not found", "is not valid for pod"],
            &[
                "completed pod",
                "not have a host assigned",
                "is not running",
            ],
            &["was refused", "Unable to connect", "i/o timeout"],
            &["(Forbidden)", "(Unauthorized)", "must be logged in"],
        ),
        Tool::SystemdRun => (
            &[
                "No machine",
                "no such machine",
                "Host is down",
                "No such process",
            ],
            &[],
            &[
                "Failed to connect to bus",
                "Failed to connect to system scope bus",
            ],
            &[
                "Access denied",
                "Permission denied",
                "authentication required",
            ],
        ),
    };
    // A message about a missing shell may also contain the name of an existing container.
    if has(&[
        "executable file not found",
        "no such file or directory: unknown",
    ]) {
        Cause::NoShell
    } else if has(missing) {
        Cause::Missing
    } else if has(stopped) {
        Cause::Stopped
    } else if has(not_allowed) {
        Cause::NotAllowed
    } else if has(nobody) {
        Cause::NoService
    } else {
        Cause::NoShell
    }
}
