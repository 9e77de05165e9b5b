//! Output for programs matches `opsbook schema`.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    reason = "a test ends where something is wrong"
)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// The output of each command, and the schema of each of its documents or lines. The commands run
/// one after the other on a new manual.
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

/// Whole documents, one after the other, or lines of them.
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
        assert!(
            of.contains("opsbook ") || of.contains("a gateway") || of.trim() == name,
            "{line}"
        );
        let text = opsbook(home.path(), &["schema", name]).stdout;
        let schema: Value = serde_json::from_slice(&text).unwrap();
        // For a document of types, actual messages are compared where a gateway runs.
        if let Some(types) = schema["components"]["schemas"].as_object() {
            assert!(types.contains_key("Asked"), "{name}");
            for one in types.values() {
                jsonschema::meta::validate(one).unwrap();
            }
            continue;
        }
        let known = PRINTED.iter().any(|(_, schema)| *schema == name) || name.contains('.');
        assert!(known, "nothing is compared with `{name}`");
        jsonschema::meta::validate(&schema).unwrap();
    }
}

/// Definitions of nodes, and whether they are valid.
const NODES: [(&str, bool); 20] = [
    ("opsbook: 1\n", true),
    (
        "opsbook: 1\nnodes:\n  a:\n  b: {groups: [g]}\ngroups: {g: {port: 22}}\n",
        true,
    ),
    (
        "opsbook: 1\nnodes: {a: {transport: {exec: [sh]}, app: {b: [1, x]}, c: null}}\n",
        true,
    ),
    (
        "opsbook: 1\nnodes: {a: {transport: {docker: {container: x}}, user: \"${u}\", u: ops}}\n",
        true,
    ),
    (
        "opsbook: 1\ndefaults: {key: {secret: {command: [pass, show, x]}}}\n",
        true,
    ),
    ("opsbook: 1\ndefaults: {secret: plain}\n", true),
    ("opsbook: 1\ngroups: {a: {in: [b]}, b: null}\n", true),
    (
        "opsbook: 1\nnodes: {a: null}\nrehearsals: {x: [{old: a, new: [a]}], y: null}\n",
        true,
    ),
    ("nodes: {a: null}\n", false),
    ("opsbook: 2\n", false),
    ("opsbook: 1\nhosts: {}\n", false),
    ("opsbook: 1\nnodes: [a]\n", false),
    ("opsbook: 1\nnodes: {a: b}\n", false),
    ("opsbook: 1\nnodes: {-a: null}\n", false),
    ("opsbook: 1\nnodes: {a: {App: 1}}\n", false),
    ("opsbook: 1\nnodes: {a: {bundle: x}}\n", false),
    (
        "opsbook: 1\nnodes: {a: {in: [b]}}\ngroups: {b: null}\n",
        false,
    ),
    ("opsbook: 1\ngroups: {a: {groups: [b]}, b: null}\n", false),
    ("opsbook: 1\nnodes: {a: {transport: telnet}}\n", false),
    ("opsbook: 1\nnodes: {a: {transport: {exec: sh}}}\n", false),
];

/// Manifests, and whether they are valid.
const MANIFESTS: [(&str, bool); 16] = [
    ("", true),
    (
        "opsbook = \"0.1\"\n[packages]\nbase = {path = \"../base\"}\n",
        true,
    ),
    (
        "[package]\nname = \"shop\"\nversion = \"1.4.2\"\nowners = [\"a\"]\n",
        true,
    ),
    (
        "[values]\nport = {default = 8000, pattern = \"[0-9]+\"}\nkey = {secret = true, required = true}\n",
        true,
    ),
    (
        "[packages]\na = {git = \"https://h.example/a\", tag = \"v1\", subdir = \"ops\"}\n",
        true,
    ),
    (
        "[overrides.templates]\n\"a:x.conf\" = \"own.conf\"\n[overrides.checks]\n\"a/b\" = {skip = \"why\"}\n",
        true,
    ),
    ("[trust]\nsigners = \"s\"\nrequire = [\"a\"]\n", true),
    ("[pakage]\n", false),
    (
        "[package]\nname = \"shop\"\nversion = \"1.4\"\nowners = [\"a\"]\n",
        false,
    ),
    (
        "[package]\nname = \"Shop\"\nversion = \"1.4.0\"\nowners = [\"a\"]\n",
        false,
    ),
    ("[package]\nname = \"shop\"\nversion = \"1.4.0\"\n", false),
    ("[values]\nport = 8000\n", false),
    ("[values]\nPort = {}\n", false),
    (
        "[packages]\na = {git = \"https://h.example/a\", branch = \"main\"}\n",
        false,
    ),
    ("[packages]\na = {git = \"https://h.example/a\"}\n", false),
    ("[packages]\na = {path = \"x\", archive = \"y\"}\n", false),
];

#[test]
fn the_schemas_of_files_take_and_refuse_what_opsbook_does() {
    let home = tempfile::tempdir().unwrap();
    let schema = |name: &str| {
        let text = opsbook(home.path(), &["schema", name]).stdout;
        jsonschema::validator_for(&serde_json::from_slice(&text).unwrap()).unwrap()
    };
    let nodes = schema("nodes.yaml");
    for (text, right) in NODES {
        let source = opsbook::source::Source::new("nodes.yaml", text);
        let (_, problems) = opsbook::nodes::parse(&[source]);
        let wrong = problems.iter().any(opsbook::source::Problem::is_error);
        assert_eq!(!wrong, right, "opsbook: {text}{problems:?}");
        let value: Value = serde_yaml::from_str(text).unwrap();
        let errors: Vec<String> = nodes
            .iter_errors(&value)
            .map(|error| error.to_string())
            .collect();
        assert_eq!(errors.is_empty(), right, "schema: {text}{errors:?}");
    }
    // The meaning of a value is known only when it is read.
    for secret in ["{vault: x}", "{env: A, file: b}", "{command: pass}", "{}"] {
        let text = format!("opsbook: 1\nnodes: {{a: {{key: {{secret: {secret}}}}}}}\n");
        let value: Value = serde_yaml::from_str(&text).unwrap();
        assert!(!nodes.is_valid(&value), "{text}");
    }
    let manifests = schema("opsbook.toml");
    for (text, right) in MANIFESTS {
        let source = opsbook::source::Source::new("opsbook.toml", text);
        let (_, problems) = opsbook::package::manifest::read(&source);
        let wrong = problems.iter().any(opsbook::source::Problem::is_error);
        assert_eq!(!wrong, right, "opsbook: {text}{problems:?}");
        let table: toml::Table = text.parse().unwrap();
        let value = serde_json::to_value(table).unwrap();
        let errors: Vec<String> = manifests
            .iter_errors(&value)
            .map(|error| error.to_string())
            .collect();
        assert_eq!(errors.is_empty(), right, "schema: {text}{errors:?}");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in [
        "nodes.yaml",
        "src/cli/init/minimal/nodes.yaml",
        "src/cli/init/service/nodes.yaml",
        "tests/cli/project/nodes.yaml",
        "tests/fixtures/environments/nodes/00-base.yaml",
        "tests/fixtures/environments/nodes/10-environments.yaml",
        "tests/fixtures/environments/nodes/20-nodes.yaml",
        "tests/fixtures/several/nodes.yaml",
    ] {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        let value: Value = serde_yaml::from_str(&text).unwrap();
        let errors: Vec<String> = nodes
            .iter_errors(&value)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{file}: {errors:?}");
    }
}
