//! ARCHITECTURE.md says who may use whom, and which file alone names a large dependency; here
//! it is read and compared with the code.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

const PAGE: &str = include_str!("../../ARCHITECTURE.md");

#[test]
fn modules_use_only_what_stands_below_them() {
    let order = modules();
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let Some(from) = place(&order, &module_of(&file)) else {
            continue;
        };
        for (line, used) in uses(&text) {
            match place(&order, &used) {
                Some(to) if to >= from => {}
                Some(_) => wrong.push(format!("{}:{line}: uses `{used}`", file.display())),
                None => wrong.push(format!("{}:{line}: `{used}` is no module", file.display())),
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
fn the_list_is_of_all_modules() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let pattern = Regex::new(r"(?m)^(?:pub )?mod (\w+);").unwrap();
    let mut declared: Vec<_> = pattern
        .captures_iter(&lib)
        .map(|m| m[1].to_owned())
        .collect();
    let mut listed = modules();
    // A module that is not built yet may be on the list, never the other way round.
    listed.retain(|name| declared.contains(name));
    listed.sort();
    declared.sort();
    assert_eq!(declared, listed);
}

#[test]
fn large_dependencies_are_named_in_one_place() {
    let row = Regex::new(r"(?m)^\| (`\w+`(?:, `\w+`)*) \| (`src/[^|]*`) \|$").unwrap();
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
        let own = within(&file, "src/session") || within(&file, "src/engine/target");
        if !own && made.is_match(&text) {
            wrong.push(file.display().to_string());
        }
    }
    assert!(wrong.is_empty(), "make a session's script: {wrong:?}");
    let of_a_plan = fs::read_to_string(root().join("src/engine/target.rs")).unwrap();
    assert_eq!(
        made.find_iter(&of_a_plan).count(),
        2,
        "its type and one maker"
    );
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The list, top first.
fn modules() -> Vec<String> {
    let item = Regex::new(r"(?m)^- `(\w+)`: ").unwrap();
    let list = PAGE.split_once("reads this list").unwrap().1;
    let list = list.split_once("\n## ").unwrap().0;
    let found: Vec<_> = item.captures_iter(list).map(|m| m[1].to_owned()).collect();
    assert!(found.len() > 10, "the list is read");
    found
}

fn place(order: &[String], module: &str) -> Option<usize> {
    order.iter().position(|name| name == module)
}

/// Each file below `src/`, relative to the root.
fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("src")];
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

fn module_of(file: &Path) -> String {
    let below = file.strip_prefix("src").unwrap();
    let first = below.components().next().unwrap();
    let first = Path::new(first.as_os_str());
    first.file_stem().unwrap().to_str().unwrap().to_owned()
}

fn within(file: &Path, place: &str) -> bool {
    file.starts_with(place) || file.starts_with(format!("{place}.rs"))
}

/// Modules named after `crate::`, with the line.
fn uses(text: &str) -> Vec<(usize, String)> {
    let path = Regex::new(r"\bcrate::(?:(\w+)|\{([^;]*)\})").unwrap();
    let first = Regex::new(r"^\s*(\w+)").unwrap();
    let mut found = Vec::new();
    for captures in path.captures_iter(text) {
        let line = 1 + text[..captures.get(0).unwrap().start()]
            .matches('\n')
            .count();
        if let Some(name) = captures.get(1) {
            found.push((line, name.as_str().to_owned()))
        } else {
            let parts = top_level(&captures[2]);
            let names = parts.iter().filter_map(|part| first.captures(part));
            found.extend(names.map(|name| (line, name[1].to_owned())));
        }
    }
    found
}

/// The parts of a braced import, which may have braces of their own.
fn top_level(list: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for letter in list.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().unwrap().push(letter);
    }
    parts
}

#[test]
fn braced_imports_are_taken_apart() {
    let text = "use crate::event::What;\nuse crate::{nodes::{Node, self}, plan};\n";
    let found: Vec<_> = uses(text);
    let expected = [(1, "event"), (2, "nodes"), (2, "plan")];
    assert_eq!(found, expected.map(|(line, name)| (line, name.to_owned())));
}
