//! One round: a project, a run with faults, and resumes until it is OK; the promise is checked
//! after each of them.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use opsbook::event::{Event, Status, What};
use opsbook::journal;

use super::Chance;
use super::fault::{Disk, Fault};
use super::neighbour::Neighbour;
use super::procedure::{Made, make};
use super::promise::{Seen, check, in_order, nothing_left};
use crate::record::{Loop, Origin};
use crate::sshd::{Sshd, kill, processes};

/// The most controllers of a run without further faults.
const CALM: usize = 14;
/// A controller that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(200);

#[derive(Clone, Copy)]
pub enum Place<'a> {
    Here,
    There(&'a Sshd),
}

#[derive(Debug, Default)]
pub struct Tally {
    rounds: usize,
    controllers: usize,
    faults: usize,
    unknown: usize,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} rounds, {} controllers, {} faults, {} outcomes unknown",
            self.rounds, self.controllers, self.faults, self.unknown
        )
    }
}

impl Tally {
    pub fn recorded(&self, nodes: &str, minutes: u64, broken: &[u64]) -> Loop {
        Loop {
            origin: Origin::now(),
            nodes: nodes.to_owned(),
            minutes,
            rounds: self.rounds,
            controllers: self.controllers,
            faults: self.faults,
            unknown: self.unknown,
            broken: broken.to_vec(),
        }
    }
}

pub struct Round<'a> {
    seed: u64,
    place: Place<'a>,
    chance: Chance,
    made: Made,
    folder: tempfile::TempDir,
    /// Separate small disks for the bundle and the project.
    disks: bool,
    run: Option<String>,
    faults: Vec<Fault>,
    /// Events that the journal knew before an older copy replaced it.
    lost: Vec<Event>,
    said: String,
    neighbour: Option<Neighbour>,
}

impl<'a> Round<'a> {
    pub fn new(seed: u64, place: Place<'a>) -> Round<'a> {
        let mut chance = Chance::new(seed);
        let root = rustix::process::getuid().is_root();
        let disks = root && chance.one_in(4);
        let sudo = root && Path::new("/usr/bin/sudo").exists();
        let made = make(&mut chance, sudo);
        let folder = tempfile::Builder::new()
            .prefix("opsbook-soak-")
            .tempdir()
            .unwrap();
        let neighbour = chance
            .one_in(3)
            .then(|| Neighbour::moves_in(folder.path(), seed))
            .flatten();
        let mut round = Round {
            seed,
            place,
            chance,
            made,
            folder,
            disks,
            run: None,
            faults: Vec::new(),
            lost: Vec::new(),
            said: String::new(),
            neighbour,
        };
        round.lay_out();
        round
    }

    /// Plays it; an error contains the whole history.
    pub fn play(mut self, tally: &mut Tally) -> Result<(), String> {
        tally.rounds += 1;
        let mut wrong = Vec::new();
        let trouble = 1 + self.chance.below(4);
        let mut ended = false;
        for attempt in 0..trouble + CALM {
            let fault = if attempt < trouble {
                Fault::random(&mut self.chance, self.disks)
            } else {
                Fault::None
            };
            tally.controllers += 1;
            tally.faults += usize::from(fault != Fault::None);
            self.faults.push(fault.clone());
            let code = match fault {
                Fault::Lag(lines) => self.lagging(lines, &mut wrong),
                _ => self.controller(&fault, false),
            };
            wrong.extend(self.agree(attempt, code));
            if !wrong.is_empty() {
                break;
            }
            if code == Some(0) {
                ended = true;
                break;
            }
        }
        if ended {
            wrong.extend(self.complete());
        } else if wrong.is_empty() {
            wrong.push(format!(
                "not OK after {CALM} controllers with nothing going wrong"
            ));
        }
        tally.unknown += self.unknown();
        wrong.extend(self.processes_left());
        if let Some(neighbour) = self.neighbour.take() {
            wrong.extend(neighbour.moves_out());
        }
        let report = self.report(&wrong);
        self.clear();
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(report)
        }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    fn state(&self) -> journal::State {
        journal::State::beside(&self.root())
    }

    fn node_home(&self) -> PathBuf {
        self.folder.path().join("node")
    }

    fn ran(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("ran")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn lay_out(&mut self) {
        let (root, home) = (self.root(), self.node_home());
        fs::create_dir(&root).unwrap();
        fs::create_dir(&home).unwrap();
        if self.disks {
            mount(&root);
            mount(&home);
        }
        fs::create_dir(root.join("manual")).unwrap();
        fs::write(
            root.join("book.toml"),
            "[book]\ntitle = \"Soak\"\nsrc = \"manual\"\n",
        )
        .unwrap();
        fs::write(root.join("manual/SUMMARY.md"), "- [Soak](soak.md)\n").unwrap();
        fs::write(root.join("manual/soak.md"), &self.made.page).unwrap();
        let transport = match &self.place {
            Place::Here => "transport: local".to_owned(),
            Place::There(node) => {
                let ssh = node.ssh();
                let options: Vec<String> = ssh
                    .options
                    .iter()
                    .map(|option| format!("{option:?}"))
                    .collect();
                format!(
                    "address: {}, user: {}, port: {}, identity: {:?}, ssh_options: [{}]",
                    ssh.host,
                    ssh.user.unwrap(),
                    ssh.port.unwrap(),
                    ssh.identity.unwrap(),
                    options.join(", ")
                )
            }
        };
        let nodes = format!(
            "opsbook: 1\nnodes:\n  n: {{ran: {:?}, bundle_dir: {:?}, {transport}}}\n",
            self.folder.path().join("ran"),
            home.join(".opsbook/bundle"),
        );
        fs::write(root.join("nodes.yaml"), nodes).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let program = std::env::var_os("OPSBOOK_TEST_PROGRAM")
            .unwrap_or_else(|| env!("CARGO_BIN_EXE_opsbook").into());
        let mut command = Command::new(program);
        command
            .arg("-C")
            .arg(self.root())
            .args(arguments)
            .args(["--yes", "--reconnect", "20s"])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.folder.path())
            .env("OPSBOOK_SOAK", self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// Continues with an older copy of the journal: if the node knows more, that is reported before
    /// anything runs, and `--catch-up` reads it.
    fn lagging(&mut self, lines: usize, wrong: &mut Vec<String>) -> Option<i32> {
        let Some(run) = self.run.clone() else {
            return self.controller(&Fault::None, false);
        };
        let path = self.root().join(format!(".opsbook/runs/{run}.jsonl"));
        let text = fs::read_to_string(&path).unwrap_or_default();
        let all: Vec<&str> = text.split_inclusive('\n').collect();
        // A journal needs its first line.
        let kept = all.len().saturating_sub(lines).max(1).min(all.len());
        let known = journal::read(&self.state(), &run).map_or(Vec::new(), |record| record.events);
        fs::write(&path, all[..kept].concat()).unwrap();
        let said = self.said.len();
        let code = self.controller(&Fault::None, false);
        if self.said[said..].contains("--catch-up") {
            wrong.extend(self.unstarted(&known));
            self.lost.extend(known.into_iter().skip(kept));
            return self.controller(&Fault::None, true);
        }
        self.lost.extend(known.into_iter().skip(kept));
        code
    }

    /// Steps that ran without having been started. A running step may have continued.
    fn unstarted(&self, known: &[Event]) -> Vec<String> {
        let begun = |number: usize| known.iter().any(|event| event.step == Some(number));
        let steps = self.made.steps.iter().enumerate();
        let lines = steps
            .filter(|(index, _)| !begun(index + 1))
            .flat_map(|(_, step)| &step.lines);
        let ran = self.ran();
        lines
            .filter(|line| ran.contains(line))
            .map(|line| format!("`{line}` was written before the journal was caught up"))
            .collect()
    }

    /// Starts a controller, injects the fault, and waits for its end. Returns its exit status, or
    /// `None` if it was killed.
    fn controller(&mut self, fault: &Fault, catch_up: bool) -> Option<i32> {
        let run = self.run.clone();
        let mut arguments: Vec<&str> = match &run {
            None => vec!["run", "soak", "n"],
            Some(run) => vec!["resume", run],
        };
        if catch_up {
            arguments.push("--catch-up");
        }
        let talk = self.folder.path().join("talk");
        let out = fs::File::create(&talk).unwrap();
        let mut controller = self
            .command(&arguments)
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        let (root, home) = (self.root(), self.node_home());
        let disks = [
            (Disk::Controller, root.as_path()),
            (Disk::Node, home.as_path()),
        ];
        let node = match self.place {
            Place::Here => None,
            Place::There(node) => Some(node),
        };
        let mut chance = self.chance.clone();
        let mut rival = None;
        let bundle = home.join(".opsbook/bundle");
        let mut start_rival = || rival = Some(self.rival());
        fault.strike(
            &mut controller,
            node,
            &disks,
            &mut chance,
            &bundle,
            &mut start_rival,
        );
        self.chance = chance;
        let code = self.wait(&mut controller);
        for disk in [&root, &home] {
            let _ = fs::remove_file(disk.join("filler"));
            let _ = fs::remove_file(disk.join("filler2"));
        }
        let said = fs::read_to_string(&talk).unwrap_or_default();
        self.said += &format!("\n=== {arguments:?} with {fault:?}: {code:?}\n{said}");
        if let Some(rival) = rival {
            let both = [rival.stdout, rival.stderr].concat();
            self.said += &format!(
                "\n=== rival: {:?}\n{}",
                rival.status.code(),
                String::from_utf8_lossy(&both)
            );
        }
        self.find_run();
        code
    }

    /// A second controller at the same time: it continues, or is told why not.
    fn rival(&self) -> Output {
        let begun = journal::runs(&self.state());
        let arguments: Vec<&str> = match begun.last() {
            Some(run) => vec!["resume", run],
            None => vec!["run", "soak", "n"],
        };
        self.command(&arguments).output().unwrap()
    }

    fn wait(&mut self, controller: &mut std::process::Child) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = controller.try_wait().unwrap() {
                return status.code();
            }
            if begun.elapsed() > LONGEST {
                self.said += "\n=== the controller hangs\n";
                kill(controller.id(), "KILL");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The run that has begun. A controller that was killed earlier has no run, and a rival that
    /// began its own run at the same moment has less to report.
    fn find_run(&mut self) {
        let state = self.state();
        let events = |run: &String| {
            let record = journal::read(&state, run).ok()?;
            record.started()?;
            Some(record.events.len())
        };
        self.run = self.run.take().or_else(|| {
            let runs = journal::runs(&state).into_iter();
            let begun = runs.filter_map(|run| Some((events(&run)?, run)));
            begun.max().map(|(_, run)| run)
        });
    }

    /// Checks that the journal and the node agree after this controller.
    fn agree(&self, attempt: usize, code: Option<i32>) -> Vec<String> {
        if self.said.contains("the controller hangs") {
            return vec!["the controller hangs".to_owned()];
        }
        let Some(run) = &self.run else {
            return match self.ran().len() {
                0 => Vec::new(),
                _ => vec!["something ran without a journal".to_owned()],
            };
        };
        let record = match journal::read(&self.state(), run) {
            Ok(record) => record,
            Err(error) => return vec![error.to_string()],
        };
        let rivals = self
            .faults
            .iter()
            .filter(|fault| matches!(fault, Fault::Rival(_)))
            .count();
        let mut wrong = check(&Seen {
            made: &self.made,
            ran: &self.ran(),
            record: &record,
            lost: &self.lost,
            blinded: self.faults.iter().any(Fault::blinds),
            resumes: attempt + rivals,
        });
        let rival = matches!(self.faults.last(), Some(Fault::Rival(_)));
        if let (Some(code), Some(What::RunEnded { status }), false) =
            (code, record.events.last().map(|event| &event.what), rival)
            && code != exit(*status)
        {
            wrong.push(format!("exit status {code}, and the journal says {status}"));
        }
        wrong
    }

    /// The conditions after OK.
    fn complete(&self) -> Vec<String> {
        let ran = self.ran();
        let mut wrong = in_order(&self.made, &ran);
        for step in &self.made.steps {
            for line in step.lines.iter().filter(|line| !ran.contains(line)) {
                wrong.push(format!("the run is OK, and `{line}` is not there"));
            }
        }
        let status = self
            .run
            .as_ref()
            .and_then(|run| journal::read(&self.state(), run).ok()?.status());
        if status != Some(Status::Ok) {
            wrong.push(format!("exit status 0, and the journal says {status:?}"));
        }
        let (home, bundles) = (self.node_home(), self.root().join(".opsbook/bundles"));
        let held = self
            .faults
            .iter()
            .any(|fault| matches!(fault, Fault::Hold(_)));
        wrong.extend(nothing_left(&[&home.join(".opsbook"), &bundles], held));
        wrong
    }

    fn unknown(&self) -> usize {
        let record = self
            .run
            .as_ref()
            .and_then(|run| journal::read(&self.state(), run).ok());
        let events = record.map(|record| record.events).unwrap_or_default();
        events
            .iter()
            .filter(|event| matches!(&event.what, What::StepEnded(ended) if ended.outcome_unknown))
            .count()
    }

    /// Processes with this round's folder in their environment: all must end by themselves.
    fn processes_left(&self) -> Vec<String> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let left = self.own();
            if left.is_empty() {
                return Vec::new();
            }
            if Instant::now() > deadline {
                let wrong = left.iter().map(|pid| described(*pid)).collect();
                for pid in &left {
                    kill(*pid, "KILL");
                }
                return wrong;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn own(&self) -> Vec<u32> {
        let mark = self
            .folder
            .path()
            .to_string_lossy()
            .into_owned()
            .into_bytes();
        let holds = |pid: &u32| {
            ["environ", "cmdline"].iter().any(|file| {
                let text = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
                text.windows(mark.len()).any(|window| window == mark)
            })
        };
        processes().filter(holds).collect()
    }

    fn report(&self, wrong: &[String]) -> String {
        if wrong.is_empty() {
            return String::new();
        }
        let journal = self.run.as_ref().and_then(|run| {
            fs::read_to_string(self.root().join(format!(".opsbook/runs/{run}.jsonl"))).ok()
        });
        let story = format!(
            "{}\n{}\nfaults: {:?}\n=== ran\n{}\n{}\n=== journal\n{}\n=== left\n{}",
            wrong.join("\n"),
            self.made.page,
            self.faults,
            self.ran().join("\n"),
            self.said,
            journal.unwrap_or_default(),
            listing(self.folder.path()),
        );
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("soak");
        let _ = fs::create_dir_all(&kept);
        let place = match self.place {
            Place::Here => "local",
            Place::There(_) => "ssh",
        };
        let file = kept.join(format!("{place}-{}.txt", self.seed));
        let _ = fs::write(&file, story);
        format!(
            "  {}\n  the whole story: {}",
            wrong.join("\n  "),
            file.display()
        )
    }

    fn clear(&self) {
        // Mounts within bundles, wherever they were moved.
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let folder = self.folder.path().to_string_lossy().into_owned();
        let places = mounts.lines().filter(|line| line.starts_with("soak-held "));
        for place in places.filter_map(|line| line.split(' ').nth(1)) {
            if place.starts_with(&folder) {
                let _ = Command::new("umount").arg("-l").arg(place).output();
            }
        }
        if self.disks {
            for disk in [self.root(), self.node_home()] {
                let _ = Command::new("umount").arg("-l").arg(disk).output();
            }
        }
    }
}

fn exit(status: Status) -> i32 {
    match status {
        Status::Ok | Status::Skipped | Status::ByHand => 0,
        Status::Failed => 1,
        Status::Error => 3,
        Status::Blocked => 4,
        Status::Stopped => 5,
        Status::TimedOut => 124,
    }
}

fn mount(at: &Path) {
    let done = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m,mode=700", "soak"])
        .arg(at)
        .status();
    assert!(done.unwrap().success(), "no tmpfs at {}", at.display());
}

fn described(pid: u32) -> String {
    let read = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let [line, place] = ["cmdline", "wchan"].map(|file| {
        let text = String::from_utf8_lossy(&read(file)).replace('\0', " ");
        text.trim().to_owned()
    });
    format!("process {pid} is left: {line} (in {place})")
}

fn listing(folder: &Path) -> String {
    let output = Command::new("find")
        .arg(folder)
        .args(["-not", "-name", "*.md", "-printf", "%M %s %p\n"])
        .output();
    output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default()
}
