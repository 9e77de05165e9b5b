//! Commands that give a person a terminal on a node. Their output is not captured.

use std::process::Command;

use super::values::quote;
use super::{Exec, Ssh, Target};

/// A command that runs a line of shell on the node with the caller's terminal. The line may contain
/// paths, never values.
#[must_use]
pub fn interactive(target: &Target, line: &str) -> Command {
    match target {
        Target::Local => {
            let mut command = Command::new("sh");
            command.arg("-c").arg(line);
            command
        }
        Target::Exec(exec) => {
            let mut command = with_terminal(exec);
            command.arg("-c").arg(line);
            command
        }
        Target::Ssh(ssh) => {
            let mut command = Command::new("ssh");
            command
                .arg("-t")
                .args(["-o", "RemoteCommand=none", "-o", "LogLevel=ERROR"]);
            config(&mut command);
            arguments(ssh, "-p", &mut command);
            let mut quoted = b"exec sh -c ".to_vec();
            quote(line.as_bytes(), &mut quoted);
            command
                .arg("--")
                .arg(&ssh.host)
                .arg(String::from_utf8_lossy(&quoted).into_owned());
            command
        }
    }
}

/// The command line with which a person gets a POSIX shell on the node.
#[must_use]
pub fn shell_words(target: &Target) -> Vec<String> {
    let command = match target {
        Target::Local => Command::new("sh"),
        Target::Exec(exec) => with_terminal(exec),
        Target::Ssh(ssh) => {
            let mut command = Command::new("ssh");
            // A pasted line may begin with the escape character.
            command.args(["-t", "-e", "none"]);
            arguments(ssh, "-p", &mut command);
            command.arg("--").arg(&ssh.host).arg("sh");
            command
        }
    };
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect()
}

/// The `sshfs` command that mounts a directory of the node; `None` without ssh.
#[must_use]
pub fn sshfs(target: &Target, dir: &str, onto: &std::path::Path) -> Option<Command> {
    let Target::Ssh(ssh) = target else {
        return None;
    };
    let mut command = Command::new("sshfs");
    let user = ssh
        .user
        .as_ref()
        .map(|user| format!("{user}@"))
        .unwrap_or_default();
    command.arg(format!("{user}{}:{dir}", ssh.host)).arg(onto);
    command.args(["-o", "reconnect", "-o", "ServerAliveInterval=5"]);
    config(&mut command);
    let without_user = Ssh {
        user: None,
        ..ssh.clone()
    };
    // sshfs knows `-p`; the jump host is an ssh option there.
    if let Some(jump) = &ssh.jump {
        command.arg("-o").arg(format!("ProxyJump={jump}"));
    }
    arguments(
        &Ssh {
            jump: None,
            ..without_user
        },
        "-p",
        &mut command,
    );
    Some(command)
}

fn with_terminal(exec: &Exec) -> Command {
    let words = &exec.with_terminal;
    let mut command = Command::new(words.first().map_or("", String::as_str));
    command.args(words.iter().skip(1));
    command
}

/// Adds the ssh configuration of this process.
fn config(command: &mut Command) {
    if let Some(path) = super::SSH_CONFIG.get() {
        command.arg("-F").arg(path);
    }
}

fn arguments(ssh: &Ssh, port: &str, command: &mut Command) {
    for option in &ssh.options {
        command.arg("-o").arg(option);
    }
    if let Some(number) = ssh.port {
        command.arg(port).arg(number.to_string());
    }
    if let Some(user) = &ssh.user {
        command.arg("-l").arg(user);
    }
    if let Some(identity) = &ssh.identity {
        command.arg("-o").arg("IdentitiesOnly=yes");
        command
            .arg("-o")
            .arg(format!("IdentityFile={}", identity.display()));
    }
    if let Some(jump) = &ssh.jump {
        command.arg("-J").arg(jump);
    }
}
