//! Takes over variables between the steps of different users.

use std::collections::BTreeSet;

use super::{Folder, State, Variable};

/// What a step of another user may change, according to its script.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Takes<'a> {
    /// Names that the script sets.
    pub names: &'a BTreeSet<String>,
    /// It may set unknown names: by `eval`, or a file that it sources.
    pub opaque: bool,
    /// It may change the folder.
    pub folder: bool,
}

/// What was not taken over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// They control a shell or a program.
    pub of_the_shell: Vec<String>,
    /// They changed although the script does not set them.
    pub changed: Vec<String>,
}

impl State {
    /// Takes over the variables of another user's step. `theirs` and `ours` are the two bundles.
    pub fn take_over(
        &mut self,
        other: &State,
        takes: Takes<'_>,
        theirs: &str,
        ours: &str,
    ) -> Taken {
        let mut taken = Taken::default();
        for variable in &other.variables {
            let name = variable.name.as_str();
            if self.get(name) == Some(variable) {
                continue;
            }
            let named = takes.names.contains(name);
            if rules_a_shell(name) {
                if named || takes.opaque {
                    taken.of_the_shell.push(name.to_owned());
                }
            } else if named || takes.opaque && (variable.exported || self.get(name).is_some()) {
                let Variable {
                    name,
                    value,
                    exported,
                } = variable.clone();
                self.set(name, value, exported);
            } else if self
                .get(name)
                .is_some_and(|known| known.value != variable.value)
            {
                taken.changed.push(name.to_owned());
            }
        }
        // It may have unset names that it mentions.
        self.variables.retain(|known| {
            let gone = other.get(&known.name).is_none() && takes.names.contains(&known.name);
            !gone || rules_a_shell(&known.name)
        });
        if takes.folder
            && let Some(folder) = &other.folder
        {
            self.folder = Some(folder.seen_from(theirs, ours));
        } else if self.folder.is_none() && !self.variables.is_empty() {
            self.folder = Some(Folder::of(ours));
        }
        taken
    }

    /// The state for a step of another user, who keeps the variables that control that user's
    /// shell.
    pub fn for_other(&self, own: &State, ours: &str, theirs: &str) -> State {
        let mut state = self.clone();
        let kept = own.variables.iter();
        for variable in kept.filter(|variable| rules_a_shell(&variable.name)) {
            if state.get(&variable.name).is_none() {
                state.variables.push(variable.clone());
            }
        }
        let folder = self.folder.as_ref();
        let folder = folder.map(|folder| folder.seen_from(ours, theirs));
        state.folder = Some(folder.unwrap_or_else(|| Folder::of(theirs)));
        state
    }
}

impl Folder {
    fn of(bundle: &str) -> Folder {
        Folder {
            path: bundle.as_bytes().to_vec(),
            or_else: None,
        }
    }

    /// The same folder; a folder below one bundle maps to the one below the other. If it cannot be
    /// entered, the bundle itself.
    fn seen_from(&self, from: &str, to: &str) -> Folder {
        let below = self.path.strip_prefix(from.as_bytes());
        let path = match below {
            Some(below @ ([] | [b'/', ..])) => [to.as_bytes(), below].concat(),
            _ => self.path.clone(),
        };
        Folder {
            path,
            or_else: Some(to.as_bytes().to_vec()),
        }
    }
}

/// Variables that control a shell, the loader or a common program.
const NAMES: [&str; 77] = [
    "PATH",
    "IFS",
    "ENV",
    "FPATH",
    "CDPATH",
    "PS0",
    "PS1",
    "PS2",
    "PS3",
    "PS4",
    "PROMPT_COMMAND",
    "SHELLOPTS",
    "GLOBIGNORE",
    "EXECIGNORE",
    "FIGNORE",
    "POSIXLY_CORRECT",
    "HOME",
    "SHELL",
    "USER",
    "LOGNAME",
    "USERNAME",
    "PWD",
    "OLDPWD",
    "SHLVL",
    "UID",
    "EUID",
    "PPID",
    "GROUPS",
    "TMPDIR",
    "TMP",
    "TEMP",
    "EDITOR",
    "VISUAL",
    "FCEDIT",
    "PAGER",
    "MANPAGER",
    "BROWSER",
    "HOSTALIASES",
    "LOCALDOMAIN",
    "RES_OPTIONS",
    "LOCPATH",
    "NLSPATH",
    "TZDIR",
    "TERM",
    "TERMINFO",
    "TERMCAP",
    "HISTFILE",
    "MAIL",
    "MAILPATH",
    "LESS",
    "LESSOPEN",
    "LESSCLOSE",
    "LESSKEY",
    "JAVA_HOME",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "CLASSPATH",
    "NODE_OPTIONS",
    "NODE_PATH",
    "GEM_HOME",
    "GEM_PATH",
    "PHPRC",
    "PHP_INI_SCAN_DIR",
    "RUSTC_WRAPPER",
    "CARGO_HOME",
    "OPENSSL_CONF",
    "OPENSSL_MODULES",
    "OPENSSL_ENGINES",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_HOME",
    "GNUPGHOME",
    "PSQLRC",
    "PSQL_EDITOR",
    "PGSERVICEFILE",
    "MYSQL_HOME",
    "_",
];
/// The same, by name prefix.
const BEGIN: [&str; 22] = [
    "BASH", "LD_", "DYLD_", "MALLOC_", "GCONV_", "GLIBC_", "PYTHON", "PERL", "RUBY", "LUA_",
    "GIT_", "SSH_", "SUDO_", "XDG_", "KRB5", "DBUS_", "SYSTEMD_", "ZDOT", "_JAVA", "OPSBOOK",
    "ob_", "obb_",
];

/// Whether a variable decides what a shell, the loader or a common program runs or reads, or
/// belongs to opsbook's scripts. Such variables of another user's step are never taken over.
#[must_use]
pub fn rules_a_shell(name: &str) -> bool {
    NAMES.contains(&name) || BEGIN.iter().any(|begin| name.starts_with(begin))
}
