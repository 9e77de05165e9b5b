//! ! The state page and the generated chapters: their content, their links, and the absence of
//! secrets and of values that no page uses.

use std::path::Path;

use opsbook_event::{CaseRecord, Checked, Event, Evidence, Outcome, What};
use opsbook_plan as plan;
use opsbook_project::Project;
use opsbook_text::files::Files;

use super::axe::{rules, violations};
use super::copy::built;
use super::drive::{Browser, Screen};
use super::skip::or_skip;

const WEB: &str = r#"# Web

```yaml procedure
id: web.deploy
nodes: "@web"
params:
  version: {default: "1.0"}
```

1. Bring the configuration:

   ```yaml deliver
   - {template: site.conf, as: site.conf}
   ```

2. Say it:

   ```sh step id=say capture=said
   echo "$greeting $version $token"
   ```

## What must hold

```yaml checks
id: web
nodes: "@web"
file:
  /etc/passwd: {exists: true}
  "/tmp/${place}": {exists: true}
```

```sh check id=web.greets
test "$greeting" = hello
```

## Data

```yaml checks
id: db
nodes: "@db"
```

```sh check id=db.one
true
```

```sh check id=db.two
true
```
"#;

/// Twelve web nodes, two of them different, three databases and one that is down.
fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("book.toml", "[book]\nsrc = \"manual\"\n");
    write("manual/SUMMARY.md", "- [Web](web.md)\n");
    write("manual/web.md", WEB);
    write(
        "templates/site.conf",
        "server {{ node }}\ngreeting {{ greeting }}\ntoken {{ token }}\nversion {{ version }}\n",
    );
    let mut nodes = String::from(
        "opsbook: 1\ndefaults: {greeting: hello, place: x, token: {secret: {env: TOKEN}}, unused: not-for-the-book}\n\
         groups: {web: {}, db: {}}\nnodes:\n",
    );
    for n in 1..=12 {
        let own = if n % 5 == 3 { ", greeting: hi" } else { "" };
        nodes += &format!("  web{n}: {{groups: [web], transport: local{own}}}\n");
    }
    nodes += "  db1: {groups: [db], transport: local}\n  db9: {groups: [db], transport: local}\n";
    write("nodes.yaml", &nodes);
    record(folder.path());
    folder
}

/// Two suites: in the newer one a file is missing everywhere, two nodes greet differently, and one
/// node is down.
fn record(root: &Path) {
    let state = opsbook_journal::State::beside(root);
    let project = Project::read(Files::of(root));
    let names: Vec<&str> = project.nodes.names().collect();
    let (cases, _) = plan::cases(
        &project.manual,
        &project.nodes,
        &project.vocabulary,
        &names,
        &|_| true,
    );
    for (day, broken) in [("27", false), ("28", true)] {
        let event = |node: Option<&str>, what| Event {
            v: 1,
            seq: 1,
            at: format!("2026-11-{day}T09:14:03Z"),
            run: String::new(),
            node: node.map(str::to_owned),
            turn: None,
            step: None,
            epoch: None,
            what,
            prev: None,
            sum: None,
        };
        let recorded = cases.iter().map(|case| CaseRecord {
            node: case.node.name.clone(),
            check: case.name.clone(),
            place: String::new(),
            sum: Some(case.sum()),
        });
        let mut events = vec![event(
            None,
            What::SuiteStarted {
                operator: "ops".to_owned(),
                controller: "desk".to_owned(),
                version: "1".to_owned(),
                revision: None,
                cases: recorded.collect(),
                filtered_out: 0,
            },
        )];
        let mut counts = [0; 3];
        for case in &cases {
            let outcome = outcome(&case.node.name, &case.name, broken);
            counts[match outcome {
                Outcome::Failed(_) => 1,
                Outcome::Unknown(_) => 2,
                _ => 0,
            }] += 1;
            let checked = Checked::at_once(outcome);
            let what = checked.written(case.name.clone(), String::new());
            events.push(event(Some(&case.node.name), what));
        }
        let [passed, failed, errors] = counts;
        events.push(event(
            None,
            What::SuiteEnded {
                passed,
                failed,
                errors,
                ignored: 0,
                milliseconds: 1,
            },
        ));
        opsbook_journal::results::write(&state, &format!("202611{day}-091403-0000"), &events)
            .unwrap();
    }
}

fn outcome(node: &str, check: &str, broken: bool) -> Outcome {
    let failed = |attribute: &str| {
        Outcome::Failed(vec![Evidence {
            attribute: attribute.to_owned(),
            expected: "true".into(),
            found: "<script>false".into(),
            how: None,
            hint: None,
        }])
    };
    match (node, check) {
        _ if !broken => Outcome::Held,
        ("db9", _) => Outcome::Unknown("cannot be reached".into()),
        (_, "web::file//tmp/x") => failed("exists"),
        ("web3" | "web8", "web::greets") => failed("exit status"),
        _ => Outcome::Held,
    }
}

fn has(text: &str, all: &[&str]) {
    for expected in all {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
}

fn main_of(browser: &Browser) -> String {
    browser.text("return document.querySelector('main').innerText", &[])
}

#[test]
fn the_state_is_a_picture_a_table_and_numbers() {
    let Some(browser) = or_skip("browser state", Browser::open(Screen::Desk)) else {
        return;
    };
    let project = project();
    let (_folder, book) = built(project.path());
    browser.page(&book, "opsbook-state.html");
    browser.picture("state");
    let text = main_of(&browser);
    has(
        &text,
        &[
            "On 14 nodes: 14 failing, 2 could not look, 24 held.",
            "db9\tcannot be reached\t2026-11-28 09:14 UTC",
        ],
    );
    // The page explains an unreachable node once.
    assert_eq!(text.matches("cannot be reached").count(), 1, "{text}");
    // Equal results are shown together, and of many names only some.
    has(&text, &["web8 and", "4 more nodes"]);
    let pictures = browser.ask(
        "const svg = document.querySelector('svg.ops-matrix'); return [svg.getAttribute('role'), svg.getAttribute('aria-label'), svg.querySelectorAll('rect').length, svg.querySelector('.ops-failed title').textContent, document.querySelectorAll('svg.ops-bars g').length]",
        &[],
    );
    assert_eq!(
        pictures,
        serde_json::json!([
            "img",
            "On 14 nodes: 14 failing, 2 could not look, 24 held.",
            14,
            "web3, web: 2 failing",
            2
        ])
    );
    let shown = "return [...document.querySelectorAll('.ops-sifted tr[class^=ops-is-]')].filter((row) => !row.hidden).map((row) => row.className + ' ' + row.cells[0].innerText).join('; ')";
    browser.click(".ops-sift input[data-kind=passed]");
    browser.keys(".ops-sift input[type=search]", "db");
    assert_eq!(
        browser.text(shown, &[]),
        "ops-is-unseen db9; ops-is-unseen db9"
    );
    let json = std::fs::read_to_string(book.join("opsbook/state.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["total"]["failed"], 14);
    assert_eq!(json["dead"][0]["node"], "db9");
    assert_eq!(json["suites"][0]["could_not_look"], 2);
    let failing = json["checks"].as_array().unwrap();
    let failing = failing.iter().filter(|one| one["state"] == "failed");
    assert_eq!(failing.count(), 14);
}

#[test]
fn a_node_has_a_page_and_so_has_what_it_is_made_of() {
    let Some(browser) = or_skip("browser chapters", Browser::open(Screen::Desk)) else {
        return;
    };
    let project = project();
    let (_folder, book) = built(project.path());
    // From the card of a procedure to its group, to a node.
    browser.page(&book, "web.html?node=web1");
    browser.click("#web\\.deploy .ops-facts a");
    browser.until("return location.pathname.endsWith('opsbook-groups.html') && location.hash === '#group-web' && document.documentElement.dataset.opsbook === 'ready'");
    has(&main_of(&browser), &["12 nodes", "web.deploy"]);
    browser.click("main a[href$='node=web3']");
    browser.until("const place = document.querySelector('.ops-node-page'); return place !== null && place.dataset.node === 'web3'");
    let text = main_of(&browser);
    has(
        &text,
        &[
            "greeting\thi\tnode nodes.yaml:7\tdefaults nodes.yaml:2",
            "token\t(a secret)\tdefaults",
            " more values are used on no page",
            "web.deploy\tWeb",
            "✗ failing (exit status: expected true, found <script>false)",
            "None is recorded here.",
        ],
    );
    // The comparison with another node shows the different values and lines of its files.
    browser.ask("const input = document.querySelector('.ops-sift input'); input.value = 'web1'; input.dispatchEvent(new Event('change'))", &[]);
    browser.until("return document.querySelector('.ops-node-page').dataset.node === 'web3 web1'");
    browser.picture("node-page");
    let text = main_of(&browser);
    has(
        &text,
        &[
            "greeting ≠\thi",
            "- server web3\n- greeting hi\n+ server web1\n+ greeting hello\n  token <secret token>\n  version 1.0",
        ],
    );
    for (page, expected) in [
        ("opsbook-procedures.html", "web.deploy\tWeb\t@web\t2"),
        ("opsbook-checks.html", "/tmp/${place}\texists\tweb"),
        (
            "opsbook-variables.html",
            "said\tprinted by web.deploy/say\t",
        ),
        (
            "opsbook-variables.html",
            "place\tdefaults nodes.yaml:2\tweb",
        ),
        (
            "opsbook-variables.html",
            "greeting\tdefaults nodes.yaml:2\n2 nodes by themselves\tweb.deploy/say, web.greets",
        ),
    ] {
        browser.page(&book, page);
        has(&main_of(&browser), &[expected]);
    }
    for entry in std::fs::read_dir(book.join("opsbook/machines")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(
            !text.contains("not-for-the-book") && !text.contains('<'),
            "{text}"
        );
    }
}

#[test]
fn axe_finds_nothing_in_the_chapters_that_nobody_wrote() {
    let Some(rules) = or_skip("browser axe", rules()) else {
        return;
    };
    let project = project();
    let (_folder, book) = built(project.path());
    let mut wrong = Vec::new();
    for screen in [Screen::Desk, Screen::Phone] {
        let Some(browser) = or_skip("browser axe", Browser::open(screen)) else {
            return;
        };
        for theme in ["light", "coal"] {
            browser.page(&book, "index.html");
            let set = "localStorage.setItem('mdbook-theme', arguments[0])";
            browser.ask(set, &[theme]);
            for page in ["opsbook-state.html", "opsbook-nodes.html?node=web3"] {
                browser.page(&book, page);
                browser.until("const place = document.querySelector('.ops-node-page'); return place === null || place.dataset.node === 'web3'");
                browser.picture(&format!("{screen:?}-{theme}-{}", &page[..12]));
                let found = violations(&browser, &rules).into_iter();
                wrong.extend(found.map(|said| format!("{screen:?} {theme} {page}: {said}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
