//! `opsbook guide`: opsbook's manual, which is embedded in the program, in a terminal or as a book.

mod show;

use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use rust_embed::Embed;

use crate::book::{self, Options};
use crate::cli::Streams;
use crate::cli::error::Failure;
use crate::files::normal;
use crate::project;
use crate::source::Problem;

#[derive(Embed)]
#[folder = "manual"]
struct Pages;

#[derive(Embed)]
#[folder = "templates"]
struct Templates;

/// The packages of the manual.
#[derive(Embed)]
#[folder = "examples"]
struct Packages;

/// The terminal transcripts that the pages show.
#[derive(Embed)]
#[folder = "tests/cli"]
struct Transcripts;

const BOOK: &str = include_str!("../../book.toml");
const NODES: &str = include_str!("../../nodes.yaml");
const PACKAGES: &str = include_str!("../../opsbook.toml");

/// Read the guide of opsbook, without a network
///
/// The program contains the whole manual of opsbook. A topic is the name of a page in the list.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  opsbook guide                    all topics
  opsbook guide start              the first 15 minutes
  opsbook guide night              a card for three in the morning
  opsbook guide --book /tmp/guide  all of it as a book, for a browser")]
pub(crate) struct Guide {
    /// The page
    #[arg(value_name = "TOPIC", add = ArgValueCandidates::new(candidates))]
    topic: Option<String>,
    /// Build the book of the manual into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "topic")]
    book: Option<PathBuf>,
}

/// The folder of the packages.
const EXAMPLES: &str = "examples/";

/// A page in the manual's `SUMMARY.md`.
struct Topic {
    /// Its name on the command line.
    name: String,
    title: String,
    /// Its file relative to `manual/`, or its whole path below `examples/`.
    file: String,
    /// Its part of the manual.
    part: String,
}

pub(crate) fn run(args: &Guide, streams: &mut Streams) -> Result<u8, Failure> {
    if let Some(dest) = &args.book {
        return build(dest, streams);
    }
    let topics = topics();
    let text = match &args.topic {
        None => list(&topics),
        Some(name) => {
            let topic = topics.iter().find(|topic| topic.name == *name);
            let topic = topic.ok_or_else(|| unknown(name, &topics))?;
            let how = show::Shown {
                paint: streams.paint,
                topic: &|target| led_to(topic, target, &topics),
            };
            show::page(&page(&topic.file), how)
        }
    };
    paged(&text, streams)?;
    Ok(0)
}

/// The topic of a page that another page links to.
fn led_to(from: &Topic, target: &str, topics: &[Topic]) -> Option<String> {
    let path = target.split('#').next()?;
    let folder = Path::new(&from.file).parent().unwrap_or(Path::new(""));
    let file = normal(&folder.join(path));
    let topic = topics.iter().find(|topic| Path::new(&topic.file) == file)?;
    Some(topic.name.clone())
}

fn unknown(name: &str, topics: &[Topic]) -> Failure {
    let problem = Problem::bare("unknown-topic", format!("the guide has no page `{name}`"));
    let names = topics.iter().map(|topic| topic.name.as_str());
    let problem = problem.did_you_mean(name, names);
    Failure::from(match problem.hint {
        None => problem.hint("`opsbook guide` lists them"),
        Some(_) => problem,
    })
}

/// The text of a page with its includes.
fn page(file: &str) -> String {
    let text = match file.strip_prefix(EXAMPLES) {
        Some(file) => embedded::<Packages>(file),
        None => embedded::<Pages>(file),
    };
    let include = |line: &str| {
        let path = line
            .trim()
            .strip_prefix("{{#include ")?
            .strip_suffix("}}")?;
        let transcript = path.rsplit_once("tests/cli/")?.1;
        Some(embedded::<Transcripts>(transcript).trim_end().to_owned())
    };
    let lines = text
        .lines()
        .map(|line| include(line).unwrap_or_else(|| line.to_owned()));
    lines.collect::<Vec<_>>().join("\n")
}

fn embedded<E: Embed>(file: &str) -> String {
    let data = E::get(file).map(|file| file.data.into_owned());
    String::from_utf8_lossy(&data.unwrap_or_default()).into_owned()
}

/// The pages in `SUMMARY.md`, in order.
fn topics() -> Vec<Topic> {
    let mut part = String::new();
    let mut topics: Vec<Topic> = Vec::new();
    for line in embedded::<Pages>("SUMMARY.md").lines() {
        if let Some(title) = line.strip_prefix("# ") {
            part = title.to_owned();
        }
        let Some((title, file)) = listed(line) else {
            continue;
        };
        let of_package = file.strip_prefix("package:");
        let Some(package) = of_package else {
            topics.push(topic(name(file), title, file.to_owned(), &part));
            continue;
        };
        let folder = format!("{package}/manual");
        let list = embedded::<Packages>(&format!("{folder}/SUMMARY.md"));
        topics.extend(list.lines().filter_map(listed).map(|(title, file)| {
            let name = name(&format!("{package}/{file}"));
            topic(name, title, format!("{EXAMPLES}{folder}/{file}"), &part)
        }));
    }
    topics
}

fn topic(name: String, title: &str, file: String, part: &str) -> Topic {
    Topic {
        name,
        title: title.to_owned(),
        file,
        part: part.to_owned(),
    }
}

/// Title and file of a line in `SUMMARY.md`. The line of a package is a draft chapter for plain
/// mdBook, with the package in a comment.
fn listed(line: &str) -> Option<(&str, &str)> {
    let entry = line.trim_start().trim_start_matches("- ");
    if let Some((title, package)) = entry.split_once("]() <!-- ") {
        return Some((title.strip_prefix('[')?, package.strip_suffix(" -->")?));
    }
    entry.strip_prefix('[')?.strip_suffix(')')?.split_once("](")
}

/// `guide/start.md` becomes `start`, `shop/README.md` becomes `shop`, `shop/release.md` becomes
/// `shop/release`.
fn name(file: &str) -> String {
    let bare = file.strip_suffix(".md").unwrap_or(file);
    let bare = bare.strip_suffix("/README").unwrap_or(bare);
    let bare = bare.strip_prefix("guide/").unwrap_or(bare);
    bare.strip_prefix("reference/")
        .unwrap_or(bare)
        .to_lowercase()
}

fn candidates() -> Vec<CompletionCandidate> {
    let named = |topic: Topic| CompletionCandidate::new(topic.name).help(Some(topic.title.into()));
    topics().into_iter().map(named).collect()
}

fn list(topics: &[Topic]) -> String {
    let width = topics.iter().map(|topic| topic.name.len()).max();
    let width = width.unwrap_or_default();
    let mut text = String::new();
    let mut part = "Summary";
    for topic in topics {
        if topic.part != part {
            part = &topic.part;
            text += &format!("\n{part}\n");
        }
        text += &format!("  {:width$}  {}\n", topic.name, topic.title);
    }
    text + "\nopsbook guide TOPIC shows one. A good one to begin with: opsbook guide start\n"
}

/// Uses the reader's own pager at a terminal.
fn paged(text: &str, streams: &mut Streams) -> io::Result<()> {
    if io::stdout().is_terminal() && io::stdin().is_terminal() {
        let pager = std::env::var("PAGER").unwrap_or_else(|_| "less".to_owned());
        let mut words = pager.split_whitespace();
        let child = words.next().and_then(|program| {
            Command::new(program)
                .args(words)
                // Quit if the text fits on one screen, and show colours.
                .env(
                    "LESS",
                    std::env::var("LESS").unwrap_or_else(|_| "FRX".to_owned()),
                )
                .stdin(Stdio::piped())
                .spawn()
                .ok()
        });
        if let Some(mut child) = child {
            if let Some(mut input) = child.stdin.take() {
                // Leaving early is not an error.
                let _ = input.write_all(text.as_bytes());
            }
            child.wait()?;
            return Ok(());
        }
    }
    streams.data().write_all(text.as_bytes())
}

/// Writes the sources into a temporary folder, and builds them.
fn build(dest: &Path, streams: &mut Streams) -> Result<u8, Failure> {
    let folder = tempfile::tempdir()?;
    let root = folder.path();
    std::fs::write(root.join("book.toml"), BOOK)?;
    std::fs::write(root.join("nodes.yaml"), NODES)?;
    std::fs::write(root.join("opsbook.toml"), PACKAGES)?;
    unpack::<Pages>(&root.join("manual"))?;
    unpack::<Templates>(&root.join("templates"))?;
    unpack::<Packages>(&root.join("examples"))?;
    unpack::<Transcripts>(&root.join("tests/cli"))?;
    let dest = std::path::absolute(dest)?;
    let place = project::merge::place(root)?;
    let root = place.files.root().to_owned();
    let options = Options {
        place: Some(place),
        ..Options::default()
    };
    let built = book::build(&root, Some(&dest), &options)?;
    let index = built.destination.join("index.html");
    writeln!(streams.people(), "{}", index.display())?;
    Ok(0)
}

fn unpack<E: Embed>(folder: &Path) -> io::Result<()> {
    for file in E::iter() {
        let path = folder.join(&*file);
        std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
        let data = E::get(&file).map(|file| file.data).unwrap_or_default();
        std::fs::write(path, data)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_of_the_manual_is_a_topic_with_a_name_of_its_own() {
        let topics = topics();
        let mut names: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
        assert!(
            ["start", "format", "shop/release"]
                .iter()
                .all(|name| names.contains(name)),
            "{names:?}"
        );
        for topic in &topics {
            assert!(!page(&topic.file).is_empty(), "{}", topic.file);
            let text = page(&topic.file);
            let included = text.lines().all(|line| !line.starts_with("{{#include "));
            assert!(included, "{}", topic.file);
        }
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
