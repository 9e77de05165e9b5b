//! ! Certificates for runners' logins at nodes: what the gateway signs, and what it refuses.

use std::path::Path;
use std::process::Command;

use opsbook_wire as wire;
use serde_json::{Value, json};
use wire::{News, PartKey};

use crate::lab::hello;
use crate::served::{Answer, On, Request, Served};

fn key(folder: &Path, name: &str) -> String {
    let path = folder.join(name);
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(&path)
        .status();
    assert!(made.unwrap().success());
    let public = std::fs::read_to_string(path.with_extension("pub")).unwrap();
    public.trim().to_owned()
}

/// The certificate's content, as `ssh-keygen` reads it.
fn read(certificate: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    std::fs::write(&path, certificate).unwrap();
    let read = Command::new("ssh-keygen")
        .args(["-L", "-f"])
        .arg(&path)
        .env("TZ", "UTC")
        .output();
    String::from_utf8(read.unwrap().stdout).unwrap()
}

struct Lab {
    served: Served,
    folder: tempfile::TempDir,
    /// The secrets of a runner of the segment `dmz` and of another one.
    secrets: [String; 2],
    key: PartKey,
    public: String,
}

impl Lab {
    /// A part that the first runner holds; `ssh` gives the segment's settings.
    async fn new(on: On, ssh: impl Fn(&Path) -> String) -> Lab {
        let folder = tempfile::tempdir().unwrap();
        key(folder.path(), "ca");
        let config = format!("[segments.dmz]\nssh = {}\n", ssh(folder.path()));
        let served = Served::with(on, &config).await;
        let store = &served.running.gateway.store;
        let (_, one) = store.enroll("dmz", "one").await.unwrap();
        let (_, two) = store.enroll("dmz", "two").await.unwrap();
        served.ask(&["far1"]).await;
        let work = Request::post("/v1/runner/work").bearer(&one);
        let news = served.tcp(work.json(&hello("b", &[]))).await.json();
        let news: News = serde_json::from_value(news).unwrap();
        assert_eq!(news.parts[0].login, wire::NodeLogin::Certificate);
        let key = news.parts[0].key();
        let public = self::key(folder.path(), "throw-away");
        Lab {
            served,
            folder,
            secrets: [one, two],
            key,
            public,
        }
    }

    async fn ask(&self, runner: usize, body: &Value) -> Answer {
        let ask = Request::post("/v1/runner/certificate").bearer(&self.secrets[runner]);
        self.served.tcp(ask.json(body)).await
    }

    fn body(&self) -> Value {
        json!({"held": {"part": self.key}, "public_key": self.public})
    }
}

#[expect(clippy::too_many_lines, reason = "one story")]
async fn a_runner_gets_a_certificate_for_what_it_holds_and_nothing_else(on: On) {
    let lab = Lab::new(on, |folder| {
        format!(
            "{{kind = \"certificate\", ca = {{file = \"{}\"}}, ttl = \"5m\", \
             principals = [\"deploy\", \"opsbook@{{node}}\"], sources = [\"10.0.0.0/8\"]}}",
            folder.join("ca").display()
        )
    })
    .await;
    let good = lab.ask(0, &lab.body()).await;
    assert_eq!(good.status, 200, "{good:?}");
    let good = good.json();
    assert_eq!(good["seconds"], 300);
    let text = read(good["certificate"].as_str().unwrap());
    let who = opsbook_project::operator_name();
    let id = format!("Key ID: \"opsbook:run={}:by={who}\"", lab.key.run);
    for line in [
        &id,
        "deploy",
        "opsbook@far1",
        "source-address 10.0.0.0/8",
        "Extensions: (none)",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    // Valid from a minute ago, for five minutes.
    let times: Vec<jiff::civil::DateTime> = { text.lines() }
        .find_map(|line| line.trim().strip_prefix("Valid: from "))
        .unwrap()
        .split(" to ")
        .map(|time| time.parse().unwrap())
        .collect();
    let seconds = times[1].since(times[0]).unwrap().total(jiff::Unit::Second);
    assert!((seconds.unwrap() - 360.0).abs() < 2.0, "{text}");
    // Another runner of the segment, another lease, another part. The gateway takes the principals
    // from its own settings.
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = lab.body();
        change(&mut body);
        body
    };
    for (runner, body, status) in [
        (1, lab.body(), 409),
        (
            0,
            with(&|body| body["held"]["part"]["epoch"] = json!(2)),
            409,
        ),
        (
            0,
            with(&|body| body["held"]["part"]["node"] = json!("web1")),
            409,
        ),
        (
            0,
            with(&|body| body["held"] = json!({"round": "drift.dmz.0.1"})),
            409,
        ),
        (0, with(&|body| body["principals"] = json!(["root"])), 400),
        (0, with(&|body| body["ttl"] = json!("24h")), 400),
        (
            0,
            with(&|body| body["public_key"] = json!(format!("{0}\n{0}", lab.public))),
            400,
        ),
        (
            0,
            with(&|body| body["public_key"] = json!(format!("{} x", lab.public))),
            400,
        ),
        (
            0,
            with(&|body| body["held"]["part"]["run"] = json!("../x")),
            400,
        ),
    ] {
        let answer = lab.ask(runner, &body).await;
        assert_eq!(answer.status, status, "{body}: {answer:?}");
    }
    let nobody = Request::post("/v1/runner/certificate").json(&lab.body());
    assert_eq!(lab.served.tcp(nobody).await.status, 401);
    // The lease expires: the runner asks again after a renewal. Another runner holds it: never.
    let store = &lab.served.running.gateway.store;
    let late = "update part set lease_until = 1";
    sqlx::query(late).execute(store.pool()).await.unwrap();
    assert_eq!(lab.ask(0, &lab.body()).await.status, 503);
    store.sweep(0).await.unwrap();
    assert_eq!(lab.ask(0, &lab.body()).await.status, 503);
    let work = Request::post("/v1/runner/work").bearer(&lab.secrets[1]);
    lab.served.tcp(work.json(&hello("c", &[]))).await;
    store.sweep(0).await.unwrap();
    let work = Request::post("/v1/runner/work").bearer(&lab.secrets[1]);
    let news = lab.served.tcp(work.json(&hello("c", &[]))).await.json();
    let news: News = serde_json::from_value(news).unwrap();
    assert_eq!(news.parts[0].epoch, 2);
    assert_eq!(lab.ask(0, &lab.body()).await.status, 409);
    let its = with(&|body| body["held"]["part"]["epoch"] = json!(2));
    assert_eq!(lab.ask(1, &its).await.status, 200);
}

crate::on_both!(a_runner_gets_a_certificate_for_what_it_holds_and_nothing_else);

/// Kills the agent when dropped.
struct Agent(std::process::Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn agent(folder: &Path) -> Agent {
    let socket = folder.join("agent");
    let mut agent = Command::new("ssh-agent");
    let agent = agent.arg("-D").arg("-a").arg(&socket);
    let agent = Agent(agent.stdout(std::process::Stdio::null()).spawn().unwrap());
    let begin = std::time::Instant::now();
    while !socket.exists() {
        assert!(begin.elapsed() < std::time::Duration::from_secs(20));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let added = Command::new("ssh-add")
        .arg("-q")
        .arg(folder.join("ca"))
        .env("SSH_AUTH_SOCK", &socket)
        .status();
    assert!(added.unwrap().success());
    std::fs::remove_file(folder.join("ca")).unwrap();
    agent
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_that_signs_is_a_file_a_command_or_an_agents() {
    let with = |ca: String| {
        format!(
            "{{kind = \"certificate\", ca = {ca}, principals = [\"deploy\"], permit = [\"port-forwarding\"]}}"
        )
    };
    let by_command = Lab::new(On::Sqlite, |folder| {
        with(format!(
            "{{command = \"cat '{}'\"}}",
            folder.join("ca").display()
        ))
    })
    .await;
    let by_agent = Lab::new(On::Sqlite, |folder| {
        let (socket, key) = (folder.join("agent"), folder.join("ca.pub"));
        let (socket, key) = (socket.display(), key.display());
        with(format!(
            "{{agent = {{socket = \"{socket}\", key = \"{key}\"}}}}"
        ))
    })
    .await;
    // If the agent is unreachable, the answer says so, and the gateway signs nothing.
    let away = by_agent.ask(0, &by_agent.body()).await;
    assert_eq!(away.status, 503, "{away:?}");
    let _agent = agent(by_agent.folder.path());
    for lab in [&by_command, &by_agent] {
        let answer = lab.ask(0, &lab.body()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let text = read(answer.json()["certificate"].as_str().unwrap());
        let ca = std::fs::read_to_string(lab.folder.path().join("ca.pub")).unwrap();
        let print = Command::new("ssh-keygen")
            .arg("-lf")
            .arg(lab.folder.path().join("ca.pub"))
            .output();
        let print = String::from_utf8(print.unwrap().stdout).unwrap();
        let print = print.split(' ').nth(1).unwrap();
        assert!(
            text.contains(print) && text.contains("permit-port-forwarding"),
            "{ca}{text}"
        );
        assert!(!text.contains("permit-pty"), "{text}");
    }
    // A key with a passphrase: the gateway prompts nobody.
    let ca = by_command.folder.path().join("ca");
    let changed = Command::new("ssh-keygen")
        .args(["-q", "-p", "-P", "", "-N", "hidden", "-f"])
        .arg(&ca)
        .status();
    assert!(changed.unwrap().success());
    let refused = by_command.ask(0, &by_command.body()).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(!format!("{refused:?}").contains("PRIVATE"), "{refused:?}");
    // The gateway refuses a key file that others can read.
    let open = Lab::new(On::Sqlite, |folder| {
        with(format!("{{file = \"{}\"}}", folder.join("ca").display()))
    })
    .await;
    let ca = open.folder.path().join("ca");
    std::fs::set_permissions(&ca, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let refused = open.ask(0, &open.body()).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(
        refused.body.contains("other users can read or write it"),
        "{refused:?}"
    );
}

/// Without settings for a segment, its runners log in with their own keys.
#[tokio::test(flavor = "multi_thread")]
async fn a_segment_without_certificates_signs_none() {
    let served = Served::new(On::Sqlite).await;
    let run = served.ask(&["web1"]).await;
    let news = served.post("/v1/runner/work", &hello("b", &[])).await;
    assert!(news["parts"][0].get("login").is_none(), "{news}");
    let folder = tempfile::tempdir().unwrap();
    let body = json!({
        "held": {"part": {"run": run, "node": "web1", "epoch": 1}},
        "public_key": key(folder.path(), "k"),
    });
    let answer = served
        .unix(Request::post("/v1/runner/certificate").json(&body))
        .await;
    assert_eq!(answer.status, 409, "{answer:?}");
}
