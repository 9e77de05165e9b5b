//! F26: many nodes, some of them dead. Every dead one is named with its one cause, the others are
//! unaffected, and memory, files and processes are limited.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use indoc::indoc;

use crate::crowd::{Crowd, Dead};
use crate::sshd::or_skip;

const PAGE: &str = indoc! {"
    # Page

    ```yaml checks
    id: g
    file:
      /etc/passwd: {exists: true}
      /nope: {exists: false}
    ```
"};

/// A manual with one check of two parts, for all nodes of a crowd.
pub struct Project(tempfile::TempDir);

/// The largest values observed while it ran.
#[derive(Debug, Default)]
struct Most {
    kibibytes: u64,
    files: usize,
    children: usize,
    zombies: usize,
}

impl Project {
    pub fn new(crowd: &Crowd) -> Project {
        let project = Project(tempfile::tempdir().unwrap());
        fs::create_dir_all(project.path("manual")).unwrap();
        fs::create_dir(project.path("run")).unwrap();
        for (path, text) in [
            ("book.toml", "[book]\nsrc = \"manual\"\n"),
            ("manual/SUMMARY.md", "- [Page](page.md)\n"),
            ("manual/page.md", PAGE),
            ("nodes.yaml", &crowd.nodes()),
        ] {
            fs::write(project.path(path), text).unwrap();
        }
        project
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// `opsbook test` in a shell that first runs `first`.
    pub fn test(&self, first: &str, args: &[&str]) -> Child {
        Command::new("sh")
            .args(["-c", &format!("{first}exec \"$0\" \"$@\"")])
            .arg(env!("CARGO_BIN_EXE_opsbook"))
            .arg("-C")
            .arg(self.0.path())
            .arg("test")
            .args(args)
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .stdin(Stdio::null())
            .stdout(fs::File::create(self.path("out")).unwrap())
            .stderr(fs::File::create(self.path("err")).unwrap())
            .spawn()
            .unwrap()
    }

    /// Waits for its end, and observes the largest values.
    fn watched(&self, mut child: Child) -> (Output, Most) {
        let mut most = Most::default();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            most.see(child.id());
            std::thread::sleep(Duration::from_millis(5));
        };
        let read = |path| fs::read(self.path(path)).unwrap();
        let (stdout, stderr) = (read("out"), read("err"));
        let output = Output {
            status,
            stdout,
            stderr,
        };
        (output, most)
    }
}

impl Most {
    fn see(&mut self, pid: u32) {
        let process = PathBuf::from(format!("/proc/{pid}"));
        let status = fs::read_to_string(process.join("status")).unwrap_or_default();
        if !status.starts_with("Name:\topsbook\n") {
            // Not yet: it still has the files of its parent.
            return;
        }
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
        self.kibibytes = now.unwrap_or(self.kibibytes);
        let files = fs::read_dir(process.join("fd")).map_or(0, Iterator::count);
        self.files = self.files.max(files);
        let children = children(&process);
        self.children = self.children.max(children.len());
        self.zombies = self
            .zombies
            .max(children.iter().filter(|c| **c == 'Z').count());
    }
}

/// The states of a process's children.
fn children(process: &Path) -> Vec<char> {
    let tasks = fs::read_dir(process.join("task")).into_iter().flatten();
    let lists = tasks
        .flatten()
        .map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
    let pids: Vec<String> = lists
        .flat_map(|list| list.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let state = |pid: &String| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.chars().next()
    };
    pids.iter().filter_map(state).collect()
}

/// The message that `opsbook test` must print about it.
fn cause(dead: Dead) -> &'static str {
    match dead {
        Dead::Refuses => "cannot be reached: connection refused",
        Dead::IsSilent => "cannot be reached: timed out",
        Dead::CutsEarly | Dead::CutsLate => "cannot be reached: connection cut",
    }
}

#[test]
fn f26_of_100_nodes_each_dead_one_is_named_with_its_cause_and_the_others_are_unaffected() {
    let Some(crowd) = or_skip("F26", Crowd::start(100, 10)) else {
        return;
    };
    let project = Project::new(&crowd);
    let began = Instant::now();
    let child = project.test("", &["--connect-timeout", "3s"]);
    let (output, most) = project.watched(child);
    let took = began.elapsed();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    eprintln!("{took:?} {most:?}\n{err}");
    assert_eq!(output.status.code(), Some(3), "{err}");
    assert!(out.contains(" 180 passed; 0 failed; 0 ignored; "), "{out}");
    assert!(out.contains("\ncould not look: 20 tests\n"), "{out}");
    let mut lines = out.lines().skip_while(|line| *line != "could not look:");
    assert_eq!(lines.next(), Some("could not look:"));
    for (name, dead) in crowd.dead() {
        let line = lines.next().unwrap_or_default();
        let begin = format!("    2 tests on {name}: ");
        assert!(line.starts_with(&begin), "{name}, {dead:?}: {line}");
        assert!(line.contains(cause(dead)), "{name}, {dead:?}: {line}");
    }
    assert_eq!(lines.next(), Some(""));
    // Ten times the normal duration.
    assert!(took < Duration::from_mins(3), "{took:?}");
    assert!(most.kibibytes < 100 << 10, "{most:?}");
    // One `ssh` for each of 50 nodes at a time, and no zombies.
    assert!(most.children <= 55 && most.zombies <= 10, "{most:?}");
    assert!(most.files < 50 * 8, "{most:?}");
    let left = fs::read_dir(project.path("run/opsbook")).unwrap().count();
    assert_eq!(left, 0, "control sockets are left");
}

#[test]
fn f26_where_few_files_may_be_open_fewer_nodes_are_asked_at_a_time_and_that_is_said() {
    let Some(crowd) = or_skip("F26", Crowd::start(40, 1000)) else {
        return;
    };
    let project = Project::new(&crowd);
    let child = project.test("ulimit -n 128; ", &["--parallel", "40"]);
    let (output, most) = project.watched(child);
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    assert_eq!(
        err,
        "note: at most 128 files may be open at once (`ulimit -n`): 8 nodes at a time instead of 40\n"
    );
    assert!(most.children <= 9 && most.files < 128, "{most:?}");
}
