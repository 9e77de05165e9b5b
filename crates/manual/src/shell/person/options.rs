//! A simple command without its wrappers (`sudo`, `env`, `timeout`), and queries for its options.

use crate::shell::syntax::Simple;

/// How `sudo` is used before a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sudo {
    None,
    /// It may ask for a password.
    Asks,
    /// `sudo -n`, or `sudo -S` with input.
    Silent,
}

/// A command without its wrappers.
pub(super) struct Call<'a> {
    pub command: &'a Simple,
    /// Its name and arguments.
    words: &'a [String],
    pub sudo: Sudo,
    /// Something ends it: `timeout 5 tail -f`.
    pub is_limited: bool,
    /// The author set the editor: `EDITOR=true git commit`.
    pub has_editor: bool,
    /// Something answers its questions: `sshpass`.
    pub is_answered: bool,
}

/// Commands that run another command: their options that take a value, and the number of words
/// before that command.
const WRAPPERS: [(&str, &str, usize); 38] = [
    ("sudo", "ugpCcDhrtTU", 0),
    ("doas", "uC", 0),
    ("run0", "ug", 0),
    ("pkexec", "", 0),
    ("gosu", "", 1),
    ("su-exec", "", 1),
    ("setpriv", "", 0),
    ("chpst", "ueodmpfcr", 0),
    ("env", "uCS", 0),
    ("command", "", 0),
    ("builtin", "", 0),
    ("exec", "a", 0),
    ("nohup", "", 0),
    ("time", "fo", 0),
    ("nice", "n", 0),
    ("ionice", "cn", 0),
    ("chrt", "TPD", 1),
    ("taskset", "", 1),
    ("numactl", "NCmi", 0),
    ("prlimit", "", 0),
    ("setsid", "", 0),
    ("stdbuf", "ioe", 0),
    ("unbuffer", "", 0),
    ("systemd-run", "pEtuMH", 0),
    ("systemd-inhibit", "", 0),
    ("dbus-run-session", "", 0),
    ("faketime", "f", 1),
    ("strace", "efosSPpOaubI", 0),
    ("ltrace", "efosnulpa", 0),
    ("proxychains", "f", 0),
    ("torsocks", "up", 0),
    ("timeout", "sk", 1),
    ("chroot", "", 1),
    ("runuser", "ug", 0),
    ("flock", "wE", 1),
    ("sshpass", "pfdPe", 0),
    ("busybox", "", 0),
    ("unshare", "SGR", 0),
];

impl<'a> Call<'a> {
    pub fn of(command: &'a Simple, has_editor: bool) -> Call<'a> {
        let own = |name: &String| name.ends_with("EDITOR") || name == "DEBIAN_FRONTEND";
        let mut call = Call {
            command,
            words: &command.words,
            sudo: Sudo::None,
            is_limited: false,
            is_answered: false,
            has_editor: has_editor || command.assigned.iter().any(own),
        };
        while let Some(rest) = call.unwrapped() {
            call.words = rest;
        }
        call
    }

    /// The command that a wrapper runs; `None` if this is not a wrapper or runs nothing.
    fn unwrapped(&mut self) -> Option<&'a [String]> {
        let name = self.name();
        let (_, valued, before) = WRAPPERS.iter().find(|(wrapper, ..)| *wrapper == name)?;
        // `command -v x` only looks x up.
        if name == "command" && self.any_short("vV", "") {
            return None;
        }
        // Without `-u`, it acts like `su`.
        if name == "runuser" && !self.any_short("u", "g") && !self.any_long(&["user"]) {
            return None;
        }
        let operands = skip_options(&self.words[1..], valued);
        if name == "sudo" {
            let silent =
                self.any_short("nSkKVl", valued) || self.any_long(&["non-interactive", "stdin"]);
            if silent || self.sudo == Sudo::Silent {
                self.sudo = Sudo::Silent;
            } else {
                self.sudo = Sudo::Asks;
            }
            if self.any_short("is", valued) && operands.is_empty() || self.any_short("ev", valued) {
                return None;
            }
        }
        self.is_limited |= name == "timeout";
        self.is_answered |= name == "sshpass";
        let operands = operands.get(*before..)?;
        let assigned = operands.iter().take_while(|word| is_assignment(word));
        self.has_editor |= assigned.clone().any(|word| word.contains("EDITOR="));
        let rest = &operands[assigned.count()..];
        (!rest.is_empty()).then_some(rest)
    }

    /// The command's name without its folder.
    pub fn name(&self) -> &'a str {
        let name = self.words.first().map_or("", String::as_str);
        name.rsplit('/').next().unwrap_or(name)
    }

    pub fn arguments(&self) -> &'a [String] {
        self.words.get(1..).unwrap_or_default()
    }

    /// The first argument that is not an option: `install` in `apt-get -q install x`.
    pub fn verb(&self) -> &'a str {
        let mut words = self.arguments().iter();
        words
            .find(|word| !word.starts_with('-'))
            .map_or("", String::as_str)
    }

    /// The call after its verb.
    pub fn after_verb(&self) -> &'a [String] {
        let words = self.arguments();
        let at = words.iter().position(|word| !word.starts_with('-'));
        at.map_or(&[], |at| &words[at + 1..])
    }

    /// The arguments that are not options. The short options in `valued` take the next word.
    pub fn operands(&self, valued: &str) -> Vec<&'a str> {
        let mut operands = Vec::new();
        let mut words = self.arguments().iter();
        let mut options = true;
        while let Some(word) = words.next() {
            if options && word == "--" {
                options = false;
            } else if options && word.starts_with('-') && word.len() > 1 {
                if takes_next(word, valued) {
                    words.next();
                }
            } else {
                operands.push(word.as_str());
            }
        }
        operands
    }

    /// Whether the call has one of these short options, also combined as in `-yq`. A letter of
    /// `valued` ends a cluster.
    pub fn any_short(&self, letters: &str, valued: &str) -> bool {
        let mut words = self.arguments().iter();
        while let Some(word) = words.next() {
            let Some(cluster) = word.strip_prefix('-').filter(|c| !c.starts_with('-')) else {
                continue;
            };
            for letter in cluster.chars() {
                if letters.contains(letter) {
                    return true;
                }
                if valued.contains(letter) {
                    break;
                }
            }
            if takes_next(word, valued) {
                words.next();
            }
        }
        false
    }

    /// Whether the call has one of these options, as `--name`, `--name=value` or, in some tools,
    /// `-name`.
    pub fn any_long(&self, names: &[&str]) -> bool {
        self.arguments().iter().any(|word| {
            let name = word.strip_prefix("--").or_else(|| word.strip_prefix('-'));
            let name = name.map(|name| name.split('=').next().unwrap_or(name));
            name.is_some_and(|name| names.contains(&name))
        })
    }

    /// Some of its words are known only at run time and may be the missing option: `"$@"`, `$opts`,
    /// `--$name`.
    pub fn has_unseen_options(&self) -> bool {
        let unseen = |word: &String| {
            let named = word.strip_prefix('$').map(str::to_ascii_lowercase);
            let of_options = |name: String| {
                ["opt", "arg", "flag"]
                    .iter()
                    .any(|part| name.contains(part))
            };
            ["$@", "$*", "${@", "${*", "[@]", "[*]"]
                .iter()
                .any(|list| word.contains(list))
                || word.starts_with('-') && word.contains('$') && !word.contains('=')
                || named.is_some_and(of_options)
        };
        self.arguments().iter().any(unseen)
    }

    pub fn has(&self, word: &str) -> bool {
        self.arguments().iter().any(|argument| argument == word)
    }
}

/// A command that runs elsewhere or in another shell.
pub(super) enum Inner {
    /// A script: `sh -c SCRIPT`.
    Script(String),
    /// A command: `docker exec NAME COMMAND`.
    Words(Vec<String>, Place),
}

/// Where it runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It gets the input of the outer command.
    Through,
    /// It gets no input.
    Cut,
}

impl Call<'_> {
    pub fn inner(&self) -> Option<Inner> {
        const SSH: &str = "BbcDEeFIiJLlmOopPQRSWw";
        let words = |words: &[String]| {
            (!words.is_empty()).then(|| Inner::Words(words.to_vec(), Place::Through))
        };
        let arguments = self.arguments();
        match (self.name(), self.verb()) {
            ("sh" | "bash" | "dash" | "zsh" | "ksh" | "ash", _) if self.any_short("c", "oO") => {
                let script = self
                    .operands("oO")
                    .first()
                    .map(|script| (*script).to_owned());
                script.map(Inner::Script)
            }
            ("su" | "runuser" | "sg", _) => self.value(&["-c", "--command", "--session-command"]),
            ("eval", _) => Some(Inner::Script(arguments.join(" "))),
            ("ssh", _) => {
                let remote = skip_options(arguments, SSH).get(1..)?;
                let remote = skip_options(remote, SSH).join(" ");
                (!remote.is_empty()).then_some(Inner::Script(remote))
            }
            ("docker" | "podman" | "nerdctl", "exec") => {
                let command = skip_options(self.after_verb(), "euw").get(1..)?.to_vec();
                let place = if self.any_short("i", "euw") || self.any_long(&["interactive"]) {
                    Place::Through
                } else {
                    Place::Cut
                };
                (!command.is_empty()).then_some(Inner::Words(command, place))
            }
            ("lxc" | "incus", "exec") if !self.has("--") => {
                let command = self.after_verb().get(1..)?;
                let is_command = |word: &String| !word.starts_with('-');
                words(command).filter(|_| command.first().is_some_and(is_command))
            }
            ("kubectl" | "oc" | "lxc" | "incus" | "pct", "exec") => {
                let at = arguments.iter().position(|word| word == "--")?;
                let command = arguments[at + 1..].to_vec();
                let interactive = self.any_short("i", "cnf") || self.any_long(&["stdin"]);
                let cut = matches!(self.name(), "kubectl" | "oc") && !interactive;
                let place = if cut { Place::Cut } else { Place::Through };
                (!command.is_empty()).then_some(Inner::Words(command, place))
            }
            ("ip", "netns") if self.has("exec") => {
                let at = arguments.iter().position(|word| word == "exec")?;
                words(arguments.get(at + 2..)?)
            }
            ("lxc-attach" | "nsenter", _) => {
                let at = arguments.iter().position(|word| word == "--");
                match at {
                    Some(at) => words(&arguments[at + 1..]),
                    None if self.name() == "nsenter" => words(skip_options(arguments, "tSGrw")),
                    None => None,
                }
            }
            _ => None,
        }
    }

    /// The value of an option, as a script.
    fn value(&self, names: &[&str]) -> Option<Inner> {
        let words = self.arguments();
        words.iter().enumerate().find_map(|(index, word)| {
            if names.contains(&word.as_str()) {
                return words.get(index + 1).cloned().map(Inner::Script);
            }
            let (name, value) = word.split_once('=')?;
            names
                .contains(&name)
                .then(|| Inner::Script(value.to_owned()))
        })
    }
}

fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map_or("", |(name, _)| name);
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether an option takes the next word: `-u` in `-u name`, but not in `-uname`.
fn takes_next(word: &str, valued: &str) -> bool {
    let Some(cluster) = word.strip_prefix('-').filter(|c| !c.starts_with('-')) else {
        return false;
    };
    let at = cluster.find(|c| valued.contains(c));
    at.is_some_and(|at| at + 1 == cluster.len())
}

fn skip_options<'a>(words: &'a [String], valued: &str) -> &'a [String] {
    let mut at = 0;
    while let Some(word) = words.get(at) {
        if word == "--" {
            return &words[at + 1..];
        }
        if !word.starts_with('-') {
            break;
        }
        at += if takes_next(word, valued) { 2 } else { 1 };
    }
    words.get(at..).unwrap_or_default()
}
