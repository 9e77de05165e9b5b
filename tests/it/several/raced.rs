//! Two runs for the same nodes at the same moment, two hundred times; and what others do to the
//! locks of a running run.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use opsbook::event::Status;
use opsbook::journal::{self, State};
use opsbook::project::Start;

use super::cheap::{Cheap, ended, opsbook, run_here};
use crate::lab::until;

const RACES: usize = 200;

/// Its first step waits for the test, so that no run ends before the other has requested its locks.
const HELD: &str = r#"# Held

```yaml procedure
id: p
roles:
  one: {nodes: "@all"}
  two: {nodes: "@all"}
  three: {nodes: "@all"}
timeout: 2m
```

On **one**:

```sh step id=hold on=one
mkdir "$dir/only"
while test ! -e "$dir/go"; do sleep 0.02; done
rmdir "$dir/only"
```

On **two**:

```sh step id=more on=two
echo "$node" >>"$ran"
```

On **three**:

```sh step id=last on=three
echo "$node" >>"$ran"
```
"#;

/// The same nodes in other roles: the order of requests must not depend on the roles.
const BINDINGS: [[&str; 3]; 3] = [
    ["one=a", "two=b", "three=c"],
    ["one=c", "two=b", "three=a"],
    ["one=b", "two=c", "three=a"],
];

async fn run(root: &Path, words: [&str; 3]) -> Status {
    let watcher = Box::new(|_: &opsbook::event::Event| {});
    run_here(root, &words, Start::new_run(), watcher).await
}

async fn race(number: usize) {
    let cheap = Cheap::new();
    let folders = [cheap.folder(HELD), cheap.folder(HELD)];
    let bindings = [BINDINGS[0], BINDINGS[number % BINDINGS.len()]];
    let one = run(folders[0].path(), bindings[0]);
    let two = run(folders[1].path(), bindings[1]);
    tokio::pin!(one, two);
    // The one that ends first did not get the locks: the one that has them waits.
    let (first, rest) = tokio::select! {
        first = &mut one => (first, two),
        first = &mut two => (first, one),
    };
    assert_eq!(first, Status::Blocked, "race {number}");
    std::fs::write(cheap.dir().join("go"), "").unwrap();
    assert_eq!(rest.await, Status::Ok, "race {number}");
    assert_eq!(cheap.ran().len(), 2, "race {number}");
    assert_eq!(
        cheap.held(),
        Vec::<std::path::PathBuf>::new(),
        "race {number}"
    );
}

#[test]
fn of_two_runs_for_the_same_machines_one_gets_them_two_hundred_times() {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let runtime = tokio::runtime::Runtime::new().unwrap();
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= RACES {
                        return;
                    }
                    let bounded = std::time::Duration::from_mins(2);
                    let race = async { tokio::time::timeout(bounded, race(number)).await };
                    assert!(runtime.block_on(race).is_ok(), "race {number} hangs");
                }
            });
        }
    });
}

/// During the first step, somebody releases the lock of another node: no further step runs, on
/// whichever node it would be.
#[test]
fn a_lock_given_up_in_between_ends_the_run_before_its_next_step() {
    given_up_in_between("c", 4);
    given_up_in_between("b", 3);
}

fn given_up_in_between(given_up: &str, expected: i32) {
    let cheap = Cheap::new();
    let (folder, other) = (cheap.folder(HELD), cheap.folder(HELD));
    let words = [&["run", "p"], &BINDINGS[0][..], &["--yes"]].concat();
    let running = opsbook(folder.path(), &words).spawn().unwrap();
    until("the first step runs", || cheap.dir().join("only").exists());
    let run = journal::runs(&State::beside(folder.path())).remove(0);
    let release = ["lock", "release", given_up, "--run", &run, "--yes"];
    let (status, said) = ended(opsbook(other.path(), &release).output().unwrap());
    assert_eq!(status, Some(0), "{said}");
    std::fs::write(cheap.dir().join("go"), "").unwrap();
    let (status, said) = ended(running.wait_with_output().unwrap());
    assert_eq!(status, Some(expected), "{given_up}: {said}");
    let cause = format!("{given_up} (");
    let gone = said
        .lines()
        .any(|line| line.starts_with(&cause) && line.contains("gone"));
    assert!(gone, "{said}");
    assert_eq!(cheap.ran(), Vec::<String>::new(), "{said}");
    // A person continues it if nothing had begun on the released node.
    let resume = ["resume", &run, "--yes"];
    let (status, said) = ended(opsbook(folder.path(), &resume).output().unwrap());
    if given_up == "c" {
        assert_eq!(status, Some(0), "{said}");
        assert_eq!(cheap.ran(), ["b", "c"], "{said}");
        assert_eq!(cheap.held(), Vec::<std::path::PathBuf>::new());
    } else {
        assert_eq!(status, Some(3), "{said}");
        assert_eq!(cheap.ran(), Vec::<String>::new(), "{said}");
    }
}
