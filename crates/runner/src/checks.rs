//! Rounds of checks: one `opsbook test` for each, whose report is sent to the gateway. A check only
//! reads, so a lost round is simply evaluated again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opsbook_client::Client;
use opsbook_text::{outside, wildcard};
use opsbook_wire::check::{
    Checked, CheckedNode, EVIDENCE, LIMIT, NotHeld, Outcome, RESULTS, Round, TRACES, Taken, Traces,
};
use opsbook_wire::sync::{How, Trace};
use opsbook_wire::{Held, NodeLogin, endpoint, limit};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

use crate::certificate::Certified;
use crate::child::with_ssh;
use crate::folder::Folder;
use crate::manual::bring;

/// The number of rounds at a time.
pub(crate) const ROUNDS: usize = 4;
/// The most bytes of a report.
const REPORT: u64 = 64 << 20;
/// The number of tries to send results; the next round has newer ones.
const TRIES: u32 = 5;

/// The rounds in progress.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asking(Arc<Mutex<BTreeSet<String>>>);

impl Asking {
    /// Their names.
    pub fn all(&self) -> Vec<String> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().cloned().collect()
    }

    /// Evaluates a round, unless it is in progress. Calls `done` at its end.
    pub fn begin(
        &self,
        round: Round,
        (client, program, folder): (Client, PathBuf, Folder),
        done: impl FnOnce(String) + Send + 'static,
    ) {
        let id = round.id.clone();
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= ROUNDS || !limit::is_name(&id) || !held.insert(id.clone()) {
            return;
        }
        drop(held);
        let asking = self.clone();
        tokio::spawn(async move {
            let said = one(&round, &client, &program, &folder).await;
            let mut held = asking.0.lock().unwrap_or_else(PoisonError::into_inner);
            held.remove(&id);
            drop(held);
            done(match said {
                Ok(()) => String::new(),
                Err(why) => format!("{id}: {why}"),
            });
        });
    }
}

async fn one(
    round: &Round,
    client: &Client,
    program: &Path,
    folder: &Folder,
) -> Result<(), String> {
    let (nodes, error) = match looked(round, client, program, folder).await {
        Ok(nodes) => (nodes, None),
        Err(why) => (Vec::new(), Some(why)),
    };
    let mut checked = Checked {
        id: round.id.clone(),
        nodes,
        error: error.clone(),
    };
    bounded(&mut checked);
    let mut pause = Duration::from_millis(500);
    for _ in 0..TRIES {
        match client
            .post::<Taken>(endpoint::RUNNER_CHECKS, &checked)
            .await
        {
            Ok(_) => return error.map_or(Ok(()), Err),
            Err(error) if error.may_pass() => tokio::time::sleep(pause).await,
            Err(error) => return Err(error.to_string()),
        }
        pause *= 2;
    }
    Err("the gateway does not accept the results".to_owned())
}

/// Its results, or the reason why there are none.
async fn looked(
    round: &Round,
    client: &Client,
    program: &Path,
    folder: &Folder,
) -> Result<Vec<CheckedNode>, String> {
    let source = (round.manual.as_str(), &round.source);
    let manual = bring(client, &folder.manuals(), source).await?;
    let login = match round.login {
        NodeLogin::Own => None,
        NodeLogin::Certificate => {
            let held = Held::Round(round.id.clone());
            let keys = folder.keys();
            let certified = Certified::new(client.clone(), &keys, held);
            // By then, the round belongs to another runner.
            let certified = tokio::time::timeout(Duration::from_secs(LIMIT), certified).await;
            Some(certified.map_err(|_| "the gateway sent no certificate".to_owned())??)
        }
    };
    let ssh = login.as_ref().map(Certified::config);
    asked(round, program, (&manual, ssh.as_deref()), &folder.rounds()).await
}

/// Drops evidence if a request would become too large.
fn bounded(checked: &mut Checked) {
    let size = |checked: &Checked| serde_json::to_vec(checked).map_or(0, |text| text.len());
    for most in [EVIDENCE, 100, 0] {
        if size(checked) < limit::LINES_BODY {
            return;
        }
        for other in checked.nodes.iter_mut().flat_map(|node| &mut node.others) {
            other
                .evidence
                .truncate(other.evidence.floor_char_boundary(most));
        }
    }
    if size(checked) >= limit::LINES_BODY {
        checked.nodes.clear();
        checked.error = Some("the round has more results than a request may have".to_owned());
    }
}

async fn asked(
    round: &Round,
    program: &Path,
    (manual, ssh): (&Path, Option<&Path>),
    reports: &Path,
) -> Result<Vec<CheckedNode>, String> {
    std::fs::create_dir_all(reports)
        .map_err(|error| format!("`{}`: {error}", reports.display()))?;
    let report = reports.join(format!("{}.json", round.id));
    let mut child = Command::new(program)
        .args(ssh.map(with_ssh))
        .args(words(round, manual, &report))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("`{}`: {error}", program.display()))?;
    let said = child.stderr.take().map(|stream| tokio::spawn(last(stream)));
    let ended = tokio::time::timeout(Duration::from_secs(LIMIT), child.wait()).await;
    let text = match &ended {
        Ok(_) => read(&report),
        Err(_) => None,
    };
    let _ = std::fs::remove_file(&report);
    let Ok(status) = ended else {
        let _ = child.kill().await;
        return Err(format!("it took more than {LIMIT} seconds"));
    };
    let status = status.map_err(|error| error.to_string())?;
    // 0: all hold, 101: some fail, 3: some could not be evaluated, 2: the manual has errors as
    // well.
    if let (Some(0 | 2 | 3 | 101), Some(text)) = (status.code(), text) {
        return results(round, &text);
    }
    let said = match said {
        // Its children may keep the stream open.
        Some(said) => tokio::time::timeout(Duration::from_secs(1), said)
            .await
            .ok(),
        None => None,
    };
    let said = said.and_then(Result::ok).unwrap_or_default();
    let line = said.lines().find(|line| !line.trim().is_empty());
    let line = line.map_or_else(
        || status.to_string(),
        |line| outside::line(line).to_string(),
    );
    Err(format!("`opsbook test`: {line}"))
}

/// The arguments of `opsbook`. Nothing from the gateway can become an option.
fn words(round: &Round, manual: &Path, report: &Path) -> Vec<String> {
    let mut words = vec![
        format!("-C{}", manual.display()),
        "test".to_owned(),
        format!("--nodes={}", round.nodes.join(",")),
        format!("--report=json={}", report.display()),
    ];
    if round.traces == Traces::Told {
        words.push("--who-was-here".to_owned());
    }
    words.push("--".to_owned());
    // This only limits the amount of work; the whole pattern decides which results count.
    let parts: Vec<&str> = round.checks.iter().map(|pattern| before(pattern)).collect();
    if parts.iter().all(|part| !part.is_empty()) {
        words.extend(parts.into_iter().map(str::to_owned));
    }
    words
}

/// The part before the first `*` or `?`.
fn before(pattern: &str) -> &str {
    let end = pattern.find(['*', '?']).unwrap_or(pattern.len());
    &pattern[..end]
}

fn read(path: &Path) -> Option<String> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(REPORT).read_to_string(&mut text).ok()?;
    Some(text)
}

async fn last(mut stream: impl AsyncRead + Unpin) -> String {
    let (mut said, mut piece) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = stream.read(&mut piece).await {
        let room = (8_usize << 10).saturating_sub(said.len());
        said.extend_from_slice(&piece[..read.min(room)]);
    }
    String::from_utf8_lossy(&said).into_owned()
}

/// A line of the report.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    node: String,
    #[serde(default)]
    outcome: String,
    #[serde(default)]
    place: String,
    #[serde(default)]
    evidence: Vec<Evidence>,
    #[serde(default)]
    cause: String,
    #[serde(default)]
    runs: Vec<Traced>,
}

#[derive(Deserialize)]
struct Traced {
    run: String,
    how: String,
}

#[derive(Deserialize)]
struct Evidence {
    #[serde(default)]
    attribute: String,
    #[serde(default)]
    expected: String,
    #[serde(default)]
    found: String,
    #[serde(default)]
    how: Option<String>,
}

fn results(round: &Round, text: &str) -> Result<Vec<CheckedNode>, String> {
    let mut nodes: BTreeMap<&str, CheckedNode> = BTreeMap::new();
    for node in &round.nodes {
        let empty = CheckedNode {
            node: node.clone(),
            ..CheckedNode::default()
        };
        nodes.insert(node, empty);
    }
    let (mut count, mut whole) = (0, false);
    for line in text.lines() {
        let line: Line = serde_json::from_str(line)
            .map_err(|error| format!("the report of `opsbook test` cannot be read: {error}"))?;
        whole |= line.kind == "suite";
        let prefix = format!("{}::", line.node);
        let name = line.name.strip_prefix(&prefix).unwrap_or_default();
        let fits = |pattern: &String| wildcard::fits(pattern.as_bytes(), name.as_bytes());
        let Some(node) = nodes.get_mut(line.node.as_str()) else {
            continue;
        };
        if line.kind == "node" && round.traces == Traces::Told {
            node.runs = { line.runs.iter().take(TRACES) }
                .filter(|trace| limit::is_run(&trace.run))
                .filter_map(|trace| {
                    Some(Trace {
                        run: trace.run.clone(),
                        how: How::of(&trace.how)?,
                    })
                })
                .collect();
            continue;
        }
        let named = !name.is_empty() && name.len() <= limit::NAME;
        if line.kind != "test" || !named || !round.checks.iter().any(fits) {
            continue;
        }
        count += 1;
        if count > RESULTS {
            return Err("the round has too many checks".to_owned());
        }
        match line.outcome.as_str() {
            "passed" => node.held.push(name.to_owned()),
            "failed" => node.others.push(other(name, &line, Outcome::Failed)),
            "error" => node.others.push(other(name, &line, Outcome::Unknown)),
            // Waived: not evaluated on purpose.
            _ => {}
        }
    }
    if !whole {
        return Err("the report of `opsbook test` is incomplete".to_owned());
    }
    Ok(nodes.into_values().collect())
}

fn other(name: &str, line: &Line, outcome: Outcome) -> NotHeld {
    let seen = line.evidence.iter().map(|seen| {
        let how = seen.how.as_ref().map(|how| format!(" ({how})"));
        format!(
            "{}: expected {}, found {}{}",
            seen.attribute,
            seen.expected,
            seen.found,
            how.unwrap_or_default()
        )
    });
    let mut text = match outcome {
        Outcome::Failed | Outcome::Held => seen.collect::<Vec<_>>().join("\n"),
        Outcome::Unknown => line.cause.clone(),
    };
    text = text.replace('\0', "\u{fffd}");
    text.truncate(text.floor_char_boundary(EVIDENCE));
    NotHeld {
        check: name.to_owned(),
        outcome,
        evidence: text,
        place: line.place.chars().take(limit::NAME).collect(),
    }
}

#[cfg(test)]
mod tests {
    use opsbook_wire::Source;

    use super::*;

    fn round(checks: &[&str]) -> Round {
        Round {
            id: "drift.here.0.1".into(),
            manual: "m".into(),
            source: Source::Folder { path: "/m".into() },
            nodes: vec!["web1".into(), "web2".into()],
            checks: checks.iter().map(|check| (*check).to_owned()).collect(),
            login: NodeLogin::Own,
            traces: Traces::Left,
        }
    }

    #[test]
    fn runs_of_which_a_node_has_a_trace_are_told_where_the_gateway_takes_them() {
        let report = r#"{"v":1,"type":"node","node":"web1","runs":[{"run":"20261129-180000-ab12","how":"holds"},{"run":"../x","how":"past"},{"run":"20261129-180000-ab13","how":"odd"}]}
{"v":1,"type":"suite","run":"x","seconds":1.0}
"#;
        let mut round = round(&["*"]);
        assert!(results(&round, report).unwrap()[0].runs.is_empty());
        round.traces = Traces::Told;
        let runs = &results(&round, report).unwrap()[0].runs;
        assert_eq!((runs.len(), runs[0].how), (1, How::Holds));
        let words = words(&round, Path::new("/m"), Path::new("/r.json"));
        assert!(words.contains(&"--who-was-here".to_owned()));
    }

    #[test]
    fn a_report_is_what_each_check_is() {
        let report = r#"{"v":1,"type":"test","name":"web1::machine::load","node":"web1","outcome":"passed","seconds":0.1}
{"v":1,"type":"test","name":"web1::machine::disk","node":"web1","place":"m.md:7","outcome":"failed","seconds":0.1,"evidence":[{"attribute":"free","expected":"10","found":"2","how":"df"}]}
{"v":1,"type":"test","name":"web2::machine::load","node":"web2","outcome":"error","seconds":0.1,"cause":"unreachable"}
{"v":1,"type":"test","name":"web2::machine::disk","node":"web2","outcome":"ignored","seconds":0.1,"reason":"waived"}
{"v":1,"type":"test","name":"web2::web::port","node":"web2","outcome":"failed","seconds":0.1}
{"v":1,"type":"test","name":"db1::machine::load","node":"db1","outcome":"failed","seconds":0.1}
{"v":1,"type":"suite","run":"x","seconds":1.0}
"#;
        let all = results(&round(&["machine::*"]), report).unwrap();
        assert_eq!(all.len(), 2, "what was not asked does not count");
        assert_eq!(all[0].held, ["machine::load"]);
        let disk = &all[0].others[0];
        assert_eq!(
            (disk.outcome, disk.place.as_str()),
            (Outcome::Failed, "m.md:7")
        );
        assert_eq!(disk.evidence, "free: expected 10, found 2 (df)");
        let load = &all[1].others[0];
        assert_eq!((all[1].others.len(), load.outcome), (1, Outcome::Unknown));
        assert_eq!(load.evidence, "unreachable");
        let half = report.rsplit_once("{\"v\":1,\"type\":\"suite\"").unwrap().0;
        assert!(
            results(&round(&["*"]), half)
                .unwrap_err()
                .contains("is incomplete")
        );
        assert!(results(&round(&["*"]), "x").is_err());
    }

    #[test]
    fn what_comes_from_the_gateway_is_a_word_of_its_place() {
        let mut round = round(&["--yes*", "web::port"]);
        round.nodes = vec!["--all".into(), "b".into()];
        let said = words(&round, Path::new("/m"), Path::new("/r.json")).join(" ");
        assert_eq!(
            said,
            "-C/m test --nodes=--all,b --report=json=/r.json -- --yes web::port"
        );
        round.checks.push("*".into());
        let said = words(&round, Path::new("/m"), Path::new("/r.json"));
        assert_eq!(said.last().unwrap(), "--");
    }

    #[test]
    fn a_request_is_never_too_large() {
        let other = |number: usize| NotHeld {
            check: format!("g::c{number}"),
            outcome: Outcome::Failed,
            evidence: "e".repeat(EVIDENCE),
            place: "p.md:1".into(),
        };
        let node = CheckedNode {
            node: "web1".into(),
            held: Vec::new(),
            others: (0..2_000).map(other).collect(),
            runs: Vec::new(),
        };
        let mut checked = Checked {
            id: "x".into(),
            nodes: vec![node],
            error: None,
        };
        bounded(&mut checked);
        assert!(serde_json::to_vec(&checked).unwrap().len() < limit::LINES_BODY);
        assert_eq!(checked.nodes[0].others.len(), 2_000);
    }
}
