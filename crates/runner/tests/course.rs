//! ! A runner between a scripted gateway and a program that stands in for `opsbook` and writes a
//! journal.

#![allow(
    clippy::unwrap_used,
    clippy::missing_docs_in_private_items,
    reason = "a test that cannot go on fails"
)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opsbook_client::Client;
use opsbook_runner::{Approvers, Folder, Settings};
use opsbook_wire::runner::EndState;
use opsbook_wire::version::Installed;
use opsbook_wire::{
    Acked, AnswerOut, Confirm, Ended, Hello, Lines, Mode, News, PartKey, Source, Want, WantOut,
    Work,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const RUN: &str = "20261129-120000-ab12";
const BOUND: Duration = Duration::from_mins(1);

/// Writes its arguments and each line of standard input to `told`. Its journal gets one line for
/// each line of `says`. Then it does what `does` says, once.
const PROGRAM: &str = r#"#!/bin/sh
for word do
  case $word in
    --journal=*) journal=${word#*=} ;;
    --run=*) run=${word#*=} ;;
    --epoch=*) epoch=${word#*=} ;;
  esac
done
cd "$(dirname "$0")"
echo "$*" >>told
n=$(cat "$journal/$run.jsonl" 2>/dev/null | wc -l)
line() {
  n=$((n+1))
  printf '{"v":2,"seq":%d,"at":"","run":"%s","epoch":%d,"event":"warned","text":"%s"}\n' "$n" "$run" "$epoch" "$1" >>"$journal/$run.jsonl"
  echo "$n"
}
line begun
. ./does
"#;

#[derive(Default)]
struct Said {
    hellos: Vec<Hello>,
    lines: BTreeMap<(u64, u64), String>,
    /// The answer that the gateway repeats until the runner has heard it.
    news: News,
    /// The number of requests to answer with a broken connection.
    breaks: usize,
    /// The number of lines of each request to store.
    stores: usize,
}

impl Said {
    /// The news that the runner has not heard yet. It hears answers with every reply.
    fn news(&self) -> News {
        let mut news = self.news.clone();
        let heard = |work: &Work| {
            let ends = |hello: &Hello| hello.ended.iter().any(|end| end.key() == work.key());
            let mut hellos = self.hellos.iter();
            hellos.any(|hello| hello.parts.contains(&work.key()) || ends(hello))
        };
        news.parts.retain(|work| !heard(work));
        let parts = self.hellos.last().map(|hello| hello.parts.clone());
        let has = |key: &PartKey| parts.as_ref().is_some_and(|parts| parts.contains(key));
        news.lost.retain(&has);
        if !has(&key(1)) {
            news.wants.clear();
            news.answers.clear();
        }
        news
    }
}

/// A gateway with scripted answers.
#[derive(Clone)]
struct Gateway(Arc<Mutex<Said>>);

impl Gateway {
    async fn start() -> (Gateway, Client) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let gateway = Gateway(Arc::new(Mutex::new(Said {
            stores: usize::MAX,
            ..Said::default()
        })));
        let serving = gateway.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        let client = Client::new(address.parse().unwrap(), None, "0.1.0", Installed::Archive);
        (gateway, client)
    }

    async fn serve(self, mut stream: TcpStream) -> Option<()> {
        let mut seen = Vec::new();
        loop {
            let (path, body) = request(&mut stream, &mut seen).await?;
            if self.breaks() {
                return None;
            }
            let answer = if path.starts_with("/v1/runner/events") {
                let lines = serde_json::from_slice(&body).unwrap();
                serde_json::to_vec(&self.store(&lines)).unwrap()
            } else {
                let hello = serde_json::from_slice(&body).unwrap();
                let news = self.hear(hello, path.contains("wait")).await;
                serde_json::to_vec(&news).unwrap()
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
                answer.len()
            );
            stream.write_all(head.as_bytes()).await.ok()?;
            stream.write_all(&answer).await.ok()?;
        }
    }

    fn breaks(&self) -> bool {
        let mut said = self.0.lock().unwrap();
        let breaks = said.breaks > 0;
        said.breaks = said.breaks.saturating_sub(1);
        breaks
    }

    async fn hear(&self, hello: Hello, waits: bool) -> News {
        let ended: Vec<PartKey> = hello.ended.iter().map(opsbook_wire::PartEnd::key).collect();
        self.0.lock().unwrap().hellos.push(hello);
        for _ in 0..20 {
            let news = self.0.lock().unwrap().news();
            if news.is_any() || !waits || !ended.is_empty() {
                return News { ended, ..news };
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        News::default()
    }

    fn store(&self, lines: &Lines) -> Acked {
        let mut said = self.0.lock().unwrap();
        let stores = said.stores;
        let mut acked = Acked::default();
        for part in &lines.parts {
            for line in part.lines.iter().take(stores) {
                let value: serde_json::Value = serde_json::from_str(line).unwrap();
                let (epoch, seq) = (
                    value["epoch"].as_u64().unwrap(),
                    value["seq"].as_u64().unwrap(),
                );
                let before = said.lines.insert((epoch, seq), line.clone());
                assert!(before.is_none_or(|before| before == *line), "{line}");
                let key = format!("{}:{}:{epoch}", part.run, part.node);
                acked.acked.insert(key, seq);
            }
        }
        acked
    }

    fn say(&self, news: News) {
        let mut said = self.0.lock().unwrap();
        said.news.parts.extend(news.parts);
        said.news.lost.extend(news.lost);
        said.news.wants.extend(news.wants);
        said.news.answers.extend(news.answers);
    }

    fn lines(&self) -> Vec<(u64, u64)> {
        self.0.lock().unwrap().lines.keys().copied().collect()
    }

    async fn until<T>(&self, what: &str, mut find: impl FnMut(&Said) -> Option<T>) -> T {
        let begin = Instant::now();
        loop {
            if let Some(found) = find(&self.0.lock().unwrap()) {
                return found;
            }
            assert!(begin.elapsed() < BOUND, "never: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The reported end of this controller.
    async fn end(&self, epoch: u64) -> (EndState, Option<Ended>, Option<String>) {
        self.until("its end", |said| {
            let mut ends = said.hellos.iter().flat_map(|hello| &hello.ended);
            let end = ends.find(|end| end.epoch == epoch)?;
            Some((end.state, end.status, end.cause.clone()))
        })
        .await
    }
}

async fn request(stream: &mut TcpStream, seen: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    loop {
        let end = seen.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&seen[..end]).into_owned();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let length = length.map_or(0, |length| length.parse().unwrap());
            if seen.len() >= end + 4 + length {
                let body = seen[end + 4..end + 4 + length].to_vec();
                seen.drain(..end + 4 + length);
                let path = head.split(' ').nth(1).unwrap().to_owned();
                return Some((path, body));
            }
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(read @ 1..) => seen.extend_from_slice(&piece[..read]),
            _ => return None,
        }
    }
}

/// A runner with its folder, and the program that it starts.
struct Runner {
    dir: tempfile::TempDir,
    stop: Option<watch::Sender<bool>>,
    task: Option<tokio::task::JoinHandle<()>>,
    client: Client,
    approvers: Option<Approvers>,
}

impl Runner {
    fn new(client: Client, does: &str) -> Runner {
        Runner::with(client, does, None)
    }

    fn with(client: Client, does: &str, approvers: Option<Approvers>) -> Runner {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("program");
        fs::write(&program, PROGRAM).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let mut runner = Runner {
            dir,
            stop: None,
            task: None,
            client,
            approvers,
        };
        runner.does(does);
        runner.start();
        runner
    }

    fn does(&self, does: &str) {
        fs::write(self.path("does"), does).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn folder(&self) -> Folder {
        Folder::open(&self.path("runner")).unwrap()
    }

    fn start(&mut self) {
        let (stop, stopped) = watch::channel(false);
        let settings = Settings {
            folder: self.folder(),
            program: self.path("program"),
            room: 2,
            beat: Duration::from_secs(1),
            version: "0.1.0".into(),
            approvers: self.approvers.clone(),
        };
        let client = self.client.clone();
        self.task = Some(tokio::spawn(async move {
            opsbook_runner::run(client, settings, stopped, |_| {})
                .await
                .unwrap();
        }));
        self.stop = Some(stop);
    }

    async fn stop(&mut self) {
        self.stop.take().unwrap().send(true).unwrap();
        self.task.take().unwrap().await.unwrap();
    }

    fn told(&self) -> String {
        fs::read_to_string(self.path("told")).unwrap_or_default()
    }

    async fn until_told(&self, what: &str) {
        let begin = Instant::now();
        while !self.told().contains(what) {
            assert!(begin.elapsed() < BOUND, "never: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn work(epoch: u64, mode: Mode, folder: &Path) -> News {
    let work = Work {
        run: RUN.into(),
        node: "web1".into(),
        epoch,
        mode,
        manual: "m".into(),
        source: Source::Folder {
            path: folder.display().to_string(),
        },
        procedure: "p".into(),
        words: vec!["web1".into()],
        arguments: BTreeMap::new(),
        plan_sha256: "0".into(),
        start_at: None,
        stop_after: None,
        confirm: Confirm::Ask,
        operator: "ana".into(),
        journal: Vec::new(),
        journal_lines: 0,
        asked_by: String::new(),
        consent: None,
        login: opsbook_wire::NodeLogin::Own,
    };
    News {
        parts: vec![work],
        ..News::default()
    }
}

fn key(epoch: u64) -> PartKey {
    PartKey {
        run: RUN.into(),
        node: "web1".into(),
        epoch,
    }
}

#[tokio::test]
async fn a_part_is_begun_once_its_lines_arrive_and_its_end_is_told_until_it_is_known() {
    let (gateway, client) = Gateway::start().await;
    let runner = Runner::new(client, "for i in 1 2 3; do line $i; done\n");
    {
        let mut said = gateway.0.lock().unwrap();
        // At first replies are lost, and the gateway stores one line of each request.
        (said.breaks, said.stores) = (3, 1);
    }
    gateway.say(work(1, Mode::Begin, runner.dir.path()));
    // The same again: the answer could have been lost.
    gateway.say(work(1, Mode::Begin, runner.dir.path()));
    let end = gateway.end(1).await;
    assert_eq!(end, (EndState::Ended, Some(Ended::Ok), None));
    assert_eq!(gateway.lines(), [(1, 1), (1, 2), (1, 3), (1, 4)]);
    assert_eq!(runner.told().lines().count(), 1, "{}", runner.told());
    assert!(
        runner
            .told()
            .contains("--epoch=1 --plan-sha256=0 --operator=ana")
    );
    gateway
        .until("nothing is left", |said| {
            let last = said.hellos.last()?;
            (last.ended.is_empty() && last.parts.is_empty()).then_some(())
        })
        .await;
    assert!(runner.folder().held().is_empty());
    assert!(
        !runner
            .path("runner/parts")
            .join(format!("{RUN}@web1"))
            .exists()
    );
}

#[tokio::test]
async fn a_process_that_dies_is_started_again_and_five_deaths_are_enough() {
    let (gateway, client) = Gateway::start().await;
    let runner = Runner::new(client, "test $n -ge 3 || kill -9 $$\n");
    gateway.say(work(1, Mode::Begin, runner.dir.path()));
    assert_eq!(gateway.end(1).await.1, Some(Ended::Ok));
    let told = runner.told();
    let adopted: Vec<bool> = told.lines().map(|line| line.contains("--adopt")).collect();
    assert_eq!(adopted, [false, true, true], "{told}");
    runner.does("echo no luck >&2; kill -9 $$\n");
    gateway.say(work(2, Mode::Adopt, runner.dir.path()));
    let (state, status, cause) = gateway.end(2).await;
    assert_eq!((state, status), (EndState::Halted, Some(Ended::Error)));
    let cause = cause.unwrap();
    assert!(
        cause.contains("5 times within 60 seconds") && cause.contains("no luck"),
        "{cause}"
    );
    assert_eq!(runner.told().lines().count(), 3 + 5);
}

#[tokio::test]
async fn what_was_held_goes_on_after_a_restart_and_what_is_lost_is_let_go() {
    let (gateway, client) = Gateway::start().await;
    let mut runner = Runner::new(client, "echo $$ >pid; exec sleep 1000\n");
    gateway.say(work(1, Mode::Begin, runner.dir.path()));
    gateway
        .until("a line", |said| (!said.lines.is_empty()).then_some(()))
        .await;
    runner.stop().await;
    let pid = fs::read_to_string(runner.path("pid")).unwrap();
    let alive = |pid: &str| Path::new("/proc").join(pid.trim()).join("cmdline").exists();
    let begin = Instant::now();
    while alive(&pid) {
        assert!(begin.elapsed() < BOUND);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(runner.folder().held().len(), 1);
    let boot = gateway.0.lock().unwrap().hellos[0].boot.clone();
    runner.start();
    runner.until_told("--adopt").await;
    gateway
        .until("its new name", |said| {
            let last = said.hellos.last()?;
            (last.boot != boot && last.parts == [key(1)]).then_some(())
        })
        .await;
    // Another runner holds the part.
    gateway
        .until("two lines", |said| (said.lines.len() >= 2).then_some(()))
        .await;
    let pid = fs::read_to_string(runner.path("pid")).unwrap();
    gateway.say(News {
        lost: vec![key(1)],
        ..News::default()
    });
    gateway
        .until("it is let go", |said| {
            said.hellos.last()?.parts.is_empty().then_some(())
        })
        .await;
    let begin = Instant::now();
    while alive(&pid) {
        assert!(begin.elapsed() < BOUND);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The part comes back under another number: its journal continues.
    runner.does("line again\n");
    gateway.say(work(3, Mode::Adopt, runner.dir.path()));
    assert_eq!(gateway.end(3).await.1, Some(Ended::Ok));
    assert!(gateway.lines().contains(&(3, 4)), "{:?}", gateway.lines());
}

#[tokio::test]
async fn a_later_lease_of_a_part_ends_the_earlier_one_and_follows_it() {
    let (gateway, client) = Gateway::start().await;
    let runner = Runner::new(client, "test $epoch = 2 || exec sleep 1000\n");
    gateway.say(work(1, Mode::Begin, runner.dir.path()));
    runner.until_told("--epoch=1").await;
    gateway.say(work(2, Mode::Adopt, runner.dir.path()));
    assert_eq!(gateway.end(2).await.1, Some(Ended::Ok));
    let ends: usize = {
        let said = gateway.0.lock().unwrap();
        let ends = said.hellos.iter().flat_map(|hello| &hello.ended);
        ends.filter(|end| end.epoch == 1).count()
    };
    assert_eq!(ends, 0);
}

#[tokio::test]
async fn answers_and_orders_reach_the_process_once() {
    let (gateway, client) = Gateway::start().await;
    let runner = Runner::new(
        client,
        "while read -r said; do echo \"$said\" >>told; case $said in *stop*) exit 5 ;; esac; done\n",
    );
    gateway.say(work(1, Mode::Begin, runner.dir.path()));
    gateway
        .until("a line", |said| (!said.lines.is_empty()).then_some(()))
        .await;
    let answer = AnswerOut {
        run: RUN.into(),
        node: "web1".into(),
        epoch: 1,
        seq: 7,
        answer: "yes".into(),
        note: Some("a \"note\"\nof two lines".into()),
        by: "bo".into(),
    };
    for answers in [
        vec![AnswerOut {
            epoch: 2,
            ..answer.clone()
        }],
        vec![answer.clone(), answer.clone()],
        vec![answer.clone()],
    ] {
        gateway.say(News {
            answers,
            ..News::default()
        });
    }
    runner.until_told("\"question\":7").await;
    let want = WantOut {
        run: RUN.into(),
        node: "web1".into(),
        epoch: 1,
        wants: Want::Hold,
    };
    gateway.say(News {
        wants: vec![want],
        ..News::default()
    });
    assert_eq!(gateway.end(1).await.1, Some(Ended::Stopped));
    let told = runner.told();
    assert_eq!(told.matches("\"question\":7").count(), 1, "{told}");
    assert!(told.contains("{\"stop\":\"after-step\"}"), "{told}");
}

#[tokio::test]
async fn a_runner_that_drains_takes_nothing_and_ends_with_its_last_part() {
    let (gateway, client) = Gateway::start().await;
    let mut runner = Runner::new(client, "while test ! -e go; do sleep 0.02; done\n");
    gateway.say(work(1, Mode::Begin, runner.dir.path()));
    runner.until_told("--epoch=1").await;
    runner.folder().drain().unwrap();
    gateway
        .until("no room", |said| {
            (said.hellos.last()?.room == 0).then_some(())
        })
        .await;
    fs::write(runner.path("go"), "").unwrap();
    let ended = tokio::time::timeout(BOUND, runner.task.take().unwrap()).await;
    ended.unwrap().unwrap();
    assert_eq!(gateway.end(1).await.1, Some(Ended::Ok));
}

#[tokio::test]
async fn a_manual_that_is_not_there_halts_the_part() {
    let (gateway, client) = Gateway::start().await;
    let runner = Runner::new(client, "");
    gateway.say(work(1, Mode::Begin, Path::new("/nowhere/at/all")));
    let (state, _, cause) = gateway.end(1).await;
    assert_eq!(state, EndState::Halted);
    assert!(
        cause
            .unwrap()
            .contains("`/nowhere/at/all` is not a folder of this machine")
    );
    assert!(runner.told().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_forged_answer_calls_approved_is_not_begun() {
    let (gateway, client) = Gateway::start().await;
    let approvers = Approvers {
        signers: "/dev/null".into(),
        gateway: "gw".into(),
        always: 1,
        groups: opsbook_runner::Groups::Rules,
    };
    let runner = Runner::with(client, "exit 0", Some(approvers));
    let mut news = work(1, Mode::Begin, runner.dir.path());
    news.parts[0].asked_by = "ana".into();
    news.parts[0].consent = Some(opsbook_wire::Consent {
        sha256: "0".repeat(64),
        manner: opsbook_wire::approve::manner(Confirm::Ask, None, None),
        approvals: vec![opsbook_wire::approve::ApprovalOut {
            by: "bo".into(),
            signature: "-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n".into(),
            not_after: "2999-01-01T00:00:00Z".into(),
            groups: Vec::new(),
        }],
    });
    gateway.say(news);
    let (state, status, cause) = gateway.end(1).await;
    assert_eq!((state, status), (EndState::Ended, Some(Ended::Blocked)));
    assert!(
        cause
            .unwrap()
            .contains("the signature of the approval of `bo` does not match")
    );
    // And without any approval, as if adopted by a person.
    gateway.say(work(2, Mode::Adopt, runner.dir.path()));
    let (state, status, cause) = gateway.end(2).await;
    assert_eq!((state, status), (EndState::Halted, Some(Ended::Blocked)));
    assert!(cause.unwrap().contains("needs: 1, verified here: 0"));
    assert_eq!(runner.told(), "");
}
