//! Finds a node and its bundle again after a lost connection.

use std::time::{Duration, Instant};

use crate::bundle::BundleError;
use crate::event::What;
use crate::halt::Halt;
use crate::is_without_process;
use crate::node::NodeRun;
use crate::random;
use crate::reach::Reach;
use crate::session::OpenOptions;
use crate::session::fair::FairTime;

impl NodeRun<'_> {
    /// Finds the node and its bundle again. `reboot` waits for another boot.
    pub async fn reattach(&mut self, reboot: bool) -> Result<(), String> {
        let lost = Instant::now();
        let old = self.bundles.reach.session().hello().clone();
        let mut pause = Duration::from_millis(250);
        let mut last = String::from("it did not answer");
        let mut interrupts = self.interrupts.clone();
        let mut had = FairTime::start();
        // One for all tries: the node may have taken it although its answer was lost.
        let token = random::hex::<8>();
        // One try per call: the loop here repeats it.
        let once = OpenOptions {
            tries: 1,
            ..self.given.options.open.clone()
        };
        while !had.is_over(self.given.options.reconnect) {
            let open = Reach::open(&self.given.plan.node, &once, &self.given.options.passwords);
            let opened = tokio::select! {
                biased;
                Ok(()) = interrupts.changed() => return Err(given_up(&last)),
                opened = had.during(open) => opened,
            };
            match opened {
                Ok(reach) => {
                    let hello = reach.session().hello();
                    let rebooted = hello.boot_id != old.boot_id;
                    if reboot && !rebooted && !old.boot_id.is_empty() {
                        "it has not restarted yet".clone_into(&mut last);
                        reach.close().await;
                    } else {
                        match self.bundles.find_again(&reach, &token).await {
                            Ok(own) => {
                                self.bundles.found_again(reach, own, token);
                                return self.record_reattached(lost, rebooted, reboot);
                            }
                            Err(BundleError::Lost(error)) => last = error.to_string(),
                            Err(error) if is_starved(&error) => {
                                last = error.to_string();
                            }
                            // Our own token would have been accepted.
                            Err(BundleError::Held(held)) if held.is_of(&self.given.run()) => {
                                return Err(BundleError::Taken.to_string());
                            }
                            Err(error) => return Err(error.to_string()),
                        }
                    }
                }
                Err(error) => last = error.sentence(),
            }
            tokio::select! {
                () = had.during(tokio::time::sleep(pause)) => {}
                Ok(()) = interrupts.changed() => return Err(given_up(&last)),
            }
            pause = (pause * 2).min(Duration::from_secs(5));
        }
        let waited = crate::human(self.given.options.reconnect);
        Err(format!(
            "the node was not found again within {waited} ({last})"
        ))
    }

    fn record_reattached(
        &self,
        lost: Instant,
        rebooted: bool,
        expected: bool,
    ) -> Result<(), String> {
        let milliseconds = u64::try_from(lost.elapsed().as_millis()).unwrap_or(u64::MAX);
        let write = || -> Result<(), Halt> {
            if rebooted {
                self.given.record(None, What::NodeRebooted { expected })?;
            }
            self.bundles.record_found_again()?;
            self.given.record(None, What::Reattached { milliseconds })
        };
        write().map_err(|halt| match halt {
            Halt::Journal(error) => error.to_string(),
            Halt::AsAsked(cause) | Halt::End { cause, .. } => cause,
        })
    }
}

/// Whether the node could start no process for it: it can later.
fn is_starved(error: &BundleError) -> bool {
    matches!(error, BundleError::Failed(said) if is_without_process(said.exact()))
}

fn given_up(last: &str) -> String {
    format!("the operator stopped waiting for the node ({last})")
}
