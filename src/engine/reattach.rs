//! Finding a node again after a cut, and the bundle on it.

use std::time::{Duration, Instant};

use crate::engine::bundle::{Bundle, BundleError};
use crate::engine::halt::Halt;
use crate::engine::node::{NodeRun, bundle_dir, sentence};
use crate::engine::random_mark;
use crate::engine::reach::Reach;
use crate::event::What;
use crate::session::OpenOptions;
use crate::session::fair::FairTime;

impl NodeRun<'_> {
    /// Finds the node again, and the bundle on it. `reboot` waits for another boot.
    pub(super) async fn reattach(&mut self, reboot: bool) -> Result<(), String> {
        let lost = Instant::now();
        let old = self.reach.session().hello().clone();
        let mut pause = Duration::from_millis(250);
        let mut last = String::from("it did not answer");
        let mut interrupts = self.interrupts.clone();
        let mut had = FairTime::start();
        // It is asked again and again here.
        let once = OpenOptions {
            tries: 1,
            ..self.options.open.clone()
        };
        while !had.is_over(self.options.reconnect) {
            let open = Reach::open(&self.plan.node, &once, &self.options.passwords);
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
                        let token = random_mark();
                        let dir = bundle_dir(&self.plan.node, hello);
                        let run = self.recorder.run();
                        match Bundle::reopen(reach.session(), &dir, &run, &token, &self.token, None)
                            .await
                        {
                            Ok(bundle) => {
                                return self
                                    .reattached(reach, bundle, token, lost, rebooted, reboot);
                            }
                            Err(BundleError::Lost(error)) => last = error.to_string(),
                            Err(error) => return Err(error.to_string()),
                        }
                    }
                }
                Err(error) => last = sentence(&error),
            }
            tokio::select! {
                () = had.during(tokio::time::sleep(pause)) => {}
                Ok(()) = interrupts.changed() => return Err(given_up(&last)),
            }
            pause = (pause * 2).min(Duration::from_secs(5));
        }
        let waited = crate::engine::human(self.options.reconnect);
        Err(format!(
            "the node was not found again within {waited} ({last})"
        ))
    }

    pub(super) fn reattached(
        &mut self,
        reach: Reach,
        bundle: Bundle,
        token: String,
        lost: Instant,
        rebooted: bool,
        expected: bool,
    ) -> Result<(), String> {
        let path = bundle.dir.clone();
        self.reach = reach;
        self.bundle = Some(bundle);
        // The local session went with the old reach; its bundle is opened again when needed,
        // at the latest to close it.
        if self.local.take().is_some() {
            self.old_local = Some(self.token.clone());
        }
        self.token = token;
        self.users.clear();
        let milliseconds = u64::try_from(lost.elapsed().as_millis()).unwrap_or(u64::MAX);
        let write = || -> Result<(), Halt> {
            if rebooted {
                self.record(None, What::NodeRebooted { expected })?;
            }
            self.record_reopened(&path)?;
            self.record(None, What::Reattached { milliseconds })
        };
        write().map_err(|halt| match halt {
            Halt::Journal(error) => error.to_string(),
            Halt::AsAsked(cause) | Halt::End { cause, .. } => cause,
        })
    }
}

fn given_up(last: &str) -> String {
    format!("the operator stopped waiting for the node ({last})")
}
