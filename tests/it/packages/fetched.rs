//! Fetching packages over ssh, killed in the middle, verified, and removed from the cache.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use super::merged::{BASE, Repository, book, run_in};
use crate::project::Project;
use crate::sshd::{self, Sshd, or_skip};

#[test]
fn a_package_comes_over_ssh_with_the_key_of_who_asks() {
    let Some(node) = or_skip("T1", Sshd::start()) else {
        return;
    };
    let base = Repository::new(node.home().join("base"));
    base.write(
        "opsbook.toml",
        "[package]\nname = \"base\"\nversion = \"2.1.0\"\nowners = [\"x\"]\n",
    );
    base.write("book.toml", "[book]\nsrc = \"manual\"\n");
    base.write("manual/SUMMARY.md", "- [Prepare](prepare.md)\n");
    base.write("manual/prepare.md", "# Prepare\n\n```yaml procedure\nid: base.prepare\n```\n\n```sh step\necho prepared > ~/done\n```\n");
    base.release("v2.1.0");
    let project = Project::new("# Own\n");
    let keys = sshd::keys().join("login");
    let known = node.dir.path().join("known_hosts");
    let config = format!(
        "Host packages\n  HostName {}\n  Port {}\n  User {}\n  IdentityFile {}\n  UserKnownHostsFile {}\n  BatchMode yes\n",
        node.address,
        node.port,
        sshd::user(),
        keys.display(),
        known.display()
    );
    project.write("home/ssh_config", &config);
    let ssh = format!("ssh -F {}", project.home("ssh_config").display());
    let path = base.0.display().to_string();
    for (name, url) in [
        ("with a scheme", format!("ssh://packages{path}")),
        ("as scp writes it", format!("packages:{path}")),
    ] {
        let add = ["packages", "add", "base", "--git", &url, "--tag", "v2.1.0"];
        // Without the key the login fails, and nothing is left.
        let refused = project
            .opsbook(&add)
            .env("GIT_SSH_COMMAND", "ssh -F /dev/null -o BatchMode=yes");
        refused.ends(2).has("error: `base`: ");
        assert!(!project.path("opsbook.toml").exists(), "{name}");
        let added = project.opsbook(&add).env("GIT_SSH_COMMAND", &ssh);
        added.out("base 2.1.0 is new\n").check();
        project
            .opsbook(&["run", "base.prepare", "here", "--yes"])
            .ends(0);
        let outdated = project.opsbook(&["packages", "outdated"]);
        outdated
            .env("GIT_SSH_COMMAND", &ssh)
            .out("nothing newer\n")
            .check();
        fs::remove_file(project.path("opsbook.toml")).unwrap();
        fs::remove_file(project.path("opsbook.lock")).unwrap();
        run_in(&project.root(), &["chmod", "-R", "u+w", "home/.cache"]);
        fs::remove_dir_all(project.home(".cache")).unwrap();
    }
}

/// A `git` that kills its caller at one of the calls, before or after its work.
fn deadly_git(project: &Project, when: &str, call: usize) -> String {
    let path = std::env::var("PATH").unwrap();
    let folder = project.home("bin");
    fs::create_dir_all(&folder).unwrap();
    let _ = fs::remove_file(project.home("calls"));
    let script = format!(
        "#!/bin/sh\nPATH='{path}'\necho call >> '{calls}'\nn=$(wc -l < '{calls}')\n\
         [ \"$n\" = {call} ] && [ {when} = before ] && {{ kill -9 $PPID; exit 1; }}\n\
         git \"$@\"\nstatus=$?\n\
         [ \"$n\" = {call} ] && kill -9 $PPID\nexit $status\n",
        calls = project.home("calls").display()
    );
    let git = folder.join("git");
    fs::write(&git, script).unwrap();
    fs::set_permissions(&git, fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{path}", folder.display())
}

#[test]
fn who_fetches_or_updates_and_is_killed_leaves_nothing_half_done() {
    let (_place, base, _shop, project) = book();
    let manifest = fs::read_to_string(project.path("opsbook.toml")).unwrap();
    let lock = fs::read_to_string(project.path("opsbook.lock")).unwrap();
    base.write("manual/prepare.md", &BASE.replace("cp ", "cp -p "));
    base.write(
        "opsbook.toml",
        "[package]\nname = \"base\"\nversion = \"2.2.0\"\nowners = [\"x\"]\n[values]\nbase_port = {default = 80}\n",
    );
    base.release("v2.2.0");
    let newer = manifest.replace("v2.1.0", "v2.2.0");
    assert_ne!(newer, manifest);
    let whole = |project: &Project| {
        run_in(&project.root(), &["chmod", "-R", "u+w", "home/.cache"]);
        fs::remove_dir_all(project.home(".cache")).unwrap();
    };
    let mut killed = 0;
    for (words, asked) in [
        (vec!["packages", "fetch"], &manifest),
        (vec!["packages", "update"], &newer),
    ] {
        for call in 1.. {
            let mut ended = false;
            for when in ["before", "after"] {
                whole(&project);
                fs::create_dir_all(project.home(".cache")).unwrap();
                project.write("opsbook.toml", asked);
                project.write("opsbook.lock", &lock);
                let path = deadly_git(&project, when, call);
                let done = Command::new(env!("CARGO_BIN_EXE_opsbook"))
                    .args(&words)
                    .current_dir(project.root())
                    .env("HOME", project.home(""))
                    .env_remove("XDG_CACHE_HOME")
                    .env("PATH", path)
                    .output()
                    .unwrap();
                // There is no call with that number: the command succeeded.
                ended = done.status.success();
                if ended {
                    break;
                }
                killed += 1;
                assert_eq!(done.status.code(), None, "{done:?}");
                // The lock is unchanged, and another try succeeds completely.
                let now = fs::read_to_string(project.path("opsbook.lock")).unwrap();
                assert_eq!(now, lock, "{words:?} killed {when} call {call}");
                project.opsbook(&words).ends(0);
                project.opsbook(&["list"]).ends(0).has("base.prepare");
            }
            if ended {
                break;
            }
        }
    }
    assert!(killed > 10, "{killed}");
}

#[test]
fn what_is_different_is_told_and_what_is_used_stays_in_the_cache() {
    let (place, base, _shop, project) = book();
    // As locked.
    project
        .opsbook(&["packages", "diff", "base"])
        .out("the next release is patch\n")
        .check();
    // Next to the folder under development.
    base.write(
        "manual/prepare.md",
        &BASE.replace("id=there", "id=is-there"),
    );
    base.write(
        "opsbook.toml",
        "[package]\nname = \"base\"\nversion = \"2.1.0\"\nowners = [\"x\"]\n[values]\nbase_port = {default = 81}\nbase_new = {}\n",
    );
    let work = place.path().join("base");
    let local = format!("[replace]\nbase = {{path = \"{}\"}}\n", work.display());
    project.write("opsbook.local.toml", &local);
    let told = project.opsbook(&["packages", "diff", "base"]).ends(0);
    told.has("major: default of base_port is 81, was 80\n")
        .has("minor: value base_new is new\n")
        .has("the next release is major\n");
    let none = project.opsbook(&["packages", "diff", "bose"]).ends(2);
    none.has("error: there is no package `bose`");
    fs::remove_file(project.path("opsbook.local.toml")).unwrap();
    let folder = work.to_str().unwrap();
    let against = project.opsbook(&["packages", "diff", "base", folder]);
    against.ends(0).has("major: value base_new was removed\n");

    // Recently used entries stay, however old; unused ones are removed.
    let cache = project.home(".cache/opsbook/packages");
    let old = |path: &Path| {
        run_in(
            Path::new("/"),
            &["touch", "-d", "100 days ago", path.to_str().unwrap()],
        );
    };
    let kept: Vec<_> = { fs::read_dir(&cache).unwrap() }
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(kept.len(), 2);
    kept.iter().for_each(|path| old(path));
    project.opsbook(&["list"]).ends(0);
    let gc = project.opsbook(&["packages", "gc"]).ends(0);
    gc.lacks("2 folders");
    project.opsbook(&["list"]).ends(0);
    for folder in ["packages", "books", "git"] {
        let folder = project.home(&format!(".cache/opsbook/{folder}"));
        for entry in fs::read_dir(folder).unwrap() {
            old(&entry.unwrap().path());
        }
    }
    let gc = project.opsbook(&["packages", "gc"]).ends(0);
    gc.has(" folders\n");
    for folder in ["packages", "books", "git"] {
        let folder = project.home(&format!(".cache/opsbook/{folder}"));
        assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
    }
    project
        .opsbook(&["list"])
        .ends(2)
        .has("hint: `opsbook packages fetch` downloads it");
    project.opsbook(&["packages", "fetch"]).ends(0);
    project.opsbook(&["list"]).ends(0);
}
