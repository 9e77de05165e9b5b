//! The journal beside what the node knows: F39 and F40.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::project::{Project, Said};

/// Three steps and a captured value; the second one fails until there is a file `go`.
const PAGE: &str = "# Page

```yaml procedure
id: p
```

```sh step id=one capture=seen
echo one >> \"$HOME/ran\"
echo value-1
```

```sh step id=two
echo two >> \"$HOME/ran\"
test -e \"$HOME/go\"
```

```sh step id=three
echo \"three $seen\" >> \"$HOME/ran\"
```
";

const HALTED: &str = "one\ntwo\n";
const DONE: &str = "one\ntwo\ntwo\nthree value-1\n";

/// What is on the controller and on the node, to be put back.
struct Saved<'a> {
    project: &'a Project,
    copy: tempfile::TempDir,
}

impl Saved<'_> {
    fn of(project: &Project) -> Saved<'_> {
        let copy = tempfile::tempdir().unwrap();
        for name in ["home", ".opsbook"] {
            copied(&project.path(name), &copy.path().join(name));
        }
        Saved { project, copy }
    }

    fn put_back(&self) {
        for name in ["home", ".opsbook"] {
            let _ = fs::remove_dir_all(self.project.path(name));
            copied(&self.copy.path().join(name), &self.project.path(name));
        }
    }
}

fn copied(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.unwrap().success(), "{from:?}");
}

fn halted() -> (Project, PathBuf, String) {
    let project = Project::new(PAGE);
    project.opsbook(&["run", "p", "here"]).ends(1);
    fs::write(project.home("go"), "").unwrap();
    let path = project.record().path;
    let run = path.file_stem().unwrap().to_str().unwrap().to_owned();
    (project, path, run)
}

/// The first lines of a text.
fn prefix(text: &str, lines: usize) -> String {
    text.split_inclusive('\n').take(lines).collect()
}

#[test]
fn f40_a_journal_that_lags_behind_the_bundle_at_any_line_is_caught_up() {
    let (project, path, run) = halted();
    let saved = Saved::of(&project);
    let whole = fs::read_to_string(&path).unwrap();
    let mut refused = 0;
    for lines in 1..whole.lines().count() {
        saved.put_back();
        fs::write(&path, prefix(&whole, lines)).unwrap();
        let said = project.opsbook(&["resume", &run]).said();
        if said.out.contains("(was started before)") {
            // Its end was not in the journal: it had failed.
            assert_eq!(project.text("ran"), HALTED, "{lines}");
            project.opsbook(&["resume", &run]).ends(0);
        } else if said.status != 0 {
            // Nothing was done, and the way out is told.
            assert_eq!(said.status, 3, "{lines}: {said:?}");
            said.has(&format!("`opsbook resume --catch-up {run}` reads"));
            assert_eq!(project.text("ran"), HALTED, "{lines}");
            refused += 1;
            let said = project
                .opsbook(&["resume", &run, "--catch-up", "--yes"])
                .said();
            said.has("that this journal lacks: ");
            assert_eq!(project.text("ran").matches("one").count(), 1, "{lines}");
            if said.status != 0 {
                // The step's end was found, too: it had failed.
                said.has("FAILED  step two: exit status");
                assert_eq!(project.text("ran"), HALTED, "{lines}");
                project.opsbook(&["resume", &run]).ends(0);
            }
        }
        assert_eq!(project.text("ran"), DONE, "{lines}");
        // The journal that was made up for is a chain like any other.
        project.opsbook(&["log", &run]).ends(0);
    }
    assert!(refused > 3, "{refused}");
}

/// A set-up that was repeated after a step had failed is what the node was told of last.
#[test]
fn f40_what_was_begun_before_a_repeated_set_up_is_caught_up_with() {
    let set_up = "```sh step id=up setup\necho up >> \"$HOME/ran\"\n```\n\n```sh step id=two";
    let project = Project::new(&PAGE.replace("```sh step id=two", set_up));
    project.opsbook(&["run", "p", "here"]).ends(1);
    let path = project.record().path;
    let run = path.file_stem().unwrap().to_str().unwrap().to_owned();
    let whole = fs::read_to_string(&path).unwrap();
    let two_begins = whole
        .lines()
        .position(|line| line.contains("step-started") && line.contains("\"name\":\"p/two\""))
        .unwrap();
    let older = prefix(&whole, two_begins);
    let catch_up = ["resume", &run, "--catch-up", "--yes"];
    // The same older copy twice: before the second time, the set-up was repeated.
    for times in 1..=2 {
        fs::write(&path, &older).unwrap();
        let said = project.opsbook(&catch_up).ends(1);
        said.has("FAILED  step two: exit status");
        let ran = project.text("ran");
        assert_eq!(ran.matches("two").count(), 1, "{times}: {ran}");
        assert_eq!(ran.matches("up").count(), 1 + times, "{ran}");
    }
    fs::write(project.home("go"), "").unwrap();
    project.opsbook(&["resume", &run]).ends(0);
    assert!(project.text("ran").ends_with("two\nthree value-1\n"));
}

#[test]
fn f40_catching_up_is_asked_about() {
    let (project, path, run) = halted();
    let whole = fs::read_to_string(&path).unwrap();
    let one_begins = whole
        .lines()
        .position(|line| line.contains("step-started"))
        .unwrap();
    fs::write(&path, prefix(&whole, one_begins)).unwrap();
    let said = project.opsbook(&["resume", &run, "--catch-up"]).ends(5);
    said.has("nobody to ask (`--yes` confirms)");
    let said = project
        .opsbook(&["resume", &run, "--catch-up"])
        .input("n\n")
        .ends(5);
    said.has("stopped before the journal was changed");
    assert_eq!(project.text("ran"), HALTED);
    let said = project
        .opsbook(&["resume", &run, "--catch-up"])
        .input("y\n")
        .ends(1);
    said.has("that this journal lacks: 1, 2\naccept the records of the node? ");
    assert_eq!(project.text("ran"), HALTED);
    project.opsbook(&["resume", &run]).ends(0);
    assert_eq!(project.text("ran"), DONE);
}

#[test]
fn f40_a_run_that_ended_is_read_from_the_history() {
    let (project, path, run) = halted();
    let whole = fs::read_to_string(&path).unwrap();
    project.opsbook(&["resume", &run]).ends(0);
    assert_eq!(project.text("ran"), DONE);
    let saved = Saved::of(&project);
    let lines = whole.lines().count();
    for kept in [1, lines / 2, lines - 2, lines] {
        saved.put_back();
        fs::write(&path, prefix(&whole, kept)).unwrap();
        let said = project.opsbook(&["resume", &run]).ends(3);
        said.has(&format!("`opsbook resume --catch-up {run}` reads"));
        let said = project
            .opsbook(&["resume", &run, "--catch-up", "--yes"])
            .ends(0);
        said.has("the history of the run on the node");
        assert_eq!(project.text("ran"), DONE, "{kept}");
        let said: Said = project.opsbook(&["resume", &run]).ends(0);
        said.has("is complete");
    }
}

#[test]
fn f39_a_record_on_the_node_that_says_something_else_stops_the_resume() {
    let (project, _, run) = halted();
    let saved = Saved::of(&project);
    let step =
        |number: usize, file: &str| project.home(&format!(".opsbook/bundle/steps/{number}/{file}"));
    type Change<'a> = &'a dyn Fn();
    let edit = |path: PathBuf, old: &str, new: &str| {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(old), "{text}");
        fs::write(path, text.replacen(old, new, 1)).unwrap();
    };
    let changes: [(&str, Change<'_>); 6] = [
        (
            "step 1 `p/one`: the journal says OK with 0, but the node says that it ended with 7",
            &|| {
                edit(step(1, "status"), "0 exited", "7 exited");
            },
        ),
        (
            "step 1 `p/one`: the journal says OK with 0, the node says timed-out with 0",
            &|| {
                edit(step(1, "status"), "exited", "timed-out");
            },
        ),
        (
            "step 2 `p/two`: the journal says FAILED with 1, but the node says that it ended with 0",
            &|| {
                edit(step(2, "status"), "1 exited", "0 exited");
            },
        ),
        (
            "step 1 `p/one`: the journal says OK with 0, but the node has no result of it",
            &|| {
                edit(step(1, "status"), " .", "");
            },
        ),
        (
            "step 1 `p/one`: the journal says OK, but the node has no record of it",
            &|| {
                fs::remove_file(step(1, "status")).unwrap();
            },
        ),
        (
            "step 3 `p/three`: the node says that it ended with 0, but the journal does not",
            &|| {
                fs::copy(step(1, "status"), step(3, "status")).unwrap();
            },
        ),
    ];
    for (says, change) in changes {
        saved.put_back();
        change();
        let said = project.opsbook(&["resume", &run]).ends(3);
        said.has(says);
        assert_eq!(project.text("ran"), HALTED, "{says}");
    }
    saved.put_back();
    project.opsbook(&["resume", &run]).ends(0);
    assert_eq!(project.text("ran"), DONE);
}

#[test]
fn f40_a_journal_that_is_lost_is_made_anew_from_the_node() {
    let (project, path, run) = halted();
    fs::remove_file(&path).unwrap();
    let said = project.opsbook(&["resume", &run]).ends(2);
    said.has("`opsbook resume RUN --catch-up` rebuilds it from the nodes");
    let said = project.opsbook(&["resume", &run, "--catch-up"]).ends(5);
    said.has(&format!(
        "run {run} has no journal here. Its nodes say: `p` on here"
    ))
    .has("There is nobody to ask (`--yes` confirms)");
    let said = project
        .opsbook(&["resume", &run, "--catch-up"])
        .input("n\n")
        .ends(5);
    said.has("no journal was made");
    assert!(!path.exists());
    // The end of the second step is found, too: it had failed.
    let said = project
        .opsbook(&["resume", &run, "--catch-up", "--yes"])
        .ends(1);
    said.has("that this journal lacks: 1, 2");
    assert_eq!(project.text("ran"), HALTED);
    project.opsbook(&["resume", &run]).ends(0);
    assert_eq!(project.text("ran"), DONE);
    project.opsbook(&["log", &run]).ends(0);
}

#[test]
fn f40_a_lost_journal_of_a_run_that_ended_is_read_from_the_history() {
    let (project, path, run) = halted();
    project.opsbook(&["resume", &run]).ends(0);
    fs::remove_file(&path).unwrap();
    project
        .opsbook(&["resume", &run, "--catch-up", "--yes"])
        .ends(0);
    assert_eq!(project.text("ran"), DONE);
    project
        .opsbook(&["resume", &run])
        .ends(0)
        .has("is complete");
}

#[test]
fn f40_a_lost_journal_is_not_made_where_the_nodes_do_not_prove_it() {
    let (project, path, run) = halted();
    fs::remove_file(&path).unwrap();
    let saved = Saved::of(&project);
    let owner = project.home(".opsbook/bundle/owner");
    let text = fs::read_to_string(&owner).unwrap();
    let nowhere = "20200101-000000-0000";
    for (old, new, status, says) in [
        (run.as_str(), nowhere, 3, "no node has a record of it"),
        (
            "\"request\"",
            "\"other\"",
            3,
            "lacks the request of the run",
        ),
        ("[\"here\"]", "[\"there\"]", 3, "does not list"),
        (
            "\"controller\":\"",
            "\"pinned\":[\"it was requested\"],\"controller\":\"other-",
            3,
            "only its own controller can continue it (it was requested): other-",
        ),
        (
            "[\"here\"]",
            "[\"here\",\"there\"]",
            2,
            "a node that is unknown here: `there`",
        ),
        ("\"procedure\":\"p\"", "\"procedure\":\"q\"", 2, "q"),
    ] {
        saved.put_back();
        assert!(text.contains(old), "{text}");
        fs::write(&owner, text.replace(old, new)).unwrap();
        let said = project
            .opsbook(&["resume", &run, "--catch-up", "--yes"])
            .ends(status);
        said.has(says);
        assert!(!path.exists(), "{says}");
        assert_eq!(project.text("ran"), HALTED, "{says}");
    }
}

#[test]
fn f40_a_node_that_has_no_record_of_a_lost_run_needs_a_persons_word() {
    let project = Project::new(PAGE);
    project
        .nodes("  a: {transport: local, bundle_dir: a}\n  b: {transport: local, bundle_dir: b}\n");
    project
        .opsbook(&["run", "p", "a", "b", "--batch", "1", "--yes"])
        .ends(1);
    fs::write(project.home("go"), "").unwrap();
    let path = project.record().path;
    let run = path.file_stem().unwrap().to_str().unwrap().to_owned();
    fs::remove_file(&path).unwrap();
    let catch_up = ["resume", &run, "--catch-up", "--yes"];
    let said = project.opsbook(&catch_up).ends(5);
    said.has("Its nodes say: `p` on a, b")
        .has("no record on b")
        .has("a person must confirm it");
    assert!(!path.exists());
    let said = project.opsbook(&catch_up).input("y\n").said();
    said.has("the bundle of the run on the node");
    assert_eq!(
        project.text("ran").matches("one").count(),
        1 + usize::from(said.status == 0)
    );
    if said.status != 0 {
        project.opsbook(&["resume", &run]).ends(0);
    }
    assert_eq!(project.text("ran").matches("one").count(), 2);
    // The manner is the one of the run.
    let resumed = project.opsbook(&["log", &run]).ends(0);
    resumed.has("batch 1 of 2");
}
