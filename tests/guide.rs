//! Walks through the guide: runs every command of `manual/guide/*.md` in the order of the pages, in
//! one folder, and compares the output with the page. `OPSBOOK_BLESS=1` rewrites the pages.
//!
//! A ```` ```console ```` block contains commands (`$ …`) and their complete output. A block after
//! `<!-- write FILE -->` or `<!-- append FILE -->` is first written to that file. Output that
//! differs each time is compared by shape: `ELIDED`.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends where something is wrong"
)]

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use regex::Regex;

/// The pages, in order.
const PAGES: [&str; 6] = [
    "start.md",
    "first-procedure.md",
    "first-checks.md",
    "nodes-and-secrets.md",
    "halting.md",
    "many-nodes.md",
];

/// Patterns of output that differs each time, and their replacements.
const ELIDED: [(&str, &str); 6] = [
    (r"\d{8}-\d{6}-[0-9a-f]{4}", "[RUN]"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?Z?", "[TIME]"),
    (r"\b\d+(\.\d+)? ?(ms|s)\b", "[N]"),
    (r"\b[0-9a-f]{12,64}\b", "[HASH]"),
    (r"\[N\] \(\w+\)", "[N]"),
    (r" +", " "),
];

/// The reader's place: an empty home directory.
struct Place {
    home: tempfile::TempDir,
    /// The current folder of the shell.
    folder: PathBuf,
    status: i32,
}

/// A part of a page, with its original lines.
enum Part {
    Prose(Vec<String>),
    /// A fenced block: the line that opens it, its lines, the line that closes it.
    Block(String, Vec<String>, String),
}

#[test]
fn the_guide_does_what_it_says() {
    let mut place = Place::new();
    let mut wrong = String::new();
    for page in PAGES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("manual/guide")
            .join(page);
        let text = fs::read_to_string(&path).unwrap();
        let walked = place.walk(page, &text);
        if elided(&walked) == elided(&text) {
            continue;
        }
        if std::env::var_os("OPSBOOK_BLESS").is_some() {
            fs::write(path, walked).unwrap();
        } else {
            write!(wrong, "{page}:\n{}", difference(&text, &walked)).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

impl Place {
    fn new() -> Place {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().canonicalize().unwrap();
        Place {
            home,
            folder,
            status: 0,
        }
    }

    /// The page with the actual output.
    fn walk(&mut self, page: &str, text: &str) -> String {
        let mut walked = String::new();
        let mut wanted: Option<(bool, String)> = None;
        for part in parts(text) {
            match part {
                Part::Prose(lines) => {
                    let said = lines.iter().rev().find(|line| !line.trim().is_empty());
                    wanted = said.and_then(|line| instruction(line));
                    lines.iter().for_each(|line| walked += &format!("{line}\n"));
                }
                Part::Block(open, lines, close) => {
                    let is_console = open.trim_start_matches('`').starts_with("console");
                    walked += &format!("{open}\n");
                    if let Some((append, file)) = wanted.take() {
                        self.put(&file, append, &lines);
                    } else if is_console {
                        for line in lines.iter().filter_map(|line| line.strip_prefix("$ ")) {
                            walked += &format!("$ {line}\n{}", self.run(page, line));
                        }
                        walked += &format!("{close}\n");
                        continue;
                    }
                    lines.iter().for_each(|line| walked += &format!("{line}\n"));
                    walked += &format!("{close}\n");
                }
            }
        }
        walked
    }

    fn put(&self, file: &str, append: bool, lines: &[String]) {
        let path = self.folder.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut options = OpenOptions::new();
        options.create(true).write(true);
        let mut file = options.append(append).truncate(!append).open(path).unwrap();
        for line in lines {
            writeln!(file, "{line}").unwrap();
        }
    }

    /// The output of a command on both streams, as the user ana would see it.
    fn run(&mut self, page: &str, command: &str) -> String {
        let home = self.home.path().canonicalize().unwrap();
        let tools = Path::new(env!("CARGO_BIN_EXE_opsbook")).parent().unwrap();
        let path = std::env::var("PATH").unwrap();
        // The shell reports its folder at the end, for the next command.
        let script = format!(
            "(exit {}); {{ {command}\n}} 2>&1; status=$?; pwd > \"$HOME/.where\"; exit $status",
            self.status
        );
        let said = Command::new("timeout")
            .args(["120", "sh", "-c", &script])
            .current_dir(&self.folder)
            .env_clear()
            .envs([("USER", "ana"), ("LOGNAME", "ana"), ("LC_ALL", "C.UTF-8")])
            .env("HOME", &home)
            .env("PATH", format!("{}:{path}", tools.display()))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        self.status = said.status.code().unwrap();
        assert_ne!(self.status, 124, "{page}: `{command}` did not end");
        let there = fs::read_to_string(home.join(".where")).unwrap();
        self.folder = PathBuf::from(there.trim_end());
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        as_ana_sees_it(&text, &home)
    }
}

/// `<!-- write FILE -->`, `<!-- append FILE -->`: whether to append, and the file.
fn instruction(line: &str) -> Option<(bool, String)> {
    let words = line.trim().strip_prefix("<!-- ")?.strip_suffix(" -->")?;
    match words.split_once(' ')? {
        ("write", file) => Some((false, file.to_owned())),
        ("append", file) => Some((true, file.to_owned())),
        _ => None,
    }
}

fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut prose = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let ticks = line.len() - line.trim_start_matches('`').len();
        if ticks < 3 {
            prose.push(line.to_owned());
            continue;
        }
        parts.push(Part::Prose(std::mem::take(&mut prose)));
        let closes = |line: &str| {
            line.starts_with(&line[..ticks.min(line.len())]) && line == "`".repeat(ticks)
        };
        let mut body = Vec::new();
        let close = loop {
            let line = lines.next().expect("a fence is never closed");
            if closes(line) {
                break line.to_owned();
            }
            body.push(line.to_owned());
        };
        parts.push(Part::Block(line.to_owned(), body, close));
    }
    parts.push(Part::Prose(prose));
    parts
}

fn as_ana_sees_it(text: &str, home: &Path) -> String {
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let user = Regex::new(&format!(r"\w+@{}\b", regex::escape(&host))).unwrap();
    let text = text.replace(&home.display().to_string(), "/home/ana");
    let text = user.replace_all(&text, "ana@laptop").into_owned();
    let reached = Regex::new(r"reached as \w+").unwrap();
    let text = reached.replace_all(&text, "reached as ana").into_owned();
    let on = Regex::new(&format!(r"\w+ on {}\b", regex::escape(&host))).unwrap();
    on.replace_all(&text, "ana on laptop").into_owned()
}

fn elided(text: &str) -> String {
    let elide = |text: String, (pattern, instead): &(&str, &str)| {
        let pattern = Regex::new(pattern).unwrap();
        pattern.replace_all(&text, *instead).into_owned()
    };
    ELIDED.iter().fold(text.to_owned(), elide)
}

/// The differing lines: `-` for the page, `+` for the actual output.
fn difference(page: &str, walked: &str) -> String {
    let (page, walked) = (elided(page), elided(walked));
    let diff = similar::TextDiff::from_lines(&page, &walked);
    diff.unified_diff().context_radius(2).to_string()
}
