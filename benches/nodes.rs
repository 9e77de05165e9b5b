//! The time to load a large inventory, evaluate one node and show it, compared with the YAML
//! reader alone. Fails above three times that, or above 100 MB.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::naive_bytecount,
    reason = "a measurement talks, and stops where it cannot go on"
)]

#[path = "bench/measured.rs"]
mod measured;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use opsbook::manual::Settings;
use opsbook::nodes::{self, explain, show};
use opsbook::source::{Passage, Source};
use opsbook::yaml;

const NODES: usize = 5_000;
const LINES: usize = 50_000;
const RUNS: usize = 7;

fn main() -> std::io::Result<()> {
    let root = tempfile::tempdir()?;
    let text = inventory();
    assert!(text.lines().count() >= LINES);
    std::fs::write(root.path().join("nodes.yaml"), &text)?;

    let everything = best(|| one_node(root.path()));
    let peak = measured::high_water("self").unwrap_or_default() / 1024.0;
    let reader = best(|| {
        let (root, problems) =
            yaml::read(&Passage::whole(&Source::new("nodes.yaml", text.as_str())));
        assert!(root.is_some() && problems.is_empty());
    });
    let ratio = everything.as_secs_f64() / reader.as_secs_f64();
    let said = format!(
        "{:.0?} beside {:.0?}; {} lines",
        everything,
        reader,
        text.lines().count()
    );
    measured::found("nodes", ratio, &said);
    measured::found("nodes-memory", peak, "the most of the process");
    assert!(ratio < 3.0, "more than three times the reader");
    assert!(peak < 100.0, "more than 100 MiB");
    Ok(())
}

fn one_node(root: &std::path::Path) {
    let (nodes, problems) = nodes::load(&opsbook::files::Files::of(root), &Settings::default());
    assert!(problems.is_empty(), "{}", problems[0]);
    let node = nodes.evaluate("node-04321", &[]).expect("a node");
    let values = explain::explain(&node, &[]).expect("its values");
    assert!(show::text(&node, &values, false).contains("node-04321.prod.example.net"));
}

/// The best of several runs: other load on the machine only adds time.
fn best(mut run: impl FnMut()) -> Duration {
    let timed = |_| {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    (0..RUNS).map(timed).min().unwrap_or_default()
}

fn inventory() -> String {
    let mut text = String::from(
        "opsbook: 1\ndefaults:\n  user: ops\n  domain: example.net\n  address: ${node}.${domain}\n",
    );
    text.push_str("groups:\n  prod: {domain: prod.example.net}\n");
    for tier in 0..50 {
        let _ = writeln!(
            text,
            "  tier{tier}:\n    in: [prod]\n    app_port: {}\n    health: https://${{address}}:${{app_port}}/healthz",
            8000 + tier
        );
    }
    text.push_str("nodes:\n");
    for node in 0..NODES {
        let _ = writeln!(
            text,
            "  node-{node:05}:\n    groups: [tier{}]\n    rack: r{}\n    serial: 'SN{node:08}'\n    limits:\n      files: 65536\n      memory: 2G\n    mode: 0644\n    release: 1.10\n    note: \"rack r{}, unit {}\"",
            node % 50,
            node % 97,
            node % 97,
            node % 42,
        );
    }
    text
}
