//! `opsbook pack`: one file to carry, audit and run.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::cli::archive::{self, Opened, Signer};
use crate::cli::context::{self, Chosen};
use crate::cli::error::Failure;
use crate::cli::{Streams, cyclonedx};
use crate::outside;
use crate::package::archive::{Archive, write};
use crate::package::{oci, sign};
use crate::project::pack;
use crate::source::Problem;

/// Make one file of the manual, which can be carried, audited and run
///
/// The archive contains the files of the git revision, sorted, without times and owners: the same
/// revision gives the same file. Its identity is a hash over the list of its files. Packing is
/// refused if something is not committed, looks private, or is wrong.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  opsbook pack                                  NAME-VERSION.opsbook, here
  opsbook pack --sign ~/.ssh/release            signed by an ssh key, or one of an agent
  opsbook pack --push registry.example.net/ops/shop
  opsbook pack --check shop-1.4.2.opsbook       whether it is what it says
  opsbook pack --check shop-1.4.2.opsbook --git v1.4.2
  opsbook pack --list shop-1.4.2.opsbook        what is in it
  opsbook --book shop-1.4.2.opsbook run shop.release web1")]
pub(crate) struct Pack {
    /// The archive to write; NAME-VERSION.opsbook in this folder if absent
    #[arg(long, short, value_name = "FILE", conflicts_with_all = ["check", "list"])]
    output: Option<PathBuf>,
    /// Also upload it to this place in a container registry, with its version as the tag
    #[arg(long, value_name = "PLACE", conflicts_with_all = ["check", "list", "dirty"])]
    push: Option<String>,
    /// Sign it with this ssh key, or with the agent's key for this public key
    #[arg(long, value_name = "KEY", conflicts_with_all = ["check", "list"])]
    sign: Option<PathBuf>,
    /// Refuse a version that is too close to that of this tag, given the changes
    #[arg(long, value_name = "TAG", conflicts_with_all = ["check", "list"])]
    since: Option<String>,
    /// Pack the files on disk, committed or not, and mark the archive
    #[arg(long, conflicts_with_all = ["check", "list"])]
    dirty: bool,
    /// Its name, if it is not a package
    #[arg(long, conflicts_with_all = ["check", "list"])]
    name: Option<String>,
    /// Its version, if it is not a package
    #[arg(long, conflicts_with_all = ["check", "list"])]
    version: Option<String>,
    /// Compare an archive with its description, and verify its signature
    #[arg(long, value_name = "FILE", conflicts_with = "list")]
    check: Option<PathBuf>,
    /// With --check: also compare it with this tag or revision of the repository here
    #[arg(long, value_name = "TAG", requires = "check")]
    git: Option<String>,
    /// Print the contents of an archive
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    /// The format of --list
    #[arg(long, value_enum, default_value_t = Format::Json, requires = "list")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Format {
    /// The archive's own description
    Json,
    /// A bill of materials in `CycloneDX` 1.6
    Cyclonedx,
}

pub(crate) fn run(args: &Pack, from: &Chosen, streams: &mut Streams) -> Result<u8, Failure> {
    match (&args.check, &args.list) {
        (Some(file), _) => check(file, args.git.as_deref(), from, streams),
        (_, Some(file)) => list(file, args.format, streams),
        (None, None) => make(args, from, streams),
    }
}

fn make(args: &Pack, from: &Chosen, streams: &mut Streams) -> Result<u8, Failure> {
    if let Some(place) = &args.push {
        oci::check_reference(place).map_err(|why| Problem::bare("usage", why))?;
    }
    let project = context::load(from)?;
    let options = pack::Options {
        name: args.name.clone(),
        version: args.version.clone(),
        since: args.since.clone(),
        dirty: args.dirty,
    };
    let packed = pack::pack(&project, &options)?;
    for warning in &packed.warnings {
        writeln!(streams.talk, "{warning}\n")?;
    }
    let mut archive = packed.archive;
    if let Some(key) = &args.sign {
        let signature = sign::sign(&archive.signed_text(), key);
        archive.signature = Some(signature.map_err(|why| {
            let message = format!("`{}` does not sign: {why}", key.display());
            Problem::bare("not-signed", message)
        })?);
    }
    let bytes = write(&archive).map_err(Failure::Error)?;
    let name = format!(
        "{}-{}.opsbook",
        archive.description.name, archive.description.version
    );
    let path = args.output.clone().unwrap_or_else(|| PathBuf::from(name));
    put(&path, &bytes)?;
    tell(&archive, streams)?;
    writeln!(
        streams.people(),
        "{}  {}",
        path.display(),
        size(bytes.len() as u64)
    )?;
    if let Some(place) = &args.push {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let version = &archive.description.version;
        let digest = oci::push(&bytes, &file, place, version).map_err(|why| {
            let message = format!("it was not pushed: {}", outside::line(&why.message));
            Problem::bare(why.code, message)
        })?;
        writeln!(streams.people(), "pushed  {place}:{version}@{digest}")?;
    }
    Ok(0)
}

/// Writes it atomically.
fn put(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::Builder::new();
    let file = file.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    let mut file = file.tempfile_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn tell(archive: &Archive, streams: &mut Streams) -> Result<(), Failure> {
    let description = &archive.description;
    let from = revision(archive);
    let own = description.own(&archive.tree);
    writeln!(
        streams.people(),
        "{} {}{from}, {}, {}",
        description.name,
        description.version,
        count(own.len(), "file"),
        size(archive.tree.bytes())
    )?;
    if !description.packages.is_empty() {
        let parts = description.packages.iter();
        let parts: Vec<String> = parts
            .map(|part| format!("{} {}", part.name, part.version))
            .collect();
        let number = count(parts.len(), "package");
        writeln!(streams.people(), "  {number}: {}", parts.join(", "))?;
    }
    writeln!(streams.people(), "  content {}", description.content)?;
    Ok(())
}

/// ` from b1580934283f (v1.4.2)`
fn revision(archive: &Archive) -> String {
    let Some(git) = &archive.description.git else {
        return String::new();
    };
    let short = git.revision.get(..12).unwrap_or(&git.revision);
    let changed = if git.clean { "" } else { " with changes" };
    let tag = git.tag.as_ref().map(|tag| format!(" ({tag})"));
    format!(" from {short}{changed}{}", tag.unwrap_or_default())
}

fn check(
    file: &Path,
    git: Option<&str>,
    from: &Chosen,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    let Opened { archive, signer } = archive::open(file, from.signers.as_deref())?;
    let signed = match signer {
        Signer::None => "not signed".to_owned(),
        Signer::Unknown => "signed; the signer was not verified (`--signers FILE`)".to_owned(),
        Signer::Named(name) => format!("signed by {name}"),
    };
    let description = &archive.description;
    let is = match &description.git {
        Some(git) => git.revision.get(..12).unwrap_or(&git.revision).to_owned(),
        None => format!("{} {}", description.name, description.version),
    };
    let own = description.own(&archive.tree).len();
    let mut differing = Vec::new();
    if let Some(name) = git {
        let root = context::find_root(from)?;
        let compared = pack::compare(&archive, &root, name);
        differing = compared.map_err(|error| Problem::bare(error.code, error.message))?;
    }
    let files = count(own, "file");
    let text = if differing.is_empty() {
        format!(
            "{} is {is}: {files}, nothing differs; {signed}",
            file.display()
        )
    } else {
        let number = count(differing.len(), "file");
        format!(
            "{} is not {}: {number} of {own} differ",
            file.display(),
            git.unwrap_or_default()
        )
    };
    writeln!(streams.people(), "{}", outside::line(&text))?;
    for line in differing.iter().take(20) {
        writeln!(streams.people(), "  {line}")?;
    }
    Ok(if differing.is_empty() { 0 } else { 2 })
}

fn list(file: &Path, format: Format, streams: &mut Streams) -> Result<u8, Failure> {
    let archive = archive::read(file)?;
    match format {
        Format::Json => streams.data().write_all(archive.text.as_bytes())?,
        Format::Cyclonedx => {
            let bom = cyclonedx::bom(&archive.description);
            writeln!(streams.data(), "{bom:#}")?;
        }
    }
    Ok(0)
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// `225 kB`
fn size(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..10_000_000 => format!("{} kB", bytes / 1000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}
