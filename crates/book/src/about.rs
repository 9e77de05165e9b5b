//! What stands at the foot of each page: of which revision the book is, who built it and when.
//! The browser says how long ago that is.

use std::path::Path;

use jiff::Timestamp;

use crate::project::Who;

use super::html::code;
use super::results::day;

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

/// The foot, on one line.
pub(super) fn foot(root: &Path, owner: Owner, now: Timestamp) -> String {
    let who = (owner == Owner::Ours).then(|| Who::here(root));
    let revision = who.as_ref().and_then(|who| {
        let changes = match who.clean() {
            Some(false) => " with changes",
            _ => "",
        };
        Some(format!("revision {}{changes} · ", code(who.revision()?)))
    });
    format!(
        "\n<footer class=\"ops-about\">{}opsbook {} · built {}</footer>",
        revision.unwrap_or_default(),
        env!("CARGO_PKG_VERSION"),
        day(now)
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
        let foot = foot(Path::new("/"), Owner::Stranger, now);
        let page = with_foot("<main>a</main><nav>n</nav>", &foot).unwrap();
        assert_eq!(
            page,
            format!(
                "<main>a</main>\n<footer class=\"ops-about\">opsbook {} · built \
                 <time datetime=\"2026-11-29T16:50:00Z\">2026-11-29 16:50 UTC</time></footer><nav>n</nav>",
                env!("CARGO_PKG_VERSION")
            )
        );
        assert_eq!(with_foot("<p>no page of a book</p>", &foot), None);
    }
}
