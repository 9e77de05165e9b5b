//! Where and why a run over several nodes does not continue.

use crate::event::{Site, Status, What};
use crate::halt::Halt;
use crate::journal::JournalError;
use crate::plan::NodePlan;
use crate::recorder::Recorder;

/// Why a line does not continue: never empty.
#[derive(Debug)]
pub struct Stops(Vec<Stop>);

#[derive(Debug)]
struct Stop {
    node: String,
    halt: Halt,
}

impl From<JournalError> for Stops {
    /// It stops all nodes alike.
    fn from(error: JournalError) -> Stops {
        Stops::at("", error.into())
    }
}

impl Stops {
    pub fn at(node: &str, halt: Halt) -> Stops {
        Stops(vec![Stop {
            node: node.to_owned(),
            halt,
        }])
    }

    /// All failures of work done in parallel.
    pub fn of<'n>(
        results: impl IntoIterator<Item = (&'n str, Result<(), Halt>)>,
    ) -> Result<(), Stops> {
        let mut stops = Vec::new();
        for (node, result) in results {
            if let Err(halt) = result {
                let node = node.to_owned();
                stops.push(Stop { node, halt });
            }
        }
        if stops.is_empty() {
            Ok(())
        } else {
            Err(Stops(stops))
        }
    }

    /// The status of the run; the journal's own error if nothing can be written.
    pub fn status(self) -> Result<(Status, Stops), JournalError> {
        let mut status = Status::Ok;
        let mut kept = Vec::new();
        for Stop { node, halt } in self.0 {
            let its = match &halt {
                Halt::Journal(_) => Status::Error,
                Halt::AsAsked(_) => Status::Stopped,
                Halt::End { status, .. } => *status,
            };
            if let Halt::Journal(error) = halt {
                return Err(error);
            }
            status = status.worse(its);
            kept.push(Stop { node, halt });
        }
        Ok((status, Stops(kept)))
    }

    /// All failures of several lines.
    pub fn all(results: impl IntoIterator<Item = Result<(), Stops>>) -> Result<(), Stops> {
        let stops = results.into_iter().filter_map(Result::err);
        let stops: Vec<Stop> = stops.flat_map(|stops| stops.0).collect();
        if stops.is_empty() {
            Ok(())
        } else {
            Err(Stops(stops))
        }
    }

    /// The main line's view of failures in a turn.
    pub fn of_turn(self, turn: &str) -> Stops {
        let stops = self.0.into_iter().map(|Stop { node, halt }| {
            let halt = match halt {
                Halt::End {
                    status,
                    cause,
                    outcome_unknown,
                } if node != turn => Halt::End {
                    status,
                    cause: format!("{node}: {cause}"),
                    outcome_unknown,
                },
                halt => halt,
            };
            let node = turn.to_owned();
            Stop { node, halt }
        });
        Stops(stops.collect())
    }

    /// Whether the line ended as intended.
    pub fn is_as_asked(&self) -> bool {
        let mut stops = self.0.iter();
        stops.all(|stop| matches!(stop.halt, Halt::AsAsked(_)))
    }

    /// A halt of this node, if any.
    pub fn halt_of(&self, node: &str) -> Option<&Halt> {
        let mut stops = self.0.iter();
        stops.find(|stop| stop.node == node).map(|stop| &stop.halt)
    }

    /// For one node, in one sentence.
    pub fn causes(&self) -> String {
        let causes = self.0.iter().map(|stop| cause(&stop.halt));
        once_each(causes.map(str::to_owned))
    }

    /// For all nodes, in one sentence.
    pub fn sentence(&self) -> String {
        let stops = self.0.iter().map(|stop| {
            let cause = cause(&stop.halt);
            format!("{}: {cause}", stop.node)
        });
        once_each(stops)
    }

    /// Journals how the run ended at each place of a line.
    pub fn record(&self, recorder: &Recorder, plans: &[&NodePlan]) -> Result<(), JournalError> {
        for plan in plans {
            let (status, cause) = match self.halt_of(&plan.node.name) {
                Some(halt @ Halt::End { status, .. }) => (*status, cause(halt).to_owned()),
                Some(halt) => (Status::Stopped, cause(halt).to_owned()),
                None => (Status::Stopped, self.sentence()),
            };
            ended(recorder, plan.site(), status, Some(cause))?;
        }
        Ok(())
    }
}

pub fn ended(
    recorder: &Recorder,
    site: Site<'_>,
    status: Status,
    cause: Option<String>,
) -> Result<(), JournalError> {
    let cause = cause.map(Into::into);
    let ended = What::NodeEnded { status, cause };
    recorder.record(Some(site), None, ended)?;
    Ok(())
}

/// Joins sentences without repetition.
fn once_each(sentences: impl Iterator<Item = String>) -> String {
    let mut all: Vec<String> = Vec::new();
    for sentence in sentences {
        if !all.contains(&sentence) {
            all.push(sentence);
        }
    }
    all.join("; ")
}

fn cause(halt: &Halt) -> &str {
    match halt {
        Halt::Journal(_) => "the journal cannot be written",
        Halt::AsAsked(cause) | Halt::End { cause, .. } => cause,
    }
}
