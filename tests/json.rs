//! What is printed for machines is what `opsbook schema` says.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    reason = "a test ends where something is wrong"
)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// What each command prints, and the schema of each of its documents or lines. The commands are
/// run one after the other on a new manual.
const PRINTED: [(&str, &str); 16] = [
    ("lint --format json", "lint"),
    ("list --format json", "list"),
    ("list --json", "list"),
    ("nodes --json", "nodes"),
    ("show here --json", "show"),
    ("show --diff here there --json", "show-diff"),
    ("show service.release --json", "show-procedure"),
    ("show service --json", "show-group"),
    ("ping here --json", "ping"),
    ("run service.release here --yes --format json", "event"),
    ("log --json", "event"),
    ("history --json", "history"),
    ("lock status here --json", "lock"),
    ("settings --json", "settings"),
    ("packages --json", "packages"),
    ("test --report json=-", "report"),
];

fn opsbook(home: &Path, arguments: &[&str]) -> Output {
    let manual = home.join("ops");
    let mut command = Command::new(env!("CARGO_BIN_EXE_opsbook"));
    command
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap());
    command.env("HOME", home).env("OPSBOOK_DIR", manual);
    command.args(arguments).current_dir(home).output().unwrap()
}

/// Whole documents, one after the other; lines of them, too.
fn documents(text: &str) -> Vec<Value> {
    let documents = serde_json::Deserializer::from_str(text).into_iter();
    documents
        .collect::<Result<_, _>>()
        .unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn what_is_printed_for_machines_fits_its_schema() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let wrote = opsbook(home, &["init", "ops", "--template", "service"]);
    assert!(wrote.status.success(), "{wrote:?}");
    let nodes = home.join("ops/nodes.yaml");
    let text = std::fs::read_to_string(&nodes).unwrap();
    std::fs::write(
        nodes,
        text + "  there: {transport: local, groups: [production]}\n",
    )
    .unwrap();
    for (command, name) in PRINTED {
        let schema = opsbook(home, &["schema", name]).stdout;
        let schema: Value = serde_json::from_slice(&schema).unwrap();
        let schema = jsonschema::validator_for(&schema).unwrap();
        let file = home.join("report.json");
        let command = command.replace("json=-", &format!("json={}", file.display()));
        let words: Vec<&str> = command.split(' ').collect();
        let said = opsbook(home, &words);
        assert_ne!(said.status.code(), Some(2), "{command}: {said:?}");
        let text = if command.contains("--report") {
            std::fs::read_to_string(&file).unwrap()
        } else {
            String::from_utf8(said.stdout).unwrap()
        };
        let documents = documents(&text);
        assert!(!documents.is_empty(), "{command}");
        for document in documents {
            let wrong: Vec<String> = schema
                .iter_errors(&document)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(wrong.is_empty(), "{command}: {wrong:?}\n{document:#}");
        }
    }
}

#[test]
fn each_schema_is_one_and_says_what_it_is_of() {
    let home = tempfile::tempdir().unwrap();
    let list = opsbook(home.path(), &["schema"]).stdout;
    let list = String::from_utf8(list).unwrap();
    for line in list.lines() {
        let (name, of) = line.split_once(' ').unwrap();
        assert!(of.trim().contains("opsbook "), "{line}");
        let known = PRINTED.iter().any(|(_, schema)| *schema == name);
        assert!(known, "nothing is compared with `{name}`");
        let text = opsbook(home.path(), &["schema", name]).stdout;
        let schema: Value = serde_json::from_slice(&text).unwrap();
        jsonschema::meta::validate(&schema).unwrap();
    }
}
