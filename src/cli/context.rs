//! The manual at hand: found, read, and refused as a whole where it is wrong.

use std::path::{Path, PathBuf};

use crate::cli::error::Failure;
use crate::manual::{self, Manual, Page};
use crate::nodes::{self, Nodes};
use crate::plan::{self, Plan, Request};
use crate::source::{Problem, Span};
use crate::vocabulary::{self, Vocabulary};

/// A text that a page includes is not there.
const BROKEN_INCLUDE: &str = "broken-include";

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
    /// For commands that run nothing of the manual, or only what [`Context::plan`] gives.
    ///
    /// # Errors
    /// Where there is no manual, or anything in it is an error but a text that is not there.
    pub fn load(dir: Option<&Path>) -> Result<Context, Failure> {
        let context = Context::read(dir)?;
        let errors = errors(&context.problems, |problem| problem.code != BROKEN_INCLUDE);
        context.unless(errors)
    }

    /// For what reaches a node: nothing that lint would refuse in a tagged block may get
    /// there.
    pub fn load_to_run(dir: Option<&Path>) -> Result<Context, Failure> {
        let context = Context::read(dir)?;
        let mut errors = run_errors(&context.of_the_pages());
        if !errors.is_empty() {
            // Whoever repairs them is to see at once what else there is.
            errors = run_errors(&crate::cli::lint::problems(&context));
        }
        context.unless(errors)
    }

    /// As [`Context::load_to_run`], for one procedure: includes are left to
    /// [`Context::plan`], which knows the pages that concern it.
    pub fn load_for_procedure(dir: Option<&Path>) -> Result<Context, Failure> {
        let context = Context::read(dir)?;
        let mut errors = run_errors(&context.of_the_pages());
        errors.retain(|problem| problem.code != BROKEN_INCLUDE);
        context.unless(errors)
    }

    /// The plan of a procedure; refused where a page with anything of it holds an include
    /// that is broken: a step or a check may be missing.
    pub fn plan(&self, request: &Request<'_>) -> Result<Plan, Failure> {
        let pages = self.pages_of(request.procedure);
        let concerns = |problem: &Problem| {
            let path = problem.span.as_ref().map(Span::path);
            problem.code == BROKEN_INCLUDE && path.is_none_or(|path| is_in(&pages, path))
        };
        let errors = errors(&self.problems, concerns);
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

    /// The page of a procedure, and those of the groups of checks that it needs; all pages
    /// where no page that can be read has the procedure.
    fn pages_of(&self, procedure: &str) -> Vec<&Page> {
        let Some(procedure) = self.manual.procedures.get(procedure) else {
            return self.manual.pages.iter().collect();
        };
        let needed = procedure
            .needs
            .iter()
            .filter_map(|need| self.manual.groups.get(&need.value));
        let pages = needed.map(|group| group.page).chain([procedure.page]);
        pages.map(|page| &self.manual.pages[page]).collect()
    }

    /// In the order of the book, without what shows only beside the nodes.
    fn of_the_pages(&self) -> Vec<Problem> {
        let mut problems = self.problems.clone();
        problems.extend(manual::lint(&self.manual));
        manual::sort(&self.manual, &mut problems);
        problems
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
            problems.extend(more);
        }
        let (nodes, more) = nodes::load(&root, &manual.settings);
        problems.extend(more);
        let (vocabulary, more) = Vocabulary::with_project(&root);
        problems.extend(more);
        Ok(Context {
            root,
            manual,
            nodes,
            vocabulary,
            problems,
        })
    }
}

/// A link that leads nowhere keeps nobody from working.
fn run_errors(problems: &[Problem]) -> Vec<Problem> {
    let leads_nowhere = ["broken-link", "broken-anchor"];
    errors(problems, |problem| !leads_nowhere.contains(&problem.code))
}

fn errors(problems: &[Problem], counts: impl Fn(&Problem) -> bool) -> Vec<Problem> {
    let errors = problems.iter().filter(|problem| problem.is_error());
    errors.filter(|problem| counts(problem)).cloned().collect()
}

/// Whether a file is one of these pages or is included by one.
fn is_in(pages: &[&Page], path: &Path) -> bool {
    pages.iter().any(|page| {
        page.source.path == path || page.included.iter().any(|(included, _)| included == path)
    })
}

/// The nodes alone, for commands that look at nothing else: they help most where the rest
/// is broken.
pub(crate) fn load_nodes(dir: Option<&Path>) -> Result<Nodes, Failure> {
    let root = find_root(dir)?;
    let (settings, mut problems) = manual::load_settings(&root);
    let (nodes, more) = nodes::load(&root, &settings);
    problems.extend(more);
    problems.retain(Problem::is_error);
    if problems.is_empty() {
        Ok(nodes)
    } else {
        Err(Failure::Problems(problems))
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
        let plan = Context::load_for_procedure(Some(folder.path()))
            .and_then(|context| context.plan(&request));
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
            ("", "", "```sh stpe\n```", "", "other.md:3: unknown-role"),
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
