//! Named forms of exec: `docker`, `podman`, `kubectl` and `nspawn`. Stand-ins record their
//! arguments and open a shell of this machine; systemd's own tool is also tested.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::lab::{Kind, Node};
use crate::project::{Call, Project};
use crate::sshd::or_skip;
use crate::tier;

const PAGE: &str = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step\necho done\n```\n\n\
    ```sh step sudo=nobody\nid -un\n```\n```text expect\nnobody\n```\n";
const CHECKS: &str = "# Page\n\n```sh check id=c nodes=box,far,pod,web-0,m1\ntrue\n```\n";
const NODES: &str = "  box: {transport: docker}
  far: {transport: {docker: {container: web, user: 'app:web', context: prod}}}
  pod: {address: other, transport: {podman: {user: app, connection: there}}}
  web-0: {transport: {kubectl: {pod: web-0, container: app, namespace: shop, context: prod}}}
  m1: {transport: {nspawn: {machine: m1}}}
";

/// Puts a program first in PATH that records its arguments and then runs `does`.
fn stand_in(project: &Project, tool: &str, does: &str) {
    let record = project.path(&format!("{tool}.args"));
    let text = format!(
        "#!/bin/sh\nprintf '%s|' \"$@\" >>'{0}'; echo >>'{0}'\n{does}\n",
        record.display()
    );
    let program = format!("bin/{tool}");
    project.write(&program, &text);
    let may_run = fs::Permissions::from_mode(0o755);
    fs::set_permissions(project.path(&program), may_run).unwrap();
}

fn with_tools<'a>(project: &'a Project, arguments: &[&str]) -> Call<'a> {
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", project.path("bin").display());
    project.opsbook(arguments).env("PATH", &path)
}

/// The arguments of each call of a tool.
fn called(project: &Project, tool: &str) -> Vec<String> {
    let record = fs::read_to_string(project.path(&format!("{tool}.args")));
    let mut calls: Vec<_> = record
        .unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect();
    calls.dedup();
    calls
}

#[test]
fn each_tool_gets_its_arguments_and_gives_a_shell() {
    let project = Project::new(PAGE);
    project.nodes(NODES);
    for tool in ["docker", "podman", "kubectl", "systemd-run"] {
        stand_in(&project, tool, "exec sh");
    }
    let as_root = tier::is_root();
    let nodes = ["box", "far", "pod", "web-0", "m1"];
    for node in nodes {
        let run = if as_root {
            with_tools(&project, &["run", "p", node])
        } else {
            with_tools(&project, &["run", "p", node, "--stop-after", "1"])
        };
        run.said().has("done");
        // Each is this machine: otherwise the next one would find the bundle locked.
        if as_root {
            assert_eq!(project.status(), Some(opsbook::event::Status::Ok), "{node}");
        }
        let _ = fs::remove_dir_all(project.home(".opsbook"));
    }
    let docker = [
        "exec|-i|--|box|sh|",
        "--context=prod|exec|-i|--user=app:web|--|web|sh|",
    ];
    assert_eq!(called(&project, "docker"), docker);
    assert_eq!(
        called(&project, "podman"),
        ["--connection=there|exec|-i|--user=app|--|other|sh|"]
    );
    assert_eq!(
        called(&project, "kubectl"),
        ["--context=prod|--namespace=shop|exec|-i|--container=app|web-0|--|sh|"]
    );
    assert_eq!(
        called(&project, "systemd-run"),
        ["--machine=m1|--pipe|--wait|--collect|--quiet|--uid=root|--|/bin/sh|"]
    );
    let shown = with_tools(&project, &["show", "far"]).ends(0);
    shown.has("far, docker --context=prod exec -i --user=app:web -- web sh");
}

/// The tools' real error messages.
#[test]
fn a_container_that_is_not_there_is_unreachable_and_why_is_said() {
    let project = Project::new(CHECKS);
    project.nodes(NODES);
    let all = [
        (
            "box",
            "docker",
            "Error: No such container: box",
            "there is no node of that name",
        ),
        (
            "box",
            "docker",
            "Error response from daemon: Container 3f is not running",
            "it is not running",
        ),
        (
            "box",
            "docker",
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
            "the service that manages it does not answer",
        ),
        (
            "box",
            "docker",
            "OCI runtime exec failed: exec failed: unable to start container process: exec: \"sh\": executable file not found in $PATH: unknown",
            "no POSIX shell answered",
        ),
        (
            "pod",
            "podman",
            "Error: no container with name or ID \"other\" found: no such container",
            "there is no node of that name",
        ),
        (
            "pod",
            "podman",
            "Error: can only create exec sessions on running containers: container state improper",
            "it is not running",
        ),
        (
            "web-0",
            "kubectl",
            "Error from server (NotFound): pods \"web-0\" not found",
            "there is no node of that name",
        ),
        (
            "web-0",
            "kubectl",
            "The connection to the server localhost:8080 was refused - did you specify the right host or port?",
            "the service that manages it does not answer",
        ),
        (
            "web-0",
            "kubectl",
            "Error from server (Forbidden): pods \"web-0\" is forbidden: User \"dev\" cannot create resource \"pods/exec\"",
            "not allowed",
        ),
        (
            "m1",
            "systemd-run",
            "Failed to connect to bus: Host is down",
            "there is no node of that name",
        ),
    ];
    for (node, tool, says, why) in all {
        stand_in(
            &project,
            tool,
            &format!("cat >&2 <<'END'\n{says}\nEND\nexit 1"),
        );
        let ping = with_tools(&project, &["ping", node]).ends(3);
        ping.has(why);
        ping.has(says);
        let test = with_tools(&project, &["test", "--nodes", node]).said();
        test.has(&format!("`{node}` cannot be reached: {why}"));
        assert_ne!(test.status, 1, "it is no answer of the node: {}", test.out);
    }
}

/// The run notices that it has lost the node, and finds the step again.
#[test]
fn a_killed_tool_is_a_lost_connection_and_the_step_goes_on() {
    let page = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step\necho 1 >> \"$HOME/ran\"\n\
        until test -e \"$HOME/go\"; do sleep 0.1; done\n```\n";
    let project = Project::new(page);
    project.nodes("  box: {transport: docker}\n");
    // The inner process has other pipes than the tool, as in a container.
    let relay = "d=$(mktemp -d); mkfifo \"$d/in\" \"$d/out\"; sh <\"$d/in\" >\"$d/out\" & cat \"$d/out\" &\n\
        echo $$ >>\"$HOME/tools\"; exec cat >\"$d/in\"";
    stand_in(&project, "docker", relay);
    let mut run = with_tools(&project, &["run", "p", "box"]).start();
    crate::lab::until("the step runs", || !project.text("ran").is_empty());
    let tool = project.text("tools");
    crate::sshd::kill(tool.lines().next().unwrap().parse().unwrap(), "KILL");
    run.until("it is lost", |event| {
        matches!(event.what, opsbook::event::What::ConnectionLost { .. })
    });
    fs::write(project.home("go"), "").unwrap();
    let said = run.wait();
    assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    assert_eq!(project.text("ran"), "1\n", "once");
}

/// systemd's own tool, on a node where systemd is process 1.
#[test]
fn systemd_run_gives_a_shell() {
    let kind = Kind {
        systemd: true,
        ..Kind::FREE
    };
    let Some(node) = or_skip("T3", Node::of(&kind)) else {
        return;
    };
    let project = Project::new(PAGE);
    project.nodes("  m1: {transport: {nspawn: {machine: .host, user: ops}}}\n  root: {transport: {nspawn: {machine: .host}}}\n  none: {transport: {nspawn: {machine: no-such}}}\n");
    let enter = format!(
        "exec nsenter -t {} -m -p -u -i -n -- systemd-run \"$@\"",
        node.process_1()
    );
    stand_in(&project, "systemd-run", &enter);
    let run = with_tools(&project, &["run", "p", "m1"]).ends(0);
    run.has("reached as ops");
    let ping = with_tools(&project, &["ping", "root"]).ends(0);
    ping.has("root");
    with_tools(&project, &["ping", "none"])
        .ends(3)
        .has("there is no node of that name");
}
