//! What a newcomer gets wrong in the first hour, and what opsbook answers: the place, and one hint
//! that leads on.

use crate::project::Project;

const PAGE: &str = "\
# Page

## Greet

```yaml procedure
id: hello.greet
```

```sh step id=say
echo hello
```

## What must hold

```yaml checks
id: hello
```

```sh check id=hello.home
test -d /
```
";

#[test]
fn another_name_than_the_one_that_is_wanted() {
    let project = Project::new(PAGE);
    for (args, error, hint) in [
        (
            &["run", "hello", "here"][..],
            "no procedure `hello` in this manual",
            "`hello` is a group of checks: `opsbook test hello::`",
        ),
        (
            &["run", "manual/page.md", "here"],
            "no procedure `manual/page.md` in this manual",
            "a run needs the name of a procedure; that page has `hello.greet`",
        ),
        (
            &["test", "hello.home"],
            "no test is selected, so nothing passed",
            "the test of `hello.home` is called `hello::home`",
        ),
        (
            &["show", "xyz"],
            "there is no node, procedure or group of checks `xyz`",
            "`opsbook list` shows all names",
        ),
        (
            &["show", "here", "xyz"],
            "node `here` has no value `xyz`",
            "`opsbook show here` shows all values",
        ),
        (
            &["-C", "nodes.yaml", "list"],
            "`nodes.yaml` is a file, not a folder",
            "`-C` takes the folder of a manual: the one with `book.toml`",
        ),
        (
            &["-C", "nosuch", "list"],
            "there is no folder `nosuch`",
            "`-C` takes the folder of a manual: the one with `book.toml`",
        ),
        (
            &["init", "nodes.yaml"],
            "`nodes.yaml` is a file, not a folder",
            "name a folder that is new or empty, such as `opsbook init ops`",
        ),
        (
            &["ping", "web*"],
            "selector `web*` selects no node",
            "`opsbook nodes` shows all nodes with their groups",
        ),
        (
            &["run", "hello.greet", "here", "--set", "who=Ana"],
            "`--set who=…`: `hello.greet` has no such parameter or captured value, and node `here` \
             no such value",
            "`opsbook show hello.greet` shows what it takes",
        ),
        (
            &["umount", "here"],
            "`here` is not reached by ssh",
            "its bundle is `[..]/.opsbook/bundle`; nothing is mounted",
        ),
    ] {
        let expected = format!("error: {error}\n\nhint: {hint}\n");
        project.opsbook(args).status(2).err(&expected).check();
    }
}

/// The message names the option and the cause.
#[test]
fn a_file_that_is_not_there() {
    let project = Project::new(PAGE);
    for (args, error) in [
        (
            &["--nodes-file", "nosuch", "list"][..],
            "`--nodes-file`: `nosuch`: there is no such file",
        ),
        (
            &["--ssh-config", "nosuch", "ping"],
            "`--ssh-config`: `nosuch`: there is no such file",
        ),
        (
            &["--nodes-file", ".", "list"],
            "`--nodes-file`: `.`: it is not a regular file",
        ),
    ] {
        let expected = format!("error: {error}\n");
        project.opsbook(args).status(2).err(&expected).check();
    }
    let password = [
        "run",
        "hello.greet",
        "here",
        "--sudo-password-file",
        "nosuch",
    ];
    project
        .opsbook(&password)
        .ends(2)
        .has("error: `--sudo-password-file`: `nosuch`: No such file");
}

/// Whoever asks for JSON gets no text for people.
#[test]
fn a_dry_run_has_one_form() {
    let asked = [
        "run",
        "hello.greet",
        "here",
        "--dry-run",
        "--format",
        "json",
    ];
    Project::new(PAGE)
        .opsbook(&asked)
        .ends(2)
        .has("'--dry-run' cannot be used with '--format <FORMAT>'");
}

/// A run that ended well is over: its sheet names no command.
#[test]
fn the_sheet_of_a_run_that_is_done() {
    let project = Project::new(PAGE);
    project.opsbook(&["run", "hello.greet", "here"]).ends(0);
    project
        .opsbook(&["handoff", "here"])
        .ends(0)
        .has("# nothing is left to do\n# ---\n")
        .lacks("opsbook resume");
}

#[test]
fn a_block_that_is_not_as_it_should_be() {
    for (from, to, error, hint) in [
        (
            "echo hello\n```\n",
            "echo hello\n\n```sh check id=said\ntrue\n```\n",
            "manual/page.md:12:1: error: a fence within this block: the block was not closed before it",
            "close it with a line of backticks only: ```",
        ),
        (
            "id: hello.greet\n",
            "",
            "manual/page.md:5:9: error: a procedure cannot be empty",
            "write keys and values, as in `id: NAME`",
        ),
        (
            "id: hello\n",
            "id: hello\nservice:\n  - nginx\n",
            "manual/page.md:17:1: error: `service` has a list, not resources with their attributes",
            "write each as a key: `service: {NAME: {…}}`",
        ),
        (
            "id: hello.greet\n",
            "id: hello.greet\nneeds: hello, other\n",
            "manual/page.md:7:8: error: unknown group of checks `hello, other`",
            "several groups are a list: `[hello, other]`",
        ),
        (
            "test -d /\n```\n",
            "test -d /\n```\n\n```sh step\ntrue\n```\n",
            "error: a `step` in the group of checks `hello`",
            "a step needs a `yaml procedure` block below the heading of its section",
        ),
        (
            "id: hello.greet\n",
            "id: hello.greet\nparams: [version]\n",
            "manual/page.md:7:9: error: parameters cannot be a list",
            "write `params: {NAME: {required: true}}`",
        ),
        (
            "id: hello.greet\n",
            "id: hello.greet\nparams: {v: {required: yes}}\n",
            "manual/page.md:7:24: error: `required` cannot be text",
            "write `true` or `false`",
        ),
        (
            "id: hello\n",
            "id: hello\nstate: perhaps\n",
            "manual/page.md:17:8: error: `state` cannot be text",
            "write `state: true`, or remove it",
        ),
        (
            "echo hello\n```\n",
            "echo hello\n```\n\n```yaml deliver\n- site.conf\n```\n",
            "error: a delivery cannot be text",
            "write `{file: NAME}`",
        ),
        (
            "## Greet\n",
            "[a](b.md)\n\n<!-- opsbook: silence broken-link -->\nGood.\n\n## Greet\n",
            "manual/page.md:5:23: warning: there is no problem `broken-link` here to silence",
            "remove it, or put it before the block that has the problem",
        ),
    ] {
        let page = PAGE.replacen(from, to, 1);
        let said = Project::new(&page).opsbook(&["lint"]).ends(2);
        said.has(error).has(&format!("\nhint: {hint}\n"));
    }
}

#[test]
fn what_a_shell_reads_in_another_way_is_warned_of() {
    let nodes = "opsbook: 1\nnodes:\n  here: {transport: local, app_port: 80}\n";
    let warned = |command: &str| {
        let project = Project::new(&PAGE.replace("echo hello", command));
        project.write("nodes.yaml", nodes);
        project.opsbook(&["lint"]).said()
    };
    warned("curl localhost:{{ app_port }}/x")
        .has("manual/page.md:10:16: warning: a script does not replace `{{ app_port }}`")
        .has("\nhint: write `$app_port`; only templates of files have braces\n");
    warned("cat <<E\nThe `date is\nE")
        .has("manual/page.md:11:5: warning: this backquote is not closed in its here-document")
        .has("\nhint: write \\` for a literal one, or quote the word behind `<<`\n");
    for command in [
        "docker inspect --format '{{.State}} {{ other }}' x",
        "echo '${{ app_port }}' {{ app_port",
    ] {
        warned(command).lacks("does not replace");
    }
}

#[test]
fn nodes_that_are_not_a_map() {
    let project = Project::new(PAGE);
    for (nodes, error, hint) in [
        (
            "  - here\n",
            "nodes.yaml:3:3: error: expected a map, found a list",
            "write each name as a key, such as `web1: {}`",
        ),
        (
            "  web1: web1.example.net\n",
            "nodes.yaml:3:9: error: expected a map, found text `web1.example.net`",
            "write its values as a map, such as `{address: web1.example.net}`",
        ),
        (
            "  web1: {approve: many}\n",
            "nodes.yaml:3:19: error: `approve` is not a number",
            "write how many people must approve a run, such as `1`",
        ),
        (
            "  web1:\n    transport:local\n",
            "nodes.yaml:4:5: error: expected a map, found text `transport:local`",
            "write a space after the colon: `transport: …`",
        ),
    ] {
        project.write("nodes.yaml", &format!("opsbook: 1\nnodes:\n{nodes}"));
        let said = project.opsbook(&["lint"]).ends(2);
        said.has(error).has(&format!("\nhint: {hint}\n"));
    }
    project.write(
        "nodes.yaml",
        "opsbook: 1\nnodes:\n  web1: {}\ngroups:\n  web: [web1]\n",
    );
    project
        .opsbook(&["lint"])
        .ends(2)
        .has("nodes.yaml:5:8: error: expected a map, found a list")
        .has("\nhint: a group has values; list it in the `groups` of each of its nodes\n");
}

#[test]
fn a_file_where_a_folder_has_to_be() {
    let project = Project::new(PAGE);
    project.write("book", "");
    project
        .opsbook(&["build"])
        .ends(2)
        .has("/book`: it is a file, not a folder\n");
    project.write(".opsbook", "");
    project
        .opsbook(&["run", "hello.greet", "here"])
        .ends(3)
        .has("; a file has the name of one of these folders: move it away\n");
}

/// A note about a question names only a step that will ask one.
#[test]
fn a_step_done_by_hand_asks_nobody() {
    let project = Project::new(
        "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step id=one\ntest -e \"$HOME/go\"\n```\n\n\
         ```text manual id=look\nLook.\n```\n\n```sh step id=end\ntrue\n```\n",
    );
    let note = "note: step `look` asks for a confirmation";
    project.opsbook(&["run", "p", "here"]).ends(1).has(note);
    let done = ["resume", "--done", "one", "--done", "look"];
    project.opsbook(&done).ends(0).lacks(note);
}
