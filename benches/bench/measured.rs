//! Everything that is measured: what it stands beside, what is asked of it, what others took
//! for it. `OPSBOOK_RECORD=1` keeps what a measurement found in `benches/measured.json`, and
//! the chapter `manual/measured.md` is made from both (`tests/it/measured.rs`).

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "a measurement records, the chapter reads, and neither goes on without"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// One thing that is measured.
pub struct Row {
    pub id: &'static str,
    pub area: &'static str,
    pub what: &'static str,
    /// What the number is made of.
    pub unit: Unit,
    /// At most this.
    pub asked: Option<f64>,
    /// After `cargo bench --bench`.
    pub command: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Times the floor, which is measured in the same minute.
    Times(&'static str),
    Seconds,
    Mebibytes,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    pub value: f64,
    /// The two times of a ratio, and whatever else is worth knowing.
    pub said: String,
    pub date: String,
    pub machine: String,
    /// How many processes wanted to run in the minute before.
    pub load: f64,
}

pub type Measured = BTreeMap<String, Found>;

const RUN: &str = "Procedures over ssh";
const TEST: &str = "Checks over ssh";
const MANUAL: &str = "The manual and the nodes";
const BOOK: &str = "The book";
const TEAM: &str = "A gateway with 1,000 runners of one segment";
const FLEET: &str = "fleet -p opsbook-gateway -- runners";
const FLEET_CHECKS: &str = "fleet -p opsbook-gateway -- checks";
const MDBOOK: Unit = Unit::Times("mdBook 0.5.4");
const ONE_SSH: Unit = Unit::Times("one `ssh` with the same commands in one script");
const OUR_SSH: Unit = Unit::Times("`transport: ssh`");
const XARGS: Unit = Unit::Times("`xargs -P 32 ssh` with one script each");

#[rustfmt::skip]
pub const ROWS: [Row; 65] = [
    row("steps", RUN, "ten trivial steps, durable and journalled", ONE_SSH, 1.25, "run -- steps"),
    row("steps-delay", RUN, "the same at a round trip of 50 ms", ONE_SSH, 1.75, "run -- delay"),
    row("steps-russh", RUN, "the same, opsbook with `transport: russh`", ONE_SSH, 1.25, "run -- russh"),
    row("kept", RUN, "a second command while the connection is kept: one check", ONE_SSH, 0.3, "run -- kept"),
    row("kept-step", RUN, "the same: a procedure of one step", ONE_SSH, 0.3, "run -- kept"),
    row("files", RUN, "200 files delivered", Unit::Times("`tar \\| ssh tar`"), 1.5, "run -- files"),
    row("large", RUN, "one file of 256 MiB delivered", Unit::Times("`scp -O`"), 1.3, "run -- large"),
    row("several", RUN, "ten trivial steps over three machines", Unit::Times("ten on one machine"), 1.3, "run -- several"),
    row("each", RUN, "thirty nodes in a section, ten at a time", Unit::Times("batches of ten of the same steps"), 1.2, "run -- each"),
    row("output", RUN, "a step that prints 5 GB: memory of opsbook", Unit::Mebibytes, 64.0, "run -- output"),
    row("output-node", RUN, "the same: memory on the node, all processes of the session and the step", Unit::Mebibytes, 64.0, "run -- output"),
    row("one", TEST, "one node, 100 mixed checks", ONE_SSH, 0.65, "suite -- one"),
    row("one-curve", TEST, "the same, both with curve25519", ONE_SSH, 1.0, "suite -- one"),
    row("delay", TEST, "the same at a round trip of 50 ms", ONE_SSH, 1.1, "suite -- delay"),
    row("fleet-50x20", TEST, "50 nodes, 20 checks each", XARGS, 1.0, "suite -- 50x20"),
    row("fleet-50x20-curve", TEST, "the same, ours with curve25519", XARGS, 0.65, "suite -- 50x20-curve"),
    row("fleet-200x5", TEST, "200 nodes, 5 checks each", XARGS, 0.95, "suite -- 200x5"),
    row("fleet-200x5-curve", TEST, "the same, ours with curve25519", XARGS, 0.65, "suite -- 200x5-curve"),
    row("russh-50x5", TEST, "50 nodes, 5 checks each, with `transport: russh`", OUR_SSH, 1.0, "suite -- 50-russh"),
    row("russh-50x5-processor", TEST, "the same: processor time on this side", OUR_SSH, 1.0, "suite -- 50-russh"),
    row("russh-200x5", TEST, "200 nodes, 5 checks each, with `transport: russh`", OUR_SSH, 1.0, "suite -- 200-russh"),
    row("russh-200x5-processor", TEST, "the same: processor time on this side", OUR_SSH, 1.0, "suite -- 200-russh"),
    row("list", TEST, "20,000 checks listed", Unit::Seconds, 0.5, "suite -- list"),
    row("memory", TEST, "memory a node, without ssh's own", Unit::Mebibytes, 2.0, "suite -- memory"),
    open("thousand", TEST, "1,000 nodes, 50 of them dead", Unit::Seconds, "suite -- thousand"),
    open("thousand-memory", TEST, "the same: most memory of opsbook", Unit::Mebibytes, "suite -- thousand"),
    open("session-1x100", TEST, "sessions alone: 1 node, 100 scripts", ONE_SSH, "session -- 1x100"),
    open("session-50x20", TEST, "sessions alone: 50 nodes, 20 scripts each", Unit::Times("`xargs -P 8 ssh` with one script each"), "session -- 50x20"),
    open("session-200x5", TEST, "sessions alone: 200 nodes, 5 scripts each", Unit::Times("`xargs -P 8 ssh` with one script each"), "session -- 200x5"),
    row("parse", MANUAL, "2,000 pages parsed", Unit::Times("raw pulldown-cmark"), 3.0, "manual"),
    row("parse-one", MANUAL, "the same on one thread, as raw is", Unit::Times("raw pulldown-cmark"), 2.5, "manual"),
    row("lint", MANUAL, "2,000 pages loaded and linted", Unit::Seconds, 0.5, "manual"),
    row("lint-memory", MANUAL, "the same: memory", Unit::Mebibytes, 100.0, "manual"),
    row("nodes", MANUAL, "5,000 nodes in 50,000 lines: loaded, one evaluated and shown", Unit::Times("the YAML reader alone"), 3.0, "nodes"),
    row("nodes-memory", MANUAL, "the same: memory", Unit::Mebibytes, 100.0, "nodes"),
    row("keystroke", MANUAL, "a change of a page in an editor, 300 pages: processor time until its mistakes are shown", Unit::Seconds, 0.1, "editor"),
    row("adopt", MANUAL, "400 untagged pages adopted", Unit::Seconds, 1.0, "editor"),
    open("pages-25000", MANUAL, "25,000 pages loaded and linted", Unit::Seconds, "manual -- 25000"),
    row("book-30", BOOK, "30 pages of this manual built", MDBOOK, 1.0, "book -p opsbook-book -- ours"),
    row("book-30-memory", BOOK, "the same: memory", MDBOOK, 1.0, "book -p opsbook-book -- ours"),
    row("book-ours", BOOK, "this manual, without its packages", MDBOOK, 1.0, "book -p opsbook-book -- ours"),
    row("book-ours-memory", BOOK, "the same: memory", MDBOOK, 1.0, "book -p opsbook-book -- ours"),
    open("book-corpus", BOOK, "a manual of others: tuwunel, 65 pages", MDBOOK, "book -p opsbook-book -- corpus"),
    open("book-corpus-memory", BOOK, "the same: memory", MDBOOK, "book -p opsbook-book -- corpus"),
    row("book-500", BOOK, "500 pages built", MDBOOK, 0.25, "book -p opsbook-book -- 500"),
    row("book-500-memory", BOOK, "the same: memory", MDBOOK, 0.2, "book -p opsbook-book -- 500"),
    row("book-2000", BOOK, "2,000 pages built", MDBOOK, 0.125, "book -p opsbook-book -- 2000"),
    row("book-2000-memory", BOOK, "the same: memory", MDBOOK, 0.2, "book -p opsbook-book -- 2000"),
    row("serve-2000", BOOK, "a page of 2,000 was changed: noticed and rendered by `opsbook serve`", Unit::Seconds, 0.1, "book -p opsbook-book -- serve"),
    open("book-25000", BOOK, "25,000 pages built", Unit::Seconds, "book -p opsbook-book -- 25000"),
    row("book-25000-memory", BOOK, "the same: memory", Unit::Mebibytes, 600.0, "book -p opsbook-book -- 25000"),
    row("fleet-idle", TEAM, "SQLite, nothing happens: processor time of the gateway in a minute", Unit::Seconds, 3.0, FLEET),
    row("fleet-memory", TEAM, "the same: its memory", Unit::Mebibytes, 96.0, FLEET),
    row("fleet-start", TEAM, "an ask until a runner has it", Unit::Seconds, 0.15, FLEET),
    open("fleet-runs", TEAM, "1,000 runs, asked for one after the other, until all have ended", Unit::Seconds, FLEET),
    row("fleet-checks", TEAM, "a million results of checks, nothing new: processor time of the gateway", Unit::Seconds, 18.0, FLEET_CHECKS),
    open("fleet-checks-first", TEAM, "the same, all of them seen for the first time", Unit::Seconds, FLEET_CHECKS),
    open("fleet-checks-memory", TEAM, "the same: its memory", Unit::Mebibytes, FLEET_CHECKS),
    row("fleet-idle-pg", TEAM, "PostgreSQL, nothing happens: processor time of the gateway alone in a minute", Unit::Seconds, 3.0, FLEET),
    row("fleet-memory-pg", TEAM, "the same: its memory", Unit::Mebibytes, 96.0, FLEET),
    row("fleet-start-pg", TEAM, "an ask until a runner has it", Unit::Seconds, 0.15, FLEET),
    open("fleet-runs-pg", TEAM, "1,000 runs, asked for one after the other, until all have ended", Unit::Seconds, FLEET),
    row("fleet-checks-pg", TEAM, "a million results of checks, nothing new: processor time of the gateway alone", Unit::Seconds, 18.0, FLEET_CHECKS),
    open("fleet-checks-first-pg", TEAM, "the same, all of them seen for the first time", Unit::Seconds, FLEET_CHECKS),
    open("fleet-checks-memory-pg", TEAM, "the same: its memory", Unit::Mebibytes, FLEET_CHECKS),
];

/// What other tools took for the same, as the people who asked for opsbook measured it. Not
/// measured again here.
pub const PEERS: [(&str, &str); 4] = [
    (
        "ten commands on one node, beside one `ssh`, none of it durable",
        "one shared connection 1.4, parallel-ssh 2.8, Fabric 3.0, pyinfra 4.2, Mitogen 8, Ansible 13",
    ),
    (
        "one node, 100 mixed checks, beside one `ssh`",
        "execnet 1.33, testinfra with a shared connection 3.5, Rex 4.7, pyinfra 10, Mitogen 14, serverspec 15, Ansible 50",
    ),
    (
        "the same at a round trip of 50 ms",
        "one shared connection and a command each 13, Ansible 41",
    ),
    (
        "50 nodes, 20 checks each, beside `xargs -P N ssh`",
        "parallel-ssh 0.60 (a cheaper key exchange, no checks reported singly), pyinfra 1.4 to 2.9, testinfra 2.5 to 5.3, execnet 2.7",
    ),
];

const fn row(
    id: &'static str,
    area: &'static str,
    what: &'static str,
    unit: Unit,
    asked: f64,
    command: &'static str,
) -> Row {
    Row {
        id,
        area,
        what,
        unit,
        asked: Some(asked),
        command,
    }
}

/// Nothing is asked of it but to be known.
const fn open(
    id: &'static str,
    area: &'static str,
    what: &'static str,
    unit: Unit,
    command: &'static str,
) -> Row {
    Row {
        id,
        area,
        what,
        unit,
        asked: None,
        command,
    }
}

/// Says what was found, and keeps it where that is wanted.
#[allow(clippy::print_stdout, reason = "a measurement talks")]
pub fn found(id: &str, value: f64, said: &str) {
    let row = ROWS.iter().find(|row| row.id == id);
    let row = row.unwrap_or_else(|| panic!("`{id}` is no row of what is measured"));
    let asked = row.asked.map_or(String::new(), |asked| {
        let well = if value <= asked { "" } else { ", NOT MET" };
        format!(" (asked: {}{well})", row.unit.shown(asked))
    });
    println!("{id}: {}{asked}; {said}", row.unit.shown(value));
    if std::env::var_os("OPSBOOK_RECORD").is_none() {
        return;
    }
    let mut all = read();
    let one = Found {
        value: (value * 1000.0).round() / 1000.0,
        said: said.to_owned(),
        date: jiff::Zoned::now().date().to_string(),
        machine: machine(),
        load: load(),
    };
    all.insert(id.to_owned(), one);
    let mut text = serde_json::to_string_pretty(&all).unwrap();
    text.push('\n');
    std::fs::write(path(), text).unwrap();
}

/// What was found until now.
pub fn read() -> Measured {
    let text = std::fs::read_to_string(path()).unwrap_or_else(|_| "{}".to_owned());
    serde_json::from_str(&text).unwrap()
}

fn path() -> PathBuf {
    // A measurement may be of a crate of its own.
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = own
        .ancestors()
        .map(|folder| folder.join("benches/measured.json"));
    found.into_iter().find(|file| file.exists()).unwrap()
}

impl Unit {
    pub fn shown(self, value: f64) -> String {
        match self {
            Unit::Times(_) => format!("{value:.2}"),
            Unit::Seconds if value < 10.0 => format!("{value:.2} s"),
            Unit::Seconds => format!("{value:.0} s"),
            Unit::Mebibytes if value < 10.0 => format!("{value:.2} MiB"),
            Unit::Mebibytes => format!("{value:.0} MiB"),
        }
    }
}

/// The most memory that a process has held until now, in KiB.
pub fn high_water(process: &str) -> Option<f64> {
    memory(process, "VmHWM:")
}

/// The memory that a process holds now, in KiB.
pub fn resident(process: &str) -> Option<f64> {
    memory(process, "VmRSS:")
}

fn memory(process: &str, what: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(what))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown", |line| line.trim_start_matches([' ', '\t', ':']));
    format!("{cores} cores, {model}")
}

fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split(' ').next();
    first.and_then(|load| load.parse().ok()).unwrap_or_default()
}
