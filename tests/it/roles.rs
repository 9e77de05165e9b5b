//! Procedures over several machines, from the page to the plan: what is wrong with them is told
//! with its place and one hint, and nothing else in consequence.

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
    /// What stands after its `id`.
    Own(&'static str),
}

/// The contract; what is written in another way; the blocks after the contract; what is said.
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
    let project = Project::new(
        "# P\n\n```yaml checks\nid: db.primary\nnodes: here\nstate: true\n```\n\
         ```sh check id=db.primary.role\nfalse\n```\n",
    );
    let ignored = "...\ntest [here] here::db.primary::role ... ignored (a state: it is asked where a role needs it)\n...\n";
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
        .has("for each web: 1 at a time")
        .has("(on old, its output becomes $lsn)")
        .has("opsbook run p old=NODE new=NODE web=NODE");
    let list = project.opsbook(&["list"]).ends(0);
    list.has("P (old=NODE new=NODE web=NODE)");
}

#[test]
fn what_is_made_here_or_captured_reaches_the_other_machine() {
    let project = Project::new(
        "# P\n\n```yaml procedure\nid: p\nroles:\n  old: {nodes: a}\n  new: {nodes: b}\n```\n\
         ```sh check on=new\n[ \"$old_colour\" = red ]\n```\n\
         ```sh step on=local\necho made >made.txt\n```\n\
         ```sh step on=old capture=told\nkept=1\necho \"$colour of $old\"\n```\n\
         ```yaml deliver on=new\nfile: made.txt\n```\n\
         ```ini file on=new as=all.txt\n{{ told }} {{ old_colour }} {{ new }}\n```\n\
         ```sh step on=new\ncat \"$bundle/made.txt\" \"$bundle/all.txt\" >\"$out\"\n```\n",
    );
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

/// The words after the procedure, and what is said of them.
const WORDS: &[(&str, &str)] = &[
    (
        "",
        "page.md:6:3 error: `p` needs the role `old`: the old one\n\
             \x20\x20hint: give it as `old=NODE`; it may be db1, db2, db3\n\
             page.md:7:3 error: `p` needs the role `new`: the new one\n\
             \x20\x20hint: give it as `new=NODE`; it may be db1, db2, db3\n\
             page.md:8:3 error: `p` needs the role `web`\n\
             \x20\x20hint: give it as `web=NODE`; it may be web1, web2",
    ),
    (
        "old=db1",
        "page.md:7:3 error: `p` needs the role `new`: the new one\n\
             \x20\x20hint: give it as `new=NODE`; it may be db1, db2, db3\n\
             page.md:8:3 error: `p` needs the role `web`\n\
             \x20\x20hint: give it as `web=NODE`; it may be web1, web2",
    ),
    (
        "db1 new=db2",
        "command line:1:15 error: `db1` is bound to no role\n\
             \x20\x20hint: `p` takes old=NODE (the old one), new=NODE (the new one), web=NODES, any=NODES (or none)",
    ),
    (
        "odl=db1 old=db1 new=db2 web=web1",
        "command line:1:15 error: `p` has no role `odl`\n\
             \x20\x20hint: did you mean `old`?",
    ),
    (
        "old=db1 old=db2 new=db3 web=web1",
        "command line:1:23 error: `old` is bound twice\n\
             \x20\x20command line:1:19 it is bound here\n\
             \x20\x20hint: it is one node\n\
             page.md:10:8 error: `site` is not the same on all: `s` on db1 (old), web1 (web); `else` on db3 (new)\n\
             \x20\x20hint: these nodes do not belong together",
    ),
    (
        "old=@db new=other web=web1",
        "command line:1:19 error: `old` is one node, and this is 3: db1, db2, db3\n\
             \x20\x20hint: name one of them\n\
             command line:1:27 error: `other` may not be bound to `new`\n\
             \x20\x20hint: it may be db1, db2, db3",
    ),
    (
        "old=db1 new=db1 web=@web any=web2",
        "command line:1:27 error: `db1` is bound to `old` and to `new`\n\
             \x20\x20command line:1:19 `old` is bound here\n\
             \x20\x20hint: a machine plays one role in a run\n\
             command line:1:44 error: `web2` is bound to `web` and to `any`\n\
             \x20\x20command line:1:35 `web` is bound here\n\
             \x20\x20hint: a machine plays one role in a run",
    ),
    (
        "old= new=nope web=* any=",
        "command line:1:19 error: no node is named for `old`\n\
             \x20\x20hint: it may be db1, db2, db3\n\
             command line:1:24 error: unknown node `nope`\n\
             \x20\x20hint: the nodes are `db1`, `db2`, `web1`, `web2`, `other`, `db3`\n\
             command line:1:33 error: `db1`, `db2`, `other`, `db3` may not be bound to `web`\n\
             \x20\x20hint: it may be web1, web2\n\
             command line:1:39 error: no node is named for `any`\n\
             \x20\x20hint: leave the word out where there is none",
    ),
    (
        "version=2 old=db1 new=db2 web=web1",
        "command line:1:15 error: `p` has no role `version`\n\
             \x20\x20hint: it is a parameter: `--set version=…`",
    ),
    (
        "old=db1 new=db3 web=@web",
        "page.md:10:8 error: `site` is not the same on all: `s` on db1 (old), web1 (web), web2 (web); `else` on db3 (new)\n\
             \x20\x20hint: these nodes do not belong together",
    ),
    (
        "old=db1 new=db2 web=web1 --set site=x --set old=db2 --set vresion=1",
        "error: `--set site=…`: neither a parameter of `p`, nor captured by a step of it\n\
             \x20\x20hint: a value of a node is changed in `nodes.yaml`: each machine has its own\n\
             error: `--set old=…`: neither a parameter of `p`, nor captured by a step of it\n\
             \x20\x20hint: a role is bound by a word: `old=NODE`\n\
             error: `--set vresion=…`: neither a parameter of `p`, nor captured by a step of it\n\
             \x20\x20hint: did you mean `version`?",
    ),
];

const MISTAKES: &[Row] = &[
    // unknown role
    (
        Contract::Roles,
        &[],
        "$STEP\n\
            \n\
            ```sh step on=odl\n\
            true\n\
            ```",
        "page.md:19:15 error: `p` has no role `odl`\n\
            \x20\x20hint: did you mean `old`?",
    ),
    // no on
    (
        Contract::Roles,
        &[],
        "$STEP\n\
            \n\
            ```sh step id=b\n\
            true\n\
            ```",
        "page.md:19:7 error: this `step` does not say where it runs\n\
            \x20\x20hint: write `on=old`, `on=new`, `on=all:web`, `on=all:any` or `on=local`",
    ),
    // on node
    (
        Contract::Roles,
        &[],
        "$STEP\n\
            \n\
            ```sh step id=b on=node\n\
            true\n\
            ```",
        "page.md:19:20 error: `on=node` is no machine where there are several\n\
            \x20\x20hint: write `on=old`, `on=new`, `on=all:web`, `on=all:any` or `on=local`",
    ),
    // several outside
    (
        Contract::Roles,
        &[],
        "$STEP\n\
            \n\
            ```sh step on=web\n\
            true\n\
            ```",
        "page.md:19:15 error: `web` may be several nodes\n\
            \x20\x20hint: `on=all:web` is all of them side by side; a section with `yaml each` is one after the other",
    ),
    // capture all
    (
        Contract::Roles,
        &[],
        "$STEP\n\
            \n\
            ```sh step on=all:web capture=x\n\
            true\n\
            ```",
        "page.md:19:15 error: `capture=x` with `on=all:web`: each node prints its own\n\
            \x20\x20hint: capture on one machine, or print it within a section",
    ),
    // always
    (
        Contract::Roles,
        &[],
        "$STEP\n\
            \n\
            ```sh check on=new always\n\
            true\n\
            ```",
        "page.md:19:20 error: `always` means nothing in a procedure with roles\n\
            \x20\x20hint: what holds at all times is a group of checks: it knows its nodes",
    ),
    // role captured
    (
        Contract::Roles,
        &[],
        "$STEP\n\
            \n\
            ```sh step on=old capture=new\n\
            true\n\
            ```",
        "page.md:19:7 error: `new` is a role, and cannot be captured as well\n\
            \x20\x20page.md:7:3 the role",
    ),
    // deliver local
    (
        Contract::Roles,
        &[],
        "$STEP\n\
            \n\
            ```yaml deliver on=local\n\
            file: book.toml\n\
            ```",
        "page.md:19:20 error: a delivery goes to a machine of the run\n\
            \x20\x20hint: write `on=old`, `on=new`, `on=all:web`, `on=all:any` or `on=local`",
    ),
    // each of one
    (
        Contract::Roles,
        &[],
        "$STEP\n\
            \n\
            ## E\n\
            \n\
            ```yaml each\n\
            old:\n\
            ```\n\
            \n\
            ```sh step on=old\n\
            true\n\
            ```",
        "page.md:22:1 error: `old` is one node: there is nothing to repeat\n\
            \x20\x20hint: a role of several says `count: 1+`, or `0+`",
    ),
    // each unknown
    (
        Contract::Roles,
        &[],
        "$STEP\n\
            \n\
            ## E\n\
            \n\
            ```yaml each\n\
            wbe: {batch: 2}\n\
            ```\n\
            \n\
            ```sh step on=old\n\
            true\n\
            ```",
        "page.md:22:1 error: `p` has no role `wbe`\n\
            \x20\x20hint: did you mean `web`?",
    ),
    // each keys
    (
        Contract::Roles,
        &[],
        "$STEP\n\
            \n\
            ## E\n\
            \n\
            ```yaml each\n\
            web: {batch: \"0\", wait: 5, max-fail: x, wiat: 1s}\n\
            any:\n\
            ```\n\
            \n\
            ```sh step on=web\n\
            true\n\
            ```",
        "page.md:22:14 error: a batch has one node at least\n\
            page.md:22:25 error: `5` has no unit\n\
            page.md:22:38 error: `x` is no number of nodes\n\
            page.md:22:41 error: unknown key `wiat` of a section\n\
            \x20\x20hint: did you mean `wait`?\n\
            page.md:23:1 error: a section is for the nodes of one role\n\
            \x20\x20hint: a turn may have steps on the machines of other roles",
    ),
    // each nested
    (
        Contract::Roles,
        &[],
        "$STEP\n\
            \n\
            ## E\n\
            \n\
            ```yaml each\n\
            web:\n\
            ```\n\
            \n\
            ```sh step on=web\n\
            true\n\
            ```\n\
            \n\
            ### F\n\
            \n\
            ```yaml each\n\
            any:\n\
            ```\n\
            \n\
            ```sh step on=any\n\
            true\n\
            ```",
        "page.md:31:9 error: a section within a section\n\
            \x20\x20page.md:21:9 it begins here\n\
            \x20\x20hint: give each a heading of its own, of the same level",
    ),
    // each empty
    (
        Contract::Roles,
        &[],
        "$STEP\n\
            \n\
            ## E\n\
            \n\
            ```yaml each\n\
            web:\n\
            ```\n\
            \n\
            ## F\n\
            \n\
            ```sh step on=old\n\
            true\n\
            ```",
        "page.md:21:9 error: this section has no steps\n\
            \x20\x20hint: it reaches to the next heading of the same or a higher level",
    ),
    // all in turn
    (
        Contract::Roles,
        &[],
        "$STEP\n\
            \n\
            ## E\n\
            \n\
            ```yaml each\n\
            web:\n\
            ```\n\
            \n\
            ```sh step on=all:web\n\
            true\n\
            ```",
        "page.md:25:15 error: in its section, `web` is the node whose turn it is\n\
            \x20\x20hint: write `on=web`, or move the block out of the section",
    ),
    // each without roles
    (
        Contract::Own(""),
        &[],
        "```sh step id=a\n\
            true\n\
            ```\n\
            \n\
            ## E\n\
            \n\
            ```yaml each\n\
            web:\n\
            ```",
        "page.md:13:9 error: an `each` outside any procedure with roles\n\
            \x20\x20hint: the contract names them: `roles: {web: {nodes: \"@web\"}}`",
    ),
    // on role without roles
    (
        Contract::Own(""),
        &[],
        "```sh step id=a on=old\n\
            true\n\
            ```\n\
            \n\
            ```yaml deliver on=node\n\
            file: book.toml\n\
            ```",
        "page.md:7:20 error: `on` is `node` or `local`, not `old`\n\
            page.md:11:17 error: `on` is an attribute of `step`, not of `deliver`",
    ),
    // nodes and roles
    (
        Contract::Roles,
        &[("same: [site]", "nodes: \"@db\"\nneeds: [up]\nsame: [site]")],
        "$STEP",
        "page.md:10:1 error: a procedure has `nodes` or `roles`, not both\n\
            \x20\x20page.md:5:1 its roles\n\
            \x20\x20hint: each role says for itself which nodes may play it\n\
            page.md:11:1 error: `needs` of a procedure with roles stand with the role that they are of\n\
            \x20\x20hint: write `old: {nodes: …, needs: […]}`",
    ),
    // same without roles
    (
        Contract::Own("same: [site]\n"),
        &[],
        "```sh step id=a\n\
            true\n\
            ```",
        "page.md:5:1 error: `same` compares the machines of a run, and this has no `roles`",
    ),
    // bad roles
    (
        Contract::Own(
            "roles:\n  node: {nodes: \"@db\"}\n  Old: {nodes: \"@db\"}\n  a_b: {nodes: \"@db\"}\n  x: \"@db\"\n  y: {count: 2, nods: \"@db\"}\n  z: {count: 1+}\n",
        ),
        &[],
        "```sh step id=a on=x\n\
            true\n\
            ```",
        "page.md:6:3 error: `node` means something else, and names no role\n\
            page.md:7:3 error: `Old` is not the name of a role: lower-case letters and digits, a letter first\n\
            page.md:8:3 error: `a_b` is not the name of a role: lower-case letters and digits, a letter first\n\
            page.md:9:6 error: a role cannot be text\n\
            \x20\x20hint: write `x: {nodes: SELECTOR}`\n\
            page.md:10:14 error: `count` is `1`, `1+` or `0+`, not `2`\n\
            page.md:10:17 error: unknown key `nods` of a role\n\
            \x20\x20hint: did you mean `nodes`?\n\
            page.md:11:3 error: the role `z` does not say which nodes may play it\n\
            \x20\x20hint: write `z: {nodes: SELECTOR}`",
    ),
    // param is role
    (
        Contract::Roles,
        &[(
            "  version: {default: \"1\"}",
            "  old: {default: \"1\"}\n  version: {default: \"1\"}",
        )],
        "$STEP",
        "page.md:12:3 error: `old` is a role, and a parameter as well\n\
            \x20\x20page.md:6:3 the role",
    ),
    // unused role
    (
        Contract::Roles,
        &[],
        "```sh step id=a on=old capture=lsn\n\
            echo \"$new $web\"\n\
            ```",
        "page.md:9:3 warning: no block of `p` names the role `any`",
    ),
    // prose
    (
        Contract::Roles,
        &[],
        "$STEP\n\
            \n\
            On the new machine, stop it:\n\
            \n\
            ```sh step on=old\n\
            true\n\
            ```",
        "page.md:21:7 warning: the sentence before this block says `new`, and it runs on `old`\n\
            \x20\x20hint: say `old` in it: many readers see no more",
    ),
    // heading
    (
        Contract::Roles,
        &[],
        "$STEP\n\
            \n\
            ## On the new one\n\
            \n\
            ```sh step on=old\n\
            true\n\
            ```",
        "page.md:21:7 warning: the heading before this block says `new`, and it runs on `old`\n\
            \x20\x20hint: say `old` in it: many readers see no more",
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
        "$STEP\n\
            \n\
            ```sh step on=old\n\
            echo \"$new_site\"\n\
            ```",
        "nodes.yaml:3:27 error: `new_site` is a value of this machine, and of `new` as well\n\
            \x20\x20page.md:20:8 used here\n\
            \x20\x20hint: give the role another name, or the value",
    ),
    // capture hides
    (
        Contract::Roles,
        &[],
        "$STEP\n\
            \n\
            ```sh step on=old capture=new_site\n\
            true\n\
            ```\n\
            \n\
            ```sh step on=old\n\
            echo \"$new_site\"\n\
            ```",
        "page.md:24:8 error: `new_site` is captured, and a value of `new` as well\n\
            \x20\x20hint: capture it under another name",
    ),
    // set elsewhere
    (
        Contract::Roles,
        &[],
        "```sh step id=s on=old\n\
            x=1\n\
            ```\n\
            \n\
            $STEP\n\
            \n\
            ```sh step on=new\n\
            echo \"$x\"\n\
            ```",
        "page.md:24:8 error: `x` is set on `old` by step 1 s, and this runs on `new`\n\
            \x20\x20hint: `capture=x` on a step that prints it brings it here",
    ),
    // set here
    (
        Contract::Roles,
        &[],
        "```sh step id=s on=local\n\
            x=1\n\
            ```\n\
            \n\
            $STEP\n\
            \n\
            ```sh step on=new\n\
            echo \"$x\"\n\
            ```",
        "page.md:24:8 error: `x` is set on your own machine by step 1 s, and this runs on `new`\n\
            \x20\x20hint: `capture=x` on a step that prints it brings it here",
    ),
    // no value
    (
        Contract::Roles,
        &[],
        "$STEP\n\
            \n\
            ```sh step on=new\n\
            echo \"$old_site $old_extra $old_nope $nope\"\n\
            ```",
        "page.md:20:18 error: `old_extra` is not defined: `old` has no value `extra` for node `db1` [undefined-variable]\n\
            \x20\x20hint: did you mean `new_extra`?\n\
            page.md:20:29 error: `old_nope` is not defined: `old` has no value `nope` for nodes `db1`, `db2` [undefined-variable]\n\
            \x20\x20hint: did you mean `old_note`?\n\
            page.md:20:39 error: `nope` is not defined for nodes `db2`, `db1` [undefined-variable]\n\
            \x20\x20hint: did you mean `node`?",
    ),
    // local
    (
        Contract::Roles,
        &[],
        "$STEP\n\
            \n\
            ```sh step on=local\n\
            echo \"$site $version $lsn $old_site $old\"\n\
            ```",
        "page.md:20:8 error: `site` is not defined on your own machine [undefined-variable]\n\
            \x20\x20hint: the value of another machine is `$old_site`",
    ),
    // list space
    (
        Contract::Roles,
        &[(
            "  web: {nodes: \"@web\", count: 1+}",
            "  web: {nodes: \"@db\", count: 1+}",
        )],
        "$STEP\n\
            \n\
            ```sh step on=new\n\
            echo \"$web_note $web_key $web_app\"\n\
            ```",
        "nodes.yaml:3:41 error: `note` of `db1` would be no one word in a list of the values of `web`\n\
            \x20\x20page.md:20:8 used here\n\
            nodes.yaml:3:41 error: `note` of `db2` would be no one word in a list of the values of `web`\n\
            \x20\x20page.md:20:8 used here\n\
            nodes.yaml:3:59 error: `key` of `db1` is a secret, and has no place in a list of the values of `web`\n\
            \x20\x20page.md:20:18 used here\n\
            nodes.yaml:3:59 error: `key` of `db2` is a secret, and has no place in a list of the values of `web`\n\
            \x20\x20page.md:20:18 used here\n\
            page.md:8:16 error: `new`, `old`, `web` need a node each, and may be only db1, db2\n\
            page.md:20:27 error: `web_app` is not defined: `web` has no value `app` for nodes `db1`, `db2` [undefined-variable]\n\
            \x20\x20hint: did you mean `web_key`?",
    ),
    // not unique
    (
        Contract::Roles,
        &[],
        "$STEP\n\
            \n\
            ```yaml deliver on=old\n\
            file: book.toml\n\
            as: \"${web}.x\"\n\
            ```",
        "page.md:21:6 error: `web` is a list, because `web` may be several nodes\n\
            \x20\x20hint: a file has one name: deliver within a section",
    ),
    // expect
    (
        Contract::Roles,
        &[],
        "$STEP\n\
            \n\
            ```sh step on=old\n\
            echo x\n\
            ```\n\
            ```text expect\n\
            ${new_nope} ${new_pg_port}\n\
            ```\n\
            \n\
            ```text manual on=old\n\
            Call ${new_key}, then ${web_nope}\n\
            ```",
        "page.md:23:1 error: `new_nope` is not defined: `new` has no value `nope` for nodes `db2`, `db1` [undefined-variable]\n\
            \x20\x20hint: did you mean `new_note`?\n\
            page.md:27:6 error: `new_key` is a secret, which opsbook shows to nobody\n\
            \x20\x20hint: write where the person finds it instead\n\
            page.md:27:23 error: `web_nope` is not defined: `web` has no value `nope` for nodes `web1`, `web2` [undefined-variable]\n\
            \x20\x20hint: did you mean `new_note`?",
    ),
    // same undefined
    (
        Contract::Roles,
        &[("same: [site]", "same: [site, extra]")],
        "$STEP",
        "page.md:10:14 error: `extra` is not defined for nodes `db1`, `web1`, `web2` [undefined-variable]\n\
            \x20\x20hint: `same` compares a value of all nodes of a run",
    ),
    // need of others
    (
        Contract::Roles,
        &[("id: up\nnodes: \"@db\"", "id: up\nnodes: \"@web\"")],
        "$STEP",
        "page.md:6:31 error: `up` is about no node that may play `old`\n\
            \x20\x20page.md:22:5 the group",
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
        "$STEP\n\
            \n\
            ```yaml deliver on=old\n\
            - {from: nwe, path: x}\n\
            - {from: old, path: x}\n\
            - {from: web, path: x}\n\
            - {from: new}\n\
            - {file: book.toml, path: x}\n\
            - {from: new, path: ../x}\n\
            ```",
        "page.md:20:10 error: `p` has no role `nwe`\n\
            \x20\x20hint: did you mean `new`?\n\
            page.md:21:10 error: `old` is the machine itself: its bundle has the file\n\
            page.md:22:10 error: `web` may be several nodes, and a file comes from one\n\
            page.md:23:4 error: which file of that machine's bundle is it?\n\
            \x20\x20hint: add `path: NAME`, its name in the bundle there\n\
            page.md:24:21 error: `path` is a file in the bundle of another machine: it goes with `from`\n\
            page.md:25:21 error: `../x` is not a name within the bundle",
    ),
    // state
    (
        Contract::Roles,
        &[("state: true", "state: true\nwhen: needed")],
        "$STEP",
        "page.md:24:1 error: a state is asked only where a role needs it: `when` says nothing more",
    ),
    // check names
    (
        Contract::Roles,
        &[],
        "```sh check on=old\n\
            true\n\
            ```\n\
            \n\
            $STEP\n\
            \n\
            ## E\n\
            \n\
            ```yaml each\n\
            web:\n\
            ```\n\
            \n\
            ```sh check on=web\n\
            true\n\
            ```\n\
            \n\
            ```sh step id=u on=web\n\
            true\n\
            ```\n\
            \n\
            ## After\n\
            \n\
            ```sh check on=old id=u\n\
            true\n\
            ```",
        "page.md:39:23 error: `p/u` is defined twice\n\
            \x20\x20page.md:33:15 first defined here",
    ),
];
