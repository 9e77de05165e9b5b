//! `rehearsals:` of `nodes.yaml`: the nodes of each role when a procedure over several nodes is run
//! as a test.

use indexmap::IndexMap;

use crate::source::{Problem, Span};
use crate::yaml::{Entry, Map, Value, Yaml};

/// One rehearsal of a procedure.
#[derive(Clone, Debug, PartialEq)]
pub struct Rehearsal {
    /// Where it is written.
    pub span: Span,
    /// The selector of each role, by the role's name.
    pub roles: IndexMap<String, String>,
}

impl Rehearsal {
    /// The words on a command line: `ROLE=SELECTOR`.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let roles = self.roles.iter().filter(|(_, nodes)| !nodes.is_empty());
        roles
            .map(|(role, nodes)| format!("{role}={nodes}"))
            .collect()
    }
}

/// The rehearsals of each procedure in one file; `None` for one that the file removes. An invalid
/// rehearsal stays, as far as it was parsed: its test reports what is missing.
pub(super) fn read(
    value: Yaml,
    problems: &mut Vec<Problem>,
) -> IndexMap<String, Option<Vec<Rehearsal>>> {
    let mut all = IndexMap::new();
    for (procedure, Entry { value, .. }) in entries(value, problems) {
        if value.is_null() {
            all.insert(procedure, None);
            continue;
        }
        let Some(items) = value.as_seq() else {
            problems.push(value.mismatch("a list of rehearsals, `[{old: db1, new: db2}]`"));
            let (span, roles) = (value.span, IndexMap::new());
            all.insert(procedure, Some(vec![Rehearsal { span, roles }]));
            continue;
        };
        let rehearsals = items.iter().cloned();
        let rehearsals = rehearsals.map(|item| one(item, problems));
        all.insert(procedure, Some(rehearsals.collect()));
    }
    all
}

fn one(item: Yaml, problems: &mut Vec<Problem>) -> Rehearsal {
    let span = item.span.clone();
    let mut roles = IndexMap::new();
    for (role, Entry { value, .. }) in entries(item, problems) {
        match value.expect_texts() {
            Ok(texts) => {
                let names: Vec<&str> = texts.into_iter().map(|(name, _)| name).collect();
                roles.insert(role, names.join(","));
            }
            Err(problem) => problems.push(problem),
        }
    }
    Rehearsal { span, roles }
}

fn entries(value: Yaml, problems: &mut Vec<Problem>) -> Map {
    match value {
        Yaml {
            value: Value::Map(map),
            ..
        } => map,
        other => {
            problems.push(other.mismatch("a map"));
            Map::default()
        }
    }
}
