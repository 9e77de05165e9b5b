//! `resume` keeps every promise of `run`: F36 to F41.

use std::fs;

use opsbook::engine::{Bundle, BundleError, Owner, Shell};
use opsbook::journal;

use crate::project::{Project, Said};
use crate::sshd::options;

const NEEDS: &str = "# Page

```yaml checks
id: ready
```

```sh check id=r
test -e \"$HOME/ready.$node\"
```

# Run

```yaml procedure
id: p
needs: [ready]
```

```sh step id=one
echo \"one $node\" >> \"$HOME/ran\"
test -e \"$HOME/go.$node\"
```
";

const THREE: &str = "  a: {transport: local, bundle_dir: .opsbook/a}\n  b: {transport: local, bundle_dir: .opsbook/b}\n  c: {transport: local, bundle_dir: .opsbook/c}\n";

fn touch(project: &Project, names: &[&str]) {
    for name in names {
        fs::write(project.home(name), "").unwrap();
    }
}

#[test]
fn f36_a_run_that_a_precondition_stopped_is_stopped_by_it_again() {
    let project = Project::new(NEEDS);
    project.opsbook(&["run", "p", "here"]).ends(4);
    let run = project.record().events[0].run.clone();
    for arguments in [
        &["resume", "here"][..],
        &["resume", &run],
        &["resume", &run, "--yes"],
    ] {
        let said = project.opsbook(arguments).ends(4);
        said.has("`r::r` does not hold");
        assert!(!project.home("ran").exists());
    }
    touch(&project, &["ready.here", "go.here"]);
    project.opsbook(&["resume", &run]).ends(0);
    assert_eq!(project.text("ran"), "one here\n");
}

#[test]
fn f36_nodes_that_were_not_started_are_asked_what_they_need() {
    let project = Project::new(NEEDS);
    project.nodes(THREE);
    touch(&project, &["ready.a", "ready.b"]);
    let run = ["run", "p", "a", "b", "c", "--yes", "--batch", "1"];
    project.opsbook(&run).ends(1);
    assert_eq!(project.text("ran"), "one a\n");
    fs::remove_file(project.home("ready.a")).unwrap();
    fs::remove_file(project.home("ready.b")).unwrap();
    // One that has begun is not asked again; one that has not is.
    touch(&project, &["go.a", "go.b", "go.c"]);
    let said = project.opsbook(&["resume"]).ends(5);
    said.has("b: BLOCKED  `r::r` does not hold")
        .has("c: STOPPED");
    assert_eq!(project.text("ran"), "one a\none a\n");
    touch(&project, &["ready.b", "ready.c"]);
    let run = project.record().events[0].run.clone();
    project.opsbook(&["resume", &run]).ends(0);
    assert_eq!(project.text("ran"), "one a\none a\none b\none c\n");
}

#[test]
fn f37_a_run_in_batches_is_gone_on_with_in_batches() {
    let project = Project::new(NEEDS);
    project.nodes(THREE);
    touch(&project, &["ready.a", "ready.b", "ready.c"]);
    let run = [
        "run",
        "p",
        "a",
        "b",
        "c",
        "--yes",
        "--batch",
        "1",
        "--wait",
        "10ms",
        "--reconnect",
        "7s",
    ];
    project.opsbook(&run).ends(1);
    let said = project.opsbook(&["resume"]).ends(1);
    said.has(": --batch 1 --wait 0.0s --reconnect 7s (`--new-manner` takes none over)")
        .has("b: STOPPED  not started: 1 node of earlier batches did not end OK");
    assert_eq!(project.text("ran"), "one a\none a\n");
    // And by the resume after that one, and not where it is told otherwise.
    project.opsbook(&["resume"]).ends(1).has("--batch 1 --wait");
    let said = project.opsbook(&["resume", "--batch", "2"]).ends(1);
    said.has(": --wait").lacks("--batch 1").has("c: STOPPED");
    let said = project.opsbook(&["resume", "--new-manner"]).ends(1);
    said.lacks("taken over").lacks("not started");
}

#[test]
fn f37_the_menu_and_the_last_step_of_a_run_are_those_of_its_resume() {
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step id=one\ntest -e \"$HOME/go\"\n```\n\n\
        ```sh step id=two\ntrue\n```\n\n```sh step id=three\necho 3 >> \"$HOME/ran\"\n```\n";
    let project = Project::new(page);
    let run = ["run", "p", "here", "--step", "--stop-after", "two"];
    project.opsbook(&run).input("r\n").ends(1);
    touch(&project, &["go"]);
    let said = project.opsbook(&["resume"]).input("r\nr\n").ends(5);
    said.has(": --stop-after two --step")
        .has("stopped after step two, as asked");
    let said = project.opsbook(&["resume"]).ends(5);
    // What it has passed does not hold it any more.
    said.has(": --step (").lacks("--stop-after");
    assert!(!project.home("ran").exists());
    project.opsbook(&["resume", "--new-manner"]).ends(0);
    assert_eq!(project.text("ran"), "3\n");
}

const HALTED: &str = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step id=one\necho one >> \"$HOME/ran\"\n```\n\n\
    ```sh step id=two\necho two >> \"$HOME/ran\"\ntest -e \"$HOME/go\"\n```\n\n```sh step id=three\necho three >> \"$HOME/ran\"\n```\n";

fn halted() -> Project {
    let project = Project::new(HALTED);
    project.opsbook(&["run", "p", "here"]).ends(1);
    project
}

#[test]
fn f39_every_single_digit_of_the_journal_counts() {
    let project = halted();
    let path = project.record().path;
    let run = path.file_stem().unwrap().to_str().unwrap().to_owned();
    let whole = fs::read(&path).unwrap();
    let (mut tried, mut line) = (0, 1);
    for (at, byte) in whole.iter().enumerate() {
        line += usize::from(*byte == b'\n');
        let changed = match byte {
            b'9' => b'8',
            b'0'..=b'8' => byte + 1,
            b'a'..=b'z' if at % 17 == 0 => byte ^ 1,
            _ => continue,
        };
        let mut text = whole.clone();
        text[at] = changed;
        fs::write(&path, &text).unwrap();
        let error = journal::read(&project.state(), &run)
            .unwrap_err()
            .to_string();
        assert!(error.contains(&format!("jsonl:{line}: ")), "{at}: {error}");
        tried += 1;
    }
    assert!(tried > 1000, "only {tried}");
    fs::write(&path, &whole).unwrap();
    journal::read(&project.state(), &run).unwrap();
}

#[test]
fn f39_a_changed_line_is_named_and_nothing_runs() {
    let project = halted();
    let path = project.record().path;
    let whole = fs::read_to_string(&path).unwrap();
    touch(&project, &["go"]);
    for (old, new) in [
        ("\"status\":\"FAILED\"", "\"status\":\"OK\""),
        ("\"step\":2", "\"step\":1"),
        ("\"step\":2,", ""),
        ("\"exit\":1", "\"exit\":0"),
    ] {
        assert!(whole.contains(old), "{old}");
        fs::write(&path, whole.replacen(old, new, 1)).unwrap();
        let said = project.opsbook(&["resume"]).ends(3);
        said.has("this line was changed after it was written");
    }
    // Whoever reckons the sum anew has broken the chain at the next line.
    assert_eq!(project.text("ran"), "one\ntwo\n");
    fs::write(&path, &whole).unwrap();
    project.opsbook(&["resume"]).ends(0);
    assert_eq!(project.text("ran"), "one\ntwo\ntwo\nthree\n");
}

#[test]
fn f39_a_journal_of_an_older_opsbook_is_read_and_gone_on_with() {
    let project = halted();
    let path = project.record().path;
    let whole = fs::read_to_string(&path).unwrap();
    let text = whole.replace("\"v\":2", "\"v\":1");
    let text: String = text
        .lines()
        .map(|line| {
            let mut event: serde_json::Value = serde_json::from_str(line).unwrap();
            let fields = event.as_object_mut().unwrap();
            for name in ["prev", "sum", "epoch", "manner"] {
                fields.remove(name);
            }
            format!("{event}\n")
        })
        .collect();
    fs::write(&path, &text).unwrap();
    // Nor did that one say on the node which line started a step.
    for step in [1, 2] {
        let claim = format!(".opsbook/bundle/steps/{step}/sha256");
        fs::remove_file(project.home(&claim)).unwrap();
    }
    let owner = project.home(".opsbook/bundle/owner");
    let mut says: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&owner).unwrap()).unwrap();
    says.as_object_mut().unwrap().remove("line").unwrap();
    fs::write(&owner, format!("{says}\n")).unwrap();
    let lines = text.lines().count();
    touch(&project, &["go"]);
    let said = project.opsbook(&["resume"]).ends(0);
    said.has(&format!(
        "note: an older opsbook wrote the first {lines} lines of this journal"
    ));
    assert_eq!(project.text("ran"), "one\ntwo\ntwo\nthree\n");
    // What was added is a chain, which holds what was there before, too.
    let now = fs::read_to_string(&path).unwrap();
    fs::write(&path, now.replacen("\"step\":1", "\"step\":3", 1)).unwrap();
    let run = path.file_stem().unwrap().to_str().unwrap();
    let said = project.opsbook(&["log", run]).ends(3);
    said.has(&format!(":{}: this line does not follow", lines + 1));
}

#[test]
fn f41_of_two_who_take_a_bundle_over_at_once_one_has_it() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let owner = |run: &str| Owner {
        run: run.to_owned().into(),
        operator: "test".to_owned().into(),
        controller: "test".to_owned().into(),
        procedure: "p".to_owned().into(),
        since: String::new().into(),
        revision: None,
        ..Owner::default()
    };
    runtime.block_on(async {
        let how = options();
        let (first, one, two) =
            tokio::join!(Shell::here(&how), Shell::here(&how), Shell::here(&how));
        let (first, one, two) = (first.unwrap(), one.unwrap(), two.unwrap());
        let dir = |round: usize| root.join(format!("{round}/bundle")).display().to_string();
        let open = |round: usize| {
            let (first, owner, dir) = (first.clone(), owner("r"), dir(round));
            async move { Bundle::open(&first, &dir, &owner, &format!("o{round}"), None, &[]).await }
        };
        open(0).await.unwrap();
        for round in 0..150 {
            // Who opened the one before lets go of it.
            open(round + 1).await.unwrap();
            let (dir, old) = (dir(round), format!("o{round}"));
            let (a, b) = (format!("a{round}"), format!("b{round}"));
            let (a, b) = tokio::join!(
                Bundle::reopen(&one, &dir, "r", &a, &old, None),
                Bundle::reopen(&two, &dir, "r", &b, &old, None)
            );
            let (won, lost) = match (a, b) {
                (Ok(won), Err(lost)) | (Err(lost), Ok(won)) => (won, lost),
                (Ok(_), Ok(_)) => panic!("round {round}: both"),
                (Err(a), Err(b)) => panic!("round {round}: neither: {a}; {b}"),
            };
            assert!(
                matches!(lost, BundleError::Held(_)),
                "round {round}: {lost}"
            );
            won.mine().await.unwrap();
        }
        for session in [first, one, two] {
            session.close().await;
        }
    });
}

#[test]
fn f41_of_two_controllers_with_copies_of_a_journal_one_goes_on() {
    for round in 0..8 {
        let project = halted();
        let copy = project.root().parent().unwrap().join(format!(
            "{}-copy",
            project.root().file_name().unwrap().to_str().unwrap()
        ));
        let copied = std::process::Command::new("cp")
            .arg("-R")
            .args([&project.root(), &copy])
            .status();
        assert!(copied.unwrap().success());
        touch(&project, &["go"]);
        let other = copy.to_str().unwrap().to_owned();
        let (one, two) = (
            project.opsbook(&["resume"]).start(),
            project.opsbook(&["-C", &other, "resume"]).start(),
        );
        let said: Vec<Said> = [one, two].into_iter().map(|run| run.wait()).collect();
        let mut statuses: Vec<i32> = said.iter().map(|said| said.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses[0], 0, "round {round}: {said:?}");
        assert!(
            statuses[1] == 4 || statuses[1] == 3,
            "round {round}: {said:?}"
        );
        assert_eq!(
            project.text("ran"),
            "one\ntwo\ntwo\nthree\n",
            "round {round}"
        );
        fs::remove_dir_all(copy).unwrap();
    }
}

/// Delivers a `file` block, a template, a file and a folder, and halts at the step that reads
/// them.
const DELIVERS: &str = "# P

```yaml procedure
id: p
```

```sh step
echo ichi >> \"$HOME/ran\"
```

Put this into the file:

```ini file id=f as=a.conf
x = 1
```

```yaml deliver id=more
- {template: t.conf, as: t.conf}
- {file: plain.txt, as: plain.txt}
- {tree: tree, as: tree}
```

```sh step id=done
echo ni >> \"$HOME/ran\"
```

```sh step id=use
cd \"$bundle\"
cat a.conf t.conf plain.txt tree/one > \"$HOME/seen\"
grep -q 'x = 2' a.conf
```
";

fn delivers() -> Project {
    let project = Project::new(DELIVERS);
    project.nodes("  here: {transport: local, size: 5, key: {secret: {file: key}}}\n");
    for (name, text) in [
        ("key", "hunter2hunter2\n"),
        (
            "templates/t.conf",
            "size={{ size }} key={{ key }} run={{ run_id }}\n",
        ),
        ("plain.txt", "plain\n"),
        ("tree/one", "eins\n"),
    ] {
        project.write(name, text);
    }
    project.opsbook(&["run", "p", "here"]).ends(1);
    project
}

#[test]
fn f38_a_corrected_file_block_is_not_gone_on_without() {
    let project = delivers();
    project.page(&DELIVERS.replace("x = 1", "x = 2"));
    let said = project.opsbook(&["resume"]).ends(2);
    said.has("here: `a.conf`, which step 2 (f) has delivered, has changed\n-x = 1\n+x = 2\n")
        .has("delivered files have changed since run ")
        .lacks("moved or removed");
    assert_eq!(project.text("ran"), "ichi\nni\n");
    let said = project.opsbook(&["resume", "--accept-changed"]).ends(0);
    said.has("delivered a.conf").lacks("delivered t.conf");
    // Delivered again, and nothing else was done again.
    assert_eq!(project.text("ran"), "ichi\nni\n");
    assert!(
        project
            .text("seen")
            .starts_with("x = 2\nsize=5 key=hunter2hunter2 run=")
    );
}

#[test]
fn f38_whatever_goes_into_a_delivered_file_counts() {
    type Change = fn(&Project);
    let changes: [(Change, &str, &str); 5] = [
        (
            |project| project.write("templates/t.conf", "size={{ size }};\n"),
            "`t.conf`, which step 3 (more)",
            "size=5;",
        ),
        (
            |project| {
                project.nodes("  here: {transport: local, size: 6, key: {secret: {file: key}}}\n")
            },
            "-size=5 key= run=\n+size=6 key= run=\n",
            "size=6 key=hunter2hunter2",
        ),
        (
            |project| project.write("plain.txt", "other\n"),
            "`plain.txt`, which step 3 (more)",
            "other",
        ),
        (
            |project| project.write("tree/one", "two\n"),
            "`tree`, which step 3 (more)",
            "two",
        ),
        (
            |project| project.write("tree/three", ""),
            "`tree`, which step 3 (more)",
            "eins",
        ),
    ];
    for (change, names, seen) in changes {
        let project = delivers();
        change(&project);
        let said = project.opsbook(&["resume"]).ends(2);
        said.has(names)
            .lacks("hunter2")
            .has("delivered files have changed");
        project.opsbook(&["resume", "--accept-changed"]).ends(1);
        assert!(
            project.text("seen").contains(seen),
            "{}",
            project.text("seen")
        );
        // Accepted once, it is what was delivered.
        project.opsbook(&["resume"]).ends(1).lacks("have changed");
        assert_eq!(project.text("ran"), "ichi\nni\n");
    }
    let project = delivers();
    fs::remove_file(project.path("plain.txt")).unwrap();
    let said = project.opsbook(&["resume"]).ends(2);
    said.has("`plain.txt`, which step 3 (more) has delivered, can no longer be delivered: ");
    // A delivery that is cut short is made up for, whatever comes first.
    project.opsbook(&["resume", "--accept-changed"]).ends(3);
    project.write("plain.txt", "again\n");
    project.opsbook(&["resume"]).ends(1);
    assert!(project.text("seen").contains("again"));
    assert_eq!(project.text("ran"), "ichi\nni\n");
}

#[test]
fn f38_a_text_that_has_changed_is_said_to_have_changed() {
    let project = delivers();
    project.page(&DELIVERS.replace("echo ichi", "echo one"));
    let said = project.opsbook(&["resume"]).ends(2);
    said.has("here: the text of step 1 has changed; the step is done and does not run again:")
        .has("-echo ichi >>")
        .has("+echo one >>")
        .lacks("moved or removed");
    project.opsbook(&["resume", "--accept-changed"]).ends(1);
    assert_eq!(project.text("ran"), "ichi\nni\n");
    // With an id it is known all the same.
    project.page(
        &DELIVERS
            .replace("echo ichi", "echo one")
            .replace("echo ni", "echo two"),
    );
    let said = project.opsbook(&["resume"]).ends(1);
    said.has("note: here: step 4, `p/done`, has changed since; it is done and does not run again");
    assert_eq!(project.text("ran"), "ichi\nni\n");
}

/// Who names a step looks at the node that was halted.
#[test]
fn f37_nodes_that_have_not_begun_begin_at_their_first_step_wherever_another_goes_on() {
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step\necho \"$node\" >>\"$HOME/one\"\n```\n\n\
                ```sh step id=two\n[ -e \"$HOME/mended\" ]\n```\n\n```sh step id=three\necho \"$node\" >>\"$HOME/three\"\n```\n";
    let project = Project::new(page);
    let node = |name| format!("  {name}: {{transport: local, bundle_dir: {name}}}\n");
    project.nodes(&["a", "b", "c"].map(node).concat());
    let run = ["run", "p", "a", "b", "c", "--batch", "1", "--yes"];
    project.opsbook(&run).ends(1);
    assert_eq!(project.text("one"), "a\n");
    project.write("home/mended", "");
    let said = project
        .opsbook(&["resume", "--start-at", "three", "--yes"])
        .ends(0);
    said.has("these start at the first step: b, c\n");
    assert_eq!(project.text("one"), "a\nb\nc\n");
    assert_eq!(project.text("three"), "a\nb\nc\n");
    // Where nothing has begun, the step is that of all.
    project.nodes("  a: {transport: local, bundle_dir: a}\n  b: {transport: {exec: [\"false\"]}, bundle_dir: b}\n");
    project.opsbook(&["run", "p", "b", "--yes"]).ends(3);
    project.nodes(&["a", "b"].map(node).concat());
    let said = project
        .opsbook(&["resume", "--start-at", "three", "--yes"])
        .said();
    said.lacks("start at the first step");
}
