//! The cost of parsing and linting a manual, compared with plain pulldown-cmark over the same
//! bytes.
//!
//! "Raw" is one thread that iterates over the events and keeps nothing. Parsing uses all cores,
//! because that is the time an operator waits. The benchmark also prints the time of one thread.
//!
//! `cargo bench --bench manual` measures 2,000 pages. Arguments add further page counts. Each
//! size runs in its own process, so that its peak memory is its own.

#![allow(
    clippy::print_stdout,
    reason = "a program that prints what it measured"
)]

#[path = "bench/measured.rs"]
mod measured;
mod synthetic;

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use mdbook_markdown::{MarkdownOptions, new_cmark_parser};
use opsbook::manual;

/// The allocator of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 9;

/// Pages per call: so few that parsing uses one thread.
const FEW: usize = 16;

fn main() {
    // cargo adds `--bench` to the arguments.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    if let [flag, root] = arguments.as_slice()
        && flag == "--measure"
    {
        return measure(Path::new(root));
    }
    let sizes: Vec<usize> = arguments
        .iter()
        .filter_map(|word| word.parse().ok())
        .collect();
    let sizes = if sizes.is_empty() { vec![2_000] } else { sizes };
    for pages in sizes {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let bytes = synthetic::write(folder.path(), pages).expect("a written book");
        #[expect(clippy::cast_precision_loss, reason = "a size to read")]
        let size = bytes as f64 / 1e6;
        println!("{pages} pages, {size:.1} MB");
        let program = std::env::current_exe().expect("this program");
        let status = Command::new(program)
            .arg("--measure")
            .arg(folder.path())
            .status();
        assert!(status.expect("a process").success());
    }
}

fn measure(root: &Path) {
    // The whole `opsbook lint` first, so that the peak memory is that of one run.
    let started = Instant::now();
    let (loaded, problems) = manual::load(&opsbook::files::Files::of(root));
    let lint = manual::lint(&loaded);
    let whole = started.elapsed();
    let peak = peak_memory();
    assert!(
        problems.is_empty() && lint.is_empty(),
        "{problems:?} {lint:?}"
    );
    let raw = best(|| {
        for page in &loaded.pages {
            let options = MarkdownOptions::default();
            black_box(new_cmark_parser(&page.source.text, &options).count());
        }
    });
    let sources: Vec<manual::PageSource> = loaded
        .pages
        .iter()
        .map(|page| manual::PageSource {
            path: page.path.clone(),
            title: Some(page.title.clone()),
            source: page.source.clone(),
        })
        .collect();
    let parse = |pages: &[manual::PageSource]| {
        manual::parse(root, loaded.settings.clone(), pages.to_vec(), &|_| {
            Err(opsbook::files::Refused::Missing)
        })
    };
    let one = best(|| sources.chunks(FEW).map(parse).collect::<Vec<_>>());
    let parse = best(|| parse(&sources));
    let lint = best(|| manual::lint(&loaded));
    println!("  raw {raw:.1?}, lint alone {lint:.1?}, memory {peak:.0} MiB");
    let whole = whole.as_secs_f64();
    match loaded.pages.len() {
        2_000 => {
            let said = format!("{parse:.1?} beside {raw:.1?}");
            measured::found("parse", ratio(parse, raw), &said);
            let said = format!("{one:.1?} beside {raw:.1?}");
            measured::found("parse-one", ratio(one, raw), &said);
            measured::found(
                "lint",
                whole,
                &format!("{:.2} x raw", whole / raw.as_secs_f64()),
            );
            measured::found("lint-memory", peak, "the most of the process");
        }
        25_000 => {
            let said = format!("{:.2} ms a page, {peak:.0} MiB", whole / 25.0);
            measured::found("pages-25000", whole, &said);
        }
        _ => println!("  load and lint, cold {whole:.3} s"),
    }
}

/// The result is dropped outside the measured time.
fn best<T>(mut run: impl FnMut() -> T) -> Duration {
    let times = (0..ROUNDS).map(|_| {
        let started = Instant::now();
        let made = black_box(run());
        let time = started.elapsed();
        drop(made);
        time
    });
    times.min().unwrap_or_default()
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}

/// The peak memory in MiB.
fn peak_memory() -> f64 {
    measured::high_water("self").unwrap_or_default() / 1024.0
}
