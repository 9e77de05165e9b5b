//! Procedures with roles, from the page to the plan: each error is reported with its place and one
//! hint, and without follow-up errors.

use indoc::indoc;
use regex::Regex;

use crate::project::Project;

const NODES: &str = r#"opsbook: 1
groups:
  db: {site: s, pg: {port: 5432}, note: "two words", key: {secret: {env: KEY}}}
  web: {site: s, app: /srv}
nodes:
  db1: {groups: [db]}
  db2: {groups: [db], extra: x}
  web1: {groups: [web]}
  web2: {groups: [web]}
  other: {site: t}
"#;

const HEAD: &str = r#"# P

```yaml procedure
id: p
roles:
  old: {nodes: "@db", needs: [up], help: "the old one"}
  new: {nodes: "@db", help: "the new one"}
  web: {nodes: "@web", count: 1+}
  any: {nodes: "@web", count: 0+}
same: [site]
params:
  version: {default: "1"}
```
"#;

const STEP: &str = r#"```sh step id=a on=old capture=lsn
echo "$new $web $any"
```
"#;

const GROUP: &str = r#"
# G

```yaml checks
id: up
nodes: "@db"
state: true
```
```sh check id=up.x
true
```
"#;

/// The contract of the page's procedure.
enum Contract {
    /// That of `HEAD`.
    Roles,
    /// The text after its `id`.
    Own(&'static str),
}

/// The contract; other replaced text; the blocks after the contract; the problems.
type Row = (
    Contract,
    &'static [(&'static str, &'static str)],
    &'static str,
    &'static str,
);

#[test]
fn each_mistake_is_told_with_its_place_and_one_hint() {
    for (contract, changes, blocks, expected) in MISTAKES {
        let project = project(contract, changes, blocks);
        let status = i32::from(expected.contains(" error: ")) * 2;
        let said = project.opsbook(&["lint"]).ends(status);
        let found = problems(&format!("{}\n{}", said.out, said.err));
        assert_eq!(found, *expected, "{blocks}");
    }
}

#[test]
fn all_that_is_wrong_with_the_words_is_told_at_once() {
    let project = project(&Contract::Roles, &[], SECTION);
    let db3 = "  db3: {groups: [db], site: else}\n";
    project.write("nodes.yaml", &format!("{NODES}{db3}"));
    for (words, expected) in WORDS {
        let words = words.split_whitespace();
        let call: Vec<&str> = ["run", "p", "--dry-run"].into_iter().chain(words).collect();
        let said = project.opsbook(&call).ends(2);
        assert_eq!(said.out, "");
        assert_eq!(problems(&said.err), *expected, "{call:?}");
    }
}

#[test]
fn a_state_is_asked_by_its_full_name_only() {
    let project = Project::new(indoc! {"
            # P

            ```yaml checks
            id: db.primary
            nodes: here
            state: true
            ```
            ```sh check id=db.primary.role
            false
            ```
"});
    let ignored = "...\ntest [here] here::db.primary::role ... ignored (a state: it is evaluated where a role needs it)\n...\n";
    project.opsbook(&["test"]).out(ignored).check();
    for (words, status) in [
        (&["--include-ignored"][..], 2),
        (&["db.primary"], 101),
        (&["db.primary::role"], 101),
        (&["here::db.primary::role", "--include-ignored"], 101),
    ] {
        let call: Vec<&str> = ["test"].iter().chain(words).copied().collect();
        project.opsbook(&call).ends(status);
    }
}

#[test]
fn the_card_and_the_list_say_the_roles() {
    let project = project(&Contract::Roles, &[], SECTION);
    let card = project.opsbook(&["show", "p"]).ends(0);
    card.has("old  one of @db, where up holds  the old one")
        .has("any  any number of @web")
        .has("for each web: one at a time")
        .has("(on old, its output becomes $lsn)")
        .has("opsbook run p old=NODE new=NODE web=NODE");
    let list = project.opsbook(&["list"]).ends(0);
    list.has("P (old=NODE new=NODE web=NODE)");
}

#[test]
fn what_is_made_here_or_captured_reaches_the_other_machine() {
    let project = Project::new(indoc! {r#"
            # P

            ```yaml procedure
            id: p
            roles:
              old: {nodes: a}
              new: {nodes: b}
            ```
            ```sh check on=new
            [ "$old_colour" = red ]
            ```
            ```sh step on=local
            echo made >made.txt
            ```
            ```sh step on=old capture=told
            kept=1
            echo "$colour of $old"
            ```
            ```yaml deliver on=new
            file: made.txt
            ```
            ```ini file on=new as=all.txt
            {{ told }} {{ old_colour }} {{ new }}
            ```
            ```sh step on=new
            cat "$bundle/made.txt" "$bundle/all.txt" >"$out"
            ```
"#});
    let node = |name: &str, colour: &str| {
        let dir = project.path(name).display().to_string();
        format!(
            "  {name}: {{transport: local, bundle_dir: {dir}, colour: {colour}, out: {dir}.txt}}\n"
        )
    };
    project.nodes(&(node("a", "red") + &node("b", "blue")));
    project.opsbook(&["lint"]).ends(0);
    project
        .opsbook(&["run", "p", "old=a", "new=b", "--yes"])
        .ends(0);
    let out = std::fs::read_to_string(project.path("b.txt")).unwrap();
    assert_eq!(out, "made\nred of a red b\n");
    project.opsbook(&["history"]).ends(0).has("  new=b old=a  ");
    let line = project.opsbook(&["history", "--json"]).ends(0).out.clone();
    assert!(
        line.contains(r#""roles":{"new":["b"],"old":["a"]}"#),
        "{line}"
    );
}

fn project(contract: &Contract, changes: &[(&str, &str)], blocks: &str) -> Project {
    let head = match contract {
        Contract::Roles => HEAD.to_owned(),
        Contract::Own(more) => format!("# P\n\n```yaml procedure\nid: p\n{more}```\n"),
    };
    let blocks = blocks.replace("$STEP", STEP.trim_end());
    let mut page = format!("{head}\n{blocks}\n{GROUP}");
    let mut nodes = NODES.to_owned();
    for (from, to) in changes {
        assert!(page.contains(from) || nodes.contains(from), "{from}");
        page = page.replacen(from, to, 1);
        nodes = nodes.replacen(from, to, 1);
    }
    let project = Project::new(&page);
    project.write("nodes.yaml", &nodes);
    project
}

/// Each problem as `place severity: message`, then its other places and its hint.
fn problems(text: &str) -> String {
    let place = Regex::new(r"^(?:manual/)?(\S+|command line):(\d+:\d+): (.*)$").unwrap();
    let lines = text.lines().filter_map(|line| {
        if line.starts_with("hint: ") {
            return Some(format!("  {line}"));
        }
        if line.starts_with("error: ") {
            return Some(line.to_owned());
        }
        let found = place.captures(line)?;
        let (file, at, rest) = (&found[1], &found[2], &found[3]);
        let first = rest.starts_with("error: ") || rest.starts_with("warning: ");
        let margin = if first { "" } else { "  " };
        Some(format!("{margin}{file}:{at} {rest}"))
    });
    lines.collect::<Vec<_>>().join("\n")
}

const SECTION: &str = r#"$STEP

## For each web node

```yaml each
web:
```

```sh step id=t on=web
echo "$version $lsn"
```"#;

/// The words after the procedure, and the expected problems.
const WORDS: &[(&str, &str)] = &[
    (
        "",
        indoc! {"
            page.md:6:3 error: `p` needs the role `old`: the old one
              hint: give it as `old=NODE`; it may be db1, db2, db3
            page.md:7:3 error: `p` needs the role `new`: the new one
              hint: give it as `new=NODE`; it may be db1, db2, db3
            page.md:8:3 error: `p` needs the role `web`
              hint: give it as `web=NODE`; it may be web1, web2"},
    ),
    (
        "old=db1",
        indoc! {"
            page.md:7:3 error: `p` needs the role `new`: the new one
              hint: give it as `new=NODE`; it may be db1, db2, db3
            page.md:8:3 error: `p` needs the role `web`
              hint: give it as `web=NODE`; it may be web1, web2"},
    ),
    (
        "db1 new=db2",
        indoc! {"
            command line:1:15 error: `db1` is bound to no role
              hint: `p` takes old=NODE (the old one), new=NODE (the new one), web=NODES, any=NODES (or none)"},
    ),
    (
        "odl=db1 old=db1 new=db2 web=web1",
        indoc! {"
            command line:1:15 error: `p` has no role `odl`
              hint: did you mean `old`?"},
    ),
    (
        "old=db1 old=db2 new=db3 web=web1",
        indoc! {"
            command line:1:23 error: `old` is bound twice
              command line:1:19 it is bound here
              hint: it is one node
            page.md:10:8 error: `site` differs between nodes: `s` on db1 (old), web1 (web); `else` on db3 (new)
              hint: these nodes do not belong together"},
    ),
    (
        "old=@db new=other web=web1",
        indoc! {"
            command line:1:19 error: `old` takes one node, but got 3: db1, db2, db3
              hint: name one of them
            command line:1:27 error: `other` may not be bound to `new`
              hint: it may be db1, db2, db3"},
    ),
    (
        "old=db1 new=db1 web=@web any=web2",
        indoc! {"
            command line:1:27 error: `db1` is bound to `old` and to `new`
              command line:1:19 `old` is bound here
              hint: a machine has only one role in a run
            command line:1:44 error: `web2` is bound to `web` and to `any`
              command line:1:35 `web` is bound here
              hint: a machine has only one role in a run"},
    ),
    (
        "old= new=nope web=* any=",
        indoc! {"
            command line:1:19 error: `old=` names no node
              hint: it may be db1, db2, db3
            command line:1:24 error: unknown node `nope`
              hint: the nodes are `db1`, `db2`, `web1`, `web2`, `other`, `db3`
            command line:1:33 error: `db1`, `db2`, `other`, `db3` may not be bound to `web`
              hint: it may be web1, web2
            command line:1:39 error: `any=` names no node
              hint: omit the argument if there is none"},
    ),
    (
        "version=2 old=db1 new=db2 web=web1",
        indoc! {"
            command line:1:15 error: `p` has no role `version`
              hint: it is a parameter: use `--set version=…`"},
    ),
    (
        "old=db1 new=db3 web=@web",
        indoc! {"
            page.md:10:8 error: `site` differs between nodes: `s` on db1 (old), web1 (web), web2 (web); `else` on db3 (new)
              hint: these nodes do not belong together"},
    ),
    (
        "old=db1 new=db2 web=web1 --set site=x --set old=db2 --set vresion=1",
        indoc! {"
            error: `--set site=…`: `p` has no such parameter or captured value
              hint: values of nodes differ by machine: change them in `nodes.yaml`
            error: `--set old=…`: `p` has no such parameter or captured value
              hint: to bind a role, write `old=NODE`
            error: `--set vresion=…`: `p` has no such parameter or captured value
              hint: did you mean `version`?"},
    ),
];

const MISTAKES: &[Row] = &[
    // unknown role
    (
        Contract::Roles,
        &[],
        indoc! {"
            $STEP

            ```sh step on=odl
            true
            ```"},
        indoc! {"
            page.md:19:15 error: `p` has no role `odl`
              hint: did you mean `old`?"},
    ),
    // no on
    (
        Contract::Roles,
        &[],
        indoc! {"
            $STEP

            ```sh step id=b
            true
            ```"},
        indoc! {"
            page.md:19:7 error: this `step` does not say where it runs
              hint: write `on=old`, `on=new`, `on=all:web`, `on=all:any` or `on=local`"},
    ),
    // on node
    (
        Contract::Roles,
        &[],
        indoc! {"
            $STEP

            ```sh step id=b on=node
            true
            ```"},
        indoc! {"
            page.md:19:20 error: `on=node` is ambiguous in a procedure with roles
              hint: write `on=old`, `on=new`, `on=all:web`, `on=all:any` or `on=local`"},
    ),
    // several outside
    (
        Contract::Roles,
        &[],
        indoc! {"
            $STEP

            ```sh step on=web
            true
            ```"},
        indoc! {"
            page.md:19:15 error: `web` may be several nodes
              hint: `on=all:web` means all of them in parallel; a section with `yaml each` takes one after the other"},
    ),
    // capture all
    (
        Contract::Roles,
        &[],
        indoc! {"
            $STEP

            ```sh step on=all:web capture=x
            true
            ```"},
        indoc! {"
            page.md:19:15 error: `capture=x` with `on=all:web`: each node prints its own
              hint: capture it on one machine, or in a section"},
    ),
    // always
    (
        Contract::Roles,
        &[],
        indoc! {"
            $STEP

            ```sh check on=new always
            true
            ```"},
        indoc! {"
            page.md:19:20 error: `always` has no effect in a procedure with roles
              hint: write a check that must always hold in a group of checks, which names its nodes"},
    ),
    // role captured
    (
        Contract::Roles,
        &[],
        indoc! {"
            $STEP

            ```sh step on=old capture=new
            true
            ```"},
        indoc! {"
            page.md:19:7 error: `new` is a role, and cannot also be captured
              page.md:7:3 the role"},
    ),
    // deliver local
    (
        Contract::Roles,
        &[],
        indoc! {"
            $STEP

            ```yaml deliver on=local
            file: book.toml
            ```"},
        indoc! {"
            page.md:19:20 error: a delivery goes to a machine of the run
              hint: write `on=old`, `on=new`, `on=all:web`, `on=all:any` or `on=local`"},
    ),
    // each of one
    (
        Contract::Roles,
        &[],
        indoc! {"
            $STEP

            ## E

            ```yaml each
            old:
            ```

            ```sh step on=old
            true
            ```"},
        indoc! {"
            page.md:22:1 error: `old` is one node: there is nothing to repeat
              hint: a role for several nodes has `count: 1+` or `0+`"},
    ),
    // each unknown
    (
        Contract::Roles,
        &[],
        indoc! {"
            $STEP

            ## E

            ```yaml each
            wbe: {batch: 2}
            ```

            ```sh step on=old
            true
            ```"},
        indoc! {"
            page.md:22:1 error: `p` has no role `wbe`
              hint: did you mean `web`?"},
    ),
    // each keys
    (
        Contract::Roles,
        &[],
        indoc! {r#"
            $STEP

            ## E

            ```yaml each
            web: {batch: "0", wait: 5, max-fail: x, wiat: 1s}
            any:
            ```

            ```sh step on=web
            true
            ```"#},
        indoc! {"
            page.md:22:14 error: a batch has at least one node
            page.md:22:25 error: `5` has no unit: `5s`, `5m`, `5h`
            page.md:22:38 error: `x` is not a number of nodes
            page.md:22:41 error: unknown key `wiat` of a section
              hint: did you mean `wait`?
            page.md:23:1 error: a section is for the nodes of one role
              hint: a turn may have steps on the machines of other roles"},
    ),
    // each nested
    (
        Contract::Roles,
        &[],
        indoc! {"
            $STEP

            ## E

            ```yaml each
            web:
            ```

            ```sh step on=web
            true
            ```

            ### F

            ```yaml each
            any:
            ```

            ```sh step on=any
            true
            ```"},
        indoc! {"
            page.md:31:9 error: a section within a section
              page.md:21:9 it begins here
              hint: give each its own heading, of the same level"},
    ),
    // each empty
    (
        Contract::Roles,
        &[],
        indoc! {"
            $STEP

            ## E

            ```yaml each
            web:
            ```

            ## F

            ```sh step on=old
            true
            ```"},
        indoc! {"
            page.md:21:9 error: this section has no steps
              hint: it ends at the next heading of the same or a higher level"},
    ),
    // all in turn
    (
        Contract::Roles,
        &[],
        indoc! {"
            $STEP

            ## E

            ```yaml each
            web:
            ```

            ```sh step on=all:web
            true
            ```"},
        indoc! {"
            page.md:25:15 error: in its section, `web` is the node whose turn it is
              hint: write `on=web`, or move the block out of the section"},
    ),
    // each without roles
    (
        Contract::Own(""),
        &[],
        indoc! {"
            ```sh step id=a
            true
            ```

            ## E

            ```yaml each
            web:
            ```"},
        indoc! {r#"
            page.md:13:9 error: this `each` is outside of any procedure with roles
              hint: the contract names them: `roles: {web: {nodes: "@web"}}`"#},
    ),
    // on role without roles
    (
        Contract::Own(""),
        &[],
        indoc! {"
            ```sh step id=a on=old
            true
            ```

            ```yaml deliver on=node
            file: book.toml
            ```"},
        indoc! {"
            page.md:7:20 error: `on` must be `node` or `local`, not `old`
            page.md:11:17 error: `on` is an attribute of `step`, not of `deliver`"},
    ),
    // nodes and roles
    (
        Contract::Roles,
        &[("same: [site]", "nodes: \"@db\"\nneeds: [up]\nsame: [site]")],
        "$STEP",
        indoc! {"
            page.md:10:1 error: a procedure has `nodes` or `roles`, not both
              page.md:5:1 its roles
              hint: write `nodes` in each role
            page.md:11:1 error: in a procedure with roles, each role has its own `needs`
              hint: write `old: {nodes: …, needs: […]}`"},
    ),
    // same without roles
    (
        Contract::Own("same: [site]\n"),
        &[],
        indoc! {"
            ```sh step id=a
            true
            ```"},
        "page.md:5:1 error: `same` compares the machines of a run, but this procedure has no `roles`",
    ),
    // bad roles
    (
        Contract::Own(
            "roles:\n  node: {nodes: \"@db\"}\n  Old: {nodes: \"@db\"}\n  a_b: {nodes: \"@db\"}\n  x: \"@db\"\n  y: {count: 2, nods: \"@db\"}\n  z: {count: 1+}\n",
        ),
        &[],
        indoc! {"
            ```sh step id=a on=x
            true
            ```"},
        indoc! {"
            page.md:6:3 error: `node` has another meaning, and cannot be the name of a role
            page.md:7:3 error: `Old` is not the name of a role: lower-case letters and digits, a letter first
            page.md:8:3 error: `a_b` is not the name of a role: lower-case letters and digits, a letter first
            page.md:9:6 error: a role cannot be text
              hint: write `x: {nodes: SELECTOR}`
            page.md:10:14 error: `count` must be `1`, `1+` or `0+`, not `2`
            page.md:10:17 error: unknown key `nods` of a role
              hint: did you mean `nodes`?
            page.md:11:3 error: the role `z` has no `nodes`
              hint: write `z: {nodes: SELECTOR}`"},
    ),
    // param is role
    (
        Contract::Roles,
        &[(
            "  version: {default: \"1\"}",
            "  old: {default: \"1\"}\n  version: {default: \"1\"}",
        )],
        "$STEP",
        indoc! {"
            page.md:12:3 error: `old` is both a role and a parameter
              page.md:6:3 the role"},
    ),
    // unused role
    (
        Contract::Roles,
        &[],
        indoc! {r#"
            ```sh step id=a on=old capture=lsn
            echo "$new $web"
            ```"#},
        "page.md:9:3 warning: no block of `p` names the role `any` [unused-role]",
    ),
    // prose
    (
        Contract::Roles,
        &[],
        indoc! {"
            $STEP

            On the new machine, stop it:

            ```sh step on=old
            true
            ```"},
        indoc! {"
            page.md:21:7 warning: the sentence before this block says `new`, and it runs on `old` [prose-names-other-role]
              hint: write `old` in it: many readers see nothing else"},
    ),
    // heading
    (
        Contract::Roles,
        &[],
        indoc! {"
            $STEP

            ## On the new one

            ```sh step on=old
            true
            ```"},
        indoc! {"
            page.md:21:7 warning: the heading before this block says `new`, and it runs on `old` [prose-names-other-role]
              hint: write `old` in it: many readers see nothing else"},
    ),
    // hides
    (
        Contract::Roles,
        &[
            (
                "  new: {nodes: \"@db\", help: \"the new one\"}",
                "  new: {nodes: \"@db\", help: \"x\"}",
            ),
            (
                "  db: {site: s, pg: {port: 5432}, note: \"two words\", key: {secret: {env: KEY}}}",
                "  db: {site: s, new_site: t, pg: {port: 5432}, note: \"two words\", key: {secret: {env: KEY}}}",
            ),
        ],
        indoc! {r#"
            $STEP

            ```sh step on=old
            echo "$new_site"
            ```"#},
        indoc! {"
            nodes.yaml:3:27 error: `new_site` is a value of both this machine and `new`
              page.md:20:8 used here
              hint: rename the role or the value"},
    ),
    // capture hides
    (
        Contract::Roles,
        &[],
        indoc! {r#"
            $STEP

            ```sh step on=old capture=new_site
            true
            ```

            ```sh step on=old
            echo "$new_site"
            ```"#},
        indoc! {"
            page.md:24:8 error: `new_site` is both captured and a value of `new`
              hint: capture it under another name"},
    ),
    // set elsewhere
    (
        Contract::Roles,
        &[],
        indoc! {r#"
            ```sh step id=s on=old
            x=1
            ```

            $STEP

            ```sh step on=new
            echo "$x"
            ```"#},
        indoc! {"
            page.md:24:8 error: `x` is set on `old` by step 1 s, but this runs on `new`
              hint: use `capture=x` on a step that prints it"},
    ),
    // set here
    (
        Contract::Roles,
        &[],
        indoc! {r#"
            ```sh step id=s on=local
            x=1
            ```

            $STEP

            ```sh step on=new
            echo "$x"
            ```"#},
        indoc! {"
            page.md:24:8 error: `x` is set on your own machine by step 1 s, but this runs on `new`
              hint: use `capture=x` on a step that prints it"},
    ),
    // no value
    (
        Contract::Roles,
        &[],
        indoc! {r#"
            $STEP

            ```sh step on=new
            echo "$old_site $old_extra $old_nope $nope"
            ```"#},
        indoc! {"
            page.md:20:18 error: `old_extra` is not defined: `old` has no value `extra` for node `db1` [undefined-variable]
              hint: did you mean `new_extra`?
            page.md:20:29 error: `old_nope` is not defined: `old` has no value `nope` for nodes `db1`, `db2` [undefined-variable]
              hint: did you mean `old_note`?
            page.md:20:39 error: `nope` is not defined for nodes `db2`, `db1` [undefined-variable]
              hint: did you mean `node`?"},
    ),
    // local
    (
        Contract::Roles,
        &[],
        indoc! {r#"
            $STEP

            ```sh step on=local
            echo "$site $version $lsn $old_site $old"
            ```"#},
        indoc! {"
            page.md:20:8 error: `site` is not defined on your own machine [undefined-variable]
              hint: write the value of another machine as `$old_site`"},
    ),
    // list space
    (
        Contract::Roles,
        &[(
            "  web: {nodes: \"@web\", count: 1+}",
            "  web: {nodes: \"@db\", count: 1+}",
        )],
        indoc! {r#"
            $STEP

            ```sh step on=new
            echo "$web_note $web_key $web_app"
            ```"#},
        indoc! {"
            nodes.yaml:3:41 error: `note` of `db1` contains characters that a list of the values of `web` cannot hold
              page.md:20:8 used here
            nodes.yaml:3:41 error: `note` of `db2` contains characters that a list of the values of `web` cannot hold
              page.md:20:8 used here
            nodes.yaml:3:59 error: `key` of `db1` is a secret, which a list of the values of `web` cannot hold
              page.md:20:18 used here
            nodes.yaml:3:59 error: `key` of `db2` is a secret, which a list of the values of `web` cannot hold
              page.md:20:18 used here
            page.md:8:16 error: `new`, `old`, `web` need a node each, and may be only db1, db2
            page.md:20:27 error: `web_app` is not defined: `web` has no value `app` for nodes `db1`, `db2` [undefined-variable]
              hint: did you mean `web_key`?"},
    ),
    // not unique
    (
        Contract::Roles,
        &[],
        indoc! {r#"
            $STEP

            ```yaml deliver on=old
            file: book.toml
            as: "${web}.x"
            ```"#},
        indoc! {"
            page.md:21:6 error: `web` is a list, because `web` may be several nodes
              hint: a file has one name: deliver it in a section"},
    ),
    // expect
    (
        Contract::Roles,
        &[],
        indoc! {"
            $STEP

            ```sh step on=old
            echo x
            ```
            ```text expect
            ${new_nope} ${new_pg_port}
            ```

            ```text manual on=old
            Call ${new_key}, then ${web_nope}
            ```"},
        indoc! {"
            page.md:23:1 error: `new_nope` is not defined: `new` has no value `nope` for nodes `db2`, `db1` [undefined-variable]
              hint: did you mean `new_note`?
            page.md:27:6 error: `new_key` is a secret, which opsbook never shows
              hint: write where the person can find it instead
            page.md:27:23 error: `web_nope` is not defined: `web` has no value `nope` for nodes `web1`, `web2` [undefined-variable]
              hint: did you mean `new_note`?"},
    ),
    // same undefined
    (
        Contract::Roles,
        &[("same: [site]", "same: [site, extra]")],
        "$STEP",
        indoc! {"
            page.md:10:14 error: `extra` is not defined for nodes `db1`, `web1`, `web2` [undefined-variable]
              hint: `same` compares a value of all nodes of a run"},
    ),
    // need of others
    (
        Contract::Roles,
        &[("id: up\nnodes: \"@db\"", "id: up\nnodes: \"@web\"")],
        "$STEP",
        indoc! {"
            page.md:6:31 error: `up` applies to no node that may play `old`
              page.md:22:5 the group"},
    ),
    // too few
    (
        Contract::Roles,
        &[(
            "  old: {nodes: \"@db\", needs: [up], help: \"the old one\"}\n  new: {nodes: \"@db\", help: \"the new one\"}",
            "  old: {nodes: \"db1\", needs: [up], help: \"the old one\"}\n  new: {nodes: \"db1\", help: \"the new one\"}",
        )],
        "$STEP",
        "page.md:7:16 error: `new`, `old` need a node each, and may be only db1",
    ),
    // from
    (
        Contract::Roles,
        &[],
        indoc! {"
            $STEP

            ```yaml deliver on=old
            - {from: nwe, path: x}
            - {from: old, path: x}
            - {from: web, path: x}
            - {from: new}
            - {file: book.toml, path: x}
            - {from: new, path: ../x}
            ```"},
        indoc! {"
            page.md:20:10 error: `p` has no role `nwe`
              hint: did you mean `new`?
            page.md:21:10 error: `old` is the machine itself: its bundle has the file
            page.md:22:10 error: `web` may be several nodes, but a file comes from exactly one
            page.md:23:4 error: this delivery does not name a file of that machine's bundle
              hint: add `path: NAME`, its name in the bundle there
            page.md:24:21 error: `path` names a file in the bundle of another machine: it needs `from`
            page.md:25:21 error: `../x` is not a name within the bundle"},
    ),
    // state
    (
        Contract::Roles,
        &[("state: true", "state: true\nwhen: needed")],
        "$STEP",
        "page.md:24:1 error: a state is evaluated only where a role needs it: remove `when`",
    ),
    // check names
    (
        Contract::Roles,
        &[],
        indoc! {"
            ```sh check on=old
            true
            ```

            $STEP

            ## E

            ```yaml each
            web:
            ```

            ```sh check on=web
            true
            ```

            ```sh step id=u on=web
            true
            ```

            ## After

            ```sh check on=old id=u
            true
            ```"},
        indoc! {"
            page.md:39:23 error: `p/u` is defined twice
              page.md:33:15 first defined here"},
    ),
];

#[test]
fn a_sheet_has_each_step_with_its_machine_and_a_place_to_sign() {
    let project = project(&Contract::Roles, &[], SECTION);
    project
        .opsbook(&["sheet", "p", "--html", "sheet.html"])
        .ends(2);
    let call = ["sheet", "p", "old=db1", "new=db2", "--html", "sheet.html"];
    let words: Vec<&str> = call.iter().copied().chain(["web=web1"]).collect();
    project.opsbook(&words).ends(0);
    let sheet = std::fs::read_to_string(project.root().join("sheet.html")).unwrap();
    let steps = sheet.matches("<section>").count();
    assert_eq!(steps, 2, "{sheet}");
    assert!(
        sheet.contains("<h2>for each web: web1  For each web node</h2>"),
        "{sheet}"
    );
    assert_eq!(sheet.matches("<span>Signature:</span>").count(), steps + 1);
    for expected in ["old: db1", "on db1 (old)", "@page"] {
        assert!(sheet.contains(expected), "{expected}\n{sheet}");
    }
}
