//! A manual in another place, or packaged: run from read-only folders.

mod codes;
mod fetched;
mod https;
mod merged;
mod refused;
mod registry;

use std::fs;

use opsbook::event::Status;
use opsbook::journal::{self, State, results};

use crate::project::Project;
use crate::sshd::or_skip;
use crate::tier;

const PAGE: &str = "# P\n\n```yaml procedure\nid: p\n```\n\n```sh step on=local\npwd > \"$bundle/at\"; echo here\n```\n\n```sh step\necho one >> ~/done\n```\n\n```sh step\ntest -e ~/repaired\n```\n\n# C\n\n```yaml checks\nid: c\n```\n\n```sh check id=done\ntest -e ~/done\n```\n";

/// Runs `opsbook` with the project's folder mounted read-only, even for root.
const READ_ONLY: &str =
    "mount --bind \"$at\" \"$at\"; mount -o remount,bind,ro \"$at\"; exec \"$0\" \"$@\"";

#[test]
fn a_manual_that_nobody_may_write_to_runs_tests_resumes_and_records() {
    let Some(()) = or_skip("T2", tier::t2()) else {
        return;
    };
    let project = Project::new(PAGE);
    let elsewhere = tempfile::tempdir().unwrap();
    let (home, state) = (
        elsewhere.path().join("home"),
        elsewhere.path().join("state"),
    );
    fs::create_dir(&home).unwrap();
    let opsbook = |arguments: &[&str]| {
        project
            .through(&["unshare", "-m", "sh", "-euc", READ_ONLY], arguments)
            .env("at", project.root().to_str().unwrap())
            .env("HOME", home.to_str().unwrap())
    };
    let here =
        |arguments: &[&str]| opsbook(arguments).env("OPSBOOK_STATE", state.to_str().unwrap());
    let refused = opsbook(&["run", "p", "here", "--yes"]).ends(3);
    refused.has("/.opsbook/runs/").has("Read-only file system");
    refused.has("hint: set `OPSBOOK_STATE=DIR`");
    here(&["run", "p", "here", "--yes"])
        .ends(1)
        .has("to continue:");
    let kept = State::of(&project.root(), Some(&state));
    assert_eq!(journal::runs(&kept).len(), 1);
    assert!(kept.bundles().join("here").is_dir());
    fs::write(home.join("repaired"), "").unwrap();
    here(&["resume", "--yes"]).ends(0);
    here(&["history"]).ends(0).has("OK");
    let record = journal::read(&kept, &journal::runs(&kept)[0]).unwrap();
    assert_eq!(record.status(), Some(Status::Ok));
    here(&["test", "--record"]).ends(0);
    assert_eq!(results::runs(&kept).len(), 1);
    // The first step did not run again, and nothing was written into the manual.
    assert_eq!(fs::read_to_string(home.join("done")).unwrap(), "one\n");
    assert!(!project.path(".opsbook").exists());
}

#[test]
fn the_settings_say_where_the_journal_is() {
    let project = Project::new(PAGE);
    project.write(
        "book.toml",
        "[book]\nsrc = \"manual\"\n[preprocessor.opsbook]\nstate = \"~/.local/state/ops\"\n",
    );
    project.opsbook(&["run", "p", "here", "--yes"]).ends(1);
    let state = State::of(&project.root(), Some(&project.home(".local/state/ops")));
    assert_eq!(journal::runs(&state).len(), 1);
    assert_eq!(project.runs(), 0);
    // The variable has priority over the setting.
    let other = project.path("other");
    let history = project.opsbook(&["history"]);
    history.env("OPSBOOK_STATE", "other").ends(0);
    assert!(!other.exists());
    project.opsbook(&["log"]).ends(0).has("FAILED");
}

const SHOP: &str =
    "[package]\nname = \"shop\"\nversion = \"1.4.2\"\nowners = [\"shop-ops@example.net\"]\n";

/// A package under version control, with a tag.
fn shop(page: &str) -> Project {
    let project = Project::new(page);
    project.write("opsbook.toml", SHOP);
    project.write(".gitignore", "home\n.opsbook\n*.opsbook\ndist\n");
    git(&project, &["init", "-q"]);
    commit(&project);
    project
}

fn git(project: &Project, arguments: &[&str]) {
    let done = std::process::Command::new("git")
        .args(["-c", "user.name=x", "-c", "user.email=x@example.net"])
        .args(arguments)
        .current_dir(project.root())
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
}

fn commit(project: &Project) {
    git(project, &["add", "-A"]);
    git(project, &["commit", "-qm", "x"]);
}

const RELEASE: &str = "# P\n\n```yaml procedure\nid: shop.release\n```\n\n```sh step\necho one >> ~/done\n```\n\n```sh step\ntest -e ~/repaired\n```\n\n# C\n\n```yaml checks\nid: shop\n```\n\n```sh check id=done\ntest -e ~/done\n```\n";

#[test]
fn a_package_is_packed_checked_signed_and_run_from_its_archive() {
    let project = shop(RELEASE);
    git(&project, &["tag", "v1.4.2"]);
    project
        .opsbook(&["pack"])
        .out("shop 1.4.2 from [..] (v1.4.2), 5 files, [..] B\n  content sha256:[..]\nshop-1.4.2.opsbook  [..]\n")
        .check();
    let first = fs::read(project.path("shop-1.4.2.opsbook")).unwrap();
    // In another folder, with other times and another umask: the same bytes.
    let other = tempfile::tempdir().unwrap();
    let clone = other.path().join("clone");
    git(&project, &["clone", "-q", ".", clone.to_str().unwrap()]);
    project
        .through(
            &["sh", "-c", "umask 077; cd \"$at\"; exec \"$0\" \"$@\""],
            &["pack", "-o", "again.opsbook"],
        )
        .env("at", clone.to_str().unwrap())
        .env("LC_ALL", "de_DE.UTF-8")
        .ends(0);
    assert_eq!(fs::read(clone.join("again.opsbook")).unwrap(), first);
    project
        .opsbook(&["pack", "--check", "shop-1.4.2.opsbook", "--git", "v1.4.2"])
        .out("shop-1.4.2.opsbook is [..]: 5 files, nothing differs; not signed\n")
        .check();
    let listed = project
        .opsbook(&["pack", "--list", "shop-1.4.2.opsbook"])
        .ends(0);
    let listed: serde_json::Value = serde_json::from_str(&listed.out).unwrap();
    assert_eq!(listed["procedures"][0]["id"], "shop.release");
    assert_eq!(listed["interpreters"], serde_json::json!(["sh"]));
    project
        .opsbook(&[
            "pack",
            "--list",
            "shop-1.4.2.opsbook",
            "--format",
            "cyclonedx",
        ])
        .ends(0)
        .has("\"specVersion\": \"1.6\"");

    // A run from the archive halts; the sheet names the archive; the run continues with only the
    // archive.
    let book = ["--book", "shop-1.4.2.opsbook"];
    let run = [&book[..], &["run", "shop.release", "here", "--yes"]].concat();
    let halted = project.opsbook(&run).ends(1);
    halted
        .has("manual shop 1.4.2 (sha256:")
        .has("git ")
        .has("no valid signature");
    halted
        .has("owners:       shop-ops@example.net (shop 1.4.2)\n")
        .has("to continue:  opsbook --book ")
        .has("shop-1.4.2.opsbook resume");
    let state = State::of(
        &project.root(),
        Some(&project.home(".local/state/opsbook/shop")),
    );
    let run = journal::runs(&state).remove(0);
    let record = journal::read(&state, &run).unwrap();
    let book_of = record.started().unwrap().book.clone().unwrap();
    assert_eq!(
        (book_of.name.as_str(), book_of.version.as_str()),
        ("shop", "1.4.2")
    );
    assert_eq!(project.runs(), 0);

    // Another archive with the same name cannot continue it.
    project.page(&RELEASE.replace("echo one", "echo two"));
    project.write("opsbook.toml", &SHOP.replace("1.4.2", "1.4.3"));
    commit(&project);
    project.opsbook(&["pack"]).ends(0);
    project
        .opsbook(&["--book", "shop-1.4.3.opsbook", "resume", "--yes"])
        .status(2)
        .err("error: shop was 1.4.2 when this run began, and it is 1.4.3 now\n\nhint: name the old archive with `--book`, or pass `--accept-changed`\n")
        .check();
    fs::write(project.home("repaired"), "").unwrap();
    project
        .opsbook(&[&book[..], &["resume", "--yes"]].concat())
        .ends(0);
    assert_eq!(project.text("done"), "one\n");
    project.opsbook(&[&book[..], &["test"]].concat()).ends(0);
    project
        .opsbook(&[&book[..], &["history"]].concat())
        .ends(0)
        .has("shop.release");
    let differs = project.opsbook(&["pack", "--check", "shop-1.4.2.opsbook", "--git", "HEAD"]);
    differs.ends(2).has("`manual/page.md` differs");

    // The cached files are compared each time.
    let cache = project.home(".cache/opsbook/books");
    let kept = fs::read_dir(&cache)
        .unwrap()
        .flatten()
        .map(|entry| entry.path());
    for kept in kept {
        let page = kept.join("manual/page.md");
        let changed = fs::read_to_string(&page).unwrap().replace("echo", "printf");
        let _ = std::process::Command::new("chmod")
            .args(["-R", "u+w"])
            .arg(&kept)
            .status();
        fs::write(&page, changed).unwrap();
    }
    let refused = project.opsbook(&[&book[..], &["list"]].concat()).ends(2);
    refused
        .has("`manual/page.md` differs")
        .has("hint: find out who changed it");
}

#[test]
fn an_archive_is_signed_by_a_key_that_counts_or_refused() {
    let project = shop(RELEASE);
    let keygen = |name: &str| {
        let done = std::process::Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
            .arg(project.home(name))
            .status();
        assert!(done.unwrap().success());
        fs::read_to_string(project.home(&format!("{name}.pub"))).unwrap()
    };
    let (key, stranger) = (keygen("release"), keygen("stranger"));
    fs::write(
        project.home("signers"),
        format!("release@example.net {key}"),
    )
    .unwrap();
    fs::write(
        project.home("others"),
        format!("other@example.net {stranger}"),
    )
    .unwrap();
    project
        .opsbook(&["pack", "-o", "home/plain.opsbook"])
        .ends(0);
    project
        .opsbook(&[
            "pack",
            "--sign",
            "home/release",
            "-o",
            "home/signed.opsbook",
        ])
        .ends(0);
    let check = |archive: &str, signers: &str| {
        let check = ["pack", "--check", archive, "--signers", signers];
        project.opsbook(&check).said()
    };
    check("home/signed.opsbook", "home/signers")
        .has("nothing differs; signed by release@example.net");
    let refused = check("home/signed.opsbook", "home/others");
    assert_eq!(refused.status, 2);
    refused.has("error: the signature of `home/signed.opsbook` is not valid");
    check("home/plain.opsbook", "home/signers").has("error: `home/plain.opsbook` is not signed");
    let run = [
        "--book",
        "home/signed.opsbook",
        "run",
        "shop.release",
        "here",
        "--dry-run",
    ];
    project
        .opsbook(&run)
        .env("OPSBOOK_SIGNERS", "home/others")
        .ends(2);
    project
        .opsbook(&run)
        .env("OPSBOOK_SIGNERS", "home/signers")
        .ends(0);
}

#[test]
fn what_must_not_be_in_an_archive_is_refused() {
    let project = shop(RELEASE);
    let refused = |text: &str| {
        project.opsbook(&["pack"]).ends(2).has(text);
        assert!(!project.path("shop-1.4.2.opsbook").exists());
    };
    project.page(&format!("{RELEASE}\nMore.\n"));
    refused(
        "error: `manual/page.md`: changed since the last commit\n\nhint: commit it, or pass `--dirty`",
    );
    project
        .opsbook(&["pack", "--dirty"])
        .ends(0)
        .has("shop 1.4.2+dirty from")
        .has("with changes");
    git(&project, &["checkout", "-q", "."]);
    project.write("notes.txt", "x");
    refused(
        "error: `notes.txt` is not under version control\n\nhint: commit it, or name it in `include`",
    );
    fs::remove_file(project.path("notes.txt")).unwrap();
    project.write("keys/tls.pem", "x");
    commit(&project);
    refused("error: `keys/tls.pem` looks private");
    git(&project, &["rm", "-q", "-r", "keys"]);
    project.nodes("  here: {transport: local, pass: {secret: {file: pass.txt}}}\n");
    project.write("pass.txt", "x");
    commit(&project);
    refused("nodes.yaml:3:34: error: the archive would contain the secret `pass.txt`");
    git(&project, &["rm", "-q", "pass.txt"]);
    project.nodes("  here: {transport: local}\n");
    project.page(&format!("{RELEASE}\n```sh step\necho 'never closed\n```\n"));
    commit(&project);
    project.opsbook(&["pack"]).ends(2).has("manual/page.md:");
    project.page(RELEASE);
    commit(&project);
    git(&project, &["tag", "v1.4.2", "HEAD~1"]);
    refused("error: tag `v1.4.2` is at ");
    git(&project, &["tag", "-d", "v1.4.2"]);
    // An untracked file is included if it is named, and is marked.
    let include = format!("{SHOP}include = [\"dist/*.whl\"]\nchangelog = \"CHANGES.md\"\n");
    project.write("opsbook.toml", &include);
    project.write("dist/shop.whl", "wheel");
    project.write("CHANGES.md", "# 1.4.1\n");
    commit(&project);
    project
        .opsbook(&["pack"])
        .ends(0)
        .has("warning: `CHANGES.md` has no heading for 1.4.2");
    let listed = project
        .opsbook(&["pack", "--list", "shop-1.4.2.opsbook"])
        .ends(0);
    listed.has("dist/shop.whl").has("\"tracked\": false");
    let damaged = fs::read(project.path("shop-1.4.2.opsbook")).unwrap();
    fs::write(project.path("bad.opsbook"), &damaged[..damaged.len() / 2]).unwrap();
    let bad = project.opsbook(&["--book", "bad.opsbook", "list"]).ends(2);
    bad.has("error: `bad.opsbook`: entry ")
        .has("hint: nothing in it was used");
    assert!(!project.home(".cache/opsbook/books").exists());
}

#[test]
fn a_package_that_is_a_folder_is_in_no_archive() {
    let project = shop(RELEASE);
    let packages = "[packages]\nbase = {path = \"home/base\"}\n";
    project.write("opsbook.toml", &format!("{SHOP}{packages}"));
    project.write("home/base/opsbook.toml", &SHOP.replace("shop", "base"));
    project.write("home/base/book.toml", "[book]\nsrc = \"manual\"\n");
    project.write("home/base/manual/SUMMARY.md", "- [P](p.md)\n");
    project.write("home/base/manual/p.md", "# P\n");
    commit(&project);
    let refused = project.opsbook(&["pack"]).ends(2);
    refused.has("opsbook.toml:6:1: error: `base` is a folder on this machine");
    assert!(!project.path("shop-1.4.2.opsbook").exists());
}
