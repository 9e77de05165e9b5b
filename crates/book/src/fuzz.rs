//! Any text at all as a page of a stranger: the body of a fuzz target, and of a test that
//! needs no fuzzer.

use mdbook_markdown::{MarkdownOptions, new_cmark_parser};
use pulldown_cmark::html::push_html;

use super::sanitise;

/// # Panics
/// Where something of the page would act in a browser: a script, a frame, a form, an
/// attribute that runs, a link that does. Rendered here, and looked through by the reader that
/// judges pictures, which is not the one that took it out.
pub fn exercise(text: &str) {
    let options = MarkdownOptions::default();
    let (page, _) = sanitise::sanitised(text.to_owned(), &options);
    let mut html = String::new();
    push_html(&mut html, new_cmark_parser(&page, &options));
    // A link that begins with `\` is written so; it leads below the page, whatever follows.
    let html = html.replace("%5C", "\\");
    assert!(!sanitise::acts(&html), "{text:?}\n{page:?}\n{html:?}");
    let (again, removed) = sanitise::sanitised(page.clone(), &options);
    assert!(removed.is_empty() && again == page, "{page:?}\n{again:?}");
}

#[cfg(test)]
mod tests {
    use super::exercise;

    /// Pieces that mean something, put together in every order of three.
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
