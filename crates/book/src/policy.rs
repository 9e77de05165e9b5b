//! The content security policy of each page: a browser loads nothing from elsewhere and runs only
//! the book's own scripts, even if the sanitiser missed something.
//!
//! The scripts that mdBook writes into its pages are allowed by hash. They are before and after
//! `<main>`; no hash comes from the part that the page's author wrote.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use base64::Engine as _;
use sha2::{Digest as _, Sha256};

use super::about::{About, with_foot};

/// `'self'` is the served book, `file:` a book opened from disk.
const SOURCES: &str = "'self' file:";

/// What a page may do in addition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    Held,
    /// Pages may contain anything.
    None,
}

/// Adds the footer and the policy to each page of a book.
pub(super) fn put_into(book: &Path, about: &About, held: Policy) -> Result<()> {
    let mut folders = vec![book.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "html") {
                let html = std::fs::read_to_string(&path)?;
                let page = path.strip_prefix(book).unwrap_or(&path);
                let html = with_foot(&html, &about.foot_of(page)).unwrap_or(html);
                let html = if path == book.join("print.html") {
                    html.replacen("</head>", &(about.paper.clone() + "</head>"), 1)
                } else {
                    html
                };
                let html = match held {
                    Policy::Held => with_policy(&html).unwrap_or(html),
                    Policy::None => html,
                };
                std::fs::write(&path, html)?;
            }
        }
    }
    Ok(())
}

/// The page with its policy before everything that could load or run.
fn with_policy(html: &str) -> Option<String> {
    let at = html.find("<head>").map(|at| at + "<head>".len());
    // The page that redirects to the first one has no head.
    let at = at.or_else(|| html.find("<meta charset"))?;
    let (before, after) = html.split_at(at);
    let policy = policy(html);
    Some(format!(
        "{before}\n<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">{after}"
    ))
}

fn policy(html: &str) -> String {
    let mut scripts = SOURCES.to_owned();
    let mut base = "'none'";
    for part in frame(html) {
        for script in inline_scripts(part) {
            let hash = Sha256::digest(script);
            let hash = base64::engine::general_purpose::STANDARD.encode(hash);
            // Writing into a string cannot fail.
            let _ = write!(scripts, " 'sha256-{hash}'");
        }
        // mdBook's 404 page needs it.
        if part.contains("<base ") {
            base = "'self' file:";
        }
    }
    format!(
        "default-src 'none'; script-src {scripts}; style-src {SOURCES} 'unsafe-inline'; \
         img-src {SOURCES} data:; font-src {SOURCES}; media-src {SOURCES} data:; \
         frame-src {SOURCES}; connect-src 'none'; object-src 'none'; base-uri {base}; \
         form-action 'none'"
    )
}

/// The parts around the content that the page's author wrote.
fn frame(html: &str) -> Vec<&str> {
    let Some((before, rest)) = html.split_once("<main>") else {
        return vec![html];
    };
    let after = rest.rsplit_once("</main>").map_or("", |(_, after)| after);
    vec![before, after]
}

fn inline_scripts(html: &str) -> impl Iterator<Item = &str> {
    html.split("<script>")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once("</script>")?.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scripts_around_the_page_are_allowed() {
        let html = "<html><head><script>a</script></head><script src=\"x.js\"></script><main>\
                    <script>b</script></main><script>c</main></script></html>";
        let policy = policy(html);
        let hash =
            |text: &str| base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text));
        assert!(policy.contains(&hash("a")), "{policy}");
        for script in ["b", "c", "c</main>"] {
            assert!(!policy.contains(&hash(script)), "{script}: {policy}");
        }
        let page = with_policy(html).unwrap();
        assert!(page.starts_with("<html><head>\n<meta http-equiv=\"Content-Security-Policy\""));
    }
}
