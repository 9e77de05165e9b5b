//! A run past the gateway, while it is down: the reason is in its journal, a round of checks finds it
//! on the node, and its report explains it.

use std::fs;

use serde_json::Value;

use crate::{ALL, PAGE, Team, until};

#[test]
fn a_run_past_the_gateway_is_found_on_its_node_until_it_is_reported() {
    let page = format!(
        "{PAGE}\n## Flag\n\n```yaml checks\nid: flag\n```\n\n```sh check id=flag.there\ntrue\n```\n"
    );
    let config = "[schedules.flag]\nchecks = \"flag::*\"\nnodes = \"here\"\nevery = \"1s\"\n";
    let mut team = Team::new(&page, config);
    team.go();
    // One by the gateway: nobody has to report it.
    let runner = team.runner("r1");
    let known = team.ask();
    team.is_in(&known, "ended");
    runner.kill();
    team.again();
    team.kill_gateway();
    team.go();
    let refused = team.opsbook(&["run", "p", "here", "--break-glass", "  "]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let out = team.opsbook(&["run", "p", "here", "--break-glass", "the gateway is down"]);
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(
        out.status.success() && said.contains("BREAK GLASS: the gateway is down"),
        "{out:?}"
    );
    let told = String::from_utf8_lossy(&out.stderr);
    let run = told.rsplit("`opsbook sync ").next().unwrap();
    let run = run.split('`').next().unwrap().to_owned();
    assert_eq!(team.ran(), ALL);
    team.start_gateway();
    let _runner = team.runner("r1");
    let found = || -> Vec<Value> {
        let out = team.opsbook(&["findings", "--json"]);
        let lines = String::from_utf8(out.stdout).unwrap();
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    until("it is found", || !found().is_empty());
    let all = found();
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(
        (&all[0]["run"], &all[0]["node"]),
        (&run.clone().into(), &"here".into())
    );
    assert_eq!(team.opsbook(&["findings"]).status.code(), Some(1));
    let first = team.ok(&["sync"]);
    assert!(first.contains(&run) && first.contains("OK"), "{first}");
    assert_eq!(team.ok(&["sync", &run]), first);
    assert_eq!(found(), Vec::<Value>::new());
    let view = team.view(&run);
    assert_eq!(
        (&view["origin"], &view["break_glass"], &view["status"]),
        (
            &"laptop".into(),
            &"the gateway is down".into(),
            &"OK".into()
        ),
        "{view}"
    );
    let list = team.ok(&["runs"]);
    assert!(list.contains("BREAK GLASS: the gateway is down"), "{list}");
    // What the gateway has is the journal.
    let journal = fs::read_to_string(team.path(&format!("m/.opsbook/runs/{run}.jsonl"))).unwrap();
    let lines: Vec<Value> = { journal.lines() }
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(team.events(&run), lines);
    let verified = team.ok(&["log", "verify", &run]);
    assert!(
        verified.contains("each follows the one before"),
        "{verified}"
    );
}
