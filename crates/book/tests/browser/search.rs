//! ! Typical queries find the right place within the first three hits, from disk, in this project's
//! manual and in one of 2,000 pages, and fast enough while the reader types.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use super::copy::{built, own_root};
use super::drive::{Browser, Screen};
use super::skip::or_skip;

/// The addresses of the first three hits.
fn hits(browser: &Browser, typed: &str) -> Vec<String> {
    let found = browser.promised("opsbookSearch.find(arguments[0])", &[typed]);
    let found = found
        .as_array()
        .unwrap_or_else(|| panic!("{typed}: {found}"));
    let address = |hit: &Value| hit["address"].as_str().unwrap().to_owned();
    found.iter().take(3).map(address).collect()
}

/// Checks for each query that one of the first three hits is the given address.
fn lead(browser: &Browser, queries: &[(&str, &str)]) {
    let mut wrong = String::new();
    for (typed, wanted) in queries {
        let found = hits(browser, typed);
        if !found.iter().any(|address| address.starts_with(wanted)) {
            let _ = writeln!(wrong, "{typed}: wanted {wanted}, found {found:?}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn queries_lead_to_the_right_place_in_our_own_manual() {
    let Some(browser) = or_skip("browser search", Browser::open(Screen::Desk)) else {
        return;
    };
    let (_folder, book) = built(own_root());
    browser.page(&book, "index.html");
    lead(
        &browser,
        &[
            ("rollback", "tour.html#tour.rollback"),
            (
                "rollback",
                "packages/shop/manual/release.html#shop.rollback",
            ),
            ("roll back", "tour.html#roll-back"),
            ("unpack", "tour.html#tour.release/unpack"),
            ("release/unpack", "tour.html#tour.release/unpack"),
            (
                "wheelhouse",
                "packages/shop/manual/wheelhouse.html#shop.wheelhouse",
            ),
            ("--start-at", "running.html#"),
            ("tcp:${shop_port}", "packages/shop/"),
            ("tcp:8000", "packages/shop/"),
            ("nginx.service", "packages/base/manual/checks.html#base"),
            ("wheels", "packages/base/manual/wheels.html#"),
            ("version-too-small", "packages.html#"),
            ("known_hosts", "guide/ci.html#"),
            ("OPSBOOK_STATE", "running.html#"),
            (
                "/srv/shop/previous",
                "packages/shop/manual/release.html#shop.",
            ),
            ("venvs/complete", "packages/shop/manual/release.html#shop."),
            ("shop/current", "packages/shop/manual/release.html#shop."),
            (
                "shop.previous.there",
                "packages/shop/manual/release.html#shop.previous.there",
            ),
            ("machine.switch", "machine.html#machine.switch"),
            ("tour_root", "tour.html#tour."),
            (
                "there is no previous release",
                "tour.html#tour.previous.there",
            ),
            ("rolback", "tour.html#tour.rollback"),
            ("unpakc", "tour.html#tour.release/unpack"),
            (
                "systemctl restart shop",
                "packages/shop/manual/release.html#shop.",
            ),
            ("test-nodes", "format.html#"),
            ("firewal", "packages/base/"),
            ("shop1", "opsbook-nodes.html?node=shop1"),
            ("@staging", "opsbook-groups.html#group-staging"),
        ],
    );
    // With the keyboard: type, find, open.
    browser.press("/");
    browser.until("return document.activeElement.id === 'mdbook-searchbar'");
    browser.press("tour.rollback/find");
    browser.until("return document.querySelectorAll('#mdbook-searchresults a').length > 0");
    browser.picture("search");
    browser.press("\u{e007}");
    browser.until(
        "return location.href.includes('tour.html') && location.hash === '#tour.rollback/find'",
    );
}

const PROBES: &str = r#"# Störungen am Lastverteiler

Die Datenbanksicherungsstrategie beschreibt, wie oft gesichert wird. Die Größe der Platte zählt.

```yaml checks
id: edge.up
service:
  nginx.service: {running: true}
port:
  "tcp:${edge_port}": {listening: true}
```

```sh check id=edge.answers
curl -fsS "http://127.0.0.1:$edge_port/healthz" || { echo 'upstream timed out (110)'; exit 1; }
```

## 障害対応

この手順書はデータベースの復旧方法を説明します。

```yaml procedure
id: edge.failover
```

```sh step id=promote
pg_ctl promote -D /var/lib/postgresql/15/main --no-wait
```
"#;

/// A manual of many pages whose words compete with the query.
fn large(pages: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let manual = folder.path().join("manual");
    std::fs::create_dir(&manual).unwrap();
    let toml = "[book]\nsrc = \"manual\"\n";
    std::fs::write(folder.path().join("book.toml"), toml).unwrap();
    let nodes = "opsbook: 1\ndefaults: {edge_port: 8443}\nnodes: {edge1: {}}\n";
    std::fs::write(folder.path().join("nodes.yaml"), nodes).unwrap();
    let mut summary = String::from("- [Edge](edge.md)\n");
    std::fs::write(manual.join("edge.md"), PROBES).unwrap();
    for number in 0..pages {
        let _ = writeln!(summary, "- [Service {number}](page-{number}.md)");
        let mut text = format!(
            "# Service {number}\n\nThe service must restart before the disk of the node is full; no start at night, and no wait. Der Verteiler und die Last sind groß.\n\n"
        );
        let _ = write!(
            text,
            "```yaml procedure\nid: service-{number}.release\nparams: {{version: {{default: \"1\"}}}}\n```\n\n1. Put it up:\n\n   ```sh step id=install sudo\n   install -d \"/srv/s{number}/$version\"\n   systemctl restart s{number}.service\n   ```\n\n2. Look:\n\n   ```sh step id=look\n   curl -fsS http://127.0.0.1:{}/ready\n   ```\n\n## Background {number}\n\nBackups and certificates of s{number} are checked by the operator when the queue is long.\n",
            10_000 + number
        );
        std::fs::write(manual.join(format!("page-{number}.md")), text).unwrap();
    }
    std::fs::write(manual.join("SUMMARY.md"), summary).unwrap();
    folder
}

#[test]
fn queries_lead_to_the_right_place_among_two_thousand_pages() {
    let Some(browser) = or_skip("browser search of many pages", Browser::open(Screen::Desk)) else {
        return;
    };
    let project = large(2000);
    let (_folder, book) = built(project.path());
    browser.page(&book, "edge.html");
    lead(
        &browser,
        &[
            ("failover", "edge.html#edge.failover"),
            ("promote", "edge.html#edge.failover/promote"),
            ("--no-wait", "edge.html#edge.failover/promote"),
            ("tcp:8443", "edge.html#edge.up"),
            ("nginx.service", "edge.html#edge.up"),
            ("s1234.service", "page-1234.html#"),
            (
                "service-777.release/install",
                "page-777.html#service-777.release/install",
            ),
            ("service-777", "page-777.html#"),
            (
                "/var/lib/postgresql/15/main",
                "edge.html#edge.failover/promote",
            ),
            ("postgresql/15/main", "edge.html#edge.failover/promote"),
            ("edge_port", "edge.html#edge."),
            ("127.0.0.1:8443", "edge.html#edge.answers"),
            ("upstream timed out", "edge.html#edge.answers"),
            ("sicherung", "edge.html#"),
            ("strategie", "edge.html#"),
            ("lastverteiler", "edge.html#"),
            ("Störung", "edge.html#"),
            ("stoerungen", "edge.html#"),
            ("storungen", "edge.html#"),
            ("Größe", "edge.html#"),
            ("groesse", "edge.html#"),
            ("データベース", "edge.html#"),
            ("復旧方法", "edge.html#"),
            ("failovr", "edge.html#edge.failover"),
            ("lastverteilre", "edge.html#"),
        ],
    );
    // On a page without an earlier search: the first hit of a rare and of a common word.
    let mut slow = Vec::new();
    for typed in ["edge.failover", "restart", "upstream timed out", "failovr"] {
        let mut best = f64::MAX;
        for _ in 0..3 {
            browser.page(&book, "edge.html");
            let took = browser.promised(
                "(async () => { const begin = performance.now(); await opsbookSearch.find(arguments[0]); return performance.now() - begin; })()",
                &[typed],
            );
            best = best.min(took.as_f64().unwrap());
        }
        super::skip::say(&format!("searched {typed}: {best:.0} ms"));
        // Ten times the calm value.
        if best > 3000.0 {
            slow.push(format!("{typed}: {best:.0} ms"));
        }
    }
    assert!(slow.is_empty(), "{slow:?}");
    contents_by_parts(&browser, &book);
}

/// A large book does not put its whole table of contents into each page.
fn contents_by_parts(browser: &Browser, book: &Path) {
    browser.page(book, "page-1500.html");
    let count = "return document.querySelectorAll('#mdbook-sidebar a[href*=\"page-\"]').length";
    let shown = browser.ask(count, &[]).as_u64().unwrap();
    assert!((50..200).contains(&shown), "{shown}");
    let active = "return document.querySelector('#mdbook-sidebar .active').getAttribute('href')";
    assert!(browser.text(active, &[]).ends_with("page-1500.html"));
    let took = browser.ask(
        "const [turn] = performance.getEntriesByType('navigation'); return turn.loadEventEnd - turn.startTime",
        &[],
    );
    super::skip::say(&format!("turned to a page of 2000: {took:.0} ms"));
    browser.picture("contents");
    browser.click("#mdbook-sidebar .ops-more button");
    let more = browser.ask(count, &[]).as_u64().unwrap();
    assert_eq!(more, shown + 200);
    browser.click("#mdbook-sidebar a[href$='page-1300.html']");
    browser.until("return location.pathname.endsWith('/page-1300.html')");
}
