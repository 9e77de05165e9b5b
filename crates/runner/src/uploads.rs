//! Sends the lines of all journals to the gateway. The journals are the buffer: lines that were not
//! stored are read and sent again, and no step waits for this.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use opsbook_client::Client;
use opsbook_wire::{Acked, Kind, Lines, LinesOfPart, PartKey, endpoint, limit};
use tokio::sync::Notify;

use crate::happened::{Happened, Tell};
use crate::tail::{Piece, Tail};

/// How often to look at a journal even without a notification.
const LOOK: Duration = Duration::from_secs(1);
/// The first delay after a failed request; doubles up to `LATEST`.
const SOONEST: Duration = Duration::from_millis(200);
const LATEST: Duration = Duration::from_secs(10);
/// The most bytes of one request, before quotes and escapes.
const REQUEST: usize = limit::LINES_BODY / 4;
/// The most bytes of one part in a request, so that no part waits for another's output.
const OF_PART: usize = REQUEST / 4;
/// The pause between two tries for a run that the gateway has lost.
const LOST_RUN: Duration = Duration::from_secs(5);
/// How long after its end the lines of such a run are tried: somebody may order it again.
const LOST_FOR: Duration = Duration::from_hours(1);

/// Cheap to clone; clones share the uploads.
#[derive(Clone, Debug)]
pub(crate) struct Uploads(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    tails: Mutex<BTreeMap<(String, String), Of>>,
    ring: Notify,
    tell: Tell,
}

/// The journal of one part.
#[derive(Debug)]
struct Of {
    /// The lease under which its lines are sent.
    key: PartKey,
    tail: Tail,
    /// The journal is complete.
    last: bool,
    /// The gateway has lost the run.
    lost: Option<Lost>,
}

/// Since when, and the time of the next try.
#[derive(Clone, Copy, Debug)]
struct Lost {
    since: Instant,
    next: Instant,
}

/// The lines of one part in a request.
struct Sending {
    key: PartKey,
    piece: Piece,
}

impl Uploads {
    pub fn new(tell: Tell) -> Uploads {
        Uploads(Arc::new(Inner {
            tails: Mutex::default(),
            ring: Notify::new(),
            tell,
        }))
    }

    /// Begins to send the lines of a journal. The gateway has its first `has` bytes.
    pub fn add(&self, key: &PartKey, path: PathBuf, has: u64) {
        let of = Of {
            key: key.clone(),
            tail: Tail::new(path, has),
            last: false,
            lost: None,
        };
        let place = (key.run.clone(), key.node.clone());
        let mut tails = self.tails();
        // Under a new lease it is the same journal; stored lines stay stored.
        match tails.get_mut(&place) {
            Some(before) => {
                before.key = key.clone();
                before.last = false;
            }
            None => drop(tails.insert(place, of)),
        }
        drop(tails);
        self.ring();
    }

    /// A journal has grown.
    pub fn ring(&self) {
        self.0.ring.notify_one();
    }

    /// The journal is complete: a message reports when everything is stored.
    pub fn last(&self, key: &PartKey) {
        let place = (key.run.clone(), key.node.clone());
        match self.tails().get_mut(&place) {
            Some(of) => of.last = true,
            // The gateway has everything, or refuses it.
            None => self.tell(key, Happened::Sent),
        }
        self.ring();
    }

    fn tell(&self, key: &PartKey, happened: Happened) {
        // If nobody receives it, the runner has ended.
        let _ = self.0.tell.send((key.clone(), happened));
    }

    fn tails(&self) -> MutexGuard<'_, BTreeMap<(String, String), Of>> {
        self.0.tails.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends as long as the runner lives.
    pub async fn go(self, client: Client, note: impl Fn(String)) {
        let mut wait = SOONEST;
        loop {
            let (sending, lost) = self.gather();
            for (key, why) in lost {
                note(format!(
                    "{key}: the gateway does not get all of its output: {why}"
                ));
                self.give_up(&key);
            }
            if sending.is_empty() {
                self.tell_sent();
                let _ = tokio::time::timeout(LOOK, self.0.ring.notified()).await;
                continue;
            }
            let sent = client
                .post::<Acked>(endpoint::RUNNER_EVENTS, &body(&sending))
                .await;
            match sent {
                Ok(acked) => {
                    let moved = self.acked(&sending, &acked);
                    for Sending { key, .. } in &sending {
                        if let Some(why) = acked.refused.get(&key.to_string()) {
                            note(format!("{key}: the gateway refuses its lines: {why}"));
                            self.give_up(key);
                        }
                    }
                    let lost = self.lost(&acked);
                    for key in &lost {
                        note(format!(
                            "{key}: the gateway has lost this run, which continues"
                        ));
                    }
                    if moved || !acked.unknown.is_empty() {
                        wait = SOONEST;
                        continue;
                    }
                }
                Err(error) if error.kind() == Some(Kind::TooLarge) => {
                    note(format!("the gateway does not accept lines: {error}"));
                }
                Err(error) if error.may_pass() => {}
                Err(error) => note(format!("the gateway does not accept lines: {error}")),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LATEST);
        }
    }

    /// The lines that can be sent now, and unreadable journals.
    fn gather(&self) -> (Vec<Sending>, Vec<(PartKey, String)>) {
        let (mut sending, mut lost) = (Vec::new(), Vec::new());
        let mut bytes = 0;
        let now = Instant::now();
        let due = |of: &&Of| of.lost.is_none_or(|lost| lost.next <= now);
        for of in self.tails().values().filter(due) {
            if bytes >= REQUEST {
                break;
            }
            match of.tail.next(of.key.epoch, OF_PART) {
                Ok(piece) if piece.lines.is_empty() => {}
                Ok(piece) => {
                    bytes += piece.lines.iter().map(String::len).sum::<usize>();
                    let key = of.key.clone();
                    sending.push(Sending { key, piece });
                }
                Err(why) => lost.push((of.key.clone(), why)),
            }
        }
        (sending, lost)
    }

    fn acked(&self, sending: &[Sending], acked: &Acked) -> bool {
        let mut moved = false;
        let mut tails = self.tails();
        for Sending { key, piece } in sending {
            let place = (key.run.clone(), key.node.clone());
            if let Some(of) = tails.get_mut(&place) {
                moved |= of.tail.acked(key, piece, acked);
                of.lost = of.lost.filter(|_| acked.unknown.contains(&key.to_string()));
            }
        }
        moved
    }

    /// Notes which runs the gateway has lost. Returns those that are newly lost.
    fn lost(&self, acked: &Acked) -> Vec<PartKey> {
        let (mut new, mut over) = (Vec::new(), Vec::new());
        let now = Instant::now();
        for of in self.tails().values_mut() {
            if !acked.unknown.contains(&of.key.to_string()) {
                continue;
            }
            let since = of.lost.map_or(now, |lost| lost.since);
            if of.lost.is_none() {
                new.push(of.key.clone());
            }
            let next = now + LOST_RUN;
            of.lost = Some(Lost { since, next });
            if of.last && since.elapsed() > LOST_FOR {
                over.push(of.key.clone());
            }
        }
        for key in over {
            self.give_up(&key);
        }
        new
    }

    /// Reports complete journals that are fully stored.
    fn tell_sent(&self) {
        let mut tails = self.tails();
        tails.retain(|_, of| {
            let over = of.last
                && of
                    .tail
                    .next(of.key.epoch, 1)
                    .is_ok_and(|piece| piece.lines.is_empty());
            if over {
                self.tell(&of.key, Happened::Sent);
            }
            !over
        });
    }

    /// Keeps its lines here.
    fn give_up(&self, key: &PartKey) {
        let place = (key.run.clone(), key.node.clone());
        let of = self.tails().remove(&place);
        self.tell(key, Happened::Kept);
        if of.is_some_and(|of| of.last) {
            self.tell(key, Happened::Sent);
        }
    }
}

fn body(sending: &[Sending]) -> Lines {
    let of = |sending: &Sending| LinesOfPart {
        run: sending.key.run.clone(),
        node: sending.key.node.clone(),
        epoch: sending.key.epoch,
        lines: sending.piece.lines.clone(),
    };
    Lines {
        parts: sending.iter().map(of).collect(),
    }
}
