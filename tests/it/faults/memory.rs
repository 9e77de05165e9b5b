//! A secret in the memory of this machine: how many copies of it there are while a step has it,
//! and who may look. F16.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::process::Command;

use crate::lab::until;
use crate::project::Project;
use crate::sshd::{Skip, or_skip, processes, tree};

const SECRET: &str = "hunter-of-the-copies-0815";

/// The secret itself, what the node printed last, in the buffer into which it is read, and
/// what a search of that buffer has left on the stacks of a few threads. There are no more of
/// them with more steps, checks or output: each of these steps has left five.
const MOST: usize = 8;

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
    // What has just been sent may not be freed yet.
    until("few copies are left", || {
        let copies = copies(run.id(), SECRET.as_bytes());
        assert_ne!(copies, 0, "none was found");
        copies <= MOST
    });
    fs::write(project.home("go"), "").unwrap();
    let said = run.wait();
    assert_eq!(said.status, 0, "{said:?}");
}

#[test]
fn f16_a_program_of_the_same_user_cannot_look_into_memory() {
    let Some(()) = or_skip("F16", root()) else {
        return;
    };
    let project = project();
    let run = project
        .through(&UNPRIVILEGED, &["run", "p", "here"])
        .start();
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

/// As any other user is.
const UNPRIVILEGED: [&str; 3] = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];

/// Whether a program may that is of the same user.
fn may_look(pid: u32) -> bool {
    let looked = Command::new(UNPRIVILEGED[0])
        .args(&UNPRIVILEGED[1..])
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
    let open = |name| File::open(format!("/proc/{pid}/{name}")).unwrap();
    let (memory, pages) = (open("mem"), open("pagemap"));
    let mut count = 0;
    for line in maps.lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        if !rest.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let address = |text| u64::from_str_radix(text, 16).unwrap();
        // Pages that were never written to are left out: an allocator reserves many.
        let present = present(&pages, address(from) / PAGE, address(to) / PAGE);
        for part in present.chunk_by(|one, next| one + 1 == *next) {
            let mut bytes = vec![0; part.len() * PAGE as usize];
            // Some regions cannot be read by anybody.
            if memory.read_exact_at(&mut bytes, part[0] * PAGE).is_ok() {
                count += memchr::memmem::find_iter(&bytes, what).count();
            }
        }
    }
    count
}

const PAGE: u64 = 4096;

/// The numbers of the pages that are in memory or in swap.
fn present(pages: &File, from: u64, to: u64) -> Vec<u64> {
    let mut bytes = vec![0; (to - from) as usize * 8];
    pages.read_exact_at(&mut bytes, from * 8).unwrap();
    let marks = bytes.chunks_exact(8).zip(from..to);
    let marks = marks.filter(|(mark, _)| mark[7] >> 6 != 0);
    marks.map(|(_, page)| page).collect()
}
