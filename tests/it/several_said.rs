//! Output of a run over several nodes for people: its lines, its sheet, its release.

use std::fs;

use crate::project::Project;

/// Two balancers, three servers and one that signs. Each node's files are in its own folder.
const PAGE: &str = r#"# Upgrade

```yaml procedure
id: shop.upgrade
roles:
  ca: {nodes: "@ca", help: "signs"}
  web: {nodes: "@web", count: 1+, help: "those to upgrade"}
  lb: {nodes: "@lb", count: 1+, help: "in front"}
```

The **ca** signs:

```sh step id=sign on=ca capture=mark
echo "mark-of-$ca"
```

## For each web

```yaml each
web: {batch: 1}
```

Take it out on each **lb**:

```sh step id=drain on=all:lb
touch "$dir/drained.$web"
```

Install on the **web**:

```sh step id=install on=web
test ! -e "$dir/broken"
echo "$mark" > "$dir/version"
```

Take it in on each **lb**:

```sh step id=undrain on=all:lb
rm "$dir/drained.$web"
```

## Afterwards

The **ca** writes down:

```sh step id=note on=ca
echo "$mark" > "$dir/noted"
```
"#;

const NODES: [(&str, &str); 6] = [
    ("ca1", "ca"),
    ("lb1", "lb"),
    ("lb2", "lb"),
    ("web1", "web"),
    ("web2", "web"),
    ("web3", "web"),
];

const WORDS: [&str; 3] = ["ca=ca1", "web=web1,web2,web3", "lb=lb1,lb2"];

fn shop() -> Project {
    let project = Project::new(PAGE);
    let root = project.root();
    let mut text = "opsbook: 1\ngroups: {ca: {}, lb: {}, web: {}}\nnodes:\n".to_owned();
    for (node, group) in NODES {
        let dir = root.join("n").join(node);
        fs::create_dir_all(&dir).unwrap();
        let dir = dir.display();
        text += &format!(
            "  {node}: {{transport: local, bundle_dir: {dir}/bundle, groups: [{group}], dir: {dir}}}\n"
        );
    }
    project.write("nodes.yaml", &text);
    project
}

impl Project {
    fn on(&self, file: &str) -> std::path::PathBuf {
        self.path("n").join(file)
    }
}

fn run(project: &Project, status: i32) -> String {
    let mut words = vec!["run", "shop.upgrade"];
    words.extend(WORDS);
    words.push("--yes");
    project.opsbook(&words).ends(status).out
}

/// Halted at the installation of web2.
fn halted() -> (Project, String, String) {
    let project = shop();
    fs::write(project.on("web2/broken"), "").unwrap();
    let out = run(&project, 1);
    let run = project.events()[0].run.clone();
    (project, run, out)
}

#[track_caller]
fn in_order(text: &str, lines: &[&str]) {
    let mut rest = text;
    for line in lines {
        let Some(at) = rest.find(line) else {
            panic!("`{line}` is missing, or stands too early, in:\n{text}");
        };
        rest = &rest[at + line.len()..];
    }
}

/// Whether no node is locked by the run.
fn is_free(project: &Project) -> bool {
    NODES.iter().all(|(node, _)| {
        let turns = fs::read_dir(project.on(&format!("{node}/bundle.turns")));
        let mut turns = turns.into_iter().flatten().flatten();
        !project.on(&format!("{node}/bundle")).exists()
            && !turns.any(|turn| turn.path().join("bundle").exists())
    })
}

#[test]
fn each_line_says_where_and_for_whom() {
    let project = shop();
    let out = run(&project, 0);
    in_order(
        &out,
        &[
            "on ca1 (ca), lb1 (lb), lb2 (lb), web1 (web), web2 (web), web3 (web), run ",
            "\nca1 (ca): 1 sign  The ca signs",
            "\nca1 (ca): 1 OK",
            "\nfor each web: batch 1 of 3: web1\n",
            " for web1: 2 drain  Take it out on each lb",
            "\nweb1 (web): 3 install  Install on the web",
            "\nweb1 (web): 3 OK",
            " for web1: 4 OK",
            "\nweb1 (web): turn OK\n",
            "\nfor each web: batch 2 of 3: web2\n",
            "\nlb1 (lb) for web2: 2 OK",
            "\nca1 (ca): 5 note",
            "\nca1 (ca): OK\n",
            "\n6 OK\n",
        ],
    );
    // The end of a turn on each node is not a separate line.
    assert_eq!(out.matches("\nlb1 (lb): OK\n").count(), 1, "{out}");
    assert!(!out.contains("for web1: OK"), "{out}");
    let log = project.opsbook(&["log"]).ends(0).out;
    in_order(
        &log,
        &["web1 (web): 3 install", "web1 (web): turn OK", "6 OK"],
    );
}

#[test]
fn a_halted_turn_is_one_sheet() {
    let (project, run, out) = halted();
    in_order(
        &out,
        &[
            "web2 (web): turn FAILED: step install: exit status",
            &format!(
                "# --- hand-off: shop.upgrade, run {run}: ca=ca1 web=web1,web2,web3 lb=lb1,lb2\n"
            ),
            "# halted: web2: FAILED: step install: exit status",
            "# done:\n#   1 sign, on ca1 (ca)  OK\n#   for web1: all steps\n#   of web2: 2 drain, on lb1, lb2 (lb)  OK\n",
            "# changed elsewhere for web2, not yet taken back by a later step: lb1, lb2\n",
            "# left for web2:\n#   3 install, on web2 (web)  FAILED",
            &format!("  opsbook shell web2 --run {run}\n#   4 undrain, on lb1, then lb2 (lb)"),
            &format!("  opsbook shell web2/lb1 --run {run}\n"),
            "# not begun: web3  (For each web)\n",
            "# left:\n#   5 note, on ca1 (ca)",
            &format!(
                "# to continue:  opsbook resume {run}\n# to give up:   opsbook lock release --run {run}   ("
            ),
            "# --- hand-off: shop.upgrade on web2 (web), run ",
            "# --- hand-off: shop.upgrade on lb1 (lb) for web2, run ",
            "# --- hand-off: shop.upgrade on lb2 (lb) for web2, run ",
            "# --- hand-off: shop.upgrade on ca1 (ca), run ",
        ],
    );
    let sheet = project.opsbook(&["handoff", &run]).ends(0).out;
    assert!(out.ends_with(&sheet), "{sheet}");
    // Values of that node, captured values of another, and the bundle of that turn.
    let lb1 = project.on("lb1");
    let lb1 = lb1.canonicalize().unwrap();
    in_order(
        &sheet,
        &[
            "mark=mark-of-ca1\n",
            "then: opsbook resume ",
            "--done web2:install\n",
            &format!("bundle={}/bundle.turns/web2/bundle\n", lb1.display()),
            "ob_person 'before step 4 undrain' on=lb1",
            "step 3 install, on web2 (web)\n",
            &format!("dir={}\n", lb1.display()),
            "--done web2/lb1:undrain\n",
            "all steps of \"For each web\" for web3\n",
        ],
    );
    assert!(!sheet.contains("for web1, run"), "{sheet}");
    let one = project.opsbook(&["handoff", &run, "lb2"]).ends(0).out;
    assert!(one.contains("on lb2 (lb) for web2, run"), "{one}");
    assert!(!one.contains("on lb1 (lb) for web2, run"), "{one}");
    // Each command for opsbook names the same files as this one.
    let with = ["handoff", &run, "--nodes-file", "nodes.yaml"];
    let named = project.opsbook(&with).ends(0).out;
    let commands = ["resume", "shell", "lock release"];
    for command in commands {
        assert!(sheet.contains(&format!("opsbook {command} ")), "{sheet}");
        assert!(!named.contains(&format!("opsbook {command} ")), "{named}");
        let count = |text: &str, word: &str| text.matches(&format!("{word} ")).count();
        let whole = format!("/nodes.yaml {command}");
        assert_eq!(
            count(&named, &whole),
            count(&sheet, &format!("opsbook {command}"))
        );
    }
}

/// The part of a sheet for one node.
fn part(sheet: &str, place: &str) -> String {
    let head = format!("# --- hand-off: shop.upgrade on {place}, run ");
    let from = sheet.find(&head).expect(place);
    let text = &sheet[from..];
    let end = text.find("\nob_go\n").expect("its end");
    text[..end + "\nob_go\n".len()].to_owned()
}

fn pasted(project: &Project, text: &str) -> std::process::Output {
    use std::io::Write as _;
    let mut shell = std::process::Command::new("setsid")
        .args(["sh", "-s"])
        .current_dir(project.root())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = shell.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    shell.wait_with_output().unwrap()
}

#[test]
fn what_is_pasted_on_a_machine_is_told_and_the_run_goes_on() {
    let (project, run, _) = halted();
    let sheet = project.opsbook(&["handoff", &run]).ends(0).out;
    fs::remove_file(project.on("web2/broken")).unwrap();
    let said = pasted(&project, &part(&sheet, "web2 (web)"));
    let out = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(out.contains("step 3 install: OK"), "{out}{said:?}");
    let version = fs::read_to_string(project.on("web2/version")).unwrap();
    assert_eq!(version, "mark-of-ca1\n");
    // Nobody can confirm that earlier work is done: nothing is done.
    let said = pasted(&project, &part(&sheet, "lb1 (lb) for web2"));
    assert!(!said.status.success(), "{said:?}");
    assert!(project.on("lb1/drained.web2").exists());
    // Steps can only be reported in the order of the page.
    let early = project
        .opsbook(&["resume", &run, "--done", "web2/lb1:undrain", "--yes"])
        .ends(2);
    assert!(
        early
            .err
            .contains("cannot be done by hand before step `web2:install`"),
        "{}",
        early.err
    );
    let out = project
        .opsbook(&["resume", &run, "--done", "web2:install", "--yes"])
        .ends(0)
        .out;
    in_order(
        &out,
        &[
            "web2 (web): 3 BY HAND",
            "web2 (web): turn OK",
            "ca1 (ca): 5 OK",
        ],
    );
    assert!(!project.on("lb1/drained.web2").exists());
    assert!(is_free(&project));
}

#[test]
fn a_step_of_several_machines_is_told_with_its_machine() {
    let (project, run, _) = halted();
    let said = project
        .opsbook(&[
            "resume", &run, "--done", "install", "--done", "undrain", "--yes",
        ])
        .ends(2);
    assert!(
        said.err
            .contains("`undrain` is left to do on several nodes: web2/lb1, web2/lb2"),
        "{}",
        said.err
    );
    assert!(said.err.contains("--done web2/lb1:undrain"), "{}", said.err);
}

#[test]
fn a_run_is_given_up_on_all_its_machines() {
    let (project, run, _) = halted();
    let said = project.opsbook(&["lock", "release", "--run", &run]).ends(0);
    in_order(
        &said.out,
        &[
            "web2/lb1: released; its record is in the node's history\n",
            "web2/lb2: released",
            "ca1: released",
            "lb1: released",
            "web2: released",
        ],
    );
    for (node, _) in NODES {
        assert!(said.out.contains(node), "{}", said.out);
    }
    assert!(is_free(&project), "{}", said.out);
    assert!(!project.record().is_halted());
    // Once more.
    let said = project.opsbook(&["lock", "release", "--run", &run]).ends(0);
    assert_eq!(
        said.out.matches("the run holds nothing there").count(),
        6,
        "{}",
        said.out
    );
    run_again(&project);
}

fn run_again(project: &Project) {
    fs::remove_file(project.on("web2/broken")).unwrap();
    run(project, 0);
}

#[test]
fn a_machine_that_cannot_be_reached_is_named_and_the_others_are_given_up() {
    let (project, run, _) = halted();
    let nodes = fs::read_to_string(project.path("nodes.yaml")).unwrap();
    let dead = nodes.replace(
        "lb2: {transport: local,",
        "lb2: {address: 127.66.250.1, port: 9,",
    );
    assert_ne!(nodes, dead);
    project.write("nodes.yaml", &dead);
    let said = project.opsbook(&["lock", "release", "--run", &run]).ends(3);
    assert!(
        said.err.contains("error: lb2: cannot be reached"),
        "{}",
        said.err
    );
    assert!(said.err.contains("can be repeated"), "{}", said.err);
    assert!(said.out.contains("web2/lb1: released"), "{}", said.out);
    assert!(project.on("lb2/bundle").exists());
    project.write("nodes.yaml", &nodes);
    let said = project.opsbook(&["lock", "release", "--run", &run]).ends(0);
    assert!(said.out.contains("web2/lb2: released"), "{}", said.out);
    assert!(is_free(&project));
}

#[test]
fn one_machine_of_a_run_is_given_up_only_when_that_is_meant() {
    let (project, run, _) = halted();
    let said = project
        .opsbook(&["lock", "release", "lb1", "--run", &run])
        .ends(4);
    assert!(
        said.err.contains("this releases only its lock on `lb1`"),
        "{}",
        said.err
    );
    assert!(project.on("lb1/bundle").exists());
    project
        .opsbook(&["lock", "release", "lb1", "--run", &run, "--yes"])
        .ends(0);
    assert!(!project.on("lb1/bundle").exists());
}

#[test]
fn without_its_journal_a_run_is_given_up_machine_by_machine() {
    let (project, run, _) = halted();
    fs::remove_dir_all(project.path(".opsbook")).unwrap();
    let said = project.opsbook(&["lock", "release", "--run", &run]).ends(2);
    for node in ["ca1", "lb1", "lb2", "web2"] {
        let hint = format!("opsbook lock release {node} --run {run}");
        assert!(said.err.contains(&hint), "{}", said.err);
    }
    assert!(project.on("lb1/bundle").exists());
}

#[test]
fn a_dry_run_is_in_the_order_of_the_page() {
    let project = shop();
    let mut words = vec!["run", "shop.upgrade"];
    words.extend(WORDS);
    words.push("--dry-run");
    let out = project.opsbook(&words).ends(0).out;
    in_order(
        &out,
        &[
            "\n  web: web1, web2, web3\n",
            "\n# 1 sign: The ca signs\n# on ca1 (ca), at most 10m, captures mark",
            "\n== for each web: web1; web2; web3  For each web\n",
            "# 2 drain: ",
            "# on lb1 (lb) for web1, lb2 (lb) for web1, lb1 (lb) for web2",
            "  web2  ",
            "# 3 install: ",
            "# on web1 (web), web2 (web), web3 (web), at most 10m",
            "# 4 undrain: ",
            "\n# 5 note: ",
            "# on ca1 (ca)",
        ],
    );
}

#[test]
fn a_shell_opens_in_the_bundle_of_the_run() {
    let (project, run, _) = halted();
    let at = |place: &str| {
        let said = project
            .opsbook(&["shell", place, "--run", &run])
            .input("pwd; echo \"dir=$dir\"\n")
            .ends(0);
        said.out
    };
    assert!(at("web2/lb1").contains("/lb1/bundle.turns/web2/bundle\n"));
    assert!(at("lb1").contains("/lb1/bundle\n"));
    assert!(at("web2").contains("/web2/bundle"));
    let said = project.opsbook(&["shell", "nobody", "--run", &run]).ends(2);
    assert!(said.err.contains("has no machine `nobody`"), "{}", said.err);
}

#[test]
fn who_plays_which_role_is_asked_with_where_they_are() {
    let project = shop();
    let mut words = vec!["run", "shop.upgrade"];
    words.extend(WORDS);
    let said = project.opsbook(&words).ends(5);
    in_order(
        &said.err,
        &[
            "`shop.upgrade`:\n",
            "  ca: ca1 (ca), local, 2 steps\n",
            "  web: web1 (web), local, 1 step\n",
            "  lb: lb1 (lb), local, 6 steps\n",
            "hint: `--yes` confirms",
        ],
    );
    assert_eq!(project.runs(), 0);
}
