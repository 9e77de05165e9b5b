//! Variables that steps set: one step's shell writes them to a file, and the next one's sources it.
//! Between users of a node, the file is parsed strictly with limits and written anew. No bytes of
//! one user ever reach another user's shell as shell text.

mod array;
mod take;
#[cfg(test)]
mod tests;

use crate::session::quote;
use array::Array;
pub(super) use take::Takes;
pub use take::rules_a_shell;

/// The largest file that passes between users, in bytes.
pub(super) const MOST_BYTES: usize = 4 << 20;
const MOST_NAMES: usize = 4096;
const LONGEST_NAME: usize = 128;
const LONGEST_FOLDER: usize = 4096;

/// Precedes an array, which only bash has.
const IN_BASH: &[u8] = b"[ -z \"${BASH_VERSION-}\" ] || eval ";
/// Precedes the folder to use if a user cannot enter the first one.
const OR_ELSE: &[u8] = b" 2>/dev/null || cd ";

/// The variables and the folder that steps leave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    variables: Vec<Variable>,
    folder: Option<Folder>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Variable {
    name: String,
    value: Value,
    exported: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Text(Vec<u8>),
    Array(Array),
}

/// Where the next step begins, and where it begins if its user cannot go there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Folder {
    path: Vec<u8>,
    or_else: Option<Vec<u8>>,
}

/// Why a file is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum StateError {
    #[error("it has more than 4 MiB")]
    Bytes,
    #[error("it has more than 4096 variables")]
    Names,
    #[error("line {0} is no assignment, no `export NAME` and no `cd 'FOLDER'`")]
    Line(usize),
    #[error("it has a NUL byte, which no variable can hold")]
    Nul,
}

/// A step's shell first writes its script's status, as a comment.
fn without_status(text: &[u8]) -> &[u8] {
    let digits = |rest: &&[u8]| rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let status = text.strip_prefix(b"#").map(|rest| (digits(&rest), rest));
    match status {
        Some((count @ 1..=3, rest)) => rest[count..].strip_prefix(b"\n").unwrap_or(text),
        _ => text,
    }
}

impl State {
    /// Parses a file that `run.sh` or [`State::text`] has written.
    ///
    /// # Errors
    /// At the first line that neither would write, or if the file is too large.
    pub fn read(text: &[u8]) -> Result<State, StateError> {
        if text.len() > MOST_BYTES {
            return Err(StateError::Bytes);
        }
        if text.contains(&0) {
            return Err(StateError::Nul);
        }
        let mut state = State::default();
        let mut rest = without_status(text);
        while !rest.is_empty() && rest != b"#\n" {
            let line = || 1 + memchr::memchr_iter(b'\n', &text[..text.len() - rest.len()]).count();
            rest = state.line(rest).ok_or_else(|| StateError::Line(line()))?;
            if state.variables.len() > MOST_NAMES {
                return Err(StateError::Names);
            }
        }
        Ok(state)
    }

    /// Parses one command of the file; returns the rest.
    fn line<'a>(&mut self, text: &'a [u8]) -> Option<&'a [u8]> {
        if let Some(text) = text.strip_prefix(b"cd ") {
            return self.folder(text);
        }
        if let Some(text) = text.strip_prefix(b"export ") {
            let (name, text) = name(text)?;
            // An export follows its assignment.
            let known = self.variables.iter_mut().find(|known| known.name == name);
            if let Some(known) = known {
                known.exported = true;
            }
            return text.strip_prefix(b"\n");
        }
        if let Some(text) = text.strip_prefix(IN_BASH) {
            let (declared, text) = quoted(text)?;
            // Leaves out an array that this bash version writes in another form.
            if let Some((name, array)) = Array::read(&declared) {
                self.set(name, Value::Array(array), false);
            }
            return text.strip_prefix(b"\n");
        }
        let (name, text) = name(text)?;
        let (value, text) = quoted(text.strip_prefix(b"=")?)?;
        self.set(name.to_owned(), Value::Text(value), false);
        text.strip_prefix(b"\n")
    }

    fn folder<'a>(&mut self, text: &'a [u8]) -> Option<&'a [u8]> {
        let (path, mut text) = quoted(text)?;
        let mut or_else = None;
        if let Some(after) = text.strip_prefix(OR_ELSE) {
            let (other, after) = quoted(after)?;
            (or_else, text) = (Some(other), after);
        }
        let mut paths = std::iter::once(&path).chain(&or_else);
        if !paths.all(|path| path.starts_with(b"/") && path.len() <= LONGEST_FOLDER) {
            return None;
        }
        self.folder = Some(Folder { path, or_else });
        text.strip_prefix(b"\n")
    }

    fn set(&mut self, name: String, value: Value, exported: bool) {
        self.variables.retain(|known| known.name != name);
        self.variables.push(Variable {
            name,
            value,
            exported,
        });
    }

    fn get(&self, name: &str) -> Option<&Variable> {
        self.variables.iter().find(|known| known.name == name)
    }

    /// The file for a shell; every value is single-quoted.
    pub fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for variable in &self.variables {
            match &variable.value {
                Value::Text(value) => {
                    text.extend(variable.name.as_bytes());
                    text.push(b'=');
                    quote(value, &mut text);
                }
                Value::Array(array) => {
                    text.extend(IN_BASH);
                    quote(&array.declaration(&variable.name), &mut text);
                }
            }
            text.push(b'\n');
        }
        for variable in self.variables.iter().filter(|variable| variable.exported) {
            text.extend(format!("export {}\n", variable.name).bytes());
        }
        if let Some(Folder { path, or_else }) = &self.folder {
            text.extend(b"cd ");
            quote(path, &mut text);
            if let Some(other) = or_else {
                text.extend(OR_ELSE);
                quote(other, &mut text);
            }
            text.push(b'\n');
        }
        text
    }

    pub fn is_empty(&self) -> bool {
        self.variables.is_empty() && self.folder.is_none()
    }
}

/// A valid variable name, and the rest.
fn name(text: &[u8]) -> Option<(&str, &[u8])> {
    let of_a_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let end = text.iter().position(|byte| !of_a_name(byte))?;
    let (name, rest) = text.split_at(end);
    let first = name.first()?;
    if first.is_ascii_digit() || name.len() > LONGEST_NAME {
        return None;
    }
    Some((std::str::from_utf8(name).ok()?, rest))
}

/// A single-quoted text, in which a quote is `'\''`, and the rest.
fn quoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut rest = text.strip_prefix(b"'")?;
    let mut value = Vec::new();
    loop {
        let end = memchr::memchr(b'\'', rest)?;
        value.extend(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix(b"\\''") {
            Some(after) => {
                value.push(b'\'');
                rest = after;
            }
            None => return Some((value, rest)),
        }
    }
}
