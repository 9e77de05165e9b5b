//! The format from outside: pages as text in; procedures, groups and drawn problems out.

use std::fmt::Write as _;

use std::path::Path;

use super::*;
use crate::source::Problem;

/// Parses one page `a.md` that includes nothing.
fn page(text: &str) -> (Manual, Vec<Problem>) {
    book(&[("a.md", text)])
}

fn book(pages: &[(&str, &str)]) -> (Manual, Vec<Problem>) {
    let sources = pages
        .iter()
        .map(|(path, text)| PageSource {
            path: PathBuf::from(path),
            title: None,
            source: Source::new(*path, *text),
        })
        .collect();
    parse(Path::new(""), Settings::default(), sources, &|_| {
        Err(crate::files::Refused::Missing)
    })
}

/// `line:column code message`, one a line.
fn listed(problems: &[Problem]) -> String {
    let mut list = String::new();
    for problem in problems {
        let place = problem.span.as_ref().map(Span::position);
        let place = place.map_or(String::new(), |at| format!("{}:{} ", at.line, at.column));
        writeln!(list, "{place}{} {}", problem.code, problem.message).unwrap();
    }
    list
}

const DEPLOY: &str = r#"## Deploy the web application

```yaml procedure
id: web.deploy
nodes: "@web"
needs: [node.paved]
timeout: 10m
params:
  version: {required: true, pattern: '\d+\.\d+\.\d+', help: "release to install"}
```

1. Build the bundle on your own machine:

   ```sh step id=wheels on=local
   pip download --no-deps -d dist "shop==$version"
   ```

2. Bring it to the node:

   ```yaml deliver
   - {file: "dist/shop-${version}-py3-none-any.whl"}
   - {template: nginx/site.conf, as: site.conf, mode: "0644"}
   ```

3. Install it. This takes a while:

   ```sh step id=install timeout=5m sudo=shop exit=0,3 capture=out
   python3 -m venv "/srv/shop/venvs/$version"
   ```

   ```sh check id=importable always eventually=60s/2s
   true
   ```
   ```text expect
   ${version}
   ```

## Paved

```yaml checks
id: node.paved
service:
  nginx: {running: true}
```

```sh check id=node.paved.recent sudo
cat /sys/x
```
```text expect regex
3\d
```
"#;

#[test]
fn a_procedure_and_a_group_are_read() {
    let (manual, problems) = page(DEPLOY);
    assert_eq!(listed(&problems), "");
    let deploy = &manual.procedures["web.deploy"];
    assert_eq!(deploy.title, "Deploy the web application");
    assert_eq!(deploy.nodes.as_ref().unwrap().value, "@web");
    assert_eq!(deploy.needs[0].value, "node.paved");
    assert_eq!(deploy.timeout, Some(Duration::from_mins(10)));
    assert!(deploy.params["version"].required);
    let titles: Vec<&str> = deploy
        .steps
        .iter()
        .map(|step| step.title.as_str())
        .collect();
    assert_eq!(
        titles,
        [
            "Build the bundle on your own machine",
            "Bring it to the node",
            "Install it"
        ]
    );
    assert_eq!(deploy.steps[0].on, On::Local);
    let Work::Script(script) = &deploy.steps[0].work else {
        panic!("a script")
    };
    assert_eq!(
        script.text.text,
        "pip download --no-deps -d dist \"shop==$version\"\n"
    );
    assert_eq!(format!("{:?}", script.text.span(0..3)), "a.md:15:4+3");
    let Work::Deliver(deliveries) = &deploy.steps[1].work else {
        panic!("a delivery")
    };
    assert_eq!(deliveries[0].to, "shop-${version}-py3-none-any.whl");
    assert_eq!(
        (deliveries[1].to.as_str(), deliveries[1].mode),
        ("site.conf", 0o644)
    );
    let install = &deploy.steps[2];
    assert_eq!(install.sudo, Some(SudoUser("shop".to_owned())));
    assert_eq!(install.exit, [0, 3]);
    assert_eq!(install.capture.as_deref(), Some("out"));
    assert_eq!(install.checks[0].name, "web.deploy/importable");
    assert!(install.checks[0].always);
    assert_eq!(
        install.checks[0].expect.as_ref().unwrap().text.text,
        "${version}\n"
    );
    let paved = &manual.groups["node.paved"];
    assert_eq!(paved.typed[0].kind.value, "service");
    assert_eq!(paved.checks[0].name, "node.paved.recent");
    assert_eq!(
        paved.checks[0].expect.as_ref().unwrap().kind,
        ExpectKind::Regex
    );
    let names: Vec<&str> = manual.pages[0]
        .blocks
        .iter()
        .map(|b| b.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "web.deploy",
            "web.deploy/wheels",
            "web.deploy/2",
            "web.deploy/install",
            "web.deploy/importable",
            "web.deploy/importable",
            "node.paved",
            "node.paved.recent",
            "node.paved.recent"
        ]
    );
}

#[test]
fn transcripts_are_commands_with_their_outputs() {
    let (manual, problems) = page(
        "# P\n```yaml procedure\nid: p\n```\n```console step\n# disarm\n$ etcdctl \\\n  alarm disarm\nmemberID:1\n...\n\n$ cat <<E\n> x\n> E\n$ false\nno\nexit 1\n```\n",
    );
    assert_eq!(listed(&problems), "");
    let Work::Script(script) = &manual.procedures["p"].steps[0].work else {
        panic!("a script")
    };
    assert_eq!(script.interpreter, "sh");
    assert_eq!(
        script.text.text,
        "etcdctl \\\n  alarm disarm\ncat <<E\nx\nE\nfalse\n"
    );
    let commands: Vec<_> = script
        .commands
        .iter()
        .map(|c| {
            let expect = c.expect.as_ref().map(|e| &*e.text.text);
            (c.title.as_deref(), &*c.text.text, expect, c.exit)
        })
        .collect();
    assert_eq!(
        commands,
        [
            (
                Some("disarm"),
                "etcdctl \\\n  alarm disarm\n",
                Some("memberID:1\n..."),
                0
            ),
            (None, "cat <<E\nx\nE\n", None, 0),
            (None, "false\n", Some("no"), 1),
        ]
    );
    assert_eq!(
        format!("{:?}", script.commands[2].text.span(0..5)),
        "a.md:15:3+5"
    );
}

#[test]
fn one_mistake_has_no_others_in_consequence() {
    let contract = "# P\n\n```yaml procedure\nid: p\n```\n";
    let rest = "```sh check\ntrue\n```\n```text expect\nx\n```\n";
    for (blocks, found) in [
        ("```sql step\nx\n```\n", "6:4 wrong-language"),
        ("```sh step\n# x\n```\n", "6:7 empty-block"),
        ("```sh stpe capture=x\nx\n```\n", "6:7 unknown-kind"),
        ("```step id=x\nx\n```\n", "6:4 role-without-language"),
        ("```sh,step\nx\n```\n", "6:4 joined-role"),
        ("```sh id=x\nx\n```\n", "6:7 attribute-without-role"),
        ("```sh run id=x\nx\n```\n", "6:7 unknown-kind"),
        (
            "<!-- opsbook: stpe -->\n```sh\nx\n```\n",
            "6:15 unknown-kind",
        ),
        ("> ```sh step\n> x\n\ntext\n\n", "6:3 unclosed-fence"),
        ("", "4:5 procedure-without-steps"),
        ("```awk step\n1\n```\n", "6:4 wrong-language"),
        ("```sh step id=2\nx\n```\n", "6:15 bad-attribute"),
        ("```python step\n\n>>> 1\n```\n", "8:1 prompt-in-script"),
        ("```python step\n$ x\n```\n", "7:1 prompt-in-script"),
        ("```yaml deliver\nfil: x\n```\n", "7:1 unknown-key"),
    ] {
        let (_, problems) = page(&format!("{contract}{blocks}{rest}"));
        let places: Vec<String> = listed(&problems)
            .lines()
            .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(places, [found], "{blocks}");
    }
    let (_, problems) = page(
        "# P\n\n```yaml procedure\nid: p\nneeds: [g]\n```\n```sh step\nx\n```\n\n# G\n\n```yaml checks\nid: g\nfile: {a\n```\n",
    );
    assert_eq!(problems.len(), 1, "{}", listed(&problems));
    let (_, problems) = page("# P\n\n```yaml checks\nid: g\nservice: [nginx]\n```\n");
    assert_eq!(problems.len(), 1, "{}", listed(&problems));
}

#[test]
fn nothing_is_expected_of_what_prints_nothing() {
    for block in [
        "```yaml deliver\nfile: x\n```\n",
        "```ini file as=x\nx\n```\n",
        "```text manual\nx\n```\n",
    ] {
        let text = format!("# P\n\n```yaml procedure\nid: p\n```\n{block}```text expect\nx\n```\n");
        let found = listed(&page(&text).1);
        assert!(found.contains("9:9 expect-of-nothing"), "{found}");
    }
}
