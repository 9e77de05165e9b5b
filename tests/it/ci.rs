//! `opsbook test` in CI: reports, changes since the last record, an end in any case, and options
//! from the environment.

use indoc::indoc;
use opsbook::event::What;
use opsbook::journal::results;

use crate::project::Project;

/// Two checks, each of which holds if a file with its name exists.
const TWO: &str = indoc! {r#"
    # Page

    ```sh check id=g.one
    test -e "$root/one"
    ```

    ```sh check id=g.two
    test -e "$root/two"
    ```
"#};

fn two() -> Project {
    let project = Project::new(TWO);
    let root = project.root().display().to_string();
    project.nodes(&format!("  here: {{transport: local, root: {root}}}\n"));
    project
}

fn read(project: &Project, file: &str) -> String {
    std::fs::read_to_string(project.path(file)).unwrap()
}

/// The attributes of a test case in JUnit.
fn case(xml: &str, name: &str) -> String {
    let begin = format!("<testcase name=\"{name}\"");
    let line = xml.lines().find(|line| line.contains(&begin));
    line.unwrap_or_else(|| panic!("no {name} in {xml}"))
        .to_owned()
}

fn seconds(case: &str) -> f64 {
    let (_, time) = case.split_once(" time=\"").unwrap();
    time.split_once('"').unwrap().0.parse().unwrap()
}

#[test]
fn junit_has_the_place_of_a_case_as_ci_knows_it() {
    let project = two();
    let report = ["test", "--report", "junit=j.xml", "--report", "xunit=x.xml"];
    project.opsbook(&report).ends(101);
    let place = r#" file="manual/page.md" line="3""#;
    assert!(case(&read(&project, "j.xml"), "g::one").contains(place));
    assert!(!read(&project, "x.xml").contains(" file="));
    // The manual is a folder of a checkout, found by CI variables or by `.git`.
    let top = project.root();
    let top = top.parent().unwrap().to_str().unwrap();
    let in_ci = project.opsbook(&report).env("CI_PROJECT_DIR", top);
    in_ci.ends(101);
    let name = project.root();
    let name = name.file_name().unwrap().to_str().unwrap();
    let below = format!(r#" file="{name}/manual/page.md" line="3""#);
    assert!(case(&read(&project, "j.xml"), "g::one").contains(&below));
    std::fs::create_dir(project.path(".git")).unwrap();
    project.opsbook(&report).ends(101);
    assert!(case(&read(&project, "j.xml"), "g::one").contains(place));
}

/// One script evaluates them all.
#[test]
fn each_case_of_a_batch_has_the_time_that_it_took() {
    let project = Project::new(indoc! {"
        # Page

        ```yaml checks
        id: g
        nap:
          a: {done: true}
          slow: {done: true}
          z: {done: true}
        ```
    "});
    project.write(
        "checks/nap.sh",
        indoc! {r#"
            # nap: how long it sleeps
            #
            #: key name text -- `slow` takes a second
            #: fact done bool = true -- it is awake again
            case $arg_name in slow) sleep 1 ;; esac
            fact done true
        "#},
    );
    project
        .opsbook(&["test", "--report", "junit=j.xml"])
        .ends(0);
    let xml = read(&project, "j.xml");
    let time = |name: &str| seconds(&case(&xml, &format!("g::nap/{name}")));
    assert!(time("slow") >= 0.99, "{xml}");
    assert!(time("a") < 0.7 && time("z") < 0.7, "{xml}");
}

#[test]
fn what_is_new_since_the_last_record_is_one_line() {
    let project = two();
    project.write("one", "");
    let test = |more: &[&str], status: i32| {
        let said = project.opsbook(&[&["test"], more].concat()).ends(status);
        let lines = said.err.lines().filter(|line| line.starts_with("since "));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let nothing: [&str; 0] = [];
    // Nothing is recorded yet.
    assert_eq!(test(&["--record"], 101), nothing);
    assert_eq!(test(&[], 101), ["since the last record: 1 as before"]);
    project.write("two", "");
    std::fs::remove_file(project.path("one")).unwrap();
    let changed = "since the last record: 1 new failure (here::g::one); 1 fixed (here::g::two)";
    assert_eq!(test(&["--report", "summary=s.md"], 101), [changed]);
    assert!(read(&project, "s.md").contains("1 new failure"));
    // Unrecorded tests change nothing; a record of one test keeps the others.
    assert_eq!(test(&["--record", "g::two"], 0).len(), 1);
    assert_eq!(
        test(&[], 101),
        ["since the last record: 1 new failure (here::g::one)"]
    );
    project.write("one", "");
    assert_eq!(test(&["--record"], 0), nothing);
    assert_eq!(test(&[], 0), nothing);
}

#[test]
fn after_the_time_limit_what_has_no_answer_could_not_look() {
    let project = Project::new(indoc! {"
        # Page

        ```sh check id=g.quick
        true
        ```

        ```sh check id=g.stuck timeout=10m
        sleep 600
        ```
    "});
    project.nodes("  a: {transport: local}\n  b: {transport: local}\n");
    let said = project
        .opsbook(&["test", "--parallel", "1", "--time-limit", "3s", "--record"])
        .ends(3);
    // Only one of the two nodes is used at a time.
    let count = |text: &str| said.out.matches(text).count();
    assert_eq!(
        (count("::g::quick ... ok"), count("COULD NOT LOOK")),
        (1, 3),
        "{}",
        said.out
    );
    let why = ": the time limit of the suite (3s) passed before there was an answer\n";
    assert_eq!(
        (count(why), count("    2 tests on ")),
        (2, 1),
        "{}",
        said.out
    );
    let runs = results::runs(&project.state());
    let events = results::read(&project.state(), &runs[0]).unwrap();
    let Some(What::SuiteEnded {
        passed,
        failed,
        errors,
        ignored,
        ..
    }) = events.last().map(|event| &event.what)
    else {
        panic!("{events:?}");
    };
    assert_eq!((*passed, *failed, *errors, *ignored), (1, 0, 3, 0));
}

/// A procedure must not be left half done.
#[test]
fn a_procedure_under_way_outlives_the_time_limit() {
    let project = Project::new(indoc! {r#"
        # First

        ```yaml procedure
        id: first
        ```

        ```sh step
        sleep 3
        ```

        ```sh step
        touch "$mark"
        ```

        # Second

        ```yaml procedure
        id: second
        ```

        ```sh step
        touch "$mark.second"
        ```
    "#});
    let mark = project.path("mark").display().to_string();
    project.nodes(&format!(
        "  a: {{transport: local, rehearse: true, mark: {mark}, bundle_dir: {mark}.bundle}}\n"
    ));
    let limited = ["test", "--include-ignored", "--time-limit", "2s"];
    let said = project.opsbook(&limited).ends(3);
    said.has("test [a] a::first::run  ... ok\n")
        .has("test [a] a::second::run ... COULD NOT LOOK\n");
    let left = |name: &str| project.path(name).exists();
    assert_eq!(
        (left("mark"), left("mark.second"), left("mark.bundle")),
        (true, false, false)
    );
}

#[test]
fn options_for_ci_are_taken_from_the_environment() {
    let project = two();
    project.write("one", "");
    project.write("two", "");
    let root = project.root().display().to_string();
    let names = |call: crate::project::Call<'_>| call.ends(0).out;
    let list = ["test", "--list", "--format", "terse"];
    assert_eq!(names(project.opsbook(&list)).lines().count(), 2);
    project.nodes(&format!(
        "  here: {{transport: local, root: {root}}}\n  there: {{transport: local, root: {root}}}\n"
    ));
    let one = project.opsbook(&list).env("OPSBOOK_TEST_NODES", "there");
    assert!(names(one).lines().all(|line| line.starts_with("[there]")));
    // The command line has priority.
    let both = [&list[..], &["--nodes", "here"]].concat();
    let here = project.opsbook(&both).env("OPSBOOK_TEST_NODES", "there");
    assert!(names(here).lines().all(|line| line.starts_with("[here]")));
    let record = project
        .opsbook(&["test"])
        .env("OPSBOOK_TEST_RECORD", "true");
    record.ends(0);
    assert_eq!(results::runs(&project.state()).len(), 1);
    let late = project
        .opsbook(&["test"])
        .env("OPSBOOK_TEST_TIME_LIMIT", "0s");
    late.ends(3).has("the time limit of the suite (0s) passed");
    let file = project.path("password").display().to_string();
    let secret = project
        .opsbook(&["test"])
        .env("OPSBOOK_SUDO_PASSWORD_FILE", &file);
    secret.ends(2).has("password");
    let wrong = project
        .opsbook(&["test"])
        .env("OPSBOOK_TEST_RETRIES", "many");
    wrong
        .ends(2)
        .has("invalid value 'many' for '--retries <N>'");
    // The help names the variables, and shows none of their values.
    let help = project
        .opsbook(&["test", "--help"])
        .env("OPSBOOK_SUDO_PASSWORD_FILE", &file);
    help.ends(0)
        .has("[env: OPSBOOK_SUDO_PASSWORD_FILE]")
        .lacks(&file);
}
