//! Faults in what a run is given: F22, F25, F28.

use std::fs;

use opsbook::event::What;

use crate::project::Project;

const ECHO: &str = "# Page\n\n```yaml procedure\nid: p\nparams:\n  word: {required: true}\n```\n\n```sh step id=one\nprintf '%s' \"$word\" > \"$HOME/got\"\n```\n";

#[test]
fn f22_values_arrive_unchanged_and_are_never_executed() {
    let project = Project::new(ECHO);
    let nasty = [
        "$(touch \"$HOME/executed\")",
        "`touch executed`; touch executed",
        "a'b\"c\\d",
        "line\nline\n\n",
        "-n",
        "*",
        "~ ${HOME} $$",
        "é\u{1F600}",
        "a&b|c>executed",
        "'; touch executed; '",
    ];
    for word in nasty {
        let set = format!("word={word}");
        project
            .opsbook(&["run", "p", "here", "--set", &set])
            .ends(0);
        assert_eq!(project.text("got"), word);
    }
    for folder in ["home", "."] {
        assert!(!project.path(folder).join("executed").exists());
    }
}

/// A value that looks like a reference, a pattern or a secret's name is text in every place
/// that reads the page.
#[test]
fn f22_a_value_is_never_read_again() {
    let project = Project::new(
        "# Page

```yaml checks
id: c
nodes: here
file:
  ${folder}/${odd}: {exists: false}
  ${folder}/plain: {contents: ['${bang}', '/^${dots}$/'], exists: true}
matching:
  equal: {content: '${odd}', matches: {equal: '${odd}'}}
  part: {content: 'v1x2', matches: {not: {match-regexp: '^v${version}$'}}}
```

```sh check id=c.lines
printf '%s\\n' 'anything'
```
```text expect
${dots}
```
",
    );
    let folder = project.path("home");
    std::fs::write(folder.join("ahereb"), "").unwrap();
    std::fs::write(folder.join("plain"), "x\n").unwrap();
    project.nodes(&format!(
        "  here:
    transport: local
    folder: {}
    odd: a$${{node}}b
    bang: '!x'
    dots: '...'
    version: '1.2'
    pass: {{secret: {{env: OPSBOOK_TEST_PASS}}}}
",
        folder.display()
    ));
    let said = project.opsbook(&["test"]).said();
    assert_eq!(said.status, 101, "{said:?}");
    // The file `ahereb` is there; the one that is meant is not.
    said.has(&format!("c::file/{}/a${{node}}b", folder.display()))
        .has("3 passed; 2 failed");
    std::fs::write(folder.join("plain"), "!x\n...\n").unwrap();
    let said = project.opsbook(&["test"]).said();
    said.has("4 passed; 1 failed")
        .has("c::lines")
        .has("anything");
    // An argument reaches no secret.
    let text = project
        .opsbook(&["show", "here", "--set", "odd=${pass}"])
        .said();
    text.has("${pass}");
}

#[test]
fn f22_a_nul_is_refused_before_anything_is_touched() {
    let project = Project::new(
        "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step id=one\nprintf '%s' \"$word\" > \"$HOME/got\"\n```\n",
    );
    project.nodes("  here: {transport: local, word: \"a\\0b\"}\n");
    let said = project.opsbook(&["run", "p", "here"]).said();
    assert!([2, 3].contains(&said.status), "{said:?}");
    said.has("NUL");
    assert!(!project.home("got").exists());
}

#[test]
fn f25_a_manual_that_changed_since_the_halt_is_refused_with_the_difference() {
    let page = |second: &str| {
        format!(
            "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step id=one\necho 1 >> \"$HOME/ran\"\n```\n\n```sh step id=two\n{second}\n```\n"
        )
    };
    let project = Project::new(&page("false"));
    project.opsbook(&["run", "p", "here"]).ends(1);
    project.page(&page("echo 2 >> \"$HOME/ran\""));
    let said = project.opsbook(&["resume"]).ends(2);
    said.has("-false")
        .has("+echo 2 >> \"$HOME/ran\"")
        .has("--accept-changed");
    assert_eq!(project.text("ran"), "1\n");
    project.opsbook(&["resume", "--accept-changed"]).ends(0);
    assert_eq!(project.text("ran"), "1\n2\n");
}

#[test]
fn f28_no_or_a_wrong_target_runs_nothing() {
    let page = ECHO.replace("id: p\n", "id: p\nnodes: here\n") + "\n```sh step id=two\ntrue\n```\n";
    let project = Project::new(&page);
    project.nodes("  here: {transport: local}\n  there: {transport: local}\n");
    let word = ["--set", "word=x"];
    let calls: [&[&str]; 8] = [
        &["run"],
        &[
            "run",
            "p",
            "here",
            "--start-at",
            "two",
            "--stop-after",
            "one",
        ],
        &["run", "p"],
        &["run", "p", "nowhere"],
        &["run", "p", "@none"],
        &["run", "p", "here,"],
        &["run", "p", ""],
        &["run", "p", "there"],
    ];
    for call in calls {
        let said = project.opsbook(&[call, &word].concat()).ends(2);
        assert!(!said.err.is_empty(), "{call:?}");
    }
    project.opsbook(&["run", "p", "here"]).ends(2).has("word");
    project.opsbook(&["run", "q", "here"]).ends(2).has("`q`");
    assert_eq!(project.runs(), 0);
    assert!(!project.home("got").exists() && !project.home(".opsbook").exists());
    assert!(fs::read_dir(project.path("home")).unwrap().next().is_none());
}

#[test]
fn functions_of_a_script_do_not_cost_it_its_variables() {
    let project = Project::new(
        "# Page\n\n```yaml procedure\nid: p\n```\n\n\
         ```sh step\nprintf() { false; }\necho() { false; }\nsed() { false; }\ncd() { false; }\nexport FOO=1\na=1\n```\n\n\
         ```bash step\necho \"$a $FOO\"\nprintf() { false; }\nexport() { false; }\neval() { false; }\nb=2\n```\n```text expect\n1 1\n```\n\n\
         ```sh step\necho \"$b\"\n```\n```text expect\n2\n```\n",
    );
    project.opsbook(&["run", "p", "here"]).ends(0);
}

#[test]
fn what_is_compared_or_captured_is_whole_or_refused() {
    let lines = "i=0; while [ $i -lt 60000 ]; do echo 0123456789abcdef; i=$((i+1)); done";
    let project = Project::new(&format!(
        "# Page\n\n```yaml procedure\nid: p\n```\n\n\
         ```sh step capture=much\n{lines}; echo END\n```\n```text expect\n...\nEND\n```\n\n\
         ```sh step\necho \"${{#much}} ${{much##*f}}\" | tr '\\n' ' '\n```\n```text expect\n1020003  END\n```\n\n\
         ```sh step capture=more\nhead -c 4194305 /dev/zero | tr '\\0' x\n```\n",
    ));
    let said = project.opsbook(&["run", "p", "here"]).ends(1);
    said.has("its output cannot become `more`: it is larger than 4 MiB");
}

#[test]
fn a_folder_of_any_name_is_where_the_next_step_begins() {
    let project = Project::new(
        "# Page\n\n```yaml procedure\nid: p\n```\n\n\
         ```sh step\nmkdir -p \"$HOME/-a'b\nc\"; cd -- \"$HOME/-a'b\nc\"; pwd\nexport CDPATH=/usr:/\n```\n\n\
         ```bash step\n[ \"$PWD\" = \"$HOME/-a'b\nc\" ]; x=1\n```\n\n\
         ```sh step\n[ \"$PWD\" = \"$HOME/-a'b\nc\" ]; echo \"$x\"\n```\n```text expect\n1\n```\n",
    );
    project.opsbook(&["run", "p", "here"]).ends(0);
}

#[test]
fn where_the_folder_of_the_step_before_is_gone_nothing_of_a_step_is_run() {
    for (language, exits) in [("sh", "0,2"), ("bash", "0,1"), ("python", "0,1,2")] {
        let script = match language {
            "python" => "open('ran', 'w')",
            _ => ": > ran",
        };
        let project = Project::new(&format!(
            "# Page\n\n```yaml procedure\nid: p\n```\n\n\
             ```sh step\nmkdir \"$HOME/work\"; cd \"$HOME/work\"; rmdir \"$HOME/work\"\n```\n\n\
             ```{language} step id=two exit={exits}\n{script}\n```\n"
        ));
        let said = project.opsbook(&["run", "p", "here"]).ends(3);
        said.has("step two: it did not run: the folder in which the previous step ended is gone");
        fs::create_dir(project.home("work")).unwrap();
        project.opsbook(&["resume"]).ends(0);
        assert!(project.home("work/ran").exists(), "{language}");
    }
}

#[test]
fn an_array_of_bash_is_there_whole_in_the_next_step_of_bash() {
    let project = Project::new(
        "# Page\n\n```yaml procedure\nid: p\n```\n\n\
         ```bash step\nlist=(one 'two  '\"'\"'b' $'three\\n4'); declare -A of=([k]='v v'); word=5\nexport list\n```\n\n\
         ```bash step\nprintf '<%s>' \"${list[@]}\" \"${of[k]}\" \"$word\"\nlist+=(last)\n```\n\
         ```text expect\n<one><two  'b><three\n4><v v><5>\n```\n\n\
         ```bash step\necho \"${#list[@]} ${list[3]}\"\n```\n```text expect\n4 last\n```\n\n\
         ```sh step\necho \"$word\"\n```\n```text expect\n5\n```\n",
    );
    project.opsbook(&["run", "p", "here"]).ends(0);
}

#[test]
fn f22_a_bundle_may_be_in_a_folder_of_any_name() {
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n\
        ```yaml deliver\n- {file: \"a file\"}\n- {tree: \"some stuff\"}\n```\n\n\
        ```sh step\ncat \"$bundle/a file\" \"$bundle/some stuff/in it\"\nv='x y'; cd \"$bundle/some stuff\"; sleep 1 &\n```\n```text expect\n1\n2\n```\n\n\
        ```sh step timeout=2s\n[ \"$v\" = 'x y' ]; cat 'in it' >> \"$HOME/ran\"; test -e \"$HOME/go\" || sleep 60\n```\n";
    let odd = "it's my \"dir\" $HOME é * [x]\\n | %s/bundle";
    let project = Project::new(page);
    let node = serde_json::json!({"transport": "local", "bundle_dir": odd});
    project.nodes(&format!("  here: {node}\n"));
    project.write("a file", "1\n");
    project.write("some stuff/in it", "2\n");
    let said = project.opsbook(&["run", "p", "here"]).ends(124);
    said.has("/it'\\''s my \"dir\" $HOME")
        .has("/bundle'\n. \"$bundle/steps/by-hand\"\n");
    assert!(project.home(odd).join("steps/3/script").exists());
    fs::write(project.home("go"), "").unwrap();
    project.opsbook(&["resume"]).ends(0);
    assert_eq!(project.text("ran"), "2\n2\n");
    assert!(!project.home(odd).exists());
}

/// What the steps of the newest run printed.
fn printed(project: &Project) -> String {
    let events = project.events().into_iter();
    events
        .filter_map(|event| match event.what {
            What::Output { text, .. } => Some(text.into_exact()),
            _ => None,
        })
        .collect()
}

#[test]
fn what_a_script_traps_or_traces_is_only_its_own() {
    let scripts = [
        ("sh", "set -x\nv=5\n", "+ v=5\n"),
        ("bash", "set -x\nv=5\n", "+++ v=5\n"),
        ("sh", "set -x\nv=5\nexit 0\n", "+ v=5\n+ exit 0\n"),
        ("bash", "set -T\ntrap 'echo d' DEBUG\nv=5\n", "d\n"),
        ("bash", "set -T\ntrap 'echo r' RETURN\nv=5\n", "r\n"),
        ("bash", "set -E\ntrap 'echo e' ERR\nv=5\n", ""),
    ];
    for (shell, script, expected) in scripts {
        let page = format!(
            "# Page\n\n```yaml procedure\nid: p\n```\n\n```{shell} step\n{script}```\n\n\
             ```{shell} step\necho \"v=$v\" > \"$HOME/v\"\n```\n"
        );
        let project = Project::new(&page);
        project.opsbook(&["run", "p", "here"]).ends(0);
        assert_eq!(project.text("v"), "v=5\n", "{shell}: {script}");
        assert_eq!(printed(&project), expected, "{shell}: {script}");
    }
}

#[test]
fn a_check_in_a_folder_that_is_gone_holds_nowhere_else() {
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n\
        ```sh step\nmkdir d; cd d; rmdir \"$PWD\"\n```\n\n```sh check id=c\ntrue\n```\n";
    let project = Project::new(page);
    let said = project.opsbook(&["run", "p", "here"]).ends(1);
    said.has("the folder in which the step before ended is gone");
    let page = page
        .replace("sh step\n", "sh step on=local\n")
        .replace("id=c", "id=c on=local");
    let project = Project::new(&page);
    let said = project.opsbook(&["run", "p", "here"]).ends(1);
    said.has("the folder in which the step before ended is gone");
}

/// What a person is told has the values of this node, wherever it is told.
#[test]
fn a_person_is_told_the_values() {
    let page = "# Page\n\n```yaml procedure\nid: p\nparams:\n  ticket: {required: true}\n```\n\n\
        ```sh step id=look capture=serial\nprintf 7\n```\n\n\
        ```text manual id=tell\nWrite into ${ticket} that ${node} has ${serial}, not $${serial} or $HOME.\n```\n";
    let project = Project::new(page);
    let set = ["run", "p", "here", "--set", "ticket=T ${serial}"];
    let told = "Write into T ${serial} that here has 7, not ${serial} or $HOME.";
    project
        .opsbook(&[&set[..], &["--dry-run"]].concat())
        .ends(0)
        .has("Write into T ${serial} that here has ${serial}, not ${serial} or $HOME.");
    // Nobody answers: it is left to be done.
    project.opsbook(&set).ends(5).has(told);
    project.opsbook(&["handoff"]).ends(0).has(told);
    let asked = project.opsbook(&["resume", "--yes"]).ends(0);
    asked.lacks("${ticket}");

    let project = Project::new(&page.replace("${serial}, not", "${seral} and ${token}, not"));
    project.nodes("  here: {transport: local, token: {secret: {env: TOKEN}}}\n");
    project
        .opsbook(&["lint"])
        .ends(2)
        .has("`seral`")
        .has("manual/page.md:14")
        .has("`token` is a secret, which opsbook never shows");
}
