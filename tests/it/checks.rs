//! Typed checks through the command line: explained, included, evaluated and decided.

use std::path::Path;
use std::process::{Command, Stdio};

/// What a command printed, and its exit status.
struct Said {
    out: String,
    err: String,
    status: Option<i32>,
}

fn opsbook(root: &Path, arguments: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_opsbook"))
        .args(arguments)
        .current_dir(root)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", root)
        .env("SHOP_PASSWORD", "canary-1f9c")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said {
        out: text(&output.stdout),
        err: text(&output.stderr),
        status: output.status.code(),
    }
}

fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let common = [
        ("book.toml", "[book]\ntitle = \"t\"\nsrc = \"manual\"\n"),
        ("manual/SUMMARY.md", "# Summary\n\n- [a](a.md)\n"),
        (
            "nodes.yaml",
            "opsbook: 1\nnodes:\n  here:\n    transport: local\n    thing: x\n    password: {secret: {env: SHOP_PASSWORD}}\n",
        ),
    ];
    for (name, text) in common.iter().chain(files) {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

const PROBE: &str = "# lines: lines of a file\n#\n#: key path text -- the file\n#: fact count int = 0 -- how many\nif ! [ -r \"$arg_path\" ]; then\n  cannot_look \"cannot read $arg_path\"\n  exit\nfi\nfact count \"$(wc -l <\"$arg_path\")\"\n";

fn page(checks: &str) -> String {
    format!(
        "# A\n\n## G\n\n```yaml checks\nid: g\nnodes: here\n{checks}```\n\n## P\n\n```yaml procedure\nid: p\nnodes: here\nneeds: [g]\n```\n\n```sh step\necho stepped\n```\n"
    )
}

#[test]
fn the_types_are_listed_and_explained() {
    let empty = tempfile::tempdir().unwrap();
    let said = opsbook(empty.path(), &["checks"]);
    let files = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("checks")).unwrap();
    let files = files.flatten().map(|entry| entry.file_name().into_string());
    for name in files
        .map(Result::unwrap)
        .filter(|name| name.ends_with(".sh"))
    {
        let name = name.trim_end_matches(".sh");
        let listed = said
            .out
            .lines()
            .any(|line| line.split(' ').next() == Some(name));
        assert!(listed, "{name} is not in\n{}", said.out);
    }
    assert_eq!((said.status, said.err.as_str()), (Some(0), ""));

    let said = opsbook(empty.path(), &["checks", "port"]);
    assert!(
        said.out
            .starts_with("port: a local port on which something listens\n")
    );
    assert_eq!(said.status, Some(0));

    let said = opsbook(empty.path(), &["checks", "prot"]);
    assert_eq!(said.status, Some(2));
    assert_eq!(said.out, "");
    assert_eq!(
        said.err.trim_end(),
        "error: there is no type of check called `prot`\n\nhint: did you mean `port`?"
    );
}

#[test]
fn typed_checks_hold_or_say_what_was_found() {
    let checks = "gossfile:\n  goss/*.yaml: {}\nlines:\n  one: {path: two.txt}\n";
    let folder = project(&[
        ("manual/a.md", &page(checks)),
        ("checks/lines.sh", PROBE),
        (
            "goss/base.yaml",
            "command:\n  'test \"$thing\" = x && echo \"$password\" | wc -c': {exit-status: 0, stdout: ['12'], stderr: []}\nfile:\n  /:\n    exists: true\n    filetype: directory\n",
        ),
    ]);
    let root = folder.path();
    assert!(
        opsbook(root, &["checks"])
            .out
            .contains("lines of a file  (of this project)")
    );

    let said = opsbook(root, &["run", "p", "here", "--yes"]);
    let all = format!("{}{}", said.out, said.err);
    assert!(all.contains("file// holds"), "{all}");
    assert!(
        all.contains("could not be evaluated: cannot look: cannot read two.txt"),
        "{all}"
    );
    assert_eq!(said.status, Some(3), "{all}");
    assert!(
        !all.contains("canary-1f9c") && !all.contains("stepped"),
        "{all}"
    );

    let file = root.join("two.txt");
    std::fs::write(&file, "a\nb\n").unwrap();
    let checks = checks.replace("two.txt", &file.display().to_string());
    std::fs::write(root.join("manual/a.md"), page(&checks)).unwrap();
    let said = opsbook(root, &["run", "p", "here", "--yes"]);
    let all = format!("{}{}", said.out, said.err);
    assert!(
        all.contains("expected  0") && all.contains("found  2"),
        "{all}"
    );
    assert_eq!(said.status, Some(4), "{all}");

    std::fs::write(&file, "").unwrap();
    let said = opsbook(root, &["run", "p", "here", "--yes"]);
    let all = format!("{}{}", said.out, said.err);
    assert!(all.contains("stepped"), "{all}");
    assert_eq!(said.status, Some(0), "{all}");
}

#[test]
fn a_group_that_is_only_needed_is_no_test() {
    let page = page("when: needed\nfile:\n  /none: {exists: true}\n");
    let folder = project(&[("manual/a.md", &page)]);
    let root = folder.path();
    let said = opsbook(root, &["test", "--list"]);
    assert_eq!(
        (said.out.as_str(), said.status),
        ("", Some(0)),
        "{}",
        said.err
    );
    let said = opsbook(root, &["run", "p", "here", "--yes"]);
    let all = format!("{}{}", said.out, said.err);
    assert!(all.contains("BLOCKED") && !all.contains("stepped"), "{all}");
    assert_eq!(said.status, Some(4), "{all}");

    for (page, says) in [
        (
            page.replace("needs: [g]\n", ""),
            "warning: `g` is never evaluated: no procedure needs it",
        ),
        (
            page.replace("when: needed", "when: never"),
            "error: `when` must be `needed` or absent, not `never`",
        ),
    ] {
        std::fs::write(root.join("manual/a.md"), page).unwrap();
        let said = opsbook(root, &["lint"]);
        let all = format!("{}{}", said.out, said.err);
        assert!(all.contains(says), "{all}");
    }
}
