//! Faults of other people on the node: what they put where opsbook looks, and process ids that
//! are somebody else's by now. F30 and F31.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use opsbook::session::{Call, Exec, Limits, Session, Target};

use crate::lab::until;
use crate::sshd::{self, Skip, or_skip};
use crate::tier;

/// A folder for sessions, as `/dev/shm` is one: anybody may make things in it.
fn shared() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let open = fs::Permissions::from_mode(0o1777);
    fs::set_permissions(place.path(), open).unwrap();
    place
}

/// The command of a session whose folder is in that place.
fn in_place(place: &Path, before: &[&str]) -> Target {
    let place = format!("XDG_RUNTIME_DIR={}", place.display());
    let words = [before, &["env", &place, "sh"]].concat();
    Target::Exec(Exec::of(words.into_iter().map(str::to_owned).collect()))
}

async fn session(transport: &Target) -> Session {
    Session::open(transport, &sshd::options()).await.unwrap()
}

/// A process that has nothing to do with opsbook.
struct Innocent(Child);

impl Innocent {
    fn new() -> Self {
        // In a group of its own, as a daemon.
        let mut sleep = Command::new("setsid");
        sleep.args(["sleep", "600"]).stdin(Stdio::null());
        Self(sleep.spawn().unwrap())
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Innocent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ended() -> u32 {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

/// When a process began, in ticks since boot.
fn start(pid: u32) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    rest.split(' ').nth(19).unwrap().to_owned()
}

/// This boot and this process namespace, as a session writes them down.
fn here() -> (String, String) {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let namespace = fs::metadata("/proc/self/ns/pid").unwrap().ino();
    (boot.trim().to_owned(), namespace.to_string())
}

/// What a session that was killed has left.
fn left(place: &Path, name: &str, id: &str, noted: &[(&str, String)]) -> PathBuf {
    let folder = place.join(format!(".opsbook-{name}.{}", ended()));
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    if !id.is_empty() {
        fs::write(folder.join("id"), id).unwrap();
    }
    for (file, text) in noted {
        fs::write(folder.join(file), text).unwrap();
    }
    folder
}

/// All files that name processes.
fn naming(text: &str) -> Vec<(&'static str, String)> {
    let files = ["h1.p", "t.p", "s.p", "dog.p", "w1.p"];
    files.map(|file| (file, text.to_owned())).to_vec()
}

#[tokio::test]
async fn f31_a_process_counts_only_with_its_start_its_boot_and_its_namespace() {
    let place = shared();
    let (boot, namespace) = here();
    let mut innocent = Innocent::new();
    let pid = innocent.pid();
    let dead = format!("{} 1 {boot} {namespace} .", ended());
    // Its number belongs to another by now, or nothing was noted but the number.
    let later = left(place.path(), "a", &dead, &naming(&format!("{pid} 1\n")));
    let bare = left(place.path(), "b", &dead, &naming(&format!("{pid}\n")));
    // Of another boot, of another container, of a session whose number belongs to another, and
    // half a line: nothing is known of it.
    let both = format!("{pid} {}\n", start(pid));
    let boots = left(
        place.path(),
        "c",
        &format!("1 1 another-boot {namespace} ."),
        &naming(&both),
    );
    let container = left(
        place.path(),
        "d",
        &format!("1 1 {boot} 1 ."),
        &naming(&both),
    );
    let half = left(
        place.path(),
        "e",
        &format!("1 1 {boot} {namespace}"),
        &naming(&both),
    );
    let began = left(place.path(), "f", "", &[]);
    let living = format!("{pid} {} {boot} {namespace} .", start(pid));
    let living = left(place.path(), "g", &living, &naming(&both));
    // What is really left over, last in the order.
    let mut over = Innocent::new();
    let noted = format!("{} {}\n", over.pid(), start(over.pid()));
    let own = left(place.path(), "z", &dead, &[("w1.p", noted)]);

    let session = session(&in_place(place.path(), &[])).await;
    for folder in [&later, &bare, &began, &own] {
        until("it is swept", || !folder.exists());
    }
    until("what is left over ends", || !over.lives());
    for folder in [&boots, &container, &half, &living] {
        assert!(folder.exists(), "{folder:?}");
        assert!(!folder.join("over").exists(), "{folder:?}");
    }
    assert!(innocent.lives());
    session.close().await;
    assert!(innocent.lives());
}

#[tokio::test]
async fn f31_the_end_of_a_session_kills_nobody_else() {
    let place = shared();
    let mut innocent = Innocent::new();
    let session = session(&in_place(place.path(), &[])).await;
    let dir = PathBuf::from(&session.hello().dir);
    for (file, text) in naming(&format!("{} 1\n", innocent.pid())) {
        let file = file.replace('1', "9");
        fs::write(dir.join(file), &text).unwrap();
    }
    fs::write(dir.join("c9.p"), format!("{} 1\n", innocent.pid())).unwrap();
    fs::write(dir.join("c9.j"), "9 1 1\n").unwrap();
    session.close().await;
    until("its folder is gone", || !dir.exists());
    assert!(innocent.lives());
}

#[tokio::test]
async fn f31_a_session_of_another_container_lives_on() {
    let may = tier::t2();
    let Some(()) = or_skip("T2", may) else { return };
    let place = shared();
    let apart = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
    let inside = session(&in_place(place.path(), &apart)).await;
    let outside = session(&in_place(place.path(), &[])).await;
    let again = session(&in_place(place.path(), &apart)).await;
    for one in [&inside, &outside, &again] {
        let done = one
            .call(&Call::new("echo lives"), Limits::seconds(60))
            .await
            .unwrap();
        assert_eq!(done.out, b"lives\n");
        assert!(Path::new(&one.hello().dir).join("pid").exists());
    }
    for one in [inside, outside, again] {
        one.close().await;
    }
}

#[tokio::test]
async fn f30_a_session_folder_of_another_user_is_not_looked_into() {
    let Some(()) = or_skip("T0 as root", as_root()) else {
        return;
    };
    let place = shared();
    let (boot, namespace) = here();
    let victim = place.path().join("victim");
    fs::write(&victim, "mine").unwrap();
    let mut innocent = Innocent::new();
    let both = format!("{} {}\n", innocent.pid(), start(innocent.pid()));
    let dead = format!("{} 1 {boot} {namespace} .\n", ended());
    let planted = left(place.path(), "a", &dead, &naming(&both));
    symlink(&victim, planted.join("over")).unwrap();
    chown(&planted, Some(65534), Some(65534)).unwrap();
    // A link to a folder that is ours: its owner would be right.
    let real = tempfile::tempdir().unwrap();
    fs::write(real.path().join("id"), &dead).unwrap();
    let link = place.path().join(format!(".opsbook-b.{}", ended()));
    symlink(real.path(), &link).unwrap();
    // What hangs who opens it.
    let fifo = left(place.path(), "c", "", &[]);
    let made = Command::new("mkfifo").arg(fifo.join("id")).status();
    assert!(made.unwrap().success());
    chown(&fifo, Some(65534), Some(65534)).unwrap();
    let own = left(place.path(), "z", &dead, &[]);

    let session = session(&in_place(place.path(), &[])).await;
    until("its own is swept", || !own.exists());
    session.close().await;
    assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
    assert!(innocent.lives());
    assert!(planted.join("w1.p").exists() && fifo.join("id").exists());
    assert!(real.path().join("id").exists() && link.is_symlink());
}

#[tokio::test]
async fn f30_a_place_that_another_user_rules_is_not_taken() {
    let Some(()) = or_skip("T0 as root", as_root()) else {
        return;
    };
    let own = tempfile::tempdir().unwrap();
    let base = shared();
    let theirs = base.path().join("theirs");
    fs::create_dir(&theirs).unwrap();
    fs::set_permissions(&theirs, fs::Permissions::from_mode(0o1777)).unwrap();
    chown(&theirs, Some(65534), Some(65534)).unwrap();
    let open = base.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let link = base.path().join("link");
    symlink(own.path(), &link).unwrap();
    for place in [&theirs, &open, &link] {
        let session = session(&in_place(place, &[])).await;
        let dir = session.hello().dir.clone();
        assert!(!Path::new(&dir).starts_with(base.path()), "{dir}");
        assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
        session.close().await;
    }
}

fn as_root() -> Result<(), Skip> {
    if tier::is_root() {
        return Ok(());
    }
    Err(Skip(
        "only root can make what belongs to another".to_owned(),
    ))
}
