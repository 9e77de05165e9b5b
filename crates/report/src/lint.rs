//! Formats problems of a manual for programs: JSON, GitHub annotations, SARIF for code scanning,
//! and GitLab's code quality.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::github;
use crate::manual::Coverage;
use crate::source::{Problem, Severity, Span};

/// Everything that `opsbook lint` knows: each problem, the number of accepted ones, and the
/// coverage. `file` returns the path of a problem's text, for a program that opens it.
#[must_use]
pub fn json(
    problems: &[Problem],
    allowed: usize,
    coverage: &Coverage,
    file: &dyn Fn(&Span) -> PathBuf,
) -> Value {
    let problems: Vec<_> = { problems.iter() }.map(|own| problem(own, file)).collect();
    json!({"v": 1, "problems": problems, "allowed": allowed, "coverage": coverage})
}

fn problem(problem: &Problem, file: &dyn Fn(&Span) -> PathBuf) -> Value {
    let place = problem.span.as_ref().map(|span| (span, span.position()));
    json!({
        "severity": problem.severity,
        "code": problem.code,
        "message": problem.sentence(),
        "file": place.as_ref().map(|(span, _)| file(span)),
        "package": place.as_ref().and_then(|(span, _)| package(span)),
        "line": place.as_ref().map(|(_, position)| position.line),
        "column": place.as_ref().map(|(_, position)| position.column),
        "excerpt": place.as_ref().map(|(span, position)| span.source.line(position.line)),
        "hint": problem.hint,
        "notes": problem.notes.iter().map(|(span, text)| json!({
            "file": file(span), "line": span.line(), "text": text,
        })).collect::<Vec<_>>(),
    })
}

/// The package of a place.
fn package(span: &Span) -> Option<&str> {
    let packaged = span.source.packaged.as_ref()?;
    Some(&packaged.package)
}

/// GitHub annotations, one for each problem. `folder` is the manual's folder within the checkout.
#[must_use]
pub fn github(problems: &[Problem], folder: Option<&Path>) -> String {
    let mut text = String::new();
    for problem in problems {
        let level = match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let place = match place(problem, folder) {
            Some((file, line, column)) => {
                format!(
                    " file={},line={line},col={column},",
                    github::property(&file.display().to_string())
                )
            }
            None => " ".to_owned(),
        };
        text += &format!(
            "::{level}{place}title={}::{}\n",
            github::property(problem.code),
            github::data(&sentences(problem))
        );
    }
    text
}

/// SARIF 2.1.0, for GitHub's code scanning and for editors.
#[must_use]
pub fn sarif(problems: &[Problem], folder: Option<&Path>, version: &str) -> Value {
    let codes: BTreeSet<&str> = problems.iter().map(|problem| problem.code).collect();
    let rules: Vec<_> = codes.iter().map(|code| json!({"id": code})).collect();
    let result = |problem: &Problem| {
        let level = match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let mut result = json!({
            "ruleId": problem.code,
            "level": level,
            "message": {"text": sentences(problem)},
            "partialFingerprints": {"opsbook/v1": fingerprint(problem)},
        });
        if let Some((file, line, column)) = place(problem, folder) {
            result["locations"] = json!([{"physicalLocation": {
                "artifactLocation": {"uri": uri(&file)},
                "region": {"startLine": line, "startColumn": column},
            }}]);
        }
        result
    };
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "opsbook", "version": version, "rules": rules}},
            "columnKind": "unicodeCodePoints",
            "results": problems.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

/// GitLab's code quality report, a list of Code Climate issues. It requires a place: a problem
/// without one gets the settings file.
#[must_use]
pub fn gitlab(problems: &[Problem], folder: Option<&Path>) -> Value {
    let issue = |problem: &Problem| {
        let settings = folder.unwrap_or(Path::new("")).join("book.toml");
        let (file, line, _) = place(problem, folder).unwrap_or((settings, 1, 1));
        let severity = match problem.severity {
            Severity::Error => "major",
            Severity::Warning => "minor",
        };
        json!({
            "description": sentences(problem),
            "check_name": problem.code,
            "fingerprint": fingerprint(problem),
            "severity": severity,
            "location": {"path": file, "lines": {"begin": line}},
        })
    };
    Value::Array(problems.iter().map(issue).collect())
}

fn place(problem: &Problem, folder: Option<&Path>) -> Option<(PathBuf, u32, u32)> {
    let span = problem.span.as_ref()?;
    let position = span.position();
    let file = folder.unwrap_or(Path::new("")).join(span.shown());
    Some((file, position.line, position.column))
}

fn sentences(problem: &Problem) -> String {
    match &problem.hint {
        Some(hint) => format!("{}\nhint: {hint}", problem.sentence()),
        None => problem.sentence(),
    }
}

/// Stays the same when the problem moves within its file.
fn fingerprint(problem: &Problem) -> String {
    let mut hash = Sha256::new();
    hash.update(problem.code);
    if let Some(span) = &problem.span {
        hash.update(span.path().as_os_str().as_encoded_bytes());
        hash.update([0]);
        hash.update(span.source.line(span.line()).trim());
    }
    hash.update([0]);
    hash.update(problem.sentence());
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A path as a relative URI: everything except plain letters and slashes is escaped.
fn uri(path: &Path) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let escape = |byte: &u8| match *byte {
        byte if plain(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    path.as_os_str()
        .as_encoded_bytes()
        .iter()
        .map(escape)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Source, Span};

    fn problems() -> Vec<Problem> {
        let source = Source::new("manual/a b.md", "one\n```sh stpe\n");
        let span = Span::new(&source, 10..14);
        vec![
            Problem::error("unknown-kind", span, "unknown kind `stpe`, 100%")
                .did_you_mean("stpe", ["step"]),
            Problem::bare("no-summary", "there is no `SUMMARY.md`"),
        ]
    }

    #[test]
    fn an_annotation_stands_at_its_line() {
        assert_eq!(
            github(&problems(), Some(Path::new("ops"))),
            "::error file=ops/manual/a b.md,line=2,col=7,title=unknown-kind::unknown kind `stpe`, 100%25%0Ahint: did you mean `step`?\n\
             ::error title=no-summary::there is no `SUMMARY.md`\n"
        );
    }

    #[test]
    fn sarif_has_a_place_where_there_is_one() {
        let all = sarif(&problems(), None, "1.2.3");
        let results = &all["runs"][0]["results"];
        let place = &results[0]["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "manual/a%20b.md");
        assert_eq!(place["region"]["startColumn"], 7);
        assert!(results[1].get("locations").is_none());
        assert_eq!(
            all["runs"][0]["tool"]["driver"]["rules"][1]["id"],
            "unknown-kind"
        );
    }

    #[test]
    fn a_problem_that_has_moved_is_the_same_for_gitlab() {
        let moved = |text: &str, at: usize| {
            let source = Source::new("manual/a.md", text);
            let span = Span::new(&source, at..at + 4);
            gitlab(
                &[Problem::error("unknown-kind", span, "unknown kind")],
                None,
            )
        };
        let (one, other) = (moved("```sh stpe\n", 6), moved("a\n\n```sh stpe\n", 9));
        assert_eq!(one[0]["fingerprint"], other[0]["fingerprint"]);
        assert_eq!(other[0]["location"]["lines"]["begin"], 3);
    }
}
