//! The reference on a phone: its tables can be read without scrolling sideways.

use super::copy::{built, own_root};
use super::drive::{Browser, Screen};
use super::skip::or_skip;

/// The tables that are wider than the box in which they scroll, by the words of their first row.
const WIDE: &str = "
    return [...document.querySelectorAll('main table')]
        .filter(table => table.offsetWidth > table.parentElement.clientWidth + 1)
        .map(table => table.rows[0].innerText)
        .join('; ')";

#[test]
fn the_tables_of_the_reference_fit() {
    let Some(browser) = or_skip("browser phone", Browser::open(Screen::Phone)) else {
        return;
    };
    let (_folder, book) = built(own_root());
    for page in ["running", "nodes", "format", "team/index", "team/runner"] {
        browser.page(&book, &format!("{page}.html"));
        let first = browser.text("return document.querySelector('main table').innerText", &[]);
        assert!(!first.is_empty(), "{page}");
        assert_eq!(browser.text(WIDE, &[]), "", "{page}");
    }
}
