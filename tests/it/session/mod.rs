//! Sessions on real shells: this machine's own shells and private `sshd`s.

mod connections;
mod deliveries;
mod ends;
mod own_ssh;
mod scripts;
pub mod shared;
mod sudo;
mod values;

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use opsbook::session::{Cancel, Done, Exec, Limits, Script, Session, Target, Values};

use crate::sshd::{self, options};

/// No test takes this long unless something hangs.
const BOUND: Duration = Duration::from_secs(90);

async fn bounded<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(BOUND, work)
        .await
        .expect("still at it after 90 s")
}

/// A local shell of each kind on this machine, with `sh` as that shell.
struct Shells {
    dirs: Vec<(String, tempfile::TempDir)>,
}

impl Shells {
    fn all() -> Self {
        let mut dirs = Vec::new();
        for name in ["dash", "busybox", "bash"] {
            let Some(program) = find(name) else {
                eprintln!("skipped {name}: not installed");
                continue;
            };
            let dir = tempfile::tempdir().unwrap();
            std::os::unix::fs::symlink(program, dir.path().join("sh")).unwrap();
            dirs.push((name.to_owned(), dir));
        }
        assert!(!dirs.is_empty());
        Self { dirs }
    }

    async fn each<F: Future<Output = ()>>(test: impl Fn(Session) -> F) {
        for (name, dir) in &Self::all().dirs {
            let path = format!("PATH={}:/usr/bin:/bin", dir.path().display());
            let argv = ["/usr/bin/env", &path, "sh"].map(str::to_owned).to_vec();
            let session = Session::open(&Target::Exec(Exec::of(argv)), &options())
                .await
                .unwrap();
            assert_eq!(session.hello().shell, *name);
            bounded(test(session.clone())).await;
            bounded(session.close()).await;
            assert!(
                !Path::new(&session.hello().dir).exists(),
                "{name} leaves its directory"
            );
        }
    }
}

fn find(name: &str) -> Option<PathBuf> {
    ["/bin", "/usr/bin"]
        .iter()
        .map(|dir| Path::new(dir).join(name))
        .find(|path| path.exists())
}

async fn sh(session: &Session, text: &str) -> Done {
    sh_with(session, text, &Values::new(), Limits::seconds(60)).await
}

async fn sh_with(session: &Session, text: &str, values: &Values, limits: Limits) -> Done {
    session
        .run(&Script::new("sh", text), values, limits)
        .await
        .unwrap()
}

fn out(done: &Done) -> &str {
    std::str::from_utf8(&done.out).unwrap()
}

fn err(done: &Done) -> &str {
    std::str::from_utf8(&done.err).unwrap()
}

/// For work that nobody cancels.
fn never() -> &'static Cancel {
    static NEVER: LazyLock<Cancel> = LazyLock::new(Cancel::new);
    &NEVER
}

/// Waits for a condition.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(30), "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn running(marker: &str) -> bool {
    sshd::processes().any(|pid| has(pid, marker))
}

/// Whether a process's command line contains this.
fn has(pid: u32, marker: &str) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
        String::from_utf8_lossy(&line)
            .replace('\0', " ")
            .contains(marker)
    })
}
