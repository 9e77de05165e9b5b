//! Files in one folder depend on each other in one direction only, over any number of files: so
//! each can be understood, moved and replaced without the files that use it.
//!
//! A file and the contents of its own folder may use each other: they count as one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

/// The path of a module or of an item in it: `["node", "step"]`.
type Name = Vec<String>;

/// Made once: making them takes longer than reading a file.
static USING: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?m)^ *(?:pub(?:\([^)]*\))? )?use ([^;]+);").unwrap());
static CHILD: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?m)^(?:pub(?:\([^)]*\))? )?mod (\w+);").unwrap());
static PATH: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b(?:crate|super|self)(?:::\w+)+").unwrap());
static TESTS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"#\[cfg\(test\)\]\s*mod \w+ \{").unwrap());
static TESTS_FILE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)?(?:pub(?:\([^)]*\))? )?mod \w+;").unwrap()
});

#[derive(Default)]
struct Module {
    children: Vec<String>,
    /// The full path of each imported name.
    imports: BTreeMap<String, Name>,
    /// All paths in its text.
    paths: Vec<Name>,
}

/// The modules of one crate.
struct Crate(BTreeMap<Name, Module>);

#[test]
fn no_file_is_used_by_what_it_uses() {
    let sources: BTreeMap<PathBuf, String> = super::sources().into_iter().collect();
    let mut found = Vec::new();
    let mut modules = 0;
    for name in super::listed() {
        let library = match name.as_str() {
            "opsbook" => PathBuf::from("src/lib.rs"),
            name => Path::new("crates").join(name).join("src/lib.rs"),
        };
        let made = Crate::read(&sources, &library);
        modules += made.0.len();
        let circles = made.circles().into_iter();
        found.extend(circles.map(|circle| format!("{name}: {circle}")));
    }
    assert!(modules > 200, "{modules} modules: the crates are read");
    assert!(found.is_empty(), "circles:\n{}", found.join("\n"));
}

#[test]
fn a_circle_is_found() {
    let circles = |files: &[(&str, &str)]| {
        let file = |(path, text): &(&str, &str)| (PathBuf::from(path), (*text).to_owned());
        let files = files.iter().map(file).collect();
        Crate::read(&files, Path::new("lib.rs")).circles()
    };
    // A circle of three files, through a re-exported name.
    let found = circles(&[
        ("lib.rs", "mod a;\nmod b;\nmod c;\npub use b::{B, Other};\n"),
        ("a.rs", "use crate::B;\n"),
        ("b.rs", "fn f() {\n    super::c::g();\n}\n"),
        (
            "c.rs",
            "use crate::{\n    a::Thing as Named,\n    files,\n};\n",
        ),
    ]);
    assert_eq!(found, ["a uses b, b uses c, c uses a"]);
    // From a folder into a file that uses the folder.
    let found = circles(&[
        ("lib.rs", "mod a;\nmod b;\n"),
        ("a/mod.rs", "pub mod deep;\n"),
        ("a/deep.rs", "use crate::b::f;\n"),
        ("b.rs", "use crate::a::deep::g;\n"),
    ]);
    assert_eq!(found, ["a uses b, b uses a"]);
    // A folder counts as one; tests and comments may use anything.
    let found = circles(&[
        ("lib.rs", "mod a;\nmod b;\n"),
        ("a.rs", "mod part;\nuse crate::b;\nuse part::P;\n"),
        ("a/part.rs", "use super::A;\n"),
        (
            "b.rs",
            "// crate::a\n#[cfg(test)]\nmod tests {\n    use crate::a;\n}\n",
        ),
    ]);
    assert!(found.is_empty(), "{found:?}");
}

impl Crate {
    fn read(files: &BTreeMap<PathBuf, String>, library: &Path) -> Crate {
        let mut made = Crate(BTreeMap::new());
        made.add(files, library, Vec::new());
        made
    }

    fn add(&mut self, files: &BTreeMap<PathBuf, String>, file: &Path, name: Name) {
        let text = code(&files[file]);
        let stem = file.file_stem().unwrap().to_str().unwrap();
        let folder = match stem {
            "lib" | "mod" => file.parent().unwrap().to_owned(),
            stem => file.with_file_name(stem),
        };
        let mut module = Module::read(&text);
        module.children.retain(|child| {
            let places = [format!("{child}.rs"), format!("{child}/mod.rs")];
            let places = places.map(|place| folder.join(place));
            let place = places.iter().find(|place| files.contains_key(*place));
            if let Some(place) = place {
                self.add(files, place, join(&name, std::slice::from_ref(child)));
            }
            place.is_some()
        });
        self.0.insert(name, module);
    }

    /// Each circle, by its shortest path.
    fn circles(&self) -> Vec<String> {
        let edges = self.edges();
        let mut found = Vec::new();
        for parent in self.0.keys() {
            let mut graph: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
            let below = |name: &Name| name.len() > parent.len() && name.starts_with(parent);
            for (from, to) in edges.iter().filter(|(a, b)| below(a) && below(b)) {
                let (from, to) = (from[parent.len()].as_str(), to[parent.len()].as_str());
                if from != to {
                    graph.entry(from).or_default().insert(to);
                }
            }
            let mut told: BTreeSet<&str> = BTreeSet::new();
            for start in graph
                .keys()
                .filter(|start| !told.contains(**start))
                .copied()
                .collect::<Vec<_>>()
            {
                let Some(way) = way_round(&graph, start).filter(|_| !told.contains(start)) else {
                    continue;
                };
                told.extend(&way);
                let next = way.iter().skip(1).chain(&way[..1]);
                let pairs = way.iter().zip(next);
                let pairs: Vec<_> = pairs.map(|(a, b)| format!("{a} uses {b}")).collect();
                let place: String = parent.iter().map(|part| format!("{part}::")).collect();
                found.push(format!("{place}{}", pairs.join(", ")));
            }
        }
        found
    }

    /// Which module uses which.
    fn edges(&self) -> BTreeSet<(&Name, Name)> {
        let mut edges = BTreeSet::new();
        for (name, module) in &self.0 {
            for path in &module.paths {
                if let Some(used) = self.resolve(name, path, 0)
                    && used != *name
                {
                    edges.insert((name, used));
                }
            }
        }
        edges
    }

    /// The sibling module that a path leads to; `None` if it leads elsewhere.
    fn resolve(&self, from: &Name, path: &[String], depth: usize) -> Option<Name> {
        const DEEPEST: usize = 12;
        let mut at = from.clone();
        let mut rest = path;
        match rest.first()?.as_str() {
            _ if depth > DEEPEST => return None,
            "crate" => {
                at.clear();
                rest = &rest[1..];
            }
            "self" | "super" => {
                while let Some(word @ ("self" | "super")) = rest.first().map(String::as_str) {
                    if word == "super" {
                        at.pop();
                    }
                    rest = &rest[1..];
                }
            }
            first => {
                let module = &self.0[&at];
                if !module.children.iter().any(|child| child == first) {
                    let known = module.imports.get(first);
                    let known = known.filter(|known| known[0] != first)?;
                    return self.resolve(&at, &join(known, &rest[1..]), depth + 1);
                }
            }
        }
        while let Some(first) = rest.first() {
            let module = &self.0[&at];
            if module.children.contains(first) {
                at.push(first.clone());
                rest = &rest[1..];
            } else if let Some(known) = module.imports.get(first) {
                return self.resolve(&at, &join(known, &rest[1..]), depth + 1);
            } else {
                break;
            }
        }
        Some(at)
    }
}

impl Module {
    fn read(text: &str) -> Module {
        let mut module = Module::default();
        for found in CHILD.captures_iter(text) {
            module.children.push(found[1].to_owned());
        }
        for found in USING.captures_iter(text) {
            for (name, path) in leaves(&[], &found[1]) {
                module.paths.push(path.clone());
                module.imports.insert(name, path);
            }
        }
        let rest = USING.replace_all(text, "");
        for found in PATH.find_iter(&rest) {
            module.paths.push(names(found.as_str()));
        }
        module
    }
}

/// The shortest path from a module back to itself.
fn way_round<'a>(
    graph: &BTreeMap<&'a str, BTreeSet<&'a str>>,
    start: &'a str,
) -> Option<Vec<&'a str>> {
    let mut ways = vec![vec![start]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in graph.get(way.last()?).into_iter().flatten() {
                if *next == start {
                    return Some(way);
                }
                if seen.insert(*next) {
                    longer.push([way.as_slice(), &[*next]].concat());
                }
            }
        }
        ways = longer;
    }
    None
}

/// A file without comments and tests.
fn code(text: &str) -> String {
    let end = TESTS.find(text).map_or(text.len(), |found| found.start());
    let text = TESTS_FILE.replace_all(&text[..end], "");
    let comment = |line: &&str| !line.trim_start().starts_with("//");
    text.lines().filter(comment).collect::<Vec<_>>().join("\n")
}

/// The names that a `use` imports, with their full paths.
fn leaves(before: &[String], tree: &str) -> Vec<(String, Name)> {
    let tree = tree.trim();
    let Some((head, group)) = tree.split_once('{') else {
        let (path, alias) = tree.split_once(" as ").unwrap_or((tree, ""));
        let mut path = join(before, &names(path));
        if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
            path.pop();
        }
        let name = Some(alias.to_owned()).filter(|alias| !alias.is_empty());
        return match name.or_else(|| path.last().cloned()) {
            Some(name) if name != "*" => vec![(name, path)],
            _ => Vec::new(),
        };
    };
    let before = join(before, &names(head));
    let group = group.rsplit_once('}').map_or(group, |(group, _)| group);
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for letter in group.chars() {
        match letter {
            ',' if depth == 0 => parts.push(String::new()),
            letter => {
                depth += i32::from(letter == '{') - i32::from(letter == '}');
                parts.last_mut().unwrap().push(letter);
            }
        }
    }
    parts.retain(|part| !part.trim().is_empty());
    parts
        .iter()
        .flat_map(|part| leaves(&before, part))
        .collect()
}

fn names(path: &str) -> Name {
    let names = path.split("::").map(str::trim);
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

fn join(a: &[String], b: &[String]) -> Name {
    [a, b].concat()
}
