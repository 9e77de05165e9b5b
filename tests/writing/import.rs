//! What other tools know, taken over by the built program.

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
    said.ended(2).has("left alone");
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
