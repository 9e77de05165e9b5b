//! Programs that steps need and that not every node has. Reports a missing one before the first
//! step, unless an earlier step may install it.

use std::collections::BTreeMap;

use crate::event::What;
use crate::halt::Halt;
use crate::manual::{How, On};
use crate::node::NodeRun;
use crate::plan::{Ask, PlannedStep, PlannedWork};
use crate::session::{Call, Limits, Utility};

/// The first use of a program.
struct Need {
    /// The label of the step.
    step: String,
    /// A script before it on the same side may install the program.
    may_come: bool,
}

impl NodeRun<'_> {
    /// Looks for the interpreters of the steps from `first` on, on both sides.
    pub async fn prove_programs(&self, first: usize) -> Result<(), Halt> {
        for on in [On::Node, On::Local] {
            let needs = self.needs(on, first);
            for (program, need) in self.missing(on, needs).await? {
                let place = match on {
                    On::Node => "on this node",
                    On::Local => "on this machine",
                };
                let Need { step, may_come } = need;
                let said = format!("step {step} needs `{program}`, which is missing {place}");
                if !may_come {
                    return Err(Halt::error(said));
                }
                let text = format!("{said}: an earlier step must install it").into();
                self.given.record(None, What::Warned { text })?;
            }
        }
        Ok(())
    }

    fn needs(&self, on: On, first: usize) -> BTreeMap<String, Need> {
        let mut needs = BTreeMap::new();
        let mut may_come = false;
        let steps = self.given.plan.steps.iter();
        for step in steps.filter(|step| step.number >= first) {
            for program in programs(step, on) {
                let step = step.label().to_owned();
                let need = Need { step, may_come };
                needs.entry(program.to_owned()).or_insert(need);
            }
            may_come |= match step.work {
                PlannedWork::Script(_) => step.on == on && step.placed.is_none(),
                PlannedWork::Manual(_) => true,
                PlannedWork::Deliver(_) => false,
            };
        }
        needs
    }

    async fn missing(
        &self,
        on: On,
        mut needs: BTreeMap<String, Need>,
    ) -> Result<BTreeMap<String, Need>, Halt> {
        if on == On::Local {
            let here = std::env::var_os("PATH").unwrap_or_default();
            needs.retain(|program, _| {
                !std::env::split_paths(&here).any(|folder| folder.join(program).is_file())
            });
            return Ok(needs);
        }
        let session = self.bundles.reach.session();
        if session.hello().has(Utility::Bash) {
            needs.remove("bash");
        }
        if needs.is_empty() {
            return Ok(needs);
        }
        let call = Call::new("set --").words(needs.keys().cloned());
        let call = call
            .code("\nfor ob_x do command -v \"$ob_x\" >/dev/null 2>&1 && echo \"$ob_x\"; done; :");
        let done = session.call(&call, Limits::seconds(60)).await;
        let done = done.map_err(|lost| Halt::error(lost.to_string()))?;
        let said = String::from_utf8_lossy(&done.out);
        for found in said.lines() {
            needs.remove(found);
        }
        Ok(needs)
    }
}

/// The programs that a step and its checks need besides a POSIX shell.
fn programs(step: &PlannedStep, on: On) -> Vec<&str> {
    let mut programs = Vec::new();
    if let (Some(script), true) = (step.script(), step.on == on) {
        programs.push(script.interpreter());
    }
    if let Some(placed) = &step.placed
        && placed.how != How::Whole
        && step.on == on
    {
        programs.push("awk");
    }
    for case in &step.checks {
        if let Ask::Script { script, .. } = &case.ask
            && case.on == on
        {
            programs.push(script.interpreter());
        }
    }
    programs.retain(|program| *program != "sh");
    programs
}
