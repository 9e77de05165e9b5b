//! The commonly used part of gossfile templates: Go's `if`, `range`, `with`, variables and pipes,
//! with goss's functions. Works on given values; reads and runs nothing.

use crate::yaml::{Value, Yaml};

/// A value in a template.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Nothing,
    Flag(bool),
    Number(String),
    Text(String),
    List(Vec<Item>),
    Map(Vec<(String, Item)>),
    /// An unset `.Vars.x`: printed as a reference to a value.
    Open(String),
}

/// The most bytes of output: nested loops are small in the file.
const MOST_BYTES: usize = 8 << 20;
const MOST_DEPTH: usize = 64;

impl Item {
    pub fn of(yaml: &Yaml) -> Item {
        match &yaml.value {
            Value::Null => Item::Nothing,
            Value::Bool(flag) => Item::Flag(*flag),
            Value::Int(_, text) | Value::Float(_, text) => Item::Number(text.clone()),
            Value::Str(text) => Item::Text(text.clone()),
            Value::Seq(list) => Item::List(list.iter().map(Item::of).collect()),
            Value::Map(map) => {
                let entries = map
                    .iter()
                    .map(|(key, entry)| (key.clone(), Item::of(&entry.value)));
                Item::Map(entries.collect())
            }
        }
    }

    fn get(&self, key: &str) -> Option<&Item> {
        match self {
            Item::Map(entries) => entries
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, item)| item),
            _ => None,
        }
    }

    fn holds(&self) -> bool {
        match self {
            Item::Nothing | Item::Open(_) => false,
            Item::Flag(flag) => *flag,
            Item::Number(number) => number.parse::<f64>().is_ok_and(|number| number != 0.0),
            Item::Text(text) => !text.is_empty(),
            Item::List(list) => !list.is_empty(),
            Item::Map(entries) => !entries.is_empty(),
        }
    }

    /// The printed form.
    fn shown(&self) -> String {
        match self {
            Item::Nothing => "<no value>".to_owned(),
            Item::Flag(flag) => flag.to_string(),
            Item::Number(text) | Item::Text(text) => text.clone(),
            Item::List(_) | Item::Map(_) => self.json(),
            Item::Open(name) => format!("${{{name}}}"),
        }
    }

    fn json(&self) -> String {
        let quoted = |text: &str| {
            let escaped: String = text
                .chars()
                .map(|letter| match letter {
                    '"' => "\\\"".to_owned(),
                    '\\' => "\\\\".to_owned(),
                    letter if letter.is_control() => format!("\\u{:04x}", letter as u32),
                    letter => letter.to_string(),
                })
                .collect();
            format!("\"{escaped}\"")
        };
        match self {
            Item::Nothing => "null".to_owned(),
            Item::Flag(flag) => flag.to_string(),
            Item::Number(number) => number.clone(),
            Item::Text(text) => quoted(text),
            Item::Open(name) => quoted(&format!("${{{name}}}")),
            Item::List(list) => {
                let all: Vec<String> = list.iter().map(Item::json).collect();
                format!("[{}]", all.join(","))
            }
            Item::Map(entries) => {
                let all: Vec<String> = entries
                    .iter()
                    .map(|(key, item)| format!("{}:{}", quoted(key), item.json()))
                    .collect();
                format!("{{{}}}", all.join(","))
            }
        }
    }
}

/// A piece of a template: text, or the contents of braces, with its line.
enum Piece {
    Text(String),
    Action(String, usize),
}

/// Renders the template. `vars` and `env` are the values of `--vars` and `--env`; `open` names an
/// unset one.
pub fn render(
    text: &str,
    vars: &Item,
    env: &Item,
    open: &mut dyn FnMut(&str, usize) -> Option<String>,
) -> Result<String, (usize, String)> {
    let pieces = pieces(text)?;
    let mut run = Run {
        vars,
        env,
        open,
        out: String::new(),
        names: Vec::new(),
    };
    let end = run.block(&pieces, 0, &Item::Nothing, true, 0)?;
    match pieces.get(end) {
        None => Ok(run.out),
        Some(Piece::Action(word, line)) => Err((*line, format!("`{word}` closes nothing"))),
        Some(Piece::Text(_)) => Ok(run.out),
    }
}

fn pieces(text: &str) -> Result<Vec<Piece>, (usize, String)> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut line = 1;
    let mut trims = false;
    while let Some(at) = rest.find("{{") {
        let (before, behind) = rest.split_at(at);
        let behind = &behind[2..];
        let close = behind
            .find("}}")
            .ok_or((line, "`{{` is never closed".to_owned()))?;
        let mut action = &behind[..close];
        let mut own = if trims { before.trim_start() } else { before };
        if let Some(inner) = action.strip_prefix("- ") {
            (action, own) = (inner, own.trim_end());
        }
        line += before.matches('\n').count();
        pieces.push(Piece::Text(own.to_owned()));
        trims = action.ends_with(" -");
        let action = action.strip_suffix(" -").unwrap_or(action).trim();
        if !action.starts_with("/*") {
            pieces.push(Piece::Action(action.to_owned(), line));
        }
        line += behind[..close].matches('\n').count();
        rest = &behind[close + 2..];
    }
    pieces.push(Piece::Text(
        if trims { rest.trim_start() } else { rest }.to_owned(),
    ));
    Ok(pieces)
}

struct Run<'r> {
    vars: &'r Item,
    env: &'r Item,
    open: &'r mut dyn FnMut(&str, usize) -> Option<String>,
    out: String,
    names: Vec<(String, Item)>,
}

type Wrong = (usize, String);

impl Run<'_> {
    /// Processes pieces up to the `end` or `else` of this block; returns its index. Pieces that are
    /// not `live` are skipped.
    fn block(
        &mut self,
        pieces: &[Piece],
        mut at: usize,
        dot: &Item,
        live: bool,
        depth: usize,
    ) -> Result<usize, Wrong> {
        while let Some(piece) = pieces.get(at) {
            match piece {
                Piece::Text(text) => {
                    if live {
                        self.out += text;
                    }
                    at += 1;
                }
                Piece::Action(action, line) => {
                    if self.out.len() > MOST_BYTES || depth > MOST_DEPTH {
                        return Err((*line, "it makes too much".to_owned()));
                    }
                    let (word, rest) = action
                        .split_once(char::is_whitespace)
                        .unwrap_or((action, ""));
                    match word {
                        "end" | "else" => return Ok(at),
                        "if" | "with" => {
                            at = self.choice(pieces, at, word, rest.trim(), dot, live, depth)?;
                        }
                        "range" => at = self.range(pieces, at, rest.trim(), dot, live, depth)?,
                        "define" | "template" | "block" | "break" | "continue" => {
                            return Err((*line, format!("`{word}` is not read")));
                        }
                        _ => {
                            if live {
                                self.action(action, *line, dot)?;
                            }
                            at += 1;
                        }
                    }
                }
            }
        }
        if depth > 0 {
            return Err((0, "a block is never closed".to_owned()));
        }
        Ok(at)
    }

    fn line(pieces: &[Piece], at: usize) -> usize {
        match pieces.get(at) {
            Some(Piece::Action(_, line)) => *line,
            _ => 0,
        }
    }

    /// The closing tag of a block: `end`, `else`, `else if …`.
    fn closes(pieces: &[Piece], at: usize) -> Option<&str> {
        match pieces.get(at) {
            Some(Piece::Action(action, _)) => Some(action),
            _ => None,
        }
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "the parts of one sentence of the template"
    )]
    fn choice(
        &mut self,
        pieces: &[Piece],
        at: usize,
        word: &str,
        asked: &str,
        dot: &Item,
        live: bool,
        depth: usize,
    ) -> Result<usize, Wrong> {
        let line = Self::line(pieces, at);
        let known = self.names.len();
        let item = if live {
            self.pipeline(asked, line, dot)?
        } else {
            Item::Nothing
        };
        if live && let Item::Open(name) = &item {
            return Err((
                line,
                format!("what it chooses hangs on `{name}`: give it with --vars or --env"),
            ));
        }
        let yes = live && item.holds();
        let inner = if word == "with" { &item } else { dot };
        let mut at = self.block(pieces, at + 1, inner, yes, depth + 1)?;
        self.names.truncate(known);
        let closes = Self::closes(pieces, at).unwrap_or("end").to_owned();
        if let Some(rest) = closes.strip_prefix("else") {
            let no = live && !yes;
            let rest = rest.trim();
            if let Some(asked) = rest.strip_prefix("if ") {
                return self.choice(pieces, at, "if", asked.trim(), dot, no, depth);
            }
            at = self.block(pieces, at + 1, dot, no, depth + 1)?;
        }
        Ok(at + 1)
    }

    fn range(
        &mut self,
        pieces: &[Piece],
        at: usize,
        said: &str,
        dot: &Item,
        live: bool,
        depth: usize,
    ) -> Result<usize, Wrong> {
        let line = Self::line(pieces, at);
        let (names, asked) = match said.split_once(":=") {
            Some((names, asked)) => (
                names
                    .split(',')
                    .map(|name| name.trim().to_owned())
                    .collect(),
                asked.trim(),
            ),
            None => (Vec::new(), said),
        };
        let item = if live {
            self.pipeline(asked, line, dot)?
        } else {
            Item::Nothing
        };
        let mut entries: Vec<(Item, Item)> = match item {
            Item::List(list) => list
                .into_iter()
                .enumerate()
                .map(|(number, item)| (Item::Number(number.to_string()), item))
                .collect(),
            Item::Map(entries) => entries
                .into_iter()
                .map(|(key, item)| (Item::Text(key), item))
                .collect(),
            Item::Open(name) => {
                return Err((
                    line,
                    format!("what it goes through is `{name}`: give it with --vars or --env"),
                ));
            }
            Item::Nothing => Vec::new(),
            other => return Err((line, format!("`{}` cannot be gone through", other.shown()))),
        };
        // Maps are iterated in the order of their keys.
        if let Some((Item::Text(_), _)) = entries.first() {
            entries.sort_by_key(|(key, _)| key.shown());
        }
        let mut end = None;
        let known = self.names.len();
        for (key, item) in &entries {
            match names.as_slice() {
                [] => {}
                [one] => self.names.push((one.clone(), item.clone())),
                [first, second, ..] => {
                    self.names.push((first.clone(), key.clone()));
                    self.names.push((second.clone(), item.clone()));
                }
            }
            end = Some(self.block(pieces, at + 1, item, true, depth + 1)?);
            self.names.truncate(known);
        }
        let empty = end.is_none();
        let mut at = match end {
            Some(end) => end,
            None => self.block(pieces, at + 1, dot, false, depth + 1)?,
        };
        if Self::closes(pieces, at).is_some_and(|word| word.starts_with("else")) {
            at = self.block(pieces, at + 1, dot, live && empty, depth + 1)?;
        }
        Ok(at + 1)
    }

    fn action(&mut self, action: &str, line: usize, dot: &Item) -> Result<(), Wrong> {
        let assigned = action
            .strip_prefix('$')
            .and_then(|_| action.split_once(":=").or_else(|| action.split_once(" = ")));
        if let Some((name, asked)) = assigned {
            let item = self.pipeline(asked.trim(), line, dot)?;
            let name = name.trim().to_owned();
            self.names.push((name, item));
            return Ok(());
        }
        let item = self.pipeline(action, line, dot)?;
        self.out += &item.shown();
        Ok(())
    }

    fn pipeline(&mut self, text: &str, line: usize, dot: &Item) -> Result<Item, Wrong> {
        let words = words(text).ok_or_else(|| (line, format!("`{text}` is not read")))?;
        let mut last: Option<Item> = None;
        for command in words.split(|word| word == "|") {
            let mut items = Vec::new();
            let (first, rest) = command
                .split_first()
                .ok_or_else(|| (line, format!("`{text}` is not read")))?;
            for word in rest {
                items.push(self.operand(word, line, dot)?);
            }
            items.extend(last.take());
            last = Some(if is_operand(first) {
                if !items.is_empty() {
                    return Err((line, format!("`{first}` is not a function")));
                }
                self.operand(first, line, dot)?
            } else {
                function(first, &items).map_err(|why| (line, why))?
            });
        }
        last.ok_or_else(|| (line, "it is empty".to_owned()))
    }

    fn operand(&mut self, word: &str, line: usize, dot: &Item) -> Result<Item, Wrong> {
        let unread = || (line, format!("`{word}` is not read"));
        if let Some(inner) = word.strip_prefix('(') {
            return self.pipeline(inner.strip_suffix(')').ok_or_else(unread)?, line, dot);
        }
        if let Some(text) = word
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
        {
            return Ok(Item::Text(text.replace("\\\"", "\"").replace("\\\\", "\\")));
        }
        if let Some(text) = word
            .strip_prefix('`')
            .and_then(|text| text.strip_suffix('`'))
        {
            return Ok(Item::Text(text.to_owned()));
        }
        if word == "true" || word == "false" {
            return Ok(Item::Flag(word == "true"));
        }
        if word.parse::<f64>().is_ok() {
            return Ok(Item::Number(word.to_owned()));
        }
        let mut parts = word.split('.');
        let head = parts.next().unwrap_or_default();
        let mut item = if let Some(name) = head.strip_prefix('$').filter(|name| !name.is_empty()) {
            let found = self
                .names
                .iter()
                .rev()
                .find(|(known, _)| known[1..] == *name);
            found.map(|(_, item)| item.clone()).ok_or_else(unread)?
        } else if head.is_empty() || head == "$" {
            match parts.clone().next() {
                Some("Vars") => {
                    parts.next();
                    self.vars.clone()
                }
                Some("Env") => {
                    parts.next();
                    self.env.clone()
                }
                _ => dot.clone(),
            }
        } else {
            return Err(unread());
        };
        for part in parts.filter(|part| !part.is_empty()) {
            item = match (item.get(part), &item) {
                (Some(found), _) => found.clone(),
                (None, Item::Open(_) | Item::Nothing | Item::Map(_)) => {
                    match (self.open)(part, line) {
                        Some(name) => Item::Open(name),
                        None => return Err(unread()),
                    }
                }
                _ => return Err(unread()),
            };
        }
        Ok(item)
    }
}

fn is_operand(word: &str) -> bool {
    word.starts_with(['.', '$', '"', '`', '('])
        || word == "true"
        || word == "false"
        || word.parse::<f64>().is_ok()
}

fn function(name: &str, items: &[Item]) -> Result<Item, String> {
    let open = items.iter().find_map(|item| match item {
        Item::Open(name) => Some(name),
        _ => None,
    });
    if let Some(open) = open {
        return Err(format!(
            "`{name}` works with `{open}`: give it with --vars or --env"
        ));
    }
    let text = |at: usize| items.get(at).map(Item::shown).unwrap_or_default();
    Ok(match (name, items) {
        ("index", [first, keys @ ..]) => {
            let mut item = first.clone();
            for key in keys {
                let found = match (&item, key) {
                    (Item::List(list), Item::Number(number)) => {
                        number.parse::<usize>().ok().and_then(|at| list.get(at))
                    }
                    (item, key) => item.get(&key.shown()),
                };
                item = found.cloned().unwrap_or(Item::Nothing);
            }
            item
        }
        ("mkSlice", items) => Item::List(items.to_vec()),
        ("toLower" | "lower", [_]) => Item::Text(text(0).to_lowercase()),
        ("toUpper" | "upper", [_]) => Item::Text(text(0).to_uppercase()),
        ("repeat", [_, _]) => {
            let count = text(0).parse::<usize>().unwrap_or(0);
            if count.saturating_mul(text(1).len()) > MOST_BYTES {
                return Err("it makes too much".to_owned());
            }
            Item::Text(text(1).repeat(count))
        }
        ("toJson", [item]) => Item::Text(item.json()),
        ("not", [item]) => Item::Flag(!item.holds()),
        ("and", items) => items
            .iter()
            .find(|item| !item.holds())
            .or(items.last())
            .cloned()
            .unwrap_or(Item::Nothing),
        ("or", items) => items
            .iter()
            .find(|item| item.holds())
            .or(items.last())
            .cloned()
            .unwrap_or(Item::Nothing),
        ("eq", [first, rest @ ..]) if !rest.is_empty() => {
            Item::Flag(rest.iter().any(|item| item.shown() == first.shown()))
        }
        ("ne", [a, b]) => Item::Flag(a.shown() != b.shown()),
        ("len", [Item::List(list)]) => Item::Number(list.len().to_string()),
        ("len", [Item::Map(entries)]) => Item::Number(entries.len().to_string()),
        ("len", [_]) => Item::Number(text(0).len().to_string()),
        ("print" | "println", items) => {
            Item::Text(items.iter().map(Item::shown).collect::<Vec<_>>().join(" "))
        }
        ("regexMatch", [_, _]) => {
            // Compiling takes time in proportion to the pattern; this limits it.
            let pattern = regex::RegexBuilder::new(&text(0))
                .size_limit(1 << 16)
                .build();
            let pattern =
                pattern.map_err(|_| format!("`{}` is not a valid regular expression", text(0)))?;
            Item::Flag(pattern.is_match(&text(1)))
        }
        ("default", [first, second]) => if second.holds() { second } else { first }.clone(),
        ("quote", [_]) => Item::Text(Item::Text(text(0)).json()),
        ("trim", [_]) => Item::Text(text(0).trim().to_owned()),
        ("replace", [_, _, _]) => Item::Text(text(2).replace(&text(0), &text(1))),
        ("hasKey", [map, key]) => Item::Flag(map.get(&key.shown()).is_some()),
        ("list", items) => Item::List(items.to_vec()),
        _ => {
            return Err(format!(
                "the function `{name}` is not read: `goss render` makes the file that can be imported"
            ));
        }
    })
}

/// The words of a pipeline; quotes and brackets group.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quote, mut depth) = (None, 0usize);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some('"'), '\\') => {
                word.push(letter);
                word.extend(letters.next());
            }
            (Some(open), _) => {
                word.push(letter);
                if letter == open {
                    quote = None;
                }
            }
            (None, '"' | '`') => {
                quote = Some(letter);
                word.push(letter);
            }
            (None, '(') => {
                depth += 1;
                word.push(letter);
            }
            (None, ')') => {
                depth = depth.checked_sub(1)?;
                word.push(letter);
            }
            (None, '|') if depth == 0 => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                words.push("|".to_owned());
            }
            (None, letter) if letter.is_whitespace() && depth == 0 => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            (None, letter) => word.push(letter),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    (quote.is_none() && depth == 0).then_some(words)
}
