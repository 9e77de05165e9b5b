//! A manual that lies elsewhere, or is packaged: run from folders that nobody may write to.

use std::fs;

use opsbook::event::Status;
use opsbook::journal::{self, State, results};

use crate::project::Project;
use crate::sshd::or_skip;
use crate::tier;

const PAGE: &str = "# P\n\n```yaml procedure\nid: p\n```\n\n```sh step on=local\npwd > \"$bundle/at\"; echo here\n```\n\n```sh step\necho one >> ~/done\n```\n\n```sh step\ntest -e ~/repaired\n```\n\n# C\n\n```yaml checks\nid: c\n```\n\n```sh check id=done\ntest -e ~/done\n```\n";

/// Runs `opsbook` where the project's folder is mounted so that not even root can write to it.
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
    refused.has("hint: `OPSBOOK_STATE=DIR`");
    here(&["run", "p", "here", "--yes"]).ends(1).has("go on:");
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
    // The first step was not run again, and nothing was written into the manual.
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
    // The variable goes before the setting.
    let other = project.path("other");
    let history = project.opsbook(&["history"]);
    history.env("OPSBOOK_STATE", "other").ends(0);
    assert!(!other.exists());
    project.opsbook(&["log"]).ends(0).has("FAILED");
}
