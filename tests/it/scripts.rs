//! Real scripts from this Debian: a lint error in a script that the real shell accepts and that
//! works every day is a false alarm, and is counted.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::idioms::{Row, lint, taken};

/// Where Debian's packages, init and git keep scripts.
const FOLDERS: [&str; 9] = [
    "/usr/bin",
    "/usr/sbin",
    "/usr/lib/git-core",
    "/usr/lib/init",
    "/lib/init",
    "/etc/init.d",
    "/var/lib/dpkg/info",
    "/usr/share/debconf",
    "/usr/share/misc",
];

/// Packages that `tests/all.sh` installs for their scripts; with a file of each.
const SHOWN: [&str; 4] = [
    "/usr/lib/git-core/git-submodule",
    "/etc/init.d/ssh",
    "/usr/bin/zgrep",
    "/usr/share/misc/config.guess",
];

struct Found {
    path: PathBuf,
    shell: &'static str,
    text: String,
}

fn scripts() -> Vec<Found> {
    let mut found: BTreeMap<PathBuf, Found> = BTreeMap::new();
    for folder in FOLDERS {
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        for path in files.filter_map(|file| file.path().canonicalize().ok()) {
            if let Some((shell, text)) = script(&path) {
                let script = Found {
                    path: path.clone(),
                    shell,
                    text,
                };
                found.insert(path, script);
            }
        }
    }
    found.into_values().collect()
}

fn script(path: &Path) -> Option<(&'static str, String)> {
    let text = String::from_utf8(fs::read(path).ok()?).ok()?;
    let line = text.lines().next()?;
    let (shell, _) = [
        ("sh", "/sh"),
        ("sh", "/dash"),
        ("bash", "/bash"),
        ("bash", "env bash"),
    ]
    .into_iter()
    .find(|(_, name)| {
        let of = |line: &str| line.trim_end().ends_with(name);
        line.starts_with("#!") && (of(line) || of(line.split(" -").next().unwrap_or("")))
    })?;
    Some((shell, text))
}

/// Correct alarms: these scripts talk with a person, or use a name that nobody sets.
const RIGHT: [(&str, &str); 16] = [
    ("bashbug", "needs-a-person"),
    ("ocs", "needs-a-person"),
    ("select-editor", "needs-a-person"),
    ("sensible-editor", "needs-a-person"),
    ("tzselect", "needs-a-person"),
    ("git-difftool--helper", "needs-a-person"),
    ("git-mergetool", "needs-a-person"),
    ("git-quiltimport", "needs-a-person"),
    ("confmodule", "needs-a-person"),
    ("confmodule.sh", "needs-a-person"),
    ("base-passwd.postinst", "needs-a-person"),
    ("libc6:amd64.p*", "needs-a-person"),
    ("ncurses*-config", "undefined-variable"),
    ("xmlsec1-config", "undefined-variable"),
    ("openjdk-*.postinst", "undefined-variable"),
    ("debconf*", "needs-a-person"),
];

fn is_right(path: &Path, code: &str) -> bool {
    let name = path.file_name().unwrap().to_string_lossy();
    let matches = |pattern: &str| match pattern.split_once('*') {
        None => name == pattern,
        Some((before, after)) => name.starts_with(before) && name.ends_with(after),
    };
    let mut right = RIGHT.iter();
    right.any(|(pattern, of)| *of == code && matches(pattern))
}

#[test]
fn f45_real_scripts_raise_no_false_alarm() {
    for shown in SHOWN {
        assert!(
            Path::new(shown).exists(),
            "{shown} is missing: tests/all.sh installs it"
        );
    }
    let mut scripts = scripts();
    // A script that the real shell refuses is not a false alarm.
    scripts.retain(|script| taken(&row(script), false));
    let rows: Vec<Row<'_>> = scripts.iter().map(row).collect();
    let found = lint(&rows);
    let mut false_alarms = 0;
    let mut right = 0;
    let mut said = String::new();
    for (index, problems) in &found {
        let path = &scripts[*index].path;
        let errors = problems.iter().filter(|(severity, _)| severity == "error");
        let (known, unknown): (Vec<_>, Vec<_>) = errors.partition(|(_, code)| is_right(path, code));
        right += usize::from(!known.is_empty());
        false_alarms += usize::from(!unknown.is_empty());
        for (_, code) in unknown {
            writeln!(said, "{code} {}", path.display()).unwrap();
        }
    }
    let count = scripts.len();
    eprintln!("{count} scripts: {false_alarms} false alarms, {right} that are right\n{said}");
    assert!(count >= 400, "{count} scripts");
    // One in 500.
    assert!(
        false_alarms * 500 <= count,
        "{false_alarms} false alarms in {count} scripts:\n{said}"
    );
}

fn row(script: &Found) -> Row<'_> {
    Row {
        shell: script.shell,
        word: "",
        script: &script.text,
    }
}
