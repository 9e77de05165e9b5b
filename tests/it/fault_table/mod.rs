//! The fault table: each fault, opsbook's promise, and the tests that inject the fault. The
//! manual's chapter is generated from it; `OPSBOOK_BLESS=1` rewrites the chapter.

mod rows;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use crate::record::{self, Loop, Suite};
use rows::TABLE;

/// A row. A test named `f12_…` belongs to F12.
struct Fault {
    id: &'static str,
    fault: &'static str,
    promise: &'static str,
    /// Where it is injected: on this machine alone (T0), with private servers (T1), on separate
    /// nodes (T2), on nodes with services (T3).
    tiers: &'static str,
    /// Tests of this fault with other names.
    also: &'static [&'static str],
    /// What the tests do not cover.
    open: &'static str,
}

const INTRODUCTION: &str = "\
# Faults

The journal, the bundle and the node agree, or the run says that it does not know. The table lists what can go wrong, what opsbook promises then, and the tests that cause it.

`tests/it/fault_table` writes this page, and fails if a named test does not exist. The suite fails if a promise does not hold. The last column has the results of the last recording.

Tests run in four tiers. T0 needs nothing but this machine's shell; T1 starts its own SSH servers; T2 needs root and gives each node its own network and disk; T3 is such a node with services. If a tier cannot run, its tests report that they were skipped, and why; under `CI=true` as root that is a failure.

";

fn chapter() -> String {
    let suite: Option<Suite> = record::read("suite");
    let known = known();
    let mut out = INTRODUCTION.to_owned();
    if let Some(suite) = &suite {
        let origin = &suite.origin;
        let _ = writeln!(
            out,
            "Recorded on {} at revision {} ({}), as root, by `just record`.\n",
            origin.date, origin.revision, origin.machine
        );
    }
    out.push_str(
        "| # | fault | promise | how it is injected | recorded |\n|---|---|---|---|---|\n",
    );
    for row in TABLE {
        let tests = tests_of_row(row, &known);
        let how = match (tests.is_empty(), row.open) {
            (true, _) => "not injected".to_owned(),
            (_, "") => row.tiers.to_owned(),
            (_, open) => format!("{} ({open})", row.tiers),
        };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {how} | {} |",
            row.id,
            row.fault,
            row.promise,
            verdict(&tests, suite.as_ref())
        );
    }
    out.push_str(&loops());
    out.push_str("\n## The tests of each row\n\n");
    for row in TABLE {
        let tests: Vec<String> = tests_of_row(row, &known)
            .iter()
            .map(|test| format!("`{test}`"))
            .collect();
        let tests = if tests.is_empty() {
            "none".to_owned()
        } else {
            tests.join(", ")
        };
        let _ = writeln!(out, "- {}: {tests}", row.id);
    }
    out
}

/// The tests that inject a fault, including those with other names.
fn tests_of_row<'a>(row: &Fault, known: &'a BTreeSet<String>) -> Vec<&'a str> {
    let prefix = format!("{}_", row.id.to_lowercase());
    let of_row = |test: &&String| test.starts_with(&prefix) || row.also.contains(&test.as_str());
    known.iter().filter(of_row).map(String::as_str).collect()
}

/// The recorded results of a row's tests; a test without a result is reported.
fn verdict(tests: &[&str], suite: Option<&Suite>) -> String {
    let passed = |test: &&&str| suite.and_then(|suite| suite.passed.get(**test));
    let count = |wanted| tests.iter().filter(|test| passed(test) == wanted).count();
    let all = tests.len();
    match (count(Some(&false)), count(None)) {
        _ if all == 0 => "not recorded".to_owned(),
        (0, 0) => format!("{all} passed"),
        (0, unknown) if unknown == all => "not recorded".to_owned(),
        (0, unknown) => format!("{} passed, {unknown} not recorded", all - unknown),
        (failed, _) => format!("**{failed} of {all} failed**"),
    }
}

/// The recorded random loop, if any.
fn loops() -> String {
    let loops: Vec<Loop> = ["loop-local", "loop-ssh"]
        .into_iter()
        .filter_map(record::read)
        .collect();
    if loops.is_empty() {
        return String::new();
    }
    let mut out = LOOPS.to_owned();
    for ran in loops {
        let broken = match ran.broken.as_slice() {
            [] => "never".to_owned(),
            seeds => format!("**{} times** (seeds {seeds:?})", seeds.len()),
        };
        let _ = writeln!(
            out,
            "| {} | {}, revision {}, {} | {} | {} | {} | {} | {} | {broken} |",
            ran.nodes,
            ran.origin.date,
            ran.origin.revision,
            ran.origin.machine,
            ran.minutes,
            ran.rounds,
            ran.controllers,
            ran.faults,
            ran.unknown
        );
    }
    out
}

const LOOPS: &str = "
## The random loop

A random procedure (scripts, transcripts, deliveries, captures, variables that later steps use, set-up, checks, steps with `sudo`, on the controller or in Python, steps that fail once) and random faults while it runs: the controller is killed or told to end, one of its processes or of the node's is killed or frozen, a disk fills up, a second controller wants the same run, this machine is busy, something in the bundle cannot be removed, the journal is an older copy, another user of the node is in the way. It is resumed, with more faults, until it is OK. After each controller the journal, the bundle and the node are compared: each step ran once, or the run has said that it does not know; nothing of it is left behind. `just soak MINUTES` runs it; a seed repeats a round.

| nodes | recorded | minutes | procedures | controllers | faults | outcomes unknown | promise broken |
|---|---|---|---|---|---|---|---|
";

/// The names of all test functions.
fn tests_below(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests_below(&path, names);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            names.extend(tests_of(&text));
        }
    }
}

fn tests_of(text: &str) -> Vec<String> {
    let mut test = false;
    let mut names = Vec::new();
    for line in text.lines().map(str::trim) {
        if line == "#[test]" || line.starts_with("#[tokio::test") {
            test = true;
        } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| test) {
            names.extend(rest.split('(').next().map(str::to_owned));
            test = false;
        }
    }
    names
}

fn known() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut known = BTreeSet::new();
    tests_below(&root.join("tests/it"), &mut known);
    for folder in ["src", "crates"] {
        tests_below(&root.join(folder), &mut known);
    }
    known
}

/// A test `f99_…` requires a row F99.
#[test]
fn each_test_of_a_fault_has_its_row() {
    let homeless = |test: &&String| {
        let id = test.strip_prefix('f').and_then(|rest| rest.split_once('_'));
        let number = id.and_then(|(id, _)| id.parse::<usize>().ok());
        number.is_some_and(|number| number == 0 || number > TABLE.len())
    };
    let known = known();
    let homeless: Vec<&String> = known.iter().filter(homeless).collect();
    assert_eq!(homeless, [""; 0]);
}

#[test]
fn each_test_that_the_table_names_exists() {
    let known = known();
    let missing: Vec<&str> = TABLE
        .iter()
        .flat_map(|row| row.also)
        .copied()
        .filter(|test| !known.contains(*test))
        .collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn each_row_has_a_test_that_makes_its_fault_happen() {
    let known = known();
    let untested = TABLE
        .iter()
        .filter(|row| tests_of_row(row, &known).is_empty());
    let untested: Vec<&str> = untested.map(|row| row.id).collect();
    assert_eq!(untested, [""; 0]);
}

#[test]
fn the_rows_are_numbered() {
    for (n, row) in TABLE.iter().enumerate() {
        assert_eq!(row.id, format!("F{}", n + 1));
    }
}

#[test]
fn the_chapter_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("manual/faults.md");
    if let Some(junit) = std::env::var_os("OPSBOOK_RECORD") {
        let xml = std::fs::read_to_string(junit).unwrap();
        let mut suite = Suite::from_junit(&xml, record::Origin::now());
        let known = known();
        let named: BTreeSet<&str> = TABLE
            .iter()
            .flat_map(|row| tests_of_row(row, &known))
            .collect();
        suite.passed.retain(|test, _| named.contains(test.as_str()));
        record::write("suite", &suite);
    }
    if std::env::var_os("OPSBOOK_BLESS").is_some() {
        std::fs::write(&path, chapter()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == chapter(),
        "run this test with OPSBOOK_BLESS=1 to write the chapter anew"
    );
}

#[test]
fn only_tests_are_tests() {
    let text = "fn a() {}\n#[test]\nfn b() {\n#[tokio::test]\nasync fn c() {\nfn d() {";
    assert_eq!(tests_of(text), ["b", "c"]);
}
