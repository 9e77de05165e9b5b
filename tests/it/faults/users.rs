//! Faults of steps as another user: what that user, or anybody else, puts in the way, and what
//! comes back. F30, F32 and F52.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::lab::{Kind, Node};
use crate::project::{Project, Said};
use crate::sshd::{Skip, or_skip};

fn node(systemd: bool) -> Result<Node, Skip> {
    Node::of(&Kind {
        systemd,
        sudoers: "ops ALL=(ALL:ALL) NOPASSWD: ALL\n",
        ..Kind::default()
    })
}

fn on(node: &Node, steps: &str) -> Project {
    let page = format!("# Page\n\n```yaml procedure\nid: p\ntimeout: 2m\n```\n\n{steps}");
    let project = Project::new(&page);
    project.node("far", &node.ssh(), "");
    project
}

fn bundle_of(said: &Said, user: &str) -> String {
    let begin = format!("bundle of {user} ");
    let mut lines = said.out.lines();
    let line = lines.find_map(|line| line.strip_prefix(&begin));
    line.unwrap_or_else(|| panic!("{}", said.out)).to_owned()
}

/// Of the user: in the place of what it has set, it leaves something else.
const EVIL: &str = "a=2\ntrap 'rm -f \"$bundle/state\"; sh /evil \"$bundle\"' EXIT\nexit 0";

#[test]
fn f32_what_another_user_sets_is_data() {
    let Some(node) = or_skip("T2", node(false)) else {
        return;
    };
    let project = on(
        &node,
        &format!(
            "```sh step\na=1; b=1\n```\n\n```sh step sudo=daemon\n{EVIL}\n```\n\n\
             ```sh step\necho \"$a $b $PWD\"; id -un\n```\n\n```sh step sudo\necho \"$a $b\"; echo root >>/ran\n```\n"
        ),
    );
    let put = |text: &str| format!("cat >\"$1/state\" <<'E'\n{text}E\n");
    let refused = "cannot take over the variables that daemon has set: ";
    for (evil, says) in [
        (put("id >/pwned; id >/home/ops/pwned\n"), "line 1 is no"),
        (put("a='2'; id >/pwned\n"), "line 1 is no"),
        (put("a='2'\nb=$(id >/home/ops/pwned)\n"), "line 2 is no"),
        (
            put("a='2'\ncd '/' && id >/home/ops/pwned\n"),
            "line 2 is no",
        ),
        (
            "truncate -s 1G \"$1/state\"\n".to_owned(),
            "it has more than 4 MiB",
        ),
        (
            "mkfifo \"$1/state\"\n".to_owned(),
            "it is not a regular file",
        ),
        (
            "mkdir \"$1/state\"\n".to_owned(),
            "it is not a regular file",
        ),
        (
            "ln -s /dev/zero \"$1/state\"\n".to_owned(),
            "it is not a regular file",
        ),
    ] {
        fs::write(node.path("/evil"), &evil).unwrap();
        let said = project.opsbook(&["run", "p", "far"]).ends(3);
        said.has(&format!("{refused}{says}"));
        for path in ["/pwned", "/home/ops/pwned", "/ran"] {
            assert!(!node.path(path).exists(), "{path}: {evil}");
        }
        let (_, run) = said.out.rsplit_once("--run ").unwrap();
        let run = run.lines().next().unwrap().to_owned();
        let release = ["lock", "release", "far", "--yes", "--run", &run];
        project.opsbook(&release).ends(0);
    }

    // What is in order is taken over only as far as the step's own script sets it.
    let text = "a='7'\nb='7'\nc='7'\nPATH='/evil'\nexport PATH\nob_exec='id'\nLD_PRELOAD='/x'\n\
        export LD_PRELOAD\n[ -z \"${BASH_VERSION-}\" ] || eval 'id >/home/ops/pwned'\ncd '/evil'\n";
    fs::write(node.path("/evil"), put(text)).unwrap();
    let said = project.opsbook(&["run", "p", "far"]).ends(0);
    said.has("b: not taken over from daemon, because the step does not set it")
        .has("| 7 1 /home/ops/.opsbook/bundle\n")
        .has("| ops\n")
        .has("| 7 1\n");
    assert_eq!(fs::read_to_string(node.path("/ran")).unwrap(), "root\n");
    assert!(!node.path("/home/ops/pwned").exists());
}

#[test]
fn f32_what_rules_programs_stays_with_the_user_who_set_it() {
    let Some(node) = or_skip("T2", node(false)) else {
        return;
    };
    let project = on(
        &node,
        "```sh step\nPATH=$PATH:/of-ops; list=\"it's\"\n```\n\n\
         ```bash step sudo=daemon\nexport GIT_DIR=/g; names=('$(id)' \"a b\"); unset list; cd /srv; echo \"${PATH##*:}\"\n```\n\n\
         ```bash step\necho \"${GIT_DIR-none} ${names[0]} ${names[1]} ${list-none} $PWD\"\n```\n\n\
         ```sh step sudo=daemon\necho \"$GIT_DIR $PWD\"\n```\n",
    );
    let said = project.opsbook(&["run", "p", "far"]).ends(0);
    said.has("| /of-ops\n")
        .has("GIT_DIR: not taken over from daemon, because it controls how programs run")
        .has("| none $(id) a b none /srv\n")
        .has("| /g /srv\n");
}

#[test]
fn f30_what_is_in_the_way_of_another_user_is_said_before_step_1() {
    let Some(node) = or_skip("T2", node(false)) else {
        return;
    };
    node.root("useradd -m -d /var/lib/robot -s /bin/sh robot; useradd -m mallory");
    let project = on(
        &node,
        "```sh step\n: >\"$HOME/ran\"\n```\n\n```sh step sudo=robot\necho \"$bundle\"\n```\n",
    );
    let place = "/var/lib/robot/.opsbook/for-$(id -u ops)";
    let ran = node.home().join("ran");
    for (plant, says) in [
        (
            "mkdir -p P/bundle; mkfifo P/bundle/owner P/bundle/live; chown -R mallory P",
            "belongs to somebody else",
        ),
        (
            "mkdir -p P; chown robot P; mkdir P/bundle; chown mallory P/bundle",
            "belongs to somebody else",
        ),
        (
            "mkdir -p P/bundle; chown -R robot P; chmod 777 P/bundle",
            "can be written by others",
        ),
        (
            "mkdir -p P/history; chown -R robot P; chmod 775 P/history",
            "can be written by others",
        ),
        (
            "mkdir -p P; chown robot P; ln -s /home/mallory P/history",
            "is a symbolic link",
        ),
        (
            "mkdir -p P; chown robot P; ln -s /home/mallory P/bundle",
            "is a symbolic link",
        ),
        (
            "mkdir -p P; chown robot P; mkfifo P/bundle; chown robot P/bundle",
            "is not a directory",
        ),
    ] {
        let all = format!(
            "mkdir -p /var/lib/robot/.opsbook; chown robot /var/lib/robot/.opsbook; {plant}"
        );
        node.root(&all.replace('P', place));
        let said = project.opsbook(&["run", "p", "far"]).ends(3);
        said.has("the bundle of robot: /var/lib/robot/.opsbook/for-")
            .has(says);
        assert!(!ran.exists(), "{plant}");
        assert!(!node.home().join(".opsbook/bundle").exists(), "{plant}");
        node.root("rm -r /var/lib/robot/.opsbook");
    }
    // Its own, half made: nobody holds it, and nothing in it hangs.
    node.root(&"mkdir -p P/bundle; mkfifo P/bundle/owner P/bundle/live P/bundle/lock; chown -R robot /var/lib/robot/.opsbook".replace('P', place));
    let said = project.opsbook(&["run", "p", "far"]).ends(0);
    said.has("| /var/lib/robot/.opsbook/for-");
    assert!(ran.exists());
    // The names that were always the same before, and those of now, are somebody else's.
    // What still counted the time of its step is gone in a moment; usermod wants nobody there.
    node.root(
        "n=0; while pgrep -u robot >/dev/null && [ $n -lt 200 ]; do n=$((n+1)); sleep 0.05; done",
    );
    node.root("for n in robot for-0.x \"for-$(id -u ops).x\" daemon; do d=/var/tmp/.opsbook-$n; mkdir -p $d/bundle; mkfifo $d/bundle/owner $d/bundle/live; chown -R mallory $d; done; usermod -d /nonexistent robot");
    let said = project.opsbook(&["run", "p", "far"]).ends(0);
    let dir = bundle_of(&said, "robot");
    assert!(dir.starts_with("/var/tmp/.opsbook-for-"), "{dir}");
    let place = dir.strip_suffix("/bundle").unwrap();
    let mode = fs::metadata(node.path(place)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    // The same place again: it is found by its owner.
    let said = project.opsbook(&["run", "p", "far"]).ends(0);
    assert_eq!(bundle_of(&said, "robot"), dir);
}

#[test]
fn f30_a_bundle_of_another_user_that_is_held_blocks_before_step_1() {
    let Some(node) = or_skip("T2", node(false)) else {
        return;
    };
    let project = on(
        &node,
        "```sh step\necho 1 >>\"$HOME/ran\"\n```\n\n```sh step sudo=daemon\n: >/tmp/began\nuntil test -e /tmp/go; do sleep 0.1; done\n```\n",
    );
    let mut run = project.opsbook(&["run", "p", "far"]).start();
    run.until_file(&node.path("/tmp/began"));
    run.signal("KILL");
    run.wait();
    let said = project.opsbook(&["run", "p", "far"]).ends(4);
    said.has("it is running");
    node.root("rm -rf /home/ops/.opsbook/bundle");
    let said = project.opsbook(&["run", "p", "far"]).ends(4);
    said.has("the bundle of daemon: the bundle is held")
        .has("(it is running)");
    assert_eq!(fs::read_to_string(node.home().join("ran")).unwrap(), "1\n");
    node.root(": >/tmp/go");
}

#[test]
fn f52_what_a_halt_needs_is_not_where_it_is_cleaned() {
    let Some(node) = or_skip("T3", node(true)) else {
        return;
    };
    node.root("useradd -m -d /var/lib/robot -s /bin/sh robot");
    for user in ["robot", "daemon"] {
        let project = on(
            &node,
            &format!(
                "```sh step sudo={user}\nmkdir kept empty; echo data >kept/it; ln -s kept/it link; v=1\n```\n\n\
                 ```sh step\nw=2; test -e /home/ops/go\n```\n\n\
                 ```sh step sudo={user}\ncat kept/it link; test -d empty; echo \"$v $w\"\n```\n"
            ),
        );
        project.opsbook(&["run", "p", "far"]).ends(1);
        // As after many days, in every place that any system cleans.
        let clean = "for d in /tmp /var/tmp /dev/shm /run/user; do if [ -d $d ]; then find $d -exec touch -h -d '400 days ago' {} +; echo \"d $d - - - 0\"; fi; done >/etc/tmpfiles.d/all.conf; \
            systemd-tmpfiles --clean /etc/tmpfiles.d/all.conf; rm /etc/tmpfiles.d/all.conf; ls -A /var/tmp; : >/home/ops/go";
        let left = node.root(clean);
        assert!(!left.contains("opsbook"), "{left}");
        let said = project.opsbook(&["resume"]).ends(0);
        said.has("| data\n  | data\n  | 1 2\n");
        node.root("rm /home/ops/go");
    }
}
