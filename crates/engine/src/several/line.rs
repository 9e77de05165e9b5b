//! The nodes that go through steps together: those of the main line, or those of one turn.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;

use super::Ground;
use super::stop::{Stops, ended};
use crate::OnLag;
use crate::bundle::{Bundle, BundleError};
use crate::event::{Status, What};
use crate::given::Given;
use crate::halt::Halt;
use crate::joint::Joint;
use crate::journal::{self, JournalError, Record};
use crate::node::steps::Course;
use crate::node::{NodeRun, uninterrupted};
use crate::peers::{Peer, Peers};
use crate::plan::{Case, NodePlan, PlannedStep, Spread};
use crate::reach::Reach;
use crate::scope::Scope;

/// What to do with a step.
#[derive(Clone, Copy)]
enum Work {
    /// It is due.
    Take,
    /// It was found running.
    Attend,
}

pub struct Line<'a> {
    ground: &'a Ground<'a>,
    /// In the order of the plan; in a turn, its own node is first.
    pub runs: Vec<NodeRun<'a>>,
    /// The bundle's folder on each.
    dirs: Vec<String>,
    courses: Vec<Course>,
    pub peers: Peers,
    /// In a turn: the nodes as the main line holds them.
    held: Option<Peers>,
}

/// What a turn takes over from the main line.
#[derive(Clone)]
pub struct Seed {
    pub peers: Peers,
    /// With the captured values.
    scope: Scope,
    passed: BTreeMap<usize, Status>,
}

impl<'a> Line<'a> {
    /// Reaches all nodes in parallel. Changes nothing. The first may have been reached before.
    pub async fn reach(
        ground: &'a Ground<'a>,
        plans: &[&'a NodePlan],
        held: Option<&Peers>,
        first: Option<Reach>,
        resume: Option<&Record>,
    ) -> Result<Line<'a>, Stops> {
        let options = ground.options;
        let plans: Vec<&NodePlan> = { plans.iter().copied() }
            .filter(|plan| !options.without.contains(&plan.node.name))
            .collect();
        let mut reached = first;
        let open = plans.iter().map(|plan| {
            let reached = reached.take();
            async move {
                if let Some(reach) = reached {
                    return Ok(reach);
                }
                (options.turn.0)(&plan.node.name);
                Reach::open(&plan.node, &options.open, &options.passwords).await
            }
        });
        let synced = ground.recorder.synced();
        let opened = async { tokio::join!(join_all(open), synced) };
        let name = plans.first().map_or("", |plan| plan.node.name.as_str());
        let opened = Box::pin(uninterrupted(options, opened)).await;
        let (opened, synced) = opened.map_err(|halt| Stops::at(name, halt))?;
        synced?;
        let mut line = Line {
            ground,
            runs: Vec::new(),
            dirs: Vec::new(),
            courses: Vec::new(),
            peers: held.map(Peers::copy).unwrap_or_default(),
            held: held.cloned(),
        };
        let mut results = Vec::new();
        for (plan, reach) in plans.iter().zip(opened) {
            let result = match reach {
                Ok(reach) => {
                    line.add(plan, reach, resume);
                    Ok(())
                }
                Err(error) => Err(Halt::error(error.sentence())),
            };
            results.push((plan.node.name.as_str(), result));
        }
        match Stops::of(results) {
            Ok(()) => {}
            Err(stops) => {
                line.leave().await;
                return Err(stops);
            }
        }
        if let Err(stops) = line.begin(resume).await {
            line.leave().await;
            return Err(stops);
        }
        Ok(line)
    }

    fn add(&mut self, plan: &'a NodePlan, reach: Reach, resume: Option<&Record>) {
        let given = Given {
            options: self.ground.options,
            recorder: self.ground.recorder,
            plan,
            last: self.ground.last,
            below: plan.turn.is_some() && self.ground.holds(&plan.node.name),
        };
        let mut run = NodeRun::new(given, reach, resume);
        run.peers = self.peers.clone();
        if given.below {
            run.gate = self.ground.gates.get(plan.node.name.as_str()).cloned();
        }
        self.runs.push(run);
    }

    async fn begin(&mut self, resume: Option<&Record>) -> Result<(), Stops> {
        let plan = self.ground.plan;
        let begun = self.runs.iter_mut().map(|run| run.begin(plan, resume));
        let mut results = Vec::new();
        for (result, run) in join_all(begun).await.into_iter().zip(&self.runs) {
            let result = result.map(|dir| self.dirs.push(dir));
            results.push((run.given.node(), result));
        }
        Stops::of(results)?;
        self.refresh_peers();
        Ok(())
    }

    /// Reads into the journal what the nodes know beyond it. Takes each node over before reading
    /// it.
    pub async fn catch_up(&mut self, record: &Record) -> Result<(), Stops> {
        // A supervisor has numbered this controller: each node then says whether it is too late.
        if self.ground.options.on_lag != OnLag::Adopt {
            self.come_after_all().await?;
        }
        for (run, dir) in self.runs.iter_mut().zip(&self.dirs) {
            let caught_up = run.bundles.catch_up(dir, record).await;
            caught_up.map_err(|halt| Stops::at(run.given.node(), halt))?;
        }
        self.take_in_passed().await
    }

    /// Raises this controller's number above those of all earlier controllers on any of its nodes.
    async fn come_after_all(&self) -> Result<(), Stops> {
        for (run, dir) in self.runs.iter().zip(&self.dirs) {
            let held = Bundle::look(run.bundles.reach.session(), dir).await;
            let held = held.map_err(|error| Stops::at(run.given.node(), error.into()))?;
            let held = held.filter(|held| held.is_of(&run.given.run()));
            if let Some(owner) = held.and_then(|held| held.owner) {
                let epoch = owner.epoch.unwrap_or(1);
                self.ground.recorder.raise_epoch(epoch);
            }
        }
        Ok(())
    }

    /// Takes in the latest controller's claims about steps that leave no record.
    async fn take_in_passed(&mut self) -> Result<(), Stops> {
        let said = self.runs.iter();
        let said = said.filter_map(|run| Some((run.given.node(), run.bundles.said()?)));
        let latest = said.max_by_key(|(_, claim)| (claim.epoch, claim.seq));
        let Some((by, claim)) = latest.map(|(by, claim)| (by.to_owned(), claim.clone())) else {
            return Ok(());
        };
        let state = &self.ground.options.state;
        for run in &mut self.runs {
            self.ground.recorder.sync()?;
            let record = journal::read(state, &run.given.run())?;
            let taken = run.bundles.take_in_passed(&record, &by, &claim).await;
            taken.map_err(|halt| Stops::at(run.given.node(), halt))?;
        }
        Ok(())
    }

    /// Reads earlier results: from the journal, and in a turn from the main line.
    pub fn know(&mut self, seed: Option<&Seed>, resume: Option<&Record>) {
        for run in &mut self.runs {
            if let Some(seed) = seed {
                run.scope.know_captured(&seed.scope, run.captured_names());
                run.passed.clone_from(&seed.passed);
            }
            run.know_before(resume);
        }
        if let Some(record) = resume {
            self.know_captured(record);
            let numbers = self.ground.plan.nodes.iter().flat_map(|node| &node.steps);
            for number in numbers.map(|step| step.number).collect::<BTreeSet<_>>() {
                self.share_end(number);
            }
        }
        self.courses = self
            .runs
            .iter()
            .map(|run| {
                let from = (run.first_due_step(resume), run.given.options.start_at);
                Course::of(run.given.plan, from, resume)
            })
            .collect();
    }

    /// Shares captured values with all nodes, the latest of each name.
    fn know_captured(&mut self, record: &Record) {
        let sites: Vec<_> = self.runs.iter().map(|run| run.given.site()).collect();
        for event in &record.events {
            let here = sites.iter().any(|site| {
                event.node.as_deref() == Some(site.node) && event.turn.as_deref() == site.turn
            });
            if let (true, What::ValueCaptured { name, value }) = (here, &event.what) {
                for run in &mut self.runs {
                    run.scope.set_again(name, value.exact().to_owned());
                }
            }
        }
    }

    /// Evaluates the roles' needs, all nodes in parallel.
    pub async fn prove_needs(&mut self) -> Result<(), Stops> {
        self.refresh_peers();
        let proven = self.runs.iter_mut().map(async |run| {
            let result = run.prove_needs().await;
            (run.given.node(), result)
        });
        Stops::of(join_all(proven).await)
    }

    /// Checks that no other run holds any of the nodes now.
    pub async fn prove_free(&self) -> Result<(), Stops> {
        let looked = self.runs.iter().zip(&self.dirs).map(async |(run, dir)| {
            let result = match Bundle::look(run.bundles.reach.session(), dir).await {
                Ok(None) => Ok(()),
                Ok(Some(held)) if held.is_of(&run.given.run()) => Ok(()),
                Ok(Some(held)) => Err(BundleError::Held(Box::new(held)).into()),
                Err(error) => Err(error.into()),
            };
            (run.given.node(), result)
        });
        Stops::of(join_all(looked).await)
    }

    /// Evaluates cases that must hold before anything changes, each on its node.
    pub async fn prove(&mut self, cases: &[Case]) -> Result<(), Stops> {
        self.refresh_peers();
        for case in cases {
            let run = self.asker(case);
            let proven = run.prove(case).await;
            proven.map_err(|halt| Stops::at(&case.node.name, halt))?;
        }
        Ok(())
    }

    /// The run that evaluates a case: that of the case's node, if it exists.
    fn asker(&mut self, case: &Case) -> &mut NodeRun<'a> {
        let of_it = |run: &NodeRun<'_>| run.given.node() == case.node.name;
        let index = self.runs.iter().position(of_it).unwrap_or(0);
        &mut self.runs[index]
    }

    /// Finds obstacles of steps before anything changes.
    pub async fn prove_ready(&mut self, resume: Option<&Record>) -> Result<(), Stops> {
        let elsewhere = self.captured_elsewhere();
        let all = self.runs.iter_mut().zip(&self.dirs).zip(&self.courses);
        let ready = all.map(async |((run, dir), course)| {
            let result = run.prove_ready(dir, course.first, resume, &elsewhere).await;
            (run.given.node(), result)
        });
        Stops::of(join_all(ready).await)
    }

    /// The names that due steps will capture.
    fn captured_elsewhere(&self) -> BTreeSet<String> {
        let nodes = self.ground.plan.nodes.iter();
        let captures = nodes.flat_map(|node| &node.captures);
        let due = |number: usize| {
            let mut runs = self.runs.iter().zip(&self.courses);
            let here = runs.any(|(run, course)| {
                run.given.plan.step(number).is_some() && number >= course.first
            });
            here || self
                .runs
                .iter()
                .all(|run| run.given.plan.step(number).is_none())
        };
        captures
            .filter(|capture| due(capture.number))
            .map(|capture| capture.name.clone())
            .collect()
    }

    /// Opens or takes over the bundles, sorted by node name, without waiting. If one cannot be had,
    /// closes those that were opened.
    pub async fn open(&mut self, resume: Option<&Record>) -> Result<(), Stops> {
        let mut order: Vec<usize> = (0..self.runs.len()).collect();
        order.sort_by_key(|index| self.runs[*index].given.node());
        for index in order {
            if resume.is_some_and(|record| self.is_closed(index, record)) {
                continue;
            }
            let (run, dir) = (&mut self.runs[index], &self.dirs[index]);
            let opened = run
                .open_bundles(dir, self.courses[index].first, resume)
                .await;
            opened.map_err(|halt| Stops::at(run.given.node(), halt))?;
            let site = run.given.site();
            let begun = resume.is_some_and(|record| record.has_begun(site));
            if run.given.below && run.bundles.is_open() && !begun {
                let seeded = run.take_from_main_line().await;
                seeded.map_err(|halt| Stops::at(run.given.node(), halt))?;
            }
        }
        Ok(())
    }

    /// Whether the run has ended on a node of this line, with its bundle closed.
    fn is_closed(&self, index: usize, record: &Record) -> bool {
        let plan = self.runs[index].given.plan;
        let mut events = record.of(plan.site()).rev();
        let closed = events.find_map(|event| match &event.what {
            What::BundleClosed {
                local: false,
                user: None,
                ..
            } => Some(true),
            What::BundleOpened { .. } | What::BundleReopened { .. } => Some(false),
            _ => None,
        });
        closed == Some(true) && self.courses[index].first > plan.last_number()
    }

    /// Compares the bundles with the journal.
    pub async fn compare(&mut self, resume: Option<&Record>) -> Result<(), Stops> {
        let all = self.runs.iter_mut().zip(&self.dirs).zip(&self.courses);
        let compared = all.map(async |((run, dir), course)| {
            let result = run.compare_bundles(dir, course.first, resume).await;
            (run.given.node(), result)
        });
        Stops::of(join_all(compared).await)?;
        self.refresh_peers();
        Ok(())
    }

    /// Follows running steps to their end; marks those that are left out.
    pub async fn attend(&mut self, resume: Option<&Record>) -> Result<(), Stops> {
        let all = self.runs.iter_mut().zip(&mut self.courses);
        let found = all.map(async |(run, course)| {
            let result = run.find_running(course).await;
            (run.given.node(), result)
        });
        Stops::of(join_all(found).await)?;
        let steps = self.runs.iter().flat_map(|run| &run.given.plan.steps);
        let numbers: BTreeSet<usize> = steps.map(|step| step.number).collect();
        for &number in &numbers {
            let all = self.runs.iter().zip(&self.courses).enumerate();
            let running = all.filter(|(_, (run, course))| {
                course.is_under_way(number) && run.given.plan.step(number).is_some()
            });
            let at: Vec<usize> = running.map(|(index, _)| index).collect();
            self.side_by_side(number, &at, Work::Attend).await?;
        }
        let all = self.runs.iter_mut().zip(&self.courses);
        Stops::of(all.map(|(run, course)| {
            let result = run.pass_over_left_out(course, resume);
            (run.given.node(), result)
        }))?;
        for number in numbers {
            self.share_end(number);
        }
        Ok(())
    }

    /// From now on the bundles are kept if the run halts.
    pub fn use_bundles(&mut self) {
        for run in &mut self.runs {
            run.bundles.use_them();
        }
    }

    /// Whether a step of this line is left.
    pub fn is_left(&self) -> bool {
        let mut all = self.runs.iter().zip(&self.courses);
        all.any(|(run, course)| course.first <= run.given.plan.last_number())
    }

    fn due(&self, number: usize, left: bool) -> Vec<usize> {
        let all = self.runs.iter().zip(&self.courses).enumerate();
        let due = all.filter(|(_, (run, course))| {
            let step = run.given.plan.step(number);
            step.is_some_and(|step| run.is_due(step, course, left))
        });
        due.map(|(index, _)| index).collect()
    }

    /// Executes a step in parallel on each of its nodes where it is due.
    pub async fn step(&mut self, number: usize, left: bool) -> Result<(), Stops> {
        let at = self.due(number, left);
        let Some(first) = at.first() else {
            return Ok(());
        };
        let node = self.runs[*first].given.node();
        self.ground.prove_wanted(number, node)?;
        self.refresh_peers();
        self.prove_still_ours(&at).await?;
        self.use_bundles();
        self.side_by_side(number, &at, Work::Take).await
    }

    /// The work of a step on some of its nodes.
    async fn side_by_side(&mut self, number: usize, at: &[usize], how: Work) -> Result<(), Stops> {
        let Some(step) = self.ground.step(number).filter(|_| !at.is_empty()) else {
            return Ok(());
        };
        let mut parts = self.parts(step, at, how);
        // The first node evaluates the joint checks.
        parts.reverse();
        let all = self.runs.iter_mut().zip(&mut self.courses).enumerate();
        let mut work = Vec::new();
        for (_, (run, course)) in all.filter(|(index, _)| at.contains(index)) {
            run.joint = parts.pop();
            let Some(step) = run.given.plan.step(number) else {
                continue;
            };
            work.push(Box::pin(async move {
                let result = match how {
                    Work::Take => run.take(step, course).await,
                    Work::Attend => run.attend(step, course).await,
                };
                run.joint = None;
                (run.given.node(), result)
            }));
        }
        let results = join_all(work).await;
        self.share(step, at);
        Stops::of(results)
    }

    /// Each node's part in a step of several nodes. If it has yet to begin on another node, the
    /// joint checks run there.
    fn parts(&self, step: &'a PlannedStep, at: &[usize], how: Work) -> Vec<Joint<'a>> {
        let Spread::All { joint } = &step.spread else {
            return Vec::new();
        };
        let begins_later = match how {
            Work::Take => false,
            Work::Attend => !self.due(step.number, false).is_empty(),
        };
        Joint::parts(at.len(), if begins_later { &[] } else { joint })
    }

    /// Shares with all nodes: what a step has captured, how it ended, and the operator's wish to
    /// stop.
    fn share(&mut self, step: &PlannedStep, at: &[usize]) {
        let known = at.iter().find_map(|index| {
            let name = step.capture.as_deref()?;
            let value = self.runs[*index].scope.get(name)?;
            Some((name, value.to_owned()))
        });
        let hold = self.runs.iter().any(|run| run.hold);
        for run in &mut self.runs {
            if let Some((name, value)) = &known {
                run.scope.set(name, value.clone());
            }
            run.hold = hold;
        }
        self.share_end(step.number);
    }

    fn share_end(&mut self, number: usize) {
        let runs = self.runs.iter();
        let of_it = runs.filter(|run| run.given.plan.step(number).is_some());
        let ends: Option<Vec<Status>> = of_it.map(|run| run.passed.get(&number).copied()).collect();
        let ends = ends.filter(|ends| ends.iter().all(|status| status.goes_on()));
        let Some(end) = ends.and_then(|ends| ends.first().copied()) else {
            return;
        };
        for run in &mut self.runs {
            run.passed.entry(number).or_insert(end);
        }
    }

    /// Checks before each step that no other controller has the run on any of its nodes. A node
    /// that does not answer is ignored until a step needs it.
    async fn prove_still_ours(&self, at: &[usize]) -> Result<(), Stops> {
        let acting: Vec<&str> = at
            .iter()
            .map(|index| self.runs[*index].given.node())
            .collect();
        let own = self.peers.all().into_iter();
        let own = own.filter(|(node, _)| !acting.contains(&node.as_str()));
        let held = self.held.iter().flat_map(Peers::all);
        let others: Vec<(String, Peer)> = own.chain(held).collect();
        let asked = others.iter().filter_map(|(node, peer)| {
            let bundle = peer.bundle.as_ref()?;
            Some(async move {
                let result = match bundle.mine().await {
                    Err(error @ (BundleError::Held(_) | BundleError::Taken)) => {
                        Err(Halt::from(error))
                    }
                    Err(BundleError::Gone) => Err(Halt::end(
                        Status::Blocked,
                        "the bundle of this run is gone from the node: it was given up",
                    )),
                    _ => Ok(()),
                };
                (node.as_str(), result)
            })
        });
        Stops::of(join_all(asked).await)
    }

    /// Evaluates cases about earlier work, each on its node.
    pub async fn ask(&mut self, cases: &[Case]) -> Result<(), Stops> {
        self.refresh_peers();
        for case in cases {
            let asked = self.asker(case).ask_alone(case).await;
            asked.map_err(|halt| Stops::at(&case.node.name, halt))?;
        }
        Ok(())
    }

    fn refresh_peers(&self) {
        for run in &self.runs {
            let peer = Peer {
                reach: run.bundles.reach.clone(),
                bundle: run.bundles.own().ok(),
            };
            self.peers.put(run.given.node(), peer);
        }
    }

    /// The inputs for a turn that begins here.
    pub fn seed(&self) -> Seed {
        self.refresh_peers();
        let first = self.runs.first();
        Seed {
            peers: self.peers.copy(),
            scope: first.map(|run| run.scope.clone()).unwrap_or_default(),
            passed: first.map(|run| run.passed.clone()).unwrap_or_default(),
        }
    }

    /// Closes all bundles at the end of the line. Finds nodes again whose connection was cut
    /// meanwhile.
    pub async fn close(&mut self) -> Result<(), Stops> {
        let closed = self.runs.iter_mut().map(async |run| {
            let result = run.close_found_again().await;
            (run.given.node(), result)
        });
        Stops::of(join_all(closed).await)
    }

    /// Keeps the bundles for a resume, if anything was done.
    pub async fn keep(&mut self, stops: &Stops) -> Result<(), JournalError> {
        let other = Halt::end(Status::Stopped, "");
        let kept = self.runs.iter_mut().map(async |run| {
            let halt = stops.halt_of(run.given.node()).unwrap_or(&other);
            run.keep_bundles(halt).await
        });
        for result in join_all(kept).await {
            // Report the halt itself.
            if let Err(Halt::Journal(error)) = result {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Journals the successful end.
    pub fn record_end(&self) -> Result<(), JournalError> {
        for run in &self.runs {
            ended(self.ground.recorder, run.given.site(), Status::Ok, None)?;
        }
        Ok(())
    }

    /// The session of the first node, for further use.
    pub fn first_reach(&self) -> Option<Reach> {
        Some(self.runs.first()?.bundles.reach.clone())
    }

    /// Ends the sessions.
    pub async fn leave(&mut self) {
        join_all(self.runs.iter().map(|run| run.bundles.reach.close())).await;
    }
}
