//! The output of libtest-mimic for a manual as a cargo test target.

use std::ffi::OsString;

use clap::Parser as _;
use indoc::indoc;

use super::{Live, Target, readers, target_of};

const PAGE: &str = indoc! {"
    # P

    ```yaml checks
    id: g
    ```

    ```sh check id=g.good
    true
    ```

    ```sh check id=g.bad
    false
    ```

    ```sh check id=g.other
    true
    ```
"};

/// The output of libtest-mimic with these arguments.
fn said(args: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
    };
    write("book.toml", "[book]\nsrc = \".\"\n");
    write("SUMMARY.md", "- [P](p.md)\n");
    write("p.md", PAGE);
    write(
        "nodes.yaml",
        indoc! {"
            opsbook: 1
            nodes:
              here: {transport: local}
        "},
    );
    let log = folder.path().join("log");
    let own = [
        "manual",
        "--color",
        "never",
        "--logfile",
        log.to_str().unwrap(),
    ];
    let all = own.iter().chain(args).map(OsString::from);
    target_of(folder.path(), "here", all);
    std::fs::read_to_string(log).unwrap()
}

#[test]
fn a_target_of_cargo_is_chosen_printed_and_counted_by_libtest_mimic() {
    for (args, counts, runs) in [
        (
            &[][..],
            "2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out",
            3,
        ),
        (
            &["oo"],
            "1 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out",
            1,
        ),
        (
            &["--exact", "here::g::other"],
            "1 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out",
            1,
        ),
        (
            &["--skip", "bad"],
            "2 passed; 0 failed; 0 ignored; 0 measured; 1 filtered out",
            2,
        ),
        (
            &["nothing"],
            "0 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out",
            0,
        ),
        // libtest-mimic has one filter; here both apply, and no other.
        (&["good", "other"], "2 passed; 0 failed;", 2),
    ] {
        let said = said(args);
        assert!(said.contains(counts), "{args:?}\n{said}");
        let lines = said
            .lines()
            .filter(|line| line.starts_with("test [here] "))
            .count();
        assert_eq!(lines, runs, "{args:?}\n{said}");
    }
}

#[test]
fn a_target_of_cargo_is_listed_by_libtest_mimic() {
    let all = indoc! {"
            [here] here::g::good: test
            [here] here::g::bad: test
            [here] here::g::other: test
        "};
    let good = "[here] here::g::good: test\n";
    for (args, listed) in [
        (&["--list"][..], all),
        (&["--list", "--format", "terse", "good"], good),
        (&["--list", "good", "nothing"], good),
        (&["--list", "--ignored"], ""),
    ] {
        assert_eq!(said(args), listed, "{args:?}");
    }
}

#[test]
fn a_suite_that_does_not_come_to_its_end_is_no_pass() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let args = ["manual", "--logfile", log.to_str().unwrap()];
    let printing = Target::parse_from(args).test.printing;
    let (tell, told) = std::sync::mpsc::channel();
    drop(tell);
    let read = readers::lines(&told, &printing, &Live::default(), false);
    let why = read.map(drop).unwrap_err().to_string();
    assert_eq!(why, "the suite did not finish: this is a bug in opsbook");
}
