//! Lint for single scripts: no problem if the real shell accepts them, an error if a mistake is
//! certain. The tables are in `tests/fixtures/shell/`; the real shells of this machine verify each
//! row.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::{Command, Stdio};

use crate::project::Project;

/// A row of a table: `sh`, the next word, and the script.
pub struct Row<'a> {
    pub shell: &'a str,
    pub word: &'a str,
    pub script: &'a str,
}

fn rows(table: &str) -> Vec<Row<'_>> {
    let rows = table.split("\n--- ").skip(1);
    rows.map(|row| {
        let (head, script) = row.split_once('\n').unwrap();
        let (shell, word) = head.split_once(' ').unwrap();
        Row {
            shell,
            word,
            script: script.trim_end(),
        }
    })
    .collect()
}

/// The problems of each row, by number: `(severity, code)`.
pub fn lint(rows: &[Row<'_>]) -> BTreeMap<usize, Vec<(String, String)>> {
    // One page for each: of many problems of one code on a page, only the first are shown.
    let project = Project::new("# Scripts\n");
    let mut summary = String::new();
    for (index, row) in rows.iter().enumerate() {
        let head = format!("# P{index}\n\n```yaml procedure\nid: p{index}\n```\n\n");
        let page = format!(
            "{head}~~~~~~~~~~~~{} step\n{}\n~~~~~~~~~~~~\n",
            row.shell, row.script
        );
        project.write(&format!("manual/{index}.md"), &page);
        writeln!(summary, "- [P{index}]({index}.md)").unwrap();
    }
    project.write("manual/SUMMARY.md", &summary);
    project.nodes("  here: {transport: local, app_version: '1'}\n");
    let said = project.opsbook(&["lint", "--format", "json"]).said();
    let said: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let mut found: BTreeMap<usize, Vec<(String, String)>> = BTreeMap::new();
    for problem in said["problems"].as_array().unwrap() {
        let path = problem["file"].as_str().unwrap();
        let number = path.rsplit('/').next().unwrap().trim_end_matches(".md");
        let Ok(row) = number.parse() else { continue };
        let text = |key: &str| problem[key].as_str().unwrap().to_owned();
        found
            .entry(row)
            .or_default()
            .push((text("severity"), text("code")));
    }
    found
}

/// Whether the real shell accepts the script; `run` also runs it, in a separate folder.
pub fn taken(row: &Row<'_>, run: bool) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("script");
    std::fs::write(&file, format!("{}\n", row.script)).unwrap();
    let mut command = Command::new(row.shell);
    command.current_dir(&folder).env_remove("BASH_ENV");
    command.env("HOME", folder.path());
    if run {
        command.args(["-eu"]);
    } else {
        command.arg("-n");
    }
    command.arg(&file);
    command.stdin(Stdio::null());
    let ended = command.output().unwrap();
    // bash reports some mistakes and still exits with 0.
    ended.status.success() && (run || ended.stderr.is_empty())
}

#[test]
fn f45_no_valid_idiom_is_an_error() {
    let rows = rows(include_str!("../fixtures/shell/idioms.txt"));
    assert!(rows.len() >= 220, "{} idioms", rows.len());
    let found = lint(&rows);
    let mut wrong = String::new();
    for (index, row) in rows.iter().enumerate() {
        if !taken(row, row.word == "run") {
            writeln!(wrong, "{} refuses it:\n{}\n", row.shell, row.script).unwrap();
        }
        let errors = found.get(&index).into_iter().flatten();
        for (_, code) in errors.filter(|(severity, _)| severity == "error") {
            writeln!(wrong, "{code} in\n{}\n", row.script).unwrap();
        }
    }
    assert_eq!(wrong, "");
}

#[test]
fn f45_a_certain_mistake_is_an_error() {
    let rows = rows(include_str!("../fixtures/shell/mistakes.txt"));
    assert!(rows.len() >= 60, "{} mistakes", rows.len());
    let found = lint(&rows);
    let mut wrong = String::new();
    for (index, row) in rows.iter().enumerate() {
        if row.word == "shell-syntax" && taken(row, false) {
            writeln!(wrong, "{} takes it:\n{}\n", row.shell, row.script).unwrap();
        }
        let problems = found.get(&index).cloned().unwrap_or_default();
        if !problems.contains(&("error".to_owned(), row.word.to_owned())) {
            writeln!(
                wrong,
                "no {} but {problems:?} in\n{}\n",
                row.word, row.script
            )
            .unwrap();
        }
    }
    assert_eq!(wrong, "");
}

/// The expected result for each line of a table, below `[code]`.
fn expected(table: &str) -> Vec<(&str, &str)> {
    let mut code = "";
    let mut lines = Vec::new();
    for line in table.lines() {
        match line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            Some(name) => code = name,
            None => lines.push((code, line)),
        }
    }
    lines
}

/// Positions of a command in a script; none of them gives it input.
const STANDS: [&str; 12] = [
    "@",
    "@ || exit 1",
    "if true; then\n  @\nfi",
    "x=$(@); echo \"$x\"",
    "f() { @; }\nf",
    "( cd / && @ )",
    "for i in 1 2; do @; done",
    "case a in a) @ ;; esac",
    "x=$(case a in a) @ ;; esac); echo \"$x\"",
    "! @",
    "true && @ 2>/dev/null",
    "while true; do @; break; done",
];

#[test]
fn f46_lint_knows_the_commands_that_need_a_person() {
    let lines = expected(include_str!("../fixtures/shell/person.txt"));
    assert!(lines.len() > 300, "{}", lines.len());
    let scripts: Vec<(&str, String)> = lines
        .iter()
        .enumerate()
        .flat_map(|(index, (code, line))| {
            let stands = STANDS[1 + index % (STANDS.len() - 1)];
            let pages = ["less ", "more ", "man "]
                .iter()
                .any(|name| line.starts_with(name));
            let whole =
                (!pages && !line.ends_with('&')).then(|| (*code, stands.replace('@', line)));
            whole.into_iter().chain([(*code, (*line).to_owned())])
        })
        .collect();
    let rows: Vec<Row<'_>> = scripts
        .iter()
        .map(|(code, script)| Row {
            shell: "bash",
            word: code,
            script,
        })
        .collect();
    let found = lint(&rows);
    let mut wrong = String::new();
    for (index, row) in rows.iter().enumerate() {
        let codes = found
            .get(&index)
            .into_iter()
            .flatten()
            .map(|(_, code)| code.as_str());
        let of_a_person = [
            "needs-a-person",
            "never-ends",
            "sudo-in-script",
            "shell-syntax",
        ];
        let codes: Vec<&str> = codes.filter(|code| of_a_person.contains(code)).collect();
        let right = match row.word {
            "fine" => codes.is_empty(),
            code => codes == [code],
        };
        if !right {
            writeln!(wrong, "{} but {codes:?}: {}", row.word, row.script).unwrap();
        }
    }
    assert_eq!(wrong, "");
}
