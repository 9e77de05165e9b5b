//! A run under a supervisor, a program that starts `opsbook run`: its options, and the lines on
//! standard input with which it answers questions and stops the run.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde::Deserialize;
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::cli::error::Failure;
use crate::engine::{Answer, MOST_EPOCHS};
use crate::journal;
use crate::plan::Plan;
use crate::project::access::{Access, Question};
use crate::project::approval::Approver;
use crate::project::{Project, Who, approval};
use crate::wire::Verb;

/// The longest line of a supervisor, in bytes.
const LONGEST: u64 = 64 << 10;
/// The most bytes of the file with arguments.
const LARGEST: u64 = 4 << 20;
/// The most answers that are kept for later questions.
const MOST: usize = 64;

#[derive(Args, Debug, Default)]
pub(crate) struct SupervisedArgs {
    /// For a supervisor: the run's name, in the form of `opsbook history`, chosen beforehand
    #[arg(long = "run", value_name = "ID", value_parser = run_name, conflicts_with = "dry_run")]
    pub run: Option<String>,
    /// With --run: the number of this controller within the run
    #[arg(long, value_name = "N", requires = "run", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=MOST_EPOCHS))]
    pub epoch: u64,
    /// With --run: another controller may have begun it; reads its state from the node, and
    /// continues it or begins
    #[arg(long, requires = "run")]
    pub adopt: bool,
    /// With --run: arguments of the procedure, as JSON (`{"NAME": "VALUE"}`) in a file that only
    /// this user can read; other users can see a command line
    #[arg(long, value_name = "FILE", requires = "run")]
    pub set_file: Option<PathBuf>,
    /// With --run: the folder of its journal [default: `.opsbook/runs` in the manual's folder]
    #[arg(long, value_name = "DIR", requires = "run")]
    pub journal: Option<PathBuf>,
    /// With --run: the operator [default: the login name]
    #[arg(long, value_name = "NAME", requires = "run")]
    pub operator: Option<String>,
    /// With --run: run only a plan with this hash; another one is BLOCKED before any node is
    /// reached
    #[arg(long, value_name = "HASH", requires = "run")]
    pub plan_sha256: Option<String>,
    /// With --run: who ordered it; the approvals that the manual requires are checked
    #[arg(long, value_name = "NAME", requires = "run")]
    pub asked_by: Option<String>,
    /// With --asked-by: a person whose approval the supervisor has verified; may be repeated
    #[arg(long, value_name = "NAME", requires_all = ["asked_by", "approved_sha256"])]
    pub approved_by: Vec<String>,
    /// With --approved-by: one of their groups, known to the supervisor; may be repeated
    #[arg(long, value_name = "NAME:GROUP", requires = "approved_by")]
    pub approved_group: Vec<String>,
    /// With --asked-by: the hash of what was approved; anything else is BLOCKED
    #[arg(long, value_name = "HASH", requires = "asked_by")]
    pub approved_sha256: Option<String>,
    /// With --run: answers to questions, and orders to stop, are lines of JSON on standard input
    #[arg(long, requires = "run")]
    pub answers: bool,
    /// With --run: end together with the process of this number, which has started this one
    #[arg(long, value_name = "PID", requires = "run")]
    pub supervisor: Option<i32>,
}

impl SupervisedArgs {
    /// Makes this process end with its supervisor: nobody would notice its work. Its steps continue
    /// on the nodes.
    pub fn take_place(&self) -> Result<(), Failure> {
        if let Some(folder) = &self.journal {
            journal::keep_in(std::path::absolute(folder)?);
        }
        self.end_with_supervisor()
    }

    fn end_with_supervisor(&self) -> Result<(), Failure> {
        let Some(supervisor) = self.supervisor else {
            return Ok(());
        };
        let kill = rustix::process::Signal::KILL;
        let asked = rustix::process::set_parent_process_death_signal(Some(kill));
        asked.map_err(|error| {
            Failure::Error(format!("`--supervisor` is not possible here: {error}"))
        })?;
        // The supervisor may have ended before that.
        let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
        if parent == Some(supervisor) {
            return Ok(());
        }
        Err(Failure::Stopped(format!(
            "process {supervisor} (`--supervisor`) did not start this one, or has ended"
        )))
    }

    /// The arguments in the file, sorted by name.
    pub fn arguments(&self) -> Result<Vec<(String, String)>, Failure> {
        let Some(path) = &self.set_file else {
            return Ok(Vec::new());
        };
        let cannot = |why: String| Failure::Error(format!("`{}`: {why}", path.display()));
        let file = File::open(path).map_err(|error| cannot(error.to_string()))?;
        let about = file.metadata().map_err(|error| cannot(error.to_string()))?;
        let ours = about.uid() == rustix::process::geteuid().as_raw();
        if about.is_file() && (!ours || about.mode() & 0o077 != 0) {
            let why = "it belongs to another user, or others can read it (`chmod 600`)";
            return Err(cannot(why.to_owned()));
        }
        let read: Result<BTreeMap<String, String>, _> = serde_json::from_reader(file.take(LARGEST));
        // Report errors only by place: the text contains values.
        let read = read.map_err(|error| {
            let (line, column) = (error.line(), error.column());
            cannot(format!(
                "it is not a JSON object whose values are texts ({line}:{column})"
            ))
        })?;
        Ok(read.into_iter().collect())
    }

    /// Refuses a plan without the approvals that the manual's rules or a node's value require, and
    /// a plan that differs from the approved one.
    pub fn approved(&self, project: &Project, plan: &Plan) -> Result<(), Failure> {
        let Some(asked_by) = &self.asked_by else {
            return Ok(());
        };
        let access = Access::of(&project.files, &project.nodes).map_err(|all| {
            let first = all.first().map(ToString::to_string);
            Failure::Blocked(first.unwrap_or_default())
        })?;
        let arguments = plan.arguments.iter().cloned().collect();
        let question = Question {
            person: asked_by,
            // A runner cannot verify groups from an identity provider: the gateway checks those.
            groups: &[],
            verb: Verb::Run,
            procedure: &plan.procedure,
            node: "",
            arguments: &arguments,
            at: None,
        };
        let machines = approval::machines(plan);
        let nodes: Result<Vec<_>, _> = { machines.iter() }
            .map(|name| project.nodes.evaluate(name, &[]))
            .collect();
        let nodes = nodes.map_err(|problem| Failure::Blocked(format!("{problem:?}")))?;
        let procedure = project.manual.procedures.get(&plan.procedure);
        let needs = approval::needs(access.as_ref(), (&question, procedure), &nodes);
        for need in needs.map_err(Failure::Blocked)? {
            let about = (&question, machines.as_slice());
            let mut have: Vec<&String> = { self.approved_by.iter() }
                .filter(|person| {
                    let groups = self.groups_of(person);
                    let by = Approver {
                        person,
                        groups: &groups,
                    };
                    approval::counts(&need, access.as_ref(), about, by)
                })
                .collect();
            have.sort();
            have.dedup();
            if have.len() < need.count as usize {
                return Err(Failure::Blocked(format!(
                    "{}: approvals needed: {}, verified here: {}",
                    need.place,
                    need.count,
                    have.len()
                )));
            }
        }
        self.same_document(project, plan)
    }

    fn groups_of(&self, person: &str) -> Vec<String> {
        let pairs = self
            .approved_group
            .iter()
            .filter_map(|pair| pair.split_once(':'));
        let own = pairs.filter(|(name, _)| *name == person);
        own.map(|(_, group)| group.to_owned()).collect()
    }

    fn same_document(&self, project: &Project, plan: &Plan) -> Result<(), Failure> {
        let Some(wanted) = &self.approved_sha256 else {
            return Ok(());
        };
        let started = self.who(project).started(plan);
        let found = approval::sha256(&approval::document(plan, &started));
        if *wanted == found {
            return Ok(());
        }
        Err(Failure::Blocked(format!(
            "the plan differs from the approved one: its checksum is {found}, not {wanted}"
        )))
    }

    /// The operator of the run.
    pub fn who(&self, project: &Project) -> Who {
        let mut who = Who::of(project);
        if let Some(operator) = &self.operator {
            who.operator.clone_from(operator);
        }
        who
    }

    /// Refuses a plan that differs from the supervisor's.
    pub fn same_plan(&self, plan: &Plan) -> Result<(), Failure> {
        let Some(wanted) = &self.plan_sha256 else {
            return Ok(());
        };
        let found = plan.sha256();
        if *wanted == found {
            return Ok(());
        }
        Err(Failure::Blocked(format!(
            "the plan differs from the requested one: its checksum is {found}, not {wanted}"
        )))
    }
}

/// `20261121-093851-94f4`: names are sorted by time, and are used in paths.
pub(crate) fn run_name(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.split('-').collect();
    let digits =
        |part: &str, count| part.len() == count && part.bytes().all(|b| b.is_ascii_digit());
    let last = |part: &str| {
        (4..=32).contains(&part.len())
            && part
                .bytes()
                .all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
    };
    match parts[..] {
        [day, time, rest] if digits(day, 8) && digits(time, 6) && last(rest) => Ok(text.to_owned()),
        _ => Err(format!(
            "`{text}` is not the name of a run: YYYYMMDD-HHMMSS-, then 4 to 32 digits and \
             lower-case letters"
        )),
    }
}

/// A line on standard input.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Says {
    /// `{"question": 12, "answer": "yes", "note": "…"}`
    Answer(Reply),
    /// `{"stop": "after-step"}`
    Stop { stop: Stop },
}

/// An answer to the question with this `seq` in the journal.
#[derive(Debug, Deserialize)]
struct Reply {
    question: u64,
    #[serde(default)]
    answer: String,
    #[serde(default)]
    note: Option<String>,
}

/// What to do with running steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Stop {
    /// Let them end, and begin no other.
    AfterStep,
    /// Kill them.
    Step,
    /// Leave them running, and end this process.
    Leave,
}

/// The supervisor's messages so far.
#[derive(Debug, Default)]
struct Messages {
    replies: BTreeMap<u64, Reply>,
    stop: Option<Stop>,
    /// Its input has ended.
    ended: bool,
}

/// Cheap to clone; clones share the supervisor.
#[derive(Clone, Debug)]
pub(crate) struct Supervisor(Arc<watch::Sender<Messages>>);

impl Supervisor {
    /// Reads standard input from now on. An order to stop counts as a Ctrl-C.
    pub fn listen(interrupts: watch::Sender<u32>) -> Supervisor {
        let said = Arc::new(watch::Sender::new(Messages::default()));
        let tell = Arc::clone(&said);
        std::thread::spawn(move || listen(&tell, &interrupts));
        Supervisor(said)
    }

    /// The answer to a question, with its note; `None` once none can come.
    pub async fn answer(&self, question: u64) -> Option<(Zeroizing<Vec<u8>>, Option<String>)> {
        let mut said = self.0.subscribe();
        let answered = |said: &Messages| said.ended || said.replies.contains_key(&question);
        let _ = said.wait_for(answered).await;
        drop(said);
        let mut reply = None;
        self.0
            .send_modify(|said| reply = said.replies.remove(&question));
        let reply = reply?;
        Some((Zeroizing::new(reply.answer.into_bytes()), reply.note))
    }

    /// What to do with a running step when this process is told to end, by a line, or by a signal
    /// without further instructions.
    pub fn of_running(&self) -> Answer {
        match self.0.borrow().stop {
            Some(Stop::AfterStep) => Answer::Hold,
            Some(Stop::Step) => Answer::Stop,
            Some(Stop::Leave) | None => Answer::Leave,
        }
    }
}

fn listen(said: &watch::Sender<Messages>, interrupts: &watch::Sender<u32>) {
    let mut input = std::io::stdin().lock();
    let mut line = Zeroizing::new(Vec::new());
    loop {
        line.clear();
        let read = input.by_ref().take(LONGEST).read_until(b'\n', &mut line);
        if !matches!(read, Ok(bytes) if bytes > 0) || line.last() != Some(&b'\n') {
            // The end, or an incomplete line: nothing after it can be interpreted.
            said.send_modify(|said| said.ended = true);
            return;
        }
        match serde_json::from_slice(&line) {
            Ok(Says::Answer(reply)) => said.send_modify(|said| {
                if said.replies.len() < MOST {
                    said.replies.insert(reply.question, reply);
                }
            }),
            Ok(Says::Stop { stop }) => stopped(stop, said, interrupts),
            // From a newer supervisor.
            Err(_) => {}
        }
    }
}

/// The same order may be repeated: it counts once.
fn stopped(stop: Stop, said: &watch::Sender<Messages>, interrupts: &watch::Sender<u32>) {
    let new = said.send_if_modified(|said| {
        let new = said.stop != Some(stop);
        said.stop = Some(stop);
        new
    });
    if new {
        // The third Ctrl-C would end this process at once.
        interrupts.send_modify(|count| *count = (*count + 1).min(2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> Option<Says> {
        serde_json::from_str(line).ok()
    }

    #[test]
    fn a_line_is_an_answer_or_an_order_to_stop() {
        let Some(Says::Answer(reply)) =
            said(r#"{"question":12,"answer":"yes","note":"seen","newer":1}"#)
        else {
            panic!("no answer");
        };
        assert_eq!(
            (reply.question, reply.answer.as_str(), reply.note.as_deref()),
            (12, "yes", Some("seen"))
        );
        for (word, stop) in [
            ("after-step", Stop::AfterStep),
            ("step", Stop::Step),
            ("leave", Stop::Leave),
        ] {
            let line = format!(r#"{{"stop":"{word}"}}"#);
            assert!(matches!(said(&line), Some(Says::Stop { stop: is }) if is == stop));
        }
        for wrong in ["", "yes", r#"{"stop":"now"}"#, r#"{"answer":"yes"}"#] {
            assert!(said(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn the_same_order_counts_once_and_no_order_is_a_third_ctrl_c() {
        let (said, interrupts) = (
            watch::Sender::new(Messages::default()),
            watch::Sender::new(0),
        );
        for (stop, count) in [
            (Stop::AfterStep, 1),
            (Stop::AfterStep, 1),
            (Stop::Step, 2),
            (Stop::Leave, 2),
        ] {
            stopped(stop, &said, &interrupts);
            assert_eq!(*interrupts.borrow(), count, "{stop:?}");
        }
    }
}
