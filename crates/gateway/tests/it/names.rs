//! ! The name of a run belongs to whoever asked for it: it comes back with their own repeated ask,
//! where the store has lost it, and nobody else can ask for a run by it.

use serde_json::json;

use crate::served::{Answer, On, Request, Served};

async fn a_name_of_a_run_is_its_askers_alone(on: On) {
    let served = Served::new(On::Sqlite).await;
    let lost = Served::new(on).await;
    let logins = async |served: &Served| {
        let store = &served.running.gateway.store;
        let ana = store.new_login("ana", "token", 600).await.unwrap().0;
        (ana, store.new_login("bo", "token", 600).await.unwrap().0)
    };
    let ask = json!({"procedure": "web.deploy", "nodes": ["web1"]});
    let send = async |served: &Served, login: &str, key: &str, run: Option<&str>| -> Answer {
        let request = Request::post("/v1/asks").bearer(login).json(&ask);
        let request = request.header("idempotency-key", key);
        let request = match run {
            Some(run) => request.header("opsbook-run", run),
            None => request,
        };
        served.tcp(request).await
    };
    let (ana, _) = logins(&served).await;
    let asked = send(&served, &ana, "k1", None).await;
    assert_eq!(asked.status, 201);
    let run = asked.json()["run"].as_str().unwrap().to_owned();
    // Another store, which does not know the run.
    let (ana, bo) = logins(&lost).await;
    let last = run.rsplit('-').next().unwrap();
    let other_time = format!("20200101-000000-{last}");
    for (who, login, key, name) in [
        ("another person, with the same key", &bo, "k1", &run),
        ("another person, with another key", &bo, "k2", &run),
        ("another person, at another time", &bo, "k1", &other_time),
        ("the person, for another ask", &ana, "k2", &run),
    ] {
        let refused = send(&lost, login, key, Some(name)).await;
        assert_eq!(
            (refused.status, refused.kind().as_str()),
            (409, "state"),
            "{who}"
        );
    }
    let runs = lost.get("/v1/runs").await;
    assert_eq!(runs["runs"], json!([]), "a refused ask makes no run");
    let again = send(&lost, &ana, "k1", Some(&run)).await;
    assert_eq!((again.status, &again.json()["run"]), (201, &json!(run)));
    // Now that it is there, it stays hers.
    let refused = send(&lost, &bo, "k1", Some(&run)).await;
    assert_eq!(refused.kind(), "state");
    let view = lost.get(&format!("/v1/runs/{run}")).await;
    assert_eq!(view["asked_by"], "ana");
}

crate::on_both!(a_name_of_a_run_is_its_askers_alone);
