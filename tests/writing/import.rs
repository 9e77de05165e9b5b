//! Data of other tools, imported by the built program.

use crate::lab::Lab;

#[test]
fn an_inventory_becomes_nodes_that_lint() {
    let lab = Lab::new(
        "# P\n\n```sh check id=a nodes=@web\necho \"$app_port\"\n```\n```text expect\n${app_port}\n```\n",
    );
    lab.write(
        "hosts",
        "[web]\nweb[1:2] app_port=8000 ansible_connection=local\nbad name=x pass=hunter2\n",
    );
    let said = lab.opsbook(&["import", "nodes", "ansible", "hosts", "-o", "nodes.yaml"]);
    said.ended(2)
        .has("was not changed: it has uncommitted changes");
    std::fs::remove_file(lab.path("nodes.yaml")).unwrap();
    let said = lab.opsbook(&["import", "nodes", "ansible", "hosts", "-o", "nodes.yaml"]);
    said.ended(1)
        .has("3 nodes, 1 group; 1 left to you")
        .has("hosts:3  `pass` is a secret")
        .lacks("hunter2");
    lab.opsbook(&["test", "--nodes", "web1,web2"])
        .ended(0)
        .has("2 passed");
    lab.opsbook(&[
        "import",
        "nodes",
        "ansible",
        "hosts",
        "-o",
        "nodes.yaml",
        "--check",
    ])
    .ended(1);
    lab.write(
        "hosts",
        "[web]\nweb[1:3] app_port=8000 ansible_connection=local\n",
    );
    let said = lab.opsbook(&[
        "import",
        "nodes",
        "ansible",
        "hosts",
        "-o",
        "nodes.yaml",
        "--check",
    ]);
    said.ended(1)
        .has("+  web3: {groups: [web], app_port: 8000, transport: local}\n");
    lab.opsbook(&["import", "nodes", "terraform", "hosts"])
        .ended(2);
}

#[test]
fn a_gossfile_and_a_script_become_pages_that_lint() {
    let lab = Lab::new("# P\n");
    lab.write("goss.yaml", "file:\n  /etc/passwd: {exists: true}\n");
    lab.write(
        "up.sh",
        "#!/bin/sh\n# Say it\necho one\n\n# And again\necho two\n",
    );
    lab.opsbook(&[
        "import",
        "goss",
        "goss.yaml",
        "--id",
        "base",
        "-o",
        "manual/base.md",
    ])
    .ended(0);
    lab.opsbook(&["import", "script", "up.sh", "-o", "manual/up.md"])
        .ended(0)
        .has("2 steps");
    lab.write(
        "manual/SUMMARY.md",
        "- [P](page.md)\n- [B](base.md)\n- [U](up.md)\n",
    );
    lab.opsbook(&["lint"]).ended(0).has("0 errors, 0 warnings");
    lab.opsbook(&["test"]).ended(0).has("1 passed");
    lab.opsbook(&["run", "up", "here"])
        .ended(0)
        .has("  | two\n");
}

/// Roles with few simple tasks: every task is on the page, and the page passes lint.
#[test]
fn each_file_of_a_role_becomes_a_skeleton_that_lints() {
    let roles = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/roles");
    for (file, taken, has) in [
        (
            "engine/tasks/main.yml",
            "3 steps, 6 for a person; 8 left to you",
            "\napt-get remove -y engine.io engine-doc\n",
        ),
        (
            "engine/tasks/setup-Debian.yml",
            "1 step, 2 for a person; 2 left to you",
            "To do: `register`: key_result.\n\ncurl -fsSL -o /etc/apt/keyrings/engine.asc ",
        ),
        (
            "engine/tasks/users.yml",
            "0 steps, 2 for a person; 2 left to you",
            "To do: `with_items`: {{ engine_users }}, `user`: what it does, as a command.\n",
        ),
        (
            "engine/handlers/main.yml",
            "1 step, 1 for a person; 1 left to you",
            "\nsystemctl daemon-reload\nsystemctl reload engine\n",
        ),
        (
            "site/tasks/main.yml",
            "2 steps, 5 for a person; 6 left to you",
            "\nmkdir -p \"${site_conf_folder}/certs\"\nchmod 0750 \"${site_conf_folder}/certs\"\nchown \"root:${site_user}\" \"${site_conf_folder}/certs\"\n",
        ),
        (
            "site/tasks/vhosts.yml",
            "1 step, 2 for a person; 3 left to you",
            "  site_conf_folder: {default: '/etc/site'}\n",
        ),
        (
            "site/handlers/main.yml",
            "1 step, 1 for a person; 1 left to you",
            "To do: `when`: site_service_state == \"started\".\n",
        ),
    ] {
        let lab = Lab::new("# P\n");
        let from = format!("{roles}/{file}");
        lab.opsbook(&["import", "role", &from, "-o", "manual/page.md"])
            .ended(2);
        std::fs::remove_file(lab.path("manual/page.md")).unwrap();
        lab.opsbook(&["import", "role", &from, "-o", "manual/page.md"])
            .ended(1)
            .has(taken);
        let page = lab.text("manual/page.md");
        assert!(page.contains(has), "{has}\n{page}");
        lab.opsbook(&["lint"]).ended(0);
    }
}
