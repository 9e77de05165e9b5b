//! Permanent options. Every option with a variable `OPSBOOK_NAME` also has the key `name` in the
//! user's settings file; the command line has priority over the variable, and the variable over the
//! file. `opsbook settings` shows them all.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Arg, ArgAction, Args, Command};
use serde_json::json;
use toml::de::{DeTable, DeValue};

use crate::cli::Streams;
use crate::cli::error::Failure;
use crate::cli::form::Form;
use crate::report::table;
use crate::source::{Problem, Source, Span};

/// The variable with the settings file; if it is set and empty, there is none.
const FILE: &str = "OPSBOOK_SETTINGS";
/// The most bytes of a settings file.
const MOST_BYTES: u64 = 64 * 1024;
const PREFIX: &str = "OPSBOOK_";

/// Show the settings, each with its value and origin
///
/// A setting is a permanent option: a variable such as `OPSBOOK_TEST_PARALLEL=20`, or a line
/// `test-parallel = 20` in the settings file. The command line has priority over the variable, the
/// variable over the file.
#[derive(Args, Debug)]
pub(crate) struct Settings {
    #[command(flatten)]
    form: Form,
}

/// The contents of the settings file, by key.
#[derive(Debug, Default)]
pub(crate) struct FromFile {
    path: Option<PathBuf>,
    values: BTreeMap<String, (String, Span)>,
    /// Its problems; the affected settings are left out.
    pub problems: Vec<Problem>,
}

/// The origin of a value.
enum Origin {
    BuiltIn,
    File(String),
    Variable,
}

struct Setting {
    key: String,
    variable: String,
    value: Option<String>,
    origin: Origin,
    about: String,
}

impl FromFile {
    /// The user's settings file, if it exists.
    pub fn read() -> FromFile {
        let Some(path) = place() else {
            return FromFile::default();
        };
        let text = match std::fs::metadata(&path) {
            Ok(about) if about.len() > MOST_BYTES => Err(format!("it has {} bytes", about.len())),
            Ok(_) => std::fs::read_to_string(&path).map_err(|error| error.to_string()),
            // A missing default file is fine; a named file must exist.
            Err(error) if std::env::var_os(FILE).is_some() => Err(error.to_string()),
            Err(_) => Ok(String::new()),
        };
        match text {
            Ok(text) => FromFile::parse(path, &text),
            Err(why) => FromFile {
                problems: vec![Problem::bare(
                    "bad-settings",
                    format!("cannot read the settings file `{}`: {why}", path.display()),
                )],
                ..FromFile::default()
            },
        }
    }

    fn parse(path: PathBuf, text: &str) -> FromFile {
        let source = Source::new(path.clone(), text);
        let (document, errors) = DeTable::parse_recoverable(&source.text);
        let mut file = FromFile {
            path: Some(path),
            ..FromFile::default()
        };
        for error in errors {
            let span = Span::new(&source, error.span().unwrap_or(0..0));
            let problem = Problem::error("bad-settings", span, error.message());
            file.problems.push(problem);
        }
        for (key, value) in document.get_ref() {
            file.take(&source, key.get_ref(), key.span(), value.get_ref());
        }
        file
    }

    fn take(
        &mut self,
        source: &Arc<Source>,
        key: &str,
        at: std::ops::Range<usize>,
        value: &DeValue<'_>,
    ) {
        let text = match value {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) => number.to_string(),
            DeValue::Boolean(on) => on.to_string(),
            _ => {
                let problem = Problem::error(
                    "bad-settings",
                    Span::new(source, at),
                    format!("`{key}` needs a text, a number, true or false"),
                );
                return self.problems.push(problem);
            }
        };
        let span = Span::new(source, at);
        self.values.insert(key.to_owned(), (text, span));
    }

    /// The command with these values as defaults of its options. A value that fits no option
    /// becomes a problem.
    pub fn applied(&mut self, command: Command) -> Command {
        let known = settings(&command, &FromFile::default());
        let keys: Vec<&str> = known.iter().map(|setting| setting.key.as_str()).collect();
        for (key, (_, span)) in &self.values {
            if !keys.contains(&key.as_str()) {
                let problem = Problem::error(
                    "unknown-setting",
                    span.clone(),
                    format!("there is no setting `{key}`"),
                );
                let problem = problem.did_you_mean(key, keys.iter().copied());
                self.problems.push(match problem.hint {
                    None => problem.hint("`opsbook settings` lists them"),
                    Some(_) => problem,
                });
            }
        }
        let mut wrong = Vec::new();
        let command = with_defaults(command, &self.values, &mut wrong);
        for key in &wrong {
            self.values.remove(key.0.as_str());
        }
        wrong.dedup_by(|one, other| one.0 == other.0);
        self.problems
            .extend(wrong.into_iter().map(|(_, problem)| problem));
        command
    }
}

fn place() -> Option<PathBuf> {
    match std::env::var_os(FILE) {
        Some(named) if named.is_empty() => None,
        Some(named) => Some(PathBuf::from(named)),
        None => {
            let config = std::env::var_os("XDG_CONFIG_HOME").filter(|folder| !folder.is_empty());
            let config = config.map(PathBuf::from);
            let config = config.or_else(|| Some(std::env::home_dir()?.join(".config")))?;
            Some(config.join("opsbook/settings.toml"))
        }
    }
}

/// `OPSBOOK_TEST_PARALLEL` becomes `test-parallel`.
fn key(arg: &Arg) -> Option<(String, String)> {
    let variable = arg.get_env()?.to_str()?;
    let key = variable.strip_prefix(PREFIX)?;
    Some((key.to_lowercase().replace('_', "-"), variable.to_owned()))
}

fn with_defaults(
    command: Command,
    values: &BTreeMap<String, (String, Span)>,
    wrong: &mut Vec<(String, Problem)>,
) -> Command {
    let subcommands: Vec<String> = command
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    let command = command.mut_args(|arg| {
        let Some((key, _)) = key(&arg) else {
            return arg;
        };
        let Some((value, span)) = values.get(&key) else {
            return arg;
        };
        match misfit(&arg, value) {
            None => arg.default_value(value.clone()),
            Some(why) => {
                let problem = Problem::error("bad-settings", span.clone(), why);
                wrong.push((key, problem));
                arg
            }
        }
    });
    subcommands.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, |inner| with_defaults(inner, values, wrong))
    })
}

/// Why the option rejects the value, tested with a command that has only this option.
fn misfit(arg: &Arg, value: &str) -> Option<String> {
    let name = arg.get_id().to_string();
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        let fits = ["true", "false"].contains(&value);
        return (!fits).then(|| format!("`{value}` is neither true nor false"));
    }
    let alone = Arg::new(name)
        .long("value")
        .value_parser(arg.get_value_parser().clone());
    let words = [OsString::from("opsbook"), format!("--value={value}").into()];
    let asked = Command::new("opsbook").no_binary_name(false).arg(alone);
    let error = asked.try_get_matches_from(words).err()?;
    let told = error.to_string();
    let first = told.lines().next().unwrap_or_default();
    let why = first.rsplit_once("': ").map_or("", |(_, why)| why);
    Some(match why {
        "" => format!("`{value}` is not a valid value of this setting"),
        why => format!("`{value}`: {why}"),
    })
}

/// All settings, in alphabetical order.
fn settings(command: &Command, file: &FromFile) -> Vec<Setting> {
    let mut found = BTreeMap::new();
    collect(command, file, &mut found);
    found.into_values().collect()
}

fn collect(command: &Command, file: &FromFile, found: &mut BTreeMap<String, Setting>) {
    for arg in command.get_arguments() {
        let Some((key, variable)) = key(arg) else {
            continue;
        };
        let built_in = arg
            .get_default_values()
            .first()
            .filter(|_| !matches!(arg.get_action(), ArgAction::SetTrue))
            .map(|value| value.to_string_lossy().into_owned());
        let said = std::env::var(&variable).ok();
        let (value, origin) = match (said, file.values.get(&key)) {
            (Some(said), _) => (Some(said), Origin::Variable),
            (None, Some((value, span))) => (Some(value.clone()), Origin::File(span.place())),
            (None, None) => (built_in, Origin::BuiltIn),
        };
        let about = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let setting = Setting {
            key: key.clone(),
            variable,
            value,
            origin,
            about,
        };
        found.entry(key).or_insert(setting);
    }
    for inner in command.get_subcommands() {
        collect(inner, file, found);
    }
}

pub(crate) fn run(
    args: &Settings,
    command: &Command,
    file: &FromFile,
    streams: &mut Streams,
) -> Result<u8, Failure> {
    let settings = settings(command, file);
    if args.form.is_json() {
        let rows: Vec<_> = settings.iter().map(as_json).collect();
        let file = file.path.as_ref().map(|path| path.display().to_string());
        let text = json!({"v": 1, "file": file, "settings": rows});
        writeln!(streams.data(), "{text:#}")?;
        return Ok(0);
    }
    let dim = anstyle::Style::new().dimmed();
    let row = |setting: &Setting| {
        let value = setting.value.clone().unwrap_or_else(|| "-".to_owned());
        let origin = match &setting.origin {
            Origin::BuiltIn => String::new(),
            Origin::File(place) => place.clone(),
            Origin::Variable => setting.variable.clone(),
        };
        let origin = table::Cell::new(&origin, dim);
        vec![setting.key.clone().into(), value.into(), origin]
    };
    let rows: Vec<_> = settings.iter().map(row).collect();
    table::rows(&rows, &mut streams.people())?;
    if let Some(path) = &file.path {
        let there = if path.exists() {
            ""
        } else {
            " (there is none)"
        };
        writeln!(streams.talk, "\nsettings file: {}{there}", path.display())?;
    }
    Ok(0)
}

fn as_json(setting: &Setting) -> serde_json::Value {
    let (from, place) = match &setting.origin {
        Origin::BuiltIn => ("default", None),
        Origin::File(place) => ("file", Some(place.as_str())),
        Origin::Variable => ("variable", None),
    };
    json!({
        "name": setting.key, "variable": setting.variable, "value": setting.value,
        "from": from, "place": place, "about": setting.about,
    })
}
