//! Conflicts between packages: each error with its place, excerpt and hint, and no partial result.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::project::Project;

fn run_in(folder: &Path, words: &[&str]) {
    let done = Command::new(words[0])
        .args(&words[1..])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(done.status.success(), "{words:?}: {done:?}");
}

/// A package in a folder of the project.
fn package(project: &Project, name: &str, more: &str, id: &str) {
    let write = |path: &str, text: &str| project.write(&format!("home/{name}/{path}"), text);
    write(
        "opsbook.toml",
        &format!("[package]\nname = \"{name}\"\nversion = \"1.0.0\"\nowners = [\"x\"]\n{more}"),
    );
    write("book.toml", "[book]\nsrc = \"manual\"\n");
    write("manual/SUMMARY.md", "- [P](p.md)\n");
    write(
        "manual/p.md",
        &format!("# P\n\n```yaml procedure\nid: {id}\n```\n\n```sh step\ntrue\n```\n"),
    );
}

fn book(packages: &str) -> Project {
    let project = Project::new("# Own\n");
    project.write("opsbook.toml", &format!("[packages]\n{packages}"));
    project
}

#[test]
fn what_two_packages_claim_is_said_with_both_places() {
    let project = book("a = {path = \"home/a\"}\nb = {path = \"home/b\"}\n");
    package(&project, "a", "", "a.go");
    package(&project, "b", "namespace = [\"b\", \"a\"]\n", "b.go");
    project
        .opsbook(&["lint"])
        .ends(2)
        .has("b:opsbook.toml:5:19: error: `a` is claimed by `a` and by `b`\n  |\n5 | namespace = [\"b\", \"a\"]\n  |                   ^^^")
        .has("a:opsbook.toml:2:8: also claimed here");
    // Nested prefixes are two packages; an id belongs to the longest.
    package(&project, "b", "namespace = [\"b\", \"a.db\"]\n", "a.db.go");
    project.opsbook(&["lint"]).ends(0);
    package(&project, "a", "", "a.db.mine");
    let lint = project.opsbook(&["lint"]).ends(2);
    lint.has("home/a/manual/p.md:4:5: error: `a.db.mine` belongs to `b`");
    // The same id twice is an error of the book.
    package(&project, "a", "", "b.go");
    project
        .opsbook(&["lint"])
        .ends(2)
        .has("error: `b.go` is outside the namespace of `a`");
}

#[test]
fn packages_that_are_not_what_is_named_are_refused() {
    let said = |packages: &str, more: &str, expected: &str| {
        let project = book(packages);
        package(&project, "a", more, "a.go");
        package(&project, "b", "", "b.go");
        project.opsbook(&["list"]).ends(2).has(expected);
        assert!(!project.path("opsbook.lock").exists());
    };
    let a = "a = {path = \"home/a\"}\n";
    said(
        "a = {path = \"home/none\"}\n",
        "",
        "opsbook.toml:2:1: error: `a`: `home/none` is not a folder\n  |\n2 | a = {path = \"home/none\"}\n  | ^\n",
    );
    said(
        "c = {path = \"home/a\"}\n",
        "",
        "opsbook.toml:2:1: error: `c` calls itself `a`\n  |\n2 | c = {path = \"home/a\"}\n  | ^\n\nhint: use this name for the package\n",
    );
    said(
        "b = {git = \"https://x.example/b\", tag = \"v1\"}\n",
        "",
        "opsbook.toml:2:1: error: `b` is not in `opsbook.lock`\n  |\n2 | b = {git = \"https://x.example/b\", tag = \"v1\"}\n  | ^\n\nhint: `opsbook packages update b` writes it\n",
    );
    said(
        a,
        "[packages]\nb = {path = \"../b\"}\n",
        "a:opsbook.toml:6:1: error: `b` is a folder on somebody's machine\n  |\n6 | b = {path = \"../b\"}\n  | ^\n\nhint: a path must stay in the repository of the package: name a tag instead\n",
    );
    said(
        &format!("{a}[trust]\nrequire = true\n"),
        "",
        "opsbook.toml:2:1: error: `a` must be signed, but is not\n  |\n2 | a = {path = \"home/a\"}\n  | ^\n\nhint: `require` under `[trust]`",
    );
    said(
        a,
        "opsbook = \"99.0\"\n[values]\n",
        "error: it needs opsbook 99.0, but this is ",
    );
    let without_owner = book(a);
    package(&without_owner, "a", "", "a.go");
    let path = without_owner.path("home/a/opsbook.toml");
    let text = fs::read_to_string(&path).unwrap().replace("[\"x\"]", "[]");
    fs::write(&path, text).unwrap();
    let refused = without_owner.opsbook(&["list"]).ends(2);
    refused.has("a:opsbook.toml:1:2: error: a package has `owners`\n");
}

#[test]
fn an_archive_is_a_package_where_it_is_whole_and_signed_by_who_counts() {
    let project =
        book("a = {archive = \"a.opsbook\"}\n[trust]\nsigners = \"signers\"\nrequire = [\"a\"]\n");
    package(&project, "a", "", "a.go");
    let home = project.home("a");
    run_in(&home, &["git", "init", "-q"]);
    run_in(&home, &["git", "add", "-A"]);
    let who = ["-c", "user.name=x", "-c", "user.email=x@example.net"];
    run_in(
        &home,
        &[&["git"], &who[..], &["commit", "-qm", "x"]].concat(),
    );
    let keygen = |name: &str| {
        let file = project.home(name);
        let file = file.to_str().unwrap();
        let words = [
            "ssh-keygen",
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-C",
            "",
            "-f",
            file,
        ];
        run_in(&home, &words);
        fs::read_to_string(format!("{file}.pub")).unwrap()
    };
    let (key, _) = (keygen("release"), keygen("stranger"));
    project.write("signers", &format!("release@example.net {key}"));
    let pack = |words: &[&str]| {
        let words = [&["-C", "home/a", "pack", "-o", "a.opsbook"][..], words].concat();
        project.opsbook(&words).ends(0);
    };
    let update = || project.opsbook(&["packages", "update"]);
    pack(&["--sign", "home/stranger"]);
    update()
        .ends(2)
        .has("opsbook.toml:2:1: error: the signature of `a` is not valid");
    assert!(!project.path("opsbook.lock").exists());
    pack(&[]);
    update().ends(0);
    project
        .opsbook(&["list"])
        .ends(2)
        .has("error: `a` must be signed, but is not");
    pack(&["--sign", "home/release"]);
    update().ends(0);
    let lock = fs::read_to_string(project.path("opsbook.lock")).unwrap();
    assert!(lock.contains("signed = \"release@example.net\""), "{lock}");
    project.opsbook(&["run", "a.go", "here", "--yes"]).ends(0);
    project
        .opsbook(&["packages"])
        .ends(0)
        .has("archive:a.opsbook  release@example.net");
    // The lock's signature is verified each time: the signer may no longer be trusted.
    project.write("signers", "");
    project
        .opsbook(&["list"])
        .ends(2)
        .has("opsbook.toml:2:1: error: the signature of `a` is not valid");
    project.write("signers", &format!("release@example.net {key}"));
    for key in ["description", "signature"] {
        let start = format!("{key} = ");
        let altered = lock.lines().map(|line| match line.strip_prefix(&start) {
            Some(value) if value.contains('A') => {
                format!("{start}{}\n", value.replacen('A', "B", 1))
            }
            Some(value) => format!("{start}{}\n", value.replacen('0', "1", 1)),
            None => format!("{line}\n"),
        });
        let altered: String = altered.collect();
        assert_ne!(altered, lock);
        project.write("opsbook.lock", &altered);
        project
            .opsbook(&["list"])
            .ends(2)
            .has("error: the signature of `a` is not valid");
    }
    project.write("opsbook.lock", &lock);
    project.opsbook(&["list"]).ends(0);
    // A damaged archive is refused, and the lock stays unchanged.
    let bytes = fs::read(project.path("a.opsbook")).unwrap();
    fs::write(project.path("a.opsbook"), &bytes[..bytes.len() - 40]).unwrap();
    update()
        .ends(2)
        .has("opsbook.toml:2:1: error: `a.opsbook`: entry ");
    assert_eq!(
        fs::read_to_string(project.path("opsbook.lock")).unwrap(),
        lock
    );
    // A changed hash in the lock is refused.
    let other = lock.replace("sha256:", "sha256:0000").replace("0000", "");
    assert_eq!(other, lock);
    let wrong: String = lock
        .lines()
        .map(|line| match line.strip_prefix("content = \"sha256:") {
            Some(hex) => format!("content = \"sha256:{}{}\n", "00", &hex[2..]),
            None => format!("{line}\n"),
        })
        .collect();
    fs::write(project.path("a.opsbook"), &bytes).unwrap();
    project.write("opsbook.lock", &wrong);
    project
        .opsbook(&["list"])
        .ends(2)
        .has("error: `a` in `a.opsbook` has the content sha256:");
    project.write("opsbook.lock", "version = 9\n");
    project
        .opsbook(&["list"])
        .ends(2)
        .has("opsbook.lock:1:11: error: this lock has a newer format");
}

#[test]
fn nodes_of_the_person_who_runs_it_stand_in_the_place_of_the_manuals() {
    let project = Project::new(
        "# P\n\n```yaml procedure\nid: p\n```\n\n```sh step\necho \"$where\" > ~/where\n```\n",
    );
    let nodes = "opsbook: 1\nnodes:\n  mine: {transport: local, where: mine}\n";
    project.write("home/mine.yaml", nodes);
    let run = [
        "--nodes-file",
        "home/mine.yaml",
        "run",
        "p",
        "mine",
        "--yes",
    ];
    project.opsbook(&run).ends(0);
    assert_eq!(project.text("where"), "mine\n");
    let wrong = ["--nodes-file", "home", "list"];
    project
        .opsbook(&wrong)
        .ends(2)
        .has("error: `--nodes-file`: `home`: it is not a regular file");
}

#[test]
fn a_strangers_book_is_built_without_folders_from_elsewhere() {
    let project = book("a = {path = \"home/a\"}\n");
    package(&project, "a", "", "a.go");
    project.opsbook(&["build", "--untrusted"]).ends(0);
    assert!(!project.path("book/packages").exists());
    project.opsbook(&["build"]).ends(0);
    assert!(project.path("book/packages/a/manual/p.html").exists());
}
