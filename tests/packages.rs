//! The parts of a release: the archive, the Debian package, the GitHub action and the GitLab
//! component. They contain the test binary, because building a release takes minutes.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test ends where something is wrong"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The packages of this binary, built once for all tests.
static PACKAGES: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let stripped = folder.path().join("opsbook");
    let mut strip = Command::new("strip");
    strip
        .arg("-o")
        .arg(&stripped)
        .arg(env!("CARGO_BIN_EXE_opsbook"));
    assert!(strip.status().unwrap().success());
    // It is next to ours, because `cargo test` builds all binaries.
    let gateway = Path::new(env!("CARGO_BIN_EXE_opsbook")).with_file_name("opsbook-gateway");
    assert!(
        gateway.exists(),
        "`cargo build -p opsbook-gateway` makes what is packed, too"
    );
    let mut strip = Command::new("strip");
    strip
        .arg("-o")
        .arg(folder.path().join("opsbook-gateway"))
        .arg(gateway);
    assert!(strip.status().unwrap().success());
    pack(&stripped, &folder.path().join("out"), "0022");
    folder
});

fn packages() -> PathBuf {
    PACKAGES.path().join("out")
}

fn pack(binary: &Path, out: &Path, umask: &str) {
    let script = format!("umask {umask}; exec sh packaging/build.sh \"$0\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).arg(out).current_dir(ROOT);
    command
        .env("OPSBOOK_BINARY", binary)
        .env("SOURCE_DATE_EPOCH", "1790000000");
    command.env("OPSBOOK_COMPRESS", "1");
    ok(&command.output().unwrap());
}

fn archive() -> String {
    format!("opsbook-{VERSION}-{}-linux", std::env::consts::ARCH)
}

/// The order of the original is random: two of its runs are hardly ever the same.
#[test]
fn the_icons_of_the_book_have_one_order() {
    let folder = tempfile::tempdir().unwrap();
    let icons = folder.path().join("icons");
    let mut copy = Command::new("sh");
    ok(&copy
        .args(["packaging/icons.sh".as_ref(), icons.as_path()])
        .current_dir(ROOT)
        .output()
        .unwrap());
    let script = folder.path().join("script");
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition", "2021", "build.rs", "-o"]);
    ok(&rustc.arg(&script).current_dir(&icons).output().unwrap());
    let made = || {
        let out = tempfile::tempdir().unwrap();
        let mut run = Command::new(&script);
        ok(&run
            .env("OUT_DIR", out.path())
            .current_dir(&icons)
            .output()
            .unwrap());
        fs::read(out.path().join("fontawesome.rs")).unwrap()
    };
    let first = made();
    assert!(first.len() > 1_000_000, "{}", first.len());
    assert!(first == made());
}

#[track_caller]
fn ok(said: &Output) -> String {
    assert!(said.status.success(), "{}", both(said));
    both(said)
}

fn both(said: &Output) -> String {
    let err = String::from_utf8_lossy(&said.stderr);
    String::from_utf8_lossy(&said.stdout).into_owned() + &err
}

/// Only Debian builds these packages, and always has `dpkg-deb`.
fn is_debian() -> bool {
    let there = Path::new("/usr/bin/dpkg-deb").exists();
    if !there {
        assert!(
            !Path::new("/etc/debian_version").exists(),
            "dpkg-deb is missing"
        );
        eprintln!("skipped: this is no Debian");
    }
    there
}

/// A shell with only this environment.
fn bash(folder: &Path, script: &str, environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new("bash");
    command.args(["-c", script]).current_dir(folder).env_clear();
    command.env("PATH", std::env::var("PATH").unwrap());
    command.env("HOME", folder).env("RUNNER_TEMP", folder);
    command.envs(environment.iter().copied()).output().unwrap()
}

#[test]
fn the_archive_holds_all_that_an_installation_has() {
    let folder = tempfile::tempdir().unwrap();
    let script = "tar -xzf \"$ARCHIVE\" && cd opsbook-* && find . -type f | LC_ALL=C sort && ./opsbook --version";
    let file = packages().join(format!("{}.tar.gz", archive()));
    let said = ok(&bash(
        folder.path(),
        script,
        &[("ARCHIVE", file.to_str().unwrap())],
    ));
    for part in [
        "./completions/_opsbook",
        "./completions/opsbook.bash",
        "./completions/opsbook.fish",
        "./LICENSE-MIT",
        "./man/opsbook.1",
        "./man/opsbook-run.1",
        "./man/opsbook-lock-status.1",
        "./schemas/event.json",
        "./opsbook",
        "./opsbook-gateway",
        "./systemd/opsbook-runner.service",
    ] {
        assert!(said.lines().any(|line| line == part), "{part}: {said}");
    }
    assert!(said.ends_with(&format!("opsbook {VERSION}\n")), "{said}");
}

#[test]
fn the_same_binary_gives_the_same_bytes_whoever_packs_it() {
    let again = tempfile::tempdir().unwrap();
    let binary = PACKAGES.path().join("opsbook");
    pack(&binary, again.path(), "0077");
    let sums = |folder: &Path| fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
    assert_eq!(sums(&packages()), sums(again.path()));
}

#[test]
fn the_debian_package_is_installed_and_removed_without_a_trace() {
    if !is_debian() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = r#"
        set -eu
        deb=$(echo "$PACKAGES"/opsbook_*.deb)
        dpkg-deb --field "$deb" Package Depends
        mkdir -p root/var/lib/dpkg/info root/var/lib/dpkg/updates
        : > root/var/lib/dpkg/status
        list() { (cd root && find . -path ./var -prune -o -print | LC_ALL=C sort); }
        list > before
        as_root="fakeroot"; [ "$(id -u)" != 0 ] || as_root=
        $as_root dpkg --root="$PWD/root" --force-depends --force-not-root --log=/dev/null -i "$deb" > log 2>&1 || { cat log; exit 1; }
        root/usr/bin/opsbook --version
        list | grep -E 'bin/|man1/opsbook(-run)?.1|completions|html/index|copyright'
        find root/usr -perm /022 -o -perm /7000 | sed 's/^/writable: /'
        $as_root dpkg --root="$PWD/root" --force-not-root --log=/dev/null -P opsbook > log 2>&1 || { cat log; exit 1; }
        list > after
        cmp before after && echo "nothing is left"
    "#;
    let packages = packages();
    let said = ok(&bash(
        folder.path(),
        script,
        &[("PACKAGES", packages.to_str().unwrap())],
    ));
    for part in [
        "Package: opsbook",
        "Depends: openssh-client",
        "./usr/bin/opsbook",
        "./usr/share/man/man1/opsbook-run.1.gz",
        "./usr/share/bash-completion/completions/opsbook",
        "./usr/share/zsh/vendor-completions/_opsbook",
        "./usr/share/fish/vendor_completions.d/opsbook.fish",
        "./usr/share/doc/opsbook/html/index.html",
        "nothing is left",
    ] {
        assert!(said.lines().any(|line| line == part), "{part}: {said}");
    }
    assert!(!said.contains("writable"), "{said}");
}

#[test]
fn the_services_are_installed_and_removed_and_systemd_understands_them() {
    if !is_debian() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = r#"
        set -eu
        mkdir -p root/var/lib/dpkg/info root/var/lib/dpkg/updates
        : > root/var/lib/dpkg/status
        as_root="fakeroot"; [ "$(id -u)" != 0 ] || as_root=
        package() { $as_root dpkg --root="$PWD/root" --force-depends --force-not-root --log=/dev/null "$@" > log 2>&1 || { cat log; exit 1; }; }
        package -i "$PACKAGES"/opsbook_*.deb "$PACKAGES"/opsbook-gateway_*.deb "$PACKAGES"/opsbook-runner_*.deb
        root/usr/bin/opsbook-gateway --version
        echo 'port = 1' >> root/etc/opsbook/gateway.toml
        package -r opsbook-gateway opsbook-runner
        [ -e root/etc/opsbook/gateway.toml ] && echo "the configuration is kept"
        package -P opsbook-gateway opsbook-runner opsbook
        find root -path root/var -prune -o ! -type d -print | sed 's/^/left: /'
        for unit in opsbook-gateway opsbook-runner; do
          dpkg-deb --fsys-tarfile "$PACKAGES"/"$unit"_*.deb | tar -xO "./usr/lib/systemd/system/$unit.service" |
            sed "s,/usr/bin/,$BINARIES/,; /^Documentation/d; /^User/d" > "$unit.service"
          systemd-analyze verify "$PWD/$unit.service" && echo "$unit is understood"
        done
        dir=$(sed -n 's/.* --dir \([^ ]*\) .*/\1/p' opsbook-gateway.service)
        grep -q "^Environment=GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=$dir\$" opsbook-gateway.service && echo "git reads the manual that is served"
        dpkg-deb --fsys-tarfile "$PACKAGES"/opsbook-gateway_*.deb | tar -xO ./etc/opsbook/gateway.toml > gateway.toml
        "$BINARIES/opsbook" init ops > /dev/null
        "$BINARIES/opsbook-gateway" serve --no-runner --listen 127.0.0.1:0 --dir ops --state "$PWD/state" --config "$PWD/gateway.toml" > said 2>&1 &
        for _ in $(seq 600); do [ ! -S state/socket ] || break; sleep 0.1; done
        [ -S state/socket ] && echo "the configuration is read" || cat said
        kill $!
    "#;
    let binaries = Path::new(env!("CARGO_BIN_EXE_opsbook")).parent().unwrap();
    let packages = packages();
    let said = ok(&bash(
        folder.path(),
        script,
        &[
            ("PACKAGES", packages.to_str().unwrap()),
            ("BINARIES", binaries.to_str().unwrap()),
        ],
    ));
    for part in [
        "the configuration is kept",
        "opsbook-gateway is understood",
        "opsbook-runner is understood",
        "the configuration is read",
        "git reads the manual that is served",
    ] {
        assert!(said.lines().any(|line| line == part), "{part}: {said}");
    }
    assert!(!said.contains("left:"), "{said}");
}

/// A folder that looks like a release page, and the address of the folder of all releases.
fn releases(folder: &Path) -> String {
    let release = folder.join(format!("releases/v{VERSION}"));
    fs::create_dir_all(&release).unwrap();
    for file in [format!("{}.tar.gz", archive()), "SHA256SUMS".to_owned()] {
        fs::copy(packages().join(&file), release.join(&file)).unwrap();
    }
    format!("file://{}", folder.join("releases").display())
}

fn manual(folder: &Path) {
    let mut init = Command::new(env!("CARGO_BIN_EXE_opsbook"));
    ok(&init
        .args(["init", "ops"])
        .current_dir(folder)
        .output()
        .unwrap());
}

#[test]
fn the_action_for_github_installs_asks_and_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let from = releases(folder);
    manual(folder);
    let install = format!("{ROOT}/packaging/github/install.sh");
    let path = folder.join("path");
    let given = |sum: &'static str| {
        let path = path.to_str().unwrap().to_owned();
        move |folder: &Path, from: &str, script: &str| {
            let environment = [
                ("OPSBOOK_VERSION", VERSION),
                ("OPSBOOK_FROM", from),
                ("OPSBOOK_SHA256", sum),
                ("GITHUB_PATH", &path),
            ];
            bash(folder, script, &environment)
        }
    };
    let wrong = given("0000000000000000000000000000000000000000000000000000000000000000");
    let refused = wrong(folder, &from, &install);
    assert_eq!(refused.status.code(), Some(2), "{}", both(&refused));
    assert!(!path.exists(), "it was put into PATH all the same");
    ok(&given("")(folder, &from, &install));

    let run = format!(
        "PATH=\"$(cat {}):$PATH\" exec {ROOT}/packaging/github/run.sh",
        path.display()
    );
    let environment = [
        ("DO", "lint test build"),
        ("MANUAL", "ops"),
        ("JUNIT", "tests.xml"),
        ("GITHUB_STEP_SUMMARY", "summary.md"),
    ];
    ok(&bash(folder, &run, &environment));
    for file in ["ops/tests.xml", "ops/summary.md", "ops/book/index.html"] {
        assert!(folder.join(file).exists(), "{file}");
    }

    let page = folder.join("ops/manual/hello.md");
    let text = fs::read_to_string(&page).unwrap();
    fs::write(
        &page,
        text.replace("sh check id=hello.home", "sh chekc id=hello.home"),
    )
    .unwrap();
    let said = bash(folder, &run, &environment);
    assert_eq!(said.status.code(), Some(2), "{}", both(&said));
    let noted = both(&said);
    let command = |line: &str| line.starts_with("::error file=manual/hello.md,line=");
    assert!(noted.lines().any(command), "{noted}");
    assert!(folder.join("ops/book/index.html").exists());
}

#[test]
fn the_action_says_each_input_that_its_scripts_read() {
    let text = fs::read_to_string(Path::new(ROOT).join("action.yml")).unwrap();
    let action: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
    let inputs = action["inputs"].as_mapping().unwrap();
    for (name, input) in inputs {
        let name = name.as_str().unwrap();
        assert!(input["description"].is_string(), "{name}");
        assert!(
            text.contains(&format!("${{{{ inputs.{name} }}}}")),
            "{name} is not used"
        );
    }
    for step in action["runs"]["steps"].as_sequence().unwrap() {
        let script = step["run"].as_str().unwrap().trim_matches('"');
        let file = script.strip_prefix("$GITHUB_ACTION_PATH/").unwrap();
        let scripts = fs::read_to_string(Path::new(ROOT).join(file)).unwrap();
        for (variable, _) in step["env"].as_mapping().unwrap() {
            let variable = variable.as_str().unwrap();
            assert!(scripts.contains(&format!("${{{variable}:")), "{variable}");
        }
    }
}

#[test]
fn the_component_for_gitlab_does_its_work_in_a_plain_shell() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let from = releases(folder);
    manual(folder);
    let text =
        fs::read_to_string(Path::new(ROOT).join("packaging/gitlab/templates/opsbook.yml")).unwrap();
    let (spec, job) = text.split_once("\n---\n").unwrap();
    let spec: serde_yaml::Value = serde_yaml::from_str(spec).unwrap();
    let mut job = job.to_owned();
    for (name, input) in spec["spec"]["inputs"].as_mapping().unwrap() {
        let name = name.as_str().unwrap();
        let value = match name {
            "version" => VERSION,
            "from" => &from,
            "manual" => "ops",
            _ => input["default"].as_str().unwrap(),
        };
        job = job.replace(&format!("$[[ inputs.{name} ]]"), value);
    }
    assert!(!job.contains("$[["), "{job}");
    let job: serde_yaml::Value = serde_yaml::from_str(&job).unwrap();
    let job = &job["opsbook"];
    let lines = |part: &str| {
        let lines = job[part].as_sequence().unwrap().iter();
        lines
            .map(|line| format!("{}\n", line.as_str().unwrap()))
            .collect::<String>()
    };
    let variables = job["variables"].as_mapping().unwrap().iter();
    let variables: Vec<(&str, &str)> = variables
        .map(|(name, value)| (name.as_str().unwrap(), value.as_str().unwrap_or_default()))
        .collect();
    // Use a separate place for the archive.
    let temp = folder.display().to_string();
    let script = lines("before_script") + &lines("script");
    let script = format!("set -e\n{}", script.replace("/tmp", &temp));
    ok(&bash(folder, &script, &variables));
    let quality = fs::read_to_string(folder.join("opsbook-quality.json")).unwrap();
    assert_eq!(quality, "[]\n");
    assert!(folder.join("opsbook-tests.xml").exists());
}
