//! Renews the runner's certificate long before it expires.

use std::time::Duration;

use opsbook_client::{Client, request};
use opsbook_wire::runner::Renew;
use opsbook_wire::{Enrolled, endpoint};

use crate::folder::{Age, Enrolment, Folder};

/// The delay after a failed try.
const AGAIN: Duration = Duration::from_secs(30);
/// Certificates that are valid for seconds only occur in tests.
const SOONEST: Duration = Duration::from_millis(100);

/// Runs as long as the runner works.
pub(crate) async fn keep(client: Client, folder: Folder, note: impl Fn(String)) {
    loop {
        let Ok(Some(enrolment)) = folder.enrolment() else {
            return;
        };
        match enrolment.age() {
            None => return,
            Some(Age::Young(rest)) => tokio::time::sleep(rest.max(SOONEST)).await,
            Some(Age::Ended) => {
                note("this runner's certificate has expired: enroll it again".to_owned());
                return;
            }
            Some(Age::Old) => match renewed(&client, &folder, enrolment).await {
                Ok(()) => note("this runner has another certificate".to_owned()),
                Err(why) => {
                    note(format!("no new certificate yet: {why}"));
                    tokio::time::sleep(AGAIN).await;
                }
            },
        }
    }
}

async fn renewed(client: &Client, folder: &Folder, mut enrolment: Enrolment) -> Result<(), String> {
    let asked = request(&enrolment.name)?;
    let renew = Renew { csr: asked.csr };
    let renewed: Result<Enrolled, _> = client.post(endpoint::RUNNER_RENEW, &renew).await;
    let renewed = renewed.map_err(|error| error.to_string())?;
    if renewed.certificate.is_none() {
        return Err("the gateway sent none".to_owned());
    }
    enrolment.is_now(&asked.key, renewed);
    let tls = enrolment.tls().map_err(|error| error.to_string())?;
    // Store it before using it: the old one is still valid for a while.
    let kept = folder.enrol(&enrolment);
    kept.map_err(|error| error.to_string())?;
    client.set_tls(tls);
    Ok(())
}
