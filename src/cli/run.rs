//! `opsbook run`: runs a procedure on nodes.

mod files;

use std::io::Write;
use std::sync::Arc;

use clap::Args;

use crate::cli::complete;
use crate::cli::context::{Chosen, tell_elsewhere};
use crate::cli::error::{Failure, exit};
use crate::cli::form::Form;
use crate::cli::gateway::{self, ask::AskArgs};
use crate::cli::launch::{Seat, launch};
use crate::cli::manner::MannerArgs;
use crate::cli::resume::say;
use crate::cli::supervised::SupervisedArgs;
use crate::cli::terminal::sure;
use crate::cli::tty::is_anybody_there;
use crate::cli::via::Via;
use crate::cli::which::own_open_run;
use crate::cli::{Streams, block_on};
use crate::engine::{Answer, OnLag, Proof};
use crate::event::Status;
use crate::journal;
use crate::manual::shell_word;
use crate::nodes::{Node, Transport};
use crate::plan::{Binding, Part, Plan, Request};
use crate::project::{
    self, Allotted, Anew, Manner, Project, Resumed, Start, changes, looked_over, moved,
};
use crate::report::dry_run;
use crate::source::Problem;

/// Run a procedure on nodes, step by step
///
/// The whole plan is made first; nothing is changed before the plan is verified. The bundle on the
/// node is opened and is the lock; steps run in the order of the manual, each followed by its
/// checks. A step that does not end OK halts the run, keeps the bundle and prints what is left to
/// do by hand. `opsbook resume` continues there.
#[derive(Args, Debug)]
pub(crate) struct Run {
    /// The procedure, as `opsbook list` names it
    #[arg(value_name = "PROCEDURE", add = complete::procedures())]
    procedure: String,
    /// Nodes or selectors: web1, web*, @web, @web&@staging, !web3. For a procedure with roles:
    /// ROLE=NODE
    #[arg(value_name = "NODE", add = complete::nodes())]
    nodes: Vec<String>,
    /// An argument of the procedure; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = crate::cli::show::name_and_value)]
    set: Vec<(String, String)>,
    /// Print targets, values and scripts exactly as they would run; reach no node
    #[arg(long, conflicts_with = "format")]
    dry_run: bool,
    /// With --dry-run: reach the nodes, say who answers, and show how files would change
    #[arg(long, requires = "dry_run")]
    connect: bool,
    /// Who executes it: this program, over ssh, or a runner of the gateway
    #[arg(long, value_enum, default_value_t = Via::Ssh)]
    via: Via,
    /// Bypass the gateway for this reason: the reason is in the journal, and is shown in red
    /// wherever the run appears; `opsbook sync` reports it
    #[arg(long, value_name = "WHY", value_parser = reason, conflicts_with_all = ["run", "dry_run"])]
    break_glass: Option<String>,
    #[command(flatten)]
    supervised: SupervisedArgs,
    #[command(flatten)]
    common: MannerArgs,
}

impl Run {
    pub fn is_via_gateway(&self) -> bool {
        self.via == Via::Gateway
    }

    fn seat(&self) -> Seat {
        Seat {
            json: self.common.json(),
            answers: self.supervised.answers,
        }
    }
}

pub(crate) fn run(args: &Run, project: &Project, streams: &mut Streams) -> Result<u8, Failure> {
    args.supervised.take_place()?;
    named(args, project)?;
    let allotted = allotted(args, project)?;
    let mut set = args.supervised.arguments()?;
    set.extend_from_slice(&args.set);
    let request = Request {
        procedure: &args.procedure,
        nodes: &args.nodes,
        set: &set,
    };
    let plan = project.plan(&request)?;
    tell_elsewhere(project, &mut *streams.talk)?;
    args.supervised.same_plan(&plan)?;
    args.supervised.approved(project, &plan)?;
    let manner = args.common.manner(&plan, None)?;
    if let Some(allotted) = allotted.as_ref().filter(|_| args.supervised.adopt) {
        return adopt(args, project, (plan, manner, allotted), streams);
    }
    let part = manner.part();
    let proof = Proof {
        root: &project.root,
        secrets_in: &project.origin,
        plan: &plan,
        part,
        resume: None,
        given: &[],
    };
    looked_over(&proof)?;
    if args.dry_run {
        dry_run::write(&plan, part, &mut streams.people())?;
        for warning in proof.secrets_not_here() {
            writeln!(streams.talk, "{warning}\n")?;
        }
        if !args.connect {
            return Ok(0);
        }
        let nodes = plan.machines().into_iter().map(str::to_owned);
        let nodes: Vec<String> = nodes.collect();
        let status = crate::cli::ping::names(&nodes, project, Form::default(), streams)?;
        if status == 0 {
            files::compare(&plan, part, streams)?;
        }
        return Ok(status);
    }
    if let Some(run) = own_open_run(project, &plan) {
        writeln!(
            streams.talk,
            "note: run {run} of `{}` is halted; `opsbook resume {run}` continues it\n",
            plan.procedure
        )?;
    }
    // The hash covers everything on every node: whoever gives it has already agreed.
    let named = args.supervised.plan_sha256.is_some();
    if (plan.nodes.len() > 1 || plan.binding.is_some())
        && !named
        && !confirmed(&plan, part, args.common.yes, streams)?
    {
        return Ok(exit(Status::Stopped));
    }
    let mut who = args.supervised.who(project);
    who.break_glass.clone_from(&args.break_glass);
    let run = project::Run {
        plan: Arc::new(plan),
        manner,
        start: allotted.map_or_else(Start::new_run, Start::New),
        who,
    };
    let name = run.start.run().to_owned();
    let status = launch(project, run, args.seat(), streams);
    if args.break_glass.is_some() {
        writeln!(
            streams.talk,
            "the gateway does not know run {name}: `opsbook sync {name}` reports it"
        )?;
    }
    status
}

/// The reason for bypassing the gateway.
fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.len() > 1_000 || text.contains(char::is_control) {
        return Err("give the reason in one line of at most 1000 characters".to_owned());
    }
    Ok(text.to_owned())
}

/// Orders it at the gateway, and shows it.
pub(crate) fn ask(args: &Run, dir: &Chosen, streams: &mut Streams) -> Result<u8, Failure> {
    if args.break_glass.is_some() {
        let message = "`--break-glass` bypasses the gateway, and `--via gateway` uses it: pass \
            one of them";
        return Err(Failure::from(Problem::bare("usage", message)));
    }
    if args.dry_run || args.supervised.run.is_some() {
        let message = "`--via gateway` cannot be combined with `--dry-run` or `--run`";
        return Err(Failure::from(Problem::bare("usage", message)));
    }
    if let Some(option) = args.common.of_this_program() {
        let message = format!("a gateway does not accept `{option}`");
        let problem = Problem::bare("usage", message);
        return Err(Failure::from(
            problem.hint("`opsbook ask` has the options of a gateway"),
        ));
    }
    let form = if args.common.json() {
        Form::json()
    } else {
        Form::default()
    };
    let ask = AskArgs::of_run(
        (&args.procedure, &args.nodes, &args.set),
        args.common.yes,
        form,
    );
    gateway::ask::ask(&ask, dir, streams)
}

/// Continues a run that another controller may have begun, or begins it.
fn adopt(
    args: &Run,
    project: &Project,
    (plan, manner, allotted): (Plan, Manner, &Allotted),
    streams: &mut Streams,
) -> Result<u8, Failure> {
    let who = args.supervised.who(project);
    let (journal, record) = project::adopt(project, &plan, &manner, &who, allotted)?;
    if record.status() == Some(Status::Ok) {
        writeln!(
            streams.talk,
            "run {} is complete: there is nothing to resume",
            allotted.run
        )?;
        return Ok(0);
    }
    moved(&plan, &record, &project.root)?;
    let changes = changes(&plan, &record, &project.root);
    say(&changes, false, &allotted.run, streams)?;
    let run = project::Run {
        plan: Arc::new(plan),
        manner: Manner {
            on_lag: OnLag::Adopt,
            ..manner
        },
        start: Start::Resume(Box::new(Resumed {
            journal,
            record,
            accepted_changes: false,
            anew: changes.anew,
            plans: changes.plans,
            done: Anew::new(),
            note: None,
        })),
        who,
    };
    launch(project, run, args.seat(), streams)
}

/// The run's name from a supervisor; refused if a run of this name has begun and must not be
/// adopted.
fn allotted(args: &Run, project: &Project) -> Result<Option<Allotted>, Failure> {
    let Some(run) = args.supervised.run.clone() else {
        return Ok(None);
    };
    if !args.supervised.adopt && journal::runs(&project.state).contains(&run) {
        let problem = Problem::bare("begun", format!("run {run} has already started"));
        return Err(Failure::from(
            problem.hint(format!("`opsbook resume {run}` continues it")),
        ));
    }
    Ok(Some(Allotted {
        run,
        epoch: Some(args.supervised.epoch),
    }))
}

/// Refuses a command line without a node, and `NAME=VALUE` in the place of a node. A procedure with
/// roles has words of that form.
fn named(args: &Run, project: &Project) -> Result<(), Failure> {
    let procedure = project.manual.procedures.get(&args.procedure);
    if procedure.is_some_and(|procedure| !procedure.roles.is_empty()) {
        // Errors in these words are reported with all others.
        return Ok(());
    }
    if let Some(word) = args.nodes.iter().find(|word| word.contains('=')) {
        let problem = Problem::bare("usage", format!("`{word}` is where a node is expected"));
        return Err(Failure::from(problem.hint(format!(
            "write an argument as `--set {}`",
            shell_word(word)
        ))));
    }
    if !args.nodes.is_empty() {
        return Ok(());
    }
    let name = &args.procedure;
    let problem = Problem::bare(
        "usage",
        format!("`{name}` runs on nodes, and you named none"),
    );
    Err(Failure::from(match project.manual.procedures.get(name) {
        Some(procedure) => problem.hint(procedure.command()),
        None => problem.hint("`opsbook list` shows all procedures and nodes"),
    }))
}

/// Names the nodes, and asks for confirmation if there are several.
fn confirmed(plan: &Plan, part: Part, yes: bool, streams: &mut Streams) -> Result<bool, Failure> {
    let about = match &plan.binding {
        Some(binding) => of_roles(plan, binding),
        None => of_nodes(plan),
    };
    if yes {
        write!(streams.talk, "{about}")?;
        return Ok(true);
    }
    if !is_anybody_there() {
        writeln!(
            streams.talk,
            "{about}\nerror: a run on more than one node needs a confirmation, and there is \
             nobody to ask\n\nhint: `--yes` confirms"
        )?;
        return Ok(false);
    }
    let mut whole = Vec::new();
    dry_run::write(plan, part, &mut whole)?;
    let whole = String::from_utf8_lossy(&whole).into_owned();
    let answer = block_on(async { Ok(sure(about, whole, "go on?").await) })?;
    if let Answer::Nobody = answer {
        writeln!(
            streams.talk,
            "error: nobody answered\n\nhint: `--yes` confirms"
        )?;
    }
    Ok(matches!(answer, Answer::Yes))
}

fn of_nodes(plan: &Plan) -> String {
    let mut about = format!("`{}` on {} nodes:\n", plan.procedure, plan.nodes.len());
    for node in &plan.nodes {
        about += &format!("  {}\n", node.node.name);
    }
    about
}

/// The nodes of each role, and the number of steps of each node.
fn of_roles(plan: &Plan, binding: &Binding) -> String {
    let mut about = format!("`{}`:\n", plan.procedure);
    for bound in &binding.roles {
        if bound.nodes.is_empty() {
            about += &format!("  {}: no node\n", bound.role);
        }
        for name in &bound.nodes {
            let plans = plan.nodes.iter().filter(|node| node.node.name == *name);
            let steps: usize = plans.clone().map(|node| node.steps.len()).sum();
            let node = plans.map(|node| &node.node).next();
            let groups = node.map(|node| node.groups.join(", ")).unwrap_or_default();
            let address = node.map(|node| address(node)).unwrap_or_default();
            let what = match (bound.reached, steps) {
                (false, _) => "only named".to_owned(),
                (true, 1) => "1 step".to_owned(),
                (true, steps) => format!("{steps} steps"),
            };
            about += &format!("  {}: {name}", bound.role);
            if !groups.is_empty() {
                about += &format!(" ({groups})");
            }
            if !address.is_empty() {
                about += &format!(", {address}");
            }
            about += &format!(", {what}\n");
        }
    }
    about
}

/// A node's address, for the confirmation.
fn address(node: &Node) -> String {
    match &node.transport {
        Transport::Ssh(ssh) => ssh.host.clone(),
        Transport::Local => "local".to_owned(),
        Transport::Exec(_) => "by a command".to_owned(),
        Transport::Container(_) => "in a container".to_owned(),
    }
}
