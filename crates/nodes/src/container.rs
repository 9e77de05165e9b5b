//! Named forms of `exec`: the settings of a tool that opens a shell in a container, a pod or a
//! machine, and its command line. No shell parses it.

use std::fmt;

use crate::source::{Problem, is_hidden};
use crate::yaml::{Yaml, unknown_keys};

/// A tool that opens a shell elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// `docker exec`.
    Docker,
    /// `podman exec`.
    Podman,
    /// `kubectl exec`.
    Kubectl,
    /// A systemd machine (`machinectl list`), entered with `systemd-run`: `machinectl shell` always
    /// opens a terminal, which changes the bytes that pass through it.
    Nspawn,
}

/// Whether the tool opens a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The tool's standard input and output, without a terminal.
    Pipes,
    /// A terminal, for a person.
    Terminal,
}

/// The destination of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The program that opens the shell.
    pub tool: Tool,
    /// The name of the container, pod or machine.
    pub name: String,
    /// The other [`Tool::keys`] that are set.
    settings: Vec<(&'static str, String)>,
}

impl Tool {
    /// Every tool, in the order in which the manual names them.
    pub const ALL: [Tool; 4] = [Tool::Docker, Tool::Podman, Tool::Kubectl, Tool::Nspawn];

    /// Its value of `transport`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Tool::Docker => "docker",
            Tool::Podman => "podman",
            Tool::Kubectl => "kubectl",
            Tool::Nspawn => "nspawn",
        }
    }

    /// The tool for this value.
    #[must_use]
    pub fn of(word: &str) -> Option<Tool> {
        Tool::ALL.into_iter().find(|tool| tool.word() == word)
    }

    /// Its settings, the name first.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Tool::Docker => &["container", "user", "context"],
            Tool::Podman => &["container", "user", "connection"],
            Tool::Kubectl => &["pod", "container", "namespace", "context"],
            Tool::Nspawn => &["machine", "user"],
        }
    }
}

impl Container {
    /// Reads the settings; the default name is `named`.
    pub(super) fn read(
        tool: Tool,
        settings: Option<&Yaml>,
        named: impl FnOnce() -> String,
    ) -> Result<Self, Problem> {
        let mut name = None;
        let mut others = Vec::new();
        if let Some(settings) = settings {
            for (key, value) in read(tool, settings)? {
                if key == tool.keys()[0] {
                    name = Some(value);
                } else {
                    others.push((key, value));
                }
            }
        }
        Ok(Container {
            tool,
            name: name.unwrap_or_else(named),
            settings: others,
        })
    }

    /// The program and its arguments. A user's text is a separate argument or follows a `=`, and
    /// does not begin with `-`.
    #[must_use]
    pub fn words(&self, way: Way) -> Vec<String> {
        let stdin = match way {
            Way::Pipes => "-i",
            Way::Terminal => "-it",
        };
        let mut words = Vec::new();
        match self.tool {
            Tool::Docker => {
                words.push("docker".to_owned());
                words.extend(self.option("--context", "context"));
                words.extend(["exec".to_owned(), stdin.to_owned()]);
                words.extend(self.option("--user", "user"));
                words.extend(["--", &self.name, "sh"].map(str::to_owned));
            }
            Tool::Podman => {
                words.push("podman".to_owned());
                words.extend(self.option("--connection", "connection"));
                words.extend(["exec".to_owned(), stdin.to_owned()]);
                words.extend(self.option("--user", "user"));
                words.extend(["--", &self.name, "sh"].map(str::to_owned));
            }
            Tool::Kubectl => {
                words.push("kubectl".to_owned());
                words.extend(self.option("--context", "context"));
                words.extend(self.option("--namespace", "namespace"));
                words.extend(["exec".to_owned(), stdin.to_owned()]);
                words.extend(self.option("--container", "container"));
                words.extend([&self.name, "--", "sh"].map(str::to_owned));
            }
            Tool::Nspawn => {
                let streams = match way {
                    Way::Pipes => "--pipe",
                    Way::Terminal => "--pty",
                };
                words.push("systemd-run".to_owned());
                words.push(format!("--machine={}", self.name));
                words.extend([streams, "--wait", "--collect", "--quiet"].map(str::to_owned));
                // A systemd unit has a home directory only if a user is named.
                let user = self.setting("user").unwrap_or("root");
                words.push(format!("--uid={user}"));
                words.extend(["--", "/bin/sh"].map(str::to_owned));
            }
        }
        words
    }

    fn setting(&self, key: &str) -> Option<&str> {
        let mut settings = self.settings.iter();
        settings
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value.as_str())
    }

    fn option(&self, option: &str, key: &str) -> Option<String> {
        self.setting(key).map(|value| format!("{option}={value}"))
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words(Way::Pipes).join(" "))
    }
}

/// The given settings, in the order of the tool's keys.
fn read(tool: Tool, settings: &Yaml) -> Result<Vec<(&'static str, String)>, Problem> {
    let map = settings.expect_map().map_err(|problem| {
        let all = tool.keys().join("`, `");
        problem.hint(format!("`{}` has the settings `{all}`", tool.word()))
    })?;
    if let Some(problem) = unknown_keys(map, tool.keys()).into_iter().next() {
        return Err(problem);
    }
    let keys = tool.keys().iter();
    let set = keys.filter_map(|key| Some((*key, map.get(*key)?)));
    set.map(|(key, entry)| Ok((key, word(key, &entry.value)?)))
        .collect()
}

/// A text that becomes one word of a command, or the end of one.
fn word(key: &str, value: &Yaml) -> Result<String, Problem> {
    let text = value.expect_text()?;
    let wrong = if text.is_empty() {
        "is empty"
    } else if text.starts_with('-') {
        "begins with `-`"
    } else if text.contains(|c: char| c.is_whitespace() || is_hidden(c)) {
        "holds a space or a hidden character"
    } else {
        return Ok(text.to_owned());
    };
    let message = format!("`{key}` {wrong}");
    Err(Problem::error("wrong-type", value.span.clone(), message))
}
