//! The faults while a controller runs, and their times.

use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::Chance;
use crate::sshd::{Sshd, kill, tree};

/// A fault, with the time after the start of the controller.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    None,
    /// The controller is killed.
    Kill(Duration),
    /// It gets a signal, several times.
    Interrupt(Duration, &'static str, usize),
    /// One of its processes, or of the node's, is killed.
    Strike(Duration),
    /// One of these is frozen for a while.
    Freeze(Duration, Duration),
    /// A disk becomes full: the node's, or the controller's.
    Fill(Duration, Disk),
    /// A second controller tries to continue the same run.
    Rival(Duration),
    /// This machine is busy: the controller and its children get a tenth of the time, for a while.
    Stutter(Duration, Duration),
    /// Something in the bundle can no longer be removed.
    Hold(Duration),
    /// The journal is an older copy, without this many of its last lines, as on another machine.
    Lag(usize),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Disk {
    Node,
    Controller,
}

impl Fault {
    pub fn random(chance: &mut Chance, disks: bool) -> Fault {
        let when = chance.milliseconds(2500);
        match chance.below(if disks { 16 } else { 13 }) {
            0..=2 => Fault::Kill(when),
            3 => Fault::Interrupt(when, chance.of(&["TERM", "INT"]), 1 + chance.below(3)),
            4 | 5 => Fault::Strike(when),
            6 => Fault::Freeze(when, chance.milliseconds(2000)),
            7 => Fault::Rival(when),
            8 => Fault::None,
            9 => Fault::Stutter(when, chance.milliseconds(4000)),
            10 => Fault::Hold(when),
            11 => Fault::Rival(when),
            12 => Fault::Lag(1 + chance.below(12)),
            13 | 14 => Fault::Fill(when, Disk::Node),
            _ => Fault::Fill(when, Disk::Controller),
        }
    }

    /// Whether it may destroy a step's record on the node, so that nothing can be known.
    pub fn blinds(&self) -> bool {
        matches!(self, Fault::Strike(_) | Fault::Fill(..))
    }

    /// Injects it; returns true if the controller did not end by itself.
    pub fn strike(
        &self,
        controller: &mut Child,
        node: Option<&Sshd>,
        disks: &[(Disk, &Path)],
        chance: &mut Chance,
        bundle: &Path,
        rival: &mut dyn FnMut(),
    ) -> bool {
        let (Fault::Kill(when)
        | Fault::Interrupt(when, ..)
        | Fault::Strike(when)
        | Fault::Freeze(when, _)
        | Fault::Fill(when, _)
        | Fault::Stutter(when, _)
        | Fault::Hold(when)
        | Fault::Rival(when)) = self
        else {
            return false;
        };
        if ended_within(controller, *when) {
            return false;
        }
        match self {
            Fault::Kill(_) => {
                kill(controller.id(), "KILL");
                return true;
            }
            Fault::Interrupt(_, signal, times) => {
                for _ in 0..*times {
                    kill(controller.id(), signal);
                    if ended_within(controller, Duration::from_millis(300)) {
                        break;
                    }
                }
            }
            Fault::Strike(_) => kill(victim(controller, node, chance), "KILL"),
            Fault::Freeze(_, time) => {
                let victim = victim(controller, node, chance);
                kill(victim, "STOP");
                std::thread::sleep(*time);
                kill(victim, "CONT");
            }
            Fault::Fill(_, disk) => {
                if let Some((_, path)) = disks.iter().find(|(which, _)| which == disk) {
                    fill(path);
                }
            }
            Fault::Rival(_) => rival(),
            Fault::Stutter(_, time) => stutter(controller, *time),
            Fault::Hold(_) => hold(bundle),
            Fault::None | Fault::Lag(_) => {}
        }
        false
    }
}

/// Waits for the end of the controller.
fn ended_within(controller: &mut Child, time: Duration) -> bool {
    let begun = Instant::now();
    loop {
        if controller.try_wait().unwrap().is_some() {
            return true;
        }
        if begun.elapsed() >= time {
            return false;
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// A random process of the controller or of the node's server; the controller if there is none.
fn victim(controller: &Child, node: Option<&Sshd>, chance: &mut Chance) -> u32 {
    let mut all: Vec<u32> = tree(controller.id()).into_iter().skip(1).collect();
    if let Some(node) = node {
        all.extend(node.processes().into_iter().skip(1));
    }
    if all.is_empty() {
        controller.id()
    } else {
        chance.of(&all)
    }
}

/// Repeatedly stops the controller and its children.
fn stutter(controller: &mut Child, time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time && controller.try_wait().unwrap().is_none() {
        let all = tree(controller.id());
        for pid in &all {
            kill(*pid, "STOP");
        }
        std::thread::sleep(Duration::from_millis(180));
        for pid in &all {
            kill(*pid, "CONT");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Mounts something within the bundle: not even root can remove it.
fn hold(bundle: &Path) {
    if bundle.is_dir() && rustix::process::getuid().is_root() {
        let held = bundle.join("held");
        let _ = std::fs::create_dir(&held);
        let _ = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "soak-held"])
            .arg(&held)
            .output();
    }
}

/// To the last byte, even if something is freed and written again meanwhile.
fn fill(disk: &Path) {
    let _ = Command::new("dd")
        .args(["if=/dev/zero", "bs=64k"])
        .arg(format!("of={}", disk.join("filler").display()))
        .output();
    let _ = Command::new("dd")
        .args(["if=/dev/zero", "bs=1", "count=70000"])
        .arg(format!("of={}", disk.join("filler2").display()))
        .output();
}
