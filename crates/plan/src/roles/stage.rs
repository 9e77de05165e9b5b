//! The nodes of a run, and what is known on each at one point of the page: in the main line, or in
//! one node's turn.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::bind::Cast;
use crate::manual::{Count, Machine, On, Procedure};
use crate::nodes::{Node, Players, Seen};
use crate::script::{Elsewhere, Scope};

/// The nodes of the run with their values.
pub(super) struct Company<'a> {
    pub procedure: &'a Procedure,
    pub cast: &'a Cast,
    /// Each node by itself, with parameters and arguments.
    pub nodes: &'a HashMap<String, Arc<Node>>,
    /// The value names of roles without nodes.
    pub names: &'a HashMap<String, Vec<String>>,
}

/// Where a block runs: on a node, or on the operator's machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Seat {
    Machine(String),
    Local,
}

/// The names that scripts have set so far on one node.
#[derive(Clone, Default)]
struct Set {
    assigned: BTreeSet<String>,
    kept: BTreeSet<String>,
    opaque: bool,
}

pub(super) struct Stage<'a> {
    company: &'a Company<'a>,
    /// The role of the section, and the node whose turn it is.
    turn: Option<(&'a str, &'a str)>,
    captured: BTreeSet<String>,
    set: BTreeMap<Seat, Set>,
    /// The step that set each name, by seat.
    steps: BTreeMap<(Seat, String), String>,
    /// The nodes with the values of the others, computed on demand.
    seen: HashMap<Seat, Arc<Node>>,
}

impl<'a> Stage<'a> {
    pub fn main(company: &'a Company<'a>) -> Stage<'a> {
        Stage {
            company,
            turn: None,
            captured: BTreeSet::new(),
            set: BTreeMap::new(),
            steps: BTreeMap::new(),
            seen: HashMap::new(),
        }
    }

    /// The same point in the turn of one node. Names set in the turn are gone after it.
    pub fn turn_of(&self, role: &'a str, node: &'a str) -> Stage<'a> {
        Stage {
            company: self.company,
            turn: Some((role, node)),
            captured: self.captured.clone(),
            set: self.set.clone(),
            steps: self.steps.clone(),
            seen: HashMap::new(),
        }
    }

    /// Where a block runs, in the order of the nodes.
    pub fn seats(&self, on: On, machine: Option<&Machine>) -> Vec<Seat> {
        let all = |role: &str| {
            let nodes = self.company.cast.get(role).into_iter().flatten();
            nodes.cloned().map(Seat::Machine).collect()
        };
        match (on, machine) {
            (On::Local, _) => vec![Seat::Local],
            (On::Node, Some(Machine::Role(role))) => match self.turn {
                Some((own, node)) if own == role => vec![Seat::Machine(node.to_owned())],
                _ => all(role),
            },
            (On::Node, Some(Machine::All(role))) => all(role),
            (On::Node, None) => Vec::new(),
        }
    }

    /// The only node of a role at this point.
    pub fn one(&self, role: &str) -> Option<&str> {
        match self.turn {
            Some((own, node)) if own == role => Some(node),
            _ => match self.company.cast.get(role)?.as_slice() {
                [node] => Some(node),
                _ => None,
            },
        }
    }

    /// A node with the values of the others.
    pub fn node(&mut self, seat: &Seat) -> Option<Arc<Node>> {
        if let Some(node) = self.seen.get(seat) {
            return Some(Arc::clone(node));
        }
        let nodes = self.company.nodes;
        let own = match seat {
            Seat::Machine(name) => (**nodes.get(name)?).clone(),
            Seat::Local => nodes.values().next()?.arguments_only("local"),
        };
        let node = Arc::new(own.among(&self.players()));
        self.seen.insert(seat.clone(), Arc::clone(&node));
        Some(node)
    }

    fn players(&self) -> Vec<Players<'a>> {
        let (company, turn) = (self.company, self.turn);
        let players = company
            .procedure
            .roles
            .iter()
            .filter_map(|(role, contract)| {
                let node = |name: &str| company.nodes.get(name).map(|node| &**node);
                let seen = match turn {
                    Some((own, name)) if own == role => Seen::One(node(name)?),
                    _ => {
                        let names = company.cast.get(role)?.iter();
                        let nodes: Vec<&Node> = names.filter_map(|name| node(name)).collect();
                        match (contract.count, nodes.as_slice()) {
                            (Count::One, [one]) => Seen::One(one),
                            (Count::One, _) => return None,
                            (Count::Several | Count::Any, _) => Seen::Several {
                                nodes,
                                names: company.names_of(role),
                            },
                        }
                    }
                };
                Some(Players { role, seen })
            });
        players.collect()
    }

    /// What is known on a node.
    pub fn scope<'n>(&self, seat: &Seat, node: &'n Node) -> Scope<'n> {
        let set = self.set.get(seat).cloned().unwrap_or_default();
        let mut scope = Scope::new(node);
        scope.captured.clone_from(&self.captured);
        scope.assigned = set.assigned;
        scope.kept = set.kept;
        scope.opaque = set.opaque;
        let others = self.steps.iter().filter(|((at, _), _)| at != seat);
        let others = others.map(|((at, name), step)| {
            let by = format!("{} by step {step}", self.title(at));
            (name.clone(), by)
        });
        scope.elsewhere = Some(Elsewhere {
            here: self.title(seat),
            set: others.collect(),
        });
        scope
    }

    /// Stores the names that a step has set on a node.
    pub fn keep(&mut self, seat: &Seat, scope: Scope<'_>, step: &str) {
        for name in &scope.assigned {
            let key = (seat.clone(), name.clone());
            self.steps.entry(key).or_insert_with(|| step.to_owned());
        }
        let set = Set {
            assigned: scope.assigned,
            kept: scope.kept,
            opaque: scope.opaque,
        };
        self.set.insert(seat.clone(), set);
    }

    pub fn capture(&mut self, name: Option<&String>) {
        self.captured.extend(name.cloned());
    }

    /// The name of a node in a message: its role.
    fn title(&self, seat: &Seat) -> String {
        match seat {
            Seat::Local => "your own machine".to_owned(),
            Seat::Machine(name) => {
                let cast = &self.company.cast;
                let role = cast.iter().find(|(_, nodes)| nodes.contains(name));
                role.map_or(format!("`{name}`"), |(role, _)| format!("`{role}`"))
            }
        }
    }
}

impl<'a> Company<'a> {
    fn names_of(&self, role: &str) -> Vec<&'a str> {
        let names = self.names.get(role).into_iter().flatten();
        names.map(String::as_str).collect()
    }
}
