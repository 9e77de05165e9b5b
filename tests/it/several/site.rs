//! Nodes in one network, and folders with our own manual in which they have the names of the
//! chapter.

use std::path::Path;

use opsbook::event::{Event, What};

use crate::lab::{Kind, Network, Node};
use crate::project::{Project, Said, node};
use crate::sshd::Skip;

pub struct Site {
    nodes: Vec<(&'static str, Node)>,
    /// Must be dropped after the nodes.
    network: Network,
}

impl Site {
    /// Starts them in parallel.
    pub fn start(names: &[(&'static str, Kind)]) -> Result<Site, Skip> {
        let network = Network::start()?;
        let mut started: Vec<Result<Node, Skip>> = Vec::new();
        std::thread::scope(|scope| {
            let network = &network;
            let all: Vec<_> = names
                .iter()
                .map(|(_, kind)| scope.spawn(move || network.node(kind)))
                .collect();
            started.extend(all.into_iter().map(|one| one.join().unwrap()));
        });
        let named = names.iter().zip(started);
        let nodes = named.map(|((name, _), node)| Ok((*name, node?)));
        let nodes = nodes.collect::<Result<_, Skip>>()?;
        Ok(Site { nodes, network })
    }

    pub fn node(&self, name: &str) -> &Node {
        let mut nodes = self.nodes.iter();
        let (_, node) = nodes.find(|(its, _)| *its == name).unwrap();
        node
    }

    pub fn address(&self, name: &str) -> String {
        self.node(name).address()
    }

    /// This machine's own address in the network.
    pub fn gateway(&self) -> String {
        self.network.gateway()
    }

    /// A folder with our own manual, and no journal.
    pub fn folder(&self) -> Project {
        let project = Project::of_our_own();
        self.names_in(&project);
        project
    }

    /// A folder with one page and its nodes, with the given groups.
    pub fn folder_of(&self, page: &str, groups: &str) -> Project {
        let project = Project::new(page);
        std::fs::remove_file(project.path("nodes.yaml")).unwrap();
        project.write("nodes/10-groups.yaml", groups);
        self.names_in(&project);
        project
    }

    fn names_in(&self, project: &Project) {
        let nodes = self.nodes.iter();
        let text: String = nodes
            .map(|(name, its)| node(name, &its.ssh(), ""))
            .collect();
        let text = format!("opsbook: 1\nnodes:\n{text}");
        project.write("nodes/20-laboratory.yaml", &text);
    }

    /// Nodes with a bundle of a run or a turn. Those without power are left out.
    pub fn held(&self) -> Vec<&'static str> {
        let nodes = self.nodes.iter().filter(|(_, node)| !node.is_off());
        let held = nodes.filter(|(_, node)| {
            let home = node.home().join(".opsbook");
            let turns = std::fs::read_dir(home.join("bundle.turns"));
            let mut turns = turns.into_iter().flatten().flatten();
            home.join("bundle").exists() || turns.any(|turn| turn.path().join("bundle").exists())
        });
        held.map(|(name, _)| *name).collect()
    }

    /// Whether opsbook never wrote to the node.
    pub fn untouched(&self, name: &str) -> bool {
        !self.node(name).home().join(".opsbook").exists()
    }
}

/// Kills the controller once its journal has such an event. Returns the run's name.
#[track_caller]
pub fn killed(
    project: &Project,
    arguments: &[&str],
    what: &str,
    at: impl Fn(&Event) -> bool,
) -> String {
    let mut running = project.opsbook(arguments).start();
    running.until(what, at);
    running.signal("KILL");
    running.wait();
    project.events().remove(0).run
}

/// Locks a node like another person would. Returns the name of the lock.
#[track_caller]
pub fn acquired(project: &Project, name: &str) -> String {
    let acquire = ["lock", "acquire", name, "--message", "a disk is changed"];
    project.opsbook(&acquire).ends(0);
    let said = project.opsbook(&["lock", "status", name]).said();
    let said = said.out + &said.err;
    let lock = regex::Regex::new("lock-[0-9a-f]+").unwrap();
    let lock = lock.find(&said).expect("the name of the lock");
    lock.as_str().to_owned()
}

/// Resumes in another folder, without a journal.
#[track_caller]
pub fn resumed_elsewhere(project: &Project, run: &str, status: i32) -> Said {
    let resume = ["resume", run, "--catch-up", "--yes"];
    project.opsbook(&resume).ends(status)
}

/// Matches the beginning of this step on this node, from now on.
pub fn begins(node: &'static str, step: usize) -> impl Fn(&Event) -> bool {
    let now = now();
    move |event| is_at(event, node, step, &now) && matches!(event.what, What::StepStarted { .. })
}

/// Matches the end of this step on this node, from now on.
pub fn ends(node: &'static str, step: usize) -> impl Fn(&Event) -> bool {
    let now = now();
    move |event| is_at(event, node, step, &now) && matches!(event.what, What::StepEnded(_))
}

/// Journals of earlier runs in the same folder contain the same steps.
fn is_at(event: &Event, node: &str, step: usize, since: &str) -> bool {
    event.node.as_deref() == Some(node) && event.step == Some(step) && event.at.as_str() >= since
}

/// In the format of events.
fn now() -> String {
    let now = jiff::Timestamp::now();
    now.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// A script of this folder, with lines before it.
pub fn script(name: &str, before: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/several");
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    format!("{before}\n{text}")
}
