//! Sessions on real shells: this machine's own shells and private `sshd`s.

use std::fs;
use std::future::Future;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use opsbook::nodes::Transport;
use opsbook::plan::Script;
use opsbook::session::{
    Cancel, Cause, Content, DeliverError, Done, End, Limits, Lost, OpenError, Secret, Session,
    SudoError, Values,
};

use crate::sshd::{self, Special, Sshd, options, or_skip};

/// No test takes this long unless something hangs.
const BOUND: Duration = Duration::from_secs(90);

async fn bounded<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(BOUND, work)
        .await
        .expect("still at it after 90 s")
}

/// A local shell of each kind that this machine has, in which `sh` is that shell.
struct Shells {
    dirs: Vec<(String, tempfile::TempDir)>,
}

impl Shells {
    fn all() -> Self {
        let mut dirs = Vec::new();
        for name in ["dash", "busybox", "bash"] {
            let Some(program) = find(name) else {
                eprintln!("skipped {name}: not installed");
                continue;
            };
            let dir = tempfile::tempdir().unwrap();
            std::os::unix::fs::symlink(program, dir.path().join("sh")).unwrap();
            dirs.push((name.to_owned(), dir));
        }
        assert!(!dirs.is_empty());
        Self { dirs }
    }

    async fn each<F: Future<Output = ()>>(test: impl Fn(Session) -> F) {
        for (name, dir) in &Self::all().dirs {
            let path = format!("PATH={}:/usr/bin:/bin", dir.path().display());
            let argv = ["/usr/bin/env", &path, "sh"].map(str::to_owned).to_vec();
            let session = Session::open_over(&Transport::Exec(argv), &options())
                .await
                .unwrap();
            assert_eq!(session.hello().shell, *name);
            bounded(test(session.clone())).await;
            bounded(session.close()).await;
            assert!(
                !Path::new(&session.hello().dir).exists(),
                "{name} leaves its directory"
            );
        }
    }
}

fn find(name: &str) -> Option<PathBuf> {
    ["/bin", "/usr/bin"]
        .iter()
        .map(|dir| Path::new(dir).join(name))
        .find(|path| path.exists())
}

async fn sh(session: &Session, text: &str) -> Done {
    sh_with(session, text, &Values::new(), Limits::seconds(60)).await
}

async fn sh_with(session: &Session, text: &str, values: &Values, limits: Limits) -> Done {
    session
        .run(&Script::for_test("sh", text), values, limits)
        .await
        .unwrap()
}

fn out(done: &Done) -> &str {
    std::str::from_utf8(&done.out).unwrap()
}

fn err(done: &Done) -> &str {
    std::str::from_utf8(&done.err).unwrap()
}

/// Of what nobody stops.
fn never() -> &'static Cancel {
    static NEVER: LazyLock<Cancel> = LazyLock::new(Cancel::new);
    &NEVER
}

/// Waits for a condition about the machine.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(30), "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn running(marker: &str) -> bool {
    sshd::processes().any(|pid| {
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
            String::from_utf8_lossy(&line)
                .replace('\0', " ")
                .contains(marker)
        })
    })
}

#[tokio::test]
async fn bytes_arrive_as_they_were_printed() {
    Shells::each(async |session| {
        let script = "i=0; while [ $i -lt 256 ]; do printf \"\\\\$(printf %o $i)\"; i=$((i+1)); done; printf '\\000\\377' >&2; exit 3";
        let done = sh(&session, script).await;
        assert_eq!(done.out, (0..=255).collect::<Vec<u8>>());
        assert_eq!((done.err.as_slice(), done.status, done.end), (&[0, 255][..], 3, End::Exited));
    })
    .await;
}

#[tokio::test]
async fn ten_megabytes_arrive_whole() {
    Shells::each(async |session| {
        let done = sh(&session, "head -c 10485760 /dev/urandom | tee /dev/stderr").await;
        assert_eq!(
            (done.out.len(), done.status, done.truncated),
            (10 << 20, 0, false)
        );
        assert!(done.out == done.err);
    })
    .await;
}

#[tokio::test]
async fn output_over_the_limit_is_stopped_there() {
    Shells::each(async |session| {
        let limits = Limits {
            output: 100_000,
            ..Limits::seconds(60)
        };
        let done = sh_with(&session, "yes 2>/dev/null", &Values::new(), limits).await;
        assert_eq!(
            (done.out.len(), done.truncated, done.end),
            (100_000, true, End::Exited)
        );
        assert!(!done.ok());
        assert!(sh(&session, "echo fine").await.ok());
    })
    .await;
}

#[tokio::test]
async fn a_script_cannot_harm_the_next_one() {
    Shells::each(async |session| {
        let dir = out(&sh(&session, "pwd; umask").await).to_owned();
        for (text, status) in [
            ("cat", 0),
            ("read x", 1),
            (
                "cd /; umask 077; exec 2>/dev/null; export A=1; a() { :; }",
                0,
            ),
            ("exec 1>&- 2>&-; exit 4", 4),
            ("if then", 2),
            ("nosuchcommand", 127),
            ("false; echo not reached", 1),
            ("kill -9 $$", 137),
            ("kill $$; sleep 5", 143),
            ("trap 'exit 9' EXIT; exit 3", 9),
            ("echo >&3; echo x >&4; echo >&5; echo 1 0 >&6", 2),
            ("kill -9 0", 137),
        ] {
            let done = sh(&session, text).await;
            // Which status a broken redirection has is the shell's own choice.
            assert!(
                done.status == status || (status == 2 && done.status == 1),
                "{text}: {done:?}"
            );
        }
        let done = sh(&session, "pwd; umask; echo \"${A-none}\"").await;
        assert_eq!(out(&done), format!("{dir}none\n"));
    })
    .await;
}

#[tokio::test]
async fn an_unset_variable_stops_a_script() {
    Shells::each(async |session| {
        let done = sh(&session, "echo before\necho $nope\necho after").await;
        assert!(done.status != 0 && out(&done) == "before\n", "{done:?}");
    })
    .await;
}

#[tokio::test]
async fn messages_tell_the_line_of_the_script() {
    Shells::each(async |session| {
        let mut values = Values::new();
        values.insert("a", "1\n2\n3").unwrap();
        let done = sh_with(
            &session,
            "\n\nnosuchcommand $a",
            &values,
            Limits::seconds(9),
        )
        .await;
        let text = err(&done);
        assert!(
            text.contains("script: line 3:") || text.contains("3: script:"),
            "{text}"
        );
    })
    .await;
}

#[tokio::test]
async fn values_arrive_unchanged() {
    let nasty = [
        "",
        " ",
        "plain",
        "it's",
        "\"$HOME\" `id` $(id) \\ \\n",
        "a\nb\n\n",
        "-n",
        "*",
        "~",
        "é\u{202e}x",
        "'\n'",
        "$'x'",
        "a;b&c|d>e<f",
        "%s%n",
        "!!",
        "#",
    ];
    Shells::each(async |session| {
        for interpreter in ["sh", "bash"] {
            let mut values = Values::new();
            for (number, value) in nasty.iter().enumerate() {
                values.insert(&format!("v{number}"), *value).unwrap();
            }
            let text: String = (0..nasty.len())
                .map(|number| format!("printf '%s\\0' \"$v{number}\"\n"))
                .collect();
            let script = Script::for_test(interpreter, &text);
            let done = session
                .run(&script, &values, Limits::seconds(20))
                .await
                .unwrap();
            let got: Vec<_> = out(&done).split_terminator('\0').collect();
            assert_eq!(got, nasty, "{interpreter} {}", err(&done));
        }
        let mut values = Values::new();
        values.insert("big", "x".repeat(300_000)).unwrap();
        assert_eq!(
            out(&sh_with(&session, "echo ${#big}", &values, Limits::seconds(20)).await),
            "300000\n"
        );
    })
    .await;
}

#[tokio::test]
async fn values_reach_python_as_environment() {
    let Some(_) = find("python3") else { return };
    let session = Session::local(&options()).await.unwrap();
    let mut values = Values::new();
    values.insert("name", "it's\n$x").unwrap();
    let script = Script::for_test("python3", "import os\nprint(repr(os.environ['name']))\n1/0");
    let done = bounded(session.run(&script, &values, Limits::seconds(20)))
        .await
        .unwrap();
    assert_eq!(out(&done), "\"it's\\n$x\"\n");
    assert!(
        err(&done).contains("File \"script\", line 3"),
        "{}",
        err(&done)
    );
    session.close().await;
}

#[tokio::test]
async fn bash_scripts_fail_in_a_pipe() {
    let session = Session::local(&options()).await.unwrap();
    let script = Script::for_test("bash", "a=(1 2); false | echo ${#a[@]}; echo no");
    let done = bounded(session.run(&script, &Values::new(), Limits::default()))
        .await
        .unwrap();
    assert_eq!((done.status, out(&done)), (1, "2\n"));
    session.close().await;
}

#[tokio::test]
async fn a_nul_byte_is_refused_before_anything_is_sent() {
    let session = Session::local(&options()).await.unwrap();
    let script = Script::for_test("sh", "true\necho a\0b");
    let refused = session
        .run(&script, &Values::new(), Limits::default())
        .await
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "script contains a NUL byte in line 2, which no shell can read"
    );
    let error = Values::new().insert("a", "x\0").unwrap_err();
    assert_eq!(
        error.to_string(),
        "value of `a` contains a NUL byte, which no shell variable can hold"
    );
    session.close().await;
}

#[tokio::test]
async fn a_time_limit_stops_the_whole_tree() {
    Shells::each(async |session| {
        let marker = format!("31{}", std::process::id());
        let text = format!(
            "trap '' TERM; (trap '' TERM; sleep 0.{marker}; sleep {marker}) & sleep {marker}"
        );
        let limits = Limits {
            time: Duration::from_secs(1),
            grace: Duration::from_secs(1),
            ..Limits::default()
        };
        let begin = Instant::now();
        let done = sh_with(&session, &text, &Values::new(), limits.clone()).await;
        assert_eq!(done.end, End::TimedOut { killed: true }, "{done:?}");
        assert!(
            begin.elapsed() >= Duration::from_secs(2),
            "too early: {:?}",
            begin.elapsed()
        );
        until("the tree is gone", || !running(&format!("sleep {marker}"))).await;
        let done = sh_with(&session, "echo kept; sleep 600", &Values::new(), limits).await;
        assert_eq!(
            (done.end, out(&done), done.status),
            (End::TimedOut { killed: false }, "kept\n", 143)
        );
        assert!(sh(&session, "echo alive").await.ok());
    })
    .await;
}

#[tokio::test]
async fn a_script_can_be_cancelled() {
    Shells::each(async |session| {
        let marker = format!("32{}", std::process::id());
        let cancel = Cancel::new();
        let limits = Limits {
            cancel: Some(cancel.clone()),
            ..Limits::default()
        };
        let text = format!("sleep {marker}");
        let (none, begin) = (Values::new(), Instant::now());
        let run = sh_with(&session, &text, &none, limits);
        let stop = async {
            until("it runs", || running(&text)).await;
            cancel.cancel();
        };
        let (done, ()) = tokio::join!(run, stop);
        assert_eq!((done.end, done.status), (End::Cancelled, 143));
        assert!(begin.elapsed() < Duration::from_secs(20));
        until("it is gone", || !running(&text)).await;
    })
    .await;
}

#[tokio::test]
async fn a_dropped_future_stops_its_script() {
    Shells::each(async |session| {
        let text = format!("sleep 33{}", std::process::id());
        {
            let none = Values::new();
            let run = sh_with(&session, &text, &none, Limits::default());
            tokio::pin!(run);
            tokio::select! {
                _ = &mut run => panic!("it sleeps"),
                () = until("it runs", || running(&text)) => {}
            }
        }
        until("it is gone", || !running(&text)).await;
    })
    .await;
}

#[tokio::test]
async fn many_scripts_run_side_by_side_and_none_is_mixed_up() {
    Shells::each(async |session| {
        let runs = (0..300).map(|number| {
            let session = session.clone();
            tokio::spawn(async move {
                sh(
                    &session,
                    &format!("echo {number}; echo e{number} >&2; exit {}", number % 7),
                )
                .await
            })
        });
        for (number, run) in runs.collect::<Vec<_>>().into_iter().enumerate() {
            let done = run.await.unwrap();
            let expected = (
                format!("{number}\n"),
                format!("e{number}\n"),
                i32::try_from(number % 7).unwrap(),
            );
            assert_eq!(
                (out(&done).to_owned(), err(&done).to_owned(), done.status),
                expected
            );
        }
    })
    .await;
}

#[tokio::test]
async fn calls_share_what_the_main_shell_holds_and_workers_do_not() {
    Shells::each(async |session| {
        session
            .load("greet() { echo \"hello $1\"; return 5; }\nkept=1")
            .await
            .unwrap();
        let done = session
            .call(b"greet you; exit 6", Limits::default())
            .await
            .unwrap();
        assert_eq!((out(&done), done.status), ("hello you\n", 6));
        let broken = session.load("x() {").await.unwrap_err();
        assert!(
            matches!(&broken, Lost::Refused { reason } if reason.contains("cannot read a prelude")),
            "{broken}"
        );
        let lock = tempfile::NamedTempFile::new().unwrap();
        let open = format!("exec 7>'{}'; flock -n 7", lock.path().display());
        assert!(session.exclusive(open.as_bytes()).await.unwrap().ok());
        let inherited = session
            .call(b"[ -e /proc/self/fd/7 ] && echo yes", Limits::default())
            .await
            .unwrap();
        assert_eq!(out(&inherited), "yes\n");
        assert_eq!(
            sh(
                &session,
                "[ -e /proc/self/fd/7 ] || echo no; echo ${kept-unset}"
            )
            .await
            .out,
            b"no\nunset\n"
        );
        let late = session
            .call(
                b"sleep 600",
                Limits {
                    grace: Duration::from_secs(1),
                    ..Limits::seconds(1)
                },
            )
            .await
            .unwrap();
        assert!(matches!(late.end, End::TimedOut { .. }), "{late:?}");
        let kill = b"sh -c 'kill -9 $PPID'; sleep 600";
        let killed = tokio::time::timeout(
            Duration::from_secs(20),
            session.call(kill, Limits::seconds(600)),
        );
        assert_eq!(killed.await.unwrap().unwrap_err(), Lost::Killed);
    })
    .await;
}

#[tokio::test]
async fn nothing_of_a_script_stands_in_an_argument_list() {
    Shells::each(async |session| {
        let mut values = Values::new();
        values.insert("secret", "canary-value").unwrap();
        for interpreter in ["sh", "bash"] {
            let text = ": canary-text; cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -c 'cana[r]y-' || : $secret";
            let script = Script::for_test(interpreter, text);
            let done = session.run(&script, &values, Limits::default()).await.unwrap();
            assert_eq!(out(&done), "0\n", "{}", err(&done));
        }
    })
    .await;
}

#[tokio::test]
async fn ssh_runs_scripts_on_every_shell() {
    for name in ["dash", "busybox", "bash"] {
        let Some(shell) = find(name) else { continue };
        let special = Special {
            shell: Some(shell),
            config: "MaxSessions 1".to_owned(),
            ..Special::default()
        };
        let Some(server) = or_skip("ssh", Sshd::special(&special)) else {
            return;
        };
        let session = bounded(Session::open_over(&server.transport(), &options()))
            .await
            .unwrap();
        assert_eq!(session.hello().shell, name);
        assert_eq!(session.hello().home, server.home().to_str().unwrap());
        assert_eq!(out(&sh(&session, "echo over ssh").await), "over ssh\n");
        bounded(session.close()).await;
        assert!(!Path::new(&session.hello().dir).exists());
    }
}

#[tokio::test]
async fn a_worker_that_is_just_starting_ends_with_its_session() {
    let Some(server) = or_skip("ssh", Sshd::start()) else {
        return;
    };
    // So slow that the end comes in between.
    slow(&server, "setsid", ": >\"$HOME/starting\"; sleep 0.5");
    slow(&server, "rm", "sleep 1");
    let session = bounded(Session::open_over(&server.transport(), &options()))
        .await
        .unwrap();
    let dir = session.hello().dir.clone();
    tokio::select! {
        _ = sh(&session, "sleep 35") => panic!("it sleeps"),
        () = until("a worker is started", || server.home().join("starting").exists()) => {}
    }
    bounded(session.close()).await;
    until("nothing runs", || !running(&dir)).await;
    until("the directory is gone", || !Path::new(&dir).exists()).await;
}

#[tokio::test]
async fn what_is_called_ends_where_nobody_is_left_to_be_told() {
    let Some(server) = or_skip("ssh", Sshd::start()) else {
        return;
    };
    slow(&server, "rm", "sleep 1");
    let session = bounded(Session::open_over(&server.transport(), &options()))
        .await
        .unwrap();
    let hello = session.hello().clone();
    // Ends after the shipper, and before the directory is gone.
    let text = format!("sleep 0.5{}", std::process::id());
    let cut = async {
        until("it runs", || running(&text)).await;
        // As if the shell had been killed before it wrote down what it had started.
        for file in fs::read_dir(&hello.dir).unwrap().flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            if name.starts_with('c') && name.ends_with(".p") {
                fs::remove_file(file.path()).unwrap();
            }
        }
        sshd::kill(hello.pid, "KILL");
    };
    let code = format!("{text}; :");
    let called = session.call(code.as_bytes(), Limits::seconds(20));
    let (lost, ()) = bounded(async { tokio::join!(called, cut) }).await;
    assert!(lost.is_err(), "{lost:?}");
    let home = format!("HOME={}", server.home().display());
    let of_it = |pid: &u32| {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ
            .split(|byte| *byte == 0)
            .any(|one| one == home.as_bytes())
    };
    until("nothing of it is left", || {
        sshd::processes().filter(of_it).count() == 0
    })
    .await;
}

/// Puts a program before the node's own that does something first.
fn slow(server: &Sshd, program: &str, first: &str) {
    let path = server.dir.path().join("bin").join(program);
    let text = format!("#!/bin/sh\n{first}\nPATH=${{PATH#*:}} exec {program} \"$@\"\n");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn a_noisy_login_is_framed_away() {
    let special = Special {
        login:
            "echo 'Welcome!'; printf 'no newline'; (sleep 0.3; echo late noise) & echo trouble >&2"
                .to_owned(),
        ..Special::default()
    };
    let Some(server) = or_skip("noisy", Sshd::special(&special)) else {
        return;
    };
    let session = bounded(Session::open_over(&server.transport(), &options()))
        .await
        .unwrap();
    let done = sh(&session, "sleep 0.5; echo clean").await;
    assert_eq!((out(&done), err(&done)), ("clean\n", ""));
    session.close().await;
}

#[tokio::test]
async fn a_killed_connection_is_noticed_and_its_scripts_end() {
    let Some(server) = or_skip("cut", Sshd::start()) else {
        return;
    };
    let session = bounded(Session::open_over(&server.transport(), &options()))
        .await
        .unwrap();
    let text = format!("sleep 34{}", std::process::id());
    let none = Values::new();
    let script = Script::for_test("sh", &text);
    let run = session.run(&script, &none, Limits::default());
    let cut = async {
        until("it runs", || running(&text)).await;
        for pid in sshd::tree(std::process::id()) {
            let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if line.starts_with("ssh\0") && line.contains(&server.address) {
                sshd::kill(pid, "KILL");
            }
        }
    };
    let (lost, ()) = bounded(async { tokio::join!(run, cut) }).await;
    assert!(matches!(lost, Err(Lost::Connection { .. })), "{lost:?}");
    assert!(matches!(
        bounded(session.lost()).await,
        Lost::Connection { .. }
    ));
    until("nothing runs", || !running(&text)).await;
    until("the directory is gone", || {
        !Path::new(&session.hello().dir).exists()
    })
    .await;
}

async fn refused(transport: Transport) -> OpenError {
    let mut options = options();
    options.timeout = Duration::from_secs(3);
    bounded(Session::open_over(&transport, &options))
        .await
        .unwrap_err()
}

#[tokio::test]
async fn each_cause_of_a_failed_connection_is_told() {
    let Some(server) = or_skip("causes", Sshd::start()) else {
        return;
    };
    let ssh = |change: &dyn Fn(&mut opsbook::nodes::Ssh)| {
        let mut ssh = server.ssh();
        change(&mut ssh);
        Transport::Ssh(ssh)
    };
    let stranger = sshd::keys().join("stranger");
    let error = refused(ssh(&|ssh| ssh.identity = Some(stranger.clone()))).await;
    assert_eq!(error.cause, Cause::Auth, "{}", error.said);
    let error = refused(ssh(&|ssh| ssh.port = Some(1))).await;
    assert_eq!(error.cause, Cause::Refused, "{}", error.said);
    let error = refused(ssh(&|ssh| ssh.host = "no-such-name.invalid".to_owned())).await;
    assert_eq!(error.cause, Cause::Name, "{}", error.said);
    let error = refused(ssh(&|ssh| ssh.options.push("Frobnicate=yes".to_owned()))).await;
    assert_eq!(error.cause, Cause::Config, "{}", error.said);
    let error = refused(ssh(&|ssh| {
        ssh.options[3] = "KexAlgorithms=diffie-hellman-group1-sha1".to_owned();
    }))
    .await;
    assert_eq!(error.cause, Cause::Algorithms, "{}", error.said);
    let jump = format!("nobody@{}:1", server.address);
    let error = refused(ssh(&|ssh| ssh.jump = Some(jump.clone()))).await;
    assert_eq!(
        error.cause,
        Cause::Jump(Box::new(Cause::Refused)),
        "{}",
        error.said
    );
    let error = refused(Transport::Exec(vec!["/no/such/program".to_owned()])).await;
    assert_eq!(error.to_string(), "`/no/such/program` could not be started");
    let error = refused(Transport::Exec(vec!["false".to_owned()])).await;
    assert_eq!(error.cause, Cause::NoShell);
    let error = refused(Transport::Exec(vec!["cat".to_owned()])).await;
    assert_eq!(error.cause, Cause::NoShell);
}

#[tokio::test]
async fn an_unknown_and_a_changed_host_key_are_told_with_fingerprints() {
    let Some(server) = or_skip("host keys", Sshd::start()) else {
        return;
    };
    let known = server.dir.path().join("known_hosts");
    let real = fingerprint(&sshd::keys().join("host.pub"));
    for strict in ["yes", "ask"] {
        fs::write(&known, "").unwrap();
        let mut ssh = server.ssh();
        ssh.options[2] = format!("StrictHostKeyChecking={strict}");
        let error = refused(Transport::Ssh(ssh)).await;
        let host = format!("[{}]:{}", server.address, server.port);
        assert_eq!(
            error.cause,
            Cause::HostKeyUnknown {
                host: host.clone(),
                fingerprint: Some(real.clone())
            },
            "{}",
            error.said
        );
        assert_eq!(
            fs::read_to_string(&known).unwrap(),
            "",
            "a key was accepted"
        );
    }
    let other = fs::read_to_string(sshd::keys().join("stranger.pub")).unwrap();
    let host = format!("[{}]:{}", server.address, server.port);
    fs::write(&known, format!("# first\n{host} {other}")).unwrap();
    let error = refused(Transport::Ssh(server.ssh())).await;
    let expected = Cause::HostKeyChanged {
        host,
        fingerprint: Some(real),
        recorded: Some(fingerprint(&sshd::keys().join("stranger.pub"))),
        record: Some(format!("{}:2", known.display())),
    };
    assert_eq!(error.cause, expected);
}

fn fingerprint(key: &Path) -> String {
    let out = std::process::Command::new("ssh-keygen")
        .arg("-lf")
        .arg(key)
        .output()
        .unwrap();
    String::from_utf8(out.stdout)
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn a_silent_and_a_dropping_server_are_told_apart() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to = |port| {
        Transport::Ssh(opsbook::nodes::Ssh {
            host: "127.0.0.1".to_owned(),
            port: Some(port),
            ..Default::default()
        })
    };
    let error = refused(to(silent.local_addr().unwrap().port())).await;
    assert_eq!(error.cause, Cause::TimedOut, "{}", error.said);
    let dropping = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = dropping.local_addr().unwrap().port();
    let count = std::thread::spawn(move || (0..5).filter(|_| dropping.accept().is_ok()).count());
    let error = refused(to(port)).await;
    assert_eq!(error.cause, Cause::Dropped, "{}", error.said);
    assert_eq!(count.join().unwrap(), 5);
}

#[tokio::test]
async fn an_account_without_a_shell_is_told() {
    let special = Special {
        login: "echo 'This account is currently not available.'; exit 1".to_owned(),
        ..Special::default()
    };
    let Some(server) = or_skip("nologin", Sshd::special(&special)) else {
        return;
    };
    let error = bounded(Session::open_over(&server.transport(), &options()))
        .await
        .unwrap_err();
    assert_eq!(
        (error.cause, error.said.as_str()),
        (Cause::NoShell, "This account is currently not available.")
    );
}

async fn delivered(session: &Session, dir: &Path, content: &[u8], name: &str) {
    let path = dir.join(name);
    session
        .deliver(
            path.to_str().unwrap(),
            Content::Bytes(content),
            0o640,
            never(),
        )
        .await
        .unwrap();
    assert!(fs::read(&path).unwrap() == content, "{name} differs");
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&path).unwrap());
    assert_eq!(mode & 0o7777, 0o640);
}

fn contents() -> [(&'static str, Vec<u8>); 5] {
    let all: Vec<u8> = (0..=255).collect();
    [
        ("empty", Vec::new()),
        ("text", b"it's $x `y` \\n\n\n".to_vec()),
        ("binary", all.repeat(3)),
        ("parts", all.repeat(900)),
        ("big", all.repeat(12_000)),
    ]
}

#[tokio::test]
async fn files_are_delivered_whole() {
    Shells::each(async |session| {
        let dir = tempfile::tempdir().unwrap();
        let copy = dir.path().join("copy");
        for (name, content) in contents() {
            delivered(&session, dir.path(), &content, name).await;
            let source = dir.path().join(name);
            let sent = session.deliver(
                copy.to_str().unwrap(),
                Content::File(&source),
                0o600,
                never(),
            );
            sent.await.unwrap();
            assert!(fs::read(&copy).unwrap() == content, "copy of {name}");
        }
        delivered(&session, dir.path(), b"again", "text").await;
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            6,
            "a temporary file is left"
        );
    })
    .await;
}

#[tokio::test]
async fn files_are_delivered_over_ssh() {
    for config in ["", "MaxSessions 1"] {
        let special = Special {
            config: config.to_owned(),
            ..Special::default()
        };
        let Some(server) = or_skip("deliver", Sshd::special(&special)) else {
            return;
        };
        let session = bounded(Session::open_over(&server.transport(), &options()))
            .await
            .unwrap();
        let dir = server.home();
        for (name, content) in contents() {
            bounded(delivered(&session, &dir, &content, name)).await;
            let source = dir.join(name);
            let sent = session.deliver("copy", Content::File(&source), 0o600, never());
            bounded(sent).await.unwrap();
            assert!(fs::read(dir.join("copy")).unwrap() == content, "{name}");
        }
        assert_eq!(out(&sh(&session, "echo alive").await), "alive\n");
        session.close().await;
    }
}

#[tokio::test]
async fn a_large_file_is_proven_by_whatever_the_node_has() {
    let sum = "sha256:".to_owned() + &"a".repeat(64);
    for (openssl, lies) in [
        ("exit 127", false),
        (&*format!("echo {sum} '*stdin'"), true),
    ] {
        let Some(server) = or_skip("proof", Sshd::start()) else {
            return;
        };
        let program = server.dir.path().join("bin/openssl");
        fs::write(&program, format!("#!/bin/sh\n{openssl}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let session = bounded(Session::open_over(&server.transport(), &options()))
            .await
            .unwrap();
        let source = server.dir.path().join("source");
        fs::write(&source, vec![7; 5_000_000]).unwrap();
        let sent = bounded(session.deliver("large", Content::File(&source), 0o640, never())).await;
        assert_eq!(
            matches!(sent, Err(DeliverError::Checksum { .. })),
            lies,
            "{sent:?}"
        );
        assert_eq!(sent.is_ok(), !lies);
        let left = fs::read_dir(server.home()).unwrap().count();
        assert_eq!(left, usize::from(!lies), "something is left");
        session.close().await;
    }
}

#[tokio::test]
async fn a_folder_arrives_whole_and_replaces_what_was_there() {
    Shells::each(async |session| {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("folder");
        let archive = dir.path().join("archive");
        for (name, content) in contents() {
            let mut tar = tar::Builder::new(fs::File::create(&archive).unwrap());
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o750);
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, format!("deep/{name}"), &content[..])
                .unwrap();
            tar.finish().unwrap();
            let sent = session.deliver_folder(place.to_str().unwrap(), &archive, never());
            sent.await.unwrap();
            let file = place.join("deep").join(name);
            assert!(fs::read(&file).unwrap() == content, "{name} differs");
            assert_eq!(fs::read_dir(place.join("deep")).unwrap().count(), 1);
        }
        fs::write(&archive, [7; 300_000]).unwrap();
        let sent = session.deliver_folder(place.to_str().unwrap(), &archive, never());
        let error = sent.await.unwrap_err();
        assert!(matches!(error, DeliverError::Node { .. }), "{error}");
        assert!(place.join("deep/big").exists(), "the old one is gone");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_delivered_is_told_and_leaves_nothing() {
    Shells::each(async |session| {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        fs::create_dir(dir.path().join("dir")).unwrap();
        for (name, expected) in [("dir", "is a directory"), ("none/file", "")] {
            for content in [&b"x"[..], &[b'x'; 400_000]] {
                let error = session
                    .deliver(&path(name), Content::Bytes(content), 0o600, never())
                    .await
                    .unwrap_err();
                assert!(
                    matches!(&error, DeliverError::Node { said, .. } if said.contains(expected)),
                    "{error}"
                );
            }
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let missing = dir.path().join("missing");
        let error = session
            .deliver(&path("a"), Content::File(&missing), 0o600, never())
            .await
            .unwrap_err();
        assert!(matches!(error, DeliverError::Read { .. }), "{error}");
    })
    .await;
}

/// A node whose `sudo` behaves as told, and writes down how often it was started.
fn node_with_sudo(behaviour: &str) -> Option<Sshd> {
    let sudo = format!(
        "#!/bin/sh\necho x >>\"$HOME/started\"\nprompt=$3; shift 7\n\
         ask() {{ printf %s \"$prompt\" >&2; IFS= read -r given; }}\n{behaviour}\n"
    );
    let server = or_skip("sudo", Sshd::start())?;
    let path = server.dir.path().join("bin/sudo");
    fs::write(&path, sudo).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    Some(server)
}

#[tokio::test]
async fn sudo_is_told_apart_and_never_asked_again() {
    let password = Secret::from("right".to_owned());
    let asks = "ask; [ \"$given\" = right ] || { echo 'Sorry, try again.' >&2; ask; echo 'sudo: 1 incorrect password attempt' >&2; exit 1; }; exec \"$@\"";
    let denied = "echo 'ops is not in the sudoers file.' >&2; exit 1";
    let tty = "echo 'sudo: sorry, you must have a tty to run sudo' >&2; exit 1";
    let wrong = Secret::from("wrong".to_owned());
    let cases: [(&str, Option<&Secret>, Option<SudoError>); 7] = [
        (asks, Some(&password), None),
        (asks, Some(&wrong), Some(SudoError::WrongPassword)),
        (asks, None, Some(SudoError::PasswordNeeded)),
        ("echo lecture >&2; exec \"$@\"", Some(&password), None),
        ("exec \"$@\"", None, None),
        (
            denied,
            Some(&password),
            Some(SudoError::NotAllowed(
                "ops is not in the sudoers file.".to_owned(),
            )),
        ),
        (
            tty,
            Some(&password),
            Some(SudoError::NeedsTty(
                "sudo: sorry, you must have a tty to run sudo".to_owned(),
            )),
        ),
    ];
    for (behaviour, given, expected) in cases {
        let Some(server) = node_with_sudo(behaviour) else {
            return;
        };
        let session = bounded(Session::open_over(&server.transport(), &options()))
            .await
            .unwrap();
        for _ in 0..2 {
            let root = bounded(session.sudo("root", given)).await;
            assert_eq!(root.as_ref().err(), expected.as_ref(), "{behaviour}");
            if let Ok(root) = root {
                assert_eq!(out(&sh(&root, "echo through").await), "through\n");
                let place = server.home().join("delivered");
                root.deliver(
                    place.to_str().unwrap(),
                    Content::Bytes(&[7; 300_000]),
                    0o600,
                    never(),
                )
                .await
                .unwrap();
                assert_eq!(fs::read(place).unwrap(), [7; 300_000]);
            }
        }
        let started = fs::read_to_string(server.home().join("started")).unwrap();
        assert_eq!(started, "x\n", "sudo was started again");
        bounded(session.close()).await;
    }
}

#[tokio::test]
async fn a_password_that_nobody_asks_for_goes_nowhere() {
    let Some(server) = node_with_sudo("exec \"$@\"") else {
        return;
    };
    let session = bounded(Session::open_over(&server.transport(), &options()))
        .await
        .unwrap();
    let password = Secret::from("touch canary-file".to_owned());
    let root = bounded(session.sudo("root", Some(&password)))
        .await
        .unwrap();
    assert_eq!(out(&sh(&root, "ls").await), "started\n");
    session.close().await;
}

#[tokio::test]
async fn a_ping_tells_who_answers() {
    let Some(server) = or_skip("ping", Sshd::start()) else {
        return;
    };
    let pong = bounded(opsbook::session::ping(&server.transport(), &options()))
        .await
        .unwrap();
    assert_eq!(pong.hello.user, sshd::user());
    assert!(pong.round_trip < Duration::from_secs(5) && pong.hello.connect > Duration::ZERO);
    assert!(!Path::new(&pong.hello.dir).exists());
}

#[tokio::test]
async fn a_killed_controller_leaves_only_what_the_next_one_removes() {
    let base = tempfile::tempdir().unwrap();
    let mut ended = std::process::Command::new("true").spawn().unwrap();
    ended.wait().unwrap();
    let dir = base.path().join(format!(".opsbook-dead.{}", ended.id()));
    fs::create_dir(&dir).unwrap();
    let argv = [
        "env".to_owned(),
        format!("XDG_RUNTIME_DIR={}", base.path().display()),
        "sh".to_owned(),
    ];
    let session = Session::open_over(&Transport::Exec(argv.to_vec()), &options())
        .await
        .unwrap();
    until("it is swept", || !dir.exists()).await;
    assert!(Path::new(&session.hello().dir).starts_with(base.path()));
    session.close().await;
}

const USERS: &str = "
for user in ob-asks ob-free ob-none ob-tty; do
  useradd -M -s /bin/sh $user; echo \"$user:Pass-$user-1\" | chpasswd
done
mkdir -p /etc/sudoers.d
cat >/etc/sudoers.d/ob <<'END'
Defaults lecture=always
ob-asks ALL=(ALL) ALL
ob-free ALL=(ALL) NOPASSWD: ALL
ob-tty ALL=(ALL) ALL
Defaults:ob-tty requiretty
END
chmod 0440 /etc/sudoers.d/ob";

#[tokio::test]
async fn the_sudo_of_this_machine_is_told_apart() {
    let special = Special {
        etc: Some(USERS.to_owned()),
        ..Special::default()
    };
    let Some(server) = or_skip("real sudo", Sshd::special(&special)) else {
        return;
    };
    if find("sudo").is_none() {
        return or_skip(
            "real sudo",
            Err(sshd::Skip("no sudo here: install sudo".to_owned())),
        )
        .unwrap_or(());
    }
    let secret = |text: &str| Some(Secret::from(text.to_owned()));
    type Judge = fn(&SudoError) -> bool;
    let cases: [(&str, Option<Secret>, Option<Judge>); 6] = [
        ("ob-asks", secret("Pass-ob-asks-1"), None),
        (
            "ob-asks",
            secret("wrong"),
            Some(|error| *error == SudoError::WrongPassword),
        ),
        (
            "ob-asks",
            None,
            Some(|error| *error == SudoError::PasswordNeeded),
        ),
        ("ob-free", secret("rm -rf /nowhere"), None),
        (
            "ob-none",
            secret("Pass-ob-none-1"),
            Some(|error| matches!(error, SudoError::NotAllowed(_))),
        ),
        (
            "ob-tty",
            secret("Pass-ob-tty-1"),
            Some(|error| matches!(error, SudoError::NeedsTty(_))),
        ),
    ];
    for (user, password, refused) in cases {
        let mut ssh = server.ssh();
        ssh.user = Some(user.to_owned());
        let session = bounded(Session::open_over(&Transport::Ssh(ssh), &options()))
            .await
            .unwrap();
        assert_eq!(session.hello().user, user);
        let root = bounded(session.sudo("root", password.as_ref())).await;
        match (root, refused) {
            (Ok(root), None) => {
                assert_eq!((root.hello().uid, root.hello().user.as_str()), (0, "root"));
                let watch = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -c 'Pas[s]-ob' || :";
                assert_eq!(out(&sh(&root, watch).await), "0\n");
                let text = format!("sleep 35{}", std::process::id());
                let limits = Limits {
                    grace: Duration::from_secs(1),
                    ..Limits::seconds(1)
                };
                let done = sh_with(&root, &text, &Values::new(), limits).await;
                assert!(matches!(done.end, End::TimedOut { .. }), "{done:?}");
                until("it is gone", || !running(&text)).await;
            }
            (Err(error), Some(expected)) => assert!(expected(&error), "{user}: {error:?}"),
            (other, _) => panic!("{user}: {other:?}"),
        }
        bounded(session.close()).await;
    }
}

/// Not a test of its own: what the next one kills.
#[tokio::test]
async fn stays_until_it_is_killed() {
    let Ok(target) = std::env::var("OPSBOOK_TEST_STAY") else {
        return;
    };
    let parts: Vec<_> = target.split('|').map(str::to_owned).collect();
    let ssh = opsbook::nodes::Ssh {
        host: parts[0].clone(),
        user: Some(sshd::user()),
        port: parts[1].parse().ok(),
        identity: Some(sshd::keys().join("login")),
        options: vec![format!("UserKnownHostsFile={}", parts[2])],
        jump: None,
    };
    let session = Session::open_over(&Transport::Ssh(ssh), &options())
        .await
        .unwrap();
    fs::write(&parts[3], &session.hello().dir).unwrap();
    sh(&session, &parts[4]).await;
}

#[tokio::test]
async fn a_killed_controller_leaves_nothing_running() {
    let Some(server) = or_skip("killed controller", Sshd::start()) else {
        return;
    };
    let text = format!("sleep 36{}", std::process::id());
    let told = server.dir.path().join("told");
    let known = server.dir.path().join("known_hosts");
    let target = [
        server.address.clone(),
        server.port.to_string(),
        known.display().to_string(),
        told.display().to_string(),
        text.clone(),
    ];
    let runtime = tempfile::tempdir().unwrap();
    let mut controller = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "session::stays_until_it_is_killed"])
        .env("OPSBOOK_TEST_STAY", target.join("|"))
        .env("XDG_RUNTIME_DIR", runtime.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    until("it runs", || running(&text)).await;
    controller.kill().unwrap();
    controller.wait().unwrap();
    until("nothing runs", || !running(&text)).await;
    let dir = fs::read_to_string(&told).unwrap();
    until("the node is clean", || !Path::new(&dir).exists()).await;
    let place = format!("{}/opsbook/", runtime.path().display());
    until("no ssh is left", || !running(&place)).await;
    assert!(
        fs::read_dir(&place).unwrap().count() <= 2,
        "more than a dead directory and its lock"
    );
}
