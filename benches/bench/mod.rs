//! ! Helpers of all measurements over `sshd`: servers, plain `ssh` as the floor, projects on these
//! servers, alternating rounds. Nothing here depends on what is measured.

#![allow(dead_code, reason = "each measurement needs its own part of it")]

#[path = "../../tests/it/sshd.rs"]
pub mod sshd;

pub mod delay;
pub mod measured;

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sshd::{Special, Sshd, or_skip, user};

const CURVE: &str = "KexAlgorithms=curve25519-sha256";

/// How a client reaches a server.
#[derive(Clone, Copy, Debug, Default)]
pub struct Way {
    /// A port on 127.0.0.1 instead of the server's own address and port.
    pub port: Option<u16>,
    /// Uses the cheap key exchange instead of the default of ssh.
    pub curve: bool,
    /// opsbook itself speaks ssh.
    pub russh: bool,
}

/// The command-line words that choose what to measure.
pub struct Words(Vec<String>);

impl Words {
    pub fn given() -> Words {
        let words = std::env::args().skip(1);
        Words(words.filter(|word| !word.starts_with('-')).collect())
    }

    /// Whether the word is named, or no word is named at all.
    pub fn want(&self, word: &str) -> bool {
        self.0.is_empty() || self.name(word)
    }

    pub fn name(&self, word: &str) -> bool {
        self.0.iter().any(|given| given == word)
    }
}

/// Starts this many servers, or prints the reason why it cannot.
pub fn servers(count: usize) -> Option<Vec<Sshd>> {
    // The floor must not read the login files of the user who measures.
    let special = Special {
        config: "SetEnv HOME=/nonexistent".to_owned(),
        ..Special::default()
    };
    (0..count)
        .map(|_| or_skip("bench", Sshd::special(&special)))
        .collect()
}

/// Plain `ssh`, as a person calls it.
pub fn ssh(server: &Sshd, way: Way, line: &str) -> Command {
    let ssh = server.ssh();
    let mut command = Command::new("ssh");
    command.args(["-T", "-o", "BatchMode=yes"]);
    for option in options(server, way.curve) {
        command.arg("-o").arg(option);
    }
    let (host, port) = place(server, way);
    command.arg("-p").arg(port.to_string());
    command.args(["-l", &user(), "-i"]);
    command.arg(ssh.identity.unwrap()).arg(host).arg(line);
    command
}

/// Runs the work as `xargs -P N ssh` does.
pub fn side_by_side(servers: &[Sshd], at_once: usize, work: impl Fn(&Sshd) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(server) = servers.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(server);
                }
            });
        }
    });
}

/// Feeds the command's input and returns its output.
pub fn feed(command: &mut Command, bytes: &[u8]) -> Vec<u8> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    output.stdout
}

/// Writes a manual of one page on these nodes.
pub fn project(root: &Path, page: &str, nodes: &str) {
    std::fs::create_dir_all(root.join("manual")).unwrap();
    for (path, text) in [
        ("book.toml", "[book]\ntitle = \"B\"\nsrc = \"manual\"\n"),
        ("manual/SUMMARY.md", "- [Page](page.md)\n"),
        ("manual/page.md", page),
        ("nodes.yaml", nodes),
    ] {
        std::fs::write(root.join(path), text).unwrap();
    }
}

/// Returns `nodes.yaml` with these servers, named `n000` and so on.
pub fn nodes(servers: &[Sshd], way: Way) -> String {
    let node = |(number, server): (usize, &Sshd)| {
        let (host, port) = place(server, way);
        let identity = server.ssh().identity.unwrap();
        let transport = if way.russh { "russh" } else { "ssh" };
        format!(
            "  n{number:03}: {{transport: {transport}, address: \"{host}\", port: {port}, user: {}, identity: \"{}\", ssh_options: {:?}}}\n",
            user(),
            identity.display(),
            options(server, way.curve)
        )
    };
    let nodes: String = servers.iter().enumerate().map(node).collect();
    format!("opsbook: 1\nnodes:\n{nodes}")
}

fn place(server: &Sshd, way: Way) -> (String, u16) {
    match way.port {
        Some(port) => ("127.0.0.1".to_owned(), port),
        None => (server.address.clone(), server.port),
    }
}

fn options(server: &Sshd, curve: bool) -> Vec<String> {
    let options = server.ssh().options.into_iter();
    let mut options: Vec<String> = options
        .filter(|option| !option.starts_with("Kex"))
        .collect();
    if curve {
        options.push(CURVE.to_owned());
    }
    options
}

/// An earlier opsbook to measure in alternation with this one: `OPSBOOK_BEFORE=NAME=PATH`.
fn before() -> Option<(String, String)> {
    let before = std::env::var("OPSBOOK_BEFORE").ok()?;
    let (name, path) = before.split_once('=').expect("OPSBOOK_BEFORE=NAME=PATH");
    Some((name.to_owned(), path.to_owned()))
}

/// Whether the next round runs the earlier opsbook, if one is set.
static BEFORE: AtomicBool = AtomicBool::new(false);

/// `opsbook`, or the binary that `OPSBOOK` names, on a project.
pub fn opsbook(root: &Path, args: &[&str]) -> Command {
    let ours = std::env::var("OPSBOOK").unwrap_or(env!("CARGO_BIN_EXE_opsbook").to_owned());
    let binary = match before() {
        Some((_, path)) if BEFORE.load(Ordering::Relaxed) => path,
        _ => ours,
    };
    let mut command = Command::new(binary);
    command.arg("-C").arg(root).args(args).stdin(Stdio::null());
    command
}

/// Runs `opsbook` and expects success.
pub fn opsbook_well(root: &Path, args: &[&str]) {
    let output = opsbook(root, args).output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
}

/// Runs `opsbook`, expects success, and returns the processor time of it and of the programs that
/// it started.
pub fn opsbook_processor(root: &Path, args: &[&str]) -> Duration {
    let counted = opsbook(root, args);
    let mut shell = Command::new("sh");
    shell.args(["-c", "\"$@\" >&2 && times", "sh"]);
    shell.arg(counted.get_program()).args(counted.get_args());
    let output = shell.stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}", text(&output.stderr));
    // The second line is about the shell's children: `1m2.345s 0m6.789s`.
    let times = text(&output.stdout);
    let of_children = times.lines().nth(1).unwrap().split_whitespace();
    let seconds = |time: &str| {
        let (minutes, seconds) = time.trim_end_matches('s').split_once('m').unwrap();
        minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
    };
    Duration::from_secs_f64(of_children.map(seconds).sum())
}

/// The median time of the floor's rounds and of ours.
#[derive(Clone, Debug)]
pub struct Compared {
    pub floor: Duration,
    pub ours: Duration,
    /// The spread of the rounds, and the time of an earlier opsbook in the same rounds.
    pub more: String,
}

impl Compared {
    pub fn ratio(&self) -> f64 {
        self.ours.as_secs_f64() / self.floor.as_secs_f64()
    }

    pub fn said(&self) -> String {
        format!("{:.3?} beside {:.3?}{}", self.ours, self.floor, self.more)
    }

    pub fn found(self, id: &str) {
        measured::found(id, self.ratio(), &self.said());
    }
}

/// Runs one warm-up round, then alternates the two, so that both see the same load.
pub fn compare(rounds: usize, floor: impl Fn(), ours: impl Fn()) -> Compared {
    let before = before();
    let earlier = || {
        BEFORE.store(true, Ordering::Relaxed);
        let took = before.as_ref().map(|_| timed(&ours));
        BEFORE.store(false, Ordering::Relaxed);
        took.unwrap_or_default()
    };
    let round = || (timed(&floor), (timed(&ours), earlier()));
    let _ = round();
    let rounds: Vec<_> = (0..rounds).map(|_| round()).collect();
    let (floors, rounds): (Vec<_>, Vec<_>) = rounds.into_iter().unzip();
    let (ours, earlier): (Vec<_>, Vec<_>) = rounds.into_iter().unzip();
    let mut more = format!("; {}", spread(&ours, &floors));
    if let Some((name, _)) = before {
        let ratio = middle(earlier.clone()).as_secs_f64() / middle(floors.clone()).as_secs_f64();
        more += &format!("; {name}: {ratio:.2}, {}", spread(&earlier, &floors));
    }
    Compared {
        floor: middle(floors),
        ours: middle(ours),
        more,
    }
}

/// The lowest and highest ratio of the rounds.
fn spread(ours: &[Duration], floors: &[Duration]) -> String {
    let ratios = ours.iter().zip(floors);
    let ratios = ratios.map(|(ours, floor)| ours.as_secs_f64() / floor.as_secs_f64());
    let (least, most) = ratios.fold((f64::MAX, 0.0_f64), |(least, most), ratio| {
        (least.min(ratio), most.max(ratio))
    });
    format!("{least:.2} to {most:.2} in {} rounds", ours.len())
}

pub fn timed(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

pub fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// The peak memory of all login processes on a server while `work` runs, in MiB: the sum over the
/// processes, without `sshd` itself.
pub fn peak_of_logins<T>(server: &Sshd, work: impl FnOnce() -> T) -> (f64, T) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let mut peak: f64 = 0.0;
            while !over.load(Ordering::Relaxed) {
                let all = logins(server);
                let held = all.iter().filter_map(|process| measured::resident(process));
                peak = peak.max(held.sum());
                std::thread::sleep(Duration::from_millis(20));
            }
            peak / 1024.0
        });
        let result = work();
        over.store(true, Ordering::Relaxed);
        (sampler.join().unwrap(), result)
    })
}

/// The processes of logins on a server, detached ones included. Their home directory identifies
/// them.
fn logins(server: &Sshd) -> Vec<String> {
    let home = format!("HOME={}", server.home().display());
    let here = |process: &String| {
        let environ = std::fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        let mut variables = environ.split(|byte| *byte == 0);
        variables.any(|variable| variable == home.as_bytes())
    };
    let all = sshd::processes().map(|process| process.to_string());
    all.filter(here).collect()
}

/// The peak memory of a process until it ends, in MiB.
pub fn peak(child: &mut Child) -> f64 {
    let process = child.id().to_string();
    let mut peak = 0.0;
    while child.try_wait().unwrap().is_none() {
        peak = measured::high_water(&process).unwrap_or(peak);
        std::thread::sleep(Duration::from_millis(2));
    }
    peak / 1024.0
}
