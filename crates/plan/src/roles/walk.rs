//! Walks over a procedure with bound roles and makes the parts of the run and their order.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::stage::{Company, Seat, Stage};
use super::{Binding, Bound, Section, Stretch, Turn};
use crate::batch;
use crate::manual::{Check, DeliveryFrom, Each, Machine, Manual, On, Role, Step};
use crate::source::Problem;
use crate::vocabulary::Vocabulary;
use crate::{Case, NodePlan, PlannedStep, PlannedWork, Spread, cases, record, step};

/// One walk over the page.
pub(super) struct Walk<'a> {
    pub manual: &'a Manual,
    pub vocabulary: &'a Vocabulary,
    pub company: &'a Company<'a>,
    pub problems: Vec<Problem>,
    pub plans: Vec<NodePlan>,
    /// The plans of the main line by node.
    main: HashMap<String, usize>,
}

impl<'a> Walk<'a> {
    pub fn new(
        manual: &'a Manual,
        vocabulary: &'a Vocabulary,
        company: &'a Company<'a>,
    ) -> Walk<'a> {
        Walk {
            manual,
            vocabulary,
            company,
            problems: Vec::new(),
            plans: Vec::new(),
            main: HashMap::new(),
        }
    }

    pub fn binding(&mut self) -> Binding {
        let company = self.company;
        let procedure = company.procedure;
        let mut stage = Stage::main(company);
        self.open_main(&mut stage);
        let before = self.cases(&mut stage, &procedure.before, None);
        let mut order = Vec::new();
        let mut next = 1;
        while let Some(step) = procedure.steps.get(next - 1) {
            let opens = |each: &&Each| each.steps.start == next && !each.steps.is_empty();
            if let Some(index) = procedure.sections.iter().position(|each| opens(&each)) {
                let each = &procedure.sections[index];
                order.push(Stretch::Section(self.section(&stage, index + 1, each)));
                next = each.steps.end;
            } else {
                self.main_step(&mut stage, step);
                order.push(Stretch::Step(next));
                next += 1;
            }
            let after = procedure.after.iter().filter(|(last, _)| last + 1 == next);
            for (_, checks) in after {
                order.push(Stretch::Checks(self.cases(&mut stage, checks, None)));
            }
        }
        for plan in &mut self.plans {
            let all: String = plan.steps.iter().map(|step| step.sha256.as_str()).collect();
            plan.sha256 = record::sha256(&all);
        }
        Binding {
            roles: self.bound(),
            before,
            order,
            sha256: self.hash(),
        }
    }

    fn bound(&self) -> Vec<Bound> {
        let procedure = self.company.procedure;
        let roles = procedure.roles.iter().map(|(name, role)| Bound {
            role: name.clone(),
            nodes: self.company.cast.get(name).cloned().unwrap_or_default(),
            help: role.help.clone(),
            needs: role.needs.iter().map(|need| need.value.clone()).collect(),
            reached: procedure.runs_on(name),
        });
        roles.collect()
    }

    /// The hash over the binding and everything that is done.
    fn hash(&self) -> String {
        let mut text = String::new();
        for (role, nodes) in self.company.cast {
            let _ = writeln!(text, "{role}={}", nodes.join(","));
        }
        for plan in &self.plans {
            let _ = writeln!(text, "{} {}", plan.site(), plan.sha256);
        }
        record::sha256(&text)
    }

    /// Makes a plan for each node with a part in the main line.
    fn open_main(&mut self, stage: &mut Stage<'_>) {
        let company = self.company;
        let procedure = company.procedure;
        let sections = &procedure.sections;
        for (name, role) in &procedure.roles {
            let each = sections.iter().any(|each| each.role.value == *name);
            let all = Machine::All(name.clone());
            let has_part = if each {
                procedure.machines().any(|machine| *machine == all)
            } else {
                procedure.runs_on(name)
            };
            if has_part {
                self.open_role(stage, name, role);
            }
        }
        // A step on the operator's machine belongs to the part of some node.
        if self.plans.is_empty() {
            let first = procedure.roles.iter().find(|(name, _)| {
                procedure.runs_on(name) && company.cast.get(*name).is_some_and(|n| !n.is_empty())
            });
            if let (Some((name, role)), true) = (first, self.main_is_local()) {
                self.open_one(stage, name, role, &company.cast[name][0]);
            }
        }
    }

    /// Whether something runs outside of all sections.
    fn main_is_local(&self) -> bool {
        let procedure = self.company.procedure;
        let within = |number: usize| {
            let mut sections = procedure.sections.iter();
            sections.any(|each| each.steps.contains(&number))
        };
        let mut steps = procedure.steps.iter();
        steps.any(|step| !within(step.number))
            || !procedure.before.is_empty()
            || !procedure.after.is_empty()
    }

    fn open_role(&mut self, stage: &mut Stage<'_>, name: &str, role: &Role) {
        let company = self.company;
        for node in company.cast.get(name).into_iter().flatten() {
            self.open_one(stage, name, role, node);
        }
    }

    fn open_one(&mut self, stage: &mut Stage<'_>, name: &str, role: &Role, node: &str) {
        let plan = self.plan(stage, name, role, node, None);
        if let Some(plan) = plan {
            self.main.insert(node.to_owned(), self.plans.len());
            self.plans.push(plan);
        }
    }

    /// A plan without steps; for a turn, with the node whose turn it is and the turn's name.
    fn plan(
        &mut self,
        stage: &mut Stage<'_>,
        name: &str,
        role: &Role,
        node: &str,
        turn: Option<(&str, &str)>,
    ) -> Option<NodePlan> {
        // Groups of checks know nothing of roles.
        let plain = Arc::clone(self.company.nodes.get(node)?);
        let own_turn = turn.is_none_or(|(own, _)| own == node);
        let groups = if own_turn { role.needs.as_slice() } else { &[] };
        let needs = cases::needs(
            self.manual,
            self.vocabulary,
            groups,
            &plain,
            &mut self.problems,
        );
        let procedure = self.company.procedure;
        let mut here = procedure.steps.iter();
        Some(NodePlan {
            node: stage.node(&Seat::Machine(node.to_owned()))?,
            role: Some(name.to_owned()),
            turn: turn.map(|(_, title)| title.to_owned()),
            needs,
            before: Vec::new(),
            steps: Vec::new(),
            captures: step::captures(procedure),
            first_here: here
                .find(|step| step.on == On::Local)
                .map(|step| step.number),
            sha256: String::new(),
        })
    }

    fn main_step(&mut self, stage: &mut Stage<'_>, step: &Step) {
        let host = self.plans.first().map(|plan| plan.node.name.clone());
        for (seat, planned) in self.step(stage, step, host.as_deref()) {
            let name = match seat {
                Seat::Machine(name) => Some(name),
                Seat::Local => host.clone(),
            };
            let index = name.and_then(|name| self.main.get(&name));
            if let Some(index) = index {
                self.plans[*index].steps.push(planned);
            }
        }
    }

    fn section(&mut self, stage: &Stage<'a>, number: usize, each: &'a Each) -> Section {
        let company = self.company;
        let role = each.role.value.as_str();
        let nodes = company.cast.get(role).map_or(&[][..], Vec::as_slice);
        let earlier = company.procedure.sections.iter().take(number - 1);
        let again = earlier.filter(|each| each.role.value == role).count();
        let turns: Vec<Turn> = nodes
            .iter()
            .map(|node| {
                let name = turn_name(node, again);
                self.turn(stage.turn_of(role, node), each, node, &name)
            })
            .collect();
        let of_nodes = nodes.iter().filter_map(|node| company.nodes.get(node));
        Section {
            number,
            title: each.title.clone(),
            role: role.to_owned(),
            batches: batch::of_section(&each.batch, of_nodes, &mut self.problems),
            wait: each.wait,
            max_fail: each.max_fail,
            turns,
        }
    }

    fn turn(&mut self, mut stage: Stage<'a>, each: &Each, node: &str, title: &str) -> Turn {
        let procedure = self.company.procedure;
        let mut plans: Vec<usize> = Vec::new();
        let steps: Vec<&Step> = procedure.steps[each.steps.start - 1..each.steps.end - 1]
            .iter()
            .collect();
        let mut names = vec![node.to_owned()];
        for step in &steps {
            for seat in stage.seats(step.on, step.machine.as_ref()) {
                match seat {
                    Seat::Machine(name) if !names.contains(&name) => names.push(name),
                    Seat::Machine(_) | Seat::Local => {}
                }
            }
        }
        for name in &names {
            let turn = Some((node, title));
            let plan = self
                .role_of(name)
                .and_then(|(played, role)| self.plan(&mut stage, played, role, name, turn));
            if let Some(plan) = plan {
                plans.push(self.plans.len());
                self.plans.push(plan);
            }
        }
        let before = self.cases(&mut stage, &each.before, Some(node));
        for step in &steps {
            for (seat, planned) in self.step(&mut stage, step, Some(node)) {
                let name = match &seat {
                    Seat::Machine(name) => name.as_str(),
                    Seat::Local => node,
                };
                let index = plans
                    .iter()
                    .find(|index| self.plans[**index].node.name == name);
                if let Some(index) = index {
                    self.plans[*index].steps.push(planned);
                }
            }
        }
        Turn {
            node: node.to_owned(),
            before,
            steps: each.steps.clone().collect(),
            plans,
        }
    }

    fn role_of(&self, node: &str) -> Option<(&'a str, &'a Role)> {
        let company = self.company;
        let plays = |nodes: &Vec<String>| nodes.iter().any(|name| name == node);
        let (name, _) = company.cast.iter().find(|(_, nodes)| plays(nodes))?;
        let (name, role) = company.procedure.roles.get_key_value(name)?;
        Some((name, role))
    }

    /// Plans a step on each of its nodes. `host` is the node whose part has the local work.
    fn step(
        &mut self,
        stage: &mut Stage<'_>,
        step: &Step,
        host: Option<&str>,
    ) -> Vec<(Seat, PlannedStep)> {
        let procedure = self.company.procedure;
        let mut begun = Vec::new();
        for seat in stage.seats(step.on, step.machine.as_ref()) {
            let Some(node) = stage.node(&seat) else {
                continue;
            };
            let mut scope = stage.scope(&seat, &node);
            let planned = step::begun(procedure, step, &mut scope, &mut self.problems);
            let planned = step::finished(planned, &scope, String::new());
            stage.keep(&seat, scope, &planned.heading());
            begun.push((seat, planned));
        }
        stage.capture(step.capture.as_ref());
        let checks: Vec<(&Check, Vec<(Seat, Case)>)> = step
            .checks
            .iter()
            .map(|check| (check, self.asked(stage, check, host)))
            .collect();
        let steps = begun.into_iter();
        let steps = steps.map(|(seat, planned)| {
            let planned = with_checks(step, planned, &seat, &checks);
            (seat, on_its_machine(stage, step, planned, &checks))
        });
        steps.collect()
    }

    fn cases(&mut self, stage: &mut Stage<'_>, checks: &[Check], host: Option<&str>) -> Vec<Case> {
        let first = self.plans.first().map(|plan| plan.node.name.clone());
        let host = host.or(first.as_deref());
        let cases = checks.iter();
        cases
            .flat_map(|check| self.asked(stage, check, host))
            .map(|(_, case)| case)
            .collect()
    }

    /// Plans a check on each of its nodes.
    fn asked(
        &mut self,
        stage: &mut Stage<'_>,
        check: &Check,
        host: Option<&str>,
    ) -> Vec<(Seat, Case)> {
        let mut asked = Vec::new();
        for seat in stage.seats(check.on, check.machine.as_ref()) {
            let Some(knows) = stage.node(&seat) else {
                continue;
            };
            // A case names a node, even if it is evaluated on the operator's machine.
            let node = match (&seat, host) {
                (Seat::Local, Some(host)) => stage.node(&Seat::Machine(host.to_owned())),
                _ => Some(Arc::clone(&knows)),
            };
            let Some(node) = node else { continue };
            let scope = stage.scope(&seat, &knows);
            let case = cases::of_script(check, &node, &scope, &mut self.problems);
            asked.push((seat, case));
        }
        asked
    }
}

/// The name of a node's turn: `web1`, or `web1+2` in a second section for the same role.
fn turn_name(node: &str, earlier: usize) -> String {
    if earlier == 0 {
        return node.to_owned();
    }
    format!("{node}+{}", earlier + 1)
}

/// Adds the checks. If a step runs on all nodes of a role, each node gets the checks of itself;
/// checks on other nodes run once.
fn with_checks(
    step: &Step,
    mut planned: PlannedStep,
    seat: &Seat,
    checks: &[(&Check, Vec<(Seat, Case)>)],
) -> PlannedStep {
    let all = matches!(step.machine, Some(Machine::All(_)));
    let mut joint = Vec::new();
    for (check, cases) in checks {
        let of_each = all && check.machine == step.machine;
        for (asked, case) in cases {
            match (all, of_each) {
                (false, _) => planned.checks.push(case.clone()),
                (true, false) => joint.push(case.clone()),
                (true, true) if asked == seat => planned.checks.push(case.clone()),
                (true, true) => {}
            }
        }
    }
    if all {
        planned.spread = Spread::All { joint };
    }
    planned
}

/// Adds the text for comparison, and the nodes that deliveries come from.
fn on_its_machine(
    stage: &Stage<'_>,
    step: &Step,
    mut planned: PlannedStep,
    checks: &[(&Check, Vec<(Seat, Case)>)],
) -> PlannedStep {
    if let PlannedWork::Deliver(files) = &mut planned.work {
        for file in files {
            if let DeliveryFrom::Machine { role, node, .. } = &mut file.from {
                *node = stage.one(role).unwrap_or_default().to_owned();
            }
        }
    }
    let place = |on: On, machine: Option<&Machine>| match (on, machine) {
        (On::Node, Some(Machine::Role(role))) => role.clone(),
        (On::Node, Some(Machine::All(role))) => format!("all:{role}"),
        (side, _) => record::side(side).to_owned(),
    };
    let first = checks.iter().filter_map(|(_, cases)| cases.first());
    let own = place(step.on, step.machine.as_ref());
    let mut text = record::text(&planned, &own, first.map(|(_, case)| case));
    for (check, _) in checks {
        let asked = place(check.on, check.machine.as_ref());
        let _ = writeln!(text, "--- asked on {asked}: {}", check.name);
    }
    // For a person's work on the operator's machine, the text names the node whose part it is in.
    if let (PlannedWork::Manual(_), On::Local) = (&planned.work, planned.on) {
        planned.on = On::Node;
    }
    planned.sha256 = record::sha256(&text);
    planned.text = text;
    planned
}
