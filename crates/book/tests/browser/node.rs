//! ! The node picker: the choice persists across pages, the node's values appear on the page, and
//! no value of `nodes.yaml` can inject markup or code.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use super::copy::built;
use super::drive::{Browser, Screen};
use super::skip::or_skip;

const PAGE: &str = r#"# Deploy

```yaml procedure
id: deploy
nodes: "@web"
params:
  version: {default: "1.0", pattern: '\d+\.\d+'}
```

1. Switch:

   ```sh step id=switch sudo
   echo "$greeting" "$version" "$token" "$place"
   ```
   ```text expect
   ${greeting} ${version}
   ```

2. Look:

   ```text manual id=look
   It says ${greeting}.
   ```

3. Bring:

   ```yaml deliver
   - {file: "dist/${place}.txt"}
   ```

[Next](next.md)
"#;

const NEXT: &str = "# Next\n\n```yaml checks\nid: web\nnodes: \"@web\"\nport:\n  \"tcp:${port}\": {listening: true}\n```\n\n```sh check id=web.up\necho \"$greeting\"\n```\n";

/// Attempts to break out of a script, a page or a shell word.
const HOSTILE: &str = "'\"`$(touch owned)</script><img src=x onerror=\"document.title='owned'\">\nsecond line\u{2028}\\ ${HOME} !x \u{1b}[201~\t\u{202e}end";

fn project(nodes: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("book.toml", "[book]\nsrc = \"manual\"\n");
    write(
        "manual/SUMMARY.md",
        "- [Deploy](deploy.md)\n- [Next](next.md)\n",
    );
    write("manual/deploy.md", PAGE);
    write("manual/next.md", NEXT);
    write("nodes.yaml", nodes);
    folder
}

fn nodes(greeting: &str) -> String {
    // A dollar sign that opsbook does not expand.
    let greeting = greeting.replace("${", "$${");
    let greeting = serde_json::to_string(&greeting).unwrap();
    format!(
        "opsbook: 1\ndefaults:\n  greeting: {greeting}\n  place: \"dist-${{version}}\"\n  token: {{secret: {{env: TOKEN}}}}\ngroups: {{web: {{port: 8080}}, db: {{}}}}\n\
         nodes:\n  web1: {{groups: [web]}}\n  web2: {{groups: [web], greeting: two}}\n  db1: {{groups: [db]}}\n"
    )
}

#[test]
fn a_node_is_chosen_and_kept_over_pages() {
    let Some(browser) = or_skip("browser picker", Browser::open(Screen::Desk)) else {
        return;
    };
    let project = project(&nodes("hello"));
    let (_folder, book) = built(project.path());
    browser.page(&book, "deploy.html");
    let main = || browser.text("return document.querySelector('main').innerText", &[]);
    let text = main();
    assert!(text.contains("No node is chosen"), "{text}");
    assert!(
        text.contains("Needs greeting, place, token, version"),
        "{text}"
    );
    // With the keyboard alone.
    browser.ask("document.querySelector('.ops-opener').focus()", &[]);
    browser.press("\u{e007}");
    browser.until("return document.querySelector('dialog[open] .ops-nodes button') !== null");
    browser.picture("picker");
    browser.press("eb2\u{e007}");
    browser.until("return document.querySelector('.ops-opener').textContent === 'web2'");
    let text = main();
    for expected in [
        "two 1.0",
        "It says two.",
        "greeting='two'",
        "token open: a secret",
        "place='dist-1.0'",
        "the file dist/dist-1.0.txt",
        "export greeting='two'",
        "opsbook run deploy web2",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    assert!(
        browser
            .text("return location.search", &[])
            .contains("node=web2")
    );
    browser.picture("node-chosen");
    browser.click("main p > a[href*='next.html']");
    browser.until("return location.pathname.endsWith('next.html') && document.documentElement.dataset.opsbook === 'ready'");
    assert!(
        browser
            .text("return location.search", &[])
            .contains("node=web2")
    );
    let text = main();
    assert!(text.contains("tcp:8080"), "{text}");
    // The choice persists without the address, too, and ends when the reader removes it.
    browser.page(&book, "next.html");
    browser.until("return document.querySelector('.ops-opener').textContent === 'web2'");
    browser.page(&book, "deploy.html?node=db1");
    let text = main();
    assert!(
        text.contains("deploy may not be run on db1: it is for @web"),
        "{text}"
    );
    browser.page(&book, "deploy.html?node=nobody");
    let said = browser.text(
        "return document.querySelector('.ops-said').textContent",
        &[],
    );
    assert_eq!(said, "this manual has no node nobody");
}

#[test]
fn a_hostile_value_is_text_on_the_page_and_one_word_in_the_shell() {
    let Some(browser) = or_skip("browser hostile", Browser::open(Screen::Desk)) else {
        return;
    };
    let project = project(&nodes(HOSTILE));
    let (_folder, book) = built(project.path());
    browser.page(&book, "next.html?node=web1");
    assert!(!browser.text("return document.title", &[]).contains("owned"));
    assert_eq!(
        browser.ask("return document.querySelectorAll('main img').length", &[]),
        0
    );
    browser.click("main [data-name='web.up'] > .ops-caption > .ops-copy");
    browser.until("const said = document.querySelector('.ops-said'); return said !== null && said.textContent.startsWith('copied')");
    let copied = browser.clipboard();
    let odd = |c: char| c.is_control() && c != '\n' || "\u{2028}\u{202e}".contains(c);
    assert!(!copied.contains(odd), "{copied:?}");
    let home = tempfile::tempdir().unwrap();
    for shell in ["/bin/dash", "/bin/bash"] {
        let done = Command::new(shell)
            .args(["-c", &copied])
            .current_dir(home.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(said, "", "{copied}");
        // `echo` of some shells interprets backslashes.
        let out = String::from_utf8_lossy(&done.stdout);
        assert_eq!(out.trim_end().replace("\\\\", "\\"), HOSTILE, "{shell}");
    }
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    let lines = browser.text(
        "return document.querySelector('.ops-values pre').textContent",
        &[],
    );
    let text = format!("{lines}\nprintf %s \"$greeting\"");
    let done = Command::new("/bin/dash")
        .args(["-c", &text])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&done.stdout), HOSTILE);
}

#[test]
fn no_secret_and_nothing_unused_is_published() {
    let nodes = "opsbook: 1\ndefaults: {greeting: hi, place: x, unused: not-published}\ngroups: {web: {port: 8080}}\n\
                 nodes:\n  web1: {groups: [web], token: {secret: {command: [pass, show, hidden-name]}}}\n";
    let project = project(nodes);
    let (_folder, book) = built(project.path());
    let mut all = String::new();
    gather(&book, &mut all);
    assert!(all.contains("\"greeting\":\"hi\"") && all.contains("\"secrets\":[\"token\"]"));
    assert!(!all.contains("hidden-name") && !all.contains("not-published"));
}

fn gather(folder: &Path, all: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, all);
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            all.push_str(&text);
        }
    }
}

/// A page requests the values of only a few nodes, however many exist.
#[test]
fn five_thousand_nodes_are_chosen_from_in_no_time() {
    let Some(browser) = or_skip("browser many nodes", Browser::open(Screen::Desk)) else {
        return;
    };
    let mut text = nodes("hello");
    for number in 0..5000 {
        let _ = writeln!(
            text,
            "  many{number}: {{groups: [web], greeting: g{number}}}"
        );
    }
    let project = project(&text);
    let (_folder, book) = built(project.path());
    browser.page(&book, "deploy.html?node=many4321");
    let shown = browser.text("return document.querySelector('main').innerText", &[]);
    assert!(shown.contains("It says g4321."), "{shown}");
    let loaded = browser.ask(
        "return document.querySelectorAll('script[src*=\"/opsbook/nodes/\"]').length",
        &[],
    );
    assert_eq!(loaded, 2);
    let size = |name: &str| {
        std::fs::metadata(book.join("opsbook/nodes").join(name))
            .unwrap()
            .len()
    };
    assert!(size("all.js") < 200_000 && size("0.js") < 200_000);
}

/// A page shows its last change, and shows it at the top if that is too long ago.
#[test]
fn a_page_that_nobody_has_changed_for_long_says_so() {
    let Some(browser) = or_skip("browser age", Browser::open(Screen::Desk)) else {
        return;
    };
    let project = project(&nodes("hello"));
    let root = project.path();
    let settings = "[book]\nsrc = \"manual\"\n[preprocessor.opsbook]\nreview-days = 100\n\
                    [output.html]\nedit-url-template = \"https://example.net/edit/{path}\"\n";
    std::fs::write(root.join("book.toml"), settings).unwrap();
    let git = |date: &str, words: &[&str]| {
        let done = Command::new("git")
            .arg("-C")
            .arg(root)
            .args(["-c", "user.name=a", "-c", "user.email=a@example.net"])
            .args(words)
            .env("GIT_COMMITTER_DATE", date)
            .env("GIT_AUTHOR_DATE", date)
            .output()
            .unwrap();
        assert!(done.status.success(), "{words:?}");
    };
    git("", &["init", "-q"]);
    git("", &["add", "-A"]);
    git("2020-02-03T04:05:06Z", &["commit", "-qm", "old"]);
    let next = root.join("manual/next.md");
    std::fs::write(&next, std::fs::read_to_string(&next).unwrap() + "\nMore.\n").unwrap();
    let now = Command::new("date").arg("-Iseconds").output().unwrap();
    let now = String::from_utf8(now.stdout).unwrap();
    git(now.trim(), &["commit", "-qam", "new"]);
    let (_folder, book) = built(root);
    for (page, old) in [
        ("deploy.html", true),
        ("index.html", true),
        ("next.html", false),
    ] {
        browser.page(&book, page);
        let text = browser.text("return document.body.innerText", &[]);
        assert_eq!(
            text.contains("changed 2020-02-03 04:05 UTC"),
            old,
            "{page}\n{text}"
        );
        assert_eq!(
            text.contains("Nobody has changed this page for"),
            old,
            "{page}\n{text}"
        );
        let edit = browser.ask(
            "return document.querySelector('a[href^=\"https://example.net/edit/\"]') !== null",
            &[],
        );
        assert_eq!(edit, serde_json::json!(true), "{page}");
    }
    browser.picture("aged");
}
