//! What somebody wants to be run, said to a gateway until it is a run.

use std::time::{Duration, Instant};

use crate::client::{Client, ClientError};
use crate::engine::random_mark;
use crate::wire::{Ask, Asked, endpoint};

/// So long a gateway that cannot be reached is asked again: it may be starting.
const PATIENCE: Duration = Duration::from_secs(15);
const NEXT_TRY: Duration = Duration::from_millis(300);

/// An ask with a name: however often it is said, it is one run.
#[derive(Debug)]
pub(crate) struct Wish {
    ask: Ask,
    key: String,
}

impl Wish {
    /// With a name that nothing else has.
    pub fn new(ask: Ask) -> Wish {
        let key = format!("{}{}", random_mark(), random_mark());
        Wish { ask, key }
    }

    /// The same ask until there is an answer.
    pub async fn once(&self, client: &Client) -> Result<Asked, ClientError> {
        let begin = Instant::now();
        loop {
            match client.post_once(endpoint::ASKS, &self.ask, &self.key).await {
                Err(error) if error.may_pass() && begin.elapsed() < PATIENCE => {
                    tokio::time::sleep(NEXT_TRY).await;
                }
                answer => return answer,
            }
        }
    }

    /// The gateway has lost the run: it is asked for once more, by its name.
    pub async fn again(&self, client: &Client, run: &str) -> Result<Asked, ClientError> {
        let named = (self.key.as_str(), run);
        client.post_again(endpoint::ASKS, &self.ask, named).await
    }
}
