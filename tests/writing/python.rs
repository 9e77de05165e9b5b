//! `python` as a language of steps and checks, and missing interpreters.

use crate::lab::Lab;

#[test]
fn a_python_step_captures_and_its_check_sees_values() {
    let lab = Lab::new(
        "# Page\n\n```yaml procedure\nid: p\n```\n\nMake it:\n\n```python step id=make capture=made\nimport os, sys\nprint(int(os.environ[\"port\"]) + 1)\nprint(sys.version_info[0], file=sys.stderr)\n```\n\n```python check id=seen\nimport os\nprint(os.environ[\"made\"], \"é\")\n```\n```text expect\n${made} é\n```\n\nAnd fail:\n\n```python step id=fail\nraise SystemExit(3)\n```\n",
    );
    lab.nodes("  here: {transport: local, port: 8080}\n");
    lab.opsbook(&["lint"]).ended(0);
    let said = lab.opsbook(&["run", "p", "here"]);
    said.ended(1)
        .has("  ! 3\n")
        .has("check p::seen holds")
        .has("expected 0, found 3");
}

#[test]
fn what_is_not_there_is_said_before_the_first_step() {
    let page = |first: &str| {
        format!(
            "# Page\n\n```yaml procedure\nid: p\n```\n\n{first}Do it:\n\n```python3.99 step id=do\nprint(1)\n```\n"
        )
    };
    let lab = Lab::new(&page("```yaml deliver\n- {file: book.toml}\n```\n\n"));
    let said = lab.opsbook(&["run", "p", "here"]);
    said.ended(3)
        .has("step do needs `python3.99`, which is missing on this node")
        .lacks("1 of");
    // An earlier step may install it.
    lab.page(&page("```sh step\n:\n```\n\n"));
    let said = lab.opsbook(&["run", "p", "here"]);
    said.ended(1)
        .has("`python3.99`, which is missing on this node: an earlier step must install it");
}

#[test]
fn a_check_that_nobody_can_ask_has_not_failed() {
    let lab = Lab::new(
        "# Page\n\n```yaml checks\nid: g\n```\n\n```python3.99 check id=g.none\nprint(1)\n```\n\n```python check id=g.own\nimport sys\nsys.stderr.write('not found\\n')\nraise SystemExit(127)\n```\n",
    );
    let said = lab.opsbook(&["test"]);
    said.has("here::g::none (manual/page.md:7): there is no `python3.99`");
    said.has("test [here] here::g::own  ... FAILED\n");
}
