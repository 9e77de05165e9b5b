//! F33: what a node, a login or sudo says does nothing but be read, in a terminal, in a log of
//! CI and in every report, and again where a journal is read back.

use opsbook::event::What;

use crate::project::{Project, Said};

/// ESC, the clipboard, a title, C1, directions, widths, a line separator and a lone CR.
const EVIL: &str =
    "\u{1b}[2J\u{1b}]52;c;aGk=\u{7}\u{1b}]0;t\u{7}\u{9b}31m\u{202e}\u{2066}\u{200b}\u{2028}\rx";
/// What a runner obeys, behind blanks and in the middle of a line.
const ORDERS: &str =
    "   ::stop-commands::t\n\u{a0}::error::forged\nx ##[add-mask]forged\n##vso[task.complete]x";

const PAGE: &str = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step\necho done\n```\n";

/// A local shell whose words are changed on their way.
fn liar(project: &Project, change: &str) {
    project.write("change.sed", change);
    let script = project.path("change.sed").display().to_string();
    project.nodes(&format!(
        "  here: {{transport: {{exec: [sh, -c, 'sh | sed -u -f {script}']}}}}\n"
    ));
}

/// Nothing in it moves, hides or orders anything.
fn inert(what: &str, said: &Said) {
    for text in [&said.out, &said.err] {
        for line in text.lines() {
            let hidden = |c: char| c != '\t' && opsbook::outside::is_hidden(c);
            assert!(!line.contains(hidden), "{what}: {line:?}");
            assert!(!obeyed(line), "{what}: {line:?}");
        }
    }
}

/// Whether GitHub's runner takes the line as a command, after its own source: `::name…::`
/// behind blanks, or `##[name…]` anywhere.
fn obeyed(line: &str) -> bool {
    let name = |info: &str| {
        let name = info.split(' ').next().unwrap_or_default();
        ["error", "stop-commands", "add-mask"].contains(&name)
    };
    let second = line.trim_start().strip_prefix("::");
    let second = second.and_then(|rest| rest.split_once("::"));
    let first = line
        .split_once("##[")
        .and_then(|(_, rest)| rest.split_once(']'));
    second.is_some_and(|(info, _)| name(info)) || first.is_some_and(|(info, _)| name(info))
}

#[test]
fn f33_what_a_node_says_of_itself_does_nothing() {
    let project = Project::new(PAGE);
    let names = ["user", "hostname", "kernel", "shell"];
    let change = names.map(|name| format!("s/^{name}=.*/{name}={EVIL}/\n"));
    liar(&project, &change.concat());
    let run = project.opsbook(&["run", "p", "here"]).ends(0);
    run.has("reached as \\x1b[2J\\x1b]52;c;aGk=\\x07");
    inert("run", &run);
    inert("ping", &project.opsbook(&["ping"]).ends(0));
    inert("log", &project.opsbook(&["log", "here"]).ends(0));
    inert("history", &project.opsbook(&["history"]).ends(0));
    let exact = |event: &opsbook::event::Event| matches!(&event.what, What::NodeReached { user, .. } if user.exact() == EVIL);
    assert!(
        project.events().iter().any(exact),
        "the journal has it as it was"
    );
}

#[test]
fn f33_words_after_a_refusal_do_nothing() {
    for word in ["REFUSED", "FAILED"] {
        let project = Project::new(PAGE);
        liar(&project, &format!("s/^OPENED.*/{word} {EVIL}/\n"));
        let said = project.opsbook(&["run", "p", "here"]).ends(3);
        said.has("\\x1b]52;c;aGk=\\x07");
        inert(word, &said);
        inert("log", &project.opsbook(&["log", "here"]).ends(0));
        let handoff = project.opsbook(&["handoff"]).said();
        inert("handoff", &handoff);
    }
}

#[test]
fn f33_who_holds_a_bundle_may_be_called_anything() {
    let project = Project::new(PAGE);
    project
        .opsbook(&["lock", "acquire", "here", "-m", EVIL])
        .said();
    for arguments in [
        &["run", "p", "here"][..],
        &["lock", "status", "here"],
        &["lock", "release", "here"],
    ] {
        let said = project.opsbook(arguments).said();
        assert!(
            format!("{}{}", said.out, said.err).contains("\\x1b[2J"),
            "{said:?}"
        );
        inert("held", &said);
    }
}

#[test]
fn f33_evidence_orders_nothing_from_a_runner() {
    let script = "cat \"$HOME/orders\"";
    let page = format!(
        "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step\n{script}\nexit 9\n```\n\n\
         # Checks\n\n```yaml checks\nid: g\n```\n\n```sh check id=c\n{script}\nexit 1\n```\n\n\
         ```sh check id=d\n{script}\n```\n\n```text expect\nnothing\n```\n"
    );
    let project = Project::new(&page);
    project.write("home/orders", &format!("{ORDERS}\n"));
    let said = project.opsbook(&["run", "p", "here"]).ends(1);
    inert("run", &said);
    said.has("\\::stop-commands::t");
    inert("log", &project.opsbook(&["log", "here"]).said());
    let said = project
        .opsbook(&["test", "--report", "tap=tap", "--report", "junit=junit"])
        .ends(101);
    inert("test", &said);
    said.has("\\::stop-commands::t");
    said.has("#\\#[add-mask]forged");
    // Its own commands are the only ones, one for each failure, and each is one line.
    let said = project.opsbook(&["test", "--report", "github"]).said();
    let own = said.out.lines().filter(|line| obeyed(line));
    for line in own {
        assert!(line.starts_with("::error file="), "{line}");
    }
    assert_eq!(
        said.out.matches("\n::error file=").count(),
        2,
        "{}",
        said.out
    );
}

#[test]
fn f33_what_a_node_printed_orders_nothing_on_the_sheet() {
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step capture=got\ncat \"$HOME/orders\"\n```\n\n\
                ```text manual\nLook at ${got}.\n```\n\n```sh step id=two\nprintf %s \"$got\" >\"$HOME/kept\"\nexit 9\n```\n";
    let project = Project::new(page);
    let orders = ORDERS.trim_start();
    project.write("home/orders", orders);
    let said = project.opsbook(&["run", "p", "here", "--yes"]).ends(1);
    inert("run", &said);
    let sheet = project.opsbook(&["handoff", "here"]).ends(0);
    inert("handoff", &sheet);
    // And yet a shell that is given the sheet reads the value back.
    std::fs::remove_file(project.path("home/kept")).unwrap();
    project.write("sheet", &sheet.out);
    let pasted = std::process::Command::new("sh")
        .stdin(std::fs::File::open(project.path("sheet")).unwrap())
        .env("HOME", project.path("home"))
        .output()
        .unwrap();
    assert_eq!(project.text("kept"), orders, "{pasted:?}");
}

/// Its pages and values may be those of a pull request, which CI looks at.
#[test]
fn f33_a_manual_orders_nothing_from_a_runner() {
    let evil = "##[add-mask]x";
    let page = format!(
        "# ::error::t {evil}\n\n```yaml procedure\nid: p\nparams:\n  v: {{default: \"a\\n::error::v\\n{evil}\", help: \"{evil}\"}}\n```\n\n\
         ```sh step\n::error::s\n: {evil}\n```\n\n```text manual\n::error::m\n${{v}}\n```\n\n\
         # Other {evil}\n\n```yaml checks\nid: g\nfile:\n  \"/{evil}\": {{exists: true}}\n```\n"
    );
    let project = Project::new(&page);
    project.nodes(&format!(
        "  here: {{transport: local, val: \"a\\n::error::n\\n{evil}\"}}\n"
    ));
    for arguments in [
        &["list"][..],
        &["show", "p"],
        &["show", "g"],
        &["show", "here"],
        &["nodes"],
        &["run", "p", "here", "--dry-run"],
        &["test", "--list"],
        &["lint"],
    ] {
        let said = project.opsbook(arguments).ends(0);
        inert(arguments[0], &said);
    }
    // Where it is wrong, the place is shown.
    project.page(&format!(
        "{page}\n[{evil}](no.md)\n\n```sh stepp id={evil}\n```\n"
    ));
    inert("lint", &project.opsbook(&["lint"]).ends(2));
    // A program is given what stands there.
    let said = project.opsbook(&["list", "--json"]).said();
    assert!(said.out.contains(evil), "{said:?}");
}

#[test]
fn f33_a_journal_is_text_from_outside_too() {
    let project = Project::new(PAGE);
    project.opsbook(&["run", "p", "here"]).ends(0);
    let run = project.record().events[0].run.clone();
    let path = journal(&project, &run);
    let text = std::fs::read_to_string(&path).unwrap();
    let evil = serde_json::to_string(&format!("{EVIL}\n{ORDERS}")).unwrap();
    let evil = &evil[1..evil.len() - 1];
    let text = text
        .replace("\"done\\n\"", &format!("\"{evil}\""))
        .replace("\"title\":\"Page\"", &format!("\"title\":\"{evil}\""));
    assert!(text.contains("]52;c"), "something was replaced");
    std::fs::write(&path, text).unwrap();
    for arguments in [&["log", "here"][..], &["history"], &["handoff", "here"]] {
        inert(arguments[0], &project.opsbook(arguments).said());
    }
}

fn journal(project: &Project, run: &str) -> std::path::PathBuf {
    let mut folders = vec![project.path(".opsbook")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else if entry.file_name().to_string_lossy().contains(run) {
                return entry.path();
            }
        }
    }
    panic!("no journal of {run}");
}

#[test]
fn f26_a_run_of_many_nodes_ends_with_a_recap_and_one_way_on() {
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step\ntest \"$node\" != bad\n```\n\n```sh step\n:\n```\n";
    let project = Project::new(page);
    project.nodes(
        "  good: {transport: local, bundle_dir: g}\n  bad: {transport: local, bundle_dir: b}\n  \
           gone: {transport: {exec: [\"false\"]}}\n  also: {transport: local, bundle_dir: a}\n",
    );
    let nodes = ["run", "p", "good", "bad", "gone", "also", "--yes"];
    let said = project
        .opsbook(&[&nodes[..], &["--batch", "3", "--max-fail", "9"]].concat())
        .said();
    let run = project.record().events[0].run.clone();
    assert_ne!(said.status, 0, "{said:?}");
    said.has("\nbatch 1 of 2: good, bad, gone\n")
        .has("\nbatch 2 of 2: also\n");
    let last = format!(
        "\n\n2 OK, 1 FAILED: bad (step 1: exit status: expected 0, found 1), 1 ERROR: gone (no POSIX shell answered; it ended with exit status 1 and printed nothing)\n\
         by hand:      opsbook handoff {run} NODE\nto continue:  opsbook resume {run}\n"
    );
    let either = last.replace(
        "1 FAILED: bad (step 1: exit status: expected 0, found 1), 1 ERROR: gone (no POSIX shell answered; it ended with exit status 1 and printed nothing)",
        "1 ERROR: gone (no POSIX shell answered; it ended with exit status 1 and printed nothing), 1 FAILED: bad (step 1: exit status: expected 0, found 1)",
    );
    assert!(
        said.out.ends_with(&last) || said.out.ends_with(&either),
        "{said:?}"
    );
    said.lacks("to give up:");
    // The sheet of one, and of no other.
    let sheet = project.opsbook(&["handoff", &run, "bad"]).said();
    sheet.has("bad").has("to give up:");
    project
        .opsbook(&["handoff", &run, "bat"])
        .ends(2)
        .has("did you mean `bad`?");
    // All of them went well: counted, and nothing to go on with.
    let said = project
        .opsbook(&["run", "p", "good", "also", "--yes"])
        .said();
    assert!(said.out.ends_with("\n\n2 OK\n"), "{said:?}");
}
