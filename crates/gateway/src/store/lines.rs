//! Stores the lines of journals: each once, in order, up to the first that is missing.

use std::collections::BTreeMap;

use sqlx::Row as _;
use wire::{Acked, LinesOfPart, PartKey};

use super::people::Runner;
use super::questions::NewQuestion;
use super::set_back::Held;
use super::{Store, StoreError, Tx, counted, stored};
use crate::blobs::Blobs;
use crate::event::{Event, What};
use crate::outside::Outside;
use crate::token::sha256;
use crate::wire;

/// The most bytes stored for all lines of a run.
const MOST_BYTES: i64 = 256 * 1024 * 1024;

/// A valid line of a request.
pub(super) struct Incoming<'a> {
    pub text: &'a str,
    pub event: Event,
    pub epoch: u64,
}

impl Store {
    /// Stores lines. Skips those that exist. Stops at a gap: the acknowledged position is before
    /// it.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn take_lines(
        &self,
        blobs: &Blobs,
        runner: &Runner,
        part: &LinesOfPart,
        acked: &mut Acked,
    ) -> Result<bool, StoreError> {
        let key = PartKey {
            run: part.run.clone(),
            node: part.node.clone(),
            epoch: part.epoch,
        };
        let lines = match read(part) {
            Ok(lines) => lines,
            Err(why) => {
                acked.refused.insert(key.to_string(), why);
                return Ok(false);
            }
        };
        let mut tx = self.begin().await?;
        if !self.lock_run(&mut tx, &part.run).await? {
            acked.unknown.push(key.to_string());
            return Ok(false);
        }
        match self.leased_to(&mut tx, runner, &key).await? {
            Held::Again => {}
            Held::Beyond => {
                acked.unknown.push(key.to_string());
                return Ok(false);
            }
            Held::Lost => {
                let why = format!("controller {} of the part is not this runner's", key.epoch);
                acked.refused.insert(key.to_string(), why);
                return Ok(false);
            }
        }
        let mut taking = Taking::new(self, blobs, &mut tx, key.clone());
        match taking.all(lines).await? {
            Ok(()) => {}
            Err(why) => {
                acked.refused.insert(key.to_string(), why);
            }
        }
        let new = taking.new;
        for (epoch, thread) in &taking.threads {
            let key = PartKey {
                epoch: *epoch,
                ..key.clone()
            };
            acked.acked.insert(key.to_string(), thread.acked);
        }
        tx.commit().await?;
        Ok(new)
    }

    /// Stores lines of a reported run, whose hash chain has been verified.
    pub(super) async fn take_chained(
        &self,
        blobs: &Blobs,
        tx: &mut Tx,
        (run, node): (&str, &str),
        lines: Vec<Incoming<'_>>,
    ) -> Result<Result<(), String>, StoreError> {
        let key = PartKey {
            run: run.to_owned(),
            node: node.to_owned(),
            epoch: 1,
        };
        Taking::new(self, blobs, tx, key).all(lines).await
    }

    /// Whether the lease under which lines are sent belongs to this runner. Its holder also sends
    /// the lines of earlier controllers that it was given with the part: a store that went back in
    /// time may have lost them, and their writer may be gone.
    async fn leased_to(
        &self,
        tx: &mut Tx,
        runner: &Runner,
        key: &PartKey,
    ) -> Result<Held, StoreError> {
        let lease = sqlx::query(
            "select 1 from lease where run = $1 and node = $2 and epoch = $3 and runner = $4",
        )
        .bind(&key.run)
        .bind(&key.node)
        .bind(stored(key.epoch))
        .bind(&runner.id)
        .fetch_optional(&mut **tx)
        .await?;
        match lease {
            Some(_) => Ok(Held::Again),
            None => self.held_after_all(tx, runner, key).await,
        }
    }
}

/// Parses the lines: limited in size, of this run, and of an epoch covered by the lease.
fn read(part: &LinesOfPart) -> Result<Vec<Incoming<'_>>, String> {
    let mut lines = Vec::new();
    for (place, text) in (1..).zip(&part.lines) {
        let wrong = |why: &str| format!("line {place} of the request: {why}");
        if text.len() > wire::limit::LINE {
            return Err(wrong("it is too long"));
        }
        if text.contains(['\n', '\r', '\0']) {
            return Err(wrong("it is more than one line"));
        }
        let event: Event = serde_json::from_str(text)
            .map_err(|error| wrong(&format!("it is not an event: {error}")))?;
        if event.run != part.run {
            return Err(wrong("it belongs to another run"));
        }
        let epoch = event.epoch.unwrap_or(part.epoch);
        if epoch == 0 || epoch > part.epoch || event.seq == 0 {
            return Err(wrong("its numbers are not those of this lease"));
        }
        lines.push(Incoming { text, event, epoch });
    }
    Ok(lines)
}

struct Thread {
    acked: u64,
    last_sha256: String,
}

/// The storing of one request for one part.
struct Taking<'a> {
    store: &'a Store,
    blobs: &'a Blobs,
    tx: &'a mut Tx,
    key: PartKey,
    threads: BTreeMap<u64, Thread>,
    n: i64,
    bytes: i64,
    /// Lines of output not written yet: of one epoch and step, in order.
    output: Vec<(u64, u64, Option<usize>, String)>,
    /// The spool is full: this output and everything after it waits on the runner.
    full: bool,
    new: bool,
}

impl<'a> Taking<'a> {
    fn new(store: &'a Store, blobs: &'a Blobs, tx: &'a mut Tx, key: PartKey) -> Taking<'a> {
        Taking {
            store,
            blobs,
            tx,
            key,
            threads: BTreeMap::new(),
            n: 0,
            bytes: 0,
            output: Vec::new(),
            full: false,
            new: false,
        }
    }

    async fn all(&mut self, lines: Vec<Incoming<'_>>) -> Result<Result<(), String>, StoreError> {
        let row = sqlx::query("select events, bytes from run where id = $1")
            .bind(&self.key.run)
            .fetch_optional(&mut **self.tx)
            .await?;
        let Some(row) = row else {
            return Ok(Err("there is no such run".to_owned()));
        };
        (self.n, self.bytes) = (row.try_get(0)?, row.try_get(1)?);
        self.full = self.store.is_full(self.tx).await?;
        let mut outcome = Ok(());
        for line in lines {
            match self.one(&line).await? {
                Ok(Step::Taken | Step::Known) => {}
                Ok(Step::Gap) => break,
                Err(why) => {
                    outcome = Err(why);
                    break;
                }
            }
        }
        self.write_output().await?;
        for (epoch, thread) in &self.threads {
            if thread.acked == 0 {
                continue;
            }
            sqlx::query(
                "insert into thread (run, node, epoch, acked, last_sha256) \
                 values ($1, $2, $3, $4, $5) on conflict (run, node, epoch) \
                 do update set acked = excluded.acked, last_sha256 = excluded.last_sha256",
            )
            .bind(&self.key.run)
            .bind(&self.key.node)
            .bind(stored(*epoch))
            .bind(stored(thread.acked))
            .bind(&thread.last_sha256)
            .execute(&mut **self.tx)
            .await?;
        }
        if self.new {
            for epoch in self.threads.keys() {
                let of = (self.key.run.as_str(), self.key.node.as_str(), *epoch);
                self.store.to_record(self.tx, of).await?;
            }
        }
        sqlx::query("update run set events = $2, bytes = $3 where id = $1")
            .bind(&self.key.run)
            .bind(self.n)
            .bind(self.bytes)
            .execute(&mut **self.tx)
            .await?;
        Ok(outcome)
    }

    async fn one(&mut self, line: &Incoming<'_>) -> Result<Result<Step, String>, StoreError> {
        if !self.threads.contains_key(&line.epoch) {
            let thread = self.thread(line.epoch).await?;
            self.threads.insert(line.epoch, thread);
        }
        let seq = line.event.seq;
        let acked = self.threads.get(&line.epoch).map_or(0, |of| of.acked);
        if acked > 0 && seq <= acked {
            return Ok(Ok(Step::Known));
        }
        let first = acked == 0;
        if !first && seq != acked + 1 || first && !self.begins(line).await? {
            return Ok(Ok(Step::Gap));
        }
        let Some(thread) = self.threads.get_mut(&line.epoch) else {
            return Ok(Ok(Step::Gap));
        };
        let follows = line.event.prev.as_deref();
        if !first && follows.is_some_and(|prev| prev != thread.last_sha256) {
            return Ok(Err(format!(
                "line {seq} does not follow from the line before it"
            )));
        }
        if self.full && matches!(line.event.what, What::Output { .. }) {
            return Ok(Ok(Step::Gap));
        }
        if self.bytes > MOST_BYTES {
            return Ok(Err(
                "the run has more lines than the gateway keeps".to_owned()
            ));
        }
        thread.acked = seq;
        thread.last_sha256 = sha256(line.text);
        self.n += 1;
        self.bytes += stored::<usize>(line.text.len());
        self.new = true;
        self.keep(line).await?;
        Ok(Ok(Step::Taken))
    }

    /// The stored position of an epoch.
    async fn thread(&mut self, epoch: u64) -> Result<Thread, StoreError> {
        let row = sqlx::query(
            "select acked, last_sha256 from thread where run = $1 and node = $2 and epoch = $3",
        )
        .bind(&self.key.run)
        .bind(&self.key.node)
        .bind(stored(epoch))
        .fetch_optional(&mut **self.tx)
        .await?;
        Ok(match row {
            Some(row) => Thread {
                acked: counted(row.try_get(0)?),
                last_sha256: row.try_get(1)?,
            },
            None => Thread {
                acked: 0,
                last_sha256: String::new(),
            },
        })
    }

    /// Whether a line can be the first of its epoch: it is the first of its journal, or an earlier
    /// controller's line before it is stored. Otherwise lines of the epoch are missing.
    async fn begins(&mut self, line: &Incoming<'_>) -> Result<bool, StoreError> {
        let seq = line.event.seq;
        if seq == 1 {
            return Ok(true);
        }
        let mut earlier = self.threads.range(..line.epoch);
        if earlier.any(|(_, of)| of.acked >= seq - 1) {
            return Ok(true);
        }
        let row = sqlx::query(
            "select 1 from thread where run = $1 and node = $2 and epoch < $3 and acked >= $4 limit 1",
        )
        .bind(&self.key.run)
        .bind(&self.key.node)
        .bind(stored(line.epoch))
        .bind(stored(seq - 1))
        .fetch_optional(&mut **self.tx)
        .await?;
        Ok(row.is_some())
    }

    async fn keep(&mut self, line: &Incoming<'_>) -> Result<(), StoreError> {
        let event = &line.event;
        if let What::Output { .. } = event.what {
            let other = self.output.last().is_some_and(|(epoch, seq, step, _)| {
                (*epoch, *seq + 1, *step) != (line.epoch, event.seq, event.step)
            });
            if other {
                self.write_before(1).await?;
            }
            let text = line.text.to_owned();
            self.output.push((line.epoch, event.seq, event.step, text));
            return Ok(());
        }
        self.write_before(1).await?;
        sqlx::query(
            "insert into event (run, node, epoch, seq, n, kind, step, line) \
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(&self.key.run)
        .bind(&self.key.node)
        .bind(stored(line.epoch))
        .bind(stored(event.seq))
        .bind(self.n)
        .bind(kind(line.text))
        .bind(event.step.map(stored))
        .bind(line.text)
        .execute(&mut **self.tx)
        .await?;
        self.read_event(line).await
    }

    /// The effects of an event outside the journal.
    async fn read_event(&mut self, line: &Incoming<'_>) -> Result<(), StoreError> {
        let event = &line.event;
        let key = PartKey {
            epoch: line.epoch,
            ..self.key.clone()
        };
        match &event.what {
            What::Asked { question, told, .. } => {
                let new = NewQuestion {
                    run: &key.run,
                    node: &key.node,
                    epoch: key.epoch,
                    seq: event.seq,
                    step: event.step,
                    text: question,
                    told: told.as_ref().map(Outside::exact),
                    choices: &choices(line.text),
                    asked: &event.at,
                };
                self.store.ask(self.tx, new).await
            }
            What::Answered { question, .. } => {
                self.store
                    .answered(self.tx, &key, event.seq, *question)
                    .await
            }
            What::StepStarted { .. } | What::StepFound { .. } => {
                sqlx::query("update part set step = $3 where run = $1 and node = $2")
                    .bind(&key.run)
                    .bind(&key.node)
                    .bind(event.step.map(stored))
                    .execute(&mut **self.tx)
                    .await?;
                Ok(())
            }
            What::ValueCaptured { name, value } => {
                let machine = event.node.as_deref().unwrap_or(&key.node);
                let of = (key.run.as_str(), key.node.as_str(), machine);
                let value = (name.as_str(), value.exact());
                self.store.captured(self.tx, of, value).await
            }
            What::Pinned { reasons } => {
                sqlx::query("update part set pinned = $3 where run = $1 and node = $2")
                    .bind(&key.run)
                    .bind(&key.node)
                    .bind(super::queue::bounded(&reasons.join("; ")))
                    .execute(&mut **self.tx)
                    .await?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Writes the pending output; `ahead` lines have been counted after it.
    async fn write_before(&mut self, ahead: i64) -> Result<(), StoreError> {
        self.n -= ahead;
        let written = self.write_output().await;
        self.n += ahead;
        written
    }

    async fn write_output(&mut self) -> Result<(), StoreError> {
        let lines = std::mem::take(&mut self.output);
        let Some((epoch, seq, step, _)) = lines.first() else {
            return Ok(());
        };
        let texts: Vec<&str> = lines.iter().map(|(_, _, _, text)| text.as_str()).collect();
        let text = texts.join("\n") + "\n";
        let (run, node) = (&self.key.run, &self.key.node);
        let blob = Blobs::name(run, &format!("part-{node}.{epoch}.{seq}"))?;
        let near = self.blobs.is_near() && self.blobs.write(&blob, text.as_bytes()).await.is_ok();
        if !near {
            self.store.to_spool(self.tx, &blob, &text).await?;
        }
        let count = stored::<usize>(lines.len());
        sqlx::query(
            "insert into chunk (run, node, epoch, seq, n, lines, step, bytes, blob) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(run)
        .bind(node)
        .bind(stored(*epoch))
        .bind(stored(*seq))
        .bind(self.n - count + 1)
        .bind(count)
        .bind(step.map(stored))
        .bind(stored::<usize>(text.len()))
        .bind(blob)
        .execute(&mut **self.tx)
        .await?;
        Ok(())
    }
}

enum Step {
    Taken,
    Known,
    Gap,
}

/// The kind of an event, even if this gateway does not know it.
fn kind(line: &str) -> String {
    #[derive(serde::Deserialize)]
    struct Kind {
        event: String,
    }
    let read = serde_json::from_str::<Kind>(line);
    let word = read.map(|kind| kind.event).unwrap_or_default();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    word.chars()
        .filter(|letter| plain(*letter))
        .take(64)
        .collect()
}

/// The valid answers to a question. Older versions of opsbook do not send them.
fn choices(line: &str) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Choices {
        #[serde(default)]
        choices: Vec<String>,
    }
    let read = serde_json::from_str::<Choices>(line);
    let mut choices = read.map(|read| read.choices).unwrap_or_default();
    choices.truncate(32);
    choices.retain(|choice| choice.len() <= wire::limit::NAME && !choice.contains('\0'));
    choices
}
