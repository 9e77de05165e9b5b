//! `opsbook import`: converts data of other tools into nodes or a page.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use opsbook_import::{Format, Goss, Imported, MOST_BYTES};

use crate::cli::Streams;
use crate::cli::adopt::is_clean;
use crate::cli::error::Failure;
use crate::outside;
use crate::source::Problem;
use crate::wildcard;

/// Import data of other tools: hosts as nodes, checks and scripts as a page
///
/// Prints the result. Nothing is run, reached or looked up. What cannot be converted is listed with
/// its place. Exit status 0 if everything was converted, 1 if not, 2 for an unreadable file.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  opsbook import nodes ansible inventory.ini -o nodes/50-ansible.yaml
  ansible-inventory --list | opsbook import nodes ansible -
  terraform output -json | opsbook import nodes terraform - -o nodes/50-cloud.yaml --check
  opsbook import goss goss.yaml --id base --nodes @web --vars vars.yaml -o manual/base.md
  opsbook import role roles/ntp/tasks/main.yml
  opsbook import script deploy.sh")]
pub(crate) struct Import {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Hosts, as a nodes file
    Nodes {
        /// The tool
        #[arg(value_enum)]
        format: Tool,
        #[command(flatten)]
        files: Files,
    },
    /// A gossfile, as a page with a group of checks
    Goss {
        #[command(flatten)]
        files: Files,
        /// The id of the group
        #[arg(long, value_name = "ID")]
        id: String,
        /// The nodes where it holds
        #[arg(long, value_name = "SELECTOR")]
        nodes: Option<String>,
        /// The values of its templates: a YAML or JSON file, as for goss
        #[arg(long, value_name = "FILE")]
        vars: Option<PathBuf>,
        /// An environment variable for its templates; the real environment is not read
        #[arg(long, value_name = "NAME=VALUE")]
        env: Vec<String>,
    },
    /// A shell script, as a page with a procedure: a draft
    Script {
        #[command(flatten)]
        files: Files,
    },
    /// A page with Runme cells, as a page with a procedure
    Runme {
        #[command(flatten)]
        files: Files,
    },
    /// A document of Innovation Engine, as a page with a procedure
    Innovation {
        #[command(flatten)]
        files: Files,
    },
    /// The tasks of an Ansible role, `tasks/main.yml`, as a page: a draft. Everything that is not
    /// clearly a command becomes a block for a person
    Role {
        #[command(flatten)]
        files: Files,
    },
    /// Rundeck jobs, from `rd jobs list -F yaml`, as a page: a draft
    Rundeck {
        #[command(flatten)]
        files: Files,
    },
}

/// The input and the output.
#[derive(Args, Debug)]
struct Files {
    /// The file; `-` is standard input
    #[arg(value_name = "FILE")]
    from: PathBuf,
    /// Write the result to this file; a file with changes that git does not have is skipped
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// With -o: write nothing, and exit with 1 if the file differs
    #[arg(long, requires = "output")]
    check: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Tool {
    /// An inventory as INI or YAML, or the output of `ansible-inventory --list`
    Ansible,
    /// The host names in an ssh configuration
    SshConfig,
    /// `terraform output -json`, `terraform show -json`, or a state file
    Terraform,
}

pub(crate) fn run(args: &Import, streams: &mut Streams) -> Result<u8, Failure> {
    let (What::Nodes { files, .. }
    | What::Goss { files, .. }
    | What::Script { files }
    | What::Runme { files }
    | What::Innovation { files }
    | What::Role { files }
    | What::Rundeck { files }) = &args.what;
    let (name, text) = read(&files.from)?;
    let imported = match &args.what {
        What::Nodes { format, .. } => {
            let format = match format {
                Tool::Ansible => Format::Ansible,
                Tool::SshConfig => Format::SshConfig,
                Tool::Terraform => Format::Terraform,
            };
            opsbook_import::nodes(format, &name, &text)
        }
        What::Goss {
            id,
            nodes,
            vars,
            env,
            ..
        } => {
            let vars = vars.as_deref().map(read).transpose()?;
            let env = env.iter().map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (name.to_owned(), value.to_owned())
            });
            let env: Vec<(String, String)> = env.collect();
            let with = Goss {
                id,
                nodes: nodes.as_deref(),
                vars: vars
                    .as_ref()
                    .map(|(name, text)| (name.as_str(), text.as_str())),
                env: &env,
                included: &included,
            };
            opsbook_import::goss(&name, &text, &with)
        }
        What::Innovation { .. } => opsbook_import::innovation(&name, &text),
        What::Role { .. } => opsbook_import::role(&name, &text, defaults_of(&name).as_deref()),
        What::Script { .. } => opsbook_import::script(&name, &text),
        What::Runme { .. } => opsbook_import::runme(&name, &text),
        What::Rundeck { .. } => opsbook_import::rundeck(&name, &text),
    };
    let imported = imported.map_err(|error| Problem::bare("not-understood", error.to_string()))?;
    give(&imported, files, streams)
}

/// The defaults of the role that a tasks file belongs to, if they can be read.
fn defaults_of(tasks: &str) -> Option<String> {
    let folder = Path::new(tasks).parent()?.parent()?;
    let path = folder.join("defaults/main.yml");
    read(&path).ok().map(|(_, text)| text)
}

/// The files that a gossfile includes, by a name or a pattern in the last component of a path.
/// Unreadable files are reported as missing.
fn included(from: &str, named: &str) -> Vec<(String, String)> {
    let path = Path::new(from)
        .parent()
        .unwrap_or(Path::new(""))
        .join(named);
    let name = path.file_name().and_then(|name| name.to_str());
    let (Some(name), Some(folder)) = (name, path.parent()) else {
        return Vec::new();
    };
    let mut paths = vec![path.clone()];
    if wildcard::is_pattern(name) {
        let here = if folder == Path::new("") {
            Path::new(".")
        } else {
            folder
        };
        let entries = std::fs::read_dir(here).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let fits = |own: &String| wildcard::fits(name.as_bytes(), own.as_bytes());
        paths = names.filter(fits).map(|own| folder.join(own)).collect();
        paths.sort();
    }
    let files = paths.iter().filter(|path| path.is_file());
    files.filter_map(|path| read(path).ok()).collect()
}

fn read(from: &Path) -> Result<(String, String), Failure> {
    let most = MOST_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    if from == Path::new("-") {
        std::io::stdin().take(most).read_to_end(&mut bytes)?;
    } else {
        let opened = std::fs::File::open(from).map_err(|error| {
            Problem::bare("unreadable", format!("`{}`: {error}", from.display()))
        })?;
        opened.take(most).read_to_end(&mut bytes)?;
    }
    let name = match from.to_str() {
        Some("-") => "standard input".to_owned(),
        _ => from.display().to_string(),
    };
    let text = String::from_utf8(bytes)
        .map_err(|_| Problem::bare("not-understood", format!("`{name}` is not UTF-8 text")))?;
    Ok((name, text))
}

fn give(imported: &Imported, files: &Files, streams: &mut Streams) -> Result<u8, Failure> {
    let mut stale = false;
    match &files.output {
        None => streams.people().write_all(imported.text.as_bytes())?,
        Some(output) => {
            let before = std::fs::read_to_string(output).ok();
            let is_same = before.as_deref() == Some(imported.text.as_str());
            if files.check {
                stale = !is_same;
                let diff = similar::TextDiff::from_lines(
                    before.as_deref().unwrap_or_default(),
                    &imported.text,
                );
                let path = output.display().to_string();
                let diff = diff.unified_diff().header(&path, &path).to_string();
                streams.people().write_all(diff.as_bytes())?;
            } else if !is_same {
                write(output, &imported.text)?;
            }
        }
    }
    let taken = imported.taken.join(", ");
    writeln!(streams.talk, "{taken}; {} left to you", imported.left.len())?;
    for left in &imported.left {
        let (place, what) = (outside::line(&left.place), outside::line(&left.what));
        writeln!(streams.talk, "  {place}  {what}")?;
    }
    Ok(u8::from(stale || !imported.left.is_empty()))
}

/// Refuses to overwrite unsaved contents, and to write through a link.
fn write(output: &Path, text: &str) -> Result<(), Failure> {
    let about = std::fs::symlink_metadata(output);
    let may_be = match &about {
        Err(_) => true,
        Ok(about) => about.is_file() && is_clean(output),
    };
    if !may_be {
        let message = format!(
            "`{}` was not changed: it has uncommitted changes",
            output.display()
        );
        return Err(Failure::from(Problem::bare("not-clean", message)));
    }
    if about.is_err() {
        let mut file = std::fs::File::create_new(output)?;
        return Ok(file.write_all(text.as_bytes())?);
    }
    Ok(std::fs::write(output, text)?)
}
