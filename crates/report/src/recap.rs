//! The last lines of a run over many nodes: how many ended how, and the names of those that did not
//! end well, with their causes.

use std::io::{self, Write};

use crate::event::Status;
use crate::outside::Outside;
use crate::style::status_style;

/// How many nodes of one status are named.
const NAMED: usize = 10;
/// The most characters of a cause; its first part is always shown.
const CAUSE: usize = 40;

/// How each node ended, in order.
#[derive(Debug, Default)]
pub(super) struct Recap(Vec<(String, Status, Option<Outside>)>);

impl Recap {
    pub(super) fn ended(&mut self, node: &str, status: Status, cause: Option<&Outside>) {
        self.0.retain(|(known, ..)| known != node);
        self.0.push((node.to_owned(), status, cause.cloned()));
    }

    /// `1 OK, 2 ERROR: dead (connection refused), weird (authentication refused)`.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut left: Vec<_> = self.0.iter().collect();
        left.sort_by_key(|(_, status, _)| *status != Status::Ok);
        let mut before = "";
        while let Some((_, status, _)) = left.first() {
            let (these, others) = left.into_iter().partition(|(_, other, _)| other == status);
            let these: Vec<&(String, Status, Option<Outside>)> = these;
            let style = status_style(*status);
            write!(out, "{before}{} {style}{status}{style:#}", these.len())?;
            if *status != Status::Ok {
                write!(out, ": {}", named(&these))?;
            }
            (left, before) = (others, ", ");
        }
        writeln!(out)
    }
}

fn named(nodes: &[&(String, Status, Option<Outside>)]) -> String {
    let name = |(node, _, cause): &&(String, Status, Option<Outside>)| match cause {
        Some(cause) => format!("{node} ({})", short(cause)),
        None => node.clone(),
    };
    let mut names: Vec<String> = nodes.iter().take(NAMED).map(name).collect();
    if nodes.len() > NAMED {
        names.push(format!("and {} more", nodes.len() - NAMED));
    }
    names.join(", ")
}

/// The cause without `ssh`'s own message, cut between two of its parts.
fn short(cause: &Outside) -> String {
    let line = cause.lines().next().map(|line| line.to_string());
    let line = line.unwrap_or_default();
    let mut short = String::new();
    for part in line.split(": ") {
        if !short.is_empty() && (part == "ssh" || short.len() + part.len() > CAUSE) {
            break;
        }
        if !short.is_empty() {
            short.push_str(": ");
        }
        short.push_str(part);
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recap(ended: &[(&str, Status, &str)]) -> String {
        let mut recap = Recap::default();
        for (node, status, cause) in ended {
            let cause = Some(Outside::from(*cause)).filter(|_| !cause.is_empty());
            recap.ended(node, *status, cause.as_ref());
        }
        let mut out = Vec::new();
        recap.write(&mut out).unwrap();
        anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string()
    }

    #[test]
    fn it_is_counted_and_named() {
        let refused =
            "connection refused: ssh: connect to host 192.0.2.1 port 22: Connection refused";
        let auth = "authentication refused: ops@weird.example.org: Permission denied (publickey).";
        let ended = [
            ("dead", Status::Error, refused),
            ("n2", Status::Failed, "step 2: exit status 1\nmore"),
            ("n1", Status::Ok, ""),
            ("weird", Status::Error, auth),
        ];
        assert_eq!(
            recap(&ended),
            "1 OK, 2 ERROR: dead (connection refused), weird (authentication refused), \
             1 FAILED: n2 (step 2: exit status 1)\n"
        );
        assert_eq!(
            recap(&[("a", Status::Ok, ""), ("b", Status::Ok, "")]),
            "2 OK\n"
        );
        // In a resumed run, the last end counts.
        assert_eq!(
            recap(&[("a", Status::Failed, "x"), ("a", Status::Ok, "")]),
            "1 OK\n"
        );
    }

    #[test]
    fn many_are_counted() {
        let names: Vec<String> = (0..12).map(|number| format!("n{number}")).collect();
        let ended: Vec<_> = names
            .iter()
            .map(|name| (name.as_str(), Status::Stopped, ""))
            .collect();
        assert_eq!(
            recap(&ended),
            "12 STOPPED: n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, and 2 more\n"
        );
    }
}
