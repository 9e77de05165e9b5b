//! A gateway with a thousand runners: what they cost it while they wait, how long an ask waits for
//! its runner, how long a thousand runs take, and what a million results of checks in a minute
//! cost. Each runner is a task of this process that speaks the true protocol over a connection of
//! its own; the gateway is a process. All of them are in one segment: each ask wakes them all.
//!
//! `cargo bench -p opsbook-gateway --bench fleet` measures on SQLite, and on PostgreSQL where root
//! can start one; `-- runners` and `-- checks` measure one of the two, `-- sqlite` on one store.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::missing_docs_in_private_items,
    reason = "a program that prints what it measured, or ends"
)]

#[path = "../../../benches/bench/measured.rs"]
mod measured;
#[path = "../tests/it/postgres.rs"]
#[allow(dead_code, reason = "its tests need more of it")]
mod postgres;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opsbook_client::{Client, Token};
use opsbook_gateway::store::Store;
use opsbook_gateway::store::checks::NewRound;
use opsbook_gateway::token::sha256;
use opsbook_wire as wire;
use wire::check::{Checked, CheckedNode, NODES, Round, Taken, Traces};
use wire::runner::EndState;
use wire::version::Installed;
use wire::{
    Acked, Ask, Asked, Ended, Hello, Lines, LinesOfPart, News, NodeLogin, PartEnd, Source, Work,
    endpoint,
};

const RUNNERS: usize = 1_000;
const SEGMENT: &str = "dmz";
/// Of each node.
const CHECKS: usize = 10;
/// Asks of which one follows the other.
const ASKS: usize = 100;
const IDLE: Duration = Duration::from_secs(20);
/// The median of so many counts.
const ROUNDS: usize = 3;
/// A request for news stays open for so long, as a runner's does.
const BEAT: Duration = Duration::from_secs(10);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = { words.iter() }
        .map(String::as_str)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let is = |all: &[&str], word: &str| {
        !all.iter().any(|word| words.contains(word)) || words.contains(&word)
    };
    more_files();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (on, more) in [("sqlite", ""), ("postgres", "-pg")] {
        if !is(&["sqlite", "postgres"], on) {
            continue;
        }
        let url = match on {
            "sqlite" => None,
            _ => match postgres::database("fleet") {
                Some(url) => Some(url),
                None => continue,
            },
        };
        runtime.block_on(async {
            let fleet = Fleet::start(url).await;
            if is(&["runners", "checks"], "runners") {
                fleet.waits(more).await;
                fleet.runs(more).await;
            }
            if is(&["runners", "checks"], "checks") {
                fleet.checks(more).await;
            }
        });
    }
}

/// A connection each, on both sides.
fn more_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, wanted).unwrap();
}

/// A gateway, and what its runners have seen.
struct Fleet {
    gateway: Child,
    person: Client,
    store: Store,
    seen: Arc<Seen>,
    _folder: tempfile::TempDir,
}

#[derive(Default)]
struct Seen {
    /// When a runner was given a run.
    begun: Mutex<BTreeMap<String, Instant>>,
    ended: AtomicUsize,
    /// Rounds that were taken in, and when the first was sent and the last answered.
    rounds: AtomicUsize,
    sent: Mutex<Option<(Instant, Instant)>>,
    asked: AtomicUsize,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = self.gateway.kill();
        let _ = self.gateway.wait();
    }
}

impl Fleet {
    async fn start(url: Option<String>) -> Fleet {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("m");
        write_manual(&root);
        let state = root.join(".opsbook/gateway");
        std::fs::create_dir_all(&state).unwrap();
        let store = match &url {
            Some(url) => Store::open(url).await.unwrap(),
            None => Store::open_file(&state.join("gateway.db")).await.unwrap(),
        };
        let mut secrets = Vec::new();
        for number in 0..RUNNERS {
            let name = format!("r{number}");
            secrets.push(store.enroll(SEGMENT, &name).await.unwrap().1);
        }
        let config = url.map_or(String::new(), |url| format!("[store]\nurl = \"{url}\"\n"));
        std::fs::write(state.join("gateway.toml"), config).unwrap();
        let gateway = Command::new(env!("CARGO_BIN_EXE_opsbook-gateway"))
            .args(["--no-runner", "--listen", "127.0.0.1:0"])
            .current_dir(&root)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let local = address(&state).await;
        let client = |secret: &str| {
            let address = local.parse().unwrap();
            let version = env!("CARGO_PKG_VERSION");
            Client::new(
                address,
                Some(Token::new(secret)),
                version,
                Installed::Archive,
            )
        };
        let token = std::fs::read_to_string(state.join("token")).unwrap();
        let seen = Arc::new(Seen::default());
        for (number, secret) in secrets.iter().enumerate() {
            tokio::spawn(runner(number, client(secret), Arc::clone(&seen)));
        }
        let asked = || seen.asked.load(Ordering::Relaxed);
        until("all runners ask", || asked() == RUNNERS).await;
        Fleet {
            gateway,
            person: client(token.trim()),
            store,
            seen,
            _folder: folder,
        }
    }

    fn memory(&self) -> f64 {
        let process = self.gateway.id().to_string();
        measured::high_water(&process).unwrap() / 1024.0
    }

    /// Processor time of the gateway until now, in seconds.
    fn spent(&self) -> f64 {
        let path = format!("/proc/{}/stat", self.gateway.id());
        let stat = std::fs::read_to_string(path).unwrap();
        let (_, rest) = stat.rsplit_once(") ").unwrap();
        let ticks = rest.split(' ').skip(11).take(2);
        let ticks: f64 = ticks.map(|ticks| ticks.parse::<f64>().unwrap()).sum();
        ticks / 100.0
    }

    /// Nothing happens.
    async fn waits(&self, more: &str) {
        tokio::time::sleep(BEAT).await;
        let mut minutes = Vec::new();
        for _ in 0..ROUNDS {
            let (before, begun) = (self.spent(), Instant::now());
            tokio::time::sleep(IDLE).await;
            minutes.push((self.spent() - before) * 60.0 / begun.elapsed().as_secs_f64());
        }
        let (median, said) = middle(minutes);
        let seconds = IDLE.as_secs();
        let said = format!("of {RUNNERS} connections; {said}, of {seconds} s each");
        measured::found(&format!("fleet-idle{more}"), median, &said);
        let said = "the most of the process until then";
        measured::found(&format!("fleet-memory{more}"), self.memory(), said);
    }

    async fn ask(&self, node: usize) -> String {
        let ask = Ask {
            procedure: "p".to_owned(),
            nodes: vec![format!("n{node}")],
            ..Ask::default()
        };
        let asked: Asked = self.person.post(endpoint::ASKS, &ask).await.unwrap();
        asked.run
    }

    /// One ask after the other; then one for each runner, as fast as they are taken.
    async fn runs(&self, more: &str) {
        let (mut answers, mut waits) = (Vec::new(), Vec::new());
        for number in 0..ASKS {
            let before = Instant::now();
            let run = self.ask(number % RUNNERS).await;
            answers.push(before.elapsed());
            until("a runner has it", || self.begun(&run).is_some()).await;
            waits.push(self.begun(&run).unwrap().duration_since(before));
        }
        waits.sort();
        answers.sort();
        let said = format!(
            "median of {ASKS} asks; 95 of 100 within {:.0?}; the answer to the ask alone {:.0?}",
            waits[ASKS * 95 / 100],
            answers[ASKS / 2]
        );
        let median = waits[ASKS / 2].as_secs_f64();
        measured::found(&format!("fleet-start{more}"), median, &said);
        let ended = || self.seen.ended.load(Ordering::Relaxed);
        until("they have ended", || ended() == ASKS).await;
        let (before, spent) = (Instant::now(), self.spent());
        for number in 0..RUNNERS {
            self.ask(number).await;
        }
        let asked = before.elapsed();
        until("all have ended", || ended() == ASKS + RUNNERS).await;
        let said = format!(
            "all were asked for after {:.1} s; {:.1} s of processor time of the gateway",
            asked.as_secs_f64(),
            self.spent() - spent
        );
        let all = before.elapsed().as_secs_f64();
        measured::found(&format!("fleet-runs{more}"), all, &said);
    }

    fn begun(&self, run: &str) -> Option<Instant> {
        self.seen.begun.lock().unwrap().get(run).copied()
    }

    /// A round of each runner: first all results are new, then none.
    async fn checks(&self, more: &str) {
        self.store.schedule("drift").await.unwrap();
        let (spent, said) = self.round(1).await;
        measured::found(&format!("fleet-checks-first{more}"), spent, &said);
        let (mut all, mut last) = (Vec::new(), String::new());
        for due in (2..).take(ROUNDS) {
            let (spent, said) = self.round(due).await;
            all.push(spent);
            last = said;
        }
        let (median, said) = middle(all);
        measured::found(
            &format!("fleet-checks{more}"),
            median,
            &format!("{said}; the last: {last}"),
        );
        let said = "the most of the process";
        measured::found(&format!("fleet-checks-memory{more}"), self.memory(), said);
    }

    /// The processor time of the gateway for a round of each runner, and how fast they were taken.
    async fn round(&self, due: i64) -> (f64, String) {
        let rounds: Vec<NewRound> = (0_i64..).take(RUNNERS).map(new_round).collect();
        let (before, rounds_before) = (self.spent(), self.rounds());
        *self.seen.sent.lock().unwrap() = None;
        let added = self.store.add_rounds(("drift", due), &rounds).await;
        assert!(added.unwrap());
        until("all are taken", || self.rounds() == rounds_before + RUNNERS).await;
        let (first, last) = self.seen.sent.lock().unwrap().unwrap();
        let results = RUNNERS * NODES * CHECKS;
        let seconds = last.duration_since(first).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a million")]
        let speed = results as f64 / seconds;
        let said = format!("{results} results in {seconds:.1} s: {speed:.0} a second");
        (self.spent() - before, said)
    }

    fn rounds(&self) -> usize {
        self.seen.rounds.load(Ordering::Relaxed)
    }
}

/// The median, and what to say of all.
fn middle(mut all: Vec<f64>) -> (f64, String) {
    all.sort_by(f64::total_cmp);
    let (least, most) = (all[0], all[all.len() - 1]);
    let said = format!("{least:.2} to {most:.2} s in {} rounds", all.len());
    (all[all.len() / 2], said)
}

fn write_manual(root: &Path) {
    std::fs::create_dir_all(root.join("manual")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(root.join(name), text).unwrap();
    write("book.toml", "[book]\ntitle = \"T\"\nsrc = \"manual\"\n");
    write("manual/SUMMARY.md", "- [Page](page.md)\n");
    write(
        "manual/page.md",
        "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step\ntrue\n```\n",
    );
    let mut nodes =
        format!("opsbook: 1\ndefaults: {{transport: local, segment: {SEGMENT}}}\nnodes:\n");
    for number in 0..RUNNERS {
        writeln!(nodes, "  n{number}: {{}}").unwrap();
    }
    write("nodes.yaml", &nodes);
}

async fn address(state: &Path) -> String {
    let path = state.join("address.json");
    until("the gateway serves", || path.exists()).await;
    let text = std::fs::read(path).unwrap();
    let local: serde_json::Value = serde_json::from_slice(&text).unwrap();
    local["url"].as_str().unwrap().to_owned()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_mins(10), "never: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// What a runner does that has no process to start.
async fn runner(number: usize, client: Client, seen: Arc<Seen>) {
    let mut hello = Hello {
        boot: format!("boot-{number}"),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        room: 1,
        rounds: Some(Vec::new()),
        ..Hello::default()
    };
    let path = format!("{}?wait={}", endpoint::RUNNER_WORK, BEAT.as_secs());
    seen.asked.fetch_add(1, Ordering::Relaxed);
    loop {
        let news = client.post_and_wait::<News>(&path, &hello, BEAT).await;
        let Ok(news) = news else {
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        };
        let known = hello.ended.len();
        hello.ended.retain(|end| !news.ended.contains(&end.key()));
        seen.ended
            .fetch_add(known - hello.ended.len(), Ordering::Relaxed);
        for work in news.parts {
            let now = Instant::now();
            seen.begun.lock().unwrap().insert(work.run.clone(), now);
            hello.ended.push(run(&client, &work).await);
        }
        for round in news.rounds {
            let before = Instant::now();
            let checked = checked(&round);
            report(&client, &checked).await;
            seen.rounds.fetch_add(1, Ordering::Relaxed);
            let mut sent = seen.sent.lock().unwrap();
            let first = sent.map_or(before, |(first, _)| first.min(before));
            *sent = Some((first, Instant::now()));
        }
    }
}

/// Sends results until they are taken, as a runner does that is told to come later.
async fn report(client: &Client, checked: &Checked) {
    loop {
        let taken = client.post::<Taken>(endpoint::RUNNER_CHECKS, checked);
        match taken.await {
            Ok(_) => return,
            Err(error) => assert!(error.may_pass(), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Its lines, as one step has them, and its end.
async fn run(client: &Client, work: &Work) -> PartEnd {
    let mut lines: Vec<String> = Vec::new();
    for event in [
        r#""event":"step-ended","status":"OK","milliseconds":3"#,
        r#""event":"output","stream":"out","text":"well"}"#.trim_end_matches('}'),
        r#""event":"step-ended","status":"OK","milliseconds":3"#,
    ] {
        let seq = lines.len() + 1;
        let prev = lines.last().map_or_else(|| sha256(&work.run), sha256);
        lines.push(format!(
            r#"{{"v":2,"seq":{seq},"at":"2026-11-29T18:00:00Z","run":"{}","node":"{}","step":1,"epoch":{},{event},"prev":"{prev}"}}"#,
            work.run, work.node, work.epoch
        ));
    }
    let part = LinesOfPart {
        run: work.run.clone(),
        node: work.node.clone(),
        epoch: work.epoch,
        lines,
    };
    let parts = Lines { parts: vec![part] };
    let acked: Acked = client.post(endpoint::RUNNER_EVENTS, &parts).await.unwrap();
    assert!(acked.refused.is_empty(), "{acked:?}");
    PartEnd {
        run: work.run.clone(),
        node: work.node.clone(),
        epoch: work.epoch,
        state: EndState::Ended,
        status: Some(Ended::Ok),
        cause: None,
    }
}

fn new_round(slice: i64) -> NewRound {
    NewRound {
        segment: SEGMENT.to_owned(),
        slice,
        round: Round {
            id: String::new(),
            manual: "m".to_owned(),
            source: Source::Folder { path: "/m".into() },
            nodes: (0..NODES).map(|node| format!("n{slice}-{node}")).collect(),
            checks: vec!["machine::*".to_owned()],
            login: NodeLogin::Own,
            traces: Traces::Told,
        },
    }
}

fn checked(round: &Round) -> Checked {
    let of = |node: &String| CheckedNode {
        node: node.clone(),
        held: (0..CHECKS)
            .map(|check| format!("machine::check{check}"))
            .collect(),
        ..CheckedNode::default()
    };
    Checked {
        id: round.id.clone(),
        nodes: round.nodes.iter().map(of).collect(),
        error: None,
    }
}
