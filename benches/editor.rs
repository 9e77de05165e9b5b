//! The time an author waits: from a change of a page to the editor's display of it, in a manual
//! of 300 pages; and `opsbook adopt` on 400 pages.
//!
//! The benchmark counts the processor time of the whole process, so the server's pause for typing
//! and other load on the machine hardly count.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that prints what it measured, and ends where something is wrong"
)]

#[path = "bench/measured.rs"]
mod measured;
mod synthetic;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const OPSBOOK: &str = env!("CARGO_BIN_EXE_opsbook");
const PAGES: usize = 300;
const ADOPTED: usize = 400;
/// The number of consecutive changes. The system counts a process's time in hundredths of a second.
const CHANGES: usize = 20;
const ROUNDS: usize = 5;

fn main() {
    typed();
    adopted();
}

fn typed() {
    let folder = tempfile::tempdir().unwrap();
    synthetic::write(folder.path(), PAGES).unwrap();
    let nodes = "opsbook: 1\ngroups: {web: {}}\nnodes:\n  web1: {groups: [web]}\n";
    fs::write(folder.path().join("nodes.yaml"), nodes).unwrap();
    let mut editor = Editor::start(folder.path());
    let mut work = Vec::new();
    let mut waited = Vec::new();
    for _ in 0..ROUNDS {
        let before = editor.work();
        for change in 0..CHANGES {
            let begun = Instant::now();
            let found = editor.types(change % 2 == 0);
            assert_eq!(found, usize::from(change % 2 == 0));
            waited.push(begun.elapsed().as_secs_f64());
        }
        #[expect(clippy::cast_precision_loss, reason = "a few")]
        work.push(editor.work().saturating_sub(before).as_secs_f64() / CHANGES as f64);
    }
    let (work, waited) = (Spread::of(work), Spread::of(waited));
    let said = format!(
        "median of {ROUNDS} rounds of {CHANGES} changes, {}; from the key to what is shown {:.0} ms, the pause of 100 ms in it",
        work.said(),
        waited.median * 1e3
    );
    measured::found("keystroke", work.median, &said);
}

fn adopted() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    synthetic::write(root, ADOPTED).unwrap();
    let mut bytes = 0;
    for page in fs::read_dir(root.join("manual")).unwrap().flatten() {
        let text = fs::read_to_string(page.path()).unwrap();
        let plain = untagged(&text);
        bytes += plain.len();
        fs::write(page.path(), plain).unwrap();
    }
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let done = Command::new(OPSBOOK)
            .arg("adopt")
            .current_dir(root)
            .output()
            .unwrap();
        times.push(begun.elapsed().as_secs_f64());
        let patch = String::from_utf8(done.stdout).unwrap();
        assert!(patch.matches("\n+").count() > ADOPTED, "{patch:.500}");
    }
    let times = Spread::of(times);
    #[expect(clippy::cast_precision_loss, reason = "a size to read")]
    let size = bytes as f64 / 1e6;
    let said = format!("{size:.1} MB, median of {ROUNDS} rounds, {}", times.said());
    measured::found("adopt", times.median, &said);
}

/// A page written without opsbook in mind: its fences have only a language, its commands literal
/// values.
fn untagged(page: &str) -> String {
    let mut plain = String::new();
    for line in page.lines() {
        let indented = line.len() - line.trim_start().len();
        let language = line.trim_start().strip_prefix("```");
        match language.and_then(|words| words.split(' ').next()) {
            Some(language) => plain += &format!("{}```{language}\n", &line[..indented]),
            None => plain += &(line.replace("$version", "1.4.2") + "\n"),
        }
    }
    plain
}

struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(mut times: Vec<f64>) -> Spread {
        times.sort_by(f64::total_cmp);
        Spread {
            least: times[0],
            median: times[times.len() / 2],
            most: times[times.len() - 1],
        }
    }

    fn said(&self) -> String {
        format!("{:.0} to {:.0} ms", self.least * 1e3, self.most * 1e3)
    }
}

/// An editor with one open page.
struct Editor {
    server: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    uri: String,
    text: String,
    version: usize,
}

impl Editor {
    fn start(root: &Path) -> Editor {
        let mut server = Command::new(OPSBOOK)
            .args(["lsp", "--stdio"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let page = root.join("manual/page-00150.md");
        let mut editor = Editor {
            to: server.stdin.take().unwrap(),
            from: BufReader::new(server.stdout.take().unwrap()),
            server,
            uri: format!("file://{}", page.display()),
            text: fs::read_to_string(page).unwrap(),
            version: 0,
        };
        editor.send(&json!({"id": 1, "method": "initialize", "params": {"capabilities": {}}}));
        editor.until(|said| said["id"] == 1);
        editor.send(&json!({"method": "initialized", "params": {}}));
        let document =
            json!({"uri": editor.uri, "languageId": "markdown", "version": 0, "text": editor.text});
        editor
            .send(&json!({"method": "textDocument/didOpen", "params": {"textDocument": document}}));
        // The first reading is that of an untouched manual.
        editor.types(true);
        editor.types(false);
        editor
    }

    /// Adds a mistake at the end of the page, or removes it. Returns the number of problems shown.
    fn types(&mut self, wrong: bool) -> usize {
        self.version += 1;
        let mistake = if wrong { "\n```sh stpe\n:\n```\n" } else { "" };
        let text = format!("{}{mistake}", self.text);
        self.send(&json!({"method": "textDocument/didChange", "params": {
            "textDocument": {"uri": self.uri, "version": self.version},
            "contentChanges": [{"text": text}],
        }}));
        let uri = self.uri.clone();
        let said = self.until(|said| {
            said["method"] == "textDocument/publishDiagnostics" && said["params"]["uri"] == *uri
        });
        said["params"]["diagnostics"].as_array().unwrap().len()
    }

    fn send(&mut self, message: &Value) {
        let mut message = message.clone();
        message["jsonrpc"] = "2.0".into();
        let text = message.to_string();
        write!(self.to, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.to.flush().unwrap();
    }

    fn until(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            let mut length = 0;
            loop {
                let mut line = String::new();
                self.from.read_line(&mut line).unwrap();
                assert!(!line.is_empty(), "the server has ended");
                match line.trim().strip_prefix("Content-Length: ") {
                    Some(number) => length = number.parse().unwrap(),
                    None if line.trim().is_empty() => break,
                    None => {}
                }
            }
            let mut bytes = vec![0; length];
            self.from.read_exact(&mut bytes).unwrap();
            let said: Value = serde_json::from_slice(&bytes).unwrap();
            if is_it(&said) {
                return said;
            }
        }
    }

    /// Processor time of all its threads, ended ones included.
    fn work(&self) -> Duration {
        let about = fs::read_to_string(format!("/proc/{}/stat", self.server.id())).unwrap();
        let (_, numbers) = about.rsplit_once(") ").unwrap();
        let numbers: Vec<&str> = numbers.split(' ').collect();
        let ticks: u64 = [11, 12]
            .iter()
            .map(|at| numbers[*at].parse::<u64>().unwrap())
            .sum();
        let second = Command::new("getconf")
            .arg("CLK_TCK")
            .output()
            .unwrap()
            .stdout;
        let second: u64 = String::from_utf8(second).unwrap().trim().parse().unwrap();
        Duration::from_millis(ticks * 1000 / second)
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
