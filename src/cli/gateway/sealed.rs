//! `opsbook sealed`: a login at nodes for a time without the gateway, which two people open
//! together.

use std::fs::{self, DirBuilder};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::{At, speak, state_folder};
use crate::cli::Streams;
use crate::cli::context::Chosen;
use crate::cli::error::Failure;
use crate::outside;
use crate::private;
use crate::project::operator_name;
use crate::runner::ssh_configuration;
use crate::source::Problem;
use crate::wire::sealed::{Content, LARGEST, Layer, Sealed, VERSION};
use crate::wire::{endpoint, limit};

/// Log in at nodes while no gateway is there, with a certificate that two people open
///
/// The gateway makes a certificate for the nodes of a segment, seals it for people whom its
/// configuration names, and makes a new one after half of its time. Fetch it regularly: it is of no
/// use to one person alone.
#[derive(Subcommand, Debug)]
pub(crate) enum SealedCommand {
    /// Fetch the sealed certificates that you can help to open, and keep them on this machine
    Get(At),
    /// Open your layer of one; the second person gets a folder with which `ssh` logs in
    Open(OpenArgs),
}

#[derive(Args, Debug)]
pub(crate) struct OpenArgs {
    /// The sealed certificate, or what the first person has made of it
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// For the first person: the file to write, for the second one. For the second person: the
    /// folder to create, with the key
    #[arg(value_name = "TO")]
    to: PathBuf,
    /// Your key: a file that `age --identity` reads, such as a private ssh key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Your name in the gateway's list of people [default: your login name]
    #[arg(long = "as", value_name = "PERSON")]
    person: Option<String>,
}

pub(crate) fn run(
    command: &SealedCommand,
    dir: &Chosen,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    match command {
        SealedCommand::Get(at) => get(at, dir, streams),
        SealedCommand::Open(args) => open(args, streams),
    }
}

fn get(at: &At, dir: &Chosen, streams: &mut Streams) -> Result<u8, Failure> {
    let client = at.client(dir)?;
    let all: Vec<Sealed> = speak(&client, streams, false, async |client| {
        client.get(endpoint::SEALED).await
    })?;
    if all.is_empty() {
        writeln!(
            streams.talk,
            "there is no sealed certificate that you can help to open"
        )?;
        return Ok(1);
    }
    let folder = state_folder()?.join("sealed");
    private::folder(&folder)?;
    for sealed in &all {
        good(sealed)?;
        let path = folder.join(format!("{}-{}.json", sealed.gateway, sealed.segment));
        let text = serde_json::to_string(sealed).unwrap_or_default();
        private::replace(&path, text.as_bytes())?;
        let people: Vec<String> = sealed.people().into_iter().map(shown).collect();
        writeln!(
            streams.people(),
            "segment {} until {}, opened by two of {}: {}",
            sealed.segment,
            shown(&sealed.until),
            people.join(", "),
            path.display()
        )?;
    }
    Ok(0)
}

fn open(args: &OpenArgs, streams: &mut Streams) -> Result<u8, Failure> {
    let sealed = read(&args.file)?;
    let person = args.person.clone().unwrap_or_else(operator_name);
    let Some(layer) = sealed.layer_of(&person) else {
        return Err(not_for(&sealed, &person));
    };
    if until(&sealed)? < Timestamp::now() {
        let message = format!("the sealed certificate expired at {}", shown(&sealed.until));
        let problem = Problem::bare("sealed", message);
        return Err(problem
            .hint("`opsbook sealed get` fetches a new one")
            .into());
    }
    if args.to.symlink_metadata().is_ok() {
        return Err(wrong(format!("`{}` exists already", args.to.display())));
    }
    let content = decrypted(layer, &args.key)?;
    if sealed.opened_by.is_some() {
        return opened(args, &sealed, &content, streams);
    }
    let others = sealed.people().into_iter().map(str::to_owned);
    let half = Sealed {
        layers: vec![Layer {
            people: others.filter(|other| *other != person).collect(),
            age: content.to_string(),
        }],
        opened_by: Some(person),
        ..sealed
    };
    created(
        &args.to,
        serde_json::to_string(&half).unwrap_or_default().as_bytes(),
    )?;
    let people: Vec<String> = half.people().into_iter().map(shown).collect();
    writeln!(
        streams.people(),
        "half open; now one of {}: opsbook sealed open {} FOLDER --key FILE",
        people.join(", "),
        args.to.display()
    )?;
    Ok(0)
}

/// The folder with which `ssh` logs in.
fn opened(
    args: &OpenArgs,
    sealed: &Sealed,
    content: &str,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    let content: Content = serde_json::from_str(content)
        .map_err(|_| Failure::Error("the sealed certificate has another form".to_owned()))?;
    let folder = std::path::absolute(&args.to)?;
    let config = ssh_configuration(&folder).map_err(Failure::Error)?;
    DirBuilder::new().mode(0o700).create(&folder)?;
    let Content { key, certificate } = content;
    let key = Zeroizing::new(key);
    created(&folder.join("key"), key.as_bytes())?;
    let certificate = format!("{}\n", certificate.trim_end());
    created(&folder.join("key-cert.pub"), certificate.as_bytes())?;
    created(&folder.join("config"), config.as_bytes())?;
    writeln!(
        streams.people(),
        "open until {}: opsbook run PROCEDURE NODE --break-glass WHY --ssh-config {}\nremove `{}` \
         when you are done",
        shown(&sealed.until),
        folder.join("config").display(),
        folder.display()
    )?;
    Ok(0)
}

fn read(path: &Path) -> Result<Sealed, Failure> {
    let strange = |why: String| Failure::Error(format!("`{}`: {why}", path.display()));
    let file = fs::File::open(path).map_err(|error| strange(error.to_string()))?;
    let mut text = Vec::new();
    let most = u64::try_from(LARGEST).unwrap_or(u64::MAX);
    let read = file.take(most).read_to_end(&mut text);
    read.map_err(|error| strange(error.to_string()))?;
    let sealed: Result<Sealed, _> = serde_json::from_slice(&text);
    let sealed = sealed.map_err(|_| strange("this is no sealed certificate".to_owned()))?;
    good(&sealed)?;
    Ok(sealed)
}

fn good(sealed: &Sealed) -> Result<(), Failure> {
    if sealed.v != VERSION {
        let message = "the sealed certificate is in the form of a newer opsbook";
        return Err(Failure::Error(message.to_owned()));
    }
    until(sealed)?;
    let named = [&sealed.gateway, &sealed.segment];
    if named.into_iter().all(|name| limit::is_name(name)) {
        return Ok(());
    }
    let message = "the sealed certificate names no gateway or no segment";
    Err(Failure::Error(message.to_owned()))
}

fn until(sealed: &Sealed) -> Result<Timestamp, Failure> {
    let until = sealed.until.parse();
    until.map_err(|_| wrong("the sealed certificate does not say when it expires".to_owned()))
}

fn not_for(sealed: &Sealed, person: &str) -> Failure {
    let people: Vec<String> = sealed.people().into_iter().map(shown).collect();
    let people = people.join(", ");
    if sealed.opened_by.as_deref() == Some(person) {
        let message = format!("`{person}` has opened the first layer");
        let problem = Problem::bare("sealed", message);
        let hint = format!("the second one is for another person: {people}");
        return problem.hint(hint).into();
    }
    let message = format!("`{person}` cannot help to open this certificate");
    let hint = format!("it is sealed for {people}; `--as` gives your name there");
    Problem::bare("sealed", message).hint(hint).into()
}

fn wrong(message: String) -> Failure {
    Problem::bare("sealed", message).into()
}

/// `age` asks for a passphrase of the key by itself, if it has one.
fn decrypted(layer: &Layer, key: &Path) -> Result<Zeroizing<String>, Failure> {
    // A file, not a pipe: it may print much before it has read all.
    let mut input = tempfile::tempfile()?;
    input.write_all(layer.age.as_bytes())?;
    input.rewind()?;
    let output = Command::new("age")
        .arg("--decrypt")
        .arg("--identity")
        .arg(key)
        .stdin(input)
        .stderr(Stdio::inherit())
        .output();
    let mut output = output.map_err(|error| {
        let message = format!("cannot start `age`, which opens the layer: {error}");
        Failure::from(Problem::bare("sealed", message).hint("install `age`"))
    })?;
    let text = std::mem::take(&mut output.stdout);
    if !output.status.success() {
        let message = format!("`{}` does not open this layer", key.display());
        return Err(wrong(message));
    }
    let text = String::from_utf8(text).map(Zeroizing::new);
    text.map_err(|_| wrong("the layer has no text".to_owned()))
}

fn created(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let written = private::create(path, bytes);
    written.map_err(|error| Failure::Error(format!("`{}`: {error}", path.display())))
}

fn shown(text: &str) -> String {
    outside::line(text).to_string()
}
