//! What decides how a step and a run end: the record on the node, whatever a process of the
//! step says of itself, however full the session's folder is, and whatever cannot be removed.
//! F34, F48, F49 and F51.

use std::fs;

use opsbook::event::Status;

use crate::lab::{Kind, Node};
use crate::project::{Project, Said};
use crate::sshd::or_skip;

fn page(blocks: &str) -> String {
    format!("# Page\n\n```yaml procedure\nid: p\n```\n\n{blocks}")
}

/// Says to each session of this user, for every job there may be, that it has ended.
const FORGE: &str = "forge() { for f in \"${XDG_RUNTIME_DIR:-/dev/shm}\"/.opsbook-*/f; do n=0; while [ $n -lt 60 ]; do n=$((n+1)); echo \"$n $1\"; done 1<>\"$f\"; done; }\n";

#[test]
fn f34_a_step_does_not_end_by_what_it_says_of_itself() {
    for (forged, status) in [
        ("0 c DONE 0 exited 0 0", 9),
        ("0 c DONE", 9),
        ("0 c FAILED it was never there", 9),
        ("0 c", 9),
        ("0 c OPENED", 9),
        ("0 c DONE 0 exited 0 0", 0),
    ] {
        let project = Project::new(&page(&format!(
            "```sh step\n{FORGE}forge '{forged}'\nsleep 1\nforge '{forged}'\necho one >> \"$HOME/ran\"; exit {status}\n```\n\n\
             ```sh step\necho two >> \"$HOME/ran\"\n```\n"
        )));
        let place = tempfile::tempdir().unwrap();
        let call = project.opsbook(&["run", "p", "here"]);
        call.env("XDG_RUNTIME_DIR", &place.path().to_string_lossy())
            .ends(i32::from(status != 0));
        let ended = project.ended(1);
        assert_eq!(ended.exit, Some(status), "{forged}: {ended:?}");
        let ran = if status == 0 { "one\ntwo\n" } else { "one\n" };
        assert_eq!(project.text("ran"), ran, "{forged}");
    }
}

#[test]
fn f34_a_record_that_is_no_record_leaves_the_outcome_unknown() {
    // A long record is refused by its first line; a FIFO and a folder are none at all.
    for spoils in [
        "printf 'x y z w .\\n' > \"$s\"",
        "printf '0 exited 0 .\\n' > \"$s\"",
        "printf '0 vanished 0 0 .\\n' > \"$s\"",
        "head -c 100000 /dev/zero | tr '\\0' 9 > \"$s\"; echo ' exited 0 0 .' >> \"$s\"",
        "rm \"$s\"; mkdir \"$s\"",
        "rm \"$s\"; mkfifo \"$s\"",
    ] {
        let project = Project::new(&page(&format!(
            "```sh step\n{FORGE}echo one >> \"$HOME/ran\"\nr=$PPID; kill -STOP $r; s=$bundle/steps/1/status\n{spoils}\nforge '0 c DONE'\nkill -KILL $r\n```\n\n\
             ```sh step\necho two >> \"$HOME/ran\"\n```\n"
        )));
        let place = tempfile::tempdir().unwrap();
        let call = project.opsbook(&["run", "p", "here"]);
        let said = call
            .env("XDG_RUNTIME_DIR", &place.path().to_string_lossy())
            .ends(3);
        said.has("outcome: unknown").has("look at the node first");
        assert!(project.ended(1).outcome_unknown, "{spoils}");
        assert_eq!(project.text("ran"), "one\n", "{spoils}");
    }
}

#[test]
fn f48_what_cannot_be_removed_is_named_once_and_changes_no_verdict() {
    let Some(node) = or_skip("T2", Node::of(&Kind::FREE)) else {
        return;
    };
    node.root("mkdir -p /srv/data; echo kept > /srv/data/file; chown -R root: /srv/data");
    for (makes, named) in [
        (
            "sudo mkdir \"$bundle/out\"; sudo touch \"$bundle/out/x\"",
            true,
        ),
        ("sudo mkdir -p \"$bundle/steps/1/d/e\"", false),
        (
            "mkdir -p \"$bundle/a/b\"; chmod 000 \"$bundle/a/b\" \"$bundle/a\"",
            false,
        ),
        (
            "mkdir \"$bundle/m\"; sudo mount --bind /srv/data \"$bundle/m\"",
            true,
        ),
        (
            "mkdir \"$bundle/m\"; sudo mount -t tmpfs none \"$bundle/m\"; sudo touch \"$bundle/m/x\"",
            true,
        ),
    ] {
        for sudo in ["", "```sh step sudo\ntrue\n```\n\n"] {
            let project = Project::new(&page(&format!("{sudo}```sh step\n{makes}\n```\n")));
            project.node("far", &node.ssh(), "");
            let said = project.opsbook(&["run", "p", "far"]).ends(0);
            let left = said.out.matches("/.left.").count();
            // As root, opsbook gives the login what root has made; not what is mounted.
            let mounted = makes.contains("mount");
            let expected = usize::from(named && (sudo.is_empty() || mounted));
            assert_eq!(left, expected, "{makes}: {}", said.out);
            // The same, and nothing said.
            project.page(&page("```sh step\ntrue\n```\n"));
            let said = project.opsbook(&["run", "p", "far"]).ends(0);
            said.lacks(".left").lacks("warning");
            let kept = node.root("cat /srv/data/file; stat -c %U /srv/data/file");
            assert_eq!(kept, "kept\nroot", "{makes}");
        }
    }
    node.root("cut -d' ' -f5 /proc/self/mountinfo | grep left | xargs -r umount");
}

#[test]
fn f48_an_old_record_that_cannot_be_removed_does_not_stay_in_the_way() {
    let Some(node) = or_skip("T2", Node::of(&Kind::FREE)) else {
        return;
    };
    let project = Project::new(&page("```sh step\ntrue\n```\n"));
    project.node("far", &node.ssh(), "");
    node.root("cd /home/ops; mkdir -p .opsbook/history/0000/x .opsbook/.old.1/d; touch .opsbook/.old.1/d/y; chmod 700 .opsbook; chown ops: .opsbook .opsbook/history .opsbook/.old.1; for n in $(seq 20); do mkdir .opsbook/history/1$n; done; touch -d \"30 days ago\" .opsbook/history/*");
    let said = project.opsbook(&["run", "p", "far"]).ends(0);
    assert_eq!(said.out.matches("/.left.").count(), 2, "{}", said.out);
    let said = project.opsbook(&["run", "p", "far"]).ends(0);
    said.lacks(".left");
}

#[test]
fn f48_a_history_that_is_closed_to_its_owner_gets_the_record_and_one_without_room_is_named() {
    let Some(node) = or_skip("T2", Node::of(&Kind::FREE)) else {
        return;
    };
    let project = Project::new(&page("```sh step\ntrue\n```\n"));
    project.node("far", &node.ssh(), "");
    let run = ["run", "p", "far"];
    let kept = || node.root("ls /home/ops/.opsbook/history | wc -l");
    project.opsbook(&run).ends(0);
    for mode in ["000", "500", "600"] {
        node.root(&format!("chmod {mode} /home/ops/.opsbook/history"));
        project.opsbook(&run).ends(0);
    }
    assert_eq!(kept(), "4");
    for (like, says) in [
        ("ro", "Read-only file system"),
        ("nr_inodes=1", "the record of this run has no place"),
    ] {
        node.root(&format!(
            "mount -t tmpfs -o {like},mode=700,uid=$(id -u ops) none /home/ops/.opsbook/history"
        ));
        project.opsbook(&run).ends(3).has(says);
        node.root("umount /home/ops/.opsbook/history");
        // It is still in the bundle, and whoever continues brings it to its place.
        project.opsbook(&["resume"]).ends(0);
    }
    assert_eq!(kept(), "6");
}

#[test]
fn f48_thousands_of_old_runs_cost_a_new_one_little() {
    let project = Project::new(&page("```sh step\ntrue\n```\n"));
    let history = project.home(".opsbook/history");
    for number in 0..4000 {
        fs::create_dir_all(history.join(format!("20200101-000000-{number:04}"))).unwrap();
    }
    // The time of one process, so that it does not matter how busy this machine is.
    let little = "ulimit -t 4; exec \"$0\" \"$@\"";
    let run = ["run", "p", "here"];
    project.through(&["sh", "-c", little], &run).ends(0);
}

/// A node whose sessions have a folder of one megabyte.
fn small() -> Option<(Node, Project)> {
    let node = or_skip("T2", Node::start())?;
    node.root("mount -t tmpfs -o size=1m,mode=1777 none /dev/shm");
    let project = Project::new("");
    project.node("far", &node.ssh(), "");
    Some((node, project))
}

#[test]
fn f49_a_full_session_folder_leaves_the_outcome_unknown_and_is_named() {
    let Some((node, project)) = small() else {
        return;
    };
    for (prints, limit) in [
        ("echo said", 30),
        ("head -c 300000 /dev/zero | tr '\\0' x", 60),
    ] {
        project.page(&page(&format!(
            "```sh step timeout=1m\necho ran >> \"$HOME/ran\"\nhead -c 2M /dev/zero > /dev/shm/big 2>/dev/null || :\n{prints}\n```\n```text expect=regex\n.*\n```\n\n\
             ```sh step\nrm -f /dev/shm/big\n```\n"
        )));
        let begin = std::time::Instant::now();
        let said: Said = project.opsbook(&["run", "p", "far"]).ends(3);
        said.has("outcome: unknown")
            .has("/dev/shm/.opsbook-")
            .has("look at the node first");
        assert!(begin.elapsed().as_secs() < limit, "{:?}", begin.elapsed());
        let ended = project.ended(1);
        assert_eq!((ended.status, ended.outcome_unknown), (Status::Error, true));
        // The node knows how it ended: nothing runs twice.
        project.opsbook(&["resume"]).ends(0);
        let ran = fs::read_to_string(node.home().join("ran")).unwrap();
        assert_eq!(ran, "ran\n", "{prints}");
        fs::remove_file(node.home().join("ran")).unwrap();
    }
}

#[test]
fn f49_where_the_folder_is_full_before_a_step_it_does_not_start() {
    let Some((node, project)) = small() else {
        return;
    };
    project.page(&page(
        "```sh step\nhead -c 2M /dev/zero > /dev/shm/big 2>/dev/null || :\n```\n\n```sh step\n: > \"$HOME/ran\"\n```\n",
    ));
    let said = project.opsbook(&["run", "p", "far"]).ends(3);
    said.has("the step cannot be started: ")
        .has("/dev/shm/.opsbook-")
        .lacks("outcome: unknown");
    assert!(!node.home().join("ran").exists());
    node.root("rm /dev/shm/big");
    project.opsbook(&["resume"]).ends(0);
}

#[test]
fn f51_a_reboot_step_that_fails_is_failed_at_once() {
    for (exit, says) in [
        ("exit 1", "expected 0, found 1"),
        ("no-such-command", "expected 0, found 127"),
    ] {
        let project = Project::new(&page(&format!(
            "```sh step reboot timeout=2m\n{exit}\n```\n"
        )));
        let begin = std::time::Instant::now();
        project.opsbook(&["run", "p", "here"]).ends(1).has(says);
        assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
        assert_eq!(project.ended(1).status, Status::Failed);
    }
}

#[test]
fn f51_a_bundle_in_memory_beside_a_reboot_is_refused_before_step_1() {
    let project = Project::new(&page(
        "```sh step\n: > \"$HOME/ran\"\n```\n\n```sh step reboot\ntrue\n```\n",
    ));
    let place = tempfile::tempdir_in("/dev/shm").unwrap();
    let dir = place.path().join("not/there/bundle");
    let node = serde_json::json!({"transport": "local", "bundle_dir": dir});
    project.nodes(&format!("  here: {node}\n"));
    let said = project.opsbook(&["run", "p", "here"]).ends(3);
    said.has(&dir.display().to_string())
        .has("tmpfs")
        .has("step 2");
    assert!(!project.home("ran").exists());
    assert!(!place.path().join("not").exists());
    // Without such a step it is nobody's business.
    project.page(&page("```sh step\n: > \"$HOME/ran\"\n```\n"));
    project.opsbook(&["run", "p", "here"]).ends(0);
}

/// The session's end of the pipe may be closed before its recorder has opened the other one.
#[test]
fn f3_a_recorder_whose_session_ended_while_it_started_ends_too() {
    let place = tempfile::tempdir().unwrap();
    let bundle = place.path().join("bundle");
    std::fs::create_dir_all(bundle.join("steps")).unwrap();
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/engine/src/bundle");
    std::fs::copy(source.join("run.sh"), bundle.join("run")).unwrap();
    for pipe in ["go", "go.n", "go.w"] {
        let made = std::process::Command::new("mkfifo")
            .arg(place.path().join(pipe))
            .status();
        assert!(made.unwrap().success());
    }
    let mut recorder = std::process::Command::new("sh")
        .arg(source.join("recorder.sh"))
        .arg(&bundle)
        .args(["run:steps", "boot"])
        .arg(place.path())
        .arg(place.path().join("go"))
        .spawn()
        .unwrap();
    crate::lab::until("the recorder ends", || {
        recorder.try_wait().unwrap().is_some()
    });
}
