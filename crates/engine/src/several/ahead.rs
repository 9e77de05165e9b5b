//! Examines the nodes of sections before the first step of a run: their needs, and that nobody else
//! holds them.

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

/// How many turns are examined in parallel before the first step.
const SIDE_BY_SIDE: usize = 10;
/// How many sessions are kept until the node's turn, and for how long: an idle session may be cut
/// without notice.
const KEPT: usize = 32;
const KEPT_FOR: Duration = Duration::from_secs(20);

/// The kept sessions, until their turns.
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

    /// The session of a turn's node, if it is still usable.
    pub async fn take(&mut self, key: TurnKey) -> Option<Reach> {
        let (at, reach) = self.0.remove(&key)?;
        if at.elapsed() < KEPT_FOR && reach.is_there() {
            return Some(reach);
        }
        reach.close().await;
        None
    }

    /// Ends all remaining sessions.
    pub async fn leave(&self) {
        join_all(self.0.values().map(|(_, reach)| reach.close())).await;
    }
}

/// Evaluates the needs of the sections' nodes, and checks that nobody holds them, before the run
/// changes anything. Their turn does the same again and locks them.
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
