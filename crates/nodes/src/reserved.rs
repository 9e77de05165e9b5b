//! Names with a meaning to opsbook: which are reserved, and the types of the others.

use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;

use super::container::{Container, Tool};
use super::{Confirm, Evaluated, Node, Ssh, Transport};
use crate::interpolation::is_variable_name;
use crate::manual::duration;
use crate::source::{Problem, is_hidden};
use crate::yaml::{Entry, Value, Yaml};

/// They always exist, and no file can define them.
pub(super) const BUILT_IN: [&str; 4] = ["node", "bundle", "procedure", "run_id"];

/// Whether every node has this name.
#[must_use]
pub fn is_built_in(name: &str) -> bool {
    BUILT_IN.contains(&name)
}

/// Whether a name says how a node is reached, or is one that every node has: no package may set it.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    is_built_in(name) || TYPED.contains(&name) || name == "groups"
}

/// Ordinary values that opsbook reads as well.
const TYPED: [&str; 11] = [
    "transport",
    "address",
    "user",
    "port",
    "jump",
    "identity",
    "ssh_options",
    "keep_connection",
    "bundle_dir",
    "rehearse",
    "confirm",
];

/// The longest time to keep a connection, in seconds.
const MOST_KEPT: u64 = 3600;

const TRANSPORTS: [&str; 8] = [
    "ssh", "russh", "local", "exec", "docker", "podman", "kubectl", "nspawn",
];
/// Those with settings, in a map.
const WITH_SETTINGS: [&str; 5] = ["exec", "docker", "podman", "kubectl", "nspawn"];
const KNOWN: &str = "transports are `ssh`, `russh`, `local`, `docker`, `podman`, `kubectl`, `nspawn` and `{exec: [command]}`";
const EXEC: &str = "write a command as a list: `transport: {exec: [docker, exec, -i, box, sh]}`";

/// Checks a value's name, and a value that can be checked without a node.
pub(super) fn check_name(name: &str, entry: &Entry) -> Option<Problem> {
    let span = || entry.key.clone();
    if BUILT_IN.contains(&name) {
        let message = format!("`{name}` is built in and cannot be defined");
        return Some(Problem::error("built-in-name", span(), message));
    }
    if !is_variable_name(name) {
        let message = format!("`{name}` cannot be the name of a value");
        return Some(bad_name(Problem::error("bad-name", span(), message), name));
    }
    if name == "transport" && !entry.value.text().is_some_and(|text| text.contains("${")) {
        let read = transport(&entry.value).and_then(|kind| match kind {
            Kind::Container(tool, settings) => {
                Container::read(tool, settings, String::new).map(drop)
            }
            Kind::Ssh { .. } | Kind::Local | Kind::Exec(_) => Ok(()),
        });
        return match read {
            Ok(()) => None,
            Err(_) if entry.value.is_null() => None,
            Err(problem) => Some(problem),
        };
    }
    let meant = TYPED.iter().find(|typed| is_slip_of(typed, name));
    let meant = meant.copied().or_else(|| elsewhere(name, &entry.value))?;
    Some(
        Problem::warning(
            "near-reserved-name",
            span(),
            format!("opsbook has no setting `{name}`"),
        )
        .hint(format!("did you mean `{meant}`?")),
    )
}

/// The names of other tools for values that opsbook reads. `host` is a valid custom name, unless
/// its value can only be meant as the node's address.
fn elsewhere(name: &str, value: &Yaml) -> Option<&'static str> {
    Some(match name {
        "ansible_host" | "ssh_host" | "ssh_hostname" => "address",
        "host" | "hostname" => {
            let _: std::net::IpAddr = value.text()?.parse().ok()?;
            "address"
        }
        "ansible_user" | "ansible_ssh_user" | "ssh_user" => "user",
        "ansible_port" | "ansible_ssh_port" | "ssh_port" => "port",
        "ansible_ssh_private_key_file" | "identity_file" | "ssh_key" | "private_key" => "identity",
        "proxy_jump" | "jump_host" | "bastion" => "jump",
        "ansible_connection" => "transport",
        _ => return None,
    })
}

/// Whether a name differs by one letter from a name that is long enough to exclude chance.
fn is_slip_of(typed: &str, name: &str) -> bool {
    // One typing error roughly keeps the length, and the first or the last letter; test that first,
    // because every name of a large file is checked here.
    typed.len() >= 6
        && typed.len().abs_diff(name.len()) <= 1
        && (typed.as_bytes().first() == name.as_bytes().first()
            || typed.as_bytes().last() == name.as_bytes().last())
        && strsim::damerau_levenshtein(typed, name) == 1
}

fn bad_name(problem: Problem, name: &str) -> Problem {
    let fixed = name.to_lowercase().replace(['-', '.', ' '], "_");
    if is_variable_name(&fixed) {
        problem.hint(format!("names are lower case with `_`: `{fixed}`"))
    } else {
        problem.hint(
            "names begin with a lower case letter and hold lower case letters, digits and `_`",
        )
    }
}

/// Reads the values that opsbook itself needs.
pub(super) fn read(node: &mut Node) -> Vec<Problem> {
    let mut reader = Reader {
        values: &node.values,
        leaves: &node.leaves,
        problems: Vec::new(),
    };
    let transport = reader.transport(&node.name);
    let rehearse = reader.bool("rehearse").unwrap_or_default();
    let bundle_dir = reader.text("bundle_dir");
    let confirm = reader.confirm();
    let problems = reader.problems;
    node.transport = transport;
    node.rehearse = rehearse;
    node.bundle_dir = bundle_dir;
    node.confirm = confirm;
    problems
}

struct Reader<'a> {
    values: &'a IndexMap<String, Evaluated>,
    leaves: &'a IndexMap<String, Evaluated>,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    fn transport(&mut self, name: &str) -> Transport {
        let transport = match self.values.get("transport") {
            None => Ok(Kind::Ssh { in_process: false }),
            Some(Evaluated {
                undefined: Some(problem),
                ..
            }) => Err((**problem).clone()),
            Some(evaluated) => transport(&evaluated.value),
        };
        match transport {
            Ok(Kind::Ssh { in_process }) => Transport::Ssh(Ssh {
                in_process,
                keep: self.kept(in_process),
                ..self.ssh(name)
            }),
            Ok(Kind::Local) => Transport::Local,
            Ok(Kind::Exec(command)) => Transport::Exec(command),
            Ok(Kind::Container(tool, settings)) => {
                let named = || self.word("address").unwrap_or_else(|| name.to_owned());
                let container = Container::read(tool, settings, named);
                let container = self.keep(container).map(Transport::Container);
                container.unwrap_or_default()
            }
            Err(problem) => {
                self.problems.push(problem);
                Transport::default()
            }
        }
    }

    fn ssh(&mut self, name: &str) -> Ssh {
        Ssh {
            host: self.word("address").unwrap_or_else(|| name.to_owned()),
            user: self.word("user"),
            port: self.port(),
            jump: self.word("jump"),
            identity: self.text("identity").map(PathBuf::from),
            options: self.options(),
            ..Ssh::default()
        }
    }

    /// Only the user's own `ssh` keeps a connection beyond its command.
    fn kept(&mut self, in_process: bool) -> Option<Duration> {
        let keep = self.time("keep_connection")?;
        if !in_process {
            return Some(keep);
        }
        let span = self.leaves.get("keep_connection")?.value.span.clone();
        let message = "`keep_connection` has no effect with `transport: russh`";
        let problem = Problem::error("not-kept", span, message);
        let problem = problem.hint("use `transport: ssh`, or `keep_connection: false` here");
        self.problems.push(problem);
        None
    }

    /// A usable value. An unusable one is a problem, because opsbook needs it.
    fn usable(&mut self, name: &str) -> Option<&'a Yaml> {
        let leaf = self.leaves.get(name)?;
        match &leaf.undefined {
            Some(problem) => {
                self.problems.push((**problem).clone());
                None
            }
            None => Some(&leaf.value),
        }
    }

    fn keep<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.problems.push(problem)).ok()
    }

    fn text(&mut self, name: &str) -> Option<String> {
        let value = self.usable(name)?;
        let text = value.expect_text().and_then(|text| match text {
            "" => Err(Problem::error(
                "wrong-type",
                value.span.clone(),
                format!("`{name}` is empty"),
            )),
            text => Ok(text.to_owned()),
        });
        self.keep(text)
    }

    /// A text that becomes one word of ssh's command line.
    fn word(&mut self, name: &str) -> Option<String> {
        let text = self.text(name)?;
        let wrong = if text.starts_with('-') {
            "begins with `-`"
        } else if text.contains(|c: char| c.is_whitespace() || is_hidden(c)) {
            "holds a space or a hidden character"
        } else {
            return Some(text);
        };
        let span = self.leaves.get(name)?.value.span.clone();
        let message = format!("`{name}` {wrong}");
        self.problems
            .push(Problem::error("wrong-type", span, message));
        None
    }

    fn port(&mut self) -> Option<u16> {
        let value = self.usable("port")?;
        let port = value
            .text()
            .and_then(|text| text.parse().ok())
            .filter(|port| *port > 0);
        self.keep(port.ok_or_else(|| value.mismatch("a port from 1 to 65535")))
    }

    fn options(&mut self) -> Vec<String> {
        let Some(value) = self.usable("ssh_options") else {
            return Vec::new();
        };
        let options = value.expect_texts().and_then(|texts| {
            texts
                .into_iter()
                .map(|(text, value)| option(text, value))
                .collect()
        });
        self.keep(options).unwrap_or_default()
    }

    /// A duration with its unit, at least one second.
    fn time(&mut self, name: &str) -> Option<Duration> {
        let value = self.usable(name)?;
        if value.text() == Some("false") {
            return None;
        }
        let time = value.text().and_then(|text| duration(text).ok());
        let time = time.filter(|time| (1..=MOST_KEPT).contains(&time.as_secs()));
        self.keep(time.ok_or_else(|| value.mismatch("a duration from `1s` to `1h`")))
    }

    /// Also accepts text, for values from substitution or `--set`.
    fn bool(&mut self, name: &str) -> Option<bool> {
        let value = self.usable(name)?;
        match value.text() {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => self.keep(value.expect_bool()),
        }
    }

    fn confirm(&mut self) -> Option<Confirm> {
        let value = self.usable("confirm")?;
        match value.text() {
            Some("step") => Some(Confirm::Step),
            Some("run") => Some(Confirm::Run),
            Some("none") => Some(Confirm::Never),
            _ => {
                let problem = value.mismatch("`none`, `run` or `step`");
                self.problems.push(problem);
                None
            }
        }
    }
}

enum Kind<'a> {
    Ssh {
        in_process: bool,
    },
    Local,
    Exec(Vec<String>),
    /// With its settings, if it has any.
    Container(Tool, Option<&'a Yaml>),
}

fn transport(value: &Yaml) -> Result<Kind<'_>, Problem> {
    match &value.value {
        Value::Str(text) => match text.as_str() {
            "ssh" => Ok(Kind::Ssh { in_process: false }),
            "russh" => Ok(Kind::Ssh { in_process: true }),
            "local" => Ok(Kind::Local),
            "exec" => Err(value.mismatch("a command to execute").hint(EXEC)),
            text => match Tool::of(text) {
                Some(tool) => Ok(Kind::Container(tool, None)),
                None => Err(unknown_transport(text, value)),
            },
        },
        Value::Map(map) => {
            let unknown = crate::yaml::unknown_keys(map, &WITH_SETTINGS);
            if let Some(problem) = unknown.into_iter().next() {
                return Err(problem);
            }
            let mut entries = map.iter();
            let (Some((key, entry)), None) = (entries.next(), entries.next()) else {
                return Err(value.mismatch("one transport").hint(KNOWN));
            };
            match Tool::of(key) {
                Some(tool) => Ok(Kind::Container(tool, Some(&entry.value))),
                None => Ok(Kind::Exec(command(&entry.value)?)),
            }
        }
        _ => Err(value.mismatch("a transport").hint(KNOWN)),
    }
}

fn unknown_transport(text: &str, value: &Yaml) -> Problem {
    let message = format!("unknown transport `{text}`");
    let problem = Problem::error("unknown-transport", value.span.clone(), message);
    match crate::source::nearest(text, TRANSPORTS) {
        Some(_) => problem.did_you_mean(text, TRANSPORTS),
        None => problem.hint(KNOWN),
    }
}

/// A program and its arguments.
fn command(value: &Yaml) -> Result<Vec<String>, Problem> {
    let words = value.expect_seq().map_err(|problem| problem.hint(EXEC))?;
    let words = words.iter().map(|word| Ok(word.expect_text()?.to_owned()));
    let words: Vec<String> = words.collect::<Result<_, Problem>>()?;
    match words.first() {
        Some(program) if !program.is_empty() => Ok(words),
        _ => Err(value.mismatch("a command").hint(EXEC)),
    }
}

/// One `-o` line: a keyword of `ssh_config` and its value.
fn option(text: &str, value: &Yaml) -> Result<String, Problem> {
    let keyword = text.split(['=', ' ']).next().unwrap_or_default();
    let sound = !keyword.is_empty()
        && keyword.len() < text.len()
        && keyword.bytes().all(|b| b.is_ascii_alphanumeric())
        && !text.contains(is_hidden);
    if sound {
        return Ok(text.to_owned());
    }
    Err(value
        .mismatch("an option of ssh")
        .hint("write it as in ssh_config: `ServerAliveInterval=15`"))
}
