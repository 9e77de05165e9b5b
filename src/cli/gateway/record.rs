//! `opsbook record`: saves a gateway's record of a run, and verifies it without the gateway.

use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{At, speak};
use crate::cli::Streams;
use crate::cli::context::{Chosen, find_root};
use crate::cli::error::Failure;
use crate::project::record::{Known, goes_on, verify};
use crate::project::state_of_folder;
use crate::wire::endpoint;
use crate::wire::record::{Checkpoint, Log, Record as Saved, Thread};

/// The most bytes of a file to verify.
const LONGEST: u64 = 256 << 20;

/// Save a gateway's record of a run, and verify it without the gateway
#[derive(Subcommand, Debug)]
pub(crate) enum Record {
    /// Save the record of a run: its journals, approvals, and its position in the signed log
    Save(SaveArgs),
    /// Verify a saved record: each line, the log, the approvals. Exit status 1 if something is
    /// wrong
    Verify(VerifyArgs),
    /// Store the latest checkpoint of the log in a file, if the log continues the stored one. Exit
    /// status 1 if it does not: something was removed or changed
    Checkpoint(CheckpointArgs),
}

#[derive(Args, Debug)]
pub(crate) struct SaveArgs {
    /// The run
    #[arg(value_name = "RUN")]
    run: String,
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    at: At,
}

#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// The file of `opsbook record save`
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    known: KnownArgs,
}

/// Verify a run: each line, its position in the signed log, the approvals
///
/// Uses the named file, or the gateway's record of the run; if no gateway has one, the journal in
/// this manual's folder, which is in no log. Exit status 1 if something is wrong.
#[derive(Args, Debug)]
pub(crate) struct VerifyRunArgs {
    /// The run, or a file of `opsbook record save`
    #[arg(value_name = "RUN|FILE")]
    run: String,
    #[command(flatten)]
    known: KnownArgs,
    #[command(flatten)]
    at: At,
}

#[derive(Args, Debug)]
struct KnownArgs {
    /// A checkpoint that was stored elsewhere (`opsbook record checkpoint`)
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// The gateway's key, in the format of ssh's `allowed_signers`: `GATEWAY ssh-ed25519 AAAA…`
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The approvers' keys, in the same format
    #[arg(long, value_name = "FILE")]
    approvers: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct CheckpointArgs {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The gateway's key, in the format of ssh's `allowed_signers`
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    at: At,
}

pub(crate) fn run(args: &Record, dir: &Chosen, streams: &mut Streams) -> Result<u8, Failure> {
    match args {
        Record::Save(args) => save(args, dir, streams),
        Record::Verify(args) => verified(args, streams),
        Record::Checkpoint(args) => checkpoint(args, dir, streams),
    }
}

fn save(args: &SaveArgs, dir: &Chosen, streams: &mut Streams) -> Result<u8, Failure> {
    let client = args.at.client(dir)?;
    let path = endpoint::of(endpoint::RECORD, &[&args.run]);
    let record: Saved = speak(&client, streams, false, async |client| {
        client.get(&path).await
    })?;
    write(&args.file, &record)?;
    Ok(0)
}

fn verified(args: &VerifyArgs, streams: &mut Streams) -> Result<u8, Failure> {
    told(&read(&args.file)?, &args.known, streams)
}

pub(crate) fn verify_run(
    args: &VerifyRunArgs,
    dir: &Chosen,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    let file = Path::new(&args.run);
    if file.is_file() {
        return told(&read(file)?, &args.known, streams);
    }
    let path = endpoint::of(endpoint::RECORD, &[&args.run]);
    let asked = args.at.client(dir).and_then(|client| {
        speak(&client, streams, false, async |client| {
            client.get::<Saved>(&path).await
        })
    });
    let record = match asked {
        Ok(record) => record,
        Err(failure) => match own(dir, &args.run)? {
            Some(record) => record,
            None => return Err(failure),
        },
    };
    told(&record, &args.known, streams)
}

/// The record of a run that only this manual's journal contains.
fn own(dir: &Chosen, run: &str) -> Result<Option<Saved>, Failure> {
    let Ok(root) = find_root(dir) else {
        return Ok(None);
    };
    let state = state_of_folder(&root);
    if !crate::journal::runs(&state)
        .iter()
        .any(|known| known == run)
    {
        return Ok(None);
    }
    let journal = crate::journal::read(&state, run)?;
    let text = std::fs::read_to_string(&journal.path)?;
    let mut threads: Vec<Thread> = Vec::new();
    for (line, event) in text.lines().zip(&journal.events) {
        let epoch = event.epoch.unwrap_or(1);
        match threads.last_mut().filter(|thread| thread.epoch == epoch) {
            Some(thread) => thread.lines.push(line.to_owned()),
            None => threads.push(Thread {
                node: "*".to_owned(),
                epoch,
                lines: vec![line.to_owned()],
                head: None,
                earlier: Vec::new(),
            }),
        }
    }
    let started = journal.started();
    Ok(Some(Saved {
        run: run.to_owned(),
        gateway: String::new(),
        procedure: started
            .map(|started| started.procedure.clone())
            .unwrap_or_default(),
        asked_by: started
            .map(|started| started.operator.clone())
            .unwrap_or_default(),
        threads,
        approved: Vec::new(),
        checkpoint: None,
    }))
}

/// What is verified, what is open, and what is wrong.
fn told(record: &Saved, args: &KnownArgs, streams: &mut Streams) -> Result<u8, Failure> {
    let kept: Option<Checkpoint> = args.checkpoint.as_deref().map(read).transpose()?;
    let verified = verify(
        record,
        Known {
            checkpoint: kept.as_ref(),
            key: args.key.as_deref(),
            approvers: args.approvers.as_deref(),
        },
    );
    let mut out = streams.people();
    writeln!(
        out,
        "run {} of `{}`, requested by {}",
        record.run, record.procedure, record.asked_by
    )?;
    for (word, lines) in [
        ("holds", &verified.holds),
        ("open", &verified.open),
        ("WRONG", &verified.wrong),
    ] {
        for line in lines {
            writeln!(out, "  {word}: {line}")?;
        }
    }
    Ok(u8::from(!verified.wrong.is_empty()))
}

fn checkpoint(args: &CheckpointArgs, dir: &Chosen, streams: &mut Streams) -> Result<u8, Failure> {
    let client = args.at.client(dir)?;
    let kept: Option<Checkpoint> = if args.file.exists() {
        Some(read(&args.file)?)
    } else {
        None
    };
    let from = kept.as_ref().map_or(0, |kept| kept.size);
    let path = format!("{}?from={from}", endpoint::LOG);
    let log: Log = speak(&client, streams, false, async |client| {
        client.get(&path).await
    })?;
    if let Some(kept) = &kept
        && let Err(why) = goes_on(kept, &log, args.key.as_deref())
    {
        writeln!(streams.people(), "WRONG: {why}")?;
        return Ok(1);
    }
    let Some(newest) = &log.checkpoint else {
        writeln!(streams.people(), "the log is empty")?;
        return Ok(0);
    };
    write(&args.file, newest)?;
    let (size, at) = (newest.size, &newest.at);
    writeln!(streams.people(), "checkpoint of size {size}, made at {at}")?;
    Ok(0)
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let cannot = |why: String| Failure::Error(format!("`{}`: {why}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| cannot(error.to_string()))?;
    let mut text = String::new();
    let read = file.take(LONGEST).read_to_string(&mut text);
    read.map_err(|error| cannot(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| cannot(error.to_string()))
}

/// Writes it atomically.
fn write(path: &Path, value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    let cannot = |why: String| Failure::Error(format!("`{}`: {why}", path.display()));
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")));
    let mut file = file.map_err(|error| cannot(error.to_string()))?;
    writeln!(file, "{text}").map_err(|error| cannot(error.to_string()))?;
    file.persist(path)
        .map_err(|error| cannot(error.to_string()))?;
    Ok(())
}
