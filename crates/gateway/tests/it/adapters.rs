//! ! The adapters: tickets, chats and inventories, each by a program and by a webhook; and secrets,
//! from each of their sources.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opsbook_gateway::secret::Secret;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::postgres::skipped;
use crate::served::{Answer, On, Request, Served};

const BOUND: Duration = Duration::from_mins(1);

/// Another team's tool over HTTP: the requests it received, and its answers.
struct Tool {
    url: String,
    heard: Arc<Mutex<Vec<Value>>>,
    answers: Arc<Mutex<String>>,
}

impl Tool {
    async fn new(answer: &str) -> Tool {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tool = Tool {
            url: format!("http://{}/opsbook", listener.local_addr().unwrap()),
            heard: Arc::default(),
            answers: Arc::new(Mutex::new(answer.to_owned())),
        };
        let (heard, answers) = (Arc::clone(&tool.heard), Arc::clone(&tool.answers));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (head, body) = request(&mut stream).await;
                let known = head.to_lowercase().contains("authorization: bearer t0ken");
                let answer = answers.lock().unwrap().clone();
                let (status, answer) = if known {
                    ("200 OK", answer)
                } else {
                    ("401 No", String::new())
                };
                if known {
                    heard
                        .lock()
                        .unwrap()
                        .push(serde_json::from_str(&body).unwrap());
                }
                let text = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
                    answer.len()
                );
                let _ = stream.write_all(text.as_bytes()).await;
            }
        });
        tool
    }

    fn answers(&self, answer: &str) {
        answer.clone_into(&mut self.answers.lock().unwrap());
    }
}

async fn request(stream: &mut tokio::net::TcpStream) -> (String, String) {
    let mut text = String::new();
    loop {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await.unwrap_or_default();
        text += &String::from_utf8_lossy(&piece[..read]);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            if read == 0 || body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return (head.to_owned(), body.to_owned());
            }
        }
        assert!(read > 0, "{text}");
    }
}

/// A program that appends its input to `heard`, one line each, and prints `answer`.
fn program(folder: &Path, answer: &str) -> String {
    std::fs::write(folder.join("answer"), answer).unwrap();
    format!(
        "cat >> '{0}/heard'; echo >> '{0}/heard'; cat '{0}/answer'",
        folder.display()
    )
}

fn lines(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("heard")).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

async fn ask(served: &Served, ticket: Option<&str>) -> Answer {
    let body = json!({"procedure": "web.deploy", "nodes": ["web1"], "ticket": ticket});
    served.unix(Request::post("/v1/asks").json(&body)).await
}

const OPEN: &str = r#"{"ok": true}"#;
const CLOSED: &str = r#"{"ok": false, "detail": "it is closed"}"#;

/// The same story for a program and for a webhook.
async fn tickets(served: &Served, answers: impl Fn(&str), heard: impl Fn() -> Vec<Value>) {
    let without = ask(served, None).await;
    assert_eq!(without.status, 403, "{without:?}");
    assert!(without.body.contains("--ticket"), "{without:?}");
    answers(CLOSED);
    let closed = ask(served, Some("OPS-1")).await;
    assert_eq!(closed.status, 403, "{closed:?}");
    assert!(closed.body.contains("it is closed"), "{closed:?}");
    answers("moon");
    assert_eq!(ask(served, Some("OPS-1")).await.status, 503);
    answers(OPEN);
    let good = ask(served, Some("OPS-2")).await;
    assert_eq!(good.status, 201, "{good:?}");
    let run = good.json()["run"].as_str().unwrap().to_owned();
    let question = heard().pop().unwrap();
    assert_eq!(
        (&question["verb"], &question["ticket"]),
        (&json!("check"), &json!("OPS-2"))
    );
    assert_eq!(question["nodes"], json!(["web1"]));
    // The outcome is reported once.
    served
        .post(
            &format!("/v1/runs/{run}/stop"),
            &json!({"manner": "after-step"}),
        )
        .await;
    let note = |heard: Vec<Value>| {
        let mut notes = heard.into_iter().filter(|said| said["verb"] == "note");
        let note = notes.next();
        assert!(notes.next().is_none(), "it is told once");
        note
    };
    let begin = Instant::now();
    let told = loop {
        if let Some(told) = note(heard()) {
            break told;
        }
        assert!(begin.elapsed() < BOUND, "nobody is told");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(
        (&told["run"], &told["ticket"]),
        (&json!(run), &json!("OPS-2"))
    );
    assert_eq!(told["kind"], "run-ended");
}

async fn a_ticket_is_asked_and_told_by_a_program(on: On) {
    let folder = tempfile::tempdir().unwrap();
    let chat = tempfile::tempdir().unwrap();
    let config = format!(
        "[ticket]\nkind = \"program\"\nneeded = \"always\"\ncommand = {:?}\n\
         [hooks.chat]\nkind = \"program\"\ncommand = {:?}\non = [\"run-ended\"]\n",
        program(folder.path(), OPEN),
        program(chat.path(), "")
    );
    let served = Served::with(on, &config).await;
    let answers = |answer: &str| std::fs::write(folder.path().join("answer"), answer).unwrap();
    tickets(&served, answers, || lines(folder.path())).await;
    let begin = Instant::now();
    while lines(chat.path()).is_empty() {
        assert!(begin.elapsed() < BOUND, "the chat is told nothing");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let said = lines(chat.path()).remove(0);
    assert_eq!(
        (&said["kind"], &said["procedure"]),
        (&json!("run-ended"), &json!("web.deploy"))
    );
}

async fn a_ticket_is_asked_and_told_by_a_webhook(on: On) {
    let tool = Tool::new(OPEN).await;
    let config = format!(
        "[ticket]\nkind = \"webhook\"\nneeded = \"always\"\nurl = \"{}\"\ntoken = {{command = \"echo t0ken\"}}\n",
        tool.url
    );
    let served = Served::with(on, &config).await;
    tickets(
        &served,
        |answer| tool.answers(answer),
        || tool.heard.lock().unwrap().clone(),
    )
    .await;
}

crate::on_both!(
    a_ticket_is_asked_and_told_by_a_program,
    a_ticket_is_asked_and_told_by_a_webhook,
);

/// The tool's answer adds and removes nodes; a wrong answer changes nothing.
async fn inventory(served: &Served, answers: impl Fn(&str)) {
    let nodes = served.root.join("nodes");
    std::fs::create_dir(&nodes).unwrap();
    std::fs::rename(served.root.join("nodes.yaml"), nodes.join("10-own.yaml")).unwrap();
    let until = async |node: &str, there: bool| {
        let begin = Instant::now();
        loop {
            let hosts = served.unix(Request::get("/v1/hosts")).await;
            if hosts.status == 200 && hosts.body.contains(&format!("\"{node}\"")) == there {
                return;
            }
            assert!(begin.elapsed() < BOUND, "{node} {there}: {hosts:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    answers("opsbook: 1\nnodes:\n  cloud1: {groups: [web]}\n");
    until("cloud1", true).await;
    let said = json!({"procedure": "web.deploy", "nodes": ["cloud1"]});
    assert_eq!(
        served
            .unix(Request::post("/v1/asks").json(&said))
            .await
            .status,
        201
    );
    // JSON works too; a node that the answer no longer names disappears.
    answers(r#"{"opsbook": 1, "nodes": {"cloud2": {"groups": ["web"]}}}"#);
    until("cloud2", true).await;
    until("cloud1", false).await;
    let file = std::fs::read_to_string(nodes.join("50-cloud.inventory.yaml")).unwrap();
    answers("opsbook: 1\nnodes: {cloud3: {groups: [moon}}\n");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(
        std::fs::read_to_string(nodes.join("50-cloud.inventory.yaml")).unwrap(),
        file
    );
    until("cloud2", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_those_that_a_program_knows() {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[inventory.cloud]\nkind = \"program\"\nevery = \"1s\"\nfile = \"nodes/50-cloud.inventory.yaml\"\ncommand = {:?}\n",
        program(folder.path(), "")
    );
    let served = Served::with(On::Sqlite, &config).await;
    inventory(&served, |answer| {
        std::fs::write(folder.path().join("answer"), answer).unwrap();
    })
    .await;
    assert_eq!(lines(folder.path())[0]["verb"], "inventory");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_those_that_a_webhook_knows() {
    let tool = Tool::new("").await;
    let config = format!(
        "[inventory.cloud]\nkind = \"webhook\"\nevery = \"1s\"\nfile = \"nodes/50-cloud.inventory.yaml\"\nurl = \"{}\"\n\
         token = {{command = \"echo t0ken\"}}\n",
        tool.url
    );
    let served = Served::with(On::Sqlite, &config).await;
    inventory(&served, |answer| tool.answers(answer)).await;
}

/// A shell without output.
fn shell(script: &str, folder: &Path) -> bool {
    let mut shell = Command::new("sh");
    let shell = shell.args(["-ec", script]).current_dir(folder).output();
    shell.unwrap().status.success()
}

async fn look_up(text: &str) -> Result<String, String> {
    let table: std::collections::BTreeMap<String, Secret> = toml::from_str(text).unwrap();
    table["s"].look_up().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_in_pass_in_age_or_in_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    assert!(
        look_up("s = {env = \"PATH\"}")
            .await
            .unwrap()
            .contains("/bin")
    );
    assert!(look_up("s = {env = \"OPSBOOK_NO_SUCH\"}").await.is_err());
    let age = "age-keygen -o key 2>/dev/null && printf 'of age\\nmore\\n' | age -r $(age-keygen -y key) -o sealed";
    if shell("command -v age-keygen", folder.path()) {
        assert!(shell(age, folder.path()));
        let found = look_up(&format!(
            "s = {{command = \"age -d -i '{path}/key' '{path}/sealed'\"}}"
        ))
        .await;
        assert_eq!(found.unwrap(), "of age");
    } else {
        skipped("a secret in age", "age is not installed");
    }
    let homes = format!("GNUPGHOME='{path}/gnupg' PASSWORD_STORE_DIR='{path}/store'");
    let pass = format!(
        "export {homes}; mkdir -m 700 gnupg; gpg --batch --quiet --passphrase '' --quick-generate-key ops@example default default never; \
         pass init ops@example; printf 'of pass\\nmore\\n' | pass insert -m ops/oidc"
    );
    if shell("command -v pass && command -v gpg", folder.path()) {
        assert!(shell(&pass, folder.path()));
        let found = look_up(&format!("s = {{command = \"{homes} pass show ops/oidc\"}}")).await;
        assert_eq!(found.unwrap(), "of pass");
        let none = look_up(&format!(
            "s = {{command = \"{homes} pass show ops/moon 2>/dev/null\"}}"
        ))
        .await;
        assert!(none.is_err());
        shell(&format!("{homes} gpgconf --kill all"), folder.path());
    } else {
        skipped("a secret in pass", "pass is not installed");
    }
}
