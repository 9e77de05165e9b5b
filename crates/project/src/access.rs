//! Permissions: `access.yaml` next to `book.toml`. A rule grants if all its conditions hold:
//! person, verb, procedure, node, hour and arguments. Nothing else grants, and nothing denies. A
//! rule that grants `run` may require approvals. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use jiff::Timestamp;

use crate::files::{Files, Refused};
use crate::hours::Hours;
use crate::nodes::Nodes;
use crate::source::{Passage, Problem, Source};
use crate::wildcard;
use crate::wire::Verb;
use crate::wire::approve::Need;
use crate::yaml;

/// The file's name.
pub const FILE: &str = "access.yaml";

/// The rules of a manual.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    groups: BTreeMap<String, Vec<String>>,
    rules: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its line in the file, from 1.
    pub line: u32,
    who: Vec<String>,
    may: Vec<Verb>,
    procedures: Vec<String>,
    nodes: String,
    /// The nodes of its selector.
    selected: BTreeSet<String>,
    arguments: BTreeMap<String, Vec<String>>,
    hours: Option<Hours>,
    approve: Option<Need>,
}

/// A question to the rules.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The person.
    pub person: &'a str,
    /// Their groups from an identity provider, as far as the file names them.
    pub groups: &'a [String],
    /// The action.
    pub verb: Verb,
    /// The procedure.
    pub procedure: &'a str,
    /// The node.
    pub node: &'a str,
    /// The arguments of a run.
    pub arguments: &'a BTreeMap<String, String>,
    /// The time; `None` to ignore the hours of rules.
    pub at: Option<Timestamp>,
}

/// One rule's answer: empty if it holds, otherwise the conditions that do not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleAnswer {
    /// Its line.
    pub line: u32,
    /// The conditions that do not hold, in the order of the file.
    pub against: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    opsbook: u32,
    #[serde(default)]
    groups: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRule {
    who: Texts,
    may: Vec<Verb>,
    procedures: Texts,
    nodes: String,
    #[serde(default)]
    arguments: BTreeMap<String, Texts>,
    #[serde(default)]
    hours: Option<String>,
    #[serde(default)]
    approve: Option<WrittenNeed>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenNeed {
    count: u32,
    #[serde(default)]
    by: Option<Texts>,
}

/// One text or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Several(Vec<String>),
}

impl From<Texts> for Vec<String> {
    fn from(texts: Texts) -> Vec<String> {
        match texts {
            Texts::One(text) => vec![text],
            Texts::Several(texts) => texts,
        }
    }
}

impl Access {
    /// The rules of a manual; `None` without the file.
    ///
    /// # Errors
    /// All errors of the file. If the rules cannot be read, nothing is granted.
    pub fn of(files: &Files, nodes: &Nodes) -> Result<Option<Access>, Vec<Problem>> {
        match files.text(Path::new(FILE), 1 << 20) {
            Ok(text) => Access::read(&text, nodes).map(Some),
            Err(Refused::Missing) => Ok(None),
            Err(refused) => Err(vec![Problem::bare(
                "access",
                format!("`{FILE}`: {refused}"),
            )]),
        }
    }

    /// Parses the rules; everything they name must exist.
    ///
    /// # Errors
    /// All errors.
    pub fn read(text: &str, nodes: &Nodes) -> Result<Access, Vec<Problem>> {
        let source = Source::new(FILE, text);
        let (tree, mut problems) = yaml::read(&Passage::whole(&source));
        let Some(mut tree) = tree.filter(|_| problems.is_empty()) else {
            if problems.is_empty() {
                problems.push(Problem::bare("access", format!("`{FILE}` is empty")));
            }
            return Err(problems);
        };
        let listed = match &mut tree.value {
            yaml::Value::Map(map) => map.shift_remove("rules"),
            _ => None,
        };
        let head: Written = yaml::typed(&tree).map_err(|problem| vec![problem])?;
        if head.opsbook != 1 {
            let why = format!("`{FILE}`: this opsbook reads only `opsbook: 1`");
            return Err(vec![Problem::bare("access", why)]);
        }
        let mut access = Access {
            groups: head.groups,
            rules: Vec::new(),
        };
        let listed = listed
            .map(|entry| entry.value)
            .filter(|value| !value.is_null());
        let listed = listed.as_ref().map_or(Ok(&[][..]), yaml::Yaml::expect_seq);
        for item in listed.map_err(|problem| vec![problem])? {
            match rule(item, &access.groups, nodes) {
                Ok(rule) => access.rules.push(rule),
                Err(problem) => problems.push(*problem),
            }
        }
        if problems.is_empty() {
            Ok(access)
        } else {
            Err(problems)
        }
    }

    /// The line of the first rule that grants it.
    #[must_use]
    pub fn grants(&self, question: &Question<'_>) -> Option<u32> {
        let mut rules = self.rules.iter();
        rules
            .find(|rule| self.against(rule, question).is_empty())
            .map(|rule| rule.line)
    }

    /// The approvals that a run needs before it begins: those of every rule that grants it, at any
    /// hour, so that no rule weakens another one.
    #[must_use]
    pub fn needs(&self, question: &Question<'_>) -> Vec<Need> {
        let question = Question {
            at: None,
            ..*question
        };
        let grants = |rule: &&Rule| self.against(rule, &question).is_empty();
        let rules = self.rules.iter().filter(grants);
        rules.filter_map(|rule| rule.approve.clone()).collect()
    }

    /// Whether some rule lets somebody do this with something, somewhere.
    #[must_use]
    pub fn may_somewhere(&self, question: &Question<'_>) -> bool {
        let asking = |rule: &Rule| rule.who.iter().any(|who| self.is_asking(question, who));
        let mut rules = self.rules.iter();
        rules.any(|rule| {
            rule.may.contains(&question.verb) && !rule.selected.is_empty() && asking(rule)
        })
    }

    /// The people whom these names mean, of whom `count` must approve.
    ///
    /// # Errors
    /// If there is no such group, or there are too few people. A group that is empty here comes
    /// from an identity provider, which knows its members.
    pub fn people(&self, count: u32, by: &[String]) -> Result<Vec<String>, String> {
        people(count, by, &self.groups)
    }

    /// The answer of each rule.
    #[must_use]
    pub fn explain(&self, question: &Question<'_>) -> Vec<RuleAnswer> {
        let rules = self.rules.iter();
        rules
            .map(|rule| RuleAnswer {
                line: rule.line,
                against: self.against(rule, question),
            })
            .collect()
    }

    /// The conditions of a rule that do not hold.
    fn against(&self, rule: &Rule, question: &Question<'_>) -> Vec<String> {
        let mut against = Vec::new();
        if !rule.who.iter().any(|who| self.is_asking(question, who)) {
            against.push(format!("who: {}", rule.who.join(", ")));
        }
        if !rule.may.contains(&question.verb) {
            let words: Vec<&str> = rule.may.iter().map(|verb| verb.word()).collect();
            against.push(format!("may: {}", words.join(", ")));
        }
        let fits =
            |pattern: &String| wildcard::fits(pattern.as_bytes(), question.procedure.as_bytes());
        if !rule.procedures.iter().any(fits) {
            against.push(format!("procedures: {}", rule.procedures.join(", ")));
        }
        if !rule.selected.contains(question.node) {
            against.push(format!("nodes: {}", rule.nodes));
        }
        if let (Some(hours), Some(at)) = (&rule.hours, question.at)
            && !hours.has(at)
        {
            against.push(format!("hours: {}", hours.text()));
        }
        // Only orders of runs have arguments.
        if question.verb == Verb::Run {
            for (name, allowed) in &rule.arguments {
                let given = question.arguments.get(name);
                if !given.is_some_and(|value| allowed.contains(value)) {
                    against.push(format!(
                        "arguments: {name} must be one of {}",
                        allowed.join(", ")
                    ));
                }
            }
        }
        against
    }

    /// Whether the person is `who` or in that group. A group that the file does not name counts for
    /// nothing.
    fn is_asking(&self, question: &Question<'_>, who: &str) -> bool {
        let said = who.strip_prefix('@');
        let said = said.is_some_and(|name| question.groups.iter().any(|group| group == name));
        said || self.is_among(question.person, who)
    }

    fn is_among(&self, person: &str, who: &str) -> bool {
        match who.strip_prefix('@') {
            Some(group) => {
                let members = self.groups.get(group);
                members.is_some_and(|members| members.iter().any(|member| member == person))
            }
            None => who == person,
        }
    }
}

fn rule(
    item: &yaml::Yaml,
    groups: &BTreeMap<String, Vec<String>>,
    nodes: &Nodes,
) -> Result<Rule, Box<Problem>> {
    let written: WrittenRule = yaml::typed(item).map_err(Box::new)?;
    let wrong = |message: String| Box::new(Problem::error("access", item.span.clone(), message));
    let who: Vec<String> = written.who.into();
    let unknown = |who: &&String| {
        who.strip_prefix('@')
            .is_some_and(|group| !groups.contains_key(group))
    };
    if let Some(group) = who.iter().find(unknown) {
        return Err(wrong(format!("there is no group `{group}`")));
    }
    let line = item.span.position().line;
    let approve = match written.approve {
        Some(_) if !written.may.contains(&Verb::Run) => {
            return Err(wrong(
                "only a rule with `may: [run]` can have `approve`".to_owned(),
            ));
        }
        Some(need) => Some(approve(need, groups, line).map_err(wrong)?),
        None => None,
    };
    let hours = written.hours.as_deref().map(Hours::read).transpose();
    let hours = hours.map_err(|why| wrong(format!("`hours`: {why}")))?;
    // A selector without nodes may select some later; an invalid selector is an error.
    let selected = match nodes.select(&written.nodes) {
        Ok(names) => names.into_iter().map(str::to_owned).collect(),
        Err(problem) if problem.code == "nothing-selected" => BTreeSet::new(),
        Err(problem) => return Err(wrong(problem.message)),
    };
    Ok(Rule {
        line,
        who,
        may: written.may,
        procedures: written.procedures.into(),
        nodes: written.nodes,
        selected,
        arguments: { written.arguments.into_iter() }
            .map(|(name, values)| (name, values.into()))
            .collect(),
        hours,
        approve,
    })
}

/// The approvals that a rule requires.
fn approve(
    written: WrittenNeed,
    groups: &BTreeMap<String, Vec<String>>,
    line: u32,
) -> Result<Need, String> {
    let by: Vec<String> = written.by.map(Into::into).unwrap_or_default();
    if written.count == 0 {
        return Err("`approve`: `count` must be at least 1".to_owned());
    }
    Ok(Need {
        count: written.count,
        people: people(written.count, &by, groups)?,
        by,
        place: format!("{FILE}:{line}"),
    })
}

/// The people whom these names mean.
fn people(
    count: u32,
    by: &[String],
    groups: &BTreeMap<String, Vec<String>>,
) -> Result<Vec<String>, String> {
    let (mut people, mut open) = (BTreeSet::new(), by.is_empty());
    for name in by {
        match name.strip_prefix('@') {
            Some(group) => {
                let members = groups.get(group);
                let members = members.ok_or_else(|| format!("there is no group `{name}`"))?;
                open |= members.is_empty();
                people.extend(members.iter().cloned());
            }
            None => drop(people.insert(name.clone())),
        }
    }
    if !open && people.len() < count as usize {
        let named = people.len();
        return Err(format!(
            "`approve`: {count} people are required, but `by` names {named}"
        ));
    }
    Ok(people.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: &str = "opsbook: 1\ngroups:\n  web: {}\n  prod: {}\nnodes:\n  web1: {groups: [web]}\n  web2: {groups: [web, prod]}\n  db1: {groups: [prod]}\n";
    const RULES: &str = r#"opsbook: 1
groups: {oncall: [ana, bo], dba: [cy]}
rules:
  - {who: "@oncall", may: [read, run, stop], procedures: "web.*", nodes: "@web&!@prod"}
  - {who: "@dba", may: [run], procedures: [db.dump, db.copy], nodes: "@prod", arguments: {mode: [dry, safe]}}
  - {who: cy, may: [read], procedures: "*", nodes: "*"}
"#;

    fn nodes() -> Nodes {
        let (nodes, problems) = crate::nodes::parse(&[Source::new("nodes.yaml", NODES)]);
        assert!(problems.is_empty(), "{problems:?}");
        nodes
    }

    fn grants(access: &Access, words: &str, mode: &str) -> Option<u32> {
        let mut words = words.split(' ');
        let mut word = || words.next().unwrap();
        let (person, verb, procedure, node) = (word(), word(), word(), word());
        let arguments = BTreeMap::from([("mode".to_owned(), mode.to_owned())]);
        access.grants(&Question {
            person,
            groups: &[],
            verb: Verb::of(verb).unwrap(),
            procedure,
            node,
            arguments: &arguments,
            at: None,
        })
    }

    #[test]
    fn a_rule_grants_when_all_of_it_holds() {
        let access = Access::read(RULES, &nodes()).unwrap();
        for (words, mode, expected) in [
            ("ana run web.deploy web1", "", Some(4)),
            ("bo stop web.deploy web1", "", Some(4)),
            // One condition of each rule does not hold.
            ("cy run web.deploy web1", "", None),
            ("ana resume web.deploy web1", "", None),
            ("ana run db.dump web1", "", None),
            ("ana run web.deploy web2", "", None),
            ("ana run web.deploy nobody", "", None),
            ("oncall run web.deploy web1", "", None),
            ("@oncall run web.deploy web1", "", None),
            ("cy run db.dump db1", "dry", Some(5)),
            ("cy run db.dump db1", "wild", None),
            ("cy run db.dump web2", "safe", Some(5)),
            ("cy run db.dumps db1", "dry", None),
            ("cy read web.deploy web1", "", Some(6)),
        ] {
            assert_eq!(grants(&access, words, mode), expected, "{words} {mode}");
        }
        let arguments = BTreeMap::new();
        let question = Question {
            person: "ana",
            groups: &[],
            verb: Verb::Run,
            procedure: "web.deploy",
            node: "web2",
            arguments: &arguments,
            at: None,
        };
        let explained = access.explain(&question);
        assert_eq!(explained[0].against, ["nodes: @web&!@prod"]);
        let without = &explained[1].against;
        assert_eq!(without[0], "who: @dba");
        assert_eq!(without[2], "arguments: mode must be one of dry, safe");
    }

    #[test]
    fn a_group_that_a_provider_names_counts_where_the_file_names_it_too() {
        let rules = "opsbook: 1\ngroups: {oncall: [], dba: [cy]}\nrules:\n  \
                     - {who: \"@oncall\", may: [run], procedures: \"web.*\", nodes: \"@web\"}\n  \
                     - {who: oncall, may: [run], procedures: \"db.*\", nodes: \"*\"}\n";
        let access = Access::read(rules, &nodes()).unwrap();
        let arguments = BTreeMap::new();
        let grants = |groups: &[&str], procedure| {
            let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
            access.grants(&Question {
                person: "ana",
                groups: &groups,
                verb: Verb::Run,
                procedure,
                node: "web1",
                arguments: &arguments,
                at: None,
            })
        };
        assert_eq!(grants(&[], "web.deploy"), None);
        assert_eq!(grants(&["dba", "oncall"], "web.deploy"), Some(4));
        for odd in ["@oncall", "dba", "onc*", ""] {
            assert_eq!(grants(&[odd], "web.deploy"), None, "{odd}");
        }
        // A group is not a person of that name.
        assert_eq!(grants(&["oncall"], "db.dump"), None);
    }

    #[test]
    fn what_is_wanted_is_what_every_rule_that_grants_wants() {
        let rules = r#"opsbook: 1
groups: {oncall: [ana, bo]}
rules:
  - {who: "@oncall", may: [run], procedures: "web.*", nodes: "@web"}
  - {who: "@oncall", may: [run], procedures: "web.*", nodes: "@prod", approve: {count: 1, by: "@oncall"}}
  - {who: ana, may: [run], procedures: "*", nodes: "web2", hours: "Sun 03:00-04:00 UTC", approve: {count: 2}}
  - {who: bo, may: [read], procedures: "*", nodes: "*"}
"#;
        let access = Access::read(rules, &nodes()).unwrap();
        let arguments = BTreeMap::new();
        let asks = |person, node| Question {
            person,
            groups: &[],
            verb: Verb::Run,
            procedure: "web.deploy",
            node,
            arguments: &arguments,
            at: Some("2026-11-27T12:00:00Z".parse().unwrap()),
        };
        let needs = |person, node| {
            let needs = access.needs(&asks(person, node)).into_iter();
            needs
                .map(|need| (need.count, need.place))
                .collect::<Vec<_>>()
        };
        assert_eq!(needs("ana", "web1"), []);
        let one = (1, "access.yaml:5".to_owned());
        assert_eq!(needs("bo", "web2"), std::slice::from_ref(&one));
        // A rule for other hours does not weaken the requirements.
        assert_eq!(needs("ana", "web2"), [one, (2, "access.yaml:6".to_owned())]);
        assert_eq!(access.needs(&asks("bo", "db1"))[0].people, ["ana", "bo"]);
        let against = &access.explain(&asks("ana", "web2"))[2].against;
        assert_eq!(against, &["hours: Sun 03:00-04:00 UTC"]);
    }

    #[test]
    fn rules_that_cannot_be_understood_grant_nothing() {
        for (from, to, said) in [
            ("opsbook: 1", "opsbook: 2", "reads only `opsbook: 1`"),
            ("@dba", "@nobody", "there is no group `@nobody`"),
            ("may: [run]", "may: [rum]", "rum"),
            ("procedures: \"*\"", "procedure: \"*\"", "procedure"),
            ("nodes: \"*\"", "nodes: \"@wbe\"", "wbe"),
            ("nodes: \"*\"", "nodes: \"@\"", "@"),
            (
                "nodes: \"*\"}",
                "nodes: \"*\", hours: \"Mon-Fri\"}",
                "hours",
            ),
            (
                "nodes: \"*\"}",
                "nodes: \"*\", approve: {count: 1}}",
                "only a rule with `may: [run]` can have `approve`",
            ),
            (
                "mode: [dry, safe]}}",
                "mode: [dry, safe]}, approve: {count: 0}}",
                "at least 1",
            ),
            (
                "mode: [dry, safe]}}",
                "mode: [dry, safe]}, approve: {count: 2, by: \"@dba\"}}",
                "2 people are required, but `by` names 1",
            ),
            (
                "mode: [dry, safe]}}",
                "mode: [dry, safe]}, approve: {count: 1, by: \"@boss\"}}",
                "there is no group `@boss`",
            ),
            ("who: cy, ", "", "who"),
            ("groups:", "group:", "group"),
            ("rules:", "rules: x\nother:", "other"),
        ] {
            let text = RULES.replacen(from, to, 1);
            assert_ne!(text, RULES);
            let problems = Access::read(&text, &nodes()).unwrap_err();
            let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
            let all = all.join("\n");
            assert!(all.contains(said), "{from} -> {to}: {all}");
        }
        assert!(Access::read("", &nodes()).is_err());
        assert_eq!(
            grants(
                &Access::read("opsbook: 1\n", &nodes()).unwrap(),
                "ana run a web1",
                ""
            ),
            None
        );
    }

    /// A deterministic random sequence.
    struct Chance(u64);

    impl Chance {
        fn below(&mut self, end: usize) -> usize {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(self.0 >> 33).unwrap() % end
        }

        fn some<'a>(&mut self, all: &[&'a str]) -> Vec<&'a str> {
            all.iter().copied().filter(|_| self.below(2) == 0).collect()
        }
    }

    const PEOPLE: [&str; 4] = ["ana", "bo", "cy", "dee"];
    const PROCEDURES: [&str; 4] = ["web.deploy", "web.stop", "db.dump", "*"];
    /// Selectors with the nodes that they select.
    const SELECTORS: [(&str, &[&str]); 5] = [
        ("*", &["web1", "web2", "db1"]),
        ("@web", &["web1", "web2"]),
        ("@web&!@prod", &["web1"]),
        ("@prod", &["web2", "db1"]),
        ("db1", &["db1"]),
    ];

    /// A rule in the oracle: people, verbs, procedures, selector.
    type Simple<'a> = (Vec<&'a str>, Vec<&'a str>, Vec<&'a str>, usize);

    fn written(rules: &[Simple<'_>]) -> String {
        let mut text = "opsbook: 1\nrules:\n".to_owned();
        for (who, may, procedures, selector) in rules {
            let nodes = SELECTORS[*selector].0;
            let procedures: Vec<String> =
                procedures.iter().map(|name| format!("{name:?}")).collect();
            text += &format!(
                "  - {{who: [{}], may: [{}], procedures: [{}], nodes: {nodes:?}}}\n",
                who.join(", "),
                may.join(", "),
                procedures.join(", ")
            );
        }
        text
    }

    fn oracle(rules: &[Simple<'_>], person: &str, verb: &str, procedure: &str, node: &str) -> bool {
        rules.iter().any(|(who, may, procedures, selector)| {
            who.contains(&person)
                && may.contains(&verb)
                && (procedures.contains(&"*") || procedures.contains(&procedure))
                && SELECTORS[*selector].1.contains(&node)
        })
    }

    #[test]
    fn rules_agree_with_an_oracle_and_fewer_rules_never_grant_more() {
        let (nodes, mut chance) = (nodes(), Chance(7));
        let verbs: Vec<&str> = Verb::ALL.iter().map(|verb| verb.word()).collect();
        let mut granted = 0;
        for _ in 0..2_000 {
            let count = chance.below(5);
            let mut rules: Vec<Simple<'_>> = (0..count)
                .map(|_| {
                    let (who, may) = (chance.some(&PEOPLE), chance.some(&verbs));
                    (
                        who,
                        may,
                        chance.some(&PROCEDURES),
                        chance.below(SELECTORS.len()),
                    )
                })
                .collect();
            let all = Access::read(&written(&rules), &nodes).unwrap();
            let dropped = chance.below(count.max(1));
            let more = rules.clone();
            if count > 0 {
                rules.remove(dropped);
            }
            let fewer = Access::read(&written(&rules), &nodes).unwrap();
            for _ in 0..20 {
                let person = PEOPLE[chance.below(4)];
                let verb = verbs[chance.below(verbs.len())];
                let procedure = PROCEDURES[chance.below(3)];
                let node = ["web1", "web2", "db1"][chance.below(3)];
                let words = format!("{person} {verb} {procedure} {node}");
                let said = grants(&all, &words, "").is_some();
                assert_eq!(
                    said,
                    oracle(&more, person, verb, procedure, node),
                    "{words}: {more:?}"
                );
                let less = grants(&fewer, &words, "").is_some();
                assert!(
                    said || !less,
                    "{words} by fewer rules: {more:?} without {dropped}"
                );
                granted += usize::from(said);
            }
        }
        assert!(granted > 1_000, "{granted} were granted");
    }
}
