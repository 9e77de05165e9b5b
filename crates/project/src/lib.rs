//! Opens a manual with its nodes and checks: all problems, the plan of a procedure, and a run of
//! it. Other programs can use the same few functions as the command line.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//!
//! use opsbook_engine::Operator;
//! use opsbook_event::{Event, Status, What};
//! use opsbook_plan::Request;
//! use opsbook_project::{Manner, Project, Run, Start, Who};
//! use opsbook_text::files::Files;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let root = folder.path();
//! # std::fs::write(root.join("book.toml"), "[book]\nsrc = \".\"\n")?;
//! # std::fs::write(root.join("SUMMARY.md"), "- [Hello](hello.md)\n")?;
//! # let bundle = root.join("bundle");
//! # std::fs::write(root.join("nodes.yaml"), format!("opsbook: 1\nnodes:\n  here: {{transport: local, bundle_dir: {bundle:?}}}\n"))?;
//! # std::fs::write(root.join("hello.md"), "# Hello\n\n```yaml procedure\nid: hello\n```\n\n```sh step\necho hello\n```\n")?;
//! // Open it, with a text that an editor has not saved yet; say what is wrong.
//! let text = std::fs::read_to_string(root.join("hello.md"))?;
//! let unsaved = [("hello.md".into(), text.replace("echo hello", "echo $thing"))];
//! let edited = Project::open_to_run(Files::of(root).with_unsaved(unsaved)).map_err(first)?;
//! assert_eq!(edited.lint().problems[0].code, "undefined-variable");
//!
//! // What would run, as it is on the disk.
//! let project = Project::open_to_run(Files::of(root)).map_err(first)?;
//! let nodes = ["here".to_owned()];
//! let request = Request { procedure: "hello", nodes: &nodes, set: &[] };
//! let plan = project.plan(&request).map_err(first)?;
//! assert_eq!(plan.nodes[0].steps.len(), 1);
//!
//! // Run it. The journal is in `.opsbook/runs`, or where the settings say; each event is seen here once it is there.
//! let seen = Arc::new(Mutex::new(Vec::new()));
//! let keep = Arc::clone(&seen);
//! let (operator, _nobody_answers) = Operator::new();
//! let (_ctrl_c, interrupts) = tokio::sync::watch::channel(0);
//! let run = Run {
//!     plan: Arc::new(plan),
//!     manner: Manner { yes: true, ..Manner::default() },
//!     start: Start::new_run(),
//!     who: Who::here(root),
//! };
//! let watcher = Box::new(move |event: &Event| keep.lock().unwrap().push(event.clone()));
//! let runtime = tokio::runtime::Runtime::new()?;
//! let status = runtime.block_on(run.go(&project, operator, interrupts, watcher))?;
//! assert_eq!(status, Status::Ok);
//! let seen = seen.lock().unwrap();
//! assert!(matches!(seen[0].what, What::RunStarted(_)));
//! # fn first(problems: Vec<opsbook_text::source::Problem>) -> String { problems[0].to_string() }
//! # Ok(())
//! # }
//! ```

// The crates below this one, under the names that its files use.
use opsbook_engine as engine;
use opsbook_event as event;
use opsbook_journal as journal;
use opsbook_manual as manual;
use opsbook_nodes as nodes;
use opsbook_package as package;
use opsbook_plan as plan;
use opsbook_session as session;
use opsbook_template as template;
use opsbook_text::{files, interpolation, outside, source, wildcard, yaml};
use opsbook_vocabulary as vocabulary;
use opsbook_wire as wire;

pub mod access;
mod adopt;
pub mod approval;
pub mod batch;
mod changed;
mod deliveries;
mod done;
mod hours;
mod interface;
pub mod merge;
pub mod merkle;
mod neighbours;
mod opened;
pub mod pack;
mod place;
pub mod reading;
mod reads;
pub mod record;
pub mod releases;
mod run;
mod taken;
mod who;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use files::Files;
use journal::State;
use manual::{Manual, Settings, Settled, Subject};
use nodes::Nodes;
use package::manifest::Manifest;
use plan::{Plan, Request};
use source::{Concern, Problem, first_of_each};
use vocabulary::Vocabulary;

pub use adopt::adopt;
pub use changed::{Changes, changes, moved};
pub use done::{done, not_recorded, number};
pub use place::{Parts, Place, new_enough};
pub use run::{Allotted, Anew, Manner, Resumed, Run, RunError, Start, looked_over};
pub use who::{Who, controller_name, git, operator_name};

/// The command-line words for the nodes of a run: the nodes themselves, or the nodes of each role.
#[must_use]
pub fn words(nodes: &[String], roles: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    if roles.is_empty() {
        return nodes.to_vec();
    }
    let bound = roles.iter().filter(|(_, nodes)| !nodes.is_empty());
    bound
        .map(|(role, nodes)| format!("{role}={}", nodes.join(",")))
        .collect()
}

/// A manual with its nodes and its vocabulary.
#[derive(Debug)]
pub struct Project {
    /// The manual's folder.
    pub root: PathBuf,
    /// The folder of its journals and results.
    pub state: State,
    /// The archive that it was read from.
    pub book: Option<event::Book>,
    /// Its packages.
    pub parts: Parts,
    /// The folder that its author edits; `root` if it has no packages.
    pub origin: PathBuf,
    /// The beginning of commands about it, for messages: `opsbook --book FILE`.
    pub program: String,
    /// The contents of `opsbook.toml`, if it exists.
    pub manifest: Option<Manifest>,
    /// All its files were read through this.
    pub files: Files,
    /// The pages and their blocks.
    pub manual: Manual,
    /// The contents of `nodes.yaml`, not yet evaluated.
    pub nodes: Nodes,
    /// The kinds of typed checks: opsbook's own and those in `checks/`.
    pub vocabulary: Vocabulary,
    /// The problems found while reading, in the order of the book, warnings among them.
    pub problems: Vec<Problem>,
}

impl Project {
    /// Opens a project for a command that runs nothing: an error on a page or in a node does not
    /// stop it.
    ///
    /// # Errors
    /// If there is no manual, or it has errors that concern all of it: all of these.
    pub fn open(place: impl Into<Place>) -> Result<Project, Vec<Problem>> {
        let project = Project::read(place);
        let errors = of_the_project(&project.manual, &project.problems);
        project.unless(errors)
    }

    /// Opens a project for a command that reaches nodes. [`Project::plan`] and [`Project::errors`]
    /// report errors of a procedure or a check.
    ///
    /// # Errors
    /// The same as for [`Project::open`].
    pub fn open_to_run(place: impl Into<Place>) -> Result<Project, Vec<Problem>> {
        let mut project = Project::read(place);
        project.problems.extend(manual::lint(&project.manual));
        manual::sort(&project.manual, &mut project.problems);
        let problems = std::mem::take(&mut project.problems);
        project.problems = manual::settle(&project.manual, problems).problems;
        let errors = of_the_project(&project.manual, &project.problems);
        project.unless(errors)
    }

    /// Reads everything and keeps the problems.
    #[must_use]
    pub fn read(place: impl Into<Place>) -> Project {
        let place = place.into();
        let files = place.files.clone();
        let (mut manual, manifest, mut problems) = reading::pages(&place);
        for group in manual.groups.values_mut() {
            let (typed, more) = vocabulary::include(&files, std::mem::take(&mut group.typed));
            group.typed = typed;
            let of_the_group =
                |problem: Problem| problem.concerns(Concern::Group(group.id.clone()));
            problems.extend(more.into_iter().map(of_the_group));
        }
        let (nodes, more) = reading::nodes(&place, &manual.settings, manifest.as_ref());
        problems.extend(more);
        let (vocabulary, more) = Vocabulary::with_project(&files);
        problems.extend(more.into_iter().map(of_its_kind));
        Project {
            root: files.root().to_owned(),
            state: place.state(&manual.settings),
            book: place.book,
            program: place.program,
            origin: place.origin.unwrap_or_else(|| files.root().to_owned()),
            parts: place.parts,
            manifest,
            files,
            manual,
            nodes,
            vocabulary,
            problems,
        }
    }

    /// The package of a procedure.
    #[must_use]
    pub fn package_of(&self, procedure: &str) -> Option<&package::manifest::Package> {
        let page = self.manual.procedures.get(procedure)?.page;
        let page = self.manual.pages.get(page)?;
        match self.parts.of_page(&page.path) {
            Some(part) => self.parts.all.get(part)?.package(),
            None => self.manifest.as_ref()?.package.as_ref(),
        }
    }

    /// Its packages, each with its own pages.
    fn units(&self) -> Vec<interface::Unit<'_>> {
        let pages = |wanted: Option<usize>| {
            let pages = self.manual.pages.iter().enumerate();
            let own = pages.filter(|(_, page)| self.parts.of_page(&page.path) == wanted);
            own.map(|(index, _)| index).collect()
        };
        let own = self.manifest.as_ref().map(|manifest| (manifest, None));
        let parts = self.parts.all.iter().enumerate();
        let parts = parts.map(|(index, part)| (&part.manifest, Some(index)));
        let all = own.into_iter().chain(parts);
        all.filter_map(|(manifest, index)| {
            Some(interface::Unit {
                package: manifest.package.as_ref()?,
                pages: pages(index),
                manifest,
            })
        })
        .collect()
    }

    /// Reports invalid rehearsals.
    fn rehearsals(&self) -> Vec<Problem> {
        let all = self.nodes.rehearsed().filter_map(|(id, span)| {
            let (why, hint) = match self.manual.procedures.get(id) {
                None => ("there is no such procedure", "`opsbook list` shows all"),
                Some(procedure) if procedure.roles.is_empty() => (
                    "it has no roles",
                    "it is rehearsed on each node with `rehearse: true`",
                ),
                Some(_) => return None,
            };
            let message = format!("`{id}` cannot be rehearsed by `rehearsals`: {why}");
            let problem = match span {
                Some(span) => Problem::error("rehearsals", span.clone(), message),
                None => Problem::bare("rehearsals", message),
            };
            Some(problem.hint(hint))
        });
        all.collect()
    }

    /// Reports applications without a procedure or without a node.
    fn applications(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (name, application) in &self.manual.settings.applications {
            problems.extend(self.nodes.select_at(&application.nodes).err());
            let pattern = &application.procedures;
            let fits = |id: &String| wildcard::fits(pattern.value.as_bytes(), id.as_bytes());
            if !self.manual.procedures.keys().any(fits) {
                let message = format!("the application `{name}` has no procedures");
                problems.push(Problem::error("application", pattern.span.clone(), message));
            }
        }
        problems
    }

    /// Reports invalid access rules, and contracts whose approvals nobody can give.
    fn access(&self) -> Vec<Problem> {
        let access = match access::Access::of(&self.files, &self.nodes) {
            Ok(access) => access,
            Err(problems) => return problems,
        };
        let mut problems = Vec::new();
        for procedure in self.manual.procedures.values() {
            let (Some(approve), Err(why)) = (
                &procedure.approve,
                approval::of_contract(procedure, access.as_ref()),
            ) else {
                continue;
            };
            let why = why.split_once(": ").map_or(why.as_str(), |(_, why)| why);
            let problem = Problem::error("access", approve.span.clone(), why);
            problems.push(problem.hint(format!("`groups` of `{}` names them", access::FILE)));
        }
        problems
    }

    /// All problems: of pages, nodes and deliveries, and between them; without those that the
    /// author accepted.
    #[must_use]
    pub fn lint(&self) -> Settled {
        let mut problems = self.problems.clone();
        problems.extend(manual::lint(&self.manual));
        problems.extend(self.nodes.check_all());
        let names: Vec<&str> = self.nodes.names().collect();
        for node in names
            .iter()
            .filter_map(|name| self.nodes.evaluate(name, &[]).ok())
        {
            problems.extend(batch::of_node(&node).err().map(|problem| *problem));
            problems.extend(approval::no_number(&node));
        }
        problems.extend(self.rehearsals());
        problems.extend(self.access());
        problems.extend(self.applications());
        problems.extend(interface::lint(self));
        problems.extend(merge::replaced_have_changed(self));
        problems.extend(merge::plain_mdbook(self));
        let (manual, nodes, vocabulary) = (&self.manual, &self.nodes, &self.vocabulary);
        problems.extend(plan::cases(manual, nodes, vocabulary, &names, &|_| true).1);
        let mut deliveries = deliveries::Deliveries::new(&self.files);
        problems.extend(plan::lint(
            manual,
            nodes,
            vocabulary,
            &mut |procedure, plan| deliveries.look(procedure, plan),
        ));
        if self
            .manifest
            .as_ref()
            .is_some_and(|own| own.package.is_some())
        {
            // Other packages may need them.
            problems.retain(|problem| problem.code != "never-asked");
        }
        let mut problems = plan::joined(problems);
        manual::sort(manual, &mut problems);
        // Do not compare drawings: a page may have as many errors as letters.
        let mut seen = HashSet::new();
        problems.retain(|problem| seen.insert(problem.identity()));
        let unused = manual::unused_silences(manual, &problems);
        let mut settled = manual::settle(manual, problems);
        if !unused.is_empty() {
            settled.problems.extend(unused);
            manual::sort(manual, &mut settled.problems);
        }
        Settled {
            problems: first_of_each(&settled.problems),
            ..settled
        }
    }

    /// The plan of a procedure.
    ///
    /// # Errors
    /// All errors that concern it.
    pub fn plan(&self, request: &Request<'_>) -> Result<Plan, Vec<Problem>> {
        let errors = self.errors_of(request);
        if errors.is_empty() {
            plan::plan(&self.manual, &self.nodes, &self.vocabulary, request)
        } else {
            Err(errors)
        }
    }

    /// The plan of a run that has begun, with the current manual.
    ///
    /// # Errors
    /// The same as for [`Project::plan`].
    pub fn plan_again(&self, started: &event::RunStarted) -> Result<Plan, Vec<Problem>> {
        let arguments = started.arguments.iter();
        let set: Vec<_> = arguments
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        self.plan(&Request {
            procedure: &started.procedure,
            nodes: &words(&started.nodes, &started.roles),
            set: &set,
        })
    }

    /// The errors that concern a request. If no readable page has the procedure, any error may have
    /// hidden it.
    fn errors_of(&self, request: &Request<'_>) -> Vec<Problem> {
        let procedure = self.manual.procedures.get(request.procedure);
        let by_name = |text: &String| {
            let (_, nodes) = text.split_once('=').unwrap_or(("", text));
            let mut names = nodes.split(',');
            names.all(|name| self.nodes.contains(name))
        };
        let all_by_name = request.nodes.iter().all(by_name);
        let concerned = |problem: &&Problem| match (&problem.concern, procedure) {
            (Concern::Nothing | Concern::Node, _) => false,
            (Concern::Selection, _) => !all_by_name,
            (_, None) => true,
            (_, Some(procedure)) => {
                manual::concerns(&self.manual, problem, Subject::Procedure(procedure))
            }
        };
        self.errors().filter(concerned).cloned().collect()
    }

    /// All errors that may concern something that runs. A broken link does not stop anybody.
    pub fn errors(&self) -> impl Iterator<Item = &Problem> {
        self.problems
            .iter()
            .filter(|problem| problem.is_error() && problem.concern != Concern::Nothing)
    }

    fn unless(self, errors: Vec<Problem>) -> Result<Project, Vec<Problem>> {
        if errors.is_empty() {
            Ok(self)
        } else {
            Err(errors)
        }
    }
}

/// The state folder of a manual.
#[must_use]
pub fn state_of(files: &Files, settings: &Settings) -> State {
    let setting = settings.state.as_ref().map(|state| state.value.as_path());
    State::of(files.root(), setting)
}

/// The same without reading the manual.
#[must_use]
pub fn state_of_folder(root: &Path) -> State {
    let files = Files::of(root);
    let (settings, _) = manual::load_settings(&files);
    state_of(&files, &settings)
}

/// Adds the kind to a problem of a custom probe: its file must be named after the kind.
fn of_its_kind(problem: Problem) -> Problem {
    let path = problem.span.as_ref().map(|span| span.path().to_owned());
    let kind = path.as_deref().and_then(Path::file_stem);
    match kind.map(|kind| kind.to_string_lossy().into_owned()) {
        Some(kind) => problem.concerns(Concern::Kind(kind)),
        None => problem,
    }
}

/// The errors that make the whole manual unusable.
fn of_the_project(manual: &Manual, problems: &[Problem]) -> Vec<Problem> {
    let errors = problems.iter().filter(|problem| problem.is_error());
    errors
        .filter(|problem| manual::concerns_all(manual, problem))
        .cloned()
        .collect()
}

/// Only the nodes, for commands that need nothing else: they must work even if the rest is broken.
///
/// # Errors
/// Errors that concern all nodes.
pub fn nodes_alone(place: &Place) -> Result<Nodes, Vec<Problem>> {
    let (manifest, _) = place::manifest(&place.files);
    let (settings, mut problems) = manual::load_settings(&place.files);
    let (nodes, more) = reading::nodes(place, &settings, manifest.as_ref());
    problems.extend(more);
    let errors = of_the_project(&Manual::default(), &problems);
    if errors.is_empty() {
        Ok(nodes)
    } else {
        Err(errors)
    }
}

/// The manual's folder, absolute: the given one, or the nearest one at or above `here` that has a
/// `book.toml`.
///
/// # Errors
/// If there is none.
pub fn find_root(here: &Path, named: Option<&Path>) -> Result<PathBuf, Problem> {
    if let Some(dir) = named {
        let root = here.join(dir);
        return match root.canonicalize() {
            Ok(root) if root.is_dir() => Ok(root),
            found => {
                let message = match found {
                    Ok(_) => format!("`{}` is a file, not a folder", dir.display()),
                    Err(_) => format!("there is no folder `{}`", dir.display()),
                };
                let problem = Problem::bare("no-manual", message);
                Err(problem.hint("`-C` takes the folder of a manual: the one with `book.toml`"))
            }
        };
    }
    here.ancestors()
        .find(|folder| folder.join("book.toml").is_file())
        .map(Path::to_owned)
        .ok_or_else(|| {
            let problem = Problem::bare(
                "no-manual",
                "there is no `book.toml` here or in any \
                 folder above",
            );
            problem.hint(
                "name the folder of the manual with `-C DIR`, or create one with `opsbook \
                 init DIR`",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELEASE: &str =
        "# R\n\n```yaml procedure\nid: release\nneeds: [paved]\n```\n```sh step\ntrue\n```\n";
    const PAVED: &str = "# P\n\n```yaml checks\nid: paved\n```\n```sh check id=p\ntrue\n```\n";

    /// The messages about `release` with these page endings.
    fn said(ends: [(&str, &str); 4], run: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("book.toml", "[book]\nsrc = \".\"\n");
        write(
            "SUMMARY.md",
            "# S\n\n- [R](release.md)\n- [P](paved.md)\n- [O](other.md)\n",
        );
        write(
            "nodes.yaml",
            "opsbook: 1\nnodes:\n  here: {transport: local}\n",
        );
        for ((name, end), text) in ends.into_iter().zip([RELEASE, PAVED, "# O\n", "part\n"]) {
            write(name, &format!("{text}\n{end}\n"));
        }
        let nodes = ["here".to_owned()];
        let request = Request {
            procedure: run,
            nodes: &nodes,
            set: &[],
        };
        let project = Project::open_to_run(Files::of(folder.path()));
        match project.and_then(|project| project.plan(&request)) {
            Ok(_) => "planned".to_owned(),
            Err(problems) => problems
                .iter()
                .map(|problem| match &problem.span {
                    Some(span) => format!("{}: {}", span.place(), problem.code),
                    None => problem.code.to_owned(),
                })
                .collect::<Vec<_>>()
                .join(", "),
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn lint_names_approvals_of_nobody_and_applications_of_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let problems = |settings: &str, approve: &str, access: &str| {
            write("book.toml", &format!("[book]\nsrc = \".\"\n{settings}"));
            write("SUMMARY.md", "# S\n\n- [R](release.md)\n");
            write(
                "nodes.yaml",
                "opsbook: 1\nnodes:\n  here: {transport: local}\n",
            );
            let contract = format!("id: release\n{approve}\n");
            write(
                "release.md",
                &RELEASE.replace("id: release\nneeds: [paved]\n", &contract),
            );
            write("access.yaml", access);
            let all = Project::read(Files::of(folder.path())).lint().problems;
            let errors = all.iter().filter(|problem| problem.is_error());
            errors
                .map(|problem| problem.message.clone())
                .collect::<Vec<_>>()
                .join("; ")
        };
        let rules = "opsbook: 1\ngroups: {oncall: [ana], all: []}\n";
        let shop =
            "[applications.shop]\nprocedures = \"rel*\"\nnodes = \"here\"\nversion = \"v\"\n";
        for approve in [
            "approve: 1",
            "approve: {by: \"@oncall\"}",
            "approve: {count: 9, by: [\"@all\", bo]}",
        ] {
            assert_eq!(problems(shop, approve, rules), "", "{approve}");
        }
        for (settings, approve, access, said) in [
            (
                shop,
                "approve: {by: \"@nobody\"}",
                rules,
                "there is no group `@nobody`",
            ),
            (
                shop,
                "approve: {count: 2, by: \"@oncall\"}",
                rules,
                "2 people are required, but `by` names 1",
            ),
            (shop, "approve: 0", rules, "`0` is not a number of people"),
            (
                shop,
                "approve: soon",
                rules,
                "`soon` is not a number of people",
            ),
            (
                shop,
                "approve: {whose: ana}",
                rules,
                "unknown key `whose` of `approve`",
            ),
            (
                shop,
                "approve: 1",
                "opsbook: 2\n",
                "reads only `opsbook: 1`",
            ),
            (
                "[applications.shop]\nprocedures = \"x.*\"\nnodes = \"here\"\n",
                "approve: 1",
                rules,
                "the application `shop` has no procedures",
            ),
            (
                "[applications.shop]\nprocedures = \"rel*\"\nnodes = \"@gone\"\n",
                "approve: 1",
                rules,
                "gone",
            ),
            (
                "[applications.shop]\nprocedures = \"rel*\"\n",
                "approve: 1",
                rules,
                "needs `procedures` and `nodes`",
            ),
            (
                "[applications.shop]\nprocedure = \"rel*\"\nnodes = \"here\"\n",
                "approve: 1",
                rules,
                "unknown key `procedure`",
            ),
            (
                "[preprocessor.opsbook.applications.shop]\nprocedures = \"x\"\nnodes = \"here\"\n",
                "approve: 1",
                rules,
                "has no procedures",
            ),
        ] {
            let all = problems(settings, approve, access);
            assert!(all.contains(said), "{settings} {approve}: {all}");
        }
    }

    #[test]
    fn a_broken_include_stops_what_it_may_concern() {
        const GONE: &str = "{{#include gone.md}}";
        const PART: &str = "{{#include part.inc}}";
        for (release, paved, other, part, expected) in [
            ("", "", "", "", "planned"),
            ("", "", GONE, "", "planned"),
            ("", "", "[x](gone.md)", "", "planned"),
            (GONE, "", "", "", "release.md:11: broken-include"),
            ("", GONE, "", "", "paved.md:10: broken-include"),
            (PART, "", "", GONE, "part.inc:3: broken-include"),
            ("", "", PART, GONE, "planned"),
            ("", "", "```sh stpe\ntrue\n```", "", "planned"),
            ("", "", "3. x\n\n    ```sh\n    x\n\n4. y", "", "planned"),
            (
                "```sh stpe\ntrue\n```",
                "",
                "",
                "",
                "release.md:11: unknown-kind",
            ),
            (
                "",
                "```sh chekc id=z\ntrue\n```",
                "",
                "",
                "paved.md:10: unknown-kind",
            ),
            ("", "# X\n```sh stpe\ntrue\n```", "", "", "planned"),
            ("# X\n```sh\n", "", "", "", "release.md:12: unclosed-fence"),
            ("", "# X\n```sh\n", "", "", "paved.md:11: unclosed-fence"),
            (
                "",
                "",
                "```yaml procedure\nid: release\n```",
                "",
                "other.md:4: duplicate-id",
            ),
            (
                "",
                "",
                "```sh check id=p\nif\n```",
                "",
                "other.md:3: duplicate-id",
            ),
            ("", "", "```sh check id=q\nif\n```", "", "planned"),
        ] {
            let ends = [
                ("release.md", release),
                ("paved.md", paved),
                ("other.md", other),
                ("part.inc", part),
            ];
            assert_eq!(said(ends, "release"), expected, "{ends:?}");
        }
        let ends = [
            ("release.md", ""),
            ("paved.md", ""),
            ("other.md", GONE),
            ("part.inc", ""),
        ];
        assert_eq!(said(ends, "another"), "other.md:3: broken-include");
    }
}
