//! Packages over https, from a server with its own authority and a password.

use std::fs;

use super::merged::{Repository, run_in};
use crate::git_https::GitServer;
use crate::project::Project;
use crate::sshd::{Skip, or_skip};

/// A server of the repository `base`, through git's own server and as plain files.
struct Server {
    git: GitServer,
    folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Result<Server, Skip> {
        GitServer::possible()?;
        let folder = tempfile::tempdir().unwrap();
        let base = Repository::new(folder.path().join("work"));
        base.write(
            "opsbook.toml",
            "[package]\nname = \"base\"\nversion = \"2.1.0\"\nowners = [\"x\"]\n",
        );
        base.write("book.toml", "[book]\nsrc = \"manual\"\n");
        base.write("manual/SUMMARY.md", "- [Prepare](prepare.md)\n");
        base.write("manual/prepare.md", "# Prepare\n\n```yaml procedure\nid: base.prepare\n```\n\n```sh step\necho prepared > ~/done\n```\n");
        base.release("v2.1.0");
        let served = folder.path().join("served");
        fs::create_dir(&served).unwrap();
        run_in(
            &served,
            &["git", "clone", "-q", "--bare", "../work", "base"],
        );
        run_in(&served.join("base"), &["git", "update-server-info"]);
        let git = GitServer::start(folder.path());
        Ok(Server { git, folder })
    }

    fn url(&self, kind: &str) -> String {
        format!("https://127.0.0.1:{}/{kind}/base", self.git.port)
    }
}

#[test]
fn a_package_comes_over_https_where_certificate_and_credentials_are_right() {
    let Some(server) = or_skip("T0", Server::start()) else {
        return;
    };
    let project = Project::new("# Own\n");
    let chain = server.folder.path().join("chain.pem");
    let trusts = format!("[http]\n\tsslCAInfo = {}\n", chain.display());
    let knows = |password: &str| {
        let helper = format!("!printf 'username=ops\\\\npassword={password}\\\\n'; :");
        format!("{trusts}[credential]\n\thelper = \"{helper}\"\n")
    };
    let url = server.url("smart");
    let add = ["packages", "add", "base", "--git", &url, "--tag", "v2.1.0"];
    // On a terminal, where git could ask, and nobody would answer.
    let terminal = ["sh", "-c", "exec script -qefc \"$0 $*\" /dev/null"];
    let refused = |settings: &str, why: &str, hint: &str| {
        project.write("home/.gitconfig", settings);
        for said in [
            project.opsbook(&add).ends(2),
            project.through(&terminal, &add).ends(2),
        ] {
            said.has("error: `base`: ").has(why).has(hint);
        }
        assert!(!project.path("opsbook.toml").exists() && !project.path("opsbook.lock").exists());
    };
    refused("", "certificate", "hint: git does not trust this server");
    refused(
        &trusts,
        "terminal prompts disabled",
        "hint: git has no credentials for it",
    );
    refused(
        &knows("wrong"),
        "Authentication failed",
        "hint: git has no credentials for it",
    );

    project.write("home/.gitconfig", &knows("right"));
    project.opsbook(&add).out("base 2.1.0 is new\n").check();
    let outdated = project.opsbook(&["packages", "outdated"]);
    outdated.out("nothing newer\n").check();
    project.write("home/.gitconfig", &trusts);
    let asked = project.opsbook(&["packages", "outdated"]).ends(2);
    asked.has("opsbook.toml:2:1: error: `base`: could not read Username");
    // A plain file server cannot serve part of a history; the whole history is fetched.
    let manifest = fs::read_to_string(project.path("opsbook.toml")).unwrap();
    project.write("opsbook.toml", &manifest.replace("/smart/", "/dumb/"));
    project.opsbook(&["packages", "update", "base"]).ends(0);
    drop(server);
    project
        .opsbook(&["run", "base.prepare", "here", "--yes"])
        .ends(0);
}
