//! The manual at hand: found, read, and refused as far as what is wrong in it concerns what
//! is to be done. What concerns what is decided by `manual`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::cli::error::Failure;
use crate::manual::{self, Manual, Subject};
use crate::nodes::{self, Nodes};
use crate::plan::{self, Plan, Request};
use crate::source::{Concern, Problem};
use crate::vocabulary::{self, Vocabulary};

/// A manual with its nodes and its vocabulary.
pub(crate) struct Context {
    pub root: PathBuf,
    pub manual: Manual,
    pub nodes: Nodes,
    pub vocabulary: Vocabulary,
    /// In the order of the book, errors too.
    pub problems: Vec<Problem>,
}

impl Context {
    /// For commands that run nothing of the manual: a mistake on a page or in a node stops
    /// none of them.
    ///
    /// # Errors
    /// Where there is no manual, or it has a mistake that concerns all of it.
    pub fn load(dir: Option<&Path>) -> Result<Context, Failure> {
        let context = Context::read(dir)?;
        let errors = of_the_project(&context.manual, &context.problems);
        context.unless(errors)
    }

    /// For what reaches a node. What is wrong with a procedure or a check is said by
    /// [`Context::plan`] and [`Context::errors`].
    pub fn load_to_run(dir: Option<&Path>) -> Result<Context, Failure> {
        let mut context = Context::read(dir)?;
        context.problems.extend(manual::lint(&context.manual));
        manual::sort(&context.manual, &mut context.problems);
        let problems = std::mem::take(&mut context.problems);
        context.problems = manual::settle(&context.manual, problems).problems;
        let errors = of_the_project(&context.manual, &context.problems);
        context.unless(errors)
    }

    /// The plan of a procedure; refused where a mistake concerns it.
    pub fn plan(&self, request: &Request<'_>) -> Result<Plan, Failure> {
        let errors = self.errors_of(request);
        if errors.is_empty() {
            Ok(plan::plan(
                &self.manual,
                &self.nodes,
                &self.vocabulary,
                request,
            )?)
        } else {
            Err(Failure::Problems(errors))
        }
    }

    /// The errors that concern a request. Where no page that could be read has the procedure,
    /// any of them may have hidden it.
    fn errors_of(&self, request: &Request<'_>) -> Vec<Problem> {
        let procedure = self.manual.procedures.get(request.procedure);
        let by_name = |text: &String| {
            let mut names = text.split(',');
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

    /// Everything wrong that may concern something that runs. A link that leads nowhere keeps
    /// nobody from working.
    pub fn errors(&self) -> impl Iterator<Item = &Problem> {
        self.problems
            .iter()
            .filter(|problem| problem.is_error() && problem.concern != Concern::Nothing)
    }

    /// Says once how much else is wrong, to somebody whose plan it does not concern.
    pub fn tell_elsewhere(&self, talk: &mut dyn Write) -> io::Result<()> {
        match self.errors().count() {
            0 => Ok(()),
            1 => writeln!(
                talk,
                "1 mistake elsewhere in this manual does not concern this run: opsbook lint"
            ),
            n => writeln!(
                talk,
                "{n} mistakes elsewhere in this manual do not concern this run: opsbook lint"
            ),
        }
    }

    fn unless(self, errors: Vec<Problem>) -> Result<Context, Failure> {
        if errors.is_empty() {
            Ok(self)
        } else {
            Err(Failure::Problems(errors))
        }
    }

    /// Reads everything and keeps what is wrong.
    pub fn read(dir: Option<&Path>) -> Result<Context, Failure> {
        let root = find_root(dir)?;
        let (mut manual, mut problems) = manual::load(&root);
        for group in manual.groups.values_mut() {
            let (typed, more) = vocabulary::include(&root, std::mem::take(&mut group.typed));
            group.typed = typed;
            let of_the_group =
                |problem: Problem| problem.concerns(Concern::Group(group.id.clone()));
            problems.extend(more.into_iter().map(of_the_group));
        }
        let (nodes, more) = nodes::load(&root, &manual.settings);
        problems.extend(more);
        let (vocabulary, more) = Vocabulary::with_project(&root);
        problems.extend(more.into_iter().map(of_its_kind));
        Ok(Context {
            root,
            manual,
            nodes,
            vocabulary,
            problems,
        })
    }
}

/// A probe of one's own stands in a file that has the name of its kind.
fn of_its_kind(problem: Problem) -> Problem {
    let path = problem.span.as_ref().map(|span| span.path().to_owned());
    let kind = path.as_deref().and_then(Path::file_stem);
    match kind.map(|kind| kind.to_string_lossy().into_owned()) {
        Some(kind) => problem.concerns(Concern::Kind(kind)),
        None => problem,
    }
}

/// The errors that leave nothing to be done with this manual.
fn of_the_project(manual: &Manual, problems: &[Problem]) -> Vec<Problem> {
    let errors = problems.iter().filter(|problem| problem.is_error());
    errors
        .filter(|problem| manual::concerns_all(manual, problem))
        .cloned()
        .collect()
}

/// The nodes alone, for commands that look at nothing else: they help most where the rest
/// is broken.
pub(crate) fn load_nodes(dir: Option<&Path>) -> Result<Nodes, Failure> {
    let root = find_root(dir)?;
    let (settings, mut problems) = manual::load_settings(&root);
    let (nodes, more) = nodes::load(&root, &settings);
    problems.extend(more);
    let errors = of_the_project(&Manual::default(), &problems);
    if errors.is_empty() {
        Ok(nodes)
    } else {
        Err(Failure::Problems(errors))
    }
}

/// The folder named, or the nearest one upwards with a `book.toml`; absolute.
pub(crate) fn find_root(dir: Option<&Path>) -> Result<PathBuf, Failure> {
    let here = std::env::current_dir()?;
    if let Some(dir) = dir {
        let root = here.join(dir);
        return match root.canonicalize() {
            Ok(root) if root.is_dir() => Ok(root),
            _ => Err(Failure::from(Problem::bare(
                "no-manual",
                format!("`{}` is not a folder", dir.display()),
            ))),
        };
    }
    here.ancestors()
        .find(|folder| folder.join("book.toml").is_file())
        .map(Path::to_owned)
        .ok_or_else(|| {
            let problem = Problem::bare("no-manual", "no `book.toml` here or in any folder above");
            Failure::from(problem.hint(
                "name the manual's folder with `-C DIR`, or make one with `opsbook init DIR`",
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELEASE: &str =
        "# R\n\n```yaml procedure\nid: release\nneeds: [paved]\n```\n```sh step\ntrue\n```\n";
    const PAVED: &str = "# P\n\n```yaml checks\nid: paved\n```\n```sh check id=p\ntrue\n```\n";

    /// What is said of `release` where this stands at the end of these pages.
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
        let plan =
            Context::load_to_run(Some(folder.path())).and_then(|context| context.plan(&request));
        match plan {
            Ok(_) => "planned".to_owned(),
            Err(Failure::Problems(problems)) => problems
                .iter()
                .map(|problem| match &problem.span {
                    Some(span) => format!("{}: {}", span.place(), problem.code),
                    None => problem.code.to_owned(),
                })
                .collect::<Vec<_>>()
                .join(", "),
            Err(_) => "another failure".to_owned(),
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
                "release.md:11: unknown-role",
            ),
            (
                "",
                "```sh chekc id=z\ntrue\n```",
                "",
                "",
                "paved.md:10: unknown-role",
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
