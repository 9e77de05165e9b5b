//! A secret in the memory of this machine: how many copies of it there are while a step has it,
//! and who may look. F16.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::process::Command;

use crate::lab::until;
use crate::project::Project;
use crate::sshd::{Skip, or_skip, processes, tree};

const SECRET: &str = "hunter-of-the-copies-0815";

/// The secret itself; and what the node printed last is in the buffer into which it is read.
/// There are no more of them with more steps, checks or output.
const MOST: usize = 2;

fn page() -> String {
    let uses = "```sh step\n: \"$token\"; echo \"it is $token\" >&2; echo out\n```\n\n\
        ```sh check\ntest -n \"$token\"\n```\n\n";
    format!(
        "# Page\n\n```yaml procedure\nid: p\n```\n\n{}```sh step\n: \"$token\"; : > \"$HOME/waits\"\n\
         while test ! -e \"$HOME/go\"; do sleep 0.1; done\n```\n",
        uses.repeat(4)
    )
}

fn project() -> Project {
    let project = Project::new(&page());
    project.write("token", SECRET);
    project.nodes("  here: {transport: local, token: {secret: {file: token}}}\n");
    project
}

#[test]
fn f16_few_copies_of_a_secret_are_in_memory_while_a_step_has_it() {
    let Some(()) = or_skip("F16", root()) else {
        return;
    };
    let project = project();
    let run = project.opsbook(&["run", "p", "here"]).start();
    until("it waits", || project.home("waits").exists());
    let copies = copies(run.id(), SECRET.as_bytes());
    fs::write(project.home("go"), "").unwrap();
    let said = run.wait();
    assert_eq!(said.status, 0, "{said:?}");
    assert!((1..=MOST).contains(&copies), "{copies} copies");
}

#[test]
fn f16_a_program_of_the_same_user_cannot_look_into_memory() {
    let Some(()) = or_skip("F16", root()) else {
        return;
    };
    let project = project();
    let run = project.opsbook(&["run", "p", "here"]).start();
    until("it waits", || project.home("waits").exists());
    let [own, started @ ..] = &tree(run.id())[..] else {
        panic!("no process");
    };
    assert!(!may_look(*own));
    assert!(!started.is_empty());
    for pid in started {
        // A step's `sleep` ends meanwhile.
        assert!(may_look(*pid) || !processes().any(|other| other == *pid));
    }
    fs::write(project.home("go"), "").unwrap();
    let said = run.wait();
    assert_eq!(said.status, 0, "{said:?}");
}

/// Whether a program may that is of the same user and has no privilege.
fn may_look(pid: u32) -> bool {
    let dropped = ["--bounding-set=-all", "--inh-caps=-all"];
    let looked = Command::new("setpriv")
        .args(dropped)
        .args(["head", "-c", "1", &format!("/proc/{pid}/environ")])
        .output()
        .unwrap();
    looked.status.success()
}

fn root() -> Result<(), Skip> {
    if rustix::process::getuid().is_root() {
        Ok(())
    } else {
        Err(Skip("needs root, to look into memory".to_owned()))
    }
}

/// How often something stands in what a process may write to.
fn copies(pid: u32, what: &[u8]) -> usize {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut count = 0;
    for line in maps.lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        if !rest.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let address = |text| u64::from_str_radix(text, 16).unwrap();
        let (from, to) = (address(from), address(to));
        memory.seek(SeekFrom::Start(from)).unwrap();
        let mut bytes = Vec::new();
        // Some regions cannot be read by anybody.
        let _ = (&mut memory).take(to - from).read_to_end(&mut bytes);
        count += memchr::memmem::find_iter(&bytes, what).count();
    }
    count
}
