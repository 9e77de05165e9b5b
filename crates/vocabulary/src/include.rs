//! `gossfile`: inserts the checks of other files. Reads files; does not interpret the checks.

use std::path::{Path, PathBuf};

use crate::files::Files;
use crate::manual::{self, Spanned, TypedCheck};
use crate::source::{Passage, Problem, Source, Span};
use crate::wildcard::{fits, is_pattern};
use crate::yaml::{self, Value, Yaml};

/// How deep gossfiles may be nested.
const DEPTH: usize = 16;
/// How many files one contract may include.
const MOST: usize = 1_000;

/// Replaces each `gossfile` by the checks of its files. Names are relative to the file that
/// contains them, or in a page to the root. A name with `*` or `?` includes every matching file,
/// sorted by name. Checks in several files are merged as in goss.
#[must_use]
pub fn include(files: &Files, typed: Vec<TypedCheck>) -> (Vec<TypedCheck>, Vec<Problem>) {
    let mut reader = Reader {
        files,
        read: 0,
        open: Vec::new(),
        trail: Vec::new(),
        checks: Vec::new(),
        problems: Vec::new(),
    };
    reader.take(typed);
    reader.merge();
    let checks = reader.checks.into_iter();
    (checks.map(|(_, check)| check).collect(), reader.problems)
}

/// The names by which a file was included, from the outermost, each with the index among its
/// matches. goss merges in this order: first a file's own checks, then its includes.
type Trail = Vec<(String, usize)>;

struct Reader<'a> {
    files: &'a Files,
    /// The number of files read.
    read: usize,
    /// The files being read, from the outermost; relative to the root.
    open: Vec<PathBuf>,
    trail: Trail,
    checks: Vec<(Trail, TypedCheck)>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn take(&mut self, typed: Vec<TypedCheck>) {
        for check in typed {
            if is_include(&check) {
                self.include(&check);
            } else {
                self.checks.push((self.trail.clone(), check));
            }
        }
    }

    fn include(&mut self, check: &TypedCheck) {
        let Some(name) = self.name(check) else {
            return;
        };
        if Path::new(&name.value).is_absolute() {
            let message = format!("`{}` is not in the folder of the manual", name.value);
            self.problem("gossfile", &name.span, message);
            return;
        }
        let near = name.span.path().with_file_name(&name.value);
        let mut files = find(self.files, &near);
        if files.is_empty() && self.open.is_empty() {
            files = find(self.files, Path::new(&name.value));
        }
        if files.is_empty() {
            let message = format!("there is no file `{}`", near.display());
            self.problem("gossfile", &name.span, message);
        }
        for (number, file) in files.into_iter().enumerate() {
            self.trail.push((name.value.clone(), number));
            self.file(&file, &name.span);
            self.trail.pop();
        }
    }

    /// The name to include; `None` if it is skipped.
    fn name(&mut self, check: &TypedCheck) -> Option<Spanned<String>> {
        let empty = yaml::Map::new();
        let map = match &check.attributes.value {
            Value::Map(map) => map,
            Value::Null => &empty,
            _ => {
                let message = "`gossfile` takes a map: `{file: NAME}`";
                self.problem("gossfile", &check.attributes.span, message.to_owned());
                return None;
            }
        };
        let mut name = check.resource.clone();
        for (key, entry) in map {
            match (key.as_str(), &entry.value.value) {
                ("skip", Value::Bool(true)) => return None,
                ("skip", Value::Bool(false)) | ("title" | "meta", _) => {}
                ("file", Value::Str(file)) => {
                    name = Spanned {
                        value: file.clone(),
                        span: entry.value.span.clone(),
                    };
                }
                (key, _) => {
                    let message = format!("`gossfile` has no attribute `{key}`, or not this value");
                    let problem = Problem::error("gossfile", entry.key.clone(), message);
                    self.problems
                        .push(problem.hint("only `file: NAME` and `skip: true` are possible"));
                    return None;
                }
            }
        }
        Some(name)
    }

    fn file(&mut self, path: &Path, included: &Span) {
        if self.open.iter().any(|open| open == path) {
            let message = format!("`{}` includes itself", path.display());
            self.problem("gossfile", included, message);
            return;
        }
        if self.open.len() == DEPTH {
            let message = format!("gossfiles include each other more than {DEPTH} deep");
            self.problem("gossfile", included, message);
            return;
        }
        self.read += 1;
        if self.read > MOST {
            if self.read == MOST + 1 {
                let message = format!("more than {MOST} files are included here");
                self.problem("gossfile", included, message);
            }
            return;
        }
        let text = match self.files.text(path, crate::files::MAX_TEXT) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("cannot read `{}`: {error}", path.display());
                self.problem("gossfile", included, message);
                return;
            }
        };
        let source = Source::new(path, text);
        let passage = Passage::whole(&source);
        let templates = manual::go_templates(&passage);
        if !templates.is_empty() {
            self.problems.extend(templates);
            return;
        }
        let (yaml, problems) = yaml::read_with_anchors(&passage);
        self.problems.extend(problems);
        let Some(yaml) = yaml else { return };
        self.open.push(path.to_owned());
        let typed = self.checks_of(&yaml);
        self.take(typed);
        self.open.pop();
    }

    fn checks_of(&mut self, yaml: &Yaml) -> Vec<TypedCheck> {
        let mut typed = Vec::new();
        let Some(kinds) = self.map(yaml) else {
            return typed;
        };
        for (kind, entry) in kinds {
            let Some(resources) = self.map(&entry.value) else {
                continue;
            };
            for (resource, attributes) in resources {
                let mut yaml = attributes.value.clone();
                if !self.open.is_empty() {
                    self.leave_out_empty(&mut yaml);
                }
                typed.push(TypedCheck {
                    kind: spanned(kind, &entry.key),
                    resource: spanned(resource, &attributes.key),
                    attributes: yaml,
                });
            }
        }
        typed
    }

    /// `goss add` writes empty lists and `goss render` nulls, which assert nothing: a warning in a
    /// goss file, and an error in the manual.
    fn leave_out_empty(&mut self, attributes: &mut Yaml) {
        let Value::Map(map) = &mut attributes.value else {
            return;
        };
        map.retain(|name, entry| {
            let empty = match &entry.value.value {
                Value::Seq(items) if items.is_empty() => Some(format!("an empty list in `{name}`")),
                Value::Null => Some(format!("`{name}` without a value")),
                _ => None,
            };
            if let Some(empty) = &empty {
                let message = format!("{empty} asserts nothing, and is left out");
                let span = entry.value.span.clone();
                self.problems
                    .push(Problem::warning("empty-list", span, message));
            }
            empty.is_none()
        });
    }

    fn map<'y>(&mut self, yaml: &'y Yaml) -> Option<&'y yaml::Map> {
        match &yaml.value {
            Value::Map(map) => Some(map),
            Value::Null => None,
            _ => {
                let message = format!(
                    "a gossfile is types, each a map of names; found {}",
                    yaml.kind()
                );
                self.problem("gossfile", &yaml.span, message);
                None
            }
        }
    }

    /// If several files define one resource, the last one counts, as in goss, and differences are
    /// reported. The page's own checks have priority over files.
    fn merge(&mut self) {
        let mut kept: indexmap::IndexMap<(String, String), (Trail, TypedCheck)> =
            indexmap::IndexMap::new();
        for (trail, check) in std::mem::take(&mut self.checks) {
            let kind = check.kind.value.replace('_', "-");
            let name = (kind, check.resource.value.clone());
            let Some((other, first)) = kept.get_mut(&name) else {
                kept.insert(name, (trail, check));
                continue;
            };
            let same = check.resource.span == first.resource.span;
            if same || written(&check) == written(first) && !other.is_empty() && !trail.is_empty() {
                continue;
            }
            let (what, here) = (check.resource.value.clone(), check.resource.span.clone());
            let what = format!("`{}/{what}` is in this group twice", check.kind.value);
            let there = first.resource.span.clone();
            let problem = if other.is_empty() || trail.is_empty() {
                Problem::error("duplicate-check", here, what).note(there, "first here")
            } else if *other <= trail {
                (*other, *first) = (trail, check);
                let what = format!("{what}; this one is used, as in goss");
                Problem::warning("duplicate-check", here, what).note(there, "and not this one")
            } else {
                let what = format!("{what}; this one is used, as in goss");
                Problem::warning("duplicate-check", there, what).note(here, "and not this one")
            };
            self.problems.push(problem);
        }
        self.checks = kept.into_values().collect();
    }

    fn problem(&mut self, code: &'static str, span: &Span, message: String) {
        self.problems
            .push(Problem::error(code, span.clone(), message));
    }
}

/// The attributes as written in the file.
fn written(check: &TypedCheck) -> &str {
    check.attributes.span.text()
}

fn is_include(check: &TypedCheck) -> bool {
    check.kind.value == "gossfile"
}

fn spanned(value: &str, span: &Span) -> Spanned<String> {
    Spanned {
        value: value.to_owned(),
        span: span.clone(),
    }
}

/// The files that a name with `*` and `?` matches, relative to the root, sorted.
fn find(files: &Files, pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let part = part.as_os_str().to_string_lossy();
        if !is_pattern(&part) {
            for path in &mut found {
                if part == ".." {
                    path.pop();
                } else if part != "." {
                    path.push(&*part);
                }
            }
            continue;
        }
        let mut deeper = Vec::new();
        for folder in found {
            let Ok(entries) = std::fs::read_dir(files.root().join(&folder)) else {
                continue;
            };
            for entry in entries.flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if is_meant(&part, &name) {
                    deeper.push(folder.join(name));
                }
            }
        }
        found = deeper;
    }
    // Existing files that are refused are reported when they are read.
    found.retain(|path| files.root().join(path).symlink_metadata().is_ok());
    found.sort();
    found
}

/// A pattern matches a leading dot only literally.
fn is_meant(pattern: &str, name: &str) -> bool {
    (!name.starts_with('.') || pattern.starts_with('.'))
        && fits(pattern.as_bytes(), name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn includes(files: &[(&str, &str)], text: &str) -> (Vec<String>, String) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let source = Source::new("manual/a.md", text);
        let (yaml, problems) = yaml::read(&Passage::whole(&source));
        assert!(problems.is_empty());
        let mut reader = Reader {
            files: &Files::of(folder.path()),
            read: 0,
            open: Vec::new(),
            trail: Vec::new(),
            checks: Vec::new(),
            problems: Vec::new(),
        };
        let typed = reader.checks_of(&yaml.unwrap());
        let (checks, problems) = include(&Files::of(folder.path()), typed);
        let names = checks
            .iter()
            .map(|check| {
                format!(
                    "{}/{} {}",
                    check.kind.value,
                    check.resource.value,
                    check.resource.span.place()
                )
            })
            .collect();
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        (names, problems.join("\n"))
    }

    #[test]
    fn included_checks_stand_where_they_are_included() {
        let (names, problems) = includes(
            &[
                (
                    "goss/a.yaml",
                    "file:\n  /a: {}\ngossfile:\n  sub/c.yaml: {}\n",
                ),
                ("goss/b.yaml", "user: {b: {exists: true}}\n"),
                (
                    "goss/sub/c.yaml",
                    "group:\n  c: {}\ngossfile: {../../d.yaml: {}}\n",
                ),
                ("d.yaml", "port: {22: {}}\n"),
                ("manual/f.yaml", "port: {24: {}}\n"),
                ("f.yaml", "port: {25: {}}\n"),
                ("e.yaml", "port: {23: {}}\n"),
            ],
            "user: {first: {}}\ngossfile:\n  ../goss/*.yaml: {}\n  e.yaml: {skip: true}\n  mine: {file: e.yaml}\n  f.yaml: {}\n",
        );
        assert_eq!(problems, "");
        assert_eq!(
            names,
            [
                "user/first manual/a.md:1",
                "file//a goss/a.yaml:2",
                "group/c goss/sub/c.yaml:2",
                "port/22 d.yaml:1",
                "user/b goss/b.yaml:1",
                "port/23 e.yaml:1",
                "port/24 manual/f.yaml:1",
            ]
        );
    }

    #[test]
    fn a_file_may_have_anchors() {
        let (names, problems) = includes(
            &[(
                "a.yaml",
                "file:\n  /a: &a {exists: true, mode: &m '0644'}\n  /b: *a\n  /c: {<<: *a, mode: '0600'}\n  /d: {<<: [*a, {owner: root}]}\n  /e: {mode: *m}\n",
            )],
            "gossfile: {a.yaml: {}}\n",
        );
        assert_eq!(problems, "");
        assert_eq!(names.len(), 5);
    }

    /// Each row as goss 0.4 merges it.
    #[test]
    fn what_is_in_several_files_is_there_once() {
        let files = [
            ("a.yaml", "gossfile: {b.yaml: {}, c.yaml: {}}\n"),
            (
                "b.yaml",
                "gossfile: {c.yaml: {}}\nfile: {/tmp: {exists: true}}\n",
            ),
            ("c.yaml", "command: {x: {exit-status: 0}}\n"),
            ("d.yaml", "command: {x: {exit-status: 0}}\n"),
            ("e.yaml", "command: {x: {exit-status: 1}}\n"),
            (
                "f.yaml",
                "gossfile: {e.yaml: {}}\ncommand: {x: {exit-status: 2}}\n",
            ),
        ];
        for (text, expected, problem) in [
            ("{a.yaml: {}}", "command/x c.yaml:1 file//tmp b.yaml:2", ""),
            (
                "{a.yaml: {}, c.yaml: {}, '?.yaml': {skip: true}}",
                "command/x c.yaml:1 file//tmp b.yaml:2",
                "",
            ),
            ("{c.yaml: {}, d.yaml: {}}", "command/x c.yaml:1", ""),
            (
                "{c.yaml: {}, e.yaml: {}}",
                "command/x e.yaml:1",
                "e.yaml:1:11: warning: `command/x` is in this group twice; this one is used, as in goss [duplicate-check]",
            ),
            (
                "{e.yaml: {}, c.yaml: {}}",
                "command/x e.yaml:1",
                "e.yaml:1:11: warning: `command/x` is in this group twice; this one is used, as in goss [duplicate-check]",
            ),
            (
                "{f.yaml: {}}",
                "command/x e.yaml:1",
                "e.yaml:1:11: warning: `command/x` is in this group twice; this one is used, as in goss [duplicate-check]",
            ),
        ] {
            let (mut names, problems) = includes(&files, &format!("gossfile: {text}\n"));
            names.sort();
            assert_eq!(names.join(" "), expected, "{text}");
            assert_eq!(
                problems.lines().next().unwrap_or_default(),
                problem,
                "{text}"
            );
        }
    }

    #[test]
    fn what_cannot_be_included_says_where() {
        for (files, text, expected) in [
            (
                &[][..],
                "gossfile:\n  none.yaml: {}\n",
                "manual/a.md:2:3: error: there is no file `manual/none.yaml`\n  |\n2 |   none.yaml: {}\n  |   ^^^^^^^^^",
            ),
            (
                &[],
                "gossfile:\n  /etc/goss.yaml: {}\n",
                "manual/a.md:2:3: error: `/etc/goss.yaml` is not in the folder of the manual\n  |\n2 |   /etc/goss.yaml: {}\n  |   ^^^^^^^^^^^^^^",
            ),
            (
                &[("a.yaml", "gossfile: {a.yaml: {}}\n")],
                "gossfile: {a.yaml: {}}\n",
                "a.yaml:1:12: error: `a.yaml` includes itself\n  |\n1 | gossfile: {a.yaml: {}}\n  |            ^^^^^^",
            ),
            (
                &[("a.yaml", "user: {x: {}}\n")],
                "user: {x: {}}\ngossfile: {a.yaml: {}}\n",
                "a.yaml:1:8: error: `user/x` is in this group twice\n  |\n1 | user: {x: {}}\n  |        ^\nmanual/a.md:1:8: first here\n  |\n1 | user: {x: {}}\n  |        ^",
            ),
            (
                &[("a.yaml", "command: {x: {exit-status: 0, stderr: []}}\n")],
                "gossfile: {a.yaml: {}}\n",
                "a.yaml:1:39: warning: an empty list in `stderr` asserts nothing, and is left out [empty-list]\n  |\n1 | command: {x: {exit-status: 0, stderr: []}}\n  |                                       ^^",
            ),
            (
                &[("a.yaml", "command: {x: {exit-status: 0, stderr: null}}\n")],
                "gossfile: {a.yaml: {}}\n",
                "a.yaml:1:39: warning: `stderr` without a value asserts nothing, and is left out [empty-list]\n  |\n1 | command: {x: {exit-status: 0, stderr: null}}\n  |                                       ^^^^",
            ),
            (
                &[("a.yaml", "file: {/a: {<<: x}}\n")],
                "gossfile: {a.yaml: {}}\n",
                "a.yaml:1:13: error: `<<` takes a map, or a list of maps\n  |\n1 | file: {/a: {<<: x}}\n  |             ^^",
            ),
            (
                &[("a.yaml", "[1]\n")],
                "gossfile: {a.yaml: {}}\n",
                "a.yaml:1:1: error: a gossfile is types, each a map of names; found a list\n  |\n1 | [1]\n  | ^^^",
            ),
        ] {
            let (_, problems) = includes(files, text);
            assert_eq!(problems, expected);
        }
    }

    #[test]
    fn a_go_template_is_told() {
        let (_, problems) = includes(
            &[("a.yaml", "file:\n  {{.}}: {}\n")],
            "gossfile: {a.yaml: {}}\n",
        );
        assert_eq!(
            problems,
            "a.yaml:2:3: error: Go templates are not supported\n  |\n2 |   {{.}}: {}\n  |   \
             ^^^^^^^^^\n\nhint: write the value out, or `${name}` for a value of the node"
        );
    }

    #[test]
    fn what_a_command_formats_is_no_template() {
        for (line, expected) in [
            ("{{- range $name, $ver := index .Vars .Env.OS}}", true),
            ("  - {{$ver}}", true),
            ("  runlevels: {{toJson $runlevels}}", true),
            ("  content: {{ \"hello!\" | upper }}", true),
            ("  \"/srv/{{ .Env.HOME }}\":", true),
            ("  exec: \"test {{ .Vars.port }}\"", true),
            ("  # {{ .Vars.port }}", false),
            ("  exec: docker ps --format '{{.Names}}'", false),
            (
                "  exec: docker inspect -f '{{range .Mounts}}{{.Source}}{{end}}' db",
                false,
            ),
            ("  exec: docker inspect -f '{{.Config.Env}}' db", false),
        ] {
            let source = Source::new("a.yaml", line);
            let found = manual::go_templates(&Passage::whole(&source));
            assert_eq!(!found.is_empty(), expected, "{line}");
        }
    }

    #[test]
    fn patterns_of_names() {
        for (pattern, name, expected) in [
            ("*.yaml", "a.yaml", true),
            ("*.yaml", "a.yml", false),
            ("goss-?.yaml", "goss-1.yaml", true),
            ("*", ".hidden", false),
            (".*", ".hidden", true),
        ] {
            assert_eq!(is_meant(pattern, name), expected, "{pattern}");
        }
    }
}
