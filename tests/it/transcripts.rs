//! Transcripts of the command line: `tests/cli/*.console`, which the manual shows as well. Each has
//! its own copy of the manual in `tests/cli/project`. Its commands run one after the other, and
//! must give exactly this text. `OPSBOOK_BLESS=1` rewrites it.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;
use snapbox::assert::Action;
use snapbox::{Assert, Data, Redactions};

use crate::project::Project;

/// Output that differs each time, and its replacements.
const ELIDED: &[(&str, &str)] = &[
    ("[RUN]", r"\d{8}-\d{6}-[0-9a-f]{4}"),
    (
        "[TIME]",
        r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?",
    ),
    ("[N]", r"\b(?<redacted>\d+(?:\.\d+)?) ?s\b"),
    ("[N]", r"\b(?<redacted>\d+) ms\b"),
    ("[SHELL]", r"ms \((?<redacted>bash|dash|busybox|sh)\)"),
    ("[NODE]", r"web1  (?<redacted>\S+ on .*), reached in"),
    ("[USER]", r"reached as (?<redacted>\S+)"),
    ("[HASH]", r"\b[0-9a-f]{12,64}\b"),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli")
}

/// Runs the commands of a transcript in its own project.
fn play(name: &str) {
    let file = folder().join(format!("{name}.console"));
    let expected = fs::read_to_string(&file).unwrap();
    let project = Project::new("");
    copy(&folder().join("project"), &project.path(""));
    fs::remove_file(project.path("manual/page.md")).unwrap();
    let mut text = String::new();
    let commands = expected.lines().filter_map(|line| line.strip_prefix("$ "));
    for command in commands.filter(|command| *command != "echo $?") {
        // Both streams, as a terminal shows them.
        let script = format!("PATH=\"${{0%/*}}:$PATH\"; exec 2>&1; {command}");
        let said = project.through(&["sh", "-c", &script], &[]).said();
        assert_eq!(said.err, "", "{command}");
        text += &format!("$ {command}\n{}", said.out);
        if said.status != 0 {
            text += &format!("$ echo $?\n{}\n", said.status);
        }
    }
    let action = match std::env::var_os("OPSBOOK_BLESS") {
        Some(_) => Action::Overwrite,
        None => Action::Verify,
    };
    Assert::new()
        .action(action)
        .redact_with(redactions(&project))
        .eq(text, Data::read_from(&file, None));
}

fn redactions(project: &Project) -> Redactions {
    let mut redactions = Redactions::new();
    let home = project.home("").canonicalize().unwrap();
    redactions.insert("[HOME]", home).unwrap();
    redactions.insert("[MANUAL]", project.root()).unwrap();
    let hostname = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let operator = format!(r"\S+@{}", regex::escape(&hostname));
    let operator = Regex::new(&operator).unwrap();
    redactions.insert("[OPERATOR]", operator).unwrap();
    for (name, pattern) in ELIDED {
        redactions
            .insert(name, Regex::new(pattern).unwrap())
            .unwrap();
    }
    redactions
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

macro_rules! transcripts {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                play(stringify!($name));
            }
        )*

        /// Each transcript is played.
        #[test]
        fn every_transcript_is_played() {
            let mut found: Vec<String> = fs::read_dir(folder())
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.extension().is_some_and(|extension| extension == "console"))
                .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
                .collect();
            found.sort();
            let mut played = vec![$(stringify!($name)),*];
            played.sort_unstable();
            assert_eq!(found, played);
        }
    };
}

transcripts![
    init, lint, list, nodes, show, dry_run, run, history, halt, test, test_fails, errors,
];
