//! Formulas as readers see them: drawn, as wide as the screen allows, and on paper.

use super::axe::{rules, violations};
use super::copy::built;
use super::drive::{Browser, Screen};
use super::skip::or_skip;

const PAGE: &str = "---\nmath: true\n---\n# Sizing\n\nThe lag is $\\frac{b_1 - b_2}{r}$, below `$PATH`.\n\n\
                    $$\n\\sum_{i=1}^{n} \\sqrt{x_i}\n$$\n\n```math\nWIDE\n```\n\n\
                    <details><summary>More</summary>\n\nfolded words\n\n</details>\n";

#[test]
fn formulas_are_drawn_in_each_theme_and_on_each_screen() {
    let folder = tempfile::tempdir().unwrap();
    let page = PAGE.replace("WIDE", &"a + ".repeat(80).replace("+ a", "+ b"));
    std::fs::write(
        folder.path().join("sizing.md"),
        page.replace("+ \n", "+ c\n"),
    )
    .unwrap();
    let (_book, book) = built(folder.path());
    for screen in [Screen::Desk, Screen::Phone] {
        let Some(browser) = or_skip("browser formulas", Browser::open(screen)) else {
            return;
        };
        for theme in ["light", "navy"] {
            browser.page(&book, "sizing.html");
            browser.ask(
                "localStorage.setItem('mdbook-theme', arguments[0])",
                &[theme],
            );
            browser.page(&book, "sizing.html");
            browser.picture(&format!("{screen:?}-{theme}-formulas"));
            let drawn = browser.ask(
                "return [...document.querySelectorAll('main math')].map((math) => [math.querySelector('mfrac, msqrt, mo').getBoundingClientRect().height > 4, math.querySelector('annotation').getClientRects().length])",
                &[],
            );
            assert_eq!(drawn, serde_json::json!([[true, 0], [true, 0], [true, 0]]));
            // The wide one scrolls by itself, and by keyboard; the page does not.
            let wide = browser.ask(
                "const all = [...document.querySelectorAll('.ops-formula')]; return [all.map((one) => one.scrollWidth > one.clientWidth), all.map((one) => one.tabIndex), document.documentElement.scrollWidth <= innerWidth]",
                &[],
            );
            assert_eq!(wide, serde_json::json!([[false, true], [-1, 0], true]));
            if let Some(rules) = or_skip("browser axe", rules()) {
                assert_eq!(violations(&browser, &rules), [""; 0], "{screen:?} {theme}");
            }
        }
    }
}

#[test]
fn paper_shows_what_is_folded() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("sizing.md"), PAGE).unwrap();
    let (_book, book) = built(folder.path());
    let Some(browser) = or_skip("browser paper", Browser::open(Screen::Desk)) else {
        return;
    };
    browser.page(&book, "sizing.html");
    let shown =
        "return document.querySelector('details p').checkVisibility({contentVisibilityAuto: true})";
    assert_eq!(browser.ask(shown, &[]), false);
    browser.on_paper();
    assert_eq!(browser.ask(shown, &[]), true);
}
