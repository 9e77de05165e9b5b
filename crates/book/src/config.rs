//! Reads `book.toml` for the book, strictly, and reports errors with their places.
//!
//! mdBook drops the whole `[output.html]` because of one unknown key, prints a line and continues
//! with the defaults. Here that is an error. Features that would need the network or write into the
//! source folder are disabled.

use std::path::{Path, PathBuf};

use mdbook_driver::config::{Config, HtmlConfig};
use serde::Deserialize;

use crate::files::{Files, MAX_TEXT, Refused};
use crate::source::{Problem, Source, Span};

use super::{BookError, Commands, Options, sanitise, untrusted};

/// Settings of mdBook 0.4 that 0.5 no longer has, and their replacements.
const FORMER: [(&str, &str); 7] = [
    ("curly-quotes", "write `smart-punctuation` instead"),
    ("multilingual", "delete it: mdBook 0.5 has no such key"),
    (
        "google-analytics",
        "delete it: put the script into `theme/head.hbs` if you need it",
    ),
    (
        "copy-fonts",
        "delete it: put your own fonts into `theme/fonts/` instead",
    ),
    ("playpen", "write `playground` instead"),
    ("livereload-url", "delete it"),
    ("destination", "write `build-dir` under `[build]` instead"),
];

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "output")]
    _output: Option<Outputs>,
}

#[derive(Deserialize)]
struct Outputs {
    /// Only read to find errors.
    #[serde(rename = "html")]
    _html: Option<HtmlConfig>,
}

/// The settings in `book.toml`, made safe.
pub(super) struct Settings {
    pub config: Config,
    /// Warnings about what was disabled.
    pub problems: Vec<Problem>,
    /// The preprocessors that the book needs, and where they are named.
    pub wanted: Vec<(String, Span)>,
    /// The commands that run for the book.
    pub commands: Vec<String>,
}

/// The book's settings; the defaults without a `book.toml`.
pub(super) fn load(files: &Files, options: &Options) -> Result<Settings, BookError> {
    let root = files.root();
    let text = match files.text(Path::new("book.toml"), MAX_TEXT) {
        Ok(text) => text,
        Err(Refused::Missing) => {
            return Ok(Settings {
                config: found_pages(root, unwritten(root)?),
                problems: Vec::new(),
                wanted: Vec::new(),
                commands: Vec::new(),
            });
        }
        Err(why) => {
            let problem = Problem::bare("book-config", format!("`book.toml`: {why}"));
            return Err(BookError::Config(Box::new(problem)));
        }
    };
    let source = Source::new("book.toml", text);
    let mut config = read(&source).map_err(|problem| BookError::Config(Box::new(problem)))?;
    let mut problems = Vec::new();
    if options.untrusted {
        let (plain, left_out) = untrusted::settings(&config, &source)
            .map_err(|error| BookError::Render(format!("{error:#}")))?;
        config = plain;
        problems.extend(left_out);
    }
    let update = |config: &mut Config| {
        if options.untrusted {
            return Ok(());
        }
        config.update_from_env()
    };
    let mut commands = Vec::new();
    let leave = |config: &mut Config, problems: &mut Vec<Problem>| match options.commands {
        Commands::Run => Ok(()),
        Commands::Leave => left(config, &source, problems),
    };
    let wanted = update(&mut config)
        .and_then(|()| confine(&mut config, &source, &mut problems))
        .and_then(|()| leave(&mut config, &mut problems))
        .and_then(|()| own_includes(&mut config))
        .and_then(|()| {
            if options.commands == Commands::Run {
                commands = self::commands(&config)?;
            }
            wanted(&mut config, &source)
        })
        .map_err(|error| {
            let message = format!("cannot use these settings: {error:#}");
            BookError::Config(Box::new(Problem::bare("book-config", message)))
        })?;
    Ok(Settings {
        config: found_pages(root, config),
        problems,
        wanted,
        commands,
    })
}

/// Without a folder `src`, uses all pages below the root, like the manual.
fn found_pages(root: &Path, mut config: Config) -> Config {
    if !root.join(&config.book.src).is_dir() {
        config.book.src = PathBuf::new();
    }
    config
}

/// `book.toml` as mdBook reads it; everything that mdBook would drop is an error.
fn read(source: &std::sync::Arc<Source>) -> Result<Config, Problem> {
    let wrong = |error: &toml::de::Error| {
        let span = Span::new(source, error.span().unwrap_or(0..0));
        let said = error.message().lines().next().unwrap_or_default();
        let (message, known) = said.split_once(", expected one of ").unwrap_or((said, ""));
        let problem = Problem::error("book-config", span.clone(), message);
        match former(message) {
            Some(advice) => problem.hint(advice),
            None => problem.did_you_mean(span.text(), known.split('`').skip(1).step_by(2)),
        }
    };
    let config = match of_others(&source.text) {
        Some(rest) => rest.try_into(),
        None => toml::from_str(&source.text),
    };
    let config: Config = config.map_err(|error| wrong(&error))?;
    let document: Document = toml::from_str(&source.text).map_err(|error| wrong(&error))?;
    drop(document);
    match config.get::<HtmlConfig>("output.html") {
        Ok(html) => {
            let html = html.unwrap_or_default();
            relative(source, &html)?;
            addresses(source, &html)?;
            Ok(config)
        }
        Err(error) => Err(Problem::bare("book-config", format!("{error:#}"))),
    }
}

/// Everything except `[applications]`, which mdBook does not know, if that exists.
fn of_others(text: &str) -> Option<toml::Table> {
    let mut table: toml::Table = toml::from_str(text).ok()?;
    table.remove("applications")?;
    Some(table)
}

/// mdBook writes an additional file with an absolute path next to its original.
fn relative(source: &std::sync::Arc<Source>, html: &HtmlConfig) -> Result<(), Problem> {
    let outside = |path: &&PathBuf| {
        path.is_absolute() || path.components().any(|part| part.as_os_str() == "..")
    };
    let files = html.additional_css.iter().chain(&html.additional_js);
    match files.into_iter().find(outside) {
        None => Ok(()),
        Some(path) => {
            let message = format!("`{}` is outside the folder of `book.toml`", path.display());
            Err(Problem::error(
                "book-config",
                find(source, &path.to_string_lossy()),
                message,
            ))
        }
    }
}

/// mdBook writes these unescaped into each page, some of them into a script.
fn addresses(source: &std::sync::Arc<Source>, html: &HtmlConfig) -> Result<(), Problem> {
    let links = [
        &html.git_repository_url,
        &html.edit_url_template,
        &html.site_url,
    ];
    let links = links.into_iter().flatten();
    let themes = [&html.default_theme, &html.preferred_dark_theme];
    let themes = themes.into_iter().flatten();
    let redirects = html.redirect.iter().flat_map(|(from, to)| [from, to]);
    let refused = |text: &str, why: &str| {
        let message = format!("`{}` {why}", text.chars().take(60).collect::<String>());
        Err(Problem::error("book-config", find(source, text), message))
    };
    for theme in themes {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
        if !theme.bytes().all(plain) {
            return refused(theme, "is not the name of a theme");
        }
    }
    for link in links.chain(redirects) {
        if !sanitise::may_lead(link) {
            return refused(link, "is not an address that a page may lead to");
        }
        if link.contains(['<', '>', '"', '\'', '\\', '`']) {
            return refused(link, "contains a character that is invalid in an address");
        }
    }
    Ok(())
}

fn confine(
    config: &mut Config,
    source: &std::sync::Arc<Source>,
    problems: &mut Vec<Problem>,
) -> anyhow::Result<()> {
    config.build.create_missing = false;
    config.set("output.html.playground.runnable", false)?;
    // Its script comes from the network; formulas are MathML.
    config.set("output.html.mathjax-support", false)?;
    let outputs: std::collections::BTreeMap<String, toml::Value> = config.outputs()?;
    for name in outputs.keys().filter(|name| name.as_str() != "html") {
        problems.push(Problem::warning(
            "other-output",
            find(source, &format!("output.{name}")),
            format!("`[output.{name}]` is ignored: `opsbook build` makes only the HTML book"),
        ));
    }
    Ok(())
}

/// Disables commands that would run for the book, and reports that.
fn left(
    config: &mut Config,
    source: &std::sync::Arc<Source>,
    problems: &mut Vec<Problem>,
) -> anyhow::Result<()> {
    let tables: std::collections::BTreeMap<String, toml::Value> = config.preprocessors()?;
    for name in tables.into_keys() {
        if ["links", "index", "opsbook"].contains(&name.as_str()) {
            continue;
        }
        config.set(format!("preprocessor.{name}.optional"), true)?;
        config.set(
            format!("preprocessor.{name}.renderers"),
            Vec::<String>::new(),
        )?;
        let span = find(source, &format!("preprocessor.{name}"));
        let message = format!("the preprocessor `{name}` is not run: a preview runs nothing");
        problems.push(Problem::warning("not-run", span, message));
    }
    Ok(())
}

/// mdBook builds no book if a preprocessor is missing. Building without it and saying so is more
/// useful.
fn wanted(
    config: &mut Config,
    source: &std::sync::Arc<Source>,
) -> anyhow::Result<Vec<(String, Span)>> {
    let tables: std::collections::BTreeMap<String, toml::Value> = config.preprocessors()?;
    let mut wanted = Vec::new();
    for (name, table) in tables {
        let ours = ["links", "index", "opsbook"].contains(&name.as_str());
        if !ours && table.get("optional").is_none() {
            config.set(format!("preprocessor.{name}.optional"), true)?;
            let span = find(source, &format!("preprocessor.{name}"));
            wanted.push((name, span));
        }
    }
    Ok(wanted)
}

/// Our own reader expands includes before mdBook sees the pages: mdBook would read files from
/// anywhere.
fn own_includes(config: &mut Config) -> anyhow::Result<()> {
    let tables: std::collections::BTreeMap<String, toml::Value> = config.preprocessors()?;
    for (name, table) in &tables {
        for key in ["before", "after"] {
            let Some(names) = table.get(key).and_then(toml::Value::as_array) else {
                continue;
            };
            let kept = names.iter().filter(|name| name.as_str() != Some("links"));
            config.set(
                format!("preprocessor.{name}.{key}"),
                kept.collect::<Vec<_>>(),
            )?;
        }
    }
    if tables.contains_key("links") {
        config.set("preprocessor.links.renderers", Vec::<String>::new())?;
    }
    if config.build.use_default_preprocessors {
        config.build.use_default_preprocessors = false;
        if !tables.contains_key("index") {
            config.set("preprocessor.index.optional", true)?;
        }
    }
    Ok(())
}

/// The commands that mdBook would run for the book.
fn commands(config: &Config) -> anyhow::Result<Vec<String>> {
    let tables: std::collections::BTreeMap<String, toml::Value> = config.preprocessors()?;
    let foreign = tables
        .into_iter()
        .filter(|(name, _)| !["links", "index", "opsbook"].contains(&name.as_str()));
    let command = |(name, table): (String, toml::Value)| match table.get("command") {
        Some(toml::Value::String(command)) => command.clone(),
        _ => format!("mdbook-{name}"),
    };
    Ok(foreign.map(command).collect())
}

/// The settings of a folder without `book.toml`.
fn unwritten(root: &Path) -> Result<Config, BookError> {
    let mut config = Config::default();
    let name = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
    config.book.title = name
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    config.build.create_missing = false;
    config
        .set("output.html.playground.runnable", false)
        .and_then(|()| config.set("output.html.smart-punctuation", false))
        .map_err(|error| BookError::Render(format!("{error:#}")))?;
    Ok(config)
}

fn former(message: &str) -> Option<&'static str> {
    FORMER
        .iter()
        .find(|(key, _)| message.contains(&format!("`{key}`")))
        .map(|(_, advice)| *advice)
}

/// The place of a word in the file; the file's start if it is not found.
fn find(source: &std::sync::Arc<Source>, word: &str) -> Span {
    let at = source.text.find(word);
    Span::new(source, at.map_or(0..0, |at| at..at + word.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        match read(&Source::new("book.toml", text)) {
            Ok(_) => "fine".to_owned(),
            Err(problem) => problem.to_string(),
        }
    }

    #[test]
    fn a_key_that_mdbook_would_drop_is_an_error_with_its_place() {
        for (text, expected) in [
            (
                "[output.html]\ncurly-quotes = true\n",
                "book.toml:2:1: error: unknown field `curly-quotes`",
            ),
            (
                "[output.html.print]\nenabled = true\n",
                "book.toml:2:1: error: unknown field `enabled`",
            ),
            (
                "[book]\nmultilingual = false\n",
                "book.toml:2:1: error: unknown field `multilingual`",
            ),
            (
                "[output.html]\ntheme = 3\n",
                "book.toml:2:9: error: invalid type",
            ),
            (
                "[output.html]\nadditional-css = [\"/etc/x.css\"]\n",
                "book.toml:2:20: error: `/etc/x.css` is outside",
            ),
            ("[book]\ntitle = \"x\"\n", "fine"),
        ] {
            let problem = problem(text);
            assert!(problem.starts_with(expected), "{text}\n{problem}");
        }
    }

    #[test]
    fn a_key_of_mdbook_0_4_is_named_with_what_to_write_instead() {
        let near = problem("[output.html]\nadditional-cs = []\n");
        assert!(near.ends_with("did you mean `additional-css`?"), "{near}");
        let drawn = problem("[output.html]\ncurly-quotes = true\n");
        assert!(
            drawn.ends_with("hint: write `smart-punctuation` instead"),
            "{drawn}"
        );
    }
}
