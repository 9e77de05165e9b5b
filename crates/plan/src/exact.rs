//! Hashes the parts of a plan that its displayed text leaves out: how nodes are reached, every
//! value and the place of every secret, checks with their inputs, time limits. So an approval
//! covers everything that will be done.

use std::fmt::Write as _;

use crate::record::sha256;
use crate::{Binding, Case, NodePlan, Plan, Stretch};

impl Plan {
    /// For each site, by its name, the SHA-256 over its part. A plan with roles also has the key
    /// `*`, for everything that belongs to no single node.
    pub fn exact(&self) -> impl Iterator<Item = (String, String)> {
        let sites = self.nodes.iter();
        let sites = sites.map(|node| (node.site().to_string(), sha256(&of_node(node))));
        let whole = self.binding.iter();
        sites.chain(whole.map(|binding| ("*".to_owned(), sha256(&of_binding(binding)))))
    }
}

fn of_node(plan: &NodePlan) -> String {
    let node = &plan.node;
    let mut text = format!("{}\n{:?}\n", plan.sha256, node.transport);
    for (name, value) in node.texts() {
        line(&mut text, &format!("{name} = {value:?}"));
    }
    for need in &plan.needs {
        line(&mut text, &need.group);
        cases(&mut text, &need.cases);
    }
    cases(&mut text, &plan.before);
    for step in &plan.steps {
        line(
            &mut text,
            &format!(
                "{} {:?} {:?} {:?} {:?}",
                step.name, step.sudo, step.timeout, step.exit, step.capture
            ),
        );
        if let Some(script) = step.script() {
            line(&mut text, &format!("{:?}", script.bindings()));
        }
        cases(&mut text, step.all_checks());
    }
    text
}

fn of_binding(binding: &Binding) -> String {
    let mut text = format!("{}\n", binding.sha256);
    for role in &binding.roles {
        line(&mut text, &format!("{} = {:?}", role.role, role.nodes));
    }
    cases(&mut text, &binding.before);
    for stretch in &binding.order {
        match stretch {
            Stretch::Step(number) => line(&mut text, &number.to_string()),
            Stretch::Checks(checks) => cases(&mut text, checks),
            Stretch::Section(section) => {
                let (number, sizes) = (section.number, &section.batches);
                let (wait, most) = (section.wait, section.max_fail);
                line(&mut text, &format!("{number} {sizes:?} {wait:?} {most}"));
                for turn in &section.turns {
                    line(&mut text, &format!("{} {:?}", turn.node, turn.steps));
                    cases(&mut text, &turn.before);
                }
            }
        }
    }
    text
}

fn cases<'a>(text: &mut String, cases: impl IntoIterator<Item = &'a Case>) {
    for case in cases {
        let (on, name) = (&case.node.name, &case.name);
        let rest = format!("{:?} {:?}", case.timeout, case.eventually);
        line(text, &format!("{on} {name} {} {rest}", case.sum()));
    }
}

fn line(text: &mut String, words: &str) {
    // Writing into a string cannot fail.
    let _ = writeln!(text, "{words}");
}
