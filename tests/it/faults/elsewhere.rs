//! A mistake stands elsewhere in the manual: it stops what it concerns, and nothing else. F45.

use std::fmt::Write as _;

use crate::project::Project;

const RESTORE: &str = "# Page\n\n```yaml procedure\nid: restore\n```\n\n```sh step\necho a >> \"$HOME/restored\"\n```\n\n```sh check id=there\n[ -s \"$HOME/restored\" ]\n```\n";

const CONTRACT: &str = "# Other\n\n```yaml procedure\nid: other\n```\n\n";

/// What is written on another page, whether a procedure `other` stands there and must not run.
const MISTAKES: &[(&str, bool)] = &[
    ("# Other\n\ntext\n\n```sh\necho never closed\n", false),
    ("@```sh step\necho never closed\n", true),
    ("@```sh step\nif true; then\n```\n", true),
    ("@```sh step\necho 'never closed\n```\n", true),
    ("@```sh step\necho \"$nowhere_to_be_found\"\n```\n", true),
    ("@```sh step\nread -r answer\n```\n", true),
    ("@```sh step\ntail -f log\n```\n", true),
    ("@```sh step\nping <host>\n```\n", true),
    ("@```sh stpe\ntrue\n```\n", true),
    ("@```sh step timeout=soon\ntrue\n```\n", true),
    ("@{{#include nowhere.md}}\n\n```sh step\ntrue\n```\n", true),
    (
        "@```yaml deliver\n- {template: nowhere.j2, to: /tmp/x}\n```\n",
        true,
    ),
    (
        "# Other\n\n```yaml procedure\nid: other\nnodse: all\n```\n\n```sh step\ntrue\n```\n",
        true,
    ),
    (
        "# Other\n\n```yaml procedure\nid: [other\n```\n\n```sh step\ntrue\n```\n",
        true,
    ),
    (
        "# Other\n\n```yaml procedure\nid: other\nneeds: [nothing]\n```\n\n```sh step\ntrue\n```\n",
        true,
    ),
    (
        "@```sh step\ntrue\n```\n\n# Again\n\n```yaml procedure\nid: other\n```\n\n```sh step\ntrue\n```\n",
        true,
    ),
    (
        "@```sh step id=a\ntrue\n```\n\n```sh step id=a\ntrue\n```\n",
        true,
    ),
    (
        "# Other\n\n```yaml checks\nid: g\n```\n\n```sh check id=c\nif\n```\n",
        false,
    ),
    ("# Other\n\n[gone](nowhere.md)\n", false),
    ("# Other\n\n<!-- opsbook: step -->\n\ntext\n", false),
];

#[test]
fn f45_a_mistake_on_another_page_stops_what_it_concerns_and_nothing_else() {
    let mut wrong = String::new();
    for (page, has_procedure) in MISTAKES {
        let project = Project::new(RESTORE);
        let page = page.replacen('@', CONTRACT, usize::from(page.starts_with('@')));
        project.write("manual/other.md", &page);
        project.write(
            "manual/SUMMARY.md",
            "- [Page](page.md)\n- [Other](other.md)\n",
        );
        let lint = project.opsbook(&["lint"]).said();
        let run = project.opsbook(&["run", "restore", "here"]).said();
        let other = project.opsbook(&["run", "other", "here"]).said();
        let stops = if *has_procedure { other.status } else { 2 };
        let found = (lint.status, run.status, stops, project.text("restored"));
        if found != (2, 0, 2, "a\n".to_owned()) {
            writeln!(wrong, "{found:?}\n{page}\n{}{}", run.out, run.err).unwrap();
        }
    }
    assert_eq!(wrong, "");
}

#[test]
fn f45_a_mistake_about_another_node_stops_that_node_alone() {
    for mistake in [
        "  there: {transport: {exec: 7}}\n",
        "  there: {transport: local, adress: x}\n",
        "  there: {address: \"a b\"}\n",
        "  there: [a]\n",
        "  there: {transport: local, sudo: [1]}\n",
    ] {
        let project = Project::new(RESTORE);
        project.nodes(&format!("  here: {{transport: local}}\n{mistake}"));
        project.opsbook(&["run", "restore", "here"]).ends(0);
        assert_eq!(project.text("restored"), "a\n", "{mistake}");
    }
}
