//! The cost of a book, compared with mdBook 0.5.4 over the same pages: the library behind its
//! program, with its search index. Each build runs in its own process, and the two alternate.
//!
//! `cargo bench -p opsbook-book --bench book` measures 30 pages of this project's manual and
//! synthetic books of 500 and 2,000 pages. `-- 25000` names other sizes. `-- corpus` measures the
//! folder that `OPSBOOK_CORPUS` names, which has a `SUMMARY.md`.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that prints what it measured, or ends"
)]

#[path = "bench/measured.rs"]
mod measured;
mod synthetic;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// The allocator of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 5;

/// The cost of one build: seconds, and peak MiB.
#[derive(Clone, Copy, Debug)]
struct Cost {
    seconds: f64,
    memory: f64,
}

fn main() {
    // cargo adds `--bench` to the arguments.
    let words = std::env::args().skip(1);
    let words: Vec<String> = words.filter(|word| word != "--bench").collect();
    if let [flag, root] = words.as_slice()
        && let Some(who) = flag.strip_prefix("--as-")
    {
        return build(who, Path::new(root));
    }
    let wants = |word: &str| words.is_empty() || words.iter().any(|given| given == word);
    if wants("ours") {
        let folder = tempfile::tempdir().unwrap();
        ours(folder.path(), usize::MAX);
        compare("book-ours", "book-ours-memory", folder.path());
        let folder = tempfile::tempdir().unwrap();
        ours(folder.path(), 30);
        compare("book-30", "book-30-memory", folder.path());
    }
    if words.iter().any(|word| word == "corpus") {
        let corpus = std::env::var_os("OPSBOOK_CORPUS").expect("OPSBOOK_CORPUS names a folder");
        let folder = tempfile::tempdir().unwrap();
        copy(Path::new(&corpus), &folder.path().join("manual"));
        settings(folder.path());
        compare("book-corpus", "book-corpus-memory", folder.path());
    }
    for pages in [500, 2_000] {
        if wants(&pages.to_string()) {
            let folder = tempfile::tempdir().unwrap();
            synthetic::write(folder.path(), pages).unwrap();
            let (time, memory) = match pages {
                500 => ("book-500", "book-500-memory"),
                _ => ("book-2000", "book-2000-memory"),
            };
            compare(time, memory, folder.path());
        }
    }
    if wants("serve") {
        serve();
    }
    if words.iter().any(|word| word == "25000") {
        let folder = tempfile::tempdir().unwrap();
        synthetic::write(folder.path(), 25_000).unwrap();
        let cost = run("opsbook", folder.path());
        let each = cost.seconds / 25.0;
        measured::found("book-25000", cost.seconds, &format!("{each:.2} ms a page"));
        measured::found("book-25000-memory", cost.memory, "the most of the process");
    }
}

/// The work of `opsbook serve` after a change of one page among 2,000: it notices the change and
/// renders the page.
fn serve() {
    let folder = tempfile::tempdir().unwrap();
    synthetic::write(folder.path(), 2_000).unwrap();
    let place = opsbook_project::Place::from(opsbook_text::files::Files::of(folder.path()));
    let preview = opsbook_book::Preview::open(place).unwrap();
    let page = folder.path().join("manual/page-01000.md");
    let text = std::fs::read_to_string(&page).unwrap();
    let mut times = Vec::new();
    for round in 0..20 {
        std::fs::write(&page, format!("{text}\nRound {round} is here.\n")).unwrap();
        let started = Instant::now();
        let changed = preview.changed();
        let shown = preview.page(Path::new("page-01000.html")).unwrap().unwrap();
        times.push(started.elapsed().as_secs_f64());
        assert_eq!(changed, opsbook_book::Changed::Pages);
        assert!(shown.contains(&format!("Round {round} is here.")));
    }
    let most = times.iter().copied().fold(0.0, f64::max) * 1000.0;
    let middle = median(times);
    let said = format!(
        "{:.1} ms, median of 20; at most {most:.1} ms",
        middle * 1000.0
    );
    measured::found("serve-2000", middle, &said);
}

/// Copies this many pages of this project's manual, without its packages, which mdBook does not
/// know.
fn ours(root: &Path, pages: usize) {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    copy(&ours.join("manual"), &root.join("manual"));
    let list = root.join("manual/SUMMARY.md");
    let text = std::fs::read_to_string(&list).unwrap();
    let mut left = pages;
    let lines = text.lines().filter(|line| {
        let is_page = line.contains("](") && !line.contains("]()");
        left = left.saturating_sub(usize::from(is_page));
        !line.contains("]()") && (!is_page || left > 0)
    });
    let lines: Vec<&str> = lines.collect();
    std::fs::write(&list, lines.join("\n") + "\n").unwrap();
    settings(root);
}

fn settings(root: &Path) {
    let text = "[book]\ntitle = \"Measured\"\nsrc = \"manual\"\n";
    std::fs::write(root.join("book.toml"), text).unwrap();
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-rT").args([from, to]).status();
    assert!(done.unwrap().success());
}

/// Alternates the two and reports the medians and their ratio.
fn compare(time: &str, memory: &str, root: &Path) {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push((run("opsbook", root), run("mdbook", root)));
    }
    let of = |pick: &dyn Fn(&(Cost, Cost)) -> f64| median(rounds.iter().map(pick).collect());
    let (ours, theirs) = (
        of(&|(ours, _)| ours.seconds),
        of(&|(_, theirs)| theirs.seconds),
    );
    let ratios = rounds
        .iter()
        .map(|(ours, theirs)| ours.seconds / theirs.seconds);
    let (least, most) = ratios.fold((f64::MAX, 0.0_f64), |(least, most), ratio| {
        (least.min(ratio), most.max(ratio))
    });
    let said = format!(
        "{ours:.3}s beside {theirs:.3}s, medians; {least:.2} to {most:.2} in {ROUNDS} rounds"
    );
    measured::found(
        time,
        of(&|(ours, theirs)| ours.seconds / theirs.seconds),
        &said,
    );
    let (ours, theirs) = (
        of(&|(ours, _)| ours.memory),
        of(&|(_, theirs)| theirs.memory),
    );
    let said = format!("{ours:.0} MiB beside {theirs:.0} MiB, medians");
    measured::found(memory, ours / theirs, &said);
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Starts a process that builds the book once, without a cache.
fn run(who: &str, root: &Path) -> Cost {
    let _ = std::fs::remove_dir_all(root.join("book"));
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new(program);
    command.arg(format!("--as-{who}")).arg(root);
    let started = Instant::now();
    let said = command.env("RUST_LOG", "off").output().unwrap();
    let seconds = started.elapsed().as_secs_f64();
    assert!(said.status.success(), "{who}: {said:?}");
    assert!(
        root.join("book/index.html").exists(),
        "{who} has built nothing"
    );
    let memory = String::from_utf8_lossy(&said.stdout);
    let memory = memory.lines().last().unwrap_or_default().trim().parse();
    Cost {
        seconds,
        memory: memory.unwrap(),
    }
}

fn build(who: &str, root: &Path) {
    match who {
        "opsbook" => {
            opsbook_book::build(root, None, &opsbook_book::Options::default()).unwrap();
        }
        _ => mdbook_driver::MDBook::load(root).unwrap().build().unwrap(),
    }
    println!("{}", measured::high_water("self").unwrap() / 1024.0);
}
