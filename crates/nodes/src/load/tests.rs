//! Which files are read, and which are refused before much of them is read.

use std::fs;

use super::*;

const ONE: &str = "opsbook: 1\nnodes: {one: {}}\n";

/// Loads a project with these files; returns the names of its nodes, or the drawn problems.
fn loaded(files: &[(&str, &str)]) -> Result<Vec<String>, String> {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    load_at(root.path(), &Settings::default())
}

fn load_at(root: &Path, settings: &Settings) -> Result<Vec<String>, String> {
    let (nodes, problems) = load(&Files::of(root), settings);
    if !problems.is_empty() {
        let drawn: Vec<_> = problems.iter().map(ToString::to_string).collect();
        return Err(drawn.join("\n\n"));
    }
    Ok(nodes.names().map(str::to_owned).collect())
}

fn set(path: &str) -> Settings {
    Settings {
        nodes: Some(Spanned {
            value: path.into(),
            span: Span::new(&Source::new("book.toml", path), 0..path.len()),
        }),
        ..Settings::default()
    }
}

#[test]
fn without_a_file_there_is_this_machine() {
    let root = tempfile::tempdir().unwrap();
    let (nodes, problems) = load(&Files::of(root.path()), &Settings::default());
    assert!(problems.is_empty());
    assert_eq!(nodes.names().collect::<Vec<_>>(), ["here"]);
    let here = nodes.evaluate("here", &[]).unwrap();
    assert_eq!(here.transport, super::super::Transport::Local);
}

#[test]
fn files_of_a_folder_are_read_in_the_order_of_their_names() {
    let file = |name: &str| format!("opsbook: 1\nnodes: {{{name}: {{}}}}\n");
    let (a, b, c) = (file("a"), file("b"), file("c"));
    assert_eq!(
        loaded(&[
            ("nodes/20.yaml", c.as_str()),
            ("nodes/10.yaml", a.as_str()),
            ("nodes/10b.yaml", b.as_str()),
            ("nodes/10.yaml~", "not: yaml: at all"),
            ("nodes/.#10.yaml", "not: yaml: at all"),
            ("nodes/#10.yaml#", "not: yaml: at all"),
            ("nodes/10.yaml.swp", "\u{0}"),
            ("nodes/README.md", "# Nodes"),
            ("nodes/old/30.yaml", "not: yaml: at all"),
        ]),
        Ok(vec!["a".into(), "b".into(), "c".into()])
    );
    assert_eq!(loaded(&[("nodes.yaml", ONE)]), Ok(vec!["one".into()]));
}

#[test]
fn what_is_ambiguous_or_passed_over_is_said() {
    for (files, expected) in [
        (
            vec![("nodes.yaml", ONE), ("nodes/a.yaml", ONE)],
            "error: both `nodes.yaml` and the folder `nodes/` exist\n\nhint: move `nodes.yaml` into the folder, for instance as `nodes/00-base.yaml`",
        ),
        (
            vec![("nodes.yml", ONE)],
            "error: `nodes.yml` is not read\n\nhint: name it `nodes.yaml`",
        ),
        (
            vec![("nodes/a.yaml", ONE), ("nodes/b.yml", ONE)],
            "warning: `nodes/b.yml` is not read\n\nhint: name it `*.yaml`",
        ),
        (
            vec![("nodes/README.md", "")],
            "error: no `*.yaml` file in `nodes/`",
        ),
        (
            vec![("nodes/a.yaml", ONE), ("nodes/b.yaml", "a: b: c\n")],
            "nodes/b.yaml:1:5: error: a second `: ` in one value, or a wrong indentation\n  |\n1 | a: b: c\n  |     ^\n\nhint: put the value into quotes if the colon belongs to it",
        ),
    ] {
        assert_eq!(loaded(&files), Err(expected.to_owned()));
    }
}

#[test]
fn settings_say_where_nodes_are() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("inventory")).unwrap();
    fs::write(root.path().join("inventory/a.yaml"), ONE).unwrap();
    fs::write(root.path().join("nodes.yaml"), "opsbook: 1\n").unwrap();
    for path in ["inventory", "inventory/a.yaml"] {
        assert_eq!(load_at(root.path(), &set(path)), Ok(vec!["one".into()]));
    }
    let missing = load_at(root.path(), &set("other.yaml")).unwrap_err();
    assert!(
        missing.starts_with("book.toml:1:1: error: cannot read `other.yaml`: "),
        "{missing}"
    );
}

#[test]
fn text_that_is_not_utf_8_is_drawn_at_its_byte() {
    let root = tempfile::tempdir().unwrap();
    fs::write(
        root.path().join("nodes.yaml"),
        b"opsbook: 1\nnodes: {\xc3\xbc: {}, x\xff: {}}\n",
    )
    .unwrap();
    assert_eq!(
        load_at(root.path(), &Settings::default()),
        Err("nodes.yaml:2:17: error: this byte is not UTF-8\n  |\n2 | nodes: {ü: {}, x\u{fffd}: {}}\n  |                 ^\n\nhint: save the file as UTF-8".to_owned())
    );
}

#[test]
fn files_that_are_too_large_or_no_files_are_not_read() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("nodes.yaml");
    // Sparse: a gigabyte that takes no space.
    std::fs::File::create(&path)
        .unwrap()
        .set_len(1 << 30)
        .unwrap();
    assert_eq!(
        load_at(root.path(), &Settings::default()),
        Err("error: `nodes.yaml` holds more than 16777216 bytes".to_owned())
    );
    fs::remove_file(&path).unwrap();

    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    let refused = |why: &str| Err(format!("error: cannot read `nodes.yaml`: {why}"));
    let outside = refused("`nodes.yaml` is a link to `/dev/zero`, outside the project");
    assert_eq!(load_at(root.path(), &Settings::default()), outside);
    fs::remove_file(&path).unwrap();

    std::os::unix::fs::symlink("nowhere", &path).unwrap();
    let dangling = load_at(root.path(), &Settings::default()).unwrap_err();
    assert!(
        dangling.starts_with("error: cannot read `nodes.yaml`: "),
        "{dangling}"
    );
    fs::remove_file(&path).unwrap();

    fs::create_dir(&path).unwrap();
    let folder = refused("it is a folder, not a regular file");
    assert_eq!(load_at(root.path(), &Settings::default()), folder);
}

#[test]
fn a_pipe_is_refused_without_waiting_for_its_writer() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("nodes.yaml");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
    assert_eq!(
        load_at(root.path(), &Settings::default()),
        Err("error: cannot read `nodes.yaml`: it is a FIFO, not a regular file".to_owned())
    );
}
