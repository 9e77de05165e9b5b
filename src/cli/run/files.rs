//! Shows how `file to=` would change existing files, as a diff.

use std::collections::BTreeMap;
use std::io::Write as _;

use crate::cli::error::Failure;
use crate::cli::{Streams, runtime};
use crate::engine::{Operator, Passwords, Reach, file_there};
use crate::manual::How;
use crate::plan::{Part, Placed, Plan, PlannedStep};
use crate::session::OpenOptions;

/// A whole file to place, and its node.
struct Look<'a> {
    node: &'a crate::plan::NodePlan,
    step: &'a PlannedStep,
    placed: &'a Placed,
    text: &'a str,
}

/// Shows for each whole file with known text what would change on each node.
pub(super) fn compare(plan: &Plan, part: Part, streams: &mut Streams) -> Result<(), Failure> {
    let steps = plan.nodes.iter().flat_map(|node| {
        let due = node.steps.iter().filter(|step| part.contains(step.number));
        due.map(move |step| (node, step))
    });
    let looks = steps.filter_map(|(node, step)| {
        let placed = step.placed.as_ref().filter(|own| own.how == How::Whole)?;
        let text = placed.text.as_deref()?;
        Some(Look {
            node,
            step,
            placed,
            text,
        })
    });
    let looks: Vec<Look<'_>> = looks.collect();
    if looks.is_empty() {
        return Ok(());
    }
    let runtime = runtime()?;
    let said = runtime.block_on(look_at(&looks));
    crate::cli::end(runtime);
    streams.people().write_all(said.as_bytes())?;
    Ok(())
}

async fn look_at(looks: &[Look<'_>]) -> String {
    // Do not ask for a password only to look.
    let (operator, _) = Operator::new();
    let passwords = Passwords::new(operator, None);
    let mut reached: BTreeMap<&str, Option<Reach>> = BTreeMap::new();
    let mut said = String::new();
    for look in looks {
        let name = look.node.node.name.as_str();
        if !reached.contains_key(name) {
            let open = OpenOptions::default();
            let reach = Reach::open(&look.node.node, &open, &passwords).await;
            reached.insert(name, reach.ok());
        }
        let path = &look.placed.file.to;
        said += &format!("\n{name}: {path}\n");
        let Some(Some(reach)) = reached.get(name) else {
            said += "  unknown: the node does not answer\n";
            continue;
        };
        let there = file_there(reach, look.step.on, look.step.sudo.as_ref(), path).await;
        said += &match there {
            Ok(Some(bytes)) => diff(&String::from_utf8_lossy(&bytes), look.text),
            Ok(None) => diff("", look.text),
            Err(why) => format!("  unknown: {why}\n"),
        };
    }
    for reach in reached.into_values().flatten() {
        reach.let_go().await;
        reach.close().await;
    }
    said
}

fn diff(old: &str, new: &str) -> String {
    if old == new {
        return "  unchanged\n".to_owned();
    }
    let diff = similar::TextDiff::from_lines(old, new);
    diff.unified_diff().context_radius(3).to_string()
}
