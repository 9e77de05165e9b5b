//! Runs over several nodes, all local: rehearsals, files copied between nodes, a node that is left
//! out.

use std::fs;

use indoc::indoc;

use crate::project::Project;

/// The primary is the node with a file `primary`.
const SWITCH: &str = indoc! {r#"
    # Switch

    ```yaml procedure
    id: db.switch
    roles:
      old: {nodes: "@db", needs: [db.primary]}
      new: {nodes: "@db"}
    ```

    Take it from the **old** one:

    ```sh step id=take on=old capture=mark
    rm "$dir/primary"
    echo "by $old"
    ```

    Give it to the **new** one:

    ```sh step id=give on=new
    echo "$mark" >"$dir/primary"
    ```

    ## States

    ```yaml checks
    id: db.primary
    state: true
    ```
    ```sh check id=db.primary.is
    test -e "$dir/primary"
    ```
"#};

/// Three machines, `a` to `c`, each with a folder of its own; `a` is the primary.
fn machines(page: &str, more: &str) -> Project {
    let project = Project::new(page);
    let mut text = "opsbook: 1\ngroups: {db: {}}\nnodes:\n".to_owned();
    for name in ["a", "b", "c"] {
        let dir = project.path("n").join(name);
        fs::create_dir_all(&dir).unwrap();
        let dir = dir.display();
        let rehearse = name != "c";
        text += &format!(
            "  {name}: {{transport: local, bundle_dir: {dir}/bundle, groups: [db], dir: {dir}, rehearse: {rehearse}}}\n"
        );
    }
    project.write("nodes.yaml", &(text + more));
    fs::write(project.path("n/a/primary"), "").unwrap();
    project
}

fn primary(project: &Project) -> Vec<&'static str> {
    let names = ["a", "b", "c"].into_iter();
    let is = |name: &&str| project.path("n").join(name).join("primary").exists();
    names.filter(is).collect()
}

const ALL: [&str; 2] = ["test", "--include-ignored"];

#[test]
fn a_procedure_over_several_machines_is_rehearsed_there_and_back() {
    let there_and_back = "rehearsals:\n  db.switch: [{old: a, new: b}, {old: b, new: a}]\n";
    let project = machines(SWITCH, there_and_back);
    project.opsbook(&["lint"]).ends(0);
    let said = project.opsbook(&["test"]).ends(0);
    assert!(said.out.contains("5 ignored"), "{}", said.out);
    assert_eq!(primary(&project), ["a"]);
    let said = project.opsbook(&ALL).ends(0);
    assert!(said.out.contains("a::db.switch::run "), "{}", said.out);
    assert!(said.out.contains("b::db.switch::run.2 "), "{}", said.out);
    assert!(said.out.contains("2 passed"), "{}", said.out);
    let mark = fs::read_to_string(project.path("n/a/primary")).unwrap();
    assert_eq!(mark, "by b\n");
    // One of its nodes is not asked: it is none of this suite's.
    let some = [&ALL[..], &["--nodes", "a"]].concat();
    let said = project.opsbook(&some).ends(2);
    assert!(said.err.contains("no test is selected"), "{}", said.err);
}

#[test]
fn a_rehearsal_that_cannot_be_run_says_why_and_passes_for_nothing() {
    for (rehearsals, why) in [
        (
            "[{old: a, new: c}]",
            "`c` is bound, but does not have `rehearse: true`",
        ),
        ("[{old: a}]", "`db.switch` needs the role `new`"),
        ("[{old: a, new: nope}]", "unknown node `nope`"),
        ("[{old: [{}], new: b}]", "`db.switch` needs the role `old`"),
        ("[nonsense]", "`db.switch` needs the role `old`"),
        ("nonsense", "`db.switch` needs the role `old`"),
    ] {
        let project = machines(SWITCH, &format!("rehearsals:\n  db.switch: {rehearsals}\n"));
        let said = project.opsbook(&ALL).said();
        assert_eq!(said.status, 3, "{rehearsals}: {said:?}");
        assert!(said.out.contains(why), "{rehearsals}: {said:?}");
        assert!(
            said.out.contains("could not look: 1 test"),
            "{rehearsals}: {said:?}"
        );
        assert_eq!(primary(&project), ["a"], "{rehearsals}");
    }
    // What is wrong with a rehearsal keeps nobody from working.
    let project = machines(SWITCH, "rehearsals:\n  db.switch: nonsense\n");
    let said = project.opsbook(&["lint"]).ends(2);
    assert!(
        said.out.contains("expected a list of rehearsals"),
        "{}",
        said.out
    );
    project
        .opsbook(&["run", "db.switch", "old=a", "new=b", "--yes"])
        .ends(0);
    let project = machines(SWITCH, "");
    let said = project.opsbook(&["test"]).ends(0);
    let why = "its roles are not bound by `rehearsals` in `nodes.yaml`";
    assert!(said.out.contains(why), "{}", said.out);
    project.write("nodes.yaml", "opsbook: 1\nrehearsals: {db.swich: []}\n");
    let said = project.opsbook(&["lint"]).ends(2);
    let why = "`db.swich` cannot be rehearsed by `rehearsals`: there is no such procedure";
    assert!(said.out.contains(why), "{}", said.out);
}

const COPY: &str = indoc! {r#"
    # Copy

    ```yaml procedure
    id: copy
    roles:
      from: {nodes: "@db"}
      to: {nodes: "@db"}
    params:
      what: {default: blob}
    ```

    Make it on **from**:

    ```sh step id=make on=from capture=sum
    head -c 300000 /dev/urandom >"$bundle/blob"
    echo secret >"$dir/outside"
    ln -s "$dir/outside" "$bundle/link"
    mkdir "$bundle/folder"
    cksum <"$bundle/blob"
    ```

    Deliver it **to** the other one:

    ```yaml deliver on=to
    - {from: from, path: "${what}", as: got}
    ```

    See that it is the same on **to**:

    ```sh step id=see on=to
    test "$(cksum <"$bundle/got")" = "$sum"
    ```
"#};

#[test]
fn a_file_goes_from_one_machine_to_another_and_nothing_else_does() {
    let project = machines(COPY, "");
    let run = ["run", "copy", "from=a", "to=b", "--yes"];
    let said = project.opsbook(&run).ends(0);
    assert!(
        said.out.contains("delivered got 300000 bytes"),
        "{}",
        said.out
    );
    for (what, why) in [
        ("link", "it is not a regular file"),
        ("folder", "it is not a regular file"),
        ("none", "it is not a regular file"),
        ("../outside", "it is not a name inside the bundle"),
    ] {
        let project = machines(COPY, "");
        let set = format!("what={what}");
        let said = project
            .opsbook(&[&run[..], &["--set", &set]].concat())
            .said();
        assert_ne!(said.status, 0, "{what}: {said:?}");
        assert!(
            said.out.contains(why) || said.err.contains("inside the bundle"),
            "{what}: {said:?}"
        );
        assert!(!project.path("n/b/bundle/got").exists(), "{what}");
    }
}

const THREE: &str = indoc! {r#"
    # Three

    ```yaml procedure
    id: three
    roles:
      one: {nodes: "@db"}
      two: {nodes: "@db"}
    ```

    ```sh step id=first on=one
    true
    ```

    ```sh step id=second on=two
    test -e "$dir/repaired"
    ```
"#};

#[test]
fn a_machine_on_which_nothing_is_left_can_be_left_out() {
    let project = machines(THREE, "");
    project
        .opsbook(&["run", "three", "one=a", "two=b", "--yes"])
        .ends(1);
    let nodes = fs::read_to_string(project.path("nodes.yaml")).unwrap();
    let dead = nodes.replace(
        "a: {transport: local,",
        "a: {address: 127.66.250.1, port: 9,",
    );
    project.write("nodes.yaml", &dead);
    fs::write(project.path("n/b/repaired"), "").unwrap();
    let said = project.opsbook(&["resume", "--yes"]).ends(3);
    assert!(said.out.contains("a (one): ERROR"), "{}", said.out);
    let said = project
        .opsbook(&["resume", "--without", "b", "--yes"])
        .ends(2);
    assert!(
        said.err.contains("step `second` is left to do there"),
        "{}",
        said.err
    );
    let said = project
        .opsbook(&["resume", "--without", "c", "--yes"])
        .ends(2);
    assert!(said.err.contains("this run has no machine"), "{}", said.err);
    let said = project
        .opsbook(&["resume", "--without", "a", "--yes"])
        .ends(0);
    assert!(
        said.out
            .contains("`a` is left out: the lock of this run stays there"),
        "{}",
        said.out
    );
    assert!(said.out.contains("b (two): 2 OK"), "{}", said.out);
    assert!(project.path("n/a/bundle").exists());
    assert!(!project.path("n/b/bundle").exists());
}
