//! Expectations from real runs.

use std::process::Command;

use crate::lab::Lab;

const PAGE: &str = "# Page

## Checks

```yaml checks
id: g
```

The port:

- In a list:

  ```sh check id=g.port
  echo \"listening on $app_port since $(date)\"
  echo two
  ```
  ```text expect
  listening [..]
  one
  ```

```sh check id=g.none
true
```

```sh check id=g.secret
echo \"$pass\"
```

```sh check id=g.new
echo \"pid: $$\"
printf 'a\\n```\\n' | head -1
```

```sh check id=g.colour
printf '\\033[31mred\\n'
```

```sh check id=g.fails
exit 1
```

## Steps

```yaml procedure
id: p
```

```sh step id=say
echo \"at $(date +%H:%M:%S) on $node\"
```

```sh step id=quiet
:
```
";

/// `20261129-230248-037a`
fn is_run(word: &str) -> bool {
    word.len() > 15 && word.find('-') == Some(8)
}

fn lab() -> Lab {
    let lab = Lab::new(PAGE);
    lab.nodes("  here: {transport: local, app_port: 8000, pass: {secret: {env: PASS}}}\n");
    lab.write(".gitignore", "home\n.opsbook\n");
    let git = "git init -q . && git add -A && git -c user.name=a -c user.email=a@b commit -qm x";
    let done = Command::new("sh")
        .args(["-c", git])
        .current_dir(lab.room())
        .status();
    assert!(done.unwrap().success());
    lab
}

#[test]
fn checks_are_asked_and_a_patch_is_printed_first() {
    let lab = lab();
    let secret = [("PASS", "hunter22x")];
    let said = lab.with(&secret, &["bless", "--apart", "1ms"]);
    said.ended(0)
        .has("-  one\n+  two\n")
        .has("g::port: from 2 runs on here; elided: time\n")
        .has("1 expectation to be written");
    said.lacks("g::new").lacks("hunter22x");
    assert!(lab.text("manual/page.md").contains("  one\n"));
    let said = lab.with(&secret, &["bless", "--new", "--write", "--apart", "1ms"]);
    said.ended(0)
        .has("g::none: prints nothing: only its exit status matters")
        .has("g::secret: uses a secret")
        .has("g::colour: prints something that is not plain text")
        .has("g::fails: does not hold: exit status 1")
        .has("2 expectations written");
    let page = lab.text("manual/page.md");
    assert!(
        page.contains("  ```text expect\n  listening [..]\n  two\n  ```\n"),
        "{page}"
    );
    assert!(
        page.contains("```text expect\npid: [..]\na\n```\n\n```sh check id=g.colour"),
        "{page}"
    );
    assert!(!page.contains("hunter22x"));
    lab.opsbook(&["lint"]).ended(0);
    // The written expectation holds, and is not written again.
    lab.with(&secret, &["bless", "port", "--apart", "1ms"])
        .ended(0)
        .has("0 expectations to be written");
    // The page now has uncommitted changes.
    lab.page(
        &page
            .replace("  two\n  ```\n```", "  xx\n  ```\n```")
            .replace("listening [..]\n  two", "listening [..]\n  xx"),
    );
    lab.with(&secret, &["bless", "port", "--write", "--apart", "1ms"])
        .ended(2)
        .has("not changed, because they have uncommitted changes");
}

#[test]
fn steps_are_blessed_from_a_run_that_ended_well() {
    let lab = lab();
    lab.opsbook(&["run", "p", "here"]).ended(0);
    let run = lab.opsbook(&["history", "--format", "json"]);
    let id = run
        .out
        .split('"')
        .find(|word| is_run(word))
        .unwrap()
        .to_owned();
    let said = lab.opsbook(&["bless", "--from", &id]);
    said.ended(0)
        .has("+```text expect\n+at [..] on ${node}\n+```\n")
        .has("p/quiet: prints nothing");
    lab.page(&PAGE.replace("echo \"at", "echo \"still at"));
    lab.opsbook(&["bless", "--from", &id, "say"])
        .ended(0)
        .has("has changed since that run");
    // Nothing is learned from a failed run.
    lab.page(&PAGE.replace("\n:\n", "\nfalse\n"));
    lab.opsbook(&["run", "p", "here"]).ended(1);
    let failed = lab.journals();
    let failed = failed
        .split("\"run\":\"")
        .filter_map(|part| part.split('"').next())
        .find(|run| *run != id && is_run(run));
    lab.opsbook(&["bless", "--from", failed.unwrap()])
        .ended(2)
        .has("did not end OK: nothing is taken from it");
}

const FORMS: &str = "# Page

## Checks

```yaml checks
id: g
```

```sh check id=g.regex
echo \"v1.2 on $app_port\"; echo new; date
```
```text expect regex
v\\d+\\.\\d+ on ${app_port}
old
\\w+ .*
```

```sh check id=g.json
echo \"{\\\"state\\\": \\\"up\\\", \\\"n\\\": {\\\"port\\\": $app_port, \\\"pid\\\": $$}}\"
```
```json expect
{\"n\":   {\"port\": 1}, \"state\": \"up\"}
```

```sh check id=g.number
echo \"{\\\"pid\\\": $$}\"
```
```json expect
{\"pid\": 1}
```

```sh check id=g.new
echo '{\"a\": [\"x\"], \"b\": 1}'
```

- In a list:

  ```console check id=g.transcript
  # What is there
  $ printf 'one\\n%s\\nlast\\n' \"$(date)\"
  one
  [..]
  old
  $ echo out; echo err >&2; false
  out
  exit 1
  $ echo \"port $app_port\" \\
  >   now
  $ echo '$ prompt'
  ```
";

#[test]
fn expressions_json_and_transcripts_keep_what_their_author_wrote() {
    let lab = lab();
    lab.page(FORMS);
    lab.opsbook(&["lint"]).ended(0);
    let secret = [("PASS", "hunter22x")];
    let said = lab.with(&secret, &["bless", "--new", "--apart", "1ms"]);
    let said = said.ended(0);
    for has in [
        "-old\n+new\n \\w+ .*\n",
        "+{\"n\":   {\"port\": ${app_port}}, \"state\": \"up\"}\n",
        "g::number: `pid` has no value that stays the same: change it yourself\n",
        "+```json expect\n+{\n+  \"a\": [\"x\"],\n+  \"b\": 1\n+}\n+```\n",
        "   one\n   [..]\n-  old\n+  last\n   $ echo out",
        "   >   now\n+  port ${app_port} now\n",
        "$ echo '$ prompt': prints what looks like a prompt",
        "5 expectations to be written",
    ] {
        said.has(has);
    }
    // The printed patch applies, and everything holds then.
    lab.write("patch", &said.out);
    let git = "git add -A && git -c user.name=a -c user.email=a@b commit -qm y && git apply patch";
    let done = Command::new("sh")
        .args(["-c", git])
        .current_dir(lab.room())
        .status();
    assert!(done.unwrap().success());
    lab.opsbook(&["lint"]).ended(0);
    lab.with(&secret, &["test", "regex", "json", "new", "transcript"])
        .ended(0)
        .has("4 passed");
    lab.with(&secret, &["bless", "transcript", "json", "--apart", "1ms"])
        .ended(0)
        .has("0 expectations to be written");
}
