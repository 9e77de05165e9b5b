//! Different behaviours of `sudo`, and its password.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use opsbook::session::{Content, End, Limits, Secret, Session, SudoError, Target, Values};

use super::{bounded, find, never, out, running, sh, sh_with, until};
use crate::sshd::{self, Special, Sshd, options, or_skip};

/// A node whose `sudo` behaves as given, and records how often it was started.
fn node_with_sudo(behaviour: &str) -> Option<Sshd> {
    let sudo = format!(
        "#!/bin/sh\n[ \"$2\" != -l ] || {{ echo 'a password is required' >&2; exit 1; }}\necho x >>\"$HOME/started\"\nprompt=$3; shift 7\n\
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
        (
            asks,
            Some(&wrong),
            Some(SudoError::WrongPassword { of: "".into() }),
        ),
        (
            asks,
            None,
            Some(SudoError::PasswordNeeded { of: "".into() }),
        ),
        ("echo lecture >&2; exec \"$@\"", Some(&password), None),
        ("exec \"$@\"", None, None),
        (
            denied,
            Some(&password),
            Some(SudoError::NotAllowed(
                "ops is not in the sudoers file.".into(),
            )),
        ),
        (
            tty,
            Some(&password),
            Some(SudoError::NeedsTty(
                "sudo: sorry, you must have a tty to run sudo".into(),
            )),
        ),
    ];
    for (behaviour, given, expected) in cases {
        let Some(server) = node_with_sudo(behaviour) else {
            return;
        };
        let session = bounded(Session::open(&server.transport(), &options()))
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
    let session = bounded(Session::open(&server.transport(), &options()))
        .await
        .unwrap();
    let password = Secret::from("touch canary-file".to_owned());
    let root = bounded(session.sudo("root", Some(&password)))
        .await
        .unwrap();
    assert_eq!(out(&sh(&root, "ls").await), "started\n");
    session.close().await;
}

const USERS: &str = "
for user in ob-asks ob-free ob-none ob-tty ob-root ob-noexec; do
  useradd -M -s /bin/sh $user; echo \"$user:Pass-$user-1\" | chpasswd
done
mkdir -p /etc/sudoers.d
cat >/etc/sudoers.d/ob <<'END'
Defaults lecture=always
ob-asks ALL=(ALL) ALL
ob-free ALL=(ALL) NOPASSWD: ALL
ob-tty ALL=(ALL) ALL
Defaults:ob-tty requiretty
ob-root ALL=(ALL) ALL
Defaults:ob-root rootpw
ob-noexec ALL=(ALL) NOEXEC: ALL
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
    let cases: [(&str, Option<Secret>, Option<Judge>); 8] = [
        ("ob-asks", secret("Pass-ob-asks-1"), None),
        (
            "ob-asks",
            secret("wrong"),
            Some(|error| matches!(error, SudoError::WrongPassword { of } if *of == "ob-asks")),
        ),
        (
            "ob-asks",
            None,
            Some(|error| matches!(error, SudoError::PasswordNeeded { of } if *of == "ob-asks")),
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
        (
            "ob-root",
            secret("Pass-ob-root-1"),
            Some(|error| {
                error.to_string() == "sudo refused the password: it is not that of `root`"
            }),
        ),
        (
            "ob-noexec",
            secret("Pass-ob-noexec-1"),
            Some(|error| error.to_string().contains("(as with `noexec` of `sudo`)")),
        ),
    ];
    for (user, password, refused) in cases {
        let mut ssh = server.ssh();
        ssh.user = Some(user.to_owned());
        let session = bounded(Session::open(&Target::Ssh(ssh), &options()))
            .await
            .unwrap();
        assert_eq!(session.hello().user, user);
        let root = bounded(session.sudo("root", password.as_ref())).await;
        match (root, refused) {
            (Ok(root), None) => {
                assert_eq!((root.hello().uid, root.hello().user.exact()), (0, "root"));
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
