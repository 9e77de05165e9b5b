//! The process of a step is the one that a person would have: umask, signals, folder, and a
//! shell that its script may do with as it likes. F44.

use std::fs;
use std::os::unix::fs::symlink;

use opsbook::event::What;

use crate::lab::{Kind, Node};
use crate::project::Project;
use crate::sshd::or_skip;
use crate::tier;

fn page(blocks: &str) -> String {
    format!("# Page\n\n```yaml procedure\nid: p\n```\n\n{blocks}")
}

/// The usual signals; what starts the local shell may ignore some that only a library uses.
const NOTHING_IGNORED: &str = "grep -q 'SigIgn:.*0000000$' /proc/self/status";

fn warned(project: &Project) -> Vec<String> {
    let events = project.events().into_iter();
    events
        .filter_map(|event| match event.what {
            What::Warned { text } => Some(text.into_exact()),
            _ => None,
        })
        .collect()
}

/// A node whose `sh`, `setsid` and the rest are another's: made of links.
fn with_shell(project: &Project, shell: &str, tools: &[&str]) {
    let bin = project.path("bin");
    fs::create_dir(&bin).unwrap();
    symlink(shell, bin.join("sh")).unwrap();
    for tool in tools {
        symlink("/usr/bin/busybox", bin.join(tool)).unwrap();
    }
    let path = format!("PATH={}:/usr/bin:/bin", bin.display());
    let home = format!("HOME={}", project.home("").display());
    let argv = serde_json::json!(["env", path, home, "sh"]);
    project.nodes(&format!("  here: {{transport: {{exec: {argv}}}}}\n"));
}

/// Each shell with the tools of its kind: one `setsid` has -f, the other has not.
const SHELLS: [(&str, &[&str]); 4] = [
    ("/bin/dash", &[]),
    ("/bin/bash", &[]),
    ("/usr/bin/busybox", &["setsid", "timeout"]),
    ("/bin/dash", &["setsid"]),
];

#[test]
fn f44_no_signal_is_ignored_in_a_step_a_check_and_what_they_start() {
    let ignored = NOTHING_IGNORED;
    for (shell, tools) in SHELLS {
        let project = Project::new(&page(&format!(
            "```sh step\n{ignored}\ntrap 'echo cleaned > \"$HOME/cleaned\"; exit 0' INT\nkill -INT $$\nexit 9\n```\n\n\
             ```sh step\n! timeout -s INT 1 sleep 60\n```\n\n\
             ```sh check id=a\n{ignored}\n```\n\n```bash check id=b\n{ignored}; : $$\n```\n\n\
             ```yaml assert\ncommand: {{run: \"{}\", status: 0}}\n```\n\n",
            ignored
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('$', "$$")
        )));
        with_shell(&project, shell, tools);
        project.opsbook(&["run", "p", "here"]).ends(0);
        assert_eq!(project.text("cleaned"), "cleaned\n", "{shell} {tools:?}");
    }
}

#[test]
fn f44_a_worker_that_comes_later_ignores_no_signal_either() {
    let ignored = NOTHING_IGNORED;
    let many: String = (0..8)
        .map(|n| format!("```sh check id=c{n}\nsleep 2\n{ignored}\n```\n\n"))
        .collect();
    let text = format!("# Page\n\n```yaml checks\nid: slow\n```\n\n{many}");
    for (shell, tools) in [SHELLS[0], SHELLS[3]] {
        let project = Project::new(&text);
        with_shell(&project, shell, tools);
        project.opsbook(&["test"]).ends(0);
    }
}

#[test]
fn f44_the_umask_is_the_logins() {
    let text = page(
        "```sh step\numask > \"$HOME/mask\"\n: > \"$HOME/file\"\n```\n\n```sh check id=c\n[ \"$(umask)\" = \"$(cat \"$HOME/mask\")\" ]\n```\n",
    );
    for mask in ["0077", "0002", "0027"] {
        let project = Project::new(&text);
        let through = ["sh", "-c", &format!("umask {mask}; exec \"$@\""), "sh"];
        project.through(&through, &["run", "p", "here"]).ends(0);
        assert_eq!(project.text("mask"), format!("{mask}\n"));
    }
}

/// Whoever has such a mask cannot open again what it has made.
#[test]
fn f44_a_umask_that_takes_its_own_permissions_away_is_kept_too() {
    const USER: u32 = 64_572;
    if or_skip("another user", tier::t2()).is_none() {
        return;
    }
    let text =
        page("```sh step\numask\nv=7\n```\n\n```sh check id=c\n[ \"$v\" = 7 ] && umask\n```\n");
    for mask in ["0377", "0777"] {
        let home = tempfile::Builder::new().prefix("opsbook-mask-").tempdir();
        let home = home.unwrap();
        std::os::unix::fs::chown(home.path(), Some(USER), Some(USER)).unwrap();
        let project = Project::new(&text);
        project.nodes(&format!(
            "  far:\n    transport:\n      exec: [setpriv, --reuid={USER}, --regid={USER}, \
             --clear-groups, env, -i, HOME={}, PATH=/usr/bin:/bin, sh, -c, \"umask {mask}; exec sh\"]\n",
            home.path().display()
        ));
        project
            .opsbook(&["run", "p", "far"])
            .ends(0)
            .has(&format!("| {mask}"));
    }
}

#[test]
fn f44_the_umask_of_sudo_is_what_sudoers_say() {
    let node = Node::of(&Kind {
        sudoers: "Defaults umask=0077, umask_override\nops ALL=(ALL:ALL) NOPASSWD: ALL\n",
        ..Kind::FREE
    });
    let Some(node) = or_skip("T2", node) else {
        return;
    };
    node.root("sed -i '1i umask 027' /home/ops/.bashrc 2>/dev/null || echo 'umask 027' > /home/ops/.bashrc; chown ops: /home/ops/.bashrc");
    // What root has set there is read by the login all the same.
    let project = Project::new(&page(
        "```sh step\numask\n```\n```text expect\n0027\n```\n\n```sh step sudo\numask; kept=7\n```\n```text expect\n0077\n```\n\n\
         ```sh step\necho \"$kept\"\n```\n```text expect\n7\n```\n\n```sh check id=c\n[ \"$kept\" = 7 ]\n```\n",
    ));
    project.node("far", &node.ssh(), "");
    project.opsbook(&["run", "p", "far"]).ends(0);
}

#[test]
fn f44_root_shares_its_folder_with_root_alone() {
    let Some(node) = or_skip("T2", Node::of(&Kind::FREE)) else {
        return;
    };
    node.root("mkdir -p /srv/work; chmod 777 /srv/work; mkdir -m 700 -p /root/a");
    for (language, begins) in [("sh", "sh"), ("bash", "bash"), ("sh", "python")] {
        // Another language sets nothing: root goes on where root has ended.
        let (here, then) = match begins {
            "python" => ("import os\nassert os.getcwd() == '/srv/work'", "/root/a1"),
            _ => ("[ \"$PWD\" = /srv/work ]", "/srv/work1"),
        };
        let project = Project::new(&page(&format!(
            "```sh step\ncd /srv/work\n```\n\n```{language} step sudo\ncd /root; x=1\n```\n\n\
             ```{language} step sudo\n[ \"$PWD\" = /root ]; cd a\n```\n\n\
             ```sh check id=own\n[ \"$PWD\" = /srv/work ]; : $$\n```\n\n```sh check id=quick\n[ \"$PWD\" = /srv/work ]\n```\n\n\
             ```sh check id=root sudo\n[ \"$PWD\" = /root/a ]\n```\n\n\
             ```{begins} step\n{here}\n```\n\n```sh step sudo\n[ \"$PWD$x\" = {then} ]\n```\n"
        )));
        project.node("far", &node.ssh(), "");
        project.opsbook(&["run", "p", "far"]).ends(0);
    }
}

#[test]
fn f44_a_step_may_end_where_the_next_ones_user_may_not_go() {
    let Some(node) = or_skip("T2", Node::of(&Kind::FREE)) else {
        return;
    };
    node.root("useradd -m other; chmod 700 /home/other; mkdir -m 700 /root/deep");
    let ends = [
        ("sudo", "cd /root/deep"),
        ("sudo=other", "mkdir -p \"$HOME/own\"; cd \"$HOME/own\""),
        ("sudo", "mkdir -m 700 /root/later; cd /root/later"),
        ("", "mkdir -m 700 \"$HOME/mine\"; cd \"$HOME/mine\""),
    ];
    let mut steps = String::new();
    for (number, (words, does)) in ends.iter().enumerate() {
        steps += &format!("```sh step {words}\n{does}\n```\n\n");
        for (next, id) in [("", "l"), ("sudo", "r"), ("sudo=other", "o")] {
            steps += &format!(
                "```sh step {next}\ntrue\n```\n\n```sh check id={id}{number} {next}\ntrue\n```\n\n"
            );
        }
    }
    let project = Project::new(&page(&steps));
    project.node("far", &node.ssh(), "");
    project.opsbook(&["run", "p", "far"]).ends(0);
}

#[test]
fn f44_what_a_script_does_to_its_shell_changes_no_verdict() {
    let of_its_shell = [
        "readonly IFS",
        "IFS=:; readonly IFS",
        "set -C; set -f",
        "umask 777",
        "trap 'exit 3' USR1; trap 'echo bye' EXIT",
        "readonly HOME PATH PWD",
        "unset -f echo; echo() { false; }",
        "printf() { exit 7; }",
        "exec 3<&- 2>&- >&-",
        "cd /; cd - >/dev/null",
        "PATH=/nowhere",
        "shift 0; set -- a b c",
        "set +e +u; false; true",
        "set -a -o noglob",
        "trap '' EXIT HUP INT TERM",
        "trap 'true' EXIT; trap - EXIT",
        "alias echo=false printf=false cat=false",
        "unset HOME IFS PATH PWD",
        "exec >/dev/full 2>/dev/full",
        "ulimit -c 0 -n 20 2>/dev/null || ulimit -n 20",
        "exec </dev/null 9>/dev/null",
    ];
    for shell in ["sh", "bash"] {
        let steps: String = of_its_shell
            .iter()
            .enumerate()
            .map(|(n, does)| {
                format!("```{shell} step\nkept{n}=v\n{does}\n```\n\n```sh step\n[ \"$kept{n}\" = v ]\n```\n\n")
            })
            .collect();
        let project = Project::new(&page(&steps));
        project.opsbook(&["run", "p", "here"]).ends(0);
        assert_eq!(warned(&project), Vec::<String>::new());
    }
}

#[test]
fn f44_names_that_opsbook_uses_itself_change_no_verdict() {
    for shell in ["sh", "bash"] {
        for (script, ended) in [
            ("readonly ob_status", 0),
            ("ob_status=7", 0),
            ("ob_status=0; false", 1),
        ] {
            let project = Project::new(&page(&format!("```{shell} step\n{script}\n```\n")));
            project.opsbook(&["run", "p", "here"]).ends(ended);
        }
    }
}

#[test]
fn f44_each_shell_has_its_values_and_stops_at_its_first_error() {
    for shell in ["dash", "ksh", "zsh"] {
        if or_skip(shell, tier::program(&format!("/usr/bin/{shell}"))).is_none() {
            continue;
        }
        let project = Project::new(&page(&format!(
            "```sh step\nkept=\"k 'k'\"; cd /\n```\n\n\
             ```{shell} step\necho \"$value|$kept|$PWD|$pass\" >>\"$HOME/ran\"\n\
             env | grep -c '^pass=' >>\"$HOME/ran\" || true\n```\n\n\
             ```{shell} step\n(exit 3)\necho no >>\"$HOME/ran\"\n```\n"
        )));
        project
            .nodes("  here: {transport: local, value: \"a 'b'\", pass: {secret: {env: PASS}}}\n");
        let run = project
            .opsbook(&["run", "p", "here"])
            .env("PASS", "open sesame");
        run.ends(1);
        assert_eq!(project.ended(3).exit, Some(3), "{shell}");
        assert_eq!(
            project.text("ran"),
            "a 'b'|k 'k'|/|open sesame\n0\n",
            "{shell}"
        );
    }
}

#[test]
fn f44_where_a_shell_cannot_keep_what_it_set_that_is_said() {
    for (shell, does, status) in [
        ("sh", "ulimit -n 3", 0),
        ("bash", "ulimit -n 3", 0),
        ("sh", "set -n", 0),
        ("sh", "ulimit -f 0", 0),
        ("bash", "ulimit -f 0", 0),
        ("sh", "exec true", 0),
        ("bash", "exec true", 0),
        ("sh", "ulimit -n 3; set +e; false", 1),
        ("bash", "ulimit -n 3; set +e; false", 1),
    ] {
        let project = Project::new(&page(&format!(
            "```{shell} step exit=0,7\nlost=5\n{does}\n```\n\n```sh step\necho \"${{lost-none}}\" > \"$HOME/lost\"\n```\n"
        )));
        project.opsbook(&["run", "p", "here"]).ends(status);
        assert_eq!(project.ended(1).exit, Some(status), "{shell}: {does}");
        if status == 0 {
            assert_eq!(project.text("lost"), "none\n", "{shell}: {does}");
            let warned = warned(&project);
            let [said] = warned.as_slice() else {
                panic!("{warned:?}")
            };
            assert!(
                said.starts_with("its variables for later steps were not kept"),
                "{said}"
            );
            assert!(said.ends_with(": lost"), "{said}");
        }
    }
}
