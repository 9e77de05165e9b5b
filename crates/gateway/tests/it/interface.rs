//! ! The interface as clients, runners, browsers and strangers see it.

use std::time::{Duration, Instant};

use opsbook_wire as wire;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wire::{EndState, Ended, Hello, Lines, News, PartEnd, PartKey};

use crate::lab::{Journal, hello};
use crate::served::{On, Request, Served, mode};

async fn without_a_login_there_is_no_more_than_the_gateways_name(on: On) {
    let served = Served::new(on).await;
    let about = served.tcp(Request::get("/v1")).await;
    assert_eq!(about.status, 200);
    assert_eq!(about.json()["api"], json!([1]));
    for path in [
        "/",
        "/index.html",
        "/console/console.js",
        "/metrics",
        "/v1/me",
        "/v1/hosts",
        "/v1/procedures",
        "/v1/runs",
        "/v1/runs/x",
        "/v1/openapi.json",
        "/v1/nothing",
    ] {
        let answer = served.tcp(Request::get(path)).await;
        assert_eq!(
            (answer.status, answer.kind().as_str()),
            (401, "not-logged-in"),
            "{path}"
        );
        let wrong = served.tcp(Request::get(path).bearer(&"0".repeat(64))).await;
        assert_eq!(wrong.status, 401, "{path}");
    }
    for path in [
        "/v1/asks",
        "/v1/login/link",
        "/v1/runner/work",
        "/v1/runner/events",
    ] {
        let answer = served.tcp(Request::post(path).body("{}")).await;
        assert_eq!(answer.status, 401, "{path}");
    }
    let person = served
        .tcp(Request::get("/").header("accept", "text/html"))
        .await;
    assert!(person.body.starts_with("log in on "), "{person:?}");
    for path in ["/healthz", "/readyz"] {
        assert_eq!(served.tcp(Request::get(path)).await.body, "ok\n");
    }
}

async fn a_user_of_this_machine_is_known_by_the_socket_or_the_token(on: On) {
    let served = Served::new(on).await;
    let me = served.get("/v1/me").await;
    assert_eq!(me["way"], "peer");
    let state = served.state();
    assert_eq!(mode(&state), 0o700);
    let files = std::fs::read_dir(&state).unwrap().flatten();
    let files = files.filter(|entry| !entry.file_type().unwrap().is_dir());
    let names: Vec<String> = files
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert!(names.len() >= 4, "{names:?}");
    for name in names {
        assert_eq!(mode(&state.join(&name)), 0o600, "{name}");
    }
    let by_token = served
        .tcp(Request::get("/v1/me").bearer(&served.token()))
        .await;
    assert_eq!(by_token.json()["way"], "token");
    assert_eq!(by_token.json()["person"], me["person"]);
    let local: wire::Local =
        serde_json::from_str(&std::fs::read_to_string(state.join("address.json")).unwrap())
            .unwrap();
    assert_eq!(local, served.running.local);
    served.running.stop().await;
    assert!(!state.join("address.json").exists());
}

async fn another_user_of_this_machine_is_nobody(on: On) {
    if !rustix::process::geteuid().is_root() {
        crate::postgres::skipped(
            "another_user_of_this_machine_is_nobody",
            "only root can be another user",
        );
        return;
    }
    let served = Served::new(on).await;
    // On any path of the socket, the kernel names the connecting user.
    let open = |path: &std::path::Path, mode| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open(std::path::Path::new(&served.running.local.socket), 0o777);
    let mut folder = served.state();
    while folder != std::path::Path::new("/tmp") && folder.parent().is_some() {
        open(&folder, 0o755);
        folder = folder.parent().unwrap().to_owned();
        if folder == std::env::temp_dir() {
            break;
        }
    }
    let socket = served.running.local.socket.clone();
    let output = tokio::task::spawn_blocking(move || {
        std::process::Command::new("setpriv")
            .args([
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
                "curl",
                "-sS",
                "--unix-socket",
            ])
            .arg(socket)
            .arg("http://gateway/v1/me")
            .output()
            .unwrap()
    });
    let output = output.await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("not-logged-in"), "{said} {output:?}");
}

async fn a_browser_is_logged_in_by_an_address_once(on: On) {
    let served = Served::new(on).await;
    let link = served.post("/v1/login/link", &json!({})).await;
    let path = link["url"]
        .as_str()
        .unwrap()
        .strip_prefix(&served.running.local.url)
        .unwrap();
    let entered = served.tcp(Request::get(path)).await;
    assert!(
        entered.status == 200 && entered.body.contains("content=\"0; url=/\""),
        "{entered:?}"
    );
    let cookie = entered.header("set-cookie").unwrap().to_owned();
    assert!(cookie.contains("; httponly; samesite=strict;"), "{cookie}");
    assert_eq!(served.tcp(Request::get(path)).await.kind(), "not-logged-in");
    let cookie = cookie.split(';').next().unwrap();
    let as_browser = |request: Request| served.tcp(request.header("cookie", cookie));
    assert_eq!(as_browser(Request::get("/v1/me")).await.status, 200);
    let page = as_browser(Request::get("/web.html")).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("/console/console.js") && page.body.contains("connect-src 'self'"));
    assert_eq!(
        as_browser(Request::get("/console/console.js")).await.status,
        200
    );
    // A browser's login cannot create another one, and it expires.
    let more = as_browser(Request::post("/v1/login/link").body("{}")).await;
    assert_eq!(more.kind(), "not-allowed");
    assert_eq!(as_browser(Request::post("/v1/logout")).await.status, 204);
    assert_eq!(
        as_browser(Request::get("/v1/me")).await.kind(),
        "not-logged-in"
    );
}

async fn what_another_sites_page_can_send_is_refused(on: On) {
    let served = Served::new(on).await;
    let token = served.token();
    let ask = Request::post("/v1/asks")
        .bearer(&token)
        .json(&json!({"procedure": "web.deploy", "nodes": ["web1"]}));
    for (why, request) in [
        ("no header of ours", ask.clone().without("opsbook-api")),
        (
            "another site",
            ask.clone().header("sec-fetch-site", "cross-site"),
        ),
        (
            "a sister site",
            ask.clone().header("sec-fetch-site", "same-site"),
        ),
        (
            "another origin",
            ask.clone().header("origin", "http://evil.example"),
        ),
        (
            "another port",
            ask.clone().header("origin", "http://127.0.0.1:1"),
        ),
        ("an origin that hides", ask.clone().header("origin", "null")),
        (
            "a name that was made to lead here",
            ask.clone().header("host", "evil.example:7373"),
        ),
        ("no name", ask.clone().header("host", "")),
        (
            "reading",
            Request::get("/v1/runs")
                .bearer(&token)
                .header("sec-fetch-site", "cross-site"),
        ),
    ] {
        let answer = served.tcp(request).await;
        assert_eq!(
            (answer.status, answer.kind().as_str()),
            (403, "cross-site"),
            "{why}"
        );
    }
    let own = ask
        .header("sec-fetch-site", "same-origin")
        .header("origin", &served.running.local.url);
    assert_eq!(served.tcp(own).await.status, 201);
    // A link to a page of the book.
    let page = Request::get("/web.html")
        .bearer(&token)
        .header("sec-fetch-site", "cross-site");
    assert_eq!(served.tcp(page).await.status, 200);
}

async fn a_program_that_is_too_old_is_told_how_to_be_newer(on: On) {
    let config = "[version]\noldest = \"0.3.0\"\nwants = \"0.4.2\"\n";
    let served = Served::with(on, config).await;
    let as_version = |path: &str, version: &str, installed: &str| {
        let request = Request::get(path).header("opsbook-version", version);
        let request = request.header("opsbook-api", "1");
        served.unix(request.header("opsbook-installed", installed))
    };
    let old = as_version("/v1/runs", "0.2.9", "deb").await;
    assert_eq!((old.status, old.kind().as_str()), (426, "too-old"));
    let told = old.json();
    let command = "apt-get install opsbook=0.4.2-1";
    let (have, oldest, wants) = (&told["have"], &told["oldest"], &told["wants"]);
    assert_eq!(
        (have, oldest, wants),
        (&json!("0.2.9"), &json!("0.3.0"), &json!("0.4.2"))
    );
    assert_eq!(told["upgrade"], command);
    let by_cargo = as_version("/v1/runs", "0.2.9", "cargo").await;
    assert_eq!(
        by_cargo.json()["upgrade"],
        "cargo install opsbook --version 0.4.2 --locked"
    );
    assert_eq!(as_version("/v1", "0.2.9", "deb").await.status, 200);
    let older = as_version("/v1/runs", "0.4.1", "deb").await;
    assert_eq!(
        (older.status, older.header("opsbook-wants")),
        (200, Some("0.4.2"))
    );
    assert_eq!(older.header("opsbook-upgrade"), Some(command));
    let newer = as_version("/v1/runs", "0.9.0", "deb").await;
    assert_eq!((newer.status, newer.header("opsbook-upgrade")), (200, None));
    let interface = |number: &str| {
        let request = Request::get("/v1/runs").header("opsbook-version", "0.4.2");
        let request = request.header("opsbook-installed", "deb");
        served.unix(request.header("opsbook-api", number))
    };
    let newer = interface("2").await;
    assert_eq!(newer.kind(), "malformed");
    let detail = newer.json()["detail"].as_str().unwrap().to_owned();
    let own = concat!("opsbook-gateway ", env!("CARGO_PKG_VERSION"));
    assert!(
        detail.contains(own) && detail.contains("too old for this program"),
        "{detail}"
    );
    let older = interface("0").await;
    assert_eq!((older.status, older.kind().as_str()), (426, "too-old"));
    assert_eq!(older.json()["upgrade"], command);
    assert_eq!(
        older.header("opsbook-gateway"),
        Some(env!("CARGO_PKG_VERSION"))
    );
    // A runner that is too old gets no new parts, and may finish the ones it has.
    served.ask(&["web1"]).await;
    let work = |version: &str| {
        let request = Request::post("/v1/runner/work").json(&hello("boot", &[]));
        served.unix(request.header("opsbook-version", version))
    };
    let news: News = serde_json::from_value(work("0.2.9").await.json()).unwrap();
    assert_eq!(news.parts, []);
    let news: News = serde_json::from_value(work("0.4.2").await.json()).unwrap();
    assert_eq!(news.parts.len(), 1);
}

/// A stream that is open does not outlive the login, or the rule, that has opened it.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_read_no_longer_sees_no_more_events() {
    let served = Served::new(On::Sqlite).await;
    let rule = |who: &str| {
        let rules = format!(
            "opsbook: 1\nrules:\n  - {{who: [{who}], may: [read], procedures: \"*\", nodes: \"@web\"}}\n"
        );
        std::fs::write(served.root.join("access.yaml"), rules).unwrap();
    };
    let run = served.ask(&["web1"]).await;
    rule("ana, bo, cy");
    let store = &served.running.gateway.store;
    let open = async |person: &str| {
        let (token, _) = store.new_login(person, "token", 60).await.unwrap();
        let mut stream = TcpStream::connect(served.host()).await.unwrap();
        let head = format!(
            "GET /v1/runs/{run}/events HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n\
             connection: close\r\n\r\n",
            served.host()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut text = [0; 12];
        stream.read_exact(&mut text).await.unwrap();
        assert_eq!(&text, b"HTTP/1.1 200");
        stream
    };
    let (mut ana, mut bo, mut cy) = (open("ana").await, open("bo").await, open("cy").await);
    store.log_out_person("ana").await.unwrap();
    rule("ana, cy");
    for stream in [&mut ana, &mut bo] {
        let mut text = Vec::new();
        let end = stream.read_to_end(&mut text);
        let ended = tokio::time::timeout(Duration::from_mins(1), end).await;
        assert!(ended.is_ok(), "the stream is still open");
    }
    let mut text = vec![0; 1 << 16];
    let still = async { while cy.read(&mut text).await.unwrap() > 0 {} };
    let ended = tokio::time::timeout(Duration::from_millis(500), still).await;
    assert!(ended.is_err(), "who may still read was cut off");
}

#[expect(clippy::too_many_lines, reason = "a table of refusals")]
async fn what_is_asked_for_is_what_was_read_or_refused(on: On) {
    let served = Served::new(on).await;
    let view = served.get("/v1/procedures/web.deploy").await;
    assert_eq!(view["nodes"], json!(["web1", "web2", "far1"]));
    assert_eq!(view["steps"][1]["name"], "web.deploy/go");
    let page = view["page_sha256"].as_str().unwrap().to_owned();
    let ask = json!({"procedure": "web.deploy", "nodes": ["web*"], "page_sha256": page, "arguments": {"version": "3"}});
    let send = |key: &str, ask: &serde_json::Value| {
        served.unix(
            Request::post("/v1/asks")
                .header("idempotency-key", key)
                .json(ask),
        )
    };
    let asked = send("k1", &ask).await;
    assert_eq!(asked.status, 201);
    let asked = asked.json();
    assert_eq!(asked["parts"][1]["node"], "web2");
    let again = send("k1", &ask).await;
    assert_eq!((again.status, &again.json()["run"]), (200, &asked["run"]));
    let mut other = ask.clone();
    other["arguments"] = json!({});
    assert_eq!(send("k1", &other).await.kind(), "state");
    assert_eq!(
        served.get("/v1/runs").await["runs"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let run = asked["run"].as_str().unwrap();
    let plan = served.get(&format!("/v1/runs/{run}/plan?node=web2")).await;
    let step = &plan["plans"]["web2"]["steps"][0];
    assert_eq!(step["values"]["version"], "3");
    assert!(
        step["text"]
            .as_str()
            .unwrap()
            .contains("echo \"version $version\"")
    );
    assert_eq!(plan["plans"].as_object().unwrap().len(), 1);
    assert_eq!(
        asked["parts"][1]["plan_sha256"],
        plan["plans"]["web2"]["sha256"]
    );
    for (change, status, kind) in [
        (json!({"procedure": "web.none"}), 404, "not-found"),
        (json!({"nodes": ["db1"]}), 422, "wrong"),
        (json!({"nodes": ["nobody"]}), 422, "wrong"),
        (json!({"nodes": []}), 400, "malformed"),
        (json!({"arguments": {"speed": "9"}}), 422, "wrong"),
        (json!({"start_at": 3}), 422, "wrong"),
        (json!({"batch": "x"}), 422, "wrong"),
        (json!({"strat_at": 1}), 400, "malformed"),
        (json!({"manual": "other"}), 404, "not-found"),
        (json!({"reason": "x".repeat(9_000)}), 400, "malformed"),
        (json!({"reason": "a\u{0}b"}), 400, "malformed"),
        (json!({"page_sha256": "0"}), 409, "changed"),
    ] {
        let mut ask = ask.clone();
        for (name, value) in change.as_object().unwrap() {
            ask[name] = value.clone();
        }
        let answer = send("k2", &ask).await;
        assert_eq!(
            (answer.status, answer.kind().as_str()),
            (status, kind),
            "{change}"
        );
    }
    let text = std::fs::read_to_string(served.root.join("web.md")).unwrap();
    std::fs::write(
        served.root.join("web.md"),
        text.replace("going", "going faster"),
    )
    .unwrap();
    let again = send("k1", &ask).await;
    assert_eq!((again.status, &again.json()["run"]), (200, &asked["run"]));
    let stale = send("k3", &ask).await;
    assert_eq!(stale.kind(), "changed", "the page was shown as it was");
    let large = "x".repeat(wire::limit::BODY + 1);
    let large = served.unix(Request::post("/v1/asks").body(&large)).await;
    assert_eq!(large.kind(), "too-large");
    let none = served.unix(Request::post("/v1/asks").body("{")).await;
    assert_eq!(none.kind(), "malformed");
    assert_eq!(served.unix(Request::get("/v1/asks")).await.kind(), "method");
    assert_eq!(
        served.unix(Request::get("/v1/runs?state=odd")).await.kind(),
        "malformed"
    );
}

async fn a_file_outside_the_book_is_not_served(on: On) {
    let served = Served::new(on).await;
    std::fs::write(served.root.join("secret.txt"), "hidden").unwrap();
    for path in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/opsbook/../../../secret.txt",
        "/.nojekyll",
        "/secret.txt",
        "//etc/passwd",
        "/%00",
        "/%zz",
        "/nodes.yaml",
        "/book.toml",
    ] {
        let answer = served.unix(Request::get(path)).await;
        assert!([400, 404].contains(&answer.status), "{path}: {answer:?}");
        assert!(
            !answer.body.contains("hidden") && !answer.body.contains("root:"),
            "{path}"
        );
    }
}

/// Sends the request of a runner of this segment and returns the answer.
async fn work(served: &Served, hello: &Hello, wait: u64) -> News {
    let news = served
        .post(&format!("/v1/runner/work?wait={wait}"), hello)
        .await;
    serde_json::from_value(news).unwrap()
}

async fn send(served: &Served, journal: &Journal, key: &PartKey, range: std::ops::Range<usize>) {
    let lines = Lines {
        parts: vec![journal.part(key, range.clone())],
    };
    let acked = served.post("/v1/runner/events", &lines).await;
    assert_eq!(acked["acked"][key.to_string()], range.end, "{acked}");
}

#[expect(clippy::too_many_lines, reason = "one story, from the ask to the end")]
async fn a_run_is_asked_for_done_watched_answered_halted_and_gone_on_with(on: On) {
    let served = Served::new(on).await;
    let waiting = hello("boot", &[]);
    // A waiting runner gets work at once.
    let begun = Instant::now();
    let (news, run) = tokio::join!(work(&served, &waiting, 20), served.ask(&["web1"]));
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    let part = &news.parts[0];
    let expected = (run.as_str(), "web1", 1, wire::Mode::Begin);
    assert_eq!(
        (part.run.as_str(), part.node.as_str(), part.epoch, part.mode),
        expected
    );
    let folder = wire::Source::Folder {
        path: served.root.display().to_string(),
    };
    assert_eq!(
        (&part.source, &part.procedure),
        (&folder, &"web.deploy".to_owned())
    );
    let key = part.key();
    let mut stream = served.stream(&format!("/v1/runs/{run}/events")).await;
    stream.until(r#""state":"leased""#).await;
    let mut journal = Journal::new(&run);
    journal
        .line(
            1,
            r#""event":"step-started","name":"web.deploy/look","title":"Look","limit_seconds":600"#,
        )
        .output(1, "version 2\\n")
        .line(1, r#""event":"step-ended","status":"OK","milliseconds":9"#)
        .line(
            2,
            r#""event":"asked","question":"Go on?","choices":["yes","no"]"#,
        );
    send(&served, &journal, &key, 0..4).await;
    let said = stream.until("Go on?").await.to_owned();
    for words in ["id: web1:1:2\nevent: output\ndata: {", "event: asked"] {
        let at = said.replace("\r\n", "\n");
        assert!(
            at.contains(words) || at.contains("event: output\nid: web1:1:2\ndata: {"),
            "{words}: {at}"
        );
    }
    // The answer reaches the runner while it waits.
    let mine = hello("boot", &[&key]);
    let answer = json!({"node": "web1", "epoch": 1, "seq": 4, "answer": "yes", "note": "be quick"});
    let path = format!("/v1/runs/{run}/answers");
    let begun = Instant::now();
    let (news, _) = tokio::join!(work(&served, &mine, 20), served.post(&path, &answer));
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(
        (news.answers[0].seq, news.answers[0].answer.as_str()),
        (4, "yes")
    );
    assert_eq!(news.answers[0].note.as_deref(), Some("be quick"));
    let mut second = answer.clone();
    second["answer"] = json!("no");
    let late = served.unix(Request::post(&path).json(&second)).await;
    assert_eq!(
        (late.kind().as_str(), &late.json()["answer"]),
        ("already-answered", &json!("yes"))
    );
    journal.line(2, r#""event":"answered","answer":"yes","question":4"#);
    send(&served, &journal, &key, 2..5).await;
    // A stop reaches it, too.
    let stop = json!({"manner": "step"});
    let path = format!("/v1/runs/{run}/stop");
    let (news, _) = tokio::join!(work(&served, &mine, 20), served.post(&path, &stop));
    assert_eq!(news.wants[0].wants, wire::Want::Stop);
    let mut over = hello("boot", &[]);
    over.ended = vec![PartEnd {
        run: run.clone(),
        node: "web1".into(),
        epoch: 1,
        state: EndState::Halted,
        status: Some(Ended::Stopped),
        cause: Some("ana stopped it".into()),
    }];
    let news = work(&served, &over, 20).await;
    assert_eq!(news.ended, std::slice::from_ref(&key));
    stream.until(r#""state":"halted""#).await;
    // From any position, the same lines.
    let rest = Request::get(&format!("/v1/runs/{run}/events?after=web1:1:2"));
    let rest = served
        .unix(rest.header("accept", "application/x-ndjson"))
        .await;
    let lines: Vec<&str> = rest.body.lines().collect();
    assert_eq!(lines, journal.lines[2..]);
    let output = served
        .unix(Request::get(&format!(
            "/v1/runs/{run}/output?node=web1&step=1&from=8"
        )))
        .await;
    assert_eq!(output.body, "2\n");
    // A text other than the ordered one does not resume.
    let page = served.root.join("web.md");
    let text = std::fs::read_to_string(&page).unwrap();
    std::fs::write(&page, text.replace("going", "going faster")).unwrap();
    let resume = Request::post(&format!("/v1/runs/{run}/resume"));
    let changed = served.unix(resume.clone().json(&json!({}))).await;
    assert_eq!((changed.status, changed.kind().as_str()), (409, "changed"));
    let accepted = json!({"accept_changed": "0"});
    assert_eq!(served.unix(resume.json(&accepted)).await.kind(), "state");
    std::fs::write(&page, text).unwrap();
    // Resumed: another controller, which has the lines so far.
    let resumed = served
        .post(&format!("/v1/runs/{run}/resume"), &json!({}))
        .await;
    assert_eq!(resumed["parts"][0]["state"], "queued");
    let news = work(&served, &hello("boot", &[]), 0).await;
    let part = &news.parts[0];
    assert_eq!(
        (part.mode, part.epoch, part.journal_lines),
        (wire::Mode::Adopt, 2, 5)
    );
    assert_eq!(part.journal, journal.lines);
    over.ended[0] = PartEnd {
        epoch: 2,
        state: EndState::Ended,
        status: Some(Ended::Ok),
        cause: None,
        ..over.ended[0].clone()
    };
    work(&served, &over, 0).await;
    let view = served.get(&format!("/v1/runs/{run}")).await;
    assert_eq!(
        (&view["state"], &view["status"]),
        (&json!("ended"), &json!("OK"))
    );
    let gone = served.unix(Request::post(&path).json(&stop)).await;
    assert_eq!(gone.kind(), "state");
    let metrics = served.unix(Request::get("/metrics")).await;
    assert!(
        metrics
            .body
            .contains("opsbook_gateway_parts{state=\"ended\"} 1\n"),
        "{}",
        metrics.body
    );
}

async fn a_runner_is_enrolled_once_and_has_the_work_of_its_segment(on: On) {
    let served = Served::new(on).await;
    let store = &served.running.gateway.store;
    let (token, _) = store.new_ticket("enroll", "dmz", 60).await.unwrap();
    let enroll = Request::post("/v1/runner/enroll").json(&json!({"token": token, "name": "r1"}));
    let enrolled = served.tcp(enroll.clone()).await.json();
    assert_eq!(enrolled["segment"], "dmz");
    assert_eq!(served.tcp(enroll).await.kind(), "not-logged-in");
    let secret = enrolled["secret"].as_str().unwrap();
    served.ask(&["web1", "far1"]).await;
    let work = Request::post("/v1/runner/work")
        .bearer(secret)
        .json(&hello("b", &[]));
    let news: News = serde_json::from_value(served.tcp(work).await.json()).unwrap();
    let nodes: Vec<&str> = news.parts.iter().map(|part| part.node.as_str()).collect();
    assert_eq!(nodes, ["far1"]);
    // A runner is not a person, and a person's login is not a runner.
    let as_person = served.tcp(Request::get("/v1/runs").bearer(secret)).await;
    assert_eq!(as_person.kind(), "not-logged-in");
    let (login, _) = store.new_login("ana", "token", 60).await.unwrap();
    let as_runner = Request::post("/v1/runner/work")
        .bearer(&login)
        .json(&hello("b", &[]));
    assert_eq!(served.tcp(as_runner).await.kind(), "not-logged-in");
    // A token that was stolen is worth nothing once its person is logged out.
    let (other, _) = store.new_login("bo", "token", 60).await.unwrap();
    let (link, _) = store.new_ticket("link", "ana", 60).await.unwrap();
    assert_eq!(store.log_out_person("ana").await.unwrap(), 2);
    for (token, status) in [(&login, 401), (&other, 200)] {
        let me = served.tcp(Request::get("/v1/me").bearer(token)).await;
        assert_eq!(me.status, status, "{me:?}");
    }
    let path = format!("/login?key={link}");
    assert_eq!(served.tcp(Request::get(&path)).await.status, 401);
    // A person gets no schedule's rights by taking its name.
    let (login, _) = store.new_login("schedule.night", "ssh", 60).await.unwrap();
    let as_schedule = served.tcp(Request::get("/v1/runs").bearer(&login)).await;
    assert_eq!(as_schedule.kind(), "not-logged-in");
    let odd = Request::post("/v1/runner/work").json(&json!({"boot": "", "room": 1, "parts": []}));
    assert_eq!(served.unix(odd).await.kind(), "malformed");
}

async fn one_gateway_has_a_state_folder(on: On) {
    let served = Served::new(on).await;
    let begin = opsbook_gateway::serve::Start {
        root: served.root.clone(),
        state: None,
        config: opsbook_gateway::config::Config::default(),
        runner: opsbook_gateway::serve::RunnerHere::Others,
    };
    let second = opsbook_gateway::serve::start(begin, std::sync::Arc::new(|_: &str| {})).await;
    let why = second.err().unwrap().to_string();
    assert!(
        why.starts_with("another gateway already serves this manual"),
        "{why}"
    );
}

const RULES: &str = r#"opsbook: 1
groups: {oncall: [ana, bo]}
rules:
  - {who: "@oncall", may: [read, run, stop], procedures: "web.*", nodes: "web1, web2"}
  - {who: bo, may: [answer, resume], procedures: "*", nodes: "web1"}
"#;

#[expect(clippy::too_many_lines, reason = "one story over all that may be done")]
async fn who_may_do_what_is_said_by_the_rules(on: On) {
    let served = Served::new(on).await;
    std::fs::write(served.root.join("access.yaml"), RULES).unwrap();
    let store = &served.running.gateway.store;
    let (ana, _) = store.new_login("ana", "token", 600).await.unwrap();
    let (bo, _) = store.new_login("bo", "token", 600).await.unwrap();
    let (cy, _) = store.new_login("cy", "token", 600).await.unwrap();
    let ask = |token: &str, nodes: &[&str]| {
        let ask = json!({"procedure": "web.deploy", "nodes": nodes});
        served.tcp(Request::post("/v1/asks").bearer(token).json(&ask))
    };
    let asked = ask(&ana, &["web1", "web2"]).await;
    assert_eq!(asked.status, 201, "{asked:?}");
    let both = asked.json()["run"].as_str().unwrap().to_owned();
    let far = ask(&ana, &["web1", "far1"]).await;
    assert_eq!((far.status, far.kind().as_str()), (403, "not-allowed"));
    let why = far.json()["detail"].as_str().unwrap().to_owned();
    assert_eq!(
        why,
        "no rule of `access.yaml` lets `ana` run `web.deploy` on `far1`: \
         the nearest rule, access.yaml:4, requires nodes: web1, web2"
    );
    assert_eq!(ask(&cy, &["web1"]).await.kind(), "not-allowed");
    let one = ask(&bo, &["web1"]).await.json()["run"]
        .as_str()
        .unwrap()
        .to_owned();
    // A person without read access to a run gets no news of it.
    let get = |token: &str, path: &str| served.tcp(Request::get(path).bearer(token));
    assert_eq!(get(&cy, "/v1/runs").await.json()["runs"], json!([]));
    let runs = get(&ana, "/v1/runs").await.json();
    assert_eq!(runs["runs"].as_array().unwrap().len(), 2);
    for path in ["", "/plan", "/events", "/output?node=web1"] {
        let path = format!("/v1/runs/{both}{path}");
        assert_eq!(get(&cy, &path).await.kind(), "not-found", "{path}");
    }
    assert_eq!(
        get(&ana, &format!("/v1/runs/{both}/plan")).await.status,
        200
    );
    let post = |token: &str, run: &str, verb: &str, body: serde_json::Value| {
        let path = format!("/v1/runs/{run}/{verb}");
        served.tcp(Request::post(&path).bearer(token).json(&body))
    };
    let answer = json!({"node": "web1", "epoch": 1, "seq": 1, "answer": "yes"});
    for (who, run, verb, body, kind) in [
        (&ana, &both, "answers", answer.clone(), "not-allowed"),
        (&ana, &both, "hand-over", json!({"to": "bo"}), "not-allowed"),
        (&ana, &both, "resume", json!({}), "not-allowed"),
        (&ana, &both, "release", json!({}), "not-allowed"),
        (&cy, &both, "stop", json!({}), "not-allowed"),
        // The rule covers only web1, and this run covers web2, too.
        (&bo, &both, "answers", answer.clone(), "not-allowed"),
        (&bo, &one, "answers", answer, "not-found"),
        (&bo, &one, "resume", json!({}), "state"),
        // Nobody who logs in has such a name.
        (
            &bo,
            &one,
            "hand-over",
            json!({"to": "schedule.dump"}),
            "malformed",
        ),
    ] {
        let said = post(who, run, verb, body.clone()).await;
        assert_eq!(said.kind(), kind, "{verb} {run}: {said:?}");
    }
    assert_eq!(post(&ana, &both, "stop", json!({})).await.status, 200);
    assert_eq!(
        post(&bo, &one, "hand-over", json!({"to": "ana"}))
            .await
            .status,
        200
    );
    let view = get(&ana, "/v1/procedures/web.deploy").await.json();
    assert_eq!(view["nodes"], json!(["web1", "web2"]));
    assert_eq!(view["may"], json!(["read", "run", "stop"]));
    let hosts = get(&cy, "/v1/hosts?select=web1").await.json();
    assert_eq!(hosts[0]["may"], json!([]));
    let path = "/v1/explain?person=bo&verb=resume&procedure=web.deploy&node=web2";
    let explained = get(&ana, path).await.json();
    assert_eq!(
        (&explained["granted"], &explained["by"]),
        (&json!(false), &json!(null))
    );
    assert_eq!(explained["rules"][1]["against"], json!(["nodes: web1"]));
    let path = "/v1/explain?person=bo&verb=resume&procedure=web.deploy&node=web1";
    assert_eq!(get(&ana, path).await.json()["by"], "access.yaml:5");
    // Unreadable rules grant nothing to anyone.
    std::fs::write(
        served.root.join("access.yaml"),
        RULES.replace("may:", "my:"),
    )
    .unwrap();
    for token in [&ana, &served.token()] {
        let answer = ask(token, &["web1"]).await;
        assert_eq!(answer.kind(), "wrong", "{answer:?}");
        assert!(answer.body.contains("access.yaml"), "{answer:?}");
    }
}

/// Returns a signature of a text in a namespace with this key.
fn signed(folder: &std::path::Path, key: &str, namespace: &str, text: &str) -> String {
    let message = folder.join("message");
    std::fs::write(&message, text).unwrap();
    let _ = std::fs::remove_file(folder.join("message.sig"));
    let signing = std::process::Command::new("ssh-keygen")
        .args(["-q", "-Y", "sign", "-n", namespace, "-f"])
        .arg(folder.join(key))
        .arg(&message)
        .stderr(std::process::Stdio::null())
        .status();
    assert!(signing.unwrap().success());
    std::fs::read_to_string(folder.join("message.sig")).unwrap()
}

async fn an_ssh_key_logs_its_holder_in(on: On) {
    let folder = tempfile::tempdir().unwrap();
    let signers = crate::lab::signers(folder.path(), &[("ana", "one"), ("bo", "two")]);
    let config = format!(
        "name = \"gw\"\n[login.ssh]\nallowed_signers = \"{}\"\n",
        signers.display()
    );
    let served = Served::with(on, &config).await;
    let nonce = async || {
        let nonce = served.tcp(Request::get("/v1/login/ssh/nonce")).await.json();
        assert_eq!(nonce["namespace"], "opsbook-login@gw");
        nonce["nonce"].as_str().unwrap().to_owned()
    };
    let login = |signer: &str, nonce: &str, signature: &str| {
        let login = json!({"signer": signer, "nonce": nonce, "signature": signature});
        served.tcp(Request::post("/v1/login/ssh").json(&login))
    };
    let sign = |key: &str, namespace: &str, text: &str| {
        signed(folder.path(), key, namespace, &format!("{text}\n"))
    };
    let own = "opsbook-login@gw";
    let once = nonce().await;
    let signature = sign("one", own, &once);
    let entered = login("ana", &once, &signature).await;
    assert_eq!(entered.status, 200, "{entered:?}");
    let token = entered.json()["token"].as_str().unwrap().to_owned();
    let me = served
        .tcp(Request::get("/v1/me").bearer(&token))
        .await
        .json();
    assert_eq!((&me["person"], &me["way"]), (&json!("ana"), &json!("ssh")));
    assert_eq!(
        login("ana", &once, &signature).await.kind(),
        "not-logged-in"
    );
    for (why, signer, key, namespace) in [
        ("another's key", "ana", "two", own),
        ("another gateway's", "ana", "one", "opsbook-login@other"),
        ("another purpose", "ana", "one", "git"),
        ("nobody known", "cy", "one", own),
        ("an option", "-fx", "one", own),
    ] {
        let nonce = nonce().await;
        let signature = sign(key, namespace, &nonce);
        let answer = login(signer, &nonce, &signature).await;
        assert_eq!(answer.kind(), "not-logged-in", "{why}");
    }
    let (first, second) = (nonce().await, nonce().await);
    let signature = sign("one", own, &first);
    assert_eq!(
        login("ana", &second, &signature).await.kind(),
        "not-logged-in"
    );
    assert_eq!(
        login("ana", &first, "no signature").await.kind(),
        "not-logged-in"
    );
    assert_eq!(login("a b", &first, "x").await.kind(), "malformed");
}

crate::on_both!(
    without_a_login_there_is_no_more_than_the_gateways_name,
    a_user_of_this_machine_is_known_by_the_socket_or_the_token,
    another_user_of_this_machine_is_nobody,
    a_browser_is_logged_in_by_an_address_once,
    what_another_sites_page_can_send_is_refused,
    a_program_that_is_too_old_is_told_how_to_be_newer,
    what_is_asked_for_is_what_was_read_or_refused,
    a_file_outside_the_book_is_not_served,
    a_run_is_asked_for_done_watched_answered_halted_and_gone_on_with,
    a_runner_is_enrolled_once_and_has_the_work_of_its_segment,
    one_gateway_has_a_state_folder,
    who_may_do_what_is_said_by_the_rules,
    an_ssh_key_logs_its_holder_in,
);
