//! Real manuals, read from next to the repository: each is linted and built; two are adopted with
//! words on their fences and run with the real etcd and PostgreSQL.
//!
//! `tests/fixtures/corpus/*.edits` contain only our own words, no text of the manuals.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::sshd::{Skip, kill, or_skip};

#[test]
fn every_manual_lints_and_builds_unchanged() {
    let manuals = [
        ("etcd", "content/en/docs/v3.4", 20),
        ("netbox", "docs", 18),
        ("prometheus-runbooks", "content", 100),
        ("tuwunel", "docs", 60),
    ];
    let Some(corpus) = corpus("every_manual_lints_and_builds_unchanged") else {
        return;
    };
    for (name, source, pages) in manuals {
        let folder = tempfile::tempdir().unwrap();
        let copied = Command::new("cp")
            .arg("-r")
            .arg(corpus.join(name).join(source))
            .arg(folder.path().join("manual"))
            .status();
        assert!(copied.unwrap().success(), "{name}");
        fs::write(
            folder.path().join("book.toml"),
            "[book]\ntitle = \"M\"\nsrc = \"manual\"\n",
        )
        .unwrap();
        let lint = opsbook(folder.path(), &["lint"]).output().unwrap();
        let said = text(&lint);
        assert!(matches!(lint.status.code(), Some(0 | 2)), "{name}: {said}");
        assert!(!said.contains("panicked"), "{name}: {said}");
        let build = opsbook(folder.path(), &["build"]).output().unwrap();
        assert_eq!(build.status.code(), Some(0), "{name}: {}", text(&build));
        let html = Command::new("find")
            .arg(folder.path().join("book"))
            .args(["-name", "*.html"])
            .output()
            .unwrap();
        let built = html.stdout.iter().filter(|byte| **byte == b'\n').count();
        assert!(built >= pages, "{name}: {built} pages");
    }
}

#[test]
fn every_manual_is_adopted_without_a_new_error_and_only_once() {
    let manuals = [
        ("etcd", "content/en/docs/v3.4"),
        ("netbox", "docs"),
        ("prometheus-runbooks", "content"),
        ("tuwunel", "docs"),
    ];
    let Some(corpus) = corpus("every_manual_is_adopted_without_a_new_error_and_only_once") else {
        return;
    };
    for (name, source) in manuals {
        let folder = tempfile::tempdir().unwrap();
        let setup = "cp -r \"$1\" docs && printf '[book]\\nsrc = \"docs\"\\n' > book.toml \
             && printf 'opsbook: 1\\nnodes:\\n  here: {transport: local}\\n' > nodes.yaml \
             && git init -q . && git add -A && git -c user.name=a -c user.email=a@b commit -qm x";
        let mut made = Command::new("sh");
        made.args(["-c", setup, "sh"])
            .arg(corpus.join(name).join(source));
        let made = made.current_dir(folder.path()).status();
        assert!(made.unwrap().success(), "{name}");
        let before = errors(folder.path());
        let adopted = opsbook(folder.path(), &["adopt", "--write"])
            .output()
            .unwrap();
        assert_eq!(adopted.status.code(), Some(1), "{name}: {}", text(&adopted));
        assert!(text(&adopted).contains(" steps, "), "{name}");
        assert_eq!(errors(folder.path()), before, "{name}");
        let again = opsbook(folder.path(), &["adopt"]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&again.stdout), "", "{name}");
    }
}

/// The number of errors that `lint` finds, by code.
fn errors(folder: &Path) -> std::collections::BTreeMap<String, usize> {
    let lint = opsbook(folder, &["lint", "--format", "json"])
        .output()
        .unwrap();
    let all: serde_json::Value = serde_json::from_slice(&lint.stdout).unwrap();
    let mut found = std::collections::BTreeMap::new();
    for problem in all["problems"].as_array().unwrap() {
        if problem["severity"] == "error" {
            *found.entry(problem["code"].to_string()).or_default() += 1;
        }
    }
    found
}

#[test]
fn etcds_maintenance_page_runs_on_etcd() {
    let Some(corpus) = corpus("etcds_maintenance_page_runs_on_etcd") else {
        return;
    };
    let page = corpus.join("etcd/content/en/docs/v3.4/op-guide/maintenance.md");
    let programs = ["/usr/bin/etcd", "/usr/bin/etcdctl"];
    let adopted = need_root()
        .and_then(|()| need(&programs))
        .map(|()| Adopted::new(&page, "etcd-maintenance.edits"));
    let Some(adopted) = or_skip("etcds_maintenance_page_runs_on_etcd", adopted) else {
        return;
    };
    adopted.lints();
    // The page fills a quota of 16 MiB.
    let etcd = Service::start(
        "exec etcd --data-dir \"$1/data\" --quota-backend-bytes=16777216 \
         --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
         --listen-peer-urls http://127.0.0.1:2380 > \"$1/etcd.log\" 2>&1",
        adopted.folder.path(),
        &["etcdctl", "put", "somekey", "1"],
    );
    // It also needs a history.
    for value in ["2", "3"] {
        let put = etcd.inside(&["etcdctl", "put", "somekey", value]).output();
        assert!(put.unwrap().status.success());
    }
    let run = adopted.run(&etcd, "etcd.maintenance");
    assert_eq!(run.status.code(), Some(0), "{}", text(&run));
    let history = adopted.folder.path().join(".opsbook/history");
    let kept = fs::read_dir(history)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    // The output shows what etcd did.
    let alarm = fs::read_to_string(kept.join("4-3/out")).unwrap();
    assert!(alarm.contains("alarm:NOSPACE"), "{alarm}");
    let alarms = etcd.inside(&["etcdctl", "alarm", "list"]).output().unwrap();
    assert_eq!(text(&alarms), "");
}

#[test]
fn netboxs_database_page_runs_on_postgresql() {
    let Some(corpus) = corpus("netboxs_database_page_runs_on_postgresql") else {
        return;
    };
    let page = corpus.join("netbox/docs/installation/1-postgresql.md");
    let programs = ["/usr/bin/psql", "/usr/bin/sudo", "/usr/bin/setpriv"];
    let found = need_root()
        .and_then(|()| need(&programs))
        .and_then(|()| server())
        .map(|server| (Adopted::new(&page, "netbox-postgresql.edits"), server));
    let Some((adopted, server)) = or_skip("netboxs_database_page_runs_on_postgresql", found) else {
        return;
    };
    // The next page of the manual, which this one links to.
    adopted.page("2-redis.md", "# Redis\n");
    adopted.lints();
    let script = format!(
        "as='setpriv --reuid=postgres --regid=postgres --init-groups'\n\
         mount -t tmpfs none /run/postgresql && chown postgres: /run/postgresql\n\
         mkdir \"$1/pg\" && chown postgres: \"$1/pg\" && cd \"$1/pg\"\n\
         $as {0}/initdb -D \"$1/pg/data\" -E UTF8 --locale=C.UTF-8 -A peer --auth-host=scram-sha-256 > initdb.log 2>&1\n\
         exec $as {0}/postgres -D \"$1/pg/data\" -c listen_addresses=127.0.0.1 -k /run/postgresql > server.log 2>&1",
        server.display()
    );
    let ready = ["sudo", "-u", "postgres", "psql", "-c", "select 1"];
    let postgres = Service::start(&script, adopted.folder.path(), &ready);
    let run = adopted.run(&postgres, "netbox.database");
    assert_eq!(run.status.code(), Some(0), "{}", text(&run));
    assert!(
        text(&run).contains("netbox.database::login"),
        "{}",
        text(&run)
    );
    // The page cannot be followed twice: a runner that reports OK again lies.
    let again = adopted.run(&postgres, "netbox.database");
    assert_eq!(again.status.code(), Some(1), "{}", text(&again));
    let said = text(&again);
    assert!(
        said.contains("database \"netbox\" already exists"),
        "{said}"
    );
}

/// A page of a real manual with our words on it, in its own book.
struct Adopted {
    folder: tempfile::TempDir,
}

impl Adopted {
    fn new(page: &Path, edits: &str) -> Adopted {
        let folder = tempfile::tempdir().unwrap();
        // A server that runs as another user has its data below.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(folder.path().join("manual")).unwrap();
        let adopted = Adopted { folder };
        let name = page.file_name().unwrap().to_str().unwrap();
        let edits = PathBuf::from("tests/fixtures/corpus").join(edits);
        let edits = fs::read_to_string(edits).unwrap();
        adopted.page(name, &edited(&fs::read_to_string(page).unwrap(), &edits));
        let file =
            |name: &str, text: &str| fs::write(adopted.folder.path().join(name), text).unwrap();
        file(
            "book.toml",
            "[book]\ntitle = \"Adopted\"\nsrc = \"manual\"\n",
        );
        file(
            "nodes.yaml",
            "opsbook: 1\nnodes:\n  here: {transport: local}\n",
        );
        adopted
    }

    /// Adds a page, and lists all pages.
    fn page(&self, name: &str, text: &str) {
        let manual = self.folder.path().join("manual");
        fs::write(manual.join(name), text).unwrap();
        let mut summary = String::new();
        for entry in fs::read_dir(&manual).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            if name != "SUMMARY.md" {
                let _ = writeln!(summary, "- [{name}]({name})");
            }
        }
        fs::write(manual.join("SUMMARY.md"), summary).unwrap();
    }

    fn lints(&self) {
        let lint = opsbook(self.folder.path(), &["lint"]).output().unwrap();
        let said = text(&lint);
        assert_eq!(lint.status.code(), Some(0), "{said}");
        assert!(said.contains("0 errors, 0 warnings"), "{said}");
    }

    fn run(&self, service: &Service, procedure: &str) -> Output {
        let command = opsbook(self.folder.path(), &["run", procedure, "here", "--yes"]);
        let mut words = vec![command.get_program().to_str().unwrap()];
        words.extend(command.get_args().map(|word| word.to_str().unwrap()));
        let mut inside = service.inside(&words);
        inside.env("HOME", self.folder.path()).output().unwrap()
    }
}

/// A server in its own namespaces, with its own 127.0.0.1.
struct Service(Child);

impl Service {
    /// Starts it with a script that becomes the server, and waits until a command succeeds.
    fn start(script: &str, folder: &Path, ready: &[&str]) -> Service {
        let script = format!("set -e; ip link set lo up; {script}");
        let child = Command::new("unshare")
            .args([
                "-n",
                "-m",
                "--propagation",
                "private",
                "sh",
                "-c",
                &script,
                "sh",
            ])
            .arg(folder)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut service = Service(child);
        let deadline = Instant::now() + Duration::from_secs(90);
        while !service.inside(ready).output().unwrap().status.success() {
            assert!(service.0.try_wait().unwrap().is_none(), "the server ended");
            assert!(Instant::now() < deadline, "the server does not answer");
            std::thread::sleep(Duration::from_millis(100));
        }
        service
    }

    fn inside(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["-n", "-m", "-t", &self.0.id().to_string()])
            .args(words)
            .current_dir("/")
            .stdin(Stdio::null());
        command
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Both stop their children and save their data.
        kill(self.0.id(), "INT");
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.0.try_wait().is_ok_and(|ended| ended.is_none()) {
            if Instant::now() > deadline {
                kill(self.0.id(), "KILL");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The edited page; each edit knows the line that it was written for.
fn edited(page: &str, edits: &str) -> String {
    let edits: Vec<(usize, &str, &str, &str)> = edits
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let mut parts = line.splitn(4, ' ');
            let mut part = || parts.next().unwrap_or_default();
            (part().parse().unwrap(), part(), part(), part())
        })
        .collect();
    let mut text = String::new();
    for (index, line) in page.split_inclusive('\n').enumerate() {
        let bare = line.trim_end_matches('\n');
        let of_line = || edits.iter().filter(|(number, ..)| *number == index + 1);
        for (number, hash, ..) in of_line() {
            let found =
                Sha256::digest(bare)
                    .iter()
                    .take(4)
                    .fold(String::new(), |mut text, byte| {
                        let _ = write!(text, "{byte:02x}");
                        text
                    });
            assert_eq!(found, *hash, "line {number} is another than it was");
        }
        if of_line().all(|(_, _, what, _)| *what == "+") {
            let _ = writeln!(text, "{bare}");
        }
        for (_, _, what, new) in of_line() {
            if *what != "-" {
                let _ = writeln!(text, "{new}");
            }
        }
    }
    text
}

fn opsbook(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_opsbook"));
    command
        .arg("-C")
        .arg(folder)
        .args(words)
        .stdin(Stdio::null());
    command
}

fn text(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// The manuals are not part of this repository: if they are missing, the test is skipped.
fn corpus(test: &str) -> Option<PathBuf> {
    let named = std::env::var_os("OPSBOOK_MANUALS").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let corpus = named.unwrap_or(beside);
    if corpus.is_dir() {
        return Some(corpus);
    }
    eprintln!("skipped {test}: no ../shared/corpus beside the repository, and no OPSBOOK_MANUALS");
    None
}

fn need(programs: &[&str]) -> Result<(), Skip> {
    match programs.iter().find(|program| !Path::new(program).exists()) {
        None => Ok(()),
        Some(program) => Err(Skip(format!("no `{program}` here"))),
    }
}

fn need_root() -> Result<(), Skip> {
    if rustix::process::getuid().is_root() {
        Ok(())
    } else {
        Err(Skip("needs root, for namespaces".to_owned()))
    }
}

/// The programs of Debian's newest PostgreSQL.
fn server() -> Result<PathBuf, Skip> {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    found.retain(|bin| bin.join("initdb").exists());
    found.sort();
    found
        .pop()
        .ok_or_else(|| Skip("no PostgreSQL server here".to_owned()))
}
