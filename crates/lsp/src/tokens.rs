//! Semantic tokens: kinds, attributes and values of fences, names of values in scripts, elisions,
//! prompts. The editor's grammar colours the shell's own words.

use std::collections::BTreeSet;
use std::path::Path;

use lsp_types::{SemanticToken, SemanticTokenModifier, SemanticTokenType, SemanticTokensLegend};

use crate::fence::{self, Fence};
use crate::manual::Procedure;
use crate::place::Columns;
use crate::snapshot::Snapshot;

/// In the order of the legend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Keyword,
    Property,
    Text,
    Function,
    Variable,
    Elision,
    Operator,
}

/// A script cannot set a node's value.
const OF_NODES: u32 = 1;

pub fn legend() -> SemanticTokensLegend {
    SemanticTokensLegend {
        token_types: vec![
            SemanticTokenType::KEYWORD,
            SemanticTokenType::PROPERTY,
            SemanticTokenType::STRING,
            SemanticTokenType::FUNCTION,
            SemanticTokenType::VARIABLE,
            SemanticTokenType::REGEXP,
            SemanticTokenType::OPERATOR,
        ],
        token_modifiers: vec![SemanticTokenModifier::READONLY],
    }
}

struct Token {
    at: usize,
    length: usize,
    kind: Kind,
    modifiers: u32,
}

pub fn of(snapshot: &Snapshot, file: &Path, text: &str, columns: Columns) -> Vec<SemanticToken> {
    let known = Known::of(snapshot);
    let mut tokens = Vec::new();
    for fence in fence::all(text) {
        if fence.kind().is_empty() {
            continue;
        }
        words(&fence, &mut tokens);
        body(snapshot, file, text, &fence, &known, &mut tokens);
    }
    tokens.sort_by_key(|token| token.at);
    encoded(text, &tokens, columns)
}

fn token(at: usize, word: &str, kind: Kind) -> Token {
    Token {
        at,
        length: word.len(),
        kind,
        modifiers: 0,
    }
}

/// The tokens of an opening line: the kind, attributes, and their values.
fn words(fence: &Fence<'_>, tokens: &mut Vec<Token>) {
    let mut at = fence.at;
    for (number, word) in fence.info.split(' ').enumerate() {
        let place = at;
        at += word.len() + 1;
        match (number, word.split_once('=')) {
            (_, _) if word.is_empty() => {}
            (0, _) => {}
            (1, _) => tokens.push(token(place, word, Kind::Keyword)),
            (_, None) => tokens.push(token(place, word, Kind::Property)),
            (_, Some((name, value))) => {
                tokens.push(token(place, name, Kind::Property));
                let kind = if name == "id" {
                    Kind::Function
                } else {
                    Kind::Text
                };
                if !value.is_empty() {
                    tokens.push(token(place + name.len() + 1, value, kind));
                }
            }
        }
    }
}

/// Names that some procedure or the nodes define.
struct Known {
    nodes: BTreeSet<String>,
}

impl Known {
    fn of(snapshot: &Snapshot) -> Known {
        let nodes = snapshot.nodes().flat_map(|node| node.leaves.into_keys());
        Known {
            nodes: nodes.collect(),
        }
    }
}

fn body(
    snapshot: &Snapshot,
    file: &Path,
    text: &str,
    fence: &Fence<'_>,
    known: &Known,
    tokens: &mut Vec<Token>,
) {
    let body = &text[fence.body.clone()];
    let procedure = snapshot.procedure_at(file, fence.body.start);
    for (at, name) in mentions(body) {
        let place = fence.body.start + at;
        let of_nodes = known.nodes.contains(name);
        let owner = owner(procedure, name);
        if owner == Owner::Procedure {
            tokens.push(token(place, name, Kind::Variable));
        } else if of_nodes || owner == Owner::Run {
            let modifiers = OF_NODES;
            tokens.push(Token {
                modifiers,
                ..token(place, name, Kind::Variable)
            });
        }
    }
    let output = fence.kind() == "expect" || body.trim_start().starts_with("$ ");
    if output {
        elisions(body, fence.body.start, tokens);
    }
}

/// Who gives a name its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A parameter, a role, or what a step captures.
    Procedure,
    /// The run itself.
    Run,
    /// The nodes, the script, or nobody.
    Others,
}

pub fn owner(procedure: Option<&Procedure>, name: &str) -> Owner {
    let own = procedure.is_some_and(|procedure| {
        let mut steps = procedure.steps.iter();
        procedure.params.contains_key(name)
            || procedure.roles.contains_key(name)
            || steps.any(|step| step.capture.as_deref() == Some(name))
    });
    if own {
        Owner::Procedure
    } else if ["node", "bundle", "procedure", "run_id"].contains(&name) {
        Owner::Run
    } else {
        Owner::Others
    }
}

/// `$name` and `${name}`, each with the offset of the name.
pub fn mentions(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.match_indices('$').filter_map(|(at, _)| {
        let start = at + 1 + usize::from(text[at + 1..].starts_with('{'));
        let rest = &text[start..];
        let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let name = &rest[..end.unwrap_or(rest.len())];
        (!name.is_empty()).then_some((start, name))
    })
}

fn elisions(body: &str, start: usize, tokens: &mut Vec<Token>) {
    let mut at = start;
    for line in body.split_inclusive('\n') {
        let bare = line.trim_start();
        let place = at + line.len() - bare.len();
        if bare.trim_end() == "..." {
            tokens.push(token(place, "...", Kind::Elision));
        } else if bare.starts_with("$ ") {
            tokens.push(token(place, "$", Kind::Operator));
        } else {
            let found = line.match_indices("[..]");
            tokens.extend(found.map(|(within, gap)| token(at + within, gap, Kind::Elision)));
        }
        at += line.len();
    }
}

/// Encodes for the protocol: each relative to the one before, in the editor's columns. One pass
/// over the text.
fn encoded(text: &str, tokens: &[Token], columns: Columns) -> Vec<SemanticToken> {
    let mut found = Vec::with_capacity(tokens.len());
    let (mut line, mut line_start, mut seen) = (0u32, 0usize, 0usize);
    let (mut last_line, mut last_column) = (0u32, 0u32);
    for token in tokens {
        for (at, _) in text[seen..token.at].match_indices('\n') {
            line += 1;
            line_start = seen + at + 1;
        }
        seen = token.at;
        let column = columns.count(&text[line_start..token.at]);
        let delta_start = if line == last_line {
            column - last_column
        } else {
            column
        };
        found.push(SemanticToken {
            delta_line: line - last_line,
            delta_start,
            length: columns.count(&text[token.at..token.at + token.length]),
            token_type: token.kind as u32,
            token_modifiers_bitset: token.modifiers,
        });
        (last_line, last_column) = (line, column);
    }
    found
}
