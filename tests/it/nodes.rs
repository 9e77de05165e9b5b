//! `opsbook show` and `opsbook nodes`: exact streams, exit status, and no secret anywhere; broken
//! and hostile files with a memory limit.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const CANARY: &str = "canary-5a1e-do-not-print";

/// Kilobytes of address space that no nodes file may exceed.
const MEMORY: u32 = 600_000;

struct Output {
    status: i32,
    out: String,
    err: String,
}

/// Runs opsbook on a project with an empty environment except for one secret.
fn opsbook(root: &Path, args: &[&str]) -> Output {
    let limited = format!("ulimit -v {MEMORY}; exec \"$@\"");
    let output = Command::new("sh")
        .args(["-c", &limited, "sh", env!("CARGO_BIN_EXE_opsbook"), "-C"])
        .arg(root)
        .args(args)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("DB_PASSWORD", CANARY)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let output = Output {
        status: output.status.code().unwrap_or(-1),
        out: text(output.stdout),
        err: text(output.stderr),
    };
    assert!(!output.out.contains(CANARY) && !output.err.contains(CANARY));
    output
}

fn project(nodes: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("book.toml"), "[book]\nsrc = \"manual\"\n").unwrap();
    fs::write(root.path().join("nodes.yaml"), nodes).unwrap();
    root
}

fn environments() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/environments")
}

#[track_caller]
fn prints(root: &Path, args: &[&str], expected: &str) {
    let Output { status, out, err } = opsbook(root, args);
    assert_eq!(
        (status, out.as_str(), err.as_str()),
        (0, expected, ""),
        "{args:?}"
    );
}

#[track_caller]
fn refuses(root: &Path, args: &[&str], expected: &str) {
    let Output { status, out, err } = opsbook(root, args);
    assert_eq!(
        (status, out.as_str(), err.trim_end()),
        (2, "", expected),
        "{args:?}"
    );
}

#[test]
fn the_example_is_printed_to_the_letter() {
    let root = environments();
    for (args, file) in [
        (vec!["nodes"], "nodes.txt"),
        (vec!["nodes", "@web&@prod", "--json"], "nodes-web.json"),
        (vec!["show", "web2"], "show-web2.txt"),
        (vec!["show", "db1"], "show-db1.txt"),
        (vec!["show", "box"], "show-box.txt"),
        (
            vec!["show", "web2", "limits", "address"],
            "show-web2-limits.txt",
        ),
        (
            vec!["show", "db1", "--set", "app_port=6432", "--json"],
            "show-db1.json",
        ),
        (
            vec!["show", "db1", "--set", "app_port=6432", "--yaml"],
            "show-db1.yaml",
        ),
        (vec!["show", "--diff", "web1-stg", "web2"], "diff.txt"),
        (
            vec!["show", "--diff", "web1-stg", "web2", "--json"],
            "diff.json",
        ),
    ] {
        let expected = fs::read_to_string(root.join("expected").join(file)).unwrap();
        prints(&root, &args, &expected);
    }
}

#[test]
fn a_secret_is_never_looked_up() {
    let root = environments();
    for args in [
        vec!["show", "db1-stg"],
        vec!["show", "db1-stg", "--json"],
        vec!["show", "db1-stg", "--yaml"],
        vec!["show", "--diff", "db1-stg", "web1"],
    ] {
        let output = opsbook(&root, &args);
        assert_eq!(output.status, 0, "{}", output.err);
        assert!(output.out.contains("DB_PASSWORD"), "{}", output.out);
    }
    refuses(
        &root,
        &["show", "db1", "--set", &format!("password={CANARY}")],
        "--set:1:1: error: `password` is a secret, but other users can see arguments\n  |\n1 | password\n  | ^^^^^^^^",
    );
}

#[test]
fn wrong_names_say_which_was_meant() {
    let root = environments();
    for (args, expected) in [
        (
            vec!["show", "web12"],
            "error: unknown node `web12`\n\nhint: did you mean `web1`?",
        ),
        (
            vec!["show", "web1", "adress"],
            "error: node `web1` has no value `adress`\n\nhint: did you mean `address`?",
        ),
        (
            vec!["nodes", "@wbe"],
            "error: unknown group `wbe`\n\nhint: did you mean `@web`?",
        ),
        (
            vec!["nodes", "cache*"],
            "error: selector `cache*` selects no node\n\nhint: `opsbook nodes` shows all nodes with their groups",
        ),
        (
            vec!["nodes", ""],
            "error: an empty selector\n\nhint: `*` selects all nodes",
        ),
        (
            vec!["show", "--diff", "web1"],
            "error: `--diff` compares two nodes\n\nhint: opsbook show --diff NODE1 NODE2",
        ),
    ] {
        refuses(&root, &args, expected);
    }
}

#[test]
fn a_broken_file_is_drawn_and_nothing_else_is_printed() {
    for (nodes, expected) in [
        (
            "opsbook: 1\nnodes:\n  web1: {port: 22}\n  web1: {port: 23}\n",
            "nodes.yaml:4:3: error: duplicate key `web1`\n  |\n4 |   web1: {port: 23}\n  |   ^^^^\nnodes.yaml:3:3: first defined here\n  |\n3 |   web1: {port: 22}\n  |   ^^^^",
        ),
        (
            "opsbook: 1\nnodes: {}\n---\nnodes: {a: {}}\n",
            "nodes.yaml:3:1: error: a second document; one file or block is one document\n  |\n3 | ---\n  | ^^^\n\nhint: remove the line `---`",
        ),
        (
            "opsbook: 1\nnodes:\n  a: {address: '${b}', b: '${address}'}\n",
            "nodes.yaml:3:28: error: a value cannot refer to itself: `address` to `b` to `address`\n  |\n3 |   a: {address: '${b}', b: '${address}'}\n  |                            ^^^^^^^^^^\nnodes.yaml:3:16: `address` refers to the next value here\n  |\n3 |   a: {address: '${b}', b: '${address}'}\n  |                ^^^^^^",
        ),
    ] {
        refuses(project(nodes).path(), &["nodes"], expected);
    }
}

#[test]
fn hostile_files_are_refused_within_a_limit_of_memory() {
    let lines = |line: &dyn Fn(usize) -> String| (0..40).map(line).collect::<Vec<_>>().concat();
    let aliases = lines(&|n| format!("a{}: &a{} [*a{n}, *a{n}, *a{n}]\n", n + 1, n + 1));
    let doubling = lines(&|n| format!("    a{}: '${{a{n}}}${{a{n}}}'\n", n + 1));
    let huge = 16 * 1024 * 1024;
    let cases = [
        (
            format!("a0: &a0 x\n{aliases}"),
            "YAML anchors are not supported",
        ),
        (
            format!("opsbook: 1\nnodes:\n  n:\n    a0: 0123456789\n{doubling}"),
            "is larger than 1048576 bytes",
        ),
        ("[".repeat(huge), "nested deeper than 32 levels"),
        (
            format!("a: [{}]", "1,".repeat(huge / 2 - 10)),
            "more than 400000 values",
        ),
        ("a: &a b\n".repeat(huge / 8), "too many problems"),
        ("? ".repeat(huge / 2), "nested deeper than 32 levels"),
        (" ".repeat(huge + 1), "holds more than 16777216 bytes"),
    ];
    for (nodes, expected) in cases {
        let output = opsbook(project(&nodes).path(), &["nodes"]);
        assert_eq!(output.status, 2, "{expected}");
        assert!(
            output.err.contains(expected),
            "{expected}: {:.1000}",
            output.err
        );
    }
    let sparse = project("");
    let file = fs::File::create(sparse.path().join("nodes.yaml")).unwrap();
    file.set_len(1 << 30).unwrap();
    refuses(
        sparse.path(),
        &["nodes"],
        "error: `nodes.yaml` holds more than 16777216 bytes",
    );
}
