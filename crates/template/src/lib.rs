//! Renders sources in `templates/` and `file` blocks. Only this file names minijinja.
//!
//! An undefined value is an error; includes are limited to `templates/`; loops are bounded. Errors
//! point at the template that the author edits and never contain a value.
//!
//! ```
//! use opsbook_template::{Template, Values, render};
//! use opsbook_text::files::Files;
//! use opsbook_text::source::{Passage, Source};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let root = folder.path();
//! let body = Passage::whole(&Source::new("web.md", "listen {{ port }};\n"));
//! let mut values = Values::default();
//! values.text("port", "8080");
//! let rendered = render(&Files::of(root), Template::Inline(&body), &values).unwrap();
//! assert_eq!(rendered.text, "listen 8080;\n");
//!
//! // A value that nobody has defined is an error, with its place.
//! let nothing = render(&Files::of(root), Template::Inline(&body), &Values::default());
//! assert_eq!(nothing.err().unwrap().code, opsbook_template::UNDEFINED);
//! ```

// The crates below this one, under the names that its files use.
use opsbook_text::{files, source, yaml};

mod reads;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::path::{Component, Path};
use std::sync::{Arc, Mutex, PoisonError};

use indexmap::IndexMap;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Enumerator, Object, Value, ValueKind};
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, escape_formatter};

use crate::files::{Files, Refused};
use crate::source::{Passage, Problem, Source, Span, nearest};
use crate::yaml::Yaml;

/// The folder of templates, next to the manual.
pub const FOLDER: &str = "templates";

/// The most bytes of one source, and of the result.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// The most instructions of one rendering: takes seconds at most.
const FUEL: u64 = 20_000_000;
/// Ten times the deepest nesting of includes and macros.
const MAX_RECURSION: usize = 200;
/// The name of a block's body, which no file can have.
const INLINE: &str = "<block>";

/// The error code of an undefined value.
pub const UNDEFINED: &str = "undefined-in-template";
/// The error code of any other problem of a template or its values.
pub const OTHER: &str = "template";

const UNREADABLE: &str = "cannot read template";

/// The text to render.
#[derive(Clone, Copy, Debug)]
pub enum Template<'a> {
    /// A path within `templates/`.
    Named(&'a str),
    /// The body of a `file` block.
    Inline(&'a Passage),
    /// A body without includes: it can be rendered where no file may be read.
    Alone(&'a Passage),
}

/// The values for a template.
#[derive(Clone, Debug, Default)]
pub struct Values(IndexMap<String, Value>);

/// The result, and the values that were used.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    /// What was rendered.
    pub text: String,
    /// The names of the values that were used.
    pub used: BTreeSet<String>,
}

impl Values {
    /// Adds a map, list or scalar; numbers whose text is not canonical (`0644`, `1.10`) become
    /// texts.
    pub fn yaml(&mut self, name: impl Into<String>, value: &Yaml) {
        self.0.insert(name.into(), from_yaml(value));
    }

    /// Adds a text.
    pub fn text(&mut self, name: impl Into<String>, text: &str) {
        self.0.insert(name.into(), Value::from(text));
    }

    /// The names, in no particular order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

fn from_yaml(value: &Yaml) -> Value {
    match &value.value {
        yaml::Value::Null => Value::from(()),
        yaml::Value::Bool(value) => Value::from(*value),
        yaml::Value::Int(number, text) if number.to_string() == *text => Value::from(*number),
        yaml::Value::Float(number, text) if Value::from(*number).to_string() == *text => {
            Value::from(*number)
        }
        yaml::Value::Int(_, text) | yaml::Value::Float(_, text) | yaml::Value::Str(text) => {
            Value::from(text.as_str())
        }
        yaml::Value::Seq(values) => values.iter().map(from_yaml).collect(),
        yaml::Value::Map(map) => {
            let pairs = map
                .iter()
                .map(|(key, entry)| (key.as_str(), from_yaml(&entry.value)));
            Value::from_pairs(pairs)
        }
    }
}

/// Renders a template of a project. The problem of a missing template has no place: the caller
/// knows where it is named.
pub fn render(files: &Files, template: Template<'_>, values: &Values) -> Result<Rendered, Problem> {
    let sources = Arc::new(Sources::new(files, template));
    let environment = environment(&sources);
    let context = Arc::new(Context {
        values: values.0.clone(),
        used: Mutex::default(),
    });
    let mut output = Bounded(Vec::new());
    let result = match template {
        Template::Named(name) => environment.get_template(name),
        Template::Inline(passage) | Template::Alone(passage) => {
            environment.template_from_named_str(INLINE, &passage.text)
        }
    }
    .and_then(|template| {
        template
            .render_captured_to(Value::from_dyn_object(Arc::clone(&context)), &mut output)
            .map(drop)
    });
    if let Err(error) = result {
        let teller = Teller {
            sources: &sources,
            template,
            values,
        };
        return Err(teller.problem(&error));
    }
    let used = std::mem::take(&mut *lock(&context.used));
    let text = String::from_utf8(output.0)
        .map_err(|_| Problem::bare("template", "the output of the template is not UTF-8 text"))?;
    Ok(Rendered { text, used })
}

/// The names that a template and its named includes read and do not set, each with its first place.
/// Reports no problems of the template.
#[must_use]
pub fn reads(files: &Files, template: Template<'_>) -> BTreeMap<String, Span> {
    let sources = Arc::new(Sources::new(files, template));
    let environment = environment(&sources);
    let mut known: BTreeSet<String> = environment
        .globals()
        .map(|(name, _)| name.to_owned())
        .collect();
    let mut found = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut open = match template {
        Template::Named(name) => vec![name.to_owned()],
        Template::Inline(passage) | Template::Alone(passage) => {
            let parsed = environment.template_from_named_str(INLINE, &passage.text);
            let names = parsed.map(|parsed| parsed.undeclared_variables(false));
            add(&mut found, names.unwrap_or_default(), passage);
            known.extend(reads::assigned(&passage.text));
            let taken_in = reads::taken_in(&passage.text).into_iter();
            taken_in.map(str::to_owned).collect()
        }
    };
    while let Some(name) = open.pop() {
        let Ok(source) = sources.load(&name) else {
            continue;
        };
        if !seen.insert(name.clone()) {
            continue;
        }
        let parsed = environment.get_template(&name);
        let names = parsed.map(|parsed| parsed.undeclared_variables(false));
        add(
            &mut found,
            names.unwrap_or_default(),
            &Passage::whole(&source),
        );
        known.extend(reads::assigned(&source.text));
        let taken_in = reads::taken_in(&source.text).into_iter();
        open.extend(taken_in.map(|taken| joined(taken, &name)));
    }
    found.retain(|name, _| !known.contains(name));
    found
}

fn add(found: &mut BTreeMap<String, Span>, names: HashSet<String>, passage: &Passage) {
    for name in names {
        let range = reads::place(&passage.text, &name).unwrap_or(0..0);
        found.entry(name).or_insert_with(|| passage.span(range));
    }
}

/// A package's template includes only the package's own templates.
fn joined(name: &str, parent: &str) -> String {
    let package = parent
        .strip_prefix("packages/")
        .and_then(|rest| rest.split('/').next());
    match package {
        Some(package) if !name.starts_with("packages/") => {
            format!("packages/{package}/{name}")
        }
        _ => name.to_owned(),
    }
}

fn environment(sources: &Arc<Sources>) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // Never escape, whatever the file's name: no template here is a web page.
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_debug(true);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(MAX_RECURSION);
    environment.set_auto_reload(false);
    environment.set_formatter(|output, state, value| match value.kind() {
        // Booleans in the form of YAML and most configuration files.
        ValueKind::Bool => Ok(output.write_str(if value.is_true() { "true" } else { "false" })?),
        ValueKind::None => Ok(()),
        _ => escape_formatter(output, state, value),
    });
    // It would print all values.
    environment.remove_global("debug");
    if let Ok(syntax) = SyntaxConfig::builder()
        .keep_trailing_newline(true)
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()
    {
        environment.set_syntax(syntax);
    }
    environment.set_path_join_callback(|name, parent| joined(name, parent).into());
    let sources = Arc::clone(sources);
    environment.set_loader(move |name| match sources.load(name) {
        Ok(source) => Ok(Some(source.text.clone())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(minijinja::Error::new(
            ErrorKind::InvalidOperation,
            format!("{UNREADABLE} `{name}`: {error}"),
        )),
    });
    environment
}

/// Provides the values and records which are used.
#[derive(Debug)]
struct Context {
    values: IndexMap<String, Value>,
    used: Mutex<BTreeSet<String>>,
}

impl Object for Context {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        let value = self.values.get(name)?;
        lock(&self.used).insert(name.to_owned());
        Some(value.clone())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }
}

/// Output of limited size.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The files of `templates/`, each read once for a rendering.
struct Sources {
    files: Files,
    /// No file may be read.
    alone: bool,
    loaded: Mutex<HashMap<String, Arc<Source>>>,
}

impl Sources {
    fn new(files: &Files, template: Template<'_>) -> Sources {
        Sources {
            files: files.clone(),
            alone: matches!(template, Template::Alone(_)),
            loaded: Mutex::default(),
        }
    }

    fn load(&self, name: &str) -> io::Result<Arc<Source>> {
        if let Some(source) = lock(&self.loaded).get(name) {
            return Ok(Arc::clone(source));
        }
        if self.alone {
            let why = "a text with `to=` cannot include anything";
            return Err(io::Error::other(why));
        }
        let text = read(&self.files, name)?;
        let path = Path::new(FOLDER).join(name);
        let source = Source::of(&path, self.files.packaged(&path), text);
        lock(&self.loaded).insert(name.to_owned(), Arc::clone(&source));
        Ok(source)
    }
}

fn outside() -> io::Error {
    let why = "it is outside `templates/`";
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

/// The text of one of the project's templates.
fn read(files: &Files, name: &str) -> io::Result<String> {
    let plain = Path::new(name)
        .components()
        .all(|component| matches!(component, Component::Normal(_)));
    if !plain || name.contains(['\\', '\0']) {
        return Err(outside());
    }
    let path = Path::new(FOLDER).join(name);
    let folder = files.folder(Path::new(FOLDER));
    let opened = files.open(&path);
    if let (Ok(folder), Ok(opened)) = (&folder, &opened)
        && !opened.real.starts_with(folder)
    {
        return Err(outside());
    }
    if let Some(text) = files.unsaved(&path).filter(|text| text.len() <= MAX_BYTES) {
        return Ok(text.to_owned());
    }
    let text = opened.and_then(|opened| opened.text(MAX_BYTES as u64));
    text.map_err(|why| match why {
        Refused::Missing => io::ErrorKind::NotFound.into(),
        why => io::Error::other(why),
    })
}

/// The names of all templates, for hints, without hidden files.
#[must_use]
pub fn names(root: &Path) -> Vec<String> {
    let mut names = Vec::new();
    collect(&root.join(FOLDER), "", 0, &mut names);
    names.sort();
    names
}

fn collect(folder: &Path, prefix: &str, depth: usize, names: &mut Vec<String>) {
    const MAX_DEPTH: usize = 8;
    let Ok(entries) = folder.read_dir() else {
        return;
    };
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        match (name.starts_with('.'), is_folder) {
            (false, false) => names.push(format!("{prefix}{name}")),
            (false, true) if depth < MAX_DEPTH => {
                collect(&entry.path(), &format!("{prefix}{name}/"), depth + 1, names);
            }
            _ => {}
        }
    }
}

/// Reports errors at their place in the text that the author edits.
struct Teller<'a> {
    sources: &'a Sources,
    template: Template<'a>,
    values: &'a Values,
}

impl Teller<'_> {
    fn problem(&self, error: &minijinja::Error) -> Problem {
        let chain = chain(error);
        let inner = chain.last().copied().unwrap_or(error);
        let place = self.place(inner);
        let mut problem = Problem::bare(code(inner), self.message(inner, place.as_ref()));
        problem.span.clone_from(&place);
        let mut near = place;
        for outer in chain.iter().rev().skip(1) {
            let place = self.place(outer);
            if let Some(span) = place.clone().filter(|_| place != near) {
                problem = problem.note(span, "from here");
            }
            near = place;
        }
        self.hint(problem, inner)
    }

    fn message(&self, error: &minijinja::Error, place: Option<&Span>) -> String {
        let detail = error.detail().unwrap_or_default();
        match error.kind() {
            ErrorKind::UndefinedError => {
                match place.map(Span::text).filter(|text| is_short(text)) {
                    Some(text) => format!("`{text}` is not defined"),
                    None => "a value is not defined".to_owned(),
                }
            }
            ErrorKind::SyntaxError => format!("template syntax: {detail}"),
            ErrorKind::TemplateNotFound => match self.template {
                Template::Named(name) if error.name().is_none() => {
                    format!("unknown template `{name}`")
                }
                _ => detail.replace(['"', '\''], "`"),
            },
            ErrorKind::OutOfFuel => "the template does not end".to_owned(),
            ErrorKind::WriteFailure => format!(
                "the output of the template is larger than \
                 {MAX_BYTES} bytes"
            ),
            kind if detail.is_empty() => kind.to_string(),
            // Only this detail of minijinja contains values.
            _ if detail.starts_with("unable to calculate") => {
                "this cannot be calculated".to_owned()
            }
            _ => detail.to_owned(),
        }
    }

    fn hint(&self, problem: Problem, error: &minijinja::Error) -> Problem {
        match (error.kind(), &problem.span, self.template) {
            (ErrorKind::UndefinedError, Some(span), _)
                if !span.text().contains(['.', '[', ' ']) =>
            {
                let written = span.text().to_owned();
                let known = self.values.0.keys().map(String::as_str);
                problem.did_you_mean(&written, known)
            }
            (ErrorKind::TemplateNotFound, None, Template::Named(name)) => {
                let names = names(self.sources.files.root());
                match nearest(name, names.iter().map(String::as_str)) {
                    Some(near) => problem.hint(format!("did you mean `{near}`?")),
                    None => problem.hint(format!("templates are in `{FOLDER}/`")),
                }
            }
            _ => problem,
        }
    }

    /// The place of an error, in its template's file or in the block.
    fn place(&self, error: &minijinja::Error) -> Option<Span> {
        let name = error.name()?;
        let passage = match self.template {
            Template::Inline(passage) | Template::Alone(passage) if name == INLINE => {
                passage.clone()
            }
            _ => Passage::whole(&self.sources.load(name).ok()?),
        };
        let range = error
            .range()
            .filter(|range| passage.text.get(range.clone()).is_some())
            .or_else(|| line_range(&passage.text, error.line()?))?;
        Some(passage.span(range))
    }
}

fn code(error: &minijinja::Error) -> &'static str {
    match error.kind() {
        ErrorKind::UndefinedError => UNDEFINED,
        ErrorKind::SyntaxError => "template-syntax",
        ErrorKind::TemplateNotFound => "unknown-template",
        _ if error
            .detail()
            .is_some_and(|said| said.starts_with(UNREADABLE)) =>
        {
            "unreadable-template"
        }
        _ => OTHER,
    }
}

/// An error and its causes, the innermost last.
fn chain(error: &minijinja::Error) -> Vec<&minijinja::Error> {
    std::iter::successors(Some(error), |error| under(error)).collect()
}

fn under(error: &minijinja::Error) -> Option<&minijinja::Error> {
    std::error::Error::source(error)?.downcast_ref()
}

fn line_range(text: &str, line: usize) -> Option<std::ops::Range<usize>> {
    let start: usize = text
        .split_inclusive('\n')
        .take(line - 1)
        .map(str::len)
        .sum();
    let length = text.get(start..)?.lines().next().map_or(0, str::len);
    Some(start..start + length)
}

fn is_short(text: &str) -> bool {
    !text.is_empty() && text.len() <= 60 && !text.contains('\n')
}

/// A poisoned lock still contains valid data.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
