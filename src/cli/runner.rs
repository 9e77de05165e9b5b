//! `opsbook runner`: takes parts of runs from a gateway, and supervises them.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::cli::context::Chosen;
use crate::cli::error::Failure;
use crate::cli::gateway::login::{Pin, token};
use crate::cli::gateway::{At, client, speak, state_folder};
use crate::cli::{Streams, end};
use crate::client::{Address, Client, request};
use crate::runner::{self, Approvers, Enrollment, Folder, Groups, Settings};
use crate::source::Problem;
use crate::wire::{Ended, Enroll, Enrolled, endpoint};

/// Run procedures for a gateway
///
/// A runner connects to its gateway, and nothing connects to it. For each part of a run, which is
/// the run on one node, it starts an `opsbook`, supervises it, and sends its journal to the
/// gateway. The node knows the state of each step: wherever a runner dies, it or another one
/// continues, and no step runs twice.
#[derive(Subcommand, Debug)]
pub(crate) enum Runner {
    /// Make this machine a runner of a gateway, with a token from `opsbook-gateway token SEGMENT`
    Enroll(EnrollArgs),
    /// Take and supervise parts, until TERM or Ctrl-C
    Run(RunArgs),
    /// Show its identity, whether it works, and its parts
    Status(FolderArgs),
    /// Take no more parts: the runner ends after its last one
    Drain(FolderArgs),
}

#[derive(Args, Debug)]
pub(crate) struct FolderArgs {
    /// The runner's folder, which only its user can read [default: `$STATE_DIRECTORY`, or
    /// `opsbook/runner` in your state folder]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct EnrollArgs {
    /// The gateway: `https://HOST`, `http://HOST:PORT` or `unix:/path`
    #[arg(value_name = "ADDRESS")]
    address: Address,
    /// A file with the token, which only you can read
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
    /// Its name [default: the machine's]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Replace an earlier enrollment that was revoked or has expired
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    pin: Pin,
    #[command(flatten)]
    at: FolderArgs,
}

#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// Parts at a time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000))]
    room: u32,
    /// How often to contact the gateway, at least
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = crate::manual::duration)]
    beat: Duration,
    /// Trusted approvers: a file in the format of ssh's `allowed_signers`. Without it, parts that
    /// need approval do not run
    #[arg(long, value_name = "FILE", requires = "approvals_for")]
    approvers: Option<PathBuf>,
    /// With --approvers: the name of the gateway for which they approve
    #[arg(long, value_name = "NAME", requires = "approvers")]
    approvals_for: Option<String>,
    /// With --approvers: every part needs this many approvals, regardless of the manual
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=10))]
    approvals: u32,
    /// With --approvers: trust the gateway's statements about the approvers' groups, which come
    /// from an identity provider
    #[arg(long, requires = "approvers")]
    groups_from_gateway: bool,
    #[command(flatten)]
    at: FolderArgs,
    /// Without enrollment: the gateway of this machine, whose socket knows this user
    #[command(flatten)]
    gateway: At,
}

pub(crate) fn run(args: &Runner, dir: &Chosen, streams: &mut Streams) -> Result<u8, Failure> {
    match args {
        Runner::Enroll(args) => enroll(args, streams),
        Runner::Run(args) => work(args, dir, streams),
        Runner::Status(args) => status(args, streams),
        Runner::Drain(args) => drain(args, streams),
    }
}

fn folder(args: &FolderArgs) -> Result<Folder, Failure> {
    let systemd = || std::env::var_os("STATE_DIRECTORY").map(PathBuf::from);
    let path = match args.state.clone().or_else(systemd) {
        Some(path) => path,
        None => state_folder()?.join("runner"),
    };
    Ok(Folder::open(&path)?)
}

fn enroll(args: &EnrollArgs, streams: &mut Streams) -> Result<u8, Failure> {
    let folder = folder(&args.at)?;
    if let Some(before) = folder.enrollment()?.filter(|_| !args.again) {
        let message = format!(
            "this is already runner `{}` of {}",
            before.name, before.gateway
        );
        let problem = Problem::bare("enrolled", message);
        return Err(Failure::from(problem.hint(
            "`--state` names another folder; `--again` replaces the enrollment",
        )));
    }
    let name = args.name.clone();
    let name = name.unwrap_or_else(crate::project::controller_name);
    let asked = request(&name).map_err(Failure::Error)?;
    let enroll = Enroll {
        token: token(&args.token_file)?.expose().to_owned(),
        name: name.clone(),
        csr: matches!(args.address, Address::Https { .. }).then_some(asked.csr),
    };
    let pin = args.pin.fingerprint;
    let client = client(args.address.clone(), None, pin)?;
    let enrolled: Enrolled = speak(&client, streams, false, async |client| {
        client.post(endpoint::RUNNER_ENROLL, &enroll).await
    })?;
    let segment = enrolled.segment.clone();
    folder.enroll(&Enrollment::new(
        args.address.to_string(),
        name.clone(),
        pin.map(|pin| pin.to_string()),
        &asked.key,
        enrolled,
    ))?;
    // It was valid once.
    let _ = std::fs::remove_file(&args.token_file);
    writeln!(
        streams.people(),
        "runner `{name}` of segment `{segment}` at {}",
        args.address
    )?;
    Ok(0)
}

/// Its gateway, and who it is there: as it was enrolled, or as a runner of this user's.
fn at_gateway(args: &RunArgs, folder: &Folder, dir: &Chosen) -> Result<Client, Failure> {
    let Some(enrollment) = folder.enrollment()? else {
        let client = args.gateway.client(dir)?;
        client.set_runner(folder.name()?);
        return Ok(client);
    };
    let wrong = |error: &dyn std::error::Error| Failure::Error(error.to_string());
    let address = { enrollment.gateway.parse::<Address>() }.map_err(|error| wrong(&error))?;
    let tls = enrollment.tls().map_err(|error| wrong(&error))?;
    let client = client(address, enrollment.token(), None)?;
    client.set_tls(tls);
    Ok(client)
}

fn work(args: &RunArgs, dir: &Chosen, streams: &mut Streams) -> Result<u8, Failure> {
    let folder = folder(&args.at)?;
    let client = at_gateway(args, &folder, dir)?;
    let settings = Settings {
        folder,
        program: std::env::current_exe()?,
        room: args.room,
        beat: args.beat,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        approvers: approvers(args)?,
    };
    let mut talk = std::mem::replace(&mut streams.talk, Box::new(std::io::sink()));
    writeln!(talk, "runner at {}", client.address())?;
    let talk = std::sync::Mutex::new(talk);
    let note = move |text: String| {
        let mut talk = talk
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // It works even if nobody reads this.
        let _ = writeln!(talk, "{text}");
    };
    // Use one thread for starting children: they end with the thread that started them.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let worked = runtime.block_on(async {
        let stop = stop_at_signals()?;
        Ok::<_, Failure>(runner::run(client, settings, stop, note).await?)
    });
    end(runtime);
    worked.map(|()| 0)
}

fn approvers(args: &RunArgs) -> Result<Option<Approvers>, Failure> {
    let (Some(signers), Some(gateway)) = (&args.approvers, &args.approvals_for) else {
        if args.approvals > 0 {
            let message = "`--approvals` needs `--approvers FILE`";
            return Err(Failure::from(Problem::bare("usage", message)));
        }
        return Ok(None);
    };
    Ok(Some(Approvers {
        signers: std::path::absolute(signers)?,
        gateway: gateway.clone(),
        always: args.approvals,
        groups: if args.groups_from_gateway {
            Groups::Gateway
        } else {
            Groups::Rules
        },
    }))
}

fn stop_at_signals() -> Result<watch::Receiver<bool>, Failure> {
    let (tell, told) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        let _ = tell.send(true);
    });
    Ok(told)
}

/// The next start of a runner would forget it, so one must work now.
fn drain(args: &FolderArgs, streams: &mut Streams) -> Result<u8, Failure> {
    let folder = folder(args)?;
    if !folder.is_busy() {
        let message = format!("no runner works in `{}`", folder.path().display());
        let problem = Problem::bare("not-working", message);
        return Err(Failure::from(
            problem.hint("`--state` names the folder of another runner"),
        ));
    }
    folder.drain()?;
    let held = folder.held();
    let left = held.iter().filter(|held| held.end.is_none()).count();
    let until = match left {
        0 => "ends".to_owned(),
        1 => "ends after the part that is under way".to_owned(),
        left => format!("ends after the {left} parts that are under way"),
    };
    writeln!(
        streams.people(),
        "the runner takes no more parts and {until}"
    )?;
    Ok(0)
}

fn status(args: &FolderArgs, streams: &mut Streams) -> Result<u8, Failure> {
    let folder = folder(args)?;
    let mut out = streams.people();
    match folder.enrollment()? {
        Some(enrollment) => writeln!(
            out,
            "runner `{}` of segment `{}` at {}",
            enrollment.name, enrollment.segment, enrollment.gateway
        )?,
        None => writeln!(out, "not enrolled")?,
    }
    let works = folder.is_busy();
    writeln!(out, "{}", if works { "it works" } else { "not working" })?;
    for held in folder.held() {
        let work = held.work;
        let state = held
            .end
            .and_then(|end| end.status)
            .map_or("under way", Ended::word);
        writeln!(
            out,
            "  {} {} on {}, controller {}: {state}",
            work.run, work.procedure, work.node, work.epoch
        )?;
    }
    Ok(u8::from(!works))
}
