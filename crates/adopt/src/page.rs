//! A page line by line: its headings and fences, and the added tags.

use std::collections::{BTreeMap, BTreeSet};

use crate::judge::{Left, Likely, Suggestion, judge};
use crate::manual::variables;
use crate::proof;

/// Where the tags are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tags {
    /// After the language on the fence.
    #[default]
    Words,
    /// In a comment before the fence, for generators that allow no words there.
    Comments,
}

/// The result for a page.
#[derive(Debug)]
pub struct Adopted {
    /// The new text; the old one if nothing is certain.
    pub text: String,
    /// Each shell block that had no kind.
    pub blocks: Vec<ExaminedBlock>,
    /// The lines, from 1, of blocks without a language, which may not be for a shell.
    pub unsaid: Vec<usize>,
}

/// An examined block.
#[derive(Debug)]
pub struct ExaminedBlock {
    /// The line of its opening fence, from 1.
    pub line: usize,
    /// Its proposed kind.
    pub suggestion: Suggestion,
}

impl From<Block> for ExaminedBlock {
    fn from(block: Block) -> ExaminedBlock {
        ExaminedBlock {
            line: block.line + 1,
            suggestion: block.suggestion,
        }
    }
}

#[derive(Clone)]
struct Block {
    line: usize,
    /// The line of the closing fence.
    end: usize,
    /// The section that contains it: the line of its heading.
    section: usize,
    suggestion: Suggestion,
    tag: Option<String>,
}

/// Languages that opsbook runs with a shell.
const SHELLS: [&str; 14] = [
    "sh",
    "bash",
    "dash",
    "shell",
    "zsh",
    "ksh",
    "console",
    "shell-session",
    "shellsession",
    "sh-session",
    "terminal",
    "posix",
    "no-highlight",
    "nohighlight",
];

/// opsbook's words after the language.
const KINDS: [&str; 10] = [
    "procedure",
    "checks",
    "step",
    "check",
    "expect",
    "deliver",
    "file",
    "manual",
    "each",
    "example",
];

/// Tags the certain blocks of a page, and adds the contracts that they need. `path` is relative to
/// the folder of pages; ids are derived from it.
#[must_use]
pub fn page(path: &str, text: &str, tags: Tags) -> Adopted {
    let lines: Vec<&str> = text.split('\n').collect();
    let mut read = read(&lines);
    read.leave_unset_variables(&lines);
    let mut refused = Refused::default();
    // Errors are removed, which may invalidate other tags: repeat. A page for which this does not
    // converge stays unchanged.
    for round in 0..6 {
        let mut blocks = read.blocks.clone();
        if round == 5 {
            refused.sections.extend(read.headings.keys());
        }
        refused.leave(&mut blocks);
        let contracts = contracts(path, &read, &refused, &mut blocks, tags);
        for block in &mut blocks {
            block.leave_untagged(&read, &refused);
        }
        let (new, places) = written(&lines, &blocks, &contracts, tags);
        let errors = if new == text {
            Vec::new()
        } else {
            proof::new_errors(path, text, &new)
        };
        if errors.is_empty() || round == 5 {
            return Adopted {
                text: if errors.is_empty() {
                    new
                } else {
                    text.to_owned()
                },
                unsaid: read.unsaid,
                blocks: blocks.into_iter().map(ExaminedBlock::from).collect(),
            };
        }
        for (line, why) in errors {
            refused.take_back(&places, &blocks, line, why);
        }
    }
    unreachable!("the last round returns");
}

/// The page before the change.
struct Read<'t> {
    blocks: Vec<Block>,
    /// By line: the level and the words.
    headings: BTreeMap<usize, (usize, &'t str)>,
    /// Sections in which somebody has already written tags.
    tagged: BTreeSet<usize>,
    unsaid: Vec<usize>,
}

fn read<'t>(lines: &[&'t str]) -> Read<'t> {
    let mut read = Read {
        blocks: Vec::new(),
        headings: BTreeMap::new(),
        tagged: BTreeSet::new(),
        unsaid: Vec::new(),
    };
    let mut section = 0;
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        let bare = line.trim_start_matches([' ', '\t']);
        let mark = &bare[..bare.len() - bare.trim_start_matches(['`', '~']).len()];
        if mark.len() >= 3 {
            let close = close(lines, at, mark);
            let info: Vec<&str> = bare[mark.len()..].split_whitespace().collect();
            let body = body(lines, at, close);
            let commented = at > 0 && lines[at - 1].trim_start().starts_with("<!-- opsbook:");
            if commented || info.get(1).is_some_and(|word| KINDS.contains(word)) {
                read.tagged.insert(section);
            } else if let Some(suggestion) = of(&info, &body) {
                read.blocks.push(Block {
                    line: at,
                    end: close,
                    section,
                    suggestion,
                    tag: None,
                });
            } else if info.is_empty() {
                read.unsaid.push(at + 1);
            }
            at = close;
        } else if bare.starts_with('#') && bare.trim_start_matches('#').starts_with(' ') {
            section = at;
            let words = bare.trim_start_matches('#');
            read.headings
                .insert(at, (bare.len() - words.len(), words.trim()));
        }
        at += 1;
    }
    read
}

/// The text of a block, without the indentation of its fence.
fn body(lines: &[&str], open: usize, close: usize) -> String {
    let line = lines[open];
    let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
    let body = &lines[open + 1..close.min(lines.len())];
    let body = body.iter().map(|line| without(line, indent));
    body.collect::<Vec<_>>().join("\n")
}

impl Read<'_> {
    /// A variable that nothing before it sets is known only to the reader.
    fn leave_unset_variables(&mut self, lines: &[&str]) {
        let mut known: BTreeSet<String> = BTreeSet::new();
        let mut section = usize::MAX;
        for block in &mut self.blocks {
            if block.section != section {
                (known, section) = (BTreeSet::new(), block.section);
            }
            let likely = match block.suggestion {
                Suggestion::Check => Likely::Check,
                Suggestion::Step => Likely::Step,
                _ => continue,
            };
            let used = variables(&body(lines, block.line, block.end), "sh");
            known.extend(used.kept.iter().chain(&used.assigned).cloned());
            let unset = |name: &&String| !known.contains(*name) && !used.guarded.contains(*name);
            if let (false, false, Some(name)) =
                (used.opaque, used.lenient, used.mentioned.keys().find(unset))
            {
                let why = format!("nothing sets `${name}`: a parameter");
                block.suggestion = Suggestion::Left(Left { likely, why });
            }
        }
    }

    /// The line after a section and its subsections.
    fn end_of(&self, section: usize) -> usize {
        let level = self.headings.get(&section).map_or(0, |(level, _)| *level);
        let mut behind = self.headings.range(section + 1..);
        let next = behind.find(|(_, (other, _))| *other <= level);
        next.map_or(usize::MAX, |(line, _)| *line)
    }
}

/// Tags that would be errors.
#[derive(Default)]
struct Refused {
    /// By the line of the fence: the reason.
    blocks: BTreeMap<usize, String>,
    /// Sections that get no contract.
    sections: BTreeSet<usize>,
}

impl Refused {
    fn leave(&self, blocks: &mut [Block]) {
        for block in blocks {
            if let Some(why) = self.blocks.get(&block.line) {
                let likely = match &block.suggestion {
                    Suggestion::Check => Likely::Check,
                    Suggestion::Step => Likely::Step,
                    Suggestion::Example(_) => Likely::Example,
                    Suggestion::Left(left) => left.likely,
                };
                let why = why.clone();
                block.suggestion = Suggestion::Left(Left { likely, why });
            }
        }
    }

    /// Removes the tag at a line of the new text.
    fn take_back(&mut self, places: &Places, blocks: &[Block], line: usize, why: String) {
        let within = |block: &&Block| {
            let begins = places
                .blocks
                .get(&block.line)
                .copied()
                .unwrap_or(usize::MAX);
            (begins..=begins.saturating_add(block.end - block.line + 1)).contains(&line)
        };
        let tagged = { blocks.iter() }.find(|block| block.tag.is_some() && within(block));
        if let Some(block) = tagged {
            self.blocks.insert(block.line, why);
            return;
        }
        let before = places.contracts.range(..=line).next_back();
        self.sections.extend(before.map(|(_, section)| *section));
        if before.is_none() {
            self.sections.extend(places.contracts.values());
        }
    }
}

/// Where blocks and contracts are in the new text.
struct Places {
    /// By the old line of a fence: its new line.
    blocks: BTreeMap<usize, usize>,
    /// By the line of a contract: its section.
    contracts: BTreeMap<usize, usize>,
}

impl Block {
    /// Gives a reason for blocks that are certain and still have no tag.
    fn leave_untagged(&mut self, read: &Read<'_>, refused: &Refused) {
        let likely = match (&self.suggestion, &self.tag) {
            (Suggestion::Check, None) => Likely::Check,
            (Suggestion::Step, None) => Likely::Step,
            _ => return,
        };
        let why = if read.tagged.contains(&self.section) {
            "its section has tags already"
        } else if refused.sections.contains(&self.section) {
            "its section has no place for a contract"
        } else if read.has_procedures_below(self.section) {
            "sections below its own have tags"
        } else if read.headings.contains_key(&self.section) {
            "another block of its section is unclear"
        } else {
            "there is no heading above it"
        };
        let why = why.to_owned();
        self.suggestion = Suggestion::Left(Left { likely, why });
    }
}

/// The line of the closing fence, or the end.
fn close(lines: &[&str], open: usize, mark: &str) -> usize {
    let closes = |line: &&str| {
        let bare = line.trim();
        bare.len() >= mark.len()
            && bare.starts_with(mark)
            && bare.trim_start_matches(&mark[..1]).is_empty()
    };
    let rest = lines[open + 1..].iter().position(closes);
    rest.map_or(lines.len(), |at| open + 1 + at)
}

/// A line without the indentation of its fence.
fn without(line: &str, indent: usize) -> &str {
    let spaces = line.len() - line.trim_start_matches([' ', '\t']).len();
    line[spaces.min(indent)..].trim_end_matches('\r')
}

/// The proposed kind of a block with these words on its fence; `None` if it is not for a shell.
fn of(info: &[&str], body: &str) -> Option<Suggestion> {
    let unsure = |suggestion: Suggestion, why: &str| {
        let likely = match suggestion {
            Suggestion::Check => Likely::Check,
            Suggestion::Step => Likely::Step,
            other => return other,
        };
        let why = why.to_owned();
        Suggestion::Left(Left { likely, why })
    };
    match *info {
        // Without a language, report only what is certainly a command.
        [] => match judge(body) {
            sure @ (Suggestion::Check | Suggestion::Step) => {
                Some(unsure(sure, "write `sh` after its fence"))
            }
            _ => None,
        },
        [language] if SHELLS.contains(&language) => Some(judge(body)),
        [language, ..] if SHELLS.contains(&language) => Some(unsure(
            judge(body),
            "its fence has words of another program",
        )),
        _ => None,
    }
}

impl Read<'_> {
    /// Whether a section becomes a procedure or a group of checks. A procedure must be complete:
    /// all its blocks must be certain.
    fn kind_of(&self, section: usize, blocks: &[Block]) -> Option<&'static str> {
        let own = || blocks.iter().filter(|block| block.section == section);
        let steps = own().any(|block| block.suggestion == Suggestion::Step);
        let checks = own().any(|block| block.suggestion == Suggestion::Check);
        let whole = !own().any(|block| matches!(block.suggestion, Suggestion::Left(_)));
        // Without a heading there is no section; tags of the author are left alone.
        if !self.headings.contains_key(&section) || self.tagged.contains(&section) {
            return None;
        }
        match (steps, checks) {
            (true, _) => whole.then_some("procedure"),
            (false, true) => Some("checks"),
            (false, false) => None,
        }
    }

    /// A contract also covers the sections below its own, so those could have no procedure.
    fn has_procedures_below(&self, section: usize) -> bool {
        let below = section + 1..self.end_of(section);
        let tagged = self.tagged.range(below.clone()).next().is_some();
        let mut sections = self.headings.range(below).map(|(line, _)| *line);
        tagged || sections.any(|line| self.kind_of(line, &self.blocks) == Some("procedure"))
    }

    /// A section above this one has tags, and its contract applies here.
    fn is_below_tags(&self, section: usize) -> bool {
        let mut above = self.tagged.range(..section);
        above.any(|tagged| self.headings.contains_key(tagged) && section < self.end_of(*tagged))
    }
}

/// Tags the certain blocks, and adds a contract to each section with tags.
fn contracts(
    path: &str,
    read: &Read<'_>,
    refused: &Refused,
    blocks: &mut [Block],
    tags: Tags,
) -> BTreeMap<usize, String> {
    let mut contracts = BTreeMap::new();
    let mut ids = BTreeSet::new();
    let sections: BTreeSet<usize> = blocks.iter().map(|block| block.section).collect();
    for section in sections {
        let kind = read.kind_of(section, blocks).filter(|_| {
            !refused.sections.contains(&section)
                && !read.has_procedures_below(section)
                && !read.is_below_tags(section)
        });
        let (Some(kind), Some((_, heading))) = (kind, read.headings.get(&section)) else {
            continue;
        };
        let first = read.headings.keys().next() == Some(&section);
        let id = unique(&name(path, heading, first), &mut ids);
        let contract = match tags {
            Tags::Words => format!("```yaml {kind}\nid: {id}\n```"),
            Tags::Comments => format!("<!-- opsbook: {kind} -->\n```yaml\nid: {id}\n```"),
        };
        contracts.insert(section, contract);
        let own = blocks.iter_mut().filter(|block| block.section == section);
        for (number, block) in own.enumerate() {
            let number = number + 1;
            block.tag = match block.suggestion {
                Suggestion::Check if kind == "procedure" => {
                    Some(format!("check id=check-{number}"))
                }
                Suggestion::Check => Some(format!("check id={id}.{number}")),
                Suggestion::Step => Some(format!("step id=step-{number}")),
                Suggestion::Example(_) => Some("example".to_owned()),
                Suggestion::Left(_) => None,
            };
        }
    }
    let elsewhere = |block: &&mut Block| !read.tagged.contains(&block.section);
    for block in blocks.iter_mut().filter(elsewhere) {
        if let (Suggestion::Example(_), None) = (&block.suggestion, &block.tag) {
            block.tag = Some("example".to_owned());
        }
    }
    contracts
}

/// `alerts/agent.md` with `Restart the agent` becomes `alerts.agent.restart-the-agent`.
fn name(path: &str, heading: &str, first: bool) -> String {
    let path = path.strip_suffix(".md").unwrap_or(path);
    let path = path
        .strip_suffix("/README")
        .or(path.strip_suffix("/index"))
        .unwrap_or(path);
    let mut words: Vec<String> = path
        .split('/')
        .map(slug)
        .filter(|word| !word.is_empty())
        .collect();
    let heading = slug(heading);
    if !first && !heading.is_empty() {
        words.push(heading);
    }
    if words.is_empty() {
        "page".to_owned()
    } else {
        words.join(".")
    }
}

fn slug(text: &str) -> String {
    let letters = text.chars().map(|letter| match letter {
        letter if letter.is_ascii_alphanumeric() => letter.to_ascii_lowercase(),
        _ => '-',
    });
    let letters: String = letters.collect();
    let words: Vec<&str> = letters
        .split('-')
        .filter(|word| !word.is_empty())
        .take(5)
        .collect();
    let slug = words.join("-");
    match slug.chars().next() {
        Some(first) if first.is_ascii_digit() => format!("n{slug}"),
        _ => slug,
    }
}

fn unique(id: &str, taken: &mut BTreeSet<String>) -> String {
    let mut id = id.to_owned();
    while !taken.insert(id.clone()) {
        id.push_str("-2");
    }
    id
}

fn written(
    lines: &[&str],
    blocks: &[Block],
    contracts: &BTreeMap<usize, String>,
    tags: Tags,
) -> (String, Places) {
    let mut places = Places {
        blocks: BTreeMap::new(),
        contracts: BTreeMap::new(),
    };
    let tagged: BTreeMap<usize, &Block> = blocks.iter().map(|block| (block.line, block)).collect();
    let mut out: Vec<String> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let tag = tagged.get(&at).and_then(|block| block.tag.as_ref());
        let ending = if line.ends_with('\r') { "\r" } else { "" };
        places.blocks.insert(at, out.len());
        match tag {
            Some(tag) if tags == Tags::Comments => {
                let indent = &line[..line.len() - line.trim_start().len()];
                out.push(format!("{indent}<!-- opsbook: {tag} -->{ending}"));
                out.push((*line).to_owned());
            }
            Some(tag) => {
                let end = line.trim_end_matches(['\r', ' ']);
                out.push(format!("{end} {tag}{ending}"));
            }
            None => out.push((*line).to_owned()),
        }
        if let Some(contract) = contracts.get(&at) {
            out.push(ending.to_owned());
            places.contracts.insert(out.len(), at);
            out.extend(contract.split('\n').map(|line| format!("{line}{ending}")));
        }
    }
    (out.join("\n"), places)
}

#[cfg(test)]
mod tests {
    use indoc::indoc;

    use super::*;

    const PAGE: &str = indoc! {"
        # The agent

        It runs:

        ```sh
        systemctl is-active agent
        ```

        ## Restart it

        ```bash
        systemctl restart agent
        ```

        Then look:

        ```sh
        systemctl is-active agent
        ```

        ## By hand

        ```sh
        systemctl stop agent
        ```

        ```sh
        vim /etc/agent.conf
        ```

        ## Watch

        - in a list:

          ```sh
          journalctl -fu agent
          ```
    "};

    #[test]
    fn only_what_is_sure_is_tagged() {
        let adopted = page("alerts/agent.md", PAGE, Tags::Words);
        let expected = PAGE
            .replacen(
                "## Restart it\n",
                "## Restart it\n\n```yaml procedure\nid: alerts.agent.restart-it\n```\n",
                1,
            )
            .replacen("```bash\n", "```bash step id=step-1\n", 1)
            .replacen("look:\n\n```sh\n", "look:\n\n```sh check id=check-2\n", 1)
            .replacen("  ```sh\n", "  ```sh example\n", 1);
        assert_eq!(adopted.text, expected);
        assert_eq!(adopted.blocks.len(), 6);
        // A group cannot contain procedures; an incomplete procedure is not written.
        assert!(matches!(adopted.blocks[0].suggestion, Suggestion::Left(_)));
        assert!(matches!(adopted.blocks[4].suggestion, Suggestion::Left(_)));
    }

    #[test]
    fn adopting_twice_changes_nothing_and_no_other_byte_is_touched() {
        let pages = [
            PAGE.to_owned(),
            PAGE.replace('\n', "\r\n"),
            format!("{PAGE}```sh\nls"),
            String::new(),
        ];
        let all = pages
            .iter()
            .flat_map(|text| [(text, Tags::Words), (text, Tags::Comments)]);
        for (text, tags) in all {
            let once = page("alerts/agent.md", text, tags).text;
            assert_eq!(page("alerts/agent.md", &once, tags).text, once);
            let mut old = text.split('\n');
            let mut next = old.next();
            for line in once.split('\n') {
                match next {
                    Some(own) if own == line => next = old.next(),
                    Some(own)
                        if line.trim_end().starts_with(own.trim_end()) && own.contains("```") =>
                    {
                        next = old.next();
                    }
                    // A line of a contract.
                    _ => assert!(
                        ["", "```", "```yaml"].contains(&line.trim())
                            || line.trim_start().starts_with("<!-- opsbook: ")
                            || line.starts_with("id: ")
                            || line.starts_with("```yaml "),
                        "{line:?}"
                    ),
                }
            }
            assert_eq!(next, None);
        }
    }
}
