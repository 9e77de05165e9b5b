//! `semver-constraint`: ranges of semantic versions in goss's syntax: `>1.0.0 <2.0.0 !=1.5.0 ||
//! 3.x`.
//!
//! The versions use the crate `semver`. The ranges are ours, because `semver::VersionReq` knows
//! neither `!=` nor `||`, and matches no pre-release unless the range names one.

use semver::Version;

use crate::found::Found;

/// Whether every found version is in the range.
pub fn satisfies(constraint: &str, found: &Found) -> Result<bool, String> {
    let range = range(constraint)?;
    let versions = found
        .as_list()
        .iter()
        .map(|item| {
            let text = item.as_text();
            Version::parse(text.trim()).map_err(|_| format!("`{text}` is not a semantic version"))
        })
        .collect::<Result<Vec<_>, _>>()?;
    if versions.is_empty() {
        return Err("there is no version".to_owned());
    }
    Ok(versions.iter().all(|version| {
        range
            .iter()
            .any(|all| all.iter().all(|one| one.holds(version)))
    }))
}

/// What is wrong with a constraint.
pub fn check(constraint: &str) -> Result<(), String> {
    range(constraint).map(|_| ())
}

/// One comparison. A wildcard is replaced by the lower or upper end of its range.
struct One {
    operator: Operator,
    low: Version,
    high: Option<Version>,
}

#[derive(Clone, Copy)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl One {
    fn holds(&self, version: &Version) -> bool {
        let below = version.cmp_precedence(&self.low).is_lt();
        let same = version.cmp_precedence(&self.low).is_eq();
        match &self.high {
            None => match self.operator {
                Operator::Equal => same,
                Operator::NotEqual => !same,
                Operator::Greater => !below && !same,
                Operator::GreaterOrEqual => !below,
                Operator::Less => below,
                Operator::LessOrEqual => below || same,
            },
            Some(high) => {
                let above = !version.cmp_precedence(high).is_lt();
                match self.operator {
                    Operator::Equal => !below && !above,
                    Operator::NotEqual => below || above,
                    Operator::Greater => above,
                    Operator::GreaterOrEqual => !below,
                    Operator::Less => below,
                    Operator::LessOrEqual => !above,
                }
            }
        }
    }
}

fn range(constraint: &str) -> Result<Vec<Vec<One>>, String> {
    constraint.split("||").map(conjunction).collect()
}

fn conjunction(text: &str) -> Result<Vec<One>, String> {
    let mut ones = Vec::new();
    let mut operator = String::new();
    for word in text.split_whitespace() {
        let split = word
            .find(|c: char| !"<>=!".contains(c))
            .unwrap_or(word.len());
        operator.push_str(&word[..split]);
        if split < word.len() {
            ones.push(one(&operator, &word[split..])?);
            operator.clear();
        }
    }
    if ones.is_empty() || !operator.is_empty() {
        return Err(format!(
            "`{}` is not a valid range of versions",
            text.trim()
        ));
    }
    Ok(ones)
}

fn one(operator: &str, version: &str) -> Result<One, String> {
    let operator = match operator {
        "" | "=" | "==" => Operator::Equal,
        "!" | "!=" => Operator::NotEqual,
        ">" => Operator::Greater,
        ">=" => Operator::GreaterOrEqual,
        "<" => Operator::Less,
        "<=" => Operator::LessOrEqual,
        other => return Err(format!("unknown comparison `{other}` before `{version}`")),
    };
    if let Ok(low) = Version::parse(version) {
        return Ok(One {
            operator,
            low,
            high: None,
        });
    }
    let (low, high) =
        wildcard(version).ok_or_else(|| format!("`{version}` is not a semantic version"))?;
    Ok(One {
        operator,
        low,
        high: Some(high),
    })
}

/// The bounds of `1.x` and `1.2.x`.
fn wildcard(text: &str) -> Option<(Version, Version)> {
    let is_x = |part: &&str| matches!(*part, "x" | "X" | "*");
    let parts: Vec<&str> = text.split('.').collect();
    let fixed = parts.iter().take_while(|part| !is_x(part)).count();
    if fixed == parts.len() || fixed == 0 || parts.len() > 3 || !parts[fixed..].iter().all(is_x) {
        return None;
    }
    let major: u64 = parts[0].parse().ok()?;
    if fixed == 1 {
        return Some((Version::new(major, 0, 0), Version::new(major + 1, 0, 0)));
    }
    let minor: u64 = parts[1].parse().ok()?;
    Some((
        Version::new(major, minor, 0),
        Version::new(major, minor + 1, 0),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (constraint, versions, expected) in [
            (">1.0.0 <2.0.0 !=1.5.0", "1.0.1\n1.9.9", true),
            (">1.0.0 <2.0.0 !=1.5.0", "1.0.1\n1.5.0\n1.9.9", false),
            (">5.0.0 || < 1.5.0", "1.0.1", true),
            (">= 1.2.0", "1.2.0", true),
            ("1.2.0", "1.2.0", true),
            ("!1.2.0", "1.2.0", false),
            ("1.x", "1.9.9", true),
            ("1.x", "2.0.0", false),
            (">1.x", "2.0.0", true),
            ("<=1.2.x", "1.2.9", true),
            ("<=1.2.x", "1.3.0", false),
            ("<1.0.0", "1.0.0-rc.1", true),
        ] {
            let found = Found::Text(versions.to_owned());
            assert_eq!(
                satisfies(constraint, &found),
                Ok(expected),
                "{constraint} of {versions}"
            );
        }
    }

    #[test]
    fn what_is_no_version_is_an_error() {
        for (constraint, version, message) in [
            (">1.0", "1.0.0", "`1.0` is not a semantic version"),
            (">1.0.0", "1.0", "`1.0` is not a semantic version"),
            ("=>1.0.0", "1.0.0", "unknown comparison `=>` before `1.0.0`"),
            ("||", "1.0.0", "`` is not a valid range of versions"),
        ] {
            let found = Found::Text(version.to_owned());
            assert_eq!(satisfies(constraint, &found), Err(message.to_owned()));
        }
    }
}
