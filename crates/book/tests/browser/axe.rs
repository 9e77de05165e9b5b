//! ! The book is accessible: axe, which checks the accessibility rules, finds no violation in this
//! project's manual, in light and dark, on desktop and phone screens.

use serde_json::Value;

use super::copy::{built, own_root};
use super::drive::{Browser, Screen};
use super::skip::{Skip, or_skip};

/// `tests/all.sh` downloads it.
const AXE: &str = "target/tools/axe.min.js";

pub fn rules() -> Result<String, Skip> {
    let path = own_root().join(AXE);
    std::fs::read_to_string(path).map_err(|_| Skip(format!("there is no `{AXE}`")))
}

/// The violations on the current page: rule, count, and the first place.
pub fn violations(browser: &Browser, rules: &str) -> Vec<String> {
    browser.ask(rules, &[]);
    let found = browser.promised("axe.run(document, {resultTypes: ['violations']})", &[]);
    let found = found["violations"]
        .as_array()
        .unwrap_or_else(|| panic!("{found}"));
    let said = |one: &Value| {
        let nodes = one["nodes"].as_array().unwrap();
        let first = &nodes[0];
        format!(
            "{} x{}: {} {}",
            one["id"],
            nodes.len(),
            first["html"],
            first["failureSummary"]
        )
    };
    found.iter().map(said).collect()
}

#[test]
fn axe_finds_nothing_in_our_own_manual() {
    let Some(rules) = or_skip("browser axe", rules()) else {
        return;
    };
    let (_folder, book) = built(own_root());
    let mut wrong = Vec::new();
    for screen in [Screen::Desk, Screen::Phone] {
        let Some(browser) = or_skip("browser axe", Browser::open(screen)) else {
            return;
        };
        for theme in ["light", "navy"] {
            browser.page(&book, "index.html");
            browser.ask(
                "localStorage.setItem('mdbook-theme', arguments[0])",
                &[theme],
            );
            for page in [
                "tour.html?node=here",
                "packages/shop/manual/release.html?node=",
                "format.html",
                "several/switchover.html",
            ] {
                browser.page(&book, page);
                browser.picture(&format!(
                    "{screen:?}-{theme}-{}",
                    page[..6].replace('/', "-")
                ));
                let found = violations(&browser, &rules);
                wrong.extend(
                    found
                        .into_iter()
                        .map(|said| format!("{screen:?} {theme} {page}: {said}")),
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn axe_finds_nothing_in_the_other_themes_and_in_print() {
    let Some(rules) = or_skip("browser axe", rules()) else {
        return;
    };
    let Some(browser) = or_skip("browser axe", Browser::open(Screen::Desk)) else {
        return;
    };
    let (_folder, book) = built(own_root());
    let mut wrong = Vec::new();
    for theme in ["rust", "coal", "ayu"] {
        browser.page(&book, "index.html");
        let set = "localStorage.setItem('mdbook-theme', arguments[0])";
        browser.ask(set, &[theme]);
        for page in ["tour.html?node=here", "several/switchover.html?node="] {
            browser.page(&book, page);
            browser.picture(&format!("{theme}-{}", page[..6].replace('/', "-")));
            let found = violations(&browser, &rules).into_iter();
            wrong.extend(found.map(|said| format!("{theme} {page}: {said}")));
        }
    }
    browser.ask("localStorage.setItem('mdbook-theme', 'light')", &[]);
    browser.on_paper();
    for page in ["tour.html?node=here", "several/switchover.html?node="] {
        browser.page(&book, page);
        browser.picture(&format!("paper-{}", page[..6].replace('/', "-")));
        let found = violations(&browser, &rules).into_iter();
        wrong.extend(found.map(|said| format!("paper {page}: {said}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
