//! `opsbook bless`: what a page expects, written down from what was really printed.

mod page;

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use crate::cli::about::About;
use crate::cli::error::Failure;
use crate::cli::terminal::Terminal;
use crate::cli::{Streams, complete, runtime};
use crate::engine::{Operator, Passwords, Reach, Scope, Secrets, printed};
use crate::event::{Site, Status, Stream, What};
use crate::journal::{self, Record};
use crate::manual::expect::bless::{Printed, Unblessed, bless};
use crate::manual::{Check, Expect, ExpectKind, Manual, Script, Step, Work};
use crate::nodes::{Node, Text};
use crate::outside;
use crate::plan::{self, Ask, Case, Value};
use crate::project::Project;
use crate::session::{MASK, OpenOptions};
use crate::source::{Problem, Span, counted};

use page::Pages;

/// Nodes that a check is asked on.
const MOST_NODES: usize = 5;
/// Lines of an expectation.
const MOST_LINES: usize = 20;

/// Write down what checks and steps print, as what is expected of them
///
/// Checks only look: each is asked twice on up to five nodes. What was the same stays; times,
/// ids, sizes and what differs are elided, and values of the node stand as `${name}`. Of an
/// expectation that is there, the lines that still match stay as the author wrote them. Steps
/// are never run: `--from RUN` takes what they printed in a run that ended well. Prints a patch,
/// which `git apply` takes; `--write` changes the pages.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  opsbook bless                          expectations that do not match any more
  opsbook bless --new --nodes @web tls   and checks without one, of those with `tls` in the name
  opsbook bless --from RUN               what the steps of a run have printed")]
pub(crate) struct Bless {
    /// Only checks and steps with one of these texts in their names
    #[arg(value_name = "FILTER", add = complete::filters())]
    filters: Vec<String>,
    /// The nodes to ask; those of `opsbook test` if absent
    #[arg(long, value_name = "SELECTOR", add = complete::nodes())]
    nodes: Option<String>,
    /// Steps, from what they printed in this run, which must have ended well
    #[arg(long, value_name = "RUN", add = complete::runs(), conflicts_with = "nodes")]
    from: Option<String>,
    /// Checks that have no expectation get one, too
    #[arg(long)]
    new: bool,
    /// Expectations of more than 20 lines, too
    #[arg(long)]
    all: bool,
    /// The time between the two questions
    #[arg(long, value_name = "TIME", value_parser = crate::manual::duration, default_value = "10s")]
    apart: Duration,
    /// A file with the password for sudo, which nobody else can read
    #[arg(long, value_name = "FILE")]
    sudo_password_file: Option<PathBuf>,
    /// Change the pages. One that git does not have as it is now is left alone
    #[arg(long)]
    write: bool,
}

/// A block, and what it has printed.
struct Learned<'a> {
    name: String,
    page: usize,
    block: usize,
    expect: Option<&'a Expect>,
    /// By node, and the time it was asked.
    printed: Vec<Printed>,
    nodes: Vec<String>,
    /// Why nothing can be learned from it.
    not: Option<String>,
}

pub(crate) fn run(args: &Bless, project: &Project, streams: &mut Streams) -> Result<u8, Failure> {
    let errors: Vec<Problem> = project.errors().cloned().collect();
    if !errors.is_empty() {
        return Err(Failure::Problems(errors));
    }
    let mut learned = match &args.from {
        Some(run) => of_run(run, project)?,
        None => of_checks(args, project)?,
    };
    let wanted = |name: &str| args.filters.iter().any(|filter| name.contains(filter));
    learned.retain(|own| args.filters.is_empty() || wanted(&own.name));
    if learned.is_empty() {
        let problem = Problem::bare("nothing-selected", "there is nothing to be blessed");
        let hint = "`--new` takes checks without an expectation, `--from RUN` the steps of a run";
        return Err(Failure::from(problem.hint(hint)));
    }
    let mut pages = Pages::new(&project.root, &project.manual);
    let mut written = 0;
    for own in &learned {
        let said = judged(own, args, &mut pages);
        if let Some(said) = said {
            written += usize::from(said.starts_with(WRITTEN));
            writeln!(streams.talk, "{}: {}", own.name, outside::line(&said))?;
        }
    }
    let what = if args.write {
        "written"
    } else {
        "to be written"
    };
    pages.give(args.write, streams)?;
    writeln!(streams.talk, "{} {what}", counted(written, "expectation"))?;
    Ok(0)
}

const WRITTEN: &str = "from ";

/// What is done with one block, in words; nothing where all is well.
fn judged(own: &Learned<'_>, args: &Bless, pages: &mut Pages<'_>) -> Option<String> {
    if let Some(why) = &own.not {
        return Some(why.clone());
    }
    let existing = match own.expect {
        Some(expect) if expect.kind != ExpectKind::Text => {
            return Some("its expectation is no plain text: yours to change".to_owned());
        }
        Some(expect) => Some(expect.text.text.as_str()),
        None => None,
    };
    let most = if args.all { usize::MAX } else { MOST_LINES };
    let blessed = match bless(&own.printed, existing, most) {
        Ok(blessed) => blessed,
        Err(Unblessed::Holds) => return None,
        Err(why @ Unblessed::TooLong(_)) => {
            return Some(format!("{why}: `--all` writes them"));
        }
        Err(why) => return Some(why.to_string()),
    };
    let elided: Vec<&str> = blessed.elided.iter().copied().collect();
    let elided = match elided.as_slice() {
        [] => "nothing elided".to_owned(),
        some => format!("elided: {}", some.join(", ")),
    };
    match pages.expect(own.page, own.block, own.expect.is_some(), &blessed.lines) {
        Ok(()) => Some(format!(
            "{WRITTEN}{} on {}; {elided}",
            counted(own.printed.len(), "run"),
            own.nodes.join(", ")
        )),
        Err(why) => Some(why.to_owned()),
    }
}

/// Asks the checks, twice each.
fn of_checks<'p>(args: &Bless, project: &'p Project) -> Result<Vec<Learned<'p>>, Failure> {
    let selector = project.manual.settings.test_nodes.as_ref();
    let nodes: Vec<&str> = match (&args.nodes, selector) {
        (Some(selector), _) => project.nodes.select(selector)?,
        (None, Some(selector)) => project.nodes.select_at(selector)?,
        (None, None) => project.nodes.names().collect(),
    };
    let (manual, all, vocabulary) = (&project.manual, &project.nodes, &project.vocabulary);
    let (cases, problems) = plan::cases(manual, all, vocabulary, &nodes, &|_| true);
    let errors = problems.into_iter().filter(Problem::is_error);
    let errors: Vec<Problem> = errors.collect();
    if !errors.is_empty() {
        return Err(Failure::Problems(errors));
    }
    let mut learned: Vec<Learned<'p>> = Vec::new();
    let mut asked: Vec<(usize, Case)> = Vec::new();
    for case in cases {
        let Some((check, plain)) = check_at(manual, &case.span) else {
            continue;
        };
        if check.expect.is_none() && !args.new || !plain || case.state || case.skip.is_some() {
            continue;
        }
        let known = learned.iter().position(|own| own.name == case.name);
        let index = known.unwrap_or_else(|| {
            learned.push(Learned {
                name: case.name.clone(),
                page: check.page,
                block: check.block,
                expect: check.expect.as_ref(),
                printed: Vec::new(),
                nodes: Vec::new(),
                not: None,
            });
            learned.len() - 1
        });
        let wanted = args.filters.iter().any(|filter| case.name.contains(filter));
        let own = &mut learned[index];
        if own.nodes.len() < MOST_NODES && (args.filters.is_empty() || wanted) {
            own.nodes.push(case.node.name.clone());
            asked.push((index, case));
        }
    }
    let runtime = runtime()?;
    let rounds = async {
        let operator = operator();
        let given = args.sudo_password_file.as_deref();
        let given = given.map(crate::cli::password::password).transpose()?;
        let passwords = Passwords::new(operator.clone(), given);
        let secrets = Secrets::new(project.origin.clone(), operator);
        let mut reached: BTreeMap<String, Result<Reach, String>> = BTreeMap::new();
        for round in 0..2 {
            if round > 0 {
                tokio::time::sleep(args.apart).await;
            }
            for (index, case) in &asked {
                let own = &mut learned[*index];
                if own.not.is_none() {
                    let said = ask(case, &mut reached, (&passwords, &secrets)).await;
                    own.take(said, &case.node);
                }
            }
        }
        for reach in reached.into_values().flatten() {
            reach.let_go().await;
            reach.close().await;
        }
        Ok::<_, Failure>(())
    };
    runtime.block_on(rounds)?;
    crate::cli::end(runtime);
    Ok(learned)
}

/// Who is asked for passwords.
fn operator() -> Operator {
    let (operator, questions) = Operator::new();
    if std::io::stdin().is_terminal() {
        let (_, interrupts) = tokio::sync::watch::channel(0);
        let terminal = Terminal::new(interrupts, About::nothing(), None);
        tokio::spawn(terminal.answer(questions));
    }
    operator
}

async fn ask(
    case: &Case,
    reached: &mut BTreeMap<String, Result<Reach, String>>,
    (passwords, secrets): (&Passwords, &Secrets),
) -> Result<Vec<u8>, String> {
    if let Ask::Script { script, .. } = &case.ask
        && script.bindings().iter().any(|own| is_secret(&own.value))
    {
        return Err("is given a secret: its output is kept nowhere".to_owned());
    }
    let name = case.node.name.clone();
    if !reached.contains_key(&name) {
        let open = OpenOptions::default();
        let reach = Reach::open(&case.node, &open, passwords).await;
        let reach = reach.map_err(|error| format!("could not be asked on {name}: {error}"));
        reached.insert(name.clone(), reach);
    }
    match &reached[&name] {
        Ok(reach) => printed(reach, case, &Scope::default(), secrets).await,
        Err(why) => Err(why.clone()),
    }
}

fn is_secret(value: &Value) -> bool {
    matches!(value, Value::Text(Text::Secret(_)) | Value::Rendered)
}

impl Learned<'_> {
    fn take(&mut self, said: Result<Vec<u8>, String>, node: &Arc<Node>) {
        match said.map(String::from_utf8) {
            Ok(Ok(text)) if !has_signs(&text) => self.printed.push(Printed {
                text,
                values: values(node),
            }),
            Ok(_) => self.not = Some("prints something that is no plain text".to_owned()),
            Err(why) => self.not = Some(why),
        }
    }
}

/// What a page must not hold, though a terminal would show something else for it.
fn has_signs(text: &str) -> bool {
    text.chars()
        .any(|c| outside::is_hidden(c) && !matches!(c, '\n' | '\t' | '\r'))
}

/// The plain values of a node.
fn values(node: &Node) -> BTreeMap<String, String> {
    let texts = node.texts().into_iter();
    let texts = texts.filter_map(|(name, text)| match text {
        Text::Plain(text) => Some((name, text)),
        Text::Secret(_) => None,
    });
    texts.collect()
}

/// A check of a group by its place, and whether it is a script whose output is one.
fn check_at<'m>(manual: &'m Manual, span: &Span) -> Option<(&'m Check, bool)> {
    let groups = manual.groups.values().flat_map(|group| &group.checks);
    let steps = manual.procedures.values();
    let steps = steps.flat_map(crate::manual::Procedure::checks);
    let mut all = groups.chain(steps);
    let check = all.find(|check| check.span == *span)?;
    Some((check, check.script.commands.is_empty()))
}

/// What the steps of a run have printed.
fn of_run<'p>(run: &str, project: &'p Project) -> Result<Vec<Learned<'p>>, Failure> {
    let record = journal::read(&project.state, run)?;
    let (Some(started), Some(Status::Ok)) = (record.started(), record.status()) else {
        let message = format!("run {run} has not ended well: nothing is learned from it");
        return Err(Failure::from(Problem::bare("run-not-ok", message)));
    };
    let now = project.plan_again(started)?;
    let Some(procedure) = project.manual.procedures.get(&now.procedure) else {
        return Ok(Vec::new());
    };
    let mut learned = Vec::new();
    for step in &procedure.steps {
        let Work::Script(Script { commands, .. }) = &step.work else {
            continue;
        };
        if !commands.is_empty() {
            continue;
        }
        let mut own = of_step(step, procedure.page, procedure.name_of(step));
        for node in &now.nodes {
            let Some(planned) = node.step(step.number) else {
                continue;
            };
            let mut bindings = planned.bindings();
            if bindings.any(|own| is_secret(&own.value)) {
                own.not = Some("is given a secret: its output is kept nowhere".to_owned());
            }
            let Some((text, sum)) = printed_in(&record, node.site(), step.number) else {
                continue;
            };
            if sum.as_deref() != Some(&planned.sha256) {
                own.not = Some("has another text now than in that run".to_owned());
            }
            if text.as_bytes().windows(MASK.len()).any(|part| part == MASK) {
                own.not = Some("printed a secret: its output is kept nowhere".to_owned());
            }
            own.nodes.push(node.node.name.clone());
            own.take(Ok(text.into_bytes()), &node.node);
        }
        if !own.nodes.is_empty() {
            learned.push(own);
        }
    }
    Ok(learned)
}

fn of_step(step: &Step, page: usize, name: String) -> Learned<'_> {
    Learned {
        name,
        page,
        block: step.block,
        expect: step.expect.as_ref(),
        printed: Vec::new(),
        nodes: Vec::new(),
        not: None,
    }
}

/// What a step printed when it was done last, and the sum of its text.
fn printed_in(record: &Record, site: Site<'_>, number: usize) -> Option<(String, Option<String>)> {
    let mut found: Option<(String, Option<String>)> = None;
    let mut well = false;
    for event in record.of(site).filter(|event| event.step == Some(number)) {
        match &event.what {
            What::StepStarted { sha256, .. } => {
                found = Some((String::new(), sha256.clone()));
                well = false;
            }
            What::Output {
                stream: Stream::Out,
                text,
            } => {
                if let Some((own, _)) = &mut found {
                    own.push_str(text.exact());
                }
            }
            What::StepEnded(ended) => well = ended.status == Status::Ok,
            _ => {}
        }
    }
    found.filter(|_| well)
}
