//! Who runs what, from where, at which revision: for the journal and the bundle.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;

use crate::Project;
use crate::engine::{self, Owner, Request};
use crate::event::{Book, Manner, RunStarted, What};
use crate::plan::Plan;

/// The person, the controller, and the revision of the manual.
#[derive(Clone, Debug)]
pub struct Who {
    /// Their login name.
    pub operator: String,
    /// The host name of the controller.
    pub controller: String,
    /// Why this run bypasses the gateway; `None` if it does not.
    pub break_glass: Option<String>,
    /// The folder that its author edits.
    root: PathBuf,
    /// The folder from which it is read.
    read_from: PathBuf,
    /// The manual's git revision, and whether its tree is clean; `None` without git.
    revision: Option<String>,
    clean: Option<bool>,
    /// The archive of the manual.
    book: Option<Book>,
    /// Its packages.
    packages: BTreeMap<String, String>,
}

impl Who {
    /// For this process, and the manual in this folder.
    #[must_use]
    pub fn here(root: &Path) -> Who {
        let (revision, clean) = revision(root);
        Who {
            operator: operator_name(),
            controller: controller_name(),
            break_glass: None,
            root: root.to_owned(),
            read_from: root.to_owned(),
            revision,
            clean,
            book: None,
            packages: BTreeMap::new(),
        }
    }

    /// For this process, and an opened manual.
    #[must_use]
    pub fn of(project: &Project) -> Who {
        match &project.book {
            None => Who {
                packages: packages(project),
                read_from: project.root.clone(),
                ..Who::here(&project.origin)
            },
            Some(book) => Who {
                operator: operator_name(),
                controller: controller_name(),
                break_glass: None,
                root: project.root.clone(),
                read_from: project.root.clone(),
                revision: book.revision.clone(),
                clean: book.revision.as_ref().map(|_| true),
                book: Some(book.clone()),
                packages: packages(project),
            },
        }
    }

    /// The manual's git revision, if it has one.
    #[must_use]
    pub fn revision(&self) -> Option<&str> {
        self.revision.as_deref()
    }

    /// Whether its tree had no changes since that revision.
    #[must_use]
    pub fn clean(&self) -> Option<bool> {
        self.clean
    }

    /// The owner line of a bundle.
    #[must_use]
    pub fn owner(
        &self,
        plan: &Plan,
        run: String,
        start_at: Option<usize>,
        manner: &Manner,
    ) -> Owner {
        Owner {
            run: run.into(),
            operator: self.operator.as_str().into(),
            controller: self.controller.as_str().into(),
            procedure: plan.procedure.as_str().into(),
            since: Timestamp::now()
                .strftime("%Y-%m-%dT%H:%M:%SZ")
                .to_string()
                .into(),
            revision: self.revision.as_deref().map(Into::into),
            message: None,
            folder: Some(self.root.display().to_string().into()),
            request: Some(Request {
                nodes: plan.machines().into_iter().map(str::to_owned).collect(),
                roles: plan.roles(),
                arguments: plan.arguments.iter().cloned().collect(),
                start_at,
                manner: manner.clone(),
            }),
            ..Owner::default()
        }
    }

    /// The first event of a new run.
    #[must_use]
    pub fn first(&self, plan: &Plan, start_at: Option<usize>, manner: &Manner) -> What {
        What::RunStarted(Box::new(RunStarted {
            start_at,
            manner: Some(manner.clone()),
            ..self.started(plan)
        }))
    }

    /// The start of a run, without its options.
    #[must_use]
    pub fn started(&self, plan: &Plan) -> RunStarted {
        let nodes = plan.nodes.iter();
        let plans = nodes.map(|node| {
            (
                node.site().to_string(),
                engine::plan_record(&self.read_from, node),
            )
        });
        RunStarted {
            procedure: plan.procedure.clone(),
            title: plan.title.clone(),
            place: plan.span.place(),
            nodes: plan.machines().into_iter().map(str::to_owned).collect(),
            roles: plan.roles(),
            arguments: plan.arguments.iter().cloned().collect(),
            operator: self.operator.clone(),
            controller: self.controller.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            book: self.book.clone(),
            packages: self.packages.clone(),
            revision: self.revision.clone(),
            clean: self.clean,
            start_at: None,
            manner: None,
            break_glass: self.break_glass.clone(),
            plans: plans.collect(),
        }
    }
}

/// Each package with its version and hash, or the local folder that replaces it.
fn packages(project: &Project) -> BTreeMap<String, String> {
    let parts = project.parts.all.iter().map(|part| {
        let what = match &part.replaces {
            Some(path) => format!("{path} instead of {}", part.version()),
            None => format!("{} {}", part.version(), part.content),
        };
        (part.name().to_owned(), what)
    });
    parts.collect()
}

/// The person's `git` in a folder. It runs no program that the folder's settings name, and writes
/// nothing there.
#[must_use]
pub fn git(folder: &Path) -> Command {
    let mut git = Command::new("git");
    let settings = [
        "core.fsmonitor=false",
        "core.hooksPath=/dev/null",
        "log.showSignature=false",
    ];
    for setting in settings {
        git.args(["-c", setting]);
    }
    git.arg("-C").arg(folder).env("GIT_OPTIONAL_LOCKS", "0");
    git
}

fn revision(root: &Path) -> (Option<String>, Option<bool>) {
    // Starting git takes a process: skip it if there is no repository.
    let kept = root.ancestors().any(|folder| folder.join(".git").exists());
    if !kept && std::env::var_os("GIT_DIR").is_none() {
        return (None, None);
    }
    let mut git = git(root);
    git.args(["status", "--porcelain=v2", "--branch", "--", "."]);
    let Ok(output) = git.stdin(std::process::Stdio::null()).output() else {
        return (None, None);
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let revision = text
        .lines()
        .find_map(|line| line.strip_prefix("# branch.oid "));
    let revision = revision.filter(|oid| output.status.success() && *oid != "(initial)");
    let clean = revision.map(|_| text.lines().all(|line| line.starts_with('#')));
    (revision.map(|oid| oid.chars().take(12).collect()), clean)
}

/// The person at the controller. The environment may be wrong, so this reads the password file.
#[must_use]
pub fn operator_name() -> String {
    let uid = rustix::process::getuid().as_raw().to_string();
    let from_passwd = || {
        let text = std::fs::read_to_string("/etc/passwd").ok()?;
        let line = text
            .lines()
            .find(|line| line.split(':').nth(2) == Some(uid.as_str()))?;
        Some(line.split(':').next()?.to_owned())
    };
    let from_environment = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    from_environment
        .ok()
        .or_else(from_passwd)
        .unwrap_or_else(|| format!("uid-{uid}"))
}

/// The name of this machine.
#[must_use]
pub fn controller_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}
