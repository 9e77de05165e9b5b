//! ! The manual's configuration examples, read as the gateway reads `gateway.toml`.

use std::path::Path;

use opsbook_gateway::config::Config;

/// The blocks of a page that are configurations, each with its line.
fn blocks(page: &str) -> Vec<(usize, String)> {
    let (mut all, mut open) = (Vec::new(), None);
    for (number, line) in (1..).zip(page.lines()) {
        match (&mut open, line) {
            (None, "```toml") => open = Some((number, String::new())),
            (Some(_), "```") => all.extend(open.take()),
            (Some((_, text)), line) => *text += &format!("{line}\n"),
            (None, _) => {}
        }
    }
    all
}

#[test]
fn the_manual_says_of_the_configuration_what_the_gateway_understands() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manual/team");
    let (mut count, mut whole) = (0, String::new());
    for name in ["README.md", "gateway.md"] {
        let page = std::fs::read_to_string(folder.join(name)).unwrap();
        // Blocks for `book.toml` say so.
        let of_gateway = |(_, text): &(usize, String)| !text.contains("in book.toml");
        for (line, text) in blocks(&page).into_iter().filter(of_gateway) {
            let read: Result<Config, _> = toml::from_str(&text);
            let config = read.unwrap_or_else(|error| panic!("{name}:{line}: {error}"));
            // Another block may give a store on PostgreSQL.
            config
                .checked()
                .unwrap_or_else(|why| panic!("{name}:{line}: {why}"));
            count += 1;
            if name == "gateway.md" {
                whole += &text;
            }
        }
    }
    assert!(count > 15, "{count}");
    // The blocks of the reference are one file; each of its tables is there.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.toml");
    std::fs::write(&path, &whole).unwrap();
    Config::read(&path, true).unwrap();
    let whole: toml::Table = toml::from_str(&whole).unwrap();
    let text = "moon = 1";
    let error = toml::from_str::<Config>(text).unwrap_err().to_string();
    let (_, names) = error.split_once("expected one of ").unwrap();
    for name in names
        .split(['`', ',', ' ', '\n'])
        .filter(|name| !name.is_empty())
    {
        assert!(
            whole.contains_key(name),
            "gateway.md says nothing of `{name}`: {error}"
        );
    }
}
