//! ! The portable forms of the book: one file, and print.

use std::path::Path;
use std::process::Command;

use opsbook_book::{pdf, single};

use super::axe::{rules, violations};
use super::copy::{built, own_root};
use super::drive::{Browser, Screen};
use super::skip::{or_skip, program};

/// Writes the book as one file into a new folder.
fn alone(book: &Path) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    single(book, &folder.path().join("manual.html")).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    (folder, "manual.html".to_owned())
}

#[test]
fn the_book_in_one_file_has_its_nodes_and_loads_nothing() {
    let Some(browser) = or_skip("browser single", Browser::open(Screen::Desk)) else {
        return;
    };
    let (_book, book) = built(own_root());
    let (folder, page) = alone(&book);
    let text = std::fs::read_to_string(folder.path().join(&page)).unwrap();
    for outside in ["src=\"http", "href=\"css", "@import", "url("] {
        assert!(!text.contains(outside), "{outside}");
    }
    let open = |query: &str| {
        browser.page(folder.path(), &format!("{page}{query}"));
        browser.until("return document.documentElement.dataset.opsbook === 'ready'");
    };
    open("");
    browser.picture("single");
    let main = || browser.text("return document.body.innerText", &[]);
    assert!(main().contains("No node is chosen"), "{}", main());
    // The picker, opened with its button.
    browser.click(".ops-opener");
    browser.until("return document.querySelector('dialog[open] .ops-nodes button') !== null");
    browser.keys(".ops-picker input", "here\u{e007}");
    browser.until("return document.querySelector('.ops-opener').textContent === 'here'");
    browser.click("main [data-name='tour.release/switch'] > .ops-caption > .ops-copy");
    browser.until("const said = document.querySelector('.ops-said'); return said !== null && said.textContent.includes('tour.release/switch')");
    let copied = browser.clipboard();
    assert!(copied.contains("tour.release/switch on here"), "{copied}");
    assert!(copied.contains("tour_root='opsbook-tour'"), "{copied}");
    // Every link has a target in the file, on a page elsewhere, or in a file of the book.
    let dead = browser.ask("return [...document.querySelectorAll('a[href^=\"#\"]')].map((link) => decodeURIComponent(link.getAttribute('href').slice(1))).filter((id) => id && !document.getElementById(id))", &[]);
    assert_eq!(dead, serde_json::json!([]));
    // The page of a node.
    open("?node=db1#nodes");
    browser.until("return document.querySelector('.ops-node-page').dataset.node === 'db1'");
    let requests = browser.ask(
        "return performance.getEntriesByType('resource').map((one) => one.name)",
        &[],
    );
    assert_eq!(requests, serde_json::json!([]));
    let Some(rules) = or_skip("browser axe", rules()) else {
        return;
    };
    // The driver puts axe into the page past the page's content security policy.
    let mut wrong = violations(&browser, &rules);
    // This page has the titles of many pages.
    wrong.retain(|said| !said.starts_with("\"heading-order\"") && !said.starts_with("\"landmark-"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_book_on_paper_has_an_outline_numbers_and_its_revision() {
    let tools = ["/usr/bin/chromium", "/usr/bin/pdftotext"];
    for tool in tools {
        if or_skip("book on paper", program(tool)).is_none() {
            return;
        }
    }
    let (folder, book) = built(own_root());
    let file = folder.path().join("manual.pdf");
    pdf(&book.join("print.html"), &file).unwrap();
    let bytes = std::fs::read(&file).unwrap();
    let has = |word: &[u8]| bytes.windows(word.len()).any(|part| part == word);
    assert!(has(b"/Outlines"), "no outline");
    let text = Command::new("pdftotext")
        .arg("-layout")
        .arg(&file)
        .arg("-")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    let pages: Vec<&str> = text
        .split('\u{c}')
        .filter(|page| !page.trim().is_empty())
        .collect();
    let count = pages.len();
    assert!(count > 20, "{count}");
    let foot = |page: &str| {
        page.trim_end()
            .lines()
            .last()
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let second = foot(pages[1]);
    assert!(
        second.contains("built 20") && second.ends_with(&format!("2 / {count}")),
        "{second}"
    );
    if own_root().join(".git").exists() {
        assert!(second.starts_with("revision "), "{second}");
    }
    assert!(text.contains("PostgreSQL switchover"));
    // Without a source file the error says so.
    let why = pdf(&book.join("no.html"), &file).unwrap_err().to_string();
    assert!(why.contains("there is no `no.html` to print"), "{why}");
}
