//! ! The script that puts a text into a file, in every installed shell.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    reason = "a test ends where something is wrong"
)]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

const SCRIPT: &str = include_str!("../src/place.sh");

/// The inputs of a placement: how, mode, owner, path, text.
type Placing<'a> = (&'a str, &'a str, &'a str, &'a Path, &'a str);

fn place(shell: &[&str], (how, mode, owner, to, text): Placing<'_>) -> (bool, String) {
    let word = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    let values = format!(
        "ob_file_how={how} ob_file_mode={mode} ob_file_owner={owner} ob_file_to={} ob_file_text={}\n",
        word(to.to_str().unwrap()),
        word(text)
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), values + SCRIPT).unwrap();
    let mut command = Command::new(shell[0]);
    let done = command
        .args(&shell[1..])
        .arg("-eu")
        .arg(file.path())
        .output();
    let done = done.unwrap();
    let said = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8(said).unwrap())
}

/// The installed shells; `sh` exists everywhere.
fn shells() -> Vec<Vec<&'static str>> {
    let all = [
        vec!["sh"],
        vec!["dash"],
        vec!["bash"],
        vec!["busybox", "sh"],
    ];
    let here = |shell: &Vec<&str>| Command::new(shell[0]).arg("--help").output().is_ok();
    all.into_iter().filter(here).collect()
}

fn each(test: impl Fn(&[&str], &Path)) {
    for shell in shells() {
        let room = tempfile::tempdir().unwrap();
        test(&shell, &room.path().canonicalize().unwrap());
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_whole_file_is_placed_once_and_left_alone_then() {
    each(|shell, room| {
        let to = room.join("it's a.conf");
        let text = "a = '1'\n\n$HOME \\n %s ${x}\n\tlast line without an end";
        let placing = ("whole", "0640", "''", to.as_path(), text);
        let (done, said) = place(shell, placing);
        assert!(done && said.ends_with("is placed\n"), "{shell:?}: {said}");
        assert_eq!(fs::read_to_string(&to).unwrap(), text, "{shell:?}");
        assert_eq!(mode(&to), 0o640);
        let inode = fs::metadata(&to).unwrap().ino();
        let (_, said) = place(shell, placing);
        assert!(said.ends_with("is as it should be\n"), "{said}");
        assert_eq!(fs::metadata(&to).unwrap().ino(), inode);
        let (_, said) = place(shell, ("whole", "0600", "''", &to, text));
        assert!(said.ends_with("is placed\n"), "{said}");
        assert_eq!(mode(&to), 0o600);
        assert_eq!(
            fs::read_dir(room).unwrap().count(),
            1,
            "nothing else is left"
        );
    });
}

#[test]
fn lines_are_appended_once_and_rights_stay() {
    each(|shell, room| {
        let to = room.join("a");
        fs::write(&to, "one").unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(0o2750)).unwrap();
        let placing = ("append", "''", "''", to.as_path(), "1.0\n1\n");
        for _ in 0..2 {
            let (done, said) = place(shell, placing);
            assert!(done, "{said}");
            assert_eq!(fs::read_to_string(&to).unwrap(), "one\n1.0\n1\n");
        }
        assert_eq!(mode(&to), 0o2750);
        let absent = room.join("b");
        let (done, said) = place(shell, ("append", "''", "''", &absent, "x\n"));
        assert!(!done && said.contains("there is no such file"), "{said}");
        assert!(place(shell, ("append", "0600", "''", &absent, "x\n")).0);
        assert_eq!(fs::read_to_string(&absent).unwrap(), "x\n");
    });
}

#[test]
fn a_change_is_made_where_its_lines_stand_once() {
    each(|shell, room| {
        let to = room.join("a");
        let before = "a = 1\nb = 2\nc = 3\nc = 3\n";
        // The change and the resulting file; or, if refused, the message.
        for (change, after) in [
            ("-b = 2\n+b = 20\n", Ok("a = 1\nb = 20\nc = 3\nc = 3\n")),
            (" b = 2\n+b2\n", Ok("a = 1\nb = 2\nb2\nc = 3\nc = 3\n")),
            ("+top\n a = 1\n", Ok("top\na = 1\nb = 2\nc = 3\nc = 3\n")),
            (" a = 1\n-b = 2\n", Ok("a = 1\nc = 3\nc = 3\n")),
            ("-b = 2\n", Ok("a = 1\nc = 3\nc = 3\n")),
            (
                "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n-a = 1\n+A\n@@\n-b = 2\n+B\n",
                Ok("A\nB\nc = 3\nc = 3\n"),
            ),
            ("-c = 3\n+c = 4\n", Err("stand in it 2 times")),
            ("-d = 4\n+d = 5\n", Err("do not stand in it")),
            // The spelling differs, so it is another line.
            ("-a = 1 \n+a = 2\n", Err("do not stand in it")),
            ("-a = 1\n+A\n@@\n-nowhere\n+x\n", Err("do not stand in it")),
        ] {
            for again in [false, true] {
                if !again {
                    fs::write(&to, before).unwrap();
                }
                let (done, said) = place(shell, ("edit", "''", "''", &to, change));
                let now = fs::read_to_string(&to).unwrap();
                match after {
                    Ok(after) => {
                        assert!(done, "{shell:?} {change}: {said}");
                        assert_eq!(now, after, "{shell:?} {change} again: {again}");
                    }
                    Err(why) => {
                        assert!(!done && said.contains(why), "{shell:?} {change}: {said}");
                        assert_eq!(now, before);
                    }
                }
            }
        }
    });
}

#[test]
fn the_way_leads_through_links_of_ones_own_only() {
    each(|shell, room| {
        fs::create_dir(room.join("real")).unwrap();
        symlink("real", room.join("own")).unwrap();
        symlink("../x", room.join("real/up")).unwrap();
        let (done, said) = place(shell, ("whole", "0600", "''", &room.join("own/up"), "1\n"));
        assert!(done, "{said}");
        assert_eq!(fs::read_to_string(room.join("x")).unwrap(), "1\n");
        assert!(room.join("real/up").is_symlink());
        for (to, why) in [
            ("nowhere/x", "there is no folder"),
            ("x/y", "is no folder"),
            ("real", "a folder is there"),
        ] {
            let (done, said) = place(shell, ("whole", "0600", "''", &room.join(to), "2\n"));
            assert!(!done && said.contains(why), "{to}: {said}");
        }
        symlink("loop", room.join("loop")).unwrap();
        let (done, said) = place(shell, ("whole", "0600", "''", &room.join("loop"), "2\n"));
        assert!(!done && said.contains("more than 20 links"), "{said}");
        let open = room.join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        let (done, said) = place(shell, ("whole", "0600", "''", &open.join("x"), "2\n"));
        assert!(!done && said.contains("everybody may write"), "{said}");
        fs::set_permissions(&open, fs::Permissions::from_mode(0o1777)).unwrap();
        assert!(place(shell, ("whole", "0600", "''", &open.join("x"), "2\n")).0);
    });
}

/// Root writes nothing to a path that another user could redirect.
#[test]
fn root_is_led_by_nobody_else() {
    let room = tempfile::tempdir().unwrap();
    if fs::metadata(room.path()).unwrap().uid() != 0 {
        eprintln!("skipped: only root can give a folder to another user");
        return;
    }
    each(|shell, room| {
        let lead = |what: &str, to: &str, why: &str| {
            let script = format!("cd \"$0\"; {what}");
            let made = Command::new("sh").args(["-ec", &script]).arg(room).status();
            assert!(made.unwrap().success());
            let (done, said) = place(shell, ("whole", "0600", "''", &room.join(to), "2\n"));
            assert!(!done && said.contains(why), "{what}: {said}");
        };
        lead(
            "mkdir theirs t; chown 12345 theirs",
            "theirs/x",
            "belongs to user 12345",
        );
        lead(
            "ln -s t link; chown -h 12345 link",
            "link/x",
            "belongs to user 12345",
        );
        lead(
            "ln -s t/x file; chown -h 12345 file",
            "file",
            "belongs to user 12345",
        );
        lead(
            "chmod 1777 t; echo >t/y; chown 12345 t/y",
            "t/y",
            "belongs to user 12345",
        );
        assert!(!room.join("t/x").exists());
        let (done, said) = place(
            shell,
            ("whole", "0640", "12345:0", &room.join("t/z"), "3\n"),
        );
        assert!(done, "{said}");
        assert_eq!(fs::metadata(room.join("t/z")).unwrap().uid(), 12345);
    });
}
