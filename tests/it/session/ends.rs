//! However a script or a session ends, nothing of it remains.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use opsbook::session::{Call, Cancel, End, Exec, Limits, Lost, Script, Session, Target, Values};

use super::{Shells, bounded, has, out, running, sh, sh_with, until};
use crate::sshd::{self, Sshd, options, or_skip};

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
async fn a_worker_that_is_just_starting_ends_with_its_session() {
    let Some(server) = or_skip("ssh", Sshd::start()) else {
        return;
    };
    // So slow that the end comes in between.
    slow(&server, "setsid", ": >\"$HOME/starting\"; sleep 0.5");
    slow(&server, "rm", "sleep 1");
    let session = bounded(Session::open(&server.transport(), &options()))
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
    let session = bounded(Session::open(&server.transport(), &options()))
        .await
        .unwrap();
    let hello = session.hello().clone();
    // Ends after the shipper, and before the directory is removed.
    let text = format!("sleep 0.5{}", std::process::id());
    let cut = async {
        until("it runs", || running(&text)).await;
        // As if the shell had been killed before it recorded its children.
        for file in fs::read_dir(&hello.dir).unwrap().flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            if name.starts_with('c') && name.ends_with(".p") {
                fs::remove_file(file.path()).unwrap();
            }
        }
        sshd::kill(hello.pid, "KILL");
    };
    let call = Call::new("eval").word(format!("{text}; :"));
    let called = session.call(&call, Limits::seconds(20));
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

/// Idle workers wait for jobs, and a spare one for the watchdog's request: each ends with the
/// process that could send one, even if nobody is left to end it.
#[tokio::test]
async fn what_waits_for_jobs_ends_where_nobody_can_give_it_one() {
    let Some(server) = or_skip("ssh", Sshd::start()) else {
        return;
    };
    let session = bounded(Session::open(&server.transport(), &options()))
        .await
        .unwrap();
    let hello = session.hello().clone();
    let marker = format!("{} ", hello.dir);
    // Long enough for the watchdog and its spare worker to start.
    sh(&session, "sleep 2").await;
    assert!(running(&marker));
    let (workers, rest): (Vec<u32>, Vec<u32>) = sshd::tree(hello.pid)
        .into_iter()
        .partition(|pid| has(*pid, &marker));
    assert!(
        workers.is_empty(),
        "they are nobody's children: {workers:?}"
    );
    fs::remove_dir_all(&hello.dir).unwrap();
    for pid in rest.into_iter().rev() {
        sshd::kill(pid, "KILL");
    }
    until("nothing waits any more", || !running(&marker)).await;
}

/// Puts a program before the node's own that first runs `first`.
fn slow(server: &Sshd, program: &str, first: &str) {
    let path = server.dir.path().join("bin").join(program);
    let text = format!("#!/bin/sh\n{first}\nPATH=${{PATH#*:}} exec {program} \"$@\"\n");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn a_killed_connection_is_noticed_and_its_scripts_end() {
    let Some(server) = or_skip("cut", Sshd::start()) else {
        return;
    };
    let session = bounded(Session::open(&server.transport(), &options()))
        .await
        .unwrap();
    let text = format!("sleep 34{}", std::process::id());
    let none = Values::new();
    let script = Script::new("sh", text.as_str());
    let run = session.run(&script, &none, Limits::default());
    let cut = async {
        until("it runs", || running(&text)).await;
        // Of opsbook's own ssh there is no process here: what serves it ends instead.
        for pid in server.processes().into_iter().skip(1) {
            if sshd::in_process() {
                sshd::kill(pid, "KILL");
            }
        }
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

#[tokio::test]
async fn a_killed_controller_leaves_only_what_the_next_one_removes() {
    let base = tempfile::tempdir().unwrap();
    let argv = [
        "env".to_owned(),
        format!("XDG_RUNTIME_DIR={}", base.path().display()),
        "sh".to_owned(),
    ];
    let open = async || {
        let transport = Target::Exec(Exec::of(argv.to_vec()));
        Session::open(&transport, &options()).await.unwrap()
    };
    let killed = open().await;
    let dir = PathBuf::from(&killed.hello().dir);
    assert!(dir.starts_with(base.path()));
    let noted = |name: &str| -> Option<u32> {
        let text = fs::read_to_string(dir.join(name)).ok()?;
        text.split_whitespace().next()?.parse().ok()
    };
    let names = ["t.p", "s.p", "pid"];
    // A process records itself a moment after the session's greeting.
    until("all have said who they are", || {
        names.iter().all(|name| noted(name).is_some())
    })
    .await;
    // Kill all at once, so that nobody is left to clean up.
    let all: [u32; 3] = names.map(|name| noted(name).unwrap());
    for pid in all {
        sshd::kill(pid, "STOP");
    }
    for pid in all {
        sshd::kill(pid, "KILL");
    }
    until("they are gone", || {
        all.iter()
            .all(|pid| !Path::new(&format!("/proc/{pid}/exe")).exists())
    })
    .await;
    let next = open().await;
    until("it is swept", || !dir.exists()).await;
    next.close().await;
}

/// The process that the next test kills; not a test of its own.
#[tokio::test]
async fn stays_until_it_is_killed() {
    let Ok(target) = std::env::var("OPSBOOK_TEST_STAY") else {
        return;
    };
    let parts: Vec<_> = target.split('|').map(str::to_owned).collect();
    let ssh = opsbook::session::Ssh {
        host: parts[0].clone(),
        user: Some(sshd::user()),
        port: parts[1].parse().ok(),
        identity: Some(sshd::keys().join("login")),
        options: vec![format!("UserKnownHostsFile={}", parts[2])],
        jump: None,
        keep: None,
        in_process: sshd::in_process(),
    };
    let session = Session::open(&Target::Ssh(ssh), &options()).await.unwrap();
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
        .args(["--exact", "session::ends::stays_until_it_is_killed"])
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
    let left = fs::read_dir(&place).map_or(0, Iterator::count);
    assert!(left <= 2, "more than a dead directory and its lock");
}
