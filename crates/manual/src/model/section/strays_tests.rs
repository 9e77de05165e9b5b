//! Misplaced contracts, and procedures over several sections.

use std::path::Path;

use crate::files::Refused;
use crate::source::Source;
use crate::{Manual, PageSource, Settings, parse};

const CONTRACT: &str = "```yaml procedure\nid: p\n```\n";
const STEP: &str = "```sh step\ntrue\n```\n";

fn page(text: &str) -> (Manual, Vec<String>) {
    let page = PageSource {
        path: "a.md".into(),
        title: None,
        source: Source::new("a.md", text),
    };
    let (manual, problems) = parse(Path::new(""), Settings::default(), vec![page], &|_| {
        Err(Refused::Missing)
    });
    let told = problems.iter().map(|problem| {
        let line = problem.span.as_ref().map_or(0, crate::source::Span::line);
        let hint = problem.hint.as_deref().unwrap_or_default();
        format!("{line} {}: {} | {hint}", problem.code, problem.message)
    });
    (manual, told.collect())
}

#[test]
fn a_procedure_goes_through_sections_of_its_level() {
    let contract = "```yaml procedure\nid: p\nthrough: Start\n```\n";
    let group = "```yaml checks\nid: g\n```\n```sh check id=g.a\ntrue\n```\n";
    let text = format!(
        "# Page\n\n## Install\n\n{contract}\n{STEP}\n## Configure\n\n### In depth\n\n{STEP}\n### What holds\n\n{group}\n## *Start*\n\n{STEP}\n### More\n\n{STEP}\n## Other\n\n```yaml procedure\nid: q\n```\n\n{STEP}"
    );
    let (manual, told) = page(&text);
    assert!(told.is_empty(), "{told:?}");
    assert_eq!(manual.procedures["p"].steps.len(), 4);
    assert_eq!(manual.procedures["q"].steps.len(), 1);
    let reach = &manual.procedures["p"].reach.range;
    assert!(text[reach.clone()].contains("### More") && !text[reach.clone()].contains("id: q"));
}

#[test]
fn a_section_that_does_not_follow_is_told() {
    let contract = "```yaml procedure\nid: p\nthrough: Strat\n```\n";
    let text = format!("## Install\n\n{contract}\n{STEP}\n## Start\n\n{STEP}\n# Else\n");
    let (_, told) = page(&text);
    assert_eq!(
        told,
        [
            "5 no-such-section: no section `Strat` of the same level follows this contract | did you mean `Start`?"
        ]
    );
}

#[test]
fn one_misplacement_is_one_error_that_says_where_the_contract_should_stand() {
    for (text, told) in [
        // Deeper than its steps.
        (
            format!("# A\n\n### Before\n\n{CONTRACT}\n## Install\n\n{STEP}\n{STEP}"),
            "6 procedure-without-steps: procedure `p` has no steps | move it below `## Install`",
        ),
        // In a sibling section.
        (
            format!("# A\n\n## Before\n\n{CONTRACT}\n## Install\n\n{STEP}\n## Start\n\n{STEP}"),
            "6 procedure-without-steps: procedure `p` has no steps | add `through: Start` to it",
        ),
        (
            format!(
                "# A\n\n### Before\n\n{CONTRACT}\n## It's in\n\n{STEP}\n## Start it: now\n\n{STEP}"
            ),
            "6 procedure-without-steps: procedure `p` has no steps | move it below `## It’s in`, with `through: 'Start it: now'`",
        ),
        // After the steps.
        (
            format!("# A\n\n## Install\n\n{STEP}\n{STEP}\n{CONTRACT}"),
            "14 procedure-without-steps: procedure `p` has no steps | move it above its first step, below `## Install`",
        ),
        // Its section ends too early.
        (
            format!(
                "# A\n\n## Install\n\n{CONTRACT}\n{STEP}\n## Start\n\n{STEP}\n## Stop\n\n{STEP}"
            ),
            "15 step-outside-procedure: this `step` is outside of any procedure, and so is one below it | `through: Stop` in that contract includes it; a new procedure needs its own `yaml procedure` block",
        ),
        // Missing.
        (
            format!("# A\n\n## Install\n\n{STEP}\n## Start\n\n{STEP}\n{STEP}"),
            "5 step-outside-procedure: this `step` is outside of any procedure, and so are 2 below it | write its contract, a block `yaml procedure` with an `id`, below `## Install`",
        ),
        // No steps that it could belong to.
        (
            format!("# A\n\n{CONTRACT}\nWords.\n"),
            "4 procedure-without-steps: procedure `p` has no steps | it ends at the next heading of the same or a higher level",
        ),
    ] {
        assert_eq!(page(&text).1, [told], "{text}");
    }
}
