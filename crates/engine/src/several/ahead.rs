//! The nodes of sections, looked at before the first step of a run: what they need, and that
//! nobody else holds them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::Ground;
use super::line::{Line, Seed};
use super::stop::Stops;
use super::turns::{TurnKey, plans, turns};
use crate::journal::Record;
use crate::plan::NodePlan;
use crate::reach::Reach;

/// Turns that are looked at side by side before the first step.
const SIDE_BY_SIDE: usize = 10;
/// Sessions that are kept from then until the node's turn, and for how long: one on which nobody
/// has spoken for longer may have been cut without a word.
const KEPT: usize = 32;
const KEPT_FOR: Duration = Duration::from_secs(20);

/// The sessions with nodes that were looked at, until their turn.
#[derive(Default)]
pub struct LookedAt(BTreeMap<TurnKey, (Instant, Reach)>);

impl LookedAt {
    fn keep(&mut self, key: TurnKey, reach: Reach) -> Result<(), Reach> {
        if self.0.len() >= KEPT {
            return Err(reach);
        }
        self.0.insert(key, (Instant::now(), reach));
        Ok(())
    }

    /// The session with the node of a turn, where it can be gone on with.
    pub async fn take(&mut self, key: TurnKey) -> Option<Reach> {
        let (at, reach) = self.0.remove(&key)?;
        if at.elapsed() < KEPT_FOR && reach.is_there() {
            return Some(reach);
        }
        reach.close().await;
        None
    }

    /// Ends all that are left.
    pub async fn leave(&self) {
        join_all(self.0.values().map(|(_, reach)| reach.close())).await;
    }
}

/// Asks what the nodes of sections need, and that nobody holds them, before anything of the run
/// is touched. They are asked again, and locked, at their turn.
pub async fn prove_needs(
    ground: &Ground<'_>,
    seed: &Seed,
    looked_at: &mut LookedAt,
    resume: Option<&Record>,
) -> Result<(), Stops> {
    for some in turns(ground).chunks(SIDE_BY_SIDE) {
        let proven = some.iter().map(async |(key, turn)| {
            let own: Vec<&NodePlan> = plans(ground, turn).into_iter().take(1).collect();
            let proven = prove_node(ground, &own, seed, resume).await;
            if let Err(stops) = &proven {
                stops.record(ground.recorder, &own)?;
            }
            Ok((*key, proven?))
        });
        let mut results = Vec::new();
        for proven in join_all(proven).await {
            match proven {
                Ok((key, Some(reach))) => {
                    if let Err(reach) = looked_at.keep(key, reach) {
                        reach.close().await;
                    }
                }
                Ok((_, None)) => {}
                Err(stops) => results.push(Err(stops)),
            }
        }
        Stops::all(results)?;
    }
    Ok(())
}

async fn prove_node(
    ground: &Ground<'_>,
    own: &[&NodePlan],
    seed: &Seed,
    resume: Option<&Record>,
) -> Result<Option<Reach>, Stops> {
    let mut line = Line::reach(ground, own, Some(&seed.peers), None, resume).await?;
    line.know(Some(seed), resume);
    let proven = match line.prove_needs().await {
        Ok(()) => line.prove_free().await,
        stopped => stopped,
    };
    if let Err(stops) = proven {
        line.leave().await;
        return Err(stops);
    }
    Ok(line.first_reach())
}
