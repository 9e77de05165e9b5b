//! Every error code of packages: caused by a small input, reported with its place, its excerpt and
//! at most one hint, and listed in the manual.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::merged::{Repository, run_in};
use crate::project::Project;

/// A package `a` in `home/a`, and a book that names it by path.
fn book(manifest: &str) -> Project {
    let project = Project::new("# Own\n");
    let write = |path: &str, text: &str| project.write(&format!("home/a/{path}"), text);
    write(
        "opsbook.toml",
        "[package]\nname = \"a\"\nversion = \"1.0.0\"\nowners = [\"x\"]\n[values]\na_port = {default = 80}\n",
    );
    write("book.toml", "[book]\nsrc = \"manual\"\n");
    write("manual/SUMMARY.md", "- [P](p.md)\n");
    write(
        "manual/p.md",
        "# P\n\n```yaml procedure\nid: a.go\n```\n\n```sh step\necho \"$a_port\"\n```\n\n# C\n\n```yaml checks\nid: a\n```\n\n```sh check id=a.up\ntrue\n```\n",
    );
    write("templates/site.conf", "{{ a_port }}\n");
    project.write("opsbook.toml", manifest);
    project
}

const A: &str = "[packages]\na = {path = \"home/a\"}\n";

/// One error: its code, the place of the first problem, the book's manifest, and a change to a
/// file: path, old text, new text.
struct Mistake(
    &'static str,
    &'static str,
    String,
    &'static [(&'static str, &'static str, &'static str)],
);

const MANIFEST: &str = "home/a/opsbook.toml";
const PAGE: &str = "home/a/manual/p.md";

fn mistakes() -> Vec<Mistake> {
    let own = |name: &str| {
        format!("[package]\nname = \"{name}\"\nversion = \"1.0.0\"\nowners = [\"x\"]\n{A}")
    };
    vec![
        Mistake(
            "bad-package",
            "opsbook.toml:2:5",
            "[packages]\na = \"1.0\"\n".into(),
            &[],
        ),
        Mistake(
            "unknown-key",
            "opsbook.toml:3:2",
            format!("{A}[paths]\n"),
            &[],
        ),
        Mistake(
            "branch",
            "opsbook.toml:2:29",
            "[packages]\na = {git = \"https://x.x/a\", branch = \"m\"}\n".into(),
            &[],
        ),
        Mistake(
            "bad-name",
            "opsbook.toml:2:1",
            "[values]\nA_b = {}\n[packages]\na = {path = \"home/a\"}\n".into(),
            &[],
        ),
        Mistake(
            "package-missing",
            "opsbook.toml:2:1",
            "[packages]\na = {path = \"home/b\"}\n".into(),
            &[],
        ),
        Mistake(
            "no-package",
            "opsbook.toml:2:1",
            A.into(),
            &[(
                MANIFEST,
                "[package]\nname = \"a\"\nversion = \"1.0.0\"\nowners = [\"x\"]\n",
                "",
            )],
        ),
        Mistake(
            "package-name-differs",
            "opsbook.toml:2:1",
            A.into(),
            &[(MANIFEST, "\"a\"", "\"b\"")],
        ),
        Mistake(
            "package-without-owner",
            "a:opsbook.toml:1:2",
            A.into(),
            &[(MANIFEST, "[\"x\"]", "[\" \"]")],
        ),
        Mistake(
            "package-too-new",
            "a:opsbook.toml:5:11",
            A.into(),
            &[(MANIFEST, "[values]", "opsbook = \"99.0\"\n[values]")],
        ),
        Mistake("package-cycle", "opsbook.toml:6:1", own("a"), &[]),
        Mistake(
            "path-package",
            "a:opsbook.toml:8:1",
            A.into(),
            &[(
                MANIFEST,
                "80}\n",
                "80}\n[packages]\nb = {path = \"../b\"}\n",
            )],
        ),
        Mistake(
            "lock-differs",
            "opsbook.toml:2:1",
            "[packages]\na = {git = \"https://x.x/a\", tag = \"v1\"}\n".into(),
            &[],
        ),
        Mistake(
            "not-signed",
            "opsbook.toml:2:1",
            format!("{A}[trust]\nrequire = true\n"),
            &[],
        ),
        Mistake(
            "namespace-claimed-twice",
            "a:opsbook.toml:2:8",
            own("b").replace("[packages]", "namespace = [\"b\", \"a\"]\n[packages]"),
            &[],
        ),
        Mistake(
            "outside-namespace",
            "home/a/manual/p.md:4:5",
            A.into(),
            &[(PAGE, "a.go", "b.go")],
        ),
        Mistake(
            "undeclared-value",
            "home/a/manual/p.md:8:8",
            A.into(),
            &[(PAGE, "$a_port", "$a_path")],
        ),
        Mistake(
            "undeclared-group",
            "home/a/manual/p.md:5:8",
            A.into(),
            &[(PAGE, "id: a.go\n", "id: a.go\nnodes: \"@a\"\n")],
        ),
        Mistake(
            "group-without-nodes",
            "a:opsbook.toml:8:1",
            A.into(),
            &[(MANIFEST, "80}\n", "80}\n[groups]\na = \"x\"\n")],
        ),
        Mistake(
            "reserved-value",
            "a:opsbook.toml:7:1",
            A.into(),
            &[(
                MANIFEST,
                "80}\n",
                "80}\naddress = {default = \"x\", shared = true}\n",
            )],
        ),
        Mistake(
            "bad-value",
            "nodes.yaml:3:36",
            A.into(),
            &[
                (MANIFEST, "80}", "80, pattern = '\\d+'}"),
                ("nodes.yaml", "local}", "local, a_port: many}"),
            ],
        ),
        Mistake(
            "not-a-secret",
            "nodes.yaml:3:36",
            A.into(),
            &[
                (MANIFEST, "{default = 80}", "{secret = true}"),
                ("nodes.yaml", "local}", "local, a_port: many}"),
            ],
        ),
        Mistake(
            "unknown-override",
            "opsbook.toml:4:1",
            format!("{A}[overrides.templates]\n\"a:none\" = \"x\"\n"),
            &[],
        ),
        Mistake(
            "unknown-override",
            "opsbook.toml:4:1",
            format!("{A}[overrides.checks]\n\"a/none\" = {{skip = \"x\"}}\n"),
            &[],
        ),
        Mistake(
            "skip-expired",
            "opsbook.toml:4:1",
            format!("{A}[overrides.checks]\n\"a/up\" = {{skip = \"x\", until = 2001-01-01}}\n"),
            &[],
        ),
        Mistake(
            "broken-link",
            "manual/page.md:1:5",
            A.into(),
            &[("manual/page.md", "# Own", "[x](package:a/none.md)")],
        ),
        Mistake(
            "package-conflict",
            "",
            A.into(),
            &[
                ("manual/packages/a/x.md", "", "x"),
                ("manual/packages/a/manual/p.md", "", "x"),
            ],
        ),
    ]
}

#[test]
fn each_mistake_in_a_book_of_packages_is_told_by_its_code_and_place() {
    let mut wrong = Vec::new();
    for Mistake(code, place, manifest, changes) in mistakes() {
        let project = book(&manifest);
        for (path, from, to) in changes {
            let before = fs::read_to_string(project.path(path)).unwrap_or_default();
            project.write(path, &before.replacen(from, to, 1));
        }
        let said = project.opsbook(&["lint", "--format", "json"]).said();
        let all: Value = serde_json::from_str(&said.out).unwrap_or_default();
        let problems = all["problems"].as_array().cloned().unwrap_or_default();
        let Some(problem) = problems.iter().find(|one| one["code"] == code) else {
            wrong.push(format!("{code}: not told: {}{}", said.out, said.err));
            continue;
        };
        // The output for people: the place first, the line, at most one hint.
        let human = project.opsbook(&["lint"]).said();
        let drawn = format!("{}{}", human.out, human.err);
        let message = problem["message"].as_str().unwrap_or_default();
        let first = drawn.lines().find(|line| line.contains(message));
        if !first.is_some_and(|line| line.starts_with(place)) {
            wrong.push(format!("{code} at {place}: {drawn}"));
        }
        let hints = drawn
            .split("\n\n")
            .filter(|part| part.starts_with("hint: "));
        if hints.count() > problems.len() || drawn.contains("panicked") {
            wrong.push(format!("{code}: {drawn}"));
        }
        let excerpt = problem["excerpt"].as_str();
        if !place.is_empty() && !excerpt.is_some_and(|line| drawn.contains(line)) {
            wrong.push(format!("{code} without its line: {drawn}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n-----\n"));
}

/// A package in a repository, ready to be packed.
fn packable() -> Project {
    let project =
        Project::new("# P\n\n```yaml procedure\nid: shop.go\n```\n\n```sh step\ntrue\n```\n");
    project.write(
        "opsbook.toml",
        "[package]\nname = \"shop\"\nversion = \"1.4.2\"\nowners = [\"x\"]\n",
    );
    project.write(".gitignore", "home\n.opsbook\n*.opsbook\n");
    run_in(&project.root(), &["git", "init", "-q"]);
    commit(&project);
    project
}

fn commit(project: &Project) {
    Repository(project.root()).release("tested");
}

#[test]
fn what_is_not_packed_says_why_and_leaves_nothing() {
    type Change = fn(&Project);
    let cases: [(&[&str], Change, &str); 8] = [
        (
            &["pack"],
            |p| p.page("# P\n\nOther.\n"),
            "error: `manual/page.md`: changed since the last commit",
        ),
        (
            &["pack"],
            |p| p.write("x.txt", "x"),
            "error: `x.txt` is not under version control",
        ),
        (
            &["pack"],
            |p| {
                p.write("tls.key", "x");
                commit(p);
            },
            "error: `tls.key` looks private",
        ),
        (
            &["pack"],
            |p| {
                run_in(&p.root(), &["git", "tag", "v1.4.2"]);
                p.write("y.txt", "y");
                commit(p);
            },
            "error: tag `v1.4.2` is at ",
        ),
        (
            &["pack", "--since", "tested~0"],
            |p| {
                p.page("# P\n");
                commit(p);
            },
            "opsbook.toml:3:11: error: 1.4.2 is too close to 1.4.2",
        ),
        (&["pack", "--since", "none"], |_| (), "error: `none`: "),
        (
            &["pack", "--name", "x", "--version", "1"],
            |_| (),
            "error: a package already has its name and version",
        ),
        (
            &["pack"],
            |p| fs::remove_dir_all(p.path(".git")).unwrap(),
            "error: the manual is not under version control",
        ),
    ];
    for (words, change, expected) in cases {
        let project = packable();
        if words.contains(&"tested~0") {
            run_in(&project.root(), &["git", "tag", "before"]);
        }
        change(&project);
        let words: Vec<&str> = { words.iter() }
            .map(|word| if *word == "tested~0" { "before" } else { word })
            .collect();
        let said = project.opsbook(&words).ends(2);
        said.has(expected);
        let all = format!("{}{}", said.out, said.err);
        assert!(all.matches("hint: ").count() <= 1, "{all}");
        assert!(!project.path("shop-1.4.2.opsbook").exists(), "{expected}");
    }
}

#[test]
fn what_lies_beside_a_package_in_its_repository_is_packed_with_it() {
    let place = tempfile::tempdir().unwrap();
    let repository = Repository::new(place.path().join("ops"));
    let project = Project::new("# Unused\n");
    repository.write("base/opsbook.toml", "[package]\nname = \"base\"\nversion = \"2.1.0\"\nowners = [\"x\"]\ninclude = [\"dist/*\"]\n");
    repository.write("base/book.toml", "[book]\nsrc = \"manual\"\n");
    repository.write("base/manual/SUMMARY.md", "- [P](p.md)\n");
    repository.write(
        "base/manual/p.md",
        "# P\n\n```yaml procedure\nid: base.go\n```\n\n```sh step\necho base >> ~/done\n```\n",
    );
    repository.write("shop/opsbook.toml", "[package]\nname = \"shop\"\nversion = \"1.4.2\"\nowners = [\"x\"]\n[packages]\nbase = {path = \"../base\"}\n");
    repository.write("shop/book.toml", "[book]\nsrc = \"manual\"\n");
    repository.write(
        "shop/nodes.yaml",
        "opsbook: 1\nnodes:\n  here: {transport: local}\n",
    );
    repository.write("shop/manual/SUMMARY.md", "- [P](p.md)\n");
    repository.write(
        "shop/manual/p.md",
        "# P\n\n```yaml procedure\nid: shop.go\n```\n\n```sh step\necho shop >> ~/done\n```\n",
    );
    repository.write(".gitignore", "dist\n*.opsbook\n");
    repository.release("v1.4.2");
    repository.write("base/dist/a.whl", "wheel");
    let shop = repository.0.join("shop");
    let shop = shop.to_str().unwrap();
    let pack = |more: &[&str]| {
        let words = [&["-C", shop, "pack", "-o", "shop.opsbook"][..], more].concat();
        project.opsbook(&words)
    };
    // A change to the neighbour also changes the archive.
    let page = repository.0.join("base/manual/p.md");
    let good = fs::read_to_string(&page).unwrap();
    fs::write(&page, good.replace("base >>", "other >>")).unwrap();
    pack(&[])
        .ends(2)
        .has("error: `../base/manual/p.md`: changed since the last commit");
    assert!(!project.path("shop.opsbook").exists());
    fs::write(&page, &good).unwrap();
    pack(&[]).ends(0).has("1 package: base 2.1.0");
    let listed = project.opsbook(&["pack", "--list", "shop.opsbook"]).ends(0);
    let listed: Value = serde_json::from_str(&listed.out).unwrap();
    assert_eq!(listed["packages"][0]["from"], "path:../base");
    let wheel = listed["files"]
        .as_array()
        .unwrap()
        .iter()
        .find(|file| file["path"] == "packages/base/dist/a.whl");
    assert_eq!(wheel.unwrap()["tracked"], false);
    let check = |project: &Project| {
        project
            .opsbook(&[
                "-C",
                shop,
                "pack",
                "--check",
                "shop.opsbook",
                "--git",
                "v1.4.2",
            ])
            .said()
    };
    check(&project).has("nothing differs");
    // Packing twice gives the same bytes. The archive runs where the repository does not exist.
    let bytes = fs::read(project.path("shop.opsbook")).unwrap();
    pack(&[]).ends(0);
    assert_eq!(fs::read(project.path("shop.opsbook")).unwrap(), bytes);
    fs::rename(&repository.0, repository.0.with_extension("away")).unwrap();
    let from = |words: &[&str]| project.opsbook(&[&["--book", "shop.opsbook"][..], words].concat());
    from(&["lint"]).ends(0);
    from(&["list"]).ends(0).has("base:manual/p.md:4");
    from(&["run", "base.go", "here", "--yes"]).ends(0);
    from(&["run", "shop.go", "here", "--yes"]).ends(0);
    assert_eq!(project.text("done"), "base\nshop\n");
    fs::rename(repository.0.with_extension("away"), &repository.0).unwrap();
    // A comparison finds another state of the neighbour.
    fs::write(&page, good.replace("base >>", "other >>")).unwrap();
    repository.release("v1.4.2");
    let differs = check(&project);
    assert_eq!(differs.status, 2);
    differs.has("`packages/base/manual/p.md` differs");
    // In another repository it is a folder of one machine.
    fs::write(&page, &good).unwrap();
    run_in(&repository.0.join("base"), &["git", "init", "-q"]);
    Repository(repository.0.join("base")).release("v1");
    pack(&[]).ends(2).has(
        "opsbook.toml:6:1: error: `base` is a folder on this machine, to which an archive cannot refer",
    );
    // A book that uses the archive names the neighbour itself.
    project.write(
        "opsbook.toml",
        "[packages]\nshop = {archive = \"shop.opsbook\"}\n",
    );
    let refused = project.opsbook(&["packages", "update"]).ends(2);
    refused.has(
        "hint: an archive refers to a neighbour by path: name `base` in `[packages]` of the book\n",
    );
    assert!(!project.path("opsbook.lock").exists());
}

/// The codes in the manual's table.
fn in_the_manual(root: &Path) -> BTreeSet<String> {
    let page = fs::read_to_string(root.join("manual/packages.md")).unwrap();
    let table = page.split("## What is refused").nth(1).unwrap();
    let cells = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
    let codes = cells.flat_map(|cell| cell.split("`, `"));
    codes
        .map(|code| code.trim_end_matches('`').to_owned())
        .collect()
}

#[test]
fn the_manual_names_each_code_of_packages_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = Command::new("grep")
        .args(["-rhoE", "--include=*.rs", "(error|bare|bad|failed|wrong|problem|warning)\\(\\s*(wanted, |&)?\"[a-z]+(-[a-z]+)*\"|code: \"[a-z-]+\"|\\(\"[a-z]+(-[a-z]+)+\", (message|format)|^\\s+\"[a-z]+(-[a-z]+)+\",$"])
        .args(["crates/package/src", "crates/project/src/interface.rs", "crates/project/src/reads.rs", "crates/project/src/merge.rs"])
        .args(["crates/project/src/pack.rs", "crates/project/src/taken.rs", "crates/project/src/neighbours.rs", "src/cli/pack.rs", "src/cli/archive.rs", "crates/book/src/embed.rs"])
        .current_dir(root)
        .output()
        .unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    let codes = found.lines().filter_map(|line| line.split('"').nth(1));
    // Exclude words of git and of manifests that are on lines of their own.
    let codes = codes.filter(|code| code.len() > 5 && !["usage", "ssh-keygen"].contains(code));
    let in_code: BTreeSet<String> = codes.map(str::to_owned).collect();
    let in_manual = in_the_manual(root);
    let unknown: Vec<_> = in_manual.difference(&in_code).collect();
    assert!(
        unknown.is_empty(),
        "the manual has codes that there are not: {unknown:?}"
    );
    let missing: Vec<_> = in_code.difference(&in_manual).collect();
    assert!(missing.is_empty(), "the manual lacks: {missing:?}");
}
