//! The settings of a stranger's `book.toml` that are used: texts, switches of Markdown and of the
//! page. No command is run, and no theme, style or script of the project is used.

use std::path::Path;
use std::sync::Arc;

use mdbook_driver::config::{Config, HtmlConfig};

use crate::manual::Manual;
use crate::source::{Problem, Source, Span};

use super::BookError;

/// The most pages of a stranger's manual.
const MAX_PAGES: usize = 5_000;
const MAX_PAGE: usize = 4 * 1024 * 1024;
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The accepted settings, and a warning for each other one.
pub(super) fn settings(
    theirs: &Config,
    source: &Arc<Source>,
) -> anyhow::Result<(Config, Vec<Problem>)> {
    let mut config = Config::default();
    config.book = theirs.book.clone();
    config.build.build_dir.clone_from(&theirs.build.build_dir);
    config.build.create_missing = false;
    let html: HtmlConfig = theirs.get("output.html")?.unwrap_or_default();
    for (key, on) in [
        ("smart-punctuation", html.smart_punctuation),
        ("definition-lists", html.definition_lists),
        ("admonitions", html.admonitions),
        ("print.enable", html.print.enable),
    ] {
        config.set(format!("output.html.{key}"), on)?;
    }
    let mut problems = Vec::new();
    let mut left_out = |key: &str| {
        let at = source.text.find(key);
        let span = Span::new(source, at.map_or(0..0, |at| at..at + key.len()));
        let message = format!("`{key}` is not followed: the manual is not trusted");
        problems.push(Problem::warning("untrusted", span, message));
    };
    for (key, given) in [
        ("theme", html.theme.is_some()),
        ("additional-css", !html.additional_css.is_empty()),
        ("additional-js", !html.additional_js.is_empty()),
        ("redirect", !html.redirect.is_empty()),
        ("git-repository-url", html.git_repository_url.is_some()),
        ("edit-url-template", html.edit_url_template.is_some()),
    ] {
        if given {
            left_out(key);
        }
    }
    let tables: std::collections::BTreeMap<String, toml::Value> = theirs.preprocessors()?;
    for (name, table) in &tables {
        let html = table.get("allow-html").and_then(toml::Value::as_bool);
        match name.as_str() {
            "links" | "index" => {}
            "opsbook" if html == Some(true) => left_out("allow-html"),
            "opsbook" => {}
            name => left_out(&format!("preprocessor.{name}")),
        }
    }
    Ok((config, problems))
}

/// Refuses manuals that would take long.
pub(super) fn bound(manual: &Manual, root: &Path) -> Result<(), BookError> {
    let refused = |why: String| {
        let root = root.to_owned();
        Err(BookError::Load { root, why })
    };
    if manual.pages.len() > MAX_PAGES {
        return refused(format!("more than {MAX_PAGES} pages, and nobody trusts it"));
    }
    let mut all = 0;
    for page in &manual.pages {
        let size = page.text.text.len();
        all += size;
        if size > MAX_PAGE || all > MAX_BYTES {
            let path = page.source.path.display();
            let most = if size > MAX_PAGE { MAX_PAGE } else { MAX_BYTES };
            let most = most / (1024 * 1024);
            return refused(format!(
                "`{path}`: more than {most} MiB, and nobody trusts it"
            ));
        }
    }
    Ok(())
}
