//! Archives in a real container registry of Debian, on this machine.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::lab::until;
use crate::project::Project;
use crate::sshd::{Skip, or_skip};
use crate::tier;

struct Registry {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Registry {
    fn start() -> Result<Registry, Skip> {
        tier::program("/usr/bin/docker-registry")?;
        tier::program("/usr/bin/skopeo")?;
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = port.local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let settings = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"127.0.0.1:{port}\"}}\n",
            data.display()
        );
        let file = folder.path().join("settings.yml");
        fs::write(&file, settings).unwrap();
        let child = Command::new("/usr/bin/docker-registry")
            .arg("serve")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until("the registry answers", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Ok(Registry {
            child,
            port,
            _folder: folder,
        })
    }

    fn place(&self) -> String {
        format!("127.0.0.1:{}/ops/shop", self.port)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run_in(folder: &Path, words: &[&str]) {
    let done = Command::new(words[0])
        .args(&words[1..])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(done.status.success(), "{words:?}: {done:?}");
}

/// Writes a release of a package, and commits it.
fn release(shop: &Project, version: &str, word: &str) {
    shop.page(&format!(
        "# P\n\n```yaml procedure\nid: shop.go\n```\n\n```sh step\necho {word} > ~/done\n```\n"
    ));
    shop.write(
        "opsbook.toml",
        &format!("[package]\nname = \"shop\"\nversion = \"{version}\"\nowners = [\"x\"]\n"),
    );
    let root = shop.root();
    run_in(&root, &["git", "add", "-A"]);
    let who = ["-c", "user.name=x", "-c", "user.email=x@example.net"];
    run_in(
        &root,
        &[&["git"], &who[..], &["commit", "-qm", "x"]].concat(),
    );
}

#[test]
fn an_archive_goes_into_a_registry_and_is_a_package_from_there() {
    let Some(registry) = or_skip("T0", Registry::start()) else {
        return;
    };
    let place = registry.place();
    let shop = Project::new("# P\n");
    shop.write(".gitignore", "home\n.opsbook\n*.opsbook\n");
    run_in(&shop.root(), &["git", "init", "-q"]);
    release(&shop, "1.4.2", "one");
    shop.opsbook(&["pack", "--push", &place])
        .ends(0)
        .has(&format!("pushed  {place}:1.4.2@sha256:"));

    let book = Project::new("# Own\n");
    let add = ["packages", "add", "shop", "--oci", &place, "--tag", "1.4.2"];
    book.opsbook(&add).out("shop 1.4.2 is new\n").check();
    let lock = fs::read_to_string(book.path("opsbook.lock")).unwrap();
    assert!(
        lock.contains(&format!("from = \"oci:{place}:1.4.2@sha256:")),
        "{lock}"
    );
    book.opsbook(&["run", "shop.go", "here", "--yes"]).ends(0);
    assert_eq!(book.text("done"), "one\n");

    // A tag that moves is refused until somebody accepts it.
    release(&shop, "1.4.2", "two");
    shop.opsbook(&["pack", "--push", &place]).ends(0);
    let refused = book.opsbook(&["packages", "update"]).ends(2);
    refused
        .has("opsbook.toml:2:1: error: tag `1.4.2` moved to ")
        .has(": refused\n");
    assert_eq!(fs::read_to_string(book.path("opsbook.lock")).unwrap(), lock);
    // The locked one is still available, by its digest.
    run_in(&book.root(), &["chmod", "-R", "u+w", "home/.cache"]);
    fs::remove_dir_all(book.home(".cache")).unwrap();
    book.opsbook(&["list"])
        .ends(2)
        .has("error: `shop` 1.4.2 is locked, but not here");
    book.opsbook(&["packages", "fetch"])
        .out("shop 1.4.2\n")
        .check();
    book.opsbook(&["run", "shop.go", "here", "--yes"]).ends(0);
    assert_eq!(book.text("done"), "one\n");

    // A newer one is shown, and used on request.
    release(&shop, "1.5.0", "three");
    shop.opsbook(&["pack", "--push", &place]).ends(0);
    book.opsbook(&["packages", "outdated"])
        .out("shop 1.4.2 -> 1.5.0\n")
        .check();
    book.opsbook(&["packages", "update", "shop", "--to", "1.5.0"])
        .ends(0)
        .has("shop 1.4.2 -> 1.5.0");
    book.opsbook(&["run", "shop.go", "here", "--yes"]).ends(0);
    assert_eq!(book.text("done"), "three\n");

    // Missing artifacts, and artifacts that are not opsbook archives.
    let none = ["packages", "add", "none", "--oci", &place, "--tag", "9"];
    book.opsbook(&none).ends(2).has("error: `none`: ");
    let manifest = fs::read_to_string(book.path("opsbook.toml")).unwrap();
    assert!(!manifest.contains("none"), "{manifest}");
}

#[test]
fn without_the_tool_for_registries_this_is_said_and_nothing_is_left() {
    let book = Project::new("# Own\n");
    let place = "registry.example.net/ops/shop";
    let add = ["packages", "add", "shop", "--oci", place, "--tag", "1.4.2"];
    book.opsbook(&add)
        .env("PATH", "/nowhere")
        .status(2)
        .err("opsbook.toml:2:1: error: `shop`: `skopeo`, which opsbook needs for registries, is not installed\n  |\n2 | shop = {oci = \"registry.example.net/ops/shop\", tag = \"1.4.2\"}\n  | ^^^^\n\nhint: install it, or download the archive and name it: `{archive = \"FILE\"}`\n")
        .check();
    assert!(!book.path("opsbook.toml").exists());
    for (text, expected) in [
        (
            "{oci = \"shop\", tag = \"1\"}",
            "opsbook.toml:2:15: error: `shop` is not a repository in a registry, such as `registry.example.net/ops/shop`\n",
        ),
        (
            "{oci = \"r.example/shop\", tag = \"a b\"}",
            "opsbook.toml:2:39: error: `a b` is not a valid tag\n",
        ),
        ("{oci = \"r.example/shop\"}", "opsbook.toml:2:1: error: "),
    ] {
        book.write("opsbook.toml", &format!("[packages]\nshop = {text}\n"));
        book.opsbook(&["list"]).ends(2).has(expected);
    }
}
