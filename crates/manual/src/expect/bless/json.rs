//! Makes a JSON expectation from printed JSON. In an existing expectation, replaces only values
//! that differ; keys that the author left out stay out.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde_json::Value;

use super::places::{Below, Node, places};
use super::shapes::{elide, names, put_back};
use super::{Blessed, Line, Printed, Unblessed, is_met, merged, says};
use crate::ExpectKind;

/// Makes a new expectation from what all runs have in common. Only for objects.
pub(super) fn learned(runs: &[Printed]) -> Option<Blessed> {
    let values = values(runs).ok()?;
    if runs.is_empty() || !values.iter().all(Value::is_object) {
        return None;
    }
    let mut common = Common::of(runs);
    let text = common.text(&values.iter().collect::<Vec<_>>(), 0)?;
    Some(common.blessed(&text))
}

/// The author's expectation with the differing values replaced.
pub(super) fn changed(text: &str, runs: &[Printed]) -> Result<Blessed, Unblessed> {
    let values = values(runs).map_err(Unblessed::Yours)?;
    let node = places(text);
    let node = node.ok_or_else(|| Unblessed::Yours("its expectation is not JSON".to_owned()))?;
    let mut change = Change {
        text,
        runs,
        common: Common::of(runs),
        edits: Vec::new(),
    };
    let found: Vec<&Value> = values.iter().collect();
    change.value(&node, &found, "").map_err(Unblessed::Yours)?;
    let Change {
        common, mut edits, ..
    } = change;
    edits.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    let mut text = text.to_owned();
    for (range, new) in edits {
        text.replace_range(range, &new);
    }
    Ok(common.blessed(text.trim_end()))
}

fn values(runs: &[Printed]) -> Result<Vec<Value>, String> {
    let values = runs.iter().map(|run| serde_json::from_str(&run.text));
    let values: Result<Vec<Value>, _> = values.collect();
    values.map_err(|error| format!("does not print JSON ({error})"))
}

/// Collects what several runs have in common, as JSON.
struct Common<'a> {
    names: BTreeMap<&'a str, &'a str>,
    elided: BTreeSet<&'static str>,
}

impl<'a> Common<'a> {
    /// Values are replaced by their names only if all runs had the same node values.
    fn of(runs: &'a [Printed]) -> Common<'a> {
        let same = runs.iter().all(|run| run.values == runs[0].values);
        let first = runs.first().filter(|_| same);
        Common {
            names: first.map(|run| names(&run.values)).unwrap_or_default(),
            elided: BTreeSet::new(),
        }
    }

    fn blessed(self, text: &str) -> Blessed {
        Blessed {
            kind: ExpectKind::Json,
            lines: text.lines().map(str::to_owned).collect(),
            elided: self.elided,
        }
    }

    /// The common part as text; `None` if nothing is common and stable.
    fn text(&mut self, values: &[&Value], indent: usize) -> Option<String> {
        let first = *values.first()?;
        match first {
            Value::Object(map) => self.object(map.keys(), values, indent),
            Value::Array(items) => {
                let same =
                    |value: &&Value| value.as_array().is_some_and(|own| own.len() == items.len());
                if items.len() > 1 || !values.iter().all(same) {
                    self.elided.insert("lists");
                    return None;
                }
                if items.is_empty() {
                    return Some("[]".to_owned());
                }
                let below: Vec<&Value> = values.iter().filter_map(|value| value.get(0)).collect();
                Some(format!("[{}]", self.text(&below, indent)?))
            }
            Value::String(_) => self.string(values),
            _ if values.iter().all(|value| *value == first) => {
                let text = first.to_string();
                Some(match self.names.get(text.as_str()) {
                    Some(name) => format!("${{{name}}}"),
                    None => text,
                })
            }
            _ => {
                self.elided.insert("what differs");
                None
            }
        }
    }

    fn object<'k>(
        &mut self,
        keys: impl Iterator<Item = &'k String>,
        values: &[&Value],
        indent: usize,
    ) -> Option<String> {
        let mut entries = Vec::new();
        for key in keys {
            let below = values.iter().map(|value| value.get(key));
            let below: Option<Vec<&Value>> = below.collect();
            let text = below.and_then(|below| self.text(&below, indent + 2));
            if let Some(text) = text {
                let key = Value::from(key.replace("${", "$${"));
                entries.push(format!("{key}: {text}"));
            }
        }
        let plain = entries.iter().all(|entry| !entry.contains('\n'));
        match entries.as_slice() {
            [] => None,
            [one] if plain => Some(format!("{{{one}}}")),
            _ => {
                let (below, here) = (" ".repeat(indent + 2), " ".repeat(indent));
                let entries = entries.join(&format!(",\n{below}"));
                Some(format!("{{\n{below}{entries}\n{here}}}"))
            }
        }
    }

    fn string(&mut self, values: &[&Value]) -> Option<String> {
        let mut all = None;
        for value in values {
            let raw = value.as_str()?;
            let text = elide(&put_back(raw, &self.names), &mut self.elided);
            let raw = raw.to_owned();
            let line = Line::Text { raw, text };
            all = Some(match all {
                None => line,
                Some(known) => merged(&known, &line, &mut self.elided),
            });
        }
        match all {
            Some(Line::Text { raw, text }) if raw.is_empty() || says(&text) => {
                Some(Value::from(text).to_string())
            }
            _ => None,
        }
    }
}

/// New values for the author's text.
struct Change<'a> {
    text: &'a str,
    runs: &'a [Printed],
    common: Common<'a>,
    edits: Vec<(Range<usize>, String)>,
}

impl Change<'_> {
    fn value(&mut self, node: &Node, found: &[&Value], path: &str) -> Result<(), String> {
        let own = &self.text[node.range.clone()];
        let holds = self.runs.iter().zip(found).all(|(run, found)| {
            let run = Printed {
                text: found.to_string(),
                values: run.values.clone(),
            };
            is_met(own, ExpectKind::Json, &run)
        });
        if holds {
            return Ok(());
        }
        match &node.below {
            Below::Object(entries) if found.iter().all(|value| value.is_object()) => {
                self.object(node, entries, found, path)
            }
            Below::List(items) if found.iter().all(|value| fits(value, items.len())) => {
                for (index, item) in items.iter().enumerate() {
                    let below: Vec<&Value> =
                        found.iter().filter_map(|value| value.get(index)).collect();
                    self.value(item, &below, &format!("{path}[{index}]"))?;
                }
                Ok(())
            }
            _ => {
                let line = self.text[..node.range.start]
                    .rfind('\n')
                    .map_or(0, |at| at + 1);
                let line = &self.text[line..];
                let indent = line.len() - line.trim_start_matches(' ').len();
                let text = self.common.text(found, indent);
                let text = text
                    .ok_or_else(|| format!("{} has no value that stays the same", named(path)))?;
                self.edits.push((node.range.clone(), text));
                Ok(())
            }
        }
    }

    fn object(
        &mut self,
        node: &Node,
        entries: &[(String, usize, Node)],
        found: &[&Value],
        path: &str,
    ) -> Result<(), String> {
        let mut kept = 0;
        for (index, (key, start, below)) in entries.iter().enumerate() {
            let path = format!("{path}.{key}");
            let values: Vec<&Value> = found.iter().filter_map(|value| value.get(key)).collect();
            if values.len() == found.len() {
                self.value(below, &values, &path)?;
                kept += 1;
                continue;
            }
            if !values.is_empty() {
                return Err(format!("{} is not always there", named(&path)));
            }
            let end = below.range.end;
            // Remove the comma before the entry, or the one after it if no entry is left before it.
            let range = match (kept, entries.get(index + 1)) {
                (0, Some((_, next, _))) => *start..*next,
                (0, None) => {
                    return Err(format!("{} is no longer printed", named(&path)));
                }
                _ => entries[index - 1].2.range.end..end,
            };
            debug_assert!(range.start >= node.range.start && range.end <= node.range.end);
            self.edits.push((range, String::new()));
        }
        Ok(())
    }
}

fn fits(value: &Value, items: usize) -> bool {
    value.as_array().is_some_and(|own| own.len() == items)
}

fn named(path: &str) -> String {
    match path.trim_start_matches('.') {
        "" => "the value".to_owned(),
        path => format!("`{path}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expect::bless::bless;

    fn made(existing: Option<&str>, texts: &[&str]) -> String {
        let values = [("app_port", "8000"), ("host", "web1")];
        let values = values.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let runs = texts.iter().map(|text| Printed {
            text: (*text).to_owned(),
            values: values.clone().into(),
        });
        let runs: Vec<Printed> = runs.collect();
        let existing = existing.map(|text| (text, ExpectKind::Json));
        match bless(&runs, existing, 40) {
            Ok(blessed) => blessed.lines.join("\n"),
            Err(why) => why.to_string(),
        }
    }

    #[test]
    fn only_values_that_differ_are_written_anew() {
        let found = r#"{"name": "b", "port": 8000, "at": "2026-11-29T12:49:04Z", "n": [{"id": 7}], "x": {"y": null, "z": 1.5}, "extra": 1}"#;
        for (existing, expected) in [
            (r#"{"name": "b"}"#, "is expected already"),
            (
                r#"{"name":   "a" ,"port":${app_port}}"#,
                r#"{"name":   "b" ,"port":${app_port}}"#,
            ),
            (
                "{\n  \"name\": \"a\",\n  \"port\": 80\n}\n",
                "{\n  \"name\": \"b\",\n  \"port\": ${app_port}\n}",
            ),
            (
                r#"{"name": "a", "at": "2026[..]"}"#,
                r#"{"name": "b", "at": "2026[..]"}"#,
            ),
            (
                r#"{"name": "b", "at": "today"}"#,
                "`at` has no value that stays the same: change it yourself",
            ),
            (
                r#"{"n": [{"id": 8}], "name": "[..]"}"#,
                r#"{"n": [{"id": 7}], "name": "[..]"}"#,
            ),
            (r#"{"n": [{"id": 8}, 2]}"#, r#"{"n": [{"id": 7}]}"#),
            (
                r#"{"x": {"y": 1, "z": 1.50}}"#,
                r#"{"x": {"y": null, "z": 1.50}}"#,
            ),
            (
                r#"{"gone": 1, "name": "b", "x": {"z": 2}}"#,
                r#"{"name": "b", "x": {"z": 1.5}}"#,
            ),
            (
                r#"{"name": "b", "gone": 1, "port": 1}"#,
                r#"{"name": "b", "port": ${app_port}}"#,
            ),
            (
                r#"{"name": "b", "gone": {"a": [1, "}"]}}"#,
                r#"{"name": "b"}"#,
            ),
            (
                r#"{"gone": 1}"#,
                "`gone` is no longer printed: change it yourself",
            ),
            (r#"{"x": 3}"#, "{\"x\": {\n  \"y\": null,\n  \"z\": 1.5\n}}"),
        ] {
            assert_eq!(
                made(Some(existing), &[found, found]),
                expected,
                "{existing}"
            );
        }
    }

    #[test]
    fn runs_that_differ_are_told() {
        let existing = Some(r#"{"a": 0, "b": "x"}"#);
        assert_eq!(
            made(
                existing,
                &[r#"{"a": 1, "b": "x"}"#, r#"{"a": 2, "b": "x"}"#]
            ),
            "`a` has no value that stays the same: change it yourself"
        );
        assert_eq!(
            made(
                existing,
                &[
                    r#"{"a": 0, "b": "up on web1"}"#,
                    r#"{"a": 0, "b": "down on web1"}"#
                ]
            ),
            r#"{"a": 0, "b": "[..] on ${host}"}"#
        );
        assert_eq!(
            made(existing, &[r#"{"a": 0}"#, r#"{"a": 0, "b": "x"}"#]),
            "`b` is not always there: change it yourself"
        );
        assert!(made(existing, &["oh no", "oh no"]).starts_with(
            "does not print JSON (expected \
             value"
        ));
    }

    #[test]
    fn an_object_without_an_expectation_becomes_json() {
        let one = r#"{"in": {"ok": true}, "list": [1, 2], "name": "web1", "port": 8000, "since": "12:13:14", "up": 17}"#;
        let two = one.replace("17", "29");
        assert_eq!(
            made(None, &[one, &two]),
            "{\n  \"in\": {\"ok\": true},\n  \"name\": \"${host}\",\n  \"port\": ${app_port}\n}"
        );
        assert_eq!(made(None, &["[1, 2]", "[1, 2]"]), "[1, 2]");
        assert_eq!(made(None, &[r#"{"a": 1}"#, r#"{"a": 2}"#]), "{\"a\": [..]");
    }

    #[test]
    fn rubbish_is_no_json() {
        for rubbish in [
            "{",
            "{\"a\"",
            "[1,,",
            "{\"a\": }",
            "\"",
            "${",
            ":",
            "{\"a\": [1, {]}",
            "",
            "{1:2}",
        ] {
            let said = made(Some(rubbish), &["{\"a\": 1}"]);
            assert!(said.ends_with(": change it yourself"), "{rubbish}: {said}");
        }
        let deep = "[".repeat(10_000);
        assert!(made(Some(&deep), &["[]"]).contains("not JSON"));
    }
}
