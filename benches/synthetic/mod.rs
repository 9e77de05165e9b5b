//! ! Generates books of any size that resemble manuals: prose, lists, tables, links, untagged
//! fences, and a procedure and a group of checks on every page. The same number always gives the
//! same book.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

/// Writes a book of this many pages and returns its size in bytes.
pub fn write(root: &Path, pages: usize) -> io::Result<usize> {
    let source = root.join("manual");
    fs::create_dir_all(&source)?;
    fs::write(root.join("book.toml"), "[book]\nsrc = \"manual\"\n")?;
    let mut summary = String::from("# Summary\n\n");
    let mut bytes = 0;
    for number in 0..pages {
        let _ = writeln!(summary, "- [Page {number}](page-{number:05}.md)");
        let text = page(number, pages);
        bytes += text.len();
        fs::write(source.join(name(number)), text)?;
    }
    fs::write(source.join("SUMMARY.md"), summary)?;
    Ok(bytes)
}

fn name(number: usize) -> String {
    format!("page-{number:05}.md")
}

/// Returns one page of about 3 KB.
pub fn page(number: usize, pages: usize) -> String {
    let mut random = Random(number as u64 + 1);
    let mut text = format!("# Service {number}\n\n");
    for _ in 0..2 {
        paragraph(&mut text, &mut random, pages);
    }
    let _ = write!(
        text,
        "## Release service {number}\n\n```yaml procedure\nid: service-{number}.release\nnodes: \"@web\"\nneeds: [service-{number}]\ntimeout: 10m\nparams:\n  version: {{required: true, pattern: '\\d+\\.\\d+', help: \"what to install\"}}\n```\n\n"
    );
    for step in 1..=3 {
        let _ = write!(
            text,
            "{step}. {}:\n\n   ```sh step id=step-{step} sudo timeout=5m\n   install -d \"/srv/s{number}/$version\"\n   if ! systemctl is-active --quiet s{number}; then\n     systemctl restart s{number} && sleep 1\n   fi\n   ```\n\n",
            words(&mut random, 6)
        );
    }
    text.push_str("```sh check eventually=60s/2s\ncurl -fsS \"http://127.0.0.1:8000/healthz\"\n```\n```text expect\nok [..]\n...\n```\n\n");
    paragraph(&mut text, &mut random, pages);
    let _ = write!(
        text,
        "## What must hold\n\n```yaml checks\nid: service-{number}\nnodes: \"@web\"\nservice:\n  s{number}: {{running: true, enabled: true}}\nfile:\n  /etc/s{number}.conf: {{mode: \"0600\", owner: root}}\n```\n\n"
    );
    text.push_str("| name | meaning |\n|---|---|\n");
    for _ in 0..4 {
        let _ = writeln!(
            text,
            "| `{}` | {} |",
            words(&mut random, 1),
            words(&mut random, 6)
        );
    }
    text.push_str("\n## Background\n\n");
    for _ in 0..2 {
        paragraph(&mut text, &mut random, pages);
        let _ = write!(
            text,
            "- {}\n- {}\n\n```console\n$ journalctl -u s{number} --since today\n-- No entries --\n```\n\n",
            words(&mut random, 9),
            words(&mut random, 7)
        );
    }
    text
}

fn paragraph(text: &mut String, random: &mut Random, pages: usize) {
    let other = random.below(pages);
    let (a, b) = (words(random, 22), words(random, 18));
    let _ = write!(
        text,
        "{a}, see *[page {other}]({})* and `systemctl status`: {b}.\n{}\n\n",
        name(other),
        words(random, 16)
    );
}

fn words(random: &mut Random, count: usize) -> String {
    const WORDS: [&str; 24] = [
        "the",
        "node",
        "service",
        "restart",
        "configuration",
        "before",
        "after",
        "disk",
        "when",
        "backup",
        "a",
        "release",
        "must",
        "not",
        "operator",
        "checks",
        "network",
        "is",
        "queue",
        "and",
        "of",
        "certificate",
        "expires",
        "site",
    ];
    let words: Vec<&str> = (0..count)
        .map(|_| WORDS[random.below(WORDS.len())])
        .collect();
    words.join(" ")
}

/// Xorshift: small, fast, and the same on every platform.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap_or(0)
    }
}
