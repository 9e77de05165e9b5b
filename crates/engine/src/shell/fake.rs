//! A node without a process: the functions of `bundle.sh` over a bundle in memory. At any call, the
//! fake can cut the connection or kill the controller, before or after the call.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::session::{Cause, DeliverError, Delivered, Done, Hello, Lost, OpenError};

/// The name of this machine among the fakes.
pub const HERE: &str = "(here)";

thread_local! {
    static NODES: RefCell<HashMap<String, FakeNode>> = RefCell::default();
}

/// The fake for the node of this name, in this thread.
pub fn node(name: &str) -> Option<FakeNode> {
    NODES.with_borrow(|nodes| nodes.get(name).cloned())
}

/// A fake node.
#[derive(Clone, Debug, Default)]
pub struct FakeNode {
    state: Arc<Mutex<State>>,
    /// Notifies when the controller is killed.
    pub killed: Arc<Notify>,
}

#[derive(Clone, Debug)]
pub struct FakeShell {
    node: FakeNode,
    number: usize,
    hello: Arc<Hello>,
}

/// What happens to a started step.
#[derive(Clone, Debug, PartialEq)]
pub enum Comes {
    /// It ends with this exit status and output.
    Exit(i32, &'static str),
    /// An answer of `bundle.sh`: `DONE 0 exited 0 0`, `UNKNOWN`.
    Says(&'static str),
    /// It runs until the test changes it.
    Runs,
    /// It runs, and ends like this when another session waits for it.
    EndsLater(i32, &'static str),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// The connection is lost before the call.
    CutBefore,
    /// The call is executed, and its answer is lost with the connection.
    CutAfter,
    /// The controller is killed before the call.
    KillBefore,
    /// The controller is killed after the call.
    KillAfter,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Reached {
    #[default]
    Always,
    /// Reachable until a connection to it is cut.
    UntilCut,
    Never,
}

#[derive(Debug, Default)]
struct State {
    bundle: Option<Held>,
    /// Closed bundles, by run.
    history: BTreeMap<String, Held>,
    /// By the label of a step; the last one repeats.
    comes: HashMap<String, Vec<Comes>>,
    ran: Vec<String>,
    calls: Vec<&'static str>,
    fault: Option<(usize, Fault)>,
    shells: usize,
    /// Shells up to this number are gone.
    gone: usize,
    reached: Reached,
    checks: i32,
    /// Each shell's token for its bundle.
    tokens: HashMap<usize, String>,
}

#[derive(Clone, Debug, Default)]
struct Held {
    owner: String,
    token: String,
    /// The shell that holds its lock.
    holder: usize,
    at: String,
    steps: BTreeMap<String, Step>,
    end: String,
}

#[derive(Clone, Debug)]
struct Step {
    claim: String,
    comes: Comes,
}

impl FakeNode {
    /// Represents the node of this name from now on, in this thread.
    pub fn stands_for(&self, name: &str) {
        NODES.with_borrow_mut(|nodes| nodes.insert(name.to_owned(), self.clone()));
    }

    /// Sets what happens to a step at each start.
    pub fn comes(&self, label: &str, comes: &[Comes]) {
        let mut all = comes.to_vec();
        all.reverse();
        self.state().comes.insert(label.to_owned(), all);
    }

    /// Changes what happened to a started step.
    pub fn becomes(&self, label: &str, comes: Comes) {
        let mut state = self.state();
        if let Some(step) = state
            .bundle
            .as_mut()
            .and_then(|held| held.steps.get_mut(label))
        {
            step.comes = comes;
        }
    }

    /// The steps that ran, in order.
    pub fn ran(&self) -> String {
        self.state().ran.join(" ")
    }

    pub fn calls(&self) -> Vec<&'static str> {
        self.state().calls.clone()
    }

    /// Makes a later call fail, counted from now.
    pub fn fails(&self, call: usize, fault: Fault) {
        let mut state = self.state();
        state.calls.clear();
        state.fault = Some((call, fault));
    }

    /// Sets whether it is reachable after its connection is lost.
    pub fn is_reached(&self, reached: Reached) {
        self.state().reached = reached;
    }

    /// Sets the exit status of all checks.
    pub fn checks_exit(&self, status: i32) {
        self.state().checks = status;
    }

    /// Cuts all connections to it, as when the controller is killed.
    pub fn cut(&self) {
        let mut state = self.state();
        state.gone = state.shells;
    }

    /// Removes its bundle.
    pub fn loses_its_bundle(&self) {
        self.state().bundle = None;
    }

    pub fn has_bundle(&self) -> bool {
        self.state().bundle.is_some()
    }

    pub(super) fn open(&self) -> Result<FakeShell, OpenError> {
        let mut state = self.state();
        if state.reached == Reached::Never {
            return Err(OpenError {
                cause: Cause::Refused,
                had: None,
                note: None,
                said: "".into(),
            });
        }
        state.shells += 1;
        let hello = Hello {
            user: "ops".into(),
            home: "/home/ops".to_owned(),
            boot_id: "boot".to_owned(),
            ..Hello::default()
        };
        Ok(FakeShell {
            node: self.clone(),
            number: state.shells,
            hello: Arc::new(hello),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FakeShell {
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    pub fn close(&self) {
        let mut state = self.node.state();
        state.tokens.remove(&self.number);
        if let Some(held) = state
            .bundle
            .as_mut()
            .filter(|held| held.holder == self.number)
        {
            held.holder = 0;
        }
    }

    pub async fn check(&self) -> Result<Done, Lost> {
        let mut done = self.look().await?;
        done.status = self.node.state().checks;
        Ok(done)
    }

    /// Other opsbook code: always succeeds.
    pub async fn look(&self) -> Result<Done, Lost> {
        self.call("look", |_, _| String::new()).await
    }

    pub async fn deliver(&self) -> Result<Delivered, DeliverError> {
        self.call("deliver", |_, _| String::new()).await?;
        Ok(Delivered {
            bytes: 0,
            checksum: String::new(),
        })
    }

    pub async fn function(&self, name: &'static str, words: &[&[u8]]) -> Result<Done, Lost> {
        let words: Vec<String> = words
            .iter()
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect();
        let done = self.call(name, |state, number| state.function(number, name, &words));
        let done = done.await?;
        // A running step has no answer yet.
        if done.out.starts_with(b"RUNNING") && matches!(name, "obb_step" | "obb_wait") {
            return self.until_it_has_ended(&words[0]).await;
        }
        Ok(done)
    }

    async fn until_it_has_ended(&self, label: &str) -> Result<Done, Lost> {
        loop {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let state = self.node.state();
            if self.number <= state.gone {
                return Err(cut());
            }
            let says = state.says(label);
            if !says.starts_with("RUNNING") {
                return Ok(Done {
                    out: says.into_bytes(),
                    ..Done::default()
                });
            }
        }
    }

    async fn call(
        &self,
        name: &'static str,
        work: impl FnOnce(&mut State, usize) -> String,
    ) -> Result<Done, Lost> {
        let (fault, out) = {
            let mut state = self.node.state();
            if self.number <= state.gone {
                return Err(cut());
            }
            state.calls.push(name);
            let number = state.calls.len();
            let fault = state.fault.filter(|(call, _)| *call == number);
            let fault = fault.map(|(_, fault)| fault);
            if fault.is_some() {
                state.fault = None;
                state.gone = state.shells;
                if state.reached == Reached::UntilCut {
                    state.reached = Reached::Never;
                }
            }
            let before = matches!(fault, Some(Fault::CutBefore | Fault::KillBefore));
            let out = if before {
                String::new()
            } else {
                work(&mut state, self.number)
            };
            (fault, out)
        };
        match fault {
            None => Ok(Done {
                out: out.into_bytes(),
                ..Done::default()
            }),
            Some(Fault::CutBefore | Fault::CutAfter) => Err(cut()),
            Some(Fault::KillBefore | Fault::KillAfter) => {
                self.node.killed.notify_one();
                std::future::pending().await
            }
        }
    }
}

fn cut() -> Lost {
    Lost::Connection { said: "".into() }
}

fn run_of(owner: &str) -> &str {
    let rest = owner.split_once("\"run\":\"").map_or("", |(_, rest)| rest);
    rest.split('"').next().unwrap_or_default()
}

impl State {
    /// Answers like `bundle.sh`.
    fn function(&mut self, shell: usize, name: &str, words: &[String]) -> String {
        let word = |index: usize| words.get(index).map_or("", String::as_str);
        match name {
            "obb_open" => self.open(shell, word(1), word(2), word(5)),
            "obb_reopen" => self.reopen(shell, word(1), word(2), word(3), word(4)),
            "obb_look" if self.bundle.is_none() => "FREE".to_owned(),
            "obb_look" => self.held(),
            "obb_history" => match self.history.get(word(1)) {
                None => "NONE".to_owned(),
                Some(past) => {
                    let end = match past.end.as_str() {
                        "" => String::new(),
                        end => format!("END {end}\n"),
                    };
                    format!("TALE\n{}\n{end}{}", past.owner, list(past))
                }
            },
            "obb_release" => {
                let held = self.bundle.take().unwrap_or_default();
                self.history.insert(word(1).to_owned(), held);
                "RELEASED".to_owned()
            }
            "obb_tail" => self.tail(word(0), word(1), word(2)),
            "obb_state" => self.says(word(0)),
            "obb_wait" => {
                self.ends_now(word(0));
                self.says(word(0))
            }
            "obb_remain" => String::new(),
            _ => match self.not_mine(shell) {
                Some(refusal) => refusal,
                None => self.of_mine(name, words),
            },
        }
    }

    fn of_mine(&mut self, name: &str, words: &[String]) -> String {
        let Some(held) = &mut self.bundle else {
            return "GONE".to_owned();
        };
        match name {
            "obb_join" => "OPENED OUTLIVES".to_owned(),
            "obb_tale" => format!("TALE\n{}\n{}", held.owner, list(held)),
            "obb_at" => {
                held.at.clone_from(&words[0]);
                "READY".to_owned()
            }
            "obb_aside" => {
                let old = held.steps.remove(&words[0]);
                let label = format!("{}.{}", words[0], held.steps.len());
                held.steps.extend(old.map(|old| (label, old)));
                "READY".to_owned()
            }
            "obb_stop" => {
                if let Some(step) = held.steps.get_mut(&words[0]) {
                    step.comes = Comes::Says("DONE 143 stopped 0 0");
                }
                self.says(&words[0])
            }
            "obb_step" if held.steps.contains_key(&words[0]) => "EXISTS".to_owned(),
            "obb_step" => {
                let comes = self.comes.get_mut(&words[0]);
                let comes = comes.and_then(|all| match all.len() {
                    0 | 1 => all.last().cloned(),
                    _ => all.pop(),
                });
                let step = Step {
                    claim: words[8].clone(),
                    comes: comes.unwrap_or(Comes::Exit(0, "")),
                };
                held.steps.insert(words[0].clone(), step);
                self.ran.push(words[0].clone());
                self.says(&words[0])
            }
            "obb_close" => {
                let mut held = self.bundle.take().unwrap_or_default();
                held.end.clone_from(&words[2]);
                if !held.steps.is_empty() || !held.end.is_empty() {
                    self.history.insert(words[0].clone(), held);
                }
                "CLOSED".to_owned()
            }
            _ => "READY".to_owned(),
        }
    }

    fn open(&mut self, shell: usize, owner: &str, token: &str, steps: &str) -> String {
        if self.bundle.is_some() {
            return self.held();
        }
        if !steps.is_empty() && self.history.contains_key(run_of(owner)) {
            return "ENDED".to_owned();
        }
        self.bundle = Some(Held {
            owner: owner.to_owned(),
            ..Held::default()
        });
        self.take(shell, token)
    }

    fn reopen(&mut self, shell: usize, run: &str, token: &str, old: &str, owner: &str) -> String {
        let gone = self.gone;
        let Some(held) = &mut self.bundle else {
            return "GONE".to_owned();
        };
        let lives = held.holder > gone;
        if run_of(&held.owner) != run || (![old, token].contains(&held.token.as_str()) && lives) {
            return self.held();
        }
        if !owner.is_empty() {
            owner.clone_into(&mut held.owner);
        }
        self.take(shell, token)
    }

    fn take(&mut self, shell: usize, token: &str) -> String {
        if let Some(held) = &mut self.bundle {
            token.clone_into(&mut held.token);
            held.holder = shell;
        }
        self.tokens.insert(shell, token.to_owned());
        "OPENED OUTLIVES".to_owned()
    }

    fn held(&self) -> String {
        let Some(held) = &self.bundle else {
            return "FREE".to_owned();
        };
        let alive = if held.holder > self.gone {
            "live"
        } else {
            "stale"
        };
        format!("HELD {alive}\nSTEP {}\n{}", held.steps.len(), held.owner)
    }

    fn not_mine(&self, shell: usize) -> Option<String> {
        let Some(held) = &self.bundle else {
            return Some("GONE".to_owned());
        };
        let taken = self.tokens.get(&shell) != Some(&held.token);
        taken.then(|| "TAKEN".to_owned())
    }

    fn ends_now(&mut self, label: &str) {
        let held = self.bundle.as_mut();
        if let Some(step) = held.and_then(|held| held.steps.get_mut(label))
            && let Comes::EndsLater(status, out) = step.comes
        {
            step.comes = Comes::Exit(status, out);
        }
    }

    /// The state of a step.
    fn says(&self, label: &str) -> String {
        let held = self.bundle.as_ref();
        let Some(step) = held.and_then(|held| held.steps.get(label)) else {
            return "NONE".to_owned();
        };
        match step.comes {
            Comes::Exit(status, out) => {
                format!("DONE {status} exited {} 0\nOUTPUT\n{out}", out.len())
            }
            Comes::Says(says) => says.to_owned(),
            Comes::Runs | Comes::EndsLater(..) => "RUNNING 4711".to_owned(),
        }
    }

    fn tail(&self, label: &str, stream: &str, offset: &str) -> String {
        let held = self.bundle.as_ref();
        match held.and_then(|held| held.steps.get(label)) {
            Some(Step {
                comes: Comes::Exit(_, out),
                ..
            }) if stream == "out" => {
                let offset = offset.parse().unwrap_or(0);
                out.get(offset..).unwrap_or_default().to_owned()
            }
            _ => String::new(),
        }
    }
}

/// The output of `obb_list`.
fn list(held: &Held) -> String {
    let line = |(label, step): (&String, &Step)| {
        let status = match step.comes {
            Comes::Exit(status, out) => format!("{status} exited {} 0 .", out.len()),
            Comes::Says(says) if says.starts_with("DONE ") => {
                format!("{} .", says.lines().next().unwrap_or_default()[5..].trim())
            }
            _ => "running".to_owned(),
        };
        let aside = label.contains('.');
        (!aside).then(|| format!("{label}|{status}|{}\n", step.claim))
    };
    held.steps.iter().filter_map(line).collect()
}
