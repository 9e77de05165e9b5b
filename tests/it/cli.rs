//! The complete output of commands: results on standard output, remarks on standard error.

use crate::project::Project;

const PAGE: &str = "# Page\n\n## Greet\n\n```yaml procedure\nid: greet\n```\n\n```sh step id=say\necho hello\n```\n\n```sh check id=said\ntrue\n```\n";

#[test]
fn a_run_that_goes_well() {
    let project = Project::new(PAGE);
    let expected = "\
greet  Greet
manual without a git commit, on here, run [..]
reached as [..] in [..] ms [..]
bundle [..]/home/.opsbook/bundle

1 say  Greet (at most 10m)
...
  OK [..] s

here: OK
";
    let said = project
        .opsbook(&["run", "greet", "here"])
        .out(expected)
        .check();
    said.has("check greet::said holds");
}

#[test]
fn an_unknown_procedure() {
    let project = Project::new(PAGE);
    let expected =
        "error: no procedure `gret` in this manual\n...\nhint: did you mean `greet`?\n...\n";
    let call = project.opsbook(&["run", "gret", "here"]);
    call.status(2).err(expected).check();
}

#[test]
fn an_unknown_node() {
    let project = Project::new(PAGE);
    let expected = "error: unknown node `her`\n...\nhint: did you mean `here`?\n...\n";
    let call = project.opsbook(&["run", "greet", "her"]);
    call.status(2).err(expected).check();
}

#[test]
fn a_block_with_an_unknown_role() {
    let project = Project::new(&PAGE.replace("sh step", "sh stepp"));
    let expected = "...\nmanual/page.md:9:7: error: unknown kind `stepp`\n...\n9 | ```sh stepp id=say\n...\nhint: did you mean `step`?\n...\n";
    let call = project.opsbook(&["run", "greet", "here"]);
    call.status(2).err(expected).check();
}

#[test]
fn no_manual_at_all() {
    let project = Project::new(PAGE);
    let empty = tempfile::tempdir().unwrap();
    let folder = empty.path().to_string_lossy().into_owned();
    let call = project.through(&["env", "-C", &folder], &["list"]);
    let said = call.ends(2);
    said.has("book.toml").has("opsbook init");
    assert_eq!(said.out, "");
}

#[test]
fn a_node_that_refuses_the_connection() {
    let project = Project::new(PAGE);
    project.nodes("  far: {address: 127.66.255.1, port: 9, user: nobody}\n");
    let expected = "greet  Greet\nmanual [..]\n...\nfar: ERROR  connection refused: [..]Connection refused\n\nto see why:   opsbook ping -v far\nto continue:  opsbook resume [..]   (nothing was touched on far)\n";
    let call = project.opsbook(&["run", "greet", "far"]);
    call.status(3).out(expected).check();
}

#[test]
fn a_jump_host_that_refuses_the_connection() {
    let project = Project::new(PAGE);
    project
        .nodes("  far: {address: 127.66.255.2, user: nobody, jump: \"nobody@127.66.255.1:9\"}\n");
    let expected = "greet  Greet\nmanual [..]\n...\nfar: ERROR  jump host: connection refused: ssh: connect to host 127.66.255.1 port 9: Connection refused\n\nto see why:   opsbook ping -v far\nto continue:  opsbook resume [..]   (nothing was touched on far)\n";
    let call = project.opsbook(&["run", "greet", "far"]);
    call.status(3).out(expected).check();
}

#[test]
fn an_answer_from_a_pipe() {
    let project = Project::new(&PAGE.replace("id=say", "id=say confirm"));
    let run = ["run", "greet", "here"];
    project.opsbook(&run).ends(5).has("nobody to ask");
    let id = project.record().events[0].run.clone();
    let release = ["lock", "release", "here", "--run", &id];
    project.opsbook(&release).said();
    project.opsbook(&run).input("y\n").ends(0);
}

const REFUSED: &str = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step\necho ran >> \"$HOME/ran\"\nfalse\n```\n";

/// Runs a command with a closed standard output or standard error, and exits with its status.
fn unread(stream: &str) -> String {
    format!(
        "{{ until test -e unread; do sleep 0.01; done; \"$@\" {stream}; echo $? >status; }} | {{ exec <&-; : >unread; }}\n\
         until test -s status; do sleep 0.01; done; exit \"$(cat status)\""
    )
}

#[test]
fn a_run_ends_as_it_ends_whoever_reads() {
    let cases = [
        unread(""),
        unread("2>&1 >/dev/null"),
        "exec \"$@\" >/dev/full".to_owned(),
        "exec \"$@\" 2>/dev/full".to_owned(),
        "exec \"$@\" >&- 2>&-".to_owned(),
    ];
    for script in cases {
        let project = Project::new(REFUSED);
        let wrapper = ["sh", "-c", &script, "sh"];
        // A halted run, so that the next one prints a note about it.
        project.opsbook(&["run", "p", "here"]).ends(1);
        std::fs::remove_dir_all(project.home(".opsbook")).unwrap();
        let said = project.through(&wrapper, &["run", "p", "here"]).said();
        assert_eq!(said.status, 1, "{script}: {said:?}");
        assert_eq!(project.text("ran"), "ran\nran\n", "{script}");
        if script.contains(">/dev/full") && !script.contains("2>") {
            said.has("cannot write the hand-off sheet")
                .has("opsbook handoff ");
        }
    }
}

/// Everything that a person needs to do it by hand: where, as whom, with which values, and what to
/// expect.
#[test]
fn a_dry_run_shows_all_that_would_run() {
    let page = r#"# Page

```yaml procedure
id: p
timeout: 1m
params: {version: {default: "1.0"}}
```

```sh step id=one capture=found exit=0,3 on=local
echo "$version"
```
```text expect
${version} [..]
```

```sh step id=two sudo confirm
echo "$found"
```

```sh check id=seen sudo=ana eventually=30s/1s
echo "$version"
```
```text expect regex
${version}|${found}
```

```sh check id=shown on=local
# what there is
$ echo "$version" here
2.[..] here
$ false
exit 1
```

```sh check id=json
echo '{"v": 1, "w": 2}'
```
```json expect
{"v": 1}
```
"#;
    let project = Project::new(page);
    let call = project.opsbook(&["run", "p", "here", "--set", "version=2.0", "--dry-run"]);
    let expected = r#"p  Page  manual/page.md:4

== here  2 steps  plan [..]

# 1 one: Page
# on this machine, at most 1m, captures found  manual/page.md:9
version=2.0
echo "$version"
# expect: 2.0 [..]
# expect: exit status 0 or 3

# 2 two: Page
# on here, at most 1m, sudo as root, asks first  manual/page.md:16
# found is known when the run is under way
echo "$found"
# then check p::seen  manual/page.md:20
# sudo as ana, again every 1s, for 30s
version=2.0
echo "$version"
# expect, as a regular expression: 2.0|${found}
# then check p::shown  manual/page.md:27
# on this machine
version=2.0
echo "$version" here
# expect: 2.[..] here
false
# expect: exit status 1
# then check p::json  manual/page.md:35
echo '{"v": 1, "w": 2}'
# expect, at least: {"v": 1}
"#;
    call.out(expected).check();
}

/// Known values are filled in, secrets are not.
#[test]
fn a_hand_off_sheet_has_the_values_of_this_run() {
    let page = r#"# Page

```yaml procedure
id: p
```

```sh step id=find capture=found
echo "it's here"
```

```sh step id=read capture=copied
printf 'a %s b' "$token"
```

```sh step id=stop
false
```

```sh step id=use
echo "$found" > "$bundle/$run_id"
echo "$copied"
```
```text expect
${found}
```

```sh step id=mine on=local
echo "$bundle"
```
"#;
    let project = Project::new(page);
    project.nodes("  here: {transport: local, token: {secret: {env: TOKEN}}}\n");
    let run = project
        .opsbook(&["run", "p", "here"])
        .env("TOKEN", "hunter2hunter2");
    let said = run.ends(1);
    let expected = r#"
# --- hand-off: p on here, run [..]
if [ "${BASH_VERSION-}" ]; then set +H; bind [..]
# for a POSIX shell: in fish, tcsh and the like, start one first: sh
# halted: FAILED: step stop: exit status: expected 0, found 1

# done:
#   1 find  OK
#   2 read  OK

# left, with the values of here; how to get there:

# sh   (or: opsbook shell here)
# for steps on local: [..]

...

at=${at-here}
[ "$at" != here ] || bundle=[..]/home/.opsbook/bundle
[ "$at" != local ] || bundle=[..]/.opsbook/by-hand/[..]/here
. "$bundle/steps/by-hand"

# FAILED
# 3 stop: Page
# on here, at most 10m  manual/page.md:15
ob_step 'step 3 stop' on=here id=3 <<'END OF 3'
false
END OF 3
# then: opsbook resume [..] --done stop

# 4 use: Page
# on here, at most 10m  manual/page.md:19
ob_values captures=copied:2 <<'END OF VALUES'
bundle=[..]/home/.opsbook/bundle
found='it'\''s here'
run_id=[..]
END OF VALUES
ob_step 'step 4 use' on=here id=4 <<'END OF 4'
echo "$found" > "$bundle/$run_id"
echo "$copied"
END OF 4
ob_prints <<'END OF OUTPUT'
it's here
END OF OUTPUT
# then: opsbook resume [..] --done use

# 5 mine: Page
# on local, at most 10m  manual/page.md:27
ob_values <<'END OF VALUES'
bundle=[..]/.opsbook/by-hand/[..]/here
END OF VALUES
ob_step 'step 5 mine' on=local id=5 <<'END OF 5'
echo "$bundle"
END OF 5
# then: opsbook resume [..] --done mine

# to continue:  opsbook resume [..]
# to give up:   opsbook lock release here --run [..]
# ---
ob_go
"#;
    project.opsbook(&["handoff"]).out(expected).check();
    said.lacks("hunter2");
}

#[test]
fn a_parameter_that_is_missing_is_one_mistake() {
    let page = PAGE.replace(
        "id: greet",
        "id: greet\nparams: {who: {required: true, help: whom}}",
    );
    let page = page.replace("echo hello", "echo \"$who\"");
    let expected = "manual/page.md:7:10: error: `greet` needs the parameter `who`\n  |\n7 | params: {who: {required: true, help: whom}}\n  |          ^^^\n\nhint: give it with `--set who=…` (whom)\n";
    let project = Project::new(&page);
    let call = project.opsbook(&["run", "greet", "here"]);
    call.status(2).err(expected).check();
    let given = ["run", "greet", "here", "--set", "who=you"];
    project.opsbook(&given).ends(0).has("| you");
}

#[test]
fn to_stop_after_a_step_as_asked_keeps_no_other_node_from_it() {
    let page = "# Page\n\n```yaml procedure\nid: two\n```\n\n```sh step id=one\necho \"$node\" >> \"$HOME/ran\"\n```\n\n```sh step\nfalse\n```\n";
    let project = Project::new(page);
    project
        .nodes("  a: {transport: local, bundle_dir: a}\n  b: {transport: local, bundle_dir: b}\n");
    let stop = [
        "run",
        "two",
        "a",
        "b",
        "--yes",
        "--batch",
        "1",
        "--stop-after",
        "one",
    ];
    let said = project.opsbook(&stop).ends(5);
    said.has("a: STOPPED  stopped after step one, as asked");
    said.has("b: STOPPED  stopped after step one, as asked");
    assert_eq!(project.text("ran"), "a\nb\n");
    // A failure then stops at the first node, as usual.
    let said = project.opsbook(&["resume", "--yes", "--batch", "1"]).said();
    assert_ne!(said.status, 0);
    said.has("a: FAILED").has("b: STOPPED  not started");
}

#[test]
fn show_has_the_card_of_a_procedure_and_of_a_group() {
    let project = Project::new(
        "# Page\n\n## Deploy\n\n```yaml procedure\nid: app.deploy\nnodes: '*'\nneeds: [ready]\nparams:\n  version: {required: true, pattern: '[0-9.]+', help: what to release}\n  color: {default: blue}\n```\n\n\
         ```sh step id=unpack sudo timeout=5m\necho $version $color\n```\n\n```sh check id=there\ntrue\n```\n\n\
         ```text manual\nLook at it.\n```\n\n## Ready\n\n```yaml checks\nid: ready\nfile:\n  /etc: {exists: true}\n```\n",
    );
    let card = "\
app.deploy  Deploy

may run on       *
must hold first  ready
parameters       version  required, as `[0-9.]+`  what to release
                 color    `blue` by default
time limit       10m for each step
steps             1 unpack  Deploy  (as root, at most 5m)
                      then check app.deploy::there
                  2         Deploy  (by hand)
run it           opsbook run app.deploy NODE --set version=VERSION
written at       manual/page.md:6
";
    let call = project.opsbook(&["show", "app.deploy"]);
    call.out(card).check();
    let group = "\
ready  Ready

must hold on     every node
checks           file//etc
test it          opsbook test ready::
written at       manual/page.md:29
";
    let call = project.opsbook(&["show", "ready"]);
    call.out(group).check();
    let call = project.opsbook(&["show", "app.deploy", "--json"]);
    let json = call.out("...\n").check();
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["params"][0]["name"], "version");
    assert_eq!(json["steps"][0]["timeout_s"], 300.0);
    let call = project.opsbook(&["show", "app.deplyo"]);
    call.status(2)
        .err("error: there is no node, procedure or group of checks `app.deplyo`\n\nhint: did you mean `app.deploy`?\n")
        .check();
}

#[test]
fn a_command_line_that_names_no_node_says_how_it_is_written() {
    let project = Project::new(PAGE);
    let call = project.opsbook(&["run", "greet"]);
    call.status(2)
        .err("error: `greet` runs on nodes, and you named none\n\nhint: opsbook run greet NODE\n")
        .check();
    let call = project.opsbook(&["run", "greet", "here", "version=2.0.0"]);
    call.status(2)
        .err("error: `version=2.0.0` is where a node is expected\n\nhint: write an argument as `--set version=2.0.0`\n")
        .check();
    let call = project.opsbook(&["run", "greet", "@web"]);
    call.status(2)
        .err("error: unknown group `web`\n\nhint: there are no groups in these nodes\n")
        .check();
    let call = project.opsbook(&["test", "--report", "foo=x"]);
    let said = call.status(2).err("...\n").check();
    said.has("there is no report called `foo`; there are junit, ");
}

#[test]
fn history_and_log_answer() {
    let project = Project::new(PAGE);
    let call = project.opsbook(&["history"]);
    call.err("no run in this manual's journals\n").check();
    project.opsbook(&["run", "greet", "here"]).ends(0);
    let table = "\
RUN [..]STATUS  BEGAN [..]TOOK[..]PROCEDURE  NODES  BY
[..]  OK      [..]Z  [..]s  greet      here   [..]@[..]
";
    project.opsbook(&["history"]).out(table).check();
    project.opsbook(&["history", "here"]).out(table).check();
    let call = project.opsbook(&["history", "her"]);
    call.status(2)
        .err("error: unknown node `her`\n\nhint: did you mean `here`?\n")
        .check();
    let json = project.opsbook(&["history", "--json"]).out("...\n").check();
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(
        (&json["status"], &json["procedure"]),
        (&"OK".into(), &"greet".into())
    );
    // Nothing is halted: the latest run is shown.
    let log = project.opsbook(&["log"]).out("...\n").check();
    log.has("1 say  Greet");
}

/// The displayed command for looking by hand can be pasted unchanged.
#[test]
fn a_failure_shows_its_script_behind_its_values() {
    let project = Project::new(
        "# Page\n\n```yaml procedure\nid: p\nparams:\n  release: {default: \"it's\"}\n```\n\n\
         ```sh step capture=stamp\necho 7\n```\n\n\
         ```sh step\ntest -n \"$pass\" && test \"$release\" = \"${stamp}\"\n```\n\n\
         ```console step\n$ test \"$release\" = x\n```\n",
    );
    project.nodes("  here: {transport: local, pass: {secret: {file: pw}}}\n");
    project.write("pw", "hunter22\n");
    let said = project.opsbook(&["run", "p", "here"]).ends(1);
    said.has("# $pass is a secret, or too long to be shown")
        .has("release='it'\\''s'")
        .has("stamp=7")
        .lacks("hunter22");
    let said = project.opsbook(&["run", "p", "here"]).said();
    said.lacks("hunter22");
}

/// A supervisor chooses the run's name beforehand: if this process dies, it can find the run.
#[test]
fn a_run_has_the_name_that_is_allotted_and_begins_once() {
    let project = Project::new(PAGE);
    let name = "20261129-120000-ab12cd";
    let allotted = ["run", "greet", "here", "--run", name, "--epoch", "4"];
    project.opsbook(&allotted).ends(0);
    let first = &project.events()[0];
    assert_eq!((first.run.as_str(), first.epoch), (name, Some(4)));
    let call = project.opsbook(&allotted).status(2);
    call.err("error: run 20261129-120000-ab12cd has already started\n\nhint: `opsbook resume 20261129-120000-ab12cd` continues it\n")
        .check();
    for wrong in ["0", "99999999999999"] {
        let said = project.opsbook(&["run", "greet", "here", "--run", name, "--epoch", wrong]);
        said.ends(2).has("is not in 1..=");
    }
    // The journal is lost: the node knows the name.
    std::fs::remove_dir_all(project.home("../.opsbook/runs")).unwrap();
    let said = project.opsbook(&allotted).said();
    assert_ne!(said.status, 0, "{said:?}");
    assert_eq!(said.out.matches("hello").count(), 0, "{said:?}");
    for wrong in ["x", "../../x", "20261129-120000-", "20261129-120000-AB12"] {
        let said = project.opsbook(&["run", "greet", "here", "--run", wrong]);
        said.ends(2).has("is not the name of a run");
    }
}
