//! The manual's table of defaults and limits agrees with the program.

use std::fs;
use std::path::Path;

/// A row of the table: its beginning and its text; the place in the program, and the expected code.
const ROWS: [(&str, &str, &str, &str); 24] = [
    (
        "time limit of a step",
        "10 min",
        "crates/plan/src/lib.rs",
        "STEP_LIMIT: Duration = Duration::from_mins(10);",
    ),
    (
        "time limit of a check",
        "30 s",
        "crates/plan/src/lib.rs",
        "CHECK_LIMIT: Duration = Duration::from_secs(30);",
    ),
    (
        "a check that is tried again",
        "every second",
        "crates/manual/src/model/attributes.rs",
        "every: limit.min(Duration::from_secs(1)),",
    ),
    (
        "the command of a secret",
        "2 min",
        "crates/nodes/src/resolve.rs",
        "COMMAND_TIMEOUT: Duration = Duration::from_mins(2);",
    ),
    (
        "a secret",
        "64 KiB",
        "crates/nodes/src/resolve.rs",
        "MAX_SECRET: usize = 64 * 1024;",
    ),
    (
        "a value in `nodes.yaml`",
        "1 MiB",
        "crates/nodes/src/expand.rs",
        "MAX_VALUE: usize = 1024 * 1024;",
    ),
    (
        "reconnecting to a node",
        "2 min",
        "crates/project/src/run.rs",
        "reconnect_milliseconds: 120_000,",
    ),
    (
        "nodes at a time",
        "10, 50",
        "crates/project/src/run.rs",
        "parallel: 10,",
    ),
    (
        "nodes at a time",
        "10, 50",
        "src/cli/test/arguments.rs",
        "default_value_t = 50,",
    ),
    (
        "output of a step, on the node",
        "64 MiB",
        "crates/engine/src/bundle/recorder.sh",
        "cap=67108864",
    ),
    (
        "output of a step, on the screen",
        "1 MiB",
        "crates/engine/src/node/follow.rs",
        "SHOWN: u64 = 1 << 20;",
    ),
    (
        "output that is compared",
        "4 MiB",
        "crates/engine/src/node/judge.rs",
        "COMPARED: u64 = 4 << 20;",
    ),
    (
        "output of a check",
        "4 MiB",
        "crates/engine/src/check.rs",
        "OUTPUT: u64 = 4 << 20;",
    ),
    (
        "records of runs on the node",
        "the newest 20",
        "crates/engine/src/bundle/mod.rs",
        "KEPT_RUNS: &str = \"20\";",
    ),
    (
        "recorded results",
        "the newest 100",
        "crates/journal/src/results.rs",
        "KEPT: usize = 100;",
    ),
    (
        "a page, a template, a YAML file",
        "64 MiB, 16 MiB, 16 MiB",
        "crates/text/src/files.rs",
        "MAX_TEXT: u64 = 64 * 1024 * 1024;",
    ),
    (
        "a page, a template, a YAML file",
        "64 MiB, 16 MiB, 16 MiB",
        "crates/template/src/lib.rs",
        "MAX_BYTES: usize = 16 * 1024 * 1024;",
    ),
    (
        "a page, a template, a YAML file",
        "64 MiB, 16 MiB, 16 MiB",
        "crates/text/src/yaml.rs",
        "MAX_BYTES: usize = 16 * 1024 * 1024;",
    ),
    (
        "a page with its includes",
        "16 MiB, 10 deep",
        "crates/manual/src/markdown/include.rs",
        "MAX_BYTES: usize = 16 * 1024 * 1024;",
    ),
    (
        "a page with its includes",
        "16 MiB, 10 deep",
        "crates/manual/src/markdown/include.rs",
        "MAX_DEPTH: usize = 10;",
    ),
    (
        "files that a page includes, counted each time",
        "10,000, 32 MiB",
        "crates/manual/src/markdown/include.rs",
        "MAX_READ: usize = 2 * MAX_BYTES;",
    ),
    (
        "chapters below chapters",
        "32 levels",
        "crates/manual/src/markdown/summary.rs",
        "MAX_LEVELS: usize = 32;",
    ),
    (
        "files and folders",
        "50,000",
        "crates/manual/src/load.rs",
        "MAX_FILES: usize = 50_000;",
    ),
    (
        "a step that a person does",
        "no limit",
        "crates/engine/src/node/step.rs",
        "PlannedWork::Manual(_) => 0,",
    ),
];

#[test]
fn the_table_says_what_the_program_does() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    let manual = read("manual/format.md");
    let (_, table) = manual.split_once("## Defaults and bounds").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let rows: Vec<&str> = table
        .lines()
        .filter(|line| line.starts_with("| "))
        .collect();
    for (what, says, file, holds) in ROWS {
        let row = rows.iter().find(|row| row[2..].starts_with(what));
        let cells: Vec<_> = row
            .unwrap_or_else(|| panic!("no row `{what}`"))
            .split('|')
            .collect();
        assert!(cells[2].contains(says), "{what}: {}", cells[2]);
        assert!(
            read(file).contains(holds),
            "{file} has no `{holds}`: is `{what}` still true?"
        );
    }
    let known = |row: &&&str| ROWS.iter().any(|(what, ..)| row[2..].starts_with(what));
    let unknown: Vec<_> = rows.iter().skip(1).filter(|row| !known(row)).collect();
    assert!(unknown.is_empty(), "rows that nothing proves: {unknown:?}");
}
