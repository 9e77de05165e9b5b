//! The main line of a run over several nodes, from reaching them to closing their bundles.

use super::Ground;
use super::line::Line;
use super::section::{self, There};
use super::stop::Stops;
use super::{ahead, take_over, turns};
use crate::event::{Status, What};
use crate::journal::{self, JournalError, Record};
use crate::plan::{NodePlan, Stretch};

pub struct MainLine<'a> {
    ground: &'a Ground<'a>,
    line: Line<'a>,
    /// The turns that are prepared before their time.
    there: There<'a>,
}

impl<'a> MainLine<'a> {
    /// Runs it, and returns how it ended.
    pub async fn run(
        ground: &'a Ground<'a>,
        resume: Option<&Record>,
    ) -> Result<Status, JournalError> {
        let nodes = ground.plan.nodes.iter();
        let plans: Vec<&NodePlan> = nodes.filter(|node| node.turn.is_none()).collect();
        let line = Line::reach(ground, &plans, None, None, resume).await;
        for name in &ground.options.without {
            let run = ground.recorder.run();
            let text = format!(
                "`{name}` is left out: the lock of this run stays there until `opsbook lock \
                 release {name} --run {run}`"
            );
            let text = text.into();
            ground.recorder.record(None, None, What::Warned { text })?;
        }
        let result = match line {
            Err(stops) => Err(stops),
            Ok(line) => {
                let mut main = MainLine {
                    ground,
                    line,
                    there: There::default(),
                };
                // Each box ends a type: without them, its depth is more than an optimising
                // compiler takes.
                let result = Box::pin(main.go(resume)).await;
                let result = main.end(result).await?;
                main.line.leave().await;
                result
            }
        };
        let status = match result {
            Ok(()) => Status::Ok,
            Err(stops) => {
                let (status, stops) = stops.status()?;
                stops.record(ground.recorder, &plans)?;
                status
            }
        };
        ground
            .recorder
            .record(None, None, What::RunEnded { status })?;
        Ok(status)
    }

    async fn go(&mut self, resume: Option<&Record>) -> Result<(), Stops> {
        let caught_up = match resume {
            Some(record) if self.ground.options.on_lag.catches_up() => {
                Some(self.catch_up(record).await?)
            }
            _ => None,
        };
        let resume = caught_up.as_ref().or(resume);
        self.line.know(None, resume);
        let begun = resume.is_some_and(|record| self.ground.has_begun(record));
        if begun {
            self.line.use_bundles();
        } else {
            self.line.prove_needs().await?;
            let seed = self.line.seed();
            let looked_at = &mut self.there.looked_at;
            ahead::prove_needs(self.ground, &seed, looked_at, resume).await?;
            self.line.prove(&self.ground.binding.before).await?;
        }
        self.line.prove_ready(resume).await?;
        self.line.open(resume).await?;
        if let Some(record) = resume {
            self.take_over_turns(record).await?;
        }
        self.line.compare(resume).await?;
        self.confirm().await?;
        self.line.attend(resume).await?;
        self.in_order(resume).await
    }

    /// Works through the order of the page.
    async fn in_order(&mut self, resume: Option<&Record>) -> Result<(), Stops> {
        let left = self.line.is_left() || turns::is_left(self.ground, resume);
        for stretch in &self.ground.binding.order {
            match stretch {
                Stretch::Step(number) => self.line.step(*number, left).await?,
                Stretch::Checks(cases) => self.line.ask(cases).await?,
                Stretch::Section(section) => {
                    self.line.use_bundles();
                    let seed = self.line.seed();
                    let there = &mut self.there;
                    Box::pin(section::run(self.ground, section, there, &seed, resume)).await?;
                }
            }
        }
        Ok(())
    }

    /// Reads into the journal what the nodes know beyond it. Returns the new journal.
    async fn catch_up(&mut self, record: &Record) -> Result<Record, Stops> {
        self.line.catch_up(record).await?;
        take_over::catch_up(self.ground, record, &self.line).await?;
        self.ground.recorder.sync()?;
        let run = self.ground.recorder.run();
        let record = journal::read(&self.ground.options.state, &run)?;
        take_over::prove_no_hole(self.ground, &record)?;
        Ok(record)
    }

    async fn take_over_turns(&mut self, record: &Record) -> Result<(), Stops> {
        let seed = self.line.seed();
        self.there.begun = take_over::turns_begun(self.ground, &seed, record).await?;
        Ok(())
    }

    async fn confirm(&mut self) -> Result<(), Stops> {
        for run in &mut self.line.runs {
            let confirmed = run.confirm_run(self.ground.plan).await;
            confirmed.map_err(|halt| Stops::at(run.given.node(), halt))?;
        }
        Ok(())
    }

    /// Closes the bundles, or keeps them for a resume.
    async fn end(&mut self, result: Result<(), Stops>) -> Result<Result<(), Stops>, JournalError> {
        self.there.leave().await;
        let stops = match result {
            Ok(()) => match self.line.close().await {
                Ok(()) => {
                    self.line.record_end()?;
                    return Ok(Ok(()));
                }
                Err(stops) => stops,
            },
            Err(stops) => {
                self.line.keep(&stops).await?;
                stops
            }
        };
        Ok(Err(stops))
    }
}
