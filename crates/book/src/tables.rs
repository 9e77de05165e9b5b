//! Tables of contracts: parameters, typed assertions, deliveries.

use crate::manual::{Delivery, DeliveryFrom, Group, How, Place, Procedure};
use crate::yaml::{Value, Yaml};

use super::finder::FIND;
use super::html::{attribute, code, text};
use super::present::Row;
use super::results::Results;

pub(super) fn parameters(procedure: &Procedure) -> String {
    if procedure.params.is_empty() {
        return String::new();
    }
    let rows = procedure.params.iter().map(|(name, param)| {
        let value = match (&param.default, param.required) {
            (Some(default), _) if default.is_empty() => "empty".to_owned(),
            (Some(default), _) => code(default),
            (None, true) => "<strong>required</strong>".to_owned(),
            (None, false) => "none".to_owned(),
        };
        let form = param.pattern.as_deref().map(code).unwrap_or_default();
        let help = text(param.help.as_deref().unwrap_or_default());
        format!(
            "<tr><td>{}</td><td>{help}</td><td>{value}</td><td>{form}</td></tr>",
            code(name)
        )
    });
    let rows: String = rows.collect();
    format!(
        "<div class=\"ops-wide\"><table><thead><tr><th>Parameter</th><th>Meaning</th>\
         <th>Default</th><th>Form</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )
}

/// The roles of a procedure; empty if it runs on one node. `link` makes a link to a group of
/// checks, `nodes` to the nodes of a selector.
/// `nodes` to the nodes of a selector.
pub(super) fn roles(
    procedure: &Procedure,
    link: &dyn Fn(&str) -> String,
    nodes: &dyn Fn(&str) -> String,
) -> String {
    if procedure.roles.is_empty() {
        return String::new();
    }
    let rows = procedure.roles.iter().map(|(name, role)| {
        let needs = role.needs.iter().map(|need| link(&need.value));
        let needs: Vec<String> = needs.collect();
        let named = if procedure.runs_on(name) {
            ""
        } else {
            "; named only, not reached"
        };
        format!(
            "<tr><td>{}</td><td>{} {}</td><td>{}</td><td>{}{named}</td></tr>",
            code(name),
            role.how_many(),
            nodes(&role.nodes.value),
            needs.join(", "),
            text(role.help.as_deref().unwrap_or_default()),
        )
    });
    let rows: String = rows.collect();
    format!(
        "<div class=\"ops-wide\"><table><thead><tr><th>Role</th><th>May be</th>\
         <th>Must hold</th><th>What it is</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )
}

pub(super) fn assertions(group: &Group, results: &Results) -> String {
    if group.typed.is_empty() {
        return String::new();
    }
    let (head, found) = if results.is_empty() {
        ("", None)
    } else {
        ("<th>How it stands</th>", Some(results))
    };
    let rows = group.typed.iter().map(|check| {
        let found = found.map(|results| results.in_table(&Row::typed(&check.resource.span)));
        let found = found.map(|found| format!("<td>{found}</td>"));
        format!(
            "<tr{}><td>{}</td><td>{}</td><td>{}</td>{}</tr>",
            unit_name(&check.kind.value, &check.resource.value),
            text(&check.kind.value),
            code(&check.resource.value),
            attributes(&check.attributes),
            found.unwrap_or_default()
        )
    });
    let rows: String = rows.collect();
    format!(
        "<div class=\"ops-wide\"><table><thead><tr><th>Kind</th><th>Resource</th>\
         <th>Must be</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
}

/// The unit name of a service, as `systemctl` prints it, for the search.
fn unit_name(kind: &str, resource: &str) -> String {
    if kind != "service" || resource.contains('.') {
        return String::new();
    }
    let name = attribute(&format!("{resource}.service"));
    format!(" {FIND}=\"{name}\"")
}

/// `running: true` becomes `running`, `mode: "0600"` becomes `mode 0600`.
pub(super) fn attributes(yaml: &Yaml) -> String {
    let Value::Map(map) = &yaml.value else {
        return code(&flow(yaml));
    };
    let parts = map.iter().map(|(key, entry)| match &entry.value.value {
        Value::Bool(true) => text(key),
        Value::Bool(false) => format!("not {}", text(key)),
        _ => format!("{} {}", text(key), code(&flow(&entry.value))),
    });
    parts.collect::<Vec<_>>().join("<br>")
}

/// A value on one line, as YAML.
fn flow(yaml: &Yaml) -> String {
    match &yaml.value {
        Value::Seq(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(map) => {
            let pairs = map
                .iter()
                .map(|(key, entry)| format!("{key}: {}", flow(&entry.value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        _ => yaml.text().unwrap_or_default().to_owned(),
    }
}

/// The destination of a text, and how an existing file is changed.
pub(super) fn placed(place: &Place) -> String {
    let what = match place.how {
        How::Whole => "the whole file",
        How::Append => "appended, unless it stands there",
        How::Edit => "these lines are changed: each place must be found once",
    };
    let kept = match place.how {
        How::Whole => "who places it",
        How::Append | How::Edit => "as it is",
    };
    let mode = match place.mode {
        Some(mode) => code(&format!("{mode:04o}")),
        None => text("as it is"),
    };
    let owner = place.owner.as_deref().map_or_else(|| text(kept), code);
    format!(
        "<div class=\"ops-wide\"><table><thead><tr><th>Goes to</th><th>As</th><th>Mode</th>\
         <th>Owner</th></tr></thead><tbody><tr><td>{}</td><td>{}</td><td>{mode}</td>\
         <td>{owner}</td></tr></tbody></table></div>",
        code(&place.to),
        text(what),
    )
}

pub(super) fn delivered(deliveries: &[Delivery]) -> String {
    let rows = deliveries.iter().map(|delivery| {
        let (what, from) = match &delivery.from {
            DeliveryFrom::File(path) => ("the file", code(path)),
            DeliveryFrom::Tree(path) => ("the folder", code(path)),
            DeliveryFrom::Template(path) => ("the template", code(path)),
            DeliveryFrom::Inline(_) | DeliveryFrom::Placed(_) => ("the text below", String::new()),
            DeliveryFrom::Machine { role, path, .. } => {
                ("a file of", code(&format!("{role}: {path}")))
            }
        };
        format!(
            "<tr><td>{}</td><td>{what} {from}</td><td>{}</td></tr>",
            code(&format!("$bundle/{}", delivery.to)),
            code(&format!("{:04o}", delivery.mode))
        )
    });
    let rows: String = rows.collect();
    format!(
        "<div class=\"ops-wide\"><table><thead><tr><th>In the bundle</th><th>From</th>\
         <th>Mode</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )
}
