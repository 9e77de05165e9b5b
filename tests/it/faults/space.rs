//! Faults of full disks, here and on the node: F7, F8.

use std::fs;

use opsbook::event::Status;

use crate::lab::{Kind, Node};
use crate::project::Project;
use crate::sshd::{Skip, or_skip};
use crate::tier;

const SMALL: &str =
    "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step id=one\n: > /tmp/ran\n```\n";

/// A node with that much room for the bundle, and a project for it.
fn small(size: &'static str, page: &str) -> Result<(Node, Project), Skip> {
    let node = Node::of(&Kind {
        home: Some(size),
        ..Kind::default()
    })?;
    let project = Project::new(page);
    project.node("far", &node.ssh(), "");
    Ok((node, project))
}

#[test]
fn f7_a_full_disk_at_opening_is_an_error_and_nothing_ran() {
    let Some((node, project)) = or_skip("T2", small("1m", SMALL)) else {
        return;
    };
    node.root("dd if=/dev/zero of=/home/ops/full bs=4k 2>/dev/null || :");
    let said = project.opsbook(&["run", "p", "far"]).ends(3);
    said.has("No space left on device").lacks("held");
    // The `dd` of uutils counts before it names the reason.
    node.root(
        "rm -f /usr/local/bin/dd; printf '#!/bin/sh\\necho 0+0 records in >&2\\nexec /usr/bin/dd \"$@\"\\n' \
           > /usr/local/bin/dd; chmod 755 /usr/local/bin/dd",
    );
    let said = project.opsbook(&["run", "p", "far"]).ends(3);
    said.has("No space left on device").lacks("records");
    assert!(!node.path("/tmp/ran").exists());
    let bundle = node.home().join(".opsbook/bundle");
    assert!(!bundle.exists(), "no half bundle");
    // With room, all is well: nothing was left in the way.
    node.root("rm /home/ops/full");
    project.opsbook(&["run", "p", "far"]).ends(0);
}

#[test]
fn f7_a_full_disk_at_resume_is_an_error_with_that_cause() {
    let page = SMALL.replace(": > /tmp/ran", "echo 1 >> /tmp/ran\ntest -e /tmp/go");
    let Some((node, project)) = or_skip("T2", small("1m", &page)) else {
        return;
    };
    project.opsbook(&["run", "p", "far"]).ends(1);
    node.root("dd if=/dev/zero of=/home/ops/full bs=1k 2>/dev/null || :; : > /tmp/go");
    let said = project.opsbook(&["resume"]).ends(3);
    said.has("the bundle cannot be used: ")
        .has("No space left on device");
    node.root("rm /home/ops/full");
    project.opsbook(&["resume"]).ends(0);
    let ran = fs::read_to_string(node.path("/tmp/ran")).unwrap();
    assert_eq!(ran, "1\n1\n");
}

#[test]
fn f7_a_disk_that_becomes_read_only_is_named_and_gone_on_with_later() {
    let Some((node, project)) = or_skip(
        "T2",
        small("1m", &SMALL.replace(": >", "test -e /tmp/go; : >")),
    ) else {
        return;
    };
    project.opsbook(&["run", "p", "far"]).ends(1);
    let folder = "/home/ops/.opsbook";
    node.root(&format!(
        "mount --bind {folder} {folder}; mount -o remount,bind,ro {folder}; : > /tmp/go"
    ));
    let said = project.opsbook(&["resume"]).ends(3);
    said.has("the bundle cannot be used: ")
        .has("Read-only file system; `dmesg` there may say why");
    assert!(!node.path("/tmp/ran").exists());
    node.root(&format!("umount {folder}"));
    project.opsbook(&["resume"]).ends(0);
    assert!(node.path("/tmp/ran").exists());
}

#[test]
fn f7_where_no_inode_is_left_it_says_so_and_goes_on_when_there_are() {
    let inodes = "4m,nr_inodes=60";
    let Some((node, project)) = or_skip("T2", small(inodes, SMALL)) else {
        return;
    };
    node.root("i=0; while touch /home/ops/x$i; do i=$((i+1)); done 2>/dev/null || :");
    let said = project.opsbook(&["run", "p", "far"]).ends(3);
    said.has("No space left on device; `df -h` and `df -i` there show what is full");
    assert!(!node.path("/tmp/ran").exists());
    node.root("rm /home/ops/x*");
    project.opsbook(&["resume"]).ends(0);
}

#[test]
fn f7_a_full_disk_at_delivery_is_an_error_before_the_step() {
    let page = SMALL.replace(
        "```sh step",
        "```yaml deliver\n- {file: big, as: big}\n```\n\n```sh step",
    );
    let Some((node, project)) = or_skip("T2", small("4m", &page)) else {
        return;
    };
    fs::write(project.path("big"), vec![b'x'; 6 << 20]).unwrap();
    let said = project.opsbook(&["run", "p", "far"]).ends(3);
    said.has("No space left on device");
    assert!(!node.path("/tmp/ran").exists());
    assert!(!node.home().join(".opsbook/bundle/big").exists());
}

#[test]
fn f7_a_full_disk_under_a_step_that_prints_is_never_ok() {
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step id=one\nyes | head -c 8000000\necho printed >&2\n```\n\n```sh step id=two\n: > /tmp/ran\n```\n";
    let Some((node, project)) = or_skip("T2", small("2m", page)) else {
        return;
    };
    let said = project.opsbook(&["run", "p", "far"]).said();
    assert!([1, 3].contains(&said.status), "{said:?}");
    assert!(!node.path("/tmp/ran").exists(), "{said:?}");
    assert_ne!(project.ended(1).status, Status::Ok);
}

/// Many times the disk, from writers as fast as there are; nothing of it hurts the step.
#[test]
fn f17_a_step_that_prints_more_than_the_disk_holds_ends_well() {
    let page = "# Page\n\n```yaml procedure\nid: p\ntimeout: 5m\n```\n\n```sh step id=zeros\nhead -c 4G /dev/zero\necho 1 > \"$HOME/ran\"\n```\n\n```sh step id=yes\nsleep 2\nyes 'a longer line for yes' | head -c 4G >&2\necho 2 >> \"$HOME/ran\"\n```\n";
    let Some((node, project)) = or_skip("T2", small("1g", page)) else {
        return;
    };
    let said = project.opsbook(&["run", "p", "far"]).ends(0);
    said.has("more than 1 MiB");
    let ran = fs::read_to_string(node.home().join("ran")).unwrap();
    assert_eq!(ran, "1\n2\n");
    let history = node.home().join(".opsbook/history");
    let run = fs::read_dir(history).unwrap().next().unwrap().unwrap();
    for (step, stream) in [("1", "out"), ("2", "err")] {
        let kept = run.path().join(step);
        assert_eq!(fs::metadata(kept.join(stream)).unwrap().len(), 64 << 20);
        assert!(kept.join("cut").exists());
    }
}

#[test]
fn f8_a_journal_that_cannot_be_written_stops_the_run_before_the_next_step() {
    let Some(()) = or_skip("T2", tier::t2()) else {
        return;
    };
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step id=one\necho 1 >> \"$HOME/ran\"\nyes 'much to be written down' | head -c 600000\n```\n\n```sh step id=two\necho 2 >> \"$HOME/ran\"\n```\n";
    let project = Project::new(page);
    fs::create_dir(project.path(".opsbook")).unwrap();
    let mount = "mount -t tmpfs -o size=100k none .opsbook; exec \"$0\" \"$@\"";
    let said = project
        .through(
            &["unshare", "-m", "sh", "-euc", mount],
            &["run", "p", "here"],
        )
        .ends(3);
    said.has("No space left on device (os error 28); `df -h` and `df -i` there show what is full")
        .has("journal");
    assert_eq!(project.text("ran"), "1\n");
}

#[test]
fn f8_a_journal_that_is_taken_away_stops_the_run_before_the_next_step() {
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step id=one\necho 1 >> \"$HOME/ran\"\nuntil test -e \"$HOME/go\"; do sleep 0.1; done\n```\n\n```sh step id=two\necho 2 >> \"$HOME/ran\"\n```\n";
    let project = Project::new(page);
    let mut run = project.opsbook(&["run", "p", "here"]).start();
    run.until_file(&project.home("ran"));
    let runs = project.path(".opsbook/runs");
    let journal = fs::read_dir(&runs).unwrap().next().unwrap().unwrap();
    let name = journal.file_name().into_string().unwrap();
    let id = name.trim_end_matches(".jsonl").to_owned();
    fs::remove_dir_all(&runs).unwrap();
    fs::write(project.home("go"), "").unwrap();
    let said = run.wait();
    assert_eq!(said.status, 3, "{said:?}");
    said.has(": it was removed")
        .has(&format!("`opsbook resume {id} --catch-up` writes it again"));
    assert_eq!(project.text("ran"), "1\n", "a step without its line");
    let resume = ["resume", &id, "--catch-up", "--yes"];
    project.opsbook(&resume).ends(0);
    assert_eq!(project.text("ran"), "1\n2\n");
}

#[test]
fn f8_where_journals_cannot_be_looked_for_nobody_says_that_there_are_none() {
    let project = Project::new("# Page\n");
    project.opsbook(&["history"]).ends(0);
    project.opsbook(&["resume"]).ends(2).has("no halted run");
    // A disk that is not mounted.
    fs::create_dir(project.path(".opsbook")).unwrap();
    std::os::unix::fs::symlink("/nonexistent/runs", project.path(".opsbook/runs")).unwrap();
    for line in [
        &["history"][..],
        &["resume"],
        &["handoff"],
        &["log", "here"],
    ] {
        let said = project.opsbook(line).ends(3);
        said.has(".opsbook/runs`: No such file or directory");
    }
}
