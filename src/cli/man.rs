//! `opsbook man` and `opsbook completions`: files that a package installs.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::cli::Streams;
use crate::cli::error::Failure;
use crate::source::Problem;

/// The variable with which a shell requests completions.
pub(crate) const COMPLETE: &str = "OPSBOOK_COMPLETE";

/// Print the man page of a command, or write all of them into a folder
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  opsbook man run | man -l -        read the page of `opsbook run`
  opsbook man --dir /usr/local/share/man/man1")]
pub(crate) struct Man {
    /// The command, such as `run`; for `lock acquire`, both words. If absent: opsbook itself
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
    /// Write a page for each command into this folder: opsbook.1, opsbook-run.1, …
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    dir: Option<PathBuf>,
}

/// Print a script for shell completion of commands, options, and the manual's names
///
/// TAB then completes the procedures, nodes, groups, steps and runs of the current manual. The
/// shell asks this program for them.
#[derive(Args, Debug)]
#[command(after_help = "\
For good:
  bash   opsbook completions bash > ~/.local/share/bash-completion/completions/opsbook
  zsh    opsbook completions zsh > DIR/_opsbook, where DIR is in $fpath
  fish   opsbook completions fish > ~/.config/fish/completions/opsbook.fish")]
pub(crate) struct Completions {
    /// The shell that you use
    shell: Shell,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

pub(crate) fn run(
    args: &Man,
    command: clap::Command,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    if let Some(dir) = &args.dir {
        std::fs::create_dir_all(dir)?;
        clap_mangen::generate_to(command, dir)?;
        return Ok(0);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(named(command, &args.command)?).render(&mut page)?;
    streams.data().write_all(&page)?;
    Ok(0)
}

/// The command with these words, under the name of its man page.
fn named(mut command: clap::Command, words: &[String]) -> Result<clap::Command, Failure> {
    command.build();
    for word in words {
        let Some(inner) = command.find_subcommand(word) else {
            let problem = Problem::bare("unknown-command", format!("there is no command `{word}`"));
            let known = command.get_subcommands().map(clap::Command::get_name);
            return Err(Failure::from(problem.did_you_mean(word, known)));
        };
        let name = format!("{}-{word}", command.get_name());
        command = inner.clone().name(name);
    }
    Ok(command)
}

/// The script does not contain the names: it asks for them, so it never becomes outdated.
pub(crate) fn completions(args: &Completions, streams: &mut Streams) -> Result<u8, Failure> {
    use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Zsh};
    let shell: &dyn EnvCompleter = match args.shell {
        Shell::Bash => &Bash,
        Shell::Elvish => &Elvish,
        Shell::Fish => &Fish,
        Shell::Powershell => &Powershell,
        Shell::Zsh => &Zsh,
    };
    let mut script = Vec::new();
    shell.write_registration(COMPLETE, "opsbook", "opsbook", "opsbook", &mut script)?;
    streams.data().write_all(&script)?;
    Ok(0)
}
