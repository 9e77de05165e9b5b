//! Formats results as JSON, one object per line: each test, then the suite.

use serde_json::json;

use crate::event::Outcome;
use crate::tested::{Results, Tested};

/// All results, in the order of the book.
#[must_use]
pub fn json(results: &Results) -> String {
    let counts = results.counts();
    let suite = json!({
        "v": 1,
        "type": "suite",
        "run": results.run,
        "started": results.started.to_string(),
        "seconds": results.took.as_secs_f64(),
        "passed": counts.passed,
        "failed": counts.failed,
        "errors": counts.errors,
        "ignored": counts.ignored,
        "filtered_out": results.filtered_out,
    });
    let traces = results.traces.iter();
    let traces =
        traces.map(|(node, runs)| json!({"v": 1, "type": "node", "node": node, "runs": runs}));
    let lines = results.tests.iter().map(test).chain(traces).chain([suite]);
    lines.map(|line| format!("{line}\n")).collect()
}

fn test(test: &Tested) -> serde_json::Value {
    let mut line = json!({
        "v": 1,
        "type": "test",
        "name": test.name,
        "node": test.node,
        "group": test.group,
        "check": test.check,
        "place": test.place,
        "outcome": test.word(),
        "tries": test.checked.tries,
        "seconds": test.took().as_secs_f64(),
    });
    match &test.checked.outcome {
        Outcome::Held => {}
        Outcome::Failed(evidence) => line["evidence"] = json!(evidence),
        Outcome::Unknown(why) => line["cause"] = json!(why),
        Outcome::Ignored(why) => line["reason"] = json!(why),
    }
    line
}

#[cfg(test)]
mod tests {
    use super::json;
    use crate::tested::samples::results;

    #[test]
    fn each_line_is_an_object_and_the_last_one_the_suite() {
        let text = json(&results());
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let outcomes: Vec<_> = lines.iter().map(|line| line["outcome"].as_str()).collect();
        assert_eq!(
            outcomes,
            [
                Some("passed"),
                Some("failed"),
                Some("ignored"),
                Some("error"),
                None
            ]
        );
        assert_eq!(lines[1]["evidence"][0]["found"], "\u{1b}[31mfalse\n<&>");
        assert_eq!(
            lines[3]["cause"],
            "`web2` cannot be reached: timed out\nssh says so"
        );
        assert_eq!(
            (&lines[4]["errors"], &lines[4]["failed"]),
            (&1.into(), &1.into())
        );
    }
}
