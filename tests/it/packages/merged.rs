//! A book with two packages, each in its own repository: added, locked, run without a network,
//! updated, replaced, packed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use opsbook::event::Status;

use crate::project::Project;
use crate::sshd::or_skip;
use crate::tier;

pub(super) fn run_in(folder: &Path, words: &[&str]) {
    let done = Command::new(words[0])
        .args(&words[1..])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(done.status.success(), "{words:?}: {done:?}");
}

/// A repository with committed and tagged files.
pub(super) struct Repository(pub PathBuf);

impl Repository {
    pub(super) fn new(folder: PathBuf) -> Repository {
        fs::create_dir_all(&folder).unwrap();
        run_in(&folder, &["git", "init", "-q"]);
        Repository(folder)
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(super) fn release(&self, tag: &str) {
        run_in(&self.0, &["git", "add", "-A"]);
        let who = ["-c", "user.name=x", "-c", "user.email=x@example.net"];
        let commit = ["commit", "-q", "--allow-empty", "-m", "x"];
        run_in(&self.0, &[&["git"], &who[..], &commit[..]].concat());
        run_in(&self.0, &["git", "tag", "-f", tag]);
    }

    fn url(&self) -> String {
        format!("file://{}", self.0.display())
    }
}

pub(super) const BASE: &str = "# Prepare\n\n```yaml procedure\nid: base.prepare\n```\n\n## Bring it\n\n```yaml deliver\ntemplate: site.conf\n```\n\n```sh step\ncp \"$bundle/site.conf\" ~/site.conf\n```\n\n# Base checks\n\n```yaml checks\nid: base\n```\n\n```sh check id=base.there\ntest -e ~/site.conf\n```\n\n```sh check id=base.never\nfalse\n```\n";
const SHOP: &str = "# Release\n\nFirst [prepare](package:base/prepare.md#prepare).\n\n```yaml procedure\nid: shop.release\n```\n\n```sh step id=say\necho \"port $shop_port\" >> ~/done\n```\n";

fn base(folder: &Path) -> Repository {
    let base = Repository::new(folder.join("base"));
    base.write(
        "opsbook.toml",
        "[package]\nname = \"base\"\nversion = \"2.1.0\"\nowners = [\"base-ops@example.net\"]\n[values]\nbase_port = {default = 80, help = \"where it listens\"}\n",
    );
    base.write("book.toml", "[book]\nsrc = \"manual\"\n");
    base.write(
        "manual/SUMMARY.md",
        "# Summary\n\n- [Prepare](prepare.md)\n",
    );
    base.write("manual/prepare.md", BASE);
    base.write(
        "templates/site.conf",
        "{% include \"head.conf\" %}listen {{ base_port }};\n",
    );
    base.write("templates/head.conf", "# head\n");
    base.release("v2.1.0");
    base
}

fn shop(folder: &Path, base: &Repository) -> Repository {
    let shop = Repository::new(folder.join("shop"));
    let url = base.url();
    shop.write(
        "opsbook.toml",
        &format!("[package]\nname = \"shop\"\nversion = \"1.4.2\"\nowners = [\"shop-ops@example.net\"]\n[values]\nshop_port = {{default = 8000}}\n[packages]\nbase = {{git = \"{url}\", tag = \"v2.1.0\"}}\n"),
    );
    shop.write("book.toml", "[book]\nsrc = \"manual\"\n");
    shop.write("manual/SUMMARY.md", "- [Release](release.md)\n");
    shop.write("manual/release.md", SHOP);
    shop.release("v1.4.2");
    shop
}

/// The repositories, and a book that names both.
pub(super) fn book() -> (tempfile::TempDir, Repository, Repository, Project) {
    let place = tempfile::tempdir().unwrap();
    let base = base(place.path());
    let shop = shop(place.path(), &base);
    let project = Project::new("# Own\n\nSee [release](package:shop/release.md).\n");
    project.write(
        "manual/SUMMARY.md",
        "- [Page](page.md)\n- [The shop](package:shop)\n",
    );
    let add = |name: &str, repository: &Repository, tag: &str, said: &str| {
        let url = repository.url();
        let add = ["packages", "add", name, "--git", &url, "--tag", tag];
        project.opsbook(&add).out(said).check();
    };
    add(
        "shop",
        &shop,
        "v1.4.2",
        "base 2.1.0 is new\nshop 1.4.2 is new\n",
    );
    add("base", &base, "v2.1.0", "");
    (place, base, shop, project)
}

#[test]
fn a_book_of_two_repositories_is_run_tested_built_and_packed_without_a_route() {
    let Some(()) = or_skip("T2", tier::t2()) else {
        return;
    };
    let (_place, base, shop, project) = book();
    let lock = fs::read_to_string(project.path("opsbook.lock")).unwrap();
    assert!(
        lock.contains("[[package]]\nname = \"base\"\nversion = \"2.1.0\"\nfrom = \"git+file://"),
        "{lock}"
    );
    assert!(lock.contains("by = [\"book\", \"shop\"]"), "{lock}");
    // The network is unreachable, and the repositories are gone.
    fs::rename(&base.0, base.0.with_extension("away")).unwrap();
    fs::rename(&shop.0, shop.0.with_extension("away")).unwrap();
    let apart = |words: &[&str]| project.through(&["unshare", "-n"], words);
    apart(&["lint"]).ends(0);
    let listed = apart(&["packages"]).ends(0);
    listed
        .has("base  2.1.0    git+file://")
        .has("shop-ops@example.net");
    let json = apart(&["packages", "--json"]).ends(0);
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["packages"][1]["name"], "shop");
    apart(&["list"])
        .ends(0)
        .has("base.prepare")
        .has("shop.release");
    let shown = apart(&["show", "here", "base_port"]).ends(0);
    shown
        .has("80")
        .has("package base 2.1.0")
        .has("base:opsbook.toml:6");
    apart(&["run", "base.prepare", "here", "--yes"]).ends(0);
    assert_eq!(project.text("site.conf"), "# head\nlisten 80;\n");
    apart(&["run", "shop.release", "here", "--yes"]).ends(0);
    assert_eq!(project.text("done"), "port 8000\n");
    assert_eq!(project.status(), Some(Status::Ok));
    let started = project.record();
    let packages = &started.started().unwrap().packages;
    assert!(
        packages["shop"].starts_with("1.4.2 sha256:"),
        "{packages:?}"
    );
    apart(&["test", "there"]).ends(0);
    apart(&["build"]).ends(0);
    let chapter = fs::read_to_string(project.path("book/packages/index.html")).unwrap();
    for text in [
        "shop-ops@example.net",
        "where it listens",
        "base_port",
        "2.1.0",
    ] {
        assert!(chapter.contains(text), "{text}");
    }
    let page = fs::read_to_string(project.path("book/packages/shop/manual/release.html")).unwrap();
    assert!(
        page.contains("../../base/manual/prepare.html#prepare"),
        "{page}"
    );
    // Below its title, a page names its package and the owners.
    assert!(
        page.contains("<em>shop 1.4.2 · shop-ops@example.net · source at <code>"),
        "{page}"
    );
    let own = fs::read_to_string(project.path("book/page.html")).unwrap();
    assert!(!own.contains("shop-ops"), "{own}");
    assert!(own.contains("packages/shop/manual/release.html"));

    // One file with everything.
    let (name, version) = ("--name", "--version");
    apart(&["pack", name, "ops", version, "2026.11.29", "--dirty"])
        .ends(0)
        .has("2 packages: base 2.1.0, shop 1.4.2");
    apart(&["pack", "--check", "ops-2026.11.29.opsbook"])
        .ends(0)
        .has("nothing differs");
    let _ = fs::remove_dir_all(project.home("done"));
    // On a machine without the packages.
    let other = tempfile::tempdir().unwrap();
    let run = [
        "--book",
        "ops-2026.11.29.opsbook",
        "run",
        "shop.release",
        "here",
        "--yes",
    ];
    apart(&run)
        .env("HOME", other.path().to_str().unwrap())
        .ends(0);
    let done = fs::read_to_string(other.path().join("done")).unwrap();
    assert_eq!(done, "port 8000\n");

    // In the book's folder, each file compared with the lock.
    apart(&["packages", "vendor"])
        .out("base 2.1.0\nshop 1.4.2\n")
        .check();
    fs::remove_dir_all(project.home(".cache")).unwrap_or_else(|_| {
        run_in(&project.root(), &["chmod", "-R", "u+w", "home/.cache"]);
        fs::remove_dir_all(project.home(".cache")).unwrap();
    });
    apart(&["lint"]).ends(0);
    let page = project.path("packages/shop/manual/release.md");
    fs::write(&page, SHOP.replace("port", "Port")).unwrap();
    let differs = apart(&["run", "shop.release", "here", "--yes"]).ends(2);
    differs.has("opsbook.toml:3:1: error: `shop` in `packages/shop` has the content sha256:");
    differs.has("hint: somebody has changed it; nothing in it was used");
}

#[test]
fn what_is_locked_is_what_is_used_and_a_moved_tag_is_refused() {
    let (_place, base, _shop, project) = book();
    project
        .opsbook(&["packages", "update"])
        .out("nothing has changed\n")
        .check();
    // Somebody moves the tag.
    base.write("manual/prepare.md", &BASE.replace("cp ", "cp -p "));
    base.release("v2.1.0");
    let refused = project.opsbook(&["packages", "update"]).ends(2);
    refused
        .has("error: tag `v2.1.0` moved to ")
        .has(": refused\n");
    refused.has("hint: `opsbook packages update base` accepts it");
    project
        .opsbook(&["run", "base.prepare", "here", "--dry-run"])
        .ends(0)
        .lacks("cp -p");
    let before = fs::read_to_string(project.path("opsbook.lock")).unwrap();
    // A run that began with the old one is reported.
    project.page("# Own\n\n```yaml procedure\nid: own\n```\n\n```sh step\ntest -e ~/none\n```\n");
    project.opsbook(&["run", "own", "here", "--yes"]).ends(1);
    let taken = project.opsbook(&["packages", "update", "base"]).ends(0);
    taken.has("base 2.1.0 -> 2.1.0\n  patch: the steps of base.prepare have changed\n");
    taken.has("note: 1 halted run began with base 2.1.0: `opsbook history` shows them");
    assert_ne!(
        fs::read_to_string(project.path("opsbook.lock")).unwrap(),
        before
    );
    project
        .opsbook(&["run", "base.prepare", "here", "--dry-run"])
        .ends(0)
        .has("cp -p");

    // Newer ones are shown, and used on request.
    base.write(
        "opsbook.toml",
        "[package]\nname = \"base\"\nversion = \"2.2.0\"\nowners = [\"x\"]\n[values]\nbase_port = {default = 80}\nbase_extra = {}\n",
    );
    base.release("v2.2.0");
    project
        .opsbook(&["packages", "outdated"])
        .out("base v2.1.0 -> v2.2.0\n")
        .check();
    project
        .opsbook(&["packages", "update", "base", "--to", "v2.2.0"])
        .out("base 2.1.0 -> 2.2.0\n  minor: value base_extra is new\n")
        .check();

    // An edited lock is not trusted.
    let good = fs::read_to_string(project.path("opsbook.lock")).unwrap();
    for (from, to, why) in [
        (
            "version = \"2.2.0\"",
            "version = \"2.3.0\"",
            "opsbook.toml:2:1: error: `base` calls itself 2.2.0, but is 2.3.0 in `opsbook.lock`",
        ),
        (
            "content = \"sha256:",
            "content = \"sha256:00",
            "error: this is not a locked package",
        ),
        (
            "[[package]]\nname = \"shop\"",
            "[[package]]\nname = \"base\"",
            "error: `base` is locked twice",
        ),
        (
            "[[package]]\nname = \"shop\"",
            "<<<<<<< HEAD\n[[package]]\nname = \"shop\"",
            "opsbook.lock:",
        ),
    ] {
        let other = good.replacen(from, to, 1);
        assert_ne!(other, good, "{from}");
        project.write("opsbook.lock", &other);
        project.opsbook(&["list"]).ends(2).has(why);
    }
    project.write("opsbook.lock", &good);

    // The manifest without the lock.
    let manifest = fs::read_to_string(project.path("opsbook.toml")).unwrap();
    project.write("opsbook.toml", &manifest.replace("v2.2.0", "v2.1.0"));
    let differs = project.opsbook(&["list"]).ends(2);
    differs.has("error: `base` is v2.1.0 here, but v2.2.0 in `opsbook.lock`");
    differs.has("hint: `opsbook packages update base` writes it");
    project.write("opsbook.toml", &manifest);

    // Without the cache it is missing; `fetch` gets exactly the locked one.
    run_in(&project.root(), &["chmod", "-R", "u+w", "home/.cache"]);
    fs::remove_dir_all(project.home(".cache")).unwrap();
    let missing = project.opsbook(&["list"]).ends(2);
    missing.has("error: `base` 2.2.0 is locked, but not here\n");
    missing.has("hint: `opsbook packages fetch` downloads it");
    project
        .opsbook(&["packages", "fetch"])
        .out("base 2.2.0\nshop 1.4.2\n")
        .check();
    project.opsbook(&["list"]).ends(0);
    project.opsbook(&["packages", "fetch"]).out("").check();

    // Wrong names, and missing packages.
    let wrong = [
        "packages",
        "add",
        "bass",
        "--git",
        &base.url(),
        "--tag",
        "v2.2.0",
    ];
    project
        .opsbook(&wrong)
        .ends(2)
        .has("error: `bass` calls itself `base`");
    let none = [
        "packages",
        "add",
        "none",
        "--git",
        &base.url(),
        "--tag",
        "v9",
    ];
    project.opsbook(&none).ends(2).has("error: `none`: ");
    assert_eq!(
        fs::read_to_string(project.path("opsbook.toml")).unwrap(),
        manifest
    );
}

#[test]
fn a_book_has_templates_and_checks_otherwise_and_a_folder_for_a_package() {
    let (place, base, _shop, project) = book();
    let manifest = fs::read_to_string(project.path("opsbook.toml")).unwrap();
    let overrides = "\n[overrides.templates]\n\"base:site.conf\" = \"templates/own.conf\"\n\n[overrides.checks]\n\"base/never\" = {skip = \"watched elsewhere\", until = 2999-01-01}\n";
    project.write("opsbook.toml", &format!("{manifest}{overrides}"));
    project.write("templates/own.conf", "own {{ base_port }};\n");
    project.opsbook(&["packages", "update"]).ends(0);
    project
        .opsbook(&["run", "base.prepare", "here", "--yes"])
        .ends(0);
    assert_eq!(project.text("site.conf"), "own 80;\n");
    project.opsbook(&["test"]).ends(0);
    project.opsbook(&["build"]).ends(0);
    let chapter = fs::read_to_string(project.path("book/packages/index.html")).unwrap();
    assert!(chapter.contains("watched elsewhere, until 2999-01-01"));
    assert!(chapter.contains("is replaced by the book"));
    let past = overrides.replace("2999", "2020");
    project.write("opsbook.toml", &format!("{manifest}{past}"));
    project.opsbook(&["test"]).ends(101).has("never");
    project
        .opsbook(&["lint"])
        .ends(0)
        .has("warning: it was left out until 2020-01-01");
    let unknown = overrides
        .replace("base/never", "base/nothing")
        .replace("site.conf", "site.cfg");
    project.write("opsbook.toml", &format!("{manifest}{unknown}"));
    project
        .opsbook(&["lint"])
        .ends(2)
        .has("error: `base` has no template `site.cfg`");
    let unknown = overrides.replace("base/never", "base/nothing");
    project.write("opsbook.toml", &format!("{manifest}{unknown}"));
    project
        .opsbook(&["lint"])
        .ends(2)
        .has("error: `base` has no check `nothing`");
    project.write("opsbook.toml", &format!("{manifest}{overrides}"));

    // The package changes a file that the book replaces.
    base.write("templates/site.conf", "listen {{ base_port }} ssl;\n");
    base.release("v2.1.0");
    let work = place.path().join("base");
    let local = format!("[replace]\nbase = {{path = \"{}\"}}\n", work.display());
    project.write("opsbook.local.toml", &local);
    let lint = project.opsbook(&["lint"]).ends(0);
    lint.has("with `base` from ").has(" instead of 2.1.0\n");
    lint.has("warning: `base:site.conf`, which this book replaces, has changed in the package");
    base.write("manual/prepare.md", &BASE.replace("cp ", "cp -f "));
    project
        .opsbook(&["run", "base.prepare", "here", "--dry-run"])
        .ends(0)
        .has("cp -f");
    let in_ci = project.opsbook(&["list"]).env("CI", "true").ends(2);
    in_ci.has("error: `opsbook.local.toml` has `base` from ");
    let packed = ["pack", "--name", "x", "--version", "1", "--dirty"];
    project
        .opsbook(&packed)
        .ends(2)
        .has("error: `opsbook.local.toml` replaces `base` on this machine");
}

#[test]
fn a_release_number_says_what_is_different() {
    let (_place, _base, shop, _project) = book();
    let opsbook = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_opsbook"));
        command
            .args(arguments)
            .current_dir(&shop.0)
            .env("HOME", shop.0.join(".home"));
        let done = command.output().unwrap();
        let said = [done.stdout, done.stderr].concat();
        (done.status.code(), String::from_utf8(said).unwrap())
    };
    fs::write(shop.0.join(".gitignore"), "*.opsbook\n.home\n").unwrap();
    assert_eq!(opsbook(&["packages", "update"]).0, Some(0));
    let text = fs::read_to_string(shop.0.join("opsbook.toml")).unwrap();
    let version = |number: &str, values: &str| {
        let text = text
            .replace("1.4.2", number)
            .replace("shop_port = {default = 8000}", values);
        shop.write("opsbook.toml", &text);
        shop.release(&format!("v{number}"));
        opsbook(&["pack", "--since", "v1.4.2"])
    };
    let (status, said) = version("1.4.3", "shop_port = {default = 8000}\nshop_extra = {}");
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("opsbook.toml:3:11: error: 1.4.3 is too close to 1.4.2: the changes are minor (value shop_extra is new)"), "{said}");
    let (status, said) = version("1.5.0", "shop_port = {default = 8000}\nshop_extra = {}");
    assert_eq!(status, Some(0), "{said}");
    let (status, said) = version("1.6.0", "shop_port = {default = 8001}");
    assert_eq!(status, Some(2), "{said}");
    assert!(
        said.contains("the changes are major (default of shop_port is 8001, was 8000)"),
        "{said}"
    );
    let (status, said) = version("2.0.0", "shop_port = {default = 8001}");
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("1 package: base 2.1.0"), "{said}");
}

/// The chapter's commands, typed by a reader.
#[test]
fn the_chapter_can_be_typed() {
    let text = include_str!("../../../manual/packages.md");
    let mut script = String::from("set -eux\n");
    let mut inside = false;
    for line in text.lines() {
        match (inside, line) {
            (false, "```sh example") => inside = true,
            (true, "```") => inside = false,
            (true, line) => script += &format!("{line}\n"),
            (false, _) => {}
        }
    }
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("home");
    fs::create_dir(&home).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_opsbook")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let done = Command::new("sh")
        .args(["-c", &script])
        .current_dir(place.path())
        .env_clear()
        .env("PATH", format!("{}:{path}", program.display()))
        .env("HOME", &home)
        .env("GIT_AUTHOR_NAME", "x")
        .env("GIT_AUTHOR_EMAIL", "x@example.net")
        .env("GIT_COMMITTER_NAME", "x")
        .env("GIT_COMMITTER_EMAIL", "x@example.net")
        .output()
        .unwrap();
    let said = [&done.stdout[..], &done.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(done.status.success(), "{said}");
    for text in [
        "base 2.1.0 is new\nshop 1.4.1 is new",
        "shop v1.4.1 -> v1.4.2",
        "shop 1.4.1 -> 1.4.2\n  patch: the steps of shop.release have changed",
        "nothing differs; signed by release@example.net",
        "package shop 1.4.1",
        "signed by release@example.net)",
    ] {
        assert!(said.contains(text), "`{text}` is not in:\n{said}");
    }
    let released = fs::read_to_string(home.join("shop")).unwrap();
    assert_eq!(released, "release 2, port 8080\n");
}

/// mdBook reads the list before it calls opsbook, which then provides the packages' pages.
#[test]
fn plain_mdbook_builds_a_book_of_packages() {
    let (_place, _base, _shop, project) = book();
    let settings = format!(
        "[book]\nsrc = \"manual\"\n[preprocessor.opsbook]\ncommand = \"env HOME={} {} preprocess\"\nafter = [\"links\"]\nbefore = [\"index\"]\n",
        project.home("").display(),
        env!("CARGO_BIN_EXE_opsbook")
    );
    project.write("book.toml", &settings);
    project
        .opsbook(&["lint"])
        .ends(0)
        .has("manual/SUMMARY.md:2:14: warning: mdBook without opsbook")
        .has("hint: write `[The shop]() <!-- package:shop -->`, which both understand");
    project.write(
        "manual/SUMMARY.md",
        "- [Page](page.md)\n- [The shop]() <!-- package:shop -->\n",
    );
    project.opsbook(&["lint"]).ends(0).lacks("plain mdBook");
    project.opsbook(&["build"]).ends(0);
    let read = |path: &str| fs::read_to_string(project.path(path)).unwrap();
    let link = "packages/shop/manual/release.html";
    let (ours, list) = (read("book/page.html"), read("book/toc.html"));
    fs::remove_dir_all(project.path("book")).unwrap();
    let plain = mdbook_driver::MDBook::load(project.root()).unwrap();
    plain.build().unwrap();
    assert!(ours.contains(link) && read("book/page.html").contains(link));
    let names = |list: &str| {
        let links = list.split("href=\"").skip(1);
        let links = links.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()));
        let links = links.filter(|link| link.contains(".html"));
        links.collect::<Vec<_>>()
    };
    assert_eq!(names(&list), names(&read("book/toc.html")));
    let page = read("book/packages/shop/manual/release.html");
    assert!(
        page.contains("../../base/manual/prepare.html#prepare"),
        "{page}"
    );
    assert!(page.contains("shop-ops@example.net"), "{page}");
    // The message about a missing package names it.
    project.write("opsbook.lock", "version = 9\n");
    assert!(plain.build().is_err());
}
