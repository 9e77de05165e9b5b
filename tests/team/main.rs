//! A gateway, runners and a node of this machine: runs that are asked for, watched, answered,
//! stopped and handed over, and each of the processes killed in the middle. Every step is run
//! once, and no state stays behind that is not true.

#![allow(
    clippy::unwrap_used,
    clippy::missing_docs_in_private_items,
    reason = "a test that cannot go on fails"
)]

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::Value;

use sshd::{Sshd, or_skip};

mod certificates;
mod clones;
mod cluster;
mod forms;
mod full;
mod past;
mod sealed;
mod store_lost;
mod versions;

#[path = "../it/git_https.rs"]
mod git_https;
#[allow(
    dead_code,
    reason = "it is of another test target, which needs more of it"
)]
#[path = "../it/sshd.rs"]
mod sshd;

/// Far above what a busy machine takes.
const BOUND: Duration = Duration::from_mins(2);

/// Three steps; the second waits for the file `go`.
const PAGE: &str = include_str!("../it/three_steps.md");

/// A runner that is frozen is given up soon.
const SOON: &str = "[runners]\nlease = \"3s\"\nadopt_after = \"1s\"\n";
const TWO: &str = "one\ntwo\n";
const ALL: &str = "one\ntwo\nthree value-1\n";

/// A process that is killed when its test ends.
struct Process(Child);

impl Process {
    fn signal(&self, signal: &str) {
        send(signal, &self.0.id().to_string());
    }

    fn kill(mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A stopped process hears nothing else.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn send(signal: &str, pid: &str) {
    let sent = Command::new("kill").args(["-s", signal, pid]).status();
    assert!(sent.unwrap().success(), "{signal} {pid}");
}

/// A manual in a folder of its own, with its gateway and runners.
struct Team {
    dir: tempfile::TempDir,
    gateway: Option<Process>,
}

impl Team {
    fn new(page: &str, config: &str) -> Team {
        Team::with(page, config, |_| {})
    }

    /// `before` has the state folder of the gateway, which does not serve yet.
    fn with(page: &str, config: &str, before: impl FnOnce(&Path)) -> Team {
        let dir = tempfile::Builder::new()
            .prefix("ob-team-")
            .tempdir()
            .unwrap();
        let mut team = Team { dir, gateway: None };
        for folder in ["home", "m/manual", "m/.opsbook/gateway"] {
            fs::create_dir_all(team.path(folder)).unwrap();
        }
        let private = fs::Permissions::from_mode(0o700);
        fs::set_permissions(team.path("m/.opsbook/gateway"), private).unwrap();
        team.write("m/book.toml", "[book]\ntitle = \"T\"\nsrc = \"manual\"\n");
        team.write("m/manual/SUMMARY.md", "- [Page](page.md)\n");
        team.write("m/manual/page.md", page);
        team.write(
            "m/nodes.yaml",
            "opsbook: 1\nnodes:\n  here: {transport: local}\n",
        );
        before(&team.path("m/.opsbook/gateway"));
        team.write("m/.opsbook/gateway/gateway.toml", config);
        team.start_gateway();
        team
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn ran(&self) -> String {
        fs::read_to_string(self.path("home/ran")).unwrap_or_default()
    }

    /// A node that is reached by ssh, in the place of the one of this machine.
    fn node(&self, node: &Sshd) {
        let ssh = node.ssh();
        let json = |text: &str| serde_json::to_string(text).unwrap();
        let options: Vec<String> = ssh.options.iter().map(|option| json(option)).collect();
        let identity = ssh.identity.unwrap();
        self.write(
            "m/nodes.yaml",
            &format!(
                "opsbook: 1\nnodes:\n  here:\n    address: {}\n    user: {}\n    port: {}\n    identity: {}\n    ssh_options: [{}]\n",
                json(&ssh.host),
                json(&ssh.user.unwrap()),
                ssh.port.unwrap(),
                json(&identity.to_string_lossy()),
                options.join(", ")
            ),
        );
    }

    fn go(&self) {
        self.write("home/go", "");
    }

    fn again(&self) {
        for name in ["ran", "go"] {
            let _ = fs::remove_file(self.path("home").join(name));
        }
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.path("m"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.path("home"))
            .stdin(Stdio::null());
        command
    }

    fn log(&self) -> File {
        let path = self.path("log");
        File::options()
            .create(true)
            .append(true)
            .open(path)
            .unwrap()
    }

    fn background(&self, mut command: Command) -> Process {
        command.stdout(self.log()).stderr(self.log());
        Process(command.spawn().unwrap())
    }

    /// What the gateway listens on.
    fn address(&self) -> String {
        let text = fs::read(self.path("m/.opsbook/gateway/address.json")).unwrap();
        let local: Value = serde_json::from_slice(&text).unwrap();
        local["url"].as_str().unwrap().to_owned()
    }

    /// Its socket, as an address.
    fn socket(&self) -> String {
        let text = fs::read(self.path("m/.opsbook/gateway/address.json")).unwrap();
        let local: Value = serde_json::from_slice(&text).unwrap();
        format!("unix:{}", local["socket"].as_str().unwrap())
    }

    /// The last word of the line with these words that a process in the background has said.
    fn word_after(&self, words: &str) -> String {
        let log = fs::read_to_string(self.path("log")).unwrap();
        let line = log.lines().rfind(|line| line.contains(words)).unwrap();
        line.rsplit(' ').next().unwrap().to_owned()
    }

    /// A token of enrollment, in a file.
    fn token(&self, segment: &str) {
        let mut command = self.command(&gateway());
        let output = command.args(["token", segment]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        self.write("token", &String::from_utf8(output.stdout).unwrap());
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(self.path("token"), private).unwrap();
    }

    fn start_gateway(&mut self) {
        self.start_gateway_with(&[]);
    }

    fn start_gateway_with(&mut self, environment: &[(&str, &str)]) {
        self.start_this_gateway(&gateway(), environment);
    }

    fn start_this_gateway(&mut self, program: &Path, environment: &[(&str, &str)]) {
        let mut command = self.command(program);
        command.args(["--no-runner", "--listen", "127.0.0.1:0"]);
        command.envs(environment.iter().copied());
        self.gateway = Some(self.background(command));
        until("the gateway serves", || {
            self.opsbook(&["runs"]).status.code() != Some(3)
        });
    }

    fn kill_gateway(&mut self) {
        self.gateway.take().unwrap().kill();
    }

    fn runner(&self, name: &str) -> Process {
        self.runner_with(name, &[])
    }

    fn runner_with(&self, name: &str, more: &[&str]) -> Process {
        self.this_runner(Path::new(env!("CARGO_BIN_EXE_opsbook")), name, more)
    }

    fn this_runner(&self, program: &Path, name: &str, more: &[&str]) -> Process {
        let mut command = self.command(program);
        let state = self.path(name);
        command
            .args(["runner", "run", "--beat", "1s", "--state"])
            .arg(state)
            .args(more);
        self.background(command)
    }

    fn opsbook(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(Path::new(env!("CARGO_BIN_EXE_opsbook")));
        command.args(arguments).output().unwrap()
    }

    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.opsbook(arguments);
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = format!("{out}{}", String::from_utf8_lossy(&output.stderr));
        assert!(
            output.status.success(),
            "{arguments:?}: {said}{}",
            self.said()
        );
        out
    }

    /// What the processes in the background have said.
    fn said(&self) -> String {
        format!(
            "\n--- log:\n{}",
            fs::read_to_string(self.path("log")).unwrap_or_default()
        )
    }

    fn ask(&self) -> String {
        let line = self.ok(&["ask", "p", "here", "--json"]);
        let asked: Value = serde_json::from_str(&line).unwrap();
        fits(&asked, "Asked");
        asked["run"].as_str().unwrap().to_owned()
    }

    /// What the gateway knows of a run.
    fn view(&self, run: &str) -> Value {
        let lines = self.ok(&["runs", "--json"]);
        let mut runs = lines
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let view = runs.find(|view| view["run"] == run).unwrap();
        fits(&view, "RunSummary");
        view
    }

    #[track_caller]
    fn is_in(&self, run: &str, state: &str) {
        until(state, || self.view(run)["state"] == state);
    }

    /// The number of the question that stands.
    fn question(&self, run: &str) -> Value {
        let mut found = None;
        until("a question", || {
            let line = self.ok(&["answer", run, "--json"]);
            found = line
                .lines()
                .next()
                .map(|line| serde_json::from_str(line).unwrap());
            found.is_some()
        });
        let found = found.unwrap();
        fits(&found, "QuestionView");
        found
    }

    fn is_at_step_two(&self) {
        until("the second step", || self.ran() == TWO);
    }

    /// The events of a run as the gateway has them.
    fn events(&self, run: &str) -> Vec<Value> {
        let lines = self.ok(&["watch", run, "--json"]);
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// The program of the gateway.
fn gateway() -> PathBuf {
    let opsbook = Path::new(env!("CARGO_BIN_EXE_opsbook"));
    let program = opsbook.with_file_name("opsbook-gateway");
    let built =
        "`cargo build -p opsbook-gateway` builds it, as `cargo test` without a package does";
    assert!(program.exists(), "{}: {built}", program.display());
    program
}

/// What a command has printed is what `opsbook schema gateway` says of this type.
#[track_caller]
fn fits(printed: &Value, name: &str) {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_opsbook"));
        let printed = command.args(["schema", "gateway"]).output().unwrap();
        serde_json::from_slice(&printed.stdout).unwrap()
    });
    let schema = serde_json::json!({
        "$ref": format!("#/components/schemas/{name}"),
        "components": DOCUMENT["components"],
    });
    let wrong: Vec<String> = jsonschema::validator_for(&schema)
        .unwrap()
        .iter_errors(printed)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}\n{printed:#}");
    assert_eq!(printed["v"], 1, "{printed:#}");
}

fn processes() -> impl Iterator<Item = String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
}

#[track_caller]
fn until(what: &str, holds: impl FnMut() -> bool) {
    until_or(what, String::new, holds);
}

/// Where it never holds, the test says what was seen.
#[track_caller]
fn until_or(what: &str, seen: impl Fn() -> String, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < BOUND, "never: {what}{}", seen());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_run_is_asked_for_handed_over_answered_and_watched() {
    let page = PAGE.replace("step id=two", "step id=two confirm");
    let team = Team::new(&page, "");
    let _runner = team.runner("r1");
    team.go();
    let run = team.ask();
    let question = team.question(&run);
    assert_eq!(question["choices"][0], "yes", "{question}");
    team.ok(&["hand-over", &run, "bo", "--note", "going home"]);
    assert_eq!(team.view(&run)["owner"], "bo");
    // Only what answers it is an answer.
    assert_eq!(
        team.opsbook(&["answer", &run, "perhaps"]).status.code(),
        Some(2)
    );
    team.ok(&["answer", &run, "yes", "--note", "looked at it"]);
    let out = team.ok(&["watch", &run]);
    assert!(out.contains("3 three") && out.contains("here: OK"), "{out}");
    assert_eq!(team.ran(), ALL);
    assert_eq!(team.view(&run)["status"], "OK");
    let events = team.events(&run);
    let seqs: Vec<u64> = events
        .iter()
        .map(|event| event["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
    // Nothing of it is left with the runner.
    let status = String::from_utf8(
        team.opsbook(&["runner", "status", "--state", "../r1"])
            .stdout,
    );
    assert!(!status.unwrap().contains(&run));
    // It is at its end.
    let late = team.opsbook(&["hand-over", &run, "ana"]);
    let said = String::from_utf8_lossy(&late.stderr).into_owned();
    assert!(
        !late.status.success() && said.contains("the run has ended"),
        "{said}"
    );
    assert_eq!(team.view(&run)["owner"], "bo");
}

#[test]
fn a_runner_that_is_drained_says_so_and_ends_after_its_last_part() {
    let team = Team::new(PAGE, "");
    let drain = ["runner", "drain", "--state", "../r1"];
    let nobody = team.opsbook(&drain);
    let said = String::from_utf8_lossy(&nobody.stderr).into_owned();
    assert_eq!(nobody.status.code(), Some(2), "{said}");
    assert!(said.contains("no runner works in `"), "{said}");
    let mut runner = team.runner("r1");
    let run = team.ask();
    team.is_at_step_two();
    let said = team.ok(&drain);
    let part = "takes no more parts and ends after the part that is under way";
    assert!(said.contains(part), "{said}");
    team.go();
    assert!(runner.0.wait().unwrap().success(), "{}", team.said());
    assert_eq!(team.view(&run)["status"], "OK");
}

#[test]
fn a_run_is_stopped_after_its_step_and_gone_on_with() {
    let team = Team::new(PAGE, "");
    let _runner = team.runner("r1");
    let run = team.ask();
    team.is_at_step_two();
    team.ok(&["stop", &run]);
    team.go();
    team.is_in(&run, "halted");
    assert_eq!(team.ran(), TWO);
    team.ok(&["resume", &run, "--via", "gateway"]);
    assert_eq!(team.ran(), ALL);
    team.again();
    // In the middle of its step: the step is run once more, by whoever goes on.
    let run = team.ask();
    team.is_at_step_two();
    team.ok(&["stop", &run, "--manner", "step"]);
    team.is_in(&run, "halted");
    team.go();
    team.ok(&["resume", &run, "--via", "gateway"]);
    assert_eq!(team.ran(), "one\ntwo\ntwo\nthree value-1\n");
}

#[test]
fn each_step_is_run_once_whichever_process_is_killed() {
    let mut team = Team::new(PAGE, "");
    let mut runner = Some(team.runner("r1"));
    for victim in ["child", "runner", "gateway", "all"] {
        team.again();
        let run = team.ask();
        team.is_at_step_two();
        if victim == "child" {
            send("KILL", &child(&run));
        }
        if matches!(victim, "runner" | "all") {
            runner.take().unwrap().kill();
        }
        if matches!(victim, "gateway" | "all") {
            team.kill_gateway();
        }
        team.go();
        if team.gateway.is_none() {
            team.start_gateway();
        }
        if runner.is_none() {
            runner = Some(team.runner("r1"));
        }
        team.ok(&["watch", &run]);
        assert_eq!(team.ran(), ALL, "{victim}{}", team.said());
        assert_eq!(team.view(&run)["status"], "OK", "{victim}");
        // Its lines came to the gateway, each once.
        let events = team.events(&run);
        let mut seqs: Vec<u64> = events
            .iter()
            .map(|event| event["seq"].as_u64().unwrap())
            .collect();
        let whole = seqs.len() as u64;
        seqs.sort_unstable();
        assert_eq!(seqs, (1..=whole).collect::<Vec<_>>(), "{victim}");
    }
}

#[test]
fn a_run_goes_on_without_its_gateway_and_its_lines_come_later() {
    let mut team = Team::new(PAGE, "");
    let _runner = team.runner("r1");
    let run = team.ask();
    team.is_at_step_two();
    team.kill_gateway();
    team.go();
    until("the last step", || team.ran() == ALL);
    team.start_gateway();
    team.ok(&["watch", &run]);
    assert_eq!(team.ran(), ALL);
}

/// The first runner is frozen with all that it has started, another one goes on, and the first
/// comes back.
#[test]
fn another_runner_adopts_a_part_and_the_late_one_does_nothing() {
    let team = Team::new(PAGE, SOON);
    let first = team.runner("r1");
    let run = team.ask();
    team.is_at_step_two();
    let child = child(&run);
    first.signal("STOP");
    send("STOP", &child);
    let _second = team.runner("r2");
    team.go();
    let out = team.opsbook(&["watch", &run]);
    assert!(out.status.success(), "{out:?}{}", team.said());
    assert_eq!(team.ran(), ALL);
    send("CONT", &child);
    first.signal("CONT");
    // It hears that the part is another's.
    until("the first one holds nothing", || {
        let out = team.opsbook(&["runner", "status", "--state", "../r1"]);
        !String::from_utf8(out.stdout).unwrap().contains(&run)
    });
    assert_eq!(team.ran(), ALL, "{}", team.said());
    let view = team.view(&run);
    assert_eq!(
        (&view["state"], &view["status"]),
        (&"ended".into(), &"OK".into())
    );
}

#[test]
fn a_plan_that_has_changed_since_it_was_asked_for_is_blocked() {
    let team = Team::new(PAGE, "");
    team.go();
    let run = team.ask();
    team.write("m/manual/page.md", &PAGE.replace("echo one", "echo uno"));
    let _runner = team.runner("r1");
    let out = team.opsbook(&["watch", &run]);
    assert_eq!(out.status.code(), Some(4), "{out:?}{}", team.said());
    assert_eq!(team.ran(), "");
}

#[test]
fn an_ask_is_one_run_wherever_the_gateway_dies() {
    let mut team = Team::new(PAGE, "");
    team.go();
    for delay in [0, 5, 20, 60] {
        let reason = format!("after {delay}");
        let asking = {
            let mut command = team.command(Path::new(env!("CARGO_BIN_EXE_opsbook")));
            command.args(["ask", "p", "here", "--reason", &reason, "--json"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        };
        // Not to wait for something, but to die at another moment each time.
        std::thread::sleep(Duration::from_millis(delay));
        team.kill_gateway();
        team.start_gateway();
        let output = asking.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}{}", team.said());
        let runs = team.ok(&["runs", "--json"]);
        assert_eq!(runs.matches(&format!("\"{reason}\"")).count(), 1, "{runs}");
    }
}

#[test]
fn a_run_is_given_up_and_its_bundle_goes() {
    let team = Team::new(
        &PAGE.replace(
            "test ! -e \"$HOME/go\"; do sleep 0.05; done",
            "false; do :; done; false",
        ),
        "",
    );
    let _runner = team.runner("r1");
    let run = team.ask();
    assert_eq!(
        team.opsbook(&["watch", &run]).status.code(),
        Some(1),
        "{}",
        team.said()
    );
    let bundle = team.path("home/.opsbook/bundle");
    assert!(bundle.exists());
    team.ok(&["give-up", &run, "--note", "not today"]);
    until("the bundle is gone", || !bundle.exists());
    team.is_in(&run, "ended");
    assert_eq!(team.view(&run)["status"], "SKIPPED");
}

#[test]
fn who_may_not_is_told_by_which_rule() {
    let team = Team::new(PAGE, "");
    let own = team.ok(&["runs"]);
    assert!(own.contains("RUN"), "{own}");
    team.write(
        "m/access.yaml",
        "opsbook: 1\nrules:\n  - {who: bo, may: [read, run], procedures: \"p\", nodes: here}\n",
    );
    let explain = ["access", "explain", "p", "here", "--person"];
    let of = |person: &'static str| [&explain[..], &[person]].concat();
    let said = team.ok(&of("bo"));
    assert!(
        said.starts_with("bo may run `p` on here\n  access.yaml:"),
        "{said}"
    );
    let out = team.opsbook(&of("cy"));
    assert_eq!(out.status.code(), Some(1));
    let said = String::from_utf8(out.stdout).unwrap();
    assert!(
        said.starts_with("cy may not run `p` on here\n  access.yaml:"),
        "{said}"
    );
    let out = team.opsbook(&["access", "explain", "p", "here", "--verb", "fly"]);
    assert_eq!(out.status.code(), Some(2));
}

/// Its controller, its runner or the gateway dies once so many lines are in the journal: before
/// the first step, within each, between two, at its end.
#[test]
fn each_step_is_run_once_wherever_in_its_journal_somebody_dies() {
    let mut team = Team::new(PAGE, "");
    let mut runner = Some(team.runner("r1"));
    for lines in 1..=21 {
        team.again();
        team.go();
        let run = team.ask();
        let journal = team.path(&format!("r1/parts/{run}@here/runs/{run}.jsonl"));
        let has = || fs::read_to_string(&journal).map_or(0, |text| text.lines().count());
        let begin = Instant::now();
        // A run that has ended has no journal here any more.
        while has() < lines && team.ran() != ALL && begin.elapsed() < BOUND {
            std::hint::spin_loop();
        }
        match lines % 3 {
            0 => team.kill_gateway(),
            1 => runner.take().unwrap().kill(),
            _ => kill_child(&run),
        }
        if team.gateway.is_none() {
            team.start_gateway();
        }
        if runner.is_none() {
            runner = Some(team.runner("r1"));
        }
        let out = team.opsbook(&["watch", &run]);
        assert!(out.status.success(), "{lines}: {out:?}{}", team.said());
        assert_eq!(team.ran(), ALL, "{lines}{}", team.said());
        assert_eq!(team.view(&run)["status"], "OK", "{lines}");
    }
}

#[test]
fn a_runner_of_another_segment_comes_by_tls_and_renews_its_certificate() {
    let config = "[listen.tls]\n[runners]\ncertificate = \"6s\"\n";
    let team = Team::new(PAGE, config);
    team.write(
        "m/nodes.yaml",
        "opsbook: 1\nnodes:\n  here: {transport: local, segment: dmz}\n",
    );
    let (address, pin) = (team.address(), team.word_after("its own authority"));
    assert!(address.starts_with("https://"), "{address}");
    team.token("dmz");
    let enroll = [
        "runner",
        "enroll",
        &address,
        "--token-file",
        "../token",
        "--name",
        "far",
        "--state",
        "../r1",
    ];
    // Nobody whom this machine trusts vouches for the gateway: nothing is sent, and the token stays.
    let refused = team.opsbook(&enroll);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        refused.status.code() == Some(3) && said.contains("--fingerprint"),
        "{refused:?}"
    );
    team.ok(&[&enroll[..], &["--fingerprint", &pin]].concat());
    assert!(!team.path("token").exists());
    let _runner = team.runner("r1");
    let run = team.ask();
    team.is_at_step_two();
    until("another certificate", || {
        fs::read_to_string(team.path("log"))
            .unwrap()
            .matches("has another certificate")
            .count()
            > 1
    });
    team.go();
    team.ok(&["watch", &run]);
    assert_eq!(team.ran(), ALL);
    assert_eq!(team.view(&run)["status"], "OK");
}

/// By a key of the agent, and by a file; and what is signed is good at no other gateway.
#[test]
fn a_person_logs_in_with_their_ssh_key() {
    let config = "name = \"ops\"\n[login.ssh]\nallowed_signers = \"../signers\"\n";
    let mut team = Team::new(PAGE, config);
    let key = |name: &str| {
        let path = team.path(name);
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
            .arg(&path)
            .status();
        assert!(made.unwrap().success());
        fs::read_to_string(path.with_extension("pub")).unwrap()
    };
    let (own, _other) = (key("own"), key("other"));
    team.write("signers", &format!("ana {own}"));
    team.kill_gateway();
    team.start_gateway();
    let address = team.address();
    let login = |more: &[&str]| {
        let mut all = vec!["login", &address, "--as", "ana"];
        all.extend_from_slice(more);
        team.opsbook(&all)
    };
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let elsewhere = login(&["--key", "../own"]);
    assert_eq!(elsewhere.status.code(), Some(2), "{elsewhere:?}");
    assert!(
        said(&elsewhere).contains("`opsbook-login@ops`"),
        "{elsewhere:?}"
    );
    let strange = login(&["--name", "ops", "--key", "../other"]);
    assert!(
        !strange.status.success() && said(&strange).contains("the signature is not by `ana`"),
        "{strange:?}"
    );
    let known = login(&["--name", "ops", "--key", "../own"]);
    assert_eq!(said(&known), "", "{known:?}");
    assert_eq!(known.stdout, format!("ana at {address}\n").into_bytes());
    team.ok(&["ask", "p", "here", "--gateway", &address]);
    let runs = team.ok(&["runs", "--json"]);
    assert!(runs.contains(r#""asked_by":"ana""#), "{runs}");
    // Of the agent's keys, the one that the gateway knows.
    let socket = team.path("agent");
    let mut agent = Command::new("ssh-agent");
    agent.args(["-D", "-a"]).arg(&socket);
    let _agent = team.background(agent);
    // Its socket exists a moment before it listens there: 2 is "no agent", 1 "no keys".
    until("an agent", || {
        let mut list = Command::new("ssh-add");
        let list = list.arg("-l").env("SSH_AUTH_SOCK", &socket).output();
        list.unwrap().status.code() == Some(1)
    });
    for name in ["other", "own"] {
        let added = Command::new("ssh-add")
            .args(["-q"])
            .arg(team.path(name))
            .env("SSH_AUTH_SOCK", &socket)
            .status();
        assert!(added.unwrap().success());
    }
    let mut command = team.command(Path::new(env!("CARGO_BIN_EXE_opsbook")));
    let output = command
        .args(["login", &address, "--as", "ana", "--name", "ops"])
        .env("SSH_AUTH_SOCK", &socket)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Other users of a machine see the words of every process.
#[test]
fn the_arguments_of_a_run_stand_in_no_command_line() {
    let page = PAGE.replace("id: p\n", "id: p\nparams:\n  word: {help: A word}\n");
    let page = page.replace("value-1", "\"$word\"");
    let team = Team::new(&page, "");
    let _runner = team.runner("r1");
    let line = team.ok(&["ask", "p", "here", "--set", "word=between-us", "--json"]);
    let asked: Value = serde_json::from_str(&line).unwrap();
    let run = asked["run"].as_str().unwrap().to_owned();
    team.is_at_step_two();
    child(&run);
    for pid in processes() {
        for file in ["cmdline", "environ"] {
            let seen = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            let seen = String::from_utf8_lossy(&seen).into_owned();
            assert!(!seen.contains("between-us"), "{file} of {pid}: {seen}");
        }
    }
    team.go();
    team.ok(&["watch", &run]);
    assert_eq!(team.ran(), ALL.replace("value-1", "between-us"));
}

/// `opsbook run` of this run, where there is one at this moment.
fn child_now(run: &str) -> Option<String> {
    processes().find(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        line.contains(&format!("--run={run}\0")) && line.contains("\0run\0")
    })
}

fn child(run: &str) -> String {
    let mut found = None;
    until("a child", || {
        found = child_now(run);
        found.is_some()
    });
    found.unwrap()
}

/// It may have ended by itself.
fn kill_child(run: &str) {
    if let Some(pid) = child_now(run) {
        let _ = Command::new("kill").args(["-s", "KILL", &pid]).status();
    }
}

/// The same over ssh: the step, its node's shell and its connection are other processes.
#[test]
fn a_part_on_a_node_behind_ssh_is_gone_on_with_by_the_runner_that_comes_back() {
    let Some(node) = or_skip("T1", Sshd::start()) else {
        return;
    };
    let team = Team::new(PAGE, "");
    team.node(&node);
    let ran = || fs::read_to_string(node.home().join("ran")).unwrap_or_default();
    let first = team.runner("r1");
    let run = team.ask();
    until("the second step", || ran() == TWO);
    first.kill();
    fs::write(node.home().join("go"), "").unwrap();
    let _again = team.runner("r1");
    let out = team.opsbook(&["watch", &run]);
    assert!(out.status.success(), "{out:?}{}", team.said());
    assert_eq!(ran(), ALL);
}

/// Frozen for so long that another one has gone on.
#[test]
fn a_part_on_a_node_behind_ssh_is_adopted_from_a_frozen_runner() {
    let Some(node) = or_skip("T1", Sshd::start()) else {
        return;
    };
    let team = Team::new(PAGE, SOON);
    team.node(&node);
    let ran = || fs::read_to_string(node.home().join("ran")).unwrap_or_default();
    let first = team.runner("r1");
    let run = team.ask();
    until("the second step", || ran() == TWO);
    let child = child(&run);
    first.signal("STOP");
    send("STOP", &child);
    let _second = team.runner("r2");
    fs::write(node.home().join("go"), "").unwrap();
    let out = team.opsbook(&["watch", &run]);
    assert!(out.status.success(), "{out:?}{}", team.said());
    send("CONT", &child);
    first.signal("CONT");
    until("the first one holds nothing", || {
        let out = team.opsbook(&["runner", "status", "--state", "../r1"]);
        !String::from_utf8(out.stdout).unwrap().contains(&run)
    });
    assert_eq!(ran(), ALL, "{}", team.said());
}

/// Somebody who writes the gateway's store by hand.
fn forge(team: &Team, statements: &str) {
    let store = team.path("m/.opsbook/gateway/gateway.db");
    let program = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=30); \
                   c.executescript(sys.argv[2]); c.commit()";
    let forged = Command::new("python3")
        .args(["-c", program])
        .arg(store)
        .arg(statements)
        .status();
    assert!(forged.unwrap().success());
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, and its forgeries")]
fn what_nobody_has_approved_is_not_run_whatever_the_store_says() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("bo");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status();
    assert!(made.unwrap().success());
    let signers = folder.path().join("signers");
    let public = fs::read_to_string(key.with_extension("pub")).unwrap();
    fs::write(&signers, format!("bo {public}")).unwrap();
    let config = format!(
        "name = \"gw\"\n[approval]\nallowed_signers = {:?}\n",
        signers.display().to_string()
    );
    let team = Team::new(PAGE, &config);
    team.write(
        "m/access.yaml",
        "opsbook: 1\nrules:\n  - {who: [bo, root, ana], may: [read, run, answer], procedures: '*', nodes: '*', approve: {count: 1, by: bo}}\n",
    );
    let ask = || {
        let run = team.ask();
        assert_eq!(team.view(&run)["state"], "waiting-approval");
        run
    };
    // Bo is elsewhere, and logs in by a token.
    let gateway = Path::new(env!("CARGO_BIN_EXE_opsbook")).with_file_name("opsbook-gateway");
    let token = team
        .command(&gateway)
        .args(["login", "bo"])
        .output()
        .unwrap();
    fs::write(folder.path().join("token"), token.stdout).unwrap();
    let own = fs::Permissions::from_mode(0o600);
    fs::set_permissions(folder.path().join("token"), own).unwrap();
    let address = fs::read_to_string(team.path("m/.opsbook/gateway/address.json")).unwrap();
    let address: Value = serde_json::from_str(&address).unwrap();
    let url = address["url"].as_str().unwrap().to_owned();
    let as_bo = |arguments: &[&str]| {
        let mut command = team.command(Path::new(env!("CARGO_BIN_EXE_opsbook")));
        command
            .env("HOME", folder.path())
            .args(arguments)
            .output()
            .unwrap()
    };
    let token = folder.path().join("token").display().to_string();
    assert!(
        as_bo(&["login", &url, "--token-file", &token])
            .status
            .success()
    );
    let key = key.display().to_string();
    let approve = |run: &str| {
        let said = as_bo(&["approve", run, "--yes", "--key", &key, "--gateway", &url]);
        let out = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.status.success() && out.contains("queued"), "{said:?}");
        assert!(out.contains("| echo one >> \"$HOME/ran\""), "{out}");
    };
    let run = ask();
    approve(&run);
    let queue = "update part set state = 'queued' where run = 'RUN'; \
                 update run set state = 'queued' where id = 'RUN';";
    // Another run's approval, a need that is gone, an approval that nobody has given.
    let copied = ask();
    forge(
        &team,
        &format!(
            "insert into approval select 'RUN', node, person, signature, not_after, ends, counts, at \
               from approval where run = '{run}'; \
             update consent set until = 9000000000000 where run = 'RUN'; {queue}"
        )
        .replace("RUN", &copied),
    );
    let gone = ask();
    forge(
        &team,
        &format!("delete from consent where run = 'RUN'; {queue}").replace("RUN", &gone),
    );
    let unsigned = ask();
    forge(
        &team,
        &format!("update consent set until = 9000000000000 where run = 'RUN'; {queue}")
            .replace("RUN", &unsigned),
    );
    team.go();
    let signers = signers.display().to_string();
    let more = ["--approvers", &signers, "--approvals-for", "gw"];
    let runner = team.runner_with("r1", &more);
    team.is_in(&run, "ended");
    assert_eq!(team.view(&run)["status"], "OK");
    for run in [&copied, &gone, &unsigned] {
        team.is_in(run, "ended");
        assert_eq!(team.view(run)["status"], "BLOCKED", "{run}{}", team.said());
    }
    let said = team.said();
    assert!(
        said.contains("the signature of the approval of `bo` does not match"),
        "{said}"
    );
    assert!(
        said.contains("access.yaml:3: approvals needed: 1, verified here: 0"),
        "{said}"
    );
    assert_eq!(team.ran(), ALL, "only what was approved has run");
    runner.kill();
    team.again();
    // What would be done is no longer what was approved, though no text of the page has changed.
    let moved = ask();
    approve(&moved);
    team.write(
        "m/nodes.yaml",
        "opsbook: 1\nnodes:\n  here: {transport: local, colour: red}\n",
    );
    let _runner = team.runner_with("r2", &more);
    team.is_in(&moved, "ended");
    assert_eq!(team.view(&moved)["status"], "BLOCKED");
    assert!(
        team.said()
            .contains("the plan differs from the approved one")
    );
    assert_eq!(team.ran(), "");
}

#[test]
fn a_runner_asks_the_checks_of_a_schedule_again_and_again() {
    let page = format!(
        "{PAGE}\n## Flag\n\n```yaml checks\nid: flag\n```\n\n```sh check id=flag.there\ntest -e \"$HOME/flag\"\n```\n\n```sh check id=flag.other\nfalse\n```\n"
    );
    let config = "[schedules.flag]\nchecks = \"flag::th*\"\nnodes = \"here\"\nevery = \"1s\"\n";
    let team = Team::new(&page, config);
    let _runner = team.runner("r1");
    let spans = || {
        let store = team.path("m/.opsbook/gateway/gateway.db");
        let program = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=30); \
                       print(c.execute('select name, outcome, until is null from span order by since').fetchall())";
        let read = Command::new("python3")
            .args(["-c", program])
            .arg(store)
            .output();
        String::from_utf8(read.unwrap().stdout)
            .unwrap()
            .trim()
            .to_owned()
    };
    until("it fails", || spans() == "[('flag::there', 'failed', 1)]");
    team.write("home/flag", "");
    until("it holds", || {
        spans() == "[('flag::there', 'failed', 0), ('flag::there', 'held', 1)]"
    });
    // A runner that has died in the middle of a round is no end of anything.
    let state = team.path("r1");
    assert!(fs::read_dir(state.join("rounds")).unwrap().count() <= 1);
}
