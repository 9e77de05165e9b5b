//! Approvals: how many people must approve, and the document that they sign. The gateway makes it
//! to display it; the runner's `opsbook` makes it again to compare.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::access::{Access, Question};
use crate::event::RunStarted;
use crate::manual::Procedure;
use crate::nodes::{Node, Text, Transport};
use crate::plan::Plan;
use crate::source::Problem;
use crate::wire::Verb;
use crate::wire::approve::{Document, Need};

/// A node's value with the number of approvals for runs on it.
pub const VALUE: &str = "approve";

/// A person who approves.
#[derive(Clone, Copy, Debug)]
pub struct Approver<'a> {
    /// The person.
    pub person: &'a str,
    /// Their groups from an identity provider, as far as the rules name them.
    pub groups: &'a [String],
}

/// The approvals that a run on these nodes needs: those of the rules that grant it, of the
/// procedure's contract, and of the nodes' values.
///
/// # Errors
/// If a node's value is not a number, or the contract names an unknown group.
pub fn needs<'a>(
    access: Option<&Access>,
    (question, procedure): (&Question<'_>, Option<&Procedure>),
    machines: impl IntoIterator<Item = &'a Node>,
) -> Result<Vec<Need>, String> {
    let mut needs = BTreeSet::new();
    needs.extend(match procedure {
        Some(procedure) => of_contract(procedure, access)?,
        None => None,
    });
    for node in machines {
        let on = Question {
            node: &node.name,
            ..*question
        };
        needs.extend(access.iter().flat_map(|access| access.needs(&on)));
        needs.extend(of_node(node)?);
    }
    Ok(needs.into_iter().collect())
}

/// The approvals in the procedure's contract.
///
/// # Errors
/// If it names a group that the rules do not know.
pub fn of_contract(procedure: &Procedure, access: Option<&Access>) -> Result<Option<Need>, String> {
    let Some(approve) = &procedure.approve else {
        return Ok(None);
    };
    let place = format!("{}:{}", approve.span.shown().display(), approve.span.line());
    let by: Vec<String> = approve.by.iter().map(|by| by.value.clone()).collect();
    let none = Access::default();
    let people = access.unwrap_or(&none).people(approve.count, &by);
    let people = people.map_err(|why| format!("{place}: {why}"))?;
    Ok(Some(Need {
        count: approve.count,
        by,
        people,
        place,
    }))
}

/// The value `approve` of a node, if it is not a number.
#[must_use]
pub fn no_number(node: &Node) -> Option<Problem> {
    of_node(node).err()?;
    let span = node.values.get(VALUE)?.value.span.clone();
    let problem = Problem::error("approve", span, format!("`{VALUE}` is not a number"));
    Some(problem.hint("write how many people must approve a run, such as `1`"))
}

fn of_node(node: &Node) -> Result<Option<Need>, String> {
    let wrong = || {
        format!(
            "the value `{VALUE}` of node `{}` is not a number",
            node.name
        )
    };
    let count = match node.text(VALUE) {
        Err(None) => return Ok(None),
        Ok(Text::Plain(text)) => text.parse().map_err(|_| wrong())?,
        _ => return Err(wrong()),
    };
    Ok((count > 0).then(|| Need {
        count,
        by: Vec::new(),
        people: Vec::new(),
        place: format!("`{VALUE}` of node `{}`", node.name),
    }))
}

/// Whether a person's approval counts for a part on these nodes. The person who ordered the run
/// never counts.
#[must_use]
pub fn counts(
    need: &Need,
    access: Option<&Access>,
    (question, machines): (&Question<'_>, &[String]),
    by: Approver<'_>,
) -> bool {
    if by.person == question.person {
        return false;
    }
    if !need.by.is_empty() {
        let mut groups = need.by.iter().filter_map(|name| name.strip_prefix('@'));
        return need.people.iter().any(|person| person == by.person)
            || groups.any(|name| by.groups.iter().any(|group| group == name));
    }
    let may = |access: &Access| {
        machines.iter().all(|node| {
            let approve = Question {
                person: by.person,
                groups: by.groups,
                verb: Verb::Approve,
                node,
                at: None,
                ..*question
            };
            access.grants(&approve).is_some()
        })
    };
    access.is_none_or(may)
}

/// Every node of a plan, also those that are only named.
#[must_use]
pub fn machines(plan: &Plan) -> Vec<String> {
    let mut all: BTreeSet<&String> = { plan.nodes.iter() }.map(|node| &node.node.name).collect();
    let roles = plan.binding.iter().flat_map(|binding| &binding.roles);
    all.extend(roles.flat_map(|role| &role.nodes));
    all.into_iter().cloned().collect()
}

/// The document of a whole plan.
#[must_use]
pub fn document(plan: &Plan, started: &RunStarted) -> String {
    part_of_document(plan, started, None)
}

/// The document of one node's part, in a plan without roles.
#[must_use]
pub fn document_of(plan: &Plan, started: &RunStarted, node: &str) -> String {
    part_of_document(plan, started, Some(node))
}

fn part_of_document(plan: &Plan, started: &RunStarted, site: Option<&str>) -> String {
    let of = |name: &str| site.is_none_or(|site| site == name);
    let mut machines = BTreeMap::new();
    for node in plan
        .nodes
        .iter()
        .filter(|node| of(&node.site().to_string()))
    {
        machines.insert(node.node.name.clone(), reached(&node.node));
    }
    let sums = plan.exact().filter(|(name, _)| of(name)).collect();
    let plans: BTreeMap<_, _> = { started.plans.iter() }
        .filter(|(name, _)| of(name))
        .collect();
    let document = Document {
        procedure: plan.procedure.clone(),
        arguments: started.arguments.clone(),
        machines,
        sums,
        plans: serde_json::to_value(plans).unwrap_or_default(),
    };
    serde_json::to_string(&document).unwrap_or_default()
}

/// SHA-256 of a document, hexadecimal.
#[must_use]
pub fn sha256(document: &str) -> String {
    let bytes = Sha256::digest(document.as_bytes());
    bytes
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            // Writing into a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// How a node is reached, in one line for people.
fn reached(node: &Node) -> String {
    match &node.transport {
        Transport::Ssh(ssh) => {
            let user = ssh.user.as_ref().map(|user| format!("{user}@"));
            let port = ssh.port.map(|port| format!(" port {port}"));
            let jump = ssh.jump.as_ref().map(|jump| format!(" through {jump}"));
            format!(
                "{} {}{}{}{}",
                ssh.word(),
                user.unwrap_or_default(),
                ssh.host,
                port.unwrap_or_default(),
                jump.unwrap_or_default()
            )
        }
        Transport::Local => "the runner's own machine".to_owned(),
        Transport::Exec(words) => words.join(" "),
        Transport::Container(container) => format!("{container:?}"),
    }
}
