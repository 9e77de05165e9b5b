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
    project.opsbook(&run).out(expected).check();
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
        let steps = "\n1 one  Page\n  by a person: Call here.\n  confirmed by --yes\n  OK 0.00 s\n\n\
            2 two  Page (at most 3s)\n  confirmed by --yes\n";
        assert!(text.contains(steps), "{text}");
    }
}
