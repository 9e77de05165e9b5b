//! ! Renaming, colours, lenses, folding, a book of packages, and the work per keystroke.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    reason = "a test ends where something is wrong"
)]

mod editor;

use std::collections::BTreeMap;
use std::fs;

use editor::{Editor, NODES, PAGE, folder};
use serde_json::{Value, json};

const OTHER: &str = "# Other\n\nRun `opsbook run web.deploy web1`, then `opsbook show web1`; web.deploy is prose.\n\n```sh example\nopsbook run web.deploy web1 --start-at install\nopsbook resume web.deploy/install\necho web1 web.deploy\n```\n\n```yaml checks\nid: other\nnodes: \"@web & !web2\"\nfile:\n  /etc/hosts: {exists: true, contains: [\"${app_port}\"]}\n```\n";

/// Returns the files after a rename at `more` bytes after the start of `part`.
fn renamed(
    file: &str,
    part: &str,
    more: usize,
    new: &str,
) -> Result<BTreeMap<String, String>, String> {
    let mut editor = Editor::new(PAGE);
    fs::write(editor.path("manual/other.md"), OTHER).unwrap();
    fs::write(
        editor.path("manual/SUMMARY.md"),
        "- [Page](page.md)\n- [Other](other.md)\n",
    )
    .unwrap();
    fs::create_dir(editor.path("templates")).unwrap();
    fs::write(
        editor.path("templates/site"),
        "port {{ app_port }} app_port\n",
    )
    .unwrap();
    let text = fs::read_to_string(editor.path(file)).unwrap();
    let at = editor::place(&text, text.find(part).unwrap() + more);
    let params = json!({
        "textDocument": {"uri": editor.uri(file)},
        "position": {"line": at.0, "character": at.1},
        "newName": new,
    });
    let answer = editor.ask("textDocument/rename", params);
    if let Some(error) = answer["error"]["message"].as_str() {
        return Err(error.to_owned());
    }
    let mut files = BTreeMap::new();
    for (uri, edits) in answer["result"]["changes"].as_object().unwrap() {
        let name = uri
            .rsplit_once(&format!("{}/", editor.folder.path().display()))
            .unwrap()
            .1;
        let mut text = fs::read_to_string(editor.path(name)).unwrap();
        for edit in edits.as_array().unwrap().iter().rev() {
            let byte = |place: &Value| editor::byte(&text, place);
            let (start, end) = (byte(&edit["range"]["start"]), byte(&edit["range"]["end"]));
            text.replace_range(start..end, edit["newText"].as_str().unwrap());
        }
        files.insert(name.to_owned(), text);
    }
    Ok(files)
}

#[test]
fn a_value_of_the_nodes_is_renamed_in_nodes_pages_and_templates() {
    for (file, part, more) in [
        ("manual/page.md", "$app_port", 3),
        ("nodes.yaml", "app_port: 8000", 3),
        ("manual/other.md", "${app_port}", 4),
    ] {
        let files = renamed(file, part, more, "shop_port").unwrap();
        assert_eq!(
            files["nodes.yaml"],
            NODES.replace("app_port", "shop_port"),
            "{file}"
        );
        assert_eq!(
            files["manual/page.md"],
            PAGE.replace("app_port", "shop_port")
        );
        assert_eq!(
            files["manual/other.md"],
            OTHER.replace("app_port", "shop_port")
        );
        assert_eq!(files["templates/site"], "port {{ shop_port }} app_port\n");
    }
}

#[test]
fn what_a_procedure_alone_knows_is_renamed_in_it() {
    let files = renamed("manual/page.md", "$version", 2, "release").unwrap();
    let expected = PAGE
        .replace("$version", "$release")
        .replace("version: {", "release: {");
    assert_eq!(
        files,
        BTreeMap::from([("manual/page.md".to_owned(), expected)])
    );
    for (part, more) in [("capture=began", 9), ("$began", 2)] {
        let files = renamed("manual/page.md", part, more, "start").unwrap();
        assert_eq!(files["manual/page.md"], PAGE.replace("began", "start"));
    }
}

#[test]
fn procedures_steps_groups_and_nodes_are_renamed_where_they_are_names() {
    let files = renamed("manual/other.md", "web.deploy web1`", 2, "web.release").unwrap();
    assert_eq!(
        files["manual/page.md"],
        PAGE.replace("web.deploy", "web.release")
    );
    // Prose and the words of other commands stay.
    let expected = OTHER
        .replace("run web.deploy", "run web.release")
        .replace("web.deploy/", "web.release/");
    assert_eq!(files["manual/other.md"], expected);

    let files = renamed("manual/page.md", "id=install", 5, "put").unwrap();
    assert_eq!(
        files["manual/page.md"],
        PAGE.replace("id=install", "id=put")
    );
    assert_eq!(
        files["manual/other.md"],
        OTHER.replace("web.deploy/install", "web.deploy/put")
    );

    let files = renamed("manual/page.md", "needs: [web]", 9, "tier").unwrap();
    let expected = PAGE
        .replace("needs: [web]", "needs: [tier]")
        .replace("id: web\n", "id: tier\n");
    assert_eq!(files["manual/page.md"], expected);

    let files = renamed("nodes.yaml", "web1: {", 2, "front1").unwrap();
    assert_eq!(files["nodes.yaml"], NODES.replace("web1: {", "front1: {"));
    assert_eq!(
        files["manual/page.md"],
        PAGE.replace("deploy web1", "deploy front1")
    );
    let expected = OTHER
        .replace("deploy web1", "deploy front1")
        .replace("show web1", "show front1");
    assert_eq!(files["manual/other.md"], expected);

    let files = renamed("manual/page.md", "\"@web\"", 3, "front").unwrap();
    let expected = NODES
        .replace("  web: {}", "  front: {}")
        .replace("[web]", "[front]");
    assert_eq!(files["nodes.yaml"], expected);
    assert_eq!(files["manual/page.md"], PAGE.replace("@web", "@front"));
    assert_eq!(files["manual/other.md"], OTHER.replace("@web", "@front"));
}

#[test]
fn what_would_be_wrong_is_refused_with_the_reason() {
    let refused =
        |part: &str, more, new: &str| renamed("manual/page.md", part, more, new).unwrap_err();
    assert_eq!(
        refused("$app_port", 3, "App"),
        "`App` is not a valid name for it"
    );
    assert_eq!(
        refused("$app_port", 3, "version"),
        "there is a `version` already"
    );
    assert_eq!(refused("web.deploy", 3, "web"), "there is a `web` already");
    assert_eq!(refused("# Web", 3, "x"), "nothing says what `Web` is");
    let why = refused("$app_port", 3, "bundle");
    assert!(why.contains("mistake") || why.contains("already"), "{why}");
}

#[test]
fn words_of_fences_and_known_values_are_told_apart() {
    let mut editor = Editor::new(PAGE);
    let uri = editor.uri("manual/page.md");
    let hello = editor.hello.clone();
    let legend = &hello["capabilities"]["semanticTokensProvider"]["legend"];
    let answer = editor.ask(
        "textDocument/semanticTokens/full",
        json!({"textDocument": {"uri": uri}}),
    );
    let data = answer["result"]["data"].as_array().unwrap();
    let lines: Vec<Vec<u16>> = PAGE
        .lines()
        .map(|line| line.encode_utf16().collect())
        .collect();
    let (mut line, mut column) = (0, 0);
    let mut found = Vec::new();
    for token in data.chunks(5) {
        let number = |at: usize| token[at].as_u64().unwrap() as usize;
        column = if number(0) == 0 {
            column + number(1)
        } else {
            number(1)
        };
        line += number(0);
        let word = String::from_utf16(&lines[line][column..column + number(2)]).unwrap();
        let kind = legend["tokenTypes"][number(3)].as_str().unwrap();
        found.push(format!(
            "{word} {kind}{}",
            if number(4) == 1 { " readonly" } else { "" }
        ));
    }
    let expected = [
        "procedure keyword",
        "step keyword",
        "id property",
        "time function",
        "capture property",
        "began string",
        "step keyword",
        "id property",
        "install function",
        "timeout property",
        "5m string",
        "app_port variable readonly",
        "version variable",
        "began variable",
        "check keyword",
        "id property",
        "there function",
        "checks keyword",
    ];
    assert_eq!(found, expected);
}

#[test]
fn lenses_offer_what_the_command_line_does() {
    let mut editor = Editor::new(PAGE);
    let uri = editor.uri("manual/page.md");
    let answer = editor.ask(
        "textDocument/codeLens",
        json!({"textDocument": {"uri": uri}}),
    );
    let lenses: Vec<(String, String)> = answer["result"]
        .as_array()
        .unwrap()
        .iter()
        .map(|lens| {
            (
                lens["command"]["title"].as_str().unwrap().to_owned(),
                lens["command"]["arguments"][0].to_string(),
            )
        })
        .collect();
    let expected = [
        ("run", r#"["run","web.deploy"]"#),
        ("dry run", r#"["run","web.deploy","--dry-run"]"#),
        (
            "run from here",
            r#"["run","web.deploy","--start-at","install"]"#,
        ),
        ("check now", r#"["test","web::"]"#),
    ];
    let expected: Vec<(String, String)> =
        expected.map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec();
    assert_eq!(lenses, expected);
    let line = |editor: &mut Editor, words: Value| {
        let params = json!({"command": "opsbook.commandLine", "arguments": [words]});
        editor.ask("workspace/executeCommand", params)["result"].take()
    };
    let said = line(&mut editor, json!(["run", "web.deploy", "a b"]));
    assert!(
        said.as_str().unwrap().ends_with(" run web.deploy 'a b'"),
        "{said}"
    );
    assert_eq!(line(&mut editor, json!(["sh", "-c", "rm x"])), Value::Null);
}

#[test]
fn sections_and_fences_fold() {
    let mut editor = Editor::new(PAGE);
    let uri = editor.uri("manual/page.md");
    let answer = editor.ask(
        "textDocument/foldingRange",
        json!({"textDocument": {"uri": uri}}),
    );
    let folds = answer["result"].as_array().unwrap();
    assert_eq!(folds[0]["startLine"], 0);
    assert_eq!(folds.len(), 3 + 5);
}

#[test]
fn what_a_value_is_stands_behind_its_name_where_the_editor_asks_for_it() {
    let page = PAGE.replace("$began", "${secret} $began $nobody");
    let folder = folder(&page);
    let more = "      web3: {transport: local, app_port: 1}\n";
    let secret = "defaults: {secret: {secret: {command: [touch, ran]}}, ";
    let nodes = NODES.replace("defaults: {", secret) + &more[4..];
    fs::write(folder.path().join("nodes.yaml"), nodes).unwrap();
    let mut editor = Editor::with(folder, json!({"inlayHints": true}));
    let provider = editor.hello["capabilities"]["inlayHintProvider"].clone();
    assert_eq!(provider, true);
    let uri = editor.uri("manual/page.md");
    let mut hints = |from: usize, to: usize| {
        let range = json!({
            "start": {"line": from, "character": 0},
            "end": {"line": to, "character": 0},
        });
        let params = json!({"textDocument": {"uri": uri}, "range": range});
        editor.ask("textDocument/inlayHint", params)["result"].take()
    };
    let said = hints(0, 999);
    let said: Vec<(&str, u64)> = { said.as_array().unwrap().iter() }
        .map(|hint| {
            let at = hint["position"]["character"].as_u64().unwrap();
            (hint["label"].as_str().unwrap(), at)
        })
        .collect();
    // The third node is none of the procedure's; a parameter and what a step captures have no value
    // yet; a secret is never read.
    let column = |part: &str| {
        let line = page
            .lines()
            .find(|line| line.contains("$app_port"))
            .unwrap();
        (line.find(part).unwrap() + part.len()) as u64
    };
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(said[0], (": 8000 (1 node: 8443)", column("$app_port")));
    assert_eq!(said[1].1, column("${secret}"));
    assert!(said[1].0.starts_with(": secret"), "{said:?}");
    assert_eq!(hints(0, 5), json!([]));
    assert!(!editor.path("ran").exists());
    assert_eq!(
        Editor::new(PAGE).hello["capabilities"]["inlayHintProvider"],
        Value::Null
    );
}

#[test]
fn files_are_linked_where_they_exist() {
    let page = "# A\n\n{{#include ../templates/site:1:2}} {{#include none}} {{#include ../../x}}\n\n```yaml procedure\nid: p\n```\n\n```yaml deliver\n- template: site\n- file: /etc/passwd\n```\n";
    let folder = folder(page);
    fs::create_dir(folder.path().join("templates")).unwrap();
    fs::write(folder.path().join("templates/site"), "a\nb\n").unwrap();
    let mut editor = Editor::of(folder);
    let params = json!({"textDocument": {"uri": editor.uri("manual/page.md")}});
    let answer = editor.ask("textDocument/documentLink", params);
    let links = answer["result"].as_array().unwrap();
    assert_eq!(links.len(), 2, "{links:?}");
    for (link, (line, column)) in links.iter().zip([(2, 11), (9, 12)]) {
        assert_eq!(link["target"], editor.uri("templates/site"));
        assert_eq!(link["range"]["start"]["line"], line);
        assert_eq!(link["range"]["start"]["character"], column);
    }
}

#[test]
fn a_selection_grows() {
    let mut editor = Editor::new(PAGE);
    let (line, column) = editor::place(PAGE, PAGE.find("app_port").unwrap());
    let params = json!({
        "textDocument": {"uri": editor.uri("manual/page.md")},
        "positions": [{"line": line, "character": column}, {"line": 999, "character": 0}],
    });
    let answer = editor.ask("textDocument/selectionRange", params);
    let mut range = &answer["result"][0];
    let mut lines = Vec::new();
    while !range.is_null() {
        let of = |end: &str| range["range"][end]["line"].as_u64().unwrap();
        lines.push(of("end") - of("start"));
        range = &range["parent"];
    }
    // Name, line, body, block, section, page.
    assert_eq!(lines[..4], [0, 0, 0, 2]);
    assert_eq!(lines.last(), Some(&(PAGE.lines().count() as u64)));
    assert!(answer["result"][1]["parent"].is_null());
}

#[test]
fn a_book_of_packages_is_linted_with_its_packages() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(
        "book/book.toml",
        "[book]\ntitle = \"T\"\nsrc = \"manual\"\n",
    );
    write(
        "book/opsbook.toml",
        "[packages]\nbase = {path = \"../base\"}\n",
    );
    write("book/nodes.yaml", NODES);
    write("book/manual/SUMMARY.md", "- [Page](page.md)\n");
    write(
        "book/manual/page.md",
        "# Page\n\nSee [there](package:base/base.md).\n\n## Go\n\n```yaml procedure\nid: go\nneeds: [base.ready]\n```\n\n```sh step\ntrue\n```\n",
    );
    write(
        "base/opsbook.toml",
        "[package]\nname = \"base\"\nversion = \"1.0.0\"\nlicense = \"MIT\"\ndescription = \"b\"\nowners = [\"us\"]\n",
    );
    write(
        "base/book.toml",
        "[book]\ntitle = \"B\"\nsrc = \"manual\"\n",
    );
    write("base/manual/SUMMARY.md", "- [Base](base.md)\n");
    let base =
        "# Base\n\n```yaml checks\nid: base.ready\nfile:\n  /etc/passwd: {exists: true}\n```\n";
    write("base/manual/base.md", base);
    let project = opsbook_project::Project::read(
        opsbook_project::merge::place(&folder.path().join("book")).unwrap(),
    );
    let problems: Vec<String> = project
        .lint()
        .problems
        .iter()
        .map(|problem| problem.sentence())
        .collect();
    assert_eq!(problems, Vec::<String>::new());

    let mut editor = Editor::of(folder);
    editor.open("book/manual/page.md");
    // A mistake in a name of the package, and no problem for the correct names.
    let text = fs::read_to_string(editor.path("book/manual/page.md")).unwrap();
    let (line, column) = editor::place(&text, text.find("base.ready").unwrap());
    let range = |from: usize, to: usize| json!({"start": {"line": line, "character": from}, "end": {"line": line, "character": to}});
    editor.replace(
        "book/manual/page.md",
        range(column, column + 10),
        "base.raedy",
    );
    let said = editor.diagnosed("book/manual/page.md");
    assert_eq!(said.as_array().unwrap().len(), 1, "{said:#}");
    assert!(
        said[0]["message"]
            .as_str()
            .unwrap()
            .contains("did you mean `base.ready`"),
        "{said:#}"
    );
    editor.replace(
        "book/manual/page.md",
        range(column, column + 10),
        "base.ready",
    );
    assert_eq!(editor.diagnosed("book/manual/page.md"), json!([]));
    // The definition is the file that a person edits.
    let params = json!({
        "textDocument": {"uri": editor.uri("book/manual/page.md")},
        "position": {"line": line, "character": column + 2},
    });
    let answer = editor.ask("textDocument/definition", params);
    let found = answer["result"][0]["uri"].as_str().unwrap();
    assert!(found.ends_with("/base/manual/base.md"), "{answer:#}");
}

/// Counts work, not time: the processor time of this process. The server reads the whole manual
/// after each pause; the work on top of one read and lint must be less than that again.
#[test]
fn a_keystroke_in_300_pages_is_hardly_more_work_than_linting_them() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("manual")).unwrap();
    fs::write(
        folder.path().join("book.toml"),
        "[book]\ntitle = \"T\"\nsrc = \"manual\"\n",
    )
    .unwrap();
    fs::write(folder.path().join("nodes.yaml"), NODES).unwrap();
    let mut summary = String::new();
    for number in 0..300 {
        let steps: String = (0..10)
            .map(|step| format!("{step}. Do it:\n\n   ```sh step id=s{step}\n   echo \"$app_port {step}\"\n   ```\n\n   ```sh check id=c{step}\n   true\n   ```\n\n"))
            .collect();
        let page = format!(
            "# Page {number}\n\n```yaml procedure\nid: page{number}\nnodes: \"@web\"\n```\n\n{steps}"
        );
        fs::write(folder.path().join(format!("manual/p{number}.md")), page).unwrap();
        summary += &format!("- [P](p{number}.md)\n");
    }
    fs::write(folder.path().join("manual/SUMMARY.md"), summary).unwrap();
    let files = || opsbook_text::files::Files::of(folder.path());
    let lint = || {
        opsbook_project::Project::read(files())
            .lint()
            .problems
            .len()
    };
    assert_eq!(lint(), 0);
    let before = work();
    assert_eq!(lint(), 0);
    let alone = work() - before;
    let mut editor = Editor::of(folder);
    editor.open("manual/p7.md");
    let word = |from: usize, to: usize| json!({"start": {"line": 0, "character": from}, "end": {"line": 0, "character": to}});
    let fence = |from: usize, to: usize| json!({"start": {"line": 9, "character": from}, "end": {"line": 9, "character": to}});
    editor.replace("manual/p7.md", word(2, 2), "x");
    editor.replace("manual/p7.md", fence(9, 13), "stpe");
    let wrong = editor.diagnosed("manual/p7.md");
    assert!(!wrong.as_array().unwrap().is_empty());
    let before = work();
    editor.replace("manual/p7.md", fence(9, 13), "step");
    assert_eq!(editor.diagnosed("manual/p7.md"), json!([]));
    let typed = work() - before;
    assert!(typed < alone * 2 + 5, "{typed} beside {alone}");
}

/// The process's processor time in hundredths of a second, from the kernel.
fn work() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let behind = stat.rsplit_once(')').unwrap().1;
    let fields: Vec<&str> = behind.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}
