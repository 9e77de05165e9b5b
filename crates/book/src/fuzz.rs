//! Renders any text as a stranger's page. The body of a fuzz target, and of a test without a
//! fuzzer.

use mdbook_markdown::{MarkdownOptions, new_cmark_parser};
use pulldown_cmark::html::push_html;

use super::sanitise;

/// # Panics
/// If something in the page would act in a browser: a script, a frame, a form, an active attribute
/// or link. The result is checked with the parser that judges pictures, which is not the one that
/// sanitises.
pub fn exercise(text: &str) {
    let options = MarkdownOptions::default();
    let (page, _) = sanitise::sanitised(text.to_owned(), &options);
    let mut html = String::new();
    push_html(&mut html, new_cmark_parser(&page, &options));
    // A link that begins with `\` is written this way; it always leads below the page.
    let html = html.replace("%5C", "\\");
    assert!(!sanitise::acts(&html), "{text:?}\n{page:?}\n{html:?}");
    let (again, removed) = sanitise::sanitised(page.clone(), &options);
    assert!(removed.is_empty() && again == page, "{page:?}\n{again:?}");
}

#[cfg(test)]
mod tests {
    use super::exercise;

    /// Meaningful pieces, combined in every order of three.
    const PIECES: [&str; 19] = [
        "<script>",
        "</script>",
        "<svg onload=x>",
        "<a href=javascript:x>",
        "[a](javascript:x)",
        "<!--",
        "-->",
        "<iframe src=x",
        "`",
        "\n\n",
        "    ",
        "<![CDATA[",
        "<!entity",
        "</b one two>",
        "[a](\\https://x)",
        "&lt;script&gt;",
        "> - ",
        "<audio autoplay>",
        "<video src=//x onplay=y>",
    ];

    #[test]
    fn no_order_of_pieces_acts() {
        for a in PIECES {
            for b in PIECES {
                for c in PIECES {
                    exercise(&[a, b, c].concat());
                }
            }
        }
    }
}
