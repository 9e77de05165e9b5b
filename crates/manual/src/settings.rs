//! Reads the manual's settings from `book.toml` and reports errors with their places. The crate
//! `package` reads `opsbook.toml`.

use std::ffi::OsStr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::files::normal;
use crate::formula::Syntax;
use crate::source::{Problem, Source, Span, nearest};
use crate::{self as manual, Application, MarkdownSettings, Settings, Wanted};

/// The tables of `book.toml` with known keys. Other renderers and preprocessors may have any keys
/// in their own tables.
const KNOWN: [(&str, &[&str]); 11] = [
    (
        "",
        &[
            "book",
            "build",
            "rust",
            "output",
            "preprocessor",
            "applications",
        ],
    ),
    (
        "book",
        &[
            "title",
            "authors",
            "description",
            "src",
            "language",
            "text-direction",
        ],
    ),
    (
        "build",
        &[
            "build-dir",
            "create-missing",
            "use-default-preprocessors",
            "extra-watch-dirs",
        ],
    ),
    ("rust", &["edition"]),
    (
        "output.html",
        &[
            "theme",
            "default-theme",
            "preferred-dark-theme",
            "smart-punctuation",
            "definition-lists",
            "admonitions",
            "mathjax-support",
            "additional-css",
            "additional-js",
            "fold",
            "playground",
            "playpen",
            "code",
            "print",
            "no-section-label",
            "search",
            "git-repository-url",
            "git-repository-icon",
            "input-404",
            "site-url",
            "cname",
            "edit-url-template",
            "live-reload-endpoint",
            "redirect",
            "hash-files",
            "sidebar-header-nav",
        ],
    ),
    ("output.html.fold", &["enable", "level"]),
    (
        "output.html.playground",
        &[
            "editable",
            "copyable",
            "copy-js",
            "line-numbers",
            "runnable",
        ],
    ),
    ("output.html.code", &["hidelines"]),
    ("output.html.print", &["enable", "page-break"]),
    (
        "output.html.search",
        &[
            "enable",
            "limit-results",
            "teaser-word-count",
            "use-boolean-and",
            "boost-title",
            "boost-hierarchy",
            "boost-paragraph",
            "expand",
            "heading-split-level",
            "copy-js",
            "chapter",
        ],
    ),
    // The second half belongs to mdBook's `[output.html]`.
    (
        "preprocessor.opsbook",
        &[
            "strict",
            "nodes",
            "test-nodes",
            "allow-html",
            "results-days",
            "state",
            "review-days",
            "chapters",
            "foreign-words",
            "silence",
            "command",
            "after",
            "before",
            "renderer",
            "renderers",
            "optional",
            "applications",
        ],
    ),
];

/// Keys of older mdBook versions, and what to do about them.
const FORMER: [(&str, &str, &str); 5] = [
    (
        "book",
        "multilingual",
        "delete it: mdBook 0.5 has no such key",
    ),
    (
        "output.html",
        "curly-quotes",
        "write `smart-punctuation` instead",
    ),
    (
        "output.html",
        "google-analytics",
        "delete it; scripts belong in `theme/head.hbs`",
    ),
    (
        "output.html",
        "copy-fonts",
        "delete it; fonts belong in `theme/fonts/`",
    ),
    (
        "output.html",
        "livereload-url",
        "write `live-reload-endpoint` instead",
    ),
];

/// Reads the settings; an unreadable setting gets its default.
pub(crate) fn read(source: &Arc<Source>, problems: &mut Vec<Problem>) -> Settings {
    let (document, errors) = DeTable::parse_recoverable(&source.text);
    let whole = errors.is_empty();
    for error in errors {
        let span = Span::new(source, error.span().unwrap_or(0..0));
        problems.push(Problem::error("bad-settings", span, error.message()));
    }
    let mut reader = Reader { source, problems };
    let book = document.get_ref();
    // In malformed text, keys may seem to be in the wrong table.
    if whole {
        reader.known_keys(book);
        reader.misspelt(book);
    }
    let ours = table(book, &["preprocessor", "opsbook"]);
    let html = table(book, &["output", "html"]);
    let named = table(book, &["book"]).and_then(|book| reader.string(book, "src"));
    let source_at = named.as_ref().map(|src| src.span.clone());
    let source = PathBuf::from(named.map_or_else(|| "src".to_owned(), |src| src.value));
    let state = ours.and_then(|ours| reader.state(ours, &source));
    let switch = |reader: &mut Reader<'_>, key| {
        html.and_then(|html| reader.boolean(html, key))
            .unwrap_or(true)
    };
    Settings {
        strict: ours
            .and_then(|ours| reader.boolean(ours, "strict"))
            .unwrap_or_default(),
        allow_html: ours
            .and_then(|ours| reader.boolean(ours, "allow-html"))
            .unwrap_or_default(),
        nodes: ours
            .and_then(|ours| reader.string(ours, "nodes"))
            .map(|nodes| manual::Spanned {
                value: PathBuf::from(nodes.value),
                span: nodes.span,
            }),
        state,
        applications: reader.applications(book, ours),
        silence: ours.map_or_else(Vec::new, |ours| reader.strings(ours, "silence")),
        test_nodes: ours.and_then(|ours| reader.string(ours, "test-nodes")),
        results_days: ours.and_then(|ours| reader.days(ours, "results-days")),
        source,
        source_at,
        review_days: ours.and_then(|ours| reader.days(ours, "review-days")),
        chapters: reader.wanted(ours, "chapters"),
        foreign_words: reader.wanted(ours, "foreign-words"),
        markdown: MarkdownSettings {
            smart_punctuation: switch(&mut reader, "smart-punctuation"),
            definition_lists: switch(&mut reader, "definition-lists"),
            admonitions: switch(&mut reader, "admonitions"),
        },
        formulas: match html.and_then(|html| reader.boolean(html, "mathjax-support")) {
            Some(true) => Syntax::Mathjax,
            _ => Syntax::Fences,
        },
    }
}

struct Reader<'a> {
    source: &'a Arc<Source>,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn known_keys(&mut self, book: &DeTable<'_>) {
        for (path, known) in KNOWN {
            let names: Vec<&str> = path.split('.').filter(|name| !name.is_empty()).collect();
            let Some(table) = table(book, &names) else {
                continue;
            };
            for key in table.keys() {
                let name: &str = key.get_ref();
                if !known.contains(&name) {
                    let problem = self.unknown(path, name, key.span(), known);
                    self.problems.push(problem);
                }
            }
        }
    }

    /// Reports a preprocessor without a command whose name is similar to ours.
    fn misspelt(&mut self, book: &DeTable<'_>) {
        for (key, value) in table(book, &["preprocessor"]).into_iter().flatten() {
            let name: &str = key.get_ref();
            let commanded = value.get_ref().get("command").is_some();
            if name != "opsbook" && !commanded && nearest(name, ["opsbook"]).is_some() {
                let message = format!("unknown preprocessor `{name}`");
                let problem = Problem::error("unknown-key", self.span(key.span()), message);
                self.problems.push(problem.did_you_mean(name, ["opsbook"]));
            }
        }
    }

    fn unknown(&self, path: &str, name: &str, at: Range<usize>, known: &[&'static str]) -> Problem {
        let place = match path {
            "" => "`book.toml`".to_owned(),
            path => format!("`[{path}]`"),
        };
        let problem = Problem::error(
            "unknown-key",
            self.span(at),
            format!("unknown key `{name}` of {place}"),
        );
        let former = FORMER
            .iter()
            .find(|(table, key, _)| *table == path && *key == name);
        match former {
            Some((.., advice)) => problem.hint(*advice),
            None => problem.did_you_mean(name, known.iter().copied()),
        }
    }

    /// `[applications.NAME]`, or `[preprocessor.opsbook.applications.NAME]` in a file that mdBook
    /// reads, too.
    fn applications(
        &mut self,
        book: &DeTable<'_>,
        ours: Option<&DeTable<'_>>,
    ) -> IndexMap<String, Application> {
        const KEYS: [&str; 3] = ["procedures", "nodes", "version"];
        let mut all = IndexMap::new();
        let above = table(book, &["applications"]);
        let below = ours.and_then(|ours| table(ours, &["applications"]));
        for (key, value) in above.into_iter().chain(below).flatten() {
            let name: &str = key.get_ref();
            let Some(own) = value.get_ref().as_table() else {
                self.wrong(value, name, "a table");
                continue;
            };
            for key in own.keys().filter(|key| !KEYS.contains(&&**key.get_ref())) {
                let path = format!("applications.{name}");
                let problem = self.unknown(&path, key.get_ref(), key.span(), &KEYS);
                self.problems.push(problem);
            }
            let procedures = self.string(own, "procedures");
            let nodes = self.string(own, "nodes");
            let version = self.string(own, "version");
            let (Some(procedures), Some(nodes)) = (procedures, nodes) else {
                let message = format!("the application `{name}` needs `procedures` and `nodes`");
                let span = self.span(key.span());
                self.problems
                    .push(Problem::error("bad-settings", span, message));
                continue;
            };
            all.insert(
                name.to_owned(),
                Application {
                    procedures,
                    nodes,
                    version,
                },
            );
        }
        all
    }

    fn boolean(&mut self, table: &DeTable<'_>, key: &str) -> Option<bool> {
        let value = table.get(key)?;
        let found = value.get_ref().as_bool();
        if found.is_none() {
            self.wrong(value, key, "`true` or `false`");
        }
        found
    }

    fn wanted(&mut self, table: Option<&DeTable<'_>>, key: &str) -> Wanted {
        match table.and_then(|table| self.boolean(table, key)) {
            Some(false) => Wanted::No,
            _ => Wanted::Yes,
        }
    }

    fn days(&mut self, table: &DeTable<'_>, key: &str) -> Option<u32> {
        let value = table.get(key)?;
        let found = value.get_ref().as_integer();
        let days = found.and_then(|found| found.as_str().parse().ok());
        if days.is_none() {
            self.wrong(value, key, "a number of days");
        }
        days
    }

    fn string(&mut self, table: &DeTable<'_>, key: &str) -> Option<manual::Spanned<String>> {
        let value = table.get(key)?;
        let Some(found) = value.get_ref().as_str() else {
            self.wrong(value, key, "text");
            return None;
        };
        Some(manual::Spanned {
            value: found.to_owned(),
            span: self.span(value.span()),
        })
    }

    fn strings(&mut self, table: &DeTable<'_>, key: &str) -> Vec<manual::Spanned<String>> {
        let Some(value) = table.get(key) else {
            return Vec::new();
        };
        let Some(items) = value.get_ref().as_array() else {
            self.wrong(value, key, "a list of texts");
            return Vec::new();
        };
        let mut found = Vec::new();
        for item in items {
            match item.get_ref().as_str() {
                Some(text) => found.push(manual::Spanned {
                    value: text.to_owned(),
                    span: self.span(item.span()),
                }),
                None => self.wrong(item, key, "a list of texts"),
            }
        }
        found
    }

    /// The folder of journals. It must not be inside the book's source: journals contain output of
    /// scripts, and mdBook publishes all files there.
    fn state(&mut self, table: &DeTable<'_>, source: &Path) -> Option<manual::Spanned<PathBuf>> {
        let manual::Spanned { value, span } = self.string(table, "state")?;
        let folder = normal(Path::new(&value));
        let hidden = |part: &OsStr| part.to_string_lossy().starts_with(['.', '~']);
        if value.is_empty() {
            let problem = Problem::error("bad-settings", span, "`state` names no folder");
            self.problems.push(problem);
            return None;
        }
        if folder.starts_with(normal(source)) && !folder.iter().any(hidden) {
            let message = format!("`{value}` is among the pages: the book would publish journals");
            let problem = Problem::error("state-in-book", span, message);
            let hint = "name a folder outside of the pages, or a hidden one, such as `.opsbook`";
            self.problems.push(problem.hint(hint));
            return None;
        }
        let value = PathBuf::from(value);
        Some(manual::Spanned { value, span })
    }

    fn wrong(&mut self, value: &Spanned<DeValue<'_>>, key: &str, wanted: &str) {
        let found = value.get_ref().type_str();
        let article = if found.starts_with(['a', 'i']) {
            "an"
        } else {
            "a"
        };
        self.problems.push(Problem::error(
            "bad-settings",
            self.span(value.span()),
            format!("`{key}` is {wanted}, not {article} {found}"),
        ));
    }

    fn span(&self, range: Range<usize>) -> Span {
        Span::new(self.source, range)
    }
}

fn table<'t>(from: &'t DeTable<'t>, path: &[&str]) -> Option<&'t DeTable<'t>> {
    let mut table = from;
    for name in path {
        let DeValue::Table(inner) = table.get(*name)?.get_ref() else {
            return None;
        };
        table = inner;
    }
    Some(table)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn settings(text: &str) -> (Settings, String) {
        let mut problems = Vec::new();
        let settings = read(&Source::new("book.toml", text), &mut problems);
        let drawn: Vec<String> = problems.iter().map(Problem::to_string).collect();
        (settings, drawn.join("\n"))
    }

    #[test]
    fn settings_are_read_and_the_rest_is_the_books() {
        let (mut settings, problems) = settings(
            "[book]\ntitle = \"x\"\nsrc = \"manual\"\n[output.html]\nsmart-punctuation = false\nmathjax-support = true\n[output.linkcheck]\nany = 1\n[preprocessor.opsbook]\nstrict = true\nnodes = \"infra\"\ntest-nodes = '@staging'\ncommand = \"opsbook preprocess\"\n",
        );
        assert_eq!(problems, "");
        let nodes = settings.nodes.take().unwrap();
        assert_eq!(nodes.value, Path::new("infra"));
        assert_eq!(nodes.span.text(), "\"infra\"");
        let test = settings.test_nodes.take().unwrap();
        assert_eq!((&*test.value, test.span.text()), ("@staging", "'@staging'"));
        assert_eq!(settings.source_at.take().unwrap().text(), "\"manual\"");
        assert_eq!(
            settings,
            Settings {
                applications: IndexMap::new(),
                strict: true,
                silence: Vec::new(),
                allow_html: false,
                results_days: None,
                review_days: None,
                chapters: Wanted::Yes,
                foreign_words: Wanted::Yes,
                nodes: None,
                state: None,
                test_nodes: None,
                source: PathBuf::from("manual"),
                source_at: None,
                markdown: MarkdownSettings {
                    smart_punctuation: false,
                    ..MarkdownSettings::default()
                },
                formulas: Syntax::Mathjax,
            }
        );
    }

    #[test]
    fn unknown_and_former_keys_are_named_with_their_place() {
        for (text, drawn) in [
            (
                "[preprocessor.opsbook]\nstrikt = true\n",
                "book.toml:2:1: error: unknown key `strikt` of `[preprocessor.opsbook]`\n  |\n2 | strikt = true\n  | ^^^^^^\n\nhint: did you mean `strict`?",
            ),
            (
                "[book]\nmultilingual = false\n",
                "book.toml:2:1: error: unknown key `multilingual` of `[book]`\n  |\n2 | multilingual = false\n  | ^^^^^^^^^^^^\n\nhint: delete it: mdBook 0.5 has no such key",
            ),
            (
                "[output.html]\ncurly-quotes = true\n",
                "book.toml:2:1: error: unknown key `curly-quotes` of `[output.html]`\n  |\n2 | curly-quotes = true\n  | ^^^^^^^^^^^^\n\nhint: write `smart-punctuation` instead",
            ),
            (
                "[preprocessor.opsbook]\nstrict = 1\n",
                "book.toml:2:10: error: `strict` is `true` or `false`, not an integer\n  \
                 |\n2 | strict = 1\n  |          ^",
            ),
            (
                "[preprocessor.opsbok]\nstrict = true\n",
                "book.toml:1:15: error: unknown preprocessor `opsbok`\n  |\n1 | [preprocessor.opsbok]\n  |               ^^^^^^\n\nhint: did you mean `opsbook`?",
            ),
            (
                "[book]\nsrc = \".\"\n[preprocessor.opsbook]\nstate = \"state\"\n",
                "book.toml:4:9: error: `state` is among the pages: the book would publish \
                 journals\n  |\n4 | state = \"state\"\n  |         ^^^^^^^\n\nhint: name a folder \
                 outside of the pages, or a hidden one, such as `.opsbook`",
            ),
            (
                "[preprocessor.opsbook]\nstate = \"\"\n",
                "book.toml:2:9: error: `state` names no folder\n  |\n2 | state = \"\"\n  |         ^^",
            ),
            (
                "[book]\nsrc = \".\"\n[preprocessor.opsbook]\nstate = \".state\"\n",
                "",
            ),
            ("[preprocessor.opsbook]\nstate = \"~/.state/x\"\n", ""),
            ("[preprocessor.opsbuch]\ncommand = \"x\"\n", ""),
            (
                "[preprocessor.opsbook\nstrict = true\n",
                "book.toml:1:22: error: unclosed table, expected `]`\n  |\n1 | [preprocessor.opsbook\n  |                      ^",
            ),
            (
                "[book\n",
                "book.toml:1:6: error: unclosed table, expected `]`\n  |\n1 | [book\n  |      ^",
            ),
        ] {
            assert_eq!(settings(text).1, drawn);
        }
    }
}
