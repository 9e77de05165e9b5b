//! `file to=` on real nodes: over `sshd`, with a password for `sudo`, in a procedure with roles, and
//! with what another user of the node puts in the way.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use crate::lab::{Kind, Node, PASSWORD};
use crate::project::{Project, node};
use crate::sshd::{Skip, or_skip};

const PAGE: &str = "# Page

## Join

```yaml procedure
id: join
roles:
  old: {nodes: \"@db\"}
  web: {nodes: \"@web\", count: 1+}
```

1. On the old machine, let them in:

   ```text file to=/etc/app/allow mode=0600 owner=daemon:adm on=old sudo id=allow
   {{ old_address }} {{ token }}
   ```

2. On every web machine, name the old one:

   ```ini file to=/etc/app/app.conf edit on=all:web sudo id=edit
   -db = none
   +db = {{ old_address }}
   ```

   And its line:

   ```text file to=/home/ops/notes append mode=0640 on=all:web id=note
   {{ app_name }} reads {{ old }}
   ```

3. On the old machine, go on:

   ```sh step on=old id=go
   test -e ~/go
   ```
";

const GROUPS: &str = "opsbook: 1\ngroups:\n  db: {token: {secret: {env: TOKEN}}}\n  web: {}\n";
const PASSED: [&str; 3] = ["--yes", "--sudo-password-file", "password"];

struct Three {
    nodes: [Node; 3],
    project: Project,
}

impl Three {
    fn start() -> Result<Three, Skip> {
        let start = || Node::of(&Kind::default());
        let nodes = [start()?, start()?, start()?];
        let project = Project::new(&PAGE.replace("```ini file", "```diff file"));
        fs::remove_file(project.path("nodes.yaml")).unwrap();
        project.write("nodes/10-groups.yaml", GROUPS);
        let names = [
            ("db1", "    groups: [db]\n"),
            ("web1", "    groups: [web]\n    app_name: one\n"),
            ("web2", "    groups: [web]\n    app_name: two'\"s\n"),
        ];
        let of = names.iter().zip(&nodes);
        let text: String = of
            .map(|((name, more), its)| node(name, &its.ssh(), more))
            .collect();
        project.write(
            "nodes/20-nodes.yaml",
            &format!("opsbook: 1\nnodes:\n{text}"),
        );
        project.write("password", PASSWORD);
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(project.path("password"), private).unwrap();
        for its in &nodes {
            its.root("mkdir /etc/app; printf 'a = 1\\ndb = none\\n' > /etc/app/app.conf; chown daemon:adm /etc/app/app.conf; chmod 640 /etc/app/app.conf");
        }
        Ok(Three { nodes, project })
    }
}

#[test]
fn a_file_is_placed_on_each_machine_of_a_role_as_who_it_is_for() {
    let Some(three) = or_skip("T2", Three::start()) else {
        return;
    };
    let Three { nodes, project } = three;
    let run = [&["run", "join", "old=db1", "web=@web"][..], &PASSED].concat();
    let said = project.opsbook(&run).env("TOKEN", "canary-7x").ends(1);
    said.lacks("canary-7x")
        .lacks(PASSWORD)
        .has("/etc/app/allow is placed");
    let [db, web1, web2] = &nodes;
    let address = db.address();
    let allow = db.path("/etc/app/allow");
    assert_eq!(
        fs::read_to_string(&allow).unwrap(),
        format!("{address} canary-7x\n")
    );
    let about = fs::metadata(&allow).unwrap();
    assert_eq!(
        (about.uid(), about.gid(), about.mode() & 0o7777),
        (1, 4, 0o600)
    );
    for (web, name) in [(web1, "one"), (web2, "two'\"s")] {
        let conf = web.path("/etc/app/app.conf");
        let text = format!("a = 1\ndb = {address}\n");
        assert_eq!(fs::read_to_string(&conf).unwrap(), text);
        let about = fs::metadata(&conf).unwrap();
        assert_eq!(
            (about.uid(), about.gid(), about.mode() & 0o7777),
            (1, 4, 0o640)
        );
        let notes = fs::read_to_string(web.home().join("notes")).unwrap();
        assert_eq!(notes, format!("{name} reads db1\n"));
    }
    assert_eq!(fs::read_dir(db.path("/etc/app")).unwrap().count(), 2);
    // What is right already is left alone when the operator goes back to it.
    fs::write(db.home().join("go"), "").unwrap();
    let changed = |its: &Node| fs::metadata(its.path("/etc/app/app.conf")).unwrap().ino();
    let before = changed(web1);
    let again = [&["resume", "--start-at", "edit"][..], &PASSED].concat();
    let said = project.opsbook(&again).env("TOKEN", "canary-7x").ends(0);
    said.lacks("canary-7x").has("is as it should be");
    assert_eq!(changed(web1), before);
    let notes = fs::read_to_string(web1.home().join("notes")).unwrap();
    assert_eq!(notes, "one reads db1\n");
}

#[test]
fn nobody_leads_a_file_of_root_elsewhere() {
    let Some(three) = or_skip("T2", Three::start()) else {
        return;
    };
    let Three { nodes, project } = three;
    let run = [&["run", "join", "old=db1", "web=web1"][..], &PASSED].concat();
    let db = &nodes[0];
    for (plant, says) in [
        // The folder is another user's, or anybody may write in it.
        (
            "chown mallory /etc/app",
            "the folder /etc/app belongs to user",
        ),
        (
            "chmod 777 /etc/app",
            "everybody may write in the folder /etc/app",
        ),
        // The file is a link of another user to something of root's.
        (
            "mv /etc/app /etc/kept; ln -s /home/mallory/app /etc/app; chown -h mallory /etc/app",
            "the link /etc/app belongs to user",
        ),
        ("mkdir /etc/app/allow", "/etc/app/allow: a folder is there"),
        ("mkfifo /etc/app/allow", "what is there is no plain file"),
    ] {
        db.root(&format!(
            "id mallory >/dev/null 2>&1 || useradd -m mallory; install -d -o mallory /home/mallory/app; {plant}"
        ));
        let said = project.opsbook(&run).env("TOKEN", "canary-7x").said();
        assert_ne!(said.status, 0, "{plant}: {said:?}");
        said.has(says).lacks("canary-7x");
        let stolen = db.path("/home/mallory/app/allow");
        assert!(!stolen.exists(), "{plant}");
        nodes[1].root("rm -rf /home/ops/.opsbook");
        db.root("rm -rf /etc/app /home/ops/.opsbook /root/.opsbook; mkdir /etc/app");
    }
}
