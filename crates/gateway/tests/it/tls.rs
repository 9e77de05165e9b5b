//! ! The gateway over TLS, and runners that identify themselves with a certificate.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use opsbook_client::{Client, ClientError, Identity, Tls, Trust, request};
use opsbook_gateway::config::Listen;
use opsbook_gateway::tls::{Authority, ServerTls};
use opsbook_wire as wire;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wire::runner::Renew;
use wire::version::Installed;
use wire::{About, Acked, Enroll, Enrolled, Hello, Kind, News, PartKey, endpoint};

use crate::lab::{Journal, hello};
use crate::served::{On, Request, Served};

const TLS: &str = "[listen.tls]\n";

/// A client that trusts the gateway's fingerprint and presents this identity.
fn client(served: &Served, identity: Option<Identity>) -> Client {
    let address = served.running.local.url.parse().unwrap();
    let client = Client::new(address, None, "0.1.0", Installed::Archive);
    let pin = served.running.fingerprint.as_ref().unwrap();
    client.set_tls(Tls {
        trust: Trust::Fingerprint(pin.parse().unwrap()),
        identity,
    });
    client
}

async fn token(served: &Served, segment: &str) -> String {
    let store = &served.running.gateway.store;
    store.new_ticket("enroll", segment, 60).await.unwrap().0
}

fn to_enroll(token: &str, name: &str, csr: Option<String>) -> Enroll {
    Enroll {
        token: token.to_owned(),
        name: name.to_owned(),
        csr,
    }
}

/// Enrolls a runner of this segment.
async fn runner(served: &Served, segment: &str, name: &str) -> (Client, Identity) {
    let asked = request(name).unwrap();
    let enroll = to_enroll(&token(served, segment).await, name, Some(asked.csr));
    let known: Enrolled = client(served, None)
        .post(endpoint::RUNNER_ENROLL, &enroll)
        .await
        .unwrap();
    assert_eq!(
        (known.segment.as_str(), known.secret.as_str()),
        (segment, "")
    );
    let identity = Identity::new(&known.certificate.unwrap(), &asked.key);
    (client(served, Some(identity.clone())), identity)
}

async fn beat(client: &Client) -> Result<News, ClientError> {
    let hello: Hello = hello("boot", &[]);
    client.post(endpoint::RUNNER_BEAT, &hello).await
}

fn is_nobody(answer: &Result<News, ClientError>) -> bool {
    answer
        .as_ref()
        .is_err_and(|error| error.kind() == Some(Kind::NotLoggedIn))
}

/// Whether the handshake or the first request after it failed.
fn is_cut(answer: &Result<News, ClientError>) -> bool {
    matches!(answer, Err(ClientError::Unreachable { .. }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_is_believed_by_its_fingerprint_and_by_nothing_less() {
    let served = Served::with(On::Sqlite, TLS).await;
    assert!(served.running.local.url.starts_with("https://127.0.0.1:"));
    let about: About = client(&served, None).get(endpoint::ABOUT).await.unwrap();
    assert_eq!(about.api, [1]);
    // This client trusts no authority.
    let stranger = client(&served, None);
    stranger.set_tls(Tls::default());
    let error = stranger.get::<About>(endpoint::ABOUT).await.unwrap_err();
    assert!(error.to_string().contains("`--fingerprint`"), "{error}");
    let other = client(&served, None);
    other.set_tls(Tls {
        trust: Trust::Fingerprint("ab".repeat(32).parse().unwrap()),
        identity: None,
    });
    let error = other.get::<About>(endpoint::ABOUT).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("no certificate with the fingerprint"),
        "{error}"
    );
    // The gateway serves nothing without TLS.
    let mut stream = tokio::net::TcpStream::connect(served.host()).await.unwrap();
    stream
        .write_all(b"GET /v1 HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    assert!(
        said.starts_with("HTTP/1.1 400") && said.contains("speaks TLS"),
        "{said}"
    );
    // The authority is the same after a restart.
    let state = served.state();
    let pin = served.running.fingerprint.clone().unwrap();
    let again = Authority::open(&state.join("tls"), "g").unwrap();
    assert_eq!(again.fingerprint(), pin);
    let key = state.join("tls/authority.pem");
    let mode = std::fs::metadata(&key).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    let error = Authority::open(&state.join("tls"), "g").unwrap_err();
    assert!(error.to_string().contains("others can read it"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_makes_one_runner_and_only_with_a_request_of_its_own_key() {
    let served = Served::with(On::Sqlite, TLS).await;
    let nobody = client(&served, None);
    let enroll = async |body: &Enroll| {
        let answer: Result<Enrolled, _> = nobody.post(endpoint::RUNNER_ENROLL, body).await;
        answer.map_err(|error| (error.kind(), error.to_string()))
    };
    let asked = request("r").unwrap();
    let stolen = token(&served, "dmz").await;
    // An enrollment without a request changes nothing: the token is still good.
    let old = enroll(&to_enroll(&stolen, "r", None)).await.unwrap_err();
    assert_eq!(old.0, Some(Kind::Malformed), "{}", old.1);
    let first = enroll(&to_enroll(&stolen, "r", Some(asked.csr.clone()))).await;
    assert!(first.is_ok(), "{first:?}");
    let thief = request("r").unwrap();
    let twice = enroll(&to_enroll(&stolen, "r", Some(thief.csr))).await;
    assert_eq!(twice.unwrap_err().0, Some(Kind::NotLoggedIn));
    for wrong in [
        "",
        "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        // Another key in the request: its signature no longer matches.
        &asked.csr.replacen(&asked.csr[120..140], &"A".repeat(20), 1),
    ] {
        let token = token(&served, "dmz").await;
        let refused = enroll(&to_enroll(&token, "r2", Some(wrong.to_owned()))).await;
        assert_eq!(refused.unwrap_err().0, Some(Kind::Malformed), "{wrong}");
    }
    // A token of one segment enrolls no runner of another, whatever the names are.
    runner(&served, "a", "b.c").await;
    let mixed = token(&served, "a.b").await;
    let asked = request("c").unwrap();
    let refused = enroll(&to_enroll(&mixed, "c", Some(asked.csr))).await;
    let said = refused.unwrap_err().1;
    assert!(said.contains("a runner of another segment"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_is_who_its_certificate_says_and_gets_work_of_its_segment_alone() {
    let served = Served::with(On::Sqlite, TLS).await;
    let (far, _) = runner(&served, "dmz", "far").await;
    let (near, _) = runner(&served, "here", "near").await;
    let run = served.ask(&["web1", "far1"]).await;
    let work = async |client: &Client| -> News {
        let hello: Hello = hello("boot", &[]);
        client.post(endpoint::RUNNER_WORK, &hello).await.unwrap()
    };
    let of_far = work(&far).await;
    let nodes: Vec<&str> = of_far.parts.iter().map(|part| part.node.as_str()).collect();
    assert_eq!(nodes, ["far1"]);
    let of_near = work(&near).await;
    assert_eq!(of_near.parts[0].node, "web1");
    // Another segment's runner does not hold this part.
    let key = PartKey {
        run: run.clone(),
        node: "web1".into(),
        epoch: 1,
    };
    let mut journal = Journal::new(&run);
    journal.output(1, "from the other segment");
    let lines = json!({"parts": [journal.part(&key, 0..1)]});
    let acked: Acked = far.post(endpoint::RUNNER_EVENTS, &lines).await.unwrap();
    assert!(
        acked.acked.is_empty() && acked.refused.len() == 1,
        "{acked:?}"
    );
    let view: Value = served.get(&format!("/v1/runs/{run}")).await;
    assert!(!view.to_string().contains("from the other segment"));
    let hello: Hello = hello("boot", &[&key]);
    let news: News = far.post(endpoint::RUNNER_BEAT, &hello).await.unwrap();
    assert_eq!(news.lost, [key]);
    // Without a certificate nobody is a runner here: neither a runner's secret nor a person's token
    // helps.
    assert!(is_nobody(&beat(&client(&served, None)).await));
    let store = &served.running.gateway.store;
    let (_, secret) = store.enroll("dmz", "other").await.unwrap();
    for token in [secret, served.token()] {
        let bearer = Client::new(
            served.running.local.url.parse().unwrap(),
            Some(opsbook_client::Token::new(token)),
            "0.1.0",
            Installed::Archive,
        );
        let pin = served.running.fingerprint.as_ref().unwrap();
        bearer.set_tls(Tls {
            trust: Trust::Fingerprint(pin.parse().unwrap()),
            identity: None,
        });
        assert!(is_nobody(&beat(&bearer).await));
    }
    // Nor is a runner a person.
    let error = far.get::<Value>(endpoint::RUNS).await.unwrap_err();
    assert_eq!(error.kind(), Some(Kind::NotLoggedIn));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_authority_an_old_one_and_a_revoked_one_are_worth_nothing() {
    let config = "[runners]\ncertificate = \"3s\"\n[listen.tls]\n";
    let served = Served::with(On::Sqlite, config).await;
    // Another gateway's authority with the same names.
    let folder = tempfile::tempdir().unwrap();
    let other = Authority::open(folder.path(), &served.running.gateway.name).unwrap();
    let asked = request("far").unwrap();
    let life = Duration::from_mins(1);
    let forged = other.of_runner(&asked.csr, ("dmz", "far"), life).unwrap();
    let forged = Identity::new(&forged.certificate, &asked.key);
    let answer = beat(&client(&served, Some(forged))).await;
    assert!(is_cut(&answer), "{answer:?}");
    // From the right authority, but unknown to the store.
    let own = Authority::open(&served.state().join("tls"), "g").unwrap();
    let made = own.of_runner(&asked.csr, ("dmz", "far"), life).unwrap();
    let made = Identity::new(&made.certificate, &asked.key);
    assert!(is_nobody(&beat(&client(&served, Some(made))).await));
    // The gateway's own certificate is not a runner's.
    let pem = std::fs::read_to_string(served.state().join("tls/gateway.pem")).unwrap();
    let server = Identity::new(&pem, &pem);
    assert!(is_cut(&beat(&client(&served, Some(server))).await));
    // Revocation also affects an open connection.
    let (far, _) = runner(&served, "dmz", "far").await;
    beat(&far).await.unwrap();
    let store = &served.running.gateway.store;
    assert!(store.revoke("dmz.far").await.unwrap());
    assert!(!store.revoke("dmz.nobody").await.unwrap());
    assert!(is_nobody(&beat(&far).await));
    // The certificate expires: on the open connection, and for a new one.
    let (far, identity) = runner(&served, "dmz", "far").await;
    let begun = Instant::now();
    while !is_nobody(&beat(&far).await) {
        assert!(begun.elapsed() < Duration::from_mins(1));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    loop {
        let answer = beat(&client(&served, Some(identity.clone()))).await;
        let said = answer.as_ref().unwrap_err().to_string();
        if is_cut(&answer) && said.contains("Expired") {
            break;
        }
        // In its last second only the store reports it; a connection may end before it gives the
        // reason.
        assert!(
            (is_nobody(&answer) || is_cut(&answer)) && begun.elapsed() < Duration::from_mins(1),
            "{said}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_gets_another_certificate_by_the_one_that_it_has() {
    let served = Served::with(On::Sqlite, TLS).await;
    let (first, identity) = runner(&served, "dmz", "far").await;
    let renew = async |client: &Client| {
        let asked = request("a name that counts for nothing").unwrap();
        let renew = Renew { csr: asked.csr };
        let known: Enrolled = client.post(endpoint::RUNNER_RENEW, &renew).await.unwrap();
        assert_eq!(
            (known.runner.as_str(), known.segment.as_str()),
            ("dmz.far", "dmz")
        );
        assert_eq!(known.seconds, Some(7 * 24 * 3600));
        Identity::new(&known.certificate.unwrap(), &asked.key)
    };
    // The answer to the first attempt is lost: the second one replaces it.
    let lost = renew(&first).await;
    let second = renew(&first).await;
    assert!(is_nobody(&beat(&client(&served, Some(lost))).await));
    let second = client(&served, Some(second));
    beat(&second).await.unwrap();
    beat(&client(&served, Some(identity.clone())))
        .await
        .unwrap();
    // Once the new certificate renews itself, the old one is gone.
    renew(&second).await;
    assert!(is_nobody(&beat(&client(&served, Some(identity))).await));
    // Without a certificate, and with a secret, nothing is renewed.
    let asked = request("far").unwrap();
    let body = json!({"csr": asked.csr});
    let nobody = client(&served, None);
    let error = nobody.post::<Value>(endpoint::RUNNER_RENEW, &body).await;
    assert_eq!(error.unwrap_err().kind(), Some(Kind::NotLoggedIn));
    let peer = served
        .unix(Request::post(endpoint::RUNNER_RENEW).json(&body))
        .await;
    assert_eq!(peer.status, 409, "{peer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_over_tls_is_a_cookie_of_this_host_alone() {
    let served = Served::with(On::Sqlite, TLS).await;
    let link = served.running.link().await.unwrap();
    let path = link.url.strip_prefix(&served.running.local.url).unwrap();
    assert!(link.url.starts_with("https://"), "{}", link.url);
    let answer = served.unix(Request::get(path)).await;
    let cookie = answer.header("set-cookie").unwrap().to_owned();
    assert!(
        // The tests' client reads headers in lower case.
        cookie.starts_with("__host-opsbook-login=")
            && cookie.ends_with("; path=/; httponly; samesite=strict; max-age=43200; secure"),
        "{cookie}"
    );
    let value = cookie.split(['=', ';']).nth(1).unwrap();
    // A page on another name of this host could set the cookie under the other name, so it counts
    // for nothing. On the socket, a client without a login is the user that the kernel names.
    for (name, way) in [("__Host-opsbook-login", "token"), ("opsbook-login", "peer")] {
        let request = Request::get(endpoint::ME).header("cookie", &format!("{name}={value}"));
        let answer = served.unix(request).await;
        assert_eq!(answer.json()["way"], way, "{name}");
    }
}

#[test]
fn a_certificate_that_was_renewed_is_shown_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let authority = std::sync::Arc::new(Authority::open(&path("own"), "g").unwrap());
    let write = |serial: &str| {
        let made = std::process::Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
            ])
            .args([
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=gate",
                "-set_serial",
                serial,
            ])
            .arg("-keyout")
            .arg(path("key.new"))
            .arg("-out")
            .arg(path("cert.new"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        std::fs::rename(path("cert.new"), path("cert")).unwrap();
    };
    let key = || std::fs::rename(path("key.new"), path("key")).unwrap();
    write("1");
    key();
    let listen = format!(
        "[tls]\ncertificate = \"{}\"\nkey = \"{}\"\n",
        path("cert").display(),
        path("key").display()
    );
    let listen: Listen = toml::from_str(&listen).unwrap();
    let tls = ServerTls::new(&listen, Vec::new(), authority).unwrap();
    assert_eq!(tls.fingerprint(), None);
    assert!(!tls.look().unwrap());
    // The new certificate is half written: the gateway keeps the old one and reports it.
    write("2");
    let error = tls.look().unwrap_err().to_string();
    assert!(error.contains("cert"), "{error}");
    key();
    assert!(tls.look().unwrap());
    assert!(!tls.look().unwrap());
}
