//! Random procedures, random faults: whatever is killed, frozen or filled up, the journal, the
//! bundle and the node agree, or the run says that it does not know.
//!
//! A few rounds by default; `OPSBOOK_SOAK_MINUTES` makes it a loop (`just soak`), and
//! `OPSBOOK_SOAK_SEED` repeats one round. A failing round is kept completely below the build
//! directory.

mod fault;
mod neighbour;
mod procedure;
mod promise;
mod round;

use std::time::{Duration, Instant};

use crate::record;
use crate::sshd::{Sshd, or_skip};
use round::{Place, Round};

/// A deterministic random generator.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % end as u64).unwrap()
    }

    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    pub fn milliseconds(&mut self, end: usize) -> Duration {
        Duration::from_millis(self.below(end) as u64)
    }
}

#[test]
fn random_faults_on_this_machine() {
    soak("local", 8, Place::Here);
}

#[test]
fn random_faults_over_ssh() {
    let Some(node) = or_skip("random_faults_over_ssh", Sshd::start()) else {
        return;
    };
    soak("ssh", 8, Place::There(&node));
}

/// Plays rounds from the seed on, until their number or the time is reached.
fn soak(name: &str, rounds: u64, place: Place<'_>) {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let until = number("OPSBOOK_SOAK_MINUTES")
        .map(|minutes| Instant::now() + Duration::from_secs(60 * minutes));
    let seed = number("OPSBOOK_SOAK_SEED");
    // A loop uses new seeds; a test always the same ones.
    let first = seed.unwrap_or(if until.is_some() { fresh() } else { 1 });
    let begun = Instant::now();
    let mut broken = Vec::new();
    let mut tally = round::Tally::default();
    let mut said = Instant::now();
    for seed in first.. {
        let done = seed - first;
        let enough = match until {
            Some(until) => Instant::now() >= until,
            None => {
                done >= if number("OPSBOOK_SOAK_SEED").is_some() {
                    1
                } else {
                    rounds
                }
            }
        };
        if enough {
            break;
        }
        if let Err(report) = Round::new(seed, place).play(&mut tally) {
            eprintln!("soak {name}: seed {seed} breaks the promise\n{report}");
            broken.push(seed);
        }
        if said.elapsed() > Duration::from_secs(60) {
            said = Instant::now();
            eprintln!(
                "soak {name}: {} rounds in {} s, {tally}, {} broken",
                done + 1,
                begun.elapsed().as_secs(),
                broken.len()
            );
        }
    }
    eprintln!(
        "soak {name}: from seed {first} for {} s, {tally}, {} broken",
        begun.elapsed().as_secs(),
        broken.len()
    );
    if until.is_some() && std::env::var_os("OPSBOOK_BLESS").is_some() {
        let minutes = begun.elapsed().as_secs() / 60;
        record::write(
            &format!("loop-{name}"),
            &tally.recorded(name, minutes, &broken),
        );
    }
    assert!(broken.is_empty(), "soak {name}: broken by seeds {broken:?}");
}

fn fresh() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_secs() * 1000
}
