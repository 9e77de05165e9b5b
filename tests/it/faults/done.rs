//! Work by hand on one of several nodes, told with `resume --done`.

use indoc::indoc;

use crate::project::Project;

const PAGE: &str = indoc! {"
    # Page

    ```yaml procedure
    id: p
    ```

    ```sh step id=one
    echo \"one $node\" >>\"$HOME/ran\"
    ```

    ```sh step id=two
    echo \"two $node\" >>\"$HOME/ran\"
    test -e \"$HOME/go\"
    ```
"};

const NODES: &str =
    "  a: {transport: local, bundle_dir: a}\n  b: {transport: local, bundle_dir: b}\n";

/// Halted on `a`; `b` is in the next batch.
fn halted() -> Project {
    let project = Project::new(PAGE);
    project.nodes(NODES);
    let run = ["run", "p", "a", "b", "--yes", "--batch", "1"];
    project.opsbook(&run).ends(1);
    assert_eq!(project.text("ran"), "one a\ntwo a\n");
    project
}

#[test]
fn f47_what_was_done_where_the_run_did_not_come_to_is_not_lost_in_silence() {
    let project = halted();
    let said = project.opsbook(&["resume", "--done", "b:one"]).ends(1);
    said.has("warning: not recorded as done, because the run did not get that far: b:one")
        .has("`--done b:one`");
    std::fs::write(project.home("go"), "").unwrap();
    let words = ["resume", "--done", "a:two", "--done", "b:one"];
    project.opsbook(&words).ends(0).lacks("not recorded");
    assert_eq!(project.text("ran"), "one a\ntwo a\ntwo a\ntwo b\n");
}

#[test]
fn f47_each_hint_about_a_step_names_its_node() {
    let project = halted();
    for (done, said, hint) in [
        ("b:two", "before step `one`", "add `--done b:one`"),
        ("nod:two", "the run has no node `nod`", ""),
        ("a:twoo", "`p` has no step `twoo`", "did you mean `two`?"),
    ] {
        let refused = project.opsbook(&["resume", "--done", done]).ends(2);
        refused.has(said).has(hint);
    }
    assert_eq!(project.text("ran"), "one a\ntwo a\n");
}

const SECTION: &str = indoc! {"
    # Page

    ```yaml procedure
    id: p
    roles:
      lb: {nodes: \"@all\"}
      web: {nodes: \"@all\", count: 1+}
    ```

    ## Each

    ```yaml each
    web: {}
    ```

    ```sh step id=drain on=lb
    echo \"drain $web\" >>\"$HOME/ran\"
    test -e \"$HOME/go\"
    ```

    ```sh step id=install on=web
    echo \"install $node\" >>\"$HOME/ran\"
    ```
"};

#[test]
fn f47_in_turns_each_step_that_was_done_is_recorded_or_told() {
    let project = Project::new(SECTION);
    let nodes = ["lb", "w1", "w2"]
        .map(|name| format!("  {name}: {{groups: [all], transport: local, bundle_dir: {name}}}\n"));
    project.nodes(&format!("{}groups:\n  all: {{}}\n", nodes.concat()));
    let run = ["run", "p", "lb=lb", "web=w1,w2", "--yes"];
    project.opsbook(&run).ends(1);
    let done = |step| project.opsbook(&["resume", "--done", step]);
    done("w1:drain").ends(2).has("`--done w1/lb:drain`");
    let early = done("w1:install").ends(2);
    early.has("before step `w1/lb:drain`");
    let lost = done("w2/lb:drain").ends(1);
    lost.has("the run did not get that far: w2/lb:drain");
    let words = [
        "resume",
        "--done",
        "w1/lb:drain",
        "--done",
        "w1:install",
        "--done",
        "w2/lb:drain",
    ];
    project.opsbook(&words).ends(0).has("BY HAND");
    assert_eq!(project.text("ran"), "drain w1\ndrain w1\ninstall w2\n");
}
