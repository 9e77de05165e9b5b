//! Converts a document of `InnovationEngine` into a page with a procedure: its shell blocks become
//! steps on this machine. A similarity of one third accepts nearly anything, so it does not become
//! an expectation.

use std::fmt::Write as _;

use crate::page::id;
use crate::{Imported, Left, NotUnderstood, bounded};

const SHELLS: [&str; 7] = [
    "bash",
    "sh",
    "shell",
    "azurecli",
    "azurecli-interactive",
    "azure-cli",
    "azure-cli-interactive",
];

/// Reads such a document.
///
/// # Errors
/// If it is too large, or has no shell block.
pub fn innovation(name: &str, text: &str) -> Result<Imported, NotUnderstood> {
    bounded(name, text)?;
    let mut page = Page {
        name,
        own: String::new(),
        left: Vec::new(),
        steps: 0,
        exact: 0,
        contract: false,
        fence: String::new(),
        expected: None,
    };
    for (index, line) in text.split_inclusive('\n').enumerate() {
        page.line(index + 1, line);
    }
    if page.steps == 0 {
        let why = format!("`{name}` has no block that a shell runs");
        return Err(NotUnderstood(why));
    }
    let (contract, own) = (page.contract, page.own);
    let text = if contract {
        own
    } else {
        format!(
            "# {0}\n\n```yaml procedure\nid: {0}\n```\n\n{own}",
            id(name)
        )
    };
    let count = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    };
    Ok(Imported {
        text,
        taken: vec![count(page.steps, "step"), count(page.exact, "expectation")],
        left: page.left,
    })
}

struct Page<'p> {
    name: &'p str,
    own: String,
    left: Vec<Left>,
    steps: usize,
    exact: usize,
    contract: bool,
    /// The marks of the open fence.
    fence: String,
    /// The required similarity of the next block, and its line.
    expected: Option<(f32, usize)>,
}

impl Page<'_> {
    fn leave(&mut self, line: usize, what: impl Into<String>) {
        self.left.push(Left {
            place: format!("{}:{line}", self.name),
            what: what.into(),
        });
    }

    fn line(&mut self, number: usize, line: &str) {
        let bare = line.trim_start_matches(' ');
        let marks: String = bare.chars().take_while(|letter| *letter == '`').collect();
        if !self.fence.is_empty() {
            if bare.trim_end() == self.fence {
                self.fence.clear();
            }
            self.own += line;
        } else if marks.len() >= 3 {
            self.opening(line, bare, &marks);
            self.fence = marks;
        } else if let Some(said) = likeness(bare) {
            let ratio: Option<f32> = said.parse().ok();
            self.expected = Some((ratio.unwrap_or(0.0), number));
            if ratio.is_none() {
                let what = "an expectation that is a pattern: write it as `text expect regex`";
                self.leave(number, what);
            }
        } else {
            self.prose(number, line, bare);
        }
    }

    fn opening(&mut self, line: &str, bare: &str, marks: &str) {
        let indent = &line[..line.len() - bare.len()];
        let language = bare[marks.len()..]
            .split_whitespace()
            .next()
            .unwrap_or_default();
        let words = match self.expected.take() {
            _ if SHELLS.contains(&language) => {
                self.steps += 1;
                "bash step on=local"
            }
            Some((likeness, _)) if likeness >= 1.0 => {
                self.exact += 1;
                "text expect"
            }
            Some((likeness, said)) => {
                let what = format!(
                    "output that is alike by {likeness}: `opsbook bless --from RUN` writes what is to be expected"
                );
                self.leave(said, what);
                "text example"
            }
            None => {
                self.own += line;
                return;
            }
        };
        let _ = writeln!(self.own, "{indent}{marks}{words}");
    }

    fn prose(&mut self, number: usize, line: &str, bare: &str) {
        if !bare.trim().is_empty() {
            self.expected = None;
        }
        if bare.to_ascii_lowercase().contains("prerequisites") && bare.contains("](") {
            let what = "documents that are done first: name the procedure in the text, or `needs:`";
            self.leave(number, what);
        }
        self.own += line;
        if line.starts_with('#') && !self.contract {
            self.contract = true;
            let _ = write!(
                self.own,
                "\n```yaml procedure\nid: {}\n```\n",
                id(self.name)
            );
        }
    }
}

/// `<!-- expected_similarity=0.3 -->`
fn likeness(bare: &str) -> Option<&str> {
    let said = bare
        .strip_prefix("<!--")?
        .trim()
        .strip_prefix("expected_similarity=")?;
    Some(said.trim_end_matches("-->").trim().trim_matches('"'))
}
