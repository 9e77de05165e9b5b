//! ! Logins with an identity provider: in a browser, without one, and as a CI program; and refused
//! logins.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use opsbook_client::{Outbound, Url, outbound};
use opsbook_gateway::secret::Secret;
use opsbook_wire as wire;
use serde_json::{Value, json};
use wire::endpoint;

use crate::drive::{Browser, Screen};
use crate::provider::{self, CLIENT, Provider, SECRET, es256, hs256, none, now, rs256};
use crate::served::{Answer, On, Request, Served};
use crate::skip::or_skip;

type Made = Box<dyn Fn(&Provider, Value) -> String + Send + Sync>;

struct Lab {
    provider: Arc<Provider>,
    served: Served,
    _folder: tempfile::TempDir,
}

const CI: &str = "[login.ci.forge]\nissuer = \"ISSUER\"\naudience = \"opsbook-ci\"\n\
    map = [{sub = \"repo:ops/shop:*\", as = \"ci-shop\"}, {sub = \"repo:ops/db:main\", protected = \"true\", as = \"ci-db\"}]\n";

async fn lab() -> Lab {
    let provider = Provider::start().await;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let config = provider.config(&secret) + &CI.replace("ISSUER", &provider.issuer);
    let served = Served::with(On::Sqlite, &config).await;
    provider.knows(&served.running.local.url);
    Lab {
        provider,
        served,
        _folder: folder,
    }
}

impl Lab {
    /// Plays a browser's way to the provider and back. Returns the cookie and the final address.
    async fn to_the_provider_and_back(&self) -> (String, String) {
        let begun = self.served.tcp(Request::get(endpoint::LOGIN_OIDC)).await;
        assert_eq!(begun.status, 303, "{begun:?}");
        let cookie = begun.exact("set-cookie").unwrap();
        for word in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=600"] {
            assert!(cookie.contains(word), "{cookie}");
        }
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let place: Url = begun.exact("location").unwrap().parse().unwrap();
        let sent = outbound(&place, Outbound::default()).await.unwrap();
        assert_eq!(sent.status, 303, "{}", String::from_utf8_lossy(&sent.body));
        let back = sent.headers.iter().find(|(name, _)| name == "location");
        let back = back.unwrap().1.strip_prefix(&self.served.running.local.url);
        (cookie, back.unwrap().to_owned())
    }

    async fn back(&self, cookie: &str, back: &str) -> Answer {
        let request = Request::get(back).header("cookie", cookie);
        // A browser that comes from the provider's page sends this header.
        let request = request.header("sec-fetch-site", "cross-site");
        self.served.tcp(request).await
    }

    async fn through(&self) -> Answer {
        let (cookie, back) = self.to_the_provider_and_back().await;
        self.back(&cookie, &back).await
    }

    async fn program(&self, token: &str) -> Answer {
        let request = Request::post(endpoint::LOGIN_CI).json(&json!({"token": token}));
        self.served.tcp(request).await
    }

    fn ci(&self, more: Value) -> Value {
        let mut claims = json!({"aud": "opsbook-ci", "sub": "repo:ops/shop:ref:refs/heads/main"});
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        self.provider.claims(claims)
    }
}

fn is_nobody(answer: &Answer, why: &str) {
    assert_eq!(answer.status, 401, "{why}: {answer:?}");
    assert!(answer.body.contains(why), "{why}: {answer:?}");
    assert_eq!(answer.exact("set-cookie"), None, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_logs_in_at_the_provider_once() {
    let lab = lab().await;
    let about = lab.served.get(endpoint::ABOUT).await;
    assert_eq!(about["login"], json!(["peer", "token", "oidc", "ci"]));
    let (cookie, back) = lab.to_the_provider_and_back().await;
    let entered = lab.back(&cookie, &back).await;
    assert_eq!(entered.status, 200, "{entered:?}");
    let login = entered.exact("set-cookie").unwrap();
    assert!(
        login.contains("SameSite=Strict") && login.contains("HttpOnly"),
        "{login}"
    );
    let login = login.split(';').next().unwrap();
    let me = lab
        .served
        .tcp(Request::get(endpoint::ME).header("cookie", login))
        .await;
    // Invalid group names are dropped.
    assert_eq!(
        me.json(),
        json!({"person": "ana", "groups": ["oncall"], "way": "oidc"})
    );
    // The code works once, even with the cookie.
    is_nobody(&lab.back(&cookie, &back).await, "invalid_grant");
    // The gateway's secret is in none of its files.
    let found = std::process::Command::new("grep")
        .args(["-rlF", SECRET])
        .arg(&lab.served.root)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_provider_says_of_groups_counts_in_the_rules() {
    let lab = lab().await;
    let rules = "opsbook: 1\ngroups: {oncall: []}\nrules:\n  - {who: \"@oncall\", may: [read, run], procedures: \"web.*\", nodes: \"web1\"}\n";
    std::fs::write(lab.served.root.join("access.yaml"), rules).unwrap();
    let ask = async |node: &str| {
        let entered = lab.through().await;
        let login = entered
            .exact("set-cookie")
            .unwrap()
            .split(';')
            .next()
            .unwrap()
            .to_owned();
        let body = json!({"procedure": "web.deploy", "nodes": [node]});
        let request = Request::post(endpoint::ASKS)
            .header("cookie", &login)
            .json(&body);
        let asked = lab.served.tcp(request).await;
        let card = Request::get("/v1/procedures/web.deploy").header("cookie", &login);
        (
            asked.status,
            lab.served.tcp(card).await.json()["nodes"].clone(),
        )
    };
    assert_eq!(ask("web1").await, (201, json!(["web1"])));
    assert_eq!(ask("web2").await.0, 403);
    lab.provider.twist(|_, mut claims| {
        claims["groups"] = json!(["others"]);
        rs256(0, "1", &claims)
    });
    assert_eq!(ask("web1").await, (403, json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_has_begun_it_and_comes_from_the_provider() {
    let lab = lab().await;
    let (cookie, back) = lab.to_the_provider_and_back().await;
    let (other, other_back) = lab.to_the_provider_and_back().await;
    let begun = "was not started in this browser";
    // Without the cookie, and with another attempt's cookie, as an attacker's page would send it.
    is_nobody(&lab.served.tcp(Request::get(&back)).await, begun);
    is_nobody(&lab.back(&other, &back).await, begun);
    let (name, _) = cookie.split_once('=').unwrap();
    for made_up in ["", "x.y.z", "..", &format!("{0}.{0}", "0".repeat(64))] {
        is_nobody(&lab.back(&format!("{name}={made_up}"), &back).await, begun);
    }
    is_nobody(&lab.back(&cookie, "/login/oidc/callback").await, begun);
    // Another provider's answer, and the provider's refusal.
    let mixed = back.replace(&lab.provider.issuer, "https://evil.example");
    is_nobody(
        &lab.back(&cookie, &mixed).await,
        "is not from this gateway's identity provider",
    );
    let state = other_back
        .split("state=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap();
    let no = format!("/login/oidc/callback?state={state}&error=access_denied%1b");
    is_nobody(&lab.back(&other, &no).await, "access_denied");
    // Another attempt's code does not fit this attempt's verifier.
    let code = |back: &str| back.split(['=', '&']).nth(1).unwrap().to_owned();
    let swapped = back.replace(&code(&back), &code(&other_back));
    is_nobody(&lab.back(&cookie, &swapped).await, "invalid_grant");
    // No parameter leads a browser to another address.
    let request =
        Request::get("/login/oidc?next=https://evil.example&redirect_uri=https://evil.example");
    let sent = lab.served.tcp(request).await;
    let place = sent.exact("location").unwrap();
    assert!(
        place.starts_with(&lab.provider.issuer) && !place.contains("evil"),
        "{place}"
    );
    // A provider that does not know the redirect address sends nobody there.
    let elsewhere = place.replace("callback", "elsewhere").parse().unwrap();
    assert_eq!(
        outbound(&elsewhere, Outbound::default())
            .await
            .unwrap()
            .status,
        400
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_provider_has_not_signed_for_this_login_lets_nobody_in() {
    let lab = lab().await;
    let with = |name: &'static str, value: Value| -> Made {
        Box::new(move |_, mut claims| {
            claims[name] = value.clone();
            rs256(0, "1", &claims)
        })
    };
    let without = |name: &'static str| -> Made {
        Box::new(move |_, mut claims| {
            claims.as_object_mut().unwrap().remove(name);
            rs256(0, "1", &claims)
        })
    };
    let cases: Vec<(Made, &str)> = vec![
        (Box::new(|_, c| none("none", &c)), "cannot be read"),
        (Box::new(|_, c| none("NONE", &c)), "cannot be read"),
        (Box::new(|_, c| none("RS256", &c)), "signature is wrong"),
        (Box::new(|_, c| hs256(&provider::public(), &c)), "HS256"),
        (Box::new(|_, c| hs256(b"known to everybody", &c)), "HS256"),
        (Box::new(|_, c| rs256(1, "1", &c)), "signature is wrong"),
        (
            Box::new(|_, c| rs256(1, "2", &c)),
            "a key that its issuer does not publish",
        ),
        // A key for another purpose, and one of another kind.
        (
            Box::new(|_, c| rs256(1, "enc", &c)),
            "a key that its issuer does not publish",
        ),
        (
            Box::new(|_, c| rs256(0, "e", &c)),
            "a key that its issuer does not publish",
        ),
        (with("aud", json!("another")), "made for somebody else"),
        (with("aud", json!([CLIENT, "another"])), "another client"),
        (with("azp", json!("another")), "another client"),
        (with("iss", json!("https://evil.example")), "another issuer"),
        (with("exp", json!(now() - 60)), "has expired"),
        (with("nbf", json!(now() + 600)), "not valid yet"),
        (with("nonce", json!("0".repeat(64))), "another login"),
        (without("nonce"), "another login"),
        (without("exp"), "has no `exp`"),
        (without("sub"), "has no `sub`"),
        (without("aud"), "has no `aud`"),
        (
            with("preferred_username", json!("../root")),
            "is not a valid name",
        ),
        (with("preferred_username", json!(7)), "is not a valid name"),
        (
            with("preferred_username", json!("schedule.nightly")),
            "the name of a schedule",
        ),
        (without("preferred_username"), "is not a valid name"),
        (
            Box::new(|_, c| {
                let token = rs256(0, "1", &c);
                let mut parts = token.split('.').map(str::to_owned).collect::<Vec<_>>();
                let mut other = c.clone();
                other["preferred_username"] = json!("root");
                parts[1] = provider::url64(other.to_string());
                parts.join(".")
            }),
            "signature is wrong",
        ),
        (Box::new(|_, _| "x".repeat(20_000)), "too long"),
        (Box::new(|_, _| "a.b".to_owned()), "cannot be read"),
    ];
    for (twist, why) in cases {
        lab.provider.twist(twist);
        is_nobody(&lab.through().await, why);
    }
    // The form is not the reason of the refusal: this token is good, with either kind of key.
    lab.provider.straight();
    assert_eq!(lab.through().await.status, 200);
    lab.provider.twist(|_, claims| es256(&claims));
    assert_eq!(lab.through().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_changes_its_keys_is_asked_for_them_again_but_not_each_time() {
    let lab = lab().await;
    assert_eq!(lab.through().await.status, 200);
    let before = lab.provider.asked();
    for _ in 0..5 {
        lab.provider.twist(|_, claims| rs256(1, "unknown", &claims));
        is_nobody(&lab.through().await, "does not publish");
    }
    assert!(
        lab.provider.asked() <= before + 1,
        "{}",
        lab.provider.asked()
    );
    lab.provider.turn();
    lab.provider.twist(|_, claims| rs256(0, "turned", &claims));
    let begun = std::time::Instant::now();
    while lab.through().await.status != 200 {
        assert!(begun.elapsed().as_secs() < 120);
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_without_a_browser_waits_until_a_person_has_confirmed() {
    let lab = lab().await;
    let begin = async || -> Value {
        let request = Request::post(endpoint::LOGIN_DEVICE).body("{}");
        let begun = lab.served.tcp(request).await;
        assert_eq!(begun.status, 200, "{begun:?}");
        begun.json()
    };
    let poll = async |code: &Value| {
        let body = json!({"device_code": code});
        let request = Request::post(endpoint::LOGIN_DEVICE_POLL).json(&body);
        lab.served.tcp(request).await
    };
    let begun = begin().await;
    assert_eq!(begun["user_code"], "WDJB-MJHT");
    let code = &begun["device_code"];
    assert_eq!(poll(code).await.json(), json!({"wait": 0}));
    lab.provider.confirm(true);
    let done = poll(code).await.json();
    assert_eq!(done["login"]["person"], "ana");
    let token = done["login"]["token"].as_str().unwrap();
    let me = lab
        .served
        .tcp(Request::get(endpoint::ME).bearer(token))
        .await;
    assert_eq!(me.json()["way"], "oidc");
    let refused = begin().await;
    lab.provider.confirm(false);
    is_nobody(&poll(&refused["device_code"]).await, "access_denied");
    is_nobody(&poll(&json!("made up")).await, "expired_token");
    // A page of another site starts no login.
    let request = Request::post(endpoint::LOGIN_DEVICE).without("opsbook-api");
    assert_eq!(lab.served.tcp(request).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_of_a_ci_is_who_the_map_says() {
    let lab = lab().await;
    let known = lab.program(&rs256(0, "1", &lab.ci(json!({})))).await;
    assert_eq!(known.json()["person"], "ci-shop", "{known:?}");
    let token = known.json()["token"].as_str().unwrap().to_owned();
    let me = lab
        .served
        .tcp(Request::get(endpoint::ME).bearer(&token))
        .await;
    assert_eq!(
        me.json(),
        json!({"person": "ci-shop", "groups": [], "way": "ci"})
    );
    let db = json!({"sub": "repo:ops/db:main", "protected": true});
    let known = lab.program(&rs256(0, "1", &lab.ci(db))).await;
    assert_eq!(known.json()["person"], "ci-db", "{known:?}");
    for (claims, why) in [
        (
            json!({"sub": "repo:evil/shop:ref:refs/heads/main"}),
            "no line of `map`",
        ),
        (json!({"sub": "repo:ops/db:main"}), "no line of `map`"),
        (
            json!({"sub": "repo:ops/db:main", "protected": ["true"]}),
            "no line of `map`",
        ),
        // A person's token is not valid for a program.
        (json!({"aud": CLIENT}), "made for somebody else"),
        (json!({"exp": now() - 60}), "has expired"),
        (
            json!({"iss": "https://evil.example"}),
            "is unknown to this gateway",
        ),
    ] {
        is_nobody(&lab.program(&rs256(0, "1", &lab.ci(claims))).await, why);
    }
    let claims = lab.ci(json!({}));
    for token in [
        none("none", &claims),
        hs256(&provider::public(), &claims),
        rs256(1, "1", &claims),
        String::new(),
        "\u{1b}[2J".to_owned(),
    ] {
        assert_eq!(lab.program(&token).await.status, 401, "{token}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_calls_itself_otherwise_or_is_away_lets_nobody_in() {
    let provider = Provider::start().await;
    // The same server under another name: its tokens would have another issuer.
    let other = provider.issuer.replace("127.0.0.1", "localhost");
    for (issuer, why) in [
        (other.as_str(), "calls itself"),
        ("http://127.0.0.1:9", "cannot reach"),
    ] {
        let config = format!("[login.oidc]\nissuer = \"{issuer}\"\nclient = \"opsbook\"\n");
        let served = Served::with(On::Sqlite, &config).await;
        let answer = served.tcp(Request::get(endpoint::LOGIN_OIDC)).await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.body.contains(why), "{answer:?}");
    }
}

/// A page of another site, in a browser with a logged-in person.
#[test]
fn a_page_of_another_site_asks_for_nothing_with_the_cookie_of_a_person() {
    let name = "a_page_of_another_site_asks_for_nothing_with_the_cookie_of_a_person";
    let Some(browser) = or_skip(name, Browser::open(Screen::Desk)) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let lab = runtime.block_on(lab());
    let url = lab.served.running.local.url.clone();
    // To the provider and back, as a person does.
    browser.go(&format!("{url}/login/oidc"));
    browser.until("return location.pathname === '/'");
    let ask = r#"{"procedure":"web.deploy","nodes":["web1"]}"#;
    let page = format!(
        "<!DOCTYPE html><title>evil</title><iframe name=hole></iframe>\
         <form id=f target=hole method=post enctype='text/plain' action='{url}/v1/asks'>\
         <input name='{}' value='{}'></form><script>\
         window.done = [];\
         document.getElementById('f').submit();\
         const ask = {{method: 'POST', credentials: 'include', body: {ask:?}}};\
         const tries = [\
           fetch('{url}/v1/asks', {{...ask, mode: 'no-cors'}}),\
           fetch('{url}/v1/asks', {{...ask, headers: {{'opsbook-api': '1'}}}}),\
           fetch('{url}/v1/runs', {{credentials: 'include'}}).then((r) => r.text()).then((t) => {{ throw new Error('read: ' + t) }}),\
         ];\
         Promise.allSettled(tries).then((all) => {{ window.done = all.map((one) => one.status + ' ' + (one.value ? one.value.type : one.reason)); }});\
         </script>",
        ask.replace('"', "&quot;").split_at(30).0,
        ask.replace('"', "&quot;").split_at(30).1,
    );
    let evil = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let page = axum::response::Html(page);
        let app = axum::Router::new().route("/", axum::routing::get(async move || page));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        // Another site is another host, not another port.
        format!("http://localhost:{port}/")
    });
    browser.go(&evil);
    browser.until("return window.done.length === 3");
    let done = browser.text("return window.done.join('; ')", &[]);
    assert!(!done.contains("read:"), "{done}");
    let runs = || runtime.block_on(lab.served.get(endpoint::RUNS))["runs"].clone();
    assert_eq!(runs(), json!([]), "{done}");
    // The site is the reason of the refusal: the same request from a page of the gateway creates a
    // run.
    browser.go(&url);
    let asked = browser.promised(
        "fetch('/v1/asks', {method: 'POST', body: arguments[0], headers: {'opsbook-api': '1', 'content-type': 'application/json'}}).then((r) => String(r.status))",
        &[ask],
    );
    assert_eq!(asked, json!("201"));
    assert_eq!(runs().as_array().unwrap().len(), 1);
    assert_eq!(runs()[0]["asked_by"], "ana");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_looked_up_where_it_is_and_is_in_no_message() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "hidden\nmore\n").unwrap();
    let mode =
        |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o600);
    let file = read(&format!("secret = {{file = \"{}\"}}", path.display()));
    assert_eq!(file.look_up().await.unwrap(), "hidden");
    mode(0o644);
    assert!(
        file.look_up()
            .await
            .unwrap_err()
            .contains("other users can read")
    );
    let command = read("secret = {command = \"printf 'hidden\\\\n'\"}");
    assert_eq!(command.look_up().await.unwrap(), "hidden");
    let fails = read("secret = {command = \"echo hidden; exit 3\"}");
    let said = fails.look_up().await.unwrap_err();
    assert!(
        said.contains("exit status: 3") && !said.replace("echo hidden", "").contains("hidden"),
        "{said}"
    );
    assert!(
        read("secret = {env = \"OPSBOOK_NOT_THERE\"}")
            .look_up()
            .await
            .is_err()
    );
    assert_eq!(
        read("secret = {env = \"PATH\"}").look_up().await.unwrap(),
        std::env::var("PATH").unwrap()
    );
}

fn read(text: &str) -> Secret {
    #[derive(serde::Deserialize)]
    struct One {
        secret: Secret,
    }
    toml::from_str::<One>(text).unwrap().secret
}

/// Version 2 of Vault's store, version 1, and refused readers.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_looked_up_in_a_vault() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "hidden\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let app = axum::Router::new()
        .route(
            "/v1/secret/data/opsbook",
            axum::routing::get(async |headers: axum::http::HeaderMap| {
                match headers
                    .get("x-vault-token")
                    .map(axum::http::HeaderValue::as_bytes)
                {
                    Some(b"hidden") => Ok(axum::Json(
                        json!({"data": {"data": {"pass": "of the vault"}}}),
                    )),
                    _ => Err(axum::http::StatusCode::FORBIDDEN),
                }
            }),
        )
        .route(
            "/v1/kv/opsbook",
            axum::routing::get(async || axum::Json(json!({"data": {"pass": "of the first"}}))),
        );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let vault = |path: &str, field: &str, token: &str| {
        read(&format!(
            "secret = {{vault = {{url = \"{base}{path}\", field = \"{field}\", token = {token}}}}}"
        ))
    };
    let token = format!("{{file = \"{}\"}}", path.display());
    let found = vault("/v1/secret/data/opsbook", "pass", &token)
        .look_up()
        .await;
    assert_eq!(found.unwrap(), "of the vault");
    let found = vault("/v1/kv/opsbook", "pass", &token).look_up().await;
    assert_eq!(found.unwrap(), "of the first");
    let wrong = vault(
        "/v1/secret/data/opsbook",
        "pass",
        "{command = \"echo other\"}",
    );
    assert!(wrong.look_up().await.unwrap_err().contains("status 403"));
    let none = vault("/v1/secret/data/opsbook", "passs", &token)
        .look_up()
        .await;
    assert!(none.unwrap_err().contains("no text `passs`"));
}
