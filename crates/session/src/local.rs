//! A shell on this machine.

use tokio::process::Command;

pub(super) fn command() -> Command {
    let mut command = Command::new("sh");
    if let Some(home) = std::env::home_dir().filter(|home| home.is_dir()) {
        command.current_dir(home);
    }
    command
}
