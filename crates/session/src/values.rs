//! The values of a script, as shell variables. Knows no node and no plan.

use zeroize::Zeroizing;

use super::secret::Secret;

/// Names and values in insertion order.
#[derive(Clone, Debug, Default)]
pub struct Values(Vec<(String, Value)>, Option<String>);

/// The value of a variable.
#[derive(Clone, Debug)]
pub enum Value {
    /// A text that everybody may see.
    Plain(String),
    /// A text that only the script gets.
    Secret(Secret),
}

/// A value that no shell can hold; nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The value of this name contains a NUL byte, which no shell variable can hold.
    #[error("value of `{0}` contains a NUL byte, which no shell variable can hold")]
    Nul(String),
    /// This is not a valid name of a shell variable.
    #[error("`{0}` is not a name that a shell variable can have")]
    Name(String),
}

impl Values {
    /// No values.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a plain value.
    pub fn insert(&mut self, name: &str, value: impl Into<String>) -> Result<(), ValueError> {
        self.add(name, Value::Plain(value.into()))
    }

    /// Adds a secret.
    pub fn insert_secret(&mut self, name: &str, value: Secret) -> Result<(), ValueError> {
        self.add(name, Value::Secret(value))
    }

    /// A file on the node with more assignments, read after these if it exists: the variables of
    /// earlier steps.
    pub fn then_source(&mut self, path: impl Into<String>) {
        self.1 = Some(path.into());
    }

    /// Whether there are no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty() && self.1.is_none()
    }

    /// Each name with its value, in insertion order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// POSIX assignments: the file that a script's shell reads first.
    #[must_use]
    pub fn assignments(&self) -> Zeroizing<Vec<u8>> {
        let mut text = Zeroizing::new(Vec::with_capacity(self.room()));
        for (name, value) in self.iter() {
            text.extend_from_slice(name.as_bytes());
            text.push(b'=');
            quote(value.bytes(), &mut text);
            text.push(b'\n');
        }
        if let Some(path) = &self.1 {
            let quoted = |path: &str| {
                let mut quoted = Vec::new();
                quote(path.as_bytes(), &mut quoted);
                quoted
            };
            let (state, from) = (quoted(path), quoted(&beside(path)));
            let parts: [&[u8]; 9] = [
                b"[ ! -f ",
                &state,
                b" ] || . ",
                &state,
                b" 2>/dev/null || { [ -f ",
                &from,
                b" ] && . ",
                &from,
                NO_FOLDER,
            ];
            for part in parts {
                text.extend_from_slice(part);
            }
        }
        text
    }

    fn add(&mut self, name: &str, value: Value) -> Result<(), ValueError> {
        if !is_variable(name) {
            return Err(ValueError::Name(name.to_owned()));
        }
        if value.bytes().contains(&0) {
            return Err(ValueError::Nul(name.to_owned()));
        }
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value));
        Ok(())
    }

    /// Reserves enough that the buffer never moves: a moved buffer leaves a secret in freed memory.
    fn room(&self) -> usize {
        let each = |(name, value): (&str, &Value)| name.len() + 4 * value.bytes().len() + 4;
        self.iter().map(each).sum()
    }
}

/// The saved variables end with the folder in which the steps ended. Without that folder, a script
/// would run in another place.
const NO_FOLDER: &[u8] =
    b"; } || { echo 'opsbook: the folder in which the step before ended is gone' >&2; exit 126; }\n";

/// The file in which root, in another user's bundle, saved the folder before its own (`run.sh`).
fn beside(state: &str) -> String {
    let folder = state.strip_suffix("state").unwrap_or(state);
    format!("{folder}steps/from")
}

impl Value {
    /// The value's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Plain(text) => text.as_bytes(),
            Self::Secret(secret) => secret.expose(),
        }
    }
}

/// Appends `text` in single quotes, the one form that every POSIX shell reads back unchanged.
pub fn quote(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'\'');
    for &byte in text {
        match byte {
            b'\'' => out.extend_from_slice(b"'\\''"),
            other => out.push(other),
        }
    }
    out.push(b'\'');
}

fn is_variable(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_assignments_that_a_shell_reads_back() {
        let mut values = Values::new();
        values.insert("a", "it's $HOME `id`\n\\").unwrap();
        values
            .insert_secret("b_1", Secret::from("x".to_owned()))
            .unwrap();
        let text = values.assignments();
        assert_eq!(
            std::str::from_utf8(&text).unwrap(),
            "a='it'\\''s $HOME `id`\n\\'\nb_1='x'\n"
        );
        assert!(text.capacity() >= text.len());
    }

    #[test]
    fn what_no_shell_can_hold_is_refused_by_name() {
        let mut values = Values::new();
        let nul = values.insert("a", "x\0y").unwrap_err();
        assert_eq!(nul, ValueError::Nul("a".to_owned()));
        for name in ["", "1a", "a-b", "a b", "é"] {
            assert_eq!(
                values.insert(name, ""),
                Err(ValueError::Name(name.to_owned()))
            );
        }
    }

    #[test]
    fn a_later_value_replaces_an_earlier_one() {
        let mut values = Values::new();
        values.insert("a", "1").unwrap();
        values.insert("a", "2").unwrap();
        assert_eq!(values.assignments().as_slice(), b"a='2'\n");
    }
}
