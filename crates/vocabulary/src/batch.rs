//! Makes one shell script from several assertions, and splits its output into the facts of each.
//! Arguments are shell variables, so the script's text is the same for every node and value.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use opsbook_text::random;

use crate::assertion::Assertion;
use crate::facts::{CannotLook, Facts};
use crate::header::{ArgumentKind, Kind};
use crate::interpolation::{Interpolated, Part};

const PRELUDE: &str = include_str!("prelude.sh");
/// One script that examines several resources, one after the other, in one shell. It is for one
/// execution: the output is framed by a nonce, which no file that a probe reads can contain.
#[derive(Debug)]
pub struct Batch {
    /// A POSIX `sh` script.
    pub text: Arc<str>,
    /// The shell variables of the script.
    pub variables: Vec<(String, String)>,
    nonce: String,
    count: usize,
}

impl Batch {
    /// One script for assertions of the same node and user.
    #[must_use]
    pub fn new(assertions: &[&Assertion]) -> Batch {
        let mut text = prelude();
        let nonce = random::hex::<16>();
        let mut variables = vec![("ob_nonce".to_owned(), nonce.clone())];
        let mut defined: Vec<&str> = Vec::new();
        for assertion in assertions {
            let kind = assertion.probe();
            if !defined.contains(&kind.name.as_str()) {
                defined.push(&kind.name);
                define(&mut text, kind);
            }
        }
        text.push_str(&ahead(assertions));
        for (index, assertion) in assertions.iter().enumerate() {
            call(&mut text, &mut variables, index, assertion);
        }
        Batch {
            text: text.into(),
            variables,
            nonce,
            count: assertions.len(),
        }
    }

    /// The facts of each assertion, in order, from the output.
    #[must_use]
    pub fn split(&self, status: i32, out: &[u8], err: &[u8]) -> Vec<Result<Facts, CannotLook>> {
        let nonce = self.nonce.as_bytes();
        // Before the first mark, only the shell itself can have complained.
        let begun = memchr::memmem::find(out, &mark(nonce, "B", 0)).is_some();
        let reason = stopped(status, if begun { b"" } else { err });
        (0..self.count)
            .map(|index| {
                let out = segment(nonce, index, out);
                let out = out.ok_or_else(|| CannotLook::because(reason.clone()))?;
                let err = segment(nonce, index, err).unwrap_or_default();
                Ok(Facts::read(nonce, out, err))
            })
            .collect()
    }

    /// How long each assertion took, in order; `None` if the node does not report it. The node may
    /// lie here: use it only in reports.
    #[must_use]
    pub fn times(&self, out: &[u8]) -> Vec<Option<Duration>> {
        let nonce = self.nonce.as_bytes();
        let mut before = tick(nonce, "-", out);
        let took = |index: usize| {
            let now = tick(nonce, &index.to_string(), out);
            let earlier = std::mem::replace(&mut before, now);
            now?.checked_sub(earlier?)
        };
        (0..self.count).map(took).collect()
    }
}

impl Assertion {
    /// The script for this assertion, and its variables.
    #[must_use]
    pub fn script(&self) -> Batch {
        Batch::new(&[self])
    }
}

/// The prelude of probes without comments: it is sent often.
fn prelude() -> String {
    let mut text = String::with_capacity(PRELUDE.len());
    for line in PRELUDE.lines().filter(|line| !line.starts_with('#')) {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// A probe as a shell function. A custom probe runs in a subshell, so that its `exit` and its
/// variables affect nothing else.
fn define(text: &mut String, kind: &Kind) {
    let (open, close) = if kind.builtin { ("{", "}") } else { ("(", ")") };
    let function = function(kind);
    let body = code(&kind.body);
    // Writing to a string cannot fail.
    let _ = write!(text, "{function}() {open}\n{body}:\n{close}\n");
}

/// The body without its header and other leading comment lines, which no node needs. Comments
/// further down stay: they may be part of a here-document.
fn code(body: &str) -> String {
    let header: usize = body
        .split_inclusive('\n')
        .take_while(|line| line.starts_with('#') || line.trim().is_empty())
        .map(str::len)
        .sum();
    let mut code = body[header..].to_owned();
    if !code.ends_with('\n') {
        code.push('\n');
    }
    code
}

/// One `stat` for all files with unambiguous paths: separate processes are the main cost of file
/// checks. The `file` probe reads its line from `ob_stats`.
fn ahead(assertions: &[&Assertion]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+@".contains(&byte);
    let paths = assertions.iter().enumerate().filter(|(_, assertion)| {
        let told = assertion.arguments();
        let path = told.iter().find(|(name, _)| *name == "path");
        let path = path.and_then(|(_, path)| path.known());
        let path = path.is_some_and(|path| path.starts_with('/') && path.bytes().all(plain));
        path && assertion.probe().name == "file"
            && assertion.wants().any(|fact| STAT.contains(&fact))
    });
    let paths: Vec<String> = paths
        .map(|(index, _)| format!(" \"$a{index}_path\""))
        .collect();
    if paths.len() < 2 {
        return String::new();
    }
    let paths = paths.concat();
    format!("ob_stats=$(LC_ALL=C stat -c '%a %u %g %s %U:%G %n' --{paths} 2>/dev/null)$ob_lf\n")
}

/// The fields that `stat` reports for a file.
const STAT: [&str; 6] = ["mode", "owner", "group", "uid", "gid", "size"];

fn call(
    text: &mut String,
    variables: &mut Vec<(String, String)>,
    index: usize,
    assertion: &Assertion,
) {
    let kind = assertion.probe();
    let told = assertion.arguments();
    let _ = write!(text, "ob_begin {index}\nwant='");
    for fact in assertion.wants() {
        let _ = write!(text, " {fact}");
    }
    text.push_str(" '");
    for argument in std::iter::once(&kind.key).chain(&kind.arguments) {
        let name = argument.name.replace('-', "_");
        match told.iter().find(|(told, _)| *told == name) {
            Some((_, value)) if argument.kind == ArgumentKind::Shell => {
                let own = format!("a{index}_{name}");
                variable(text, variables, &own, &name, value.to_string());
            }
            Some((_, value)) => tell(text, variables, index, &name, value),
            None => {
                let _ = write!(text, " arg_{name}=''");
            }
        }
    }
    let _ = write!(text, "\n{}\nob_end {index}\n", function(kind));
}

/// One argument. An open name in it becomes a variable, so that the value is in no text.
fn tell(
    text: &mut String,
    variables: &mut Vec<(String, String)>,
    index: usize,
    name: &str,
    value: &Interpolated,
) {
    let own = format!("a{index}_{name}");
    if let Some(value) = value.known() {
        return variable(text, variables, &own, name, value);
    }
    let _ = write!(text, " arg_{name}=");
    for (number, part) in value.parts().iter().enumerate() {
        match part {
            Part::Written(known) | Part::Value(known) => {
                let _ = write!(text, "${{{own}_{number}}}");
                variables.push((format!("{own}_{number}"), known.clone()));
            }
            Part::Name(name) => {
                let _ = write!(text, "${{{name}}}");
            }
        }
    }
}

fn variable(
    text: &mut String,
    variables: &mut Vec<(String, String)>,
    own: &str,
    name: &str,
    value: String,
) {
    let _ = write!(text, " arg_{name}=${own}");
    variables.push((own.to_owned(), value));
}

fn function(kind: &Kind) -> String {
    format!("probe_{}", kind.name.replace('-', "_"))
}

/// The text between the marks of one assertion.
fn segment<'a>(nonce: &[u8], index: usize, text: &'a [u8]) -> Option<&'a [u8]> {
    let begin = mark(nonce, "B", index);
    let start = memchr::memmem::find(text, &begin)? + begin.len();
    let length = memchr::memmem::find(&text[start..], &mark(nonce, "E", index))?;
    Some(&text[start..start + length])
}

fn mark(nonce: &[u8], letter: &str, index: usize) -> Vec<u8> {
    [b"\n", nonce, format!(" {letter} {index}\n").as_bytes()].concat()
}

/// The node's clock at the tick with this name: seconds with two decimals.
fn tick(nonce: &[u8], name: &str, text: &[u8]) -> Option<Duration> {
    let mark = [b"\n", nonce, b" T ", name.as_bytes(), b" "].concat();
    let start = memchr::memmem::find(text, &mark)? + mark.len();
    let rest = &text[start..];
    let line = std::str::from_utf8(&rest[..memchr::memchr(b'\n', rest)?]).ok()?;
    let (seconds, hundredths) = line.split_once('.')?;
    let (seconds, hundredths): (u32, u8) = (seconds.parse().ok()?, hundredths.parse().ok()?);
    Some(Duration::from_secs(seconds.into()) + Duration::from_millis(u64::from(hundredths) * 10))
}

fn stopped(status: i32, err: &[u8]) -> String {
    let err = String::from_utf8_lossy(err);
    let first = err.lines().find(|line| !line.trim().is_empty());
    match first {
        Some(line) => format!("the probe ended with status {status}: {line}"),
        None => format!("the probe ended with status {status} before it finished"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(count: usize, out: &str) -> Vec<Option<u128>> {
        let batch = Batch {
            text: "".into(),
            variables: Vec::new(),
            nonce: "nonce-of-it".to_owned(),
            count,
        };
        let times = batch.times(out.as_bytes());
        times
            .into_iter()
            .map(|took| took.map(|took| took.as_millis()))
            .collect()
    }

    #[test]
    fn each_has_its_own_time_where_the_node_tells() {
        let out = "\nnonce-of-it T - 100.25\n\nnonce-of-it B 0\n\nnonce-of-it E 0\n\nnonce-of-it T 0 100.27\n\nnonce-of-it T 1 102.00\n";
        assert_eq!(times(2, out), [Some(20), Some(1730)]);
        // A missing tick makes two durations unknown: its own and the next.
        assert_eq!(times(3, out), [Some(20), Some(1730), None]);
        assert_eq!(times(2, &out.replace("T 0 100.27", "")), [None, None]);
    }

    #[test]
    fn nonsense_is_no_time() {
        let with = |first: &str, second: &str| {
            let n = "nonce-of-it";
            times(1, &format!("\n{n} T - {first}\n\n{n} T 0 {second}\n"))
        };
        assert_eq!(with("1.00", "1.50"), [Some(500)]);
        for (first, second) in [
            ("2.00", "1.00"),
            ("x", "1.00"),
            ("1.00", "-1.00"),
            ("1.00", "99999999999999999999.00"),
            ("1.00", "1.999"),
            ("1.00", ""),
        ] {
            assert_eq!(with(first, second), [None], "{first} {second}");
        }
        assert_eq!(times(1, "no mark"), [None]);
    }
}
