//! `opsbook lint` with pages, nodes and templates together: problems that only their combination
//! shows.

use crate::project::Project;

const NODES: &str =
    "  web1: {transport: local, colour: blue, tls: {names: [a]}}\n  web2: {transport: local}\n";

/// Places and messages of the problems, one per line.
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
        "templates/site.conf:1 `port` is not defined for nodes `web1`, `web2`\n\
         templates/for.conf:1 template syntax: unexpected end of input, expected end of block\n\
         manual/page.md:14 unknown template `site.cnf`\n\
         manual/page.md:18 cannot deliver `nowhere.txt`: there is no such file\n\
         manual/page.md:19 cannot deliver `nodes.yaml`: it is not a folder\n\
         manual/page.md:24 `nope` is not defined for nodes `web1`, `web2`"
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
            "`sudo` has no effect with `on=local`",
        ),
        (
            "```sh check on=local sudo\ntrue\n```",
            "`sudo` has no effect with `on=local`",
        ),
        (
            "```sh step on=local reboot\ntrue\n```",
            "`reboot` has no effect with `on=local`",
        ),
        (
            "```sh step capture=node\ntrue\n```",
            "`node` is built in: it always has its own value",
        ),
        (
            "```sh manual\ntrue\n```",
            "a `manual` block is written in `text`, not in `sh`",
        ),
        (
            "```sh check\n# nothing\n\n```",
            "this `check` holds only comments",
        ),
        (
            "```sh step\n$ true\n$ echo \\\n```",
            "the command continues on the next line, but there is none",
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
        "# Page\n\n```yaml checks\nid: g\ncommand:\n  x: {exit-status: 0, stdout: {and: []}}\nuser: {}\n```\n",
    );
    let said = project.opsbook(&["test"]).ends(2);
    said.has("an empty list in `stdout` asserts nothing")
        .has("`user` names no resource");
}

/// Places with columns, so that each points at the error.
fn placed(project: &Project) -> String {
    let said = project.opsbook(&["lint", "--format", "json"]).said();
    let all: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let problems = all["problems"].as_array().unwrap();
    let line = |problem: &serde_json::Value| {
        let message = problem["message"].as_str().unwrap_or_default();
        format!("{}:{} {message}", problem["line"], problem["column"])
    };
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn each_mistake_is_told_once_and_where_it_is() {
    let contract = |rest: &str| format!("# P\n\n```yaml procedure\nid: p\n{rest}");
    let group = |rest: &str| format!("# P\n\n```yaml checks\nid: c\n{rest}\n```\n");
    let step = "```\n```sh step\necho <x>\n```\n";
    for (page, message) in [
        (
            contract("params: {bundle: {default: x}}\n```\n```sh step\ntrue\n```\n"),
            "5:10 `bundle` is built in: it always has its own value",
        ),
        (
            contract("timeout: 0s\n```\n```sh step\ntrue\n```\n"),
            "5:10 `0s` is not a positive duration",
        ),
        (
            contract("nodes: \"web1,wbe2,@web\"\n```\n```sh step\ntrue\n```\n"),
            "5:14 unknown node `wbe2`",
        ),
        (
            "# P\n\n```yaml procedure\nidd: p\n```\n```sh step\ntrue\n```\n".to_owned(),
            "4:1 unknown key `idd` of a procedure",
        ),
        (
            contract(&format!("replace: {{\"<x>\": \"${{Node}}\"}}\n{step}")),
            "5:18 `Node` is not a name: lower-case letters, digits and `_`, a letter first",
        ),
        (
            contract(&format!("replace: {{\"<x>\": \"${{node\"}}\n{step}")),
            "5:18 `${` without `}`",
        ),
        (
            contract("```\n```yaml deliver\n{file: nodes.yaml, as: \"${Node}\"}\n```\n"),
            "7:8 `Node` cannot be the name of a value",
        ),
        (
            contract("```\n```yaml deliver\n{as: a, file: \"${nope}\"}\n```\n"),
            "7:16 `nope` is not defined for nodes `web1`, `web2`",
        ),
        (
            contract("```\n```ini file as=../x\na\n```\n"),
            "6:16 `../x` is not a name within the bundle",
        ),
        (
            contract(
                "```\n```sh step on=local\nrev=1\n```\n```sh check on=local\ntest $rev\n```\n```sh step\necho $rev\n```\n",
            ),
            "13:7 `rev` is not defined for nodes `web1`, `web2`",
        ),
        (
            contract("```\n```sh step\nrev=1\n```\n```sh step on=local\necho $rev\n```\n"),
            "10:7 `rev` is not defined for nodes `web1`, `web2`",
        ),
        (
            group("http: {\"http://a/\": {eventually: 2s/60s}}"),
            "5:34 the interval of `2s/60s` is longer than its limit; `eventually` is as `60s/2s`",
        ),
        (
            group("port: {tcp:99999: {listening: true}}"),
            "5:8 `tcp:99999` is not a port: `tcp:22`, `tcp6:22`, `udp:53`, `udp6:53`, or a number from 1 to 65535",
        ),
        (
            group("port: {\"tcp:${colour}\": {listening: true}}\nnodes: web1"),
            "5:8 `tcp:blue` is not a port: `tcp:22`, `tcp6:22`, `udp:53`, `udp6:53`, or a number from 1 to 65535, on node `web1`",
        ),
        (
            group("http: {example.org/x: {status: 200}}"),
            "5:8 `example.org/x` is not a URL: `http://HOST/` or `https://HOST/`",
        ),
        (
            group("file: {/a: {owner: \"${nope}\"}}"),
            "5:21 `nope` is not defined for nodes `web1`, `web2`",
        ),
        (
            group("file: {\"/${Upper}\": {exists: true}}"),
            "5:8 `Upper` cannot be the name of a value",
        ),
    ] {
        let project = Project::new(&page);
        project.nodes(NODES);
        assert_eq!(placed(&project), message, "{page}");
    }
}

#[test]
fn what_lint_says_of_a_template_is_what_a_run_says() {
    let project = project(
        "# Page\n\n```yaml procedure\nid: p\n```\n\n```yaml deliver\n- {template: mixed.conf, as: c}\n```\n",
    );
    project.nodes("  here: {transport: local, tls: {names: [a, b], key: {secret: {file: pw}}}}\n");
    project.write("pw", "hunter22\n");
    project.write("templates/mixed.conf", "{{ tls.names[1] }} {{ tls_key }}\n");
    assert_eq!(found(&project), "");
    project
        .opsbook(&["run", "p", "here", "--stop-after", "1"])
        .ends(0);
    // A secret has only a flat name: a reference to a map with it is not a text for a file.
    project.write("templates/mixed.conf", "{{ tls.key }}\n");
    let message = "`tls.key` is not defined";
    assert!(found(&project).contains(message), "{}", found(&project));
    project.opsbook(&["run", "p", "here"]).ends(3).has(message);
}
