//! Evaluates one case on one node. The run uses it after steps, and so does the suite.

use std::time::{Duration, Instant};

use crate::event::{Checked, Evidence, Outcome};
use crate::interpolation::Interpolated;
use crate::manual::expect::decide;
use crate::manual::{Expect, ExpectKind, On, SudoUser};
use crate::output::harmless;
use crate::paste::with_values;
use crate::plan::{Ask, Case, PlannedCommand, Ran, Script, probe, ran, transcript};
use crate::reach::{Reach, ReachError};
use crate::scope::Scope;
use crate::secrets::Secrets;
use crate::session::fair::FairTime;
use crate::session::{Call, Done, End, Limits, Lost, Values};
use crate::shell::Shell;
use crate::target;
use crate::vocabulary::{Assertion, Batch, CannotLook, Decision, Facts};

/// The outcome, or the reason why the connection ended meanwhile.
pub(super) type Answer = Result<Outcome, Lost>;

/// The most output of a check that is kept, in bytes.
const OUTPUT: u64 = 4 << 20;

/// Evaluates a case, repeatedly if it says `eventually`.
///
/// # Errors
/// If the connection is lost before the outcome is known.
pub async fn check(
    reach: &Reach,
    case: &Case,
    scope: &Scope,
    secrets: &Secrets,
) -> Result<Checked, Lost> {
    let started = Instant::now();
    let mut had = FairTime::start();
    let mut tries = 0;
    loop {
        tries += 1;
        let outcome = had.during(once(reach, case, scope, secrets)).await?;
        let again = case.eventually.filter(|eventually| {
            outcome != Outcome::Held && had.counted() + eventually.every <= eventually.limit
        });
        match again {
            Some(eventually) => had.during(tokio::time::sleep(eventually.every)).await,
            None => {
                return Ok(Checked {
                    outcome: masked(outcome, secrets),
                    tries,
                    milliseconds: milliseconds(started.elapsed()),
                });
            }
        }
    }
}

/// The most bytes of a file that is only displayed.
const LOOKED_AT: u64 = 1 << 20;

/// The contents of a file on the node, read as a user; `None` if it does not exist.
///
/// # Errors
/// Why it could not be read.
pub async fn file_there(
    reach: &Reach,
    on: On,
    sudo: Option<&SudoUser>,
    path: &str,
) -> Result<Option<Vec<u8>>, String> {
    const NONE: i32 = 44;
    let session = reach
        .to(on, sudo)
        .await
        .map_err(|error| error.to_string())?;
    let call = Call::new("set --").word(path);
    let call = call.code("\n[ -e \"$1\" ] || exit 44\n[ -f \"$1\" ] || exit 45\ncat \"$1\"");
    let limits = Limits {
        output: LOOKED_AT,
        ..Limits::seconds(60)
    };
    let done = session.call(&call, limits).await;
    let done = done.map_err(|lost| lost.to_string())?;
    match done.status {
        _ if done.truncated => Err("it has more than 1 MiB".to_owned()),
        0 => Ok(Some(done.out)),
        NONE => Ok(None),
        45 => Err("it is not a regular file".to_owned()),
        _ => Err(harmless(&done.err).trim().to_owned()),
    }
}

/// The output of a check, to make an expectation from it: one entry, or one for each command of a
/// transcript. The check must hold by its exit status alone.
///
/// # Errors
/// Why the output is unusable.
pub async fn printed(
    reach: &Reach,
    case: &Case,
    scope: &Scope,
    secrets: &Secrets,
) -> Result<Vec<Ran>, String> {
    let Ask::Script { script, exit, .. } = &case.ask else {
        return Err("is no script".to_owned());
    };
    let of_outcome = |answer: Answer| match answer {
        Ok(Outcome::Unknown(why)) => format!("could not be evaluated: {}", why.line()),
        Ok(_) => "could not be evaluated".to_owned(),
        Err(lost) => format!("could not be evaluated: {lost}"),
    };
    let session = session_for(reach, case).await.map_err(of_outcome)?;
    let limits = Limits {
        time: case.timeout,
        output: OUTPUT,
        ..Limits::default()
    };
    let values = scope.values(&reach.node.name, script.bindings(), secrets);
    let values = values.await.map_err(|error| error.to_string())?;
    let commands = script.commands();
    let mark = crate::random::hex::<8>();
    let marked = (!commands.is_empty()).then(|| transcript(script, &mark));
    let asked = target::script(marked.as_ref().unwrap_or(script));
    let done = session.run(&asked, &values, limits).await;
    let done = done.map_err(|lost| format!("could not be evaluated: {lost}"))?;
    if let Some(why) = cut_short(&done, case.timeout) {
        return Err(why);
    }
    if !commands.is_empty() {
        return of_commands(&done, commands, &mark);
    }
    if !exit.contains(&done.status) {
        return Err(format!("does not hold: exit status {}", done.status));
    }
    let (status, out, err) = (done.status, done.out, done.err);
    Ok(vec![Ran { status, out, err }])
}

/// The output of each command of a transcript, if all ended as on the page.
fn of_commands(done: &Done, commands: &[PlannedCommand], mark: &str) -> Result<Vec<Ran>, String> {
    let (mut all, mut rest) = ran(&done.out, &done.err, mark);
    // The last command may have ended the shell itself.
    if all.len() + 1 == commands.len() {
        rest.status = done.status;
        all.push(rest);
    }
    for (index, command) in commands.iter().enumerate() {
        match all.get(index) {
            Some(ran) if ran.status == command.exit => {}
            Some(Ran { status, .. }) => {
                let number = index + 1;
                return Err(format!(
                    "does not hold: exit status {status} of command {number}"
                ));
            }
            None => return Err(format!("ended before command {}", index + 1)),
        }
    }
    Ok(all)
}

async fn once(reach: &Reach, case: &Case, scope: &Scope, secrets: &Secrets) -> Answer {
    let asked = ask(reach, case, scope, secrets).await;
    asked.map_or_else(|answer| answer, Ok)
}

/// The outcome; an error if it could not be evaluated.
async fn ask(
    reach: &Reach,
    case: &Case,
    scope: &Scope,
    secrets: &Secrets,
) -> Result<Outcome, Answer> {
    let session = session_for(reach, case).await?;
    let limits = Limits {
        time: case.timeout,
        output: OUTPUT,
        ..Limits::default()
    };
    let values = async |script: &Script| {
        let name = &reach.node.name;
        let values = scope.values(name, script.bindings(), secrets).await;
        let mut values = values.map_err(|error| Ok(unknown(&error)))?;
        if let Some(state) = scope.state(case.on) {
            values.then_source(state);
        }
        Ok::<_, Answer>(values)
    };
    let run = async |script: &Script, values: &Values| {
        let done = session.run(&target::script(script), values, limits).await;
        done.map_err(Err)
    };
    match &case.ask {
        Ask::Probe { assertion, .. } => {
            let (script, batch) = probe(&[case]);
            let done = run(&script, &values(&script).await?).await?;
            Ok(of_probe(&done, case.timeout, assertion, &batch))
        }
        Ask::Script {
            script,
            exit,
            expect,
        } => {
            let filled =
                |expect: &Expect| scope.filled(&reach.node, &Interpolated::read(&expect.text.text));
            let values = values(script).await?;
            if script.commands().is_empty() {
                let done = run(script, &values).await?;
                if let Some(why) = lacks(&done, script.interpreter()) {
                    return Ok(why);
                }
                let text = with_values(script, script.text(), scope);
                let expect = expect.as_ref();
                Ok(of_script(&done, case.timeout, exit, expect, &text, &filled))
            } else {
                let mark = crate::random::hex::<8>();
                let done = run(&transcript(script, &mark), &values).await?;
                if let Some(why) = lacks(&done, script.interpreter()) {
                    return Ok(why);
                }
                let pasted = |text: &str| with_values(script, text, scope);
                let shown = Shown {
                    filled: &filled,
                    pasted: &pasted,
                };
                Ok(of_transcript(&done, case.timeout, script, &mark, &shown))
            }
        }
    }
}

/// The session for a case: its side and user. The error is an outcome if there is none.
pub(super) async fn session_for(reach: &Reach, case: &Case) -> Result<Shell, Answer> {
    let session = reach.to(case.on, case.sudo.as_ref()).await;
    session.map_err(|error| match error {
        ReachError::Lost(lost) => Err(lost),
        error => Ok(unknown(&error)),
    })
}

fn unknown(why: &impl ToString) -> Outcome {
    Outcome::Unknown(why.to_string().into())
}

pub(super) fn milliseconds(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

/// The outcome if the interpreter is missing: the runner's shell reports that.
fn lacks(done: &Done, interpreter: &str) -> Option<Outcome> {
    if done.status != 127 || interpreter == "sh" {
        return None;
    }
    let said = harmless(&done.err);
    let told = said.lines().any(|line| {
        line.contains(": exec: ") && line.contains(interpreter) && line.ends_with("not found")
    });
    told.then(|| Outcome::Unknown(format!("cannot look: there is no `{interpreter}`").into()))
}

fn of_probe(done: &Done, limit: Duration, assertion: &Assertion, batch: &Batch) -> Outcome {
    if let Some(why) = cut_short(done, limit) {
        return Outcome::Unknown(why.into());
    }
    match batch.split(done.status, &done.out, &done.err).pop() {
        Some(facts) => of_facts(assertion, facts),
        None => Outcome::Unknown("the probe printed nothing".into()),
    }
}

/// Decides an assertion by the facts of a probe.
pub(super) fn of_facts(assertion: &Assertion, facts: Result<Facts, CannotLook>) -> Outcome {
    let cannot_look =
        |why: CannotLook| Outcome::Unknown(format!("cannot look: {}", why.reason).into());
    match facts.map(|facts| assertion.decide(&facts)) {
        Ok(Decision::Holds) => Outcome::Held,
        Ok(Decision::Fails(found)) => Outcome::Failed(found.into_iter().map(readable).collect()),
        Ok(Decision::CannotLook(why)) | Err(why) => cannot_look(why),
    }
}

fn cut_short(done: &Done, limit: Duration) -> Option<String> {
    match done.end {
        End::TimedOut { .. } => Some(format!("no answer within {}", crate::human(limit))),
        End::Cancelled => Some("it was stopped".to_owned()),
        End::Exited if done.truncated => Some("it printed more than 4 MiB".to_owned()),
        End::Exited => None,
    }
}

fn of_script(
    done: &Done,
    limit: Duration,
    exit: &[i32],
    expect: Option<&Expect>,
    text: &str,
    filled: &dyn Fn(&Expect) -> Interpolated,
) -> Outcome {
    if let Some(why) = cut_short(done, limit) {
        return Outcome::Unknown(why.into());
    }
    if !exit.contains(&done.status) {
        return Outcome::Failed(vec![wrong_status(
            exit,
            done.status,
            &done.out,
            &done.err,
            text,
        )]);
    }
    match expect.map(|expect| wrong_output(expect, &filled(expect), &done.out, text)) {
        Some(Some(evidence)) => Outcome::Failed(vec![evidence]),
        Some(None) | None => Outcome::Held,
    }
}

/// How a failed command of a transcript is displayed.
struct Shown<'a> {
    filled: &'a dyn Fn(&Expect) -> Interpolated,
    pasted: &'a dyn Fn(&str) -> String,
}

fn of_transcript(
    done: &Done,
    limit: Duration,
    script: &Script,
    mark: &str,
    shown: &Shown<'_>,
) -> Outcome {
    if let Some(why) = cut_short(done, limit) {
        return Outcome::Unknown(why.into());
    }
    let (ran, rest) = ran(&done.out, &done.err, mark);
    let wrong = |command: &PlannedCommand, ran: &Ran| {
        let expect = command.expect.as_ref()?;
        let text = (shown.pasted)(&command.text);
        let expected = (shown.filled)(expect);
        wrong_display(expect, &expected, &ran.out, &ran.err, &text)
    };
    for (index, command) in script.commands().iter().enumerate() {
        let last = index + 1 == script.commands().len();
        let (ran, status, early) = match ran.get(index) {
            Some(ran) => (ran, ran.status, false),
            // The command ended the shell itself: its status is the script's.
            None => (&rest, done.status, !last),
        };
        if status != command.exit || early {
            let text = (shown.pasted)(&command.text);
            let evidence = wrong_status(&[command.exit], status, &ran.out, &ran.err, &text);
            return Outcome::Failed(vec![evidence]);
        }
        if let Some(evidence) = wrong(command, ran) {
            return Outcome::Failed(vec![evidence]);
        }
    }
    Outcome::Held
}

/// The evidence of a wrong exit status, with the last lines of output.
#[must_use]
pub fn wrong_status(exit: &[i32], status: i32, out: &[u8], err: &[u8], text: &str) -> Evidence {
    let accepted: Vec<String> = exit.iter().map(ToString::to_string).collect();
    let said = if err.iter().all(u8::is_ascii_whitespace) {
        out
    } else {
        err
    };
    let said = harmless(said);
    let lines: Vec<&str> = said.trim_end().lines().collect();
    let last = lines[lines.len().saturating_sub(5)..].join("\n");
    Evidence {
        attribute: "exit status".to_owned(),
        expected: accepted.join(" or ").into(),
        found: if last.is_empty() {
            status.to_string().into()
        } else {
            format!("{status}\n{last}").into()
        },
        how: Some(text.trim_end().to_owned()),
        hint: sudo_asked(&said).then(|| SUDO_WITHIN.to_owned()),
    }
}

const SUDO_WITHIN: &str = "`sudo` in a script cannot ask for a password: write `sudo` or \
    `sudo=USER` on the fence";

/// Whether sudo wanted a password, or a terminal to ask for one. sudo-rs begins with a capital.
fn sudo_asked(said: &str) -> bool {
    let wants = |line: &str| {
        [
            "terminal is required",
            "password is required",
            "uthentication is required",
            "must have a tty",
        ]
        .iter()
        .any(|words| line.contains(words))
    };
    said.lines()
        .any(|line| line.contains("sudo: ") && wants(line))
}

/// The evidence of a wrong output; `None` if it is as expected.
#[must_use]
pub fn wrong_output(
    expect: &Expect,
    expected: &Interpolated,
    out: &[u8],
    text: &str,
) -> Option<Evidence> {
    let mismatch = decide(expected, expect.kind, out).err()?;
    let or_nothing = |text: Option<String>| text.unwrap_or_else(|| "nothing".to_owned());
    Some(Evidence {
        attribute: format!("output, {}", mismatch.reason),
        expected: or_nothing(mismatch.expected).into(),
        found: harmless(or_nothing(mismatch.found).as_bytes()).into(),
        how: Some(text.trim_end().to_owned()),
        hint: None,
    })
}

/// The same for a transcript: a terminal also shows standard error, before or after the rest.
#[must_use]
pub fn wrong_display(
    expect: &Expect,
    expected: &Interpolated,
    out: &[u8],
    err: &[u8],
    text: &str,
) -> Option<Evidence> {
    let wrong = wrong_output(expect, expected, out, text)?;
    if expect.kind != ExpectKind::Text || err.iter().all(u8::is_ascii_whitespace) {
        return Some(wrong);
    }
    let of_both = wrong_output(expect, expected, &joined(out, err), text)?;
    wrong_output(expect, expected, &joined(err, out), text)?;
    let silent = out.iter().all(u8::is_ascii_whitespace);
    Some(if silent { of_both } else { wrong })
}

fn joined(first: &[u8], second: &[u8]) -> Vec<u8> {
    let mut both = first.to_vec();
    if !both.is_empty() && both.last() != Some(&b'\n') {
        both.push(b'\n');
    }
    both.extend_from_slice(second);
    both
}

/// Removes control sequences from the found text.
fn readable(evidence: Evidence) -> Evidence {
    Evidence {
        found: harmless(evidence.found.exact().as_bytes()).into(),
        ..evidence
    }
}

pub(super) fn masked(outcome: Outcome, secrets: &Secrets) -> Outcome {
    match outcome {
        Outcome::Failed(evidence) => Outcome::Failed(
            evidence
                .into_iter()
                .map(|evidence| Evidence {
                    how: evidence.how.map(|how| secrets.mask(&how)),
                    expected: secrets.masked(&evidence.expected),
                    found: secrets.masked(&evidence.found),
                    ..evidence
                })
                .collect(),
        ),
        Outcome::Unknown(why) => Outcome::Unknown(secrets.masked(&why)),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Passage, Source};

    #[test]
    fn each_sudo_says_in_its_way_that_it_wanted_to_ask() {
        for said in [
            "sudo: a terminal is required to read the password; either use the -S option",
            "before\nsudo: a password is required",
            "sudo: sorry, you must have a tty to run sudo",
            "sudo: A terminal is required to authenticate",
            "sudo: interactive authentication is required",
        ] {
            assert!(sudo_asked(said), "{said}");
        }
        assert!(!sudo_asked("db: a password is required\nsudo: it works"));
    }

    #[test]
    fn a_terminal_shows_both_outputs_in_either_order() {
        let source = Source::new("a.md", "");
        let text = Passage::whole(&source);
        let expect = Expect {
            span: text.span(0..0),
            kind: ExpectKind::Text,
            text,
        };
        for (shown, holds) in [
            ("out", true),
            ("out\nerr", true),
            ("err\nout", true),
            ("err", false),
            ("out\nerr\nout", false),
        ] {
            let wrong = wrong_display(&expect, &Interpolated::read(shown), b"out\n", b"err\n", "");
            assert_eq!(wrong.is_none(), holds, "{shown}");
        }
    }
}
