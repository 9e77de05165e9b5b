//! `file to=`: the placed text is what a reader would paste.

use crate::lab::{Lab, mode};

const PAGE: &str = "# Page

## Configure

```yaml procedure
id: conf
```

1. Put this into the configuration:

   ```ini file to=ROOM/etc/app.conf mode=0640 id=conf
   [app]
   port = {{ port }}
   host = $host ${x} 'it''s'
   ```

2. Change the port:

   ```diff file to=ROOM/etc/app.conf edit id=port
   -port = {{ port }}
   +port = 9090
   ```

3. Add a line:

   ```ini file to=ROOM/etc/app.conf append id=more
   extra = {{ word }}
   ```

4. Go on:

   ```sh step id=go
   test -e ROOM/go
   ```
";

fn lab() -> Lab {
    let lab = Lab::new(PAGE);
    lab.nodes("  here: {transport: local, port: 8080, word: old}\n");
    std::fs::create_dir(lab.path("etc")).unwrap();
    lab
}

#[test]
fn it_is_placed_changed_and_appended_to() {
    let lab = lab();
    lab.write("go", "");
    lab.opsbook(&["lint"]).ended(0).has("0 errors, 0 warnings");
    let room = lab.room();
    let to = format!("# place {}/etc/app.conf, mode 0640:\n", room.display());
    let said = lab.opsbook(&["run", "conf", "here", "--dry-run"]);
    said.ended(0)
        .has(&to)
        .has("# | port = 8080\n")
        .has("# | +port = 9090\n");
    assert!(!lab.path("etc/app.conf").exists());
    lab.opsbook(&["run", "conf", "here"])
        .ended(0)
        .has("etc/app.conf is placed");
    let text = "[app]\nport = 9090\nhost = $host ${x} 'it''s'\nextra = old\n";
    assert_eq!(lab.text("etc/app.conf"), text);
    assert_eq!(mode(&lab.path("etc/app.conf")), 0o640);
}

#[test]
fn what_it_would_change_is_shown_before() {
    let lab = lab();
    let dry = ["run", "conf", "here", "--dry-run", "--connect"];
    lab.opsbook(&dry).ended(0).has("+port = 8080\n");
    lab.write(
        "etc/app.conf",
        "[app]\nport = 1\nhost = $host ${x} 'it''s'\n",
    );
    lab.opsbook(&dry).ended(0).has("-port = 1\n+port = 8080\n");
    assert!(lab.text("etc/app.conf").contains("port = 1\n"));
    lab.write(
        "etc/app.conf",
        "[app]\nport = 8080\nhost = $host ${x} 'it''s'\n",
    );
    lab.opsbook(&dry)
        .ended(0)
        .has("/etc/app.conf\n  unchanged\n");
    // With several nodes, the text is that of the first.
    lab.nodes("  here: {transport: local, port: 1, word: a}\n  there: {transport: local, port: 2, word: b}\n");
    let said = lab.opsbook(&["run", "conf", "here", "there", "--dry-run"]);
    said.ended(0)
        .has("mode 0640, as on here:\n")
        .has("# | port = 1\n");
}

#[test]
fn a_resume_does_not_go_on_with_the_old_text_in_silence() {
    let lab = lab();
    lab.opsbook(&["run", "conf", "here"]).ended(1);
    lab.write("go", "");
    lab.nodes("  here: {transport: local, port: 8080, word: new}\n");
    lab.page(&PAGE.replace("mode=0640", "mode=0600"));
    let said = lab.opsbook(&["resume"]);
    said.ended(2)
        .has("-extra = old\n")
        .has("+extra = new\n")
        .has("mode 0640\n")
        .has("mode 0600\n");
    said.has("step 2 (port) changes");
    assert!(lab.text("etc/app.conf").contains("extra = old"));
    lab.opsbook(&["resume", "--accept-changed"]).ended(0);
    assert!(
        lab.text("etc/app.conf")
            .ends_with("9090\nhost = $host ${x} 'it''s'\nextra = new\n")
    );
    assert_eq!(mode(&lab.path("etc/app.conf")), 0o600);
}

#[test]
fn what_the_hand_off_has_can_be_pasted() {
    let lab = lab();
    lab.page(&PAGE.replacen(
        "1. Put",
        "0. Not yet:\n\n   ```sh step id=first\n   test -e ROOM/first\n   ```\n\n1. Put",
        1,
    ));
    let said = lab.opsbook(&["run", "conf", "here"]);
    said.ended(1)
        .has("ob_step 'step 2 conf' on=here id=2 <\"$ob_q/place\"\n");
    lab.write("first", "");
    lab.write("go", "");
    let sheet = said.out.split_once("# --- hand-off").unwrap().1;
    let paste = format!("#{sheet}\n");
    let done = std::process::Command::new("sh")
        .args(["-c", &paste])
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    assert!(
        lab.text("etc/app.conf").ends_with("extra = old\n"),
        "{done:?}"
    );
}

#[test]
fn a_secret_reaches_the_file_and_nothing_else() {
    let lab = lab();
    lab.nodes("  here: {transport: local, pass: {secret: {env: PASS}}}\n");
    let page = |words: &str| {
        lab.page(&format!("# P\n\n```yaml procedure\nid: conf\n```\n\nIt:\n\n```sh step capture=made\necho made\n```\n\n```ini file to=ROOM/etc/s {words}\n{{{{ pass }}}} {{{{ made }}}}\n```\n"));
    };
    for (words, why) in [
        ("mode=0644", "everybody can read it: mode 0644"),
        ("mode=0640", "a group without a name can read it: mode 0640"),
        ("append", "has no `mode`"),
        ("append mode=0644", "everybody can read it: mode 0644"),
    ] {
        page(words);
        lab.opsbook(&["lint"]).ended(2).has(why);
        lab.with(&[("PASS", "hunter22x")], &["run", "conf", "here"])
            .ended(2)
            .has(why);
        assert!(!lab.path("etc/s").exists());
    }
    page("mode=0600");
    lab.opsbook(&["lint"]).ended(0);
    let said = lab.with(&[("PASS", "hunter22x")], &["run", "conf", "here"]);
    said.ended(0).lacks("hunter22x");
    assert_eq!(lab.text("etc/s"), "hunter22x made\n");
    assert_eq!(mode(&lab.path("etc/s")), 0o600);
    assert!(!lab.journals().contains("hunter22x"));
}

#[test]
fn the_book_says_where_it_goes() {
    let lab = lab();
    lab.opsbook(&["build"]).ended(0);
    let html = lab.text("book/page.html");
    assert!(
        html.contains("<th>Goes to</th>") && html.contains("etc/app.conf</code>"),
        "{html}"
    );
    assert!(html.contains("these lines are changed"), "{html}");
}
