//! ! A procedure over several nodes: its blocks show where they run, the reader names the nodes of
//! each role (the book never guesses), and each copied text is for one node.

use super::copy::{built, own_root};
use super::drive::{Browser, Screen};
use super::skip::or_skip;

/// Returns the clipboard after a click on a block's copy button.
fn copied(browser: &Browser, name: &str) -> String {
    copied_and_told(browser, name, name)
}

fn copied_and_told(browser: &Browser, name: &str, told: &str) -> String {
    browser.click(&format!(
        "main [data-name='{name}'] > .ops-caption > .ops-copy"
    ));
    browser.until(&format!(
        "const said = document.querySelector('.ops-said'); return said !== null && said.textContent.includes('{told}')"
    ));
    browser.clipboard()
}

fn has(text: &str, all: &[&str]) {
    for expected in all {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
}

/// Enters the nodes of a role.
fn bind(browser: &Browser, role: &str, nodes: &str) {
    let set = "const [role, nodes] = arguments;
        const label = [...document.querySelectorAll('.ops-fields label')].find((one) => one.querySelector('code').textContent === role);
        const input = label.querySelector('input');
        input.value = nodes;
        input.dispatchEvent(new Event('change'));
        document.documentElement.dataset.waits = 'yes';";
    browser.ask(set, &[role, nodes]);
    let done = "return [...document.querySelectorAll('.ops-fields label')].some((one) => one.querySelector('code').textContent === ROLE && one.querySelector('input').defaultValue === '' && one.querySelector('input').value === NODES)";
    let done = done.replace("ROLE", &format!("{role:?}"));
    browser.until(&done.replace("NODES", &format!("{nodes:?}")));
}

#[test]
fn a_procedure_with_roles_says_where_and_guesses_nobody() {
    let Some(browser) = or_skip("browser roles", Browser::open(Screen::Desk)) else {
        return;
    };
    let (_folder, book) = built(own_root());
    // The chosen node has no role.
    browser.page(&book, "several/switchover.html?node=db1");
    let main = || browser.text("return document.querySelector('main').innerText", &[]);
    let text = main();
    has(
        &text,
        &[
            "Role\tMay be\tMust hold\tWhat it is",
            "old\tone of @db\tdb.primary\tthe primary of today",
            "others\tany number of @db",
            "for each others: one at a time",
            "A state of",
            "opsbook run db.switchover old=NODE new=NODE",
            "Needs new, who plays new, pg_port",
        ],
    );
    for wrong in ["May run on", "not defined on", "old=db1"] {
        assert!(!text.contains(wrong), "{wrong}\n{text}");
    }
    let said = browser.ask("return [...document.querySelectorAll('.ops-step, .ops-check')].filter((card) => card.dataset.name.startsWith('db.switchover/')).map((card) => card.querySelector('.ops-machine').textContent)", &[]);
    let said: Vec<&str> = said
        .as_array()
        .unwrap()
        .iter()
        .filter_map(serde_json::Value::as_str)
        .collect();
    assert_eq!(
        said.join(", "),
        "on old, on old, on old, on new, on new, on new, on old, on new, on others, on new"
    );
    let unbound = copied(&browser, "db.switchover/followed");
    has(
        &unbound,
        &["on the node that plays old", "new is not bound: one of @db"],
    );
    assert!(!unbound.contains("db1"), "{unbound}");

    bind(&browser, "old", "db2");
    browser.until("return document.querySelector('main').innerText.includes('old=db2 new=NODE')");
    bind(&browser, "new", "db3");
    browser.until("return document.querySelector('main').innerText.includes('old=db2 new=db3')");
    browser.picture("roles-bound");
    let fence = copied(&browser, "db.switchover/fence");
    has(
        &fence,
        &[
            "db.switchover/fence on db2 (old)",
            "not included: db.switchover/received is evaluated on db3 (new)",
            "pg_controldata",
        ],
    );
    assert!(!fence.contains("replay_lsn"), "{fence}");
    let rejoin = copied(&browser, "db.switchover/rejoin");
    has(
        &rejoin,
        &[
            "new_address='db3.example.net'",
            "new_pg_port='5432'",
            "old='db2'",
        ],
    );
    // One node plays one role, and only a permitted one.
    for (node, why) in [
        ("db2", "db2 already plays old"),
        ("web1", "web1 may not play new: that is one of @db"),
        ("nobody", "this manual has no node nobody"),
        ("db1, db3", "new is one node"),
    ] {
        bind(&browser, "new", node);
        browser.until(&format!(
            "return document.querySelector('main').innerText.includes({why:?})"
        ));
        let text = copied_and_told(&browser, "db.switchover/promote", why);
        assert!(text.contains(why) && text.ends_with("false\n"), "{text}");
    }
}

#[test]
fn a_turn_and_every_load_balancer_are_one_machine_at_a_time() {
    let Some(browser) = or_skip("browser roles", Browser::open(Screen::Phone)) else {
        return;
    };
    let (_folder, book) = built(own_root());
    browser.page(&book, "several/upgrade.html?node=lb2");
    let text = browser.text("return document.querySelector('main').innerText", &[]);
    has(
        &text,
        &[
            "for each web: first one, then a quarter at a time, 2 s between",
            "on every lb",
            "after all turns",
        ],
    );
    bind(&browser, "web", "web1,web2");
    bind(&browser, "lb", "lb1,lb2");
    browser.until(
        "return document.querySelector('main').innerText.includes('web=web1,web2 lb=lb1,lb2')",
    );
    browser.picture("roles-phone");
    // lb2 is the chosen node and one of the named ones; the book cannot know whose round it is.
    let drain = copied(&browser, "web.upgrade/drain");
    has(
        &drain,
        &[
            "on lb2 (lb)",
            "site='shop'",
            "web (choose one of web1, web2 as my node)",
        ],
    );
    bind(&browser, "web", "web2");
    browser
        .until("return document.querySelector('main').innerText.includes('web=web2 lb=lb1,lb2')");
    let drain = copied(&browser, "web.upgrade/drain");
    has(&drain, &["web='web2'", "awk"]);
    assert!(!drain.contains("still open"), "{drain}");
    // The check after the section has its button.
    let after = copied(&browser, "web.upgrade/everywhere");
    has(&after, &["on lb2 (lb)", "address='lb2.example.net'"]);
}
