//! Scripts in every shell of this machine: they arrive unchanged and do not affect each other.

use std::time::Duration;

use opsbook::session::{Call, End, Limits, Lost, Script, Session, Values};

use super::{Shells, bounded, err, out, sh, sh_with};
use crate::sshd::options;

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
            // The status of a failed redirection depends on the shell.
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
async fn bash_scripts_fail_in_a_pipe() {
    let session = Session::local(&options()).await.unwrap();
    let script = Script::new("bash", "a=(1 2); false | echo ${#a[@]}; echo no");
    let done = bounded(session.run(&script, &Values::new(), Limits::default()))
        .await
        .unwrap();
    assert_eq!((done.status, out(&done)), (1, "2\n"));
    session.close().await;
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
            .call(&Call::new("greet you; exit 6"), Limits::default())
            .await
            .unwrap();
        assert_eq!((out(&done), done.status), ("hello you\n", 6));
        let broken = session.load("x() {").await.unwrap_err();
        assert!(
            matches!(&broken, Lost::Refused { reason } if reason.exact().contains("cannot read a prelude")),
            "{broken}"
        );
        let lock = tempfile::NamedTempFile::new().unwrap();
        let open = Call::new("exec 7>").word(lock.path().to_str().unwrap());
        let open = open.code("; flock -n 7");
        assert!(session.exclusive(&open).await.unwrap().ok());
        let inherited = session
            .call(
                &Call::new("[ -e /proc/self/fd/7 ] && echo yes"),
                Limits::default(),
            )
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
                &Call::new("sleep 600"),
                Limits {
                    grace: Duration::from_secs(1),
                    ..Limits::seconds(1)
                },
            )
            .await
            .unwrap();
        assert!(matches!(late.end, End::TimedOut { .. }), "{late:?}");
        let kill = Call::new("sh -c 'kill -9 $PPID'; sleep 600");
        let killed = tokio::time::timeout(
            Duration::from_secs(20),
            session.call(&kill, Limits::seconds(600)),
        );
        assert_eq!(killed.await.unwrap().unwrap_err(), Lost::Killed);
    })
    .await;
}

#[tokio::test]
async fn nothing_of_a_script_stands_in_an_argument_list() {
    Shells::each(async |session| {
        let mut values = Values::new();
        // Processes of other tests do not have it.
        let own = std::process::id();
        values.insert("secret", format!("canary-{own}-value")).unwrap();
        for interpreter in ["sh", "bash"] {
            let text = format!(": canary-{own}-text; cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -c 'cana[r]y-{own}-' || : $secret");
            let script = Script::new(interpreter, text.as_str());
            let done = session.run(&script, &values, Limits::default()).await.unwrap();
            assert_eq!(out(&done), "0\n", "{}", err(&done));
        }
    })
    .await;
}
