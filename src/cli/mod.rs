//! Parses arguments into one request, in one file for each command. This module is the interface
//! for people and shells; other crates make the decisions.

mod about;
mod adopt;
mod archive;
mod bless;
mod bridge;
pub mod build;
mod checklist;
mod checks;
mod color;
mod complete;
mod context;
mod cyclonedx;
mod error;
mod form;
mod gateway;
mod guide;
mod history;
pub mod import;
mod init;
mod interrupts;
mod keys;
mod launch;
mod lint;
mod list;
mod lock;
mod locks;
mod lost;
mod lsp;
mod man;
mod manner;
mod misnamed;
pub mod nodes;
mod pack;
mod packages;
mod password;
mod ping;
pub mod preprocess;
mod progress;
mod rehearse;
mod release;
mod release_run;
mod resume;
mod run;
mod runner;
mod schema;
mod screen;
mod serve;
mod settings;
mod sheet;
pub mod show;
mod streams;
mod supervised;
mod terminal;
pub mod test;
mod tty;
mod verbose;
mod via;
mod which;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::project::Project;
use color::Color;
use context::Chosen;
use error::Failure;
pub(crate) use streams::Streams;

/// An operations manual that is read, run and tested from one Markdown source.
#[derive(Debug, Parser)]
#[command(
    name = "opsbook",
    version,
    max_term_width = 100,
    infer_subcommands = false
)]
#[command(
    after_help = "New here? `opsbook guide start` teaches it in 15 minutes, without a network.\n\n\
    The manual is the nearest folder upwards with a `book.toml`, or the one named with -C.\n\
    Exit status of `run`: 0 OK, 1 FAILED, 2 wrong arguments or a wrong manual (nothing was touched),\n\
    3 ERROR, 4 BLOCKED, 5 STOPPED, 124 TIMED OUT. Of `test`: 0, 101 if\n\
    a check failed, or 3 if none failed and some could not look."
)]
struct Cli {
    /// Work on the manual in this folder
    #[arg(
        short = 'C',
        value_name = "DIR",
        global = true,
        env = "OPSBOOK_DIR",
        hide_env_values = true
    )]
    dir: Option<PathBuf>,
    /// When to use colours
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value_t = Color::Auto,
        env = "OPSBOOK_COLOR",
        hide_env_values = true
    )]
    color: Color,
    /// Print only results and errors
    #[arg(
        short,
        long,
        global = true,
        env = "OPSBOOK_QUIET",
        hide_env_values = true
    )]
    quiet: bool,
    #[command(flatten)]
    verbose: verbose::Verbose,
    /// Work with this archive of a manual (`opsbook pack`), or with this folder; its journal is in
    /// `$XDG_STATE_HOME/opsbook/NAME`
    #[arg(
        long,
        value_name = "FILE",
        global = true,
        conflicts_with = "dir",
        env = "OPSBOOK_BOOK",
        hide_env_values = true
    )]
    book: Option<PathBuf>,
    /// Trusted signers of archives: a file in the format of ssh's `allowed_signers`
    #[arg(
        long,
        value_name = "FILE",
        global = true,
        env = "OPSBOOK_SIGNERS",
        hide_env_values = true
    )]
    signers: Option<PathBuf>,
    /// Use this nodes file instead of the manual's own
    #[arg(
        long,
        value_name = "FILE",
        global = true,
        env = "OPSBOOK_NODES_FILE",
        hide_env_values = true
    )]
    nodes_file: Option<PathBuf>,
    /// Reach nodes with this ssh configuration (`ssh -F`) instead of your own
    #[arg(long, value_name = "FILE", global = true)]
    ssh_config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    Test(Box<test::Test>),
    Resume(resume::Resume),
    Handoff(resume::Handoff),
    List(list::List),
    Nodes(nodes::List),
    Show(show::Show),
    Sheet(checklist::Sheet),
    Ping(ping::Ping),
    Shell(bridge::Shell),
    Mount(bridge::Mount),
    Umount(bridge::Umount),
    Lint(lint::Lint),
    Checks(checks::Checks),
    Build(build::Build),
    Serve(serve::Serve),
    Pack(pack::Pack),
    Packages(packages::Packages),
    Init(init::Init),
    Adopt(adopt::Adopt),
    Bless(bless::Bless),
    Import(import::Import),
    Guide(guide::Guide),
    History(history::History),
    Log(history::Log),
    #[command(subcommand)]
    Lock(lock::Lock),
    Login(gateway::login::LoginArgs),
    Ask(gateway::ask::AskArgs),
    Watch(gateway::watch::WatchArgs),
    Answer(gateway::answer::AnswerArgs),
    Approve(gateway::approve::ApproveArgs),
    Stop(gateway::order::StopArgs),
    HandOver(gateway::order::HandOverArgs),
    GiveUp(gateway::order::GiveUpArgs),
    #[command(subcommand)]
    Access(gateway::access::Access),
    Runs(gateway::runs::RunsArgs),
    Applications(gateway::applications::ApplicationsArgs),
    Sync(gateway::sync::SyncArgs),
    Findings(gateway::sync::FindingsArgs),
    #[command(subcommand)]
    Record(gateway::record::Record),
    #[command(subcommand)]
    Sealed(gateway::sealed::SealedCommand),
    #[command(subcommand)]
    Runner(runner::Runner),
    Preprocess(preprocess::Preprocess),
    Completions(man::Completions),
    Man(man::Man),
    Schema(schema::Schema),
    Lsp(lsp::Lsp),
    Settings(settings::Settings),
}

/// The whole program: parses the process's arguments, executes the command, and returns the exit
/// status.
#[must_use]
pub fn main() -> ExitCode {
    clap_complete::CompleteEnv::with_factory(Cli::command)
        .var(man::COMPLETE)
        .complete();
    let mut file = settings::FromFile::read();
    let command = file.applied(Cli::command());
    let cli = command
        .clone()
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match cli {
        Ok(cli) => cli,
        Err(error) => {
            let words: Vec<String> = std::env::args_os()
                .map(|word| word.to_string_lossy().into_owned())
                .collect();
            let words = words.iter().skip(1).map(String::as_str);
            let error = misnamed::explained(error, &command, words);
            // clap chooses the stream: requested help is data.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    anstream::ColorChoice::from(cli.color).write_global();
    cli.verbose.begin();
    let mut streams = Streams::new();
    for problem in &file.problems {
        // The rest of the file applies: an error in it must not prevent a run.
        let _ = writeln!(streams.talk, "{problem}\n");
    }
    // In `opsbook test`, `--quiet` has libtest's meaning, and problems of the manual are printed
    // with the tests.
    let libtest = matches!(cli.command, Command::Test(_));
    if cli.quiet && !libtest {
        streams.hush();
    }
    match dispatch(cli, &command, &file, &mut streams) {
        Ok(status) => ExitCode::from(status),
        Err(failure) => failure.tell(&mut Streams::new()),
    }
}

/// The definition of the command line, for documentation.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Executes the command. `own` is the definition of the command line, and `file` the contents of
/// the settings file: some commands display these.
fn dispatch(
    cli: Cli,
    own: &clap::Command,
    file: &settings::FromFile,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    let dir = &Chosen {
        dir: cli.dir,
        book: cli.book,
        signers: cli.signers,
        nodes_file: cli.nodes_file,
    };
    if let Some(file) = cli.ssh_config {
        context::reach_with(&file)?;
    }
    for line in context::replaced(dir) {
        writeln!(streams.talk, "{line}")?;
    }
    match cli.command {
        Command::Run(args) if args.is_via_gateway() => run::ask(&args, dir, streams),
        Command::Run(args) => run::run(&args, &context::load_to_run(dir)?, streams),
        Command::Test(args) => test::run(&args, &context::load_to_run(dir)?, streams),
        Command::Resume(args) if args.is_via_gateway() => resume::at_gateway(&args, dir, streams),
        Command::Resume(args) => resume::resume(&args, &context::load_to_run(dir)?, streams),
        Command::Handoff(args) => resume::handoff(&args, &context::load_to_run(dir)?, streams),
        Command::List(args) => list::run(&args, &context::load(dir)?, streams),
        Command::Nodes(args) => nodes_listed(&args, dir, streams),
        Command::Sheet(args) => checklist::run(&args, &context::load_to_run(dir)?, streams),
        Command::Show(args) => {
            let text = shown(&args, dir, streams.paint)?;
            streams.people().write_all(text.as_bytes())?;
            Ok(0)
        }
        Command::Ping(args) => ping::run(&args, &context::load(dir)?, streams),
        Command::Shell(args) => bridge::shell(&args, &context::load(dir)?),
        Command::Mount(args) => bridge::mount(&args, &context::load(dir)?, streams),
        Command::Umount(args) => bridge::umount(&args, &context::load(dir)?),
        Command::Lint(args) => lint::run(&args, dir, streams),
        Command::Checks(args) => checks::run(&args, dir, streams),
        Command::Build(args) => built(args, dir, streams),
        Command::Serve(args) => serve::run(&args, context::place(dir)?, streams),
        Command::Pack(args) => pack::run(&args, dir, streams),
        Command::Packages(args) => packages::run(&args, dir, streams),
        Command::Init(args) => {
            init::run(&args, &mut streams.talk)?;
            Ok(0)
        }
        Command::Guide(args) => guide::run(&args, streams),
        Command::History(args) => history::history(&args, &context::load(dir)?, streams),
        Command::Log(args) => match &args.about {
            Some(history::LogAbout::Verify(args)) => {
                gateway::record::verify_run(args, dir, streams)
            }
            None => history::log(&args, &context::load(dir)?, streams),
        },
        Command::Lock(args) => lock::run(&args, &context::load(dir)?, streams),
        Command::Login(args) => gateway::login::login(&args, streams),
        Command::Ask(args) => gateway::ask::ask(&args, dir, streams),
        Command::Watch(args) => gateway::watch::watch(&args, dir, streams),
        Command::Answer(args) => gateway::answer::answer(&args, dir, streams),
        Command::Approve(args) => gateway::approve::approve(&args, dir, streams),
        Command::Stop(args) => gateway::order::stop(&args, dir, streams),
        Command::HandOver(args) => gateway::order::hand_over(&args, dir, streams),
        Command::GiveUp(args) => gateway::order::give_up(&args, dir, streams),
        Command::Access(args) => gateway::access::run(&args, dir, streams),
        Command::Record(args) => gateway::record::run(&args, dir, streams),
        Command::Sealed(args) => gateway::sealed::run(&args, dir, streams),
        Command::Sync(args) => gateway::sync::sync(&args, dir, streams),
        Command::Findings(args) => gateway::sync::findings(&args, dir, streams),
        Command::Applications(args) => gateway::applications::applications(&args, dir, streams),
        Command::Runs(args) => gateway::runs::runs(&args, dir, streams),
        Command::Runner(args) => runner::run(&args, dir, streams),
        Command::Preprocess(args) => {
            let (out, talk) = streams.data_and_talk();
            Ok(preprocess::run(&args, io::stdin().lock(), out, talk)?)
        }
        Command::Completions(args) => man::completions(&args, streams),
        Command::Adopt(args) => adopt::run(&args, dir, streams),
        Command::Import(args) => import::run(&args, streams),
        Command::Bless(args) => bless::run(&args, &context::load_to_run(dir)?, streams),
        Command::Lsp(args) => lsp::run(&args),
        Command::Schema(args) => schema::run(&args, streams),
        Command::Man(args) => man::run(&args, Cli::command(), streams),
        Command::Settings(args) => settings::run(&args, own, file, streams),
    }
}

fn nodes_listed(args: &nodes::List, dir: &Chosen, streams: &mut Streams) -> Result<u8, Failure> {
    let (text, left_out) = nodes::run(args, &context::load_nodes(dir)?, streams.paint)?;
    streams.people().write_all(text.as_bytes())?;
    for problem in left_out {
        writeln!(streams.talk, "\n{problem}")?;
    }
    Ok(0)
}

fn built(args: build::Build, dir: &Chosen, streams: &mut Streams) -> Result<u8, Failure> {
    let (root, place, dest) = context::to_build(dir, args.is_untrusted())?;
    let args = args.of(place, dest);
    let (mut out, talk) = streams.people_and_talk();
    Ok(build::run(&args, &root, &mut out, talk)?)
}

/// A node only needs its own file. The manual is read for everything else.
fn shown(args: &show::Show, dir: &Chosen, paint: bool) -> Result<String, Failure> {
    let nodes = context::load_nodes(dir)?;
    if args.diff || nodes.contains(&args.node) {
        return Ok(show::run(args, &nodes, paint)?);
    }
    // If only the nodes can be read, only they are shown.
    let Ok(Project { manual, .. }) = context::load(dir) else {
        return Ok(show::run(args, &nodes, paint)?);
    };
    match show::card(args, &manual, paint) {
        Some(card) => Ok(card),
        None => Err(show::unknown(args, &nodes, &manual).into()),
    }
}

/// The only runtime of the process.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}

/// Runs a command's asynchronous part.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = runtime()?;
    let result = runtime.block_on(work);
    end(runtime);
    result
}

/// Kills child programs that are still running, such as a connecting `ssh`. Does not wait for tasks
/// that wait for terminal input.
pub(crate) fn end(runtime: tokio::runtime::Runtime) {
    runtime.shutdown_timeout(Duration::from_millis(50));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
