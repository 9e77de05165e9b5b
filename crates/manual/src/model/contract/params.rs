//! The parameters of a procedure.

use indexmap::IndexMap;
use regex::Regex;
use regex_syntax::ast::parse::Parser as Ast;

use super::values::{as_map, checked, string, unknown_key, wrong_kind};
use crate::Param;
use crate::model::attributes::own_name;
use crate::source::Problem;
use crate::yaml::{Entry, Value, Yaml};

const PARAM: [&str; 4] = ["required", "default", "pattern", "help"];

pub(super) fn params(value: &Yaml, problems: &mut Vec<Problem>) -> IndexMap<String, Param> {
    let mut params = IndexMap::new();
    let map = as_map(
        value,
        "parameters",
        "params: {NAME: {required: true}}",
        problems,
    );
    for (key, entry) in map.into_iter().flatten() {
        if let Err(message) = own_name(key) {
            problems.push(Problem::error("bad-name", entry.key.clone(), message));
            continue;
        }
        params.insert(key.clone(), param(entry, problems));
    }
    params.shrink_to_fit();
    params
}

/// Reads the keys of one parameter. A bare scalar is its default; an empty value means required.
fn param(entry: &Entry, problems: &mut Vec<Problem>) -> Param {
    let mut param = Param {
        span: entry.key.clone(),
        required: false,
        default: None,
        pattern: None,
        help: None,
    };
    let Value::Map(map) = &entry.value.value else {
        match &entry.value.value {
            Value::Null => param.required = true,
            Value::Seq(_) => problems.push(wrong_kind(&entry.value, "a parameter")),
            _ => param.default = entry.value.text().map(str::to_owned),
        }
        return param;
    };
    for (key, entry) in map {
        let value = &entry.value;
        match key.as_str() {
            "required" => {
                if let Value::Bool(required) = value.value {
                    param.required = required;
                } else {
                    let problem = wrong_kind(value, "`required`");
                    problems.push(problem.hint("write `true` or `false`"));
                }
            }
            "default" => param.default = string(value, "a default", problems).map(|s| s.value),
            "pattern" => {
                param.pattern = checked(value, "a pattern", pattern, problems).map(|s| s.value);
            }
            "help" => param.help = string(value, "a help text", problems).map(|s| s.value),
            _ => problems.push(unknown_key(key, entry, "a parameter", &PARAM)),
        }
    }
    if let (true, Some(default)) = (param.required, map.get("default")) {
        problems.push(Problem::error(
            "bad-contract",
            default.key.clone(),
            "a required parameter cannot have a default",
        ));
    }
    if let (Some(default), Some(pattern)) = (&param.default, &param.pattern) {
        let fits = Regex::new(&format!("^(?:{pattern})$")).is_ok_and(|re| re.is_match(default));
        if let (false, Some(entry)) = (fits, map.get("default")) {
            problems.push(Problem::error(
                "bad-contract",
                entry.value.span.clone(),
                format!("the default `{default}` does not match the pattern"),
            ));
        }
    }
    param
}

/// Only parses the pattern: compiling it costs more than the whole rest of a page.
fn pattern(text: &str) -> Result<String, String> {
    let whole = format!("^(?:{text})$");
    let wrong = |error: String| {
        let last = error.lines().last().unwrap_or_default();
        let last = last.trim_start_matches("error: ");
        format!("this pattern is not a valid regular expression: {last}")
    };
    Ast::new()
        .parse(&whole)
        .map_err(|error| wrong(error.to_string()))?;
    // The parser does not look up Unicode class names, so compile patterns that use them.
    if text.contains(r"\p") || text.contains(r"\P") {
        regex_syntax::parse(&whole).map_err(|error| wrong(error.to_string()))?;
    }
    Ok(text.to_owned())
}
