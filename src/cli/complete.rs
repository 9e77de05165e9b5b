//! Shell completion: names of procedures, nodes, groups, steps and runs from the current manual.
//! Offers nothing, silently, if the manual cannot be read.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use crate::cli::context::{self, Chosen};
use crate::journal;
use crate::manual::Procedure;
use crate::nodes::Nodes;
use crate::project::Project;
use crate::source::visible;
use crate::vocabulary::Vocabulary;

/// The number of latest runs to offer; older ones are in `opsbook history`.
const MOST_RUNS: usize = 20;

/// Names of procedures.
pub(crate) fn procedures() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        offer(typed, |project, _| procedure_names(project).collect())
    })
}

/// Selectors of nodes; after a procedure with roles, `ROLE=NODE`.
pub(crate) fn nodes() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        offer(typed, |project, words| match procedure(project, words) {
            Some(procedure) if !procedure.roles.is_empty() => {
                let roles: Vec<&str> = procedure.roles.keys().map(String::as_str).collect();
                bindings(typed, before(words), &roles, &project.nodes)
            }
            _ => selectors(typed, &project.nodes),
        })
    })
}

/// Names of single nodes.
pub(crate) fn node() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        offer(typed, |project, _| {
            project.nodes.names().map(|name| named(name, "")).collect()
        })
    })
}

/// Steps of the procedure on the command line, or of the run.
pub(crate) fn steps() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        offer(typed, |project, words| {
            let steps = procedure(project, words).map(|procedure| procedure.steps.iter());
            let step = |step: &crate::manual::Step| {
                let name = step.id.clone().unwrap_or_else(|| step.number.to_string());
                named(name, &step.title)
            };
            steps
                .map(|steps| steps.map(step).collect())
                .unwrap_or_default()
        })
    })
}

/// Runs of this manual, latest first, and the nodes.
pub(crate) fn runs() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        offer(typed, |project, _| {
            let runs = journal::runs(&project.state)
                .into_iter()
                .rev()
                .take(MOST_RUNS);
            let run = |run: String| {
                let about = journal::read(&project.state, &run).ok();
                let about = about.as_ref().and_then(|record| record.started());
                let about = about.map(|started| started.procedure.clone());
                named(run, &about.unwrap_or_default())
            };
            let nodes = project.nodes.names().map(|name| named(name, ""));
            runs.map(run).chain(nodes).collect()
        })
    })
}

/// The arguments of `opsbook show`: nodes, procedures, groups of checks.
pub(crate) fn shown() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        offer(typed, |project, _| {
            let groups = project.manual.groups.values();
            let groups = groups.map(|group| named(&group.id, &group.title));
            let nodes = project.nodes.names().map(|name| named(name, ""));
            nodes
                .chain(procedure_names(project))
                .chain(groups)
                .collect()
        })
    })
}

/// Groups of checks, as filters of tests.
pub(crate) fn filters() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        offer(typed, |project, _| {
            let groups = project.manual.groups.values();
            groups.map(|group| named(&group.id, &group.title)).collect()
        })
    })
}

/// Kinds of checks.
pub(crate) fn types() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let kinds = Vocabulary::builtin()
            .types()
            .map(|kind| named(&kind.name, &kind.title));
        only(typed, kinds.collect())
    })
}

fn offer(
    typed: &OsStr,
    names: impl FnOnce(&Project, &[OsString]) -> Vec<CompletionCandidate>,
) -> Vec<CompletionCandidate> {
    let words: Vec<OsString> = std::env::args_os().collect();
    match context::read(&chosen(&words)) {
        Ok(project) => only(typed, names(&project, &words)),
        Err(_) => Vec::new(),
    }
}

/// The candidates that begin with the typed text; clap leaves this to us. A shell inserts
/// candidates unquoted, so a malicious file name such as `$(…).jsonl` among the journals must not
/// be offered.
fn only(typed: &OsStr, candidates: Vec<CompletionCandidate>) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let begins = |candidate: &CompletionCandidate| {
        let value = candidate.get_value().to_string_lossy();
        let harmless =
            |letter: char| letter.is_ascii_alphanumeric() || "._-+/@=:%~".contains(letter);
        let rest = value.strip_prefix(&*typed);
        rest.is_some_and(|rest| rest.chars().all(harmless))
    };
    candidates.into_iter().filter(begins).collect()
}

/// The place of the manual: `-C`, `--book` and similar options among the typed words.
fn chosen(words: &[OsString]) -> Chosen {
    let said = |options: &[&str], variable: &str| {
        let at = words
            .iter()
            .rposition(|word| options.iter().any(|option| word == option));
        let said = at.and_then(|at| words.get(at + 1)).map(PathBuf::from);
        said.or_else(|| std::env::var_os(variable).map(PathBuf::from))
    };
    Chosen {
        dir: said(&["-C"], "OPSBOOK_DIR"),
        book: said(&["--book"], "OPSBOOK_BOOK"),
        signers: said(&["--signers"], "OPSBOOK_SIGNERS"),
        nodes_file: said(&["--nodes-file"], "OPSBOOK_NODES_FILE"),
    }
}

fn named(name: impl Into<OsString>, about: &str) -> CompletionCandidate {
    let about = (!about.is_empty()).then(|| visible(about).into());
    CompletionCandidate::new(name).help(about)
}

fn procedure_names(project: &Project) -> impl Iterator<Item = CompletionCandidate> {
    let procedures = project.manual.procedures.values();
    procedures.map(|procedure| named(&procedure.id, &procedure.title))
}

/// The procedure among the words, or that of the run among them.
fn procedure<'p>(project: &'p Project, words: &[OsString]) -> Option<&'p Procedure> {
    let mut words = words.iter().filter_map(|word| word.to_str());
    let of_a_run = |word: &str| {
        let known = journal::runs(&project.state).iter().any(|run| run == word);
        let record = known.then(|| journal::read(&project.state, word).ok())??;
        project.manual.procedures.get(&record.started()?.procedure)
    };
    words.find_map(|word| {
        project
            .manual
            .procedures
            .get(word)
            .or_else(|| of_a_run(word))
    })
}

/// Names and groups after the typed part of the selector: `@web&!we` is completed to `@web&!web3`.
fn selectors(typed: &OsStr, nodes: &Nodes) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let begun = typed.rfind([',', '&', '!']).map_or(0, |at| at + 1);
    let before = &typed[..begun];
    let names = nodes.names().map(|name| format!("{before}{name}"));
    let groups = nodes.group_names().map(|name| format!("{before}@{name}"));
    names.chain(groups).map(|name| named(name, "")).collect()
}

/// The word before the completed one, if the shell says which that is.
fn before(words: &[OsString]) -> Option<&str> {
    let line = words.iter().position(|word| word == "--")? + 1;
    let index: usize = std::env::var("_CLAP_COMPLETE_INDEX").ok()?.parse().ok()?;
    words.get(line + index.checked_sub(1)?)?.to_str()
}

/// `old=`, followed by the nodes. bash passes the parts as separate words, with or without the `=`
/// between them.
fn bindings(
    typed: &OsStr,
    before: Option<&str>,
    roles: &[&str],
    nodes: &Nodes,
) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    if let Some((role, _)) = typed.split_once('=') {
        let node = |name: &str| named(format!("{role}={name}"), "");
        return nodes.names().map(node).collect();
    }
    if before.is_some_and(|word| word == "=" || roles.contains(&word)) {
        return nodes.names().map(|name| named(name, "")).collect();
    }
    let role = |role: &&str| named(format!("{role}="), "");
    roles.iter().map(role).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_run_is_not_offered() {
        let names = [
            "web1",
            "web $(id)",
            "web;id",
            "web`id`",
            "web\u{1b}[2J",
            "web2&id",
        ];
        let all = names.map(|name| named(name, "a\u{1b}[31mb"));
        let offered = only(OsStr::new("we"), Vec::from(all));
        assert_eq!(offered.len(), 1);
        assert_eq!(offered[0].get_value(), "web1");
        let about = offered[0].get_help().unwrap().to_string();
        assert!(!about.contains('\u{1b}'), "{about:?}");
        // The text that the person has typed is not changed.
        let typed = only(OsStr::new("@a&!"), vec![named("@a&!web1", "")]);
        assert_eq!(typed.len(), 1);
    }
}
