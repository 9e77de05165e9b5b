//! Pages of public manuals that run after a few words on their fences.
//!
//! The pages are not part of this repository. `tests/fixtures/pages/*.edits` contain only our own
//! words, and the origin of each page; `sh tests/pages.sh` downloads the pages at a certain commit
//! to `target/pages`. `OPSBOOK_PAGES` names another folder.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test ends where something is wrong"
)]

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use sha2::{Digest as _, Sha256};

macro_rules! pages {
    ($($test:ident: $name:literal,)*) => {
        $(#[test]
        fn $test() {
            runs($name);
        })*

        #[test]
        fn each_file_of_edits_has_a_test_and_touches_a_tenth_at_most() {
            each_has_a_test(&[$($name),*]);
        }
    };
}

pages! {
    exercises_with_coreutils: "coreutils-exercises",
    a_remote_of_rclone_that_encrypts: "rclone-crypt",
    keys_of_the_yubikey_guide: "yubikey-guide",
    the_firewall_of_mastodon: "mastodon-firewall",
    the_backup_script_of_ubuntu: "ubuntu-backup",
    prometheus_and_docker_swarm: "prometheus-swarm",
    prometheus_and_many_targets: "prometheus-multi-target",
    accounts_of_nats: "nats-accounts",
    permissions_of_nats: "nats-authorization",
    the_database_of_synapse: "synapse-postgres",
}

/// The head of an edits file.
struct Edits {
    text: String,
}

impl Edits {
    fn of(name: &str) -> Edits {
        let file = Path::new("tests/fixtures/pages").join(format!("{name}.edits"));
        Edits {
            text: fs::read_to_string(file).unwrap(),
        }
    }

    fn all<'e>(&'e self, word: &'e str) -> impl Iterator<Item = &'e str> {
        let lines = self.text.lines().filter_map(|line| line.strip_prefix("# "));
        lines.filter_map(move |line| line.strip_prefix(word)?.strip_prefix(": "))
    }

    fn the<'e>(&'e self, word: &'e str) -> &'e str {
        self.all(word).next().unwrap()
    }

    /// The edited page.
    fn page(&self, page: &str) -> String {
        let edits: Vec<(usize, &str, &str, &str)> = self
            .text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| {
                let mut parts = line.splitn(4, ' ');
                let mut part = || parts.next().unwrap_or_default();
                (part().parse().unwrap(), part(), part(), part())
            })
            .collect();
        let mut text = String::new();
        for (index, line) in page.lines().enumerate() {
            let mine = || edits.iter().filter(|(number, ..)| *number == index + 1);
            for (number, hash, ..) in mine() {
                let found = Sha256::digest(line);
                let found = format!(
                    "{:02x}{:02x}{:02x}{:02x}",
                    found[0], found[1], found[2], found[3]
                );
                assert_eq!(found, *hash, "line {number} is another than it was");
            }
            if mine().all(|(_, _, what, _)| *what == "+") {
                writeln!(text, "{line}").unwrap();
            }
            for (_, _, what, new) in mine() {
                if *what != "-" {
                    writeln!(text, "{new}").unwrap();
                }
            }
        }
        text
    }
}

fn runs(name: &str) {
    let edits = Edits::of(name);
    let [repository, _, path] = edits.the("from").split(' ').collect::<Vec<_>>()[..] else {
        panic!("{name}");
    };
    let named = std::env::var_os("OPSBOOK_PAGES").map(PathBuf::from);
    let pages = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/pages"));
    let pages = pages.join(repository.replace('/', "+"));
    let missing = edits
        .all("needs")
        .find(|program| !Path::new(program).exists());
    let skip = match missing {
        _ if !rustix::process::getuid().is_root() => Some("needs root, for namespaces".to_owned()),
        Some(program) => Some(format!("no `{program}` here")),
        None if !pages.join(path).exists() => {
            Some("no page: `sh tests/pages.sh` brings it".to_owned())
        }
        None => None,
    };
    if let Some(why) = skip {
        eprintln!("skipped {name}: {why}");
        return;
    }

    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    // A server that runs as another user has its data below.
    fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
    let text = edits.page(&fs::read_to_string(pages.join(path)).unwrap());
    fs::create_dir_all(root.join("manual")).unwrap();
    fs::create_dir_all(root.join("home")).unwrap();
    fs::write(root.join("manual/page.md"), text).unwrap();
    fs::write(root.join("manual/SUMMARY.md"), "- [Page](page.md)\n").unwrap();
    fs::write(
        root.join("book.toml"),
        "[book]\ntitle = \"T\"\nsrc = \"manual\"\n",
    )
    .unwrap();
    let nodes = "opsbook: 1\nnodes:\n  here: {transport: local}\n";
    fs::write(root.join("nodes.yaml"), nodes).unwrap();
    lints(root);

    let before: String = edits
        .all("before")
        .map(|line| format!("{line}\n"))
        .collect();
    // In separate namespaces, with its own 127.0.0.1 and mounts.
    let script = format!(
        "ip link set lo up; mount -t tmpfs none /mnt\n\
         export HOME=\"$1/home\" PAGES=\"$2\"; cd \"$HOME\"\n{before}\
         cd \"$HOME\"; exec \"$3\" -C \"$1\" run {} here --yes",
        edits.the("run")
    );
    let mut command = Command::new("timeout");
    let words = [
        "600",
        "unshare",
        "-n",
        "-m",
        "-p",
        "-f",
        "--kill-child",
        "--mount-proc",
    ];
    command
        .args(words)
        .args(["--propagation", "private", "bash", "-ec", &script, "bash"]);
    command
        .arg(root)
        .arg(pages)
        .arg(env!("CARGO_BIN_EXE_opsbook"));
    let ran = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(ran.status.code(), Some(0), "{}", said(&ran));
}

/// The only problem of the page is that it is alone.
fn lints(root: &Path) {
    let mut lint = Command::new(env!("CARGO_BIN_EXE_opsbook"));
    let lint = lint
        .arg("-C")
        .arg(root)
        .args(["lint", "--format", "json"])
        .output()
        .unwrap();
    let found: serde_json::Value = serde_json::from_slice(&lint.stdout).unwrap();
    let wrong = found["problems"].as_array().unwrap().iter();
    let wrong = wrong.filter(|problem| {
        let code = problem["code"].as_str().unwrap();
        problem["severity"] == "error" && !code.starts_with("broken-")
    });
    assert_eq!(wrong.count(), 0, "{found:#}");
}

fn each_has_a_test(names: &[&str]) {
    let mut found = Vec::new();
    for entry in fs::read_dir("tests/fixtures/pages").unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let name = name.strip_suffix(".edits").unwrap().to_owned();
        let edits = Edits::of(&name);
        let [touched, "lines", all, "in", "fences"] = edits
            .the("touched")
            .split([' ', ','])
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()[..]
        else {
            panic!("{name}");
        };
        let lines = edits.text.lines().filter(|line| !line.starts_with('#'));
        // An empty line between blocks does not belong to them.
        let lines = lines.filter(|line| !line.ends_with(" +"));
        let (touched, all): (usize, usize) = (touched.parse().unwrap(), all.parse().unwrap());
        assert_eq!(lines.count(), touched, "{name}");
        assert!(touched * 10 <= all, "{name}: {touched} of {all}");
        found.push(name);
    }
    found.sort();
    let mut names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    names.sort();
    assert_eq!(found, names);
}

fn said(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}
