//! Places an order at a gateway, repeatedly until it is a run.

use std::time::{Duration, Instant};

use crate::client::{Client, ClientError};
use crate::random;
use crate::wire::{Ask, Asked, endpoint};

/// How long to retry an unreachable gateway: it may be starting.
const PATIENCE: Duration = Duration::from_secs(15);
const NEXT_TRY: Duration = Duration::from_millis(300);

/// An order with a unique key: however often it is sent, it is one run.
#[derive(Debug)]
pub(crate) struct Wish {
    ask: Ask,
    key: String,
}

impl Wish {
    /// An order with a new key.
    pub fn new(ask: Ask) -> Wish {
        let key = random::hex::<16>();
        Wish { ask, key }
    }

    /// Sends the same order until there is an answer.
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

    /// The gateway has lost the run: repeats the order, with the run's name.
    pub async fn again(&self, client: &Client, run: &str) -> Result<Asked, ClientError> {
        let named = (self.key.as_str(), run);
        client.post_again(endpoint::ASKS, &self.ask, named).await
    }
}
