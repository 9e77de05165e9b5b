//! Every probe asks the real tool, in each state that the tool knows, on a node with systemd:
//! what is known is right, what is not known is never green, and the command that is shown for
//! looking by hand runs and shows the same. F54.

use std::process::{Command, Stdio};

use crate::lab::{Kind, Node};
use crate::project::{Project, Said};
use crate::sshd::{Skip, or_skip};
use crate::tier;

fn node() -> Result<Node, Skip> {
    for program in [
        "/usr/bin/dig",
        "/usr/bin/dpkg-deb",
        "/usr/bin/openssl",
        "/usr/bin/curl",
        "/bin/nc",
        "/usr/sbin/chronyd",
    ] {
        tier::program(program)?;
    }
    Node::of(&Kind {
        systemd: true,
        sudoers: "ops ALL=(ALL:ALL) NOPASSWD: ALL\n",
        ..Kind::default()
    })
}

fn on(node: &Node, page: &str) -> Project {
    let project = Project::new(page);
    project.node("far", &node.ssh(), "");
    project
}

/// What a test said: `ok`, `failed` or `could not look`, and its story.
fn verdict(said: &Said, name: &str) -> (String, String) {
    let ended = said.out.lines().find_map(|line| {
        let event: serde_json::Value = serde_json::from_str(line).ok()?;
        let this = event["name"] == *name && event["event"] != "started";
        this.then_some(event)
    });
    let Some(event) = ended else {
        return ("not there".to_owned(), said.err.clone());
    };
    let story = event["stdout"].as_str().unwrap_or_default();
    // A text in quotes, as Rust writes it.
    let story = story
        .replace("\\n", "\n")
        .replace("\\\"", "\"")
        .replace("\\\\", "\\");
    let word = event["reason"].as_str().or(event["event"].as_str());
    (word.unwrap_or_default().to_owned(), story)
}

/// The checks of a page, each with what stands behind it.
fn rows(page: &str) -> Vec<(String, &str)> {
    let (mut group, mut kind, mut rows) = ("", "", Vec::new());
    for line in page.lines() {
        if let Some(id) = line.strip_prefix("id: ") {
            group = id;
        } else if let Some((check, expected)) = line
            .strip_prefix("  ")
            .and_then(|line| line.split_once(" # "))
        {
            let key = check.split(": {").next().unwrap().trim_matches('"');
            rows.push((format!("far::{group}::{kind}/{key}"), expected.trim()));
        } else if let Some(word) = line.strip_suffix(':') {
            kind = word;
        }
    }
    rows
}

/// What is wrong with a test, if anything is.
fn wrong(node: &Node, said: &Said, name: &str, expected: &str) -> Option<String> {
    let (word, story) = verdict(said, name);
    let (wanted, text) = match expected.split_at(expected.find(' ').unwrap_or(expected.len())) {
        ("ok", _) => ("ok", ""),
        ("no", text) => ("failed", text),
        (_, text) => ("could not look", text),
    };
    let (found, shown) = text.split_once('|').unwrap_or((text, ""));
    if word != wanted || !story.contains(found.trim()) {
        return Some(format!("{name}: expected {expected}\n{word}\n{story}"));
    }
    if wanted != "failed" || !text.contains('|') {
        return None;
    }
    let how = story
        .split_once("look with       ")
        .map_or("", |(_, how)| how);
    let how = how.split("\n  manual  ").next().unwrap_or_default();
    if how.is_empty() {
        return Some(format!("{name}: no command to look with\n{story}"));
    }
    let by_hand = by_hand(node, how);
    let bad = [
        "not found\n",
        "invalid option",
        "Usage:",
        "yntax error",
        "unexpected",
    ];
    let fits = by_hand.contains(shown.trim()) && !bad.iter().any(|bad| by_hand.contains(bad));
    (!fits).then(|| format!("{name}: by hand {shown}\n{how}\n{by_hand}"))
}

/// What a command prints on the node, to whoever pastes it into a shell.
fn by_hand(node: &Node, command: &str) -> String {
    let out = Command::new("nsenter")
        .args([
            "-t",
            &node.process_1().to_string(),
            "-m",
            "-p",
            "-u",
            "-i",
            "-n",
            "--",
            "timeout",
            "10",
            "bash",
            "-c",
            command,
        ])
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned()
}

fn all_as_written(node: &Node, page: &str) {
    let said = on(node, page).opsbook(&["test", "--format", "json"]).said();
    let rows = rows(page);
    assert!(!rows.is_empty());
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|(name, expected)| wrong(node, &said, name, expected))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n---\n"));
}

#[test]
fn f54_each_probe_knows_each_state_of_its_tool_or_says_that_it_does_not() {
    let Some(node) = or_skip("T3", node()) else {
        return;
    };
    let setup = include_str!("states/setup.sh");
    let names = include_str!("states/names.py");
    std::fs::write(node.path("/setup.sh"), setup).unwrap();
    std::fs::write(node.path("/names.py"), names).unwrap();
    node.root("sh -eu /setup.sh </names.py >/setup.log 2>&1 || { cat /setup.log >&2; exit 1; }");
    all_as_written(&node, include_str!("states/page.md"));
}

/// One check, alone on its page.
fn one(check: &str) -> String {
    format!("# Page\n\n```yaml checks\nid: g\n{check}\n```\n")
}

#[test]
fn f54_a_clock_that_follows_nothing_is_not_in_order() {
    let Some(node) = or_skip("T3", node()) else {
        return;
    };
    let chronyd = "cd /srv; config() { printf '%s\\n' \"$@\" 'port 0' 'pidfile /srv/pid' >conf; if [ -e pid ]; then kill \"$(cat pid)\"; while [ -e pid ]; do sleep 0.1; done; fi; chronyd -x -u root -f /srv/conf; until chronyc -n -c tracking; do sleep 0.1; done; }";
    for (config, checks) in [
        (
            "'server 127.0.0.1 port 1234'",
            "time-sync:\n  a: {synchronized: true} # no false | Not synchronised\n  b: {synchronized: false} # ok\n  c: {synchronized: false, offset: {lt: 1}} # ? nothing that it could be off from\n  d: {synchronized: false, source: {not: x}} # ?",
        ),
        (
            "'local stratum 8'",
            "time-sync:\n  a: {} # no it follows only itself | 7F7F0101\n  b: {synchronized: false, offset: {lt: 1}} # ? nothing that it could be off from",
        ),
    ] {
        node.root(&format!("{chronyd}; config {config}"));
        all_as_written(&node, &one(checks));
    }
    node.root("cd /srv; printf 'local stratum 3\\nport 1234\\nallow 127/8\\ncmdport 0\\npidfile /srv/pid2\\nbindcmdaddress /srv/sock2\\n' >conf2; chronyd -x -u root -f /srv/conf2");
    node.root(&format!("{chronyd}; config 'server 127.0.0.1 port 1234 iburst'; until chronyc -n -c tracking | grep -q Normal; do sleep 0.1; done"));
    all_as_written(
        &node,
        &one(
            "time-sync:\n  a: {synchronized: true, source: 127.0.0.1, offset: {lt: 1}} # ok\n  b: {offset: {gt: 1}} # no | System time",
        ),
    );
}

#[test]
fn f54_what_the_kernel_hides_is_not_absent() {
    let Some(node) = or_skip("T3", node()) else {
        return;
    };
    node.root("mount -o remount,hidepid=2 /proc");
    let page = one(
        "process:\n  systemd: {running: false} # ? the kernel hides the processes of others\n  none: {running: false} # ? the kernel hides the processes of others",
    );
    all_as_written(&node, &page);
    node.root("mkdir -m 700 /run/empty; mount --bind /run/empty /proc/sys");
    let page =
        one("kernel-param:\n  kernel.ostype: {value: {not: x}} # ? no permission to look into");
    all_as_written(&node, &page);
}
