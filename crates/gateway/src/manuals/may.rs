//! What a person may do with a procedure on nodes, by the manual's rules.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::plan::case_name;
use crate::project::access::{Access, FILE, Question};
use crate::project::approval::{self, Approver};
use crate::wire::approve::Need;
use crate::wire::ask::{Explained, Rule};
use crate::wire::{Ask, Kind, Problem, Verb};

use super::Read;

/// A person, with their groups from an identity provider.
#[derive(Clone, Debug, Default)]
pub struct Person {
    /// The person's name.
    pub person: String,
    /// Their groups.
    pub groups: Vec<String>,
}

/// What a person wants to do.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The person's name.
    pub person: String,
    /// Their groups from an identity provider.
    pub groups: Vec<String>,
    /// The verb.
    pub verb: Verb,
    /// The procedure.
    pub procedure: String,
    /// The nodes, all of which must be granted.
    pub nodes: Vec<String>,
    /// The arguments of a run.
    pub arguments: BTreeMap<String, String>,
}

impl Wish {
    fn who(&self) -> Person {
        Person {
            person: self.person.clone(),
            groups: self.groups.clone(),
        }
    }

    fn on<'a>(&'a self, node: &'a str) -> Question<'a> {
        Question {
            person: &self.person,
            groups: &self.groups,
            verb: self.verb,
            procedure: &self.procedure,
            node,
            arguments: &self.arguments,
            at: Some(Timestamp::now()),
        }
    }
}

impl Read {
    /// Checks that the rules grant it. Without a file everybody who is logged in may do everything;
    /// with an unreadable file nobody may do anything.
    ///
    /// # Errors
    /// The conditions that do not hold, in the closest rules.
    pub fn permit(&self, wish: &Wish) -> Result<(), Box<Problem>> {
        let access = match &self.access {
            Ok(None) => return Ok(()),
            Ok(Some(access)) => access,
            Err(problem) => return Err(problem.clone()),
        };
        for node in &wish.nodes {
            let question = wish.on(node);
            if access.grants(&question).is_some() {
                continue;
            }
            let mut rules = access.explain(&question);
            rules.sort_by_key(|rule| rule.against.len());
            let nearest = rules.first().map_or(String::new(), |rule| {
                let against = rule.against.join("; ");
                format!(
                    ": the nearest rule, {FILE}:{}, requires {against}",
                    rule.line
                )
            });
            let detail = format!(
                "no rule of `{FILE}` lets `{}` {} `{}` on `{node}`{nearest}",
                wish.person,
                wish.verb.word(),
                wish.procedure
            );
            return Err(Box::new(Problem::new(Kind::NotAllowed, detail)));
        }
        Ok(())
    }

    /// The same, with every examined rule; for the first node that decides.
    ///
    /// # Errors
    /// If the rules cannot be read.
    pub fn explain(&self, wish: &Wish) -> Result<Explained, Box<Problem>> {
        let access = self.access.as_ref().map_err(Clone::clone)?;
        let Some(access) = access else {
            return Ok(Explained {
                granted: true,
                by: None,
                rules: Vec::new(),
                approvals: self.wanted(wish)?,
            });
        };
        let node = wish.nodes.first().map_or("", String::as_str);
        let question = wish.on(node);
        let line = access.grants(&question);
        let rules = access.explain(&question).into_iter();
        let rules = rules.map(|rule| Rule {
            place: format!("{FILE}:{}", rule.line),
            against: rule.against,
        });
        let approvals = match (wish.verb, line) {
            (Verb::Run, Some(_)) => self.wanted(wish)?,
            _ => Vec::new(),
        };
        Ok(Explained {
            approvals,
            granted: line.is_some(),
            by: line.map(|line| format!("{FILE}:{line}")),
            rules: rules.collect(),
        })
    }

    fn wanted(&self, wish: &Wish) -> Result<Vec<Need>, Box<Problem>> {
        let ask = Ask {
            procedure: wish.procedure.clone(),
            arguments: wish.arguments.clone(),
            ..Ask::default()
        };
        self.needs(&ask, &wish.who(), &wish.nodes)
    }

    fn rules(&self) -> Result<Option<&Access>, Box<Problem>> {
        let access = self.access.as_ref().map_err(Clone::clone)?;
        Ok(access.as_ref())
    }

    /// The approvals that a person's order needs on these nodes.
    ///
    /// # Errors
    /// If the rules or a node's value cannot be read.
    pub fn needs(
        &self,
        ask: &Ask,
        by: &Person,
        machines: &[String],
    ) -> Result<Vec<Need>, Box<Problem>> {
        let nodes = &self.project.nodes;
        let found: Vec<_> = { machines.iter() }
            .filter_map(|name| nodes.evaluate(name, &[]).ok())
            .collect();
        let question = Question {
            person: &by.person,
            groups: &by.groups,
            verb: Verb::Run,
            procedure: &ask.procedure,
            node: "",
            arguments: &ask.arguments,
            at: None,
        };
        let procedure = self.project.manual.procedures.get(&ask.procedure);
        let needs = approval::needs(self.rules()?, (&question, procedure), &found);
        needs.map_err(|why| Box::new(Problem::new(Kind::Wrong, why)))
    }

    /// The needs for which a person's approval counts; never that of the person who ordered the
    /// run.
    ///
    /// # Errors
    /// If the rules cannot be read.
    pub fn counts_for(
        &self,
        needs: &[Need],
        (procedure, asked_by, machines): (&str, &str, &[String]),
        by: &Person,
    ) -> Result<Vec<String>, Box<Problem>> {
        let arguments = BTreeMap::new();
        let question = Question {
            person: asked_by,
            // The person who ordered the run never counts, so their groups do not matter.
            groups: &[],
            verb: Verb::Run,
            procedure,
            node: "",
            arguments: &arguments,
            at: None,
        };
        let access = self.rules()?;
        let by = Approver {
            person: &by.person,
            groups: &by.groups,
        };
        let counts = |need: &&Need| approval::counts(need, access, (&question, machines), by);
        let places = needs.iter().filter(counts).map(|need| need.place.clone());
        Ok(places.collect())
    }

    /// Whether a person may read anything.
    #[must_use]
    pub fn reads_something(&self, who: &Person) -> bool {
        let arguments = BTreeMap::new();
        match &self.access {
            Ok(None) => true,
            Ok(Some(access)) => access.may_somewhere(&Question {
                person: &who.person,
                groups: &who.groups,
                verb: Verb::Read,
                procedure: "",
                node: "",
                arguments: &arguments,
                at: None,
            }),
            Err(_) => false,
        }
    }

    /// Whether a person may read one of these (procedures or `GROUP::CHECK`) on one of these nodes.
    #[must_use]
    pub fn reads_one(&self, who: &Person, names: &[String], nodes: &[String]) -> bool {
        names.iter().any(|name| {
            nodes.iter().any(|node| {
                self.permit(&Wish {
                    person: who.person.clone(),
                    groups: who.groups.clone(),
                    verb: Verb::Read,
                    procedure: name.clone(),
                    nodes: vec![node.clone()],
                    arguments: BTreeMap::new(),
                })
                .is_ok()
            })
        })
    }

    /// Whether a person may read a procedure or a check on a node.
    #[must_use]
    pub fn reads_on(&self, who: &Person, node: &str) -> bool {
        let mut names: Vec<String> = self.project.manual.procedures.keys().cloned().collect();
        names.extend(self.checks_like(&["*".to_owned()]));
        self.reads_one(who, &names, &[node.to_owned()])
    }

    /// The manual's checks (`GROUP::CHECK`) that match one of these patterns.
    #[must_use]
    pub fn checks_like(&self, patterns: &[String]) -> Vec<String> {
        let groups = self.project.manual.groups.values();
        let names = groups.flat_map(|group| {
            // Typed assertions are named after their facts.
            let checks = group.checks.iter();
            let checks: Vec<String> = checks.map(|check| case_name(&check.name)).collect();
            checks.into_iter().chain([format!("{}::*", group.id)])
        });
        let like = |name: &String| {
            patterns
                .iter()
                .any(|pattern| crate::wildcard::fits(pattern.as_bytes(), name.as_bytes()))
        };
        names.filter(like).collect()
    }

    /// The verbs that a person has on any of these nodes.
    #[must_use]
    pub fn verbs(&self, who: &Person, procedure: &str, nodes: &[String]) -> Vec<Verb> {
        let any = |verb: &Verb| {
            nodes.iter().any(|node| {
                let wish = Wish {
                    person: who.person.clone(),
                    groups: who.groups.clone(),
                    verb: *verb,
                    procedure: procedure.to_owned(),
                    nodes: vec![node.clone()],
                    arguments: BTreeMap::new(),
                };
                // The allowed arguments are checked when they are given.
                self.permit(&wish).is_ok() || *verb == Verb::Run && self.runs_with_some(&wish)
            })
        };
        Verb::ALL.iter().copied().filter(any).collect()
    }

    fn runs_with_some(&self, wish: &Wish) -> bool {
        let Ok(Some(access)) = &self.access else {
            return false;
        };
        let node = wish.nodes.first().map_or("", String::as_str);
        let rules = access.explain(&wish.on(node));
        rules.iter().any(|rule| {
            rule.against
                .iter()
                .all(|why| why.starts_with("arguments: "))
        })
    }
}
