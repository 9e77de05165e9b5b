//! What can be known before is said before: the dry run is what would run. F43.

use crate::project::Project;

const THREE: &str = "# Page\n\n```yaml procedure\nid: p\nparams:\n  site: {default: '1.2'}\n```\n\n\
    ```sh step id=one\necho \"$site on $node\"\n```\n\n\
    ```text manual id=two\nTell them that ${node} has ${port}.\n```\n\n\
    ```sh step id=three\ntest \"$port\" && test \"$pass\"\n```\n";

#[test]
fn f43_a_dry_run_is_the_part_that_would_run() {
    let project = Project::new(THREE);
    project.nodes("  here: {transport: local, port: 1, pass: {secret: {env: PASS}}}\n");
    let run = ["run", "p", "here", "--dry-run"];
    let part = [&run[..], &["--start-at", "two", "--stop-after", "2"]].concat();
    let expected = "p  Page  manual/page.md:4\n\n== here  3 steps  plan [..]\nleft out, as asked: 1 one, 3 three\n\n\
        # 2 two: Page\n# on here  manual/page.md:13\n# by a person: Tell them that here has 1.\n";
    project.opsbook(&part).out(expected).check();
    for (more, says) in [
        (&["--start-at", "nine"][..], "error: `p` has no step `nine`"),
        (&["--stop-after", "thee"], "error: `p` has no step `thee`"),
        (
            &["--start-at", "3", "--stop-after", "1"],
            "error: `--stop-after` names a step before the one of `--start-at`",
        ),
    ] {
        let dry = [&run[..], more].concat();
        let dry = project.opsbook(&dry).ends(2);
        let real = [&run[..3], more].concat();
        let real = project.opsbook(&real).ends(2);
        assert_eq!(dry.err, real.err);
        assert_eq!(dry.out, "");
        dry.has(says);
    }
    assert_eq!(project.runs(), 0);
}

#[test]
fn f43_a_dry_run_on_many_nodes_is_one_plan_and_a_table_of_values() {
    let project = Project::new(THREE);
    project.nodes(
        "  a: {transport: local, port: 1, pass: {secret: {env: PASS}}}\n  \
           b: {transport: local, port: 22, pass: {secret: {file: pass}}}\n  \
           c: {transport: local, port: \"x\\ny\", pass: {secret: {env: PASS}}}\n",
    );
    let expected = "p  Page  manual/page.md:4\n\n== a, b, c  3 steps  plan [..]\n\
        values by node:\n  \
          node  pass                               port\n  \
          a     secret: environment variable PASS  1\n  \
          b     secret: file pass                  22\n  \
          c     secret: environment variable PASS  (below)\n  \
          c: port='x\ny'\n\n\
        # 1 one: Page\n# on each node, at most 10m  manual/page.md:9\n# node: the node's name\nsite=1.2\necho \"$site on $node\"\n\n\
        # 2 two: Page\n# on each node  manual/page.md:13\n# by a person: Tell them that ${node} has ${port}.\n\n\
        # 3 three: Page\n# on each node, at most 10m  manual/page.md:17\n# pass: as the table says\n# port: as the table says\ntest \"$port\" && test \"$pass\"\n";
    let run = ["run", "p", "a", "b", "c", "--dry-run"];
    project.write("pass", "x\n");
    let call = project.opsbook(&run).env("PASS", "x");
    call.out(expected).check();
    // A plan that is another one stands by itself.
    let deliver = "\n```yaml deliver\n- {file: book.toml, as: \"of-${node}\"}\n```\n";
    project.page(&format!("{THREE}{deliver}"));
    let said = project
        .opsbook(&["run", "p", "a", "b", "--dry-run"])
        .ends(0);
    said.has("== a  4 steps")
        .has("== b  4 steps")
        .has("# by a person: Tell them that b has 22.");
}

#[test]
fn f43_what_yes_confirms_is_said_in_words() {
    let page = "# Page\n\n```yaml procedure\nid: p\ntimeout: 3s\n```\n\n\
        ```text manual id=one\nCall ${node}.\n```\n\n```sh step id=two confirm\ntrue\n```\n";
    let project = Project::new(page);
    project.nodes("  here: {transport: local, confirm: run}\n");
    let said = project.opsbook(&["run", "p", "here", "--yes"]).ends(0);
    let log = project
        .opsbook(&["log", &project.record().events[0].run])
        .ends(0);
    for text in [&said.out, &log.out] {
        assert_eq!(text.matches("confirmed by --yes\n").count(), 3, "{text}");
        let steps = "\n1 one  Page\n  by a person: Call here.\n  confirmed by --yes\n  OK ";
        assert!(text.contains(steps), "{text}");
        let steps = "2 two  Page (at most 3s)\n  confirmed by --yes\n";
        assert!(text.contains(steps), "{text}");
    }
}

/// A step that leaves a mark, and one that needs something.
fn then(second: &str) -> String {
    format!(
        "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step id=one\necho \"$node\" >> \"$HOME/ran\"\n```\n\n{second}"
    )
}

#[test]
fn f43_a_secret_that_is_not_there_is_said_before_the_first_step() {
    let uses = "```sh step id=two\ntest \"$pass\"\n```\n";
    let in_check = "```sh step id=two\ntrue\n```\n\n```sh check\ntest \"$pass\"\n```\n";
    let in_file = "```text file as=x\n{{ pass }}\n```\n";
    let unset = "environment variable `PASS` is not set";
    for (secret, why, second) in [
        ("{env: PASS}", unset, uses),
        ("{env: PASS}", unset, in_check),
        ("{env: PASS}", unset, in_file),
        ("{file: nowhere}", "cannot read `", uses),
        (
            "{command: [\"false\"]}",
            "`false` failed: exit status: 1",
            uses,
        ),
        (
            "{command: [no-such-tool]}",
            "cannot start `no-such-tool`",
            uses,
        ),
        ("{command: [\"true\"]}", "it is empty", uses),
        (
            "{prompt: the pin}",
            "there is nobody to ask for the secret `the pin`",
            uses,
        ),
    ] {
        let project = Project::new(&then(second));
        project.nodes(&format!(
            "  good: {{transport: local, pass: x}}\n  \
               here: {{transport: local, bundle_dir: here, pass: {{secret: {secret}}}}}\n"
        ));
        let run = ["run", "p", "good", "here", "--yes", "--batch", "1"];
        let said = project.opsbook(&run).ends(3);
        said.has(&format!("cannot read the secret `pass`: {why}"))
            .has("nodes.yaml:4:")
            .has("for node `here`");
        assert_eq!(project.text("ran"), "", "{secret}");
        assert_eq!(project.runs(), 0);
    }
    // What is not run needs none.
    let project = Project::new(&then(uses));
    project.nodes("  here: {transport: local, pass: {secret: {env: PASS}}}\n");
    let part = ["run", "p", "here", "--stop-after", "one"];
    project.opsbook(&part).ends(5);
    let dry = project.opsbook(&["run", "p", "here", "--dry-run"]).ends(0);
    assert!(dry.err.contains(unset), "{}", dry.err);
    // Of a run that goes on it is said before its next step.
    let said = project.opsbook(&["resume"]).ends(3);
    said.has(unset);
    project.opsbook(&["resume"]).env("PASS", "x").ends(0);
    assert_eq!(project.text("ran"), "here\n");
}

#[test]
fn f43_what_is_to_be_delivered_is_looked_at_before_the_first_step() {
    for (deliver, why) in [
        ("- {file: nowhere}", "cannot deliver `nowhere`: "),
        ("- {tree: book.toml, as: x}", "cannot deliver `book.toml`: "),
        ("- {template: nowhere}", "unknown template `nowhere`"),
        ("- {template: wrong}", "`nope` is not defined"),
    ] {
        let project = Project::new(&then(&format!("```yaml deliver\n{deliver}\n```\n")));
        project.write("templates/wrong", "{{ nope }}\n");
        for more in [&[][..], &["--dry-run"]] {
            let run = [&["run", "p", "here"], more].concat();
            let said = project.opsbook(&run).ends(3);
            said.has(why);
        }
        assert_eq!(project.text("ran"), "");
        assert_eq!(project.runs(), 0);
    }
}

const CAPTURES: &str = "# Page\n\n```yaml procedure\nid: p\n```\n\n\
    ```sh step id=find capture=serial\necho 7\n```\n\n\
    ```sh step id=use\necho \"$serial\" >> \"$HOME/ran\"\ntest -e \"$HOME/go\"\n```\n\n";

#[test]
fn f43_a_captured_value_that_is_left_out_is_said_before_the_first_step() {
    let script = "```sh step id=last\necho \"last $serial\" >> \"$HOME/ran\"\n```\n";
    let check = "```sh step id=last\ntrue\n```\n\n```sh check\ntest \"$serial\"\n```\n";
    let expect = "```sh step id=last\necho 7\n```\n```text expect\n${serial}\n```\n";
    let person = "```text manual id=last\nWrite ${serial}.\n```\n";
    let file = "```text file id=last as=x\n{{ serial }}\n```\n";
    for last in [script, check, expect, person, file] {
        let project = Project::new(&format!("{CAPTURES}{last}"));
        let run = ["run", "p", "here", "--yes", "--start-at", "last"];
        for more in [&[][..], &["--dry-run"]] {
            let said = project.opsbook(&[&run, more].concat()).ends(2);
            said.has(
                "step `last` needs `serial`, which step `find` captures, but that step is skipped",
            )
            .has("hint: give it with `--set serial=…`, or start at `find`");
        }
        assert_eq!(project.runs(), 0);
        let given = [&run[..], &["--set", "serial=7"]].concat();
        project.opsbook(&given).ends(0);
        let dry = project
            .opsbook(&[&given[..], &["--dry-run"]].concat())
            .ends(0);
        assert!(!dry.out.contains("is known when"), "{}", dry.out);
    }
    let project = Project::new(CAPTURES);
    let given = ["run", "p", "here", "--set", "serial=8"];
    let said = project.opsbook(&given).ends(2);
    said.has("`--set serial=…`: step `find` captures it, and will run");
    // A run that goes on has it still.
    project
        .opsbook(&[&given[..], &["--start-at", "use"]].concat())
        .ends(1);
    std::fs::write(project.home("go"), "").unwrap();
    project.opsbook(&["resume"]).ends(0);
    assert_eq!(project.text("ran"), "8\n8\n");
}

#[test]
fn f43_a_run_that_goes_on_is_given_what_a_step_that_was_passed_over_captures() {
    let project = Project::new(&CAPTURES.replace("echo 7\n", "false\n"));
    project.opsbook(&["run", "p", "here"]).ends(1);
    std::fs::write(project.home("go"), "").unwrap();
    let resume = ["resume", "--start-at", "use"];
    let said = project.opsbook(&resume).ends(2);
    said.has("step `use` needs `serial`, which step `find` captures");
    let wrong = [&resume[..], &["--set", "site=7"]].concat();
    let said = project.opsbook(&wrong).ends(2);
    said.has("`--set site=…`: no step of `p` captures it");
    project
        .opsbook(&[&resume[..], &["--set", "serial=9"]].concat())
        .ends(0);
    assert_eq!(project.text("ran"), "9\n");
}

#[test]
fn f43_a_variable_that_is_left_out_is_said_before_the_first_step() {
    let page = |more: &str, fence: &str| {
        format!(
            "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step id=one\nplace=/x\n```\n\n\
             ```sh step id=two{fence}\necho ran >> \"$HOME/ran\"\n{more}\n```\n"
        )
    };
    let run = ["run", "p", "here", "--start-at", "two"];
    let project = Project::new(&page("test \"$place\"", ""));
    let said = project.opsbook(&run).ends(2);
    said.has("step `two` uses `place`, which step `one` sets, but that step is skipped");
    assert_eq!(project.text("ran"), "");
    project.opsbook(&["run", "p", "here"]).ends(0);
    for (more, fence) in [
        ("test \"${place:-x}\"", ""),
        ("place=y; test \"$place\"", ""),
        ("echo \"${place-}\"", " defined=place"),
    ] {
        let project = Project::new(&page(more, fence));
        project.opsbook(&run).ends(0);
    }
}

#[test]
fn f43_that_nobody_can_be_asked_is_said_before_the_first_step() {
    for second in [
        "```sh step id=two confirm\necho two >> \"$HOME/ran\"\n```\n",
        "```text manual id=two\nCall them.\n```\n",
    ] {
        let project = Project::new(&then(second));
        let said = project.opsbook(&["run", "p", "here"]).ends(5);
        said.has("note: step `two` asks for a confirmation, and there is nobody to ask: the run stops there (`--yes` confirms)\n");
        assert_eq!(project.text("ran"), "here\n");
        // Where it comes first, the run says so itself; who can answer needs no note.
        let said = project.opsbook(&["resume"]).ends(5);
        said.has("nobody to ask").lacks("note:");
        let said = project.opsbook(&["resume"]).input("y\n").ends(0);
        said.lacks("note:");
    }
}

#[test]
fn f43_a_node_that_was_held_as_asked_is_held_while_others_come_after() {
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n\
        ```sh step id=one\ntest \"$node\" = a || test -e \"$HOME/go\"\n```\n\n```sh step id=two\necho \"$node\" >> \"$HOME/ran\"\n```\n";
    let project = Project::new(page);
    project
        .nodes("  a: {transport: local, bundle_dir: a}\n  b: {transport: local, bundle_dir: b}\n");
    let run = ["run", "p", "a", "b", "--yes", "--stop-after", "one"];
    project.opsbook(&run).ends(1);
    std::fs::write(project.home("go"), "").unwrap();
    project.opsbook(&["resume"]).ends(5);
    assert_eq!(project.text("ran"), "");
    project.opsbook(&["resume", "--parallel", "1"]).ends(0);
    assert_eq!(project.text("ran"), "a\nb\n");
}
