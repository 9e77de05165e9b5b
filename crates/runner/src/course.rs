//! The runner's main loop: asks for news, starts parts, passes on what their processes should do,
//! and reports ends. One task owns the parts; all others send it messages.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opsbook_client::{Client, ClientError};
use opsbook_text::random;
use opsbook_wire::check::Round;
use opsbook_wire::runner::EndState;
use opsbook_wire::{
    AnswerOut, Ended, Held, Hello, Mode, News, PartEnd, PartKey, Want, Work, endpoint, limit,
};
use tokio::sync::{mpsc, watch};

use crate::approval::{Approver, Approvers, verified};
use crate::certificate::{Certified, Task};
use crate::checks::Asking;
use crate::child::{Before, Child};
use crate::crashes::{Crashes, MOST, WITHIN};
use crate::folder::{Folder, PartFolder, RunnerError};
use crate::happened::{Exit, Happened, Tell};
use crate::manual::bring;
use crate::outcome::{Outcome, end, is_on_node_already, outcome};
use crate::renewal::keep;
use crate::uploads::Uploads;

/// The first delay after a failed request; doubles up to `LATEST`.
const SOONEST: Duration = Duration::from_millis(200);
const LATEST: Duration = Duration::from_secs(5);
/// After a restart, how long to wait for the gateway to say which parts belong to others by now.
/// The nodes know that as well.
const FIRST_WORD: Duration = Duration::from_secs(5);

/// A runner's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its state folder.
    pub folder: Folder,
    /// The `opsbook` program that it starts.
    pub program: PathBuf,
    /// Parts at a time.
    pub room: u32,
    /// How long a request for news stays open. Each request renews the leases.
    pub beat: Duration,
    /// The version of this program.
    pub version: String,
    /// Whose approvals count; `None` if the runner verifies none.
    pub approvers: Option<Approvers>,
}

/// The pause before the next request if an answer contained nothing new.
const REPEATED: Duration = Duration::from_millis(250);
/// How long to take no more parts after a failed write to disk.
const SICK: Duration = Duration::from_secs(30);

type Place = (String, String);

/// A part that the runner holds.
#[derive(Debug)]
struct Part {
    work: Work,
    stage: Stage,
    before: Before,
    crashes: Crashes,
    want: Option<Want>,
    /// Answers that its process has received.
    answered: BTreeSet<u64>,
    manual: PathBuf,
    /// The people who have approved it.
    approved: Vec<Approver>,
    /// Its process's login, if the gateway must provide it.
    login: Option<Certified>,
    /// The pending request for a login.
    asking: Option<Task>,
    /// The same part with a later lease, to begin after this one is over.
    next: Option<Work>,
    /// The gateway does not accept its journal, which stays here.
    kept: bool,
}

/// The state of a part.
#[derive(Debug)]
enum Stage {
    /// Its manual is being fetched, or its process restarts soon.
    Coming,
    Running(Child),
    /// Its process was told to end: another runner has the part.
    Leaving(Child),
    /// Its last lines are being sent; then it ends with this, or belongs to another runner.
    Sending(Option<PartEnd>),
    /// Reported to the gateway until it confirms.
    Ended(PartEnd),
}

/// Whether a message of the gateway is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    New,
    /// It is repeated until the journal shows the effect.
    Before,
}

struct Course<F> {
    client: Client,
    settings: Settings,
    boot: String,
    parts: BTreeMap<Place, Part>,
    uploads: Uploads,
    tell: Tell,
    note: Arc<F>,
    /// Rounds of checks in progress.
    asking: Asking,
    /// When a write to disk failed.
    sick: Option<Instant>,
    /// Whether it has said that it is too old.
    told_old: bool,
}

/// Works until `stop` becomes true, or until its last part has ended while draining. The next start
/// continues what is left. `note` gets messages for people.
///
/// # Errors
/// If its folder cannot be used, or the gateway does not accept it.
pub async fn run<F: Fn(String) + Send + Sync + 'static>(
    client: Client,
    settings: Settings,
    mut stop: watch::Receiver<bool>,
    note: F,
) -> Result<(), RunnerError> {
    let _lock = settings.folder.lock()?;
    settings.folder.is_good()?;
    settings.folder.drain_no_more();
    settings.folder.forget_keys();
    let (tell, mut told) = mpsc::unbounded_channel();
    let note = Arc::new(note);
    let uploads = Uploads::new(tell.clone());
    let noted = Arc::clone(&note);
    let renewal = keep(client.clone(), settings.folder.clone(), move |text| {
        noted(text);
    });
    tokio::spawn(renewal);
    let noted = Arc::clone(&note);
    tokio::spawn(uploads.clone().go(client.clone(), move |text| noted(text)));
    let mut course = Course {
        boot: random::hex::<16>(),
        client,
        settings,
        parts: BTreeMap::new(),
        uploads,
        tell,
        note,
        asking: Asking::default(),
        sick: None,
        told_old: false,
    };
    tokio::select! {
        () = course.take_up() => {}
        stopped = stopped(&mut stop) => return stopped,
    }
    let mut wait = SOONEST;
    loop {
        if course.parts.is_empty() && course.settings.folder.is_draining() {
            return Ok(());
        }
        let hello = course.hello();
        let asked = course.client.clone();
        let beat = course.settings.beat;
        let path = format!(
            "{}?wait={}",
            endpoint::RUNNER_WORK,
            beat.as_secs().min(limit::WAIT)
        );
        let asking = asked.post_and_wait::<News>(&path, &hello, beat);
        let news = tokio::select! {
            biased;
            stopped = stopped(&mut stop) => return stopped,
            Some((key, happened)) = told.recv() => {
                course.happened(&key, happened);
                while let Ok((key, happened)) = told.try_recv() {
                    course.happened(&key, happened);
                }
                continue;
            }
            news = asking => news,
        };
        match news {
            Ok(news) => {
                wait = SOONEST;
                course.tell_old();
                if course.take(news) == Heard::Before {
                    course.wait(&mut told, &mut stop, REPEATED).await;
                }
            }
            Err(error) => {
                course.went_wrong(error)?;
                course.sends_again();
                course.wait(&mut told, &mut stop, wait).await;
                wait = (wait * 2).min(LATEST);
            }
        }
    }
}

/// Resolves when it is told to stop; never if nobody is left to tell.
async fn stopped(stop: &mut watch::Receiver<bool>) -> Result<(), RunnerError> {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
    Ok(())
}

impl<F: Fn(String) + Send + Sync + 'static> Course<F> {
    /// Continues the parts that it held when it ended, after hearing which belong to others by now.
    async fn take_up(&mut self) {
        for folder in self.settings.folder.parts() {
            let Some(work) = folder.work().filter(|_| !folder.is_known()) else {
                continue;
            };
            let key = work.key();
            self.uploads.add(&key, folder.journal(&work.run), 0);
            let end = folder.end().filter(|end| end.key() == key);
            if end.is_some() {
                self.uploads.last(&key);
            }
            let stage = end.map_or(Stage::Coming, |end| Stage::Sending(Some(end)));
            let part = Part {
                before: Before::Somebody,
                ..Part::new(work, stage)
            };
            self.parts.insert(place(&key), part);
        }
        if self.parts.is_empty() {
            return;
        }
        let hello = self.hello();
        let beat = self.client.post::<News>(endpoint::RUNNER_BEAT, &hello);
        match tokio::time::timeout(FIRST_WORD, beat).await {
            Ok(Ok(news)) => drop(self.take(news)),
            Ok(Err(error)) => (self.note)(format!("{error}")),
            Err(_) => (self.note)("the gateway does not answer: running parts continue".to_owned()),
        }
        let coming = self
            .parts
            .values()
            .filter(|part| matches!(part.stage, Stage::Coming));
        let coming: Vec<Work> = coming.map(|part| part.work.clone()).collect();
        for work in coming {
            (self.note)(format!("{}: continues after a restart", work.key()));
            self.bring(&work);
        }
    }

    /// Says once why it gets no new parts.
    fn tell_old(&mut self) {
        let old = self.client.older();
        let Some((oldest, old)) = old.and_then(|old| Some((old.oldest.clone()?, old))) else {
            self.told_old = false;
            return;
        };
        if !std::mem::replace(&mut self.told_old, true) {
            let upgrade = old
                .upgrade
                .map_or_else(String::new, |how| format!(": {how}"));
            (self.note)(format!(
                "opsbook {} is too old for {}, which serves {oldest} and newer; this runner ends \
                 what it has, and gets nothing new{upgrade}",
                self.settings.version,
                self.client.address()
            ));
        }
    }

    fn hello(&self) -> Hello {
        let (mut parts, mut ended) = (Vec::new(), Vec::new());
        for part in self.parts.values() {
            match &part.stage {
                Stage::Ended(end) => ended.push(end.clone()),
                Stage::Leaving(_) | Stage::Sending(None) => {}
                _ => parts.push(part.work.key()),
            }
        }
        let held = u32::try_from(self.parts.len()).unwrap_or(u32::MAX);
        let sick = self.sick.is_some_and(|since| since.elapsed() < SICK);
        let room = if sick || self.settings.folder.is_draining() {
            0
        } else {
            self.settings.room.saturating_sub(held)
        };
        Hello {
            boot: self.boot.clone(),
            version: self.settings.version.clone(),
            room,
            parts,
            ended,
            rounds: (room > 0).then(|| self.asking.all()),
        }
    }

    fn take(&mut self, news: News) -> Heard {
        let again = news.is_any() && news.ended.is_empty();
        let mut heard = if again { Heard::Before } else { Heard::New };
        for key in news.ended {
            self.known(&key);
        }
        if !(news.lost.is_empty() && news.parts.is_empty()) {
            heard = Heard::New;
        }
        for key in news.lost {
            self.lose(&key);
        }
        for work in news.parts {
            self.give(work);
        }
        for round in news.rounds {
            heard = Heard::New;
            self.ask(round);
        }
        for want in news.wants {
            let key = PartKey {
                run: want.run,
                node: want.node,
                epoch: want.epoch,
            };
            heard = heard.or(self.want(&key, want.wants));
        }
        for answer in &news.answers {
            heard = heard.or(self.answer(answer));
        }
        heard
    }

    fn ask(&self, round: Round) {
        let (tell, note) = (self.tell.clone(), Arc::clone(&self.note));
        let folder = &self.settings.folder;
        let with = (
            self.client.clone(),
            self.settings.program.clone(),
            folder.clone(),
        );
        self.asking.begin(round, with, move |said| {
            if !said.is_empty() {
                note(said);
            }
            // It belongs to no part: the gateway learns at once that there is room for another
            // round.
            let nobody = PartKey {
                run: String::new(),
                node: String::new(),
                epoch: 0,
            };
            let _ = tell.send((nobody, Happened::Again));
        });
    }

    /// Takes a new part, or one that it has, if the last answer was lost.
    fn give(&mut self, work: Work) {
        if !(limit::is_name(&work.run) && limit::is_name(&work.node)) {
            (self.note)("the gateway names no run or node".to_owned());
            return;
        }
        let key = work.key();
        let Some(part) = self.parts.get_mut(&place(&key)) else {
            self.begin(work);
            return;
        };
        if part.work.epoch >= work.epoch {
            return;
        }
        part.next = Some(work);
        let before = part.work.key();
        match part.stage {
            Stage::Ended(_) => self.over(&before),
            _ => self.lose(&before),
        }
    }

    fn begin(&mut self, mut work: Work) {
        let key = work.key();
        let lines = std::mem::take(&mut work.journal);
        let folder = self.folder(&key);
        (self.note)(format!("{key}: `{}` accepted", work.procedure));
        let before = match work.mode {
            Mode::Begin if !folder.journal(&work.run).exists() => Before::Nobody,
            _ => Before::Somebody,
        };
        if let Err(error) = folder.keep(&work) {
            // Nothing begins without being on disk; other runners can still take it.
            (self.note)(format!("{key}: {error}"));
            self.sick = Some(Instant::now());
            return;
        }
        let has = folder.seed(&work.run, &lines);
        self.uploads.add(&key, folder.journal(&work.run), has);
        self.bring(&work);
        let part = Part {
            before,
            ..Part::new(work, Stage::Coming)
        };
        self.parts.insert(place(&key), part);
    }

    fn bring(&self, work: &Work) {
        let (client, work, tell) = (self.client.clone(), work.clone(), self.tell.clone());
        let manuals = self.settings.folder.manuals();
        tokio::spawn(async move {
            let brought = bring(&client, &manuals, (&work.manual, &work.source)).await;
            let _ = tell.send((work.key(), Happened::Brought(brought)));
        });
    }

    fn happened(&mut self, key: &PartKey, happened: Happened) {
        let Some(part) = self.parts.get_mut(&place(key)) else {
            return;
        };
        if part.work.key() != *key {
            return;
        }
        match (happened, &part.stage) {
            (Happened::Brought(Ok(manual)), Stage::Coming) => {
                part.manual = manual;
                self.verify(key);
            }
            (Happened::Approved(Ok(people)), Stage::Coming) => {
                part.approved = people;
                self.certify(key);
            }
            (Happened::Approved(Err(why)), Stage::Coming) => {
                let state = not_begun_here(&part.work);
                let end = end(&part.work, state, Ended::Blocked, Some(why));
                self.ended(key, end);
            }
            (Happened::Certified(Ok(login)), Stage::Coming) => {
                part.login = Some(login);
                self.start(key);
            }
            (Happened::Certified(Err(why)), Stage::Coming) => {
                let state = not_begun_here(&part.work);
                let end = end(&part.work, state, Ended::Error, Some(why));
                self.ended(key, end);
            }
            (Happened::Brought(Err(why)), Stage::Coming) => self.died(key, &why),
            (Happened::Again, Stage::Coming) if part.manual.as_os_str().is_empty() => {
                let work = part.work.clone();
                self.bring(&work);
            }
            (Happened::Again, Stage::Coming) => self.certify(key),
            (Happened::Exited(exit), Stage::Running(_)) => self.exited(key, &exit),
            (Happened::Exited(_), Stage::Leaving(_)) => {
                part.login = None;
                part.stage = Stage::Sending(None);
                self.uploads.last(key);
            }
            (Happened::Kept, _) => part.kept = true,
            (Happened::Sent, Stage::Sending(None)) => self.over(key),
            (Happened::Sent, Stage::Sending(Some(end))) => part.stage = Stage::Ended(end.clone()),
            _ => {}
        }
    }

    /// Verifies approvals before anything starts.
    fn verify(&self, key: &PartKey) {
        let Some(part) = self.parts.get(&place(key)) else {
            return;
        };
        let (approvers, work) = (self.settings.approvers.clone(), part.work.clone());
        let (tell, key) = (self.tell.clone(), key.clone());
        tokio::task::spawn_blocking(move || {
            let approved = verified(approvers.as_ref(), &work);
            let _ = tell.send((key, Happened::Approved(approved)));
        });
    }

    /// Requests a new login before each start.
    fn certify(&mut self, key: &PartKey) {
        let keys = self.settings.folder.keys();
        let Some(part) = self.parts.get_mut(&place(key)) else {
            return;
        };
        if part.work.login.is_own() {
            self.start(key);
            return;
        }
        let (client, tell, key) = (self.client.clone(), self.tell.clone(), key.clone());
        let asking = tokio::spawn(async move {
            let certified = Certified::new(client, &keys, Held::Part(key.clone())).await;
            let _ = tell.send((key, Happened::Certified(certified)));
        });
        part.asking = Some(Task(asking.abort_handle()));
    }

    fn start(&mut self, key: &PartKey) {
        let folder = self.folder(key);
        let Some(part) = self.parts.get_mut(&place(key)) else {
            return;
        };
        part.answered.clear();
        let ssh = part.login.as_ref().map(Certified::config);
        let started = Child::start(
            &self.settings.program,
            &part.work,
            (part.before, &part.approved),
            (&part.manual, &folder, ssh.as_deref()),
            (self.tell.clone(), self.uploads.clone()),
        );
        match started {
            Ok(child) => {
                if let Some(want) = part.want {
                    child.stop(want);
                }
                part.before = Before::Somebody;
                part.stage = Stage::Running(child);
            }
            Err(error) => {
                let said = format!("`{}`: {error}", self.settings.program.display());
                self.exited(key, &Exit { code: None, said });
            }
        }
    }

    fn exited(&mut self, key: &PartKey, exit: &Exit) {
        let folder = self.folder(key);
        let Some(part) = self.parts.get_mut(&place(key)) else {
            return;
        };
        part.login = None;
        let record = opsbook_journal::read_in(&folder.journals(), &key.run).ok();
        let as_new = matches!(&part.stage, Stage::Running(child) if child.before == Before::Nobody);
        if as_new && is_on_node_already(exit, record.as_ref()) {
            (self.note)(format!("{key}: the node may know this run: asking it"));
            part.stage = Stage::Coming;
            let _ = self.tell.send((key.clone(), Happened::Again));
            return;
        }
        match outcome(&part.work, exit, record.as_ref()) {
            Outcome::End(end) => self.ended(key, end),
            Outcome::Died(how) => self.died(key, &format!("its process {how}")),
        }
    }

    fn died(&mut self, key: &PartKey, how: &str) {
        let Some(part) = self.parts.get_mut(&place(key)) else {
            return;
        };
        (self.note)(format!("{key}: {how}"));
        let Some(wait) = part.crashes.add(Instant::now()) else {
            let seconds = WITHIN.as_secs();
            let cause = format!("{MOST} times within {seconds} seconds: {how}");
            let end = end(&part.work, EndState::Halted, Ended::Error, Some(cause));
            self.ended(key, end);
            return;
        };
        part.stage = Stage::Coming;
        let (tell, key) = (self.tell.clone(), key.clone());
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let _ = tell.send((key, Happened::Again));
        });
    }

    fn ended(&mut self, key: &PartKey, end: PartEnd) {
        let folder = self.folder(key);
        let status = end.status.map_or("", Ended::word);
        let cause = end.cause.as_ref().map(|cause| format!(": {cause}"));
        (self.note)(format!("{key}: {status}{}", cause.unwrap_or_default()));
        if let Err(error) = folder.keep_end(&end) {
            // After a restart it is tried again; the node knows that it has ended.
            (self.note)(format!("{key}: {error}"));
        }
        if let Some(part) = self.parts.get_mut(&place(key)) {
            part.stage = Stage::Sending(Some(end));
        }
        self.uploads.last(key);
    }

    /// Drops a part that belongs to another runner or has ended.
    fn lose(&mut self, key: &PartKey) {
        let Some(part) = self.parts.get_mut(&place(key)) else {
            return;
        };
        if part.work.key() != *key {
            return;
        }
        (self.note)(format!("{key}: no longer held"));
        part.asking = None;
        match std::mem::replace(&mut part.stage, Stage::Sending(None)) {
            Stage::Leaving(child) => part.stage = Stage::Leaving(child),
            Stage::Running(mut child) => {
                child.kill();
                part.stage = Stage::Leaving(child);
            }
            _ => self.uploads.last(key),
        }
    }

    /// The gateway has confirmed its end.
    fn known(&mut self, key: &PartKey) {
        let part = self.parts.get(&place(key));
        let ended = part
            .is_some_and(|part| part.work.key() == *key && matches!(part.stage, Stage::Ended(_)));
        if ended {
            self.over(key);
        }
    }

    /// Nothing is left to do for this lease.
    fn over(&mut self, key: &PartKey) {
        let Some(part) = self.parts.remove(&place(key)) else {
            return;
        };
        let folder = self.folder(key);
        match &part.stage {
            Stage::Ended(end) if end.state == EndState::Ended && !part.kept => folder.remove(),
            Stage::Ended(_) => folder.know(),
            // Its journal stays for a while: the part may come back with another epoch.
            _ => {
                let lost = end(&part.work, EndState::Crashed, Ended::Error, None);
                let _ = folder.keep_end(&lost);
                folder.know();
            }
        }
        if let Some(next) = part.next {
            self.begin(next);
        }
    }

    fn want(&mut self, key: &PartKey, want: Want) -> Heard {
        let Some(part) = self.parts.get_mut(&place(key)) else {
            return Heard::Before;
        };
        if part.work.key() != *key || part.want == Some(want) {
            return Heard::Before;
        }
        part.want = Some(want);
        if let Stage::Running(child) = &part.stage {
            child.stop(want);
        }
        Heard::New
    }

    fn answer(&mut self, answer: &AnswerOut) -> Heard {
        let place = (answer.run.clone(), answer.node.clone());
        let Some(part) = self.parts.get_mut(&place) else {
            return Heard::Before;
        };
        if let Stage::Running(child) = &part.stage
            && part.work.epoch == answer.epoch
            && part.answered.insert(answer.seq)
        {
            child.answer(answer);
            return Heard::New;
        }
        Heard::Before
    }

    fn folder(&self, key: &PartKey) -> PartFolder {
        self.settings.folder.part(&key.run, &key.node)
    }

    /// An error that no later request can fix ends the runner.
    fn went_wrong(&self, error: ClientError) -> Result<(), RunnerError> {
        use opsbook_wire::Kind;
        if let Some(Kind::TooOld | Kind::NotLoggedIn | Kind::NotAllowed) = error.kind() {
            return Err(error.into());
        }
        (self.note)(error.to_string());
        Ok(())
    }

    /// Sends all lines of ended parts again if the gateway did not confirm their end: it may come
    /// back with an older store. It ignores lines that it has.
    fn sends_again(&mut self) {
        for part in self.parts.values_mut().filter(|part| !part.kept) {
            let Stage::Ended(end) = &part.stage else {
                continue;
            };
            part.stage = Stage::Sending(Some(end.clone()));
            let (key, folder) = (part.work.key(), &self.settings.folder);
            let journal = folder.part(&key.run, &key.node).journal(&key.run);
            self.uploads.add(&key, journal, 0);
            self.uploads.last(&key);
        }
    }

    /// Waits for the next request, and handles messages about parts meanwhile.
    async fn wait(
        &mut self,
        told: &mut mpsc::UnboundedReceiver<(PartKey, Happened)>,
        stop: &mut watch::Receiver<bool>,
        wait: Duration,
    ) {
        let until = tokio::time::Instant::now() + wait;
        loop {
            tokio::select! {
                biased;
                _ = stopped(stop) => return,
                Some((key, happened)) = told.recv() => self.happened(&key, happened),
                () = tokio::time::sleep_until(until) => return,
            }
        }
    }
}

impl Heard {
    fn or(self, other: Heard) -> Heard {
        if self == Heard::New { self } else { other }
    }
}

impl Part {
    fn new(work: Work, stage: Stage) -> Part {
        Part {
            work,
            stage,
            before: Before::Nobody,
            crashes: Crashes::default(),
            want: None,
            answered: BTreeSet::new(),
            manual: PathBuf::new(),
            approved: Vec::new(),
            login: None,
            asking: None,
            next: None,
            kept: false,
        }
    }
}

/// The end of a part whose process was not started. The work of an earlier controller on the node
/// is unknown here.
fn not_begun_here(work: &Work) -> EndState {
    match work.epoch {
        1 => EndState::Ended,
        _ => EndState::Halted,
    }
}

fn place(key: &PartKey) -> Place {
    (key.run.clone(), key.node.clone())
}
