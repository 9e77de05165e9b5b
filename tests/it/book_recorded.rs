//! Earlier suites and runs in the book: only for the text and values that ran.

use opsbook::book::{self, Options};

use crate::project::Project;

const PAGE: &str = "# Page\n\n```yaml procedure\nid: p\n```\n\n```sh step id=one\necho \"$word\"\n```\n\n\
    ## Checks\n\n```yaml checks\nid: g\nfile:\n  \"${folder}/passwd\": {exists: true}\n```\n\n\
    ```sh check id=g.word\necho \"$word\"\n```\n```text expect\n${word}\n```\n\n\
    ```sh check id=g.bad\nfalse\n```\n";

const NODES: &str =
    "opsbook: 1\ndefaults: {word: hello, folder: /etc}\nnodes:\n  here: {transport: local}\n";

/// The text of a page without its marks.
fn seen(project: &Project, page: &str) -> String {
    let built = book::build(&project.root(), None, &Options::default()).unwrap();
    let html = std::fs::read_to_string(built.destination.join(page)).unwrap();
    let (_, main) = html.split_once("<main>").unwrap();
    let (main, _) = main.split_once("</main>").unwrap();
    let text = regex::Regex::new("<[^>]*>").unwrap().replace_all(main, " ");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let time = regex::Regex::new("20[0-9]{2}-[0-9-]+ [0-9:]+ UTC").unwrap();
    let text = time.replace_all(&text, "THEN");
    text.replace(" ;", ";").replace(" ,", ",")
}

fn has(text: &str, expected: &[&str]) {
    for part in expected {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_mark_holds_for_the_text_and_the_values_that_were_asked() {
    let project = Project::new(PAGE);
    project.write("nodes.yaml", NODES);
    project.opsbook(&["test", "--record"]).ends(101);
    has(
        &seen(&project, "page.html"),
        &[
            "file ${folder}/passwd exists ✓ held on here; THEN",
            "Check g.word on the node Needs word ✓ held on here; THEN",
            "Check g.bad on the node ✗ failing on here (exit status: expected 0, found 1); since THEN",
        ],
    );
    // With another value or text, the record is about something else.
    project.write("nodes.yaml", &NODES.replace("hello", "other"));
    project.write("manual/page.md", &PAGE.replace("\nfalse\n", "\n! true\n"));
    has(
        &seen(&project, "page.html"),
        &[
            "file ${folder}/passwd exists ✓ held on here",
            "Check g.word on the node Needs word ≠ changed since on here; what was asked then held, THEN",
            "Check g.bad on the node ≠ changed since on here; what was asked then failed, THEN",
        ],
    );
    // Removed checks and nodes are not shown as holding.
    project.write("nodes.yaml", &NODES.replace("here:", "there:"));
    let text = seen(&project, "page.html");
    has(&text, &["○ never asked on there"]);
    assert!(!text.contains("held on"), "{text}");
    has(
        &seen(&project, "opsbook-state.html"),
        &["No longer asked", "g::file//etc/passwd here THEN"],
    );
}

#[test]
fn a_step_and_its_procedure_have_their_last_run() {
    let project = Project::new(PAGE);
    project.write("nodes.yaml", NODES);
    project.opsbook(&["run", "p", "here"]).ends(0);
    has(
        &seen(&project, "page.html"),
        &[
            "✓ OK on here; THEN, took",
            "Step 1 p/one on the node Needs word ✓ OK on here; THEN, took",
        ],
    );
    project.write(
        "manual/page.md",
        &PAGE.replace("id=one\necho", "id=one\nfalse"),
    );
    has(
        &seen(&project, "page.html"),
        &["≠ OK on here, changed since; THEN"],
    );
    project.opsbook(&["run", "p", "here", "--yes"]).ends(1);
    has(
        &seen(&project, "page.html"),
        &[
            "✗ FAILED on here; THEN",
            "≠ OK on here, changed since; THEN",
        ],
    );
}

#[test]
fn without_a_record_nothing_is_said() {
    let project = Project::new(PAGE);
    project.write("nodes.yaml", NODES);
    let text = seen(&project, "page.html");
    for word in ["held", "never asked", "OK on"] {
        assert!(!text.contains(word), "{text}");
    }
}
