//! `opsbook shell`, `mount` and `umount`: a person's access to the bundle on a node.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use clap::Args;

use crate::cli::complete;
use crate::cli::error::Failure;
use crate::cli::{Streams, block_on};
use crate::engine::{Operator, Passwords, Reach, bundle_dir, target};
use crate::event::Site;
use crate::journal;
use crate::manual::shell_quoted;
use crate::nodes::Node;
use crate::project::Project;
use crate::report::known::Known;
use crate::session::{OpenOptions, interactive, sshfs};
use crate::source::Problem;

/// Open a shell on a node, in the bundle and with the run's variables
///
/// Without a bundle, in the home directory.
#[derive(Args, Debug)]
pub(crate) struct Shell {
    /// The name of the node; with --run also TURN/NODE, for a node that serves the turn of another
    #[arg(value_name = "NODE", add = complete::node())]
    node: String,
    /// Use the bundle of this run, whose journal is here
    #[arg(long, value_name = "RUN", add = complete::runs())]
    run: Option<String>,
}

/// Mount the bundle of a node on a folder of this machine, with sshfs
#[derive(Args, Debug)]
pub(crate) struct Mount {
    /// The name of the node
    #[arg(value_name = "NODE", add = complete::node())]
    node: String,
    /// The folder; `.opsbook/mnt/NODE` in the manual's folder if absent
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Undo `opsbook mount`
#[derive(Args, Debug)]
pub(crate) struct Umount {
    /// The name of the node
    #[arg(value_name = "NODE", add = complete::node())]
    node: String,
    /// The folder where it was mounted, if not the default
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(crate) fn shell(args: &Shell, project: &Project) -> Result<u8, Failure> {
    let (node, dir) = if let Some(run) = &args.run {
        bundle_in(project, run, &args.node)?
    } else {
        let node = one(project, &args.node)?;
        let dir = bundle_of(&node)?;
        (node, dir)
    };
    let status = shell_in(&node, &dir)
        .status()
        .map_err(|error| cannot("the shell", &error))?;
    Ok(u8::try_from(status.code().unwrap_or(255)).unwrap_or(255))
}

/// The bundle of a run at one site, from its journal: `web1/lb1` is a node in another node's turn;
/// a node alone means its own turn, or the main line.
fn bundle_in(project: &Project, run: &str, place: &str) -> Result<(Arc<Node>, String), Failure> {
    let record = journal::read(&project.state, run)?;
    let plans = record
        .started()
        .into_iter()
        .flat_map(|started| started.plans.keys());
    let sites: Vec<Site<'_>> = plans
        .map(|text| match text.split_once('/') {
            Some((turn, node)) => Site {
                node,
                turn: Some(turn),
            },
            None => Site::from(text),
        })
        .collect();
    let mut meant: Vec<&Site<'_>> = { sites.iter() }
        .filter(|site| {
            site.to_string() == place || site.turn_of() == Some(site.node) && site.node == place
        })
        .collect();
    meant.sort_by_key(|site| site.turn.is_none());
    if meant.is_empty() {
        let problem = Problem::bare(
            "unknown-node",
            format!("run `{run}` has no machine `{place}`"),
        );
        let names: Vec<String> = sites.iter().map(Site::to_string).collect();
        let names = names.iter().map(String::as_str);
        return Err(Failure::from(problem.did_you_mean(place, names)));
    }
    for site in meant {
        if let Some(dir) = Known::of(&record, *site).bundle() {
            return Ok((one(project, site.node)?, dir.to_owned()));
        }
    }
    let message = format!("run `{run}` has no bundle on `{place}`");
    Err(Failure::from(Problem::bare("no-bundle", message)))
}

/// A shell in a bundle; `!` in the step menu also opens it.
pub(crate) fn shell_in(node: &Node, dir: &str) -> Command {
    let line = format!(
        "cd {0} 2>/dev/null || {{ echo 'no bundle here: this is the home directory' >&2; cd; }}; \
         bundle={0}; set -a; if [ -f ./values ]; then . ./values; fi; if [ -f ./state ]; then . ./state; fi; \
         set +a; exec \"${{SHELL:-sh}}\" -i",
        shell_quoted(dir)
    );
    interactive(&target(node), &line)
}

pub(crate) fn mount(args: &Mount, project: &Project, streams: &mut Streams) -> Result<u8, Failure> {
    let node = one(project, &args.node)?;
    let dir = bundle_of(&node)?;
    let onto = onto(project, args.dir.as_ref(), &node);
    let Some(mut command) = sshfs(&target(&node), &dir, &onto) else {
        return Err(no_sshfs(&node, &dir));
    };
    std::fs::create_dir_all(&onto)?;
    match command.status() {
        Ok(status) if status.success() => {
            writeln!(streams.people(), "{}", onto.display())?;
            Ok(0)
        }
        Ok(_) => Err(Failure::Error(format!(
            "`sshfs` could not mount {dir} of `{}`: the bundle must be there, and its sshd must offer sftp",
            node.name
        ))),
        Err(error) => Err(cannot("`sshfs` (is it installed?)", &error)),
    }
}

pub(crate) fn umount(args: &Umount, project: &Project) -> Result<u8, Failure> {
    let node = one(project, &args.node)?;
    let dir = bundle_of(&node)?;
    let onto = onto(project, args.dir.as_ref(), &node);
    if sshfs(&target(&node), &dir, &onto).is_none() {
        return Err(no_sshfs(&node, &dir));
    }
    let tried = Command::new("fusermount").arg("-u").arg(&onto).status();
    let tried = tried.or_else(|_| Command::new("umount").arg(&onto).status());
    let status = tried.map_err(|error| cannot("`fusermount`", &error))?;
    if status.success() {
        return Ok(0);
    }
    Err(Failure::Error(format!(
        "the bundle of `{}` was not unmounted from `{}`: the lines above say why",
        node.name,
        onto.display()
    )))
}

fn no_sshfs(node: &Node, dir: &str) -> Failure {
    let message = format!("`{}` is not reached by ssh", node.name);
    let problem = Problem::bare("mount-transport", message);
    Failure::from(problem.hint(format!("its bundle is `{dir}`; nothing is mounted")))
}

pub(crate) fn one(project: &Project, selector: &str) -> Result<Arc<Node>, Failure> {
    match project.nodes.select(selector)?.as_slice() {
        [one] => Ok(Arc::new(project.nodes.evaluate(one, &[])?)),
        several => {
            let message = format!(
                "`{selector}` selects {} nodes: name exactly one",
                several.len()
            );
            Err(Failure::from(Problem::bare("one-node", message)))
        }
    }
}

fn onto(project: &Project, given: Option<&PathBuf>, node: &Node) -> PathBuf {
    given
        .cloned()
        .unwrap_or_else(|| project.state.mounts().join(&node.name))
}

/// The path of the bundle, from the node.
fn bundle_of(node: &Arc<Node>) -> Result<String, Failure> {
    block_on(async {
        let (operator, _) = Operator::new();
        let reach = Reach::open(
            node,
            &OpenOptions::default(),
            &Passwords::new(operator, None),
        )
        .await;
        let reach = reach.map_err(|error| {
            Failure::Error(format!(
                "`{}`: {error}: {}",
                node.name,
                error.said.trimmed().block()
            ))
        })?;
        let dir = bundle_dir(node, reach.session().hello());
        reach.close().await;
        Ok(dir)
    })
}

fn cannot(what: &str, error: &std::io::Error) -> Failure {
    Failure::Error(format!("cannot start {what}: {error}"))
}
