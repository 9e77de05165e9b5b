//! F53: this machine is repeatedly stopped, or has a small share of its processor, while it reaches
//! a fleet. Living nodes are reached, and dead ones are found dead.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use crate::crowd::{Crowd, Dead};
use crate::many::Project;
use crate::sshd::{Skip, kill, or_skip, tree};

/// Ten times the normal duration of each.
const DEADLINE: Duration = Duration::from_mins(4);

#[test]
fn f53_a_controller_that_is_stopped_in_turns_calls_no_living_node_dead() {
    let Some(crowd) = or_skip("F53", Crowd::start(16, 4)) else {
        return;
    };
    let project = Project::new(&crowd);
    let mut child = project.test("", &["--connect-timeout", "1s"]);
    let begin = Instant::now();
    let status = loop {
        // Stopped for longer than a node's limit, then continued long enough for some progress.
        for (signal, time) in [("STOP", 1300), ("CONT", 400)] {
            for pid in tree(child.id()) {
                kill(pid, signal);
            }
            std::thread::sleep(Duration::from_millis(time));
        }
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(begin.elapsed() < DEADLINE, "it does not end");
    };
    eprintln!("{:?}", begin.elapsed());
    assert_eq!(status.code(), Some(3), "{}", said(&project));
    living_and_dead(&crowd, &project);
}

#[test]
fn f53_a_controller_with_a_small_share_of_the_processor_calls_no_living_node_dead() {
    let Some((crowd, share)) = or_skip("F53", started(12)) else {
        return;
    };
    let project = Project::new(&crowd);
    let first = format!("echo $$ >'{}'; ", share.tasks().display());
    let child = project.test(&first, &["--connect-timeout", "2s"]);
    let begin = Instant::now();
    let status = ended(child);
    eprintln!("{:?}", begin.elapsed());
    assert_eq!(status, Some(3), "{}", said(&project));
    living_and_dead(&crowd, &project);
}

fn started(count: usize) -> Result<(Crowd, Share), Skip> {
    Ok((Crowd::start(count, 4)?, Share::of_the_processor(5)?))
}

fn ended(mut child: Child) -> Option<i32> {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        assert!(begin.elapsed() < DEADLINE, "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn said(project: &Project) -> String {
    let read = |path| fs::read_to_string(project.path(path)).unwrap_or_default();
    read("out") + &read("err")
}

/// The dead nodes are named, and no others.
fn living_and_dead(crowd: &Crowd, project: &Project) {
    let out = fs::read_to_string(project.path("out")).unwrap();
    let mut named = out
        .lines()
        .skip_while(|line| *line != "could not look:")
        .skip(1);
    for (name, dead) in crowd.dead() {
        let line = named.next().unwrap_or_default();
        assert!(line.contains(&format!(" on {name}: ")), "{line}\n{out}");
        let cause = match dead {
            Dead::Refuses => "cannot be reached: connection refused",
            Dead::IsSilent => "cannot be reached: timed out after ",
            Dead::CutsEarly | Dead::CutsLate => "cannot be reached: ",
        };
        assert!(line.contains(cause), "{dead:?}: {line}");
    }
    assert_eq!(named.next(), Some(""), "{out}");
}

/// A CPU share for a group of processes.
struct Share(PathBuf);

impl Share {
    fn of_the_processor(percent: u32) -> Result<Share, Skip> {
        let name = format!("opsbook-test-{}-{percent}", std::process::id());
        let (old, new) = (Path::new("/sys/fs/cgroup/cpu"), Path::new("/sys/fs/cgroup"));
        let base = if old.exists() { old } else { new };
        let share = Share(base.join(name));
        let period = 100_000;
        let quota = period / 100 * percent;
        let made = fs::create_dir(&share.0).and_then(|()| {
            if base == old {
                fs::write(share.0.join("cpu.cfs_quota_us"), quota.to_string())
            } else {
                fs::write(share.0.join("cpu.max"), format!("{quota} {period}"))
            }
        });
        made.map_err(|error| Skip(format!("no share of the processor can be given: {error}")))?;
        Ok(share)
    }

    fn tasks(&self) -> PathBuf {
        self.0.join("cgroup.procs")
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let own = if self.0.join("tasks").exists() {
            "/sys/fs/cgroup/cpu/cgroup.procs"
        } else {
            "/sys/fs/cgroup/cgroup.procs"
        };
        // After a failure, move the remaining processes out.
        for pid in fs::read_to_string(self.tasks()).unwrap_or_default().lines() {
            let _ = fs::write(own, pid);
        }
        let _ = fs::remove_dir(&self.0);
    }
}
