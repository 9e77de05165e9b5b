//! A manual in its own folder, and the built `opsbook` run on it with a cleared environment. A test
//! must state all output: unstated streams must be empty, and an unstated status must be 0.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use opsbook::event::{Event, Status, StepEnded, What};
use opsbook::journal::{self, Record, State};
use opsbook::session::Ssh;
use regex::Regex;

use crate::sshd;

/// No call takes this long unless something hangs.
const BOUND: Duration = Duration::from_secs(150);

/// A manual with one page, and a home directory.
pub struct Project {
    dir: tempfile::TempDir,
}

/// A call of `opsbook`, and its expected result.
pub struct Call<'a> {
    project: &'a Project,
    command: Command,
    input: String,
    status: i32,
    out: String,
    err: String,
}

/// The result of a call.
#[derive(Debug)]
pub struct Said {
    pub status: i32,
    pub out: String,
    pub err: String,
    /// The largest observed memory use, in KiB.
    pub memory: u64,
}

/// A running call; killed when dropped.
pub struct Running<'a> {
    project: &'a Project,
    child: Child,
    streams: Vec<std::thread::JoinHandle<String>>,
}

impl Project {
    /// A project with a page for the local node `here`.
    pub fn new(page: &str) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("opsbook-project-")
            .tempdir()
            .unwrap();
        let project = Self { dir };
        fs::create_dir(project.path("home")).unwrap();
        project.write("book.toml", "[book]\ntitle = \"Test\"\nsrc = \"manual\"\n");
        project.write("manual/SUMMARY.md", "- [Page](page.md)\n");
        project.nodes("  here: {transport: local}\n");
        project.page(page);
        project
    }

    /// This project's own manual, with test nodes in the first file of a folder.
    pub fn of_our_own() -> Self {
        let project = Self::new("# Page\n");
        let ours = Path::new(env!("CARGO_MANIFEST_DIR"));
        for part in [
            "manual",
            "templates",
            "examples",
            "tests/cli",
            "book.toml",
            "opsbook.toml",
        ] {
            copy(&ours.join(part), &project.path(part));
        }
        fs::remove_file(project.path("nodes.yaml")).unwrap();
        fs::create_dir(project.path("nodes")).unwrap();
        fs::copy(ours.join("nodes.yaml"), project.path("nodes/10-ours.yaml")).unwrap();
        project
    }

    pub fn page(&self, text: &str) {
        self.write("manual/page.md", text);
    }

    /// Sets the text below `nodes:`.
    pub fn nodes(&self, text: &str) {
        self.write("nodes.yaml", &format!("opsbook: 1\nnodes:\n{text}"));
    }

    /// Sets one node, reached by ssh, with further lines.
    pub fn node(&self, name: &str, ssh: &Ssh, more: &str) {
        self.nodes(&node(name, ssh, more));
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn root(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap()
    }

    /// The default state folder.
    pub fn state(&self) -> State {
        State::beside(&self.root())
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// A file below the home directory of the node `here`.
    pub fn home(&self, path: &str) -> PathBuf {
        self.path("home").join(path)
    }

    /// The contents of a file in the home directory; empty if it does not exist.
    pub fn text(&self, path: &str) -> String {
        fs::read_to_string(self.home(path)).unwrap_or_default()
    }

    pub fn opsbook(&self, arguments: &[&str]) -> Call<'_> {
        self.call(Command::new(env!("CARGO_BIN_EXE_opsbook")), arguments)
    }

    /// The same through another command, which runs its last arguments.
    pub fn through(&self, wrapper: &[&str], arguments: &[&str]) -> Call<'_> {
        let mut command = Command::new(wrapper[0]);
        command
            .args(&wrapper[1..])
            .arg(env!("CARGO_BIN_EXE_opsbook"));
        self.call(command, arguments)
    }

    fn call(&self, mut command: Command, arguments: &[&str]) -> Call<'_> {
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.path("home"));
        Call {
            project: self,
            command,
            input: String::new(),
            status: 0,
            out: String::new(),
            err: String::new(),
        }
    }

    /// The latest run's journal. Run names have a resolution of one second; events order them.
    pub fn record(&self) -> Record {
        let state = self.state();
        let runs = journal::runs(&state);
        let read = runs.iter().map(|run| journal::read(&state, run).unwrap());
        let began = |record: &Record| record.events.first().map(|event| event.at.clone());
        read.max_by_key(began).expect("a run")
    }

    pub fn runs(&self) -> usize {
        journal::runs(&self.state()).len()
    }

    pub fn events(&self) -> Vec<Event> {
        self.record().events
    }

    /// How a step of the latest run ended last.
    pub fn ended(&self, step: usize) -> StepEnded {
        let events = self.events().into_iter().rev();
        let mut ends = events.filter_map(|event| match event.what {
            What::StepEnded(ended) if event.step == Some(step) => Some(ended),
            _ => None,
        });
        ends.next().expect("the step has ended")
    }

    pub fn status(&self) -> Option<Status> {
        self.record().status()
    }

    /// The text of all journals.
    pub fn journal_text(&self) -> String {
        let folder = self.state().runs();
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        files
            .filter_map(|file| fs::read_to_string(file.path()).ok())
            .collect()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    let done = Command::new("cp").arg("-RT").args([from, to]).status();
    assert!(done.unwrap().success(), "{}", from.display());
}

/// A line of `nodes.yaml` for a node reached by ssh.
pub fn node(name: &str, ssh: &Ssh, more: &str) -> String {
    let json = |text: &str| serde_json::to_string(text).unwrap();
    let options: Vec<_> = ssh.options.iter().map(|option| json(option)).collect();
    let mut text = format!("  {name}:\n    address: {}\n", json(&ssh.host));
    let user = ssh.user.as_deref().unwrap_or("root");
    let identity = ssh.identity.as_deref().unwrap_or(Path::new("none"));
    text += &format!("    user: {}\n", json(user));
    if let Some(port) = ssh.port {
        text += &format!("    port: {port}\n");
    }
    text += &format!("    identity: {}\n", json(&identity.to_string_lossy()));
    text += &format!("    ssh_options: [{}]\n", options.join(", "));
    if ssh.in_process {
        text += "    transport: russh\n";
    }
    text + more
}

impl<'a> Call<'a> {
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn input(mut self, text: &str) -> Self {
        text.clone_into(&mut self.input);
        self
    }

    pub fn status(mut self, status: i32) -> Self {
        self.status = status;
        self
    }

    /// Sets the expected standard output: `[..]` matches anything within a line, `...` any lines.
    pub fn out(mut self, text: &str) -> Self {
        text.clone_into(&mut self.out);
        self
    }

    /// Sets the expected standard error in the same way.
    pub fn err(mut self, text: &str) -> Self {
        text.clone_into(&mut self.err);
        self
    }

    /// Runs it, and compares everything.
    #[track_caller]
    pub fn check(self) -> Said {
        let (status, out, err) = (self.status, self.out.clone(), self.err.clone());
        let said = self.said();
        assert_eq!(said.status, status, "{}{}", said.out, said.err);
        assert_like("standard output", &out, &said.out);
        assert_like("standard error", &err, &said.err);
        said
    }

    /// Runs it, and compares only its status.
    #[track_caller]
    pub fn ends(self, status: i32) -> Said {
        let said = self.said();
        assert_eq!(said.status, status, "{}{}", said.out, said.err);
        said
    }

    /// Runs it.
    #[track_caller]
    pub fn said(self) -> Said {
        self.start().wait()
    }

    /// Starts it.
    pub fn start(mut self) -> Running<'a> {
        let piped = if self.input.is_empty() {
            Stdio::null()
        } else {
            Stdio::piped()
        };
        let mut child = self
            .command
            .stdin(piped)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        if let Some(mut input) = child.stdin.take() {
            input.write_all(self.input.as_bytes()).unwrap();
        }
        let out = collect(child.stdout.take().unwrap());
        let err = collect(child.stderr.take().unwrap());
        Running {
            project: self.project,
            child,
            streams: vec![out, err],
        }
    }
}

fn collect(mut from: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

impl Running<'_> {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: &str) {
        sshd::kill(self.child.id(), signal);
    }

    /// Waits until the latest journal has such an event.
    #[track_caller]
    pub fn until(&mut self, what: &str, holds: impl Fn(&Event) -> bool) {
        let begin = Instant::now();
        loop {
            let state = self.project.state();
            let runs = journal::runs(&state);
            let record = runs
                .iter()
                .max()
                .and_then(|run| journal::read(&state, run).ok());
            if record.is_some_and(|record| record.events.iter().any(&holds)) {
                return;
            }
            let ended = self.child.try_wait().unwrap();
            self.still_runs(ended, what);
            assert!(begin.elapsed() < BOUND, "never: {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[track_caller]
    fn still_runs(&mut self, ended: Option<std::process::ExitStatus>, what: &str) {
        if let Some(status) = ended {
            let said = self.streams.drain(..).map(|one| one.join().unwrap());
            let said: String = said.collect();
            panic!("it ended ({status}) before: {what}: {said}");
        }
    }

    #[track_caller]
    pub fn until_file(&mut self, path: &Path) {
        let begin = Instant::now();
        while !path.exists() {
            let ended = self.child.try_wait().unwrap();
            self.still_runs(ended, &path.display().to_string());
            assert!(begin.elapsed() < BOUND, "never: {}", path.display());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[track_caller]
    pub fn wait(mut self) -> Said {
        let begin = Instant::now();
        let mut memory = 0;
        let status = loop {
            memory = memory.max(peak(self.child.id()));
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begin.elapsed() < BOUND, "still running after {BOUND:?}");
            std::thread::sleep(Duration::from_millis(5));
        };
        let mut streams = self.streams.drain(..).map(|stream| stream.join().unwrap());
        let (out, err) = (streams.next().unwrap(), streams.next().unwrap());
        drop(streams);
        use std::os::unix::process::ExitStatusExt as _;
        Said {
            status: status
                .code()
                .unwrap_or_else(|| -status.signal().unwrap_or(0)),
            out,
            err,
            memory,
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Said {
    #[track_caller]
    pub fn has(&self, text: &str) -> &Self {
        let all = format!("{}{}", self.out, self.err);
        assert!(all.contains(text), "`{text}` is not in:\n{all}");
        self
    }

    #[track_caller]
    pub fn lacks(&self, text: &str) -> &Self {
        let all = format!("{}{}", self.out, self.err);
        assert!(!all.contains(text), "`{text}` is in:\n{all}");
        self
    }
}

fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[track_caller]
fn assert_like(what: &str, expected: &str, found: &str) {
    let mut pattern = String::from(r"\A");
    for line in expected.lines() {
        if line == "..." {
            pattern += r"(?:.*\n)*?";
        } else {
            let parts: Vec<_> = line.split("[..]").map(regex::escape).collect();
            pattern += &parts.join(".*");
            pattern += r"\n";
        }
    }
    pattern += r"\z";
    let like = Regex::new(&pattern).unwrap().is_match(found);
    assert!(
        like,
        "{what}\n--- expected:\n{expected}\n--- found:\n{found}---"
    );
}

/// Processes of this machine whose command line contains a marker.
pub fn running(marker: &str) -> Vec<u32> {
    let own = std::process::id();
    sshd::processes()
        .filter(|pid| *pid != own)
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(marker))
        })
        .collect()
}

/// A number for `sleep` that no other process uses.
pub fn marker() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("9{:07}{number:02}", std::process::id() % 10_000_000)
}
