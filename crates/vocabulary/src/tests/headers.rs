//! The headers of opsbook's and of a project's probes.

use super::*;

/// The root of this repository.
fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[test]
fn every_probe_is_builtin_and_has_a_sound_header() {
    let (vocabulary, problems) = Vocabulary::with_project(&Files::of(repository()));
    let drawn: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(drawn.join("\n"), "");
    assert!(vocabulary.types().all(|kind| kind.builtin));
    assert_eq!(vocabulary.types().count(), BUILTIN.len());
    for kind in vocabulary.types() {
        assert!(
            !kind.about.is_empty() || kind.title.len() > 10,
            "{}",
            kind.name
        );
        assert!(!kind.examples.is_empty(), "{} has no example", kind.name);
    }
}

#[test]
fn every_example_of_a_header_is_understood() {
    for kind in Vocabulary::builtin().types() {
        for example in &kind.examples {
            let check = format!("{}:\n  {example}\n", kind.name);
            assert!(understand(&check).is_ok(), "{:?}", understand(&check));
        }
    }
}

#[test]
fn probes_pass_shellcheck() {
    let mut command = std::process::Command::new("shellcheck");
    command.args(["-s", "sh"]).current_dir(repository());
    let probes = BUILTIN.iter().map(|(name, _)| format!("checks/{name}.sh"));
    command.args(probes).arg("crates/vocabulary/src/prelude.sh");
    match command.output() {
        Ok(output) => assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        ),
        Err(_) => super::probes::skipped("`shellcheck` is not installed"),
    }
}

#[test]
fn the_reference_is_up_to_date() {
    let path = repository().join("manual/reference/vocabulary.md");
    let text = reference::chapter(Vocabulary::builtin());
    if std::env::var_os("OPSBOOK_BLESS").is_some_and(|bless| bless == "1") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let first = written
        .lines()
        .zip(text.lines())
        .position(|(written, now)| written != now);
    assert!(
        written == text,
        "manual/reference/vocabulary.md is out of date from line {:?}: OPSBOOK_BLESS=1 cargo test --lib the_reference_is_up_to_date",
        first.map(|line| line + 1)
    );
}

#[test]
fn a_type_is_explained_from_its_header() {
    let kind = Vocabulary::builtin().get("group").unwrap();
    assert_eq!(
        reference::explain(kind),
        "group: a group of users

Local groups are read from `/etc/group`; for others (LDAP and similar), the check asks `getent`.

Resource and options:
  groupname  name of the group; if absent, the name of the check (text)

Expectations:
  exists     the system knows the group; expected to be `true` if absent (true or false)
  gid        number of the group (number)
  members    users who have it as a supplementary group (list)

Needs on the node: none for local groups; `getent` for others

Example:
  group:
    www-data: {gid: 33}
"
    );
}

fn project(name: &str, probe: &str) -> (Vocabulary, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("checks")).unwrap();
    std::fs::write(folder.path().join("checks").join(name), probe).unwrap();
    let (vocabulary, problems) = Vocabulary::with_project(&Files::of(folder.path()));
    let drawn: Vec<String> = problems.iter().map(ToString::to_string).collect();
    (vocabulary, drawn.join("\n"))
}

#[test]
fn a_project_adds_a_type() {
    // The reference's own example.
    let text = include_str!("../reference.md");
    let probe = text.split("```sh example\n").nth(1).unwrap();
    let probe = probe.split("```").next().unwrap();
    let (vocabulary, problems) = project("queue.sh", probe);
    assert_eq!(problems, "");
    let kind = vocabulary.get("queue").unwrap();
    assert!(!kind.builtin);
    assert_eq!(kind.facts[0].default.as_deref(), Some("0"));
    assert!(
        reference::list(&vocabulary)
            .contains("messages that wait in the mail queue  (of this project)")
    );
}

#[test]
fn a_comment_below_the_directives_describes_the_script() {
    let probe = "# x: things\n#\n# For readers.\n#\n#: key name text -- it\n#: fact n int -- how many\n# For who changes it.\nfact n 1\n";
    let (vocabulary, problems) = project("x.sh", probe);
    assert_eq!(problems, "");
    assert_eq!(vocabulary.get("x").unwrap().about, "For readers.");
}

#[test]
fn a_header_that_is_wrong_is_drawn() {
    for (probe, expected) in [
        (
            "#!/bin/sh\necho hi\n",
            "checks/x.sh:1:1: error: the first line is not `# x: TITLE`\n  |\n1 | #!/bin/sh\n  | ^^^^^^^^^\n\nhint: a probe begins with `# TYPE: TITLE`, and has `#: key NAME TYPE -- HELP` and `#: fact NAME TYPE -- HELP`",
        ),
        (
            "# x: things\n#: key name text -- it\n#: fact n number -- how many\n#: fact m int -- more\n",
            "checks/x.sh:3:1: error: unknown type `number`; there are bool, int, text, mode, list, sorted, addresses, lines, headers, days\n  |\n3 | #: fact n number -- how many\n  | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^",
        ),
        (
            "# x: things\n#: key name text -- it\n#: fcat n int -- how many\n#: fact m int -- more\n",
            "checks/x.sh:3:1: error: unknown directive `fcat`; there are `key`, `arg`, `fact`, `tools`, `waits` and `example`\n  |\n3 | #: fcat n int -- how many\n  | ^^^^^^^^^^^^^^^^^^^^^^^^^",
        ),
    ] {
        assert_eq!(project("x.sh", probe).1, expected);
    }
}
