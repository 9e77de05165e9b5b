//! Runs any bytes through the reader, the merge, the evaluation and the output. The body of a fuzz
//! target, and of a test without a fuzzer.

use std::sync::Arc;

use super::{Nodes, explain, parse, show};
use crate::source::{Passage, Problem, Source, is_hidden};
use crate::yaml::{self, Value, Yaml};

/// Panics if an invariant is broken: places are within the text, written output can be read again,
/// every problem can be drawn. A line `--- file` begins another file; the first line is also used
/// as a selector.
pub fn exercise(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let sources: Vec<_> = text
        .split("--- file\n")
        .enumerate()
        .map(|(index, text)| Source::new(format!("{index}.yaml"), text))
        .collect();
    for source in &sources {
        read(source);
    }
    let (nodes, problems) = parse(&sources);
    draw(&problems);
    draw(&nodes.check_all());
    if let Err(problem) = nodes.select(text.lines().next().unwrap_or_default()) {
        draw(&[problem]);
    }
    evaluate(&nodes);
}

fn read(source: &Arc<Source>) {
    let (root, problems) = yaml::read(&Passage::whole(source));
    draw(&problems);
    let Some(root) = root else { return };
    check_spans(&root);
    if problems.is_empty() {
        let written = Source::new("written.yaml", yaml::to_yaml(&root));
        let (again, problems) = yaml::read(&Passage::whole(&written));
        assert!(problems.is_empty(), "{}\n{}", problems[0], written.text);
        let same = match &again {
            Some(again) => yaml::to_json(again) == yaml::to_json(&root),
            None => root.is_null(),
        };
        assert!(same, "{}\n{}", source.text, written.text);
    }
}

fn check_spans(value: &Yaml) {
    let span = &value.span;
    assert!(span.start <= span.end, "{span:?}");
    assert!(
        span.source
            .text
            .get(span.start as usize..span.end as usize)
            .is_some(),
        "{span:?}"
    );
    match &value.value {
        Value::Seq(values) => values.iter().for_each(check_spans),
        Value::Map(map) => map.values().for_each(|entry| check_spans(&entry.value)),
        _ => {}
    }
}

fn evaluate(nodes: &Nodes) {
    let set = [("a".to_owned(), "${a}".to_owned())];
    for name in nodes.names().take(8) {
        let Ok(node) = nodes.evaluate(name, &set) else {
            continue;
        };
        let values = explain::explain(&node, &[]).unwrap_or_default();
        let shown = show::text(&node, &values, false);
        assert!(is_harmless(&shown), "{shown}");
        assert!(!show::json(&node, &values).contains('\u{1b}'));
        assert!(explain::diff(&node, &node).is_empty());
        let _ = (node.texts(), node.template_values(), show::yaml(&node, &[]));
    }
}

fn draw(problems: &[Problem]) {
    for problem in problems {
        let drawn = problem.to_string();
        assert!(is_harmless(&drawn), "{drawn}");
    }
}

fn is_harmless(text: &str) -> bool {
    !text.chars().any(|c| c != '\n' && is_hidden(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Enough to find common errors; a fuzzer continues from here.
    const ROUNDS: u32 = 2_000;

    const SEEDS: [&str; 5] = [
        "@web&!@x,*\nopsbook: 1\n",
        "opsbook: 1\ndefaults:\n  user: ops\n  domain: example.net\n  address: ${node}.${domain}\ngroups:\n  web: {in: [a], app_port: 8000}\n  a: {l: [1, '$${x}', {y: é}]}\nnodes:\n  web1: {groups: [web], m: {k: 0644, j: null}}\n  here: {transport: local}\n  box: {transport: {exec: [docker, sh]}}\n",
        "opsbook: 1\nnodes: {a: {x: '${y}', y: '${z}', s: {secret: {env: X}}}}\n--- file\nopsbook: 1\nnodes: {a: {x: null, z: \"\\e[1m\\u202e\"}}\n",
        "a: |\n  text\n  more\nb: >-\n  folded\n  text\nc: 'q''s'\nd: \"\\t\\u00e9\"\ne: [~, true, 1.5, .inf, 0x1F, -0, +7]\n? k\n: v\n",
        "a: &x 1\nb: *x\nc: !t 2\n<<: {d: 1}\n---\ne: 日本\u{feff}\n",
    ];

    /// Meaningful pieces.
    const PIECES: [&str; 24] = [
        ":", ": ", "- ", "\n", "  ", "\t", "[", "]", "{", "}", ",", "'", "\"", "#", "&a ", "*a",
        "!", "|\n", "${a}", "null", "é", "\u{feff}", "---\n", "\r\n",
    ];

    #[test]
    fn altered_texts_break_no_promise() {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            usize::try_from(random % (below as u64)).unwrap()
        };
        for seed in SEEDS {
            exercise(seed.as_bytes());
        }
        for _ in 0..ROUNDS {
            let mut data = SEEDS[next(SEEDS.len())].as_bytes().to_vec();
            for _ in 0..=next(6) {
                let at = next(data.len() + 1);
                let end = (at + next(9)).min(data.len());
                match next(4) {
                    0 => drop(data.drain(at..end)),
                    1 => drop(data.splice(at..at, PIECES[next(PIECES.len())].bytes())),
                    2 => drop(data.splice(at..end, [u8::try_from(next(256)).unwrap()])),
                    _ => {
                        let piece = data[at..end].to_vec();
                        let to = next(data.len() + 1);
                        drop(data.splice(to..to, piece));
                    }
                }
            }
            exercise(&data);
        }
    }
}
