//! A shell that some command of this machine leads to: a container, a jail, a serial line.

use tokio::process::Command;

pub(super) fn command(argv: &[String]) -> Command {
    let mut command = Command::new(argv.first().map_or("", String::as_str));
    command.args(argv.iter().skip(1));
    command
}
