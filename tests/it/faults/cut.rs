//! Faults of the way to a node and of its power: F3, F4, F5, F27; F2 and F6 on a slow way.

use std::fs;
use std::time::Duration;

use opsbook::event::{Status, What};

use crate::lab::{Kind, Node, PASSWORD, until};
use crate::project::Project;
use crate::sshd::{Skip, or_skip};

/// Step 1 says that it began and waits until it may end.
const WAIT: &str = "# Page\n\n```yaml procedure\nid: p\ntimeout: 5m\n```\n\n```sh step id=one\necho 1 >> \"$HOME/ran\"\nwhile test ! -e \"$HOME/go\"; do sleep 0.1; done\necho end >> \"$HOME/ran\"\n```\n\n```sh step id=two\necho 2 >> \"$HOME/ran\"\n```\n";

fn on(node: &Node, page: &str) -> Project {
    let project = Project::new(page);
    project.node("far", &node.ssh(), "");
    project
}

fn ran(node: &Node) -> String {
    fs::read_to_string(node.home().join("ran")).unwrap_or_default()
}

#[test]
fn f3_a_cut_that_heals_is_reattached_and_nothing_runs_twice() {
    let Some(node) = or_skip("T2", Node::start()) else {
        return;
    };
    let project = on(&node, WAIT);
    let mut run = project.opsbook(&["run", "p", "far"]).start();
    run.until_file(&node.home().join("ran"));
    node.cut();
    run.until("the cut is noticed", |event| {
        matches!(event.what, What::ConnectionLost { .. })
    });
    fs::write(node.home().join("go"), "").unwrap();
    node.heal();
    let said = run.wait();
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(ran(&node), "1\nend\n2\n");
    let reattached = |what: &What| matches!(what, What::Reattached { .. });
    assert!(project.events().iter().any(|event| reattached(&event.what)));
}

#[test]
fn f3_a_cut_for_ever_is_an_unknown_outcome_that_resume_finds_out() {
    let Some(node) = or_skip("T2", Node::start()) else {
        return;
    };
    let project = on(&node, WAIT);
    let mut run = project
        .opsbook(&["run", "p", "far", "--reconnect", "2s"])
        .start();
    run.until_file(&node.home().join("ran"));
    node.cut();
    let said = run.wait();
    assert_eq!(said.status, 3, "{said:?}");
    said.has("may or may not have finished")
        .has("opsbook resume");
    let ended = project.ended(1);
    assert!(
        ended.status == Status::Error && ended.outcome_unknown,
        "{ended:?}"
    );
    // It ends by itself meanwhile; resume reads what happened and goes on.
    fs::write(node.home().join("go"), "").unwrap();
    until("the step ends by itself", || ran(&node) == "1\nend\n");
    node.heal();
    project.opsbook(&["resume"]).ends(0);
    assert_eq!(ran(&node), "1\nend\n2\n");
}

#[test]
fn f3_frozen_for_a_while_and_lossy_a_node_is_only_slow() {
    let Some(node) = or_skip("T2", Node::start()) else {
        return;
    };
    let project = on(&node, WAIT);
    let mut run = project.opsbook(&["run", "p", "far"]).start();
    run.until_file(&node.home().join("ran"));
    node.lose(10);
    node.freeze();
    std::thread::sleep(Duration::from_millis(500));
    node.thaw();
    fs::write(node.home().join("go"), "").unwrap();
    let said = run.wait();
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(ran(&node), "1\nend\n2\n");
}

#[test]
fn f4_a_node_that_lost_power_during_a_step_is_an_error_that_says_so() {
    let Some(node) = or_skip("T2", Node::start()) else {
        return;
    };
    let project = on(&node, WAIT);
    let mut run = project.opsbook(&["run", "p", "far"]).start();
    run.until_file(&node.home().join("ran"));
    node.power_off();
    node.power_on();
    let said = run.wait();
    assert_eq!(said.status, 3, "{said:?}");
    said.has("rebooted during step").has("opsbook resume");
    assert!(node.home().join(".opsbook/bundle").exists());
    let ended = project.ended(1);
    assert!(ended.outcome_unknown, "{ended:?}");
    let rebooted = |what: &What| matches!(what, What::NodeRebooted { expected: false });
    assert!(project.events().iter().any(|event| rebooted(&event.what)));
    // The operator knows what to do; going on runs the step again.
    fs::write(node.home().join("go"), "").unwrap();
    project.opsbook(&["resume", "--yes"]).ends(0);
    assert_eq!(ran(&node), "1\n1\nend\n2\n");
}

#[test]
fn f5_a_reboot_on_purpose_is_waited_for() {
    let Some(node) = or_skip("T3", Node::with_systemd()) else {
        return;
    };
    let page = "# Page\n\n```yaml procedure\nid: p\ntimeout: 2m\n```\n\n```sh step id=one\ncat /proc/sys/kernel/random/boot_id > \"$HOME/before\"\n```\n\n```sh step id=restart sudo reboot\nsystemctl reboot\n```\n\n```sh step id=two\ntest \"$(cat \"$HOME/before\")\" != \"$(cat /proc/sys/kernel/random/boot_id)\"\necho 2 >> \"$HOME/ran\"\n```\n";
    let project = on(&node, page);
    // The home directory of these nodes is in memory.
    node.root("install -d -o ops /var/lib/ops");
    project.node("far", &node.ssh(), "    bundle_dir: /var/lib/ops/bundle\n");
    project.write("password", PASSWORD);
    node_private(&project);
    let arguments = ["run", "p", "far", "--sudo-password-file", "password"];
    let said = project.opsbook(&arguments).said();
    assert_eq!(said.status, 0, "{said:?}\n{}", node.console());
    assert_eq!(ran(&node), "2\n");
    let rebooted = |what: &What| matches!(what, What::NodeRebooted { expected: true });
    assert!(project.events().iter().any(|event| rebooted(&event.what)));
}

/// A node with a link so slow that a delivery can be caught in the middle, and a manual that
/// delivers 300 MiB to it.
fn slow(limit: &str) -> Result<(Node, Project), Skip> {
    let kind = Kind {
        home: Some("2g"),
        ..Kind::default()
    };
    let node = Node::of(&kind)?;
    let page = format!(
        "# Page\n\n```yaml procedure\nid: p\ntimeout: {limit}\n```\n\n```yaml deliver\n- {{file: big, as: big}}\n```\n\n```sh step id=use\nwc -c < \"$bundle/big\" > \"$HOME/ran\"\n```\n"
    );
    let project = on(&node, &page);
    let big = fs::File::create(project.path("big")).unwrap();
    big.set_len(300 << 20).unwrap();
    node.lose(3);
    Ok((node, project))
}

/// The files in the bundle that are not its own.
fn brought(node: &Node) -> Vec<String> {
    let files = fs::read_dir(node.home().join(".opsbook/bundle"));
    let names = files.into_iter().flatten().flatten();
    let names = names.filter(|file| file.metadata().is_ok_and(|facts| facts.len() > 0));
    let names = names.map(|file| file.file_name().to_string_lossy().into_owned());
    names
        .filter(|name| name.ends_with(".part") || name == "big")
        .collect()
}

fn until_part_is_there(node: &Node) {
    until("part of it is there", || {
        brought(node).iter().any(|name| name.ends_with(".part"))
    });
}

#[test]
fn f2_a_delivery_is_stopped_at_once_and_nothing_of_it_is_left() {
    let Some((node, project)) = or_skip("T2", slow("5m")) else {
        return;
    };
    let run = project.opsbook(&["run", "p", "far"]).start();
    until_part_is_there(&node);
    run.signal("INT");
    let said = run.wait();
    assert_eq!(said.status, 5, "{said:?}");
    said.has("stopped while delivering files");
    assert_eq!(project.ended(1).status, Status::Stopped);
    assert_eq!(brought(&node), Vec::<String>::new());
    node.lose(0);
    project.opsbook(&["resume"]).ends(0);
    assert_eq!(ran(&node), format!("{}\n", 300 << 20));
}

#[test]
fn f6_a_delivery_has_the_time_limit_of_its_step() {
    let Some((node, project)) = or_skip("T2", slow("2s")) else {
        return;
    };
    let said = project.opsbook(&["run", "p", "far"]).said();
    assert_eq!(said.status, 124, "{said:?}");
    said.has("not delivered within 2s");
    assert_eq!(project.ended(1).status, Status::TimedOut);
    assert_eq!(brought(&node), Vec::<String>::new());
}

#[test]
fn f27_a_delivery_that_is_cut_half_way_is_never_used() {
    let Some((node, project)) = or_skip("T2", slow("5m")) else {
        return;
    };
    let run = project
        .opsbook(&["run", "p", "far", "--reconnect", "1s"])
        .start();
    until_part_is_there(&node);
    node.cut();
    assert!(!node.home().join(".opsbook/bundle/big").exists());
    let said = run.wait();
    assert_eq!(said.status, 3, "{said:?}");
    assert_eq!(ran(&node), "");
    node.lose(0);
    node.heal();
    project.opsbook(&["resume"]).ends(0);
    assert_eq!(ran(&node), format!("{}\n", 300 << 20));
}

fn node_private(project: &Project) {
    use std::os::unix::fs::PermissionsExt as _;
    let private = fs::Permissions::from_mode(0o600);
    fs::set_permissions(project.path("password"), private).unwrap();
}
