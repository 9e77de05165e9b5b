//! Plans three pages over several nodes: which node runs what, in which order.

use std::fmt::Write as _;
use std::path::Path;

use crate::files::Files;
use crate::manual::{self, Manual};
use crate::nodes::{self, Nodes, Text};
use crate::vocabulary::Vocabulary;
use crate::{
    Binding, Case, NodePlan, Plan, PlannedStep, Request, Script, Spread, Stretch, Value, plan,
};

fn project() -> (Manual, Nodes, Vocabulary) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/several");
    let files = Files::of(&root);
    let (manual, mut problems) = manual::load(&files);
    problems.extend(manual::lint(&manual));
    let (nodes, more) = nodes::load(&files, &manual.settings);
    problems.extend(more);
    let (vocabulary, more) = Vocabulary::with_project(&files);
    problems.extend(more);
    problems.extend(crate::lint(&manual, &nodes, &vocabulary, &mut |_, _| {
        Vec::new()
    }));
    let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(said.concat(), "");
    (manual, nodes, vocabulary)
}

fn planned(procedure: &str, words: &str, set: &[(String, String)]) -> Plan {
    let (manual, nodes, vocabulary) = project();
    let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    let request = Request {
        procedure,
        nodes: &words,
        set,
    };
    plan(&manual, &nodes, &vocabulary, &request).unwrap()
}

/// The steps of each node, and the order of the page.
fn outline(plan: &Plan) -> String {
    let mut text = String::new();
    for (index, node) in plan.nodes.iter().enumerate() {
        let role = node.role.as_deref().unwrap_or("?");
        let needs: Vec<&str> = node.needs.iter().map(|need| need.group.as_str()).collect();
        let needs = needs.join(" ");
        let steps = numbers(&node.steps);
        writeln!(
            text,
            "{index} {} ({role}) needs [{needs}] steps [{steps}]",
            node.site()
        )
        .unwrap();
    }
    let binding = plan.binding.as_ref().unwrap();
    writeln!(text, "before: {}", cases(&binding.before)).unwrap();
    for stretch in &binding.order {
        match stretch {
            Stretch::Step(number) => writeln!(text, "step {number}").unwrap(),
            Stretch::Checks(checks) => writeln!(text, "checks: {}", cases(checks)).unwrap(),
            Stretch::Section(section) => {
                writeln!(
                    text,
                    "section {} {} {:?} wait {:?}",
                    section.number, section.role, section.batches, section.wait
                )
                .unwrap();
                for turn in &section.turns {
                    let (plans, steps) = (&turn.plans, &turn.steps);
                    writeln!(text, "  {} plans {plans:?} steps {steps:?}", turn.node).unwrap();
                }
            }
        }
    }
    text
}

fn numbers(steps: &[PlannedStep]) -> String {
    let numbers: Vec<String> = steps.iter().map(|step| step.number.to_string()).collect();
    numbers.join(" ")
}

fn cases(cases: &[Case]) -> String {
    let asked = cases.iter().map(|case| {
        let (_, name) = case.name.split_once("::").unwrap();
        format!("{name} on {}", case.node.name)
    });
    asked.collect::<Vec<_>>().join(", ")
}

/// The values of a script.
fn given(script: &Script) -> String {
    let values = script.bindings().iter().map(|variable| {
        let value = match &variable.value {
            Value::Text(Text::Plain(text)) => text.clone(),
            Value::Text(Text::Secret(_)) => "(secret)".to_owned(),
            Value::Captured => "(captured)".to_owned(),
            Value::Rendered => "(rendered)".to_owned(),
        };
        format!("{}={value}", variable.name)
    });
    values.collect::<Vec<_>>().join(" ")
}

fn at<'a>(plan: &'a Plan, site: &str) -> &'a NodePlan {
    let mut nodes = plan.nodes.iter();
    nodes.find(|node| node.site().to_string() == site).unwrap()
}

fn step<'a>(plan: &'a Plan, site: &str, number: usize) -> &'a PlannedStep {
    at(plan, site).step(number).unwrap()
}

fn binding(plan: &Plan) -> &Binding {
    plan.binding.as_ref().unwrap()
}

#[test]
fn a_switchover_has_a_main_line_and_a_section() {
    let plan = planned("db.switchover", "old=db1 new=db2 others=db3", &[]);
    assert_eq!(
        outline(&plan),
        "0 db1 (old) needs [db.primary] steps [1 3]\n\
         1 db2 (new) needs [db.standby] steps [2]\n\
         2 db3/db3 (others) needs [db.standby] steps [4]\n\
         before: before.1 on db1\n\
         step 1\n\
         step 2\n\
         step 3\n\
         section 1 others [1] wait 0ns\n\
         \x20 db3 plans [2] steps [4]\n"
    );
    let fence = step(&plan, "db1", 1);
    assert_eq!(cases(&fence.checks), "down on db1, received on db2");
    let Some(received) = fence.checks.get(1) else {
        panic!("it has two checks");
    };
    let crate::Ask::Script { script, .. } = &received.ask else {
        panic!("it is a script");
    };
    assert_eq!(given(script), "last_lsn=(captured) pg_port=5432");
    let rejoin = step(&plan, "db1", 3).script().unwrap();
    assert_eq!(
        given(rejoin),
        "data_dir=/var/lib/postgresql/15/main new_address=db2.example.net new_pg_port=5432 \
         old=db1 pg_name=main pg_version=15"
    );
    let follow = step(&plan, "db3/db3", 4).script().unwrap();
    assert_eq!(
        given(follow),
        "new_address=db2.example.net new_pg_port=5432 others=db3 pg_port=5432"
    );
    assert!(fence.text.starts_with("step db.switchover/fence on=old "));
    assert_eq!(binding(&plan).role_of("db3").unwrap().role, "others");
}

#[test]
fn a_role_that_nobody_plays_has_no_turn() {
    let plan = planned("db.switchover", "old=db2 new=db1", &[]);
    assert_eq!(
        outline(&plan),
        "0 db2 (old) needs [db.primary] steps [1 3]\n\
         1 db1 (new) needs [db.standby] steps [2]\n\
         before: before.1 on db2\n\
         step 1\n\
         step 2\n\
         step 3\n\
         section 1 others [] wait 0ns\n"
    );
}

#[test]
fn each_turn_has_plans_of_its_own_on_other_machines() {
    let set = [("version".to_owned(), "1.2".to_owned())];
    let plan = planned("shop.upgrade", "web=web1,web2 lb=@lb", &set);
    assert_eq!(
        outline(&plan),
        "0 lb1 (lb) needs [lb] steps []\n\
         1 lb2 (lb) needs [lb] steps []\n\
         2 web1/web1 (web) needs [web] steps [2]\n\
         3 web1/lb1 (lb) needs [] steps [1 3]\n\
         4 web1/lb2 (lb) needs [] steps [1 3]\n\
         5 web2/web2 (web) needs [web] steps [2]\n\
         6 web2/lb1 (lb) needs [] steps [1 3]\n\
         7 web2/lb2 (lb) needs [] steps [1 3]\n\
         before: \n\
         section 1 web [1, 1] wait 2s\n\
         \x20 web1 plans [2, 3, 4] steps [1, 2, 3]\n\
         \x20 web2 plans [5, 6, 7] steps [1, 2, 3]\n\
         checks: everywhere on lb1, everywhere on lb2\n"
    );
    let drain = step(&plan, "web2/lb1", 1);
    assert_eq!(
        given(drain.script().unwrap()),
        "socket=/run/haproxy.sock web=web2"
    );
    // Each node is checked itself.
    assert_eq!(cases(&drain.checks), "idle on lb1");
    assert!(matches!(&drain.spread, Spread::All { joint } if joint.is_empty()));
    // It is the same step for both nodes and for each turn.
    assert_eq!(drain.sha256, step(&plan, "web1/lb2", 1).sha256);
}

#[test]
fn a_node_that_is_only_named_is_not_reached() {
    let plan = planned("etcd.replace", "via=e1 new=e4 dead=e3", &[]);
    let reached = binding(&plan).roles.iter().map(|bound| bound.reached);
    assert_eq!(reached.collect::<Vec<_>>(), [true, true, false]);
    let nodes: Vec<String> = plan
        .nodes
        .iter()
        .map(|node| node.site().to_string())
        .collect();
    assert_eq!(nodes, ["e1", "e4"]);
    let start = step(&plan, "e4", 4).script().unwrap();
    assert!(
        given(start).contains("initial_cluster=(captured)"),
        "{}",
        given(start)
    );
    let find = step(&plan, "e1", 1).script().unwrap();
    assert_eq!(given(find), "dead=e3 endpoint=http://e1.example.net:2379");
}

#[test]
fn another_binding_is_another_plan() {
    let hash = |words| {
        binding(&planned("db.switchover", words, &[]))
            .sha256
            .clone()
    };
    let one = hash("old=db1 new=db2");
    assert_eq!(one, hash("new=db2 old=db1"));
    assert_ne!(one, hash("old=db2 new=db1"));
    assert_ne!(one, hash("old=db1 new=db2 others=db3"));
}
