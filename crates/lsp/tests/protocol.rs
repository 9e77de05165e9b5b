//! ! Requests of an editor and the server's answers.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    reason = "a test ends where something is wrong"
)]

mod editor;

use std::fs;
use std::path::PathBuf;

use editor::{Editor, PAGE, place};
use opsbook_project::Project;
use opsbook_text::files::Files;
use serde_json::{Value, json};

#[test]
fn a_mistake_is_seen_while_it_is_typed_and_gone_when_it_is_repaired() {
    let mut editor = Editor::new(PAGE);
    editor.open("manual/page.md");
    // The correct page gets no diagnostics; the typo `stpe` gets one at once.
    let text = PAGE.replace("sh step id=install", "sh stpe id=install");
    let (line, column) = place(PAGE, PAGE.find("step id=install").unwrap());
    let word = json!({"start": {"line": line, "character": column}, "end": {"line": line, "character": column + 4}});
    editor.replace("manual/page.md", word.clone(), "stpe");
    let said = editor.diagnosed("manual/page.md");
    let first = &said[0];
    assert_eq!(first["range"], word, "{said:#}");
    assert_eq!(first["code"], "unknown-kind");
    assert_eq!(first["severity"], 1);

    let params = json!({
        "textDocument": {"uri": editor.uri("manual/page.md")},
        "range": word, "context": {"diagnostics": [first]},
    });
    let actions = editor.ask("textDocument/codeAction", params);
    let action = &actions["result"][0];
    assert_eq!(action["title"], "write `step`", "{actions:#}");
    let edit = &action["edit"]["changes"][editor.uri("manual/page.md")][0];
    editor.replace(
        "manual/page.md",
        edit["range"].clone(),
        edit["newText"].as_str().unwrap(),
    );
    assert_eq!(editor.diagnosed("manual/page.md"), json!([]));
    assert!(text.contains("stpe"));
}

#[test]
fn nodes_are_read_as_they_are_typed() {
    let mut editor = Editor::new(PAGE);
    editor.open("manual/page.md");
    editor.open("nodes.yaml");
    // `app_port` is renamed without saving.
    let word = json!({"start": {"line": 1, "character": 11}, "end": {"line": 1, "character": 19}});
    editor.replace("nodes.yaml", word, "port");
    let said = editor.diagnosed("manual/page.md").to_string();
    assert!(said.contains("`app_port` is not defined"), "{said}");
}

#[test]
fn the_editor_says_what_lint_says() {
    let fixture = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/forty-mistakes"
    );
    let folder = tempfile::tempdir().unwrap();
    copy(fixture.as_ref(), folder.path());
    let project = Project::read(Files::of(folder.path()));
    let mut expected: Vec<(PathBuf, String)> = Vec::new();
    for problem in project.lint().problems {
        let file = problem
            .span
            .as_ref()
            .map_or("book.toml".into(), |span| span.path().to_owned());
        expected.push((file, problem.code.to_owned()));
    }
    assert!(expected.len() > 30);
    let mut editor = Editor::of(folder);
    let page = expected[0].0.clone();
    editor.open(page.to_str().unwrap());
    let mut found = Vec::new();
    let files: std::collections::BTreeSet<PathBuf> =
        expected.iter().map(|(file, _)| file.clone()).collect();
    for file in files {
        for said in editor.diagnosed(file.to_str().unwrap()).as_array().unwrap() {
            found.push((file.clone(), said["code"].as_str().unwrap().to_owned()));
        }
    }
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn a_value_says_which_nodes_have_it_and_where_it_comes_from() {
    let mut editor = Editor::new(PAGE);
    let said = editor.about("textDocument/hover", "$app_port", 3);
    let text = said["contents"]["value"].as_str().unwrap();
    assert!(
        text.contains("| web1 | `8000` | defaults nodes.yaml:2 |"),
        "{text}"
    );
    assert!(
        text.contains("| web2 | `8443` | node nodes.yaml:7 |"),
        "{text}"
    );
    let said = editor
        .about("textDocument/hover", "$version", 3)
        .to_string();
    assert!(
        said.contains("parameter of `web.deploy`, has to be given"),
        "{said}"
    );
    let said = editor.about("textDocument/hover", "$began", 3).to_string();
    assert!(
        said.contains("captured by step 1 `web.deploy/time`"),
        "{said}"
    );
    let said = editor
        .about("textDocument/hover", "timeout=5m", 2)
        .to_string();
    assert!(said.contains("it is stopped after this time"), "{said}");
    let said = editor.about("textDocument/hover", "file:\n", 2).to_string();
    assert!(said.contains("filetype"), "{said}");
    let said = editor.about("textDocument/hover", "@web", 2).to_string();
    assert!(said.contains("**@web** 2: web1, web2"), "{said}");
    let said = editor
        .about("textDocument/hover", "web.deploy web1`", 3)
        .to_string();
    assert!(
        said.contains("opsbook run web.deploy NODE --set version=VERSION"),
        "{said}"
    );
    assert_eq!(editor.about("textDocument/hover", "# Web", 0), Value::Null);
}

#[test]
fn a_name_leads_to_where_it_is_said() {
    let mut editor = Editor::new(PAGE);
    let mut lines = |part: &str, more: usize| -> Vec<String> {
        let found = editor.about("textDocument/definition", part, more);
        let found = found.as_array().cloned().unwrap_or_default();
        let line = |place: &Value| {
            let file = place["uri"]
                .as_str()
                .unwrap()
                .rsplit('/')
                .next()
                .unwrap()
                .to_owned();
            format!(
                "{file}:{}",
                place["range"]["start"]["line"].as_u64().unwrap() + 1
            )
        };
        found.iter().map(line).collect()
    };
    let at = |part: &str| format!("page.md:{}", place(PAGE, PAGE.find(part).unwrap()).0 + 1);
    assert_eq!(lines("$version", 2), [at("version: {")]);
    assert_eq!(lines("$began", 2), [at("sh step id=time")]);
    assert_eq!(lines("$app_port", 2), ["nodes.yaml:2", "nodes.yaml:7"]);
    assert_eq!(lines("[web]", 2), [at("id: web\n")]);
    assert_eq!(lines("@web", 2), ["nodes.yaml:4"]);
    assert_eq!(lines("web.deploy web1", 3), [at("id: web.deploy")]);
    assert_eq!(lines("web1`", 1), ["nodes.yaml:6"]);
}

#[test]
fn a_name_is_found_wherever_it_is_used() {
    let mut editor = Editor::new(PAGE);
    let mut count = |part: &str, more: usize| {
        let found = editor.about("textDocument/references", part, more);
        found.as_array().unwrap().len()
    };
    assert_eq!(count("$app_port", 3), 3);
    assert_eq!(count("id: web.deploy", 5), 2);
    assert_eq!(count("$began", 3), 2);
}

#[test]
fn what_may_stand_at_a_place_is_offered() {
    let mut editor = Editor::new(PAGE);
    let mut labels = |part: &str, more: usize| -> Vec<String> {
        let found = editor.about("textDocument/completion", part, more);
        let label = |item: &Value| item["label"].as_str().unwrap().to_owned();
        found.as_array().unwrap().iter().map(label).collect()
    };
    assert_eq!(
        labels("sh step id=install", 3),
        ["step", "check", "example", "file"]
    );
    let attributes = labels("id=install timeout", "id=install ".len());
    assert!(attributes.contains(&"capture".to_owned()) && !attributes.contains(&"id".to_owned()));
    let values = labels("$app_port", 1);
    for name in ["app_port", "version", "began", "node", "bundle"] {
        assert!(values.contains(&name.to_owned()), "{name}: {values:?}");
    }
    assert_eq!(labels("@web", 1), ["@web"]);
    assert_eq!(labels("needs: [web", "needs: [".len()), ["web"]);
    assert_eq!(
        labels("opsbook run web", "opsbook run ".len()),
        ["web.deploy"]
    );
    assert!(labels("file:\n", 0).contains(&"service".to_owned()));
}

#[test]
fn a_page_is_told_as_a_tree_and_the_manual_by_names() {
    let mut editor = Editor::new(PAGE);
    let tree = editor.about("textDocument/documentSymbol", "# Web", 0);
    assert_eq!(tree[0]["name"], "web.deploy", "{tree:#}");
    assert_eq!(tree[0]["children"][1]["name"], "install");
    assert_eq!(
        tree[0]["children"][1]["children"][0]["name"],
        "web.deploy/there"
    );
    assert_eq!(tree[1]["children"][0]["name"], "file//etc/passwd");
    let found = editor.ask("workspace/symbol", json!({"query": "wdinst"}));
    assert_eq!(
        found["result"][0]["name"], "web.deploy/install",
        "{found:#}"
    );
}

#[test]
fn rubbish_is_answered_and_changes_nothing() {
    let mut editor = Editor::new(PAGE);
    editor.open("manual/page.md");
    let answer = editor.ask("textDocument/hover", json!({"textDocument": 7}));
    assert_eq!(answer["error"]["code"], -32602);
    let answer = editor.ask("opsbook/runEverything", json!({}));
    assert_eq!(answer["error"]["code"], -32601);
    editor.tell("textDocument/didChange", json!([1, 2]));
    let far = json!({"start": {"line": 4_000_000_000_u32, "character": 5}, "end": {"line": 1, "character": 0}});
    editor.replace("manual/page.md", far, "");
    for uri in ["untitled:1", "file:///nowhere/at/all.md", "file:///%ff"] {
        let params = json!({"textDocument": {"uri": uri}, "position": {"line": 0, "character": 0}});
        assert_eq!(
            editor.ask("textDocument/hover", params)["result"],
            Value::Null
        );
    }
    let said = editor.about("textDocument/hover", "$app_port", 3);
    assert!(said["contents"]["value"].is_string());
}
