//! Generates the reference from the program: every command with its options, and the output for
//! programs. `OPSBOOK_BLESS=1` rewrites both pages.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    reason = "a test ends where something is wrong"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn compare(page: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("manual/reference")
        .join(page);
    if std::env::var_os("OPSBOOK_BLESS").is_some() {
        fs::write(&path, made).unwrap();
        return;
    }
    let known = fs::read_to_string(&path).unwrap_or_default();
    let differs = known.lines().zip(made.lines()).position(|(a, b)| a != b);
    let line = differs.unwrap_or_else(|| known.lines().count().min(made.lines().count()));
    assert!(
        known == made,
        "{page}:{}: made of the program, it says {:?}; OPSBOOK_BLESS=1 writes it anew",
        line + 1,
        made.lines().nth(line)
    );
}

/// Text of the help for a page: escapes placeholders and bars.
fn words(text: &str) -> String {
    let mut shown = String::new();
    let mut code = false;
    for c in text.chars() {
        code ^= c == '`';
        match c {
            '<' if !code => shown.push_str("&lt;"),
            '*' | '_' if !code => shown.extend(['\\', c]),
            _ => shown.push(c),
        }
    }
    shown
}

fn cell(text: &str) -> String {
    words(text)
        .replace('|', "\\|")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

// Commands

/// `-C`, `--nodes <SELECTOR>`, or `<PROCEDURE>`.
fn name(arg: &clap::Arg) -> String {
    let takes = arg.get_action().takes_values();
    let value = arg.get_value_names().map(|names| {
        let names = names.iter().map(|name| format!("<{name}>"));
        names.collect::<Vec<_>>().join(" ")
    });
    let value = value.filter(|_| takes).unwrap_or_default();
    let short = arg.get_short().map(|short| format!("-{short}"));
    let long = arg.get_long().map(|long| format!("--{long}"));
    let options: Vec<String> = [short, long].into_iter().flatten().collect();
    if options.is_empty() {
        return if arg.is_required_set() {
            value
        } else {
            format!("[{value}]")
        };
    }
    let name = options.join(", ");
    if value.is_empty() {
        name
    } else {
        format!("{name} {value}")
    }
}

fn described(arg: &clap::Arg) -> String {
    let help = arg.get_long_help().or_else(|| arg.get_help());
    let help = help.unwrap_or_else(|| panic!("no description of {}", name(arg)));
    let help = help.to_string();
    let mut text = cell(help.trim_end_matches('.'));
    if !text.ends_with(['.', ':', '?']) {
        text.push('.');
    }
    let values = arg.get_possible_values();
    let values = values.iter().filter(|value| !value.is_hide_set());
    let values: Vec<String> = values
        .map(|value| {
            let help = value
                .get_help()
                .map(|help| format!(" ({})", cell(&help.to_string())));
            format!("`{}`{}", value.get_name(), help.unwrap_or_default())
        })
        .collect();
    if arg.get_action().takes_values() && !values.is_empty() {
        let _ = write!(text, " One of {}.", values.join(", "));
    }
    let default: Vec<_> = arg
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy())
        .collect();
    if arg.get_action().takes_values() && !default.is_empty() {
        let _ = write!(text, " Absent: `{}`.", default.join(" "));
    }
    if let Some(env) = arg.get_env() {
        let _ = write!(text, " Setting: `{}`.", env.to_string_lossy());
    }
    text
}

fn table(out: &mut String, args: &[&clap::Arg]) {
    if args.is_empty() {
        return;
    }
    out.push_str("| word | meaning |\n|---|---|\n");
    for arg in args {
        let _ = writeln!(
            out,
            "| `{}` | {} |",
            name(arg).replace('|', "\\|"),
            described(arg)
        );
    }
    out.push('\n');
}

fn command(out: &mut String, command: &clap::Command, path: &str) {
    let children = command
        .get_subcommands()
        .filter(|child| !child.is_hide_set());
    let children: Vec<_> = children
        .filter(|child| child.get_name() != "help")
        .collect();
    let _ = writeln!(
        out,
        "{} {path}\n",
        if path.matches(' ').count() > 1 {
            "###"
        } else {
            "##"
        }
    );
    let about = command.get_long_about().or_else(|| command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    for (n, paragraph) in about.split("\n\n").enumerate() {
        let paragraph = words(paragraph);
        // Text in columns stays in columns.
        if n > 0 && paragraph.lines().any(|line| line.starts_with("  ")) {
            let _ = writeln!(
                out,
                "```text\n{}\n```\n",
                about.split("\n\n").nth(n).unwrap()
            );
        } else {
            let end = if paragraph.ends_with(['.', ':', '?', '!']) {
                ""
            } else {
                "."
            };
            let _ = writeln!(out, "{paragraph}{end}\n");
        }
    }
    let usage = command.clone().render_usage().to_string();
    let usage = usage
        .trim_start_matches("Usage: ")
        .replace("\n       ", "\n");
    let _ = writeln!(out, "```text\n{usage}\n```\n");
    let own = command.get_arguments().filter(|arg| {
        let id = arg.get_id().as_str();
        !arg.is_hide_set() && !arg.is_global_set() && id != "help" && id != "version"
    });
    table(out, &own.collect::<Vec<_>>());
    if let Some(after) = command
        .get_after_long_help()
        .or_else(|| command.get_after_help())
    {
        let _ = writeln!(out, "```text\n{after}\n```\n");
    }
    for child in children {
        self::command(out, child, &format!("{path} {}", child.get_name()));
    }
}

#[test]
fn every_command_and_option_is_in_the_reference() {
    let mut whole = opsbook::cli::command();
    whole.build();
    let mut page = String::from(
        "# Commands and options\n\n\
         Made of the program itself; `opsbook help COMMAND` says the same. A setting is a variable, or a \
         line in the settings file: `opsbook settings` shows them all, with where each value comes from.\n\n\
         ## For every command\n\n",
    );
    let global: Vec<_> = whole
        .get_arguments()
        .filter(|arg| arg.is_global_set())
        .collect();
    table(&mut page, &global);
    page.push_str("## Exit statuses\n\n");
    let after = whole.get_after_help().unwrap().to_string();
    let _ = writeln!(page, "```text\n{after}\n```\n");
    for child in whole.get_subcommands() {
        if !child.is_hide_set() && child.get_name() != "help" {
            command(&mut page, child, &format!("opsbook {}", child.get_name()));
        }
    }
    compare("commands.md", &format!("{}\n", page.trim_end()));
}

// What is printed for machines

/// The type of a schema in a word or two.
fn kind(schema: &Value) -> String {
    if let Some(one) = schema.get("const") {
        return format!("`{one}`");
    }
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> = words
            .iter()
            .map(|word| format!("`{word}`").replace('"', ""))
            .collect();
        return words.join(", ");
    }
    let types = match &schema["type"] {
        Value::String(one) => vec![one.clone()],
        Value::Array(some) => some
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => schema["anyOf"]
            .as_array()
            .map(|any| any.iter().map(kind).collect())
            .unwrap_or_default(),
    };
    let types = types.iter().map(|one| match one.as_str() {
        "array" if schema.get("items").is_some() => format!("list of {}", kind(&schema["items"])),
        other => other.to_owned(),
    });
    types.collect::<Vec<_>>().join(" or ")
}

fn fields(out: &mut String, schema: &Value, path: &str) {
    let required: Vec<&str> = schema["required"]
        .as_array()
        .map(|some| some.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let always = if required.contains(&name.as_str()) {
            ""
        } else {
            "; may be absent"
        };
        // For an optional type, the type itself.
        let any = field["anyOf"].as_array().into_iter().flatten();
        let about = std::iter::once(field)
            .chain(any)
            .find_map(|one| one["description"].as_str());
        let about = cell(about.unwrap_or_else(|| panic!("no description of {path}{name}")));
        let about = about.trim_end_matches('.');
        let _ = writeln!(
            out,
            "| `{path}{name}` | {}{always} | {about} |",
            kind(field)
        );
        fields(out, field, &format!("{path}{name}."));
        for any in field["anyOf"].as_array().into_iter().flatten() {
            fields(out, any, &format!("{path}{name}."));
        }
        if let Some(items) = field.get("items") {
            fields(out, items, &format!("{path}{name}[]."));
        }
        if let Some(values) = field
            .get("additionalProperties")
            .filter(|values| values.is_object())
        {
            fields(out, values, &format!("{path}{name}.NAME."));
        }
    }
}

/// Commands that talk to a gateway, and the type of their output in its document.
const OF_GATEWAY: [(&str, &str); 5] = [
    ("opsbook ask --format json", "Asked"),
    ("a line of opsbook runs --format json", "RunSummary"),
    (
        "a question of opsbook answer RUN --format json",
        "QuestionView",
    ),
    ("opsbook answer RUN ANSWER --format json", "Answered"),
    ("opsbook access explain --format json", "Explained"),
];

/// Inserts the referenced types of a document.
fn whole(schema: &Value, document: &Value) -> Value {
    match schema {
        Value::Object(map) => {
            if let Some(path) = map.get("$ref").and_then(Value::as_str) {
                let pointer = path.trim_start_matches('#');
                let mut named = whole(document.pointer(pointer).unwrap(), document);
                // The field's description has priority over the type's.
                if let Some(about) = map.get("description") {
                    named["description"] = about.clone();
                }
                return named;
            }
            let mut inner: serde_json::Map<String, Value> = map
                .iter()
                .map(|(name, value)| (name.clone(), whole(value, document)))
                .collect();
            // One type, or null.
            if let Some(Value::Array(one)) = inner.remove("oneOf") {
                inner.insert("anyOf".into(), Value::Array(one));
            }
            inner.into()
        }
        Value::Array(items) => items.iter().map(|item| whole(item, document)).collect(),
        other => other.clone(),
    }
}

fn of_gateway(document: &Value) -> String {
    let mut section = String::from(
        "## gateway\n\nThe interface between a gateway and its clients, as an OpenAPI document. Commands that \
         speak to a gateway print what it has answered, and `v`, as everywhere. `opsbook watch --format json` \
         prints lines of journals: [event](#event).\n\n",
    );
    for (command, name) in OF_GATEWAY {
        let schema = &document["components"]["schemas"][name];
        assert!(schema.is_object(), "{name}");
        let _ = writeln!(section, "`{command}` is a `{name}`:\n");
        section.push_str("| field | type | meaning |\n|---|---|---|\n");
        fields(&mut section, &whole(schema, document), "");
        section.push('\n');
    }
    section
}

/// The printed name: `StepEnded` becomes `step-ended`.
fn printed(name: &str) -> String {
    let mut word = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !word.is_empty() {
            word.push('-');
        }
        word.extend(c.to_lowercase());
    }
    word
}

const EVENTS: &str = include_str!("../crates/event/src/lib.rs");

/// The text between a line and the end of its braces.
fn body(line: &str) -> &'static str {
    let start = EVENTS.find(line).unwrap_or_else(|| panic!("no {line}"));
    let end = EVENTS[start..].find("\n}\n").unwrap();
    EVENTS[start..start + end].split_once('\n').unwrap().1
}

/// Fields with their doc comments.
fn fields_of(lines: &str) -> Vec<String> {
    let mut about: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    for line in lines.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            about.push(text.trim());
        } else if !line.starts_with('#') {
            if let Some((field, _)) = line.trim_start_matches("pub ").split_once(": ") {
                let about = about.join(" ");
                found.push(format!("`{field}`: {}", about.trim_end_matches('.')));
            }
            about.clear();
        }
    }
    found
}

/// The kinds of events with their doc comments and fields.
fn events() -> Vec<(String, String, Vec<String>)> {
    let mut found: Vec<(String, String, Vec<String>)> = Vec::new();
    let mut about: Vec<&str> = Vec::new();
    let lines: Vec<&str> = body("pub enum What {").lines().collect();
    for (n, line) in lines.iter().enumerate() {
        let Some(line) = line
            .strip_prefix("    ")
            .filter(|line| !line.starts_with(' '))
        else {
            continue;
        };
        if let Some(text) = line.strip_prefix("///") {
            about.push(text.trim());
        } else if line.starts_with(char::is_uppercase) {
            let name = line.split(|c: char| !c.is_alphanumeric()).next().unwrap();
            let fields = if line.contains('(') {
                fields_of(body(&format!("pub struct {name} {{")))
            } else {
                let own = lines[n + 1..]
                    .iter()
                    .take_while(|line| line.starts_with("     "));
                fields_of(&own.copied().collect::<Vec<_>>().join("\n"))
            };
            found.push((printed(name), about.join(" "), fields));
            about.clear();
        }
    }
    found
}

/// Without rustdoc links.
fn plain(text: &str) -> String {
    text.replace("[`", "`").replace("`]", "`")
}

#[test]
fn what_is_printed_for_machines_is_in_the_reference() {
    let opsbook = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_opsbook"))
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let mut page = String::from(
        "# Forms for machines\n\n\
         What commands print for other programs. `opsbook schema NAME` prints each as a JSON Schema, which \
         this page is made of. [Stability](../stability.md) says what is promised: fields are added, and \
         `v` grows where one goes or changes its type.\n\n",
    );
    for line in opsbook(&["schema"]).lines() {
        let name = line.split_whitespace().next().unwrap();
        let schema: Value = serde_json::from_str(&opsbook(&["schema", name])).unwrap();
        // A file that people write: the manual has a page about it.
        if name.contains('.') {
            continue;
        }
        if name == "gateway" {
            page.push_str(&of_gateway(&schema));
            continue;
        }
        let title = schema["title"].as_str().unwrap();
        let printed = match title.strip_prefix("a line of ") {
            Some(of) => format!("A line of {}", cell(of)),
            None => format!("Printed by `{title}`"),
        };
        let _ = writeln!(page, "## {name}\n\n{printed}.\n");
        for one in schema["oneOf"].as_array().unwrap_or(&vec![schema.clone()]) {
            page.push_str("| field | type | meaning |\n|---|---|---|\n");
            fields(&mut page, one, "");
            page.push('\n');
        }
    }
    page.push_str(
        "## Events\n\nThe words of `event` in a line of a journal, and the fields that come with each. A reader \
         passes over words and fields that it does not know.\n\n| event | what happened | fields |\n|---|---|---|\n",
    );
    let events = events();
    assert!(
        events.len() > 30 && events.iter().all(|(_, about, _)| !about.is_empty()),
        "{events:?}"
    );
    for (name, about, fields) in events {
        let fields: Vec<String> = fields.iter().map(|field| cell(&plain(field))).collect();
        let _ = writeln!(
            page,
            "| `{name}` | {} | {} |",
            cell(&plain(&about)),
            fields.join("; ")
        );
    }
    compare("machine-forms.md", &page);
}
