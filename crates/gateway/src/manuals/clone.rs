//! The gateway's own clone of a manual's repository, brought up to the branch again and again.
//! Whoever reads the manual meanwhile is waited for: nobody plans with half of a revision.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::Manual;
use crate::config::Source;
use crate::project::git;

/// How long git may take.
const LIMIT: Duration = Duration::from_mins(2);

impl Manual {
    /// The revision that its branch has now, where it is a clone of ours.
    ///
    /// # Errors
    /// Where git says no: the revision before is served on.
    pub fn bring(&self) -> Result<(), String> {
        let Source::Git { from, branch } = &self.source else {
            return Ok(());
        };
        let root = &self.root;
        if !root.join(".git").exists() {
            return cloned(root, from, branch.as_deref());
        }
        let branch = branch.as_deref().unwrap_or("HEAD");
        run(git(root).args(["fetch", "--quiet", "--no-tags", "--", from, branch]))?;
        let (now, new) = (revision(root, "HEAD")?, revision(root, "FETCH_HEAD")?);
        if now == new {
            return Ok(());
        }
        let _nobody_reads = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        run(git(root).args(["reset", "--quiet", "--hard", "FETCH_HEAD"]))?;
        // What an inventory says stays (`crate::inventory`).
        let keep = "--exclude=/nodes/*.inventory.yaml";
        run(git(root).args(["clean", "--quiet", "-ffd", keep]))
    }
}

/// Whole, or not there.
fn cloned(root: &Path, from: &str, branch: Option<&str>) -> Result<(), String> {
    let below = root.parent().unwrap_or(root);
    std::fs::create_dir_all(below).map_err(|error| error.to_string())?;
    let mut part = root.as_os_str().to_owned();
    part.push(".part");
    let part = Path::new(&part);
    let _ = std::fs::remove_dir_all(part);
    let mut command = git(below);
    command.args(["clone", "--quiet", "--no-tags"]);
    if let Some(branch) = branch {
        command.arg(format!("--branch={branch}"));
    }
    run(command.arg("--").arg(from).arg(part))?;
    let _ = std::fs::remove_dir_all(root);
    std::fs::rename(part, root).map_err(|error| error.to_string())
}

fn revision(root: &Path, name: &str) -> Result<String, String> {
    let out = git(root).args(["rev-parse", name]).output();
    let out = out.map_err(|error| format!("`git`: {error}"))?;
    Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

/// Runs git, for so long and no longer; asks nobody for a password, and starts no program that an
/// address names.
fn run(command: &mut Command) -> Result<(), String> {
    let mut child = command
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
        .env("GIT_ALLOW_PROTOCOL", "file:https:ssh:git:http")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("`git`: {error}"))?;
    let begin = Instant::now();
    let stderr = child.stderr.take();
    // It says little, and is read while it works.
    let said = std::thread::spawn(move || {
        use std::io::Read as _;
        let mut said = Vec::new();
        if let Some(stderr) = stderr {
            let _ = stderr.take(64 << 10).read_to_end(&mut said);
        }
        String::from_utf8_lossy(&said).into_owned()
    });
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(_)) => break,
            Ok(None) if begin.elapsed() < LIMIT => {
                std::thread::sleep(Duration::from_millis(20));
            }
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("`git` took more than {} seconds", LIMIT.as_secs()));
            }
        }
    }
    let said = said.join().unwrap_or_default();
    let line = said.lines().rfind(|line| !line.trim().is_empty());
    Err(format!(
        "`git`: {}",
        crate::outside::line(line.unwrap_or("it failed"))
    ))
}
