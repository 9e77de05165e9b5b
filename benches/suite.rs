//! The cost of `opsbook test`, process start included, compared with its floor: one `ssh` per
//! node that carries the same questions in one sequential script. Prints the ratios of one run.
//! Words choose the measurements: `one`, `delay`, `fleet` (or `50x20`, `200x5`, each also with
//! `-curve`), `russh` (or `50-russh`, `200-russh`), `list`, `memory`, `thousand`. `OPSBOOK` names another binary to measure.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::naive_bytecount,
    reason = "a measurement talks, and stops where it cannot go on"
)]

mod bench;
#[path = "../tests/it/crowd.rs"]
mod crowd;

use std::cell::Cell;
use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bench::delay::delayed;
use bench::sshd::{self, Sshd, or_skip};
use bench::{
    Way, Words, compare, feed, measured, nodes, opsbook, opsbook_well, peak, servers, side_by_side,
    timed,
};
use crowd::Crowd;

/// A question, as a typed check and as a command line.
type Question = (&'static str, String, String, String);

fn main() {
    let words = Words::given();
    if words.want("one") {
        one();
    }
    if words.want("delay") {
        delay();
    }
    for (count, each) in [(50, 20), (200, 5)] {
        let all = words.want("fleet") || words.name(&format!("{count}x{each}"));
        for (more, curve) in [("", false), ("-curve", true)] {
            if all || words.name(&format!("{count}x{each}-curve")) && curve {
                fleet(count, each, more, curve);
            }
        }
    }
    for count in [50, 200] {
        if words.want("russh") || words.name(&format!("{count}-russh")) {
            own_ssh(count);
        }
    }
    if words.want("list") {
        list();
    }
    if words.want("memory") {
        memory();
    }
    if words.want("thousand") {
        thousand();
    }
}

/// Questions about files, commands, ports, users and processes.
fn questions(count: usize) -> Vec<Question> {
    let files = [
        "/etc/passwd",
        "/etc/group",
        "/bin/sh",
        "/etc",
        "/tmp",
        "/usr/bin/env",
        "/etc/hosts",
    ];
    (0..count)
        .map(|n| match n % 10 {
            0..4 => {
                // Different paths, as in a real manual.
                let nth = n / 10 * 4 + n % 10;
                let path = format!(
                    "{}{}",
                    "/.".repeat(nth / files.len()),
                    files[nth % files.len()]
                );
                let line = format!("stat -c '%F %a %U' {path}");
                ("file", path, "{exists: true, owner: root}".to_owned(), line)
            }
            4 | 5 => {
                let line = format!("test $(( {n} % 2 )) -lt 2");
                ("command", line.clone(), "{exit-status: 0}".to_owned(), line)
            }
            6 | 7 => {
                let port = 1 + n;
                let line = format!("! ss -ltn 'sport = :{port}' | grep -q LISTEN");
                (
                    "port",
                    format!("tcp:{port}"),
                    "{listening: false}".to_owned(),
                    line,
                )
            }
            8 => {
                let user = [
                    "root", "daemon", "bin", "sys", "sync", "games", "man", "lp", "mail", "news",
                ][n / 10 % 10];
                let line = format!("getent passwd {user} && id {user}");
                ("user", user.to_owned(), "{exists: true}".to_owned(), line)
            }
            _ => {
                let line = format!("! pgrep -x no-such-{n}");
                (
                    "process",
                    format!("no-such-{n}"),
                    "{running: false}".to_owned(),
                    line,
                )
            }
        })
        .collect()
}

/// A manual that asks these questions on these nodes.
fn manual(nodes: &str, questions: &[Question]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut page = String::from("# Page\n\n```yaml checks\nid: bench\n");
    for kind in ["file", "command", "port", "user", "process"] {
        let of_kind = questions.iter().filter(|question| question.0 == kind);
        let lines = of_kind.map(|(_, key, what, _)| format!("  {key:?}: {what}\n"));
        let lines: Vec<String> = lines.collect();
        if !lines.is_empty() {
            let _ = write!(page, "{kind}:\n{}", lines.concat());
        }
    }
    page.push_str("```\n");
    bench::project(dir.path(), &page, nodes);
    dir
}

fn one() {
    let Some(servers) = servers(1) else { return };
    let questions = questions(100);
    for (id, curve) in [("one", false), ("one-curve", true)] {
        let way = Way {
            curve,
            ..Way::default()
        };
        let manual = manual(&nodes(&servers, way), &questions);
        let floor = || ssh(&servers[0], way, &questions);
        compare(7, floor, || test(manual.path(), &[])).found(id);
    }
}

fn delay() {
    let Some(servers) = servers(1) else { return };
    let (_runtime, way) = delayed(&servers[0], Duration::from_millis(25), false);
    let questions = questions(100);
    let manual = manual(&nodes(&servers, way), &questions);
    let floor = || ssh(&servers[0], way, &questions);
    compare(7, floor, || test(manual.path(), &[])).found("delay");
}

fn fleet(count: usize, each: usize, name: &str, curve: bool) {
    const AT_ONCE: usize = 32;
    let Some(servers) = servers(count) else {
        return;
    };
    let questions = questions(each);
    let parallel = AT_ONCE.to_string();
    let manual = manual(
        &nodes(
            &servers,
            Way {
                curve,
                ..Way::default()
            },
        ),
        &questions,
    );
    let one = |server: &Sshd| ssh(server, Way::default(), &questions);
    let floor = || side_by_side(&servers, AT_ONCE, one);
    let ours = || test(manual.path(), &["--parallel", &parallel]);
    compare(rounds(), floor, ours).found(&format!("fleet-{count}x{each}{name}"));
}

/// opsbook's own ssh, against the user's `ssh`, both with the key exchange that they choose: the
/// time, and the processor time on this side.
fn own_ssh(count: usize) {
    let Some(servers) = servers(count) else {
        return;
    };
    let questions = questions(5);
    let on = |russh| {
        let way = Way {
            russh,
            ..Way::default()
        };
        manual(&nodes(&servers, way), &questions)
    };
    let (theirs, own) = (on(false), on(true));
    let test = |manual: &tempfile::TempDir, used: &Cell<Vec<Duration>>| {
        let arguments = ["test", "--parallel", "32"];
        let mut all = used.take();
        all.push(bench::opsbook_processor(manual.path(), &arguments));
        used.set(all);
    };
    let used = (Cell::default(), Cell::default());
    let found = compare(rounds(), || test(&theirs, &used.0), || test(&own, &used.1));
    found.found(&format!("russh-{count}x5"));
    let middle = |used: Cell<Vec<Duration>>| bench::middle(used.take()).as_secs_f64();
    let (theirs, own) = (middle(used.0), middle(used.1));
    let said = format!("{own:.2}s beside {theirs:.2}s");
    measured::found(&format!("russh-{count}x5-processor"), own / theirs, &said);
}

/// The rounds of a fleet, which takes long: `OPSBOOK_ROUNDS`, or a few.
fn rounds() -> usize {
    let given = std::env::var("OPSBOOK_ROUNDS").ok();
    given.and_then(|rounds| rounds.parse().ok()).unwrap_or(3)
}

fn list() {
    let nodes: String = (0..200).map(|n| format!("  n{n:03}: {{}}\n")).collect();
    let manual = manual(&format!("opsbook: 1\nnodes:\n{nodes}"), &questions(100));
    let mut listed = Vec::new();
    let mut list = opsbook(manual.path(), &["test", "--list"]);
    let took = timed(|| listed = list.output().unwrap().stdout);
    let count = listed.iter().filter(|byte| **byte == b'\n').count();
    measured::found("list", took.as_secs_f64(), &format!("{count} checks"));
}

fn memory() {
    let Some(servers) = servers(100) else { return };
    let questions = questions(5);
    let most = |count: usize| {
        let way = Way {
            port: None,
            curve: true,
            russh: false,
        };
        let manual = manual(&nodes(&servers[..count], way), &questions);
        let mut test = opsbook(manual.path(), &["test", "--parallel", "100"]);
        let mut child = test.stdout(Stdio::null()).spawn().unwrap();
        peak(&mut child)
    };
    let (few, many) = (most(1), most(100));
    let said = format!("{few:.1} MiB for 1 node, {many:.1} MiB for 100");
    let a_node = (many - few) / 99.0;
    measured::found("memory", a_node, &said);
}

/// Measures 1,000 nodes, 50 of them unreachable, in four ways.
fn thousand() {
    const NODES: usize = 1_000;
    let Some(crowd) = or_skip("bench", Crowd::start(NODES, 20)) else {
        return;
    };
    let questions = questions(5);
    let manual = manual(&crowd.nodes(), &questions);
    let err = manual.path().join("err");
    let mut test = opsbook(manual.path(), &["test"]);
    test.stdout(Stdio::null())
        .stderr(File::create(&err).unwrap());
    let mut most = 0.0;
    let took = timed(|| most = peak(&mut test.spawn().unwrap()));
    let said = std::fs::read_to_string(&err).unwrap();
    let begin = |name: &str| format!("    {} tests on {name}: ", questions.len());
    let dead = crowd.dead();
    let named = |name: &str| {
        let begin = begin(name);
        said.lines().filter(|line| line.starts_with(&begin)).count()
    };
    let once = dead.iter().filter(|(name, _)| named(name) == 1).count();
    assert_eq!(
        (once, said.lines().count()),
        (dead.len(), dead.len() + 1),
        "{said}"
    );
    let each = took.as_secs_f64() * 1000.0 / NODES as f64;
    let text = format!(
        "{once} of {} dead named, each once; {each:.0} ms a node",
        dead.len()
    );
    measured::found("thousand", took.as_secs_f64(), &text);
    let a_node = format!("{:.0} KiB a node", most * 1024.0 / NODES as f64);
    measured::found("thousand-memory", most, &a_node);
}

fn test(root: &Path, args: &[&str]) {
    opsbook_well(root, &[&["test"], args].concat());
}

fn ssh(server: &Sshd, way: Way, questions: &[Question]) {
    let mut script = String::new();
    for (_, _, _, line) in questions {
        let _ = writeln!(script, "{line}\necho \"status $?\"");
    }
    let out = feed(&mut bench::ssh(server, way, "exec sh"), script.as_bytes());
    let good = String::from_utf8_lossy(&out).matches("status 0").count();
    assert_eq!(good, questions.len(), "{}", String::from_utf8_lossy(&out));
}
