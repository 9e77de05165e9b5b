//! Names of a procedure and its steps for people: on a card, in the book, in a message.

use crate::{
    Check, Count, Delivery, DeliveryFrom, Each, Machine, Procedure, Role, Share, Spanned, Step,
    Work,
};

impl Procedure {
    /// The command that runs it, as far as its contract determines it: `opsbook run web.deploy web1
    /// --set version=VERSION`. `NODE` is a placeholder if several nodes are possible.
    #[must_use]
    pub fn command(&self) -> String {
        let one = |nodes: &&str| !nodes.contains(['@', '*', '?', '!', '&', ',', '$']);
        let nodes = self.nodes.as_ref().map(|nodes| nodes.value.as_str());
        let node = nodes.filter(one).unwrap_or("NODE").to_owned();
        let node = if self.roles.is_empty() {
            node
        } else {
            self.words()
        };
        let required = self.params.iter();
        let required = required.filter(|(_, param)| param.required && param.default.is_none());
        let set = required.map(|(name, _)| format!(" --set {name}={}", name.to_uppercase()));
        format!("opsbook run {} {node}{}", self.id, set.collect::<String>())
    }

    /// `old=NODE new=NODE`: the roles that must be bound.
    #[must_use]
    pub fn words(&self) -> String {
        let roles = self.roles.iter();
        let needed = roles.filter(|(_, role)| role.count != Count::Any);
        let words: Vec<String> = needed.map(|(name, _)| format!("{name}=NODE")).collect();
        words.join(" ")
    }

    /// A step's full name: `web.deploy/install`, or with its number if it has no id.
    #[must_use]
    pub fn name_of(&self, step: &Step) -> String {
        match &step.id {
            Some(id) => format!("{}/{id}", self.id),
            None => format!("{}/{}", self.id, step.number),
        }
    }

    /// All its checks, in the order of the page.
    pub fn checks(&self) -> impl Iterator<Item = &Check> {
        let steps = self.steps.iter().flat_map(move |step| {
            let opened = self.sections.iter();
            let opened = opened.filter(move |each| each.steps.start == step.number);
            let after = self.after.iter();
            let after = after.filter(move |(last, _)| *last == step.number);
            opened
                .flat_map(|each| &each.before)
                .chain(&step.checks)
                .chain(after.flat_map(|(_, checks)| checks))
        });
        self.before.iter().chain(steps)
    }

    /// The groups of checks that it and its roles need.
    pub fn all_needs(&self) -> impl Iterator<Item = &Spanned<String>> {
        let roles = self.roles.values();
        self.needs.iter().chain(roles.flat_map(|role| &role.needs))
    }

    /// The roles that its blocks name.
    pub fn machines(&self) -> impl Iterator<Item = &Machine> {
        let steps = self.steps.iter().map(|step| &step.machine);
        let checks = self.checks().map(|check| &check.machine);
        steps.chain(checks).flatten()
    }

    /// Whether a step or check runs on the nodes of a role.
    #[must_use]
    pub fn runs_on(&self, role: &str) -> bool {
        let mut machines = self.machines();
        machines.any(|machine| machine.role() == role)
            || self.sections.iter().any(|each| each.role.value == role)
            || self.deliveries().any(|file| {
                matches!(&file.from, DeliveryFrom::Machine { role: from, .. } if from == role)
            })
    }

    fn deliveries(&self) -> impl Iterator<Item = &Delivery> {
        let files = self.steps.iter().map(|step| match &step.work {
            Work::Deliver(files) => files.as_slice(),
            Work::Script(_) | Work::Manual(_) | Work::Place(_) => &[],
        });
        files.flatten()
    }

    /// Whether it delivers a template. The names in a template are known only after reading it.
    #[must_use]
    pub fn delivers_a_template(&self) -> bool {
        let mut files = self.deliveries();
        files.any(|file| matches!(file.from, DeliveryFrom::Template(_)))
    }
}

impl Machine {
    /// The role's name.
    #[must_use]
    pub fn role(&self) -> &str {
        match self {
            Machine::Role(role) | Machine::All(role) => role,
        }
    }

    /// `on old`, `on every lb`.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Machine::Role(role) => format!("on {role}"),
            Machine::All(role) => format!("on every {role}"),
        }
    }
}

impl Role {
    /// The words before the selector of its nodes.
    #[must_use]
    pub fn how_many(&self) -> &'static str {
        match self.count {
            Count::One => "one of",
            Count::Several => "one or more of",
            Count::Any => "any number of",
        }
    }
}

impl Each {
    /// `for each web: first one, then a quarter at a time`.
    #[must_use]
    pub fn words(&self) -> String {
        let mut sizes: Vec<String> = self.batch.iter().map(size).collect();
        let last = sizes.pop().unwrap_or_else(|| "one".to_owned());
        let sizes = match sizes.as_slice() {
            [] => last,
            sizes => format!("first {}, then {last}", sizes.join(", then ")),
        };
        format!("for each {}: {sizes} at a time", self.role.value)
    }
}

fn size(share: &Share) -> String {
    match share {
        Share::Count(1) => "one".to_owned(),
        Share::Count(count) => count.to_string(),
        Share::Percent(25) => "a quarter".to_owned(),
        Share::Percent(50) => "half".to_owned(),
        Share::Percent(100) => "all".to_owned(),
        Share::Percent(percent) => format!("{percent}%"),
    }
}
