//! What stands at the foot of each page: of which revision the book is, who built it and when.
//! The browser says how long ago that is.

use std::path::Path;

use jiff::Timestamp;

use crate::project::Who;

use super::html::code;
use super::results::{day, minute};

/// Whose manual it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// It may be asked for its revision.
    Ours,
    /// git runs what the configuration of a stranger's manual says: it is not asked.
    Stranger,
}

/// When the book is built; what `SOURCE_DATE_EPOCH` says where it is set, so that a packager gets
/// the same bytes each time.
pub(super) fn now() -> Timestamp {
    let said = std::env::var("SOURCE_DATE_EPOCH").ok();
    let said = said.and_then(|said| Timestamp::from_second(said.parse().ok()?).ok());
    said.unwrap_or_else(Timestamp::now)
}

/// What is known of a book as a whole.
pub(super) struct About {
    /// The foot of each page, on one line.
    pub(super) foot: String,
    /// The same on paper: a style for the page that is printed.
    pub(super) paper: String,
}

impl About {
    pub(super) fn of(root: &Path, owner: Owner, now: Timestamp) -> About {
        let who = (owner == Owner::Ours).then(|| Who::here(root));
        let changes = match who.as_ref().and_then(Who::clean) {
            Some(false) => " with changes",
            _ => "",
        };
        let revision = who.as_ref().and_then(Who::revision);
        let shown = revision.map(|revision| format!("revision {}{changes} · ", code(revision)));
        let plain = revision.map(|revision| format!("revision {revision}{changes}, "));
        let built = format!("built {}", minute(now));
        About {
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

/// A foot on each sheet of paper: words, the number of the sheet, and of how many.
pub(super) fn paper(words: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || " .,:_/+-".contains(c);
    let words: String = words.chars().filter(|c| plain(*c)).collect();
    format!(
        "<style>@page {{ margin: 16mm 14mm 18mm; @bottom-left {{ content: \"{words}\"; \
         font: 8pt sans-serif; }} @bottom-right {{ content: counter(page) \" / \" counter(pages); \
         font: 8pt sans-serif; }} }}</style>"
    )
}

/// The page with its foot, behind what its author wrote.
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
        let foot = About::of(Path::new("/"), Owner::Stranger, now).foot;
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
