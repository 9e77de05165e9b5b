//! The footer of each page: the book's revision, who built it, and when. The browser displays how
//! long ago that was.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use jiff::Timestamp;

use crate::manual::Manual;
use crate::project::{Who, git};

use super::html::code;
use super::links::html_path;
use super::results::{day, minute};

/// The owner of the manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// git may be asked for its revision.
    Ours,
    /// A stranger's git configuration can run programs: git is not used.
    Stranger,
}

/// The time of the build, or `SOURCE_DATE_EPOCH` if it is set, so that builds are reproducible.
pub(super) fn now() -> Timestamp {
    let said = std::env::var("SOURCE_DATE_EPOCH").ok();
    let said = said.and_then(|said| Timestamp::from_second(said.parse().ok()?).ok());
    said.unwrap_or_else(Timestamp::now)
}

/// Data about the book as a whole.
pub(super) struct About {
    /// The footer of each page, on one line.
    pub(super) foot: String,
    /// The same for paper: a style for the printed page.
    pub(super) paper: String,
    /// The last change of each page's source, by the page's file in the book.
    changed: HashMap<PathBuf, Timestamp>,
}

impl About {
    pub(super) fn of(root: &Path, manual: &Manual, owner: Owner, now: Timestamp) -> About {
        let who = (owner == Owner::Ours).then(|| Who::here(root));
        let changes = match who.as_ref().and_then(Who::clean) {
            Some(false) => " with changes",
            _ => "",
        };
        let revision = who.as_ref().and_then(Who::revision);
        let shown = revision.map(|revision| format!("revision {}{changes} · ", code(revision)));
        let plain = revision.map(|revision| format!("revision {revision}{changes}, "));
        let built = format!("built {}", minute(now));
        let changed = match revision {
            Some(_) => changed(root, manual),
            None => HashMap::new(),
        };
        About {
            changed,
            foot: format!(
                "\n<footer class=\"ops-about\">{}opsbook {} · built {}</footer>",
                shown.unwrap_or_default(),
                env!("CARGO_PKG_VERSION"),
                day(now)
            ),
            paper: paper(&(plain.unwrap_or_default() + &built)),
        }
    }
}

impl About {
    /// The footer of one page.
    pub(super) fn foot_of(&self, page: &Path) -> String {
        const BEGIN: &str = "<footer class=\"ops-about\">";
        let Some(at) = self.changed.get(page) else {
            return self.foot.clone();
        };
        let changed = format!(
            "{BEGIN}<span class=\"ops-changed\">changed {}</span> · ",
            day(*at)
        );
        self.foot.replacen(BEGIN, &changed, 1)
    }
}

/// The last change of each page's source according to git; one walk over the history that ends when
/// all pages are found.
fn changed(root: &Path, manual: &Manual) -> HashMap<PathBuf, Timestamp> {
    let mut open: HashMap<&Path, PathBuf> = HashMap::new();
    for page in manual.pages.iter().rev() {
        open.insert(page.source.shown(), html_path(&page.path));
    }
    let first = manual.pages.first().map(|page| html_path(&page.path));
    let mut git = git(root);
    git.args([
        "-c",
        "core.quotePath=false",
        "log",
        "--format=%x01%ct",
        "--name-only",
    ]);
    git.args(["--relative", "--no-renames", "--", "."]);
    let mut changed = HashMap::new();
    let piped = git
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .stdout(Stdio::piped());
    let Ok(mut child) = piped.spawn() else {
        return changed;
    };
    let mut at = None;
    for line in child
        .stdout
        .take()
        .into_iter()
        .flat_map(|out| BufReader::new(out).lines())
    {
        let Ok(line) = line else { break };
        if let Some(seconds) = line.strip_prefix('\u{1}') {
            at = seconds
                .parse()
                .ok()
                .and_then(|at| Timestamp::from_second(at).ok());
        } else if let (Some(at), Some(page)) = (at, open.remove(Path::new(&line))) {
            changed.insert(page, at);
        }
        if open.is_empty() {
            break;
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    // mdBook copies the first page.
    if let Some(at) = first.and_then(|first| changed.get(&first).copied()) {
        changed.entry("index.html".into()).or_insert(at);
    }
    changed
}

/// The footer of each sheet of paper: text, sheet number, and number of sheets.
pub(super) fn paper(words: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || " .,:_/+-".contains(c);
    let words: String = words.chars().filter(|c| plain(*c)).collect();
    format!(
        "<style>@page {{ margin: 16mm 14mm 18mm; @bottom-left {{ content: \"{words}\"; \
         font: 8pt sans-serif; }} @bottom-right {{ content: counter(page) \" / \" counter(pages); \
         font: 8pt sans-serif; }} }}</style>"
    )
}

/// The page with its footer after the author's text.
pub(super) fn with_foot(html: &str, foot: &str) -> Option<String> {
    const END: &str = "</main>";
    let at = html.rfind(END)? + END.len();
    let (before, after) = html.split_at(at);
    Some([before, foot, after].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_foot_stands_behind_the_words_of_the_author() {
        let now = "2026-11-29T16:50:00Z".parse().unwrap();
        let about = About::of(Path::new("/"), &Manual::default(), Owner::Stranger, now);
        let foot = about.foot_of(Path::new("a.html"));
        let page = with_foot("<main>a</main><nav>n</nav>", &foot).unwrap();
        assert_eq!(
            page,
            format!(
                "<main>a</main>\n<footer class=\"ops-about\">opsbook {} · built \
                 <time datetime=\"2026-11-29T16:50:00Z\">2026-11-29 16:50 UTC</time></footer><nav>n</nav>",
                env!("CARGO_PKG_VERSION")
            )
        );
        let paper = paper("revision a\"; } </style><script> \\");
        assert!(
            paper.contains("content: \"revision a  /stylescript \";"),
            "{paper}"
        );
        assert_eq!(with_foot("<p>no page of a book</p>", &foot), None);
    }
}
