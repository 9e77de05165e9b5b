//! Manuals that a gateway clones: over https, from a server with an authority of its own and a
//! password, and over ssh. Nobody is asked anything.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::git_https::GitServer;
use crate::sshd::{Skip, Sshd, or_skip};
use crate::{PAGE, Team};

fn sh(folder: &Path, script: &str) {
    let done = Command::new("sh")
        .args(["-euc", script])
        .current_dir(folder)
        .env("HOME", folder)
        .output()
        .unwrap();
    assert!(done.status.success(), "{script}: {done:?}");
}

/// A repository with a manual, and git's own server of it over https.
struct Server {
    git: GitServer,
    folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Result<Server, Skip> {
        GitServer::possible()?;
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("work/manual")).unwrap();
        let write = |name: &str, text: &str| {
            fs::write(folder.path().join("work").join(name), text).unwrap();
        };
        write("book.toml", "[book]\ntitle = \"Far\"\nsrc = \"manual\"\n");
        write("manual/SUMMARY.md", "- [Page](page.md)\n");
        write(
            "manual/page.md",
            &PAGE.replace("id: p\n", "id: far.first\n"),
        );
        write(
            "nodes.yaml",
            "opsbook: 1\nnodes:\n  there: {transport: local}\n",
        );
        sh(
            folder.path(),
            "git -C work init -q --initial-branch=main
             git -C work config user.name t; git -C work config user.email t@t.example
             git -C work add .; git -C work commit -qm all
             mkdir served; git clone -q --bare work served/far",
        );
        let git = GitServer::start(folder.path());
        Ok(Server { git, folder })
    }

    /// What the branch has from now on.
    fn goes_on(&self) {
        sh(
            self.folder.path(),
            "sed -i 's/far.first/far.second/' work/manual/page.md
             git -C work commit -qam second; git -C work push -q ../served/far main",
        );
    }
}

/// The path of an `ssh` that knows this node alone.
fn ssh_to(team: &Team, node: &Sshd) -> String {
    let ssh = node.ssh();
    let options: String = { ssh.options.iter() }
        .map(|option| format!(" -o {option}"))
        .collect();
    fs::create_dir(team.path("bin")).unwrap();
    let identity = ssh.identity.unwrap();
    let script = format!(
        "#!/bin/sh\nexec /usr/bin/ssh -F none -i {}{options} \"$@\"\n",
        identity.display()
    );
    team.write("bin/ssh", &script);
    let program = fs::Permissions::from_mode(0o755);
    fs::set_permissions(team.path("bin/ssh"), program).unwrap();
    team.path("bin/ssh").display().to_string()
}

#[test]
fn manuals_are_cloned_over_https_and_ssh_and_brought_up_to_date() {
    let Some(server) = or_skip("T0", Server::start()) else {
        return;
    };
    let Some(node) = or_skip("T1", Sshd::start()) else {
        return;
    };
    let ssh = node.ssh();
    let far = server.folder.path().join("served/far");
    let config = format!(
        "[manuals.web]\nsource = \"https://127.0.0.1:{}/smart/far\"\nbranch = \"main\"\n\
         [manuals.deep]\nsource = \"ssh://{}@{}:{}{}\"\n",
        server.git.port,
        ssh.user.unwrap(),
        ssh.host,
        ssh.port.unwrap(),
        far.display()
    );
    let mut team = Team::new(PAGE, &config);
    let ssh = ssh_to(&team, &node);
    // Neither is trusted: it is said, and nothing is asked.
    let said = team.said();
    assert!(
        said.contains("manual `web`: ") && said.contains("certificate"),
        "{said}"
    );
    let why = "manual `deep`: Could not read from remote repository: ";
    assert!(
        said.contains(why) && said.contains("Host key verification failed."),
        "{said}"
    );
    let chain = server.folder.path().join("chain.pem");
    let helper = "!printf 'username=ops\\\\npassword=right\\\\n'; :";
    let settings = format!(
        "[http]\n\tsslCAInfo = {}\n[credential]\n\thelper = \"{helper}\"\n",
        chain.display()
    );
    team.write("home/.gitconfig", &settings);
    let asked = |team: &Team, procedure: &str| {
        for manual in ["web", "deep"] {
            let words = ["ask", procedure, "there", "--manual", manual];
            let output = team.opsbook(&words);
            assert!(
                output.status.success(),
                "{words:?}: {output:?}{}",
                team.said()
            );
        }
    };
    team.kill_gateway();
    team.start_gateway_with(&[("GIT_SSH_COMMAND", &ssh)]);
    asked(&team, "far.first");
    server.goes_on();
    team.kill_gateway();
    // Without the variable, git's own setting counts.
    let settings = format!("{settings}[core]\n\tsshCommand = {ssh}\n");
    team.write("home/.gitconfig", &settings);
    team.start_gateway_with(&[]);
    asked(&team, "far.second");
}
