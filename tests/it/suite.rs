//! `opsbook test`: what users of libtest expect, and how it handles nodes.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use indoc::{formatdoc, indoc};
use opsbook::event::{Event, What};
use opsbook::suite::{self, Suite};

use crate::project::Project;

/// A manual of one page.
struct Manual(Project);

struct Ran {
    status: Option<i32>,
    out: String,
    err: String,
    took: Duration,
}

impl Manual {
    fn new(page: &str) -> Manual {
        Manual(Project::new(page))
    }

    /// Sets everything below the first line of `nodes.yaml`.
    fn nodes(self, nodes: &str) -> Manual {
        self.write("nodes.yaml", &format!("opsbook: 1\n{nodes}"));
        self
    }

    fn write(&self, path: &str, text: &str) {
        self.0.write(path, text);
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path(path)
    }

    fn root(&self) -> PathBuf {
        self.0.root()
    }

    fn test(&self, args: &[&str]) -> Ran {
        self.opsbook(&[&["test"], args].concat())
    }

    fn opsbook(&self, args: &[&str]) -> Ran {
        let begin = Instant::now();
        let said = self.0.opsbook(args).said();
        Ran {
            status: Some(said.status),
            out: said.out,
            err: said.err,
            took: begin.elapsed(),
        }
    }

    /// The names of the tests that ran or would run.
    fn names(&self, args: &[&str]) -> Vec<String> {
        let ran = self.test(&[args, &["--list", "--format", "terse"]].concat());
        assert_eq!((ran.status, ran.err.as_str()), (Some(0), ""));
        let name = |line: &str| {
            line.strip_suffix(": test")
                .unwrap()
                .split_once("] ")
                .unwrap()
                .1
                .to_owned()
        };
        ran.out.lines().map(name).collect()
    }
}

/// The text without parts that differ each time.
fn steady(text: &str) -> String {
    let time = regex::Regex::new(r"finished in [0-9.]+s").unwrap();
    let seconds = regex::Regex::new(r#""exec_time": [0-9.e-]+"#).unwrap();
    let text = time.replace_all(text, "finished in TIMEs");
    seconds
        .replace_all(&text, "\"exec_time\": TIME")
        .into_owned()
}

const THREE: &str = indoc! {"
    # Page

    ```sh check id=g.good
    true
    ```

    ```sh check id=g.bad
    echo no; exit 3
    ```

    ```yaml checks
    id: h
    file:
      /nope: {exists: true, skip: {reason: not yet}}
    ```
"};

#[test]
fn self_test_each_check_ends_as_its_group_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/self-test");
    let manual = Manual::new("");
    let file = manual.path("out.jsonl");
    let report = format!("json={}", file.display());
    let ran = manual.opsbook(&["-C", root.to_str().unwrap(), "test", "--report", &report]);
    assert_eq!(ran.status, Some(101), "{}", ran.err);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let lines = fs::read_to_string(&file).unwrap();
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    for line in lines.filter(|line| line["type"] == "test") {
        let group = line["group"].as_str().unwrap();
        // Tests on a node that does not answer.
        let must = if group == "gone" { "error" } else { group };
        assert_eq!(line["outcome"], must, "{line}");
        match must {
            "failed" => assert!(!line["evidence"].as_array().unwrap().is_empty(), "{line}"),
            "error" => assert!(!line["cause"].as_str().unwrap().is_empty(), "{line}"),
            _ => {}
        }
        *counts.entry(group.to_owned()).or_default() += 1;
    }
    let counts: Vec<(&str, usize)> = counts
        .iter()
        .map(|(group, count)| (group.as_str(), *count))
        .collect();
    assert_eq!(
        counts,
        [
            ("error", 7),
            ("failed", 26),
            ("gone", 4),
            ("ignored", 2),
            ("passed", 13)
        ]
    );
    for unseen in [
        "2 tests on here: no `telescope` here\n",
        "3 tests on here: no answer within 1s\n",
        ": it printed more than 4 MiB\n",
        "4 tests on gone: `gone` cannot be reached: connection refused: ",
        "\ncould not look: 11 tests\n",
    ] {
        assert_eq!(ran.out.matches(unseen).count(), 1, "{}", ran.out);
    }
}

#[test]
fn pretty_is_what_libtest_prints() {
    let ran = Manual::new(THREE).test(&[]);
    assert_eq!(ran.status, Some(101));
    assert_eq!(
        steady(&ran.out),
        indoc! {"

            running 3 tests
            test [here] here::g::good       ... ok
            test [here] here::g::bad        ... FAILED
            test [here] here::h::file//nope ... ignored (not yet)

            failures:

            ---- here::g::bad ----
              wrong           exit status
              expected        0
              found           3
                              no
              look with       echo no; exit 3
              manual          manual/page.md:7


            failures:
                here::g::bad

            test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in TIMEs

        "}
    );
    assert_eq!(ran.err, "");
}

#[test]
fn terse_json_and_list_are_what_libtest_prints() {
    let manual = Manual::new(THREE);
    let terse = manual.test(&["-q", "--skip", "bad"]);
    assert_eq!(terse.status, Some(0));
    assert_eq!(
        steady(&terse.out),
        indoc! {"

            running 2 tests
            .i
            test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 1 filtered out; finished in TIMEs

        "}
    );
    let json = manual.test(&["--format", "json", "good"]);
    assert_eq!(
        steady(&json.out),
        indoc! {r#"
            { "type": "suite", "event": "started", "test_count": 1 }
            { "type": "test", "event": "started", "name": "here::g::good" }
            { "type": "test", "name": "here::g::good", "event": "ok" }
            { "type": "suite", "event": "ok", "passed": 1, "failed": 0, "ignored": 0, "measured": 0, "filtered_out": 2, "exec_time": TIME }
        "#}
    );
    for line in manual.test(&["--format=json"]).out.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    let list = manual.test(&["--list"]);
    assert_eq!(
        list.out,
        indoc! {"
            [here] here::g::good: test
            [here] here::g::bad: test
            [here] here::h::file//nope: test
        "}
    );
    let into = manual.path("log");
    let logged = manual.test(&["good", "--logfile", into.to_str().unwrap()]);
    assert_eq!((logged.status, logged.out.as_str()), (Some(0), ""));
    assert!(
        fs::read_to_string(into)
            .unwrap()
            .contains("test [here] here::g::good ... ok\n")
    );
}

/// Failures and tests that could not be evaluated are distinguished, also by the exit status.
#[test]
fn what_could_not_look_is_no_failure() {
    let page = indoc! {"
        # Page

        ```yaml checks
        id: g
        file:
          ~nobody-here/x: {exists: false}
          /nope: {exists: true}
          /: {}
        ```
    "};
    let manual = Manual::new(page);
    for (arguments, status) in [
        (&[][..], 101),
        (&["--skip", "nope"], 3),
        (&["nobody-here"], 3),
        (&["--exact", "here::g::file//"], 0),
    ] {
        assert_eq!(manual.test(arguments).status, Some(status), "{arguments:?}");
    }
    let terse = manual.test(&["-q"]);
    assert!(terse.out.contains("\n?F.\nfailures:"), "{}", terse.out);
    let counted = "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in TIMEs\ncould not look: 1 test\n";
    assert!(steady(&terse.out).contains(counted), "{}", terse.out);
    let json = manual.test(&["--format", "json", "--report", "github"]);
    let (json_lines, notes): (Vec<&str>, Vec<&str>) =
        json.out.lines().partition(|line| line.starts_with('{'));
    let unseen = r#""event": "failed", "reason": "could not look", "stdout": "#;
    assert_eq!(json.out.matches(unseen).count(), 1, "{}", json.out);
    assert!(
        json_lines[7].contains(r#""failed": 1, "could_not_look": 1, "ignored": 0"#),
        "{}",
        json.out
    );
    for line in json_lines {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    assert_eq!(notes.len(), 2);
    assert!(notes[0].contains("file//nope::exists"), "{}", notes[0]);
    assert!(notes[1].contains("could not look::"), "{}", notes[1]);
    let said = "could not look:\n    here::g::file/~nobody-here/x (manual/page.md:6): no local user `nobody-here`\n";
    assert_eq!(json.err, said);
}

#[test]
fn the_protocol_of_nextest() {
    let manual = Manual::new(THREE);
    let all = manual.test(&["--list", "--format", "terse"]);
    assert_eq!(all.out.lines().count(), 3);
    let ignored = manual.test(&["--list", "--format", "terse", "--ignored"]);
    assert_eq!(ignored.out, "[here] here::h::file//nope: test\n");
    for (name, status) in [
        ("[here] here::g::good", 0),
        ("here::g::good", 0),
        ("[here] here::g::bad", 101),
    ] {
        assert_eq!(
            manual.test(&["--exact", name, "--nocapture"]).status,
            Some(status),
            "{name}"
        );
    }
    let asked = manual.test(&[
        "--exact",
        "[here] here::h::file//nope",
        "--nocapture",
        "--ignored",
    ]);
    assert_eq!(asked.status, Some(101));
}

#[test]
fn filters_skips_and_parts() {
    let manual = Manual::new(THREE);
    let all = manual.names(&[]);
    assert_eq!(manual.names(&["good", "bad"]), all[..2]);
    assert_eq!(manual.names(&["here::g", "--skip", "bad"]), all[..1]);
    assert_eq!(
        manual.names(&["here::g::good", "here::g", "--exact"]),
        all[..1]
    );
    assert_eq!(manual.names(&["--skip", "here::g", "--exact"]), all);
    assert_eq!(manual.names(&["--ignored"]), all[2..]);
    for by in ["hash", "count"] {
        let part = |part| manual.names(&["--partition", &format!("{by}:{part}/2")]);
        let mut parts = [part(1), part(2)].concat();
        parts.sort();
        let mut all = all.clone();
        all.sort();
        assert_eq!(parts, all, "{by}");
    }
    assert_eq!(
        manual.names(&["--partition", "count:1/2"]),
        [all[0].clone(), all[2].clone()]
    );
    // Other machines must get the same partitions.
    assert_eq!(
        manual.names(&["--partition", "hash:2/2"]),
        manual.names(&["--partition", "hash:2/2", "here::"])
    );
}

#[test]
fn ignored_tests_are_asked_when_that_is_wanted() {
    let manual = Manual::new(THREE);
    let ran = manual.test(&["--include-ignored", "nope"]);
    assert!(
        ran.out
            .contains("test [here] here::h::file//nope ... FAILED"),
        "{}",
        ran.out
    );
    let ran = manual.test(&["--ignored"]);
    assert!(
        steady(&ran.out).contains("0 passed; 1 failed; 0 ignored; 0 measured; 2 filtered out"),
        "{}",
        ran.out
    );
}

#[test]
fn nothing_selected_is_no_pass() {
    let manual = Manual::new(THREE);
    let ran = manual.test(&["godo"]);
    assert_eq!((ran.status, ran.out.as_str()), (Some(2), ""));
    assert!(
        ran.err.contains("no test is selected, so nothing passed"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("3 tests do not match"), "{}", ran.err);
    let none = Manual::new("# Page\n");
    assert_eq!(none.test(&[]).status, Some(2));
    // A partition of few tests may be empty.
    assert_eq!(
        manual.test(&["good", "--partition", "count:2/2"]).status,
        Some(0)
    );
}

#[test]
fn what_a_mistake_concerns_is_not_asked_and_the_rest_is() {
    let page = indoc! {r#"
        # Page

        ```sh check id=g.touch
        touch "$HOME/touched"
        ```

        ```sh chekc id=g.b
        true
        ```
    "#};
    let manual = Manual::new(page);
    let ran = manual.test(&[]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.out.contains("here::g::touch ... ok"), "{}", ran.out);
    assert!(ran.out.contains("1 passed; 0 failed"), "{}", ran.out);
    assert!(ran.err.contains("manual/page.md:7"), "{}", ran.err);
    assert!(manual.path("home/touched").exists());
    let undefined = Manual::new(indoc! {r#"
            # Page

            ```sh check id=g.touch
            touch "$HOME/touched$nope"
            ```
        "#});
    let ran = undefined.test(&[]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.err.contains("`nope`"), "{}", ran.err);
    let ran = Manual::new(THREE).test(&["--nodes", "hree"]);
    assert_eq!((ran.status, ran.out.as_str()), (Some(2), ""));
    let ran = Manual::new(THREE).test(&["--report", "tap=/nope/x.tap"]);
    assert_eq!((ran.status, ran.out.as_str()), (Some(2), ""));
    assert!(!undefined.path("home/touched").exists());
}

#[test]
fn tests_run_side_by_side_and_are_told_in_the_order_of_the_book() {
    // Each waits for the other: sequentially, they would never succeed.
    let page = indoc! {r#"
        # Page

        ```sh check id=g.first timeout=20s
        : > "$HOME/first"
        until [ -e "$HOME/second" ]; do sleep 0.05; done
        ```

        ```sh check id=g.second timeout=20s
        : > "$HOME/second"
        until [ -e "$HOME/first" ]; do sleep 0.05; done
        ```
    "#};
    let manual = Manual::new(page).nodes(indoc! {"
            nodes:
              b: {transport: local}
              a: {transport: local}
        "});
    let ran = manual.test(&[]);
    assert_eq!(ran.status, Some(0), "{}", ran.out);
    let names: Vec<&str> = ran
        .out
        .lines()
        .filter_map(|line| line.strip_prefix("test ["))
        .collect();
    let names: Vec<&str> = names
        .iter()
        .filter_map(|line| line.split(' ').nth(1))
        .collect();
    assert_eq!(
        names,
        ["b::g::first", "b::g::second", "a::g::first", "a::g::second"]
    );
}

#[test]
fn the_book_may_say_which_nodes_are_tested() {
    let page = indoc! {"
        # Page

        ```sh check id=g.a
        true
        ```
    "};
    let manual = Manual::new(page).nodes(indoc! {"
            groups: {staging: {}}
            nodes:
              s: {transport: local, groups: [staging]}
              p: {transport: local}
        "});
    let book = |setting| {
        let table = indoc! {r#"
            [book]
            src = "manual"
            [preprocessor.opsbook]
        "#};
        manual.write("book.toml", &format!("{table}test-nodes = \"{setting}\"\n"));
    };
    assert_eq!(manual.names(&[]), ["s::g::a", "p::g::a"]);
    book("@staging");
    assert_eq!(manual.names(&[]), ["s::g::a"]);
    assert_eq!(manual.names(&["--nodes", "*"]), ["s::g::a", "p::g::a"]);
    let ran = manual.test(&[]);
    assert_eq!(
        (ran.status, ran.err.as_str()),
        (
            Some(0),
            "nodes: `@staging`, as `test-nodes` in book.toml says; `--nodes '*'` for all\n"
        )
    );
    let ran = manual.test(&["nothing"]);
    assert_eq!((ran.status, ran.out.as_str()), (Some(2), ""));
    assert!(
        ran.err.ends_with(
            "hint: `test-nodes` in book.toml is `@staging`; `--nodes '*'` asks all nodes\n"
        ),
        "{}",
        ran.err
    );
    book("@stagin");
    let ran = manual.test(&[]);
    assert_eq!((ran.status, ran.out.as_str()), (Some(2), ""));
    assert_eq!(
        ran.err,
        indoc! {r#"
            book.toml:4:16: error: unknown group `stagin`
              |
            4 | test-nodes = "@stagin"
              |                ^^^^^^

            hint: did you mean `@staging`?
        "#}
    );
}

#[test]
fn a_choice_of_nodes_says_which_groups_are_for_every_node() {
    let page = indoc! {r#"
        # Page

        ```yaml checks
        id: all
        file:
          /: {exists: true}
          /nope: {exists: false}
        ```

        ```yaml checks
        id: web
        nodes: "@web"
        file:
          /: {exists: true}
        ```
    "#};
    let manual = Manual::new(page).nodes(indoc! {"
            groups: {web: {}}
            nodes:
              w: {transport: local, groups: [web]}
              x: {transport: local}
        "});
    let note = "note: checks of groups without `nodes` are for every node: `all` (2)\n";
    for (arguments, said) in [
        (&["--nodes", "w"][..], note),
        (&["--nodes", "@web"], note),
        // Nothing there concerns the choice of nodes.
        (&["--nodes", "x"], ""),
        (&["--nodes", "w", "w::web"], ""),
        (&[], ""),
    ] {
        let ran = manual.test(arguments);
        assert_eq!(
            (ran.status, ran.err.as_str()),
            (Some(0), said),
            "{arguments:?}"
        );
    }
}

/// The events of a suite come while it runs: the second check waits for the reader's reaction to
/// the first one.
#[test]
fn a_suite_tells_what_happens_when_it_happens() {
    let page = indoc! {r#"
        # Page

        ```sh check id=g.first
        true
        ```

        ```sh check id=g.second timeout=60s
        until [ -e "$seen" ]; do sleep 0.05; done
        ```
    "#};
    let manual = Manual::new(page);
    let seen = manual.path("seen");
    let node = format!(
        "nodes:\n  here: {{transport: local, seen: {}}}\n",
        seen.display()
    );
    let manual = manual.nodes(&node);
    let events = events(&manual.root(), move |event| {
        if matches!(&event.what, What::CheckHeld { check, .. } if check == "g::first") {
            fs::write(&seen, "").unwrap();
        }
    });
    let told: Vec<String> = events.iter().map(in_a_word).collect();
    assert_eq!(told[0], "suite-started");
    assert_eq!(told[1..3], ["here node-tried", "here node-reached"]);
    // They run in parallel.
    let mut started = told[3..5].to_vec();
    started.sort();
    assert_eq!(
        started,
        [
            "here check-started g::first",
            "here check-started g::second"
        ]
    );
    assert_eq!(
        told[5..],
        [
            "here check-held g::first",
            "here check-held g::second",
            "suite-ended"
        ]
    );
    let numbers: Vec<u64> = events.iter().map(|event| event.seq).collect();
    assert_eq!(numbers, (1..=8).collect::<Vec<_>>());
}

/// Runs all checks of a manual in this process.
fn events(root: &Path, mut see: impl FnMut(&Event) + Send + 'static) -> Vec<Event> {
    let (manual, _) = opsbook::manual::load(&opsbook::files::Files::of(root));
    let (nodes, _) = opsbook::nodes::load(&opsbook::files::Files::of(root), &manual.settings);
    let names: Vec<&str> = nodes.names().collect();
    let (cases, problems) = opsbook::plan::cases(
        &manual,
        &nodes,
        opsbook::vocabulary::Vocabulary::builtin(),
        &names,
        &|_| true,
    );
    assert!(problems.is_empty(), "{problems:?}");
    let (operator, _) = opsbook::engine::Operator::new();
    let suite = Suite {
        tests: suite::gather(cases, jiff::Zoned::now().date()),
        filtered_out: 0,
        asks_ignored: false,
        access: suite::Access {
            open: opsbook::session::OpenOptions::default(),
            passwords: opsbook::engine::Passwords::new(operator.clone(), None),
            secrets: opsbook::engine::Secrets::new(root.to_owned(), operator),
        },
        rehearse: std::sync::Arc::new(|_| unreachable!("there is no procedure")),
        options: suite::Options {
            traces: suite::Traces::Left,
            threads: None,
            parallel: 2,
            retries: 0,
            fail_fast: false,
            time_limit: None,
        },
        by: suite::By {
            operator: "ops".into(),
            controller: "desk".into(),
            revision: None,
        },
    };
    let (tell, told) = std::sync::mpsc::channel();
    let sink = Box::new(move |event| {
        see(&event);
        tell.send(event).unwrap();
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(suite::run(suite, sink));
    told.try_iter().collect()
}

/// The node, the kind of the event, the check.
fn in_a_word(event: &Event) -> String {
    let json = serde_json::to_value(event).unwrap();
    let words = ["node", "event", "check"].iter();
    let words: Vec<&str> = words.filter_map(|name| json[name].as_str()).collect();
    words.join(" ")
}

#[test]
fn one_thread_asks_one_after_the_other() {
    let check = indoc! {r#"
        test ! -e "$HOME/busy"
        : > "$HOME/busy"
        sleep 0.1
        rm "$HOME/busy"
    "#};
    let page = formatdoc!(
        "
            # Page

            ```sh check id=g.a
            {check}```

            ```sh check id=g.b
            {check}```
        "
    );
    let manual = Manual::new(&page).nodes(indoc! {"
            nodes:
              a: {transport: local}
              b: {transport: local}
        "});
    let ran = manual.test(&["--test-threads", "1"]);
    assert_eq!(ran.status, Some(0), "{}", ran.out);
}

#[test]
fn all_tests_of_a_node_share_one_session() {
    let page = formatdoc!(
        "
            {THREE}
            ```yaml checks
            id: many
            file:
            {}```
        ",
        files(60)
    );
    let manual = Manual::new(&page).nodes(
        "nodes:\n  box: {transport: {exec: [sh, -c, 'echo opened >> \"$HOME/opened\"; exec sh']}}\n",
    );
    let ran = manual.test(&["--skip", "bad"]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.out, ran.err);
    assert!(ran.out.contains(" 61 passed; "), "{}", ran.out);
    assert_eq!(
        fs::read_to_string(manual.path("home/opened")).unwrap(),
        "opened\n"
    );
}

fn files(number: usize) -> String {
    (0..number)
        .map(|number| format!("  /nope/{number}: {{exists: false}}\n"))
        .collect()
}

#[test]
fn no_session_is_opened_for_what_is_ignored_or_not_selected() {
    let page = indoc! {"
        # Page

        ```yaml checks
        id: g
        file:
          /a: {exists: false}
          /b: {exists: false, skip: {reason: no}}
        ```
    "};
    let manual = Manual::new(page).nodes(
        "nodes:\n  box: {transport: {exec: [sh, -c, 'echo opened >> \"$HOME/opened\"; exec sh']}}\n",
    );
    assert_eq!(manual.test(&["/b"]).status, Some(0));
    assert_eq!(manual.test(&["--list"]).status, Some(0));
    assert!(!manual.path("home/opened").exists());
}

#[test]
fn a_node_that_does_not_answer_says_why_once() {
    let page = indoc! {"
        # Page

        ```yaml checks
        id: g
        file:
          /a: {exists: false}
          /b: {exists: false}
        ```

        ```sh check id=g.c
        true
        ```
    "};
    let manual = Manual::new(page).nodes(
        indoc! {r#"
            nodes:
              good: {transport: local}
              dead: {transport: {exec: [sh, -c, 'echo tried >> "$HOME/tried"; echo broken >&2; exit 7']}}
        "#},
    );
    let ran = manual.test(&["--report", "github"]);
    assert_eq!(ran.status, Some(3));
    assert_eq!(ran.err, "");
    let (tests, notes) = ran.out.split_once("::error ").unwrap();
    assert_eq!(
        steady(tests),
        indoc! {"

            running 6 tests
            test [good] good::g::file//a ... ok
            test [good] good::g::file//b ... ok
            test [good] good::g::c       ... ok
            test [dead] dead::g::file//a ... COULD NOT LOOK
            test [dead] dead::g::file//b ... COULD NOT LOOK
            test [dead] dead::g::c       ... COULD NOT LOOK

            could not look:
                3 tests on dead: `dead` cannot be reached: no POSIX shell answered; it ended with exit status 7: broken

            test result: FAILED. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in TIMEs
            could not look: 3 tests

        "}
    );
    assert!(!notes.contains("::error "), "{notes}");
    assert!(
        notes.contains("title=dead%3A 3 tests could not look::"),
        "{notes}"
    );
    assert_eq!(
        fs::read_to_string(manual.path("home/tried")).unwrap(),
        "tried\n"
    );
    assert!(ran.took < Duration::from_secs(20));
}

#[test]
fn retries_are_for_the_connection_and_not_for_checks() {
    let page = indoc! {r#"
        # Page

        ```sh check id=g.a
        echo asked >> "$HOME/asked"
        true
        ```
    "#};
    let flaky = "nodes:\n  box: {transport: {exec: [sh, -c, 'if [ -e \"$HOME/up\" ]; then exec sh; fi; : > \"$HOME/up\"; exit 9']}}\n";
    let manual = Manual::new(page).nodes(flaky);
    assert_eq!(manual.test(&[]).status, Some(3));
    fs::remove_file(manual.path("home/up")).unwrap();
    let ran = manual.test(&["--retries", "1"]);
    assert_eq!(ran.status, Some(0), "{}", ran.out);
    let wrong = Manual::new(&page.replace("\ntrue", "\nfalse"));
    assert_eq!(wrong.test(&["--retries", "3"]).status, Some(101));
    assert_eq!(
        fs::read_to_string(wrong.path("home/asked")).unwrap(),
        "asked\n"
    );
}

#[test]
fn a_connection_that_breaks_in_between_is_an_error_and_may_be_retried() {
    // The first session ends during the check.
    let page = indoc! {r#"
        # Page

        ```sh check id=g.a
        if [ ! -e "$HOME/up" ]; then : > "$HOME/up"; kill -9 "$(cat "$HOME/shell")"; sleep 20; fi
        ```

        ```sh check id=g.b
        until [ -e "$HOME/up" ]; do sleep 0.05; done
        sleep 0.2
        ```
    "#};
    let nodes =
        "nodes:\n  box: {transport: {exec: [sh, -c, 'echo $$ > \"$HOME/shell\"; exec sh']}}\n";
    let manual = Manual::new(page).nodes(nodes);
    let ran = manual.test(&[]);
    assert_eq!(ran.status, Some(3), "{}", ran.out);
    assert!(ran.out.contains("\ncould not look:\n"), "{}", ran.out);
    assert!(ran.took < Duration::from_secs(15), "{:?}", ran.took);
    fs::remove_file(manual.path("home/up")).unwrap();
    let ran = manual.test(&["--retries", "1"]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.out, ran.err);
}

#[test]
fn a_check_that_hangs_holds_up_no_other() {
    let page = formatdoc!(
        "
            # Page

            ```yaml checks
            id: g
            sleeper:
              bear: {{awake: true, timeout: 1s}}
            file:
            {}```
        ",
        files(30)
    );
    let manual = Manual::new(&page);
    manual.write(
        "checks/sleeper.sh",
        indoc! {"
            # sleeper: does not come to its end
            #
            # At all.
            #
            #: key name text -- any
            #: fact awake bool -- never known
            #: example x: {awake: true}
            sleep 60
        "},
    );
    let ran = manual.test(&["--test-threads", "1"]);
    assert!(ran.out.contains(" 30 passed; 0 failed; "), "{}", ran.out);
    assert!(ran.out.contains("): no answer within 1s\n"), "{}", ran.out);
    assert!(ran.took < Duration::from_secs(55), "{:?}", ran.took);
}

#[test]
fn fail_fast_does_not_wait_for_a_node_that_is_being_reached() {
    let page = indoc! {"
        # Page

        ```sh check id=g.a
        test \"$node\" = slow
        ```
    "};
    let manual = Manual::new(page).nodes(indoc! {"
        nodes:
          here: {transport: local}
          slow: {transport: {exec: [sh, -c, 'sleep 30; exec sh']}}
    "});
    let ran = manual.test(&["--fail-fast"]);
    assert_eq!((ran.status, ran.err.as_str()), (Some(101), ""));
    let line = "test [slow] slow::g::a ... ignored (not evaluated: another one failed, and --fail-fast was given)\n";
    assert!(ran.out.contains(line), "{}", ran.out);
    assert!(ran.took < Duration::from_secs(20), "{:?}", ran.took);
}

#[test]
fn fail_fast_asks_no_more() {
    let page = indoc! {r#"
        # Page

        ```sh check id=g.a
        false
        ```

        ```sh check id=g.b
        echo asked > "$HOME/asked"
        ```
    "#};
    let manual = Manual::new(page);
    let ran = manual.test(&["--fail-fast", "--test-threads", "1"]);
    assert_eq!(ran.status, Some(101));
    assert!(
        ran.out
            .contains("here::g::b ... ignored (not evaluated: another one failed"),
        "{}",
        ran.out
    );
    assert!(!manual.path("home/asked").exists());
    let slow = Manual::new(indoc! {"
            # Page

            ```sh check id=g.a
            false
            ```

            ```sh check id=g.b
            sleep 20
            ```
        "});
    assert!(slow.test(&["--fail-fast"]).took < Duration::from_secs(15));
}

#[test]
fn a_waiver_prints_its_reason_and_fails_after_its_day() {
    let page = |until: &str| {
        formatdoc!(
            "
                # Page

                ```yaml checks
                id: g
                file:
                  /a: {{exists: true, skip: {{reason: the move, until: {until}}}}}
                  /b: {{exists: false}}
                ```
            "
        )
    };
    let ran = Manual::new(&page("2999-01-01")).test(&[]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    assert!(
        ran.out
            .contains("here::g::file//a ... ignored (the move, until 2999-01-01)"),
        "{}",
        ran.out
    );
    let ran = Manual::new(&page("2001-01-01")).test(&[]);
    assert_eq!(ran.status, Some(101));
    assert!(
        ran.out
            .contains("found           waived until 2001-01-01: the move"),
        "{}",
        ran.out
    );
    let today = jiff::Zoned::now().date().to_string();
    assert_eq!(Manual::new(&page(&today)).test(&[]).status, Some(0));
}

#[test]
fn eventually_tells_how_often_it_tried() {
    let page = indoc! {"
        # Page

        ```sh check id=g.a eventually=500ms/100ms
        false
        ```
    "};
    let ran = Manual::new(page).test(&[]);
    let tried = regex::Regex::new(r"tried           [2-6] times in [0-9.]+s").unwrap();
    assert!(tried.is_match(&ran.out), "{}", ran.out);
}

#[test]
fn a_reader_that_leaves_is_no_fault() {
    let page = formatdoc!(
        "
            # Page

            ```yaml checks
            id: g
            file:
            {}```
        ",
        files(3000)
    );
    let manual = Manual::new(&page);
    for args in [&["--list"][..], &[]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_opsbook"))
            .arg("-C")
            .arg(manual.root())
            .arg("test")
            .args(args)
            .env("HOME", manual.path("home"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0; 10];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
        assert!(
            matches!(output.status.code(), Some(0 | 141)),
            "{:?}",
            output.status
        );
    }
}

#[test]
fn reports_are_written_and_results_recorded() {
    let manual = Manual::new(THREE);
    let file = |name: &str| manual.path(name).display().to_string();
    let ran = manual.test(&[
        "--report",
        &format!("junit={}", file("j.xml")),
        "--report",
        &format!("tap={}", file("t.tap")),
        "--report",
        &format!("prometheus={}", file("p.prom")),
        "--report",
        "github",
        "--record",
    ]);
    assert_eq!(ran.status, Some(101));
    assert!(
        ran.out
            .contains("::error file=manual/page.md,line=7,title=here%3A%3Ag%3A%3Abad::"),
        "{}",
        ran.out
    );
    let read = |name: &str| fs::read_to_string(manual.path(name)).unwrap();
    assert!(
        read("j.xml")
            .contains("<testsuites name=\"opsbook\" tests=\"3\" failures=\"1\" errors=\"0\"")
    );
    assert!(read("t.tap").starts_with(indoc! {"
                TAP version 13
                1..3
                ok 1 - here::g::good
                not ok 2 - here::g::bad
            "}));
    assert!(
        read("p.prom").contains("opsbook_check_ok{node=\"here\",group=\"g\",check=\"bad\"} 0\n")
    );
    let runs = opsbook::journal::results::runs(&manual.0.state());
    let events = opsbook::journal::results::read(&manual.0.state(), &runs[0]).unwrap();
    assert_eq!((runs.len(), events.len()), (1, 5));
}

#[test]
fn a_secret_is_in_no_output_and_no_report() {
    let page = indoc! {r#"
        # Page

        ```sh check id=g.a
        echo "it is $token"
        false
        ```
    "#};
    let manual = Manual::new(page)
        .nodes("nodes:\n  here: {transport: local, token: {secret: {file: token}}}\n");
    manual.write("token", "canary-0451\n");
    let report = manual.path("all.jsonl");
    let ran = manual.test(&[
        "--report",
        &format!("json={}", report.display()),
        "--record",
    ]);
    assert_eq!(ran.status, Some(101));
    assert!(ran.out.contains("it is "), "{}", ran.out);
    let found = Command::new("grep")
        .args(["-rl", "canary-0451"])
        .arg(manual.root())
        .output()
        .unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    assert_eq!(found.trim(), manual.path("token").display().to_string());
    assert!(
        !(ran.out + &ran.err).contains("canary"),
        "a secret is printed"
    );
}

#[test]
fn a_secret_that_others_can_read_is_warned_of_once() {
    use std::os::unix::fs::PermissionsExt as _;
    let page = indoc! {r#"
        # Page

        ```sh check id=g.a
        test -n "$token"
        ```

        ```sh check id=g.b
        test -n "$token"
        ```
    "#};
    let manual = Manual::new(page)
        .nodes("nodes:\n  here: {transport: local, token: {secret: {file: token}}}\n");
    manual.write("token", "canary-0452\n");
    let of_mode = |mode| {
        fs::set_permissions(manual.path("token"), fs::Permissions::from_mode(mode)).unwrap();
        let ran = manual.test(&[]);
        assert_eq!(ran.status, Some(0), "{}{}", ran.out, ran.err);
        ran.err
    };
    let said = of_mode(0o644);
    assert!(
        said.starts_with("warning: ") && said.contains("token"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!(of_mode(0o600), "");
}

const RELEASE: &str = indoc! {r#"
    # Page

    ## Release

    ```yaml procedure
    id: site.release
    nodes: box
    ```

    ```sh step id=touch
    touch "$HOME/released"
    ```

    ```text manual
    Look at it.
    ```

    ```sh check id=there
    test -e "$HOME/STATE"
    ```

    ## Checks

    ```sh check id=g.a
    test ! -e "$HOME/released"
    ```
"#};

#[test]
fn procedures_are_rehearsed_where_that_is_allowed_and_wanted() {
    let page = RELEASE.replace("STATE", "released");
    let nodes = "nodes:\n  box: {transport: local, rehearse: true}\n";
    let manual = Manual::new(&page).nodes(nodes);
    let ran = manual.test(&[]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.out, ran.err);
    let line = "test [box] box::site.release::run ... ignored (a procedure: it changes the node)";
    assert!(ran.out.contains(line), "{}", ran.out);
    assert!(!manual.path("home/released").exists());
    let ran = manual.test(&["--include-ignored"]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.out, ran.err);
    assert!(
        ran.out.contains("box::site.release::run ... ok"),
        "{}",
        ran.out
    );
    assert!(manual.path("home/released").exists());
    assert_eq!(opsbook::journal::runs(&manual.0.state()).len(), 1);
    let not_here = Manual::new(&page).nodes("nodes:\n  box: {transport: local}\n");
    assert!(!not_here.test(&["--list"]).out.contains("release"));
}

#[test]
fn a_rehearsed_procedure_takes_the_arguments_that_it_knows() {
    let page = indoc! {r#"
        # Page

        ## One

        ```yaml procedure
        id: one
        params: {version: {required: true}}
        ```

        ```sh step
        test "$version" = 2
        ```

        ## Two

        ```yaml procedure
        id: two
        ```

        ```sh step
        true
        ```
    "#};
    let manual = Manual::new(page).nodes("nodes:\n  box: {transport: local, rehearse: true}\n");
    let ran = manual.test(&["--ignored", "--set", "version=2"]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("2 passed"), "{}", ran.out);
    let ran = manual.test(&["--ignored", "--set", "version=2", "--set", "vresion=2"]);
    assert_eq!((ran.status, ran.out.as_str()), (Some(2), ""));
    let said = "error: `--set vresion=…`: no rehearsed procedure has this parameter\n";
    assert!(ran.err.starts_with(said), "{}", ran.err);
}

#[test]
fn a_rehearsal_that_fails_says_where_to_look() {
    let page = RELEASE.replace("STATE", "nope");
    let manual = Manual::new(&page).nodes("nodes:\n  box: {transport: local, rehearse: true}\n");
    let ran = manual.test(&["--ignored"]);
    assert_eq!(ran.status, Some(101), "{}{}", ran.out, ran.err);
    let run = &opsbook::journal::runs(&manual.0.state())[0];
    assert!(
        ran.out
            .contains(&format!("look with       opsbook log {run}")),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("found           FAILED: "), "{}", ran.out);
}
