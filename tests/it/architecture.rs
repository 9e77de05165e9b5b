//! Compares ARCHITECTURE.md with the code: which crate may use which, and which file alone names a
//! large dependency.

mod circles;

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

const PAGE: &str = include_str!("../../ARCHITECTURE.md");

#[test]
fn crates_use_only_what_stands_below_them() {
    let order = listed();
    let below = |name: &str| order.iter().position(|listed| listed == name);
    let mut wrong = Vec::new();
    for (from, name) in order.iter().enumerate() {
        for used in dependencies(name) {
            match below(&used) {
                Some(to) if to > from => {}
                _ => wrong.push(format!("`{name}` depends on `{used}`")),
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "against the list in ARCHITECTURE.md:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn the_list_is_of_all_crates() {
    let mut crates: Vec<String> = fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .chain(["opsbook".to_owned()])
        .collect();
    let mut listed = listed();
    crates.sort();
    listed.sort();
    assert_eq!(crates, listed);
}

#[test]
fn large_dependencies_are_named_in_one_place() {
    let row =
        Regex::new(r"(?m)^\| (`\w+`(?:, `\w+`)*)(?: \([^|]*\))? \| (`(?:src|crates)/[^|]*`) \|$")
            .unwrap();
    let name = Regex::new("`([^`]+)`").unwrap();
    let names =
        |cell: &str| -> Vec<String> { name.captures_iter(cell).map(|m| m[1].to_owned()).collect() };
    let rows: Vec<_> = row.captures_iter(PAGE).collect();
    assert!(rows.len() > 5, "the table is read");
    let (sources, mut wrong) = (sources(), Vec::new());
    for row in rows {
        let places = names(&row[2]);
        for dependency in names(&row[1]) {
            let named = Regex::new(&format!(r"\b{dependency}(::|;| as )")).unwrap();
            for (file, text) in &sources {
                let code = text
                    .lines()
                    .filter(|line| !line.trim_start().starts_with("//"));
                let here = places.iter().any(|place| within(file, place));
                if !here && code.into_iter().any(|line| named.is_match(line)) {
                    wrong.push(format!("{} names `{dependency}`", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_scripts_of_a_plan_reach_a_session() {
    let made = Regex::new(r"\bsession::Script\b|\bScript::new\(").unwrap();
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let own = within(&file, "crates/session/src") || within(&file, "crates/engine/src/target");
        if !own && made.is_match(&text) {
            wrong.push(file.display().to_string());
        }
    }
    assert!(wrong.is_empty(), "make a session's script: {wrong:?}");
    let of_a_plan = fs::read_to_string(root().join("crates/engine/src/target.rs")).unwrap();
    assert_eq!(
        made.find_iter(&of_a_plan).count(),
        2,
        "its type and one maker"
    );
}

/// The page about a run's files on a node names only files that the scripts write.
#[test]
fn the_files_of_a_bundle_are_in_its_scripts() {
    let folder = root().join("crates/engine/src/bundle");
    let page = fs::read_to_string(root().join("manual/reference/node-files.md")).unwrap();
    let (_, page) = page.split_once("\n## The bundle").unwrap();
    let scripts = ["bundle.sh", "recorder.sh", "run.sh"].map(|name| {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        let comment = |line: &&str| !line.trim_start().starts_with('#');
        text.lines().filter(comment).collect::<Vec<_>>().join("\n")
    });
    let row = Regex::new(r"(?m)^\| (`[a-z][^|]*) \| ").unwrap();
    let name = Regex::new("`([^`]+)`").unwrap();
    let mut seen = 0;
    for cell in row.captures_iter(page) {
        for file in name.captures_iter(&cell[1]) {
            let file = file[1].rsplit('/').next().unwrap().trim_end_matches(".*");
            let written = Regex::new(&format!(r"/{}\b", regex::escape(file))).unwrap();
            let found = scripts.iter().any(|script| written.is_match(script));
            assert!(found, "`{file}` is in no script");
            seen += 1;
        }
    }
    assert!(seen > 15, "{seen} files: the tables are read");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The list of crates, top first.
fn listed() -> Vec<String> {
    let item = Regex::new(r"(?m)^- `(\w+)`: ").unwrap();
    let list = PAGE.split_once("reads this list").unwrap().1;
    let list = list.split_once("\n## ").unwrap().0;
    let found: Vec<_> = item.captures_iter(list).map(|m| m[1].to_owned()).collect();
    assert!(found.len() > 10, "the list is read");
    found
}

/// The crates of this workspace that a crate depends on, also for its tests.
fn dependencies(name: &str) -> Vec<String> {
    let manifest = match name {
        "opsbook" => root().join("Cargo.toml"),
        name => root().join("crates").join(name).join("Cargo.toml"),
    };
    let text = fs::read_to_string(manifest).unwrap();
    let line = Regex::new(r"(?m)^opsbook-(\w+)\.workspace = true").unwrap();
    line.captures_iter(&text).map(|m| m[1].to_owned()).collect()
}

/// Each Rust file of the command line and of the crates, relative to the root.
fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("src"), root().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    found
}

fn within(file: &Path, place: &str) -> bool {
    file.starts_with(place) || file.starts_with(format!("{place}.rs"))
}
