//! What a system refuses beside room on its disk: writes over a quota or to a broken disk, and
//! processes.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;

use indoc::indoc;

use crate::project::Project;
use crate::sshd::or_skip;
use crate::tier;

const CAUSES: [(i32, &str); 2] = [
    (EDQUOT, "Disk quota exceeded; `quota -s` there"),
    (EIO, "Input/output error; `dmesg` there"),
];
/// As Linux numbers them.
const EIO: i32 = 5;
const EDQUOT: i32 = 122;

const PAGE: &str = indoc! {"
    # Page

    ```yaml procedure
    id: p
    params:
      fails_in:
    ```

    ```sh step id=one
    echo 1 >>\"$ran\"
    v=5
    [ \"$fails_in\" != one ] || cp \"$number\" \"$on\"
    ```

    ```sh step id=two
    echo \"2 ${v-lost}\" >>\"$ran\"
    ```
"};

/// A page on a node whose disk refuses what it is told to.
struct Refusing {
    project: Project,
    library: String,
}

impl Refusing {
    fn new(shell: &str) -> Self {
        let project = Project::new(PAGE);
        let at = |name: &str| project.path(name).display().to_string();
        let library = at("refused.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/faults/refused.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o", &library, source, "-ldl"])
            .status();
        assert!(built.unwrap().success());
        for folder in ["node", "bin"] {
            fs::create_dir(project.path(folder)).unwrap();
        }
        let program = format!("/bin/{shell}");
        std::os::unix::fs::symlink(program, project.path("bin/sh")).unwrap();
        project.nodes(&format!(
            "  far:\n    transport:\n      exec: [/usr/bin/env, HOME={home}, \
             LD_PRELOAD={library}, FAULT_DIR={home}, FAULT_ON={on}, \"PATH={bin}:/usr/bin:/bin\", sh]\n    \
             ran: {ran}\n    on: {on}\n    number: {number}\n",
            home = at("node"),
            on = at("on"),
            bin = at("bin"),
            ran = at("ran"),
            number = at("number"),
        ));
        Self { project, library }
    }

    fn run(&self, fails_in: &str) -> crate::project::Call<'_> {
        let value = format!("fails_in={fails_in}");
        self.project.opsbook(&["run", "p", "far", "--set", &value])
    }
}

#[test]
fn f56_what_a_nodes_disk_refuses_is_named() {
    for shell in ["dash", "bash"] {
        for (number, cause) in CAUSES {
            let node = Refusing::new(shell);
            let (on, file) = (node.project.path("on"), node.project.path("number"));
            fs::write(&file, number.to_string()).unwrap();
            fs::copy(&file, &on).unwrap();
            node.run("none").ends(3).has(cause);
            fs::remove_file(&on).unwrap();
            node.run("one").ends(3).has(cause);
            assert!(node.project.ended(1).outcome_unknown, "{shell} {cause}");
            fs::remove_file(&on).unwrap();
            let said = node.project.opsbook(&["resume"]).input("d\n").ends(0);
            said.has("p/one ").lacks(cause);
            assert_eq!(
                node.project.text("../ran"),
                "1\n2 lost\n",
                "{shell} {cause}"
            );
        }
    }
}

#[test]
fn f56_what_refuses_the_journal_is_named_before_the_next_step() {
    for (number, cause) in CAUSES {
        let node = Refusing::new("dash");
        let file = node.project.path("number");
        fs::write(&file, number.to_string()).unwrap();
        let said = { node.run("one") }
            .env("LD_PRELOAD", &node.library)
            .env("FAULT_DIR", &text(&node.project.path(".opsbook")))
            .env("FAULT_ON", &text(&node.project.path("on")))
            .ends(3);
        let cause = cause.replace(" there", "");
        let (name, look) = cause.split_once("; ").unwrap();
        said.has("cannot write the journal `").has(name).has(look);
        assert_eq!(fs::read_to_string(node.project.path("ran")).unwrap(), "1\n");
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Starts processes until it may start no more, waits for their end, and ends well.
const STARTS_ALL: &str = indoc! {"
    # Page

    ```yaml procedure
    id: p
    ```

    ```python step id=one
    import os, time
    started = []
    try:
        while True:
            started.append(os.fork())
            if started[-1] == 0:
                time.sleep(5)
                os._exit(0)
    except OSError as error:
        print(error, flush=True)
    for child in started:
        os.waitpid(child, 0)
    ```

    ```sh step id=two
    echo two
    ```
"};

#[test]
fn f57_where_no_process_can_be_started_it_is_said_and_gone_on_with() {
    if or_skip("a user with few processes", tier::t2()).is_none() {
        return;
    }
    // Nobody else's: processes are counted by user.
    const USER: u32 = 64_571;
    let home = tempfile::Builder::new()
        .prefix("opsbook-few-")
        .tempdir()
        .unwrap();
    chown(home.path(), Some(USER), Some(USER)).unwrap();
    let project = Project::new(STARTS_ALL);
    project.nodes(&format!(
        "  far:\n    transport:\n      exec: [setpriv, --reuid={USER}, \
         --regid={USER}, --clear-groups, env, -i, HOME={home}, PATH=/usr/bin:/bin, bash, -c, \
         \"ulimit -u 60; exec sh\"]\n",
        home = home.path().display()
    ));
    let said = project.opsbook(&["run", "p", "far"]).ends(0);
    said.has("connection lost: the shell on the node can start no process; `ulimit -u` there")
        .has("reconnected after")
        .has("Resource temporarily unavailable")
        .lacks("held by");
}
