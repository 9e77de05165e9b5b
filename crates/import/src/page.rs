//! Converts scripts, Runme cells and Rundeck jobs into pages. These are drafts: everything that is
//! not clearly a step becomes a block that stops the run and says so.

use std::fmt::Write as _;

use crate::inventory::{own_name, scalar};
use crate::yaml::{Map, Value, Yaml};
use crate::{Imported, Left, NotUnderstood, bounded, document};

/// A page under construction.
pub(super) struct Page {
    text: String,
    steps: usize,
    manuals: usize,
    left: Vec<Left>,
}

impl Page {
    pub(super) fn new(title: &str, about: &str, source: &str) -> Page {
        let source = source.replace("--", "- -").replace('\n', " ");
        Page {
            text: format!(
                "# {}\n\n<!-- opsbook import {about}: {source} -->\n",
                one_line(title)
            ),
            steps: 0,
            manuals: 0,
            left: Vec::new(),
        }
    }

    pub(super) fn block(&mut self, said: &str, words: &str, body: &str) {
        let mut fence = "```".to_owned();
        while body.contains(&fence) {
            fence.push('`');
        }
        let said = one_line(said);
        if !said.is_empty() {
            let _ = write!(self.text, "\n{said}\n");
        }
        let end = if body.ends_with('\n') { "" } else { "\n" };
        let _ = write!(self.text, "\n{fence}{words}\n{body}{end}{fence}\n");
    }

    pub(super) fn step(&mut self, said: &str, words: &str, body: &str) {
        self.steps += 1;
        self.block(said, words, body);
    }

    pub(super) fn manual(&mut self, said: &str, body: &str, place: String, why: &str) {
        self.manuals += 1;
        // Text for people has no references.
        self.block(said, "text manual", &body.replace("${", "$${"));
        self.left.push(Left {
            place,
            what: why.to_owned(),
        });
    }

    pub(super) fn left_out(&mut self, place: String, what: &str) {
        let what = what.to_owned();
        self.left.push(Left { place, what });
    }

    pub(super) fn done(self) -> Imported {
        let count = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            count => format!("{count} {what}s"),
        };
        Imported {
            text: self.text,
            taken: vec![
                count(self.steps, "step"),
                format!("{} for a person", self.manuals),
            ],
            left: self.left,
        }
    }
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").replace('<', "\\<").replace('[', "\\[")
}

/// An id from a name: `deploy.sh` becomes `deploy`.
pub(super) fn id(name: &str) -> String {
    let name = name.rsplit('/').next().unwrap_or(name);
    let name = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let plain: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    let plain = plain.trim_matches('-');
    if plain.is_empty() {
        "imported".to_owned()
    } else {
        plain.to_owned()
    }
}

/// Splits a shell script into steps with its comments as text; only between complete top-level
/// commands, and only if later parts do not depend on earlier ones.
///
/// # Errors
/// If no shell runs it.
pub fn script(name: &str, text: &str) -> Result<Imported, NotUnderstood> {
    bounded(name, text)?;
    let (first, rest) = match text.strip_prefix("#!") {
        Some(line) => line.split_once('\n').unwrap_or((line, "")),
        None => ("sh", text),
    };
    let program = first.split_whitespace().last().unwrap_or("sh");
    let program = program.rsplit('/').next().unwrap_or(program);
    let language = match program {
        "sh" | "dash" | "ash" => "sh",
        "bash" => "bash",
        "python" | "python3" => "python",
        other => {
            return Err(NotUnderstood(format!(
                "`{name}` is run by `{other}`, which is not a shell"
            )));
        }
    };
    if rest.trim().is_empty() {
        return Err(NotUnderstood(format!("`{name}` is empty")));
    }
    let mut page = Page::new(&id(name), "script", name);
    page.block("", "yaml procedure", &format!("id: {}\n", id(name)));
    let pieces = if language == "python" {
        vec![(1, String::new(), rest.to_owned())]
    } else {
        pieces(rest)
    };
    for (line, said, body) in pieces {
        let words = format!("{language} step");
        let place = format!("{name}:{}", line + usize::from(text.starts_with("#!")));
        if let Some(why) = of_arguments(&body) {
            page.left.push(Left {
                place,
                what: why.to_owned(),
            });
        }
        page.step(&said, &words, &body);
    }
    Ok(page.done())
}

/// The script's inputs from its command line or a person.
fn of_arguments(body: &str) -> Option<&'static str> {
    let mentions = |signs: &[&str]| signs.iter().any(|sign| body.contains(sign));
    if mentions(&["$1", "$2", "${1", "$@", "$*", "getopts"]) {
        return Some("it reads arguments: make them parameters");
    }
    let asks = body
        .lines()
        .map(str::trim_start)
        .any(|line| line.starts_with("read "));
    asks.then_some("it asks its reader: make that a parameter, or a block `text manual`")
}

/// The pieces of a script, with their first lines and the comments before them. One piece if a
/// function, `exit`, a trap or a shell option affects more than one.
fn pieces(text: &str) -> Vec<(usize, String, String)> {
    let whole = || vec![(1, comment(text), text.trim_start_matches('\n').to_owned())];
    let reaches = text.lines().any(|line| {
        let line = line.trim_start();
        line.contains("()")
            || line.starts_with("function ")
            || line.starts_with("trap ")
            || line.starts_with("exit")
            || line.starts_with("alias ")
            || line.starts_with("shopt ")
            || line.contains("<<")
    });
    if reaches {
        return whole();
    }
    let mut pieces: Vec<(usize, String, String)> = Vec::new();
    let (mut start, mut body) = (1, String::new());
    let mut open = Open::default();
    for (index, line) in text.lines().enumerate() {
        let begins = line.starts_with('#')
            && body
                .lines()
                .last()
                .is_some_and(|last| last.trim().is_empty());
        if begins && open.is_closed() && has_command(&body) {
            pieces.push((start, comment(&body), std::mem::take(&mut body)));
            start = index + 1;
        }
        open.line(line);
        body += line;
        body.push('\n');
    }
    if !open.is_closed() {
        return whole();
    }
    if has_command(&body) {
        pieces.push((start, comment(&body), body));
    }
    for (_, _, body) in &mut pieces {
        *body = body.trim_matches('\n').to_owned() + "\n";
    }
    pieces
}

fn has_command(body: &str) -> bool {
    body.lines()
        .any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
}

/// The first lines of comment, as a sentence.
fn comment(body: &str) -> String {
    let lines = body.lines().skip_while(|line| line.trim().is_empty());
    let lines = lines.take_while(|line| line.starts_with('#'));
    let words: Vec<&str> = lines
        .map(|line| line.trim_start_matches('#').trim())
        .collect();
    words.join(" ")
}

/// Open shell syntax: a quote, a loop, a brace, a continued line.
#[derive(Default)]
struct Open {
    quote: Option<char>,
    depth: i32,
    goes_on: bool,
}

impl Open {
    fn is_closed(&self) -> bool {
        self.quote.is_none() && self.depth == 0 && !self.goes_on
    }

    fn line(&mut self, line: &str) {
        let mut bare = String::new();
        let mut chars = line.chars();
        while let Some(c) = chars.next() {
            match (self.quote, c) {
                (Some(open), c) if open == c => self.quote = None,
                (Some('"') | None, '\\') => {
                    chars.next();
                }
                (None, '\'' | '"') => self.quote = Some(c),
                (None, '#') if bare.is_empty() || bare.ends_with(char::is_whitespace) => break,
                (None, c) => bare.push(c),
                (Some(_), _) => {}
            }
        }
        for word in bare.split(|c: char| c.is_whitespace() || c == ';') {
            match word {
                "if" | "for" | "while" | "until" | "case" | "select" | "{" | "(" => self.depth += 1,
                "fi" | "done" | "esac" | "}" | ")" => self.depth -= 1,
                _ => {}
            }
        }
        let end = line.trim_end();
        self.goes_on = end.ends_with('\\') || end.ends_with("&&") || end.ends_with('|');
    }
}

/// A page with Runme cells: converts their words and keeps everything else.
///
/// # Errors
/// If the page is too large.
pub fn runme(name: &str, text: &str) -> Result<Imported, NotUnderstood> {
    bounded(name, text)?;
    let mut page = Page::new("", "runme", name);
    page.text.clear();
    let (mut fence, mut contract, mut steps) = (String::new(), false, 0);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let bare = line.trim_start_matches(' ');
        let marks: String = bare.chars().take_while(|c| *c == '`').collect();
        if !fence.is_empty() {
            if bare.trim_end() == fence {
                fence.clear();
            }
            page.text += line;
            continue;
        }
        if marks.len() >= 3 {
            fence.clone_from(&marks);
            let info = bare[marks.len()..].trim();
            let (language, words) = info
                .split_once(|c: char| c.is_whitespace() || c == '{')
                .unwrap_or((info, ""));
            if matches!(language, "sh" | "bash" | "zsh" | "shell" | "python" | "js") {
                let indent = &line[..line.len() - bare.len()];
                let said = cell(
                    language,
                    words,
                    &format!("{name}:{}", index + 1),
                    &mut page.left,
                );
                steps += usize::from(said.contains(" step"));
                let _ = writeln!(page.text, "{indent}{marks}{said}");
                continue;
            }
        }
        page.text += line;
        if line.starts_with('#') && !contract {
            contract = true;
            let _ = write!(page.text, "\n```yaml procedure\nid: {}\n```\n", id(name));
        }
    }
    if !contract {
        page.text = format!("# {0}\n\n```yaml procedure\nid: {0}\n```\n\n", id(name)) + &page.text;
    }
    page.steps = steps;
    Ok(page.done())
}

/// The words of a cell: `{"name":"x","interactive":"true"}` or `{ name=x interactive=true }`.
fn cell(language: &str, words: &str, place: &str, left: &mut Vec<Left>) -> String {
    let words = words.trim().trim_matches(['{', '}']);
    let mut said = format!("{language} step");
    let pairs = words
        .split([',', ' '])
        .filter(|word| !word.trim().is_empty());
    let mut on = " on=local";
    for pair in pairs {
        let (key, value) = pair.split_once(['=', ':']).unwrap_or((pair, ""));
        let (key, value) = (key.trim().trim_matches('"'), value.trim().trim_matches('"'));
        match (key, value) {
            ("name", value) => {
                let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
                let own: String = value.chars().map(plain).collect();
                if own.starts_with(|c: char| c.is_ascii_alphabetic()) {
                    said += &format!(" id={own}");
                }
            }
            ("interactive" | "background" | "ignore" | "excludeFromRunAll", "true") => {
                left.push(Left {
                    place: place.to_owned(),
                    what: format!("a cell with `{key}` is shown, and not run"),
                });
                on = "";
                said = format!("{language} example");
            }
            ("interactive" | "background" | "id" | "ignore" | "excludeFromRunAll", _) => {}
            (key, _) => left.push(Left {
                place: place.to_owned(),
                what: format!("`{key}` of a cell"),
            }),
        }
    }
    said + on
}

/// Rundeck jobs, from `rd jobs list -F yaml`: one procedure each.
///
/// # Errors
/// If it is not a list of jobs.
pub fn rundeck(name: &str, text: &str) -> Result<Imported, NotUnderstood> {
    bounded(name, text)?;
    let yaml = document(name, text)?;
    let Value::Seq(jobs) = &yaml.value else {
        return Err(NotUnderstood(format!(
            "`{name}` is not a list of jobs: it is {}",
            yaml.kind()
        )));
    };
    let mut page = Page::new("Jobs", "rundeck", name);
    for job in jobs.iter().filter_map(Yaml::as_map) {
        self::job(job, &mut page);
    }
    Ok(page.done())
}

fn text_of<'y>(map: &'y Map, key: &str) -> Option<&'y str> {
    map.get(key)?.value.text().filter(|text| !text.is_empty())
}

fn job(job: &Map, page: &mut Page) {
    let title = text_of(job, "name").unwrap_or("job");
    let _ = write!(page.text, "\n## {}\n", one_line(title));
    if let Some(about) = text_of(job, "description") {
        let _ = write!(page.text, "\n{}\n", one_line(about));
    }
    let mut contract = format!("id: {}\n", id(title));
    options(job, &mut contract, page);
    page.block("", "yaml procedure", &contract);
    for (key, entry) in job {
        if matches!(
            key.as_str(),
            "schedule"
                | "notification"
                | "retry"
                | "nodefilters"
                | "timeout"
                | "orchestrator"
                | "plugins"
        ) {
            page.left.push(Left {
                place: entry.key.place(),
                what: format!("`{key}` of the job `{title}`"),
            });
        }
    }
    let sequence = job.get("sequence").and_then(|own| own.value.as_map());
    let commands = sequence
        .and_then(|own| own.get("commands"))
        .map(|own| &own.value.value);
    let Some(Value::Seq(commands)) = commands else {
        return;
    };
    for command in commands.iter().filter_map(Yaml::as_map) {
        self::command(command, page);
    }
}

fn options(job: &Map, contract: &mut String, page: &mut Page) {
    let Some(Value::Seq(options)) = job.get("options").map(|own| &own.value.value) else {
        return;
    };
    let mut params = String::new();
    for option in options.iter().filter_map(Yaml::as_map) {
        let Some(name) = text_of(option, "name") else {
            continue;
        };
        let place = option
            .values()
            .next()
            .map_or_else(String::new, |own| own.key.place());
        let Some(own) = own_name(name) else {
            page.left.push(Left {
                place,
                what: format!("`{name}` is not a valid name for a parameter"),
            });
            continue;
        };
        let secure = |key: &str| {
            matches!(
                option.get(key).map(|own| &own.value.value),
                Some(Value::Bool(true))
            )
        };
        if secure("secure") || option.contains_key("storagePath") {
            page.left.push(Left {
                place,
                what: format!("`{own}` is a secret: a value of nodes, `{{secret: …}}`"),
            });
            continue;
        }
        let mut words = Vec::new();
        match text_of(option, "value") {
            Some(value) => words.push(format!("default: {}", scalar(&value.replace("${", "$${")))),
            None if secure("required") => words.push("required: true".to_owned()),
            None => words.push("default: \"\"".to_owned()),
        }
        words.extend(text_of(option, "regex").map(|own| format!("pattern: {}", scalar(own))));
        words.extend(
            text_of(option, "description").map(|own| format!("help: {}", scalar(&one_line(own)))),
        );
        let _ = writeln!(params, "  {own}: {{{}}}", words.join(", "));
    }
    if !params.is_empty() {
        let _ = write!(contract, "params:\n{params}");
    }
}

fn command(command: &Map, page: &mut Page) {
    let said = text_of(command, "description").unwrap_or_default();
    let place = command
        .values()
        .next()
        .map_or_else(String::new, |own| own.key.place());
    let simple = command.keys().all(|key| {
        matches!(
            key.as_str(),
            "description"
                | "exec"
                | "script"
                | "scriptInterpreter"
                | "interpreterArgsQuoted"
                | "fileExtension"
                | "autoSecureInput"
                | "passSecureInput"
                | "enabled"
        )
    });
    let interpreter = text_of(command, "scriptInterpreter").unwrap_or("sh");
    let language = match interpreter
        .split_whitespace()
        .next()
        .and_then(|own| own.rsplit('/').next())
    {
        Some("bash") => "bash",
        Some("python" | "python3") => "python",
        _ => "sh",
    };
    let run = text_of(command, "exec").map(|own| ("sh", own));
    let run = run.or_else(|| text_of(command, "script").map(|own| (language, own)));
    let Some((language, body)) = run.filter(|_| simple) else {
        let keys: Vec<&str> = command.keys().map(String::as_str).collect();
        let what = format!(
            "Do what this step of Rundeck did, with: {}.\n",
            keys.join(", ")
        );
        let why = "a step that is no plain command or script";
        return page.manual(said, &what, place, why);
    };
    if let Some(body) = with_options(body, language) {
        page.step(said, &format!("{language} step"), &body);
    } else {
        let why = "a name of an option in it cannot be put in: yours to write";
        page.manual(said, body, place, why);
    }
}

/// Replaces `${option.x}`, `@option.x@` and `$RD_OPTION_X` by `$x`.
fn with_options(body: &str, language: &str) -> Option<String> {
    let mut own = String::new();
    let mut rest = body;
    loop {
        let found = [("${option.", "}"), ("@option.", "@")]
            .iter()
            .filter_map(|(open, close)| Some((rest.find(open)?, *open, *close)))
            .min();
        let Some((at, open, close)) = found else {
            break;
        };
        let (name, after) = rest[at + open.len()..].split_once(close)?;
        let name = own_name(name)?;
        own += &rest[..at];
        own += &match language {
            "python" => return None,
            _ => format!("${{{name}}}"),
        };
        rest = after;
    }
    let text = own + rest;
    // Other Rundeck variables have no equivalent.
    (!text.contains("@node.")
        && !text.contains("${node.")
        && !text.contains("@job.")
        && !text.contains("${job."))
    .then_some(text)
}
