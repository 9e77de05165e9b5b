//! Reads files of a repository with the user's `git` command, which has their credentials, ssh and
//! proxies. Never checks out: blobs are read from the tree, so no filter, hook or link takes
//! effect.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::address::{check_ref, check_url};
use crate::manifest::At;
use crate::process::{self, Bounds};
use crate::tree::{self, Entry, MOST_BYTES, MOST_FILES, Mode, Tree, shown};

/// The time limit of a fetch.
const FETCH: Duration = Duration::from_mins(10);
/// The time limit of local commands.
const LOCAL: Duration = Duration::from_mins(2);
/// The most bytes of a fetch.
const MOST_FETCHED: u64 = 2 * MOST_BYTES;

/// Why there are no files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoFiles {
    /// The code of the problem: `git-failed`, `lfs-pointer`.
    pub code: &'static str,
    /// The message.
    pub message: String,
}

fn failed(message: impl Into<String>) -> NoFiles {
    NoFiles {
        code: "git-failed",
        message: message.into(),
    }
}

/// A hint for a message of git.
#[must_use]
pub fn hint(message: &str) -> Option<&'static str> {
    let says = |words: &[&str]| words.iter().any(|words| message.contains(words));
    if says(&[
        "terminal prompts disabled",
        "Authentication failed",
        "could not read Username",
    ]) {
        return Some(
            "git has no credentials for it, and opsbook does not ask: set up a credential helper",
        );
    }
    if says(&["certificate", "SSL"]) {
        return Some("git does not trust this server: `http.sslCAInfo` of git names its authority");
    }
    None
}

/// A `git` without automatic side effects.
fn git(repository: Option<&Path>) -> Command {
    let mut git = Command::new("git");
    for name in [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_NAMESPACE",
        "GIT_EXTERNAL_DIFF",
    ] {
        git.env_remove(name);
    }
    git.env("GIT_ALLOW_PROTOCOL", "https:ssh:file")
        // Report missing credentials instead of asking: perhaps nobody could answer.
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .env("LC_ALL", "C");
    for setting in [
        "core.hooksPath=/dev/null",
        "core.fsmonitor=false",
        "submodule.recurse=false",
        "fetch.recurseSubmodules=false",
        "fetch.fsckObjects=true",
        "gc.auto=0",
        "maintenance.auto=false",
        // Give up on a server that is silent for a minute.
        "http.lowSpeedLimit=1",
        "http.lowSpeedTime=60",
    ] {
        git.args(["-c", setting]);
    }
    if let Some(repository) = repository {
        git.arg("-C").arg(repository);
    }
    git
}

fn ask(git: &mut Command, input: &[u8], out: usize) -> Result<Vec<u8>, String> {
    let bounds = Bounds { time: LOCAL, out };
    process::run(git, input, bounds, &|| Ok(()))?.ok()
}

fn line(git: &mut Command) -> Result<String, String> {
    let out = ask(git, b"", 1 << 20)?;
    Ok(String::from_utf8_lossy(&out).trim().to_owned())
}

/// Fetches a state of a repository into a bare one of ours, and returns its revision.
///
/// # Errors
/// git's error.
pub fn fetch(url: &str, at: &At, into: &Path) -> Result<String, NoFiles> {
    check_url(url).map_err(failed)?;
    if !into.join("HEAD").exists() {
        let mut init = git(None);
        init.args(["init", "--quiet", "--bare", "--template=", "--"]);
        ask(init.arg(into), b"", 1 << 20).map_err(failed)?;
    }
    let (wanted, ours) = match at {
        At::Tag(tag) => (format!("refs/tags/{tag}"), "refs/opsbook/fetched"),
        At::Revision(revision) => (revision.clone(), "refs/opsbook/fetched"),
    };
    let spec = format!("+{wanted}:{ours}");
    let fetched = fetch_spec(url, &spec, &["--depth=1"], into);
    match (fetched, at) {
        (Ok(()), _) => {}
        // Not every server serves a revision that no name points to.
        (Err(_), At::Revision(_)) => {
            let all = "+refs/*:refs/opsbook/all/*";
            fetch_spec(url, all, &["--no-tags"], into).map_err(failed)?;
            let mut keep = git(Some(into));
            keep.args(["update-ref", ours, wanted.as_str()]);
            ask(&mut keep, b"", 1 << 20).map_err(failed)?;
        }
        // A plain file server cannot serve a shallow history.
        (Err(why), At::Tag(_)) if why.contains("shallow") => {
            fetch_spec(url, &spec, &["--no-tags"], into).map_err(failed)?;
        }
        (Err(why), At::Tag(_)) => return Err(failed(why)),
    }
    revision(into, ours).map_err(failed)
}

fn fetch_spec(url: &str, spec: &str, options: &[&str], into: &Path) -> Result<(), String> {
    let mut fetch = git(Some(into));
    fetch
        .args([
            "fetch",
            "--quiet",
            "--no-write-fetch-head",
            "--no-auto-maintenance",
        ])
        .args(options)
        .args(["--no-recurse-submodules", "--", url, spec]);
    over_the_network(&mut fetch, into)
}

/// Runs a command that contacts another machine, within limits; `into` is git's folder that grows.
fn over_the_network(git: &mut Command, into: &Path) -> Result<(), String> {
    let bounds = Bounds {
        time: FETCH,
        out: 1 << 20,
    };
    let not_too_large = || {
        if size_of(into) > MOST_FETCHED {
            return Err(format!("it is larger than {} MiB", MOST_FETCHED >> 20));
        }
        Ok(())
    };
    process::run(git, b"", bounds, &not_too_large)?.ok()?;
    Ok(())
}

/// A clone with a work tree, for a program that reads a manual as a folder without a user: neither
/// git nor its ssh asks a question.
///
/// Unlike [`fetch`] it has a work tree. Its hooks do not run, and only its own history is fetched.
#[derive(Clone, Copy, Debug)]
pub struct Clone<'a> {
    /// Its folder.
    pub folder: &'a Path,
    /// The address of the repository.
    pub url: &'a str,
    /// The branch or the tag; the default branch if absent.
    pub branch: Option<&'a str>,
}

impl Clone<'_> {
    /// Creates it, completely or not at all. Replaces existing contents of its folder.
    ///
    /// # Errors
    /// An error of git or of the file system.
    pub fn make(self) -> Result<(), String> {
        check_url(self.url)?;
        let io = |error: std::io::Error| format!("`{}`: {error}", self.folder.display());
        let beside = self.folder.parent().unwrap_or(self.folder);
        std::fs::create_dir_all(beside).map_err(io)?;
        let part = tempfile::Builder::new()
            .prefix(".clone-")
            .tempdir_in(beside)
            .map_err(io)?;
        let files = part.path().join("files");
        let mut clone = unattended(None);
        clone.args(["clone", "--quiet", "--no-tags", "--template="]);
        if let Some(branch) = self.branch {
            check_ref(branch)?;
            clone.arg(format!("--branch={branch}"));
        }
        over_the_network(
            clone.arg("--").arg(self.url).arg(&files),
            &files.join(".git"),
        )?;
        match std::fs::remove_dir_all(self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io(error)),
            _ => std::fs::rename(&files, self.folder).map_err(io),
        }
    }

    /// Fetches, and returns the repository's revision if it differs from that of the files.
    ///
    /// # Errors
    /// git's error.
    pub fn news(self) -> Result<Option<String>, String> {
        const FETCHED: &str = "refs/opsbook/fetched";
        check_url(self.url)?;
        let wanted = self.branch.unwrap_or("HEAD");
        check_ref(wanted)?;
        let mut fetch = unattended(Some(self.folder));
        fetch.args(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head"]);
        let spec = format!("+{wanted}:{FETCHED}");
        over_the_network(
            fetch.args(["--", self.url, &spec]),
            &self.folder.join(".git"),
        )?;
        let new = revision(self.folder, FETCHED)?;
        Ok((revision(self.folder, "HEAD")? != new).then_some(new))
    }

    /// Checks out a revision. Removes all other files, except those that `keep` matches (a line in
    /// the syntax of `.gitignore`).
    ///
    /// # Errors
    /// git's error.
    pub fn check_out(self, revision: &str, keep: &str) -> Result<(), String> {
        let mut reset = unattended(Some(self.folder));
        reset.args(["reset", "--quiet", "--hard", revision]);
        ask(&mut reset, b"", 1 << 20)?;
        let mut clean = unattended(Some(self.folder));
        clean.args(["clean", "--quiet", "-ffd"]);
        ask(clean.arg(format!("--exclude={keep}")), b"", 1 << 20)?;
        Ok(())
    }
}

/// A `git` whose ssh does not ask either.
fn unattended(repository: Option<&Path>) -> Command {
    let mut git = git(repository);
    git.env("GIT_SSH_COMMAND", ssh_command());
    git
}

/// The user's own ssh of git, from where git reads it. OpenSSH is told not to ask; what another
/// program does is the user's choice.
fn ssh_command() -> OsString {
    let own = std::env::var_os("GIT_SSH_COMMAND").filter(|own| !own.is_empty());
    let own = own.or_else(|| {
        let set = line(git(None).args(["config", "--get", "core.sshCommand"]));
        set.ok().filter(|set| !set.is_empty()).map(OsString::from)
    });
    let mut command = own.unwrap_or_else(|| "ssh".into());
    let text = command.to_string_lossy();
    let program = text.split_ascii_whitespace().next().unwrap_or_default();
    if program == "ssh" || program.ends_with("/ssh") {
        command.push(" -o BatchMode=yes");
    }
    command
}

/// The size of git's folder in bytes: packs are two folders deep.
fn size_of(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder.join("objects/pack"));
    let entries = entries.into_iter().flatten().flatten();
    let sizes = entries.filter_map(|entry| entry.metadata().ok());
    sizes.map(|metadata| metadata.len()).sum()
}

/// The revision of a name, 40 hexadecimal digits; for an annotated tag, the tagged revision.
///
/// # Errors
/// git's error.
pub fn revision(repository: &Path, name: &str) -> Result<String, String> {
    let mut parse = git(Some(repository));
    parse.args(["rev-parse", "--quiet", "--verify", "--end-of-options"]);
    line(parse.arg(format!("{name}^{{commit}}")))
}

/// The tags of a remote repository, each with its revision.
///
/// # Errors
/// git's error.
pub fn tags(url: &str) -> Result<Vec<(String, String)>, String> {
    check_url(url)?;
    let mut list = git(None);
    list.args(["ls-remote", "--tags", "--", url]);
    let bounds = Bounds {
        time: Duration::from_mins(1),
        out: 16 << 20,
    };
    let out = process::run(&mut list, b"", bounds, &|| Ok(()))?.ok()?;
    let text = String::from_utf8_lossy(&out).into_owned();
    let mut tags: HashMap<String, String> = HashMap::new();
    for line in text.lines() {
        let Some((revision, name)) = line.split_once('\t') else {
            continue;
        };
        let name = name.trim_start_matches("refs/tags/");
        let (name, peeled) = match name.strip_suffix("^{}") {
            Some(name) => (name, true),
            None => (name, false),
        };
        if peeled || !tags.contains_key(name) {
            tags.insert(name.to_owned(), revision.to_owned());
        }
    }
    let mut tags: Vec<_> = tags.into_iter().collect();
    tags.sort();
    Ok(tags)
}

/// A line of `git ls-tree`.
struct Blob {
    path: String,
    mode: Mode,
    id: String,
    size: u64,
}

/// The selected files of one folder of a revision.
///
/// # Errors
/// If git does not return them, or they may not be in a package.
pub fn tree(
    repository: &Path,
    revision: &str,
    subdir: Option<&str>,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Tree, NoFiles> {
    let mut list = git(Some(repository));
    list.args(["ls-tree", "-r", "-z", "-l", "--full-tree"]);
    let name = match subdir {
        Some(subdir) => format!("{revision}:{subdir}"),
        None => revision.to_owned(),
    };
    let listed = ask(list.arg(name), b"", 64 << 20).map_err(failed)?;
    let mut blobs = Vec::new();
    for line in listed
        .split(|byte| *byte == 0)
        .filter(|line| !line.is_empty())
    {
        if let Some(blob) = blob(line, wanted)? {
            blobs.push(blob);
        }
    }
    let total = blobs.iter().map(|blob| blob.size).sum::<u64>();
    if blobs.len() > MOST_FILES || total > MOST_BYTES {
        let most = MOST_BYTES >> 20;
        return Err(NoFiles {
            code: "bad-package",
            message: format!("it has more than {MOST_FILES} files, or more than {most} MiB"),
        });
    }
    contents(repository, &blobs, total)
}

fn blob(line: &[u8], wanted: &dyn Fn(&str) -> bool) -> Result<Option<Blob>, NoFiles> {
    let odd = || failed("the output of `git ls-tree` is invalid");
    let bad = |message: String| NoFiles {
        code: "bad-package",
        message,
    };
    let text =
        std::str::from_utf8(line).map_err(|_| bad("a name of a file is not UTF-8".into()))?;
    let (head, path) = text.split_once('\t').ok_or_else(odd)?;
    if !wanted(path) {
        return Ok(None);
    }
    let mut words = head.split_whitespace();
    let (Some(mode), Some(_), Some(id), Some(size)) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(odd());
    };
    let mode = match mode {
        "100644" | "100664" => Mode::Plain,
        "100755" => Mode::Executable,
        "120000" => Mode::Link,
        "160000" => {
            return Err(NoFiles {
                code: "submodule",
                message: format!(
                    "`{}` is a submodule, which a package cannot have",
                    shown(path)
                ),
            });
        }
        _ => {
            return Err(bad(format!(
                "`{}` has a type that a package cannot have",
                shown(path)
            )));
        }
    };
    tree::check_path(path).map_err(bad)?;
    Ok(Some(Blob {
        path: path.to_owned(),
        mode,
        id: id.to_owned(),
        size: size.parse().map_err(|_| odd())?,
    }))
}

fn contents(repository: &Path, blobs: &[Blob], total: u64) -> Result<Tree, NoFiles> {
    let ids: String = blobs.iter().map(|blob| format!("{}\n", blob.id)).collect();
    let room = usize::try_from(total).unwrap_or(usize::MAX) + 256 * (blobs.len() + 1);
    let mut cat = git(Some(repository));
    cat.args(["cat-file", "--batch"]);
    let out = ask(&mut cat, ids.as_bytes(), room).map_err(failed)?;
    let odd = || failed("the output of `git cat-file` is invalid");
    let mut rest = &out[..];
    let mut tree = Tree::default();
    for blob in blobs {
        let end = rest
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or_else(odd)?;
        let head = format!("{} blob {}", blob.id, blob.size);
        let size = usize::try_from(blob.size).map_err(|_| odd())?;
        if rest[..end] != *head.as_bytes() || rest.len() < end + size + 2 {
            return Err(odd());
        }
        let bytes = rest[end + 1..=end + size].to_vec();
        rest = &rest[end + size + 2..];
        if bytes.starts_with(b"version https://git-lfs.github.com/spec/") {
            let path = shown(&blob.path);
            return Err(NoFiles {
                code: "lfs-pointer",
                message: format!("`{path}` is in Git LFS: git has only a pointer to it"),
            });
        }
        let entry = Entry {
            mode: blob.mode,
            bytes,
        };
        let added = tree.add(&blob.path, entry);
        added.map_err(|message| NoFiles {
            code: "bad-package",
            message,
        })?;
    }
    tree.check().map_err(|message| NoFiles {
        code: "bad-package",
        message,
    })?;
    Ok(tree)
}

/// The work tree that contains a folder.
#[derive(Clone, Debug)]
pub struct Work {
    /// The folder within it; `None` if it is the whole tree.
    pub subdir: Option<String>,
    /// Its current revision.
    pub revision: String,
    /// Files of the folder that differ from the revision; untracked ones have a leading `?`.
    pub dirty: Vec<String>,
}

/// git's knowledge of a folder; `None` without version control or without a commit.
///
/// # Errors
/// git's error.
pub fn work(folder: &Path) -> Result<Option<Work>, String> {
    let kept = folder
        .ancestors()
        .any(|folder| folder.join(".git").exists());
    if !kept {
        return Ok(None);
    }
    let mut prefix = git(Some(folder));
    let subdir = line(prefix.args(["rev-parse", "--show-prefix"]))?;
    let subdir = subdir.trim_end_matches('/');
    let Ok(revision) = revision(folder, "HEAD") else {
        return Ok(None);
    };
    let mut status = git(Some(folder));
    status.args([
        "status",
        "--porcelain",
        "-z",
        "--untracked-files=all",
        "--no-renames",
    ]);
    let out = ask(status.args(["--", "."]), b"", 64 << 20)?;
    let text = String::from_utf8_lossy(&out).into_owned();
    let own = |path: &str| match subdir {
        "" => path.to_owned(),
        _ => path
            .strip_prefix(&format!("{subdir}/"))
            .unwrap_or(path)
            .to_owned(),
    };
    let dirty = text.split('\0').filter(|line| line.len() > 3).map(|line| {
        let mark = if line.starts_with("??") { "?" } else { "" };
        format!("{mark}{}", own(&line[3..]))
    });
    Ok(Some(Work {
        dirty: dirty.collect(),
        subdir: (!subdir.is_empty()).then(|| subdir.to_owned()),
        revision,
    }))
}

/// The names of the tracked files of a folder.
///
/// # Errors
/// git's error.
pub fn tracked(folder: &Path) -> Result<Vec<String>, String> {
    let mut list = git(Some(folder));
    let out = ask(list.args(["ls-files", "-z", "--cached"]), b"", 64 << 20)?;
    let text = String::from_utf8_lossy(&out).into_owned();
    let names = text.split('\0').filter(|name| !name.is_empty());
    Ok(names.map(str::to_owned).collect())
}
