//! Renews the runner's certificate long before it expires.

use std::time::Duration;

use opsbook_client::{Client, request};
use opsbook_wire::runner::Renew;
use opsbook_wire::{Enrolled, endpoint};

use crate::folder::{Age, Enrollment, Folder};

/// The delay after a failed try.
const AGAIN: Duration = Duration::from_secs(30);
/// Certificates that are valid for seconds only occur in tests.
const SOONEST: Duration = Duration::from_millis(100);

/// Runs as long as the runner works.
pub(crate) async fn keep(client: Client, folder: Folder, note: impl Fn(String)) {
    loop {
        let Ok(Some(enrollment)) = folder.enrollment() else {
            return;
        };
        match enrollment.age() {
            None => return,
            Some(Age::Young(rest)) => tokio::time::sleep(rest.max(SOONEST)).await,
            Some(Age::Ended) => {
                note("this runner's certificate has expired: enroll it again".to_owned());
                return;
            }
            Some(Age::Old) => match renewed(&client, &folder, enrollment).await {
                Ok(()) => note("this runner has another certificate".to_owned()),
                Err(why) => {
                    note(format!("no new certificate yet: {why}"));
                    tokio::time::sleep(AGAIN).await;
                }
            },
        }
    }
}

async fn renewed(
    client: &Client,
    folder: &Folder,
    mut enrollment: Enrollment,
) -> Result<(), String> {
    let asked = request(&enrollment.name)?;
    let renew = Renew { csr: asked.csr };
    let renewed: Result<Enrolled, _> = client.post(endpoint::RUNNER_RENEW, &renew).await;
    let renewed = renewed.map_err(|error| error.to_string())?;
    if renewed.certificate.is_none() {
        return Err("the gateway sent none".to_owned());
    }
    enrollment.is_now(&asked.key, renewed);
    let tls = enrollment.tls().map_err(|error| error.to_string())?;
    // Store it before using it: the old one is still valid for a while.
    let kept = folder.enroll(&enrollment);
    kept.map_err(|error| error.to_string())?;
    client.set_tls(tls);
    Ok(())
}
