//! Parses the header comment of a probe into the description of a kind. Validation, `opsbook
//! checks` and the reference use it, so a kind is documented where it is written.

use crate::source::{Problem, Source, Span};

/// One kind of resource, described in `checks/TYPE.sh`.
#[derive(Clone, Debug)]
pub struct Kind {
    /// Its name in contracts, such as `service`, and of its file.
    pub name: String,
    /// What it checks, in a few words.
    pub title: String,
    /// Paragraphs, separated by empty lines; they stand before the first directive.
    pub about: String,
    /// The attribute whose default is the name of the resource.
    pub key: Argument,
    /// The probe's arguments.
    pub arguments: Vec<Argument>,
    /// The facts that the probe reports.
    pub facts: Vec<Fact>,
    /// The programs that it needs on the node, as text.
    pub tools: Option<String>,
    /// Example checks for `opsbook checks`.
    pub examples: Vec<String>,
    /// The probe with its header.
    pub body: String,
    /// It may wait for a network, a disk or a command.
    pub waits: bool,
    /// Part of opsbook, and trusted not to end the shell that runs it.
    pub builtin: bool,
}

/// An argument of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Its name in contracts.
    pub name: String,
    /// The valid values.
    pub kind: ArgumentKind,
    /// The value if the check sets none.
    pub default: Option<String>,
    /// One sentence for `opsbook checks`.
    pub help: String,
}

/// The valid values of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentKind {
    /// Any text.
    Text,
    /// One unit, not a pattern for several.
    Name,
    /// One package, not a pattern for several.
    Package,
    /// A name, or a record type and a name.
    Record,
    /// A host, with a port if it is not the default.
    Server,
    /// The same, or an absolute path.
    Endpoint,
    /// An absolute path, or one in a home directory.
    Path,
    /// `tcp:22`, or a number.
    Port,
    /// `tcp:443`, or `unix:` and a path.
    Socket,
    /// `tcp://HOST:PORT`, `HOST:PORT` or `unix:///PATH`.
    Address,
    /// An `http` or `https` URL.
    Url,
    /// A command of the author: the node's shell, not opsbook, substitutes its values.
    Shell,
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int,
    /// A bare number is milliseconds, as in goss; otherwise a duration with its unit.
    Milliseconds,
    /// Texts, one per line in the probe.
    List,
    /// Never passed to the probe: a value for the matchers.
    Any,
}

/// A fact that a probe reports and a check expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Its name in contracts.
    pub name: String,
    /// The type of its values.
    pub kind: FactKind,
    /// If it is not as expected, nothing else is evaluated.
    pub gate: bool,
    /// The expectation if the check sets none.
    pub default: Option<String>,
    /// Another name, such as the one in goss.
    pub alias: Option<String>,
    /// One sentence for `opsbook checks`.
    pub help: String,
}

/// The type of a fact, and how it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactKind {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int,
    /// Any text.
    Text,
    /// Permissions, compared as octal numbers.
    Mode,
    /// Texts, in the order of the probe.
    List,
    /// A list in alphabetical order, independent of the probe's order.
    Sorted,
    /// IP addresses, also in the kernel's hexadecimal form.
    Addresses,
    /// Text of any length: a list contains patterns for its lines.
    Lines,
    /// Headers of an HTTP answer, as lines with canonical spelling.
    Headers,
    /// A date as openssl prints it, converted to whole days from now.
    Days,
    /// From the check itself, not from the node.
    Given,
}

/// Attributes of every kind.
pub const COMMON: &[(&str, &str)] = &[
    ("title", "what the check is called in reports"),
    (
        "meta",
        "anything, for people and other tools; opsbook does not read it",
    ),
    (
        "skip",
        "`true`, or `{reason: TEXT, until: YYYY-MM-DD}`: ignored with its reason until the date, \
         and then failing",
    ),
    (
        "eventually",
        "`60s/2s`: try for 60 seconds, every 2 seconds, until it holds",
    ),
    (
        "timeout",
        "a duration with its unit, after which the check is an error",
    ),
    ("sudo", "`true`, or the name of a user: look as that user"),
    ("on", "`node` (the default) or `local`: where to look from"),
];

impl Kind {
    /// Parses the header of `checks/NAME.sh`.
    #[must_use]
    pub fn read(
        source: &std::sync::Arc<Source>,
        name: &str,
        builtin: bool,
    ) -> (Option<Kind>, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut draft = Draft::default();
        let mut at = 0;
        for line in source.text.split_inclusive('\n') {
            let span = Span::new(source, at..at + line.trim_end().len());
            at += line.len();
            let Some(comment) = line.trim_end().strip_prefix('#') else {
                break;
            };
            if comment.starts_with('!') {
                continue;
            }
            if let Some(directive) = comment.strip_prefix(':') {
                if let Err(message) = draft.directive(directive.trim()) {
                    problems.push(Problem::error("check-header", span, message));
                }
            } else {
                draft.prose(comment.trim());
            }
        }
        match draft.finish(name, &source.text, builtin) {
            Ok(kind) => (Some(kind), problems),
            Err(message) => {
                let span = Span::new(source, 0..source.line(1).len());
                problems.push(Problem::error("check-header", span, message).hint(
                    "a probe begins with `# TYPE: TITLE`, and has `#: key NAME TYPE -- HELP` and `#: fact NAME TYPE -- HELP`",
                ));
                (None, problems)
            }
        }
    }

    /// The fact with this name or alias.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<&Fact> {
        self.facts.iter().find(|fact| fact.is_called(name))
    }

    /// The argument with this name, or the key.
    #[must_use]
    pub fn argument(&self, name: &str) -> Option<&Argument> {
        std::iter::once(&self.key)
            .chain(&self.arguments)
            .find(|argument| argument.name == name)
    }

    /// All names of attributes.
    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        let arguments = std::iter::once(&self.key).chain(&self.arguments);
        arguments
            .map(|argument| argument.name.as_str())
            .chain(self.facts.iter().map(|fact| fact.name.as_str()))
            .chain(COMMON.iter().map(|(name, _)| *name))
    }
}

impl Fact {
    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.alias.as_deref() == Some(name)
    }
}

impl ArgumentKind {
    /// A description for messages and `opsbook checks`.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            ArgumentKind::Text
            | ArgumentKind::Name
            | ArgumentKind::Package
            | ArgumentKind::Record
            | ArgumentKind::Server
            | ArgumentKind::Endpoint
            | ArgumentKind::Path
            | ArgumentKind::Port
            | ArgumentKind::Socket
            | ArgumentKind::Address
            | ArgumentKind::Url => "text",
            ArgumentKind::Shell => "command",
            ArgumentKind::Bool => "true or false",
            ArgumentKind::Int => "number",
            ArgumentKind::Milliseconds => "milliseconds, or a duration",
            ArgumentKind::List => "list",
            ArgumentKind::Any => "anything",
        }
    }
}

impl FactKind {
    /// A description for messages and `opsbook checks`.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            FactKind::Bool => "true or false",
            FactKind::Int => "number",
            FactKind::Days => "number of days",
            FactKind::Text => "text",
            FactKind::Mode => "octal mode",
            FactKind::List | FactKind::Sorted => "list",
            FactKind::Addresses => "list of addresses",
            FactKind::Lines | FactKind::Headers => "patterns or text",
            FactKind::Given => "anything",
        }
    }
}

#[derive(Default)]
struct Draft {
    first: Option<String>,
    about: String,
    key: Option<Argument>,
    arguments: Vec<Argument>,
    facts: Vec<Fact>,
    tools: Option<String>,
    examples: Vec<String>,
    waits: bool,
    /// A directive has been read: comments after it explain the script to its author.
    declares: bool,
}

impl Draft {
    fn prose(&mut self, line: &str) {
        if self.first.is_none() {
            self.first = Some(line.to_owned());
        } else if !self.declares && !line.starts_with("shellcheck ") {
            self.about.push_str(line);
            self.about.push('\n');
        }
    }

    fn directive(&mut self, text: &str) -> Result<(), String> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest = rest.trim();
        self.declares = true;
        match word {
            "key" => self.key = Some(argument(rest)?),
            "arg" => self.arguments.push(argument(rest)?),
            "fact" => self.facts.push(fact(rest)?),
            "tools" => self.tools = Some(rest.to_owned()),
            "waits" => self.waits = true,
            "example" => self.examples.push(rest.to_owned()),
            other => {
                return Err(format!(
                    "unknown directive `{other}`; there are `key`, `arg`, `fact`, `tools`, `waits` and `example`"
                ));
            }
        }
        Ok(())
    }

    fn finish(self, name: &str, body: &str, builtin: bool) -> Result<Kind, String> {
        let first = self.first.unwrap_or_default();
        let Some(title) = first
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix(':'))
        else {
            return Err(format!("the first line is not `# {name}: TITLE`"));
        };
        let key = self
            .key
            .ok_or("no `key` declares the name of the resource")?;
        if self.facts.is_empty() {
            return Err("no `fact` declares what can be expected".to_owned());
        }
        Ok(Kind {
            name: name.to_owned(),
            title: title.trim().to_owned(),
            about: self.about.trim().to_owned(),
            key,
            arguments: self.arguments,
            facts: self.facts,
            tools: self.tools,
            examples: self.examples,
            waits: self.waits,
            body: body.to_owned(),
            builtin,
        })
    }
}

/// `NAME TYPE [= DEFAULT] -- HELP`
fn argument(text: &str) -> Result<Argument, String> {
    let (head, help) = split_help(text)?;
    let (head, default) = split_default(head);
    let mut words = head.split_whitespace();
    let name = attribute_name(words.next())?;
    let kind = match words.next() {
        Some("text") => ArgumentKind::Text,
        Some("name") => ArgumentKind::Name,
        Some("package") => ArgumentKind::Package,
        Some("record") => ArgumentKind::Record,
        Some("server") => ArgumentKind::Server,
        Some("endpoint") => ArgumentKind::Endpoint,
        Some("path") => ArgumentKind::Path,
        Some("port") => ArgumentKind::Port,
        Some("socket") => ArgumentKind::Socket,
        Some("address") => ArgumentKind::Address,
        Some("url") => ArgumentKind::Url,
        Some("shell") => ArgumentKind::Shell,
        Some("bool") => ArgumentKind::Bool,
        Some("int") => ArgumentKind::Int,
        Some("milliseconds") => ArgumentKind::Milliseconds,
        Some("list") => ArgumentKind::List,
        Some("any") => ArgumentKind::Any,
        other => {
            return Err(unknown_type(
                other,
                "text, name, package, record, server, endpoint, path, port, socket, address, url, shell, bool, int, milliseconds, list, any",
            ));
        }
    };
    Ok(Argument {
        name,
        kind,
        default,
        help,
    })
}

/// `NAME TYPE [gate] [alias NAME] [= DEFAULT] -- HELP`
fn fact(text: &str) -> Result<Fact, String> {
    let (head, help) = split_help(text)?;
    let (head, default) = split_default(head);
    let mut words = head.split_whitespace();
    let name = attribute_name(words.next())?;
    let kind = match words.next() {
        Some("bool") => FactKind::Bool,
        Some("int") => FactKind::Int,
        Some("text") => FactKind::Text,
        Some("mode") => FactKind::Mode,
        Some("list") => FactKind::List,
        Some("sorted") => FactKind::Sorted,
        Some("days") => FactKind::Days,
        Some("addresses") => FactKind::Addresses,
        Some("lines") => FactKind::Lines,
        Some("headers") => FactKind::Headers,
        Some("given") => FactKind::Given,
        other => {
            return Err(unknown_type(
                other,
                "bool, int, text, mode, list, sorted, addresses, lines, headers, days",
            ));
        }
    };
    let mut fact = Fact {
        name,
        kind,
        gate: false,
        default,
        alias: None,
        help,
    };
    while let Some(word) = words.next() {
        match word {
            "gate" => fact.gate = true,
            "alias" => fact.alias = Some(attribute_name(words.next())?),
            other => return Err(format!("unknown word `{other}`")),
        }
    }
    Ok(fact)
}

fn split_help(text: &str) -> Result<(&str, String), String> {
    let (head, help) = text
        .split_once(" -- ")
        .ok_or("no ` -- ` and what it means")?;
    Ok((head.trim(), help.trim().to_owned()))
}

fn split_default(head: &str) -> (&str, Option<String>) {
    match head.split_once(" = ") {
        Some((head, default)) => (head, Some(default.trim().to_owned())),
        None => (head, None),
    }
}

fn attribute_name(word: Option<&str>) -> Result<String, String> {
    let name = word.ok_or("no name")?;
    let fits = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if fits {
        Ok(name.to_owned())
    } else {
        Err(format!(
            "`{name}` is not a valid name for an attribute: lower-case letters, digits and `-`"
        ))
    }
}

fn unknown_type(word: Option<&str>, known: &str) -> String {
    format!("unknown type `{}`; there are {known}", word.unwrap_or(""))
}
