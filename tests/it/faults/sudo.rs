//! Faults of passwords and secrets: F14 to F16.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;

use crate::lab::{Kind, Node, PASSWORD, until};
use crate::project::{Project, node};
use crate::sshd::{self, Skip, or_skip};

const AS_ROOT: &str = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step id=one\necho 1 >> \"$HOME/ran\"\n```\n\n```sh step id=root sudo\ntest \"$(id -u)\" = 0\necho root >> /home/ops/ran\n```\n";

fn with_password(node: &Node, page: &str, password: &str) -> Project {
    let project = Project::new(page);
    project.node("far", &node.ssh(), "");
    project.write("password", password);
    let private = fs::Permissions::from_mode(0o600);
    fs::set_permissions(project.path("password"), private).unwrap();
    project
}

const RUN: [&str; 5] = ["run", "p", "far", "--sudo-password-file", "password"];

fn ran(node: &Node) -> String {
    fs::read_to_string(node.home().join("ran")).unwrap_or_default()
}

/// A node on which everything that `sudo` is asked is logged.
fn logged(sudoers: &'static str) -> Result<Node, Skip> {
    Node::of(&Kind {
        sudoers,
        ..Kind::default()
    })
}

#[test]
fn f14_a_wrong_password_is_tried_once_and_stops_all() {
    let ask = "Defaults logfile=/var/log/asked\nops ALL=(ALL:ALL) ALL\n";
    let nodes = logged(ask).and_then(|one| Ok((one, logged(ask)?)));
    let Some((one, two)) = or_skip("T2", nodes) else {
        return;
    };
    let project = with_password(&one, AS_ROOT, "wrong");
    let both = node("far", &one.ssh(), "") + &node("farther", &two.ssh(), "");
    project.nodes(&both);
    let arguments = [
        &RUN[..2],
        &["far", "farther", "--yes", "--parallel", "1"],
        &RUN[3..],
    ]
    .concat();
    let said = project.opsbook(&arguments).ends(3);
    said.has("refused");
    assert_eq!((ran(&one), ran(&two)), (String::new(), String::new()));
    let asked = |node: &Node| fs::read_to_string(node.path("/var/log/asked")).unwrap_or_default();
    let times = |node: &Node| asked(node).matches("incorrect password").count();
    // It is written when `sudo` ends, which nobody waits for.
    until("the wrong password is logged", || times(&one) > 0);
    assert_eq!(times(&one), 1, "{}", asked(&one));
    assert_eq!(times(&two), 0, "{}", asked(&two));
}

#[test]
fn f15_a_step_that_sudo_hides_after_a_cut_may_or_may_not_have_finished() {
    let Some(node) = or_skip("T2", Node::start()) else {
        return;
    };
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step sudo\necho 1 >> \"$HOME/ran\"\nuntil test -e \"$HOME/go\"; do sleep 0.1; done\n```\n";
    let project = with_password(&node, page, PASSWORD);
    let mut run = project.opsbook(&RUN).start();
    run.until_file(&node.path("/root/ran"));
    node.root("chmod 0 /etc/sudoers.d/ops; mv /etc/sudoers.d/ops /root; kill -KILL $(pgrep -f '^sshd: ops')");
    let said = run.wait();
    assert_eq!(said.status, 3, "{said:?}");
    said.has("sudo does not allow it")
        .has("ERROR: it may or may not have finished; look at the node first");
    assert!(project.ended(1).outcome_unknown);
    node.root("mv /root/ops /etc/sudoers.d/ops; chmod 440 /etc/sudoers.d/ops; : > /root/go");
    let resume = ["resume", "--sudo-password-file", "password"];
    project.opsbook(&resume).ends(0);
    let ran = fs::read_to_string(node.path("/root/ran")).unwrap();
    assert_eq!(ran, "1\n");
}

#[test]
fn f15_sudo_in_all_its_moods() {
    let moods = [
        ("ops ALL=(ALL:ALL) ALL\n", 0, ""),
        ("ops ALL=(ALL:ALL) NOPASSWD: ALL\n", 0, ""),
        ("Defaults lecture=always\nops ALL=(ALL:ALL) ALL\n", 0, ""),
        (
            "Defaults timestamp_timeout=0\nops ALL=(ALL:ALL) ALL\n",
            0,
            "",
        ),
        ("Defaults use_pty\nops ALL=(ALL:ALL) ALL\n", 0, ""),
        (
            "Defaults requiretty\nops ALL=(ALL:ALL) ALL\n",
            3,
            "terminal",
        ),
        ("ops ALL=(ALL:ALL) /bin/true\n", 3, "allow"),
        (
            "ops ALL=(ALL:ALL) NOPASSWD: /bin/true\n",
            3,
            "its rule allows only some commands, and `sh` is not one of them",
        ),
        ("# ops may not\n", 3, "allow"),
    ];
    for (sudoers, status, says) in moods {
        let Some(node) = or_skip("T2", logged(sudoers)) else {
            return;
        };
        in_a_mood(&node, PASSWORD, status, says);
    }
}

/// Its prompt is wrapped in words of its own, and it refuses in others.
#[test]
fn f15_sudo_rs_in_all_its_moods() {
    let moods = [
        ("ops ALL=(ALL:ALL) ALL\n", PASSWORD, 0, ""),
        ("ops ALL=(ALL:ALL) ALL\n", "wrong", 3, "refused"),
        ("ops ALL=(ALL:ALL) NOPASSWD: ALL\n", PASSWORD, 0, ""),
        ("ops ALL=(ALL:ALL) /bin/true\n", PASSWORD, 3, "allow"),
        ("# ops may not\n", PASSWORD, 3, "allow"),
    ];
    // The real one where this machine has it, and one that speaks like it anywhere.
    let real = ["/usr/bin/sudo-rs", "/usr/lib/cargo/bin/sudo"]
        .into_iter()
        .find_map(|path| fs::read(path).ok());
    for program in real.iter().map(Vec::as_slice).chain([LIKE_SUDO_RS]) {
        for (sudoers, password, status, says) in moods {
            let Some(node) = or_skip("T2", logged(sudoers)) else {
                return;
            };
            let sudo = node.path("/usr/bin/sudo");
            fs::rename(&sudo, node.path("/usr/bin/sudo.other")).unwrap();
            fs::write(&sudo, program).unwrap();
            fs::set_permissions(&sudo, fs::Permissions::from_mode(0o4755)).unwrap();
            in_a_mood(&node, password, status, says);
        }
    }
}

/// What sudo-rs 0.2.15 was seen to say; the other one does the work. It asks for the password
/// before it says that something is not allowed, which sudo-rs does not.
const LIKE_SUDO_RS: &[u8] = br#"#!/bin/sh
real=/usr/bin/sudo.other
while :; do
  case $1 in
  -S) ;;
  -n) quiet=1 ;;
  -p) prompt=$2; shift ;;
  -u) user=$2; shift ;;
  -H) ;;
  -k) exec $real -k ;;
  --) shift; break ;;
  *) break ;;
  esac
  shift
done
if $real -n -u "${user:-root}" -- true 2>/dev/null; then exec $real -n -H -u "${user:-root}" -- "$@"; fi
if [ "$quiet" ]; then echo "sudo: interactive authentication is required" >&2; exit 1; fi
for try in 1 2 3; do
  printf '[sudo: %s] Password: ' "$prompt" >&2
  if ! IFS= read -r password; then
    printf '\nsudo: Authentication required but not attempted\n' >&2; exit 1
  fi
  echo >&2
  said=$(printf '%s\n' "$password" | LC_ALL=C $real -k -S -p '' -u "${user:-root}" -- "$1" -c : 2>&1) && {
    { printf '%s\n' "$password"; exec cat; } | $real -k -S -p '' -H -u "${user:-root}" -- "$@"
    exit
  }
  case $said in
  *'not allowed'* | *'not in the sudoers'*)
    echo "sudo: I'm sorry $(id -un). I'm afraid I can't do that" >&2; exit 1 ;;
  esac
  echo "sudo: Authentication failed, try again." >&2
done
echo "sudo: Maximum 3 incorrect authentication attempts" >&2
exit 1
"#;

/// A run with `sudo` in its second step, and how it must end.
fn in_a_mood(node: &Node, password: &str, status: i32, says: &str) {
    let project = with_password(node, AS_ROOT, password);
    let said = project.opsbook(&RUN).said();
    assert_eq!(said.status, status, "{said:?}");
    said.has(says).lacks("ecture").lacks(PASSWORD);
    let expected = if status == 0 { "1\nroot\n" } else { "" };
    assert_eq!(ran(node), expected);
}

#[test]
fn f16_no_password_and_no_secret_leaks_anywhere() {
    let Some(node) = or_skip("T2", logged("ops ALL=(ALL:ALL) ALL\n")) else {
        return;
    };
    let secret = "s3cret-canary\"$x'y";
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step id=one\nprintf '%s' \"$token\" > \"$HOME/got\"\necho \"it is $token\"\nsleep 1\n```\n\n```sh check id=held\nprintf '%s\\n' \"$token\" | grep -q canary\n```\n\n```sh step id=root sudo\nprintf '%s' \"$token\" > /home/ops/got-by-root\nsleep 1\n```\n\n```sh step id=bad\necho \"again $token\" >&2\nfalse\n```\n";
    let project = with_password(&node, page, PASSWORD);
    project.write("token", secret);
    let token = project.path("token").to_string_lossy().into_owned();
    let more = format!("    token: {{secret: {{file: \"{token}\"}}}}\n");
    project.node("far", &node.ssh(), &more);
    let canaries = [shapes(secret), shapes(PASSWORD)].concat();

    let (seen, said) = sampled(&canaries, || project.opsbook(&RUN).said());
    assert_eq!(said.status, 1, "{said:?}");
    assert_eq!(seen, Vec::<String>::new(), "in process tables");
    let read = |name: &str| fs::read_to_string(node.home().join(name)).unwrap();
    assert_eq!(
        (read("got").as_str(), read("got-by-root").as_str()),
        (secret, secret)
    );
    for canary in &canaries {
        said.lacks(canary);
        assert!(
            !project.journal_text().contains(canary),
            "{canary} in the journal"
        );
    }
    project.opsbook(&["log"]).said().lacks(secret);
    project.opsbook(&["handoff"]).said().lacks(secret);
    project.opsbook(&["build"]).ends(0);
    project
        .opsbook(&[
            "lock",
            "release",
            "far",
            "--run",
            &project.record().events[0].run,
        ])
        .ends(0);
    let places = [
        project.path(".opsbook"),
        project.path("book"),
        node.home().join(".opsbook"),
        node.path("/tmp"),
        node.path("/dev/shm"),
        node.path("/var/log"),
    ];
    for place in places {
        for file in files(&place) {
            let Ok(bytes) = fs::read(&file) else { continue };
            let text = String::from_utf8_lossy(&bytes);
            for canary in &canaries {
                assert!(
                    !text.contains(canary.as_str()),
                    "{canary} in {}",
                    file.display()
                );
            }
        }
    }
}

/// As it is, and in the forms in which it would leak.
fn shapes(secret: &str) -> Vec<String> {
    vec![
        secret.to_owned(),
        base64::engine::general_purpose::STANDARD_NO_PAD.encode(secret),
        secret.replace('\'', r"'\''"),
    ]
}

/// Looks at every process of this machine and of the nodes while something runs.
fn sampled<T>(canaries: &[String], work: impl FnOnce() -> T) -> (Vec<String>, T) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let mut seen = Vec::new();
            while !over.load(Ordering::Relaxed) {
                for pid in sshd::processes().filter(|pid| *pid != std::process::id()) {
                    for name in ["cmdline", "environ"] {
                        let bytes = fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
                        let text = String::from_utf8_lossy(&bytes);
                        let found = canaries
                            .iter()
                            .filter(|canary| text.contains(canary.as_str()));
                        seen.extend(
                            found.map(|canary| format!("{canary} in {name} of {pid}: {text}")),
                        );
                    }
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            seen
        });
        let result = work();
        over.store(true, Ordering::Relaxed);
        (sampler.join().unwrap(), result)
    })
}

fn files(place: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let (path, Ok(kind)) = (entry.path(), entry.file_type()) else {
            continue;
        };
        if kind.is_dir() {
            found.extend(files(&path));
        } else if kind.is_file() {
            found.push(path);
        }
    }
    found
}

#[test]
fn f22_another_user_has_the_files_and_the_variables_as_they_are() {
    let node = logged("ops ALL=(ALL:ALL) NOPASSWD: ALL\n");
    let Some(node) = or_skip("T2", node) else {
        return;
    };
    let odd = "line\ncd '/nonexistent'\nend";
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n\
        ```yaml deliver\n- {file: tool, mode: \"0755\"}\n- {tree: stuff}\n```\n\n\
        ```sh step\nodd=\"$given\"; bytes=$(printf 'x\\351'); mkdir below; cd below\n```\n\n\
        ```sh step sudo=daemon\n[ \"$odd\" = \"$given\" ] && printf %s \"$bytes\" | od -An -tx1\ncd \"$bundle\"; ls -A stuff; ./tool\n```\n\
        ```text expect\n 78 e9\n.hidden\nempty\nlink\nnew\nline\nrun\ndaemon 1\n```\n\n\
        ```yaml deliver\n- {file: tool, as: later, mode: \"0755\"}\n```\n\n\
        ```sh step sudo=daemon\n: > mine; printf 2 > stuff/run; ./later\n```\n```text expect\ndaemon 2\n```\n\n\
        ```sh step sudo=daemon\n./later; test -e mine\n```\n```text expect\ndaemon 2\n```\n";
    let project = with_password(&node, page, "");
    project.node("far", &node.ssh(), &format!("    given: {odd:?}\n"));
    project.write("tool", "#!/bin/sh\necho $(id -un) $(cat stuff/run)\n");
    project.write("stuff/run", "1");
    project.write("stuff/.hidden", "");
    project.write("stuff/new\nline", "");
    fs::create_dir(project.path("stuff/empty")).unwrap();
    std::os::unix::fs::symlink("../tool", project.path("stuff/link")).unwrap();
    project.opsbook(&["run", "p", "far"]).ends(0);
}

/// Where the bundle of another user is, as a run says.
fn bundle_of(said: &crate::project::Said, user: &str) -> String {
    let begin = format!("bundle of {user} ");
    let mut lines = said.out.lines();
    let line = lines.find_map(|line| line.strip_prefix(&begin));
    line.unwrap_or_else(|| panic!("{}", said.out)).to_owned()
}

#[test]
fn the_hand_off_sheet_has_the_bundle_of_each_user_and_side() {
    let node = logged("ops ALL=(ALL:ALL) NOPASSWD: ALL\n");
    let Some(node) = or_skip("T2", node) else {
        return;
    };
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n\
        ```sh step on=local\ntrue\n```\n\n```sh step sudo=daemon\ntrue\n```\n\n```sh step\nfalse\n```\n\n\
        ```sh step on=local\nls \"$bundle\"\n```\n\n```sh step sudo=daemon\nls \"$bundle\"\n```\n\n\
        ```sh step sudo\nls \"$bundle\"\n```\n";
    let project = with_password(&node, page, "");
    let said = project.opsbook(&["run", "p", "far"]).ends(1);
    let bundles: Vec<&str> = said
        .out
        .lines()
        .filter_map(|line| line.strip_prefix("bundle="))
        .collect();
    let local = project.root().join(".opsbook/bundles/far");
    let (local, own) = (local.to_str().unwrap(), "/home/ops/.opsbook/bundle");
    let daemon = bundle_of(&said, "daemon");
    let daemon = daemon.as_str();
    // It has no home of its own, and its name cannot be known before.
    assert!(daemon.starts_with("/var/tmp/.opsbook-for-"), "{daemon}");
    assert_eq!(bundles, [local, daemon, own], "{}", said.out);
    said.has(&format!("[ \"$at\" != far ] || bundle={own}\n"))
        .has(&format!("[ \"$at\" != local ] || bundle={local}\n"))
        .has(&format!("as=daemon in={daemon} "));
    said.has(&format!("bundle of daemon {daemon}\n"));
    let go_on = project.opsbook(&["resume", "--start-at", "4"]).ends(0);
    go_on.lacks("bundle of daemon");
    assert!(!node.path(daemon).exists());
    assert!(!project.path(".opsbook/bundles/far").exists());

    // Given up, and what stays is named.
    let said = project.opsbook(&["run", "p", "far"]).ends(1);
    // Two runs of one second are in no order.
    let daemon = bundle_of(&said, "daemon");
    let daemon = daemon.as_str();
    let (_, run) = said.out.rsplit_once("--run ").unwrap();
    let run = run.lines().next().unwrap();
    let release = ["lock", "release", "far", "--run", run];
    let said = project.opsbook(&release).ends(0);
    said.has(&format!(
        "far: {daemon}, the bundle of daemon, stays until a step runs as daemon again\n"
    ));
    assert!(node.path(daemon).exists());
    project
        .opsbook(&["run", "p", "far"])
        .ends(1)
        .has("bundle of daemon");
}

#[test]
fn a_file_that_cannot_be_read_is_found_before_anything_is_touched() {
    for (file, cause) in [
        ("home", "it is a folder, not a regular file"),
        ("none", "there is no such file"),
    ] {
        let page = format!(
            "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step\n: > \"$HOME/touched\"\n```\n\n```yaml deliver\n- {{file: {file}, as: x}}\n```\n"
        );
        let project = Project::new(&page);
        project.opsbook(&["run", "p", "here"]).ends(3).has(cause);
        assert!(!project.home("touched").exists());
        assert!(!project.home(".opsbook/bundle").exists());
    }
}

#[test]
fn f3_a_killed_shell_of_root_is_found_again_and_named_as_what_it_is() {
    let Some(node) = or_skip("T2", logged("ops ALL=(ALL:ALL) ALL\n")) else {
        return;
    };
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n\
        ```sh step sudo\necho 1 >> /home/ops/ran\nwhile test ! -e /home/ops/go; do sleep 0.1; done\n```\n";
    let project = with_password(&node, page, PASSWORD);
    let run = project.opsbook(&RUN).start();
    crate::lab::until("it runs", || ran(&node) == "1\n");
    node.root(
        "for f in /dev/shm/.opsbook-*/pid; do if [ \"$(stat -c %u \"$f\")\" = 0 ]; then kill -s KILL \"$(cat \"$f\")\"; fi; done",
    );
    fs::write(node.home().join("go"), "").unwrap();
    let said = run.wait();
    assert_eq!(said.status, 0, "{said:?}");
    said.has("connection lost: the shell on the node ended")
        .lacks("opsbook-");
    assert_eq!(ran(&node), "1\n");
}
