//! Symbols of a page, and of the whole manual.

use std::path::Path;

use lsp_types::{DocumentSymbol, Location, SymbolInformation, SymbolKind};

use crate::manual::{Group, Procedure, Step};
use crate::place::Columns;
use crate::snapshot::Snapshot;
use crate::source::Span;

/// Procedures with their steps and checks, and groups with their checks.
pub fn of_page(snapshot: &Snapshot, file: &Path, columns: Columns) -> Vec<DocumentSymbol> {
    let manual = &snapshot.project.manual;
    let here = |span: &Span| span.path() == file;
    let procedures = manual.procedures.values().filter(|own| here(&own.span));
    let groups = manual.groups.values().filter(|own| here(&own.span));
    let procedures = procedures.map(|own| procedure(own, columns));
    let mut all: Vec<_> = procedures
        .chain(groups.map(|own| group(own, columns)))
        .collect();
    all.sort_by_key(|symbol| symbol.range.start);
    all
}

#[allow(
    deprecated,
    reason = "the protocol's type has a field that is no longer used"
)]
fn symbol(
    name: &str,
    detail: &str,
    kind: SymbolKind,
    span: &Span,
    columns: Columns,
    children: Vec<DocumentSymbol>,
) -> DocumentSymbol {
    let own = columns.of_span(span);
    let last = children.iter().map(|child| child.range.end).max();
    let range = lsp_types::Range::new(own.start, last.unwrap_or(own.end).max(own.end));
    DocumentSymbol {
        name: if name.is_empty() {
            "?".to_owned()
        } else {
            name.to_owned()
        },
        detail: Some(detail.to_owned()),
        kind,
        tags: None,
        deprecated: None,
        range,
        selection_range: own,
        children: (!children.is_empty()).then_some(children),
    }
}

fn procedure(own: &Procedure, columns: Columns) -> DocumentSymbol {
    let step = |step: &Step| {
        let checks = step.checks.iter().map(|check| {
            symbol(
                &check.name,
                &check.title,
                SymbolKind::BOOLEAN,
                &check.span,
                columns,
                Vec::new(),
            )
        });
        let name = step.id.clone().unwrap_or_else(|| step.number.to_string());
        let checks = checks.collect();
        symbol(
            &name,
            &step.title,
            SymbolKind::METHOD,
            &step.span,
            columns,
            checks,
        )
    };
    let steps = own.steps.iter().map(step).collect();
    symbol(
        &own.id,
        &own.title,
        SymbolKind::FUNCTION,
        &own.span,
        columns,
        steps,
    )
}

fn group(own: &Group, columns: Columns) -> DocumentSymbol {
    let typed = own.typed.iter().map(|check| {
        let name = format!("{}/{}", check.kind.value, check.resource.value);
        symbol(
            &name,
            "",
            SymbolKind::BOOLEAN,
            &check.resource.span,
            columns,
            Vec::new(),
        )
    });
    let checks = own.checks.iter().map(|check| {
        symbol(
            &check.name,
            &check.title,
            SymbolKind::BOOLEAN,
            &check.span,
            columns,
            Vec::new(),
        )
    });
    let children = typed.chain(checks).collect();
    symbol(
        &own.id,
        &own.title,
        SymbolKind::CLASS,
        &own.span,
        columns,
        children,
    )
}

/// Everything whose name contains the query's letters in order.
pub fn of_manual(snapshot: &Snapshot, query: &str, columns: Columns) -> Vec<SymbolInformation> {
    let manual = &snapshot.project.manual;
    let nodes = &snapshot.project.nodes;
    let mut all: Vec<(String, SymbolKind, &Span)> = Vec::new();
    for procedure in manual.procedures.values() {
        all.push((procedure.id.clone(), SymbolKind::FUNCTION, &procedure.span));
        for step in &procedure.steps {
            all.push((procedure.name_of(step), SymbolKind::METHOD, &step.span));
        }
    }
    for group in manual.groups.values() {
        all.push((group.id.clone(), SymbolKind::CLASS, &group.span));
        for check in &group.checks {
            all.push((check.name.clone(), SymbolKind::BOOLEAN, &check.span));
        }
    }
    let of_node = |name: &str| Some((name.to_owned(), SymbolKind::OBJECT, nodes.place(name)?));
    let of_group = |name: &str| {
        Some((
            format!("@{name}"),
            SymbolKind::NAMESPACE,
            nodes.group_place(name)?,
        ))
    };
    all.extend(nodes.names().filter_map(of_node));
    all.extend(nodes.group_names().filter_map(of_group));
    let found = all.into_iter().filter(|(name, ..)| has(name, query));
    found
        .filter_map(|(name, kind, span)| {
            Some(information(name, kind, snapshot.location(columns, span)?))
        })
        .collect()
}

#[allow(
    deprecated,
    reason = "the protocol's type has a field that is no longer used"
)]
fn information(name: String, kind: SymbolKind, location: Location) -> SymbolInformation {
    SymbolInformation {
        name,
        kind,
        tags: None,
        deprecated: None,
        location,
        container_name: None,
    }
}

fn has(name: &str, query: &str) -> bool {
    let mut letters = name.chars().flat_map(char::to_lowercase);
    let mut wanted = query.chars().flat_map(char::to_lowercase);
    wanted.all(|wanted| letters.any(|letter| letter == wanted))
}
