//! The attributes of a tagged fence: which kinds take which, and the meaning of each value.

use std::time::Duration;

use crate::duration::duration;
use crate::markdown::fence::{Tag, Word};
use crate::shell::variables::name;
use crate::source::{Passage, Problem, SETTLED_BY_A_WORD, Span, nearest};
use crate::{Eventually, Kind, Machine, On, Spanned, SudoUser};

/// The parsed words of one fence; only those that its kind takes are ever set.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    pub id: Option<Spanned<String>>,
    pub on: Option<Where>,
    pub sudo: Option<SudoUser>,
    pub timeout: Option<Duration>,
    pub confirm: bool,
    pub capture: Option<String>,
    pub exit: Option<Vec<i32>>,
    pub reboot: bool,
    pub setup: bool,
    pub eventually: Option<Eventually>,
    pub always: Option<Span>,
    pub nodes: Option<Spanned<String>>,
    pub regex: Option<Span>,
    pub bundle_name: Option<Spanned<String>>,
    pub mode: Option<u32>,
    pub to: Option<Spanned<String>>,
    pub owner: Option<String>,
    pub append: Option<Span>,
    pub edit: Option<Span>,
    pub defined: Vec<String>,
    pub allow: Vec<String>,
}

/// The value of `on=`. Whether the procedure has such a role is checked later.
#[derive(Debug)]
pub(crate) struct Where {
    /// None for `on=node` and `on=local`.
    pub machine: Option<Machine>,
    pub side: On,
    /// The range of the value, and of the whole word.
    pub span: Span,
    pub word: Span,
}

/// The attributes of a kind.
#[must_use]
pub fn attributes_of(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Step => &[
            "id", "on", "sudo", "timeout", "confirm", "capture", "exit", "reboot", "setup",
            "defined", "allow",
        ],
        Kind::Check => &[
            "id",
            "on",
            "sudo",
            "timeout",
            "exit",
            "eventually",
            "always",
            "nodes",
            "defined",
            "allow",
        ],
        Kind::Expect => &["regex"],
        Kind::Deliver | Kind::Manual => &["id", "on", "confirm"],
        Kind::File => &[
            "id", "on", "as", "mode", "confirm", "to", "owner", "sudo", "append", "edit",
            "timeout", "setup",
        ],
        Kind::Procedure | Kind::Checks | Kind::Each | Kind::Example => &[],
    }
}

const KINDS: [Kind; 10] = [
    Kind::Procedure,
    Kind::Checks,
    Kind::Step,
    Kind::Check,
    Kind::Expect,
    Kind::Deliver,
    Kind::File,
    Kind::Manual,
    Kind::Each,
    Kind::Example,
];

/// Reads the words after a kind.
pub(crate) fn read(page: &Passage, tag: &Tag<'_>, problems: &mut Vec<Problem>) -> Attributes {
    let mut attributes = Attributes::default();
    let mut seen: Vec<&str> = Vec::new();
    for word in &tag.words {
        if !attributes_of(tag.kind).contains(&word.key) {
            problems.push(not_here(page, tag.kind, word));
            continue;
        }
        if seen.contains(&word.key) {
            problems.push(Problem::error(
                "duplicate-attribute",
                page.span(word.range.clone()),
                format!("attribute `{}` is here twice", word.key),
            ));
            continue;
        }
        seen.push(word.key);
        if let Err(message) = set(&mut attributes, page, word) {
            let value = word.value.filter(|_| !is_flag(word.key));
            let start = value.map_or(word.range.start, |value| word.range.end - value.len());
            let span = page.span(start..word.range.end);
            problems.push(Problem::error("bad-attribute", span, message));
        }
    }
    attributes
}

fn not_here(page: &Passage, kind: Kind, word: &Word<'_>) -> Problem {
    let span = page.span(word.range.clone());
    let known = attributes_of(kind);
    if matches!(kind, Kind::Procedure | Kind::Checks) && elsewhere(word.key).is_some() {
        return Problem::error(
            "attribute-of-contract",
            span,
            format!(
                "`{}` of a `{}` belongs in its contract",
                word.key,
                kind.name()
            ),
        )
        .hint(format!("write `{}:` in the block", word.key));
    }
    if let Some(other) = elsewhere(word.key) {
        return of_other_kind(word.key, other, kind, span);
    }
    Problem::error(
        "unknown-attribute",
        span,
        format!("unknown attribute `{}` of `{}`", word.key, kind.name()),
    )
    .did_you_mean(word.key, known.iter().copied())
}

fn of_other_kind(key: &str, other: Kind, kind: Kind, span: Span) -> Problem {
    let (other, kind) = (other.name(), kind.name());
    let message = format!("`{key}` is an attribute of `{other}`, not of `{kind}`");
    Problem::error("attribute-of-other-role", span, message)
}

/// The error for `on=` that only a procedure with roles may have.
pub(crate) fn no_on_here(kind: Kind, place: &Where) -> Problem {
    of_other_kind("on", Kind::Step, kind, place.word.clone())
}

/// The error for a role in a procedure without roles.
pub(crate) fn no_such_side(place: &Where) -> Problem {
    let message = format!(
        "`on` must be `node` or `local`, not `{}`",
        place.span.text()
    );
    Problem::error("bad-attribute", place.span.clone(), message)
}

fn elsewhere(key: &str) -> Option<Kind> {
    KINDS
        .into_iter()
        .find(|kind| attributes_of(*kind).contains(&key))
}

fn set(attributes: &mut Attributes, page: &Passage, word: &Word<'_>) -> Result<(), String> {
    let span = || page.span(word.range.clone());
    let spanned = |value: String| Spanned {
        value,
        span: page.span(word.range.end - word.value.map_or(0, str::len)..word.range.end),
    };
    match word.key {
        "confirm" => attributes.confirm = flag(word)?,
        "reboot" => attributes.reboot = flag(word)?,
        "setup" => attributes.setup = flag(word)?,
        "always" => attributes.always = flag(word)?.then(span),
        "regex" => attributes.regex = flag(word)?.then(span),
        "sudo" => attributes.sudo = Some(sudo(word)?),
        "id" => attributes.id = Some(spanned(id(value(word)?)?)),
        "on" => {
            let (side, machine) = on(value(word)?)?;
            let Spanned { span: at, .. } = spanned(String::new());
            attributes.on = Some(Where {
                machine,
                side,
                span: at,
                word: span(),
            });
        }
        "timeout" => attributes.timeout = Some(positive(value(word)?)?),
        "capture" => attributes.capture = Some(own_name(value(word)?)?),
        "exit" => attributes.exit = Some(statuses(value(word)?)?),
        "eventually" => attributes.eventually = Some(eventually(value(word)?)?),
        "nodes" => attributes.nodes = Some(spanned(value(word)?.to_owned())),
        "as" => attributes.bundle_name = Some(spanned(bundle_name(value(word)?)?)),
        "mode" => attributes.mode = Some(mode(value(word)?)?),
        "to" => attributes.to = Some(spanned(place(value(word)?)?)),
        "owner" => attributes.owner = Some(owner(value(word)?)?),
        "append" => attributes.append = flag(word)?.then(span),
        "edit" => attributes.edit = flag(word)?.then(span),
        "defined" => attributes.defined = list(value(word)?, own_name)?,
        "allow" => attributes.allow = list(value(word)?, allowed)?,
        _ => {}
    }
    Ok(())
}

fn is_flag(key: &str) -> bool {
    matches!(
        key,
        "confirm" | "reboot" | "setup" | "always" | "regex" | "append" | "edit"
    )
}

fn flag(word: &Word<'_>) -> Result<bool, String> {
    match word.value {
        None => Ok(true),
        Some(_) => Err(format!("`{}` takes no value", word.key)),
    }
}

fn value<'t>(word: &Word<'t>) -> Result<&'t str, String> {
    word.value
        .ok_or_else(|| format!("`{0}` needs a value: `{0}=…`", word.key))
}

fn sudo(word: &Word<'_>) -> Result<SudoUser, String> {
    let user = word.value.unwrap_or("root");
    match user {
        "true" | "yes" | "on" | "1" => {
            return Err(format!(
                "`sudo={user}` would mean a user named `{user}`: write `sudo` alone for root"
            ));
        }
        "false" | "no" | "off" | "0" => {
            return Err(format!(
                "`sudo={user}` would mean a user named `{user}`: omit `sudo`"
            ));
        }
        _ => {}
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if user.starts_with('-') || !user.bytes().all(plain) {
        return Err(format!("`{user}` is not the name of a user"));
    }
    Ok(SudoUser(user.to_owned()))
}

fn on(value: &str) -> Result<(On, Option<Machine>), String> {
    let (role, all) = match value.strip_prefix("all:") {
        Some(role) => (role, true),
        None => (value, false),
    };
    match value {
        "node" => Ok((On::Node, None)),
        "local" => Ok((On::Local, None)),
        _ if !is_role_name(role) => Err(format!("`on` must be `node` or `local`, not `{value}`")),
        _ if all => Ok((On::Node, Some(Machine::All(role.to_owned())))),
        _ => Ok((On::Node, Some(Machine::Role(role.to_owned())))),
    }
}

/// Lower-case letters and digits only, so that `ROLE_name` is unambiguous.
fn is_role_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(plain)
}

/// Validates the name of a role.
pub(crate) fn role_name(name: &str) -> Result<String, String> {
    if ["node", "local", "all", "each", "bundle", "procedure"].contains(&name) {
        return Err(format!(
            "`{name}` has another meaning, and cannot be the name of a role"
        ));
    }
    if is_role_name(name) {
        return Ok(name.to_owned());
    }
    Err(format!(
        "`{name}` is not the name of a role: lower-case letters and digits, a letter first"
    ))
}

/// A dotted name: letters, digits, `_` and `-`, each part beginning with a letter or digit.
pub(crate) fn id(value: &str) -> Result<String, String> {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
    };
    if value.split('.').all(part) {
        Ok(value.to_owned())
    } else {
        Err(format!(
            "`{value}` is not an id: letters, digits, `_` and `-`, in parts joined by dots"
        ))
    }
}

pub(crate) fn positive(value: &str) -> Result<Duration, String> {
    match duration(value)? {
        Duration::ZERO => Err(format!("`{value}` is not a positive duration")),
        time => Ok(time),
    }
}

/// Validates a variable name that is not predefined.
pub(crate) fn own_name(value: &str) -> Result<String, String> {
    if matches!(value, "node" | "bundle" | "procedure" | "run_id") {
        return Err(format!(
            "`{value}` is built in: it always has its own value"
        ));
    }
    name(value)
}

fn list(value: &str, read: fn(&str) -> Result<String, String>) -> Result<Vec<String>, String> {
    value.split(',').map(read).collect()
}

/// Validates the name of a problem that `allow` may accept.
pub(crate) fn allowed(code: &str) -> Result<String, String> {
    if SETTLED_BY_A_WORD.contains(&code) {
        return Ok(code.to_owned());
    }
    Err(match nearest(code, SETTLED_BY_A_WORD) {
        Some(near) => format!("`allow` does not accept `{code}`: did you mean `{near}`?"),
        None => format!(
            "`allow` does not accept `{code}`: only {}",
            SETTLED_BY_A_WORD.join(", ")
        ),
    })
}

fn statuses(value: &str) -> Result<Vec<i32>, String> {
    value
        .split(',')
        .map(|status| match status.parse::<u8>() {
            Ok(status) => Ok(i32::from(status)),
            Err(_) => Err(format!("`{status}` is not an exit status from 0 to 255")),
        })
        .collect()
}

fn eventually(value: &str) -> Result<Eventually, String> {
    let Some((limit, every)) = value.split_once('/') else {
        let limit = positive(value)?;
        return Ok(Eventually {
            limit,
            every: limit.min(Duration::from_secs(1)),
        });
    };
    let (limit, every) = (positive(limit)?, positive(every)?);
    if every > limit {
        return Err("the interval of `eventually` is longer than its limit".to_owned());
    }
    Ok(Eventually { limit, every })
}

/// Validates a relative path that stays within the bundle.
pub(crate) fn bundle_name(value: &str) -> Result<String, String> {
    let stays = !value.is_empty()
        && value
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..");
    if stays {
        Ok(value.to_owned())
    } else {
        Err(format!("`{value}` is not a name within the bundle"))
    }
}

/// Validates an absolute path without `.` and `..`.
fn place(value: &str) -> Result<String, String> {
    let Some(parts) = value.strip_prefix('/') else {
        return Err(format!("`to` must be an absolute path, not `{value}`"));
    };
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    if parts.split('/').all(plain) && value.len() < 1024 {
        Ok(value.to_owned())
    } else {
        Err(format!(
            "`{value}` is not the path of a file: no `.`, no `..`, no `/` at its end"
        ))
    }
}

/// `USER` or `USER:GROUP`, by name or number.
fn owner(value: &str) -> Result<String, String> {
    let name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    if value.splitn(2, ':').all(name) {
        Ok(value.to_owned())
    } else {
        Err(format!("`{value}` is not `USER` or `USER:GROUP`"))
    }
}

/// Octal permissions.
pub(crate) fn mode(value: &str) -> Result<u32, String> {
    match u32::from_str_radix(value, 8) {
        Ok(mode) if value.len() >= 3 && mode <= 0o7777 => Ok(mode),
        _ => Err(format!("`{value}` is not an octal mode such as `0644`")),
    }
}
