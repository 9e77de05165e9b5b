//! Who must approve a run of a procedure: `approve: 1`, or `approve: {count: 2, by: "@oncall"}`.

use super::values::{checked, strings, unknown_key};
use crate::Approve;
use crate::source::Problem;
use crate::yaml::{Entry, Value};

const APPROVE: [&str; 2] = ["count", "by"];

pub(super) fn approve(entry: &Entry, problems: &mut Vec<Problem>) -> Option<Approve> {
    let mut approve = Approve {
        span: entry.key.clone(),
        count: 1,
        by: Vec::new(),
    };
    let Value::Map(map) = &entry.value.value else {
        approve.count = checked(&entry.value, "a number of people", count, problems)?.value;
        return Some(approve);
    };
    for (key, entry) in map {
        let value = &entry.value;
        match key.as_str() {
            "count" => {
                approve.count = checked(value, "a number of people", count, problems)?.value;
            }
            "by" => approve.by = strings(value, "people and groups", problems),
            _ => problems.push(unknown_key(key, entry, "`approve`", &APPROVE)),
        }
    }
    Some(approve)
}

fn count(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(count @ 1..=100) => Ok(count),
        _ => Err(format!("`{text}` is not a number of people from 1 to 100")),
    }
}
