//! Uses each tier through a session: the basis of the other tests.

use std::time::{Duration, Instant};

use opsbook::session::{Done, Limits, Lost, Script, Session, Values};

use crate::lab::Node;
use crate::sshd::{Skip, Sshd, options, or_skip};
use crate::tier;

const BOUND: Duration = Duration::from_mins(2);

async fn sh(session: &Session, text: &str) -> Result<Done, Lost> {
    let script = Script::new("sh", text);
    let values = Values::new();
    session.run(&script, &values, Limits::seconds(60)).await
}

async fn bounded<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(BOUND, work).await.expect("bounded")
}

async fn says(session: &Session, text: &str) -> String {
    let done = sh(session, text).await.unwrap();
    assert!(done.ok(), "{done:?}");
    String::from_utf8(done.out).unwrap().trim().to_owned()
}

async fn open(node: &Node) -> Session {
    Session::open(&node.transport(), &options()).await.unwrap()
}

/// Opens a session repeatedly until the node answers.
async fn reopen(node: &Node) -> Session {
    let begin = Instant::now();
    loop {
        match Session::open(&node.transport(), &options()).await {
            Ok(session) => return session,
            Err(error) => assert!(begin.elapsed() < BOUND, "never back: {error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Runs a tier's test and reports that it ran, or why it cannot.
fn report(name: &str, what: &str, began: Instant, result: Result<(), Skip>) {
    if or_skip(name, result).is_some() {
        tier::say(&format!(
            "ran {name}: {what} ({} ms)",
            began.elapsed().as_millis()
        ));
    }
}

#[tokio::test]
async fn t0_local_shell() {
    let began = Instant::now();
    let session = Session::local(&options()).await.unwrap();
    assert_eq!(says(&session, "echo $((6*7))").await, "42");
    session.close().await;
    report("T0", "the local shell", began, Ok(()));
}

#[tokio::test]
async fn t1_private_sshd() {
    let began = Instant::now();
    let result = async {
        let node = Sshd::start()?;
        let session = Session::open(&node.transport(), &options()).await.unwrap();
        assert_eq!(says(&session, "pwd").await, node.home().to_string_lossy());
        session.close().await;
        Ok(())
    };
    report("T1", "private sshd", began, result.await);
}

#[tokio::test]
async fn t2_node_of_its_own() {
    let began = Instant::now();
    report(
        "T2",
        "network namespaces, links that can be cut",
        began,
        t2().await,
    );
}

async fn t2() -> Result<(), Skip> {
    let node = Node::start()?;
    let session = open(&node).await;
    let said = says(&session, "echo $(id -un) $(hostname) $(cat /proc/1/comm)").await;
    assert_eq!(said, format!("ops {} sshd", node.name()));
    assert_eq!(session.hello().home, "/home/ops");

    // A cut in the middle of a script is noticed, and the node is found again.
    let running = sh(&session, "touch began; sleep 100");
    let cut = async {
        let began = node.home().join("began");
        while !began.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        node.cut();
    };
    let (lost, ()) = tokio::join!(running, cut);
    assert!(matches!(lost, Err(Lost::Connection { .. })), "{lost:?}");
    node.heal();
    let session = reopen(&node).await;

    // A frozen node answers late, not wrongly.
    node.freeze();
    let thaw = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        node.thaw();
    };
    let (said, ()) = tokio::join!(says(&session, "echo late"), thaw);
    assert_eq!(said, "late");

    // Lost packets cost time only.
    node.lose(20);
    assert_eq!(says(&session, "echo through").await, "through");
    node.lose(0);

    // After a power failure the disk is unchanged, and the boot id is new.
    let before = session.hello().boot_id.clone();
    node.power_off();
    node.power_on();
    let session = reopen(&node).await;
    assert_ne!(session.hello().boot_id, before);
    assert_eq!(says(&session, "ls began").await, "began");
    session.close().await;
    Ok(())
}

#[tokio::test]
async fn t3_node_with_services() {
    let began = Instant::now();
    report(
        "T3",
        "systemd as process 1, reboots",
        began,
        bounded(t3()).await,
    );
}

async fn t3() -> Result<(), Skip> {
    let node = Node::with_systemd()?;
    let session = open(&node).await;
    assert_eq!(says(&session, "cat /proc/1/comm").await, "systemd");
    assert_eq!(
        says(&session, "systemctl is-active lab-sshd").await,
        "active"
    );
    let before = session.hello().boot_id.clone();
    node.root("systemctl reboot");
    session.lost().await;
    let session = loop {
        let session = reopen(&node).await;
        if session.hello().boot_id != before {
            break session;
        }
    };
    assert_eq!(says(&session, "cat /proc/1/comm").await, "systemd");
    session.close().await;
    Ok(())
}

#[test]
fn nothing_is_left_of_a_node() {
    let Some(node) = or_skip("T2", Node::start()) else {
        return;
    };
    let (pids, dir) = (node.processes(), node.dir.path().to_owned());
    assert!(!pids.is_empty() && dir.exists());
    node.freeze();
    // Dropping it checks processes, mounts, link and cgroups.
    drop(node);
    assert!(!dir.exists());
}
