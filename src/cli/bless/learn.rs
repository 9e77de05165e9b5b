//! Collects the output of checks and steps: runs the checks, and reads the steps' output from a
//! journal.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::sync::Arc;

use super::Bless;
use crate::cli::about::About;
use crate::cli::error::Failure;
use crate::cli::runtime;
use crate::cli::terminal::Terminal;
use crate::engine::{Operator, Passwords, Reach, Scope, Secrets, printed};
use crate::event::{Site, Status, Stream, What};
use crate::journal::{self, Record};
use crate::manual::expect::bless::{Printed, Unblessed, bless};
use crate::manual::{Check, Command, Expect, Manual, Script, Step, Work};
use crate::nodes::{Node, Text};
use crate::outside;
use crate::plan::{self, Ask, Case, Ran, Value};
use crate::project::Project;
use crate::session::{MASK, OpenOptions};
use crate::source::{Problem, Span};

/// The number of nodes on which a check runs.
const MOST_NODES: usize = 5;

/// A block and its output.
pub(super) struct Learned<'a> {
    pub name: String,
    pub page: usize,
    pub block: usize,
    /// One part, or one for each command of a transcript.
    pub parts: Vec<Part<'a>>,
    pub nodes: Vec<String>,
    /// Why its output is unusable.
    pub not: Option<String>,
}

/// A script, or one command of a transcript.
pub(super) struct Part<'a> {
    pub command: Option<&'a Command>,
    pub expect: Option<&'a Expect>,
    /// The output by node and time.
    pub printed: Vec<Printed>,
}

impl<'a> Part<'a> {
    fn all(script: &'a Script, expect: Option<&'a Expect>) -> Vec<Part<'a>> {
        let part = |command: Option<&'a Command>, expect| Part {
            command,
            expect,
            printed: Vec::new(),
        };
        if script.commands.is_empty() {
            return vec![part(None, expect)];
        }
        let commands = script.commands.iter();
        commands
            .map(|own| part(Some(own), own.expect.as_ref()))
            .collect()
    }
}

/// Runs the checks, twice each.
pub(super) fn of_checks<'p>(
    args: &Bless,
    project: &'p Project,
) -> Result<Vec<Learned<'p>>, Failure> {
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
        let Some(check) = check_at(manual, &case.span) else {
            continue;
        };
        let parts = Part::all(&check.script, check.expect.as_ref());
        let expects = parts.iter().any(|part| part.expect.is_some());
        if !expects && !args.new || case.state || case.skip.is_some() {
            continue;
        }
        let known = learned.iter().position(|own| own.name == case.name);
        let index = known.unwrap_or_else(|| {
            learned.push(Learned {
                name: case.name.clone(),
                page: check.page,
                block: check.block,
                parts,
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

/// Asks for passwords.
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
) -> Result<Vec<Ran>, String> {
    if let Ask::Script { script, .. } = &case.ask
        && script.bindings().iter().any(|own| is_secret(&own.value))
    {
        return Err("uses a secret: its output is not kept".to_owned());
    }
    let name = case.node.name.clone();
    if !reached.contains_key(&name) {
        let open = OpenOptions::default();
        let reach = Reach::open(&case.node, &open, passwords).await;
        let reach = reach.map_err(|error| format!("could not be evaluated on {name}: {error}"));
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
    fn take(&mut self, said: Result<Vec<Ran>, String>, node: &Arc<Node>) {
        let said = match said {
            Ok(said) => said,
            Err(why) => return self.not = Some(why),
        };
        for (part, ran) in self.parts.iter_mut().zip(said) {
            let printed = Printed {
                text: String::new(),
                values: values(node),
            };
            match shown(part, ran, &printed) {
                Some(text) => part.printed.push(Printed { text, ..printed }),
                None => self.not = Some("prints something that is not plain text".to_owned()),
            }
        }
    }
}

/// The output that a page would show. A transcript includes standard error, like a terminal, unless
/// the author's expectation contains only standard output.
fn shown(part: &Part<'_>, ran: Ran, about: &Printed) -> Option<String> {
    let plain = |bytes: Vec<u8>| {
        String::from_utf8(bytes)
            .ok()
            .filter(|text| !has_signs(text))
    };
    let out = plain(ran.out)?;
    if part.command.is_none() {
        return Some(out);
    }
    let err = plain(ran.err)?;
    let alone = Printed {
        text: out.clone(),
        ..about.clone()
    };
    let existing = part.expect.map(|own| (&*own.text.text, own.kind));
    let met = existing.is_some() && bless(&[alone], existing, usize::MAX) == Err(Unblessed::Holds);
    if err.trim().is_empty() || met {
        return Some(out);
    }
    let between = if out.is_empty() || out.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    Some(format!("{out}{between}{err}"))
}

/// Characters that a page must not contain, although a terminal would interpret them.
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

/// A check by its place.
fn check_at<'m>(manual: &'m Manual, span: &Span) -> Option<&'m Check> {
    let groups = manual.groups.values().flat_map(|group| &group.checks);
    let steps = manual.procedures.values();
    let steps = steps.flat_map(crate::manual::Procedure::checks);
    groups.chain(steps).find(|check| check.span == *span)
}

/// The output of a run's steps.
pub(super) fn of_run<'p>(run: &str, project: &'p Project) -> Result<Vec<Learned<'p>>, Failure> {
    let record = journal::read(&project.state, run)?;
    let (Some(started), Some(Status::Ok)) = (record.started(), record.status()) else {
        let message = format!("run {run} did not end OK: nothing is taken from it");
        return Err(Failure::from(Problem::bare("run-not-ok", message)));
    };
    let now = project.plan_again(started)?;
    let Some(procedure) = project.manual.procedures.get(&now.procedure) else {
        return Ok(Vec::new());
    };
    let mut learned = Vec::new();
    for step in &procedure.steps {
        let Work::Script(script) = &step.work else {
            continue;
        };
        let mut own = of_step(step, script, procedure.page, procedure.name_of(step));
        if script.commands.len() > 1 {
            let why = "has several commands, and the journal does not separate their output";
            own.not = Some(why.to_owned());
        }
        for node in &now.nodes {
            let Some(planned) = node.step(step.number) else {
                continue;
            };
            let mut bindings = planned.bindings();
            if bindings.any(|own| is_secret(&own.value)) {
                own.not = Some("uses a secret: its output is not kept".to_owned());
            }
            let Some((text, sum)) = printed_in(&record, node.site(), step.number) else {
                continue;
            };
            if sum.as_deref() != Some(&planned.sha256) {
                own.not = Some("has changed since that run".to_owned());
            }
            if text.as_bytes().windows(MASK.len()).any(|part| part == MASK) {
                own.not = Some("printed a secret: its output is not kept".to_owned());
            }
            own.nodes.push(node.node.name.clone());
            let out = text.into_bytes();
            own.take(
                Ok(vec![Ran {
                    out,
                    ..Ran::default()
                }]),
                &node.node,
            );
        }
        if !own.nodes.is_empty() {
            learned.push(own);
        }
    }
    Ok(learned)
}

fn of_step<'a>(step: &'a Step, script: &'a Script, page: usize, name: String) -> Learned<'a> {
    Learned {
        name,
        page,
        block: step.block,
        parts: Part::all(script, step.expect.as_ref()),
        nodes: Vec::new(),
        not: None,
    }
}

/// The output of a step's last execution, and the hash of its text.
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
