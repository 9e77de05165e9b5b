//! Typed assertions: what they ask, and how facts decide them; the probes in `checks/` and the
//! matchers. Pure except for [`Vocabulary::with_project`]: probes are texts here; a session runs
//! them.
//!
//! ```
//! use opsbook_vocabulary::Vocabulary;
//!
//! // What `opsbook checks service` shows is what the header of its probe says.
//! let service = Vocabulary::builtin().get("service").unwrap();
//! assert!(service.body.starts_with("#"));
//! assert!(service.fact("running").is_some());
//! assert!(service.argument("name").is_some());
//! ```

// The crates below this one, under the names that its files use.
use opsbook_event as event;
use opsbook_manual as manual;
use opsbook_text::{files, interpolation, source, wildcard, yaml};

mod assertion;
mod batch;
mod duration;
mod expected;
mod facts;
mod form;
mod found;
mod go_regexp;
mod header;
mod include;
mod json_path;
mod matchers;
mod patterns;
pub mod reference;
mod understand;
mod versions;

use std::path::Path;
use std::sync::{Arc, LazyLock};

use indexmap::IndexMap;

use crate::files::Files;
use crate::manual::Spanned;
use crate::source::{Problem, Source};
use crate::yaml::Yaml;

pub use assertion::{Assertion, Decision, Waiver};
pub use batch::Batch;
pub use facts::{CannotLook, Facts};
pub use found::Found;
pub use header::{Argument, ArgumentKind, COMMON, Fact, FactKind, Kind};
pub use include::include;
pub use matchers::{Comparison, Matcher};

macro_rules! builtin {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../checks/", $name, ".sh")))),*]
    };
}

/// opsbook's own probes.
const BUILTIN: &[(&str, &str)] = builtin![
    "addr",
    "command",
    "container",
    "dns",
    "failed-units",
    "file",
    "group",
    "http",
    "interface",
    "kernel-param",
    "matching",
    "mount",
    "package",
    "port",
    "process",
    "reboot-required",
    "service",
    "socket",
    "sshd-config",
    "time-sync",
    "timer",
    "tls",
    "user",
];

/// All kinds of resources for checks.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    kinds: IndexMap<String, Arc<Kind>>,
}

impl Vocabulary {
    /// opsbook's own kinds.
    #[must_use]
    pub fn builtin() -> &'static Vocabulary {
        static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(|| {
            let mut vocabulary = Vocabulary {
                kinds: IndexMap::new(),
            };
            for (name, text) in BUILTIN {
                let source = Source::new(format!("checks/{name}.sh"), *text);
                vocabulary.add(&source, name, true);
            }
            vocabulary
        });
        &VOCABULARY
    }

    /// Adds the kinds in a project's `checks/*.sh`. A file with the name of one of opsbook's kinds
    /// replaces it.
    #[must_use]
    pub fn with_project(files: &Files) -> (Vocabulary, Vec<Problem>) {
        let mut vocabulary = Vocabulary::builtin().clone();
        let mut problems = Vec::new();
        let folder = match files.folder(Path::new("checks")) {
            Ok(folder) => folder,
            Err(why) => {
                if why.is_outside() {
                    let message = format!("cannot read `checks/`: {why}");
                    problems.push(Problem::bare("unreadable", message));
                }
                return (vocabulary, problems);
            }
        };
        let Ok(entries) = std::fs::read_dir(folder) else {
            return (vocabulary, problems);
        };
        let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        for name in names {
            let shown = Path::new("checks").join(name);
            if shown.extension().is_none_or(|extension| extension != "sh") {
                continue;
            }
            let name = shown.file_stem().unwrap_or_default().to_string_lossy();
            match files.text(&shown, crate::files::MAX_TEXT) {
                Ok(text) if vocabulary.is_builtin(&name, &text) => {}
                Ok(text) => {
                    let source = Source::new(&shown, text);
                    problems.extend(vocabulary.add(&source, &name, false));
                }
                Err(error) => problems.push(Problem::bare(
                    "unreadable",
                    format!("cannot read `{}`: {error}", shown.display()),
                )),
            }
        }
        (vocabulary, problems)
    }

    /// Sorted by name.
    pub fn types(&self) -> impl Iterator<Item = &Kind> {
        self.kinds.values().map(AsRef::as_ref)
    }

    /// The kind with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Kind> {
        self.kinds.get(name).map(AsRef::as_ref)
    }

    /// Validates and parses one typed check. Unknown or repeated attributes, wrong types, empty
    /// lists and durations without a unit are problems with their places.
    #[must_use]
    pub fn assertion(
        &self,
        kind: &Spanned<String>,
        resource: &Spanned<String>,
        attributes: &Yaml,
    ) -> (Option<Assertion>, Vec<Problem>) {
        let name = kind.value.replace('_', "-");
        if let Some(probe) = self.kinds.get(&name) {
            return understand::understand(probe, kind, resource, attributes);
        }
        let mut problem = self.unknown(&kind.value);
        problem.span = Some(kind.span.clone());
        (None, vec![problem])
    }

    /// The problem of an unknown kind, with the one that was probably meant.
    #[must_use]
    pub fn unknown(&self, name: &str) -> Problem {
        let message = format!("there is no type of check called `{name}`");
        let problem = Problem::bare("unknown-type", message)
            .did_you_mean(name, self.kinds.keys().map(String::as_str));
        match problem.hint {
            Some(_) => problem,
            None => problem.hint("`opsbook checks` lists them; a file in `checks/` adds one"),
        }
    }

    fn add(&mut self, source: &Arc<Source>, name: &str, builtin: bool) -> Vec<Problem> {
        let (kind, problems) = Kind::read(source, name, builtin);
        if let Some(kind) = kind {
            self.kinds.insert(name.to_owned(), Arc::new(kind));
            self.kinds.sort_keys();
        }
        problems
    }

    /// opsbook's own repository is a project with these probes.
    fn is_builtin(&self, name: &str, text: &str) -> bool {
        self.get(name)
            .is_some_and(|kind| kind.builtin && kind.body == text)
    }
}

#[cfg(test)]
mod probes;
#[cfg(test)]
mod tests;
