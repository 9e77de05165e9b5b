//! `opsbook lint` over pages, nodes and templates together: what is found only where all of
//! them are looked at.

use crate::project::Project;

const NODES: &str =
    "  web1: {transport: local, colour: blue, tls: {names: [a]}}\n  web2: {transport: local}\n";

/// Places and messages of what lint finds, one a line.
fn found(project: &Project) -> String {
    let said = project.opsbook(&["lint", "--format", "json"]).said();
    let all: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let line = |problem: &serde_json::Value| {
        let text = |key: &str| problem[key].as_str().unwrap_or_default().to_owned();
        format!("{}:{} {}", text("file"), problem["line"], text("message"))
    };
    let problems = all["problems"].as_array().unwrap();
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn project(page: &str) -> Project {
    let project = Project::new(page);
    project.nodes(NODES);
    project.write("templates/site.conf", "listen {{ port }}\n");
    project.write("templates/for.conf", "{% for n in names %}{{ n }}\n");
    project.write(
        "templates/fine.conf",
        "{{ node }} {{ version }} {{ got.x }} {{ bundle }} {% if colour is defined %}{{ colour }}{% endif %}\n",
    );
    project
}

#[test]
fn what_cannot_be_delivered_is_found_before_a_run() {
    let project = project(
        "# Page\n\n```yaml procedure\nid: p\nparams:\n  version: {required: true}\n```\n\n\
         ```sh step capture=got\necho x\n```\n\n\
         ```yaml deliver\n- {template: site.cnf, as: a}\n- {template: site.conf, as: b}\n\
         - {template: for.conf, as: c}\n- {template: fine.conf, as: \"${version}\"}\n\
         - {file: nowhere.txt}\n- {tree: nodes.yaml, as: d}\n- {file: \"dist/${version}.whl\"}\n```\n\n\
         ```sh file as=e\n{{ nope }} {{ version }}\n```\n\n\
         ```sh step on=local\n: > later.txt\n```\n\n\
         ```yaml deliver\n- {file: later.txt}\n```\n",
    );
    assert_eq!(
        found(&project),
        "templates/site.conf:1 `port` is not defined for node `web1`\n\
         templates/site.conf:1 `port` is not defined for node `web2`\n\
         templates/for.conf:1 template syntax: unexpected end of input, expected end of block\n\
         manual/page.md:14 unknown template `site.cnf`\n\
         manual/page.md:18 `nowhere.txt` cannot be delivered: there is no such file\n\
         manual/page.md:19 `nodes.yaml` cannot be delivered: it is no folder\n\
         manual/page.md:24 `nope` is not defined for node `web1`\n\
         manual/page.md:24 `nope` is not defined for node `web2`"
    );
}

#[test]
fn a_selector_that_means_nothing_hides_no_other_mistake() {
    let project = project(
        "# Page\n\n## One\n\n```yaml procedure\nid: p\nnodes: \"@wbe\"\n```\n\n\
         ```sh step\necho $nope $colour\n```\n\n\
         ## Two\n\n```yaml checks\nid: c\nnodes: web3\ncommand:\n  \"echo ${nor}\": {exit-status: 0}\n```\n",
    );
    assert_eq!(
        found(&project),
        "manual/page.md:7 unknown group `wbe`\n\
         manual/page.md:11 `nope` is not defined for node `web1`\n\
         manual/page.md:18 unknown node `web3`\n\
         manual/page.md:20 `nor` is not defined for node `web1`"
    );
}

#[test]
fn words_that_somebody_meant_are_never_passed_over() {
    let page = |block: &str| {
        format!("# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step\ntrue\n```\n\n{block}\n")
    };
    for (block, message) in [
        (
            "```sh step,id=x\ntrue\n```",
            "`step` is joined to what follows it",
        ),
        (
            "```sh step on=local sudo\ntrue\n```",
            "`sudo` means nothing with `on=local`",
        ),
        (
            "```sh check on=local sudo\ntrue\n```",
            "`sudo` means nothing with `on=local`",
        ),
        (
            "```sh step on=local reboot\ntrue\n```",
            "`reboot` means nothing with `on=local`",
        ),
        (
            "```sh step capture=node\ntrue\n```",
            "`node` is built in and cannot be captured",
        ),
        (
            "```sh manual\ntrue\n```",
            "a `manual` block is written in `text`, not in `sh`",
        ),
        ("```sh check\n# nothing\n\n```", "this `check` is empty"),
        (
            "```sh step\n$ true\n$ echo \\\n```",
            "the command goes on in the next line, and there is none",
        ),
        (
            "## Checks\n\n```yaml checks\nid: c\nfile: {\"\": {exists: true}}\n```",
            "this resource of `file` has no name",
        ),
    ] {
        let said = found(&Project::new(&page(block)));
        assert!(said.contains(message), "{block}\n{said}");
        assert_eq!(said.lines().count(), 1, "{block}\n{said}");
    }
    let project = Project::new(&page(""));
    project.nodes("  here: {transport: local, batch: some}\n");
    assert!(
        found(&project).starts_with("nodes.yaml:3 `batch`: "),
        "{}",
        found(&project)
    );
}

#[test]
fn a_suite_that_cannot_run_says_all_that_is_wrong() {
    let project = project(
        "# Page\n\n```yaml checks\nid: g\ncommand:\n  x: {exit-status: 0, stdout: []}\nuser: {}\n```\n",
    );
    let said = project.opsbook(&["test"]).ends(2);
    said.has("an empty list in `stdout` asserts nothing")
        .has("`user` names no resource");
}
