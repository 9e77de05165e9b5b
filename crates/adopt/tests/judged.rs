//! ! Blocks of public manuals, judged one by one: the number of correct suggestions.
//!
//! ! The repository does not include the manuals. The table records the suggestions and the
//! judgements. Where the manuals are available (`OPSBOOK_MANUALS` or `../shared/corpus`), the test
//! also compares the present suggestions.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test ends where something is wrong"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use opsbook_adopt::{Suggestion, Tags, page};

struct Judged {
    manual: &'static str,
    page: &'static str,
    line: usize,
    hash: &'static str,
    said: &'static str,
    right: Vec<&'static str>,
}

impl Judged {
    fn is_right(&self, said: &str) -> bool {
        self.right.contains(&said.trim_end_matches('?'))
    }
}

fn table() -> Vec<Judged> {
    let lines = include_str!("judged.tsv").lines();
    let rows = lines.filter(|line| !line.starts_with('#')).map(|line| {
        let cells: Vec<&str> = line.split('\t').collect();
        let [manual, place, hash, said, right, why] = cells[..] else {
            panic!("{line}");
        };
        assert!(!why.is_empty(), "{line}");
        let (page, at) = place.rsplit_once(':').unwrap();
        Judged {
            manual,
            page,
            line: at.parse().unwrap(),
            hash,
            said,
            right: right.split(',').collect(),
        }
    });
    rows.collect()
}

#[test]
fn four_of_five_suggestions_are_right_and_no_check_is_wrong() {
    let table = table();
    assert!(table.len() >= 150);
    let right = { table.iter() }
        .filter(|row| row.is_right(row.said))
        .count();
    assert!(
        right * 100 >= table.len() * 80,
        "{right} of {}",
        table.len()
    );
    for row in &table {
        let tagged = row.said == "check";
        assert!(
            !tagged || row.is_right("check"),
            "{}:{}",
            row.page,
            row.line
        );
    }
}

#[test]
fn what_is_said_now_is_what_was_judged() {
    let mut pages: BTreeMap<(&str, &str), Option<String>> = BTreeMap::new();
    let (mut compared, mut right) = (0, 0);
    for row in table() {
        let text = pages.entry((row.manual, row.page)).or_insert_with(|| {
            let mut places = folders().into_iter().map(|folder| folder.join(row.manual));
            places.find_map(|folder| std::fs::read_to_string(folder.join(row.page)).ok())
        });
        let Some(text) = text else { continue };
        assert_eq!(
            hash(&body(text, row.line)),
            row.hash,
            "{}:{} is another block",
            row.page,
            row.line
        );
        let said = said(row.page, text, row.line);
        compared += 1;
        right += usize::from(row.is_right(&said));
        assert_eq!(said, row.said, "{}:{}", row.page, row.line);
    }
    if compared == 0 {
        eprintln!("skipped: no ../shared/corpus beside the repository, and no OPSBOOK_MANUALS");
        return;
    }
    assert!(right * 100 >= compared * 80, "{right} of {compared}");
}

/// In a release build the limit is a second (`manual/measured.md`). This build is about twenty
/// times slower and shares its machine.
#[test]
fn four_hundred_pages_are_adopted_in_no_time() {
    let section = |number: usize| {
        format!(
            "## Part {number}\n\nWords.\n\n```sh\nsystemctl is-active a{number} | grep -c x\n```\n\n```sh\nsudo systemctl restart a{number}\n```\n\n"
        )
    };
    let text = format!("# Page\n\n{}", (0..15).map(section).collect::<String>());
    let begun = std::time::Instant::now();
    let blocks: usize = (0..400)
        .map(|_| page("a/b.md", &text, Tags::Words).blocks.len())
        .sum();
    assert_eq!(blocks, 400 * 30);
    assert!(
        begun.elapsed() < std::time::Duration::from_mins(1),
        "{:?}",
        begun.elapsed()
    );
}

fn folders() -> Vec<PathBuf> {
    let named = std::env::var_os("OPSBOOK_MANUALS").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    named.into_iter().chain([beside]).collect()
}

fn said(path: &str, text: &str, line: usize) -> String {
    let blocks = page(path, text, Tags::Words).blocks;
    let block = blocks.into_iter().find(|block| block.line == line);
    match block.map(|block| block.suggestion) {
        Some(Suggestion::Check) => "check".to_owned(),
        Some(Suggestion::Step) => "step".to_owned(),
        Some(Suggestion::Example(_)) => "example".to_owned(),
        Some(Suggestion::Left(left)) => match left.likely.word() {
            "several" => "split?".to_owned(),
            word => format!("{word}?"),
        },
        None => "nothing".to_owned(),
    }
}

fn body(text: &str, line: usize) -> String {
    let lines = text.split('\n').skip(line);
    let closes = |line: &&str| {
        !["```", "~~~"]
            .iter()
            .any(|mark| line.trim().starts_with(mark))
    };
    let lines = lines
        .take_while(closes)
        .map(|line| line.trim_end_matches('\r'));
    lines.collect::<Vec<_>>().join("\n")
}

/// FNV-1a of 32 bits: enough to notice that a page has changed.
fn hash(text: &str) -> String {
    let one = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    format!("{:08x}", text.bytes().fold(0x811c_9dc5, one))
}
