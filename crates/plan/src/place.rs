//! Writes a text to a file on a node: opsbook's own script, the same for all files, and its
//! variables.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::files::Files;
use crate::manual::{Delivery, DeliveryFrom, How, Place, Step, shell_word};
use crate::nodes::Text;
use crate::script::Scope;
use crate::source::Problem;
use crate::template::{Template, render};
use crate::{RUN_NAMES, Script, Value, Variable};

/// The variable that holds the text.
pub const TEXT: &str = "ob_file_text";

/// Runs in the step's shell; earlier steps cannot set variables of these names.
const SCRIPT: &str = include_str!("place.sh");

/// A file that a step writes.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The text, with the absolute path of the destination.
    pub file: Delivery,
    /// Its mode as written on the fence; `None` if the file keeps its own.
    pub mode: Option<u32>,
    /// `USER` or `USER:GROUP`.
    pub owner: Option<String>,
    /// How an existing file is changed.
    pub how: How,
    /// The text, if it is known before the run and contains no secret.
    pub text: Option<String>,
}

impl Placed {
    /// `/etc/motd mode 0644 owner root`, on one line.
    #[must_use]
    pub fn words(&self) -> String {
        let mut words = self.file.to.clone();
        match self.how {
            How::Whole => {}
            How::Append => words += " append",
            How::Edit => words += " edit",
        }
        if let Some(mode) = self.mode {
            words += &format!(" mode {mode:04o}");
        }
        if let Some(owner) = &self.owner {
            words += &format!(" owner {owner}");
        }
        words
    }
}

/// The script of a `file` block with `to=`, and its file.
pub(super) fn planned(
    place: &Place,
    step: &Step,
    scope: &Scope<'_>,
    problems: &mut Vec<Problem>,
) -> (Script, Placed) {
    let found = rendered(place, scope);
    if found.secret {
        problems.extend(readable(place));
    }
    let mode = place.mode.map(|mode| format!("{mode:04o}"));
    let how = match place.how {
        How::Whole => "whole",
        How::Append => "append",
        How::Edit => "edit",
    };
    let bind = |name: &str, text: String| Variable {
        name: name.to_owned(),
        value: Value::Text(Text::Plain(text)),
    };
    let text = Variable {
        name: TEXT.to_owned(),
        value: match &found.text {
            Some(text) => Value::Text(Text::Plain(text.clone())),
            None => Value::Rendered,
        },
    };
    let bindings = vec![
        bind("ob_file_how", how.to_owned()),
        bind("ob_file_mode", mode.unwrap_or_default()),
        bind("ob_file_owner", place.owner.clone().unwrap_or_default()),
        text,
        bind("ob_file_to", place.to.clone()),
    ];
    let script = Script {
        interpreter: "sh".to_owned(),
        text: Arc::from(SCRIPT),
        bindings,
        commands: Vec::new(),
        inherits: Vec::new(),
    };
    let file = Delivery {
        span: step.span.clone(),
        from: DeliveryFrom::Placed(place.text.clone()),
        to: place.to.clone(),
        mode: place.mode.unwrap_or(0o600),
    };
    let placed = Placed {
        file,
        mode: place.mode,
        owner: place.owner.clone(),
        how: place.how,
        text: found.text,
    };
    (script, placed)
}

/// The same as one script without variables, for pasting; `None` if the text is a template.
#[must_use]
pub fn alone(place: &Place) -> Option<String> {
    if ["{{", "{%", "{#"]
        .iter()
        .any(|sign| place.text.text.contains(sign))
    {
        return None;
    }
    let how = match place.how {
        How::Whole => "whole",
        How::Append => "append",
        How::Edit => "edit",
    };
    let mode = place.mode.map(|mode| format!("{mode:04o}"));
    let given = [
        ("ob_file_how", how),
        ("ob_file_mode", mode.as_deref().unwrap_or_default()),
        ("ob_file_owner", place.owner.as_deref().unwrap_or_default()),
        ("ob_file_to", &place.to),
        (TEXT, &place.text.text),
    ];
    let given = given.map(|(name, value)| format!("{name}={}\n", shell_word(value)));
    let lines = SCRIPT.lines().filter(|line| !line.starts_with('#'));
    let script: String = lines.map(|line| format!("{line}\n")).collect();
    Some(given.concat() + &script)
}

/// A text, as far as it is known before the run.
struct Found {
    /// `None` if only the run can make it, or if it is invalid, which is reported elsewhere.
    text: Option<String>,
    secret: bool,
}

fn rendered(place: &Place, scope: &Scope<'_>) -> Found {
    let mut values = scope.node.template_values();
    let mut secrets = BTreeSet::new();
    for (name, text) in scope.node.texts() {
        if let Text::Secret(_) = text {
            values.text(name.as_str(), "");
            secrets.insert(name);
        }
    }
    let open = scope.captured.iter().map(String::as_str);
    let open: BTreeSet<&str> = open.chain(RUN_NAMES).collect();
    for name in &open {
        values.text(*name, "");
    }
    let alone = Template::Alone(&place.text);
    let Ok(rendered) = render(&Files::of(Path::new(".")), alone, &values) else {
        return Found {
            text: None,
            secret: false,
        };
    };
    let secret = rendered.used.iter().any(|name| secrets.contains(name));
    let late = secret
        || rendered
            .used
            .iter()
            .any(|name| open.contains(name.as_str()));
    Found {
        text: (!late).then_some(rendered.text),
        secret,
    }
}

/// Reports a file with a secret that others may read, or whose existing permissions are unknown.
fn readable(place: &Place) -> Option<Problem> {
    let names_a_group = place.owner.as_ref().is_some_and(|own| own.contains(':'));
    let message = match place.mode {
        Some(mode) if mode % 0o10 == 0 && (mode % 0o100 == 0 || names_a_group) => return None,
        Some(mode) if mode % 0o10 == 0 => format!(
            "`{}` contains a secret, but a group without a name can read it: mode {mode:04o}",
            place.to
        ),
        Some(mode) => format!(
            "`{}` contains a secret, but everybody can read it: mode {mode:04o}",
            place.to
        ),
        None => format!("`{}` contains a secret, but has no `mode`", place.to),
    };
    let problem = Problem::error("secret-readable", place.span.clone(), message);
    Some(problem.hint("write `mode=0600`, or `mode=0640` with `owner=USER:GROUP`"))
}
