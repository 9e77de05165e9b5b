//! Successful connections, and each reason for a failed one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use opsbook::session::{Cause, Exec, OpenError, Session, Target, Utility};

use super::{bounded, err, find, out, sh};
use crate::sshd::{self, Special, Sshd, options, or_skip};
use crate::tier;

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
        let session = bounded(Session::open(&server.transport(), &options()))
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
    let session = bounded(Session::open(&server.transport(), &options()))
        .await
        .unwrap();
    let done = sh(&session, "sleep 0.5; echo clean").await;
    assert_eq!((out(&done), err(&done)), ("clean\n", ""));
    session.close().await;
}

async fn refused(transport: Target) -> OpenError {
    let mut options = options();
    options.timeout = Duration::from_secs(3);
    bounded(Session::open(&transport, &options))
        .await
        .unwrap_err()
}

/// What a login says, however late its server lets it begin: on a busy machine the server is late,
/// too, and it is a node.
async fn described(target: &Target) -> OpenError {
    let mut options = options();
    for seconds in [3, 10, 20] {
        options.timeout = Duration::from_secs(seconds);
        let error = bounded(Session::open(target, &options)).await.unwrap_err();
        if error.cause != Cause::TimedOut {
            return error;
        }
    }
    panic!("its server did not answer at all");
}

#[tokio::test]
async fn each_cause_of_a_failed_connection_is_told() {
    let Some(server) = or_skip("causes", Sshd::start()) else {
        return;
    };
    let ssh = |change: &dyn Fn(&mut opsbook::session::Ssh)| {
        let mut ssh = server.ssh();
        change(&mut ssh);
        Target::Ssh(ssh)
    };
    let stranger = sshd::keys().join("stranger");
    let error = refused(ssh(&|ssh| ssh.identity = Some(stranger.clone()))).await;
    assert_eq!(error.cause, Cause::Auth, "{}", error.said.block());
    let error = refused(ssh(&|ssh| ssh.port = Some(1))).await;
    assert_eq!(error.cause, Cause::Refused, "{}", error.said.block());
    let error = refused(ssh(&|ssh| ssh.host = "no-such-name.invalid".to_owned())).await;
    assert_eq!(error.cause, Cause::Name, "{}", error.said.block());
    let error = refused(ssh(&|ssh| ssh.options.push("Frobnicate=yes".to_owned()))).await;
    assert_eq!(error.cause, Cause::Config, "{}", error.said.block());
    let error = refused(ssh(&|ssh| {
        ssh.options[3] = "KexAlgorithms=diffie-hellman-group1-sha1".to_owned();
    }))
    .await;
    assert_eq!(error.cause, Cause::Algorithms, "{}", error.said.block());
    let jump = format!("nobody@{}:1", server.address);
    let error = refused(ssh(&|ssh| ssh.jump = Some(jump.clone()))).await;
    assert_eq!(
        error.cause,
        Cause::Jump(Box::new(Cause::Refused)),
        "{}",
        error.said.block()
    );
    let error = refused(Target::Exec(Exec::of(vec!["/no/such/program".to_owned()]))).await;
    assert_eq!(error.to_string(), "`/no/such/program` could not be started");
    let error = refused(Target::Exec(Exec::of(vec!["false".to_owned()]))).await;
    assert_eq!(error.cause, Cause::NoShell);
    let error = refused(Target::Exec(Exec::of(vec!["cat".to_owned()]))).await;
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
        let error = refused(Target::Ssh(ssh)).await;
        let host = format!("[{}]:{}", server.address, server.port);
        assert_eq!(
            error.cause,
            Cause::HostKeyUnknown {
                host: host.as_str().into(),
                fingerprint: Some(real.as_str().into())
            },
            "{}",
            error.said.block()
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
    let error = refused(Target::Ssh(server.ssh())).await;
    let expected = Cause::HostKeyChanged {
        host: host.into(),
        fingerprint: Some(real.into()),
        recorded: Some(fingerprint(&sshd::keys().join("stranger.pub")).into()),
        record: Some(format!("{}:2", known.display()).into()),
    };
    assert_eq!(error.cause, expected);
}

/// Accepting a revoked key is no solution, and is not suggested.
#[tokio::test]
async fn a_revoked_host_key_is_not_called_unknown() {
    let Some(server) = or_skip("host keys", Sshd::start()) else {
        return;
    };
    let known = server.dir.path().join("known_hosts");
    let key = fs::read_to_string(sshd::keys().join("host.pub")).unwrap();
    let host = format!("[{}]:{}", server.address, server.port);
    fs::write(&known, format!("{host} {key}@revoked {host} {key}")).unwrap();
    let error = refused(Target::Ssh(server.ssh())).await;
    let host = host.as_str().into();
    assert_eq!(error.cause, Cause::HostKeyRevoked { host });
    assert!(!error.to_string().contains("accept"), "{error}");
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
        Target::Ssh(opsbook::session::Ssh {
            host: "127.0.0.1".to_owned(),
            port: Some(port),
            ..Default::default()
        })
    };
    let error = refused(to(silent.local_addr().unwrap().port())).await;
    assert_eq!(error.cause, Cause::TimedOut, "{}", error.said.block());
    let dropping = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = dropping.local_addr().unwrap().port();
    let count = std::thread::spawn(move || (0..5).filter(|_| dropping.accept().is_ok()).count());
    let error = refused(to(port)).await;
    assert_eq!(error.cause, Cause::Dropped, "{}", error.said.block());
    assert_eq!(count.join().unwrap(), 5);
}

#[tokio::test]
async fn f19_a_login_that_gives_no_shell_is_described() {
    let few = |what| format!("no POSIX shell answered: the login may have {what}");
    for (login, sentence) in [
        (
            "exit 0",
            "no POSIX shell answered; it ended with exit status 0 and printed nothing: a start file such as `.bashrc` may say `exit`",
        ),
        (
            "exit 3",
            "no POSIX shell answered; it ended with exit status 3 and printed nothing",
        ),
        (
            "PATH=/nonexistent",
            "no POSIX shell answered; it ended with exit status 127 when asked to `exec sh`; name a `user` whose login can do that: ",
        ),
        (
            "echo Hello; exec cat",
            "no POSIX shell answered after 6 s; it repeats what it gets, as `cat`, menus and terminals do: ",
        ),
        (
            "printf 'Which project? '; read -r x; read -r y; sleep 60",
            "no POSIX shell answered after 6 s; the login is still busy: a start file such as `.bashrc` may ask a question: Which project?",
        ),
        (
            "while :; do echo more; done",
            "no POSIX shell answered; it printed more than 64 KiB without the expected answer, as menus do: more",
        ),
        (
            "echo Welcome; while read -r x; do echo \"$x: unknown choice $(seq 4000)\"; done",
            "no POSIX shell answered; it printed more than 64 KiB without the expected answer, as menus do: Welcome",
        ),
        (
            "echo 'rbash: line 1: exec: restricted' >&2; exit 1",
            "no POSIX shell answered; it ended with exit status 1 when asked to `exec sh`; name a `user` whose login can do that: rbash: line 1: exec: restricted",
        ),
        (
            "ulimit -n 20",
            &few("20 open files (`ulimit -n`), and a session needs 32"),
        ),
        (
            "ulimit -f 100",
            &few("100 blocks in a file (`ulimit -f`), and a session needs 256"),
        ),
    ] {
        let special = Special {
            login: login.to_owned(),
            ..Special::default()
        };
        let Some(server) = or_skip("login", Sshd::special(&special)) else {
            return;
        };
        let error = described(&server.transport()).await;
        assert_eq!(error.cause, Cause::NoShell, "{login}");
        let said = error.sentence();
        // How long it waited depends on how busy this machine is.
        let plain = |text: &str| match text.split_once(" after ") {
            Some((before, rest)) => {
                let (_, rest) = rest.split_once(" s;").unwrap();
                format!("{before}{rest}")
            }
            None => text.to_owned(),
        };
        assert!(
            plain(&said).starts_with(&plain(sentence)),
            "{login}: {said}"
        );
    }
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
    let error = bounded(Session::open(&server.transport(), &options()))
        .await
        .unwrap_err();
    assert_eq!(
        (error.cause, error.said.exact()),
        (Cause::NoShell, "This account is currently not available.")
    );
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

/// A busybox names applets that stand nowhere, and starts them by `/proc`, which is not mounted: a
/// rescue system.
#[tokio::test]
async fn a_busybox_without_proc_has_only_what_stands_somewhere() {
    let here = tier::t2().and_then(|()| tier::program("/bin/busybox"));
    if or_skip("a busybox without /proc", here).is_none() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    for folder in ["bin", "dev", "tmp"] {
        fs::create_dir(root.path().join(folder)).unwrap();
    }
    fs::set_permissions(root.path().join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::copy("/bin/busybox", root.path().join("bin/busybox")).unwrap();
    for applet in [
        "sh", "cat", "mkdir", "mkfifo", "rm", "id", "kill", "ls", "sleep",
    ] {
        std::os::unix::fs::symlink("busybox", root.path().join("bin").join(applet)).unwrap();
    }
    let null = root.path().join("dev/null");
    let made = Command::new("mknod")
        .args(["-m", "666"])
        .arg(null)
        .args(["c", "1", "3"])
        .status();
    assert!(made.unwrap().success());
    let argv = ["chroot", root.path().to_str().unwrap(), "/bin/sh"];
    let argv = argv.map(str::to_owned).to_vec();
    let session = Session::open(&Target::Exec(Exec::of(argv)), &options())
        .await
        .unwrap();
    assert!(!session.hello().has(Utility::Setsid));
    let done = bounded(sh(&session, "echo here")).await;
    assert_eq!(out(&done), "here\n");
    bounded(session.close()).await;
}
